//! Runs one job: claim, prepare, sync, keep alive, end.

mod claim;
mod fence;
mod finish;
mod index;
mod keeper;
mod outcome;
mod prepare;
mod rate;
mod rules;
mod watched;

pub(crate) use claim::Claim;
pub(crate) use fence::Fence;
pub use index::ClusterIndex;
pub(crate) use index::port_error;
pub(crate) use keeper::{Ran, RunControl, dry_run};
pub(crate) use outcome::Outcome;
pub(crate) use prepare::Preparation;
pub use prepare::content_index;
