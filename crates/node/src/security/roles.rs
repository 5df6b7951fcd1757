//! Role descriptors: read, checked, and asked what they grant.

use serde_json::{Map, Value, json};
use tributary_store::Query;

use super::descriptor::{Fault, entries, entry_fault, names, strings, unknown};
use super::privileges::{CLUSTER, INDEX, cluster_grants, contains, index_grants};
use super::template::render;
use crate::http::{ApiError, Result, token_name, wildcard_matches};

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

/// What a question for privileges is about.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) cluster: Vec<String>,
    /// Names of indices, and the privileges on them.
    pub(crate) index: Vec<(Vec<String>, Vec<String>)>,
}

/// What of an index can be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Visible {
    Nothing,
    All,
    Matching(Box<Query>),
}

/// Ignoring a limit would grant too much.
fn refuse_limit(what: &str, value: &Value) -> Result<()> {
    let empty = value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(Object::is_empty);
    if empty { Ok(()) } else { Err(ApiError::not_served(what)) }
}

impl Roles {
    /// Reads descriptors; `owner` is the user whom templates call `_user`, `parser` the name of what reads the request.
    pub(crate) fn parse(descriptors: &Object, owner: &str, parser: &str) -> Result<Self> {
        let mut roles = Self::default();
        for (role, descriptor) in descriptors {
            roles.add(role, descriptor, owner).map_err(|fault| fault.in_request(role, parser))?;
        }
        let indices = roles.indices.iter().flat_map(|grant| &grant.privileges).cloned().collect::<Vec<_>>();
        let rules = [unknown("cluster", &roles.cluster, CLUSTER), unknown("index", &indices, INDEX)];
        let broken: Vec<String> = rules.into_iter().flatten().collect();
        if broken.is_empty() { Ok(roles.in_lower_case()) } else { Err(ApiError::validation(broken)) }
    }

    /// Privileges may be written in any case.
    fn in_lower_case(mut self) -> Self {
        let all = self.indices.iter_mut().flat_map(|grant| &mut grant.privileges).chain(&mut self.cluster);
        all.for_each(|name| *name = name.to_lowercase());
        self
    }

    fn add(&mut self, role: &str, descriptor: &Value, owner: &str) -> Result<(), Fault> {
        let Value::Object(descriptor) = descriptor else {
            return Err(Fault::Form(format!(
                "failed to parse role [{role}]. expected an object but found [{}] instead",
                token_name(descriptor)
            )));
        };
        descriptor.iter().try_for_each(|(key, value)| self.member(role, key, value, owner))
    }

    fn member(&mut self, role: &str, key: &str, value: &Value, owner: &str) -> Result<(), Fault> {
        match key {
            "cluster" if value.is_null() => {}
            "cluster" => self.cluster.extend(strings(key, value)?),
            "indices" | "index" => {
                for entry in entries(role, key, value)? {
                    self.indices.push(Grant::parse(role, entry, owner)?);
                }
            }
            "run_as" if !value.is_null() && !value.is_array() => drop(strings(key, value)?),
            "run_as" => refuse_limit("[run_as] of a role descriptor", value)?,
            "restriction" => refuse_limit("[restriction] of a role descriptor", value)?,
            "metadata" if !value.is_object() => {
                let found = token_name(value);
                let reason =
                    format!("expected field [metadata] to be of type object, but found [{found}] instead");
                return Err(Fault::Form(reason));
            }
            "applications" if !value.is_array() => {
                return Err(Fault::Form(format!(
                    "failed to parse application privileges for role [{role}]. expected field [applications] value to be an array, but found [{}] instead",
                    token_name(value)
                )));
            }
            // They grant what this node does not have, so leaving them out grants less, never more.
            "applications" | "global" | "remote_indices" | "remote_cluster" | "metadata" => {}
            other => {
                let reason = format!("failed to parse role [{role}]. unexpected field [{other}]");
                return Err(Fault::Form(reason));
            }
        }
        Ok(())
    }

    /// The privileges that a question for privileges is about: those on the cluster, and those on indices.
    pub(crate) fn asked(role: &str, body: &Object) -> Result<Asked> {
        let alone = |fault: Fault| fault.alone(role);
        let check =
            |what: &str| ApiError::parse(format!("failed to parse privileges check [{role}]. {what}"));
        let mut asked = Asked::default();
        for (key, value) in body {
            match key.as_str() {
                "cluster" => asked.cluster = strings(key, value).map_err(alone)?,
                "index" => {
                    for entry in entries(role, key, value).map_err(alone)? {
                        if entry.contains_key("query") {
                            return Err(ApiError::parse(
                                "Field [query] is not supported in a has_privileges request",
                            ));
                        }
                        let grant = Grant::parse(role, entry, "").map_err(alone)?;
                        asked.index.push((grant.names, grant.privileges));
                    }
                }
                "application" if value.as_array().is_some_and(Vec::is_empty) => {}
                "application" => return Err(ApiError::not_served("a check of [application] privileges")),
                other => return Err(check(&format!("unexpected field [{other}]"))),
            }
        }
        if body.is_empty() {
            return Err(check("All privilege fields [cluster,index,applications] are missing"));
        }
        if asked.cluster.is_empty() && asked.index.is_empty() {
            return Err(ApiError::validation(["must specify at least one privilege"]));
        }
        let indices: Vec<String> =
            asked.index.iter().flat_map(|(_, privileges)| privileges).cloned().collect();
        match unknown("cluster", &asked.cluster, CLUSTER).or_else(|| unknown("index", &indices, INDEX)) {
            Some(reason) => Err(ApiError::illegal(reason)),
            None => Ok(asked),
        }
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
    fn parse(role: &str, entry: &Object, owner: &str) -> Result<Self, Fault> {
        let (mut name_list, mut privileges, mut query) = (None, None, None);
        for (key, value) in entry {
            match key.as_str() {
                "names" | "name" => name_list = Some(names(role, key, value)?),
                "privileges" => privileges = Some(strings(key, value)?),
                "query" => query = read_query(role, value, owner)?,
                "field_security" | "fields" => check_fields(role, value)?,
                "allow_restricted_indices" if value.is_boolean() => {}
                "allow_restricted_indices" => {
                    let found = token_name(value);
                    let what =
                        format!("expected field [{key}] value to be a boolean, but found [{found}] instead");
                    return Err(entry_fault(role, &what));
                }
                other => return Err(entry_fault(role, &format!("unexpected field [{other}]"))),
            }
        }
        let missing = |field: &str| entry_fault(role, &format!("missing required [{field}] field"));
        let names = name_list.ok_or_else(|| missing("names"))?;
        let privileges = privileges.ok_or_else(|| missing("privileges"))?;
        if privileges.is_empty() {
            return Err(Fault::Value("indices privileges must define at least one privilege".to_owned()));
        }
        if let Some(name) = names.iter().find(|name| name.starts_with('/') || name.contains('?')) {
            return Err(Fault::Other(ApiError::not_served(&format!(
                "the index name pattern [{name}] of a role descriptor (only [*] is)"
            ))));
        }
        Ok(Self { names, privileges, query })
    }
}

/// Every field may be granted, nothing less: fields cannot be hidden here.
fn check_fields(role: &str, value: &Value) -> Result<(), Fault> {
    if !value.is_object() && !value.is_null() {
        let found = token_name(value);
        return Err(entry_fault(
            role,
            &format!("expected START_OBJECT but got {found} in \"field_security\"."),
        ));
    }
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
        Err(ApiError::not_served("[field_security] of a role descriptor").into())
    }
}

/// The query of a grant: an object, its text, or a template of it.
fn read_query(role: &str, value: &Value, owner: &str) -> Result<Option<Query>, Fault> {
    let bad = |why: &str| {
        Fault::Form(format!("failed to parse field 'query' for indices privileges of role [{role}]: {why}"))
    };
    let value = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => serde_json::from_str(text).map_err(|_| bad("it is not JSON"))?,
        Value::Object(_) => value.clone(),
        other => {
            let what = format!(
                "expected field [query] value to be null, a string, an array, or an object, but found [{}] instead",
                token_name(other)
            );
            return Err(entry_fault(role, &what));
        }
    };
    let query = match value.get("template") {
        None => value,
        Some(template) => {
            let text = rendered(template, owner).map_err(|why| bad(&why))?;
            serde_json::from_str(&text).map_err(|_| bad("the rendered template is not JSON"))?
        }
    };
    Ok(Some(Query::parse(&query).map_err(ApiError::from)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(value: Value) -> Result<Roles> {
        let Value::Object(descriptors) = value else { return Ok(Roles::default()) };
        Roles::parse(&descriptors, "ann", "api_key_request")
    }

    #[test]
    fn several_grants_on_one_index_add_up() {
        let roles = roles(json!({
            "a": {"indices": [{"names": ["x-*"], "privileges": ["read"], "query": {"term": {"a": 1}}}]},
            "b": {"index": [{"names": "x-1", "privileges": ["write"]}, {"names": ["x-2"], "privileges": ["all"]}]},
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
