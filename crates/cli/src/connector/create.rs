//! `tributary connector create`.

use serde_json::{Map, Value, json};
use tributary_client::{ErrorKind, NewConnector};
use tributary_protocol::ConnectorId;
use tributary_protocol::config::{ConfigField, ConfigSchema};
use tributary_sdk::Registry;

use super::{fields, schedule};
use crate::args::ConnectorCreateArgs;
use crate::error::{CliError, Result};
use crate::output::{self, Format};
use crate::source::{known, plain};
use crate::{target, terminal};

pub(crate) async fn run(args: ConnectorCreateArgs) -> Result<()> {
    let registry = tributary_connectors::registry();
    let Wanted { service_type, index } = wanted(&args, &registry)?;
    let kind = known(&registry, &service_type)?;
    target::index_name(&index)?;
    let schedules = schedule::parse(&args.schedule)?;
    let configuration = configuration(kind.schema(), &args, &service_type)?;

    let client = target::connect(&args.target)?;
    let new = NewConnector {
        name: Some(args.name.clone().unwrap_or_else(|| index.clone())),
        description: args.description.clone(),
        index_name: Some(index.clone()),
        service_type: Some(service_type.clone()),
        ..NewConnector::default()
    };
    let wanted = args.id.clone().map(ConnectorId::from);
    let id = client.create_connector(wanted.as_ref(), &new).await.map_err(|error| {
        match (error.kind(), &args.id) {
            (ErrorKind::Conflict, Some(id)) if error.reason().contains(id.as_str()) => {
                CliError::user(format!("there is a connector '{id}' already")).hint("choose another --id")
            }
            _ if error.reason().contains("is used by another connector") => CliError::user(error.reason())
                .hint("choose another --index; `tributary connector list` shows whose it is"),
            _ => error.into(),
        }
    })?;
    client.update_configuration(&id, &configuration).await?;
    client.update_features(&id, &kind.features().to_value()).await?;
    if let Some(schedules) = schedule::request(&schedules, None) {
        client.update_scheduling(&id, &schedules).await?;
    }
    schedule::warn_of_idle(&schedules);
    if args.output.output == Format::Json {
        return output::json(&json!({
            "id": id.as_str(), "index_name": index, "service_type": service_type,
        }));
    }
    output::line(format!("created connector '{id}' for index '{index}'"))?;
    output::note(format!(
        "sync it with `tributary sync {id}`, or `tributary job start {id}` where a daemon runs"
    ));
    Ok(())
}

/// What every connector needs.
struct Wanted {
    service_type: String,
    index: String,
}

/// From the flags, then the terminal.
fn wanted(args: &ConnectorCreateArgs, registry: &Registry) -> Result<Wanted> {
    let (service_type, index) = match (&args.service_type, &args.index) {
        (Some(service_type), Some(index)) => (service_type.clone(), index.clone()),
        (service_type, index) if terminal::can_ask() => {
            let types = registry.service_types().join(", ");
            let service_type = match service_type {
                Some(given) => given.clone(),
                None => terminal::ask(&format!("Kind of source ({types})"), false)?.trim().to_owned(),
            };
            // A wrong one is told of before more is asked.
            known(registry, &service_type)?;
            let index = match index {
                Some(given) => given.clone(),
                None => terminal::ask("Index that receives the documents", false)?.trim().to_owned(),
            };
            (service_type, index)
        }
        (service_type, index) => {
            let missing = [("--service-type", service_type), ("--index", index)];
            let missing = missing.into_iter().filter(|(_, given)| given.is_none());
            return Err(CliError::all(missing.map(|(flag, _)| format!("{flag} is missing")))
                .hint("see `tributary connector create --help`"));
        }
    };
    Ok(Wanted { service_type, index })
}

/// The source's fields with the values given: file, flags, then the terminal for what is still missing.
fn configuration(
    mut schema: ConfigSchema,
    args: &ConnectorCreateArgs,
    service_type: &str,
) -> Result<ConfigSchema> {
    let from_file = args.from_file.as_deref().map_or_else(|| Ok(Map::new()), fields::from_file)?;
    fields::apply(&mut schema, fields::parse(&args.values)?, from_file)?;
    if terminal::can_ask() {
        ask(&mut schema)?;
    }
    let problems = fields::problems(&schema);
    if problems.is_empty() {
        return Ok(schema);
    }
    Err(CliError::all(problems)
        .hint(format!("give values with --set FIELD=VALUE; see `tributary source describe {service_type}`")))
}

/// Asks for the required fields without a value, in their order, where their conditions hold.
fn ask(schema: &mut ConfigSchema) -> Result<()> {
    let mut names: Vec<(i64, String)> =
        schema.iter().map(|(name, field)| (field.order, name.to_owned())).collect();
    names.sort();
    for (_, name) in names {
        let Some(field) = schema.get(&name).filter(|field| must_ask(schema, field)).cloned() else {
            continue;
        };
        let answer = terminal::ask(&question(&name, &field), field.sensitive)?;
        if !answer.is_empty() {
            fields::apply(schema, vec![(name, answer)], Map::new())?;
        }
    }
    Ok(())
}

fn must_ask(schema: &ConfigSchema, field: &ConfigField) -> bool {
    let empty = field.value.is_null() || field.value.as_str() == Some("");
    let holds =
        |name: &str, value: &Value| schema.effective(name).is_some_and(|effective| effective == *value);
    field.required && empty && field.depends_on.iter().all(|needed| holds(&needed.field, &needed.value))
}

fn question(name: &str, field: &ConfigField) -> String {
    let options: Vec<String> = field.options.iter().map(|option| plain(&option.value)).collect();
    let options = if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
    format!("{} [{name}]{options}", field.label)
}
