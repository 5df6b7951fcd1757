//! Operations on connectors.

use chrono::Utc;
use elasticsearch::connector::{ConnectorDeleteParts, ConnectorPostParts};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tributary_protocol::config::ConfigSchema;
use tributary_protocol::filtering::FilteringValidation;
use tributary_protocol::ops::{self, ConnectorOp};
use tributary_protocol::request::CreateConnector;
use tributary_protocol::{ConnectorId, ConnectorStatus, Pipeline};

use super::rules::{missing_connector, refused};
use super::{CONNECTORS, Control, Created, JOBS, Versioned, Written};
use crate::call::Call;
use crate::data::path_part;
use crate::{Client, ClientError, ErrorKind, Result};

/// A connector to be created (connector-api 6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewConnector {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The content index; none: to be attached later.
    pub index_name: Option<String>,
    /// The kind of source.
    pub service_type: Option<String>,
    /// Language of the content.
    pub language: Option<String>,
    /// Whether Elastic runs it.
    pub is_native: bool,
}

impl NewConnector {
    fn request(&self) -> CreateConnector {
        CreateConnector {
            description: self.description.clone(),
            index_name: self.index_name.clone(),
            is_native: Some(self.is_native),
            language: self.language.clone(),
            name: self.name.clone(),
            service_type: self.service_type.clone(),
        }
    }

    /// The body of the endpoint: what is absent must not be null there.
    fn body(&self) -> Value {
        let texts = [
            ("name", &self.name),
            ("description", &self.description),
            ("index_name", &self.index_name),
            ("service_type", &self.service_type),
            ("language", &self.language),
        ];
        let given =
            texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text.as_deref()?))));
        let mut body: Map<String, Value> = given.collect();
        body.insert("is_native".into(), self.is_native.into());
        Value::Object(body)
    }
}

#[derive(Deserialize)]
struct Id {
    id: ConnectorId,
}

impl Client {
    /// Creates a connector, under an id of the caller's choice or of the cluster's. A connector that is marked as
    /// deleted is replaced, any other is never overwritten.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] when there is a connector of this id; [`ErrorKind::Rejected`] when another connector has
    /// the index, or a name breaks a rule.
    pub async fn create_connector(
        &self,
        id: Option<&ConnectorId>,
        new: &NewConnector,
    ) -> Result<ConnectorId> {
        match (id, self.control().await?) {
            (None, Control::Api) => {
                let call = Call::post(ConnectorPostParts::None.url()).not_repeatable().json(&new.body())?;
                Ok(self.send(call).await?.json::<Id>()?.id)
            }
            (None, Control::Documents) => {
                let id = ConnectorId::from(super::jobs::new_id());
                self.create_connector_document(&id, new).await.map(|()| id)
            }
            // By the API an existing connector would be overwritten: it has no condition.
            (Some(id), _) => self.create_connector_document(id, new).await.map(|()| id.clone()),
        }
    }

    async fn create_connector_document(&self, id: &ConnectorId, new: &NewConnector) -> Result<()> {
        path_part("connector id", id.as_str())?;
        let source = ops::connector::create(&new.request(), Utc::now()).map_err(refused)?;
        if let Some(index) = &new.index_name {
            self.check_index_is_free(index, Some(id)).await?;
        }
        let mut created = self.create_doc(CONNECTORS, id.as_str(), &source).await;
        if created.as_ref().is_err_and(ClientError::is_missing_index) {
            self.ensure_protocol_indices().await?;
            created = self.create_doc(CONNECTORS, id.as_str(), &source).await;
        }
        match created? {
            Created::New(_) => Ok(()),
            Created::Existed => self.replace_deleted(id, &source).await,
        }
    }

    /// Replaces a connector that is marked as deleted.
    async fn replace_deleted(&self, id: &ConnectorId, source: &Value) -> Result<()> {
        let found: Option<Versioned<String, Value>> =
            self.get_doc(CONNECTORS, "connector", id.as_str()).await?;
        match found {
            Some(old) if ops::connector::is_deleted(&old.doc) => {
                self.replace_doc(CONNECTORS, id.as_str(), source, old.version).await
            }
            // The answer to an attempt that had worked was lost.
            Some(old) if old.doc == *source => Ok(()),
            _ => {
                let reason = format!("connector [{id}] exists already; delete it or choose another id");
                Err(ClientError::new(ErrorKind::Conflict, reason).with_status(409))
            }
        }
    }

    /// Deletes a connector: marks it, or with `hard` removes it. With `sync_jobs` its jobs are removed too.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, or when it is marked already and `hard` was not asked for.
    pub async fn delete_connector(&self, id: &ConnectorId, hard: bool, sync_jobs: bool) -> Result<()> {
        path_part("connector id", id.as_str())?;
        let deleted = match self.control().await? {
            Control::Api => {
                // Clusters before 8.17 know neither the parameter nor soft deletion.
                let call = Call::delete(ConnectorDeleteParts::ConnectorId(id.as_str()).url())
                    .query_if(hard, "hard", "true")
                    .query_if(sync_jobs, "delete_sync_jobs", "true");
                self.send(call).await.map(|_| ())
            }
            Control::Documents => self.delete_connector_document(id, hard, sync_jobs).await,
        };
        deleted.map_err(|error| missing_connector(error, id))
    }

    async fn delete_connector_document(&self, id: &ConnectorId, hard: bool, sync_jobs: bool) -> Result<()> {
        if hard {
            self.delete_doc(CONNECTORS, id.as_str()).await?;
        } else {
            let apply = |stored: Value, _| ops::connector::soft_delete(id.as_str(), stored).map_err(refused);
            self.change_document(CONNECTORS, "connector", id.as_str(), Utc::now(), apply).await?;
        }
        if sync_jobs {
            self.delete_found(JOBS, json!({"term": {"connector.id": id.as_str()}})).await?;
        }
        Ok(())
    }

    /// Says that the connector's service is alive.
    ///
    /// # Errors
    /// As the cluster answers; [`ErrorKind::NotFound`] names the connector.
    pub async fn check_in(&self, id: &ConnectorId) -> Result<Written> {
        self.change(ConnectorOp::CheckIn, id, None).await
    }

    /// Replaces all field definitions and their values; the connector becomes `configured`.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_configuration(
        &self,
        id: &ConnectorId,
        configuration: &ConfigSchema,
    ) -> Result<Written> {
        self.change_with(ConnectorOp::Configuration, id, "configuration", configuration).await
    }

    /// Sets values of fields that are defined already; the connector becomes `configured`.
    ///
    /// # Errors
    /// As [`Client::check_in`]; [`ErrorKind::Rejected`] for a field that is not defined.
    pub async fn update_configuration_values(
        &self,
        id: &ConnectorId,
        values: &Map<String, Value>,
    ) -> Result<Written> {
        self.change_with(ConnectorOp::Configuration, id, "values", values).await
    }

    /// Sets the given schedules (`full`, `incremental`, `access_control`), leaves the others. `full` or `incremental`
    /// must be among them.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_scheduling(&self, id: &ConnectorId, scheduling: &Value) -> Result<Written> {
        self.change_with(ConnectorOp::Scheduling, id, "scheduling", scheduling).await
    }

    /// Sets the ingest pipeline.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_pipeline(&self, id: &ConnectorId, pipeline: &Pipeline) -> Result<Written> {
        self.change_with(ConnectorOp::Pipeline, id, "pipeline", pipeline).await
    }

    /// Sets the given features, leaves the others.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_features(&self, id: &ConnectorId, features: &Value) -> Result<Written> {
        self.change_with(ConnectorOp::Features, id, "features", features).await
    }

    /// Sets the status, where the present one allows it (connector-api 11.1).
    ///
    /// # Errors
    /// As [`Client::check_in`]; [`ErrorKind::Rejected`] for an illegal transition.
    pub async fn update_status(&self, id: &ConnectorId, status: ConnectorStatus) -> Result<Written> {
        self.change_with(ConnectorOp::Status, id, "status", status.as_str()).await
    }

    /// Sets the error and the status `error`; none clears it and sets `connected`.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_error(&self, id: &ConnectorId, error: Option<&str>) -> Result<Written> {
        self.change_with(ConnectorOp::Error, id, "error", &error).await
    }

    /// Sets the given fields of the last sync (connector-api 6.13); null leaves what is stored.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_last_sync(&self, id: &ConnectorId, fields: &Value) -> Result<Written> {
        self.change(ConnectorOp::LastSync, id, Some(fields)).await
    }

    /// Edits the draft with `{"rules", "advanced_snippet"}`, or replaces everything with `{"filtering"}`
    /// (connector-api 8.3).
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_filtering(&self, id: &ConnectorId, body: &Value) -> Result<Written> {
        self.change(ConnectorOp::Filtering, id, Some(body)).await
    }

    /// Stores the outcome of the draft's validation.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_filtering_validation(
        &self,
        id: &ConnectorId,
        validation: &FilteringValidation,
    ) -> Result<Written> {
        self.change_with(ConnectorOp::FilteringValidation, id, "validation", validation).await
    }

    /// Makes the draft active; it must be valid.
    ///
    /// # Errors
    /// As [`Client::check_in`]; [`ErrorKind::Rejected`] when the draft is not valid.
    pub async fn activate_filtering(&self, id: &ConnectorId) -> Result<Written> {
        self.change(ConnectorOp::ActivateFiltering, id, None).await
    }

    /// Sets name and description; none leaves what is stored.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_name(
        &self,
        id: &ConnectorId,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<Written> {
        self.change(ConnectorOp::Name, id, Some(&json!({"name": name, "description": description}))).await
    }

    /// Attaches the connector to another index; none detaches it.
    ///
    /// # Errors
    /// As [`Client::check_in`]; [`ErrorKind::Rejected`] when another connector has the index.
    pub async fn update_index_name(&self, id: &ConnectorId, index_name: Option<&str>) -> Result<Written> {
        self.change_with(ConnectorOp::IndexName, id, "index_name", &index_name).await
    }

    /// Sets the kind of source; the connector needs configuration then, unless it is new.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_service_type(&self, id: &ConnectorId, service_type: &str) -> Result<Written> {
        self.change_with(ConnectorOp::ServiceType, id, "service_type", service_type).await
    }

    /// Sets whether Elastic runs the connector.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_native(&self, id: &ConnectorId, is_native: bool) -> Result<Written> {
        self.change_with(ConnectorOp::Native, id, "is_native", &is_native).await
    }

    /// Sets the ids of the connector's API key and of the secret that holds it; none leaves what is stored.
    ///
    /// # Errors
    /// As [`Client::check_in`].
    pub async fn update_api_key_id(
        &self,
        id: &ConnectorId,
        api_key_id: Option<&str>,
        api_key_secret_id: Option<&str>,
    ) -> Result<Written> {
        let body = json!({"api_key_id": api_key_id, "api_key_secret_id": api_key_secret_id});
        self.change(ConnectorOp::ApiKeyId, id, Some(&body)).await
    }

    /// Changes a connector with a body of one key.
    async fn change_with<T: Serialize + ?Sized>(
        &self,
        op: ConnectorOp,
        id: &ConnectorId,
        key: &str,
        value: &T,
    ) -> Result<Written> {
        let value = serde_json::to_value(value)
            .map_err(|error| ClientError::config(format!("{key} cannot be written as JSON: {error}")))?;
        let body = Value::Object(Map::from_iter([(key.to_owned(), value)]));
        self.change(op, id, Some(&body)).await
    }
}
