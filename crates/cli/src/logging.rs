//! Log lines: to stderr, in the form the configuration asks for. Secrets that are known are hidden in all of them.

mod ecs;

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};
use tributary_daemon::{JobLogs, Redactor};
use tributary_settings::{Level, Log, LogFormat};

use crate::error::{CliError, Result};
use crate::progress;
use crate::secrets;
use crate::terminal;

/// A part of the log.
pub(crate) type Part = Box<dyn Layer<Registry> + Send + Sync>;

/// The log of a daemon, whose level may change.
#[derive(Clone, Debug)]
pub(crate) struct ServiceLog {
    filter: reload::Handle<EnvFilter, Registry>,
    /// What the command line says, which goes before the configuration.
    wanted: Option<String>,
}

impl ServiceLog {
    /// Goes on with other levels.
    pub(crate) fn change(&self, level: Level, client: Level) -> Result<()> {
        let filter = filter(&directives(self.wanted.as_deref(), level, client))?;
        self.filter.reload(filter).map_err(|error| CliError::ours(format!("cannot change the log: {error}")))
    }
}

/// The log of a command: what may need attention, for people. Requests that were tried again are told of only in the
/// error of a command that failed.
pub(crate) fn for_commands(wanted: Option<&str>) -> Result<()> {
    let filter = filter(&directives(wanted, Level::Warn, Level::Error))?;
    let lines = lines(LogFormat::Human, &secrets::redactor()).with_filter(filter);
    install(vec![lines.boxed()])
}

/// The log of a daemon: as the configuration says, unless the command line says otherwise; with the logs of its jobs, and
/// whatever else is given.
pub(crate) fn for_service(
    wanted: Option<&str>,
    log: Log,
    client: Level,
    redactor: &Redactor,
    job_logs: &JobLogs,
    more: Option<Part>,
) -> Result<ServiceLog> {
    let (filter, handle) = reload::Layer::new(filter(&directives(wanted, log.level, client))?);
    let mut parts = Vec::new();
    if log.format == LogFormat::Ecs {
        parts.push(ecs::SpanLabels.with_filter(ours(LevelFilter::INFO)).boxed());
    }
    parts.push(lines(log.format, redactor).with_filter(filter).boxed());
    parts.push(job_logs.layer().with_filter(ours(LevelFilter::INFO)).boxed());
    parts.extend(more);
    install(parts)?;
    Ok(ServiceLog { filter: handle, wanted: wanted.map(str::to_owned) })
}

/// Our own crates at this level, others where something may need attention.
pub(crate) fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target("tributary", level)
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

fn filter(directives: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(directives).map_err(|error| {
        CliError::user(format!("log level '{directives}' is not understood: {error}"))
            .hint("give error, warn, info, debug or trace")
    })
}

/// The lines on stderr.
fn lines(format: LogFormat, redactor: &Redactor) -> Part {
    let writer = Lines { redactor: redactor.clone() };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Human => lines.with_ansi(terminal::stderr_is_one()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Ecs => lines.event_format(ecs::Ecs).boxed(),
    }
}

fn install(parts: Vec<Part>) -> Result<()> {
    let installed = tracing_subscriber::registry().with(parts).try_init();
    installed.map_err(|error| CliError::ours(format!("cannot start the log: {error}")))
}

/// Makes the writers of the log's lines.
struct Lines {
    redactor: Redactor,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Stderr<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Stderr { redactor: &self.redactor }
    }
}

/// Standard error, past a progress bar that may be on the screen. Gets whole lines.
struct Stderr<'a> {
    redactor: &'a Redactor,
}

impl Write for Stderr<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let clean = self.redactor.text(&line);
        progress::beside(|| io::stderr().lock().write_all(clean.as_bytes())).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
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
