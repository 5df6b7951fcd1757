//! How far a sync is: a moving line on a terminal, a plain line now and then otherwise. Always on stderr.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tributary_engine::{Figures, Phase};
use tributary_protocol::SyncJob;

use crate::{output, terminal};

/// Pause between two plain lines.
const PLAIN_PAUSE: Duration = Duration::from_secs(5);
/// Pause between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// All moving lines of the process.
static SCREEN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes something to stderr without tearing a moving line.
pub(crate) fn beside<T>(write: impl FnOnce() -> T) -> T {
    if terminal::stderr_is_one() { SCREEN.suspend(write) } else { write() }
}

/// The progress of one thing.
pub(crate) struct Meter {
    what: String,
    bar: Option<ProgressBar>,
    told: Option<(Instant, String)>,
}

impl Meter {
    /// Begins to show the progress of `what`.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let bar = terminal::stderr_is_one().then(|| {
            let bar = SCREEN.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg} [{elapsed}]") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            bar
        });
        let what = what.into();
        if let Some(bar) = &bar {
            bar.set_prefix(what.clone());
        }
        Self { what, bar, told: None }
    }

    /// Shows a state. A plain line is only printed when it differs from the last and some time has passed.
    pub(crate) fn show(&mut self, state: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(state);
            return;
        }
        let due = self.told.as_ref().is_none_or(|(at, last)| at.elapsed() >= PLAIN_PAUSE && *last != state);
        if due {
            output::note(format!("{}: {state}", self.what));
            self.told = Some((Instant::now(), state));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A running sync in this process, in words.
pub(crate) fn of_sync(phase: Phase, figures: &Figures) -> String {
    let doing = match phase {
        Phase::Starting => "starting",
        Phase::Reading => "reading",
        Phase::Flushing => "writing the rest",
        Phase::Comparing => "looking for what is gone",
        Phase::Deleting => "deleting what is gone",
        Phase::Ended => "ended",
    };
    format!("{doing}, {}", of_figures(figures))
}

/// A sync's numbers in words.
pub(crate) fn of_figures(figures: &Figures) -> String {
    let mut words = vec![
        format!("{} listed", figures.listed),
        format!("{} created", figures.created),
        format!("{} updated", figures.updated),
        format!("{} unchanged", figures.unchanged),
        format!("{} deleted", figures.deleted),
    ];
    for (count, word) in
        [(figures.filtered, "filtered"), (figures.skipped, "skipped"), (figures.failed, "failed")]
    {
        if count > 0 {
            words.push(format!("{count} {word}"));
        }
    }
    words.join(", ")
}

/// A job somewhere, in words.
pub(crate) fn of_job(job: &SyncJob) -> String {
    format!(
        "{}, {} indexed ({}), {} deleted",
        job.status,
        job.indexed_document_count,
        indicatif::HumanBytes(u64::try_from(volume_bytes(job)).unwrap_or(0)),
        job.deleted_document_count
    )
}

/// `indexed_document_volume` counts mebibytes in the protocol.
fn volume_bytes(job: &SyncJob) -> i64 {
    job.indexed_document_volume.saturating_mul(1 << 20)
}
