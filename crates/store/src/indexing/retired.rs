//! Removing retired records that nobody reads any more, a little at a time.

use crate::error::Result;
use crate::kv::{Kv, log_key, read_error, retired_key, seq_of_retired, write_of_retired};
use crate::readers::Readers;

/// Records removed at once: a small number, since writes wait meanwhile.
const CHUNK: usize = 1_000;

/// Removes a part; false when nothing is left to be removed.
pub(super) fn release_some(kv: &Kv, index: u32, readers: &Readers) -> Result<bool> {
    let mut released = readers.released();
    if released.is_empty() {
        return Ok(false);
    }
    let db = kv.db()?;
    // A group that is being stored may have notes that do not show yet.
    released.end = released.end.min(db.counters(index)?.next_seq);
    let range = retired_key(index, released.start)..retired_key(index, released.end);
    let mut batch = db.batch(2 * CHUNK);
    let (mut count, mut end) = (0, released.end);
    for guard in db.meta.range(range) {
        let (key, value) = guard.into_inner().map_err(read_error)?;
        let by = write_of_retired(&key)?;
        if count == CHUNK {
            end = by;
            break;
        }
        batch.remove_weak(&db.log, log_key(index, seq_of_retired(&value)?));
        batch.remove_weak(&db.meta, key);
        count += 1;
    }
    if count > 0 {
        kv.commit(batch, false)?;
    }
    readers.forgotten(end);
    Ok(end < released.end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};

    use crate::kv::{Kv, log_key, meta_key};
    use crate::{Action, CreateIndex, Store, StoreOptions, SyncMode, WriteOp};

    /// Records in the log and notes of retired ones.
    fn stored(kv: &Arc<Kv>, index: u32) -> (usize, usize) {
        let db = kv.db().unwrap();
        (db.log.prefix(&log_key(index, 0)[..4]).count(), db.meta.prefix(meta_key(b'r', index)).count())
    }

    async fn put(store: &Store, id: usize, n: usize) {
        let source = json!({"n": n}).to_string().into();
        let result = store.write(vec![WriteOp::new("i", Some(id.to_string()), Action::Index(source))]).await;
        assert!(result.iter().all(Result::is_ok));
    }

    async fn settles(kv: &Arc<Kv>, index: u32, expected: (usize, usize)) {
        let begin = Instant::now();
        while stored(kv, index) != expected {
            assert!(begin.elapsed() < Duration::from_secs(60), "{:?} stay", stored(kv, index));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test]
    async fn what_was_kept_for_readers_goes_with_the_last_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let options = || StoreOptions::new(folder.path()).sync(SyncMode::None);
        let mut store = Store::open(options()).unwrap();
        store.create_index("i", CreateIndex { mappings: Value::Null, ..CreateIndex::default() }).unwrap();
        let index = store.shared().catalog.require("i").unwrap().num;
        for id in 0..10 {
            put(&store, id, 0).await;
        }
        let pit = store.open_pit(&["i".to_owned()], 600_000).await.unwrap();
        for n in 1..50 {
            for id in 0..10 {
                put(&store, id, n).await;
            }
        }
        let (records, notes) = stored(&store.shared().kv, index);
        assert!((20..60).contains(&records) && records == 10 + notes, "{records} records, {notes} notes");
        assert!(store.close_pit(&pit));
        // The view that searches read now came later, or the first search after this takes one that does.
        store.refresh(&["i".to_owned()]).await.unwrap();
        settles(&store.shared().kv, index, (10, 0)).await;

        // A process that ends leaves notes, which the next one sees to.
        let _pit = store.open_pit(&["i".to_owned()], 600_000).await.unwrap();
        for id in 0..10 {
            put(&store, id, 99).await;
        }
        assert_eq!(stored(&store.shared().kv, index).1, 10);
        store.close();
        store = Store::open(options()).unwrap();
        settles(&store.shared().kv, index, (10, 0)).await;
    }
}
