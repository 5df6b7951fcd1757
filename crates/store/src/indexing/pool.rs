//! The threads that feed, commit and close search indices.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::SearchState;
use super::engine::Engine;
use crate::error::{ErrorKind, Result, StoreError};
use crate::kv::Kv;
use crate::readers::Readers;
use crate::state::IndexState;
use crate::sync::lock;

/// Two, so that one index's long commit does not hold up the others.
const THREADS: usize = 2;
/// Documents handed over before an index makes room for others.
const SLICE: usize = 4_096;
/// Fewer documents wait for a commit, so that a trickle of writes does not keep a search index's writer open.
const FEED_FROM: usize = 512;
/// Unless search lags that far behind: documents that change all the time are few, however many changes there are.
const FEED_LAG: u64 = 50_000;
/// An index that was searched within this time is refreshed in the background.
const SEARCH_IDLE_MS: u64 = 30_000;
/// Writes that nobody searches become visible after this time without writes, or after the longer one in any case.
const QUIET_MS: u64 = 2_000;
/// A refresh that no search waits for comes at most this often, and while others write only after the longer time: the
/// search that needs it first can have it at once.
const WANTED_MS: u64 = 1_000;
const WANTED_PAUSE_MS: u64 = 100;
const WANTED_BUSY_MS: u64 = 5_000;
const LAZY_COMMIT_MS: u64 = 15_000;
/// A writer without work is closed, and an index without searches let go, after this.
const WRITER_IDLE: Duration = Duration::from_secs(10);
const VIEW_IDLE_MS: u64 = 300_000;
/// A view older than this is taken anew, so that the document store can drop what only the view still saw.
const VIEW_AGE: Duration = Duration::from_secs(60);
/// After a failure, the next attempt comes this much later.
const RETRY: Duration = Duration::from_secs(1);

/// How often the threads look around while there was something to do within the longer time.
const LOOK: Duration = Duration::from_millis(250);
const BUSY: Duration = Duration::from_secs(5);

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const AGAIN: u8 = 3;

#[derive(Default)]
struct Queue {
    ready: VecDeque<Arc<IndexState>>,
}

/// Lists the indices that may need attention.
pub(crate) type Lister = Box<dyn Fn() -> Vec<Arc<IndexState>> + Send + Sync>;

/// The queue of indices with work, and its threads.
pub(crate) struct Pool {
    kv: Arc<Kv>,
    queue: Mutex<Queue>,
    wake: Condvar,
    stop: AtomicBool,
    /// When there last was something to do: looks around often for a while.
    busy: Mutex<Instant>,
    list: Lister,
    /// Called whenever the threads look around.
    looking: Box<dyn Fn() + Send + Sync>,
    /// Numbers of deleted indices whose documents are still stored, with who may still read them.
    orphans: Mutex<Vec<(u32, Arc<Readers>)>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl Pool {
    pub(crate) fn start(
        kv: Arc<Kv>,
        list: Lister,
        looking: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Arc<Self>> {
        let pool = Arc::new(Self {
            kv,
            queue: Mutex::default(),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            busy: Mutex::new(Instant::now()),
            list,
            looking,
            orphans: Mutex::default(),
            threads: Mutex::default(),
        });
        for at in 0..THREADS {
            let worker = Arc::clone(&pool);
            let thread = std::thread::Builder::new()
                .name(format!("store-index-{at}"))
                .spawn(move || worker.work())
                .map_err(|error| {
                    StoreError::new(ErrorKind::Io, format!("starting a thread failed: {error}"))
                })?;
            lock(&pool.threads).push(thread);
        }
        Ok(pool)
    }

    /// Ends the threads and commits what they hold.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake.notify_all();
        let threads: Vec<_> = lock(&self.threads).drain(..).collect();
        for thread in threads {
            let _ = thread.join();
        }
        // Deleted indices are no longer listed, but may still wait to be removed.
        let queued: Vec<_> = lock(&self.queue).ready.drain(..).collect();
        for state in queued.iter().filter(|state| state.is_deleted()) {
            state.search.release();
        }
        for state in (self.list)() {
            state.search.progress.send_modify(|progress| {
                progress.failures += 1;
                progress.error = Some(StoreError::closed());
            });
            let mut engine = lock(&state.search.engine);
            if engine.has_changes()
                && let Err(error) = engine.commit_fed()
            {
                tracing::warn!(index = state.name, %error, "the last commit failed; the documents are kept");
            }
            engine.close();
            drop(engine);
            state.search.set_view(None);
        }
    }

    /// Makes the threads look around often for a while.
    pub(crate) fn poke(&self) {
        let before = std::mem::replace(&mut *lock(&self.busy), Instant::now());
        // Threads that were busy lately look around soon by themselves. The lock: not between their look and their sleep.
        if before.elapsed() >= BUSY {
            drop(lock(&self.queue));
            self.wake.notify_one();
        }
    }

    /// Takes note of writes. A few wait until there are more of them, or until it is time to make them visible.
    pub(crate) fn written(&self, state: &Arc<IndexState>) {
        if state.search.queue.len() >= FEED_FROM || state.search.lag() > FEED_LAG {
            self.schedule(state, false);
        } else {
            self.poke();
        }
    }

    /// Has a deleted index's documents removed once nobody reads them.
    pub(crate) fn purge(&self, index: u32, readers: Arc<Readers>) {
        lock(&self.orphans).push((index, readers));
        self.poke();
    }

    /// Puts an index in the queue unless it is there.
    pub(crate) fn schedule(&self, state: &Arc<IndexState>, urgent: bool) {
        *lock(&self.busy) = Instant::now();
        let flag = &state.search.schedule;
        loop {
            let (from, to) = match flag.load(Ordering::Acquire) {
                IDLE => (IDLE, QUEUED),
                RUNNING => (RUNNING, AGAIN),
                _ => return,
            };
            if flag.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                if to == QUEUED {
                    self.push(state, urgent);
                }
                return;
            }
        }
    }

    fn push(&self, state: &Arc<IndexState>, urgent: bool) {
        let mut queue = lock(&self.queue);
        if urgent {
            queue.ready.push_front(Arc::clone(state));
        } else {
            queue.ready.push_back(Arc::clone(state));
        }
        drop(queue);
        self.wake.notify_one();
    }

    fn work(&self) {
        let mut looked = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            let next = self.next();
            if next.is_none() || looked.elapsed() >= LOOK {
                self.tick();
                looked = Instant::now();
            }
            if let Some(state) = next {
                self.run(&state);
            }
        }
    }

    /// The next index with work; `None` when it is time to look around.
    fn next(&self) -> Option<Arc<IndexState>> {
        let mut queue = lock(&self.queue);
        if queue.ready.is_empty() {
            let wait = if self.any_busy() { LOOK } else { Duration::from_secs(5) };
            queue = self.wake.wait_timeout(queue, wait).map_or_else(|e| e.into_inner().0, |(q, _)| q);
        }
        let next = queue.ready.pop_front();
        drop(queue);
        next
    }

    fn any_busy(&self) -> bool {
        lock(&self.busy).elapsed() < BUSY
    }

    fn run(&self, state: &Arc<IndexState>) {
        state.search.schedule.store(RUNNING, Ordering::Release);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.drive(state)));
        let more = match outcome {
            Ok(Ok(more)) => {
                state.search.failing.store(false, Ordering::Relaxed);
                more
            }
            Ok(Err(error)) => {
                self.failed(state, error);
                false
            }
            Err(_) => {
                self.failed(
                    state,
                    StoreError::new(ErrorKind::Internal, "the search index's thread failed unexpectedly"),
                );
                false
            }
        };
        let done = !more
            && state
                .search
                .schedule
                .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        if !done {
            state.search.schedule.store(QUEUED, Ordering::Release);
            self.push(state, false);
        }
    }

    /// Reports a failure to those who wait. What was not committed comes again from the document store.
    fn failed(&self, state: &IndexState, error: StoreError) {
        // Not every failure of a thread that writes tells its cause.
        let full = if error.kind() == ErrorKind::Io { self.kv.look_for_space().err() } else { None };
        let error = full.unwrap_or(error);
        tracing::warn!(index = state.name, %error, "bringing the search index up to date failed");
        lock(&state.search.engine).abandon();
        state.search.queue.clear();
        state.search.failing.store(true, Ordering::Relaxed);
        state.search.room.notify_waiters();
        state.search.progress.send_modify(|progress| {
            progress.failures += 1;
            progress.error = Some(error);
        });
        if !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(RETRY);
        }
    }

    /// Does a slice of an index's work; true when there is more.
    fn drive(&self, state: &Arc<IndexState>) -> Result<bool> {
        let search = &state.search;
        let mut engine = lock(&search.engine);
        if state.is_deleted() {
            search.set_view(None);
            search.queue.clear();
            engine.remove();
            return Ok(false);
        }
        let mut handed = 0;
        if search.queue.len() >= FEED_FROM {
            search.queue.drop_replaced();
        }
        let behind = search.lag() > FEED_LAG;
        let feeds = || behind || search.queue.len() >= FEED_FROM;
        while handed < SLICE && feeds() && !self.stop.load(Ordering::Acquire) {
            let batch = search.queue.pop(128, u64::MAX);
            if batch.is_empty() {
                break;
            }
            handed += batch.len();
            let db = self.kv.db()?;
            engine.feed(state, &db, batch)?;
            search.fed.store(engine.fed(), Ordering::Release);
            *lock(&self.busy) = Instant::now();
        }
        search.room.notify_waiters();
        if commit_due(state, search, &engine) {
            self.commit(state, &mut engine)?;
        }
        self.tidy(search, &mut engine);
        Ok(search.queue.len() >= FEED_FROM && !self.stop.load(Ordering::Acquire))
    }

    fn commit(&self, state: &Arc<IndexState>, engine: &mut Engine) -> Result<()> {
        let search = &state.search;
        let view = engine.commit(state, &self.kv)?;
        let visible = view.next;
        search.fed.store(engine.fed(), Ordering::Release);
        search.room.notify_waiters();
        search.set_view(Some(Arc::new(view)));
        search.last_commit.store(search.millis(), Ordering::Relaxed);
        search.progress.send_modify(|progress| {
            progress.visible = visible;
            progress.error = None;
        });
        Ok(())
    }

    /// Lets go of what is not used.
    fn tidy(&self, search: &SearchState, engine: &mut Engine) {
        if writer_idle(engine) {
            engine.close_writer();
        }
        if view_idle(search, engine) {
            engine.close();
            search.set_view(None);
        }
    }

    fn purge_orphans(&self) {
        while !self.stop.load(Ordering::Acquire) {
            let unread = |(_, readers): &&(u32, Arc<Readers>)| readers.is_empty();
            let Some(index) = lock(&self.orphans).iter().rfind(unread).map(|orphan| orphan.0) else { return };
            match super::purge::purge_some(&self.kv, index) {
                Ok(true) => {}
                Ok(false) => lock(&self.orphans).retain(|orphan| orphan.0 != index),
                Err(error) => {
                    tracing::debug!(index, %error, "removing a deleted index's documents failed");
                    return;
                }
            }
            if !lock(&self.queue).ready.is_empty() {
                return;
            }
        }
    }

    /// Removes what was kept for readers that are gone, unless there is something more urgent.
    fn release_retired(&self, state: &IndexState) {
        let more = || super::retired::release_some(&self.kv, state.num, &state.search.readers);
        while !self.stop.load(Ordering::Acquire) && lock(&self.queue).ready.is_empty() {
            match more() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(index = state.name, %error, "removing replaced documents failed");
                    return;
                }
            }
        }
    }

    /// Looks for indices that need something because time has passed.
    fn tick(&self) {
        self.kv.flush_when_idle(Duration::from_secs(5));
        (self.looking)();
        self.purge_orphans();
        for state in (self.list)() {
            self.release_retired(&state);
            let search = &state.search;
            let Ok(engine) = search.engine.try_lock() else { continue };
            let due =
                commit_due(&state, search, &engine) || writer_idle(&engine) || view_idle(search, &engine);
            if engine.has_writer()
                || search.durable.load(Ordering::Acquire) > engine.committed().max(visible(search, &engine))
            {
                *lock(&self.busy) = Instant::now();
            }
            drop(engine);
            if due {
                self.schedule(&state, false);
            }
        }
    }
}

/// The sequence number up to which (excluded) writes can be found.
fn visible(search: &SearchState, engine: &Engine) -> u64 {
    search.view().map_or(engine.committed(), |view| view.next)
}

fn writer_idle(engine: &Engine) -> bool {
    engine.has_writer() && !engine.has_changes() && engine.last_fed.elapsed() > WRITER_IDLE
}

fn view_idle(search: &SearchState, engine: &Engine) -> bool {
    let unused = search.since(&search.last_search).is_none_or(|idle| idle > VIEW_IDLE_MS);
    unused
        && !engine.has_writer()
        && search.waiters.load(Ordering::Acquire) == 0
        && search.view().is_some()
        && !search.dirty()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether it is time to make writes visible.
fn commit_due(state: &IndexState, search: &SearchState, engine: &Engine) -> bool {
    let durable = search.durable.load(Ordering::Acquire);
    let visible = visible(search, engine);
    let waited_for = search.waiters.load(Ordering::Acquire) > 0;
    let wanted = search.wanted.load(Ordering::Acquire) > visible;
    if waited_for && (wanted || search.view().is_none()) {
        return true;
    }
    let since_commit = search.since(&search.last_commit).unwrap_or(u64::MAX);
    let paused = |ms: u64| search.since(&search.last_write).is_none_or(|ago| ago >= ms);
    if wanted && since_commit >= if paused(WANTED_PAUSE_MS) { WANTED_MS } else { WANTED_BUSY_MS } {
        return true;
    }
    if search.view().is_some_and(|view| view.taken.elapsed() > VIEW_AGE) {
        return true;
    }
    if durable <= visible {
        return false;
    }
    let searched = search.since(&search.last_search).is_some_and(|ago| ago < SEARCH_IDLE_MS);
    if searched && state.refresh_interval().is_some_and(|interval| since_commit >= millis(interval)) {
        return true;
    }
    let quiet = paused(QUIET_MS);
    let lazy = millis(engine.last_commit.elapsed());
    lazy >= LAZY_COMMIT_MS || (quiet && lazy >= QUIET_MS)
}
