use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::ConfigSchema;
use crate::lenient::{flag_or_no, instant, or_default};
use crate::{Connector, Time};

/// A schedule beside those of the job types: full syncs with some configuration values of their own
/// (connector-api 10.3).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomSchedule {
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it fires.
    #[serde(deserialize_with = "flag_or_no")]
    pub enabled: bool,
    /// A Quartz expression, in UTC.
    #[serde(deserialize_with = "or_default")]
    pub interval: String,
    /// Slot of its last sync.
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub last_synced: Option<Time>,
    /// Values that replace those of the configuration fields of the same names.
    #[serde(deserialize_with = "or_default")]
    pub configuration_overrides: Map<String, Value>,
}

impl CustomSchedule {
    /// Lays the overrides over a configuration. Returns the names of those that are no field of it.
    pub fn lay_over(&self, configuration: &mut ConfigSchema) -> Vec<String> {
        let mut unknown = Vec::new();
        for (name, value) in self.overrides() {
            match configuration.get_mut(name) {
                Some(field) => field.value = value.clone(),
                None => unknown.push(name.clone()),
            }
        }
        unknown
    }

    /// The overrides that say something.
    pub fn overrides(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.configuration_overrides.iter().filter(|(_, value)| !value.is_null())
    }
}

impl Connector {
    /// Its custom schedules by their keys. One that cannot be read is an error text instead.
    pub fn custom_schedules(&self) -> impl Iterator<Item = (&String, Result<CustomSchedule, String>)> {
        self.custom_scheduling.iter().map(|(key, value)| {
            let read = serde_json::from_value(value.clone()).map_err(|error| error.to_string());
            (key, read)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn overrides_replace_values_of_known_fields_and_name_the_others() {
        let schedule: CustomSchedule = serde_json::from_value(json!({
            "name": "Weekly", "enabled": true, "interval": "0 0 0 ? * MON", "last_synced": null,
            "configuration_overrides": {"seed_urls": ["a"], "depth": null, "other": 1},
        }))
        .unwrap();
        let mut configuration: ConfigSchema = serde_json::from_value(json!({
            "seed_urls": {"type": "list", "value": []}, "depth": {"type": "int", "value": 5},
        }))
        .unwrap();
        assert_eq!(schedule.lay_over(&mut configuration), ["other"]);
        assert_eq!(configuration.get("seed_urls").unwrap().value, json!(["a"]));
        assert_eq!(configuration.get("depth").unwrap().value, json!(5));
    }

    #[test]
    fn a_broken_custom_schedule_is_told_beside_the_good_ones() {
        let custom = json!({"good": {"enabled": true, "interval": "x"}, "bad": 5});
        let connector =
            Connector { custom_scheduling: custom.as_object().unwrap().clone(), ..Connector::default() };
        let read: Vec<_> =
            connector.custom_schedules().map(|(key, read)| (key.as_str(), read.is_ok())).collect();
        assert_eq!(read, [("good", true), ("bad", false)]);
    }
}
