use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tributary_sdk::Result;

use crate::{Attempts, Database, Session};

/// One query of an advanced sync rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The tables it reads; they name its documents and fields.
    pub tables: Vec<String>,
    /// The query.
    pub query: String,
    /// Columns of its result that tell documents apart; without them the keys of its tables do.
    pub id_columns: Vec<String>,
}

impl Rule {
    /// Reads the value of an advanced rule; an empty one is no rule.
    ///
    /// # Errors
    /// One message for each fault, in the words of JSON schema checks.
    pub fn read_all(snippet: &Value) -> Result<Vec<Self>, Vec<String>> {
        let items = match snippet {
            Value::Null => return Ok(Vec::new()),
            Value::Object(fields) if fields.is_empty() => return Ok(Vec::new()),
            Value::Array(items) => items,
            _ => return Err(vec!["data must be array".to_owned()]),
        };
        let mut faults = Vec::new();
        let rules =
            items.iter().enumerate().map(|(n, item)| Self::read(&format!("data[{n}]"), item, &mut faults));
        let rules: Vec<Self> = rules.collect();
        if faults.is_empty() { Ok(rules) } else { Err(faults) }
    }

    fn read(path: &str, item: &Value, faults: &mut Vec<String>) -> Self {
        let mut rule = Self { tables: Vec::new(), query: String::new(), id_columns: Vec::new() };
        let Some(fields) = item.as_object() else {
            faults.push(format!("{path} must be object"));
            return rule;
        };
        let missing: Vec<String> = ["tables", "query"]
            .into_iter()
            .filter(|name| !fields.contains_key(*name))
            .map(|name| format!("'{name}'"))
            .collect();
        if !missing.is_empty() {
            faults.push(format!("{path} must contain [{}] properties", missing.join(", ")));
        }
        let unknown: Vec<String> = fields
            .keys()
            .filter(|name| !["tables", "query", "id_columns"].contains(&name.as_str()))
            .map(|name| format!("'{name}'"))
            .collect();
        if !unknown.is_empty() {
            faults.push(format!("{path} must not contain {{{}}} properties", unknown.join(", ")));
        }
        rule.tables = texts(path, fields, "tables", faults);
        rule.id_columns = texts(path, fields, "id_columns", faults);
        match fields.get("query") {
            None => {}
            Some(Value::String(query)) if query.trim().is_empty() => {
                faults.push(format!("{path}.query must be longer than or equal to 1 characters"));
            }
            // The end of a statement is not part of a query.
            Some(Value::String(query)) => {
                rule.query = query.trim().trim_end_matches(';').trim_end().to_owned();
            }
            Some(_) => faults.push(format!("{path}.query must be string")),
        }
        rule
    }
}

fn texts(path: &str, fields: &Map<String, Value>, name: &str, faults: &mut Vec<String>) -> Vec<String> {
    let items = match fields.get(name) {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => {
            faults.push(format!("{path}.{name} must be array"));
            return Vec::new();
        }
    };
    if items.is_empty() {
        faults.push(format!("{path}.{name} must contain at least 1 items"));
    }
    let mut texts = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        match item.as_str() {
            Some("") => {
                faults.push(format!("{path}.{name}[{n}] must be longer than or equal to 1 characters"));
            }
            Some(text) => texts.push(text.to_owned()),
            None => faults.push(format!("{path}.{name}[{n}] must be string")),
        }
    }
    texts
}

/// Checks an advanced snippet: its form, then whether the tables of its rules are there. One message for each fault.
///
/// # Errors
/// When the database cannot be asked.
pub async fn check_rules<D: Database>(database: &D, attempts: u32, snippet: &Value) -> Result<Vec<String>> {
    let rules = match Rule::read_all(snippet) {
        Ok(rules) if rules.is_empty() => return Ok(Vec::new()),
        Ok(rules) => rules,
        Err(faults) => return Ok(faults),
    };
    let mut attempts = Attempts::new(attempts);
    let found = loop {
        let asked = async { database.open().await?.tables().await };
        match asked.await {
            Ok(found) => break found,
            Err(error) => attempts.again(error).await?,
        }
    };
    let schema = database.naming().rule_schema();
    let known: BTreeSet<&str> = found
        .iter()
        .filter(|found| found.name.schema == schema)
        .map(|found| found.name.name.as_str())
        .collect();
    let missing: BTreeSet<String> = rules
        .into_iter()
        .flat_map(|rule| rule.tables)
        .filter(|table| !known.contains(table.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![database.naming().missing_tables(&missing.into_iter().collect::<Vec<_>>())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_told_in_the_words_of_a_schema_check() {
        for (snippet, fault) in [
            (json!({"a": 1}), "data must be array"),
            (json!([1]), "data[0] must be object"),
            (json!([{"tables": [], "query": "x"}]), "data[0].tables must contain at least 1 items"),
            (json!([{"query": "x"}]), "data[0] must contain ['tables'] properties"),
            (
                json!([{"tables": ["a"], "query": ""}]),
                "data[0].query must be longer than or equal to 1 characters",
            ),
            (json!([{"tables": [1], "query": "x"}]), "data[0].tables[0] must be string"),
            (json!([{"tables": ["a"], "query": "x", "y": 1}]), "data[0] must not contain {'y'} properties"),
        ] {
            assert_eq!(Rule::read_all(&snippet).unwrap_err(), [fault], "{snippet}");
        }
    }

    #[test]
    fn an_empty_snippet_is_no_rule() {
        for snippet in [json!({}), json!([]), Value::Null] {
            assert_eq!(Rule::read_all(&snippet), Ok(Vec::new()));
        }
    }

    #[test]
    fn the_end_of_the_statement_is_cut_off() {
        let rules = Rule::read_all(&json!([{"tables": ["a"], "query": " select 1 ; ", "id_columns": ["b"]}]));
        let rule = &rules.unwrap()[0];
        assert_eq!((rule.query.as_str(), rule.id_columns.as_slice()), ("select 1", &["b".to_owned()][..]));
    }
}
