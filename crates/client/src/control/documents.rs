//! Writes to the protocol's documents themselves, in either mode.

use std::time::Duration;

use elasticsearch::{CreateParts, DeleteByQueryParts, DeleteParts, UpdateParts};
use serde::Deserialize;
use serde_json::{Value, json};
use tributary_protocol::{ConnectorId, SyncJobId};

use super::{CONNECTORS, JOBS};
use crate::call::Call;
use crate::data::path_part;
use crate::{Client, DocVersion, ErrorKind, Result};

/// Time for deleting by query, which answers when all is done.
const DELETE_TIMEOUT: Duration = Duration::from_secs(600);

/// Whether a document was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is new, and at this version.
    New(DocVersion),
    /// There was one of this id already; it was left as it was. It may be from this very call, where its first answer
    /// was lost and it was tried again.
    Existed,
}

/// Answer to a write of one document.
#[derive(Deserialize)]
pub(super) struct DocWritten {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
}

impl DocWritten {
    pub(super) fn version(&self) -> DocVersion {
        DocVersion { seq_no: self.seq_no, primary_term: self.primary_term }
    }
}

impl Client {
    /// Merges `change` into a connector's document (objects deeply, arrays whole). With a guard only if nobody wrote
    /// the document since that version.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when somebody did: read the document again and decide anew. It may also have been this
    /// very call, where its first answer was lost and it was tried again; the document then holds `change`.
    /// [`ErrorKind::NotFound`] when there is no such connector.
    pub async fn update_connector(
        &self,
        id: &ConnectorId,
        change: &Value,
        guard: Option<DocVersion>,
    ) -> Result<DocVersion> {
        let id = path_part("connector id", id.as_str())?;
        Ok(self.update_doc(CONNECTORS, id, change, guard, false).await?.version())
    }

    /// Merges `change` into a job's document, as [`Client::update_connector`]; searches see it at once.
    ///
    /// # Errors
    /// As [`Client::update_connector`].
    pub async fn update_job(
        &self,
        id: &SyncJobId,
        change: &Value,
        guard: Option<DocVersion>,
    ) -> Result<DocVersion> {
        let id = path_part("sync job id", id.as_str())?;
        Ok(self.update_doc(JOBS, id, change, guard, change.get("status").is_some()).await?.version())
    }

    /// Creates a job under an id of the caller's choice; an existing document of that id is left alone. With an id
    /// that follows from the connector, the kind and the slot, any number of daemons create a slot's job once.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn create_job_document(&self, id: &SyncJobId, source: &Value) -> Result<Created> {
        path_part("sync job id", id.as_str())?;
        let created = self.create_doc(JOBS, id.as_str(), source).await;
        match created {
            Err(error) if error.is_missing_index() => {
                self.ensure_protocol_indices().await?;
                self.create_doc(JOBS, id.as_str(), source).await
            }
            other => other,
        }
    }

    pub(super) async fn update_doc(
        &self,
        alias: &str,
        id: &str,
        change: &Value,
        guard: Option<DocVersion>,
        refresh: bool,
    ) -> Result<DocWritten> {
        let call = Call::post(UpdateParts::IndexId(alias, id).url()).json(&json!({"doc": change}))?;
        self.send(guarded(call, guard, refresh)).await?.json()
    }

    pub(super) async fn create_doc(&self, alias: &str, id: &str, source: &Value) -> Result<Created> {
        let call = Call::put(CreateParts::IndexId(alias, id).url())
            // Without this a missing alias would be created as an index, without mappings.
            .query("require_alias", "true")
            .query("refresh", "true")
            .json(source)?;
        match self.send(call).await {
            Ok(reply) => Ok(Created::New(reply.json::<DocWritten>()?.version())),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(Created::Existed),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_doc(&self, alias: &str, id: &str) -> Result<()> {
        let call = Call::delete(DeleteParts::IndexId(alias, id).url()).query("refresh", "true");
        self.send(call).await.map(|_| ())
    }

    /// Deletes every document that `query` finds; how many.
    pub(crate) async fn delete_found(&self, alias: &str, query: Value) -> Result<u64> {
        #[derive(Deserialize)]
        struct Deleted {
            #[serde(default)]
            deleted: u64,
        }
        let call = Call::post(DeleteByQueryParts::Index(&[alias]).url())
            .query("refresh", "true")
            .query("conflicts", "proceed")
            .query("ignore_unavailable", "true")
            .timeout(DELETE_TIMEOUT)
            .json(&json!({"query": query}))?;
        Ok(self.send(call).await?.json::<Deleted>()?.deleted)
    }
}

fn guarded(call: Call<'_>, guard: Option<DocVersion>, refresh: bool) -> Call<'_> {
    let call = match guard {
        Some(guard) => call
            .query("if_seq_no", guard.seq_no.to_string())
            .query("if_primary_term", guard.primary_term.to_string()),
        // The cluster merges by reading and writing; somebody may write in between.
        None => call.query("retry_on_conflict", "5"),
    };
    // Without require_alias a missing alias would be created as an index, without mappings.
    call.query("require_alias", "true").query_if(refresh, "refresh", "true")
}
