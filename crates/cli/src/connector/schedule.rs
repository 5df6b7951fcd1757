//! `tributary connector schedule`: when a connector syncs.

use chrono::{DateTime, Utc};
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
    warn_of_idle(&wanted);
    Ok(())
}

/// Tells of expressions that are valid but never fire: Elasticsearch takes them too, so they are no error.
pub(super) fn warn_of_idle(wanted: &[(JobType, Wanted)]) {
    for (job_type, wanted) in wanted {
        if let Wanted::At(interval) = wanted
            && never_fires(interval, Utc::now())
        {
            output::note(format!(
                "warning: '{interval}' never fires, so no {} sync will begin by itself (is there such a day, and is the year past?)",
                job_type.as_str()
            ));
        }
    }
}

/// Whether an expression can be read but has no firing time after `now`.
pub(crate) fn never_fires(expression: &str, now: DateTime<Utc>) -> bool {
    Schedule::parse(expression).is_ok_and(|schedule| schedule.next_after(now).is_none())
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
    fn a_day_that_no_month_has_and_a_past_year_never_fire() {
        let now = "2026-03-01T00:00:00Z".parse().unwrap();
        assert!(never_fires("0 0 0 30 2 ?", now));
        assert!(never_fires("0 0 0 1 1 ? 2020", now));
        assert!(!never_fires("0 0 0 29 2 ?", now));
        assert!(!never_fires("nonsense", now), "is told otherwise");
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
