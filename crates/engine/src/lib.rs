//! One sync: read, filter, compare, fetch bodies, send, confirm, delete. No Elasticsearch, only ports.
//!
//! [`sync`] takes a connected source and an index behind [`IndexPort`] and makes the index equal to the source, in
//! flat memory and right under every fault; [`SyncSpec`] says how, [`Progress`] tells how far it is, [`Control`]
//! stops it, and [`Ended`] is the only way it comes back. The stages and every ending are described in
//! `docs/sync-engine.md`.

mod account;
mod backoff;
mod batch;
mod bodies;
mod checkpoints;
mod control;
mod driver;
mod encode;
mod fingerprint;
mod guard;
mod json;
mod ledger;
mod leftovers;
mod letters;
mod lookup;
mod monitor;
mod order;
mod outbox;
mod pace;
mod pipeline;
mod port;
mod prepare;
mod progress;
mod reader;
mod redact;
mod report;
mod sender;
mod spec;
mod spool;
mod sync;

pub use batch::{Batch, OpKind, OpRef};
pub use control::{Control, Request};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use letters::{DeadLetter, DeadLetters, KnownLetter, LetterNote, Letters};
pub use port::{BulkAck, IndexPort, ItemAck, ItemError, ItemResult, Known, PortError, PortErrorKind};
pub use progress::{Figures, Phase, Progress};
pub use report::{Ended, Plan, Refusal, Refusals, Report, SyncError, SyncErrorKind};
pub use spec::{
    Checkpoint, DeleteGuard, ErrorLimits, Extraction, Limits, Mode, PipelineFlags, Resume, Rules, SyncKind,
    SyncSpec, TextExtractor,
};
pub use spool::sweep_spools;
pub use sync::sync;
