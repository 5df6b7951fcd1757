use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::Instant;

use crate::backoff::{Backoff, Waited, ride_out};
use crate::control::{Brake, Control, Request};
use crate::driver::Stop;
use crate::guard::{self, Leftovers};
use crate::pipeline::Pipeline;
use crate::port::{IndexPort, PortError, PortErrorKind};
use crate::prepare::Key;
use crate::progress::Phase;
use crate::report::SyncError;
use crate::spec::DeleteGuard;
use crate::spool::{Leftover, ScannedSpool, SeenSet, SpoolDir};

/// Ids read from disk at once.
const PIECE: usize = 1000;

/// Tells blocking work to stop when nobody waits for it any more.
#[derive(Debug, Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for `work`, or for a request to stop.
async fn unless_stopped<T>(control: &Control, work: impl Future<Output = T>) -> Result<T, Stop> {
    tokio::select! {
        biased;
        () = control.at_least(Request::Suspend) => Err(control.request().into()),
        value = work => Ok(value),
    }
}

/// Deletes the documents of the index that a complete full listing did not tell of, unless the guard stops it.
///
/// # Errors
/// What stopped it. The guard, a request or a failure before the first delete means that nothing was deleted.
pub(crate) async fn remove<I: IndexPort>(
    pipeline: &mut Pipeline<'_, I>,
    dir: Arc<SpoolDir>,
    guard: &DeleteGuard,
    control: &Control,
) -> Result<(), Stop> {
    let Some(seen) = pipeline.seen.take() else { return Ok(()) };
    pipeline.progress.enter(Phase::Comparing);
    let seed = seen.seed();
    let seen = seen.finish().await.map_err(|error| SyncError::spool(&error))?;
    let seen = Arc::new(seen);
    let (all, present) = unless_stopped(control, count(Arc::clone(&seen))).await??;
    let duplicates = seen.records().saturating_sub(all);
    let known = pipeline.progress.snapshot();
    pipeline.progress.duplicates(duplicates.saturating_sub(known.duplicates));
    let held = unless_stopped(control, Calls::of(pipeline).document_count()).await??;
    if nothing_is_left(pipeline, present, duplicates, held) {
        return Ok(());
    }
    let scanned = unless_stopped(control, Calls::of(pipeline).scan(dir, seed)).await??;
    let held = scanned.count();
    let work = StopOnDrop::default();
    let minus = scanned.minus(seen, pipeline.limits.samples, Arc::clone(&work.0));
    let list = unless_stopped(control, minus).await?.map_err(|error| SyncError::spool(&error))?;
    drop(work);
    let created = if pipeline.plan.is_some() { 0 } else { known.created };
    let leftovers = Leftovers {
        documents: list.count(),
        before: held.saturating_sub(created),
        empty_listing: present == 0,
    };
    guard::check(guard, leftovers)?;
    if let Some(plan) = &mut pipeline.plan {
        pipeline.progress.deleted(list.count());
        plan.deleted = list.sample().to_vec();
        return Ok(());
    }
    pipeline.progress.enter(Phase::Deleting);
    let list = list.read().map_err(|error| SyncError::spool(&error))?;
    delete(pipeline, Doomed::OnDisk(list), control).await
}

async fn count(seen: Arc<SeenSet>) -> Result<(u64, u64), SyncError> {
    let stop = StopOnDrop::default();
    let flag = Arc::clone(&stop.0);
    crate::spool::blocking(move || seen.count(&flag)).await.map_err(|error| SyncError::spool(&error))
}

/// Calls to the index that ride out its absence.
struct Calls<'a, I> {
    index: &'a I,
    patience: Duration,
    brake: Brake,
}

impl<'a, I: IndexPort> Calls<'a, I> {
    fn of(pipeline: &Pipeline<'a, I>) -> Self {
        Self { index: pipeline.index, patience: pipeline.limits.patience, brake: pipeline.brake.clone() }
    }

    async fn document_count(self) -> Result<u64, SyncError> {
        let stopped = || PortError::new(PortErrorKind::Unavailable, "the sync was stopped");
        let refreshed = ride_out(self.patience, &self.brake, || self.index.refresh()).await;
        refreshed.ok_or_else(stopped)??;
        Ok(ride_out(self.patience, &self.brake, || self.index.count()).await.ok_or_else(stopped)??)
    }

    /// Reads all ids of the index; starts over when the index goes away meanwhile.
    async fn scan(self, dir: Arc<SpoolDir>, seed: u64) -> Result<ScannedSpool, SyncError> {
        let mut backoff = Backoff::new(self.patience);
        loop {
            let error = match scan_once(self.index, Arc::clone(&dir), seed).await? {
                Ok(scanned) => return Ok(scanned),
                Err(error) => error,
            };
            if !error.is_retryable() || backoff.wait(&self.brake, &error).await != Waited::Again {
                return Err(error.into());
            }
        }
    }
}

/// Where every listed document is known to be in the index and the index holds as many documents, it holds no
/// others: no need to read all its ids.
fn nothing_is_left<I: IndexPort>(
    pipeline: &Pipeline<'_, I>,
    present: u64,
    duplicates: u64,
    held: u64,
) -> bool {
    let figures = pipeline.progress.snapshot();
    let all_are_there = figures.skipped == 0 && figures.failed == 0;
    let expected = match pipeline.plan {
        None => Some(present),
        Some(_) if duplicates == 0 => present.checked_sub(figures.created),
        Some(_) => None,
    };
    all_are_there && expected == Some(held)
}

async fn scan_once<I: IndexPort>(
    index: &I,
    dir: Arc<SpoolDir>,
    seed: u64,
) -> Result<Result<ScannedSpool, PortError>, SyncError> {
    let mut scanned = ScannedSpool::new(dir, seed);
    let mut ids = index.scan_ids();
    while let Some(id) = ids.next().await {
        match id {
            Ok(id) if scanned.push(&id) => {
                scanned.flush().await.map_err(|error| SyncError::spool(&error))?;
            }
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
        tokio::task::consume_budget().await;
    }
    Ok(Ok(scanned))
}

/// Documents to be deleted.
enum Doomed {
    OnDisk(Leftover),
    AtHand(Vec<String>),
}

impl Doomed {
    /// The next of them; none after the last.
    async fn next(self) -> std::io::Result<(Self, Vec<String>)> {
        match self {
            Self::OnDisk(leftover) => {
                let (leftover, ids) = leftover.next(PIECE).await?;
                Ok((Self::OnDisk(leftover), ids))
            }
            Self::AtHand(mut ids) => {
                let rest = ids.split_off(ids.len().min(PIECE));
                Ok((Self::AtHand(rest), ids))
            }
        }
    }
}

/// Deletes documents whose deletion was refused before and which a complete listing did not tell of again.
///
/// # Errors
/// What stopped it.
pub(crate) async fn remove_these<I: IndexPort>(
    pipeline: &mut Pipeline<'_, I>,
    ids: Vec<String>,
    control: &Control,
) -> Result<(), Stop> {
    pipeline.progress.enter(Phase::Deleting);
    delete(pipeline, Doomed::AtHand(ids), control).await
}

async fn delete<I: IndexPort>(
    pipeline: &mut Pipeline<'_, I>,
    doomed: Doomed,
    control: &Control,
) -> Result<(), Stop> {
    let seed = pipeline.seed;
    let spool = |error: std::io::Error| SyncError::spool(&error);
    let mut rest = Some(doomed);
    let mut outcome = Ok(());
    loop {
        while let Some(doomed) = rest.take_if(|_| !pipeline.outbox.is_backed_up()) {
            let (doomed, ids) = doomed.next().await.map_err(spool)?;
            if ids.is_empty() {
                pipeline.outbox.seal();
            } else {
                rest = Some(doomed);
            }
            for id in ids {
                pipeline.delete_now(Key::of(&id, seed), id);
            }
            pipeline.outbox.launch();
        }
        pipeline.outbox.launch();
        let delivered = match unless_stopped(control, pipeline.outbox.next()).await {
            Ok(Some(delivered)) => delivered,
            Ok(None) => return outcome,
            Err(stop) => {
                outcome = Err(stop);
                break;
            }
        };
        if let Err(error) = pipeline.delivered(delivered) {
            outcome = Err(error.into());
            break;
        }
    }
    // What is on its way is awaited, so that the figures are true.
    pipeline.stop();
    let deadline = Instant::now() + pipeline.grace(false);
    while let Some(delivered) = pipeline.outbox.next_until(deadline).await {
        if let Err(error) = pipeline.delivered(delivered) {
            tracing::debug!(%error, "while stopping");
        }
    }
    pipeline.unanswered += pipeline.outbox.abandon();
    outcome
}
