//! API keys, who the caller is, and what the caller may do.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Table;
use crate::http::{ApiError, BodyRule, Call, Reply, Result, parse_time_ms, token_name};
use crate::node::Node;
use crate::security::{self, ApiKey, Identity, KeyChange, KeyFilter, NewKey, Roles, shown};

type Object = Map<String, Value>;

const GET: &[&str] =
    &["id", "name", "username", "realm_name", "owner", "with_limited_by", "active_only", "with_profile_uid"];

pub(super) fn routes(table: &mut Table) {
    let none = BodyRule::None;
    let keys = &["/_security/api_key"];
    table.on("PUT,POST", keys, &["refresh"], BodyRule::Required, create);
    table.on("GET", keys, GET, none, get);
    table.on("DELETE", keys, &[], BodyRule::Required, invalidate);
    table.on("PUT", &["/_security/api_key/{key_id}"], &[], BodyRule::Optional, update);
    table.on("GET", &["/_security/_authenticate"], &[], none, authenticate);
    table.on("GET,POST", &["/_security/user/_has_privileges"], &[], BodyRule::Required, has_privileges);
}

fn wrong(parser: &str, key: &str, value: &Value) -> ApiError {
    let reason = format!("[{parser}] {key} doesn't support values of type: {}", token_name(value));
    ApiError::new(400, "x_content_parse_exception", reason)
}

fn texts(parser: &str, key: &str, value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(list) => list
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(parser, key, item)))
            .collect(),
        other => Err(wrong(parser, key, other)),
    }
}

/// What a body says about a key.
#[derive(Default)]
struct KeyBody {
    name: Option<String>,
    lives_ms: Option<u64>,
    metadata: Option<Object>,
    roles: Option<Object>,
}

impl KeyBody {
    fn parse(call: &Call, named: bool) -> Result<Self> {
        const PARSER: &str = "api_key_request";
        let mut body = Self::default();
        for (key, value) in call.object()? {
            match (key.as_str(), value) {
                ("name", Value::String(name)) if named => body.name = Some(name),
                ("name", _) if !named => return Err(call.unknown_field(PARSER, "name")),
                ("expiration" | "metadata" | "role_descriptors", Value::Null) => {}
                ("expiration", Value::String(text)) => {
                    body.lives_ms =
                        Some(parse_time_ms(&text, "expiration").map_err(|error| build_failed(&error))?);
                }
                ("metadata", Value::Object(metadata)) => body.metadata = Some(metadata),
                ("role_descriptors", Value::Object(roles)) => body.roles = Some(roles),
                ("name" | "expiration" | "metadata" | "role_descriptors", other) => {
                    return Err(wrong(PARSER, &key, &other));
                }
                _ => return Err(call.unknown_field(PARSER, &key)),
            }
        }
        let broken = body.broken_rules(named)?;
        if broken.is_empty() { Ok(body) } else { Err(ApiError::validation(broken)) }
    }

    fn broken_rules(&self, named: bool) -> Result<Vec<&'static str>> {
        let mut broken = Vec::new();
        if named {
            let name = self.name.as_deref().ok_or_else(|| ApiError::illegal("Required [name]"))?;
            if name.is_empty() {
                broken.push("api key name is required");
            }
            if name.chars().count() > 256 {
                broken.push("api key name may not be more than 256 characters long");
            }
            if name.trim() != name {
                broken.push("api key name may not begin or end with whitespace");
            }
            if name.starts_with('_') {
                broken.push("api key name may not begin with an underscore");
            }
        }
        if self.metadata.iter().flat_map(Object::keys).any(|key| key.starts_with('_')) {
            broken.push("API key metadata keys may not start with [_]");
        }
        Ok(broken)
    }

    /// When a key made now ends.
    fn expiration(&self, now_ms: i64) -> Option<i64> {
        self.lives_ms.map(|lives| now_ms.saturating_add(i64::try_from(lives).unwrap_or(i64::MAX)))
    }
}

fn build_failed(error: &ApiError) -> ApiError {
    let reason = "Failed to build [api_key_request] after last required field arrived";
    ApiError::new(400, "x_content_parse_exception", reason).because(&error.es_type(), error.reason())
}

async fn create(node: Arc<Node>, call: Call) -> Result<Reply> {
    let body = KeyBody::parse(&call, true)?;
    let now = node.now_ms();
    let expiration = body.expiration(now);
    let roles = body.roles.unwrap_or_default();
    let owner = call.identity.user().to_owned();
    let parsed = Roles::parse(&roles, &owner)?;
    if matches!(call.identity, Identity::Key { .. }) && (roles.is_empty() || !parsed.is_empty()) {
        // A key must not make another that can do more than itself.
        return Err(ApiError::illegal(
            "creating derived api keys requires an explicit role descriptor that is empty (has no privileges)",
        ));
    }
    let new = NewKey {
        name: body.name.unwrap_or_default(),
        owner,
        expiration,
        metadata: body.metadata.unwrap_or_default(),
        role_descriptors: roles,
    };
    let (key, secret) = node.blocking(move |store| security::create(store, new, now)).await?;
    let encoded = STANDARD.encode(format!("{}:{secret}", key.id));
    let mut answer = json!({"id": key.id, "name": key.name});
    if let Some(expiration) = key.expiration {
        answer["expiration"] = json!(expiration);
    }
    answer["api_key"] = json!(secret);
    answer["encoded"] = json!(encoded);
    Ok(Reply::ok(answer))
}

/// Limits a filter to what the caller may see or change; `all` is the privilege for the keys of others.
fn own_only(
    node: &Node,
    call: &Call,
    filter: &mut KeyFilter,
    owner: bool,
    all: &str,
    action: &str,
) -> Result<()> {
    let limited = node.rights.check_cluster(all, action);
    if limited.is_ok() && !owner {
        return Ok(());
    }
    if let (Err(error), Err(_)) = (limited, node.rights.check_cluster("manage_own_api_key", action)) {
        return Err(error);
    }
    match &call.identity {
        Identity::Key { id, .. } => {
            // To a key, its own is itself.
            if filter.ids.is_empty() || filter.ids.contains(id) {
                filter.ids = vec![id.clone()];
            } else {
                filter.owner = Some(String::new());
            }
        }
        identity => filter.owner = Some(identity.user().to_owned()),
    }
    Ok(())
}

/// The rules of filters that Elasticsearch checks, in its order.
fn check_filter(filter: &KeyFilter, owner: bool, by_user: bool) -> Result<()> {
    let mut broken = Vec::new();
    let named = filter.name.is_some();
    let by_id = !filter.ids.is_empty();
    if (by_id || named) && by_user {
        broken.push(
            "username or realm name must not be specified when the api key id or api key name is specified",
        );
    }
    if owner && by_user {
        broken.push("neither username nor realm-name may be specified when retrieving owned API keys");
    }
    if by_id && named {
        broken.push("only one of [api key id(s), api key name] can be specified");
    }
    if broken.is_empty() { Ok(()) } else { Err(ApiError::validation(broken)) }
}

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let params = &call.params;
    let text = |name: &str| params.text(name).map(str::to_owned);
    let mut filter =
        KeyFilter { ids: text("id").into_iter().collect(), name: text("name"), owner: text("username") };
    let owner = params.flag_or("owner", false)?;
    check_filter(&filter, owner, filter.owner.is_some() || params.has("realm_name"))?;
    own_only(&node, &call, &mut filter, owner, "read_security", "cluster:admin/xpack/security/api_key/get")?;
    let by_id = params.has("id");
    let active = params.flag_or("active_only", false)?;
    let now = node.now_ms();
    let mut keys = node.blocking(move |store| security::find(store, &filter)).await?;
    keys.retain(|key| !active || (key.invalidation.is_none() && key.expiration.is_none_or(|end| end > now)));
    keys.sort_by(|a, b| a.creation.cmp(&b.creation).then_with(|| a.id.cmp(&b.id)));
    let status = if keys.is_empty() && by_id { 404 } else { 200 };
    let shown: Vec<Value> = keys.iter().map(shown_key).collect();
    Ok(Reply::status(status, json!({"api_keys": shown})))
}

fn shown_key(key: &ApiKey) -> Value {
    let mut out = json!({"id": key.id, "name": key.name, "type": "rest", "creation": key.creation});
    if let Some(expiration) = key.expiration {
        out["expiration"] = json!(expiration);
    }
    out["invalidated"] = json!(key.invalidation.is_some());
    if let Some(at) = key.invalidation {
        out["invalidation"] = json!(at);
    }
    out["username"] = json!(key.owner);
    out["realm"] = json!("file");
    out["realm_type"] = json!("file");
    out["metadata"] = json!(key.metadata);
    out["role_descriptors"] = shown(&key.role_descriptors);
    out
}

async fn invalidate(node: Arc<Node>, call: Call) -> Result<Reply> {
    const PARSER: &str = "invalidate_api_key";
    let (mut filter, mut owner, mut realm) = (KeyFilter::default(), false, false);
    for (key, value) in call.object()? {
        match (key.as_str(), &value) {
            ("id" | "ids", _) => {
                let ids = texts(PARSER, &key, &value)?;
                if ids.is_empty() && value.is_array() {
                    return Err(ApiError::validation(["Field [ids] cannot be an empty array"]));
                }
                filter.ids.extend(ids);
            }
            ("name", Value::String(name)) => filter.name = Some(name.clone()),
            ("username", Value::String(name)) => filter.owner = Some(name.clone()),
            ("realm_name", Value::String(_)) => realm = true,
            ("owner", Value::Bool(on)) => owner = *on,
            ("name" | "username" | "realm_name", Value::Null) => {}
            ("name" | "username" | "realm_name" | "owner", other) => return Err(wrong(PARSER, &key, other)),
            _ => return Err(call.unknown_field(PARSER, &key)),
        }
    }
    let by_user = filter.owner.is_some() || realm;
    if filter.ids.is_empty() && filter.name.is_none() && !by_user && !owner {
        return Err(ApiError::validation([
            "One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false",
        ]));
    }
    check_filter(&filter, owner, by_user)?;
    own_only(
        &node,
        &call,
        &mut filter,
        owner,
        "manage_api_key",
        "cluster:admin/xpack/security/api_key/invalidate",
    )?;
    let now = node.now_ms();
    let (done, _) = node.blocking(move |store| security::invalidate(store, &filter, now)).await?;
    Ok(Reply::ok(
        json!({"invalidated_api_keys": done, "previously_invalidated_api_keys": [], "error_count": 0}),
    ))
}

async fn update(node: Arc<Node>, call: Call) -> Result<Reply> {
    if matches!(call.identity, Identity::Key { .. }) {
        return Err(ApiError::illegal(
            "authentication via API key not supported: only the owner user can update an API key",
        ));
    }
    let body = KeyBody::parse(&call, false)?;
    let id = call.var("key_id").to_owned();
    let owner = call.identity.user().to_owned();
    if let Some(roles) = &body.roles {
        Roles::parse(roles, &owner)?;
    }
    let now = node.now_ms();
    let change =
        KeyChange { expiration: body.expiration(now), metadata: body.metadata, role_descriptors: body.roles };
    let changed = node
        .blocking(move |store| {
            let filter = KeyFilter { ids: vec![id.clone()], name: None, owner: Some(owner) };
            let key = security::find(store, &filter)?.pop();
            let key = key.ok_or_else(|| {
                ApiError::not_found(format!("no API key owned by requesting user found for ID [{id}]"))
            })?;
            if key.invalidation.is_some() {
                return Err(ApiError::illegal(format!("cannot update invalidated API key [{id}]")));
            }
            if key.expiration.is_some_and(|end| end <= now) {
                return Err(ApiError::illegal(format!("cannot update expired API key [{id}]")));
            }
            security::update(store, &key, change)
        })
        .await?;
    Ok(Reply::ok(json!({"updated": changed})))
}

async fn authenticate(_node: Arc<Node>, call: Call) -> Result<Reply> {
    let (realm, kind) = match &call.identity {
        Identity::Anonymous => ("__anonymous", "anonymous"),
        Identity::User(_) => ("file", "realm"),
        Identity::Key { .. } => ("_es_api_key", "api_key"),
    };
    let roles = if kind == "api_key" { json!([]) } else { json!(["superuser"]) };
    let realm = json!({"name": realm, "type": realm});
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
    const PARSER: &str = "has_privileges";
    let body = call.object()?;
    let user = call.identity.user();
    if !["cluster", "index", "application"].iter().any(|key| body.contains_key(*key)) {
        return Err(ApiError::parse(format!(
            "failed to parse privileges check [{user}/has_privileges]. All privilege fields [cluster,index,applications] are missing"
        )));
    }
    let roles = node.rights.roles();
    let (mut cluster, mut index, mut all) = (Object::new(), Object::new(), true);
    for (key, value) in &body {
        match key.as_str() {
            "cluster" => {
                for privilege in texts(PARSER, key, value)? {
                    let granted = roles.is_none_or(|roles| roles.grants_cluster(&privilege));
                    all &= granted;
                    cluster.insert(privilege, json!(granted));
                }
            }
            "index" => {
                for entry in value.as_array().ok_or_else(|| wrong(PARSER, key, value))? {
                    all &= index_privileges(entry, roles, &mut index)?;
                }
            }
            "application" if value.as_array().is_some_and(Vec::is_empty) => {}
            "application" => return Err(ApiError::not_served("a check of [application] privileges")),
            other => return Err(call.unknown_field(PARSER, other)),
        }
    }
    Ok(Reply::ok(json!({
        "username": user, "has_all_requested": all, "cluster": cluster, "index": index, "application": {},
    })))
}

fn index_privileges(entry: &Value, roles: Option<&Roles>, out: &mut Object) -> Result<bool> {
    let list = |key: &str| {
        let missing =
            || ApiError::parse(format!("failed to parse privileges check. missing required [{key}] field"));
        texts("has_privileges", key, entry.get(key).ok_or_else(missing)?)
    };
    let (names, privileges) = (list("names")?, list("privileges")?);
    let mut all = true;
    for name in names {
        let mut each = Object::new();
        for privilege in &privileges {
            let granted = roles.is_none_or(|roles| roles.grants_index(&[&name], privilege));
            all &= granted;
            each.insert(privilege.clone(), json!(granted));
        }
        match out.get_mut(&name).and_then(Value::as_object_mut) {
            Some(present) => present.extend(each),
            None => drop(out.insert(name, Value::Object(each))),
        }
    }
    Ok(all)
}
