use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tributary_sdk::{Context, ErrorKind, Event, Source};

use crate::account::Account;
use crate::backoff::ride_out;
use crate::control::{Brake, Control, Request};
use crate::driver::{Stop, drive};
use crate::encode::Style;
use crate::leftovers;
use crate::pipeline::{Pipeline, Start};
use crate::port::IndexPort;
use crate::prepare::Preparer;
use crate::progress::{Figures, Phase, Progress};
use crate::reader::Reader;
use crate::report::{Ended, Report, SyncError, SyncErrorKind};
use crate::spec::{Checkpoint, Mode, Resume, SyncKind, SyncSpec};
use crate::spool::{Manifest, SeenSpool, SpoolDir, blocking};

/// Runs one sync to its end.
///
/// `cx` is what the source gets. Its `cursor` is the place an incremental listing starts from; a full listing starts
/// where [`SyncSpec::resume`] says. Dropping the future stops everything at once and deletes nothing more; a stored
/// checkpoint stays on disk, so that [`Resume::Spool`] can go on from it.
pub async fn sync<I: IndexPort>(
    index: &I,
    source: &Source,
    cx: Context,
    mut spec: SyncSpec,
    progress: &Progress,
    control: &Control,
) -> Ended {
    spec.limits = spec.limits.usable();
    progress.enter(Phase::Starting);
    let letters = spec.letters.clone().filter(|_| spec.mode == Mode::Run);
    let account = Account::new(progress, spec.error_limits, &spec.limits, letters.clone());
    let mut ended = match Listing::of(source, spec.kind) {
        Ok(listing) => run(index, source, cx.clone(), &spec, listing, account, control).await,
        Err(error) => Ended::Failed { report: report(progress, account), error },
    };
    if let Ended::Failed { error, .. } = &ended
        && spec.kind == SyncKind::Incremental
        && error.kind == SyncErrorKind::Source(ErrorKind::PositionGone)
    {
        let reason = error.report();
        tracing::warn!(reason, "the changes since the last sync cannot be told: making a full sync instead");
        // What the changes told so far is written, and is written once more if it differs.
        spec.resume = None;
        let account = Account::new(progress, spec.error_limits, &spec.limits, letters);
        ended = run(index, source, cx, &spec, Listing::Documents, account, control).await;
    }
    progress.enter(Phase::Ended);
    ended
}

/// Which of a source's listings is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    Documents,
    Changes,
    Identities,
}

impl Listing {
    fn of(source: &Source, kind: SyncKind) -> Result<Self, SyncError> {
        match kind {
            SyncKind::Incremental if source.incremental().is_some() => Ok(Self::Changes),
            SyncKind::Full | SyncKind::Incremental => Ok(Self::Documents),
            SyncKind::AccessControl if source.access_control().is_some() => Ok(Self::Identities),
            SyncKind::AccessControl => {
                let message = "the source cannot list who may see what";
                Err(SyncError::new(SyncErrorKind::Unsupported, message))
            }
        }
    }

    fn open<'a>(self, source: &'a Source, cx: &'a Context) -> BoxStream<'a, tributary_sdk::Result<Event>> {
        let listing = match self {
            Self::Documents => None,
            Self::Changes => source.incremental().map(|source| source.changes(cx)),
            Self::Identities => source.access_control().map(|source| source.identities(cx)),
        };
        listing.unwrap_or_else(|| source.documents(cx))
    }

    /// Whether it tells of everything, so that what it does not tell of is gone.
    fn is_complete(self) -> bool {
        self != Self::Changes
    }
}

/// Where a sync starts.
struct Beginning {
    resumable: bool,
    /// The spool of a listing that tells of everything.
    spool: Option<Spool>,
    resumed: Option<Checkpoint>,
}

/// A job's spool, and where an earlier attempt of the job stopped.
struct Spool {
    dir: Arc<SpoolDir>,
    seen: SeenSpool,
    manifest: Option<Manifest>,
}

async fn begin(
    source: &Source,
    spec: &SyncSpec,
    listing: Listing,
    account: &mut Account<'_>,
) -> Result<Beginning, SyncError> {
    let can_go_on = match listing {
        Listing::Documents => source.resumable(),
        Listing::Changes => true,
        Listing::Identities => false,
    };
    let resumable = can_go_on && spec.mode == Mode::Run && !spec.retries();
    let resume = spec.resume.clone().filter(|_| resumable);
    let mut beginning = Beginning { resumable, spool: None, resumed: None };
    if listing.is_complete() && !spec.retries() {
        let mut spool = open_spool(spec, resume).await.map_err(|error| SyncError::spool(&error))?;
        beginning.resumed = spool.manifest.take().map(|manifest| manifest.checkpoint);
        beginning.spool = Some(spool);
    } else if let Some(Resume::From(checkpoint)) = resume {
        beginning.resumed = Some(checkpoint);
    }
    if let Some(Checkpoint { position, figures, refused, .. }) = &beginning.resumed {
        account.restore(refused.clone());
        tracing::info!(position, "going on from a checkpoint");
        account.progress().restore(&Figures { listed: *position, ..*figures });
    }
    Ok(beginning)
}

async fn open_spool(spec: &SyncSpec, resume: Option<Resume>) -> std::io::Result<Spool> {
    let (root, job) = (spec.spool_dir.clone(), spec.job_id.clone());
    // A dry run must not touch what the job itself may have left.
    let job = if spec.mode == Mode::Plan { format!("{job} (plan)") } else { job };
    blocking(move || {
        let dir = Arc::new(SpoolDir::open(&root, &job)?);
        let manifest = resume.and_then(|resume| {
            let manifest = Manifest::load(dir.path())?;
            manifest.serves(&resume).then_some(manifest)
        });
        if let Some(manifest) = manifest {
            if let Some(seen) = SeenSpool::reopen(Arc::clone(&dir), &manifest)? {
                return Ok(Spool { dir, seen, manifest: Some(manifest) });
            }
            tracing::warn!("the job's spool is damaged: the sync starts over");
        }
        let seen = SeenSpool::create(Arc::clone(&dir), random_seed())?;
        Ok(Spool { dir, seen, manifest: None })
    })
    .await
}

/// Differs from job to job, so that nobody can prepare ids that collide.
fn random_seed() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(0_u8)
}

async fn run<I: IndexPort>(
    index: &I,
    source: &Source,
    cx: Context,
    spec: &SyncSpec,
    listing: Listing,
    mut account: Account<'_>,
    control: &Control,
) -> Ended {
    let begun = begin(source, spec, listing, &mut account).await;
    let Beginning { resumable, spool, resumed } = match begun {
        Ok(beginning) => beginning,
        Err(error) => return Ended::Failed { report: report(account.progress(), account), error },
    };
    let (dir, seen) = spool.map(|spool| (spool.dir, spool.seen)).unzip();
    let ended = match is_empty(index, spec, control).await {
        Err(stop) => ended(stop, report(account.progress(), account), resumed),
        Ok(index_was_empty) => {
            let start = Start {
                style: style(spec, listing),
                clock: Arc::clone(&cx.clock),
                max_body_bytes: cx.max_body_bytes,
                index_was_empty,
                resumable,
                resumed,
                seen,
            };
            let pipeline = Pipeline::new(index, spec, account, start);
            work(pipeline, source, cx, spec, listing, dir.as_ref(), control).await
        }
    };
    if let Some(dir) = dir {
        dir.keep(matches!(&ended, Ended::Suspended { checkpoint: Some(_), .. }));
        // Removing a large spool takes a moment.
        let removal = blocking(move || {
            drop(dir);
            Ok(())
        });
        let _removed = removal.await;
    }
    ended
}

/// Whether the index holds nothing, so that nothing needs to be looked up. A document that does not show yet does no
/// harm: it is written once more.
async fn is_empty<I: IndexPort>(index: &I, spec: &SyncSpec, control: &Control) -> Result<bool, Stop> {
    let brake = Brake::new();
    let counting = ride_out(spec.limits.patience, &brake, || index.count());
    let count = tokio::select! {
        biased;
        () = control.at_least(Request::Suspend) => return Err(control.request().into()),
        count = counting => count,
    };
    let count = count.unwrap_or(Ok(u64::MAX)).map_err(SyncError::from)?;
    Ok(count == 0 && spec.mode == Mode::Run)
}

fn style(spec: &SyncSpec, listing: Listing) -> Style {
    Style {
        pipeline: spec.pipeline.filter(|_| listing != Listing::Identities),
        max_text_document_bytes: spec.limits.max_text_document_bytes,
    }
}

async fn work<I: IndexPort>(
    mut pipeline: Pipeline<'_, I>,
    source: &Source,
    mut cx: Context,
    spec: &SyncSpec,
    listing: Listing,
    dir: Option<&Arc<SpoolDir>>,
    control: &Control,
) -> Ended {
    if listing.is_complete() {
        cx.cursor = None;
    }
    if let Some(checkpoint) = &pipeline.stored {
        cx.cursor = Some(checkpoint.cursor.clone());
    }
    let seed = pipeline.seen.as_ref().map_or_else(random_seed, SeenSpool::seed);
    let preparer = Preparer::new(spec, seed, cx.max_body_bytes);
    pipeline.begin(seed);
    let mut reader = Reader::new(events(spec, listing, source, &cx), preparer);
    let mut outcome = drive(&mut pipeline, &mut reader, control).await;
    // The source may hold connections; it is not needed any more.
    drop(reader);
    keep_letters(&mut pipeline, outcome.is_ok(), control).await;
    if !matches!(outcome, Err(Stop::Canceled | Stop::Failed(_)))
        && let Err(error) = pipeline.store_last().await
    {
        outcome = Err(SyncError::spool(&error).into());
    }
    if outcome.is_ok() {
        outcome = complete(&mut pipeline, dir, spec, control).await;
        keep_letters(&mut pipeline, outcome.is_ok(), control).await;
    }
    tracing::debug!(peak = pipeline.peak_bytes(), "largest memory of the stages in bytes");
    let (report, checkpoint) = settle(pipeline);
    match outcome {
        Ok(()) => Ended::Completed(report),
        Err(stop) => ended(stop, report, checkpoint),
    }
}

/// Keeps the dead letters that are not kept yet; a request to stop ends the patience.
async fn keep_letters<I: IndexPort>(pipeline: &mut Pipeline<'_, I>, goes_on: bool, control: &Control) {
    tokio::select! {
        biased;
        () = control.at_least(Request::Suspend), if goes_on => pipeline.keep_letters(false).await,
        () = pipeline.keep_letters(goes_on) => {}
    }
}

/// What is read of the source: nothing where there is nothing to retry.
fn events<'a>(
    spec: &SyncSpec,
    listing: Listing,
    source: &'a Source,
    cx: &'a Context,
) -> BoxStream<'a, tributary_sdk::Result<Event>> {
    let idle = spec.letters.as_ref().is_some_and(|letters| letters.retry && letters.known.is_empty());
    if idle { futures::stream::empty().boxed() } else { listing.open(source, cx) }
}

/// What is left to do once everything that was listed is settled.
async fn complete<I: IndexPort>(
    pipeline: &mut Pipeline<'_, I>,
    dir: Option<&Arc<SpoolDir>>,
    spec: &SyncSpec,
    control: &Control,
) -> Result<(), Stop> {
    if let Some(error) = &pipeline.incomplete {
        let SyncError { kind, message, hint } = SyncError::source(error);
        let message = format!("a part of the source could not be listed, so nothing was deleted: {message}");
        return Err(SyncError { kind, message, hint }.into());
    }
    if spec.keeps_leftovers {
        return Ok(());
    }
    match dir {
        Some(dir) => leftovers::remove(pipeline, Arc::clone(dir), &spec.delete_guard, control).await?,
        None if spec.retries() => {
            let undeleted = pipeline.account.letters.undeleted();
            leftovers::remove_these(pipeline, undeleted, control).await?;
        }
        // A listing of changes says nothing about the rest.
        None => return Ok(()),
    }
    pipeline.account.letters.all_listed(pipeline.went_on);
    Ok(())
}

fn report(progress: &Progress, account: Account<'_>) -> Report {
    let letters = account.letters.kept();
    let warnings = account.letters.warnings();
    let figures = progress.snapshot();
    Report { figures, letters, warnings, refusals: account.into_refusals(), ..Report::default() }
}

/// The report, and the checkpoint to go on from.
fn settle<I: IndexPort>(pipeline: Pipeline<'_, I>) -> (Report, Option<Checkpoint>) {
    let mut report = report(pipeline.progress, pipeline.account);
    let stable = pipeline.checkpoints.stable().map(|mark| &mark.cursor);
    report.cursor = stable.or(pipeline.stored.as_ref().map(|checkpoint| &checkpoint.cursor)).cloned();
    report.plan = pipeline.plan;
    if report.figures.duplicates > 0 {
        let again = report.figures.duplicates;
        report
            .warnings
            .push(format!("the source listed documents more than once ({again} times); the last one counts"));
    }
    if pipeline.unanswered > 0 {
        let requests = pipeline.unanswered;
        report.warnings.push(format!(
            "{requests} bulk requests were given up before they were answered: the index may hold more than the \
             figures say"
        ));
    }
    (report, pipeline.stored)
}

fn ended(stop: Stop, report: Report, checkpoint: Option<Checkpoint>) -> Ended {
    match stop {
        Stop::Suspended => Ended::Suspended { report, checkpoint },
        Stop::Canceled => Ended::Canceled(report),
        Stop::Failed(error) => Ended::Failed { report, error },
    }
}
