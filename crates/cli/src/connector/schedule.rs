//! `tributary connector schedule`: when a connector syncs.

use serde_json::{Map, Value, json};
use tributary_protocol::{JobType, Scheduling};
use tributary_schedule::Schedule;

use crate::args::{ScheduleArgs, TargetArgs};
use crate::error::{CliError, Result};
use crate::{output, target};

/// The expression that stands where a schedule was never set (connector-api 5.2).
const MIDNIGHT: &str = "0 0 0 * * ?";

/// A schedule as given: an expression, or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Sync at these times.
    At(String),
    /// Do not sync by itself.
    Off,
}

pub(crate) async fn run(id: &str, args: &ScheduleArgs, target_args: &TargetArgs) -> Result<()> {
    let wanted = parse(args)?;
    if wanted.is_empty() {
        return Err(
            CliError::user("no schedule was given").hint("give --full, --incremental or --access-control")
        );
    }
    let client = target::connect(target_args)?;
    let found = target::connector(&client, id).await?;
    if let Some(request) = request(&wanted, Some(&found.doc.scheduling)) {
        client.update_scheduling(&found.id, &request).await?;
    }
    for (job_type, wanted) in &wanted {
        output::line(match wanted {
            Wanted::At(interval) => format!("{} syncs of '{id}': {interval} (UTC)", job_type.as_str()),
            Wanted::Off => format!("{} syncs of '{id}': off", job_type.as_str()),
        })?;
    }
    Ok(())
}

/// Reads what was given; every bad expression is told of.
pub(crate) fn parse(args: &ScheduleArgs) -> Result<Vec<(JobType, Wanted)>> {
    let given = [
        (JobType::Full, "--full", &args.full),
        (JobType::Incremental, "--incremental", &args.incremental),
        (JobType::AccessControl, "--access-control", &args.access_control),
    ];
    let (mut wanted, mut problems) = (Vec::new(), Vec::new());
    for (job_type, flag, text) in given {
        match text.as_deref().map(str::trim) {
            None => {}
            Some(off) if off.eq_ignore_ascii_case("off") => wanted.push((job_type, Wanted::Off)),
            Some(text) => match Schedule::parse(text) {
                Ok(schedule) => wanted.push((job_type, Wanted::At(schedule.as_str().to_owned()))),
                Err(error) => problems.push(format!("{flag} '{text}': {error}")),
            },
        }
    }
    if problems.is_empty() {
        return Ok(wanted);
    }
    Err(CliError::all(problems)
        .hint("expected second minute hour day month weekday, such as '0 0 2 * * ?', or off"))
}

/// The body's `scheduling`; `None` when there is nothing to change. What was set before keeps its expression when it is
/// switched off.
pub(crate) fn request(wanted: &[(JobType, Wanted)], stored: Option<&Scheduling>) -> Option<Value> {
    let before = |job_type| {
        let entry = stored.and_then(|stored| match job_type {
            JobType::Full => stored.full.as_ref(),
            JobType::Incremental => stored.incremental.as_ref(),
            JobType::AccessControl => stored.access_control.as_ref(),
        });
        entry.map_or((false, MIDNIGHT.to_owned()), |entry| (entry.enabled, entry.interval.clone()))
    };
    let mut body = Map::new();
    for (job_type, wanted) in wanted {
        let entry = match wanted {
            Wanted::At(interval) => json!({"enabled": true, "interval": interval}),
            Wanted::Off => json!({"enabled": false, "interval": before(*job_type).1}),
        };
        body.insert(job_type.as_str().to_owned(), entry);
    }
    if body.is_empty() {
        return None;
    }
    // A request with `access_control` alone is refused (connector-api 9.1).
    if !body.contains_key(JobType::Full.as_str()) {
        let (enabled, interval) = before(JobType::Full);
        body.insert(JobType::Full.as_str().to_owned(), json!({"enabled": enabled, "interval": interval}));
    }
    Some(Value::Object(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(full: Option<&str>, access_control: Option<&str>) -> ScheduleArgs {
        let text = |text: Option<&str>| text.map(str::to_owned);
        ScheduleArgs { full: text(full), incremental: None, access_control: text(access_control) }
    }

    #[test]
    fn a_bad_expression_is_named_with_its_flag() {
        let error = parse(&args(Some("* * *"), Some("0 0 0 * * *"))).unwrap_err();
        assert_eq!(error.lines().len(), 2);
        assert!(error.lines()[0].starts_with("--full '* * *'"));
    }

    #[test]
    fn access_control_is_never_sent_alone() {
        let wanted = parse(&args(None, Some("0 0 0 * * ?"))).unwrap();
        let body = request(&wanted, None).unwrap();
        assert_eq!(body["full"], json!({"enabled": false, "interval": MIDNIGHT}));
        assert_eq!(body["access_control"]["enabled"], true);
    }

    #[test]
    fn off_keeps_nothing_but_the_expression() {
        let wanted = parse(&args(Some("OFF"), None)).unwrap();
        assert_eq!(request(&wanted, None).unwrap()["full"], json!({"enabled": false, "interval": MIDNIGHT}));
        assert_eq!(request(&[], None), None);
    }
}
