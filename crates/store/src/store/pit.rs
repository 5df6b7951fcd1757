//! Points in time: held views under an id, until closed or unused for too long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;

use crate::error::{ErrorKind, Result, StoreError};
use crate::indexing::View;
use crate::state::IndexState;
use crate::sync::lock;

/// Elasticsearch's `search.max_keep_alive`.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(24 * 3_600);

/// An index with the state of it that a search reads.
pub(crate) type Views = Arc<Vec<(Arc<IndexState>, Arc<View>)>>;

struct Pit {
    views: Views,
    keep_alive: Duration,
    expires: Instant,
}

/// The open points in time.
pub(crate) struct Pits {
    most: usize,
    open: Mutex<HashMap<String, Pit>>,
}

fn missing(id: &str) -> StoreError {
    StoreError::new(ErrorKind::SearchContextMissing, format!("No search context found for id [{id}]"))
}

fn duration(keep_alive_ms: u64) -> Result<Duration> {
    let keep_alive = Duration::from_millis(keep_alive_ms);
    if keep_alive > MAX_KEEP_ALIVE {
        return Err(StoreError::illegal(format!(
            "Keep alive for request ({keep_alive_ms}ms) is too large. It must be less than (1d). This limit can be set by \
             changing the [search.max_keep_alive] cluster level setting."
        )));
    }
    Ok(keep_alive)
}

impl Pits {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    pub(super) fn insert(&self, views: Views, keep_alive_ms: u64) -> Result<String> {
        let keep_alive = duration(keep_alive_ms)?;
        let mut open = lock(&self.open);
        drop_expired(&mut open);
        if open.len() >= self.most {
            let reason = format!(
                "Trying to create too many search contexts: {} points in time are open, the limit is [{}]; close some or wait \
                 until they expire",
                open.len(),
                self.most
            );
            return Err(StoreError::new(ErrorKind::TooManyRequests, reason));
        }
        let mut bytes = [0u8; 30];
        rand::rng().fill_bytes(&mut bytes);
        let id = URL_SAFE_NO_PAD.encode(bytes);
        open.insert(id.clone(), Pit { views, keep_alive, expires: Instant::now() + keep_alive });
        Ok(id)
    }

    /// The views of a point in time, whose life is prolonged.
    pub(super) fn get(&self, id: &str, keep_alive_ms: Option<u64>) -> Result<Views> {
        let mut open = lock(&self.open);
        drop_expired(&mut open);
        let pit = open.get_mut(id).ok_or_else(|| missing(id))?;
        if let Some(millis) = keep_alive_ms {
            pit.keep_alive = duration(millis)?;
        }
        pit.expires = Instant::now() + pit.keep_alive;
        Ok(Arc::clone(&pit.views))
    }

    pub(super) fn remove(&self, id: &str) -> bool {
        let mut open = lock(&self.open);
        drop_expired(&mut open);
        open.remove(id).is_some()
    }

    pub(super) fn count(&self) -> usize {
        let mut open = lock(&self.open);
        drop_expired(&mut open);
        open.len()
    }

    pub(crate) fn clear(&self) {
        lock(&self.open).clear();
    }

    /// Lets go of what has expired.
    pub(crate) fn expire(&self) {
        drop_expired(&mut lock(&self.open));
    }
}

fn drop_expired(open: &mut HashMap<String, Pit>) {
    let now = Instant::now();
    open.retain(|_, pit| pit.expires > now);
}
