//! Why an expression was refused.

use std::fmt;

use crate::field::Field;

/// An expression was refused.
///
/// Its text is the detail of connector-api 9.2, which Elasticsearch wraps as
/// `illegal cron expression format [java.lang.IllegalArgumentException: <detail>]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    detail: String,
    field: Option<Field>,
    position: Option<usize>,
}

impl CronError {
    /// A refusal that concerns the whole expression.
    pub(crate) fn expression(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), field: None, position: None }
    }

    /// A refusal of a field's value.
    pub(crate) fn field(field: Field, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), field: Some(field), position: None }
    }

    /// A refusal of one place in a field's list item; the text ends with that place.
    pub(crate) fn at(field: Field, position: usize, detail: impl fmt::Display) -> Self {
        Self { detail: format!("{detail} at pos [{position}]"), field: Some(field), position: Some(position) }
    }

    /// Adds what the server's text has after its position: a slip of the pen there, kept because clients compare texts.
    pub(crate) fn trailing(mut self, slip: &str) -> Self {
        self.detail.push_str(slip);
        self
    }

    /// The expression ended before its sixth field.
    pub(crate) fn end_of_expression(length: usize) -> Self {
        Self {
            detail: format!("unexpected end of expression at pos [{length}]."),
            field: None,
            position: Some(length),
        }
    }

    /// The field that is wrong; `None` when the fault is in how fields go together.
    #[must_use]
    pub fn field_at_fault(&self) -> Option<Field> {
        self.field
    }

    /// Where in the list item (or, without a field, in the expression) reading stopped, counted in characters from 0.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.position
    }
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for CronError {}
