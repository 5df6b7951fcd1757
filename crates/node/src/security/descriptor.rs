//! How role descriptors are read, what is said when they cannot be, and how they are shown.

use serde_json::{Map, Value, json};

use crate::http::{ApiError, Result, token_name};

type Object = Map<String, Value>;

/// Why a descriptor cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Something is of the wrong form.
    Form(String),
    /// As before, but Elasticsearch notices it a level deeper.
    Inner(String),
    /// A member has no value that makes sense.
    Value(String),
    /// Any other refusal.
    Other(ApiError),
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl Fault {
    /// The error of a descriptor that stands for itself.
    pub(crate) fn alone(self, role: &str) -> ApiError {
        match self {
            Self::Form(reason) => ApiError::parse(reason),
            Self::Inner(reason) => ApiError::parse(format!("failed to parse role [{role}]"))
                .because("parse_exception", reason.as_str())
                .with_root(json!({"type": "parse_exception", "reason": reason})),
            Self::Value(reason) => ApiError::illegal(reason),
            Self::Other(error) => error,
        }
    }

    /// The error of a descriptor in a request for an API key that this parser reads.
    pub(crate) fn in_request(self, role: &str, parser: &str) -> ApiError {
        let middle_reason = format!("[role_descriptors] failed to parse field [{role}]");
        let form = |reason: &str| json!({"type": "parse_exception", "reason": reason});
        let (inner, root) = match self {
            Self::Form(reason) => (form(&reason), form(&reason)),
            Self::Inner(reason) => {
                let mut outer = form(&format!("failed to parse role [{role}]"));
                outer["caused_by"] = form(&reason);
                (outer, form(&reason))
            }
            Self::Value(reason) => (
                json!({"type": "illegal_argument_exception", "reason": reason}),
                json!({"type": "x_content_parse_exception", "reason": middle_reason}),
            ),
            Self::Other(error) => return error,
        };
        let middle =
            json!({"type": "x_content_parse_exception", "reason": middle_reason, "caused_by": inner});
        let reason = format!("[{parser}] failed to parse field [role_descriptors]");
        ApiError::new(400, "x_content_parse_exception", reason).with("caused_by", middle).with_root(root)
    }
}

/// A list of texts.
pub(super) fn strings(key: &str, value: &Value) -> Result<Vec<String>, Fault> {
    let Value::Array(list) = value else {
        return Err(Fault::Inner(format!(
            "could not parse [{key}] field. expected a string array but found [{}] value instead",
            token_name(value)
        )));
    };
    let text = |item: &Value| {
        item.as_str().map(str::to_owned).ok_or_else(|| {
            Fault::Inner(format!(
                "could not parse [null] field. expected a string array but one of the value in the array is [{}]",
                token_name(item)
            ))
        })
    };
    list.iter().map(text).collect()
}

/// The entries of `indices`.
pub(super) fn entries<'v>(role: &str, key: &str, value: &'v Value) -> Result<Vec<&'v Object>, Fault> {
    let Value::Array(list) = value else {
        return Err(Fault::Form(format!(
            "failed to parse indices privileges for role [{role}]. expected field [{key}] value to be an array, but found [{}] instead",
            token_name(value)
        )));
    };
    let object = |item: &'v Value| {
        item.as_object().ok_or_else(|| {
            Fault::Form(format!(
                "failed to parse indices privileges for role [{role}]. expected field [null] value to be an array of objects, but found an array element of type [{}]",
                token_name(item)
            ))
        })
    };
    list.iter().map(object).collect()
}

/// The names of indices in an entry: a text or some.
pub(super) fn names(role: &str, key: &str, value: &Value) -> Result<Vec<String>, Fault> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(list) if list.is_empty() => {
            Err(entry_fault(role, &format!("[{key}] cannot be an empty array")))
        }
        Value::Array(_) => strings(key, value),
        other => Err(entry_fault(
            role,
            &format!(
                "expected field [{key}] value to be a string or an array of strings, but found [{}] instead",
                token_name(other)
            ),
        )),
    }
}

/// What is wrong with an entry of `indices`.
pub(super) fn entry_fault(role: &str, what: &str) -> Fault {
    Fault::Form(format!("failed to parse indices privileges for role [{role}]. {what}"))
}

/// The rule that an unknown name breaks.
pub(crate) fn unknown(kind: &str, names: &[String], all: &[&str]) -> Option<String> {
    let name = names.iter().find(|name| !all.contains(&name.to_lowercase().as_str()))?;
    let (fixed, actions) = match kind {
        "cluster" => ("cluster privilege names", "cluster"),
        _ => ("fixed indices privileges", "index"),
    };
    Some(format!(
        "unknown {kind} privilege [{name}]. a privilege must be either one of the predefined {fixed} [{}] or a pattern over one of \
         the available {actions} actions",
        all.join(",")
    ))
}

/// Descriptors as Elasticsearch shows them: complete, with the defaults filled in.
pub(crate) fn shown(descriptors: &Object) -> Value {
    Value::Object(descriptors.iter().map(|(name, role)| (name.clone(), shown_role(role))).collect())
}

fn shown_role(role: &Value) -> Value {
    let indices = role.get("indices").or(role.get("index")).and_then(Value::as_array);
    json!({
        "cluster": list(role.get("cluster")),
        "indices": indices.map(|list| list.iter().map(shown_entry).collect::<Vec<_>>()).unwrap_or_default(),
        "applications": list(role.get("applications")),
        "run_as": list(role.get("run_as")),
        "metadata": role.get("metadata").filter(|value| value.is_object()).cloned().unwrap_or(json!({})),
        "transient_metadata": {"enabled": true},
    })
}

fn list(value: Option<&Value>) -> Value {
    match value {
        None | Some(Value::Null) => json!([]),
        Some(Value::Array(list)) => json!(list),
        Some(one) => json!([one]),
    }
}

fn shown_entry(entry: &Value) -> Value {
    let mut out = Object::new();
    out.insert("names".into(), list(entry.get("names").or(entry.get("name"))));
    out.insert("privileges".into(), list(entry.get("privileges")));
    if let Some(fields) = entry.get("field_security").filter(|fields| fields.get("grant").is_some()) {
        out.insert("field_security".into(), fields.clone());
    }
    match entry.get("query") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => drop(out.insert("query".into(), json!(text))),
        Some(query) => drop(out.insert("query".into(), json!(query.to_string()))),
    }
    let restricted = entry.get("allow_restricted_indices").cloned().unwrap_or(json!(false));
    out.insert("allow_restricted_indices".into(), restricted);
    Value::Object(out)
}
