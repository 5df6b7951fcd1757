//! The last log lines of each running job, so that they can be kept with the job.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{SecondsFormat, Utc};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;
use tributary_protocol::SyncJobId;

use crate::redact::Redactor;

/// Name of the span that a job's work runs in, and of its field with the job's id.
pub(crate) const JOB_SPAN: &str = "job";
const JOB_FIELD: &str = "job_id";
/// Longest line that is kept, in bytes.
const LONGEST_LINE: usize = 500;

/// Gathers the log lines of running jobs. Install [`JobLogs::layer`] beside the other layers of the process's log.
/// Cheap to clone; all clones hold the same lines.
#[derive(Clone, Debug, Default)]
pub struct JobLogs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    redactor: Redactor,
    open: Mutex<HashMap<String, Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    limit: usize,
    written: u64,
}

impl Lines {
    fn push(&mut self, line: String) {
        if self.kept.len() >= self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
        self.written += 1;
    }
}

impl JobLogs {
    /// No lines; secrets are hidden by `redactor`.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self(Arc::new(Shared { redactor, open: Mutex::default() }))
    }

    /// The layer that fills it.
    #[must_use]
    pub fn layer(&self) -> JobLogLayer {
        JobLogLayer(self.clone())
    }

    /// Begins to keep the last `limit` lines of a job, after those of an earlier attempt.
    pub(crate) fn open(&self, job: &SyncJobId, limit: usize, earlier: Vec<String>) {
        if limit == 0 {
            return;
        }
        let mut lines = Lines { limit, ..Lines::default() };
        earlier.into_iter().for_each(|line| lines.push(line));
        lines.written = 0;
        self.with(|open| open.insert(job.as_str().to_owned(), lines));
    }

    /// The lines kept, where there are others than at `seen`, which moves on.
    pub(crate) fn news(&self, job: &SyncJobId, seen: &mut u64) -> Option<Vec<String>> {
        self.with(|open| {
            let lines = open.get(job.as_str()).filter(|lines| lines.written > *seen)?;
            *seen = lines.written;
            Some(lines.kept.iter().cloned().collect())
        })
    }

    /// Forgets the job's lines.
    pub(crate) fn close(&self, job: &SyncJobId) {
        self.with(|open| open.remove(job.as_str()));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Lines>) -> T) -> T {
        act(&mut self.0.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See [`JobLogs::layer`].
#[derive(Debug)]
pub struct JobLogLayer(JobLogs);

/// Which job a span belongs to.
struct OfJob(String);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for JobLogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() != JOB_SPAN {
            return;
        }
        let mut job = JobName(None);
        attributes.record(&mut job);
        if let (Some(job), Some(span)) = (job.0, context.span(id)) {
            span.extensions_mut().insert(OfJob(job));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        for span in scope {
            let extensions = span.extensions();
            let Some(OfJob(job)) = extensions.get::<OfJob>() else { continue };
            if self.0.with(|open| open.contains_key(job)) {
                let line = self.0.0.redactor.owned(line(event));
                self.0.with(|open| {
                    if let Some(lines) = open.get_mut(job) {
                        lines.push(line);
                    }
                });
            }
            return;
        }
    }
}

struct JobName(Option<String>);

impl Visit for JobName {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == JOB_FIELD {
            self.0 = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == JOB_FIELD {
            self.0 = Some(value.to_owned());
        }
    }
}

fn line(event: &Event<'_>) -> String {
    let mut parts = Parts::default();
    event.record(&mut parts);
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut line = format!("{time} {:>5} {}{}", event.metadata().level(), parts.message, parts.fields);
    if line.len() > LONGEST_LINE {
        let end = (0..=LONGEST_LINE).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

#[derive(Default)]
struct Parts {
    message: String,
    fields: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_jobs_log_holds_its_last_lines_without_secrets_and_none_of_other_jobs() {
        let redactor = Redactor::default();
        redactor.learn(["hunter22"]);
        let logs = JobLogs::new(redactor);
        let job = SyncJobId::from("j".to_owned());
        logs.open(&job, 2, vec!["earlier".to_owned()]);
        let mut seen = 0;
        assert_eq!(logs.news(&job, &mut seen), None, "what was there before is no news");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs.layer()), || {
            tracing::info!("outside");
            tracing::info_span!("job", job_id = "other").in_scope(|| tracing::info!("of another"));
            let span = tracing::info_span!("job", job_id = %job);
            span.in_scope(|| {
                tracing::info!("first");
                tracing::info_span!("inner").in_scope(|| tracing::warn!(password = "hunter22", "second"));
                tracing::info!(count = 3, "third");
            });
        });
        let lines = logs.news(&job, &mut seen).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(" WARN second password=\"***\""), "{lines:?}");
        assert!(lines[1].ends_with(" INFO third count=3"), "{lines:?}");
        assert_eq!(logs.news(&job, &mut seen), None);
        logs.close(&job);
        assert_eq!(logs.news(&job, &mut 0), None);
    }

    #[test]
    fn a_long_line_is_cut() {
        let logs = JobLogs::default();
        let job = SyncJobId::from("j".to_owned());
        logs.open(&job, 5, Vec::new());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs.layer()), || {
            let long = "é".repeat(5000);
            tracing::info_span!("job", job_id = "j").in_scope(|| tracing::info!("{long}"));
        });
        let lines = logs.news(&job, &mut 0).unwrap();
        assert!(lines[0].len() <= LONGEST_LINE + '…'.len_utf8());
    }
}
