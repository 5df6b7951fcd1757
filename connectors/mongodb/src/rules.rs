//! Advanced sync rules: one `find` or one `aggregate` instead of the whole collection.

use std::time::Duration;

use bson::{Bson, Document};
use mongodb::options::{AggregateOptions, FindOptions};
use serde_json::{Map, Value};

/// Documents read at once, unless a rule says otherwise.
const BATCH: u32 = 500;
/// Stages that write: a source only reads.
const WRITING: [&str; 2] = ["$out", "$merge"];

/// What is read of a collection.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    Find {
        filter: Document,
        options: Box<FindOptions>,
        /// Whether it may be read in the order of ids: not where the order decides which documents are chosen.
        any_order: bool,
    },
    Aggregate {
        pipeline: Vec<Document>,
        options: Box<AggregateOptions>,
    },
}

impl Query {
    /// The whole collection.
    pub(crate) fn all() -> Self {
        let options = Box::new(FindOptions::builder().batch_size(BATCH).build());
        Self::Find { filter: Document::new(), options, any_order: true }
    }
}

/// Reads a rule; `None` when there is none.
///
/// # Errors
/// One message for each fault.
pub(crate) fn query(rule: &Value) -> Result<Option<Query>, Vec<String>> {
    let rule = match rule {
        Value::Null => return Ok(None),
        Value::Array(items) if items.is_empty() => return Ok(None),
        Value::Object(members) if members.is_empty() => return Ok(None),
        Value::Object(members) => members,
        _ => return Err(vec!["data must be object".to_owned()]),
    };
    let mut faults = Vec::new();
    if rule.len() > 1 {
        faults.push("data must contain less than or equal to 1 properties".to_owned());
    }
    let mut query = None;
    for (name, value) in rule {
        let place = format!("data.{name}");
        match (name.as_str(), value.as_object()) {
            ("find", Some(members)) => query = Some(find(&mut Reader::new(place, members, &mut faults))),
            ("aggregate", Some(members)) => {
                query = Some(aggregate(&mut Reader::new(place, members, &mut faults)));
            }
            ("find" | "aggregate", None) => faults.push(format!("{place} must be object")),
            _ => faults
                .push(format!("data must not contain {{'{name}'}} properties; accepted are find, aggregate")),
        }
    }
    if faults.is_empty() { Ok(query) } else { Err(faults) }
}

fn find(reader: &mut Reader<'_>) -> Query {
    reader.only(&[
        "filter",
        "projection",
        "skip",
        "limit",
        "batch_size",
        "max_time_ms",
        "no_cursor_timeout",
        "allow_partial_results",
        "return_key",
        "show_record_id",
        "allow_disk_use",
    ]);
    let filter = reader.document("filter").unwrap_or_default();
    let (skip, limit) = (reader.whole("skip"), reader.whole("limit"));
    let mut options = FindOptions::builder().batch_size(reader.batch("batch_size")).build();
    options.projection = reader.projection();
    options.skip = skip;
    options.limit = limit.and_then(|limit| i64::try_from(limit).ok());
    options.max_time = reader.whole("max_time_ms").map(Duration::from_millis);
    options.no_cursor_timeout = reader.flag("no_cursor_timeout");
    options.allow_partial_results = reader.flag("allow_partial_results");
    options.return_key = reader.flag("return_key");
    options.show_record_id = reader.flag("show_record_id");
    options.allow_disk_use = reader.flag("allow_disk_use");
    let any_order = skip.unwrap_or(0) == 0 && limit.unwrap_or(0) == 0;
    Query::Find { filter, options: Box::new(options), any_order }
}

fn aggregate(reader: &mut Reader<'_>) -> Query {
    reader.only(&["pipeline", "allowDiskUse", "maxTimeMS", "batchSize", "let"]);
    let pipeline = reader.pipeline();
    let mut options = AggregateOptions::builder().batch_size(reader.batch("batchSize")).build();
    options.allow_disk_use = reader.flag("allowDiskUse");
    options.max_time = reader.whole("maxTimeMS").map(Duration::from_millis);
    options.let_vars = reader.document("let");
    Query::Aggregate { pipeline, options: Box::new(options) }
}

/// Reads members and collects what is wrong.
struct Reader<'a> {
    place: String,
    members: &'a Map<String, Value>,
    faults: &'a mut Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(place: String, members: &'a Map<String, Value>, faults: &'a mut Vec<String>) -> Self {
        Self { place, members, faults }
    }

    fn fault(&mut self, name: &str, fault: &str) {
        self.faults.push(format!("{}.{name} {fault}", self.place));
    }

    fn only(&mut self, known: &[&str]) {
        for name in self.members.keys().filter(|name| !known.contains(&name.as_str())) {
            let accepted = known.join(", ");
            self.faults.push(format!(
                "{} must not contain {{'{name}'}} properties; accepted are {accepted}",
                self.place
            ));
        }
    }

    fn whole(&mut self, name: &str) -> Option<u64> {
        let value = self.members.get(name)?;
        if value.as_u64().is_none() {
            let is_whole = value.is_i64();
            self.fault(name, if is_whole { "must be bigger than or equal to 0" } else { "must be integer" });
        }
        value.as_u64()
    }

    /// A server takes 0 for "none at first", which only costs a round trip.
    fn batch(&mut self, name: &str) -> u32 {
        self.whole(name)
            .filter(|size| *size > 0)
            .map_or(BATCH, |size| u32::try_from(size).unwrap_or(u32::MAX))
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.members.get(name)?;
        if !value.is_boolean() {
            self.fault(name, "must be boolean");
        }
        value.as_bool()
    }

    fn document(&mut self, name: &str) -> Option<Document> {
        let value = self.members.get(name)?;
        match value {
            Value::Object(_) => self.bson(name, value),
            _ => {
                self.fault(name, "must be object");
                None
            }
        }
    }

    fn bson(&mut self, name: &str, value: &Value) -> Option<Document> {
        match Bson::try_from(value.clone()) {
            Ok(Bson::Document(document)) => Some(document),
            Ok(_) => {
                self.fault(name, "must be object");
                None
            }
            Err(error) => {
                self.fault(name, &format!("cannot be read as extended JSON: {error}"));
                None
            }
        }
    }

    /// Names to keep, or what the server understands. The id is always kept: without it there is no document.
    fn projection(&mut self) -> Option<Document> {
        let mut projection = match self.members.get("projection")? {
            Value::Array(names) if names.is_empty() => {
                self.fault("projection", "must contain at least 1 items");
                return None;
            }
            Value::Array(names) => {
                let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
                let Some(names) = names else {
                    self.fault("projection", "must contain names of fields");
                    return None;
                };
                names.into_iter().map(|name| (name.to_owned(), Bson::Int32(1))).collect()
            }
            Value::Object(_) => self.document("projection")?,
            _ => {
                self.fault("projection", "must be array or object");
                return None;
            }
        };
        projection.remove("_id");
        (!projection.is_empty()).then_some(projection)
    }

    fn pipeline(&mut self) -> Vec<Document> {
        let stages = match self.members.get("pipeline") {
            None => return Vec::new(),
            Some(Value::Array(stages)) if stages.is_empty() => {
                self.fault("pipeline", "must contain at least 1 items");
                return Vec::new();
            }
            Some(Value::Array(stages)) => stages,
            Some(_) => {
                self.fault("pipeline", "must be array");
                return Vec::new();
            }
        };
        let mut pipeline = Vec::new();
        for (place, stage) in stages.iter().enumerate() {
            let name = format!("pipeline[{place}]");
            let Some(members) = stage.as_object() else {
                self.fault(&name, "must be object");
                continue;
            };
            if let Some(writing) = WRITING.iter().find(|writing| members.contains_key(**writing)) {
                self.fault(&name, &format!("must not contain {writing}: a source only reads"));
            }
            pipeline.extend(self.bson(&name, stage));
        }
        pipeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;
    use serde_json::json;

    #[test]
    fn a_find_rule_has_the_drivers_options() {
        let rule = json!({"find": {
            "filter": {"a": {"$gt": 5}, "at": {"$lt": {"$date": "2020-01-01T00:00:00Z"}}},
            "projection": ["b"], "batch_size": 7, "max_time_ms": 50, "allow_disk_use": true,
        }});
        let Some(Query::Find { filter, options, any_order }) = query(&rule).unwrap() else { panic!() };
        let date = bson::DateTime::from_millis(1_577_836_800_000);
        assert_eq!(filter, doc! { "a": { "$gt": 5 }, "at": { "$lt": date } }, "dates are dates");
        assert_eq!(options.projection, Some(doc! { "b": 1 }));
        assert_eq!((options.batch_size, options.allow_disk_use), (Some(7), Some(true)));
        assert_eq!(options.max_time, Some(Duration::from_millis(50)));
        assert!(any_order);
    }

    #[test]
    fn the_order_of_ids_must_not_choose_other_documents() {
        let rule = json!({"find": {"skip": 1, "limit": 2}});
        let Some(Query::Find { any_order, .. }) = query(&rule).unwrap() else { panic!() };
        assert!(!any_order);
    }

    #[test]
    fn a_projection_never_loses_the_id() {
        let projection = |projection: Value| {
            let Some(Query::Find { options, .. }) =
                query(&json!({"find": {"projection": projection}})).unwrap()
            else {
                panic!()
            };
            options.projection
        };
        assert_eq!(projection(json!({"a": 1, "_id": 0})), Some(doc! { "a": 1 }));
        assert_eq!(projection(json!({"_id": 0})), None);
    }

    #[test]
    fn an_aggregate_rule_has_a_pipeline() {
        let rule =
            json!({"aggregate": {"pipeline": [{"$match": {"a": 1}}], "let": {"x": 1}, "batchSize": 3}});
        let Some(Query::Aggregate { pipeline, options }) = query(&rule).unwrap() else { panic!() };
        assert_eq!(pipeline, [doc! { "$match": { "a": 1 } }]);
        assert_eq!((options.let_vars, options.batch_size), (Some(doc! { "x": 1 }), Some(3)));
    }

    #[test]
    fn no_rule_is_no_rule() {
        for rule in [json!(null), json!({}), json!([])] {
            assert!(query(&rule).unwrap().is_none());
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        for (rule, expected) in [
            (json!([1]), "data must be object"),
            (json!({"find": {}, "aggregate": {}}), "data must contain less than or equal to 1 properties"),
            (json!({"x": {}}), "data must not contain {'x'} properties; accepted are find, aggregate"),
            (json!({"find": 1}), "data.find must be object"),
            (json!({"find": {"filter": 1}}), "data.find.filter must be object"),
            (json!({"find": {"limit": "1"}}), "data.find.limit must be integer"),
            (json!({"find": {"limit": -1}}), "data.find.limit must be bigger than or equal to 0"),
            (json!({"find": {"return_key": 1}}), "data.find.return_key must be boolean"),
            (json!({"find": {"projection": []}}), "data.find.projection must contain at least 1 items"),
            (json!({"aggregate": {"pipeline": []}}), "data.aggregate.pipeline must contain at least 1 items"),
            (json!({"aggregate": {"pipeline": [1]}}), "data.aggregate.pipeline[0] must be object"),
            (
                json!({"aggregate": {"pipeline": [{"$out": "x"}]}}),
                "data.aggregate.pipeline[0] must not contain $out: a source only reads",
            ),
        ] {
            assert_eq!(query(&rule).unwrap_err().join("; "), expected);
        }
        let unknown = query(&json!({"find": {"sort": {}}})).unwrap_err().join("; ");
        assert!(unknown.starts_with("data.find must not contain {'sort'} properties"), "{unknown}");
        assert_eq!(query(&json!({"find": {"filter": {"a": {"$oid": "x"}}}})).unwrap_err().len(), 1);
    }
}
