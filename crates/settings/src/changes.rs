//! What a newer configuration changes.

use std::collections::BTreeMap;
use std::fmt;

use crate::duration;
use crate::keys::{self, Key};
use crate::kind::Parsed;
use crate::settings::{ConnectorEntry, Settings};

/// What every key came to. Never printed: secrets are among it.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Effective(BTreeMap<&'static str, Parsed>);

impl Effective {
    pub(crate) fn new(values: BTreeMap<&'static str, Parsed>) -> Self {
        Self(values)
    }

    pub(crate) fn keep_what_needs_a_restart(&mut self, running: &Self) {
        for key in keys::keys().iter().filter(|key| key.restart) {
            match running.0.get(key.path) {
                Some(value) => self.0.insert(key.path, value.clone()),
                None => self.0.remove(key.path),
            };
        }
    }
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effective(..)")
    }
}

/// One key whose value is another. Its text is a line, with secrets shown as `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key's whole path.
    pub key: &'static str,
    /// Its former value, as it may be shown.
    pub from: String,
    /// Its new value, as it may be shown.
    pub to: String,
    /// Whether the new value counts only after a restart.
    pub restart: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.key, self.from, self.to)
    }
}

/// The keys whose values differ; keys without effect are left out.
pub(crate) fn between(older: &Settings, newer: &Settings) -> Vec<Change> {
    let changed = |key: &&Key| older.effective.0.get(key.path) != newer.effective.0.get(key.path);
    let told = |key: &Key| Change {
        key: key.path,
        from: shown(key, older.effective.0.get(key.path)),
        to: shown(key, newer.effective.0.get(key.path)),
        restart: key.restart,
    };
    let mut changes: Vec<Change> =
        keys::keys().iter().filter(|key| key.inert.is_none()).filter(changed).map(told).collect();
    // The deprecated form of a single connector is one of these, too.
    changes.retain(|change| !matches!(change.key, "connector_id" | "service_type"));
    if older.connectors != newer.connectors {
        changes.push(Change {
            key: "connectors",
            from: names(&older.connectors),
            to: names(&newer.connectors),
            restart: false,
        });
    }
    changes
}

fn names(connectors: &[ConnectorEntry]) -> String {
    let name = |entry: &ConnectorEntry| {
        let key = if entry.api_key.is_some() { " with its own key" } else { "" };
        let kind = entry.service_type.as_ref().map_or_else(String::new, |kind| format!(" ({kind})"));
        format!("{}{kind}{key}", entry.connector_id)
    };
    let all: Vec<String> = connectors.iter().map(name).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn shown(key: &Key, value: Option<&Parsed>) -> String {
    let Some(value) = value else { return "none".to_owned() };
    if key.secret {
        return "***".to_owned();
    }
    match value {
        Parsed::Bool(value) => value.to_string(),
        Parsed::Whole(value) => value.to_string(),
        Parsed::Number(value) => value.to_string(),
        Parsed::Text(value) => value.clone(),
        Parsed::Texts(values) => format!("[{}]", values.join(", ")),
        Parsed::Address(value) => value.to_string(),
        Parsed::Duration(value) => duration::show(*value),
        Parsed::Size(value) => value.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes")),
        Parsed::Table(values) => {
            let values: Vec<String> = values.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{{{}}}", values.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(older: &str, newer: &str) -> Vec<Change> {
        let read = |text| Settings::from_yaml_str(text).unwrap();
        read(older).changes(&read(newer))
    }

    #[test]
    fn a_change_is_told_by_its_key_with_both_values_and_whether_it_needs_a_restart() {
        let told = changes(
            "service.heartbeat: 10",
            "service.heartbeat: 20\ntributary.log_format: json\nconnectors: [{connector_id: a, service_type: dir}]",
        );
        let lines: Vec<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "service.heartbeat: 10s -> 20s",
                "tributary.log_format: human -> json",
                "connectors: none -> a (dir)"
            ]
        );
        assert_eq!(told.iter().map(|change| change.restart).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(changes("service.heartbeat: 10", "service: {heartbeat: 10s}"), []);
    }

    #[test]
    fn after_a_reload_changes_that_wait_for_a_restart_are_told_from_what_runs() {
        let read = |text| Settings::from_yaml_str(text).unwrap();
        let running = read("service.heartbeat: 10");
        let mut reloaded = read(
            "service.heartbeat: 20\ntributary.log_format: json\ntributary.monitoring.listen: 127.0.0.1:1",
        );
        reloaded.not_restarted_since(&running);
        assert_eq!(
            reloaded.changes(&read("service.heartbeat: 20")),
            [],
            "back to what runs: no restart is needed"
        );
        let told = reloaded.changes(&read("service.heartbeat: 20\ntributary.log_format: ecs"));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].to_string(), "tributary.log_format: human -> ecs");
    }

    #[test]
    fn a_secret_is_never_part_of_a_change() {
        let both = |key| {
            format!(
                "elasticsearch: {{host: 'http://a:1', api_key: {key}}}\nconnectors: [{{connector_id: a, api_key: {key}2}}]"
            )
        };
        let told = changes(&both("hunter"), &both("hunted"));
        assert_eq!(told.len(), 2);
        assert!(!format!("{told:?}").contains("hunt"), "{told:?}");
    }
}
