//! Bodies of the connector endpoints (connector-api 6 to 10).

use serde_json::{Map, Value};

use super::fault::Parsed;
use super::json::Located;
use super::object::{Shape, Takes, optional, required};
use super::{bad_index_name, configuration, filtering, no_broken_rule, not_understood, settings};
use crate::ops::ConnectorOp;
use crate::{ConnectorStatus, ProtocolError, SyncStatus, Time};

/// Prefix that the index of a connector managed by Elastic must have.
pub(crate) const MANAGED_PREFIX: &str = "content-";

/// Body of `POST /_connector` and `PUT /_connector[/cid]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateConnector {
    /// What the connector is for.
    pub description: Option<String>,
    /// The content index; none: not attached yet.
    pub index_name: Option<String>,
    /// Whether Elastic runs it.
    pub is_native: Option<bool>,
    /// Language of the content.
    pub language: Option<String>,
    /// Its name; none: the empty text.
    pub name: Option<String>,
    /// The kind of source.
    pub service_type: Option<String>,
}

/// Body of one of the endpoints that change a connector, checked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConnectorRequest {
    /// `_api_key_id`: at least one is given.
    ApiKeyId {
        /// Id of the API key.
        api_key_id: Option<String>,
        /// Id of the secret that holds the key.
        api_key_secret_id: Option<String>,
    },
    /// `_check_in`.
    CheckIn,
    /// `_configuration` with `configuration`: all field definitions, as stored.
    Configuration(Map<String, Value>),
    /// `_configuration` with `values`.
    ConfigurationValues(Map<String, Value>),
    /// `_error`.
    Error(Option<String>),
    /// `_features`: those given, as stored.
    Features(Value),
    /// `_filtering` with `filtering`: the whole array, as stored.
    Filtering(Value),
    /// `_filtering` with `rules` or `advanced_snippet` or both: an edit of the draft.
    FilteringDraft {
        /// New rules, as sent.
        rules: Option<Vec<Value>>,
        /// A new snippet, as stored.
        advanced_snippet: Option<Value>,
    },
    /// `_filtering/_validation`: the outcome, as stored.
    FilteringValidation(Value),
    /// `_filtering/_activate`.
    ActivateFiltering,
    /// `_index_name`; none detaches the index.
    IndexName(Option<String>),
    /// `_last_sync`: what is not null, as stored.
    LastSync(Map<String, Value>),
    /// `_name`: at least one is given.
    Name {
        /// Its name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
    },
    /// `_native`.
    Native(bool),
    /// `_pipeline`, as stored.
    Pipeline(Value),
    /// `_scheduling`: the schedules given, as stored.
    Scheduling(Map<String, Value>),
    /// `_service_type`.
    ServiceType(String),
    /// `_status`.
    Status(ConnectorStatus),
}

const CREATE: Shape = Shape {
    parser: "connector_put_request",
    strict: true,
    keys: &[
        optional("description", Takes::Text),
        optional("index_name", Takes::TextOrNull),
        optional("is_native", Takes::Flag),
        optional("language", Takes::Text),
        optional("name", Takes::Text),
        optional("service_type", Takes::Text),
    ],
};

impl CreateConnector {
    /// Reads a body; an empty one asks for the defaults.
    ///
    /// # Errors
    /// As connector-api 2.3 and 6.1.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut request = Self::default();
        if !body.is_empty() {
            request.read(body)?;
        }
        request.check()?;
        Ok(request)
    }

    fn read(&mut self, body: &[u8]) -> Parsed<()> {
        CREATE.read(&Located::parse(body)?, |key, value| {
            match key {
                "is_native" => self.is_native = Some(value.flag()?),
                "description" => self.description = Some(value.string()?),
                "language" => self.language = Some(value.string()?),
                "name" => self.name = Some(value.string()?),
                "service_type" => self.service_type = Some(value.string()?),
                _ => self.index_name = value.text().map(str::to_owned),
            }
            Ok(())
        })
    }

    /// The rules of connector-api 6.1, for a request that was not read from a body.
    ///
    /// # Errors
    /// All rules that are broken, in one error.
    pub fn check(&self) -> Result<(), ProtocolError> {
        let Some(index) = &self.index_name else { return Ok(()) };
        let mut broken = Vec::from_iter(bad_index_name(index));
        if self.is_native == Some(true) && !index.starts_with(MANAGED_PREFIX) {
            broken.push(format!(
                "Index [{index}] is invalid. Index attached to an Elastic-managed connector must start with the prefix: \
                 [{MANAGED_PREFIX}]"
            ));
        }
        no_broken_rule(broken)
    }
}

/// One endpoint's body: its parser and its only key.
const fn single(parser: &'static str, keys: &'static [super::object::Key]) -> Shape {
    Shape { parser, strict: true, keys }
}

const API_KEY: Shape = single(
    "connector_update_api_key_id_request",
    &[optional("api_key_id", Takes::TextOrNull), optional("api_key_secret_id", Takes::TextOrNull)],
);
const CONFIGURATION: Shape = single(
    "connector_update_configuration_request",
    &[optional("configuration", Takes::Object), optional("values", Takes::Object)],
);
const ERROR: Shape = single("connector_update_error_request", &[required("error", Takes::TextOrNull)]);
const FEATURES: Shape = single("connector_update_features_request", &[optional("features", Takes::Object)]);
const FILTERING: Shape = single(
    "connector_update_filtering_request",
    &[
        optional("filtering", Takes::Objects),
        optional("rules", Takes::Objects),
        optional("advanced_snippet", Takes::Object),
    ],
);
const VALIDATION: Shape =
    single("connector_update_filtering_validation", &[required("validation", Takes::Object)]);
const INDEX_NAME: Shape =
    single("connector_update_index_name_request", &[required("index_name", Takes::TextOrNull)]);
const LAST_SYNC: Shape = single(
    "connector_update_last_sync_stats_request",
    &[
        optional("last_access_control_sync_error", Takes::TextOrNull),
        optional("last_access_control_sync_scheduled_at", Takes::TextOrNull),
        optional("last_access_control_sync_status", Takes::TextOrNull),
        optional("last_deleted_document_count", Takes::Number),
        optional("last_incremental_sync_scheduled_at", Takes::TextOrNull),
        optional("last_indexed_document_count", Takes::Number),
        optional("last_sync_error", Takes::TextOrNull),
        optional("last_sync_scheduled_at", Takes::TextOrNull),
        optional("last_sync_status", Takes::TextOrNull),
        optional("last_synced", Takes::TextOrNull),
        optional("sync_cursor", Takes::ObjectOrNull),
    ],
);
const NAME: Shape = single(
    "connector_update_name_request",
    &[optional("name", Takes::TextOrNull), optional("description", Takes::TextOrNull)],
);
const NATIVE: Shape = single("connector_update_native_request", &[required("is_native", Takes::Flag)]);
const PIPELINE: Shape = single("connector_update_pipeline_request", &[required("pipeline", Takes::Object)]);
const SCHEDULING: Shape =
    single("connector_update_scheduling_request", &[required("scheduling", Takes::Object)]);
const SERVICE_TYPE: Shape =
    single("connector_update_service_type_request", &[required("service_type", Takes::Text)]);
const STATUS: Shape = single("connector_update_status_request", &[optional("status", Takes::Text)]);

impl ConnectorRequest {
    /// Reads the body of an endpoint. `id` is the connector's, as the path has it; `now` is the time of what has none.
    ///
    /// # Errors
    /// As connector-api 2.3 to 2.5; all broken rules in one error.
    pub fn parse(op: ConnectorOp, id: &str, body: &[u8], now: Time) -> Result<Self, ProtocolError> {
        let mut broken = Vec::new();
        if id.is_empty() {
            broken.push("[connector_id] cannot be [null] or [\"\"].".to_owned());
        }
        let request = match op {
            ConnectorOp::CheckIn => Some(Self::CheckIn),
            ConnectorOp::ActivateFiltering => Some(Self::ActivateFiltering),
            op => Located::parse(body).and_then(|body| read(op, &body, now, &mut broken))?,
        };
        no_broken_rule(broken)?;
        request.ok_or_else(|| match op {
            // The only key that may be missing and must not (connector-api 10.1).
            ConnectorOp::Features => ProtocolError::null_pointer(),
            // A body without a request has a broken rule.
            _ => not_understood(),
        })
    }
}

/// The request of a body; none where a rule is broken, which is then noted.
fn read(
    op: ConnectorOp,
    body: &Located,
    now: Time,
    broken: &mut Vec<String>,
) -> Parsed<Option<ConnectorRequest>> {
    Ok(Some(match op {
        ConnectorOp::CheckIn => ConnectorRequest::CheckIn,
        ConnectorOp::ActivateFiltering => ConnectorRequest::ActivateFiltering,
        ConnectorOp::ApiKeyId => {
            let [api_key_id, api_key_secret_id] =
                two_texts(&API_KEY, body, "api_key_id", "api_key_secret_id", broken)?;
            ConnectorRequest::ApiKeyId { api_key_id, api_key_secret_id }
        }
        ConnectorOp::Name => {
            let [name, description] = two_texts(&NAME, body, "name", "description", broken)?;
            ConnectorRequest::Name { name, description }
        }
        ConnectorOp::Configuration => return configuration(body, broken),
        ConnectorOp::Filtering => return filtering(body, now, broken),
        ConnectorOp::Status => return status(body, broken),
        ConnectorOp::LastSync => ConnectorRequest::LastSync(last_sync(body)?),
        ConnectorOp::Error => {
            ConnectorRequest::Error(only(&ERROR, body, |value| Ok(value.text().map(str::to_owned)))?)
        }
        ConnectorOp::Features => {
            let features = only(&FEATURES, body, |value| settings::features(value).map(Some))?;
            return Ok(features.map(ConnectorRequest::Features));
        }
        ConnectorOp::FilteringValidation => {
            ConnectorRequest::FilteringValidation(only(&VALIDATION, body, filtering::validation)?)
        }
        ConnectorOp::IndexName => {
            let name: Option<String> = only(&INDEX_NAME, body, |value| Ok(value.text().map(str::to_owned)))?;
            broken.extend(name.as_deref().and_then(bad_index_name));
            ConnectorRequest::IndexName(name)
        }
        ConnectorOp::Native => ConnectorRequest::Native(only(&NATIVE, body, Located::flag)?),
        ConnectorOp::Pipeline => ConnectorRequest::Pipeline(only(&PIPELINE, body, settings::pipeline)?),
        ConnectorOp::Scheduling => {
            let schedules = only(&SCHEDULING, body, settings::scheduling)?;
            // Elasticsearch does not look at `access_control` here (connector-api 9.1).
            if !schedules.contains_key("full") && !schedules.contains_key("incremental") {
                broken.push(
                    "[scheduling] object needs to define at least one schedule type: [full | incremental | access_control]"
                        .to_owned(),
                );
            }
            ConnectorRequest::Scheduling(schedules)
        }
        ConnectorOp::ServiceType => {
            let service_type = only(&SERVICE_TYPE, body, Located::string)?;
            if service_type.is_empty() {
                broken.push("[service_type] cannot be [null] or [\"\"].".to_owned());
            }
            ConnectorRequest::ServiceType(service_type)
        }
    }))
}

/// The value of a body's only key.
fn only<T: Default>(shape: &Shape, body: &Located, parse: impl Fn(&Located) -> Parsed<T>) -> Parsed<T> {
    let mut read = T::default();
    shape.read(body, |_, value| {
        read = parse(value)?;
        Ok(())
    })?;
    Ok(read)
}

/// Two texts of which at least one must be given.
fn two_texts(
    shape: &Shape,
    body: &Located,
    first: &'static str,
    second: &'static str,
    broken: &mut Vec<String>,
) -> Parsed<[Option<String>; 2]> {
    let mut texts = [None, None];
    shape.read(body, |key, value| {
        texts[usize::from(key == second)] = value.text().map(str::to_owned);
        Ok(())
    })?;
    if texts.iter().all(Option::is_none) {
        broken.push(format!(
            "[{first}] and [{second}] cannot both be [null]. Please provide a value for at least one of them."
        ));
    }
    Ok(texts)
}

fn configuration(body: &Located, broken: &mut Vec<String>) -> Parsed<Option<ConnectorRequest>> {
    let (mut whole, mut values) = (None, None);
    CONFIGURATION.read(body, |key, value| {
        match key {
            "configuration" => whole = Some(configuration::fields(value)?),
            _ => values = Some(value.map()),
        }
        Ok(())
    })?;
    let message = match (whole, values) {
        (Some(whole), None) => return Ok(Some(ConnectorRequest::Configuration(whole))),
        (None, Some(values)) => return Ok(Some(ConnectorRequest::ConfigurationValues(values))),
        (None, None) => "[configuration] and [values] cannot both be null.".to_owned(),
        (Some(_), Some(_)) => {
            "[configuration] and [values] cannot both be provided in the same request.".to_owned()
        }
    };
    broken.push(message);
    Ok(None)
}

fn filtering(body: &Located, now: Time, broken: &mut Vec<String>) -> Parsed<Option<ConnectorRequest>> {
    let (mut whole, mut rules, mut advanced_snippet) = (None, None, None);
    FILTERING.read(body, |key, value| {
        match key {
            "filtering" => whole = Some(filtering::list(value, now)?),
            "rules" => rules = Some(filtering::rules(value, now)?),
            _ => advanced_snippet = Some(filtering::snippet(value, now)?),
        }
        Ok(())
    })?;
    let message = match (whole, rules.is_some() || advanced_snippet.is_some()) {
        (Some(whole), false) => return Ok(Some(ConnectorRequest::Filtering(whole))),
        (None, true) => return Ok(Some(ConnectorRequest::FilteringDraft { rules, advanced_snippet })),
        (None, false) => "[advanced_snippet] and [rules] cannot be both [null].",
        (Some(_), true) => {
            "If [filtering] is specified, [rules] and [advanced_snippet] should not be present in the request body."
        }
    };
    broken.push(message.to_owned());
    Ok(None)
}

fn status(body: &Located, broken: &mut Vec<String>) -> Parsed<Option<ConnectorRequest>> {
    let mut status = None;
    STATUS.read(body, |_, value| {
        status = Some(value.word("ConnectorStatus", |text| text.parse::<ConnectorStatus>().ok())?);
        Ok(())
    })?;
    if status.is_none() {
        broken.push("[status] cannot be [null].".to_owned());
    }
    Ok(status.map(ConnectorRequest::Status))
}

/// A null is read and then dropped: it neither clears nor changes what is stored.
fn last_sync(body: &Located) -> Parsed<Map<String, Value>> {
    let mut given = Map::new();
    LAST_SYNC.read(body, |key, value| {
        let read: Value = match key {
            _ if value.is_null() => return Ok(()),
            "last_deleted_document_count" | "last_indexed_document_count" => value.long()?.into(),
            "sync_cursor" => value.to_value(),
            "last_sync_status" | "last_access_control_sync_status" => {
                value.word("ConnectorSyncStatus", |text| text.parse::<SyncStatus>().ok())?.as_str().into()
            }
            "last_sync_error" | "last_access_control_sync_error" => value.string()?.into(),
            _ => value.instant()?,
        };
        given.insert(key.to_owned(), read);
        Ok(())
    })?;
    Ok(given)
}
