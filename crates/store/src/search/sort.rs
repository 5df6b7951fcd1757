//! Sorting: the keys of documents, comparable as whole numbers within a segment and as values across segments.

use std::cmp::Ordering;

use serde_json::{Value, json};
use tantivy::columnar::{Column, DynamicColumn, StrColumn, TermOrdHit};
use tantivy::{DocId, SegmentReader};

use super::request::{Missing, SortKey, SortMode};
use crate::dates::DateFormats;
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::indexing::search_error;
use crate::mapping::{FieldType, Leaf, Mapping, Storage};
use crate::query::{column_of, open_column, scalar_text};

/// What a sort key reads.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Score,
    /// The place of the document in the view.
    Place,
    /// `narrow`: of 32 bits or fewer, of which the greatest value stands for nothing.
    Int {
        column: String,
        narrow: bool,
    },
    Float {
        column: String,
        single: bool,
    },
    Text(String),
}

/// A sort key for one index.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    source: Source,
    pub(super) descending: bool,
    missing: Missing,
    mode: SortMode,
    /// How dates are shown.
    formats: Option<DateFormats>,
    field: String,
}

/// A sort value that is comparable across indices.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SortValue {
    /// No text, sorted before all others.
    First,
    Int(i64),
    Float {
        value: f64,
        single: bool,
    },
    Text(String),
    /// No text, sorted after all others.
    Last,
}

fn fielddata_error(leaf: &Leaf, index: &str) -> StoreError {
    StoreError::illegal(format!(
        "Fielddata is disabled on [{0}] in [{index}]. Text fields are not optimised for operations that require per-document \
         field data like aggregations and sorting, so these operations are disabled by default. Please use a keyword field \
         instead. Alternatively, set fielddata=true on [{0}] in order to load field data by uninverting the inverted index. \
         Note that this can use significant memory.",
        leaf.path
    ))
}

/// The column a field is sorted and aggregated by.
pub(crate) fn value_column(leaf: &Leaf, index: &str) -> Result<String> {
    match leaf.ty.storage() {
        Storage::Text => Err(fielddata_error(leaf, index)),
        Storage::Nothing => Err(StoreError::illegal(format!(
            "Can't load fielddata on [{}] because fielddata is unsupported on fields of type [{}]. Use doc values instead.",
            leaf.path,
            leaf.ty.name()
        ))),
        _ if !leaf.doc_values => Err(StoreError::illegal(format!(
            "Can't load fielddata on [{}] because fielddata is unsupported on fields of type [{}]. Use doc values instead.",
            leaf.path,
            leaf.ty.name()
        ))),
        _ => Ok(column_of(leaf)),
    }
}

/// The plans of some keys, by score when there are none.
pub(crate) fn plans(keys: &[SortKey], mapping: &Mapping, index: &str) -> Result<Vec<Plan>> {
    if keys.is_empty() {
        return Ok(vec![Plan::by_score()]);
    }
    keys.iter().map(|key| Plan::new(key, mapping, index)).collect()
}

impl Plan {
    pub(super) fn new(key: &SortKey, mapping: &Mapping, index: &str) -> Result<Self> {
        let mut plan = Self {
            source: Source::Place,
            descending: key.descending,
            missing: key.missing.clone(),
            mode: key.mode.unwrap_or(if key.descending { SortMode::Max } else { SortMode::Min }),
            formats: None,
            field: key.field.clone(),
        };
        plan.source = match key.field.as_str() {
            "_score" => Source::Score,
            "_doc" | "_shard_doc" => Source::Place,
            "_seq_no" => Source::Int { column: "s".to_owned(), narrow: false },
            "_id" => {
                return Err(StoreError::illegal(
                    "Fielddata access on the _id field is disallowed, you can re-enable it by updating the dynamic cluster \
                     setting: indices.id_field_data.enabled",
                ));
            }
            field => match mapping.find(field) {
                Some(leaf) => {
                    if leaf.ty.is_date() {
                        plan.formats = match &key.format {
                            None => None,
                            Some(spec) => Some(DateFormats::parse_spec(spec).map_err(StoreError::illegal)?),
                        };
                    }
                    source_of(leaf.ty, value_column(leaf, index)?)
                }
                None => match &key.unmapped_type {
                    None => {
                        let reason = format!("No mapping found for [{field}] in order to sort on");
                        return Err(StoreError::new(ErrorKind::QueryShard, reason));
                    }
                    Some(name) => {
                        let unknown = || StoreError::illegal(format!("No mapper found for type [{name}]"));
                        source_of(FieldType::parse(name).ok_or_else(unknown)?, "n.none".to_owned())
                    }
                },
            },
        };
        let averages = matches!(key.mode, Some(SortMode::Avg | SortMode::Median | SortMode::Sum));
        if averages && matches!(plan.source, Source::Text(_)) {
            let reason = "we only support AVG, MEDIAN and SUM on number based fields";
            return Err(StoreError::new(ErrorKind::QueryShard, reason));
        }
        Ok(plan)
    }

    /// By score, best first.
    pub(super) fn by_score() -> Self {
        Self {
            source: Source::Score,
            descending: true,
            missing: Missing::Last,
            mode: SortMode::Min,
            formats: None,
            field: "_score".to_owned(),
        }
    }

    pub(super) fn needs_score(&self) -> bool {
        self.source == Source::Score
    }

    /// Whether documents come in the view's own order.
    pub(super) fn is_place(&self) -> bool {
        self.source == Source::Place && !self.descending
    }

    /// Opens the key for a segment whose first document has this place.
    pub(super) fn open(&self, segment: &SegmentReader, base: u64) -> Result<SegmentKey> {
        let open = |name: &str| open_column(segment, name).map_err(|error| search_error(&error));
        let reader = match &self.source {
            Source::Score => Reader::Score,
            Source::Place => Reader::Place(base),
            Source::Int { column: name, .. } => Reader::Int(open(name)?.and_then(as_int)),
            Source::Float { column, .. } => Reader::Float(open(column)?.and_then(as_float)),
            Source::Text(name) => Reader::Text(match open(name)? {
                Some(DynamicColumn::Str(column)) => Some(column),
                _ => None,
            }),
        };
        let missing = self.encoded_missing(&reader)?;
        Ok(SegmentKey { reader, descending: self.descending, mode: self.mode, missing })
    }

    /// Where documents without a value are, already in the order's direction.
    fn encoded_missing(&self, reader: &Reader) -> Result<u64> {
        let last = match self.missing {
            Missing::Last => true,
            Missing::First => false,
            Missing::Value(ref value) => {
                let value = self.parse(value).map_err(|_| {
                    StoreError::illegal(format!(
                        "Failed to parse the missing value of the sort on [{}].",
                        self.field
                    ))
                })?;
                return Ok(directed(reader.encode(&value)?, self.descending));
            }
        };
        Ok(match reader {
            // The greatest value of the type stands for nothing, and is shown, as in Elasticsearch.
            Reader::Int(_) => {
                let narrow = matches!(self.source, Source::Int { narrow: true, .. });
                directed(int_code(extreme(narrow, last == self.descending)), self.descending)
            }
            Reader::Float(_) => {
                let value = if last == self.descending { f64::NEG_INFINITY } else { f64::INFINITY };
                directed(float_code(value), self.descending)
            }
            _ if last => u64::MAX,
            _ => 0,
        })
    }

    /// Reads a value given for this key (`search_after`, `missing`).
    fn parse(&self, value: &Value) -> Result<SortValue> {
        let bad = |es_type: &str, text: &str| {
            StoreError::illegal(format!("Failed to parse search_after value for field [{}].", self.field))
                .because(Cause::new(es_type, format!("For input string: \"{text}\"")))
        };
        let text = scalar_text(value);
        match &self.source {
            Source::Int { narrow, .. } => {
                if value.is_null() {
                    return Ok(SortValue::Int(extreme(*narrow, self.descending)));
                }
                let parsed = text.parse::<i64>().ok().or_else(|| match value {
                    Value::Bool(on) => Some(i64::from(*on)),
                    Value::Number(number) => number.as_f64().map(|n| n as i64),
                    _ => self.formats.clone().unwrap_or_default().parse(&text, false, 0),
                });
                parsed.map(SortValue::Int).ok_or_else(|| bad("number_format_exception", &text))
            }
            Source::Place => {
                text.parse::<i64>().map(SortValue::Int).map_err(|_| bad("number_format_exception", &text))
            }
            Source::Score => text
                // As shown, which is in single precision.
                .parse::<f32>()
                .map(|value| SortValue::Float { value: f64::from(value), single: true })
                .map_err(|_| bad("number_format_exception", &text)),
            Source::Float { single, .. } => {
                let number = match text.as_str() {
                    "Infinity" => Some(f64::INFINITY),
                    "-Infinity" => Some(f64::NEG_INFINITY),
                    other => other.parse::<f64>().ok().map(|n| if *single { f64::from(n as f32) } else { n }),
                };
                let value = number.ok_or_else(|| bad("number_format_exception", &text))?;
                Ok(SortValue::Float { value, single: *single })
            }
            Source::Text(_) => Ok(match value {
                Value::Null if self.missing == Missing::First => SortValue::First,
                Value::Null => SortValue::Last,
                _ => SortValue::Text(text),
            }),
        }
    }

    /// A `search_after` value in a segment's terms.
    pub(super) fn after(&self, key: &SegmentKey, value: &Value) -> Result<u64> {
        Ok(match self.parse(value)? {
            SortValue::First => 0,
            SortValue::Last => u64::MAX,
            parsed => directed(key.reader.encode(&parsed)?, self.descending),
        })
    }

    /// The value behind a code.
    pub(super) fn decode(&self, key: &SegmentKey, code: u64) -> Result<SortValue> {
        let raw = directed(code, self.descending);
        Ok(match (&self.source, &key.reader) {
            (Source::Text(_), Reader::Text(column)) => {
                if code == u64::MAX || code == 0 {
                    return Ok(match &self.missing {
                        Missing::First => SortValue::First,
                        Missing::Last => SortValue::Last,
                        Missing::Value(value) => SortValue::Text(scalar_text(value)),
                    });
                }
                if raw % 2 == 1 {
                    let Missing::Value(value) = &self.missing else { return Ok(SortValue::Last) };
                    return Ok(SortValue::Text(scalar_text(value)));
                }
                let mut text = String::new();
                if let Some(column) = column {
                    column
                        .ord_to_str(raw / 2 - 1, &mut text)
                        .map_err(|error| crate::kv::io_error(&error, "search".as_ref()))?;
                }
                SortValue::Text(text)
            }
            (Source::Int { .. }, _) => SortValue::Int((raw ^ (1 << 63)) as i64),
            (Source::Place, _) => SortValue::Int(i64::try_from(raw).unwrap_or(i64::MAX)),
            (Source::Float { single, .. }, _) => SortValue::Float { value: float_of(raw), single: *single },
            (Source::Score, _) => SortValue::Float { value: float_of(raw), single: true },
            (Source::Text(_), _) => SortValue::Last,
        })
    }

    /// A value as it is shown in a hit.
    pub(super) fn show(&self, value: &SortValue) -> Value {
        match value {
            SortValue::First | SortValue::Last => Value::Null,
            SortValue::Int(number) => match &self.formats {
                Some(_) if *number == i64::MAX || *number == i64::MIN => Value::Null,
                Some(formats) => json!(formats.format(*number)),
                None => json!(number),
            },
            SortValue::Float { value, .. } if value.is_infinite() => {
                json!(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            SortValue::Float { value, single: true } => single_value(*value),
            SortValue::Float { value, .. } => json!(value),
            SortValue::Text(text) => json!(text),
        }
    }

    /// The order of two values, the direction included.
    pub(super) fn compare(&self, a: &SortValue, b: &SortValue) -> Ordering {
        let order = match (a, b) {
            (SortValue::Int(a), SortValue::Int(b)) => a.cmp(b),
            (SortValue::Float { value: a, .. }, SortValue::Float { value: b, .. }) => a.total_cmp(b),
            (SortValue::Int(a), SortValue::Float { value: b, .. }) => (*a as f64).total_cmp(b),
            (SortValue::Float { value: a, .. }, SortValue::Int(b)) => a.total_cmp(&(*b as f64)),
            (SortValue::Text(a), SortValue::Text(b)) => a.cmp(b),
            (a, b) => return rank(a).cmp(&rank(b)),
        };
        if self.descending { order.reverse() } else { order }
    }
}

fn rank(value: &SortValue) -> u8 {
    match value {
        SortValue::First => 0,
        SortValue::Int(_) | SortValue::Float { .. } => 1,
        SortValue::Text(_) => 2,
        SortValue::Last => 3,
    }
}

/// A single precision number in its own shortest form.
pub(crate) fn single_value(value: f64) -> Value {
    let text = (value as f32).to_string();
    text.parse::<f64>().map_or_else(|_| json!(value), |number| json!(number))
}

fn source_of(ty: FieldType, column: String) -> Source {
    match ty.storage() {
        Storage::Int => {
            let narrow = matches!(ty, FieldType::Integer | FieldType::Short | FieldType::Byte);
            Source::Int { column, narrow }
        }
        Storage::Float => {
            let single = matches!(ty, FieldType::Float | FieldType::HalfFloat);
            Source::Float { column, single }
        }
        _ => Source::Text(column),
    }
}

/// The least or greatest value of a type.
fn extreme(narrow: bool, least: bool) -> i64 {
    match (narrow, least) {
        (true, true) => i64::from(i32::MIN),
        (true, false) => i64::from(i32::MAX),
        (false, true) => i64::MIN,
        (false, false) => i64::MAX,
    }
}

/// Reverses a code for descending order.
fn directed(code: u64, descending: bool) -> u64 {
    if descending { !code } else { code }
}

fn int_code(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

fn float_code(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn float_of(code: u64) -> f64 {
    f64::from_bits(if code >> 63 == 1 { code & !(1 << 63) } else { !code })
}

/// A column of whole numbers.
pub(crate) enum IntColumn {
    Signed(Column<i64>),
    Unsigned(Column<u64>),
}

fn as_int(column: DynamicColumn) -> Option<IntColumn> {
    match column {
        DynamicColumn::I64(column) => Some(IntColumn::Signed(column)),
        DynamicColumn::U64(column) => Some(IntColumn::Unsigned(column)),
        _ => None,
    }
}

fn as_float(column: DynamicColumn) -> Option<Column<f64>> {
    match column {
        DynamicColumn::F64(column) => Some(column),
        _ => None,
    }
}

enum Reader {
    Score,
    Place(u64),
    Int(Option<IntColumn>),
    Float(Option<Column<f64>>),
    Text(Option<StrColumn>),
}

impl Reader {
    /// A value's code, without direction. Texts the segment lacks get a code between their neighbours'.
    fn encode(&self, value: &SortValue) -> Result<u64> {
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
    reader: Reader,
    descending: bool,
    mode: SortMode,
    missing: u64,
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
