//! What scores are made of: how often terms occur, and how long texts are.

use std::sync::Arc;

use tantivy::Term;
use tantivy::query::ConstScoreQuery;

use super::bounds::NumberRange;
use super::compile::{Compiled, Compiler, column_of};
use super::leaf::{Leaf as LeafQuery, open_column};
use super::score::{Bm25, idf};
use crate::error::Result;
use crate::indexing::search_error;
use crate::mapping::Leaf;
use crate::search::weigh;

impl Compiler<'_> {
    /// The scoring of a term in a field.
    pub(super) fn bm25(&self, leaf: &Leaf, frequencies: &[u64]) -> Result<Option<Arc<Bm25>>> {
        if !leaf.ty.is_text() {
            return self.column_bm25(&column_of(leaf), frequencies);
        }
        if !self.scored {
            return Ok(None);
        }
        let lengths = self.view.lengths.total(&self.view.searcher, leaf.id, &leaf.key)?;
        let sum: f32 = frequencies.iter().map(|frequency| idf(lengths.docs, *frequency)).sum();
        let average = lengths.words as f32 / lengths.docs.max(1) as f32;
        Ok(Some(Arc::new(if leaf.norms {
            Bm25::with_lengths(sum, average, column_of(leaf))
        } else {
            Bm25::without_lengths(sum, average)
        })))
    }

    /// The scoring of a term in a column of keywords.
    pub(super) fn column_bm25(&self, column: &str, frequencies: &[u64]) -> Result<Option<Arc<Bm25>>> {
        if !self.scored {
            return Ok(None);
        }
        let (docs, values) = self.column_size(column)?;
        let sum: f32 = frequencies.iter().map(|frequency| idf(docs, *frequency)).sum();
        Ok(Some(Arc::new(Bm25::without_lengths(sum, values as f32 / docs.max(1) as f32))))
    }

    /// Documents that have a value in a column, and how many values there are.
    fn column_size(&self, column: &str) -> Result<(u64, u64)> {
        use tantivy::columnar::ColumnIndex;
        let (mut docs, mut values) = (0, 0);
        for segment in self.view.searcher.segment_readers() {
            let column = open_column(segment, column);
            let Some(column) = column.map_err(|error| search_error(&error))? else {
                continue;
            };
            values += u64::from(column.num_values());
            docs += match column.column_index() {
                ColumnIndex::Empty { .. } => 0,
                ColumnIndex::Full => u64::from(segment.max_doc()),
                ColumnIndex::Optional(optional) => u64::from(optional.num_non_nulls()),
                index => (0..segment.max_doc()).filter(|doc| index.has_value(*doc)).count() as u64,
            };
        }
        Ok((docs, values))
    }

    /// A truth value, which scores as a term does.
    pub(super) fn truth(&self, column: String, range: NumberRange) -> Result<Compiled> {
        let docs = self.column_size(&column)?.0;
        let query = LeafQuery::Numbers { column, range };
        let weight = weigh(&query, self.view, false)?;
        let mut frequency = 0;
        for segment in self.view.searcher.segment_readers() {
            frequency += u64::from(weight.count(segment).map_err(|error| search_error(&error))?);
        }
        Ok(Box::new(ConstScoreQuery::new(Box::new(query), idf(docs, frequency))))
    }

    pub(super) fn doc_freq(&self, term: &Term) -> Result<u64> {
        self.view.searcher.doc_freq(term).map_err(|error| search_error(&error))
    }
}
