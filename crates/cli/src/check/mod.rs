//! `tributary check`: every problem of a configuration and of what it points to, each with its mend.

mod findings;
mod folder;
mod remote;

use std::env;

use tributary_client::Client;
use tributary_settings::{Settings, Sources};

use crate::args::CheckArgs;
use crate::error::{CliError, Result};
use crate::output::Format;
use crate::{convert, embedded, output};

use findings::Findings;
pub(crate) use folder::is_writable;

/// What helps when the folder of a daemon's state cannot be written.
pub(crate) const STATE_MEND: &str = "give write access, or name another folder in tributary.state_dir";

pub(crate) async fn run(args: CheckArgs) -> Result<()> {
    let mut findings = Findings::default();
    let mut sources = Sources::with_env(env::vars_os());
    sources.file.clone_from(&args.config);
    match Settings::load(&sources) {
        Ok(settings) => {
            findings.good("configuration", "can be read");
            for warning in &settings.warnings {
                findings.warning("configuration", warning);
            }
            local(&settings, &mut findings);
            match Client::new(convert::client_options(&settings)) {
                // Every host would be said to have this problem.
                Err(error) => findings.problem("configuration", &error, error.hint().unwrap_or_default()),
                Ok(_) if args.offline => {}
                Ok(_) => remote::check(&settings, &mut findings).await?,
            }
        }
        Err(problems) => {
            for problem in problems.iter() {
                findings.problem("configuration", problem, "");
            }
            if let Some(settings) = problems.partly_read() {
                unknown_types(settings, &mut findings);
            }
        }
    }
    match args.output.output {
        Format::Json => output::json(&findings.document())?,
        Format::Text => findings.print()?,
    }
    match findings.problems() {
        0 => Ok(()),
        1 => Err(CliError::user("1 problem was found")),
        more => Err(CliError::user(format!("{more} problems were found"))),
    }
}

/// What can be said without asking anybody.
fn local(settings: &Settings, findings: &mut Findings) {
    unknown_types(settings, findings);
    let state = &settings.tributary.state_dir;
    if !is_writable(state) {
        findings.problem("state folder", format!("'{}' cannot be written", state.display()), STATE_MEND);
    }
    if settings.embedded()
        && let Err(error) = embedded::check(settings)
    {
        findings.problem("embedded node", error, "");
    }
}

/// Source types that are named somewhere and not built in.
fn unknown_types(settings: &Settings, findings: &mut Findings) {
    let registry = tributary_connectors::registry();
    let known = registry.service_types().join(", ");
    for unknown in convert::unknown_types(settings, &registry) {
        findings.problem(
            "configuration",
            format!("a source of type '{unknown}' is not built in"),
            &format!("use one of {known}"),
        );
    }
    for unknown in convert::unknown_limits(settings, &registry) {
        findings.problem(
            "configuration",
            format!(
                "tributary.max_concurrent_syncs_by_type has a limit for '{unknown}', a type that is not built in"
            ),
            &format!("use one of {known}"),
        );
    }
}
