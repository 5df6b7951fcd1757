/// The bytes a sync holds, in all stages together.
///
/// One loop owns every stage, so this is a plain number: nothing can wait for bytes that only itself would free.
/// Two rules keep it bounded and moving: reading stops at the limit (at half of it while contents wait for their
/// turn), and a content starts when it fits or when no other is on its way.
#[derive(Debug)]
pub(crate) struct Ledger {
    used: usize,
    limit: usize,
    peak: usize,
}

impl Ledger {
    pub(crate) fn new(limit: usize) -> Self {
        Self { used: 0, limit, peak: 0 }
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.used += bytes;
        self.peak = self.peak.max(self.used);
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "more bytes came back than were taken");
        self.used = self.used.saturating_sub(bytes);
    }

    /// Bytes that may be read now; 0 means: do not read.
    pub(crate) fn reading_allowance(&self, contents_wait: bool) -> usize {
        let limit = if contents_wait { self.limit / 2 } else { self.limit };
        limit.saturating_sub(self.used)
    }

    /// Whether a content of `bytes` may be fetched while `running` others are.
    pub(crate) fn content_may_start(&self, bytes: usize, running: usize) -> bool {
        running == 0 || self.used + bytes <= self.limit
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
