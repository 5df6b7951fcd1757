//! API keys: made, found, invalidated, checked. Only digests of their secrets are stored.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tributary_store::Store;

use super::access::digest;
use crate::http::{ApiError, Result};

const SPACE: &str = "api_keys";

/// A stored API key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    /// Milliseconds since 1970, as the other times.
    pub(crate) creation: i64,
    pub(crate) expiration: Option<i64>,
    pub(crate) invalidation: Option<i64>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) role_descriptors: Map<String, Value>,
    digest: String,
}

/// What a new key is to be.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) expiration: Option<i64>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) role_descriptors: Map<String, Value>,
}

/// Which keys are meant; an empty filter means all.
#[derive(Debug, Default)]
pub(crate) struct KeyFilter {
    pub(crate) ids: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) owner: Option<String>,
    /// Whether no key is meant.
    pub(crate) none: bool,
}

impl KeyFilter {
    fn takes(&self, key: &ApiKey) -> bool {
        if self.none {
            return false;
        }
        let by_id = self.ids.is_empty() || self.ids.contains(&key.id);
        let by_name = self.name.as_deref().is_none_or(|name| crate::http::wildcard_matches(name, &key.name));
        by_id && by_name && self.owner.as_deref().is_none_or(|owner| owner == key.owner)
    }
}

fn random(bytes: usize) -> String {
    let mut buffer = vec![0u8; bytes];
    rand::rng().fill_bytes(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer)
}

fn save(store: &Store, key: &ApiKey) -> Result<()> {
    let bytes = crate::http::to_json(key)?;
    Ok(store.meta_put(SPACE, &key.id, bytes.into())?)
}

fn load(bytes: &[u8]) -> Result<ApiKey> {
    serde_json::from_slice(bytes).map_err(|_| ApiError::internal("a stored API key cannot be read"))
}

/// Makes a key; returns it with its secret, which is told only once.
pub(crate) fn create(store: &Store, new: NewKey, now_ms: i64) -> Result<(ApiKey, String)> {
    let secret = random(16);
    let key = ApiKey {
        id: random(15),
        name: new.name,
        owner: new.owner,
        creation: now_ms,
        expiration: new.expiration,
        invalidation: None,
        metadata: new.metadata,
        role_descriptors: new.role_descriptors,
        digest: STANDARD.encode(digest(&secret)),
    };
    save(store, &key)?;
    Ok((key, secret))
}

/// The keys that a filter means.
pub(crate) fn find(store: &Store, filter: &KeyFilter) -> Result<Vec<ApiKey>> {
    let mut keys = Vec::new();
    for (_, bytes) in store.meta_list(SPACE)? {
        let key = load(&bytes)?;
        if filter.takes(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Invalidates keys; returns the ids invalidated now and those that were already.
pub(crate) fn invalidate(
    store: &Store,
    filter: &KeyFilter,
    now_ms: i64,
) -> Result<(Vec<String>, Vec<String>)> {
    let (mut now, mut before) = (Vec::new(), Vec::new());
    for mut key in find(store, filter)? {
        if key.invalidation.is_some() {
            before.push(key.id);
            continue;
        }
        key.invalidation = Some(now_ms);
        save(store, &key)?;
        now.push(key.id);
    }
    Ok((now, before))
}

/// What an update of a key changes; what is `None` stays.
#[derive(Debug, Default)]
pub(crate) struct KeyChange {
    pub(crate) expiration: Option<i64>,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) role_descriptors: Option<Map<String, Value>>,
}

/// Changes a key; `false` when it was so already.
pub(crate) fn update(store: &Store, key: &ApiKey, change: KeyChange) -> Result<bool> {
    let mut new = key.clone();
    new.expiration = change.expiration.or(new.expiration);
    new.metadata = change.metadata.unwrap_or(new.metadata);
    new.role_descriptors = change.role_descriptors.unwrap_or(new.role_descriptors);
    let same = new.expiration == key.expiration
        && new.metadata == key.metadata
        && new.role_descriptors == key.role_descriptors;
    if !same {
        save(store, &new)?;
    }
    Ok(!same)
}

/// The key with this id and secret; the inner error says why it lets nobody in.
pub(super) fn authenticate(
    store: &Store,
    id: &str,
    secret: &str,
    now_ms: i64,
) -> Result<std::result::Result<ApiKey, String>> {
    let Some(bytes) = store.meta_get(SPACE, id)? else {
        return Ok(Err(format!("unable to find apikey with id {id}")));
    };
    let key = load(&bytes)?;
    Ok(if key.invalidation.is_some() {
        Err(format!("api key [{id}] has been invalidated"))
    } else if key.digest != STANDARD.encode(digest(secret)) {
        Err(format!("invalid credentials for API key [{id}]"))
    } else if key.expiration.is_some_and(|end| end <= now_ms) {
        Err("api key is expired".to_owned())
    } else {
        Ok(key)
    })
}
