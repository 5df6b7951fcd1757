//! Scheduling, features and pipeline (connector-api 9 and 10), in the form in which they are stored.

use serde_json::{Map, Value, json};
use tributary_schedule::Schedule;

use super::fault::{Cause, Parsed};
use super::json::Located;
use super::object::{Shape, Takes, optional, required};

const SCHEDULING: Shape = Shape {
    parser: "connector_scheduling",
    strict: false,
    keys: &[
        optional("access_control", Takes::Object),
        optional("full", Takes::Object),
        optional("incremental", Takes::Object),
    ],
};

const SCHEDULE: Shape = Shape {
    parser: "schedule_config",
    strict: false,
    keys: &[required("enabled", Takes::Flag), required("interval", Takes::Text)],
};

const FEATURES: Shape = Shape {
    parser: "connector_features",
    strict: false,
    keys: &[
        optional("document_level_security", Takes::Object),
        optional("incremental_sync", Takes::Object),
        optional("native_connector_api_keys", Takes::Object),
        optional("sync_rules", Takes::Object),
    ],
};

const SYNC_RULES: Shape = Shape {
    parser: "sync_rules_features",
    strict: false,
    keys: &[optional("advanced", Takes::Object), optional("basic", Takes::Object)],
};

const FEATURE: Shape =
    Shape { parser: "connector_feature_enabled", strict: false, keys: &[optional("enabled", Takes::Flag)] };

const PIPELINE: Shape = Shape {
    parser: "connector_ingest_pipeline",
    strict: false,
    keys: &[
        required("extract_binary_content", Takes::Flag),
        required("name", Takes::Text),
        required("reduce_whitespace", Takes::Flag),
        required("run_ml_inference", Takes::Flag),
    ],
};

/// The schedules that were sent.
pub(super) fn scheduling(object: &Located) -> Parsed<Map<String, Value>> {
    let mut stored = Map::new();
    SCHEDULING.read(object, |key, value| {
        stored.insert(key.to_owned(), schedule(value)?);
        Ok(())
    })?;
    Ok(stored)
}

fn schedule(object: &Located) -> Parsed<Value> {
    let (mut enabled, mut interval) = (false, String::new());
    SCHEDULE.read(object, |key, value| {
        match key {
            "enabled" => enabled = value.flag()?,
            _ => interval = value.string()?,
        }
        Ok(())
    })?;
    // Quartz is case-insensitive, and what is stored is upper-cased.
    let cron = Schedule::parse(&interval)
        .map_err(|error| SCHEDULE.unbuildable(object, bad_cron(&interval, &error)))?;
    Ok(json!({"enabled": enabled, "interval": cron.as_str()}))
}

fn bad_cron(interval: &str, error: &tributary_schedule::CronError) -> Cause {
    let detail = format!("illegal cron expression format [java.lang.IllegalArgumentException: {error}]");
    Cause::illegal(format!("invalid cron expression [{interval}]")).because(Cause::illegal(detail))
}

/// The features that were sent.
pub(super) fn features(object: &Located) -> Parsed<Value> {
    let mut stored = Map::new();
    FEATURES.read(object, |key, value| {
        let read = if key == "sync_rules" { sync_rules(value)? } else { feature(value)? };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

fn sync_rules(object: &Located) -> Parsed<Value> {
    let mut stored = Map::new();
    SYNC_RULES.read(object, |key, value| {
        stored.insert(key.to_owned(), feature(value)?);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

fn feature(object: &Located) -> Parsed<Value> {
    let mut enabled = None;
    FEATURE.read(object, |_, value| {
        enabled = Some(value.flag()?);
        Ok(())
    })?;
    match enabled {
        Some(enabled) => Ok(json!({"enabled": enabled})),
        None => Err(FEATURE.unbuildable(object, Cause::illegal("Required [enabled]"))),
    }
}

/// The pipeline that was sent.
pub(super) fn pipeline(object: &Located) -> Parsed<Value> {
    let mut stored = Map::new();
    PIPELINE.read(object, |key, value| {
        let read: Value = if key == "name" { value.string()?.into() } else { value.flag()?.into() };
        stored.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(Value::Object(stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(body: &Value, parse: impl Fn(&Located) -> Parsed<T>) -> Result<T, Cause> {
        parse(&Located::parse(body.to_string().as_bytes()).unwrap()).map_err(|fault| *fault.cause)
    }

    fn chain(cause: &Cause) -> Vec<String> {
        let mut reasons = vec![cause.reason.clone()];
        reasons.extend(cause.caused_by.iter().flat_map(|inner| chain(inner)));
        reasons
    }

    #[test]
    fn intervals_are_stored_in_upper_case_with_their_spacing() {
        let stored = read(
            &json!({"full": {"enabled": "true", "interval": "0  0 0 ? * mon-fri", "x": 1}, "x": 1}),
            scheduling,
        );
        assert_eq!(
            Value::Object(stored.unwrap()),
            json!({"full": {"enabled": true, "interval": "0  0 0 ? * MON-FRI"}})
        );
    }

    #[test]
    fn a_bad_interval_is_told_with_all_its_causes() {
        let cause =
            read(&json!({"full": {"enabled": true, "interval": "0 0 0 * * *"}}), scheduling).unwrap_err();
        assert_eq!(
            chain(&cause),
            [
                "[1:36] [connector_scheduling] failed to parse field [full]",
                "[1:36] [schedule_config] failed to parse field [interval]",
                "Failed to build [schedule_config] after last required field arrived",
                "invalid cron expression [0 0 0 * * *]",
                "illegal cron expression format [java.lang.IllegalArgumentException: support for specifying both a day-of-week AND \
                 a day-of-month parameter is not implemented.]",
            ]
        );
        assert_eq!(
            cause.root().reason,
            "Failed to build [schedule_config] after last required field arrived"
        );
        let cause = read(&json!({"full": {"enabled": true}}), scheduling).unwrap_err();
        assert_eq!(
            chain(&cause),
            ["[1:24] [connector_scheduling] failed to parse field [full]", "Required [interval]"]
        );
    }

    #[test]
    fn features_need_their_switch_and_may_be_left_out() {
        let sent = json!({"sync_rules": {"basic": {"enabled": true, "x": 1}}, "incremental_sync": {"enabled": "false"}, "x": {}});
        let stored =
            json!({"sync_rules": {"basic": {"enabled": true}}, "incremental_sync": {"enabled": false}});
        assert_eq!(read(&sent, features).unwrap(), stored);
        assert_eq!(read(&json!({}), features).unwrap(), json!({}));
        let cause = read(&json!({"sync_rules": {"basic": {}}}), features).unwrap_err();
        assert_eq!(
            chain(&cause)[2],
            "Failed to build [connector_feature_enabled] after last required field arrived"
        );
        let cause = read(&json!({"incremental_sync": null}), features).unwrap_err();
        assert_eq!(
            cause.reason,
            "[1:21] [connector_features] incremental_sync doesn't support values of type: VALUE_NULL"
        );
    }

    #[test]
    fn a_pipeline_needs_all_four() {
        let cause = read(&json!({"name": "p"}), pipeline).unwrap_err();
        assert_eq!(cause.reason, "Required [extract_binary_content, reduce_whitespace, run_ml_inference]");
    }
}
