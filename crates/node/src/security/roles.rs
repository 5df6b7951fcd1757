//! Role descriptors: read, checked, and asked what they grant.

use serde_json::{Map, Value, json};
use tributary_store::Query;

use super::privileges::{CLUSTER, INDEX, cluster_grants, contains, index_grants};
use super::template::render;
use crate::http::{ApiError, Result, wildcard_matches};

type Object = Map<String, Value>;

/// What a caller with limited rights may do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    cluster: Vec<String>,
    indices: Vec<Grant>,
}

/// Privileges on the indices of some names.
#[derive(Debug, Clone)]
struct Grant {
    names: Vec<String>,
    privileges: Vec<String>,
    /// Only documents that match can be read.
    query: Option<Query>,
}

/// What of an index can be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Visible {
    Nothing,
    All,
    Matching(Box<Query>),
}

fn parse_error(role: &str, reason: impl Into<Value>) -> ApiError {
    let reason: Value = reason.into();
    let inner = json!({"type": "parse_exception", "reason": reason});
    let middle = json!({
        "type": "x_content_parse_exception", "reason": format!("[role_descriptors] failed to parse field [{role}]"),
        "caused_by": inner,
    });
    ApiError::new(
        400,
        "x_content_parse_exception",
        "[api_key_request] failed to parse field [role_descriptors]",
    )
    .with("caused_by", middle)
    .with_root(inner)
}

/// A text or a list of texts.
fn texts(role: &str, key: &str, value: &Value) -> Result<Vec<String>> {
    let bad = || {
        parse_error(
            role,
            format!("could not parse [{key}] field of role [{role}]: expected a text or a list of texts"),
        )
    };
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(list) => {
            list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(bad)).collect()
        }
        _ => Err(bad()),
    }
}

fn known(kind: &str, names: &[String], all: &[&str]) -> Result<()> {
    match names.iter().find(|name| !all.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let list = all.join(",");
            let message = match kind {
                "cluster" => format!(
                    "unknown cluster privilege [{name}]. a privilege must be one of the predefined cluster privilege names [{list}]"
                ),
                _ => format!(
                    "unknown index privilege [{name}]. a privilege must be one of the predefined fixed indices privileges [{list}]"
                ),
            };
            Err(ApiError::validation([message]))
        }
    }
}

/// Ignoring a limit would grant too much.
fn refuse_limit(what: &str, value: &Value) -> Result<()> {
    let empty = value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(Object::is_empty);
    if empty { Ok(()) } else { Err(ApiError::not_served(what)) }
}

impl Roles {
    /// Reads descriptors; `owner` is the user whom templates call `_user`.
    pub(crate) fn parse(descriptors: &Object, owner: &str) -> Result<Self> {
        let mut roles = Self::default();
        for (role, descriptor) in descriptors {
            let Value::Object(descriptor) = descriptor else {
                return Err(parse_error(role, format!("failed to parse role [{role}]. expected an object")));
            };
            for (key, value) in descriptor {
                roles.member(role, key, value, owner)?;
            }
        }
        Ok(roles)
    }

    fn member(&mut self, role: &str, key: &str, value: &Value, owner: &str) -> Result<()> {
        match key {
            "cluster" => {
                let names = texts(role, key, value)?;
                known("cluster", &names, CLUSTER)?;
                self.cluster.extend(names);
            }
            "indices" | "index" => {
                let entries = value.as_array();
                let bad = || {
                    parse_error(
                        role,
                        format!("failed to parse indices privileges for role [{role}]. expected a list"),
                    )
                };
                for entry in entries.ok_or_else(bad)? {
                    self.indices.push(Grant::parse(role, entry, owner)?);
                }
            }
            "run_as" => refuse_limit("[run_as] of a role descriptor", value)?,
            "restriction" => refuse_limit("[restriction] of a role descriptor", value)?,
            // They grant what this node does not have, so leaving them out grants less, never more.
            "applications" | "global" | "remote_indices" | "remote_cluster" | "metadata"
            | "transient_metadata" | "description" => {}
            other => {
                let reason = format!("failed to parse role [{role}]. unexpected field [{other}]");
                return Err(parse_error(role, reason));
            }
        }
        Ok(())
    }

    /// Whether nothing is granted.
    pub(crate) fn is_empty(&self) -> bool {
        self.cluster.is_empty() && self.indices.is_empty()
    }

    /// Whether the cluster privilege is granted.
    pub(crate) fn grants_cluster(&self, wanted: &str) -> bool {
        contains(&self.cluster, wanted, cluster_grants(wanted))
    }

    /// Whether the privilege is granted on an index known under these names.
    pub(crate) fn grants_index(&self, names: &[&str], wanted: &str) -> bool {
        self.on(names).any(|grant| contains(&grant.privileges, wanted, index_grants(wanted)))
    }

    /// Whether the privilege is granted on any name at all.
    pub(crate) fn grants_anywhere(&self, wanted: &str) -> bool {
        self.indices.iter().any(|grant| contains(&grant.privileges, wanted, index_grants(wanted)))
    }

    fn on<'r>(&'r self, names: &'r [&str]) -> impl Iterator<Item = &'r Grant> {
        self.indices.iter().filter(|grant| {
            names.iter().any(|name| grant.names.iter().any(|own| wildcard_matches(own, name)))
        })
    }

    /// What can be read of an index known under these names.
    pub(crate) fn visible(&self, names: &[&str]) -> Visible {
        let mut queries = Vec::new();
        for grant in self.on(names).filter(|grant| contains(&grant.privileges, "read", index_grants("read")))
        {
            match &grant.query {
                None => return Visible::All,
                Some(query) => queries.push(query.clone()),
            }
        }
        if queries.is_empty() {
            Visible::Nothing
        } else {
            Visible::Matching(Box::new(Query::any_of(queries)))
        }
    }
}

impl Grant {
    fn parse(role: &str, entry: &Value, owner: &str) -> Result<Self> {
        let Value::Object(entry) = entry else {
            return Err(parse_error(
                role,
                format!("failed to parse indices privileges for role [{role}]. expected an object"),
            ));
        };
        let (mut names, mut privileges, mut query) = (None, None, None);
        for (key, value) in entry {
            match key.as_str() {
                "names" | "name" => names = Some(texts(role, key, value)?),
                "privileges" => privileges = Some(texts(role, key, value)?),
                "query" => query = read_query(role, value, owner)?,
                "field_security" | "fields" => check_fields(value)?,
                "allow_restricted_indices" => {}
                other => {
                    let reason = format!(
                        "failed to parse indices privileges for role [{role}]. unexpected field [{other}]"
                    );
                    return Err(parse_error(role, reason));
                }
            }
        }
        let missing = |field: &str| {
            parse_error(
                role,
                format!(
                    "failed to parse indices privileges for role [{role}]. missing required [{field}] field"
                ),
            )
        };
        let names = names.ok_or_else(|| missing("names"))?;
        let privileges = privileges.ok_or_else(|| missing("privileges"))?;
        known("index", &privileges, INDEX)?;
        if let Some(name) = names.iter().find(|name| name.starts_with('/') || name.contains('?')) {
            return Err(ApiError::not_served(&format!(
                "the index name pattern [{name}] of a role descriptor (only [*] is)"
            )));
        }
        Ok(Self { names, privileges, query })
    }
}

/// Every field may be granted, nothing less: fields cannot be hidden here.
fn check_fields(value: &Value) -> Result<()> {
    let all = json!(["*"]);
    let open = value.as_object().is_some_and(|object| {
        object.iter().all(|(key, value)| match key.as_str() {
            "grant" => *value == all,
            "except" => value.is_null() || value.as_array().is_some_and(Vec::is_empty),
            _ => false,
        })
    });
    if open || value.is_null() {
        Ok(())
    } else {
        Err(ApiError::not_served("[field_security] of a role descriptor"))
    }
}

/// The query of a grant: an object, its text, or a template of it.
fn read_query(role: &str, value: &Value, owner: &str) -> Result<Option<Query>> {
    let bad = |why: &str| {
        parse_error(
            role,
            format!("failed to parse field 'query' for indices privileges of role [{role}]: {why}"),
        )
    };
    let value = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => serde_json::from_str(text).map_err(|_| bad("it is not JSON"))?,
        other => other.clone(),
    };
    let query = match value.get("template") {
        None => value,
        Some(template) => {
            let text = rendered(template, owner).map_err(|why| bad(&why))?;
            serde_json::from_str(&text).map_err(|_| bad("the rendered template is not JSON"))?
        }
    };
    Ok(Some(Query::parse(&query)?))
}

fn rendered(template: &Value, owner: &str) -> Result<String, String> {
    let object = template.as_object().ok_or("[template] must be an object")?;
    if let Some(unknown) =
        object.keys().find(|key| !matches!(key.as_str(), "source" | "params" | "lang" | "options"))
    {
        return Err(format!("[{unknown}] of a template is not supported"));
    }
    let source = match object.get("source") {
        Some(Value::String(text)) => text.clone(),
        Some(source @ Value::Object(_)) => source.to_string(),
        _ => return Err("a template needs a [source]".to_owned()),
    };
    let mut scope = match object.get("params") {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(_) => return Err("[params] of a template must be an object".to_owned()),
    };
    scope.insert(
        "_user".into(),
        json!({"username": owner, "full_name": null, "email": null, "roles": [], "metadata": {}}),
    );
    render(&source, &Value::Object(scope))
}

/// Descriptors as Elasticsearch shows them: complete, with the defaults filled in.
pub(crate) fn shown(descriptors: &Object) -> Value {
    let list = |value: Option<&Value>| match value {
        None | Some(Value::Null) => json!([]),
        Some(Value::Array(list)) => json!(list),
        Some(one) => json!([one]),
    };
    let object = |value: Option<&Value>, default: Value| {
        value.filter(|value| value.is_object()).cloned().unwrap_or(default)
    };
    let grant = |entry: &Value| {
        let mut out = Object::new();
        out.insert("names".into(), list(entry.get("names").or(entry.get("name"))));
        out.insert("privileges".into(), list(entry.get("privileges")));
        match entry.get("query") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => drop(out.insert("query".into(), json!(text))),
            Some(query) => drop(out.insert("query".into(), json!(query.to_string()))),
        }
        out.insert(
            "allow_restricted_indices".into(),
            entry.get("allow_restricted_indices").cloned().unwrap_or(json!(false)),
        );
        Value::Object(out)
    };
    let one = |role: &Value| {
        let indices = role.get("indices").or(role.get("index")).and_then(Value::as_array);
        json!({
            "cluster": list(role.get("cluster")),
            "indices": indices.map(|list| list.iter().map(grant).collect::<Vec<_>>()).unwrap_or_default(),
            "applications": list(role.get("applications")),
            "run_as": list(role.get("run_as")),
            "metadata": object(role.get("metadata"), json!({})),
            "transient_metadata": object(role.get("transient_metadata"), json!({"enabled": true})),
        })
    };
    Value::Object(descriptors.iter().map(|(name, role)| (name.clone(), one(role))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(value: Value) -> Result<Roles> {
        let Value::Object(descriptors) = value else { return Ok(Roles::default()) };
        Roles::parse(&descriptors, "ann")
    }

    #[test]
    fn several_grants_on_one_index_add_up() {
        let roles = roles(json!({
            "a": {"indices": [{"names": ["x-*"], "privileges": ["read"], "query": {"term": {"a": 1}}}]},
            "b": {"index": [{"names": "x-1", "privileges": "write"}, {"names": ["x-2"], "privileges": ["all"]}]},
        }))
        .unwrap();
        assert!(roles.grants_index(&["x-1"], "index") && !roles.grants_index(&["x-9"], "index"));
        assert_eq!(
            roles.visible(&["x-1"]),
            Visible::Matching(Box::new(Query::any_of(vec![Query::term("a", 1)])))
        );
        assert_eq!(roles.visible(&["x-2"]), Visible::All);
        assert_eq!(roles.visible(&["y", "other"]), Visible::Nothing);
    }

    #[test]
    fn a_query_may_be_an_object_a_text_or_a_template() {
        let template = json!({"template": {
            "params": {"access_control": ["user:a"]},
            "source": "{\"terms\": {\"acl\": {{#toJson}}access_control{{/toJson}}}}",
        }});
        for query in [
            json!({"terms": {"acl": ["user:a"]}}),
            json!("{\"terms\": {\"acl\": [\"user:a\"]}}"),
            template.clone(),
            json!(template.to_string()),
        ] {
            let roles =
                roles(json!({"r": {"indices": [{"names": ["i"], "privileges": ["read"], "query": query}]}}))
                    .unwrap();
            let wanted = Query::any_of(vec![Query::terms("acl", vec![json!("user:a")])]);
            assert_eq!(roles.visible(&["i"]), Visible::Matching(Box::new(wanted)));
        }
    }

    #[test]
    fn what_would_limit_and_is_not_served_is_refused() {
        let grant = |extra: &str, value: Value| {
            let mut entry = json!({"names": ["i"], "privileges": ["read"]});
            entry[extra] = value;
            roles(json!({"r": {"indices": [entry]}}))
        };
        assert!(grant("field_security", json!({"grant": ["title"]})).is_err());
        assert!(grant("field_security", json!({"grant": ["*"], "except": ["x"]})).is_err());
        assert!(grant("field_security", json!({"grant": ["*"], "except": []})).is_ok());
        assert!(grant("query", json!({"foo": {}})).is_err());
        assert!(grant("query", json!({"template": {"id": "stored"}})).is_err());
        assert!(grant("names", json!(["/regex/"])).is_err());
        assert!(grant("surprise", json!(1)).is_err());
        assert!(roles(json!({"r": {"restriction": {"workflows": ["search_application_query"]}}})).is_err());
        assert!(roles(json!({"r": {"run_as": ["bob"]}})).is_err());
        assert!(
            roles(json!({"r": {"cluster": ["zzz"]}}))
                .unwrap_err()
                .reason()
                .contains("unknown cluster privilege [zzz]")
        );
    }
}
