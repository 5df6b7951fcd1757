//! `tributary node key`: API keys, for a node or for Elasticsearch.

use std::fs;

use serde_json::{Map, Value};

use crate::args::KeyCommand;
use crate::error::{CliError, Result};
use crate::output::Format;
use crate::{output, target};

pub(super) async fn run(command: KeyCommand) -> Result<()> {
    let KeyCommand::Create { name, expiration, roles, target, output } = command;
    let mut body = Map::new();
    body.insert("name".to_owned(), name.as_str().into());
    if let Some(expiration) = expiration {
        body.insert("expiration".to_owned(), expiration.into());
    }
    if let Some(file) = roles {
        let shown = file.display();
        let text = fs::read_to_string(&file).map_err(|error| {
            CliError::user(format!("file '{shown}' cannot be read: {error}"))
                .hint("name a file that you may read")
        })?;
        let roles: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
            CliError::user(format!("file '{shown}' is no JSON object of role descriptors: {error}"))
        })?;
        body.insert("role_descriptors".to_owned(), roles.into());
    }
    let client = target::connect(&target)?;
    let made = client.raw("POST", "/_security/api_key", Some(&Value::Object(body))).await?;
    match output.output {
        Format::Json => output::json(&made),
        Format::Text => {
            let encoded = made["encoded"].as_str().unwrap_or_default();
            output::note(format!("API key '{name}', told this once only:"));
            output::line(encoded)
        }
    }
}
