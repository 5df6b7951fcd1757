//! One operation of the protocol, in either of the two ways to write.

use std::time::Duration;

use chrono::Utc;
use elasticsearch::IndexParts;
use elasticsearch::connector::{ConnectorGetParts, ConnectorSyncJobGetParts};
use rand::Rng;
use serde::Deserialize;
use serde_json::{Value, json};
use tributary_protocol::ops::{self, ConnectorOp, SyncJobOp};
use tributary_protocol::request::{ConnectorRequest, SyncJobRequest};
use tributary_protocol::{Change, ConnectorId, Outcome, ProtocolError, SyncJobId, Time};

use super::{CONNECTORS, Control, JOBS, Versioned};
use crate::call::Call;
use crate::data::path_part;
use crate::{Client, ClientError, DocVersion, ErrorKind, Result};

/// How often an operation is tried when somebody else writes the same document at the same time.
const ATTEMPTS: u32 = 8;
/// Upper bound of the pause before the first further attempt; doubled for each.
const FIRST_PAUSE_MS: u64 = 10;

/// What a write did to the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// It is new.
    Created,
    /// It changed.
    Updated,
    /// It was so already (connector-api 2.6).
    Noop,
}

impl From<Outcome> for Written {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Created => Self::Created,
            Outcome::Updated => Self::Updated,
            Outcome::Noop => Self::Noop,
        }
    }
}

/// Answer of an endpoint that changes something.
#[derive(Deserialize)]
struct Answer {
    result: Written,
}

/// An operation, as its endpoint would be asked for it.
pub(super) struct Operation<'a> {
    /// Path with the id in braces.
    pub(super) path: &'static str,
    pub(super) body: Option<&'a Value>,
    /// Whether doing it twice is an error.
    pub(super) once: bool,
}

impl Operation<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let Some(body) = self.body else { return Ok(Vec::new()) };
        serde_json::to_vec(body)
            .map_err(|error| ClientError::config(format!("the request is not JSON: {error}")))
    }

    /// The part of the path behind the id.
    fn tail(&self) -> &'static str {
        self.path.rsplit_once('}').map_or("", |(_, tail)| tail)
    }
}

impl Client {
    /// Changes a connector.
    pub(super) async fn change(
        &self,
        op: ConnectorOp,
        id: &ConnectorId,
        body: Option<&Value>,
    ) -> Result<Written> {
        path_part("connector id", id.as_str())?;
        let operation = Operation { path: op.path(), body, once: false };
        let changed = match self.by_api(&operation, &ConnectorGetParts::ConnectorId(id.as_str()).url()).await
        {
            Some(answer) => answer,
            None => self.change_connector_document(op, id, &operation).await,
        };
        changed.map_err(|error| missing_connector(error, id))
    }

    /// Changes a sync job.
    pub(super) async fn change_job(
        &self,
        op: SyncJobOp,
        id: &SyncJobId,
        body: Option<&Value>,
    ) -> Result<Written> {
        path_part("sync job id", id.as_str())?;
        let once = matches!(op, SyncJobOp::Cancel | SyncJobOp::Error);
        let operation = Operation { path: op.path(), body, once };
        let changed = match self
            .by_api(&operation, &ConnectorSyncJobGetParts::ConnectorSyncJobId(id.as_str()).url())
            .await
        {
            Some(answer) => answer,
            None => {
                let request = SyncJobRequest::parse(op, id.as_str(), &operation.bytes()?).map_err(refused)?;
                let apply = |stored: Value, now| ops::sync_job::apply(&request, stored, now).map_err(refused);
                self.change_document(JOBS, "sync job", id.as_str(), Utc::now(), apply).await
            }
        };
        changed.map_err(|error| missing_job(error, id))
    }

    /// By the Connector APIs; `None` where the cluster has not this one.
    async fn by_api(&self, operation: &Operation<'_>, document: &str) -> Option<Result<Written>> {
        match self.control().await {
            Ok(Control::Api) => {}
            Ok(Control::Documents) => return None,
            Err(error) => return Some(Err(error)),
        }
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.ask_api(operation, document).await {
                Err(error) if lacks_endpoint(&error) => return None,
                Err(error) if error.kind() == ErrorKind::Conflict && attempt < ATTEMPTS => {
                    pause(attempt).await;
                }
                other => return Some(other),
            }
        }
    }

    async fn ask_api(&self, operation: &Operation<'_>, document: &str) -> Result<Written> {
        let mut call = Call::put(format!("{document}{}", operation.tail()));
        if let Some(body) = operation.body {
            call = call.json(body)?;
        }
        if operation.once {
            call = call.not_repeatable();
        }
        Ok(self.send(call).await?.json::<Answer>()?.result)
    }

    async fn change_connector_document(
        &self,
        op: ConnectorOp,
        id: &ConnectorId,
        operation: &Operation<'_>,
    ) -> Result<Written> {
        let now = Utc::now();
        let request = ConnectorRequest::parse(op, id.as_str(), &operation.bytes()?, now).map_err(refused)?;
        if let ConnectorRequest::IndexName(Some(index)) = &request {
            self.check_index_is_free(index, Some(id)).await?;
        }
        let apply =
            |stored: Value, now| ops::connector::apply(id.as_str(), &request, stored, now).map_err(refused);
        self.change_document(CONNECTORS, "connector", id.as_str(), now, apply).await
    }

    /// Reads a document, decides, and writes it if nobody has written it in between; else all again.
    pub(super) async fn change_document(
        &self,
        alias: &str,
        what: &str,
        id: &str,
        now: Time,
        apply: impl Fn(Value, Time) -> Result<Change>,
    ) -> Result<Written> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let found: Option<Versioned<String, Value>> = self.get_doc(alias, what, id).await?;
            let Some(stored) = found else {
                return Err(ClientError::new(ErrorKind::NotFound, format!("{what} [{id}] not found"))
                    .with_status(404));
            };
            let change = apply(stored.doc, now)?;
            if change.outcome == Outcome::Noop {
                return Ok(Written::Noop);
            }
            match self.replace_doc(alias, id, &change.source, stored.version).await {
                Err(error) if error.kind() == ErrorKind::Conflict && attempt < ATTEMPTS => {
                    pause(attempt).await;
                }
                other => return other.map(|()| change.outcome.into()),
            }
        }
    }

    /// Replaces a document whole, if it is still at this version; searches see it at once.
    pub(super) async fn replace_doc(
        &self,
        alias: &str,
        id: &str,
        source: &Value,
        guard: DocVersion,
    ) -> Result<()> {
        let call = Call::put(IndexParts::IndexId(alias, id).url())
            .query("if_seq_no", guard.seq_no.to_string())
            .query("if_primary_term", guard.primary_term.to_string())
            .query("require_alias", "true")
            .query("refresh", "true")
            .json(source)?;
        self.send(call).await.map(|_| ())
    }

    /// Refuses an index that another connector has (connector-api 6.1).
    pub(super) async fn check_index_is_free(&self, index: &str, own: Option<&ConnectorId>) -> Result<()> {
        let others = json!({"bool": {
            "filter": [{"term": {"index_name": index}}],
            "must_not": [
                {"term": {"deleted": true}},
                {"ids": {"values": own.map(ConnectorId::as_str).into_iter().collect::<Vec<_>>()}},
            ],
        }});
        let found = self.find(CONNECTORS, json!({"query": others, "size": 1, "_source": false})).await?;
        if found.is_empty() { Ok(()) } else { Err(refused(ops::connector::index_name_taken(index))) }
    }
}

/// Waits for a random time, so that writers of one document do not meet again.
async fn pause(attempt: u32) {
    let most = FIRST_PAUSE_MS << attempt.min(6);
    let millis = rand::rng().random_range(0..=most);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Whether the cluster has the Connector APIs but is too old for this endpoint.
fn lacks_endpoint(error: &ClientError) -> bool {
    matches!(error.status(), Some(400 | 405))
        && error.es_type().is_none()
        && ["no handler found for uri", "Incorrect HTTP method"]
            .iter()
            .any(|text| error.reason().contains(text))
}

/// A refusal by the protocol's rules, as the cluster would tell it.
#[allow(clippy::needless_pass_by_value, reason = "taken by map_err")]
pub(super) fn refused(error: ProtocolError) -> ClientError {
    ClientError::new(ErrorKind::of_status(error.status()), error.reason())
        .with_status(error.status())
        .with_type(Some(error.es_type().to_owned()))
}

/// Names the connector in an error that says only that something is missing.
pub(super) fn missing_connector(error: ClientError, id: &ConnectorId) -> ClientError {
    name_missing(error, &format!("connector [{id}] not found"))
}

/// As [`missing_connector`], for a job; some endpoints answer with nothing but its id.
pub(super) fn missing_job(error: ClientError, id: &SyncJobId) -> ClientError {
    name_missing(error, &format!("connector sync job [{id}] not found"))
}

fn name_missing(error: ClientError, reason: &str) -> ClientError {
    if error.kind() == ErrorKind::NotFound { error.with_reason(reason) } else { error }
}
