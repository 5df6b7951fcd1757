//! Queries with a name (`_name`), of which hits tell whether they match.

use serde_json::Value;

use super::Query;
use crate::error::Result;

/// Members of queries that hold further queries.
const CLAUSES: [&str; 9] =
    ["must", "filter", "should", "must_not", "queries", "query", "positive", "negative", "organic"];

/// Every query with a name inside of this one, which can be read, in the order in which they stand there.
pub(crate) fn named(query: &Value) -> Result<Vec<(String, Query)>> {
    let mut found = Vec::new();
    collect(query, &mut found)?;
    Ok(found)
}

fn collect(query: &Value, found: &mut Vec<(String, Query)>) -> Result<()> {
    let Some((_, Value::Object(body))) = query.as_object().and_then(|query| query.iter().next()) else {
        return Ok(());
    };
    // Queries on one field have their options, the name too, one level below.
    let options = body.values().filter_map(Value::as_object).filter(|_| body.len() == 1);
    let names = std::iter::once(body).chain(options).find_map(|options| options.get("_name")?.as_str());
    if let Some(name) = names {
        found.push((name.to_owned(), Query::parse(query)?));
    }
    for inner in CLAUSES.iter().filter_map(|clause| body.get(*clause)) {
        match inner {
            Value::Array(list) => list.iter().try_for_each(|query| collect(query, found))?,
            other => collect(other, found)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_found_wherever_a_query_may_have_one() {
        let query = json!({"bool": {"_name": "all", "should": [
            {"term": {"tag": {"value": "a", "_name": "a"}}},
            {"terms": {"tag": ["b"], "_name": "b"}},
            {"constant_score": {"filter": {"exists": {"field": "n", "_name": "c"}}}},
            {"match": {"title": "_name"}},
        ]}});
        let names: Vec<_> = named(&query).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["all", "a", "b", "c"]);
    }
}
