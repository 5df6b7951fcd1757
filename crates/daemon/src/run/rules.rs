use std::fmt;

use serde_json::{Map, Value};
use tributary_engine::Rules;
use tributary_protocol::filtering::RuleSet;

/// The protocol's basic sync rules behind the engine's port.
pub(crate) struct BasicRules(pub(crate) RuleSet);

impl fmt::Debug for BasicRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicRules")
    }
}

impl Rules for BasicRules {
    fn admits(&self, document: &Map<String, Value>) -> bool {
        self.0.admits(document)
    }
}
