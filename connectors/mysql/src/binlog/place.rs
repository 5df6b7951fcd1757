use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where the log was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Which server's log it is.
    pub(super) server: String,
    pub(super) file: String,
    pub(super) at: u64,
    /// The transactions up to there: tells a log that was begun anew under the same names.
    #[serde(default)]
    pub(super) gtids: Option<String>,
    /// The tables that were followed, with their columns and keys.
    pub(super) tables: BTreeMap<String, String>,
}
