//! Who the caller is, and what the caller may do.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, token_name};
use crate::node::Node;
use crate::security::{Identity, Roles};

type Object = Map<String, Value>;

/// The realm of users from files, as Elasticsearch calls it.
pub(super) const REALM: &str = "default_file";

pub(super) fn routes(table: &mut Table) {
    table.on("GET", &["/_security/_authenticate"], &[], BodyRule::None, authenticate);
    table.on("GET,POST", &["/_security/user/_has_privileges"], &[], BodyRule::Optional, has_privileges);
}

async fn authenticate(_node: Arc<Node>, call: Call) -> Result<Reply> {
    let (realm, kind) = match &call.identity {
        Identity::Anonymous => ("__anonymous", "anonymous"),
        Identity::User(_) => (REALM, "realm"),
        Identity::Key { .. } => ("_es_api_key", "api_key"),
    };
    let roles = if kind == "api_key" { json!([]) } else { json!(["superuser"]) };
    let realm = json!({"name": realm, "type": if realm == REALM { "file" } else { realm }});
    let mut answer = json!({
        "username": call.identity.user(),
        "roles": roles,
        "full_name": null,
        "email": null,
        "metadata": {},
        "enabled": true,
        "authentication_realm": realm,
        "lookup_realm": realm,
        "authentication_type": kind,
    });
    if let Identity::Key { id, name, .. } = &call.identity {
        answer["api_key"] = json!({"managed_by": "elasticsearch", "name": name, "id": id});
    }
    Ok(Reply::ok(answer))
}

async fn has_privileges(node: Arc<Node>, call: Call) -> Result<Reply> {
    if !call.has_body() {
        return Err(ApiError::parse("request body or source parameter is required"));
    }
    let user = call.identity.user();
    let role = format!("{user}/has_privileges");
    let body = match call.json()? {
        Value::Object(body) => body,
        other => {
            let found = token_name(&other);
            return Err(ApiError::parse(format!(
                "failed to parse privileges check [{role}]. expected an object but found [{found}] instead"
            )));
        }
    };
    let asked = Roles::asked(&role, &body)?;
    let roles = node.rights.roles();
    let (mut cluster, mut index, mut all) = (Object::new(), Object::new(), true);
    for privilege in asked.cluster {
        let granted = roles.is_none_or(|roles| roles.grants_cluster(&privilege.to_lowercase()));
        all &= granted;
        cluster.insert(privilege, json!(granted));
    }
    for (names, privileges) in &asked.index {
        all &= on_indices(names, privileges, roles, &mut index);
    }
    Ok(Reply::ok(json!({
        "username": user, "has_all_requested": all, "cluster": cluster, "index": index, "application": {},
    })))
}

/// Adds what is granted on each name; whether all is.
fn on_indices(names: &[String], privileges: &[String], roles: Option<&Roles>, out: &mut Object) -> bool {
    let mut all = true;
    for name in names {
        let mut each = Object::new();
        for privilege in privileges {
            let granted = roles.is_none_or(|roles| roles.grants_index(&[name], &privilege.to_lowercase()));
            all &= granted;
            each.insert(privilege.clone(), json!(granted));
        }
        match out.get_mut(name).and_then(Value::as_object_mut) {
            Some(present) => present.extend(each),
            None => drop(out.insert(name.clone(), Value::Object(each))),
        }
    }
    all
}
