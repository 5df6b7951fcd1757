//! Laws of derived configurations.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tributary_sdk::{ConfigSchema, Display, FieldType, Secret, SourceConfig};

#[derive(Debug, SourceConfig)]
struct Shop {
    #[config(label = "Address", tooltip = "Where the shop is.", regex = "https?://.+")]
    url: String,
    #[config(label = "Token")]
    token: Secret<String>,
    #[config(label = "Port", default = 443, min = 1)]
    port: u16,
    #[config(label = "Shelves", default = ["a", "b"])]
    shelves: Vec<String>,
    #[config(label = "Encrypted", name = "use_tls", default = true)]
    tls: bool,
    #[config(label = "Authority", depends_on(tls = true))]
    authority: Option<PathBuf>,
    #[config(label = "Order", value = "name", options = ["name", ("age", "Oldest first")])]
    order: String,
    #[config(label = "Patience", default = "30s", advanced)]
    patience: Duration,
    #[config(label = "Share", default = 0.5, less_than = 1)]
    share: f64,
}

/// The schema with these values.
fn with(values: Value) -> ConfigSchema {
    let mut schema = Shop::schema();
    for (name, value) in values.as_object().unwrap() {
        schema.get_mut(name).unwrap().value = value.clone();
    }
    schema
}

fn problems(schema: &ConfigSchema) -> Vec<String> {
    Shop::from_schema(schema).unwrap_err().into_iter().map(|problem| problem.message).collect()
}

#[test]
fn the_schema_follows_declaration_and_types() {
    let schema = Shop::schema();
    let names: Vec<(&str, i64)> = schema.iter().map(|(name, field)| (name, field.order)).collect();
    assert_eq!(names[..3], [("url", 1), ("token", 2), ("port", 3)]);
    let field = |name: &str| schema.get(name).unwrap();
    assert!(field("url").required && field("token").sensitive && field("order").required);
    assert!(!field("port").required && !field("authority").required);
    assert_eq!((field("port").kind, field("port").display), (FieldType::Int, Display::Numeric));
    assert_eq!(field("shelves").default_value, json!("a,b"), "documents keep lists as text");
    assert_eq!(field("order").options[1].label, "Oldest first");
    assert_eq!(field("patience").ui_restrictions, ["advanced"]);
    assert_eq!(field("authority").depends_on[0].field, "use_tls");
}

#[test]
fn values_are_read_whatever_their_form() {
    let shop = Shop::from_schema(&with(json!({
        "url": "https://shop.example", "token": "hunter2", "port": "8443", "shelves": "x, y", "use_tls": "yes",
        "authority": "/etc/ca.pem", "order": "age", "patience": "2m", "share": "0.25",
    })))
    .unwrap();
    assert_eq!((shop.port, shop.shelves, shop.tls), (8443, vec!["x".to_owned(), "y".to_owned()], true));
    assert_eq!(
        (shop.authority, shop.patience),
        (Some(PathBuf::from("/etc/ca.pem")), Duration::from_secs(120))
    );
    assert_eq!((shop.share, shop.order.as_str(), shop.token.reveal().as_str()), (0.25, "age", "hunter2"));
    assert_eq!(shop.url, "https://shop.example");
}

#[test]
fn empty_optional_fields_have_their_defaults() {
    let shop = Shop::from_schema(&with(json!({
        "url": "http://x", "token": "t", "port": null, "shelves": "", "use_tls": "", "patience": "", "share": null,
    })))
    .unwrap();
    assert_eq!((shop.port, shop.tls, shop.shelves.len(), shop.share), (443, true, 2, 0.5));
    assert_eq!((shop.authority, shop.patience), (None, Duration::from_secs(30)));
}

#[test]
fn a_field_that_does_not_count_has_its_default_whatever_its_value() {
    let shop = Shop::from_schema(&with(
        json!({"url": "http://x", "token": "t", "use_tls": false, "authority": "/ca"}),
    ))
    .unwrap();
    assert_eq!(shop.authority, None);
}

#[test]
fn every_problem_is_told_at_once_with_label_value_and_what_is_accepted() {
    let found = problems(&with(json!({
        "url": "ftp://x", "token": "", "port": 70_000, "use_tls": "maybe", "order": "size", "patience": "soon",
        "share": 2,
    })));
    assert_eq!(
        found,
        [
            "'Address' value 'ftp://x' failed regex check https?://.+.",
            "'Token' cannot be empty.",
            "'Port' value '70000' should be a whole number from 0 to 65535.",
            "'Encrypted' value 'maybe' should be true or false.",
            "'Order' value 'size' should be one of name, age.",
            "'Patience' value 'soon' should be a duration such as 500ms, 30s, 5m, 2h or 1d.",
            "'Share' value '2' should be less than 1.",
        ]
    );
    assert_eq!(problems(&with(json!({"url": "http://x", "token": "t", "port": 0}))).len(), 1);
}

#[test]
fn missing_required_fields_are_named_and_unknown_ones_ignored() {
    let given: ConfigSchema =
        serde_json::from_value(json!({"url": "http://x", "colour": "red", "order": "name"})).unwrap();
    assert_eq!(problems(&given), ["'Token' is missing: the configuration has no field 'token'."]);
    let given: ConfigSchema =
        serde_json::from_value(json!({"url": "http://x", "token": "t", "order": "name"})).unwrap();
    assert_eq!(Shop::from_schema(&given).unwrap().port, 443, "an optional field has its default");
}

#[test]
fn definitions_in_the_document_do_not_change_how_a_value_is_read() {
    let mut given = with(json!({"url": "http://x", "token": "t", "port": "80"}));
    let port = given.get_mut("port").unwrap();
    (port.kind, port.validations) = (FieldType::Str, Vec::new());
    given.get_mut("token").unwrap().sensitive = false;
    assert_eq!(Shop::from_schema(&given).unwrap().port, 80);
}

#[test]
fn a_secret_is_in_no_problem_and_no_debug_text() {
    #[derive(Debug, SourceConfig)]
    struct Pin {
        #[config(label = "Pin", max = 9999)]
        pin: Secret<i64>,
        #[config(label = "Code", sensitive, options = ["a"])]
        code: String,
    }
    let read = |pin: Value, code: &str| {
        let mut schema = Pin::schema();
        schema.get_mut("pin").unwrap().value = pin;
        schema.get_mut("code").unwrap().value = json!(code);
        Pin::from_schema(&schema)
    };
    for pin in [json!("hunter2"), json!(77_777)] {
        let told = format!("{:?}", read(pin, "hunter2").unwrap_err());
        assert!(!told.contains("hunter2") && !told.contains("77777"), "{told}");
    }
    let pin = read(json!(1234), "a").unwrap();
    assert_eq!((pin.pin.reveal(), pin.code.as_str()), (&1234, "a"));
    assert!(!format!("{pin:?}").contains("1234"));
}
