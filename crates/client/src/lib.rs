//! Typed client for the Connector Protocol and for the data path; the only user of the official `elasticsearch` crate.
//!
//! [`Client`] is cheap to clone. Control calls (connectors, sync jobs) go through the Connector APIs where the cluster
//! has them, and else write the protocol's documents by the rules of `tributary_protocol`, under `if_seq_no`; reading
//! always reads the documents. Data calls are [`Client::bulk`], [`Client::mget`], [`Client::scan`] and those for
//! indices.
//!
//! Errors are [`ClientError`]; its kind chooses the reaction. Retries, failover and waiting happen here and nowhere
//! else ([`RetryPolicy`]).

mod call;
mod client;
mod control;
mod data;
mod error;
mod fault;
mod hosts;
mod options;
mod probe;
mod retry;
mod secret;
mod stats;
mod wire;

pub use client::Client;
pub use control::*;
pub use data::{
    BulkAnswer, BulkBody, BulkBuilder, BulkError, BulkItem, BulkOp, BulkResult, DocVersion, Hit,
    IndexPrivileges, License, LicenseLevel, MissingPrivileges, PushError,
};
pub use error::{ClientError, ErrorKind, Result};
pub use options::{Auth, ClientOptions, ControlChoice, Gzip, WaitPauses};
pub use probe::{Abilities, Server};
pub use retry::{Repeat, RetryPolicy};
pub use secret::Secret;
pub use stats::{ClientFigures, ClientStats};
