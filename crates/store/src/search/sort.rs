//! Sorting: the keys of documents, comparable as whole numbers within a segment and as values across segments.

use std::cmp::Ordering;

use serde_json::{Value, json};
use tantivy::SegmentReader;
use tantivy::columnar::DynamicColumn;

use super::request::{Missing, SortKey, SortMode};
use super::sort_code::{
    Reader, SegmentKey, as_float, as_int, directed, extreme, float_code, float_of, int_code,
};
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
