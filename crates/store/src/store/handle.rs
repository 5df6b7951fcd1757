//! What an open store consists of, and how it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::pit::Pits;
use crate::catalog::Catalog;
use crate::error::{Result, StoreError};
use crate::indexing::Pool;
use crate::kv::Kv;
use crate::model::StoreOptions;
use crate::recent::Recent;
use crate::state::IndexState;
use crate::sync::lock;
use crate::writer::Request;

/// The semaphore counts in this unit.
const PERMIT_BYTES: usize = 1 << 10;

/// Everything the calls share.
pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    pub(crate) cluster_uuid: String,
    pub(crate) kv: Arc<Kv>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) pits: Arc<Pits>,
    pub(crate) searches: Arc<Semaphore>,
    /// Held while a group of writes is decided and stored.
    pub(crate) gate: Arc<Mutex<()>>,
    /// Held while indices are created and deleted; guards the next index's number.
    pub(crate) next_num: Mutex<u32>,
    pub(crate) closed: AtomicBool,
    pub(super) sender: Mutex<Option<mpsc::Sender<Request>>>,
    pub(super) in_flight: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn permits(bytes: usize) -> usize {
        (bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS)
    }

    pub(super) fn sender(&self) -> Result<mpsc::Sender<Request>> {
        lock(&self.sender).clone().ok_or_else(StoreError::closed)
    }

    /// Waits until there is room for a request; one larger than all room waits for all of it.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        let most = Self::permits(self.options.in_flight_bytes);
        let wanted = u32::try_from(Self::permits(bytes).min(most)).unwrap_or(u32::MAX);
        Arc::clone(&self.in_flight).acquire_many_owned(wanted).await.map_err(|_| StoreError::closed())
    }

    /// Waits while the search of one of these indices lags too far behind.
    pub(super) async fn wait_for_search(&self, states: &[Arc<IndexState>]) {
        for state in states {
            loop {
                // Registered before the check, so that no notification is missed.
                let room = state.search.room.notified();
                if state.search.lag() <= self.options.max_search_lag || self.closed.load(Ordering::Acquire) {
                    break;
                }
                self.pool.schedule(state, false);
                room.await;
            }
        }
    }
}

/// Owns the threads; closes the store when dropped.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(super) writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(super) fn close(&self) {
        let shared = &self.shared;
        let was_closed = shared.closed.swap(true, Ordering::AcqRel);
        let mut writer = lock(&self.writer);
        if was_closed && writer.is_none() {
            return;
        }
        drop(lock(&shared.sender).take());
        if let Some(thread) = writer.take() {
            let _ = thread.join();
        }
        shared.in_flight.close();
        shared.searches.close();
        shared.pits.clear();
        shared.pool.stop();
        shared.kv.flush();
        shared.kv.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
