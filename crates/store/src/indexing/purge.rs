//! Removing what is stored of a deleted index, a little at a time.

use crate::error::Result;
use crate::kv::{Kv, log_key, meta_key, read_error};

/// Keys removed at once.
const CHUNK: usize = 5_000;

/// Removes a part; false when nothing was left.
pub(super) fn purge_some(kv: &Kv, index: u32) -> Result<bool> {
    let db = kv.db()?;
    let mut batch = db.batch(CHUNK);
    let mut count = 0;
    let index_prefix = &log_key(index, 0)[..4];
    for (keyspace, prefix) in [
        (&db.log, index_prefix.to_vec()),
        (&db.ids, index_prefix.to_vec()),
        (&db.meta, meta_key(b't', index).to_vec()),
        (&db.meta, meta_key(b'r', index).to_vec()),
    ] {
        for guard in keyspace.prefix(prefix).take(CHUNK - count) {
            batch.remove(keyspace, guard.key().map_err(read_error)?);
            count += 1;
        }
    }
    if count == 0 {
        for kind in *b"csd" {
            batch.remove(&db.meta, meta_key(kind, index));
        }
    }
    kv.commit(batch, false)?;
    Ok(count > 0)
}
