use std::ops::Range;

use bytes::Bytes;

/// A bulk request: newline-delimited action and source lines without an index name, and what they are.
///
/// No id occurs twice in one batch. Slicing a part for a retry shares the bytes where the part is contiguous.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    payload: Bytes,
    ops: Vec<OpRef>,
}

/// One operation of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpRef {
    /// The document's `_id`.
    pub id: String,
    /// What is done with it.
    pub kind: OpKind,
    /// Where its lines are in [`Batch::payload`].
    pub range: Range<usize>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Creates or fully replaces a document.
    Index,
    /// Deletes a document.
    Delete,
}

impl Batch {
    pub(crate) fn new(payload: Bytes, ops: Vec<OpRef>) -> Self {
        Self { payload, ops }
    }

    /// The request's body; ends with a newline.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The operations, in the order of their lines.
    #[must_use]
    pub fn ops(&self) -> &[OpRef] {
        &self.ops
    }

    /// Number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The lines of one operation.
    #[must_use]
    pub fn lines(&self, op: &OpRef) -> Bytes {
        self.payload.slice(op.range.clone())
    }

    /// Both halves, by number of operations; the first is never shorter than the second.
    #[must_use]
    pub fn halves(mut self) -> (Self, Self) {
        let second = self.ops.split_off(self.ops.len().div_ceil(2));
        let cut = second.first().map_or(self.payload.len(), |op| op.range.start);
        let rest = self.payload.split_off(cut);
        let second = second
            .into_iter()
            .map(|op| OpRef { range: op.range.start - cut..op.range.end - cut, ..op })
            .collect();
        (self, Self { payload: rest, ops: second })
    }

    /// Only the operations whose position `wanted` accepts.
    #[must_use]
    pub fn only(self, wanted: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<OpRef> =
            self.ops.into_iter().enumerate().filter(|(at, _)| wanted(*at)).map(|(_, op)| op).collect();
        let contiguous = kept.windows(2).all(|pair| pair[0].range.end == pair[1].range.start);
        let (Some(first), Some(last)) = (kept.first(), kept.last()) else { return Self::default() };
        if contiguous {
            let (start, end) = (first.range.start, last.range.end);
            let ops = kept
                .into_iter()
                .map(|op| OpRef { range: op.range.start - start..op.range.end - start, ..op })
                .collect();
            return Self { payload: self.payload.slice(start..end), ops };
        }
        let mut payload = Vec::with_capacity(kept.iter().map(|op| op.range.len()).sum());
        let ops = kept
            .into_iter()
            .map(|op| {
                let start = payload.len();
                payload.extend_from_slice(&self.payload[op.range]);
                OpRef { range: start..payload.len(), id: op.id, kind: op.kind }
            })
            .collect();
        Self { payload: payload.into(), ops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(ids: &[&str]) -> Batch {
        let mut payload = Vec::new();
        let ops = ids
            .iter()
            .map(|id| {
                let start = payload.len();
                payload.extend_from_slice(format!("<{id}>\n").as_bytes());
                OpRef { id: (*id).to_owned(), kind: OpKind::Index, range: start..payload.len() }
            })
            .collect();
        Batch::new(payload.into(), ops)
    }

    fn assert_whole(batch: &Batch, ids: &[&str]) {
        assert_eq!(batch.ops().iter().map(|op| op.id.as_str()).collect::<Vec<_>>(), ids);
        for op in batch.ops() {
            assert_eq!(batch.lines(op), format!("<{}>\n", op.id));
        }
        assert_eq!(batch.payload().len(), batch.ops().iter().map(|op| op.range.len()).sum::<usize>());
    }

    #[test]
    fn halves_hold_every_operation_once_in_order() {
        let (first, second) = batch(&["a", "bb", "ccc"]).halves();
        assert_whole(&first, &["a", "bb"]);
        assert_whole(&second, &["ccc"]);
        let (alone, nothing) = batch(&["a"]).halves();
        assert_whole(&alone, &["a"]);
        assert!(nothing.is_empty());
    }

    #[test]
    fn a_part_keeps_the_lines_of_its_operations() {
        assert_whole(&batch(&["a", "bb", "ccc", "d"]).only(|at| at == 1 || at == 2), &["bb", "ccc"]);
        assert_whole(&batch(&["a", "bb", "ccc", "d"]).only(|at| at % 2 == 0), &["a", "ccc"]);
        assert!(batch(&["a"]).only(|_| false).is_empty());
    }
}
