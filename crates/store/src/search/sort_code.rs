//! Sort values of a segment as numbers that sort alike.

use std::cmp::Ordering;

use tantivy::DocId;
use tantivy::columnar::{Column, DynamicColumn, StrColumn, TermOrdHit};

use super::request::SortMode;
use super::sort::SortValue;
use crate::error::Result;

/// The least or greatest value of a type.
pub(super) fn extreme(narrow: bool, least: bool) -> i64 {
    match (narrow, least) {
        (true, true) => i64::from(i32::MIN),
        (true, false) => i64::from(i32::MAX),
        (false, true) => i64::MIN,
        (false, false) => i64::MAX,
    }
}

/// Reverses a code for descending order.
pub(super) fn directed(code: u64, descending: bool) -> u64 {
    if descending { !code } else { code }
}

pub(super) fn int_code(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

pub(super) fn float_code(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

pub(super) fn float_of(code: u64) -> f64 {
    f64::from_bits(if code >> 63 == 1 { code & !(1 << 63) } else { !code })
}

/// A column of whole numbers.
pub(crate) enum IntColumn {
    Signed(Column<i64>),
    Unsigned(Column<u64>),
}

pub(super) fn as_int(column: DynamicColumn) -> Option<IntColumn> {
    match column {
        DynamicColumn::I64(column) => Some(IntColumn::Signed(column)),
        DynamicColumn::U64(column) => Some(IntColumn::Unsigned(column)),
        _ => None,
    }
}

pub(super) fn as_float(column: DynamicColumn) -> Option<Column<f64>> {
    match column {
        DynamicColumn::F64(column) => Some(column),
        _ => None,
    }
}

pub(super) enum Reader {
    Score,
    Place(u64),
    Int(Option<IntColumn>),
    Float(Option<Column<f64>>),
    Text(Option<StrColumn>),
}

impl Reader {
    /// A value's code, without direction. Texts the segment lacks get a code between their neighbours'.
    pub(super) fn encode(&self, value: &SortValue) -> Result<u64> {
        Ok(match (self, value) {
            (Self::Place(_), SortValue::Int(place)) => u64::try_from(*place).unwrap_or(0),
            (_, SortValue::Int(number)) => int_code(*number),
            (_, SortValue::Float { value, .. }) => float_code(*value),
            (Self::Text(Some(column)), SortValue::Text(text)) => {
                let hit = column.dictionary().term_ord_or_next(text.as_bytes());
                match hit.map_err(|error| crate::kv::io_error(&error, "search".as_ref()))? {
                    TermOrdHit::Exact(ord) => 2 * (ord + 1),
                    TermOrdHit::Next(ord) => 2 * (ord.min(column.num_terms() as u64) + 1) - 1,
                }
            }
            (_, SortValue::Text(_)) => 1,
            (_, SortValue::First) => 0,
            (_, SortValue::Last) => u64::MAX,
        })
    }
}

/// A sort key in one segment.
pub(super) struct SegmentKey {
    pub(super) reader: Reader,
    pub(super) descending: bool,
    pub(super) mode: SortMode,
    pub(super) missing: u64,
}

impl SegmentKey {
    /// The code of a document, smaller coming first.
    pub(super) fn code(&self, doc: DocId, score: f32) -> u64 {
        let raw = match &self.reader {
            Reader::Score => Some(float_code(f64::from(score))),
            Reader::Place(base) => Some(base + u64::from(doc)),
            Reader::Int(column) => {
                column.as_ref().and_then(|column| pick_int(column, doc, self.mode)).map(int_code)
            }
            Reader::Float(column) => {
                column.as_ref().and_then(|column| pick_float(column, doc, self.mode)).map(float_code)
            }
            Reader::Text(column) => column.as_ref().and_then(|column| {
                let ords = column.term_ords(doc);
                let ord = if self.mode == SortMode::Max { ords.max() } else { ords.min() };
                ord.map(|ord| 2 * (ord + 1))
            }),
        };
        raw.map_or(self.missing, |code| directed(code, self.descending))
    }
}

fn pick_int(column: &IntColumn, doc: DocId, mode: SortMode) -> Option<i64> {
    match column {
        IntColumn::Signed(column) => pick(column.values_for_doc(doc), mode, |values| {
            let sum: i128 = values.iter().map(|v| i128::from(*v)).sum();
            let divisor = if mode == SortMode::Avg { values.len() as i128 } else { 1 };
            (sum / divisor).clamp(i64::MIN.into(), i64::MAX.into()) as i64
        }),
        IntColumn::Unsigned(column) => {
            let values = column.values_for_doc(doc).map(|v| i64::try_from(v).unwrap_or(i64::MAX));
            pick(values, mode, |values| values.iter().fold(0i64, |sum, v| sum.saturating_add(*v)))
        }
    }
}

fn pick_float(column: &Column<f64>, doc: DocId, mode: SortMode) -> Option<f64> {
    pick(column.values_for_doc(doc), mode, |values| {
        let sum: f64 = values.iter().sum();
        if mode == SortMode::Avg { sum / values.len() as f64 } else { sum }
    })
}

fn pick<T: PartialOrd + Copy>(
    mut values: impl Iterator<Item = T>,
    mode: SortMode,
    total: impl Fn(&[T]) -> T,
) -> Option<T> {
    let better = |a: T, b: T| if (mode == SortMode::Max) == (b > a) { b } else { a };
    match mode {
        SortMode::Min | SortMode::Max => {
            let first = values.next()?;
            Some(values.fold(first, better))
        }
        SortMode::Sum | SortMode::Avg => {
            let all: Vec<T> = values.collect();
            if all.is_empty() { None } else { Some(total(&all)) }
        }
        SortMode::Median => {
            let mut all: Vec<T> = values.collect();
            all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
            all.get(all.len().saturating_sub(1) / 2).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_the_order_of_numbers() {
        let floats = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-9, 3.0, f64::INFINITY];
        assert!(floats.windows(2).all(|w| float_code(w[0]) <= float_code(w[1])));
        assert!(floats.iter().all(|f| float_of(float_code(*f)) == *f));
        let ints = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(ints.windows(2).all(|w| int_code(w[0]) < int_code(w[1])));
    }

    #[test]
    fn one_of_several_values_is_picked_by_mode() {
        let values = || [3i64, 9, 6].into_iter();
        let sum = |values: &[i64]| values.iter().sum();
        assert_eq!(pick(values(), SortMode::Min, sum), Some(3));
        assert_eq!(pick(values(), SortMode::Max, sum), Some(9));
        assert_eq!(pick(values(), SortMode::Sum, sum), Some(18));
        assert_eq!(pick(values(), SortMode::Median, sum), Some(6));
        assert_eq!(pick(std::iter::empty(), SortMode::Min, sum), None);
    }
}
