//! Does what the plan says, except running jobs.

mod dead;
mod guarded;
mod prune;
mod slot;
mod upkeep;

pub(crate) use dead::figures;
pub(crate) use guarded::{Changed, change_connector};
pub(crate) use slot::no_license;
pub use upkeep::validate as validate_rules;
pub(crate) use upkeep::{UpkeepDone, register};
