//! Small named blobs for the node.

use bytes::Bytes;

use super::Store;
use crate::error::Result;
use crate::kv::{blob_key, blob_prefix, bytes_of, read_error};

impl Store {
    /// A named blob; spaces keep the node's own things apart (secrets, keys, pipelines, templates).
    ///
    /// # Errors
    /// `Io` and `Corrupt` of the disk.
    pub fn meta_get(&self, space: &str, key: &str) -> Result<Option<Bytes>> {
        let db = self.open_shared()?.kv.db()?;
        Ok(db.meta.get(blob_key(space, key)).map_err(read_error)?.map(bytes_of))
    }

    /// Stores a named blob; durable on return.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub fn meta_put(&self, space: &str, key: &str, value: Bytes) -> Result<()> {
        let shared = self.open_shared()?;
        shared.kv.check_space()?;
        let db = shared.kv.db()?;
        let mut batch = db.batch(1);
        batch.insert(&db.meta, blob_key(space, key), value);
        shared.kv.commit(batch, true)
    }

    /// Removes a named blob; durable on return; `false` when there was none.
    ///
    /// # Errors
    /// `Io`, `NoSpace`.
    pub fn meta_delete(&self, space: &str, key: &str) -> Result<bool> {
        let shared = self.open_shared()?;
        let db = shared.kv.db()?;
        let name = blob_key(space, key);
        if db.meta.get(&name).map_err(read_error)?.is_none() {
            return Ok(false);
        }
        let mut batch = db.batch(1);
        batch.remove(&db.meta, name);
        shared.kv.commit(batch, true)?;
        Ok(true)
    }

    /// All blobs of a space, sorted by key.
    ///
    /// # Errors
    /// `Io` and `Corrupt` of the disk.
    pub fn meta_list(&self, space: &str) -> Result<Vec<(String, Bytes)>> {
        let db = self.open_shared()?.kv.db()?;
        let prefix = blob_prefix(space);
        let mut found = Vec::new();
        for guard in db.meta.prefix(&prefix) {
            let (key, value) = guard.into_inner().map_err(read_error)?;
            let name = key.get(prefix.len()..).unwrap_or_default();
            found.push((String::from_utf8_lossy(name).into_owned(), bytes_of(value)));
        }
        Ok(found)
    }
}
