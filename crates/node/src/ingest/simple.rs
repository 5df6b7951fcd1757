//! Processors that change fields.

use regex::Regex;
use serde_json::{Value, json};

use super::doc::{IngestDoc, missing};
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
        Ok(Self { field, value, copy_from, overrides, ignore_empty_value: options.flag("ignore_empty_value", false)? })
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
                Change::Replace { pattern, with }
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
            Value::Array(items) => Value::Array(items.iter().map(|item| self.one(item)).collect::<Result<_>>()?),
            one => self.one(&one)?,
        };
        doc.set(&self.target, changed)
    }

    fn one(&self, value: &Value) -> Result<Value> {
        let Value::String(text) = value else {
            return Err(ApiError::illegal(format!("field [{}] holds [{value}], which is no text", self.field)));
        };
        Ok(Value::String(match &self.change {
            Change::Replace { pattern, with } => pattern.replace_all(text, with.as_str()).into_owned(),
            Change::StripHtml => markup::text_of(text),
            Change::Lower => text.to_lowercase(),
            Change::Trim => text.trim().to_owned(),
            Change::Upper => text.to_uppercase(),
        }))
    }
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
        Ok(Self { field, target, separator, ignore_missing: options.flag("ignore_missing", false)?, preserve_trailing })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let text = match doc.get(&self.field) {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) if self.ignore_missing => return Ok(()),
            None => return Err(missing(&self.field)),
            Some(other) => return Err(ApiError::illegal(format!("field [{}] holds [{other}], which is no text", self.field))),
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
        let Value::Array(items) = doc.require(&self.field)? else {
            return Err(ApiError::illegal(format!("field [{}] is no list, cannot join.", self.field)));
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
            return Err(property("target_field", "Cannot set a target field while also setting `add_to_root` to true"));
        }
        Ok(Self { target: target.unwrap_or_else(|| field.clone()), field, add_to_root })
    }

    pub(super) fn run(&self, doc: &mut IngestDoc) -> Result<()> {
        let text = doc.require(&self.field)?;
        let text = text.as_str().unwrap_or_default();
        let value: Value = serde_json::from_str(text)
            .map_err(|error| ApiError::illegal(format!("field [{}] is not valid JSON: {error}", self.field)))?;
        match (self.add_to_root, value) {
            (true, Value::Object(members)) => doc.source.extend(members),
            (true, _) => return Err(ApiError::illegal("cannot add non-map fields to root of document")),
            (false, value) => doc.set(&self.target, value)?,
        }
        Ok(())
    }
}

/// `foreach`: a processor over each item of a list; it sees the item as `_ingest._value`.
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
        let items = match doc.get(&self.field) {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) if self.ignore_missing => return Ok(Flow::Go),
            None => return Err(missing(&self.field)),
            Some(other) => {
                return Err(ApiError::illegal(format!(
                    "field [{}] of type [{}] cannot be cast to a list",
                    self.field,
                    crate::http::token_name(&other)
                )));
            }
        };
        let before = doc.ingest.get("_value").cloned();
        let mut changed = Vec::with_capacity(items.len());
        for item in items {
            doc.ingest.insert("_value".into(), item);
            if run.step(&self.step, doc)? == Flow::Drop {
                return Ok(Flow::Drop);
            }
            changed.push(doc.ingest.remove("_value").unwrap_or_default());
        }
        if let Some(value) = before {
            doc.ingest.insert("_value".into(), value);
        }
        doc.set(&self.field, json!(changed))?;
        Ok(Flow::Go)
    }
}
