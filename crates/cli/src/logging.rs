//! Log lines: to stderr, in the form the configuration asks for.

use std::fmt;
use std::io::{self, Write};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tributary_settings::{Level, Log, LogFormat};

use crate::error::{CliError, Result};
use crate::progress;
use crate::terminal;

/// The version of the Elastic Common Schema that the lines follow.
const ECS_VERSION: &str = "8.11.0";

/// The log of a command: what may need attention, for people. Requests that were tried again are told of only in the
/// error of a command that failed.
pub(crate) fn for_commands(wanted: Option<&str>) -> Result<()> {
    install(&directives(wanted, Level::Warn, Level::Error), LogFormat::Human)
}

/// The log of a daemon: as the configuration says, unless the command line says otherwise.
pub(crate) fn for_service(wanted: Option<&str>, log: Log, client: Level) -> Result<()> {
    install(&directives(wanted, log.level, client), log.format)
}

/// A bare level is meant for our own crates; those we build on only tell what may need attention.
fn directives(wanted: Option<&str>, level: Level, client: Level) -> String {
    match wanted.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) if text.contains(['=', ',']) => text.to_owned(),
        Some(level) => format!("warn,tributary={level}"),
        None => {
            let (level, client) = (level.as_str(), level.max(client).as_str());
            format!("warn,tributary={level},tributary_client={client}")
        }
    }
}

fn install(directives: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(directives).map_err(|error| {
        CliError::user(format!("log level '{directives}' is not understood: {error}"))
            .hint("give error, warn, info, debug or trace")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Stderr);
    let installed = match format {
        LogFormat::Human => builder.with_ansi(terminal::stderr_is_one()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Ecs => builder.event_format(Ecs).try_init(),
    };
    installed.map_err(|error| CliError::ours(format!("cannot start the log: {error}")))
}

/// Standard error, past a progress bar that may be on the screen.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::beside(|| io::stderr().lock().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// Lines in the Elastic Common Schema.
struct Ecs;

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
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
        if !fields.labels.is_empty() {
            line.insert("labels".into(), Value::Object(fields.labels));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_for_our_own_crates_and_directives_are_taken_as_they_are() {
        assert_eq!(directives(Some("debug"), Level::Info, Level::Info), "warn,tributary=debug");
        assert_eq!(
            directives(Some("info,tributary=trace"), Level::Info, Level::Info),
            "info,tributary=trace"
        );
        assert_eq!(directives(None, Level::Debug, Level::Warn), "warn,tributary=debug,tributary_client=warn");
    }
}
