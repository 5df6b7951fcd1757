//! Query templates of role descriptors: the part of Mustache that document-level security is written with. Everything
//! else is refused, because a query that is rendered wrongly may show too much.

use serde_json::Value;

/// Renders a template. Variables are looked up in `scope` by their path.
///
/// # Errors
/// What cannot be rendered, for a person.
pub(super) fn render(template: &str, scope: &Value) -> Result<String, String> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once("{{") {
        out.push_str(before);
        let raw = tail.starts_with('{');
        let (open, close) = if raw { (1, "}}}") } else { (0, "}}") };
        let (tag, after) =
            tail.get(open..).and_then(|tail| tail.split_once(close)).ok_or("a tag is not closed")?;
        rest = after;
        match tag.trim() {
            "#toJson" | "#join" => {
                let (name, end) = (
                    tag.trim().trim_start_matches('#'),
                    format!("{{{{/{}}}}}", tag.trim().trim_start_matches('#')),
                );
                let (path, after) =
                    rest.split_once(&end).ok_or_else(|| format!("the section [{name}] is not closed"))?;
                rest = after;
                let value = lookup(scope, path.trim())?;
                out.push_str(&if name == "toJson" { value.to_string() } else { joined(value)? });
            }
            path if path.starts_with(['#', '^', '/', '>', '!', '=', '&']) => {
                return Err(format!(
                    "the tag [{path}] is not supported: only variables, [toJson] and [join] are"
                ));
            }
            path => {
                let text = scalar(lookup(scope, path)?)?;
                // In quotes of JSON text, so a value cannot end them.
                let quoted = Value::String(text.clone()).to_string();
                out.push_str(if raw { &text } else { quoted.get(1..quoted.len() - 1).unwrap_or_default() });
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn lookup<'v>(scope: &'v Value, path: &str) -> Result<&'v Value, String> {
    let found = path.split('.').try_fold(scope, |value, name| value.get(name));
    found.ok_or_else(|| format!("the variable [{path}] is not defined"))
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        other => Err(format!("[{other}] cannot be used as a text; use [toJson]")),
    }
}

fn joined(value: &Value) -> Result<String, String> {
    let list = value.as_array().ok_or("[join] needs a list")?;
    Ok(list.iter().map(scalar).collect::<Result<Vec<_>, _>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_and_lists_are_filled_in() {
        let scope =
            json!({"access_control": ["user:a", "it's \"b\""], "_user": {"username": "x\"y"}, "n": 3});
        let table = [
            ("{\"terms\": {{#toJson}}access_control{{/toJson}}}", r#"{"terms": ["user:a","it's \"b\""]}"#),
            ("\"{{_user.username}}\"", r#""x\"y""#),
            ("{{ n }}-{{{n}}}", "3-3"),
            ("{{#join}}access_control{{/join}}", "user:a,it's \"b\""),
            ("{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": 1}}"),
        ];
        for (template, wanted) in table {
            assert_eq!(render(template, &scope).unwrap(), wanted, "{template}");
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        for template in
            ["{{#each}}x{{/each}}", "{{^a}}b{{/a}}", "{{missing}}", "{{#toJson}}x", "{{a", "{{> part}}"]
        {
            assert!(render(template, &json!({"a": 1})).is_err(), "{template}");
        }
    }

    #[test]
    fn a_value_cannot_break_out_of_its_quotes() {
        let out = render("{\"term\":{\"f\":\"{{v}}\"}}", &json!({"v": "x\"}}, \"match_all\": {{"})).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["term"]["f"], "x\"}}, \"match_all\": {{");
        let out = render("\"{{v}}\"", &json!({"v": "\"quoted\""})).unwrap();
        assert_eq!(out, "\"\\\"quoted\\\"\"");
    }
}
