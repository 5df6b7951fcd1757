/// A content of this part of the limit is small: as many as are fetched at once change little.
const SMALL: usize = 64;

/// The bytes a sync holds, in all stages together.
///
/// One loop owns every stage, so this is a plain number: nothing can wait for bytes that only itself would free.
/// Three rules keep it bounded and moving: reading stops at the limit (at half of it while contents wait for their
/// turn), a content starts when it fits, when it is small or when no other is on its way, and an eighth beyond the
/// limit is left to documents when contents hold the rest, since a content may take long to come.
#[derive(Debug)]
pub(crate) struct Ledger {
    used: usize,
    /// What of it is set aside for contents that are being fetched.
    contents: usize,
    limit: usize,
    peak: usize,
}

impl Ledger {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: 0, contents: 0, limit, peak: 0 }
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.used += bytes;
        self.peak = self.peak.max(self.used);
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "more bytes came back than were taken");
        self.used = self.used.saturating_sub(bytes);
    }

    /// Sets bytes aside for a content.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.contents += bytes;
        self.take(bytes);
    }

    /// A content came: what was set aside for it is free.
    pub(crate) fn release(&mut self, bytes: usize) {
        self.contents = self.contents.saturating_sub(bytes);
        self.give_back(bytes);
    }

    /// Bytes that may be read now; 0 means: do not read.
    pub(crate) fn reading_allowance(&self, contents_wait: bool) -> usize {
        let limit = if contents_wait { self.limit / 2 } else { self.limit };
        let documents = self.used.saturating_sub(self.contents);
        limit.saturating_sub(self.used).max((self.limit / 8).saturating_sub(documents))
    }

    /// Whether a content of `bytes` may be fetched while `running` others are. Small ones always may: the documents
    /// that wait for them may be what fills the memory beside one that is slow.
    pub(crate) fn content_may_start(&self, bytes: usize, running: usize) -> bool {
        running == 0 || bytes <= self.limit / SMALL || self.used + bytes <= self.limit
    }

    /// Most bytes ever held.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_leaves_half_to_contents_that_wait() {
        let mut ledger = Ledger::new(100);
        ledger.take(40);
        assert_eq!((ledger.reading_allowance(false), ledger.reading_allowance(true)), (60, 10));
        ledger.take(20);
        assert_eq!((ledger.reading_allowance(false), ledger.reading_allowance(true)), (40, 0));
    }

    #[test]
    fn contents_that_take_long_never_stop_reading() {
        let mut ledger = Ledger::new(80);
        ledger.reserve(80);
        assert_eq!(ledger.reading_allowance(true), 10);
        ledger.take(10);
        assert_eq!(ledger.reading_allowance(true), 0);
        ledger.release(80);
        assert_eq!(ledger.reading_allowance(true), 30);
    }

    #[test]
    fn one_oversized_content_passes_alone() {
        let mut ledger = Ledger::new(100);
        ledger.take(90);
        assert!(ledger.content_may_start(1000, 0));
        assert!(!ledger.content_may_start(1000, 1));
        assert!(ledger.content_may_start(10, 1));
        ledger.give_back(90);
        assert_eq!((ledger.used, ledger.peak()), (0, 90));
    }
}
