//! API keys: making, showing, changing and invalidating them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::security::REALM;
use super::{Table, value_position};
use crate::http::{ApiError, BodyRule, Call, Reply, Result, parse_time_ms, token_name};
use crate::node::Node;
use crate::security::{self, ApiKey, Identity, KeyChange, KeyFilter, NewKey, Roles, shown};
use crate::writes::Refresh;

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
}

fn wrong(call: &Call, parser: &str, key: &str, value: &Value) -> ApiError {
    let at = value_position(key, &call.body);
    let reason = format!("[{at}] [{parser}] {key} doesn't support values of type: {}", token_name(value));
    ApiError::new(400, "x_content_parse_exception", reason)
}

fn texts(call: &Call, parser: &str, key: &str, value: &Value) -> Result<Vec<String>> {
    let text = |item: &Value| match item {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(wrong(call, parser, key, other)),
    };
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

/// The parsers' names in refusals.
const CREATE: &str = "api_key_request";
const UPDATE: &str = "update_api_key_request_payload";

/// What a body says about a key.
#[derive(Default)]
struct KeyBody {
    name: Option<String>,
    lives_ms: Option<u64>,
    metadata: Option<Object>,
    roles: Option<Object>,
}

impl KeyBody {
    fn parse(call: &Call, parser: &str) -> Result<Self> {
        let named = parser == CREATE;
        let mut body = Self::default();
        let members = match call.json()? {
            Value::Null => Object::new(),
            Value::Object(members) => members,
            other => {
                let reason =
                    format!("[1:1] [{parser}] Expected START_OBJECT but was: {}", token_name(&other));
                return Err(ApiError::new(400, "x_content_parse_exception", reason));
            }
        };
        for (key, value) in members {
            match (key.as_str(), value) {
                ("name", Value::String(name)) if named => body.name = Some(name),
                ("name", _) if !named => return Err(call.unknown_field(parser, "name")),
                ("expiration", Value::String(text)) => body.lives_ms = Some(lifetime(&text, parser)?),
                ("metadata", Value::Object(metadata)) => body.metadata = Some(metadata),
                ("role_descriptors", Value::Object(roles)) => body.roles = Some(roles),
                ("role_descriptors", Value::Array(_)) => {
                    let reason = "[role_descriptors] doesn't support arrays. Use a single object with multiple fields.";
                    return Err(failed_field(call, parser, &key, reason));
                }
                ("name" | "expiration" | "metadata" | "role_descriptors", other) => {
                    return Err(wrong(call, parser, &key, &other));
                }
                _ => return Err(call.unknown_field(parser, &key)),
            }
        }
        let broken = body.broken_rules(named)?;
        if broken.is_empty() { Ok(body) } else { Err(ApiError::validation(broken)) }
    }

    fn broken_rules(&self, named: bool) -> Result<Vec<&'static str>> {
        let mut broken = Vec::new();
        if named {
            match self.name.as_deref().ok_or_else(|| ApiError::illegal("Required [name]"))? {
                "" => broken.push("api key name is required"),
                name => {
                    if name.chars().count() > 256 {
                        broken.push("api key name may not be more than 256 characters long");
                    }
                    if name.trim() != name {
                        broken.push("api key name may not begin or end with whitespace");
                    } else if name.starts_with('_') {
                        broken.push("api key name may not begin with an underscore");
                    }
                }
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

fn build_failed(error: &ApiError, parser: &str) -> ApiError {
    let reason = format!("Failed to build [{parser}] after last required field arrived");
    ApiError::new(400, "x_content_parse_exception", reason).because(&error.es_type(), error.reason())
}

fn failed_field(call: &Call, parser: &str, key: &str, why: &str) -> ApiError {
    let reason = format!("[{}] [{parser}] failed to parse field [{key}]", value_position(key, &call.body));
    ApiError::new(400, "x_content_parse_exception", reason).because("illegal_argument_exception", why)
}

/// How long a key is to live, in milliseconds.
fn lifetime(text: &str, parser: &str) -> Result<u64> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if number.contains('.') && number.parse::<f64>().is_ok() {
        let why = format!("failed to parse [{text}], fractional time values are not supported");
        return Err(build_failed(&ApiError::illegal(why), parser));
    }
    parse_time_ms(text, "expiration").map_err(|error| build_failed(&error, parser))
}

async fn create(node: Arc<Node>, call: Call) -> Result<Reply> {
    Refresh::of(&call)?;
    let body = KeyBody::parse(&call, CREATE)?;
    let now = node.now_ms();
    let expiration = body.expiration(now);
    let roles = body.roles.unwrap_or_default();
    let owner = call.identity.user().to_owned();
    let parsed = Roles::parse(&roles, &owner, CREATE)?;
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

/// Refuses a caller who may not do this to the keys of others, unless it is a key that means itself and `own` is granted.
fn check_keys(node: &Node, call: &Call, filter: &KeyFilter, all: &str, own: Own, action: &str) -> Result<()> {
    let itself = match &call.identity {
        Identity::Key { id, .. } => filter.ids.as_slice() == std::slice::from_ref(id),
        _ => false,
    };
    match own {
        Own::Always if itself => Ok(()),
        Own::Granted if itself => node.rights.check_cluster("manage_own_api_key", action),
        _ => node.rights.check_cluster(all, action),
    }
}

/// What a key needs for what it does to itself.
#[derive(Clone, Copy)]
enum Own {
    Always,
    Granted,
}

/// The rules of filters that Elasticsearch checks, in its order.
fn check_filter(filter: &KeyFilter, owner: bool, by_user: bool, words: Words) -> Result<()> {
    let mut broken = Vec::new();
    let named = filter.name.is_some();
    let by_id = !filter.ids.is_empty();
    if (by_id || named) && by_user {
        broken.push(words.user_and_key);
    }
    if owner && by_user {
        broken.push(words.owner_and_user);
    }
    if by_id && named {
        broken.push(words.id_and_name);
    }
    if broken.is_empty() { Ok(()) } else { Err(ApiError::validation(broken)) }
}

/// The broken rules of filters, as the two calls word them.
#[derive(Clone, Copy)]
struct Words {
    user_and_key: &'static str,
    owner_and_user: &'static str,
    id_and_name: &'static str,
}

const RETRIEVING: Words = Words {
    user_and_key: "username or realm name must not be specified when the api key id or api key name is specified",
    owner_and_user: "neither username nor realm-name may be specified when retrieving owned API keys",
    id_and_name: "only one of [api key id, api key name] can be specified",
};

const INVALIDATING: Words = Words {
    user_and_key: "username or realm name must not be specified when the api key id(s) or api key name are specified",
    owner_and_user: "neither username nor realm-name may be specified when invalidating owned API keys",
    id_and_name: "only one of [api key id(s), api key name] can be specified",
};

async fn get(node: Arc<Node>, call: Call) -> Result<Reply> {
    let params = &call.params;
    let text = |name: &str| params.text(name).map(str::to_owned);
    let realm = params.text("realm_name");
    let mut filter = KeyFilter {
        ids: text("id").into_iter().collect(),
        name: text("name").filter(|name| !name.is_empty()),
        owner: text("username"),
        none: realm.is_some_and(|realm| realm != REALM),
    };
    let owner = params.flag_or("owner", false)?;
    if params.flag_or("with_limited_by", false)? {
        return Err(ApiError::not_served("[with_limited_by]"));
    }
    check_filter(&filter, owner, filter.owner.is_some() || realm.is_some(), RETRIEVING)?;
    let action = "cluster:admin/xpack/security/api_key/get";
    check_keys(&node, &call, &filter, "read_security", Own::Always, action)?;
    if owner {
        filter.owner = Some(call.identity.user().to_owned());
    }
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
    out["realm"] = json!(REALM);
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
            ("ids", _) => {
                let ids = texts(&call, PARSER, &key, &value)?;
                check_ids(&ids).map_err(|error| build_failed(&error, PARSER))?;
                filter.ids.extend(ids);
            }
            // Elasticsearch takes an empty text for none.
            ("name", Value::String(name)) => filter.name = Some(name.clone()).filter(|name| !name.is_empty()),
            ("username", Value::String(name)) => {
                filter.owner = Some(name.clone()).filter(|name| !name.is_empty());
            }
            ("realm_name", Value::String(name)) => {
                realm = !name.is_empty();
                filter.none = realm && name != REALM;
            }
            ("owner", Value::Bool(on)) => owner = *on,
            ("owner", Value::String(text)) => {
                owner = text.parse().map_err(|_| {
                    let why =
                        format!("Failed to parse value [{text}] as only [true] or [false] are allowed.");
                    failed_field(&call, PARSER, &key, &why)
                })?;
            }
            ("name" | "username" | "realm_name" | "owner", other) => {
                return Err(wrong(&call, PARSER, &key, other));
            }
            ("id", _) => {
                let error = call.unknown_field(PARSER, &key);
                let reason = format!("{} did you mean [ids]?", error.reason());
                return Err(ApiError::new(400, "x_content_parse_exception", reason));
            }
            _ => return Err(call.unknown_field(PARSER, &key)),
        }
    }
    let by_user = filter.owner.is_some() || realm;
    if filter.ids.is_empty() && filter.name.is_none() && !by_user && !owner {
        return Err(ApiError::validation([
            "One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false",
        ]));
    }
    check_filter(&filter, owner, by_user, INVALIDATING)?;
    let action = "cluster:admin/xpack/security/api_key/invalidate";
    check_keys(&node, &call, &filter, "manage_api_key", Own::Granted, action)?;
    if owner {
        filter.owner = Some(call.identity.user().to_owned());
    }
    let now = node.now_ms();
    let (done, _) = node.blocking(move |store| security::invalidate(store, &filter, now)).await?;
    Ok(Reply::ok(
        json!({"invalidated_api_keys": done, "previously_invalidated_api_keys": [], "error_count": 0}),
    ))
}

fn check_ids(ids: &[String]) -> Result<()> {
    if ids.is_empty() {
        return Err(ApiError::validation(["Field [ids] cannot be an empty array"]));
    }
    let blank: Vec<String> =
        ids.iter().enumerate().filter(|(_, id)| id.trim().is_empty()).map(|(at, _)| at.to_string()).collect();
    if blank.is_empty() {
        return Ok(());
    }
    let at = blank.join(", ");
    Err(ApiError::validation([format!(
        "Field [ids] must not contain blank id, but got blank id at index position: [{at}]"
    )]))
}

async fn update(node: Arc<Node>, call: Call) -> Result<Reply> {
    if matches!(call.identity, Identity::Key { .. }) {
        return Err(ApiError::illegal(
            "authentication via API key not supported: only the owner user can update an API key",
        ));
    }
    let body = KeyBody::parse(&call, UPDATE)?;
    let id = call.var("key_id").to_owned();
    let owner = call.identity.user().to_owned();
    if let Some(roles) = &body.roles {
        Roles::parse(roles, &owner, UPDATE)?;
    }
    let now = node.now_ms();
    let change =
        KeyChange { expiration: body.expiration(now), metadata: body.metadata, role_descriptors: body.roles };
    let changed = node
        .blocking(move |store| {
            let filter = KeyFilter { ids: vec![id.clone()], owner: Some(owner), ..KeyFilter::default() };
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
