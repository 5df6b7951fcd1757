use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use elasticsearch::{GetParts, SearchParts};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tributary_protocol::{Connector, ConnectorId, JobType, SyncJob, SyncJobId, SyncStatus};

use super::{CONNECTORS, JOBS};
use crate::call::Call;
use crate::data::{RawHit, SearchAnswer, Walk, path_part};
use crate::{Client, ClientError, DocVersion, ErrorKind, Result};

/// Documents that one search fetches; where there are more, a point in time is walked.
const ONE_SEARCH: usize = 2000;
/// Documents per request of such a walk.
const WALK_PAGE: usize = 1000;
/// Where a job's document keeps its last log lines.
const JOB_LOG: &str = "metadata.tributary.log";
/// Unreadable documents that are remembered so as to tell of each only once.
const REMEMBERED: usize = 1000;

/// A document of the protocol, and when it was last written.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned<I, T> {
    /// Its id.
    pub id: I,
    /// The condition of a guarded write.
    pub version: DocVersion,
    /// The document.
    pub doc: T,
}

/// Which connectors are asked for: those of the ids and those of the service types, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectorSelector {
    /// Connectors of these ids.
    pub ids: Vec<ConnectorId>,
    /// Connectors of these service types.
    pub service_types: Vec<String>,
    /// All of them.
    pub all: bool,
    /// Also those that are marked as deleted.
    pub include_deleted: bool,
}

impl ConnectorSelector {
    /// All connectors that are not deleted.
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    fn selects_nothing(&self) -> bool {
        !self.all && self.ids.is_empty() && self.service_types.is_empty()
    }

    fn query(&self) -> Value {
        let mut query = Map::new();
        if !self.all {
            let ids: Vec<&str> = self.ids.iter().map(ConnectorId::as_str).collect();
            let either = json!([{"ids": {"values": ids}}, {"terms": {"service_type": self.service_types}}]);
            query.insert("should".into(), either);
            query.insert("minimum_should_match".into(), 1.into());
        }
        if !self.include_deleted {
            query.insert("must_not".into(), json!([{"term": {"deleted": true}}]));
        }
        json!({"bool": query})
    }
}

/// Which jobs are asked for; filters are combined. The newest come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Jobs of this connector.
    pub connector_id: Option<ConnectorId>,
    /// Jobs in one of these states; empty: any.
    pub statuses: Vec<SyncStatus>,
    /// Jobs of one of these types; empty: any.
    pub types: Vec<JobType>,
    /// How many to leave out at the front.
    pub from: usize,
    /// How many at most; `None`: 100. `from` and `size` together must not be more than 10,000.
    pub size: Option<usize>,
}

impl JobFilter {
    fn query(&self) -> Value {
        let mut filter = Vec::new();
        if let Some(id) = &self.connector_id {
            filter.push(json!({"term": {"connector.id": id.as_str()}}));
        }
        if !self.statuses.is_empty() {
            filter.push(json!({"terms": {"status": self.statuses}}));
        }
        if !self.types.is_empty() {
            filter.push(json!({"terms": {"job_type": self.types}}));
        }
        json!({"bool": {"filter": filter}})
    }
}

/// Tells of documents that cannot be read, of each version of one only once.
#[derive(Debug, Default)]
pub(crate) struct Unreadable(Mutex<HashSet<(String, u64)>>);

impl Unreadable {
    fn tell(&self, what: &str, id: String, seq_no: u64, error: &ClientError) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        if !known.contains(&(id.clone(), seq_no)) {
            tracing::error!(id, %error, "a {what} cannot be read and is left out until it is mended");
            known.insert((id, seq_no));
        }
    }
}

impl Client {
    /// The selected connectors, by id, as searches see them (writes may take a second to show). One search, unless
    /// there are more than 2,000. No index: no connectors. A document that cannot be read is logged and left out.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn connectors(
        &self,
        select: &ConnectorSelector,
    ) -> Result<Vec<Versioned<ConnectorId, Connector>>> {
        if select.selects_nothing() {
            return Ok(Vec::new());
        }
        let hits = self.list(CONNECTORS, json!({"query": select.query()})).await?;
        let mut connectors = self.read_all("connector", hits);
        connectors.sort_by(|a: &Versioned<ConnectorId, Connector>, b| a.id.as_str().cmp(b.id.as_str()));
        Ok(connectors)
    }

    /// One connector with realtime semantics; also one that is marked as deleted.
    ///
    /// # Errors
    /// As the cluster answers; [`ErrorKind::BadAnswer`] when the document cannot be read.
    pub async fn connector(&self, id: &ConnectorId) -> Result<Option<Versioned<ConnectorId, Connector>>> {
        self.get_doc(CONNECTORS, "connector", id.as_str()).await
    }

    /// Every job that is not over (pending, suspended, in progress, canceling), oldest first, as searches see them,
    /// without the log lines in its metadata.
    /// One search, unless there are more than 2,000.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn open_jobs(&self) -> Result<Vec<Versioned<SyncJobId, SyncJob>>> {
        let open: Vec<SyncStatus> = SyncStatus::ALL.into_iter().filter(|status| !status.is_final()).collect();
        let filter = JobFilter { statuses: open, ..JobFilter::default() };
        let sort = json!([{"created_at": {"order": "asc", "unmapped_type": "date"}}]);
        // Looked at every second: what only people read is left out.
        let body = json!({"query": filter.query(), "sort": sort, "_source": {"excludes": [JOB_LOG]}});
        let hits = self.list(JOBS, body).await?;
        Ok(self.read_all("sync job", hits))
    }

    /// One job with realtime semantics.
    ///
    /// # Errors
    /// As the cluster answers; [`ErrorKind::BadAnswer`] when the document cannot be read.
    pub async fn job(&self, id: &SyncJobId) -> Result<Option<Versioned<SyncJobId, SyncJob>>> {
        self.get_doc(JOBS, "sync job", id.as_str()).await
    }

    /// The jobs that pass the filter, newest first, as searches see them.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Versioned<SyncJobId, SyncJob>>> {
        let body = json!({
            "query": filter.query(),
            "sort": [{"created_at": {"order": "desc", "unmapped_type": "date"}}],
            "from": filter.from,
            "size": filter.size.unwrap_or(100),
        });
        let hits = self.find(JOBS, body).await?;
        Ok(self.read_all("sync job", hits))
    }

    pub(super) async fn find(&self, alias: &str, mut body: Value) -> Result<Vec<RawHit>> {
        body["seq_no_primary_term"] = true.into();
        body["track_total_hits"] = false.into();
        let call =
            Call::post(SearchParts::Index(&[alias]).url()).query("ignore_unavailable", "true").json(&body)?;
        Ok(self.send(call).await?.json::<SearchAnswer>()?.complete()?.0)
    }

    /// Everything that a search finds, whatever its number.
    async fn list(&self, alias: &str, body: Value) -> Result<Vec<RawHit>> {
        let mut first = body.clone();
        first["size"] = ONE_SEARCH.into();
        let hits = self.find(alias, first).await?;
        if hits.len() < ONE_SEARCH {
            return Ok(hits);
        }
        let Value::Object(mut body) = body else { return Ok(hits) };
        body.insert("seq_no_primary_term".into(), true.into());
        let Some(mut walk) = Walk::open(self, alias, body, WALK_PAGE).await? else { return Ok(Vec::new()) };
        let mut all = Vec::with_capacity(2 * ONE_SEARCH);
        while let Some(page) = walk.next().await? {
            all.extend(page);
        }
        Ok(all)
    }

    fn read_all<I: From<String>, T: DeserializeOwned>(
        &self,
        what: &str,
        hits: Vec<RawHit>,
    ) -> Vec<Versioned<I, T>> {
        let mut all = Vec::with_capacity(hits.len());
        for hit in hits {
            let (id, seq_no) = (hit.id.clone(), hit.seq_no.unwrap_or_default());
            match versioned(hit) {
                Ok(doc) => all.push(doc),
                Err(error) => self.unreadable().tell(what, id, seq_no, &error),
            }
        }
        all
    }

    pub(super) async fn get_doc<I: From<String>, T: DeserializeOwned>(
        &self,
        alias: &str,
        what: &str,
        id: &str,
    ) -> Result<Option<Versioned<I, T>>> {
        let path = GetParts::IndexId(alias, path_part(what, id)?).url();
        match self.send(Call::get(path)).await {
            Ok(reply) => versioned(reply.json()?).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn versioned<I: From<String>, T: DeserializeOwned>(hit: RawHit) -> Result<Versioned<I, T>> {
    let version = hit.version();
    let version = version.ok_or_else(|| {
        ClientError::bad_answer(format!("document [{}] came without its sequence number", hit.id))
    })?;
    let hit = crate::Hit::from(hit);
    let doc = hit.read()?;
    Ok(Versioned { id: I::from(hit.id), version, doc })
}
