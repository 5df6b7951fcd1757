//! `tributary index`: list, empty and delete content indices.

use serde_json::{Value, json};
use tributary_client::Client;
use tributary_protocol::IndexName;

use crate::args::{IndexCommand, TargetArgs};
use crate::error::{CliError, Result};
use crate::output::{self, Format};
use crate::source::plain;
use crate::{target, terminal};

pub(crate) async fn run(command: IndexCommand) -> Result<()> {
    match command {
        IndexCommand::List { target, output } => list(&target, output.output).await,
        IndexCommand::Clean { index, yes, target } => clean(&index, yes, &target).await,
        IndexCommand::Delete { index, yes, target } => delete(&index, yes, &target).await,
    }
}

async fn list(args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let answer =
        client.raw("GET", "/_cat/indices?format=json&bytes=b&h=index,docs.count,store.size", None).await?;
    let mut found: Vec<(String, u64, Option<u64>)> =
        answer.as_array().into_iter().flatten().filter_map(read).collect();
    found.sort();
    if format == Format::Json {
        let all = found
            .iter()
            .map(|(index, documents, bytes)| json!({"index": index, "documents": documents, "bytes": bytes}));
        return output::json(&all.collect());
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(index, documents, bytes)| {
            let size = bytes.map_or_else(String::new, |bytes| indicatif::HumanBytes(bytes).to_string());
            vec![index.clone(), documents.to_string(), size]
        })
        .collect();
    output::line(output::table(&["INDEX", "DOCUMENTS", "SIZE"], &rows))
}

/// A row of the answer; indices whose name begins with a dot hold no content.
fn read(row: &Value) -> Option<(String, u64, Option<u64>)> {
    let index = row["index"].as_str().filter(|name| !name.starts_with('.'))?;
    let documents = plain(&row["docs.count"]).parse().unwrap_or_default();
    Some((index.to_owned(), documents, plain(&row["store.size"]).parse().ok()))
}

async fn clean(name: &str, yes: bool, args: &TargetArgs) -> Result<()> {
    let index = content_index(name)?;
    let client = target::connect(args)?;
    must_exist(&client, &index).await?;
    terminal::confirm(&format!("delete every document of index '{name}'"), yes)?;
    let path = format!("/{name}/_delete_by_query?conflicts=proceed&refresh=true");
    let answer = client.raw("POST", &path, Some(&json!({"query": {"match_all": {}}}))).await?;
    let failures =
        answer["failures"].as_array().map_or(0, Vec::len) + usize::from(answer["version_conflicts"] != 0);
    output::line(format!("deleted {} documents of index '{name}'", answer["deleted"]))?;
    if failures > 0 && client.count(&index).await? > 0 {
        return Err(CliError::user(format!("index '{name}' is not empty, because it was written meanwhile"))
            .hint("stop the syncs into it and clean again"));
    }
    Ok(())
}

async fn delete(name: &str, yes: bool, args: &TargetArgs) -> Result<()> {
    let index = content_index(name)?;
    let client = target::connect(args)?;
    must_exist(&client, &index).await?;
    terminal::confirm(&format!("delete index '{name}' with all its documents"), yes)?;
    client.delete_index(&index).await?;
    output::line(format!("deleted index '{name}'"))
}

/// The protocol's own indices are not content.
fn content_index(name: &str) -> Result<IndexName> {
    if name.starts_with('.') {
        return Err(
            CliError::user(format!("'{name}' is no content index")).hint("see `tributary index list`")
        );
    }
    target::index_name(name)
}

async fn must_exist(client: &Client, index: &IndexName) -> Result<()> {
    match client.index_exists(index).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(CliError::user(format!("there is no index '{index}'")).hint("see `tributary index list`"))
        }
        Err(error) => Err(error.into()),
    }
}
