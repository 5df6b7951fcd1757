//! The body of a bulk request: pairs of lines, read without copying the documents.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::http::{ApiError, Result, malformed_json, not_a_flag, token_name};
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
    pub(super) version: Option<u64>,
    pub(super) version_type: Option<String>,
    pub(super) source: Option<Value>,
    pub(super) op_type_create: bool,
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
        let wanted = match action {
            "delete" => Wanted::Delete,
            _ => {
                let source = lines.next_line().ok_or_else(|| {
                    ApiError::validation([format!("no source was given for the action in line [{number}]")])
                })?;
                match action {
                    "update" => Wanted::Update(Box::new(UpdateRequest::parse(&source)?)),
                    "index" if !meta.op_type_create => Wanted::Index(source),
                    _ => Wanted::Create(source),
                }
            }
        };
        if meta.index.is_none() {
            faults.push("index is missing");
        }
        if meta.id.is_none() && matches!(action, "delete" | "update") {
            faults.push("id is missing");
        }
        items.push(Item { action, meta, wanted });
    }
    if items.is_empty() {
        faults.push("no requests added");
    }
    if faults.is_empty() { Ok(items) } else { Err(ApiError::validation(faults)) }
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
        let line = self.body.slice(self.at..end);
        self.at = end + 1;
        self.number += 1;
        Some(if line.last() == Some(&b'\r') { line.slice(..line.len() - 1) } else { line })
    }
}

fn malformed(number: usize, what: &str) -> ApiError {
    ApiError::illegal(format!("Malformed action/metadata line [{number}], {what}"))
}

/// The action and what comes with it; `None` for an empty object, which says nothing.
fn action_line(line: &[u8], number: usize) -> Result<Option<(&'static str, Meta)>> {
    let value: Value = serde_json::from_slice(line).map_err(|error| malformed_json(&error))?;
    let Value::Object(object) = value else {
        return Err(malformed(number, &format!("expected START_OBJECT but found [{}]", token_name(&value))));
    };
    let mut members = object.into_iter();
    let Some((name, meta)) = members.next() else {
        return Err(malformed(number, "expected FIELD_NAME but found [END_OBJECT]"));
    };
    let action = ACTIONS.into_iter().find(|known| *known == name).ok_or_else(|| {
        malformed(number, &format!("expected field [create], [delete], [index] or [update] but found [{name}]"))
    })?;
    if members.next().is_some() {
        return Err(malformed(number, "expected END_OBJECT but found [FIELD_NAME]"));
    }
    match meta {
        Value::Object(meta) => Ok(Some((action, self::meta(meta, number)?))),
        other => Err(malformed(number, &format!("expected START_OBJECT or END_OBJECT but found [{}]", token_name(&other)))),
    }
}

fn meta(members: Map<String, Value>, number: usize) -> Result<Meta> {
    let mut meta = Meta::default();
    for (key, value) in members {
        match key.as_str() {
            "_index" => meta.index = text(&key, value, number)?.filter(|index| !index.is_empty()),
            "_id" => meta.id = text(&key, value, number)?,
            "pipeline" => meta.pipeline = text(&key, value, number)?,
            "require_alias" => meta.require_alias = Some(flag(&value)?),
            "if_seq_no" => meta.if_seq_no = Some(whole(&key, &value)?),
            "if_primary_term" => meta.if_primary_term = Some(whole(&key, &value)?),
            "version" | "_version" => meta.version = Some(whole(&key, &value)?),
            "version_type" | "_version_type" => meta.version_type = text(&key, value, number)?,
            "op_type" => meta.op_type_create = value == "create",
            "_source" => meta.source = Some(value),
            "list_executed_pipelines" | "require_data_stream" => drop(flag(&value)?),
            // One shard holds everything, and an update is one step of the store: these change nothing here.
            "routing" | "_routing" | "retry_on_conflict" | "_retry_on_conflict" | "dynamic_templates" => {}
            _ => {
                return Err(ApiError::illegal(format!(
                    "Action/metadata line [{number}] contains an unknown parameter [{key}]"
                )));
            }
        }
    }
    if meta.id.as_deref() == Some("") {
        return Err(ApiError::illegal("if _id is specified it must not be empty"));
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

fn whole(key: &str, value: &Value) -> Result<u64> {
    let number = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.ok_or_else(|| ApiError::illegal(format!("[{key}] must be a whole number that is not negative, not [{value}]")))
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
        assert_eq!(actions, [("index", Some("1")), ("delete", Some("2")), ("update", Some("3")), ("create", None)]);
        assert!(matches!(&items[0].wanted, Wanted::Index(source) if &source[..] == b"{ \"x\" : 1 }"));
        assert_eq!(items[2].meta.if_seq_no, Some(4));
    }

    #[test]
    fn malformed_lines_say_what_is_wrong_and_where() {
        for (body, wanted) in [
            ("{\"index\":{}}", "The bulk request must be terminated by a newline [\\n]"),
            ("\n", "Validation Failed: 1: no requests added;"),
            ("{\"frob\":{}}\n{}\n", "Malformed action/metadata line [1], expected field [create], [delete], [index] or [update] but found [frob]"),
            ("[]\n", "Malformed action/metadata line [1], expected START_OBJECT but found [START_ARRAY]"),
            ("{}\n", "Malformed action/metadata line [1], expected FIELD_NAME but found [END_OBJECT]"),
            ("{\"index\":1}\n{}\n", "Malformed action/metadata line [1], expected START_OBJECT or END_OBJECT but found [VALUE_NUMBER]"),
            ("{\"index\":{\"_index\":\"a\",\"foo\":1}}\n{}\n", "Action/metadata line [1] contains an unknown parameter [foo]"),
            ("{\"index\":{}}\n{}\n", "Validation Failed: 1: index is missing;"),
            ("{\"delete\":{\"_index\":\"a\"}}\n", "Validation Failed: 1: id is missing;"),
            ("{\"index\":{\"_index\":\"a\",\"_id\":\"\"}}\n{}\n", "if _id is specified it must not be empty"),
        ] {
            assert_eq!(read(body).unwrap_err().reason(), wanted, "{body}");
        }
        assert!(read("{\"index\":{\"_index\":\"a\"}}\n").is_err());
        assert!(read("{\"index\"\n{}\n").is_err());
    }
}
