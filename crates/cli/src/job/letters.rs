//! `tributary job dead-letters` and `retry`: documents that a job left out.

use serde_json::{Value, json};
use tributary_client::{Client, ErrorKind};
use tributary_daemon::{Letter, LetterFilter, LetterPage, dead_letters, retry_dead_letters};
use tributary_protocol::SyncJobId;

use super::{find, judge, report, until_ended};
use crate::args::TargetArgs;
use crate::error::{CliError, Result, one_line};
use crate::output::{self, Format};
use crate::target;

/// Most dead letters that can be paged through.
const DEEPEST: usize = 10_000;
/// Those that the view of a job shows.
const FIRST: usize = 20;

/// Which of them are listed.
pub(super) struct Paging {
    pub(super) from: usize,
    pub(super) size: usize,
}

pub(super) async fn list(
    job: Option<String>,
    connector: Option<String>,
    paging: Paging,
    args: &TargetArgs,
    format: Format,
) -> Result<()> {
    let Paging { from, size } = paging;
    if size == 0 || from.saturating_add(size) > DEEPEST {
        return Err(CliError::user(format!("--from is {from} and --size is {size}"))
            .hint(format!("--size is at least 1, and both together are at most {DEEPEST}")));
    }
    let client = target::connect(args)?;
    let job = match job {
        Some(id) => Some(find(&client, &id).await?.id),
        None => None,
    };
    let filter = LetterFilter { job, connector: connector.map(Into::into), ids: Vec::new() };
    let page = dead_letters(&client, &filter, from, size).await?;
    if format == Format::Json {
        return output::json(&value(&page)?);
    }
    if page.total == 0 {
        return output::line("no dead letters");
    }
    output::line(table(&page.letters, true))?;
    let last = from + page.letters.len();
    if (last as u64) < page.total && !page.letters.is_empty() {
        output::note(format!("{} to {last} of {}; more: --from {last}", from + 1, page.total));
    }
    Ok(())
}

/// What the view of a job says of its dead letters; `None` where they cannot be read.
pub(super) async fn of_job(client: &Client, job: &SyncJobId) -> Result<Option<LetterPage>> {
    let filter = LetterFilter { job: Some(job.clone()), ..LetterFilter::default() };
    match dead_letters(client, &filter, 0, FIRST).await {
        Ok(page) => Ok(Some(page)),
        // Whoever may see a job need not be allowed to see these.
        Err(error) if error.kind() == ErrorKind::Forbidden => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn show_some(page: &LetterPage, job: &SyncJobId) -> Result<()> {
    if page.total == 0 {
        return Ok(());
    }
    output::line(format!("\ndead letters: {}", page.total))?;
    output::line(table(&page.letters, false))?;
    if page.total > page.letters.len() as u64 {
        output::note(format!("all of them: tributary job dead-letters {job}"));
    }
    output::note(format!("send them again: tributary job retry {job}"));
    Ok(())
}

pub(super) fn value(page: &LetterPage) -> Result<Value> {
    serde_json::to_value(page).map_err(CliError::ours)
}

fn table(letters: &[Letter], with_job: bool) -> String {
    let row = |letter: &Letter| {
        let status = letter.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let mut row = vec![
            one_line(&letter.document_id),
            letter.operation.clone(),
            one_line(&letter.kind),
            status,
            letter.attempts.to_string(),
        ];
        if with_job {
            row.push(letter.job_id.clone());
        }
        row.push(one_line(&letter.reason));
        row
    };
    let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
    let mut header = vec!["DOCUMENT", "OPERATION", "KIND", "STATUS", "ATTEMPTS"];
    header.extend(with_job.then_some("JOB"));
    header.push("REASON");
    output::table(&header, &rows)
}

pub(super) async fn retry(
    id: &str,
    documents: &[String],
    wait: bool,
    args: &TargetArgs,
    format: Format,
) -> Result<()> {
    let client = target::connect(args)?;
    let job = find(&client, id).await?;
    let retry = retry_dead_letters(&client, &job, documents).await?;
    if !wait {
        return match format {
            Format::Json => output::json(&json!({ "id": retry.as_str() })),
            Format::Text => output::line(format!("started job '{retry}'")),
        };
    }
    let ended = until_ended(&client, &retry).await?;
    report(&client, &ended, format).await?;
    judge(&ended)
}
