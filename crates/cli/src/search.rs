//! `tributary search`: look at the result of syncs.

use serde_json::{Value, json};
use tributary_client::Client;

use crate::args::SearchArgs;
use crate::error::{CliError, Result, one_line};
use crate::output::{self, Format};
use crate::source::plain;
use crate::{target, terminal};

/// Marks around what matched, which occur in no text.
const BEGIN: char = '\u{1}';
const END: char = '\u{2}';
/// Fields that name a document, the best first.
const TITLES: [&str; 6] = ["title", "name", "path", "url", "file_name", "subject"];
/// Fields that are too large to be fetched for a list of hits.
const LARGE: [&str; 4] = ["body", "_attachment", "attachment", "_tributary"];

pub(crate) async fn run(args: SearchArgs) -> Result<()> {
    target::index_name(&args.index)?;
    let client = target::connect(&args.target)?;
    let body = request(args.text.as_deref(), args.size);
    let answer = client.search(&args.index, &body).await.map_err(|error| {
        if error.is_missing_index() {
            return CliError::user(format!("there is no index '{}'", args.index))
                .hint("see `tributary index list`");
        }
        error.into()
    })?;
    match args.output.output {
        Format::Json => output::json(&result(&answer)),
        Format::Text => print(&answer),
    }
}

/// A word that finds something in the index, to show how to search it.
pub(crate) async fn example_word(client: &Client, index: &str) -> Option<String> {
    let body = json!({"query": {"exists": {"field": "body"}}, "size": 3, "_source": ["body"]});
    let answer = client.search(index, &body).await.ok()?;
    let texts = answer["hits"]["hits"].as_array()?.iter().filter_map(|hit| hit["_source"]["body"].as_str());
    texts.filter_map(telling_word).max_by_key(String::len)
}

/// The longest plain word near the text's beginning: it is likely to be a rare one.
fn telling_word(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_ascii_alphabetic()).take(500);
    words.filter(|word| (4..=16).contains(&word.len())).max_by_key(|word| word.len()).map(str::to_lowercase)
}

fn request(text: Option<&str>, size: usize) -> Value {
    let query = match text.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => {
            json!({"simple_query_string": {"query": text, "default_operator": "and", "lenient": true}})
        }
        None => json!({"match_all": {}}),
    };
    json!({
        "query": query,
        "size": size,
        "_source": {"excludes": LARGE},
        "highlight": {
            "pre_tags": [BEGIN.to_string()],
            "post_tags": [END.to_string()],
            "fragment_size": 160,
            "number_of_fragments": 2,
            "fields": {"*": {}},
        },
    })
}

/// The answer as programs get it.
fn result(answer: &Value) -> Value {
    let clean = |value: &Value| match value {
        Value::Object(fields) => {
            let text = |value: &Value| Value::String(unmarked(&plain(value)));
            let texts =
                |values: &Value| values.as_array().map_or(Value::Null, |all| all.iter().map(text).collect());
            Value::Object(fields.iter().map(|(name, values)| (name.clone(), texts(values))).collect())
        }
        _ => json!({}),
    };
    let hits: Vec<Value> = hits(answer)
        .map(|hit| {
            json!({
                "id": hit["_id"], "index": hit["_index"], "score": hit["_score"], "source": hit["_source"],
                "highlight": clean(&hit["highlight"]),
            })
        })
        .collect();
    json!({"total": answer["hits"]["total"]["value"], "hits": hits})
}

fn print(answer: &Value) -> Result<()> {
    let total = answer["hits"]["total"]["value"].as_u64().unwrap_or_default();
    output::line(format!("{total} {}", if total == 1 { "document" } else { "documents" }))?;
    for hit in hits(answer) {
        let score = hit["_score"].as_f64().map_or_else(String::new, |score| format!("  {score:.2}"));
        output::line(format!("\n{}{score}", title(hit)))?;
        for fragment in fragments(hit) {
            output::line(format!("    {}", shown(&fragment)))?;
        }
    }
    Ok(())
}

fn hits(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["hits"]["hits"].as_array().into_iter().flatten()
}

fn title(hit: &Value) -> String {
    let name = TITLES.iter().find_map(|field| hit["_source"][*field].as_str());
    one_line(name.unwrap_or_else(|| hit["_id"].as_str().unwrap_or_default()))
}

/// What matched, without what the title shows already.
fn fragments(hit: &Value) -> Vec<String> {
    let Some(fields) = hit["highlight"].as_object() else { return Vec::new() };
    let title = title(hit);
    let mut all: Vec<String> = Vec::new();
    for fragment in fields.values().filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
        let fragment = one_line(fragment);
        let bare = unmarked(&fragment);
        if bare != title && all.iter().all(|known| unmarked(known) != bare) {
            all.push(fragment);
        }
    }
    all.truncate(3);
    all
}

fn unmarked(text: &str) -> String {
    text.replace([BEGIN, END], "")
}

/// Bold on a terminal.
fn shown(fragment: &str) -> String {
    if terminal::stdout_is_one() {
        fragment.replace(BEGIN, "\u{1b}[1m").replace(END, "\u{1b}[0m")
    } else {
        unmarked(fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_named_by_its_best_field_and_else_by_its_id() {
        let named = json!({"_id": "1", "_source": {"path": "/a/b.md", "title": "A\n title"}});
        assert_eq!(title(&named), "A title");
        assert_eq!(title(&json!({"_id": "1", "_source": {}})), "1");
    }

    #[test]
    fn fragments_are_shown_once_and_never_with_their_marks() {
        let hit = json!({"_id": "1", "_source": {}, "highlight": {"body": ["a \u{1}b\u{2}"], "body.text": ["a b"]}});
        assert_eq!(fragments(&hit).iter().map(|f| unmarked(f)).collect::<Vec<_>>(), ["a b"]);
        let answer = json!({"hits": {"total": {"value": 1}, "hits": [hit]}});
        assert_eq!(result(&answer)["hits"][0]["highlight"]["body"][0], "a b");
    }

    #[test]
    fn a_telling_word_is_long_and_plain() {
        assert_eq!(telling_word("Das ist ein Verzeichnis, x123"), Some("verzeichnis".to_owned()));
        assert_eq!(telling_word("a b c"), None);
    }
}
