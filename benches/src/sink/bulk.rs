use std::borrow::Cow;
use std::io::Write as _;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::state::{Index, Kept};

/// Reads a bulk request to the last byte, as Elasticsearch must, and answers it as Elasticsearch does.
pub(super) struct Bulk<'a> {
    pub(super) index_name: &'a str,
    pub(super) index: &'a Index,
    /// Whether ids and fingerprints are kept, so that documents can be looked up.
    pub(super) keeps: bool,
}

#[derive(Deserialize)]
struct Action<'a> {
    #[serde(borrow, default)]
    index: Option<Target<'a>>,
    #[serde(borrow, default)]
    create: Option<Target<'a>>,
    #[serde(borrow, default)]
    update: Option<Target<'a>>,
    #[serde(borrow, default)]
    delete: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow, default)]
    _id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, default)]
    _tributary: Option<Mark<'a>>,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(borrow, default)]
    fingerprint: Option<Cow<'a, str>>,
}

/// One operation as it stands in the request.
struct Operation<'a> {
    name: &'static str,
    id: Cow<'a, str>,
    /// Why its source cannot be read.
    malformed: Option<String>,
    fingerprint: Option<u128>,
}

impl Bulk<'_> {
    /// The answer, and the number of operations.
    ///
    /// # Errors
    /// What is wrong with the request as a whole.
    pub(super) fn answer(&self, body: &[u8]) -> Result<(Vec<u8>, u64), String> {
        if body.last() != Some(&b'\n') {
            return Err("The bulk request must be terminated by a newline [\\n]".to_owned());
        }
        let mut lines = body[..body.len() - 1].split(|byte| *byte == b'\n');
        let mut operations = Vec::with_capacity(1024);
        while let Some(line) = lines.next() {
            if line.is_empty() {
                continue;
            }
            operations.push(self.operation(line, &mut lines)?);
        }
        Ok((self.apply(&operations), operations.len() as u64))
    }

    fn operation<'b>(
        &self,
        line: &'b [u8],
        lines: &mut impl Iterator<Item = &'b [u8]>,
    ) -> Result<Operation<'b>, String> {
        let action: Action<'b> = serde_json::from_slice(line)
            .map_err(|error| format!("Malformed action/metadata line: {error}"))?;
        let named = [
            ("index", action.index),
            ("create", action.create),
            ("update", action.update),
            ("delete", action.delete),
        ];
        let target = named.into_iter().find_map(|(name, target)| Some((name, target?)));
        let (name, target) = target.ok_or("Malformed action/metadata line, no action")?;
        let mut operation =
            Operation { name, id: target._id.unwrap_or_default(), malformed: None, fingerprint: None };
        if name == "delete" {
            return Ok(operation);
        }
        let source = lines.next().ok_or("the request ends before the source of its last operation")?;
        match self.fingerprint(source) {
            Ok(fingerprint) => operation.fingerprint = fingerprint,
            Err(error) => operation.malformed = Some(error.to_string()),
        }
        Ok(operation)
    }

    fn fingerprint(&self, source: &[u8]) -> serde_json::Result<Option<u128>> {
        if !self.keeps {
            return serde_json::from_slice::<IgnoredAny>(source).map(|_| None);
        }
        let source: Source<'_> = serde_json::from_slice(source)?;
        let fingerprint = source._tributary.and_then(|mark| mark.fingerprint);
        Ok(fingerprint.and_then(|text| u128::from_str_radix(&text, 16).ok()))
    }

    fn apply(&self, operations: &[Operation<'_>]) -> Vec<u8> {
        let first = self.index.operations.fetch_add(operations.len() as u64, Ordering::Relaxed);
        let errors = operations.iter().any(|operation| operation.malformed.is_some());
        let mut answer = Vec::with_capacity(64 + operations.len() * 224);
        // Writing to memory does not fail.
        let _written = write!(answer, "{{\"errors\":{errors},\"took\":1,\"items\":[");
        let mut kept = self.keeps.then(|| self.index.kept());
        for (at, operation) in operations.iter().enumerate() {
            if at > 0 {
                answer.push(b',');
            }
            let result = done(operation, kept.as_deref_mut());
            self.item(&mut answer, operation, result, first + at as u64);
        }
        answer.extend_from_slice(b"]}");
        answer
    }

    fn item(&self, out: &mut Vec<u8>, operation: &Operation<'_>, result: &str, seq_no: u64) {
        let Operation { name, id, malformed, .. } = operation;
        let _written = write!(out, "{{\"{name}\":{{\"_index\":\"{}\",\"_id\":", self.index_name);
        let _written = serde_json::to_writer(&mut *out, &**id);
        let _written = match (malformed, result) {
            (Some(reason), _) => write!(
                out,
                ",\"status\":400,\"error\":{{\"type\":\"document_parsing_exception\",\"reason\":{}}}}}}}",
                serde_json::Value::from(reason.as_str())
            ),
            (None, _) => {
                let status = match result {
                    "created" => 201,
                    "not_found" => 404,
                    _ => 200,
                };
                write!(
                    out,
                    ",\"_version\":1,\"result\":\"{result}\",\"_shards\":{{\"total\":2,\"successful\":1,\"failed\":0}},\
                     \"_seq_no\":{seq_no},\"_primary_term\":1,\"status\":{status}}}}}"
                )
            }
        };
    }
}

fn done(operation: &Operation<'_>, kept: Option<&mut Kept>) -> &'static str {
    let is_delete = operation.name == "delete";
    let Some(kept) = kept.filter(|_| operation.malformed.is_none()) else {
        return if is_delete { "deleted" } else { "created" };
    };
    if is_delete {
        if kept.remove(&operation.id) { "deleted" } else { "not_found" }
    } else if kept.put(&operation.id, operation.fingerprint) {
        "created"
    } else {
        "updated"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer(index: &Index, body: &str) -> Result<Value, String> {
        let bulk = Bulk { index_name: "docs", index, keeps: true };
        bulk.answer(body.as_bytes()).map(|(answer, _)| serde_json::from_slice(&answer).unwrap())
    }

    #[test]
    fn every_operation_has_its_own_answer() {
        let index = Index::default();
        let body = concat!(
            "{\"index\":{\"_id\":\"a\\\"\"}}\n{\"t\":1,\"_tributary\":{\"fingerprint\":\"0f\"}}\n",
            "{\"create\":{\"_id\":\"b\"}}\n{\"t\":\n",
            "{\"delete\":{\"_id\":\"c\"}}\n",
            "{\"index\":{\"_id\":\"a\\\"\"}}\n{\"t\":2}\n",
        );
        let answer = answer(&index, body).unwrap();
        let told: Vec<_> = answer["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let (name, item) = item.as_object().unwrap().iter().next().unwrap();
                format!("{name} {} {} {}", item["_id"], item["status"], item["result"])
            })
            .collect();
        assert_eq!(
            told,
            [
                "index \"a\\\"\" 201 \"created\"",
                "create \"b\" 400 null",
                "delete \"c\" 404 \"not_found\"",
                "index \"a\\\"\" 200 \"updated\""
            ]
        );
        assert_eq!(answer["errors"], true);
        let kept = index.kept();
        assert_eq!((kept.get("a\""), kept.live()), (Some(None), 1));
    }

    #[test]
    fn what_is_no_bulk_request_is_refused() {
        let index = Index::default();
        for body in ["", "{\"delete\":{\"_id\":\"c\"}}", "{\"index\":{\"_id\":\"a\"}}\n", "{}\n", "x\n"] {
            assert!(answer(&index, body).is_err(), "{body:?}");
        }
    }
}
