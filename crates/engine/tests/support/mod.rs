//! An index in memory with planned faults, and sources made of plain lists.

#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support for tests, of which each binary uses its own part"
)]

mod index;
mod letters;
mod source;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tributary_engine::{
    Control, DeleteGuard, Ended, Figures, Limits, Progress, Report, Rules, SyncSpec, sync,
};
use tributary_sdk::{Context, Source};

pub use index::{Faults, MemoryIndex};
pub use letters::MemoryLetters;
pub use source::{Entry, What, World, assert_expected, expected_after};

/// A sync with small limits, so that few documents go through every stage more than once.
pub fn small(root: &Path) -> SyncSpec {
    SyncSpec {
        limits: Limits {
            in_flight_bytes: 8 << 10,
            batch_bytes: 700,
            batch_items: 4,
            concurrent_bulks: 3,
            concurrent_bodies: 2,
            lookup_chunk: 5,
            concurrent_lookups: 2,
            checkpoint_interval: Duration::ZERO,
            ..Limits::default()
        },
        delete_guard: DeleteGuard { allow_once: true, ..DeleteGuard::default() },
        rules: Some(Arc::new(NoSecrets)),
        ..SyncSpec::new("job", root)
    }
}

/// Keeps documents with the field `excluded` out.
#[derive(Debug)]
pub struct NoSecrets;

impl Rules for NoSecrets {
    fn admits(&self, document: &Map<String, Value>) -> bool {
        !document.contains_key("excluded")
    }
}

pub async fn run(index: &MemoryIndex, source: &Source, spec: SyncSpec) -> Ended {
    sync(index, source, Context::default(), spec, &Progress::new(), &Control::new()).await
}

#[track_caller]
pub fn completed(ended: Ended) -> Report {
    match ended {
        Ended::Completed(report) => report,
        other => panic!("not completed: {other:#?}"),
    }
}

pub fn figures(ended: Ended) -> Figures {
    completed(ended).figures
}
