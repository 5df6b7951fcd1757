//! Reading `composite` aggregations.

use std::collections::BTreeSet;

use serde_json::Value;

use super::parse::{Body, malformed};
use super::parse_buckets;
use super::request::{AggRequest, BucketOrder, Composite, Kind, OrderBy, Source, Terms};
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::query::{scalar_text, token_name};

pub(super) fn composite(body: Body<'_>) -> Result<Composite> {
    let (mut sources, mut size, mut after) = (None, 10, None);
    for (key, value) in body.members {
        match key.as_str() {
            "sources" => {
                let list = body.list(key, value)?;
                let read = list.iter().map(source).collect::<Result<Vec<_>>>();
                sources = Some(read.map_err(|error| error.in_field("composite", "sources"))?);
            }
            "size" => size = body.number(key, value)? as i64,
            "after" => after = Some(body.object(key, value)?.clone()),
            _ => return Err(body.unknown(key)),
        }
    }
    let Some(sources) = sources else { return Err(StoreError::illegal("Required [sources]")) };
    let unbuilt = |why: String| {
        malformed("Failed to build [composite] after last required field arrived")
            .because(Cause::new("illegal_argument_exception", why))
            .in_field("composite", "sources")
    };
    if sources.is_empty() {
        return Err(unbuilt("Composite [sources] cannot be null or empty".to_owned()));
    }
    let mut seen = BTreeSet::new();
    let twice: Vec<&str> =
        sources.iter().map(|source| source.request.name()).filter(|name| !seen.insert(*name)).collect();
    if !twice.is_empty() {
        let reason =
            format!("Composite source names must be unique, found duplicates: [{}]", twice.join(","));
        return Err(unbuilt(reason));
    }
    let size = usize::try_from(size).ok().filter(|size| *size > 0).ok_or_else(|| {
        body.failed("size", format!("[size] must be greater than 0. Found [{size}] in [{}]", body.name))
    })?;
    Ok(Composite { sources, size, after })
}

/// The only member of an object.
fn only(value: &Value) -> Result<(&str, &Value)> {
    let Value::Object(object) = value else {
        return Err(unexpected(value, "START_OBJECT"));
    };
    let mut members = object.iter();
    match (members.next(), members.next()) {
        (Some((key, value)), None) => Ok((key, value)),
        (Some(_), Some((_, second))) => Err(unexpected(second, "END_OBJECT")),
        (None, _) => Err(unexpected(value, "FIELD_NAME")),
    }
}

fn unexpected(value: &Value, wanted: &str) -> StoreError {
    let token = token_name(value);
    StoreError::parsing(format!(
        "Failed to parse object: expecting token of type [{wanted}] but found [{token}]"
    ))
}

fn source(value: &Value) -> Result<Source> {
    let (name, inner) = only(value)?;
    let (kind, definition) = only(inner)?;
    let Value::Object(given) = definition else { return Err(unexpected(definition, "START_OBJECT")) };
    let mut members = given.clone();
    let mut source = Source {
        request: AggRequest {
            name: name.to_owned(),
            id: 0,
            kind: Kind::Global,
            meta: None,
            subs: Vec::new(),
        },
        missing_bucket: false,
        absent_first: None,
        descending: false,
    };
    let own = Body { kind, name, members: given };
    if let Some(flag) = members.remove("missing_bucket") {
        source.missing_bucket = own.flag("missing_bucket", &flag)?;
    }
    if let Some(order) = members.remove("order") {
        source.descending = match scalar_text(&order).to_lowercase().as_str() {
            "asc" => false,
            "desc" => true,
            other => {
                return Err(own.failed(
                    "order",
                    format!(
                        "No enum constant org.elasticsearch.search.sort.SortOrder.{}",
                        other.to_uppercase()
                    ),
                ));
            }
        };
    }
    if let Some(order) = members.remove("missing_order") {
        source.absent_first = match scalar_text(&order).to_lowercase().as_str() {
            "first" => Some(true),
            "last" => Some(false),
            "default" => None,
            other => {
                return Err(own.failed("missing_order", format!("No enum constant org.elasticsearch.search.aggregations.bucket.missing.MissingOrder.{}", other.to_uppercase())));
            }
        };
    }
    source.request.kind = source_kind(Body { kind, name, members: &members })?;
    Ok(source)
}

/// What a source's aggregation would be alone.
fn source_kind(body: Body<'_>) -> Result<Kind> {
    let foreign = ["missing", "keyed", "min_doc_count", "extended_bounds", "hard_bounds"];
    if let Some(key) = body.members.keys().find(|key| foreign.contains(&key.as_str())) {
        return Err(body.unknown(key));
    }
    match body.kind {
        "terms" => {
            if body.members.contains_key("format") {
                return Err(body.unknown("format"));
            }
            let values = body.values(|_, _| Ok(false))?;
            let order = vec![BucketOrder::new(OrderBy::Key, false)];
            let filter = super::request::TermFilter::default();
            Ok(Kind::Terms(Box::new(Terms {
                values,
                size: 1,
                min_doc_count: 1,
                order,
                filter,
                show_error: false,
            })))
        }
        "histogram" => Ok(Kind::Histogram(Box::new(parse_buckets::histogram(body)?))),
        "date_histogram" => Ok(Kind::Histogram(Box::new(parse_buckets::date_histogram(body)?))),
        "geotile_grid" => {
            let reason = "sources of type [geotile_grid] are not supported by the embedded node";
            Err(StoreError::new(ErrorKind::Unsupported, reason))
        }
        other => Err(StoreError::parsing(format!("invalid source type: {other}"))),
    }
}
