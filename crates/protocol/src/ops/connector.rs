//! Operations on connectors (connector-api 6 to 11).

use serde_json::{Map, Value, json};

use super::{Change, Outcome, filtering, internal, merged, text};
use crate::request::{ConnectorRequest, CreateConnector, MANAGED_PREFIX};
use crate::{ConnectorStatus, ProtocolError, Time, time};

type Result<T> = std::result::Result<T, ProtocolError>;

/// A new connector's source (connector-api 5.2).
///
/// # Errors
/// The rules of [`CreateConnector::check`].
pub fn create(request: &CreateConnector, now: Time) -> Result<Value> {
    request.check()?;
    let never = json!({"enabled": false, "interval": "0 0 0 * * ?"});
    let is_native = request.is_native == Some(true);
    let status = if is_native { ConnectorStatus::NeedsConfiguration } else { ConnectorStatus::Created };
    let mut source = Map::new();
    source.insert("configuration".into(), json!({}));
    source.insert("custom_scheduling".into(), json!({}));
    let mut given = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            source.insert(name.into(), value.as_str().into());
        }
    };
    given("description", &request.description);
    given("index_name", &request.index_name);
    given("language", &request.language);
    given("service_type", &request.service_type);
    source.insert("filtering".into(), json!([filtering::default(now)?]));
    source.insert("is_native".into(), is_native.into());
    source.insert("name".into(), request.name.clone().unwrap_or_default().into());
    source.insert("scheduling".into(), json!({"access_control": never, "full": never, "incremental": never}));
    source.insert("status".into(), status.as_str().into());
    source.insert("sync_now".into(), false.into());
    source.insert("deleted".into(), false.into());
    Ok(Value::Object(source))
}

/// Whether a source is that of a soft-deleted connector.
#[must_use]
pub fn is_deleted(stored: &Value) -> bool {
    stored.get("deleted") == Some(&Value::Bool(true))
}

/// Marks a connector as deleted.
///
/// # Errors
/// When it is so already (404).
pub fn soft_delete(id: &str, stored: Value) -> Result<Change> {
    if is_deleted(&stored) {
        return Err(ProtocolError::connector_not_found(id));
    }
    merged(stored, json!({"deleted": true}))
}

/// The refusal of an index name that another connector has.
#[must_use]
pub fn index_name_taken(index: &str) -> ProtocolError {
    ProtocolError::status_exception(format!("Index name [{index}] is used by another connector."))
}

/// Applies the request of an endpoint to the stored source of the connector `id`. That no other connector has a new
/// index name is for the caller to check before ([`index_name_taken`]).
///
/// # Errors
/// As connector-api 6 to 11; 404 for a soft-deleted connector where connector-api 2.8 says so.
pub fn apply(id: &str, request: &ConnectorRequest, stored: Value, now: Time) -> Result<Change> {
    if is_deleted(&stored) && notices_deletion(request) {
        return Err(ProtocolError::connector_not_found(id));
    }
    match request {
        ConnectorRequest::CheckIn => merged(stored, json!({"last_seen": time::format(now)})),
        ConnectorRequest::ApiKeyId { api_key_id, api_key_secret_id } => {
            given_texts(stored, [("api_key_id", api_key_id), ("api_key_secret_id", api_key_secret_id)])
        }
        ConnectorRequest::Name { name, description } => {
            given_texts(stored, [("name", name), ("description", description)])
        }
        ConnectorRequest::Configuration(fields) => replace_configuration(stored, fields),
        ConnectorRequest::ConfigurationValues(values) => set_values(stored, values),
        ConnectorRequest::Error(error) => {
            let failed = error.as_deref().is_some_and(|error| !error.is_empty());
            let status = if failed { ConnectorStatus::Error } else { ConnectorStatus::Connected };
            merged(stored, json!({"error": error, "status": status.as_str()}))
        }
        ConnectorRequest::Features(features) => merged(stored, json!({"features": features})),
        ConnectorRequest::Filtering(list) => merged(stored, json!({"filtering": list})),
        ConnectorRequest::FilteringDraft { rules, advanced_snippet } => {
            filtering::edit_draft(stored, rules.as_deref(), advanced_snippet.as_ref(), now)
        }
        ConnectorRequest::FilteringValidation(validation) => {
            filtering::validate_draft(stored, validation, now)
        }
        ConnectorRequest::ActivateFiltering => filtering::activate(stored, now),
        ConnectorRequest::IndexName(name) => set_index_name(stored, name.as_deref()),
        ConnectorRequest::LastSync(given) => merged(stored, Value::Object(given.clone())),
        ConnectorRequest::Native(is_native) => set_native(id, stored, *is_native),
        ConnectorRequest::Pipeline(pipeline) => merged(stored, json!({"pipeline": pipeline})),
        ConnectorRequest::Scheduling(schedules) => merged(stored, json!({"scheduling": schedules})),
        ConnectorRequest::ServiceType(service_type) => set_service_type(stored, service_type),
        ConnectorRequest::Status(next) => set_status(stored, *next),
    }
}

/// Who notices that a connector is soft-deleted (connector-api 2.8).
fn notices_deletion(request: &ConnectorRequest) -> bool {
    matches!(
        request,
        ConnectorRequest::Configuration(_)
            | ConnectorRequest::ConfigurationValues(_)
            | ConnectorRequest::FilteringDraft { .. }
            | ConnectorRequest::FilteringValidation(_)
            | ConnectorRequest::ActivateFiltering
            | ConnectorRequest::IndexName(_)
            | ConnectorRequest::Native(_)
            | ConnectorRequest::ServiceType(_)
            | ConnectorRequest::Status(_)
    )
}

/// The error for a connector that is not there where the API looks it up itself; `None` where the store's own error for
/// updates of missing documents is shown (connector-api 2.7).
#[must_use]
pub fn missing(id: &str, request: &ConnectorRequest) -> Option<ProtocolError> {
    notices_deletion(request).then(|| ProtocolError::connector_not_found(id))
}

/// Null leaves what is stored.
fn given_texts<const N: usize>(stored: Value, texts: [(&str, &Option<String>); N]) -> Result<Change> {
    let given =
        texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::from(text.as_deref()?))));
    merged(stored, Value::Object(given.collect()))
}

/// The only operation that removes something, and that never answers `noop`.
fn replace_configuration(stored: Value, fields: &Map<String, Value>) -> Result<Change> {
    let Value::Object(mut source) = stored else {
        return Err(internal("the stored document is not a JSON object"));
    };
    source.insert("configuration".into(), Value::Object(fields.clone()));
    source.insert("status".into(), ConnectorStatus::Configured.as_str().into());
    Ok(Change { source: Value::Object(source), outcome: Outcome::Updated })
}

fn set_values(stored: Value, values: &Map<String, Value>) -> Result<Change> {
    let known = stored.get("configuration").and_then(Value::as_object);
    let is_known = |name: &str| known.is_some_and(|fields| fields.contains_key(name));
    let unknown: Vec<&str> = values.keys().map(String::as_str).filter(|name| !is_known(name)).collect();
    if !unknown.is_empty() {
        return Err(ProtocolError::status_exception(format!(
            "Unknown [configuration] fields in the request payload: [{}]. Remove them from request or register their schema \
             first.",
            unknown.join(", ")
        )));
    }
    if values.values().any(Value::is_null) {
        return Err(ProtocolError::null_pointer());
    }
    let fields: Map<String, Value> =
        values.iter().map(|(name, value)| (name.clone(), json!({"value": value}))).collect();
    merged(stored, json!({"configuration": fields, "status": ConnectorStatus::Configured.as_str()}))
}

fn is_managed(index: &str) -> bool {
    index.starts_with(MANAGED_PREFIX)
}

fn set_index_name(stored: Value, name: Option<&str>) -> Result<Change> {
    let is_native = stored.get("is_native") == Some(&Value::Bool(true));
    if let Some(name) = name.filter(|name| is_native && !is_managed(name)) {
        return Err(ProtocolError::status_exception(format!(
            "Index attached to an Elastic-managed connector must start with the prefix: [{MANAGED_PREFIX}]. The index name in \
             the payload [{name}] doesn't comply with this requirement."
        )));
    }
    merged(stored, json!({"index_name": name}))
}

fn set_native(id: &str, stored: Value, is_native: bool) -> Result<Change> {
    if let Some(index) = text(&stored, "index_name").filter(|index| is_native && !is_managed(index)) {
        return Err(ProtocolError::status_exception(format!(
            "The index name [{index}] attached to the connector [{id}] must start with the required prefix: \
             [{MANAGED_PREFIX}] to be Elastic-managed. Please update the attached index first to comply with this requirement."
        )));
    }
    let mut change = json!({"is_native": is_native});
    if text(&stored, "status") == Some(ConnectorStatus::Connected.as_str()) {
        change["status"] = ConnectorStatus::Configured.as_str().into();
    }
    merged(stored, change)
}

fn set_service_type(stored: Value, service_type: &str) -> Result<Change> {
    let is_new = text(&stored, "status") == Some(ConnectorStatus::Created.as_str());
    let status = if is_new { ConnectorStatus::Created } else { ConnectorStatus::NeedsConfiguration };
    merged(stored, json!({"service_type": service_type, "status": status.as_str()}))
}

fn set_status(stored: Value, next: ConnectorStatus) -> Result<Change> {
    // A status that nobody knows may be left for any other.
    let current = text(&stored, "status").and_then(|status| status.parse::<ConnectorStatus>().ok());
    if let Some(current) = current.filter(|current| !current.may_become(next)) {
        let reason = format!(
            "Invalid transition attempt from [{current}] to [{next}]. Such a status transition is not supported by the \
             Connector Protocol."
        );
        let error = ProtocolError::status_exception(reason.clone());
        return Err(error.because("connector_invalid_status_transition_exception", reason));
    }
    merged(stored, json!({"status": next.as_str()}))
}
