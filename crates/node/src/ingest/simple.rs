//! Processors that change fields.

use regex::Regex;
use serde_json::{Map, Value};

use super::doc::{IngestDoc, java_type, missing, not_a};
use super::markup;
use super::pipeline::{Run, Step};
use super::processor::{Flow, Options, inner, property};
use super::template::{Template, shown};
use crate::http::{ApiError, Result};

/// `set`: a value or another field's, into a field.
#[derive(Debug)]
pub(super) struct Set {
    field: Template,
    value: Option<Template>,
    copy_from: Option<Template>,
    overrides: bool,
    ignore_empty_value: bool,
}

impl Set {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = Template::new(options.required_text("field")?.into());
        let copy_from = options.text("copy_from")?.map(|from| Template::new(from.into()));
        let value = options.value("value").map(Template::new);
        options.text("media_type")?;
        if value.is_none() && copy_from.is_none() {
            return Err(property("value", "required property is missing"));
        }
        let overrides = options.flag("override", true)?;
        Ok(Self {
            field,
            value,
            copy_from,
            overrides,
            ignore_empty_value: options.flag("ignore_empty_value", false)?,
        })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let field = self.field.text(doc);
        if !self.overrides && doc.get(&field).is_some_and(|value| !value.is_null()) {
            return Ok(());
        }
        let value = match (&self.copy_from, &self.value) {
            (Some(from), _) => {
                let from = from.text(doc);
                match doc.get(&from) {
                    Some(value) => value,
                    None if self.ignore_empty_value => return Ok(()),
                    None => return Err(missing(&from)),
                }
            }
            (None, Some(value)) => value.render(doc),
            (None, None) => Value::Null,
        };
        if self.ignore_empty_value && (value.is_null() || value == "") {
            return Ok(());
        }
        doc.set(&field, value)
    }
}

/// `append`: values at the end of a list.
#[derive(Debug)]
pub(super) struct Append {
    field: Template,
    value: Template,
    duplicates: bool,
}

impl Append {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = Template::new(options.required_text("field")?.into());
        let value = Template::new(options.required("value")?);
        options.text("media_type")?;
        Ok(Self { field, value, duplicates: options.flag("allow_duplicates", true)? })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let field = self.field.text(doc);
        let mut items = match doc.get(&field) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
        };
        let added = match self.value.render(doc) {
            Value::Array(added) => added,
            one => vec![one],
        };
        for item in added {
            if self.duplicates || !items.contains(&item) {
                items.push(item);
            }
        }
        doc.set(&field, Value::Array(items))
    }
}

/// `rename`.
#[derive(Debug)]
pub(super) struct Rename {
    field: Template,
    target: Template,
    ignore_missing: bool,
    overrides: bool,
}

impl Rename {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        Ok(Self {
            field: Template::new(options.required_text("field")?.into()),
            target: Template::new(options.required_text("target_field")?.into()),
            ignore_missing: options.flag("ignore_missing", false)?,
            overrides: options.flag("override", false)?,
        })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let (field, target) = (self.field.text(doc), self.target.text(doc));
        if doc.get(&field).is_none() {
            let reason = format!("field [{field}] doesn't exist");
            return if self.ignore_missing { Ok(()) } else { Err(ApiError::illegal(reason)) };
        }
        if doc.get(&target).is_some() && !self.overrides {
            return Err(ApiError::illegal(format!("field [{target}] already exists")));
        }
        let value = doc.remove(&field).unwrap_or_default();
        doc.set(&target, value)
    }
}

/// `gsub`, `html_strip`, `lowercase`, `trim`, `uppercase`: a text or a list of texts becomes another.
#[derive(Debug)]
pub(super) struct TextChange {
    field: String,
    target: String,
    ignore_missing: bool,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Replace { pattern: Regex, with: String },
    StripHtml,
    Lower,
    Trim,
    Upper,
}

impl TextChange {
    pub(super) fn compile(kind: &str, options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let target = options.text("target_field")?.unwrap_or_else(|| field.clone());
        let ignore_missing = options.flag("ignore_missing", false)?;
        let change = match kind {
            "gsub" => {
                let pattern = options.required_text("pattern")?;
                let with = options.text("replacement")?;
                let with = with.ok_or_else(|| property("replacement", "required property is missing"))?;
                let pattern = Regex::new(&pattern)
                    .map_err(|error| property("pattern", &format!("Invalid regex pattern. {error}")))?;
                Change::Replace { with: replacement(&with, pattern.captures_len() - 1)?, pattern }
            }
            "html_strip" => Change::StripHtml,
            "lowercase" => Change::Lower,
            "trim" => Change::Trim,
            _ => Change::Upper,
        };
        Ok(Self { field, target, ignore_missing, change })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let value = match doc.get(&self.field) {
            None | Some(Value::Null) if self.ignore_missing => return Ok(()),
            None => return Err(missing(&self.field)),
            Some(Value::Null) => {
                return Err(ApiError::illegal(format!("field [{}] is null, cannot process it.", self.field)));
            }
            Some(value) => value,
        };
        let changed = match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.item(item)).collect::<Result<_>>()?)
            }
            Value::String(text) => Value::String(self.one(&text)),
            other => return Err(not_a(&self.field, &other, "java.lang.String")),
        };
        doc.set(&self.target, changed)
    }

    fn item(&self, value: &Value) -> Result<Value> {
        match value {
            Value::String(text) => Ok(Value::String(self.one(text))),
            other => Err(ApiError::illegal(format!(
                "value [{other}] of type [{}] in list field [{}] cannot be cast to [java.lang.String]",
                java_type(other),
                self.field
            ))),
        }
    }

    fn one(&self, text: &str) -> String {
        match &self.change {
            Change::Replace { pattern, with } => pattern.replace_all(text, with.as_str()).into_owned(),
            Change::StripHtml => markup::text_of(text),
            Change::Lower => text.to_lowercase(),
            Change::Trim => text.trim().to_owned(),
            Change::Upper => text.to_uppercase(),
        }
    }
}

/// A replacement as Java writes it (`$1`, `\$`), for a pattern with so many groups.
fn replacement(java: &str, groups: usize) -> Result<String> {
    let illegal = |what: &str| property("replacement", what);
    let (mut out, mut rest) = (String::with_capacity(java.len()), java.chars().peekable());
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next().ok_or_else(|| illegal("character to be escaped is missing"))? {
                '$' => out.push_str("$$"),
                literal => out.push(literal),
            },
            '$' => {
                let name = match rest.peek() {
                    Some('{') => {
                        rest.next();
                        rest.by_ref().take_while(|c| *c != '}').collect()
                    }
                    _ => group_number(&mut rest, groups).ok_or_else(|| illegal("Illegal group reference"))?,
                };
                out.push_str(&format!("${{{name}}}"));
            }
            literal => out.push(literal),
        }
    }
    Ok(out)
}

/// The digits behind a `$`, as many as make the number of a group that there is.
fn group_number(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, groups: usize) -> Option<String> {
    let first = rest.next()?.to_digit(10)?;
    let mut number = usize::try_from(first).ok().filter(|number| *number <= groups)?;
    while let Some(digit) =
        rest.peek().and_then(|c| c.to_digit(10)).and_then(|digit| usize::try_from(digit).ok())
    {
        let longer = number * 10 + digit;
        if longer > groups {
            break;
        }
        number = longer;
        rest.next();
    }
    Some(number.to_string())
}

/// `split`: a text becomes a list.
#[derive(Debug)]
pub(super) struct Split {
    field: String,
    target: String,
    separator: Regex,
    ignore_missing: bool,
    preserve_trailing: bool,
}

impl Split {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let separator = options.required_text("separator")?;
        let separator = Regex::new(&separator).map_err(|error| property("separator", &error.to_string()))?;
        let target = options.text("target_field")?.unwrap_or_else(|| field.clone());
        let preserve_trailing = options.flag("preserve_trailing", false)?;
        Ok(Self {
            field,
            target,
            separator,
            ignore_missing: options.flag("ignore_missing", false)?,
            preserve_trailing,
        })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let text = match doc.get(&self.field) {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) if self.ignore_missing => return Ok(()),
            None => return Err(missing(&self.field)),
            Some(other) => return Err(not_a(&self.field, &other, "java.lang.String")),
        };
        let mut parts: Vec<Value> = self.separator.split(&text).map(Value::from).collect();
        while !self.preserve_trailing && parts.last().is_some_and(|last| last == "") {
            parts.pop();
        }
        doc.set(&self.target, Value::Array(parts))
    }
}

/// `join`: a list becomes a text.
#[derive(Debug)]
pub(super) struct Join {
    field: String,
    target: String,
    separator: String,
}

impl Join {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let separator = options.required_text("separator")?;
        Ok(Self { target: options.text("target_field")?.unwrap_or_else(|| field.clone()), field, separator })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let items = match doc.require(&self.field)? {
            Value::Array(items) => items,
            other => return Err(not_a(&self.field, &other, "java.util.List")),
        };
        let joined = items.iter().map(shown).collect::<Vec<_>>().join(&self.separator);
        doc.set(&self.target, Value::String(joined))
    }
}

/// `json`: a text becomes what it spells.
#[derive(Debug)]
pub(super) struct Json {
    field: String,
    target: String,
    add_to_root: bool,
}

impl Json {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let target = options.text("target_field")?;
        let add_to_root = options.flag("add_to_root", false)?;
        if add_to_root && target.is_some() {
            return Err(property(
                "target_field",
                "Cannot set a target field while also setting `add_to_root` to true",
            ));
        }
        Ok(Self { target: target.unwrap_or_else(|| field.clone()), field, add_to_root })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let text = match doc.require(&self.field)? {
            Value::String(text) => text,
            // What is no text is its own JSON.
            other => other.to_string(),
        };
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            ApiError::illegal(format!("field [{}] is not valid JSON: {error}", self.field))
        })?;
        match (self.add_to_root, value) {
            (true, Value::Object(members)) => doc.source.extend(members),
            (true, _) => return Err(ApiError::illegal("cannot add non-map fields to root of document")),
            (false, value) => doc.set(&self.target, value)?,
        }
        Ok(())
    }
}

/// `foreach`: a processor over each item of a list, or value of an object; it sees the item as `_ingest._value` and the
/// name as `_ingest._key`.
#[derive(Debug)]
pub(super) struct ForEach {
    field: String,
    step: Step,
    ignore_missing: bool,
}

impl ForEach {
    pub(super) fn compile(options: &mut Options<'_>) -> Result<Self> {
        let field = options.required_text("field")?;
        let step = inner(options, "processor")?;
        Ok(Self { field, step, ignore_missing: options.flag("ignore_missing", false)? })
    }

    pub(super) fn run(&self, run: &mut Run<'_>, doc: &mut IngestDoc) -> Result<Flow> {
        let before = (doc.ingest.get("_key").cloned(), doc.ingest.get("_value").cloned());
        let changed = match doc.get(&self.field) {
            Some(Value::Array(items)) => self.items(run, doc, items),
            Some(Value::Object(members)) => self.members(run, doc, members),
            None | Some(Value::Null) if self.ignore_missing => return Ok(Flow::Go),
            None => return Err(missing(&self.field)),
            Some(other) => {
                let found = java_type(&other);
                let reason =
                    format!("field [{}] of type [{found}] cannot be cast to a list or map", self.field);
                return Err(ApiError::illegal(reason));
            }
        };
        // Also after a failure: what comes next may be another item's turn.
        for (name, value) in [("_key", before.0), ("_value", before.1)] {
            match value {
                Some(value) => drop(doc.ingest.insert(name.into(), value)),
                None => drop(doc.ingest.shift_remove(name)),
            }
        }
        match changed? {
            Some(value) => {
                doc.set(&self.field, value)?;
                Ok(Flow::Go)
            }
            None => Ok(Flow::Drop),
        }
    }

    /// The item after the processor; `None` when that dropped the document.
    fn one(&self, run: &mut Run<'_>, doc: &mut IngestDoc, item: Value) -> Result<Option<Value>> {
        doc.ingest.insert("_value".into(), item);
        match run.step(&self.step, doc)? {
            Flow::Drop => Ok(None),
            Flow::Go => Ok(Some(doc.ingest.shift_remove("_value").unwrap_or_default())),
        }
    }

    fn items(&self, run: &mut Run<'_>, doc: &mut IngestDoc, items: Vec<Value>) -> Result<Option<Value>> {
        let mut changed = Vec::with_capacity(items.len());
        for item in items {
            match self.one(run, doc, item)? {
                Some(item) => changed.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(Value::Array(changed)))
    }

    fn members(
        &self,
        run: &mut Run<'_>,
        doc: &mut IngestDoc,
        members: Map<String, Value>,
    ) -> Result<Option<Value>> {
        let mut changed = Map::new();
        for (name, item) in members {
            doc.ingest.insert("_key".into(), name.clone().into());
            let Some(item) = self.one(run, doc, item)? else { return Ok(None) };
            // A processor may give the member another name.
            let name = doc.ingest.get("_key").and_then(Value::as_str).map_or(name, str::to_owned);
            changed.insert(name, item);
        }
        Ok(Some(Value::Object(changed)))
    }
}

#[cfg(test)]
mod tests {
    use super::replacement;

    #[test]
    fn replacements_are_read_as_java_writes_them() {
        for (java, groups, expected) in [
            ("$2-$1", 2, "${2}-${1}"),
            ("$1a", 1, "${1}a"),
            ("$12", 1, "${1}2"),
            ("${name}!", 1, "${name}!"),
            (r"\$1 \\", 0, r"$$1 \"),
            ("", 0, ""),
        ] {
            assert_eq!(replacement(java, groups).unwrap(), expected, "{java}");
        }
        for java in ["$", "$2", "$x", "\\"] {
            assert!(replacement(java, 1).is_err(), "{java}");
        }
    }
}
