//! Sync rules: what they are, whether they are valid, which documents they admit (connector-api 8, sync-runtime 8).

mod evaluate;
mod rules;
mod validate;

pub use evaluate::RuleSet;
pub use rules::{
    AdvancedSnippet, Condition, Filtering, FilteringRules, FilteringValidation, Policy, Rule,
    ValidationError, ValidationState, default_filtering, normalise,
};
pub use validate::validate;
