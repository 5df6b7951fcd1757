//! Laws of the configuration fields (connector-api 7 and 14.2, sync-runtime 4.4 and 10).
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tributary_protocol::config::{ConfigField, ConfigSchema, FieldType};

/// A text that no generated constraint, label or option holds.
const SECRET: &str = "hunter2hunter2";

fn schema(configuration: Value) -> ConfigSchema {
    serde_json::from_value(configuration).unwrap()
}

fn told(configuration: Value) -> Vec<String> {
    schema(configuration).check().iter().map(ToString::to_string).collect()
}

#[test]
fn the_effective_value_is_that_of_the_table() {
    for (kind, required, value, default, effective) in [
        ("str", true, json!("v"), json!("d"), json!("v")),
        ("str", true, json!(""), json!("d"), json!("")),
        ("str", true, json!(null), json!("d"), json!("")),
        ("str", false, json!(""), json!("d"), json!("d")),
        ("str", false, json!(null), json!(null), json!("")),
        ("str", false, json!(" "), json!("d"), json!(" ")),
        ("str", false, json!(5), json!("d"), json!("5")),
        ("int", false, json!(null), json!("7"), json!(7)),
        ("int", true, json!("5"), json!(7), json!(5)),
        ("int", false, json!(0), json!(7), json!(0)),
        ("int", true, json!(null), json!(7), json!(null)),
        ("float", true, json!("1.5"), json!(null), json!(1.5)),
        ("bool", false, json!("false"), json!(true), json!(false)),
        ("bool", false, json!(null), json!(true), json!(true)),
        ("bool", true, json!("TRUE"), json!(null), json!(true)),
        ("list", false, json!("a, b ,,c"), json!("d"), json!(["a", "b", "c"])),
        ("list", false, json!(["", null]), json!("d,e"), json!(["d", "e"])),
        ("list", true, json!(7), json!(null), json!([7])),
        ("list", true, json!(""), json!("d"), json!([])),
    ] {
        let field = json!({"type": kind, "required": required, "value": value, "default_value": default});
        assert_eq!(schema(json!({"f": field})).effective("f"), Some(effective), "{field}");
    }
    let unreadable = schema(json!({"f": {"type": "int", "value": "5.5"}}));
    assert_eq!((unreadable.effective("f"), unreadable.effective("g")), (None, None));
}

#[test]
fn an_absent_property_has_the_default_of_the_service() {
    let read = schema(json!({"f": {}}));
    let field = read.get("f").unwrap();
    assert_eq!(field, &ConfigField::default());
    assert!(field.required && !field.sensitive);
    assert_eq!(
        (field.kind, field.order, &field.value, &field.default_value),
        (FieldType::Str, 1, &json!(""), &json!(null))
    );
}

#[test]
fn a_field_counts_only_when_all_it_depends_on_is_so() {
    let with = |a: Value, b: Value| {
        told(json!({
            "a": {"label": "A", "type": "bool", "required": false, "value": a},
            "b": {"label": "B", "required": false, "default_value": "x", "value": b},
            "c": {"label": "C", "value": "", "depends_on": [{"field": "a", "value": true}, {"field": "b", "value": "x"}]},
        }))
    };
    let empty = vec!["'C' cannot be empty.".to_owned()];
    for (a, b, problems) in [
        (json!(true), json!("x"), empty.clone()),
        (json!("true"), json!(""), empty),
        (json!(true), json!("y"), vec![]),
        (json!(false), json!("x"), vec![]),
        (json!(null), json!("x"), vec![]),
    ] {
        assert_eq!(with(a.clone(), b.clone()), problems, "{a} {b}");
    }
}

#[test]
fn a_dependency_that_does_not_exist_is_the_fields_only_problem() {
    let problems = told(json!({"f": {"label": "F", "value": "", "depends_on": [
        {"field": "x", "value": 1}, {"field": "y", "value": 1}]}}));
    assert_eq!(
        problems,
        [
            "'F' depends on configuration 'x', but it does not exist.",
            "'F' depends on configuration 'y', but it does not exist."
        ]
    );
}

#[test]
fn an_empty_optional_field_satisfies_every_validation() {
    for kind in ["str", "int", "float", "list", "bool"] {
        for (validation, constraint) in [
            ("less_than", json!(0)),
            ("greater_than", json!(0)),
            ("list_type", json!("int")),
            ("included_in", json!([])),
            ("regex", json!("x+")),
        ] {
            let field = json!({"type": kind, "required": false, "value": null, "validations": [{"type": validation, "constraint": constraint}]});
            assert_eq!(told(json!({"f": field})), Vec::<String>::new(), "{kind} {validation}");
        }
    }
}

#[test]
fn a_pattern_must_match_in_full_and_be_one() {
    for (pattern, value, passes) in [
        ("a|ab", "ab", true),
        ("https://.*", "https://x", true),
        ("https://.*", " https://x", false),
        ("[a-z]+", "abc1", false),
        ("a", "a\n", false),
        ("a)|(b", "a", false),
        ("(", "(", false),
    ] {
        let field =
            json!({"label": "F", "value": value, "validations": [{"type": "regex", "constraint": pattern}]});
        assert_eq!(told(json!({"f": field})).is_empty(), passes, "{pattern} {value:?}");
    }
}

#[test]
fn missing_fields_are_listed_in_the_declared_order() {
    let declared = schema(json!({"z": {}, "a": {}, "m": {}}));
    assert_eq!(schema(json!({"a": {}, "extra": {}})).missing_from(&declared), ["z", "m"]);
}

#[test]
fn the_password_of_an_address_is_found() {
    for (value, password) in [
        (json!("mongodb://u:p@h:1,i:2/db?x=y@z"), Some("p")),
        (json!("mongodb+srv://u:a:b%40@h"), Some("a:b%40")),
        (json!("https://u:p@q@h#x"), Some("p@q")),
        (json!("https://u@h:80"), None),
        (json!("https://u:@h"), None),
        (json!("https://h:80/a@b"), None),
        (json!("u:p@h"), None),
        (json!(7), None),
    ] {
        let schema = schema(json!({"f": {"value": value}}));
        assert_eq!(schema.get("f").unwrap().password_in_address(), password, "{value}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["", "true", "5", "5.5", "1,2", "a", "(", ".*", "1e400", "-", "nan"])
            .prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,2}", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_field() -> impl Strategy<Value = Value> {
    let kinds = vec!["str", "int", "float", "list", "bool", "date"];
    let validations = vec!["less_than", "greater_than", "list_type", "included_in", "regex", "new_kind"];
    let validation = (prop::sample::select(validations), any_value())
        .prop_map(|(kind, constraint)| json!({"type": kind, "constraint": constraint}));
    let dependency =
        ("[a-e]", any_value()).prop_map(|(field, value)| json!({"field": field, "value": value}));
    let rules = (prop::collection::vec(validation, 0..4), prop::collection::vec(dependency, 0..2));
    (prop::sample::select(kinds), any::<bool>(), any_value(), any_value(), rules).prop_map(
        |(kind, required, value, default, (validations, depends_on))| {
            json!({
                "label": "L", "type": kind, "required": required, "value": value, "default_value": default,
                "validations": validations, "depends_on": depends_on,
            })
        },
    )
}

fn any_configuration() -> impl Strategy<Value = Value> {
    let entry = prop_oneof![4 => any_field(), 1 => any_value().prop_filter("a bare value", |value| !value.is_object())];
    prop::collection::vec(("[a-e]", entry), 0..5)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

proptest! {
    #[test]
    fn no_configuration_makes_anything_panic(stored in any_configuration(), declared in any_configuration()) {
        let (stored, declared) = (schema(stored), schema(declared));
        let _ = (stored.check(), stored.missing_from(&declared), ConfigSchema::registered(&stored, &declared));
        for (name, _) in stored.iter() {
            let _ = (stored.effective(name), stored.is_active(name));
        }
    }

    #[test]
    fn every_problem_of_every_field_is_told_at_once(fields in prop::collection::vec(any_field(), 1..5)) {
        let alone = |at: usize, field: &Value| {
            let mut field = field.clone();
            field["depends_on"] = json!([]);
            (format!("f{at}"), field)
        };
        let all: Map<String, Value> = fields.iter().enumerate().map(|(at, field)| alone(at, field)).collect();
        let one_by_one: Vec<_> = all.iter().flat_map(|(name, field)| schema(json!({ name: field })).check()).collect();
        prop_assert_eq!(schema(Value::Object(all)).check(), one_by_one);
    }

    #[test]
    fn every_failed_validation_of_a_field_is_told(field in any_field()) {
        let with = |validations: &[Value]| {
            let mut field = field.clone();
            field["depends_on"] = json!([]);
            field["validations"] = json!(validations);
            told(json!({"f": field}))
        };
        let all = field["validations"].as_array().unwrap();
        let before: Vec<String> = with(&[]);
        if before.is_empty() {
            let one_by_one: Vec<String> = all.iter().flat_map(|one| with(std::slice::from_ref(one))).collect();
            prop_assert_eq!(with(all), one_by_one);
        }
    }

    #[test]
    fn a_secret_is_in_no_problem_and_in_no_debug_output(field in any_field(), in_list in any::<bool>(), as_default in any::<bool>()) {
        let mut field = field;
        field["sensitive"] = json!(true);
        field["depends_on"] = json!([]);
        let secret = if in_list { json!([SECRET, "b"]) } else { json!(SECRET) };
        field[if as_default { "default_value" } else { "value" }] = secret;
        if as_default {
            field["value"] = json!(null);
        }
        let configuration = schema(json!({ "f": field }));
        let shown: String = configuration.check().iter().map(ToString::to_string).collect();
        prop_assert!(!shown.contains(SECRET), "{}", shown);
        let debug = format!("{configuration:?}");
        prop_assert!(!debug.contains(SECRET));
    }

    #[test]
    fn a_problem_names_a_field_that_exists(configuration in any_configuration()) {
        let configuration = schema(configuration);
        for problem in configuration.check() {
            prop_assert!(configuration.get(&problem.field).is_some());
        }
    }

    #[test]
    fn registering_keeps_every_value_and_is_done_after_once(stored in any_configuration(), declared in any_configuration()) {
        let (stored, declared) = (schema(stored), schema(declared));
        let Some(registered) = ConfigSchema::registered(&stored, &declared) else { return Ok(()) };
        for (name, field) in stored.iter() {
            prop_assert_eq!(&registered.get(name).unwrap().value, &field.value);
        }
        prop_assert_eq!(registered.missing_from(&declared), Vec::<String>::new());
        prop_assert_eq!(ConfigSchema::registered(&registered, &declared), None);
    }

    #[test]
    fn a_configuration_that_was_written_reads_as_it_was(configuration in any_configuration()) {
        let read = schema(configuration);
        let written = serde_json::to_value(&read).unwrap();
        prop_assert!(!ConfigSchema::has_gaps(written.as_object().unwrap()));
        prop_assert_eq!(schema(written), read);
    }
}
