//! Pipelines as they run: steps with conditions and ways to go on after a failure.

use serde_json::{Map, Value, json};

use super::condition::Condition;
use super::doc::IngestDoc;
use super::processor::{Flow, Processor};
use super::{Pipelines, take};
use crate::http::{ApiError, Result};

/// Pipelines that call pipelines may be this deep.
const DEEPEST: usize = 10;

/// A pipeline, ready to run.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(super) name: String,
    steps: Vec<Step>,
    on_failure: Vec<Step>,
}

/// One processor with what surrounds it.
#[derive(Debug)]
pub(super) struct Step {
    kind: String,
    tag: Option<String>,
    description: Option<String>,
    /// The condition and how it was written.
    condition: Option<(Condition, String)>,
    ignore_failure: bool,
    on_failure: Vec<Step>,
    processor: Processor,
}

/// What every step did, for `_simulate?verbose`.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) results: Vec<Value>,
}

fn processor_error(kind: &str, tag: Option<&str>, reason: impl Into<String>) -> ApiError {
    let error = ApiError::parse(reason).with("processor_type", kind);
    match tag {
        Some(tag) => error.with("processor_tag", tag),
        None => error,
    }
}

fn steps(pipeline: &Map<String, Value>, name: &str) -> Result<Vec<Step>> {
    match pipeline.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let all: Vec<Vec<Step>> = items.iter().map(Step::compile_all).collect::<Result<_>>()?;
            Ok(all.into_iter().flatten().collect())
        }
        Some(_) => {
            Err(ApiError::parse(format!("[{name}] property isn't a list")).with("property_name", name))
        }
    }
}

impl Pipeline {
    /// Reads a definition.
    pub(crate) fn compile(name: &str, given: &Value) -> Result<Self> {
        let Value::Object(pipeline) = given else {
            return Err(ApiError::parse("a pipeline must be an object"));
        };
        const KEYS: [&str; 9] = [
            "processors",
            "on_failure",
            "description",
            "version",
            "_meta",
            "deprecated",
            "created_date",
            "modified_date",
            "field_access_pattern",
        ];
        if let Some(key) = pipeline.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ApiError::parse(format!(
                "pipeline [{name}] doesn't support one or more provided configuration parameters [{key}]"
            )));
        }
        if !pipeline.contains_key("processors") {
            return Err(ApiError::parse("[processors] required property is missing")
                .with("property_name", "processors"));
        }
        let on_failure = steps(pipeline, "on_failure")?;
        if pipeline.contains_key("on_failure") && on_failure.is_empty() {
            return Err(ApiError::parse(format!(
                "pipeline [{name}] cannot have an empty on_failure option defined"
            )));
        }
        Ok(Self { name: name.to_owned(), steps: steps(pipeline, "processors")?, on_failure })
    }
}

impl Step {
    /// Reads `{"set": {...}}`, which may hold several processors.
    pub(super) fn compile_all(given: &Value) -> Result<Vec<Self>> {
        match given {
            Value::Object(entries) => {
                entries.iter().map(|(kind, options)| Self::compile(kind, options)).collect()
            }
            _ => Err(ApiError::parse("a processor must be an object with its type as the key")),
        }
    }

    fn compile(kind: &str, options: &Value) -> Result<Self> {
        let Value::Object(options) = options else {
            return Err(ApiError::parse(format!(
                "the options of a processor of type [{kind}] must be an object"
            ))
            .with("processor_type", kind));
        };
        let mut options = options.clone();
        let tag = take(&mut options, "tag").and_then(|tag| tag.as_str().map(str::to_owned));
        let named = |error: ApiError| match (error.es_type().as_str(), &tag) {
            ("parse_exception", None) => error.with("processor_type", kind),
            ("parse_exception", Some(tag)) => {
                error.with("processor_type", kind).with("processor_tag", tag.as_str())
            }
            _ => error,
        };
        let description = take(&mut options, "description").and_then(|text| text.as_str().map(str::to_owned));
        let ignore_failure =
            take(&mut options, "ignore_failure").is_some_and(|flag| flag == true || flag == "true");
        let condition = match take(&mut options, "if") {
            None => None,
            Some(Value::String(text)) => match Condition::parse(&text) {
                Ok(condition) => Some((condition, text)),
                Err(why) => {
                    let reason = format!("[if] cannot be served by this node: {why} in [{text}]");
                    return Err(processor_error(kind, tag.as_deref(), reason));
                }
            },
            Some(_) => return Err(processor_error(kind, tag.as_deref(), "[if] property isn't a text")),
        };
        let on_failure = steps(&options, "on_failure").map_err(named)?;
        if options.remove("on_failure").is_some() && on_failure.is_empty() {
            return Err(processor_error(
                kind,
                tag.as_deref(),
                "[on_failure] processors list cannot be empty",
            ));
        }
        let processor = Processor::compile(kind, &mut options).map_err(named)?;
        if let Some(key) = options.keys().next() {
            return Err(processor_error(
                kind,
                tag.as_deref(),
                format!(
                    "processor [{kind}] doesn't support one or more provided configuration parameters [{key}]"
                ),
            ));
        }
        Ok(Self { kind: kind.to_owned(), tag, description, condition, ignore_failure, on_failure, processor })
    }
}

/// One way of a document through pipelines.
pub(super) struct Run<'a> {
    pub(super) pipelines: &'a Pipelines,
    trace: Option<&'a mut Trace>,
    calls: Vec<String>,
}

impl<'a> Run<'a> {
    pub(super) fn new(pipelines: &'a Pipelines) -> Self {
        Self::traced(pipelines, None)
    }

    pub(super) fn traced(pipelines: &'a Pipelines, trace: Option<&'a mut Trace>) -> Self {
        Self { pipelines, trace, calls: Vec::new() }
    }

    /// Runs a pipeline; whether the document is kept.
    pub(super) fn pipeline(&mut self, pipeline: &Pipeline, doc: &mut IngestDoc) -> Result<bool> {
        if self.calls.contains(&pipeline.name) || self.calls.len() >= DEEPEST {
            return Err(ApiError::new(
                500,
                "graph_structure_exception",
                format!("Cycle detected for pipeline: {}", pipeline.name),
            ));
        }
        self.calls.push(pipeline.name.clone());
        doc.ingest.insert("pipeline".into(), pipeline.name.clone().into());
        let ended = self.steps(&pipeline.steps, &pipeline.on_failure, doc);
        self.calls.pop();
        if let Some(caller) = self.calls.last() {
            doc.ingest.insert("pipeline".into(), caller.clone().into());
        }
        ended
    }

    fn steps(&mut self, steps: &[Step], on_failure: &[Step], doc: &mut IngestDoc) -> Result<bool> {
        for step in steps {
            match self.step(step, doc) {
                Ok(Flow::Go) => {}
                Ok(Flow::Drop) => return Ok(false),
                Err(error) if on_failure.is_empty() => return Err(error),
                Err(error) => {
                    note_failure(step, &error, doc);
                    let kept = self.steps(on_failure, &[], doc);
                    clear_failure(doc);
                    return kept;
                }
            }
        }
        Ok(true)
    }

    /// Runs a step if its condition holds.
    pub(super) fn step(&mut self, step: &Step, doc: &mut IngestDoc) -> Result<Flow> {
        if step.condition.as_ref().is_some_and(|(condition, _)| !condition.holds(doc)) {
            self.tell(step, "skipped", None, None);
            return Ok(Flow::Go);
        }
        match step.processor.run(self, doc) {
            Ok(Flow::Drop) => {
                self.tell(step, "dropped", None, None);
                Ok(Flow::Drop)
            }
            Ok(Flow::Go) => {
                self.tell(step, "success", Some(doc), None);
                Ok(Flow::Go)
            }
            Err(error) if step.ignore_failure => {
                self.tell(step, "error_ignored", Some(doc), Some(&error));
                Ok(Flow::Go)
            }
            Err(error) if !step.on_failure.is_empty() => {
                self.tell(step, "error", None, Some(&error));
                note_failure(step, &error, doc);
                let kept = self.steps(&step.on_failure, &[], doc);
                clear_failure(doc);
                Ok(if kept? { Flow::Go } else { Flow::Drop })
            }
            Err(error) => {
                self.tell(step, "error", None, Some(&error));
                Err(error)
            }
        }
    }

    fn tell(&mut self, step: &Step, status: &str, doc: Option<&IngestDoc>, error: Option<&ApiError>) {
        let Some(trace) = &mut self.trace else { return };
        let mut entry = Map::new();
        entry.insert("processor_type".into(), step.kind.clone().into());
        entry.insert("status".into(), status.into());
        if let Some(description) = &step.description {
            entry.insert("description".into(), description.clone().into());
        }
        if let Some(tag) = &step.tag {
            entry.insert("tag".into(), tag.clone().into());
        }
        if let Some((_, text)) = &step.condition {
            entry.insert("if".into(), json!({"condition": text, "result": status != "skipped"}));
        }
        if let Some(error) = error {
            let name = if status == "error_ignored" { "ignored_error" } else { "error" };
            let told = error.error_value();
            entry.insert(name.into(), if status == "error_ignored" { json!({"error": told}) } else { told });
        }
        if let Some(doc) = doc {
            entry.insert("doc".into(), shown(doc, true));
        }
        trace.results.push(Value::Object(entry));
    }
}

fn note_failure(step: &Step, error: &ApiError, doc: &mut IngestDoc) {
    let pipeline = doc.ingest.get("pipeline").cloned().unwrap_or_default();
    doc.ingest.insert("on_failure_message".into(), error.reason().into());
    doc.ingest.insert("on_failure_processor_type".into(), step.kind.clone().into());
    doc.ingest.insert("on_failure_processor_tag".into(), json!(step.tag));
    doc.ingest.insert("on_failure_pipeline".into(), pipeline);
}

fn clear_failure(doc: &mut IngestDoc) {
    doc.ingest.retain(|name, _| !name.starts_with("on_failure_"));
}

/// A document as `_simulate` shows it, after each step or at the end.
pub(crate) fn shown(doc: &IngestDoc, between: bool) -> Value {
    let mut body = Map::new();
    body.insert("_index".into(), doc.index.clone().into());
    body.insert("_version".into(), "-3".into());
    if let Some(id) = &doc.id {
        body.insert("_id".into(), id.clone().into());
    }
    body.insert("_source".into(), doc.source.clone().into());
    let mut ingest = doc.ingest.clone();
    if !between {
        ingest.shift_remove("pipeline");
    }
    body.insert("_ingest".into(), ingest.into());
    Value::Object(body)
}
