//! Runs one job: claim, prepare, sync, keep alive, end.

mod claim;
mod fence;
mod finish;
mod index;
mod keeper;
mod outcome;
mod prepare;
mod rules;

pub(crate) use claim::Claim;
pub(crate) use keeper::{Ran, RunControl, dry_run};
pub(crate) use outcome::Outcome;
pub(crate) use prepare::Preparation;
