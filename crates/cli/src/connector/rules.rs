//! `tributary connector rules`: which documents of a source are synced.

use std::path::Path;

use serde_json::{Map, Value, json};
use tributary_protocol::Connector;
use tributary_protocol::filtering::{
    Condition, Filtering, FilteringRules, FilteringValidation, Policy, ValidationState,
};
use tributary_sdk::Env;

use super::fields;
use crate::args::{RulesCommand, RulesSetArgs, TargetArgs};
use crate::error::{CliError, Result};
use crate::output::{self, Format};
use crate::secrets;
use crate::source::{known, plain};
use crate::target;

const POLICIES: [Policy; 2] = [Policy::Include, Policy::Exclude];
const CONDITIONS: [Condition; 7] = [
    Condition::Equals,
    Condition::Contains,
    Condition::StartsWith,
    Condition::EndsWith,
    Condition::Regex,
    Condition::Greater,
    Condition::Less,
];

pub(crate) async fn run(command: RulesCommand) -> Result<()> {
    match command {
        RulesCommand::Show { id, target, output } => show(&id, &target, output.output).await,
        RulesCommand::Set(args) => set(&args).await,
        RulesCommand::Validate { id, target } => validate(&id, &target).await,
        RulesCommand::Activate { id, target } => activate(&id, &target).await,
    }
}

async fn show(id: &str, args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let found = target::connector(&client, id).await?;
    let filtering = first(id, &found.doc)?;
    if format == Format::Json {
        return output::json(&json!({"id": id, "active": filtering.active, "draft": filtering.draft}));
    }
    print("active", &filtering.active)?;
    output::line("")?;
    print("draft", &filtering.draft)
}

fn print(name: &str, rules: &FilteringRules) -> Result<()> {
    output::line(format!("{name} ({})", rules.validation.state.as_str()))?;
    let rows: Vec<Vec<String>> = rules
        .rules
        .iter()
        .map(|rule| {
            let words = [rule.policy.as_str(), &rule.field, rule.rule.as_str(), &rule.value, &rule.id];
            words.map(str::to_owned).to_vec()
        })
        .collect();
    output::line(output::table(&["POLICY", "FIELD", "CONDITION", "VALUE", "ID"], &rows))?;
    if let Some(advanced) = rules.advanced_value() {
        output::line(format!("advanced: {advanced}"))?;
    }
    told(&rules.validation).into_iter().try_for_each(output::line)
}

async fn set(args: &RulesSetArgs) -> Result<()> {
    let body = body(args)?;
    let client = target::connect(&args.target)?;
    let found = target::connector(&client, &args.id).await?;
    client.update_filtering(&found.id, &Value::Object(body)).await?;
    output::line(format!("changed the draft of the sync rules of '{}'", args.id))?;
    output::note(format!(
        "a running daemon checks it and makes it active; without one: `tributary connector rules validate {0}`, then \
         `tributary connector rules activate {0}`",
        args.id
    ));
    Ok(())
}

/// What of the draft is replaced; every bad rule is told of.
fn body(args: &RulesSetArgs) -> Result<Map<String, Value>> {
    let mut body = Map::new();
    if let Some(file) = &args.rules {
        body.insert("rules".to_owned(), array(file)?);
    } else if !args.rule.is_empty() {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for (order, text) in args.rule.iter().enumerate() {
            match rule(text, order) {
                Ok(rule) => rules.push(rule),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(CliError::all(problems).hint("write --rule 'exclude path ends_with .tmp'"));
        }
        body.insert("rules".to_owned(), Value::Array(rules));
    }
    if let Some(file) = &args.advanced {
        let value = fields::json_file(file)?;
        if !value.is_object() && !value.is_array() {
            return Err(CliError::user(format!("file '{}' holds no JSON object or array", file.display())));
        }
        body.insert("advanced_snippet".to_owned(), json!({ "value": value }));
    }
    if body.is_empty() {
        return Err(CliError::user("no rules were given").hint("give --rule, --rules or --advanced"));
    }
    Ok(body)
}

fn array(file: &Path) -> Result<Value> {
    let value = fields::json_file(file)?;
    if value.is_array() {
        return Ok(value);
    }
    Err(CliError::user(format!("file '{}' holds no JSON array of rules", file.display()))
        .hint("see `tributary connector rules show ID --output json`"))
}

/// `POLICY FIELD CONDITION VALUE`, the value to the end of the text.
fn rule(text: &str, order: usize) -> Result<Value, String> {
    let mut words = text.trim().splitn(4, char::is_whitespace);
    let (Some(policy), Some(field), Some(condition), Some(value)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("rule '{text}' is not POLICY FIELD CONDITION VALUE"));
    };
    if !POLICIES.iter().any(|known| known.as_str() == policy) {
        let known = POLICIES.each_ref().map(Policy::as_str).join(", ");
        return Err(format!("rule '{text}' has the policy '{policy}', expected {known}"));
    }
    if !CONDITIONS.iter().any(|known| known.as_str() == condition) {
        let known = CONDITIONS.each_ref().map(Condition::as_str).join(", ");
        return Err(format!("rule '{text}' has the condition '{condition}', expected {known}"));
    }
    Ok(json!({
        "id": format!("rule-{}", order + 1), "order": order, "policy": policy, "field": field,
        "rule": condition, "value": value.trim(),
    }))
}

async fn validate(id: &str, args: &TargetArgs) -> Result<()> {
    let client = target::connect(args)?;
    let found = target::connector(&client, id).await?;
    let draft = first(id, &found.doc)?.draft.clone();
    let service_type = found.doc.service_type.as_deref().unwrap_or_default();
    let registry = tributary_connectors::registry();
    let kind = known(&registry, service_type)?;
    secrets::redactor().learn_configuration(&found.doc.configuration, Some(&kind.schema()));
    let source = kind.connect(&found.doc.configuration, &Env::default()).await.map_err(|error| {
        CliError::user(format!("the source of '{id}' cannot be asked: {}", secrets::hidden(&error.report())))
    })?;
    let validation = tributary_daemon::validate_rules(&draft, &source).await.map_err(CliError::user)?;
    client.update_filtering_validation(&found.id, &validation).await?;
    if validation.state == ValidationState::Valid {
        return output::line(format!("the draft of the sync rules of '{id}' is valid"));
    }
    Err(CliError::all(told(&validation)).hint("correct the draft with `tributary connector rules set`"))
}

async fn activate(id: &str, args: &TargetArgs) -> Result<()> {
    let client = target::connect(args)?;
    let found = target::connector(&client, id).await?;
    let draft = &first(id, &found.doc)?.draft;
    match draft.validation.state {
        ValidationState::Valid => {}
        ValidationState::Invalid => {
            return Err(CliError::all(told(&draft.validation)).hint("correct the draft first"));
        }
        _ => {
            return Err(CliError::user(format!("the draft of the sync rules of '{id}' was not checked yet"))
                .hint(format!("`tributary connector rules validate {id}`")));
        }
    }
    client.activate_filtering(&found.id).await?;
    output::line(format!("the draft of the sync rules of '{id}' is active; the next sync obeys it"))
}

fn first<'c>(id: &str, connector: &'c Connector) -> Result<&'c Filtering> {
    connector.filtering.first().ok_or_else(|| CliError::user(format!("connector '{id}' has no sync rules")))
}

/// What is wrong with rules, one line each.
fn told(validation: &FilteringValidation) -> Vec<String> {
    let line = |ids: &[String], message: &String| format!("{}: {message}", plain(&json!(ids.join(", "))));
    validation
        .errors
        .iter()
        .flat_map(|error| error.messages.iter().map(|message| line(&error.ids, message)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_from_words() {
        let read = rule("exclude title contains two words ", 1).unwrap();
        assert_eq!(
            read,
            json!({"id": "rule-2", "order": 1, "policy": "exclude", "field": "title", "rule": "contains", "value": "two words"})
        );
        assert_eq!(rule("include size > 10", 0).unwrap()["rule"], ">");
    }

    #[test]
    fn a_bad_rule_is_named_with_what_is_accepted() {
        for (text, expected) in [
            ("exclude title contains", "POLICY FIELD CONDITION VALUE"),
            ("skip title contains x", "expected include, exclude"),
            ("exclude title like x", "expected equals, contains, starts_with, ends_with, regex, >, <"),
        ] {
            let problem = rule(text, 0).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
