//! Lines in the Elastic Common Schema.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// The version of the Elastic Common Schema that the lines follow.
const ECS_VERSION: &str = "8.11.0";

/// Lines in the Elastic Common Schema. The fields of the spans around an event (connector, job) are its labels, too.
pub(super) struct Ecs;

/// Keeps the fields of spans for [`Ecs`].
pub(super) struct SpanLabels;

/// The fields of a span.
struct Labels(Map<String, Value>);

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for SpanLabels {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Labels(fields.labels));
        }
    }
}

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = json!({
            "@timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "log.level": metadata.level().as_str().to_lowercase(),
            "message": fields.message,
            "ecs.version": ECS_VERSION,
            "log.logger": metadata.target(),
            "service.type": "tributary",
            "service.version": env!("CARGO_PKG_VERSION"),
            "process.pid": std::process::id(),
        });
        let Value::Object(mut line) = line else { return Err(fmt::Error) };
        if let Some(error) = fields.labels.remove("error") {
            line.insert("error.message".into(), error);
        }
        let mut labels = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(Labels(of_span)) = span.extensions().get::<Labels>() {
                labels.extend(of_span.clone());
            }
        }
        labels.extend(fields.labels);
        // The name that the Python service's lines have it under.
        if let Some(job) = labels.remove("job_id") {
            labels.insert("sync_job_id".into(), job);
        }
        if !labels.is_empty() {
            line.insert("labels".into(), Value::Object(labels));
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The fields of one event.
#[derive(Default)]
struct Fields {
    message: String,
    labels: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.labels.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}
