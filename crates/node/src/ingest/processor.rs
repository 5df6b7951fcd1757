//! The kinds of processors, and how each is made of its options.

use serde_json::{Map, Value};

use super::attachment::Attachment;
use super::convert::Convert;
use super::date::Date;
use super::doc::IngestDoc;
use super::pipeline::{Run, Step};
use super::simple::{Append, ForEach, Join, Json, Rename, Set, Split, TextChange};
use super::take;
use super::template::Template;
use crate::http::{ApiError, Result};

/// Whether a document goes on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Drop,
}

/// A processor, ready to run.
#[derive(Debug)]
pub(super) enum Processor {
    Append(Append),
    Attachment(Attachment),
    Convert(Convert),
    Date(Date),
    Drop,
    Fail(Template),
    ForEach(Box<ForEach>),
    Join(Join),
    Json(Json),
    Pipeline { name: Template, ignore_missing: bool },
    Remove { fields: Vec<Template>, keep: bool, ignore_missing: bool },
    Rename(Rename),
    Set(Set),
    Split(Split),
    Text(TextChange),
}

const NAMES: [&str; 19] = [
    "append",
    "attachment",
    "convert",
    "date",
    "drop",
    "fail",
    "foreach",
    "gsub",
    "html_strip",
    "join",
    "json",
    "lowercase",
    "pipeline",
    "remove",
    "rename",
    "set",
    "split",
    "trim",
    "uppercase",
];

/// The types that this node serves.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

/// The options of a processor, taken out one by one; what is left in the end is unknown.
pub(super) struct Options<'o> {
    pub(super) map: &'o mut Map<String, Value>,
}

impl Options<'_> {
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name)
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Value> {
        take(self.map, name).ok_or_else(|| property(name, "required property is missing"))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>> {
        match take(self.map, name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => {
                let found = java_class(&other);
                Err(property(name, &format!("property isn't a string, but of type [{found}]")))
            }
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| property(name, "required property is missing"))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool> {
        match take(self.map, name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => Err(property(name, "property isn't a boolean")),
        }
    }

    pub(super) fn whole(&mut self, name: &str) -> Result<Option<i64>> {
        let Some(value) = take(self.map, name) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        number.map(Some).ok_or_else(|| property(name, "property isn't a whole number"))
    }

    /// One text or several.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>> {
        match take(self.map, name) {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one])),
            Some(Value::Array(items)) => {
                let read = |item: Value| {
                    item.as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| property(name, "property isn't a list of strings"))
                };
                items.into_iter().map(read).collect::<Result<_>>().map(Some)
            }
            Some(_) => Err(property(name, "property isn't a list")),
        }
    }
}

/// What Elasticsearch says a value is.
fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::String(_) => "java.lang.String",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) if number.is_f64() => "java.lang.Double",
        Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => {
            "java.lang.Integer"
        }
        Value::Number(_) => "java.lang.Long",
        Value::Array(_) => "java.util.ArrayList",
        Value::Object(_) => "java.util.HashMap",
    }
}

/// The error of an option.
pub(super) fn property(name: &str, what: &str) -> ApiError {
    ApiError::parse(format!("[{name}] {what}")).with("property_name", name)
}

impl Processor {
    pub(super) fn compile(kind: &str, options: &mut Map<String, Value>) -> Result<Self> {
        let mut options = Options { map: options };
        let options = &mut options;
        Ok(match kind {
            "append" => Self::Append(Append::compile(options)?),
            "attachment" => Self::Attachment(Attachment::compile(options)?),
            "convert" => Self::Convert(Convert::compile(options)?),
            "date" => Self::Date(Date::compile(options)?),
            "drop" => Self::Drop,
            "fail" => Self::Fail(Template::new(options.required_text("message")?.into())),
            "foreach" => Self::ForEach(Box::new(ForEach::compile(options)?)),
            "gsub" | "html_strip" | "lowercase" | "trim" | "uppercase" => {
                Self::Text(TextChange::compile(kind, options)?)
            }
            "join" => Self::Join(Join::compile(options)?),
            "json" => Self::Json(Json::compile(options)?),
            "pipeline" => Self::Pipeline {
                name: Template::new(options.required_text("name")?.into()),
                ignore_missing: options.flag("ignore_missing_pipeline", false)?,
            },
            "remove" => Self::remove(options)?,
            "rename" => Self::Rename(Rename::compile(options)?),
            "set" => Self::Set(Set::compile(options)?),
            "split" => Self::Split(Split::compile(options)?),
            "script" => {
                return Err(ApiError::parse("a processor of type [script] is not served by this node"));
            }
            _ => return Err(ApiError::parse(format!("No processor type exists with name [{kind}]"))),
        })
    }

    fn remove(options: &mut Options<'_>) -> Result<Self> {
        let ignore_missing = options.flag("ignore_missing", false)?;
        let (field, keep) = (options.texts("field")?, options.texts("keep")?);
        let (fields, keep) = match (field, keep) {
            (Some(fields), None) => (fields, false),
            (None, Some(fields)) => (fields, true),
            (None, None) => return Err(property("keep", "or [field] must be specified")),
            (Some(_), Some(_)) => {
                return Err(property("keep", "and [field] cannot both be used in the same processor"));
            }
        };
        let fields = fields.into_iter().map(|field| Template::new(field.into())).collect();
        Ok(Self::Remove { fields, keep, ignore_missing })
    }

    /// Runs over a document.
    pub(super) fn run(&self, run: &mut Run<'_>, doc: &mut IngestDoc) -> Result<Flow> {
        match self {
            Self::Append(append) => append.run(doc)?,
            Self::Attachment(attachment) => attachment.run(doc)?,
            Self::Convert(convert) => convert.run(doc)?,
            Self::Date(date) => date.run(doc)?,
            Self::Drop => return Ok(Flow::Drop),
            Self::Fail(message) => {
                return Err(ApiError::new(500, "fail_processor_exception", message.text(doc)));
            }
            Self::ForEach(each) => return each.run(run, doc),
            Self::Join(join) => join.run(doc)?,
            Self::Json(json) => json.run(doc)?,
            Self::Pipeline { name, ignore_missing } => {
                let name = name.text(doc);
                let pipeline = match run.pipelines.require(&name) {
                    Ok(pipeline) => pipeline,
                    Err(_) if *ignore_missing => return Ok(Flow::Go),
                    Err(_) => {
                        let reason =
                            format!("Pipeline processor configured for non-existent pipeline [{name}]");
                        return Err(ApiError::new(500, "illegal_state_exception", reason));
                    }
                };
                return Ok(if run.pipeline(&pipeline, doc)? { Flow::Go } else { Flow::Drop });
            }
            Self::Remove { fields, keep, ignore_missing } => {
                let fields: Vec<String> = fields.iter().map(|field| field.text(doc)).collect();
                if *keep {
                    doc.source.retain(|name, _| {
                        fields.iter().any(|field| field == name || field.starts_with(&format!("{name}.")))
                    });
                    return Ok(Flow::Go);
                }
                for field in fields {
                    if doc.remove(&field).is_none() && !ignore_missing {
                        return Err(super::doc::missing(&field));
                    }
                }
            }
            Self::Rename(rename) => rename.run(doc)?,
            Self::Set(set) => set.run(doc)?,
            Self::Split(split) => split.run(doc)?,
            Self::Text(change) => change.run(doc)?,
        }
        Ok(Flow::Go)
    }
}

/// A processor inside another one.
pub(super) fn inner(options: &mut Options<'_>, name: &str) -> Result<Step> {
    let mut steps = Step::compile_all(&options.required(name)?)?;
    match (steps.pop(), steps.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(property(name, "Must specify exactly one processor type")),
    }
}
