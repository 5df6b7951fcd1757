use serde_json::{Value, json};
use tokio::time::Instant;
use tributary_client::{Client, ClientError, Created, DocVersion, ErrorKind, JobFilter};
use tributary_protocol::{Connector, ConnectorId, ConnectorStatus, JobType, SyncJob, SyncJobId, SyncStatus};

use super::outcome::Outcome;
use crate::act::{Changed, change_connector, figures};
use crate::lease::{Lease, Token, time};
use crate::memory::is_locked;
use crate::observe::{Lock, OpenJob};
use crate::service::Service;

/// How often a write of a job is tried again because somebody else wrote the job in between.
const TRIES: usize = 5;

/// What came of trying to claim a job.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is ours.
    Taken(Box<ClaimedJob>),
    /// Another job of the connector runs, or is said to run.
    Locked,
    /// Somebody else was faster, or the job or its connector is gone.
    Missed,
}

/// A job that is ours as long as it carries our token. Every write of it goes through here and is fenced by the token.
#[derive(Debug)]
pub(crate) struct ClaimedJob {
    pub(crate) id: SyncJobId,
    /// The job as it was claimed.
    pub(crate) doc: SyncJob,
    /// The connector as it was when the job was claimed.
    pub(crate) connector: Connector,
    pub(crate) lease: Lease,
    /// Its status, as last seen.
    pub(crate) status: SyncStatus,
    /// Until when our lease holds, by our own clock.
    pub(crate) held_until: Instant,
    version: DocVersion,
}

/// Why a job is not ours any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Another worker has taken it over.
    TakenOver,
    /// Somebody else has ended it, so.
    Ended(SyncStatus),
    /// Its document is gone.
    Gone,
}

/// Why a write of a claimed job failed.
#[derive(Debug)]
pub(crate) enum WriteError {
    Lost(Lost),
    Client(ClientError),
}

impl From<ClientError> for WriteError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl ClaimedJob {
    pub(crate) fn connector_id(&self) -> &ConnectorId {
        &self.doc.connector.id
    }

    pub(crate) fn kind(&self) -> JobType {
        self.doc.job_type
    }

    pub(crate) fn lock(&self) -> Lock {
        Lock::of(self.doc.job_type)
    }

    /// Looks at the job: whether it is still ours, and what is asked of it.
    ///
    /// # Errors
    /// When it is not ours any more, or the cluster cannot tell.
    pub(crate) async fn look(&mut self, client: &Client) -> Result<SyncStatus, WriteError> {
        let Some(job) = client.job(&self.id).await? else { return Err(WriteError::Lost(Lost::Gone)) };
        let lease = Lease::read(job.doc.metadata.as_ref());
        let ours = lease.token == self.lease.token && job.doc.worker_hostname == self.lease.worker;
        if !ours {
            let status = job.doc.status;
            let lost = if status.is_running() { Lost::TakenOver } else { Lost::Ended(status) };
            return Err(WriteError::Lost(lost));
        }
        if !job.doc.status.is_running() {
            return Err(WriteError::Lost(Lost::Ended(job.doc.status)));
        }
        self.version = job.version;
        self.status = job.doc.status;
        Ok(self.status)
    }

    /// Merges what `change` says, given the job's status, into the document if it is still ours.
    ///
    /// # Errors
    /// When it is not ours any more, or the cluster does not take it.
    pub(crate) async fn write(
        &mut self,
        client: &Client,
        change: impl Fn(SyncStatus) -> Value,
    ) -> Result<(), WriteError> {
        let mut tries = 1;
        loop {
            match client.update_job(&self.id, &change(self.status), Some(self.version)).await {
                Ok(version) => {
                    self.version = version;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(WriteError::Lost(Lost::Gone));
                }
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
            self.look(client).await?;
        }
    }
}

impl Service {
    /// Takes the connector's lock and claims the job, in this order, as the Python service does (sync-runtime 5.3).
    pub(crate) async fn claim(&self, job: OpenJob, takes_over: bool) -> Result<Claim, ClientError> {
        let (lock, begun) = (job.lock(), Instant::now());
        let before = match self.lock(job.connector(), lock, takes_over).await? {
            Locking::Gone => return Ok(Claim::Missed),
            Locking::Taken => return Ok(Claim::Locked),
            Locking::Ours(connector) => connector,
        };
        let connector_id = job.connector().clone();
        match self.claim_job(job, takes_over, &before).await {
            Ok(Some(claimed)) => self.confirm(claimed, SyncStatus::Suspended).await,
            missed => {
                // Without the job we have no right to the lock.
                if !takes_over {
                    self.give_back(&connector_id, lock, &before, begun).await?;
                }
                missed.map(|_| Claim::Missed)
            }
        }
    }

    /// Whether a job runs, or is said to run, under this lock of the connector; all but `except`. A job shows from
    /// the moment of its claim.
    pub(crate) async fn runs(
        &self,
        connector: &ConnectorId,
        lock: Lock,
        except: Option<&SyncJobId>,
    ) -> Result<bool, ClientError> {
        let filter = JobFilter {
            connector_id: Some(connector.clone()),
            statuses: SyncStatus::ALL.into_iter().filter(|status| status.is_running()).collect(),
            types: lock.kinds().to_vec(),
            size: Some(2),
            ..JobFilter::default()
        };
        Ok(self.client.jobs(&filter).await?.iter().any(|job| Some(&job.id) != except))
    }

    /// Makes sure that no other job runs under the lock. The lock alone does not tell: a worker that stood still after it
    /// took it finds it released and taken by others. Of two that claim at once at least one sees the other.
    async fn confirm(&self, mut job: ClaimedJob, otherwise: SyncStatus) -> Result<Claim, ClientError> {
        let other = self.runs(job.connector_id(), job.lock(), Some(&job.id)).await;
        if let Ok(false) = other {
            return Ok(Claim::Taken(Box::new(job)));
        }
        let (lease, now) = (job.lease.clone(), self.now());
        // It did not run.
        let lease = Lease { attempt: lease.attempt.saturating_sub(1), ..lease };
        let left =
            Outcome { checkpoint: lease.checkpoint.clone(), ..Outcome::of(otherwise, figures(&job.doc)) };
        match job.write(&self.client, |current| left.job_change(current, &lease, now)).await {
            Ok(()) => tracing::info!("another job of the connector runs: this one was left again"),
            Err(WriteError::Lost(_)) => {}
            // Then it is taken over when its lease ends.
            Err(WriteError::Client(error)) => tracing::warn!(%error, "a claim could not be taken back"),
        }
        // The lock is the other's.
        other.map(|_| Claim::Locked)
    }

    /// Takes the connector's lock and creates a job under it that is ours from its first moment.
    pub(crate) async fn claim_new(
        &self,
        connector_id: &ConnectorId,
        id: SyncJobId,
        source: &Value,
        asked: &Lease,
    ) -> Result<Claim, ClientError> {
        let job: SyncJob = serde_json::from_value(source.clone())
            .map_err(|error| ClientError::new(ErrorKind::Config, error.to_string()))?;
        let (lock, begun) = (Lock::of(job.job_type), Instant::now());
        let connector = match self.lock(connector_id, lock, false).await? {
            Locking::Gone => return Ok(Claim::Missed),
            Locking::Taken => return Ok(Claim::Locked),
            Locking::Ours(connector) => connector,
        };
        let now = self.now();
        let held_until = Instant::now() + self.terms().held();
        let lease = asked.next(Token::random(), &self.options.worker_name, self.terms().expiry(now), false);
        let mut claimed = source.clone();
        lay_over(&mut claimed, claim_change(&job, &lease, &connector, now));
        let version = match self.client.create_job_document(&id, &claimed).await {
            Ok(Created::New(version)) => version,
            // Nobody else makes up this id: it is from this very call.
            Ok(Created::Existed) => match self.client.job(&id).await? {
                Some(job) => job.version,
                None => return Ok(Claim::Missed),
            },
            Err(error) => {
                self.give_back(connector_id, lock, &connector, begun).await?;
                return Err(error);
            }
        };
        let claimed = ClaimedJob {
            id,
            doc: job,
            connector: *connector,
            lease,
            status: SyncStatus::InProgress,
            held_until,
            version,
        };
        self.confirm(claimed, SyncStatus::Canceled).await
    }

    async fn lock(&self, id: &ConnectorId, lock: Lock, takes_over: bool) -> Result<Locking, ClientError> {
        let (status, error) = lock.fields();
        let changed = change_connector(&self.client, id, |connector| {
            // A dead worker's lock goes over with its job.
            let taken = !takes_over && is_locked(&connector.doc, lock);
            let mut change = json!({ status: SyncStatus::InProgress.as_str(), error: null });
            if matches!(connector.doc.status, ConnectorStatus::Connected | ConnectorStatus::Error) {
                change["status"] = ConnectorStatus::Connected.as_str().into();
                change["error"] = Value::Null;
            }
            (!taken).then_some(change)
        })
        .await?;
        Ok(match changed {
            Changed::Gone => Locking::Gone,
            Changed::Left(_) => Locking::Taken,
            Changed::Written(connector) => Locking::Ours(Box::new(connector.doc)),
        })
    }

    /// Undoes taking the lock, which was asked for at `begun`. Others release it after the length of a lease, and then it
    /// may be somebody else's.
    async fn give_back(
        &self,
        id: &ConnectorId,
        lock: Lock,
        before: &Connector,
        begun: Instant,
    ) -> Result<(), ClientError> {
        let (status, error) = lock.fields();
        let (last_status, last_error) = match lock {
            Lock::Content => (before.last_sync_status, before.last_sync_error.clone()),
            Lock::AccessControl => {
                (before.last_access_control_sync_status, before.last_access_control_sync_error.clone())
            }
        };
        let mut change = json!({ status: last_status.map(|status| status.as_str()), error: last_error });
        if before.status == ConnectorStatus::Error {
            change["status"] = before.status.as_str().into();
            change["error"] = json!(before.error);
        }
        change_connector(&self.client, id, |connector| {
            (is_locked(&connector.doc, lock) && begun.elapsed() < self.terms().held()).then(|| change.clone())
        })
        .await
        .map(|_| ())
    }

    async fn claim_job(
        &self,
        mut job: OpenJob,
        takes_over: bool,
        connector: &Connector,
    ) -> Result<Option<ClaimedJob>, ClientError> {
        let token = Token::random();
        let mut tries = 1;
        loop {
            let now = self.now();
            let held_until = Instant::now() + self.terms().held();
            let worker = &self.options.worker_name;
            let lease = job.lease.next(token.clone(), worker, self.terms().expiry(now), takes_over);
            let change = claim_change(&job.doc, &lease, connector, now);
            let error = match self.client.update_job(&job.id, &change, Some(job.version)).await {
                Ok(version) => {
                    return Ok(Some(ClaimedJob {
                        id: job.id,
                        doc: job.doc,
                        connector: connector.clone(),
                        lease,
                        status: SyncStatus::InProgress,
                        held_until,
                        version,
                    }));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => error,
                Err(error) => return Err(error),
            };
            tracing::debug!(%error, "the job was written by somebody else while it was claimed");
            tries += 1;
            let Some(fresh) = self.client.job(&job.id).await?.map(OpenJob::of) else { return Ok(None) };
            if fresh.lease.token.as_ref() == Some(&token) && fresh.doc.status.is_running() {
                // Our own write went through, only its answer was lost.
                return Ok(Some(ClaimedJob {
                    id: fresh.id,
                    status: fresh.doc.status,
                    lease: fresh.lease,
                    doc: fresh.doc,
                    connector: connector.clone(),
                    held_until,
                    version: fresh.version,
                }));
            }
            // Whoever renewed a lease is alive.
            if takes_over || fresh.doc.status != job.doc.status {
                return Ok(None);
            }
            job = fresh;
        }
    }
}

enum Locking {
    Gone,
    Taken,
    Ours(Box<Connector>),
}

/// Merges `change` into `document` as an update would.
fn lay_over(document: &mut Value, change: Value) {
    match (document, change) {
        (Value::Object(document), Value::Object(change)) => {
            for (name, value) in change {
                lay_over(document.entry(name).or_insert(Value::Null), value);
            }
        }
        (document, change) => *document = change,
    }
}

/// What claiming writes into the job.
fn claim_change(
    job: &SyncJob,
    lease: &Lease,
    connector: &Connector,
    now: chrono::DateTime<chrono::Utc>,
) -> Value {
    let mut change = json!({
        "status": SyncStatus::InProgress.as_str(),
        "worker_hostname": lease.worker,
        "last_seen": time(now),
        "metadata": lease.to_metadata(),
    });
    // A job that goes on began when it began.
    if job.started_at.is_none() {
        change["started_at"] = time(now).into();
    }
    if job.job_type == JobType::Incremental {
        change["connector"] = json!({ "sync_cursor": connector.sync_cursor });
    }
    change
}
