//! A document as the search index takes it: a list of fields with values, without structure.

use std::sync::Arc;

use bytes::Bytes;
use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};

use super::along::Member;
use crate::mapping::Mapping;

/// The fixed fields of every search index; text fields follow, one for each analyzer.
pub(crate) mod fields {
    use tantivy::schema::Field;

    /// `_id`, one term.
    pub(crate) const ID: Field = Field::from_field_id(0);
    /// `_seq_no`, a column.
    pub(crate) const SEQ: Field = Field::from_field_id(1);
    /// Keywords: terms and columns.
    pub(crate) const KEYWORD: Field = Field::from_field_id(2);
    /// Keywords with `index: false`: columns only.
    pub(crate) const COLUMN: Field = Field::from_field_id(3);
    /// Numbers, and the lengths of texts: columns only.
    pub(crate) const NUMBER: Field = Field::from_field_id(4);

    /// The text field of an analyzer.
    pub(crate) const fn text(analyzer: usize) -> Field {
        Field::from_field_id(5 + analyzer as u32)
    }
}

/// A string inside the source, or inside the flat document's own buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StrRef {
    pub(super) start: u32,
    len: u32,
    pub(super) owned: bool,
}

/// A number as a column takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    /// Only for what does not fit `Int`.
    Unsigned(u64),
    Float(f64),
}

/// How a keyword is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeywordKind {
    Indexed,
    /// A column only.
    Column,
    /// A flattened object's value with its key.
    Keyed,
}

/// The values of one document.
#[derive(Debug, Clone)]
pub(crate) struct FlatDoc {
    pub(super) mapping: Arc<Mapping>,
    pub(super) source: Bytes,
    pub(super) own: String,
    /// Analyzer, leaf, text; sorted by analyzer before indexing.
    pub(super) texts: Vec<(u16, u32, StrRef)>,
    pub(super) keywords: Vec<(KeywordKind, u32, StrRef)>,
    pub(super) numbers: Vec<(u32, Number)>,
    /// The members of the source, if the next version is to be read along them.
    pub(super) members: Option<Vec<Member>>,
}

impl FlatDoc {
    pub(super) fn new(mapping: Arc<Mapping>, source: Bytes) -> Self {
        Self {
            mapping,
            source,
            own: String::new(),
            texts: Vec::new(),
            keywords: Vec::new(),
            numbers: Vec::new(),
            members: None,
        }
    }

    /// A document of which only the id is known to search.
    pub(crate) fn bare(mapping: Arc<Mapping>, source: Bytes) -> Self {
        Self::new(mapping, source)
    }

    /// The document's source.
    pub(crate) fn source(&self) -> &Bytes {
        &self.source
    }

    /// Bytes of memory held, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.source.len()
            + self.own.len()
            + 16 * (self.texts.len() + self.keywords.len() + self.numbers.len())
            + self.members.as_ref().map_or(0, |members| size_of::<Member>() * members.len())
            + 200
    }

    /// Refers to a text, inside the source when it lies there.
    fn refer(&mut self, text: &str) -> StrRef {
        let base = self.source.as_ptr() as usize;
        let at = (text.as_ptr() as usize).wrapping_sub(base);
        if !text.is_empty() && at < self.source.len() && at + text.len() <= self.source.len() {
            return StrRef { start: at as u32, len: text.len() as u32, owned: false };
        }
        let start = self.own.len() as u32;
        self.own.push_str(text);
        StrRef { start, len: text.len() as u32, owned: true }
    }

    pub(super) fn text(&self, reference: StrRef) -> &str {
        let range = reference.start as usize..(reference.start + reference.len) as usize;
        if reference.owned {
            return self.own.get(range).unwrap_or_default();
        }
        // The source was checked to be UTF-8 as a whole; the part ends at token boundaries.
        self.source.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    pub(super) fn add_text(&mut self, analyzer: usize, leaf: u32, text: &str) {
        let reference = self.refer(text);
        self.texts.push((analyzer as u16, leaf, reference));
    }

    pub(super) fn add_keyword(&mut self, kind: KeywordKind, leaf: u32, text: &str) {
        let reference = self.refer(text);
        self.keywords.push((kind, leaf, reference));
    }

    pub(super) fn add_number(&mut self, leaf: u32, number: Number) {
        self.numbers.push((leaf, number));
    }

    /// Adds to the number of words of a text field.
    pub(super) fn add_length(&mut self, leaf: u32, words: u64) {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        match self.numbers.iter_mut().find(|(id, _)| *id == leaf) {
            Some((_, Number::Int(count))) => *count += words,
            _ => self.numbers.push((leaf, Number::Int(words))),
        }
    }

    /// Brings the values into the order in which the search index takes them. They are no longer those of one member
    /// after the other.
    fn sort(&mut self) {
        self.members = None;
        self.texts.sort_by_key(|(analyzer, _, _)| *analyzer);
        self.keywords.sort_by_key(|(kind, _, _)| *kind == KeywordKind::Column);
    }

    fn key(&self, leaf: u32) -> &str {
        self.mapping.leaf(leaf).map_or("", |leaf| leaf.key.as_str())
    }

    fn groups(&self) -> Vec<(Field, FlatValue<'_>)> {
        let mut groups = Vec::with_capacity(6);
        for run in self.texts.chunk_by(|a, b| a.0 == b.0) {
            groups.push((fields::text(run[0].0 as usize), FlatValue::Texts(self, run)));
        }
        for run in self.keywords.chunk_by(|a, b| (a.0 == KeywordKind::Column) == (b.0 == KeywordKind::Column))
        {
            let field = if run[0].0 == KeywordKind::Column { fields::COLUMN } else { fields::KEYWORD };
            groups.push((field, FlatValue::Keywords(self, run)));
        }
        if !self.numbers.is_empty() {
            groups.push((fields::NUMBER, FlatValue::Numbers(self, &self.numbers)));
        }
        groups
    }

    /// The keywords of a leaf, for tests and highlighting.
    #[cfg(test)]
    pub(crate) fn keywords_of(&self, path: &str) -> Vec<String> {
        let id = self.mapping.find(path).map(|leaf| leaf.id);
        self.keywords
            .iter()
            .filter(|(_, leaf, _)| Some(*leaf) == id)
            .map(|(_, _, text)| self.text(*text).to_owned())
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn texts_of(&self, path: &str) -> Vec<String> {
        let id = self.mapping.find(path).map(|leaf| leaf.id);
        self.texts
            .iter()
            .filter(|(_, leaf, _)| Some(*leaf) == id)
            .map(|(_, _, text)| self.text(*text).to_owned())
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn numbers_of(&self, path: &str) -> Vec<Number> {
        let id = self.mapping.find(path).map(|leaf| leaf.id);
        self.numbers.iter().filter(|(leaf, _)| Some(*leaf) == id).map(|(_, number)| *number).collect()
    }
}

/// Called when a document handed to the search index has been taken in (or dropped).
pub(crate) trait Release: Send + Sync {
    fn release(&self, weight: usize);
}

/// A flat document with its id and number, as tantivy takes it.
pub(crate) struct IndexDoc {
    pub(crate) flat: FlatDoc,
    pub(crate) id: String,
    pub(crate) seq: u64,
    weight: usize,
    gate: Arc<dyn Release>,
}

impl IndexDoc {
    pub(crate) fn new(mut flat: FlatDoc, id: String, seq: u64, gate: Arc<dyn Release>) -> Self {
        let weight = flat.weight() + id.len();
        flat.sort();
        Self { flat, id, seq, weight, gate }
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }
}

impl Drop for IndexDoc {
    fn drop(&mut self) {
        self.gate.release(self.weight);
    }
}

impl Document for IndexDoc {
    type Value<'a> = FlatValue<'a>;
    type FieldsValuesIter<'a> = std::vec::IntoIter<(Field, FlatValue<'a>)>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let mut groups = self.flat.groups();
        groups.push((fields::ID, FlatValue::Str(&self.id)));
        groups.push((fields::SEQ, FlatValue::Num(Number::Unsigned(self.seq))));
        groups.into_iter()
    }
}

/// A value of a flat document, as tantivy reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FlatValue<'a> {
    Str(&'a str),
    Num(Number),
    Texts(&'a FlatDoc, &'a [(u16, u32, StrRef)]),
    Keywords(&'a FlatDoc, &'a [(KeywordKind, u32, StrRef)]),
    Numbers(&'a FlatDoc, &'a [(u32, Number)]),
}

impl<'a> Value<'a> for FlatValue<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = Entries<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        match *self {
            Self::Str(text) => ReferenceValue::Leaf(ReferenceValueLeaf::Str(text)),
            Self::Num(Number::Int(number)) => ReferenceValue::Leaf(ReferenceValueLeaf::I64(number)),
            Self::Num(Number::Unsigned(number)) => ReferenceValue::Leaf(ReferenceValueLeaf::U64(number)),
            Self::Num(Number::Float(number)) => ReferenceValue::Leaf(ReferenceValueLeaf::F64(number)),
            group => ReferenceValue::Object(Entries { group, at: 0 }),
        }
    }
}

/// The entries of one group of values.
pub(crate) struct Entries<'a> {
    group: FlatValue<'a>,
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, FlatValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        self.at += 1;
        match self.group {
            FlatValue::Texts(doc, list) => {
                list.get(at).map(|(_, leaf, text)| (doc.key(*leaf), FlatValue::Str(doc.text(*text))))
            }
            FlatValue::Keywords(doc, list) => list.get(at).map(|(kind, leaf, text)| {
                let key = match kind {
                    KeywordKind::Keyed => doc.mapping.leaf(*leaf).map_or("", |leaf| leaf.keyed.as_str()),
                    _ => doc.key(*leaf),
                };
                (key, FlatValue::Str(doc.text(*text)))
            }),
            FlatValue::Numbers(doc, list) => {
                list.get(at).map(|(leaf, number)| (doc.key(*leaf), FlatValue::Num(*number)))
            }
            _ => None,
        }
    }
}
