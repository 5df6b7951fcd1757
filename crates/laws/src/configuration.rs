//! Configuration fields: `{"stored": {...}, "declared": {...}}`.

use serde_json::Value;
use tributary_protocol::config::ConfigSchema;

pub(crate) fn law(input: &[u8]) {
    let Ok(Value::Object(given)) = serde_json::from_slice(input) else { return };
    let part = |name: &str| read(given.get(name).unwrap_or(&Value::Null));
    let (Some(stored), Some(declared)) = (part("stored"), part("declared")) else { return };
    checked(&stored);
    let Some(registered) = ConfigSchema::registered(&stored, &declared) else { return };
    for (name, field) in stored.iter() {
        let kept = registered.get(name).expect("no field is removed");
        assert_eq!(kept.value, field.value, "values never change");
        assert_eq!(kept.other, field.other, "what nobody knows is kept");
    }
    assert!(registered.missing_from(&declared).is_empty());
    assert_eq!(
        ConfigSchema::registered(&registered, &declared),
        None,
        "registering twice is registering once"
    );
    checked(&registered);
}

/// A configuration, which also comes back as it was when it is written and read.
fn read(given: &Value) -> Option<ConfigSchema> {
    let schema: ConfigSchema = serde_json::from_value(given.clone()).ok()?;
    let written = serde_json::to_value(&schema).expect("a configuration is JSON");
    let again: ConfigSchema = serde_json::from_value(written).expect("what is written can be read");
    assert_eq!(again, schema);
    Some(schema)
}

/// Faults name fields that are there, and never show a secret.
fn checked(schema: &ConfigSchema) {
    for problem in schema.check() {
        let field = schema.get(&problem.field).expect("a fault is about a field");
        assert!(schema.is_active(&problem.field) || !field.depends_on.is_empty());
        let Value::String(secret) = &field.value else { continue };
        // A short one may be part of the sentence, and so may a word of the definition.
        let elsewhere = serde_json::to_string(&without_value(field.clone())).expect("a field is JSON");
        let plain = secret.chars().all(char::is_alphanumeric);
        if field.sensitive
            && secret.len() > 12
            && plain
            && !elsewhere.contains(secret.as_str())
            && problem.field != *secret
        {
            assert!(!problem.message.contains(secret.as_str()), "a secret is shown: {}", problem.message);
        }
    }
}

fn without_value(
    mut field: tributary_protocol::config::ConfigField,
) -> tributary_protocol::config::ConfigField {
    field.value = Value::Null;
    field
}
