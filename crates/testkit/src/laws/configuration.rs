use std::fmt::Debug;

use serde_json::{Map, Value};
use tributary_sdk::{Connector, Context, SourceConfig};

use crate::{World, connect, list, schema, try_connect};

/// What secrets are in this law.
const SECRET: &str = "hunter2-never-shown";

/// People see labels, in the order of the declaration.
pub async fn every_field_has_a_label_and_its_place<C: Connector, W: World>() {
    let schema = C::Config::schema();
    assert!(!schema.is_empty(), "a source has a configuration");
    let mut last = 0;
    for (name, field) in schema.iter() {
        assert!(!field.label.trim().is_empty(), "the field '{name}' has no label");
        assert!(field.order > last, "the field '{name}' has the place {} after {last}", field.order);
        last = field.order;
        for dependency in &field.depends_on {
            assert!(schema.get(&dependency.field).is_some(), "'{name}' depends on '{}'", dependency.field);
        }
        let scalar = |value: &Value| !value.is_array() && !value.is_object();
        assert!(
            scalar(&field.value) && scalar(&field.default_value),
            "'{name}': documents keep single values"
        );
        assert!(
            !field.sensitive || field.value.as_str().is_none_or(str::is_empty),
            "'{name}' comes with a secret"
        );
    }
    assert!(!C::SERVICE_TYPE.is_empty() && !C::NAME.is_empty());
    assert!(
        C::SERVICE_TYPE
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    );
}

/// A new connector that was given only what must be given can be read.
pub async fn the_declared_values_can_be_read<C: Connector, W: World>() {
    let Err(problems) = C::Config::from_schema(&C::Config::schema()) else { return };
    for problem in problems {
        assert!(problem.message.ends_with("cannot be empty."), "a declared value cannot be read: {problem}");
    }
}

/// What the source's own example says, with the addresses and names of this world.
///
/// # Panics
/// When the law is broken.
pub async fn the_example_connects<C: Connector, W: World>(example: &str) {
    let world = W::start().await;
    let mut values: Map<String, Value> =
        serde_json::from_str(example).expect("example.json is an object of values");
    if let Err(problems) = C::Config::from_schema(&schema::<C>(&values)) {
        panic!("example.json: {problems:?}");
    }
    values.extend(world.config());
    let source = connect::<C>(&values).await;
    let ping = source.ping(&Context::default()).await;
    assert!(ping.is_ok(), "{:?}", ping.map_err(|error| error.report()));
}

/// Not in a debug text of the configuration, not in a problem, not in an error.
pub async fn secrets_are_never_shown<C: Connector, W: World>()
where
    C::Config: Debug,
{
    let mut world = W::start().await;
    let mut values = world.config();
    for (name, field) in C::Config::schema().iter().filter(|(_, field)| field.sensitive) {
        values.insert(name.to_owned(), SECRET.into());
        assert!(field.value.as_str().is_none_or(str::is_empty), "'{name}' comes with a secret");
    }
    check(&format!("{:?}", C::Config::from_schema(&schema::<C>(&values))));
    for _ in 0..2 {
        match try_connect::<C>(&values).await {
            Err(error) => check(&format!("{error:?} {}", error.report())),
            Ok(source) => {
                let ping = source.ping(&Context::default()).await;
                check(&format!(
                    "{source:?} {ping:?} {:?}",
                    ping.as_ref().map_err(tributary_sdk::Error::report)
                ));
                for error in list(&source).await.errors() {
                    check(&format!("{error:?} {}", error.report()));
                }
            }
        }
        world.go_away().await;
    }
}

fn check(shown: &str) {
    assert!(!shown.contains(SECRET), "a secret is shown: {shown}");
}
