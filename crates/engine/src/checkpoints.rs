use std::collections::VecDeque;

use tributary_sdk::Cursor;

/// Checkpoints that wait for their documents at most; between them later ones are let go.
const MAX_WAITING: usize = 256;

/// A checkpoint of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) cursor: Cursor,
    /// Documents listed before it.
    pub(crate) position: u64,
    /// Records in the seen spool before it.
    pub(crate) records: u64,
}

/// Where a document stands in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// See [`Checkpoints::enter`].
    pub(crate) epoch: u64,
    /// Its number.
    pub(crate) position: u64,
}

/// Stretch of a listing between two checkpoints.
#[derive(Debug, Default)]
struct Epoch {
    unsettled: u64,
    end: Option<Mark>,
}

/// Tells which checkpoint is stable: all documents before it are settled (acknowledged, left out or refused).
#[derive(Debug)]
pub(crate) struct Checkpoints {
    first: u64,
    epochs: VecDeque<Epoch>,
    stable: Option<Mark>,
    frozen: bool,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { first: 0, epochs: VecDeque::from([Epoch::default()]), stable: None, frozen: false }
    }
}

impl Checkpoints {
    /// A document enters; give the number to [`Checkpoints::settle`].
    pub(crate) fn enter(&mut self) -> u64 {
        if let Some(epoch) = self.epochs.back_mut() {
            epoch.unsettled += 1;
        }
        self.first + self.epochs.len() as u64 - 1
    }

    pub(crate) fn settle(&mut self, epoch: u64) {
        let at = epoch.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(epoch) = at.and_then(|at| self.epochs.get_mut(at)) {
            epoch.unsettled = epoch.unsettled.saturating_sub(1);
        }
        self.advance();
    }

    /// The source passed a checkpoint. Returns whether it was noted: not after a gap, nor when too many wait.
    pub(crate) fn pass(&mut self, mark: Mark) -> bool {
        if self.frozen || self.epochs.len() >= MAX_WAITING {
            return false;
        }
        if let Some(epoch) = self.epochs.back_mut() {
            epoch.end = Some(mark);
        }
        self.epochs.push_back(Epoch::default());
        self.advance();
        true
    }

    /// A part of the source was not listed: no later checkpoint holds.
    pub(crate) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// The last checkpoint whose documents are all settled.
    pub(crate) fn stable(&self) -> Option<&Mark> {
        self.stable.as_ref()
    }

    fn advance(&mut self) {
        while let Some(Epoch { unsettled: 0, end: Some(_) }) = self.epochs.front() {
            self.stable = self.epochs.pop_front().and_then(|epoch| epoch.end);
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mark(n: u64) -> Mark {
        Mark { cursor: Cursor(json!(n)), position: n, records: n }
    }

    fn stable(checkpoints: &Checkpoints) -> Option<u64> {
        checkpoints.stable().map(|mark| mark.position)
    }

    #[test]
    fn a_checkpoint_is_stable_once_everything_before_it_is_settled_in_whatever_order() {
        let mut checkpoints = Checkpoints::default();
        let (a, b) = (checkpoints.enter(), checkpoints.enter());
        checkpoints.pass(mark(1));
        let c = checkpoints.enter();
        checkpoints.pass(mark(2));
        let d = checkpoints.enter();
        checkpoints.settle(c);
        checkpoints.settle(a);
        assert_eq!(stable(&checkpoints), None);
        checkpoints.settle(b);
        assert_eq!(stable(&checkpoints), Some(2));
        checkpoints.pass(mark(3));
        assert_eq!(stable(&checkpoints), Some(2));
        checkpoints.settle(d);
        assert_eq!(stable(&checkpoints), Some(3));
    }

    #[test]
    fn a_checkpoint_before_any_document_is_stable_at_once() {
        let mut checkpoints = Checkpoints::default();
        checkpoints.pass(mark(0));
        assert_eq!(stable(&checkpoints), Some(0));
    }

    #[test]
    fn no_checkpoint_after_a_gap_holds() {
        let mut checkpoints = Checkpoints::default();
        checkpoints.pass(mark(1));
        checkpoints.freeze();
        assert!(!checkpoints.pass(mark(2)));
        assert_eq!(stable(&checkpoints), Some(1));
    }

    #[test]
    fn waiting_checkpoints_are_bounded_and_none_becomes_stable_too_early() {
        let mut checkpoints = Checkpoints::default();
        let slow = checkpoints.enter();
        let mut later = vec![];
        for n in 1..10_000 {
            checkpoints.pass(mark(n));
            later.push(checkpoints.enter());
        }
        assert!(checkpoints.epochs.len() <= MAX_WAITING);
        assert_eq!(stable(&checkpoints), None);
        checkpoints.settle(slow);
        let last = later.pop().unwrap();
        later.into_iter().for_each(|epoch| checkpoints.settle(epoch));
        assert!(stable(&checkpoints).is_some_and(|n| n < 9_999));
        checkpoints.settle(last);
        checkpoints.pass(mark(10_000));
        assert_eq!(stable(&checkpoints), Some(10_000));
    }
}
