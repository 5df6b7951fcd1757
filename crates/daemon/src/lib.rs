//! The daemon: observes connectors and jobs, plans, acts, and runs syncs.
//!
//! [`Daemon`] looks at connectors and open jobs (two searches, whatever their number), decides purely what is to be done, and does
//! it in tasks of its own. [`sync_now`] runs one sync in the foreground with the same code. Any number of daemons may
//! share the work: a job is claimed with a lease and a token, and every later write of it is fenced by the token.

mod act;
mod apart;
mod budget;
mod daemon;
mod error;
mod foreground;
mod job_log;
mod lease;
mod letters;
mod memory;
mod metrics;
mod observe;
mod options;
mod plan;
mod redact;
mod rights;
mod run;
mod service;
mod status;

pub use act::validate_rules;
pub use daemon::{Daemon, DaemonHandle};
pub use error::DaemonError;
pub use foreground::{SyncOutcome, SyncRequest, sync_now};
pub use job_log::{JobLogLayer, JobLogs};
pub use letters::{
    DEAD_LETTERS, Letter, LetterFilter, LetterPage, dead_letters, forget_dead_letters, retry_dead_letters,
};
pub use metrics::Metrics;
pub use options::*;
pub use redact::Redactor;
pub use rights::{CONTENT_INDICES, Lacking, MANAGE_CONNECTOR, MONITOR, PROTOCOL_INDICES, READ_PIPELINE};
pub use run::{ClusterIndex, content_index};
pub use status::{DaemonStatus, RunningSync};
