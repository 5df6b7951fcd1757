//! The calls that search.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Store;
use super::pit::Views;
use crate::error::{ErrorKind, Result, StoreError};
use crate::indexing::View;
use crate::names::now_ms;
use crate::query::Query;
use crate::search::{self, SearchRequest, SearchResponse};
use crate::state::IndexState;

/// An index not searched for this long is brought up to date before it is searched again, as Elasticsearch does.
const SEARCH_IDLE_MS: u64 = 30_000;

/// Counts a waiting search.
struct Waiting<'a>(&'a IndexState);

impl<'a> Waiting<'a> {
    fn new(state: &'a IndexState) -> Self {
        state.search.waiters.fetch_add(1, Ordering::AcqRel);
        Self(state)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.search.waiters.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Store {
    /// Makes every write acknowledged so far visible to later searches of these (concrete) indices. The work may be
    /// left to the next search, unless the disk is full: then it is not told as done before it is.
    ///
    /// # Errors
    /// `index_not_found_exception`; `NoSpace` when the disk is full.
    pub async fn refresh(&self, indices: &[String]) -> Result<()> {
        let shared = self.open_shared()?;
        let full = shared.kv.check_space().is_err();
        for name in indices {
            let state = shared.catalog.require(name)?;
            let durable = state.search.durable.load(Ordering::Acquire);
            state.search.wanted.fetch_max(durable, Ordering::AcqRel);
            if full || state.search.lacks_space() {
                self.reach(&state, durable).await?;
            }
        }
        shared.pool.poke();
        Ok(())
    }

    /// The state of an index to search, brought up to date when that was asked for. On a full disk it is the last one
    /// there was.
    async fn view(&self, state: &Arc<IndexState>) -> Result<Arc<View>> {
        let search = &state.search;
        let idle = search.note_search().is_none_or(|ago| ago > SEARCH_IDLE_MS);
        let durable = search.durable.load(Ordering::Acquire);
        let wanted = search.wanted.load(Ordering::Acquire);
        let before = search.view();
        let need = match &before {
            None => durable,
            Some(view) if wanted > view.next => wanted,
            Some(view) if view.next < durable && idle && state.refresh_interval().is_some() => durable,
            Some(view) => return Ok(Arc::clone(view)),
        };
        search.wanted.fetch_max(need, Ordering::AcqRel);
        if let Some(view) = before.as_ref().filter(|_| search.lacks_space()) {
            self.shared().pool.schedule(state, false);
            return Ok(Arc::clone(view));
        }
        let error = match self.reach(state, need).await {
            Ok(view) => return Ok(view),
            Err(error) => error,
        };
        // What was asked for explicitly must not be missing silently; on a full disk, refreshing has failed already.
        let serves = |view: &Arc<View>| wanted <= view.next || error.kind() == ErrorKind::NoSpace;
        let gone = self.shared().closed.load(Ordering::Acquire) || state.is_deleted();
        before.filter(|view| !gone && serves(view)).ok_or(error)
    }

    /// Waits until search sees the writes below a sequence number, or an attempt at that has failed.
    async fn reach(&self, state: &Arc<IndexState>, need: u64) -> Result<Arc<View>> {
        let search = &state.search;
        let mut progress = search.progress.subscribe();
        let failures = progress.borrow_and_update().failures;
        let _waiting = Waiting::new(state);
        self.shared().pool.schedule(state, true);
        loop {
            if let Some(view) = search.view().filter(|view| view.next >= need) {
                return Ok(view);
            }
            if self.shared().closed.load(Ordering::Acquire) {
                return Err(StoreError::closed());
            }
            if state.is_deleted() {
                return Err(StoreError::no_such_index(&state.name));
            }
            let now = progress.borrow_and_update().clone();
            if now.failures > failures {
                return Err(now.error.unwrap_or_else(StoreError::closed));
            }
            progress.changed().await.map_err(|_| StoreError::closed())?;
        }
    }

    async fn views(&self, indices: &[String]) -> Result<Views> {
        let shared = self.open_shared()?;
        let mut views = Vec::with_capacity(indices.len());
        for name in indices {
            let state = shared.catalog.require(name)?;
            let view = self.view(&state).await?;
            views.push((state, view));
        }
        Ok(Arc::new(views))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let shared = self.open_shared()?;
        let permit = Arc::clone(&shared.searches).acquire_owned().await.map_err(|_| StoreError::closed())?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| {
            StoreError::new(ErrorKind::Internal, format!("the search failed unexpectedly: {error}"))
        })?
    }

    /// Searches.
    ///
    /// # Errors
    /// Those of Elasticsearch, see [`StoreError::to_body`].
    pub async fn search(&self, request: SearchRequest) -> Result<SearchResponse> {
        let views = match &request.pit {
            Some(id) => self.open_shared()?.pits.get(id, request.pit_keep_alive_ms)?,
            None => self.views(&request.indices).await?,
        };
        let now = request.now_ms.unwrap_or_else(now_ms);
        self.run(move || search::execute(&views, &request, now)).await
    }

    /// Counts the documents that match.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn count(&self, indices: &[String], query: &Query) -> Result<u64> {
        self.count_at(indices, query, now_ms()).await
    }

    /// As [`Store::count`], at a time in milliseconds since 1970: what `now` means in the dates of the query.
    ///
    /// # Errors
    /// As [`Store::search`].
    pub async fn count_at(&self, indices: &[String], query: &Query, now: i64) -> Result<u64> {
        let views = self.views(indices).await?;
        let query = query.clone();
        self.run(move || search::count(&views, &query, now)).await
    }

    /// Opens a point in time over these (concrete) indices: searches with its id see exactly the documents visible now.
    ///
    /// # Errors
    /// `TooManyRequests` when [`crate::StoreOptions::max_open_pits`] are open.
    pub async fn open_pit(&self, indices: &[String], keep_alive_ms: u64) -> Result<String> {
        let views = self.views(indices).await?;
        self.open_shared()?.pits.insert(views, keep_alive_ms)
    }

    /// Closes a point in time; `false` when it was not open.
    pub fn close_pit(&self, id: &str) -> bool {
        self.shared().pits.remove(id)
    }

    /// How many points in time are open.
    #[must_use]
    pub fn open_pits(&self) -> usize {
        self.shared().pits.count()
    }

    /// The concrete indices a point in time covers.
    ///
    /// # Errors
    /// `search_context_missing_exception`.
    pub fn pit_indices(&self, id: &str) -> Result<Vec<String>> {
        let views = self.open_shared()?.pits.get(id, None)?;
        Ok(views.iter().map(|(state, _)| state.name.clone()).collect())
    }
}
