//! Dead letters in the engine of record: what is known of documents that were not written. Never the documents
//! themselves, so that whoever may read these may still not see what the index or the source protects.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tributary_client::{BulkBuilder, Client, ClientError, ErrorKind, PushError, Versioned};
use tributary_engine::{DeadLetter, DeadLetters, KnownLetter, LetterNote, OpKind, PortError, PortErrorKind};
use tributary_protocol::{
    Connector, ConnectorId, IndexName, JobType, SyncJob, SyncJobId, TriggerMethod, ops,
};
use tributary_tasks::Clock;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::DaemonError;
use crate::lease::{METADATA, Retry, Token, time};
use crate::observe::Lock;
use crate::redact::Redactor;
use crate::run::{Fence, port_error};

/// Where they are kept.
pub const DEAD_LETTERS: &str = ".tributary-dead-letters";
/// Most of them kept at once, per connector, content and identities each for themselves.
pub(crate) const MOST: usize = 10_000;
/// Bounds of one request.
const REQUEST: (usize, usize) = (1 << 20, 1000);

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Letter {
    /// The document's `_id`.
    pub document_id: String,
    /// The job that left the document out last.
    pub job_id: String,
    /// The connector.
    pub connector_id: String,
    /// The kind of that job.
    pub job_type: JobType,
    /// The index that the document was for.
    pub index_name: String,
    /// `index` or `delete`.
    pub operation: String,
    /// Type of the reason.
    pub kind: String,
    /// The reason.
    pub reason: String,
    /// HTTP status of the index's answer, where there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// Whether the document was written, only without its content.
    #[serde(default)]
    pub document_written: bool,
    /// In how many syncs in a row it came to this.
    #[serde(default)]
    pub attempts: u32,
    /// When.
    pub noted_at: DateTime<Utc>,
}

/// Which dead letters are asked for.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Of this job.
    pub job: Option<SyncJobId>,
    /// Of this connector.
    pub connector: Option<ConnectorId>,
    /// Of these documents; empty: of all.
    pub ids: Vec<String>,
}

/// Some of the dead letters that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LetterPage {
    /// How many there are in all.
    pub total: u64,
    /// These of them, in the order of the documents' ids.
    pub letters: Vec<Letter>,
}

impl LetterFilter {
    fn query(&self) -> Value {
        let mut terms = Vec::new();
        if let Some(job) = &self.job {
            terms.push(json!({"term": {"job_id": job.as_str()}}));
        }
        if let Some(connector) = &self.connector {
            terms.push(json!({"term": {"connector_id": connector.as_str()}}));
        }
        if !self.ids.is_empty() {
            terms.push(json!({"terms": {"document_id": self.ids}}));
        }
        json!({"bool": {"filter": terms}})
    }
}

/// Dead letters, `size` of them after the first `from`; together at most 10,000.
///
/// # Errors
/// As the cluster answers.
pub async fn dead_letters(
    client: &Client,
    filter: &LetterFilter,
    from: usize,
    size: usize,
) -> Result<LetterPage, ClientError> {
    let body = json!({
        "query": filter.query(), "from": from, "size": size, "track_total_hits": true,
        "sort": [{"document_id": "asc"}],
    });
    search(client, &body).await
}

/// Forgets the dead letters of a connector; how many there were.
///
/// # Errors
/// As the cluster answers.
pub async fn forget_dead_letters(client: &Client, connector: &ConnectorId) -> Result<u64, ClientError> {
    let filter = LetterFilter { connector: Some(connector.clone()), ..LetterFilter::default() };
    client.delete_by_query(&index()?, filter.query()).await
}

/// Creates a job that tries again what `job` left out: the source is listed, and of everything listed only these documents
/// are written, as they are now. `ids`: only these of them; empty: all. A daemon runs it.
///
/// # Errors
/// When there is nothing to try again, or the cluster does not take part.
pub async fn retry_dead_letters(
    client: &Client,
    job: &Versioned<SyncJobId, SyncJob>,
    ids: &[String],
) -> Result<SyncJobId, DaemonError> {
    let filter = LetterFilter { job: Some(job.id.clone()), connector: None, ids: ids.to_vec() };
    let page = dead_letters(client, &filter, 0, MOST).await?;
    if page.total == 0 {
        let of = if ids.is_empty() { String::new() } else { " of these documents".to_owned() };
        return Err(DaemonError::mendable(format!("there are no dead letters{of} of job '{}'", job.id))
            .with_hint(format!("see which there are: tributary job dead-letters {}", job.id)));
    }
    if let Some(id) = ids.iter().find(|id| !page.letters.iter().any(|letter| letter.document_id == **id)) {
        return Err(DaemonError::mendable(format!("job '{}' has no dead letter of document '{id}'", job.id))
            .with_hint(format!("see which there are: tributary job dead-letters {}", job.id)));
    }
    let connector_id = &job.doc.connector.id;
    let found = client.connector(connector_id).await?.filter(|connector| !connector.doc.deleted);
    let connector: Connector = found
        .ok_or_else(|| {
            DaemonError::mendable(format!("the job's connector '{connector_id}' does not exist any more"))
        })?
        .doc;
    let stored =
        serde_json::to_value(&connector).map_err(|error| DaemonError::internal(error.to_string()))?;
    // Changes are told only once, so what a listing of them left out is found by a full one.
    let kind = if job.doc.job_type.is_content() { JobType::Full } else { job.doc.job_type };
    let now = tributary_tasks::SystemClock.now();
    let mut source = ops::sync_job::create(connector_id, &stored, kind, TriggerMethod::OnDemand, now)
        .map_err(|error| DaemonError::mendable(error.to_string()))?;
    let retry = Retry { job: job.id.as_str().to_owned(), ids: ids.to_vec() };
    source["metadata"] = json!({METADATA: {"retry": retry}});
    let id = SyncJobId::from(Token::random().as_str().to_owned());
    client.create_job_document(&id, &source).await?;
    Ok(id)
}

/// What a sync of `connector` under `lock` has to know of: all letters of it, or those that it is there to `retry`.
pub(crate) async fn known(
    client: &Client,
    connector: &ConnectorId,
    lock: Lock,
    own_job: &str,
    retry: Option<&Retry>,
) -> Result<Vec<KnownLetter>, ClientError> {
    let mut terms =
        vec![json!({"term": {"connector_id": connector.as_str()}}), json!({"term": {"lock": name_of(lock)}})];
    if let Some(retry) = retry {
        // Those of an earlier attempt to do the same are the retry's own.
        terms.push(json!({"terms": {"job_id": [retry.job, own_job]}}));
        if !retry.ids.is_empty() {
            terms.push(json!({"terms": {"document_id": retry.ids}}));
        }
    }
    let body = json!({"query": {"bool": {"filter": terms}}, "size": MOST, "sort": ["_doc"]});
    let page = search(client, &body).await?;
    let letter = |letter: Letter| KnownLetter {
        operation: if letter.operation == "delete" { OpKind::Delete } else { OpKind::Index },
        written: letter.document_written,
        attempts: letter.attempts,
        own: letter.job_id == own_job,
        id: letter.document_id,
    };
    Ok(page.letters.into_iter().map(letter).collect())
}

async fn search(client: &Client, body: &Value) -> Result<LetterPage, ClientError> {
    #[derive(Deserialize)]
    struct Found {
        hits: Hits,
    }
    #[derive(Deserialize)]
    struct Hits {
        #[serde(default)]
        total: Option<Total>,
        hits: Vec<Hit>,
    }
    #[derive(Deserialize)]
    struct Total {
        value: u64,
    }
    #[derive(Deserialize)]
    struct Hit {
        #[serde(rename = "_source")]
        source: Letter,
    }
    client.refresh(&index()?).await?;
    let found = match client.search(DEAD_LETTERS, body).await {
        Err(error) if error.is_missing_index() => return Ok(LetterPage::default()),
        found => found?,
    };
    let found: Found = serde_json::from_value(found).map_err(|error| {
        ClientError::new(
            ErrorKind::BadAnswer,
            format!("the index {DEAD_LETTERS} holds something else: {error}"),
        )
    })?;
    let letters: Vec<Letter> = found.hits.hits.into_iter().map(|hit| hit.source).collect();
    let total = found.hits.total.map_or(letters.len() as u64, |total| total.value);
    Ok(LetterPage { total, letters })
}

fn index() -> Result<IndexName, ClientError> {
    IndexName::try_from(DEAD_LETTERS.to_owned())
        .map_err(|error| ClientError::new(ErrorKind::Config, error.to_string()))
}

fn name_of(lock: Lock) -> &'static str {
    match lock {
        Lock::Content => "content",
        Lock::AccessControl => "access_control",
    }
}

/// What the letters of one job have in common.
#[derive(Debug)]
pub(crate) struct JobLetters {
    pub(crate) client: Client,
    pub(crate) connector: ConnectorId,
    pub(crate) job_id: String,
    pub(crate) kind: JobType,
    pub(crate) index: IndexName,
    /// Nothing is written of a job that is not ours any more.
    pub(crate) fence: Option<Fence>,
    pub(crate) redactor: Redactor,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) prepared: tokio::sync::OnceCell<()>,
}

impl DeadLetters for JobLetters {
    fn keep<'a>(&'a self, notes: &'a [LetterNote]) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let written = match &self.fence {
                Some(fence) => fence.guard(self.write(notes)).await?,
                None => self.write(notes).await,
            };
            written.map_err(|error| {
                let told = port_error(&error);
                if told.kind == PortErrorKind::Denied {
                    return told
                        .hint(format!("let the daemon's key read and write the index {DEAD_LETTERS}"));
                }
                told
            })
        })
    }
}

impl JobLetters {
    async fn write(&self, notes: &[LetterNote]) -> Result<(), ClientError> {
        let index = index()?;
        let forgets_only = notes.iter().all(|note| matches!(note, LetterNote::Forget(_)));
        if !forgets_only {
            let prepare = async || self.client.ensure_index(&index, Some(&letters_index())).await.map(|_| ());
            self.prepared.get_or_try_init(prepare).await?;
        }
        let mut request = BulkBuilder::new(index, REQUEST.0, REQUEST.1);
        for note in notes {
            if matches!(self.add(&mut request, note), Err(PushError::Full)) {
                self.send(&mut request).await?;
                self.add(&mut request, note)
                    .map_err(|error| ClientError::new(ErrorKind::Config, error.to_string()))?;
            }
        }
        self.send(&mut request).await
    }

    fn add(&self, request: &mut BulkBuilder, note: &LetterNote) -> Result<(), PushError> {
        match note {
            LetterNote::Keep(letter) => request.index(&self.id(&letter.refusal.id), &self.document(letter)),
            LetterNote::Forget(id) => request.delete(&self.id(id)),
        }
    }

    async fn send(&self, request: &mut BulkBuilder) -> Result<(), ClientError> {
        let Some(body) = request.take() else { return Ok(()) };
        let answer = self.client.bulk(&body, None).await?;
        let Some(refused) = answer.items.iter().find(|item| !item.is_done()) else { return Ok(()) };
        let gone = refused.error.as_ref().is_some_and(|error| error.kind == "index_not_found_exception");
        if gone && answer.items.iter().all(|item| item.is_done() || item.status == 404) {
            return Ok(());
        }
        let kind =
            if refused.is_retryable() { ErrorKind::Throttled } else { ErrorKind::of_status(refused.status) };
        let reason = refused.error.as_ref().map_or_else(String::new, ToString::to_string);
        Err(ClientError::new(kind, format!("the index {DEAD_LETTERS} refused a dead letter: {reason}")))
    }

    /// One letter per document of a connector.
    fn id(&self, document: &str) -> String {
        let lock = name_of(Lock::of(self.kind));
        format!("{:032x}", xxh3_128(format!("{}\n{lock}\n{document}", self.connector.as_str()).as_bytes()))
    }

    fn document(&self, letter: &DeadLetter) -> Value {
        let DeadLetter { refusal, operation, written, attempts } = letter;
        json!({
            "connector_id": self.connector.as_str(),
            "job_id": self.job_id,
            "job_type": self.kind.as_str(),
            "lock": name_of(Lock::of(self.kind)),
            "index_name": self.index.as_str(),
            "document_id": refusal.id,
            "operation": match operation { OpKind::Index => "index", OpKind::Delete => "delete" },
            "kind": refusal.kind,
            "reason": self.redactor.text(&refusal.reason),
            "status": refusal.status,
            "document_written": written,
            "attempts": attempts,
            "noted_at": time(self.clock.now()),
        })
    }
}

fn letters_index() -> Value {
    let keyword = || json!({"type": "keyword"});
    let unsearched = |kind: &str| json!({"type": kind, "index": false});
    json!({
        "settings": {"index": {"hidden": true, "number_of_shards": 1, "auto_expand_replicas": "0-1"}},
        "mappings": {"dynamic": "strict", "properties": {
            "connector_id": keyword(), "job_id": keyword(), "job_type": keyword(), "lock": keyword(),
            "index_name": keyword(), "document_id": keyword(), "operation": keyword(), "kind": keyword(),
            "reason": {"type": "keyword", "index": false, "doc_values": false},
            "status": {"type": "integer"}, "document_written": {"type": "boolean"},
            "attempts": unsearched("integer"), "noted_at": {"type": "date"},
        }},
    })
}
