use elasticsearch::indices::{
    IndicesCreateParts, IndicesDeleteParts, IndicesExistsParts, IndicesRefreshParts,
};
use elasticsearch::ingest::IngestGetPipelineParts;
use elasticsearch::license::LicenseGetParts;
use elasticsearch::{CountParts, MgetParts, SearchParts};
use serde::Deserialize;
use serde_json::{Value, json};
use tributary_protocol::IndexName;

use super::hit::{Hit, RawHit};
use super::license::License;
use crate::call::Call;
use crate::{Client, ClientError, ErrorKind, Result};

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

#[derive(Deserialize)]
struct Docs {
    docs: Vec<RawHit>,
}

impl Client {
    /// Whether an index or alias of this name exists.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn index_exists(&self, name: &IndexName) -> Result<bool> {
        self.exists(name.as_str()).await
    }

    pub(crate) async fn exists(&self, name: &str) -> Result<bool> {
        match self.send(Call::head(IndicesExistsParts::Index(&[name]).url())).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates the index unless it exists; whether it was created. `body` holds `mappings`, `settings` and `aliases`;
    /// without one the cluster's templates decide.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn ensure_index(&self, name: &IndexName, body: Option<&Value>) -> Result<bool> {
        self.ensure(name.as_str(), body).await
    }

    pub(crate) async fn ensure(&self, name: &str, body: Option<&Value>) -> Result<bool> {
        if self.exists(name).await? {
            return Ok(false);
        }
        let mut call = Call::put(IndicesCreateParts::Index(name).url());
        if let Some(body) = body {
            call = call.json(body)?;
        }
        match self.send(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.es_type() == Some("resource_already_exists_exception") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes the index; whether there was one.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn delete_index(&self, name: &IndexName) -> Result<bool> {
        match self.send(Call::delete(IndicesDeleteParts::Index(&[name.as_str()]).url())).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes acknowledged writes visible to searches. An index that does not exist is no error.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn refresh(&self, index: &IndexName) -> Result<()> {
        let call = Call::post(IndicesRefreshParts::Index(&[index.as_str()]).url())
            .query("ignore_unavailable", "true");
        self.send(call).await.map(|_| ())
    }

    /// Number of documents in the index that searches see; 0 when it does not exist.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn count(&self, index: &IndexName) -> Result<u64> {
        let call = Call::get(CountParts::Index(&[index.as_str()]).url()).query("ignore_unavailable", "true");
        Ok(self.send(call).await?.json::<Counted>()?.count)
    }

    /// The ingest pipeline of this name, if there is one.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn pipeline(&self, name: &str) -> Result<Option<Value>> {
        match self.send(Call::get(IngestGetPipelineParts::Id(path_part("pipeline", name)?).url())).await {
            Ok(reply) => Ok(reply.json::<serde_json::Map<String, Value>>()?.remove(name)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The cluster's licence. One that has no licences at all (serverless, or the endpoint missing) gives
    /// [`License::unlimited`].
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn license(&self) -> Result<License> {
        #[derive(Deserialize)]
        struct Answer {
            license: License,
        }
        match self.send(Call::get(LicenseGetParts::None.url())).await {
            Ok(reply) => Ok(reply.json::<Answer>()?.license),
            Err(error) if matches!(error.status(), Some(400 | 404 | 405 | 410)) => Ok(License::unlimited()),
            Err(error) => Err(error),
        }
    }

    /// The documents of these ids, in their order, with realtime semantics (a write that was acknowledged is seen).
    /// `None`: there is no such document, or no such index. `source_includes` names the fields wanted; none: no source.
    ///
    /// # Errors
    /// As the cluster answers; also when a single document could not be read.
    pub async fn mget(
        &self,
        index: &IndexName,
        ids: &[&str],
        source_includes: &[&str],
    ) -> Result<Vec<Option<Hit>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = Call::post(MgetParts::Index(index.as_str()).url()).json(&json!({"ids": ids}))?;
        call = match source_includes {
            [] => call.query("_source", "false"),
            fields => call.query("_source_includes", fields.join(",")),
        };
        let docs = self.send(call).await?.json::<Docs>()?.docs;
        if docs.len() != ids.len() {
            return Err(ClientError::bad_answer(format!(
                "{} ids were asked for, {} came",
                ids.len(),
                docs.len()
            )));
        }
        docs.into_iter().map(found).collect()
    }

    /// Deletes every document of the index that `query` finds, as far as nobody writes it meanwhile; how many. An index that
    /// does not exist is no error.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn delete_by_query(&self, index: &IndexName, query: Value) -> Result<u64> {
        self.delete_found(index.as_str(), query).await
    }

    /// Any search. The index may be a list and hold wildcards; empty: all indices.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn search(&self, index: &str, body: &Value) -> Result<Value> {
        let path =
            if index.is_empty() { SearchParts::None.url() } else { SearchParts::Index(&[index]).url() };
        self.send(Call::post(path).json(body)?).await?.json()
    }
}

fn found(doc: RawHit) -> Result<Option<Hit>> {
    match &doc.error {
        Some(error) if error.es_type == "index_not_found_exception" => Ok(None),
        Some(error) => {
            let reason = format!("document [{}] could not be read: {}", doc.id, error.reason);
            Err(ClientError::new(ErrorKind::Unavailable, reason).with_type(Some(error.es_type.clone())))
        }
        None => Ok(doc.found.unwrap_or(false).then(|| doc.into())),
    }
}

/// `part` where it can stand alone in a path. An empty one would reach another endpoint, and `.` and `..` are taken
/// for folders even when they are escaped.
pub(crate) fn path_part<'a>(what: &str, part: &'a str) -> Result<&'a str> {
    match part {
        "" => Err(ClientError::config(format!("the {what} is empty"))),
        "." | ".." => Err(ClientError::config(format!("the {what} '{part}' cannot be part of an address"))),
        _ => Ok(part),
    }
}
