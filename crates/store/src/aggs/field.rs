//! The values of a field, as aggregations read them.

use std::cmp::Ordering;

use serde_json::{Value, json};
use tantivy::columnar::{Column, DynamicColumn, StrColumn};
use tantivy::{DocId, SegmentReader};

use super::cx::ValueKind;
use super::request::Kind;
use super::show::{Decimal, Show};
use crate::dates::{DateFormats, resolve_math};
use crate::document::{canonical_ip, ip_number};
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::indexing::search_error;
use crate::mapping::{FieldType, Leaf, Mapping, Storage};
use crate::query::{open_column, scalar_text};
use crate::search::value_column;

/// A value as the key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Int(i64),
    /// What does not fit `Int`.
    Big(u64),
    /// The bits of a fraction.
    Float(u64),
    Text(Box<str>),
}

impl Key {
    pub(super) fn float(value: f64) -> Self {
        // There is one zero.
        Self::Float(if value == 0.0 { 0.0f64 } else { value }.to_bits())
    }

    fn unsigned(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Big(value), Self::Int)
    }

    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Big(number) => Some(*number as f64),
            Self::Float(bits) => Some(f64::from_bits(*bits)),
            Self::Text(_) => None,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Int(number) => json!(number),
            Self::Big(number) => json!(number),
            Self::Float(bits) => json!(f64::from_bits(*bits)),
            Self::Text(text) => json!(text),
        }
    }

    /// Numbers by size, addresses by number, texts by their bytes.
    pub(super) fn compare(&self, other: &Self, addresses: bool) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Big(a), Self::Big(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) if addresses => ip_number(a).cmp(&ip_number(b)),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => a.total_cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            },
        }
    }

    /// The key's own bytes, for counting distinct values.
    pub(super) fn hash(&self) -> u64 {
        use xxhash_rust::xxh3::xxh3_64;
        match self {
            Self::Int(number) => xxh3_64(&number.to_le_bytes()),
            Self::Big(number) => xxh3_64(&number.to_le_bytes()),
            Self::Float(bits) => xxh3_64(&bits.to_le_bytes()),
            Self::Text(text) => xxh3_64(text.as_bytes()),
        }
    }
}

/// Where the values are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// The index does not have the field.
    Unmapped,
    Column(String),
    /// One key of a flattened object.
    Keyed {
        column: String,
        prefix: String,
    },
    /// The index's name.
    Index(String),
}

/// A field in one index.
#[derive(Debug)]
pub(super) struct Field {
    source: Source,
    pub(super) ty: Option<FieldType>,
    formats: DateFormats,
}

impl Field {
    /// Finds a field.
    ///
    /// # Errors
    /// When its values cannot be read at all.
    pub(super) fn find(name: &str, mapping: &Mapping, index: &str) -> Result<Self> {
        let plain = |source, ty| Self { source, ty, formats: DateFormats::default() };
        if let Some(leaf) = mapping.find(name) {
            let source = Source::Column(value_column(leaf, index)?);
            return Ok(Self { source, ty: Some(leaf.ty), formats: leaf.formats.clone() });
        }
        Ok(match name {
            "_index" => plain(Source::Index(index.to_owned()), Some(FieldType::Keyword)),
            "_seq_no" => plain(Source::Column("s".to_owned()), Some(FieldType::Long)),
            "_id" => {
                return Err(StoreError::illegal(
                    "Fielddata access on the _id field is disallowed, you can re-enable it by updating the dynamic cluster \
                     setting: indices.id_field_data.enabled",
                ));
            }
            _ => match mapping.find_flattened(name) {
                Some((leaf, key)) => plain(keyed(leaf, key), Some(FieldType::Keyword)),
                None => plain(Source::Unmapped, None),
            },
        })
    }

    pub(super) fn is_mapped(&self) -> bool {
        self.source != Source::Unmapped
    }

    /// Whether its values are texts.
    pub(super) fn is_text(&self) -> bool {
        self.ty.is_some_and(|ty| matches!(ty.storage(), Storage::Keyword | Storage::Flattened))
    }

    /// What its values are.
    pub(super) fn value_kind(&self) -> ValueKind {
        match self.ty {
            _ if !self.is_mapped() => ValueKind::Unmapped,
            Some(FieldType::Ip) => ValueKind::Text,
            _ if self.is_text() => ValueKind::Text,
            _ if self.is_float() => ValueKind::Fraction,
            _ => ValueKind::Whole,
        }
    }

    fn is_float(&self) -> bool {
        self.ty.is_some_and(|ty| ty.storage() == Storage::Float)
    }

    /// Whether its fractions have single precision.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.ty, Some(FieldType::Float | FieldType::HalfFloat))
    }

    /// Refuses texts where numbers are wanted.
    pub(super) fn check(&self, name: &str, kind: &Kind) -> Result<()> {
        match self.ty {
            Some(ty) if self.is_text() && kind.wants_numbers() => Err(StoreError::illegal(format!(
                "Field [{name}] of type [{}] is not supported for aggregation [{}]",
                ty.name(),
                kind.name()
            ))),
            _ => Ok(()),
        }
    }

    /// How values are shown under a `format` and a zone.
    pub(super) fn show(&self, kind: &Kind) -> Result<Show> {
        let Some(values) = kind.values() else { return Ok(Show::Raw) };
        let zone = values.zone.unwrap_or_default();
        let wants_dates = self.ty.is_none() && kind.name().starts_with("date_");
        let is_date = self.ty.is_some_and(FieldType::is_date) || wants_dates;
        Ok(match (&values.format, self.ty) {
            (Some(spec), _) if is_date => {
                Show::Date(DateFormats::parse_spec(spec).map_err(StoreError::illegal)?, zone)
            }
            (None, _) if is_date => Show::Date(self.formats.clone(), zone),
            (_, Some(FieldType::Boolean)) => Show::Boolean,
            (Some(pattern), Some(ty)) if ty.is_number() => {
                Decimal::parse(pattern).map_or(Show::Raw, Show::Decimal)
            }
            _ => Show::Raw,
        })
    }

    /// Reads a value given in a request, as a number of the field's type.
    pub(super) fn number(&self, value: &Value, show: &Show, now_ms: i64) -> Result<f64> {
        let text = scalar_text(value);
        if let (Show::Date(formats, zone), Value::String(_)) = (show, value) {
            let millis = resolve_math(formats, &text, now_ms, false, *zone).map_err(|reason| {
                let reason = format!("{reason}: [{reason}]");
                StoreError::new(ErrorKind::DateParse, reason.clone())
                    .because(Cause::new("illegal_argument_exception", reason))
            })?;
            return Ok(millis as f64);
        }
        let parsed = match (self.ty, text.as_str()) {
            (Some(FieldType::Boolean), "true") => Some(1.0),
            (Some(FieldType::Boolean), "false") => Some(0.0),
            _ => text.trim().parse::<f64>().ok(),
        };
        parsed
            .ok_or_else(|| StoreError::new(ErrorKind::NumberFormat, format!("For input string: \"{text}\"")))
    }

    /// Reads a value given in a request, as a key of the field's type.
    pub(super) fn key(&self, value: &Value, show: &Show, now_ms: i64) -> Result<Key> {
        let text = || scalar_text(value);
        if self.ty.is_none() && value.is_string() {
            return Ok(Key::Text(text().into()));
        }
        if self.is_text() {
            let plain = text();
            let canonical = if self.ty == Some(FieldType::Ip) { canonical_ip(&plain) } else { None };
            return Ok(Key::Text(canonical.unwrap_or(plain).into()));
        }
        if self.is_float() || (self.ty.is_none() && value.is_f64()) {
            let number = self.number(value, show, now_ms)?;
            return Ok(Key::float(if self.is_single() { f64::from(number as f32) } else { number }));
        }
        if let Ok(number) = text().parse::<i64>() {
            return Ok(Key::Int(number));
        }
        if let Ok(number) = text().parse::<u64>() {
            return Ok(Key::Big(number));
        }
        Ok(Key::Int(self.number(value, show, now_ms)? as i64))
    }

    /// Opens the field's values in a segment.
    pub(super) fn open(&self, segment: &SegmentReader) -> Result<Opened> {
        let open = |name: &str| open_column(segment, name).map_err(|error| search_error(&error));
        let float = self.is_float();
        let kind = match &self.source {
            Source::Unmapped => Values::Nothing,
            Source::Index(name) => Values::Constant(name.as_str().into()),
            Source::Column(name) => match open(name)? {
                Some(DynamicColumn::I64(column)) => Values::Int(column),
                Some(DynamicColumn::U64(column)) => Values::Unsigned(column),
                Some(DynamicColumn::F64(column)) => Values::Float(column),
                Some(DynamicColumn::Str(column)) => Values::Text { ords: 0..u64::MAX, skip: 0, column },
                _ => Values::Nothing,
            },
            Source::Keyed { column, prefix } => match open(column)? {
                Some(DynamicColumn::Str(column)) => {
                    let mut end = prefix.clone().into_bytes();
                    // The prefix ends with a zero byte; what follows it begins with one.
                    end.pop();
                    end.push(1);
                    let ords = ord_at(&column, prefix.as_bytes())?..ord_at(&column, &end)?;
                    Values::Text { ords, skip: prefix.len(), column }
                }
                _ => Values::Nothing,
            },
        };
        Ok(Opened { kind, float })
    }
}

fn keyed(leaf: &Leaf, key: &str) -> Source {
    // Values with their keys are terms whatever the field's own settings are.
    Source::Keyed { column: format!("k.{}", leaf.keyed), prefix: format!("{key}\0") }
}

/// The place of the first term that is not less.
fn ord_at(column: &StrColumn, term: &[u8]) -> Result<u64> {
    use tantivy::columnar::TermOrdHit;
    if column.num_terms() == 0 {
        return Ok(0);
    }
    let hit = column
        .dictionary()
        .term_ord_or_next(term)
        .map_err(|error| crate::kv::io_error(&error, "search".as_ref()))?;
    Ok(match hit {
        TermOrdHit::Exact(ord) => ord,
        TermOrdHit::Next(ord) => ord.min(column.num_terms() as u64),
    })
}

enum Values {
    Nothing,
    Constant(Box<str>),
    Int(Column<i64>),
    Unsigned(Column<u64>),
    Float(Column<f64>),
    /// Terms by number, of which only a range counts, without their first bytes.
    Text {
        column: StrColumn,
        ords: std::ops::Range<u64>,
        skip: usize,
    },
}

/// A field's values in one segment.
pub(super) struct Opened {
    kind: Values,
    /// Keys are fractions.
    float: bool,
}

impl Opened {
    /// Calls back with each number of a document; texts have none.
    pub(super) fn numbers(&self, doc: DocId, mut found: impl FnMut(f64)) {
        match &self.kind {
            Values::Int(column) => column.values_for_doc(doc).for_each(|value| found(value as f64)),
            Values::Unsigned(column) => column.values_for_doc(doc).for_each(|value| found(value as f64)),
            Values::Float(column) => column.values_for_doc(doc).for_each(found),
            Values::Nothing | Values::Constant(_) | Values::Text { .. } => {}
        }
    }

    /// Calls back with a code for each value of a document: equal in a segment for equal values, see [`Opened::key_of`].
    pub(super) fn codes(&self, doc: DocId, mut found: impl FnMut(u64)) {
        match &self.kind {
            Values::Nothing => {}
            Values::Constant(_) => found(0),
            Values::Int(column) => column.values_for_doc(doc).for_each(|value| found(value as u64)),
            Values::Unsigned(column) => column.values_for_doc(doc).for_each(found),
            Values::Float(column) => column.values_for_doc(doc).for_each(|value| found(value.to_bits())),
            Values::Text { column, ords, .. } => {
                column.term_ords(doc).filter(|ord| ords.contains(ord)).for_each(found);
            }
        }
    }

    /// The value behind a code.
    pub(super) fn key_of(&self, code: u64) -> Result<Key> {
        Ok(match &self.kind {
            Values::Nothing => Key::Int(0),
            Values::Constant(text) => Key::Text(text.clone()),
            Values::Int(_) if self.float => Key::float(code as i64 as f64),
            Values::Unsigned(_) if self.float => Key::float(code as f64),
            Values::Int(_) => Key::Int(code as i64),
            Values::Unsigned(_) => Key::unsigned(code),
            Values::Float(_) if self.float => Key::float(f64::from_bits(code)),
            Values::Float(_) => Key::Int(f64::from_bits(code) as i64),
            Values::Text { column, skip, .. } => {
                let mut text = String::new();
                column
                    .ord_to_str(code, &mut text)
                    .map_err(|error| crate::kv::io_error(&error, "search".as_ref()))?;
                Key::Text(text.get(*skip..).unwrap_or_default().into())
            }
        })
    }

    /// Whether a document has a value.
    pub(super) fn has(&self, doc: DocId) -> bool {
        let mut any = false;
        self.codes(doc, |_| any = true);
        any
    }

    /// How many values a document has, each text counted once.
    pub(super) fn count(&self, doc: DocId) -> u64 {
        let mut seen = Vec::new();
        let texts = matches!(self.kind, Values::Text { .. });
        let mut count = 0;
        self.codes(doc, |code| {
            if texts && seen.contains(&code) {
                return;
            }
            if texts {
                seen.push(code);
            }
            count += 1;
        });
        count
    }

    /// All terms of the segment, for buckets without documents; `None` when the values are not texts.
    pub(super) fn terms(&self) -> Option<std::ops::Range<u64>> {
        match &self.kind {
            Values::Text { column, ords, .. } => Some(ords.start..ords.end.min(column.num_terms() as u64)),
            _ => None,
        }
    }
}
