//! The values of query parameters whose kind is the same wherever they are taken. They are judged here for all endpoints,
//! also for those that need not know the value, so that a mistake is told as Elasticsearch tells it.

use super::envelope::{ApiError, Result};
use super::params::{Params, check_time, not_a_flag};

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    /// How indices are found: such a flag needs a value, and its refusal names the parameter.
    IndicesFlag,
    Time,
    /// An integer, and the least it may be, with the words for less.
    Int(Option<(i32, &'static str)>),
    /// A number of copies.
    Copies,
    Rate,
    Slices,
}

const KINDS: &[(&str, Kind)] = &[
    ("accept_enterprise", Kind::Flag),
    ("all_shards", Kind::Flag),
    ("allow_partial_search_results", Kind::Flag),
    ("ccs_minimize_roundtrips", Kind::Flag),
    ("explain", Kind::Flag),
    ("flat_settings", Kind::Flag),
    ("force", Kind::Flag),
    ("force_synthetic_source", Kind::Flag),
    ("include_defaults", Kind::Flag),
    ("include_named_queries_score", Kind::Flag),
    ("include_unloaded_segments", Kind::Flag),
    ("list_executed_pipelines", Kind::Flag),
    ("local", Kind::Flag),
    ("preserve_existing", Kind::Flag),
    ("realtime", Kind::Flag),
    ("reopen", Kind::Flag),
    ("request_cache", Kind::Flag),
    ("require_alias", Kind::Flag),
    ("require_data_stream", Kind::Flag),
    ("rewrite", Kind::Flag),
    ("wait_for_no_relocating_shards", Kind::Flag),
    ("wait_if_ongoing", Kind::Flag),
    ("write_index_only", Kind::Flag),
    ("allow_no_indices", Kind::IndicesFlag),
    ("ignore_throttled", Kind::IndicesFlag),
    ("ignore_unavailable", Kind::IndicesFlag),
    ("master_timeout", Kind::Time),
    ("scroll", Kind::Time),
    ("search_timeout", Kind::Time),
    ("timeout", Kind::Time),
    ("batched_reduce_size", Kind::Int(Some((2, "batchedReduceSize must be >= 2")))),
    ("max_concurrent_searches", Kind::Int(Some((1, "maxConcurrentSearchRequests must be positive")))),
    ("max_concurrent_shard_requests", Kind::Int(Some((1, "maxConcurrentShardRequests must be >= 1")))),
    ("max_docs", Kind::Int(None)),
    ("pre_filter_shard_size", Kind::Int(Some((1, "preFilterShardSize must be >= 1")))),
    ("scroll_size", Kind::Int(None)),
    ("terminate_after", Kind::Int(None)),
    ("wait_for_active_shards", Kind::Copies),
    ("requests_per_second", Kind::Rate),
    ("slices", Kind::Slices),
];

/// Refuses values that are not of their parameter's kind.
pub(super) fn check(params: &Params, allowed: &[&str]) -> Result<()> {
    for (name, kind) in KINDS.iter().filter(|(name, _)| allowed.contains(name)) {
        if let Some(text) = params.get(name) {
            check_one(params, name, text, *kind)?;
        }
    }
    Ok(())
}

fn check_one(params: &Params, name: &str, text: &str, kind: Kind) -> Result<()> {
    match kind {
        Kind::Flag => params.flag(name).map(drop),
        Kind::IndicesFlag if matches!(text, "true" | "false") => Ok(()),
        Kind::IndicesFlag => Err(ApiError::illegal(format!("Could not convert [{name}] to boolean"))
            .because("illegal_argument_exception", not_a_flag(text).reason())),
        Kind::Time => check_time(text, name),
        Kind::Int(least) => match (params.int(name)?, least) {
            (Some(number), Some((least, refusal))) if number < least => Err(ApiError::illegal(refusal)),
            _ => Ok(()),
        },
        Kind::Copies => copies(text),
        Kind::Rate => match text.parse::<f32>() {
            Ok(rate) if rate > 0.0 || rate == -1.0 => Ok(()),
            read => {
                let refusal = ApiError::illegal(
                    "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling.",
                );
                Err(if read.is_err() { not_a_number(refusal, text) } else { refusal })
            }
        },
        Kind::Slices => match text.parse::<i32>() {
            Ok(number) if number >= 1 => Ok(()),
            _ if text == "auto" => Ok(()),
            read => {
                let refusal = ApiError::illegal(format!(
                    "[slices] must be a positive integer or the string \"auto\", but was [{text}]"
                ));
                Err(if read.is_err() { not_a_number(refusal, text) } else { refusal })
            }
        },
    }
}

fn copies(text: &str) -> Result<()> {
    match text.parse::<i32>() {
        _ if text == "all" => Ok(()),
        Ok(number) if number >= 0 => Ok(()),
        Ok(_) => Err(ApiError::illegal("shard count cannot be a negative value")),
        Err(_) => {
            Err(not_a_number(ApiError::illegal(format!("cannot parse ActiveShardCount[{text}]")), text))
        }
    }
}

fn not_a_number(refusal: ApiError, text: &str) -> ApiError {
    refusal.because("number_format_exception", format!("For input string: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taken from the answers of Elasticsearch 9.4.
    #[test]
    fn values_of_another_kind_are_refused_in_elasticsearchs_words() {
        let flag = "Failed to parse value [x] as only [true] or [false] are allowed.";
        let table = [
            ("realtime=x", flag),
            ("local=x", flag),
            ("ignore_unavailable=x", "Could not convert [ignore_unavailable] to boolean"),
            ("allow_no_indices", "Could not convert [allow_no_indices] to boolean"),
            (
                "timeout=x",
                "failed to parse setting [timeout] with value [x] as a time value: unit is missing or unrecognized",
            ),
            (
                "master_timeout=-5",
                "failed to parse setting [master_timeout] with value [-5] as a time value: unit is missing or unrecognized",
            ),
            ("timeout=1.5s", "failed to parse [1.5s], fractional time values are not supported"),
            ("terminate_after=x", "Failed to parse int parameter [terminate_after] with value [x]"),
            ("batched_reduce_size=1", "batchedReduceSize must be >= 2"),
            ("wait_for_active_shards=", "cannot parse ActiveShardCount[]"),
            ("wait_for_active_shards=-5", "shard count cannot be a negative value"),
            (
                "requests_per_second=0",
                "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling.",
            ),
            ("slices=0", "[slices] must be a positive integer or the string \"auto\", but was [0]"),
        ];
        for (query, wanted) in table {
            let name = query.split('=').next().unwrap();
            let params = Params::parse(Some(query)).unwrap();
            assert_eq!(check(&params, &[name]).unwrap_err().reason(), wanted, "{query}");
            assert!(check(&params, &["other"]).is_ok(), "only what the endpoint takes is judged");
        }
    }

    #[test]
    fn values_of_their_kind_pass() {
        for query in [
            "realtime",
            "realtime=false",
            "ignore_unavailable=true",
            "timeout=0",
            "timeout=-1",
            "timeout=10S",
            "timeout=1%20s",
            "timeout=-1s",
            "terminate_after=5",
            "wait_for_active_shards=all",
            "requests_per_second=-1",
            "slices=auto",
        ] {
            let name = query.split('=').next().unwrap();
            assert!(check(&Params::parse(Some(query)).unwrap(), &[name]).is_ok(), "{query}");
        }
    }
}
