//! The body of a bulk request: pairs of lines, read without copying the documents.

use bytes::{Buf as _, Bytes};
use serde::Deserialize;
use serde_json::{Map, Value};
use tributary_store::VersionType;

use super::updates;
use super::written::{Stated, sequence, version_type};
use crate::http::{ApiError, BYTE_ORDER_MARK, Result, malformed_json, not_a_flag, token_name};
use crate::update::UpdateRequest;

/// What one item asks for.
#[derive(Debug)]
pub(super) enum Wanted {
    Index(Bytes),
    Create(Bytes),
    Delete,
    Update(Box<UpdateRequest>),
}

/// One item of a bulk.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) action: &'static str,
    pub(super) meta: Meta,
    pub(super) wanted: Wanted,
}

/// What an action line says besides the action.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Meta {
    pub(super) index: Option<String>,
    pub(super) id: Option<String>,
    pub(super) pipeline: Option<String>,
    pub(super) require_alias: Option<bool>,
    pub(super) if_seq_no: Option<u64>,
    pub(super) if_primary_term: Option<u64>,
    pub(super) version: Option<i64>,
    pub(super) version_type: Option<VersionType>,
    pub(super) source: Option<Value>,
    pub(super) op_type_create: bool,
    pub(super) retries: bool,
}

impl Meta {
    /// What it states about the document it expects.
    pub(super) fn stated(&self) -> Stated<'_> {
        Stated {
            id: self.id.as_deref(),
            if_seq_no: self.if_seq_no,
            if_primary_term: self.if_primary_term,
            version: self.version,
            version_type: self.version_type,
        }
    }
}

const ACTIONS: [&str; 4] = ["create", "delete", "index", "update"];

/// Reads a body.
///
/// # Errors
/// The first malformed line; then nothing of the bulk is done.
pub(super) fn parse(body: &Bytes, default_index: Option<&str>) -> Result<Vec<Item>> {
    if body.is_empty() || body.last() != Some(&b'\n') {
        return Err(ApiError::illegal("The bulk request must be terminated by a newline [\\n]"));
    }
    let mut lines = Lines { body, at: 0, number: 0 };
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next_line() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = lines.number;
        let Some((action, mut meta)) = action_line(&line, number)? else { continue };
        if meta.index.is_none() {
            meta.index = default_index.map(str::to_owned);
        }
        let action = if action == "index" && meta.op_type_create { "create" } else { action };
        let wanted = match action {
            "delete" => Wanted::Delete,
            _ => {
                let source = lines.next_line().ok_or_else(|| {
                    ApiError::validation([format!("no source was given for the action in line [{number}]")])
                })?;
                match action {
                    "update" => Wanted::Update(Box::new(update(&source, &mut meta)?)),
                    "index" => Wanted::Index(source),
                    _ => Wanted::Create(source),
                }
            }
        };
        if meta.index.is_none() {
            faults.push("index is missing".to_owned());
        }
        if meta.id.is_none() && matches!(action, "delete" | "update") {
            faults.push("id is missing".to_owned());
        }
        faults.extend(match &wanted {
            Wanted::Update(request) => updates::faults(&meta.stated(), request, meta.retries),
            Wanted::Create(_) => meta.stated().faults(true),
            Wanted::Index(_) => meta.stated().faults(meta.id.is_none()),
            Wanted::Delete => meta.stated().faults(false),
        });
        items.push(Item { action, meta, wanted });
    }
    if items.is_empty() {
        faults.push("no requests added".to_owned());
    }
    if faults.is_empty() { Ok(items) } else { Err(ApiError::validation(faults)) }
}

/// Reads an update; conditions in its body count as those of its action line.
fn update(source: &[u8], meta: &mut Meta) -> Result<UpdateRequest> {
    if meta.version.is_some() || meta.version_type.is_some() {
        return Err(ApiError::illegal(
            "Update requests do not support versioning. Please use `if_seq_no` and `if_primary_term` instead",
        ));
    }
    let mut request = UpdateRequest::parse(source)?;
    meta.if_seq_no = meta.if_seq_no.or(request.if_seq_no);
    meta.if_primary_term = meta.if_primary_term.or(request.if_primary_term);
    (request.if_seq_no, request.if_primary_term) = (meta.if_seq_no, meta.if_primary_term);
    Ok(request)
}

struct Lines<'b> {
    body: &'b Bytes,
    at: usize,
    /// Number of the line given out last, from 1.
    number: usize,
}

impl Lines<'_> {
    fn next_line(&mut self) -> Option<Bytes> {
        let rest = self.body.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let end = self.at + length;
        let mut line = self.body.slice(self.at..end);
        self.at = end + 1;
        self.number += 1;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        // Each line is a text of its own, which a byte order mark may begin.
        if line.starts_with(BYTE_ORDER_MARK) {
            line.advance(BYTE_ORDER_MARK.len());
        }
        Some(line)
    }
}

fn malformed(number: usize, what: &str) -> ApiError {
    ApiError::illegal(format!("Malformed action/metadata line [{number}], {what}"))
}

/// The action and what comes with it; `None` for an empty object, which says nothing.
fn action_line(line: &[u8], number: usize) -> Result<Option<(&'static str, Meta)>> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let value = Value::deserialize(&mut reader).map_err(|error| malformed_json(&error))?;
    if reader.end().is_err() {
        return Err(malformed(number, "unexpected data after the closing brace"));
    }
    let Value::Object(object) = value else {
        return Err(malformed(number, &format!("expected START_OBJECT but found [{}]", token_name(&value))));
    };
    let mut members = object.into_iter();
    let Some((name, meta)) = members.next() else {
        return Err(malformed(number, "expected FIELD_NAME but found [END_OBJECT]"));
    };
    let action = ACTIONS.into_iter().find(|known| *known == name).ok_or_else(|| {
        malformed(
            number,
            &format!("expected field [create], [delete], [index] or [update] but found [{name}]"),
        )
    })?;
    if members.next().is_some() {
        return Err(malformed(number, "expected END_OBJECT but found [FIELD_NAME]"));
    }
    match meta {
        Value::Object(meta) => Ok(Some((action, self::meta(meta, number)?))),
        other => Err(malformed(
            number,
            &format!("expected START_OBJECT or END_OBJECT but found [{}]", token_name(&other)),
        )),
    }
}

fn meta(members: Map<String, Value>, number: usize) -> Result<Meta> {
    let mut meta = Meta::default();
    for (key, value) in members {
        match key.as_str() {
            "_index" => meta.index = text(&key, value, number)?,
            "_id" => meta.id = text(&key, value, number)?,
            "pipeline" => meta.pipeline = text(&key, value, number)?,
            "require_alias" => meta.require_alias = Some(flag(&value)?),
            "if_seq_no" => meta.if_seq_no = Some(sequence(&key, whole(&key, &value)?)?),
            "if_primary_term" => meta.if_primary_term = Some(sequence(&key, whole(&key, &value)?)?),
            "version" => meta.version = Some(whole(&key, &value)?),
            "version_type" => meta.version_type = version_type(text(&key, value, number)?.as_deref())?,
            "retry_on_conflict" => meta.retries = whole(&key, &value)? > 0,
            "op_type" => meta.op_type_create = value == "create",
            "_source" => meta.source = Some(value),
            "list_executed_pipelines" | "require_data_stream" => drop(flag(&value)?),
            // One shard holds everything.
            "routing" | "dynamic_templates" => {}
            _ => {
                return Err(ApiError::illegal(format!(
                    "Action/metadata line [{number}] contains an unknown parameter [{key}]"
                )));
            }
        }
    }
    Ok(meta)
}

fn text(key: &str, value: Value, number: usize) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        other => Err(malformed(
            number,
            &format!("expected a simple value for field [{key}] but found [{}]", token_name(&other)),
        )),
    }
}

fn flag(value: &Value) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" || text == "false" => Ok(text == "true"),
        other => Err(not_a_flag(&other.to_string())),
    }
}

fn whole(key: &str, value: &Value) -> Result<i64> {
    let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.ok_or_else(|| ApiError::illegal(format!("[{key}] must be a whole number, not [{value}]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Item>> {
        parse(&Bytes::copy_from_slice(body.as_bytes()), None)
    }

    #[test]
    fn items_come_in_order_with_their_documents_untouched() {
        let body = "{\"index\":{\"_index\":\"a\",\"_id\":1}}\r\n{ \"x\" : 1 }\r\n\n{\"delete\":{\"_index\":\"a\",\"_id\":\"2\"}}\n\
                    {\"update\":{\"_index\":\"a\",\"_id\":\"3\",\"if_seq_no\":4,\"if_primary_term\":1}}\n{\"doc\":{}}\n\
                    {\"create\":{\"_index\":\"b\"}}\n{}\n";
        let items = read(body).unwrap();
        let actions: Vec<_> = items.iter().map(|item| (item.action, item.meta.id.as_deref())).collect();
        assert_eq!(
            actions,
            [("index", Some("1")), ("delete", Some("2")), ("update", Some("3")), ("create", None)]
        );
        assert!(matches!(&items[0].wanted, Wanted::Index(source) if &source[..] == b"{ \"x\" : 1 }"));
        assert_eq!(items[2].meta.if_seq_no, Some(4));
    }

    #[test]
    fn malformed_lines_say_what_is_wrong_and_where() {
        for (body, wanted) in [
            ("{\"index\":{}}", "The bulk request must be terminated by a newline [\\n]"),
            ("\n", "Validation Failed: 1: no requests added;"),
            (
                "{\"frob\":{}}\n{}\n",
                "Malformed action/metadata line [1], expected field [create], [delete], [index] or [update] but found [frob]",
            ),
            ("[]\n", "Malformed action/metadata line [1], expected START_OBJECT but found [START_ARRAY]"),
            ("{}\n", "Malformed action/metadata line [1], expected FIELD_NAME but found [END_OBJECT]"),
            (
                "{\"index\":1}\n{}\n",
                "Malformed action/metadata line [1], expected START_OBJECT or END_OBJECT but found [VALUE_NUMBER]",
            ),
            (
                "{\"index\":{\"_index\":\"a\",\"foo\":1}}\n{}\n",
                "Action/metadata line [1] contains an unknown parameter [foo]",
            ),
            ("{\"index\":{}}\n{}\n", "Validation Failed: 1: index is missing;"),
            ("{\"delete\":{\"_index\":\"a\"}}\n", "Validation Failed: 1: id is missing;"),
            (
                "{\"index\":{}} {}\n{}\n",
                "Malformed action/metadata line [1], unexpected data after the closing brace",
            ),
            (
                "{\"update\":{\"_index\":\"a\",\"_id\":\"1\",\"if_seq_no\":1,\"if_primary_term\":1,\"retry_on_conflict\":2}}\n{\"doc\":{}}\n",
                "Validation Failed: 1: compare and write operations can not be retried;",
            ),
            (
                "{\"create\":{\"_index\":\"a\",\"_id\":\"1\",\"version\":2,\"version_type\":\"external\"}}\n{}\n",
                "Validation Failed: 1: create operations only support internal versioning. use index instead;",
            ),
            (
                "{\"index\":{\"_index\":\"a\",\"_id\":\"1\",\"if_seq_no\":2}}\n{}\n",
                "Validation Failed: 1: ifSeqNo is set, but primary term is [0];",
            ),
            (
                "{\"update\":{\"_index\":\"a\",\"_id\":\"1\",\"version\":2}}\n{}\n",
                "Update requests do not support versioning. Please use `if_seq_no` and `if_primary_term` instead",
            ),
        ] {
            assert_eq!(read(body).unwrap_err().reason(), wanted, "{body}");
        }
        assert!(read("{\"index\":{\"_index\":\"a\"}}\n").is_err());
        assert!(read("{\"index\"\n{}\n").is_err());
    }
}
