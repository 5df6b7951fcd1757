//! The log lines that a job's worker keeps with the job.

use std::time::Duration;

use serde_json::{Value, json};
use tributary_protocol::SyncJob;

use super::find;
use crate::args::TargetArgs;
use crate::error::Result;
use crate::output::{self, Format};
use crate::target;

/// Pause between two looks at a job that is followed.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints the lines, and with `follow` those that come until the job has ended.
pub(super) async fn show(id: &str, follow: bool, args: &TargetArgs, format: Format) -> Result<()> {
    let client = target::connect(args)?;
    let mut shown: Vec<String> = Vec::new();
    loop {
        let job = find(&client, id).await?;
        let lines = lines(&job.doc);
        let over = !follow || job.doc.status.is_final();
        if format == Format::Json && over {
            return output::json(&json!({"id": job.id.as_str(), "log": lines}));
        }
        if format == Format::Text {
            for line in new(&shown, &lines) {
                output::line(line)?;
            }
            if over && lines.is_empty() {
                output::note("no log lines are kept with this job (they come with a daemon, every 10 s)");
            }
        }
        if over {
            return Ok(());
        }
        shown = lines;
        tokio::time::sleep(PAUSE).await;
    }
}

fn lines(job: &SyncJob) -> Vec<String> {
    let kept = job.metadata.as_ref().map_or(&Value::Null, |metadata| &metadata["tributary"]["log"]);
    kept.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What of `lines` was not shown yet. Lines kept are the last ones: those shown last are at its beginning, or gone.
fn new<'l>(shown: &[String], lines: &'l [String]) -> &'l [String] {
    let overlap = (0..=shown.len().min(lines.len())).rev().find(|count| shown.ends_with(&lines[..*count]));
    &lines[overlap.unwrap_or(0)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_shown_once_while_old_ones_leave() {
        let all = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        for (shown, lines, fresh) in [
            ("", "abc", "abc"),
            ("abc", "abc", ""),
            ("abc", "abcd", "d"),
            ("abc", "cde", "de"),
            ("abc", "xyz", "xyz"),
        ] {
            assert_eq!(new(&all(shown), &all(lines)), all(fresh), "{shown} {lines}");
        }
    }
}
