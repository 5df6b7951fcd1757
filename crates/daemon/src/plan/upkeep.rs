//! Which connectors need looking after, and what their documents must say about their source.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tributary_protocol::config::ConfigSchema;
use tributary_protocol::filtering::ValidationState;
use tributary_protocol::{Connector, ConnectorStatus};

use super::{Action, TaskKey, View};
use crate::lease::delta;
use crate::memory::{Checked, Seen};
use crate::observe::Served;

/// What a connector needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Its document lacks what its source says about itself.
    pub(crate) register: bool,
    /// We should say that we are there.
    pub(crate) check_in: bool,
    /// Its draft of the sync rules is to be validated.
    pub(crate) draft: bool,
    /// Its source is to be checked.
    pub(crate) check: bool,
    /// What it is checked for is new: the warnings that stay the same are told this time only.
    pub(crate) warn: bool,
}

impl Needs {
    fn any(self) -> bool {
        self != Self::default()
    }
}

/// The connectors that need something; those first that were never checked, then those whose check is oldest.
pub(super) fn upkeep(now: DateTime<Utc>, view: &View<'_>) -> Vec<Action> {
    let mut due = Vec::new();
    for connector in view.connectors {
        let Some(seen) = view.memory.connector(&connector.id) else { continue };
        let needs = needs(now, view, connector, seen);
        if needs.any() && view.is_free(&TaskKey::Upkeep(connector.id.clone()), now) {
            due.push((seen.checked.map(|checked| checked.at), connector.id.clone(), needs));
        }
    }
    due.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    due.into_iter().map(|(_, connector, needs)| Action::Upkeep { connector, needs }).collect()
}

fn needs(now: DateTime<Utc>, view: &View<'_>, connector: &Served, seen: &Seen) -> Needs {
    let fresh = seen.kept_up_to.is_none_or(|seq_no| connector.version.seq_no > seq_no);
    let last_seen = connector.doc.last_seen.max(seen.checked_in);
    let check = check_is_due(now, view, connector, seen);
    let heartbeat_due = last_seen.is_none_or(|last_seen| now >= last_seen + delta(view.rules.heartbeat));
    Needs {
        register: fresh && seen.facts().lacks,
        check_in: connector.declared.is_some() && (seen.checked_in.is_none() || heartbeat_due),
        draft: fresh
            && connector.declared.is_some()
            && seen.facts().draft
            && !waits_for_people(connector.doc.status),
        check,
        warn: check && seen.checked.is_none_or(|checked| checked.inputs != seen.facts().inputs),
    }
}

fn check_is_due(now: DateTime<Utc>, view: &View<'_>, connector: &Served, seen: &Seen) -> bool {
    // That its source is unknown is told at once.
    if waits_for_people(connector.doc.status) && connector.declared.is_some() {
        return false;
    }
    let Some(checked) = seen.checked else { return true };
    let Checked { inputs, seq_no, .. } = checked;
    let changed = inputs != seen.facts().inputs && connector.version.seq_no > seq_no;
    let configured = connector.doc.status == ConnectorStatus::Configured && connector.version.seq_no > seq_no;
    changed || configured || now >= checked.next(view.rules.recheck)
}

/// Whether nothing can be done before somebody configures the connector.
pub(crate) fn waits_for_people(status: ConnectorStatus) -> bool {
    matches!(status, ConnectorStatus::Created | ConnectorStatus::NeedsConfiguration)
}

/// Whether the draft of the sync rules waits for validation (sync-runtime 4.6).
pub(crate) fn has_edited_draft(doc: &Connector) -> bool {
    let ruled =
        doc.features.as_ref().is_some_and(|features| features.basic_rules() || features.advanced_rules());
    ruled
        && doc
            .filtering
            .first()
            .is_some_and(|filtering| filtering.draft.validation.state == ValidationState::Edited)
}

/// The change that makes a connector's document say what its source says about itself (sync-runtime 4.4). `None`:
/// it does already, or the source is unknown.
pub(crate) fn registration(connector: &Served) -> Option<Value> {
    let declared = connector.declared.as_ref()?;
    let doc = &connector.doc;
    let mut change = Map::new();
    if doc.service_type.is_none() {
        change.insert("service_type".to_owned(), json!(connector.service_type));
    }
    let features = declared.features.to_value();
    if let Some(features) = feature_change(doc, &features, connector.listed) {
        change.insert("features".to_owned(), features);
    }
    if let Some(configuration) = ConfigSchema::registered(&doc.configuration, &declared.schema) {
        change.insert("configuration".to_owned(), serde_json::to_value(configuration).ok()?);
    }
    if let Some(status) = next_status(doc, &declared.schema) {
        change.insert("status".to_owned(), json!(status.as_str()));
    }
    (!change.is_empty()).then(|| change.into())
}

/// A connector without a configuration waits for one; one whose source has nothing to configure does not. One that was
/// created with a configuration waits for its confirmation: the protocol knows no other way from `created`.
fn next_status(doc: &Connector, declared: &ConfigSchema) -> Option<ConnectorStatus> {
    let empty = doc.configuration.is_empty();
    let next = match doc.status {
        ConnectorStatus::NeedsConfiguration if declared.is_empty() => ConnectorStatus::Configured,
        ConnectorStatus::Created => ConnectorStatus::NeedsConfiguration,
        _ if empty && !declared.is_empty() => ConnectorStatus::NeedsConfiguration,
        _ => return None,
    };
    (next != doc.status).then_some(next)
}

/// A connector that is ours by id has the features of its source; of another, only what is missing is added.
fn feature_change(doc: &Connector, declared: &Value, listed: bool) -> Option<Value> {
    let stored = doc.features.as_ref().and_then(|features| serde_json::to_value(features).ok());
    let stored = stored.filter(Value::is_object).unwrap_or_else(|| json!({}));
    let merged = if listed { merge(stored.clone(), declared) } else { merge(declared.clone(), &stored) };
    (merged != stored).then_some(merged)
}

/// `over` laid over `under`, objects deeply.
fn merge(under: Value, over: &Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            for (name, value) in over {
                let below = under.remove(name).unwrap_or(Value::Null);
                under.insert(name.clone(), merge(below, value));
            }
            under.into()
        }
        (_, over) => over.clone(),
    }
}
