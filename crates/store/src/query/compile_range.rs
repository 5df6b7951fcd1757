//! Compiling ranges.

use std::sync::Arc;

use serde_json::Value;

use super::ast::Bounds;
use super::bounds::{self, NumberRange};
use super::compile::{Compiled, Compiler, column_of, dis_max, none};
use super::leaf::Leaf as LeafQuery;
use super::parse_value::scalar_text;
use crate::error::Result;
use crate::mapping::{FieldType, Leaf, Storage};

impl Compiler<'_> {
    pub(super) fn seq_range(&self, bounds: &Bounds) -> Result<Compiled> {
        let number = |bound: &Option<(Value, bool)>, open: i128, step: i128| match bound {
            None => Ok(open),
            Some((value, included)) => {
                let text = scalar_text(value);
                let number: i128 = text.parse().map_err(|_| {
                    self.not_created("number_format_exception", format!("For input string: \"{text}\""))
                })?;
                Ok(if *included { number } else { number + step })
            }
        };
        let range =
            NumberRange::Int(number(&bounds.lower, i128::MIN, 1)?, number(&bounds.upper, i128::MAX, -1)?);
        Ok(Box::new(LeafQuery::Numbers { column: "s".to_owned(), range }))
    }

    pub(super) fn range(&self, field: &str, bounds: &Bounds) -> Result<Compiled> {
        if field.contains('*') {
            let lenient = |leaf: &Arc<Leaf>| self.leaf_range(leaf, bounds).unwrap_or_else(|_| none());
            return Ok(dis_max(self.leaves(field).iter().map(lenient).collect(), 0.0));
        }
        if field == "_seq_no" {
            return self.seq_range(bounds);
        }
        match self.mapping.find(field) {
            Some(leaf) => self.leaf_range(leaf, bounds),
            None => Ok(none()),
        }
    }

    fn leaf_range(&self, leaf: &Leaf, bounds: &Bounds) -> Result<Compiled> {
        self.check_searchable(leaf)?;
        match leaf.ty.storage() {
            Storage::Int | Storage::Float => {
                let range = bounds::between(leaf, bounds, self.clock()).map_err(|bad| self.bad_value(bad))?;
                Ok(Box::new(LeafQuery::Numbers { column: column_of(leaf), range }))
            }
            Storage::Keyword if leaf.ty == FieldType::Ip => self.ip_range(leaf, bounds),
            Storage::Keyword | Storage::Flattened => {
                let text = |bound: &Option<(Value, bool)>| {
                    bound
                        .as_ref()
                        .map(|(value, included)| (Self::keyword_text(leaf, &scalar_text(value)), *included))
                };
                let (lower, upper) = (text(&bounds.lower), text(&bounds.upper));
                let borrow = |bound: &Option<(String, bool)>| {
                    bound.as_ref().map(|(text, included)| (text.clone(), *included))
                };
                let (lower, upper) = (borrow(&lower), borrow(&upper));
                Ok(Box::new(keyword_range(
                    leaf,
                    lower.as_ref().map(|(text, included)| (text.as_str(), *included)),
                    upper.as_ref().map(|(text, included)| (text.as_str(), *included)),
                )))
            }
            Storage::Text => {
                let bounds = bounds.clone();
                let inside = move |text: &str| {
                    let above = bounds.lower.as_ref().is_none_or(|(low, included)| {
                        let low = scalar_text(low);
                        if *included { text >= low.as_str() } else { text > low.as_str() }
                    });
                    above
                        && bounds.upper.as_ref().is_none_or(|(high, included)| {
                            let high = scalar_text(high);
                            if *included { text <= high.as_str() } else { text < high.as_str() }
                        })
                };
                Ok(self.pattern(leaf, "", Some(Arc::new(inside))))
            }
            Storage::Nothing => Ok(none()),
        }
    }
}

pub(super) fn keyword_range(
    leaf: &Leaf,
    lower: Option<(&str, bool)>,
    upper: Option<(&str, bool)>,
) -> LeafQuery {
    let bytes = |(text, included): (&str, bool)| (text.as_bytes().to_vec(), included);
    LeafQuery::Keywords { column: column_of(leaf), lower: lower.map(bytes), upper: upper.map(bytes) }
}
