//! The Connector Protocol's documents, rules and state machines. Pure: no I/O, no async.
//!
//! [`Connector`] and [`SyncJob`] read the documents as anybody may have written them and write back what they do not
//! know. [`request`] reads the bodies of the Connector APIs, [`ops`] says what each of their operations makes of a
//! document; [`filtering`] and [`config`] are the sync rules and the configuration fields.

pub mod config;
mod connector;
mod custom_schedule;
mod enums;
mod error;
pub mod filtering;
mod ids;
mod job;
mod lenient;
pub mod mappings;
pub mod ops;
pub mod request;
pub mod time;

pub use connector::{Connector, Features, Pipeline, ScheduleEntry, Scheduling};
pub use custom_schedule::CustomSchedule;
pub use enums::{ConnectorStatus, JobType, SyncStatus, TriggerMethod};
pub use error::ProtocolError;
pub use ids::{ConnectorId, IndexName, SyncJobId};
pub use job::{JobConnector, SyncJob};
pub use ops::{Change, Outcome};

/// An instant in UTC.
pub type Time = chrono::DateTime<chrono::Utc>;
