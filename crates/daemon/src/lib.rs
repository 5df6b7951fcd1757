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
mod lease;
mod memory;
mod observe;
mod options;
mod plan;
mod run;
mod service;
mod status;

pub use daemon::Daemon;
pub use error::DaemonError;
pub use foreground::{SyncOutcome, SyncRequest, sync_now};
pub use options::*;
pub use status::{DaemonStatus, RunningSync};
