use std::borrow::Cow;
use std::io::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::state::Index;

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    ids: Vec<Cow<'a, str>>,
}

/// Answers `_mget`: the documents' fingerprints, if there are such documents. Also tells how many were asked for.
pub(super) fn mget(name: &str, index: Option<&Index>, body: &[u8]) -> serde_json::Result<(Vec<u8>, u64)> {
    let Ids { ids } = serde_json::from_slice(body)?;
    let kept = index.map(Index::kept);
    let mut answer = Vec::with_capacity(ids.len() * 192);
    answer.extend_from_slice(b"{\"docs\":[");
    for (at, id) in ids.iter().enumerate() {
        if at > 0 {
            answer.push(b',');
        }
        // Writing to memory does not fail.
        let _written = write!(answer, "{{\"_index\":\"{name}\",\"_id\":");
        serde_json::to_writer(&mut answer, &**id)?;
        let rest = b",\"_version\":1,\"_seq_no\":1,\"_primary_term\":1,\"found\":true,\"_source\":{";
        match kept.as_ref().and_then(|kept| kept.get(id)) {
            None => answer.extend_from_slice(b",\"found\":false}"),
            Some(None) => {
                answer.extend_from_slice(rest);
                answer.extend_from_slice(b"}}");
            }
            Some(Some(fingerprint)) => {
                answer.extend_from_slice(rest);
                let _written =
                    write!(answer, "\"_tributary\":{{\"fingerprint\":\"{fingerprint:032x}\"}}}}}}");
            }
        }
    }
    answer.extend_from_slice(b"]}");
    Ok((answer, ids.len() as u64))
}

#[derive(Deserialize)]
struct Search<'a> {
    #[serde(borrow)]
    pit: Pit<'a>,
    size: usize,
    #[serde(default)]
    search_after: Option<(usize,)>,
}

#[derive(Deserialize)]
struct Pit<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// The index that a point in time of this sink belongs to: its id is the index's name.
pub(super) fn index_of_walk(body: &[u8]) -> serde_json::Result<String> {
    serde_json::from_slice::<Search<'_>>(body).map(|search| search.pit.id.into_owned())
}

/// Answers a search with a point in time: the ids, in the order they came.
pub(super) fn walk(name: &str, index: &Index, body: &[u8]) -> serde_json::Result<Vec<u8>> {
    let search: Search<'_> = serde_json::from_slice(body)?;
    let from = search.search_after.map_or(0, |(place,)| place);
    let mut answer = Vec::with_capacity(search.size.min(10_000) * 96);
    let _written = write!(
        answer,
        "{{\"pit_id\":\"{name}\",\"took\":1,\"timed_out\":false,\
         \"_shards\":{{\"total\":1,\"successful\":1,\"skipped\":0,\"failed\":0}},\"hits\":{{\"hits\":["
    );
    for (at, (place, id)) in index.kept().walk(from, search.size).enumerate() {
        if at > 0 {
            answer.push(b',');
        }
        let _written = write!(answer, "{{\"_index\":\"{name}\",\"_id\":");
        serde_json::to_writer(&mut answer, id)?;
        let _written = write!(answer, ",\"_score\":null,\"sort\":[{place}]}}");
    }
    answer.extend_from_slice(b"]}}");
    Ok(answer)
}

/// What `GET /` says.
pub(super) fn info() -> Value {
    json!({
        "name": "sink",
        "cluster_name": "sink",
        "version": {"number": "9.4.3", "build_flavor": "default", "minimum_wire_compatibility_version": "8.19.0"},
        "tagline": "You Know, for Search",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_through_all_ids_page_by_page() {
        let index = Index::default();
        (0..25).for_each(|n| assert!(index.kept().put(&format!("{n:02}"), None)));
        let (mut after, mut met): (Option<Value>, Vec<String>) = (None, Vec::new());
        loop {
            let mut body =
                json!({"pit": {"id": "docs", "keep_alive": "5m"}, "size": 10, "sort": ["_shard_doc"]});
            if let Some(after) = &after {
                body["search_after"] = after.clone();
            }
            let body = body.to_string();
            assert_eq!(index_of_walk(body.as_bytes()).unwrap(), "docs");
            let answer: Value =
                serde_json::from_slice(&walk("docs", &index, body.as_bytes()).unwrap()).unwrap();
            let hits = answer["hits"]["hits"].as_array().unwrap();
            met.extend(hits.iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()));
            let Some(last) = hits.last() else { break };
            after = Some(last["sort"].clone());
        }
        assert_eq!(met, (0..25).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_looked_up_comes_in_order_with_its_fingerprint() {
        let index = Index::default();
        index.kept().put("a", Some(0xab));
        let (answer, ids) = mget("docs", Some(&index), br#"{"ids": ["b", "a"]}"#).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (ids, &answer["docs"][0]["found"], &answer["docs"][1]["found"]),
            (2, &json!(false), &json!(true))
        );
        assert_eq!(answer["docs"][1]["_source"]["_tributary"]["fingerprint"], format!("{:032x}", 0xab));
    }
}
