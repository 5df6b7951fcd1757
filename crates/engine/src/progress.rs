use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The numbers of one job. Written, deleted and failed documents are counted when the index answered, never
        /// when they were sent.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Figures { $($(#[$doc])* pub $name: u64),* }

        /// The numbers of a running sync; read them at any time with [`Progress::snapshot`].
        #[derive(Debug, Default)]
        pub struct Progress {
            phase: AtomicU8,
            restored: OnceLock<Figures>,
            waits_for_source: AtomicBool,
            in_source: AtomicBool,
            heard_of_source: AtomicU64,
            $($name: AtomicU64),*
        }

        impl Progress {
            /// The numbers at this moment.
            #[must_use]
            pub fn snapshot(&self) -> Figures {
                Figures { $($name: self.$name.load(Ordering::Relaxed)),* }
            }

            /// Starts from the numbers of an earlier attempt.
            pub(crate) fn restore(&self, figures: &Figures) {
                // An attempt goes on at most once.
                let _already = self.restored.set(*figures);
                $(self.$name.store(figures.$name, Ordering::Relaxed);)*
            }

            $(pub(crate) fn $name(&self, more: u64) {
                self.$name.fetch_add(more, Ordering::Relaxed);
            })*
        }
    };
}

figures! {
    /// Documents the source told of, in whatever way (found, skipped, gone).
    listed,
    /// New documents the index acknowledged.
    created,
    /// Replaced documents the index acknowledged.
    updated,
    /// Documents that were left as they are, since nothing about them changed.
    unchanged,
    /// Documents the index acknowledged as deleted.
    deleted,
    /// Documents that were not written for a reason on our side: the source could not read them, their content
    /// could not be fetched, they are too large, or a pipeline dropped them. What is indexed of them stays.
    skipped,
    /// Documents that the sync rules keep out.
    filtered,
    /// Documents that cannot be written: the index refused them, or they are malformed.
    failed,
    /// Documents listed again after the first time; the last one wins. Those far apart are only known at the end
    /// of a full listing.
    duplicates,
    /// Contents fetched.
    bodies,
    /// Bytes of the bulk requests that were answered, as sent.
    wire_bytes,
}

/// What a sync is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not started yet.
    #[default]
    Starting,
    /// Reading the source and writing what changed.
    Reading,
    /// The source is read; what was read is being written.
    Flushing,
    /// Looking for documents of the index that the source no longer has.
    Comparing,
    /// Deleting those.
    Deleting,
    /// Ended.
    Ended,
}

impl Progress {
    /// Progress of a sync that has not started.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What the sync is doing at this moment.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Reading,
            2 => Phase::Flushing,
            3 => Phase::Comparing,
            4 => Phase::Deleting,
            _ => Phase::Ended,
        }
    }

    /// The numbers that an earlier attempt brought, which this one only went on from.
    #[must_use]
    pub fn restored(&self) -> Figures {
        self.restored.get().copied().unwrap_or_default()
    }

    /// How often the source was heard so far, if there is nothing left to do but to wait for it; `None` while there
    /// is. The same number for long: the source hangs.
    #[must_use]
    pub fn waiting_for_source(&self) -> Option<u64> {
        let waits = self.waits_for_source.load(Ordering::Acquire) || self.in_source.load(Ordering::Acquire);
        waits.then(|| self.heard_of_source.load(Ordering::Acquire))
    }

    /// Marks when the source's code has the thread: code that blocks it keeps everything else from going on.
    pub(crate) async fn in_source<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        poll_fn(|cx| {
            self.in_source.store(true, Ordering::Release);
            let polled = call.as_mut().poll(cx);
            self.in_source.store(false, Ordering::Release);
            polled
        })
        .await
    }

    pub(crate) fn waits_for_source(&self, waits: bool) {
        self.waits_for_source.store(waits, Ordering::Release);
    }

    pub(crate) fn heard_of_source(&self) {
        self.heard_of_source.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

impl Figures {
    /// Documents written: the protocol's `indexed_document_count`.
    #[must_use]
    pub fn indexed(&self) -> u64 {
        self.created + self.updated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_job_goes_on_counting() {
        let progress = Progress::new();
        progress.restore(&Figures { created: 7, ..Figures::default() });
        progress.created(2);
        progress.updated(1);
        assert_eq!(progress.snapshot().indexed(), 10);
    }

    #[test]
    fn every_phase_reads_back() {
        let progress = Progress::new();
        for phase in [
            Phase::Starting,
            Phase::Reading,
            Phase::Flushing,
            Phase::Comparing,
            Phase::Deleting,
            Phase::Ended,
        ] {
            progress.enter(phase);
            assert_eq!(progress.phase(), phase);
        }
    }
}
