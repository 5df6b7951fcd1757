use serde::{Deserialize, Serialize};
use serde_json::Value;
use tributary_sdk::{Cursor, Error, ErrorKind, Result};

use crate::{Plan, Start};

/// Where a listing has come to, and where the next incremental one starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    of: String,
    /// The last row; `None` when everything was listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<At>,
    /// Where the next incremental listing starts.
    pub start: Start,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct At {
    pub(crate) database: String,
    /// The table, or the place of the rule.
    pub(crate) unit: String,
    pub(crate) key: Vec<String>,
    /// Values of the key; none when the unit cannot be gone on with and begins anew.
    pub(crate) after: Option<Vec<Value>>,
}

impl Position {
    pub(crate) fn new(plan: &Plan, at: Option<At>, start: Start) -> Self {
        Self { of: plan.identity(), at, start }
    }

    /// Reads a cursor. A position of another configuration says nothing about this one.
    #[must_use]
    pub fn read(cursor: Option<&Cursor>, plan: &Plan) -> Option<Self> {
        let position: Self = serde_json::from_value(cursor?.0.clone()).ok()?;
        (position.of == plan.identity()).then_some(position)
    }

    /// Whether everything was listed before it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.at.is_none()
    }

    /// The cursor of everything having been listed.
    ///
    /// # Errors
    /// None that is known: positions are JSON.
    pub fn finished(plan: &Plan, start: Start) -> Result<Cursor> {
        Self::new(plan, None, start).to_cursor()
    }

    pub(crate) fn to_cursor(&self) -> Result<Cursor> {
        let value = serde_json::to_value(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "a position of the listing cannot be kept").because(error)
        })?;
        Ok(Cursor(value))
    }
}
