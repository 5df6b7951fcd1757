//! Which indices and aliases there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use serde_json::Value;

use crate::error::{Result, StoreError};
use crate::model::ResolveOptions;
use crate::names::simple_match;
use crate::state::IndexState;
use crate::sync::{read, write};

/// All indices by name.
#[derive(Default)]
pub(crate) struct Catalog(RwLock<BTreeMap<String, Arc<IndexState>>>);

impl Catalog {
    pub(crate) fn insert(&self, state: Arc<IndexState>) {
        write(&self.0).insert(state.name.clone(), state);
    }

    pub(crate) fn remove(&self, name: &str) -> Option<Arc<IndexState>> {
        write(&self.0).remove(name)
    }

    /// The index of exactly this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<IndexState>> {
        read(&self.0).get(name).cloned()
    }

    pub(crate) fn require(&self, name: &str) -> Result<Arc<IndexState>> {
        self.get(name).ok_or_else(|| StoreError::no_such_index(name))
    }

    pub(crate) fn all(&self) -> Vec<Arc<IndexState>> {
        read(&self.0).values().cloned().collect()
    }

    /// The indices an alias points to.
    pub(crate) fn behind_alias(&self, alias: &str) -> Vec<Arc<IndexState>> {
        read(&self.0).values().filter(|state| state.meta().aliases.contains_key(alias)).cloned().collect()
    }

    /// The index of that name, or the one to write to behind an alias.
    pub(crate) fn index_or_alias(&self, name: &str) -> Option<Arc<IndexState>> {
        self.get(name).or_else(|| {
            let behind = self.behind_alias(name);
            let writable = |state: &&Arc<IndexState>| {
                state.meta().aliases.get(name).and_then(|alias| alias.get("is_write_index"))
                    == Some(&Value::Bool(true))
            };
            let chosen = behind.iter().find(writable).cloned();
            chosen.or_else(|| if behind.len() == 1 { behind.into_iter().next() } else { None })
        })
    }

    /// See [`crate::Store::resolve`].
    pub(crate) fn resolve(&self, expression: &str, options: ResolveOptions) -> Result<Vec<Arc<IndexState>>> {
        let all = self.all();
        let mut found: BTreeSet<String> = BTreeSet::new();
        let mut wildcards = false;
        let expression = if expression.trim().is_empty() { "_all" } else { expression };
        for part in expression.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Some(excluded) = part.strip_prefix('-').filter(|_| wildcards) {
                found.retain(|name| !simple_match(excluded, name));
            } else if part == "_all" || part.contains('*') {
                wildcards = true;
                let pattern = if part == "_all" { "*" } else { part };
                let matched = matching(&all, pattern, options);
                if matched.is_empty() && !options.allow_no_indices {
                    return Err(StoreError::no_such_index(part));
                }
                found.extend(matched);
            } else {
                let named = self.named(part);
                if named.is_empty() && !options.ignore_unavailable {
                    return Err(StoreError::no_such_index(part));
                }
                found.extend(named);
            }
        }
        if found.is_empty() && !options.allow_no_indices {
            return Err(StoreError::no_such_index(expression));
        }
        Ok(all.into_iter().filter(|state| found.contains(&state.name)).collect())
    }

    fn named(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(state) => vec![state.name.clone()],
            None => self.behind_alias(name).iter().map(|state| state.name.clone()).collect(),
        }
    }
}

/// The names a pattern means. Hidden ones count when asked for, or when they begin with a dot and so does the pattern.
fn matching(all: &[Arc<IndexState>], pattern: &str, options: ResolveOptions) -> Vec<String> {
    let visible = |name: &str, hidden: bool| {
        !hidden || options.expand_hidden || (name.starts_with('.') && pattern.starts_with('.'))
    };
    let wanted = |state: &&Arc<IndexState>| {
        let by_name = simple_match(pattern, &state.name) && visible(&state.name, state.hidden());
        by_name
            || state.meta().aliases.iter().any(|(alias, properties)| {
                let hidden =
                    properties.get("is_hidden") == Some(&Value::Bool(true)) || alias.starts_with('.');
                simple_match(pattern, alias) && visible(alias, hidden)
            })
    };
    all.iter().filter(wanted).map(|state| state.name.clone()).collect()
}
