//! `tributary source`: the kinds of source built into this program.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tributary_sdk::{AnyConnector, ConfigField, Registry};

use crate::args::SourceCommand;
use crate::error::{CliError, Result};
use crate::output::{self, Format};

pub(crate) fn run(command: &SourceCommand) -> Result<()> {
    let registry = tributary_connectors::registry();
    match command {
        SourceCommand::List { output } => list(&registry, output.output),
        SourceCommand::New { name, checkout } => begin(name, checkout.as_deref()),
        SourceCommand::Describe { service_type, output } => {
            describe(known(&registry, service_type)?, output.output)
        }
    }
}

/// The kind of source with this service type.
pub(crate) fn known<'r>(registry: &'r Registry, service_type: &str) -> Result<&'r dyn AnyConnector> {
    registry.get(service_type).map(|kind| &**kind).ok_or_else(|| {
        let all = registry.service_types().join(", ");
        CliError::user(format!("a source of type '{service_type}' is not built in"))
            .hint(format!("one of {all}"))
    })
}

fn list(registry: &Registry, format: Format) -> Result<()> {
    if format == Format::Json {
        return output::json(&Value::Array(registry.iter().map(|kind| summary(&**kind)).collect()));
    }
    let row = |kind: &dyn AnyConnector| {
        vec![kind.service_type().to_owned(), kind.name().to_owned(), abilities(kind).join(", ")]
    };
    let rows: Vec<Vec<String>> = registry.iter().map(|kind| row(&**kind)).collect();
    output::line(output::table(&["TYPE", "NAME", "CAN DO"], &rows))
}

fn summary(kind: &dyn AnyConnector) -> Value {
    json!({
        "service_type": kind.service_type(),
        "name": kind.name(),
        "features": kind.features().to_value(),
        "resumable": kind.resumable(),
    })
}

fn abilities(kind: &dyn AnyConnector) -> Vec<&'static str> {
    let features = kind.features();
    let all = [
        (true, "full"),
        (features.incremental_sync, "incremental"),
        (features.document_level_security, "access control"),
        (features.basic_rules, "basic rules"),
        (features.advanced_rules, "advanced rules"),
        (kind.resumable(), "resumable"),
    ];
    all.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
}

fn describe(kind: &dyn AnyConnector, format: Format) -> Result<()> {
    let schema = kind.schema();
    if format == Format::Json {
        let mut described = summary(kind);
        described["configuration"] = serde_json::to_value(&schema).map_err(CliError::ours)?;
        return output::json(&described);
    }
    output::line(format!("{} ({})", kind.name(), kind.service_type()))?;
    output::line(format!("can do: {}", abilities(kind).join(", ")))?;
    output::line("")?;
    let mut fields: Vec<(&str, &ConfigField)> = schema.iter().collect();
    fields.sort_by_key(|(_, field)| field.order);
    let rows: Vec<Vec<String>> = fields.into_iter().map(|(name, field)| row(name, field)).collect();
    output::line(output::table(&["FIELD", "TYPE", "DEFAULT", "", "MEANING"], &rows))
}

fn row(name: &str, field: &ConfigField) -> Vec<String> {
    let mut marks = Vec::new();
    if field.required {
        marks.push("required".to_owned());
    }
    if field.sensitive {
        marks.push("secret".to_owned());
    }
    for dependency in &field.depends_on {
        marks.push(format!("if {}={}", dependency.field, plain(&dependency.value)));
    }
    let default = if field.value.is_null() { &field.default_value } else { &field.value };
    let meaning = match &field.tooltip {
        Some(tooltip) => format!("{}: {tooltip}", field.label),
        None => field.label.clone(),
    };
    vec![name.to_owned(), kind_of(field), plain(default), marks.join(", "), meaning]
}

fn kind_of(field: &ConfigField) -> String {
    let kind = serde_json::to_value(field.kind).unwrap_or_default();
    let options: Vec<String> = field.options.iter().map(|option| plain(&option.value)).collect();
    if options.is_empty() { plain(&kind) } else { options.join("|") }
}

/// Makes a source in a checkout: sources are compiled in, so a new one begins where the program is built.
fn begin(name: &str, checkout: Option<&Path>) -> Result<()> {
    let here = match checkout {
        Some(given) => given.to_owned(),
        None => env::current_dir()
            .map_err(|error| CliError::user(format!("there is no current folder: {error}")))?,
    };
    let is_checkout = |folder: &&Path| folder.join("xtask/template").is_dir();
    let root = match checkout {
        Some(given) => Some(given).filter(is_checkout),
        None => here.ancestors().find(is_checkout),
    };
    let root = root.ok_or_else(|| {
        CliError::user(format!("'{}' is no checkout of the repository", here.display()))
            .hint("clone https://github.com/tributary/tributary and name its folder with --checkout")
    })?;
    let mut cargo = Command::new("cargo");
    let ended =
        cargo.args(["xtask", "new-connector", "--", name]).current_dir(root).output().map_err(|error| {
            CliError::user(format!("cargo does not start: {error}")).hint("install Rust: https://rustup.rs")
        })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !ended.status.success() {
        return Err(CliError::user(text(&ended.stderr)));
    }
    output::line(text(&ended.stdout))
}

/// A value as a person writes it.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
