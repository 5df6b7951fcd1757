use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_protocol::config::ConfigSchema;
use tributary_tasks::{Clock, SystemClock};

use crate::{
    AccessControl, AdvancedRules, Context, DataSource, Error, ErrorKind, Event, Facets, Incremental, Result,
    SourceConfig,
};

/// What a source may use of the process it runs in while it connects.
#[derive(Clone, Debug)]
pub struct Env {
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Default for Env {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock) }
    }
}

/// How one kind of source is configured and connected. The registry erases the types.
pub trait Connector: Send + Sync + 'static {
    /// Its configuration; derive it.
    type Config: SourceConfig;
    /// What it connects to.
    type Source: DataSource;
    /// The protocol's name of this kind, as in connector documents (`dir`, `postgresql`).
    const SERVICE_TYPE: &'static str;
    /// The name people read.
    const NAME: &'static str;
    /// What it can do beyond a full listing.
    const FACETS: Facets<Self::Source> = Facets::NONE;

    /// Connects with a configuration whose fields are checked already. Should not do remote calls that
    /// [`DataSource::ping`] would do as well.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for values that cannot work together.
    fn connect(config: Self::Config, env: &Env) -> impl Future<Output = Result<Self::Source>> + Send;
}

/// The features of a kind of source, as a connector document tells them (connector-api 10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSet {
    /// `sync_rules.basic`.
    pub basic_rules: bool,
    /// `sync_rules.advanced`.
    pub advanced_rules: bool,
    /// `document_level_security`.
    pub document_level_security: bool,
    /// `incremental_sync`.
    pub incremental_sync: bool,
}

impl FeatureSet {
    /// The value of the connector document's `features`.
    #[must_use]
    pub fn to_value(self) -> Value {
        let enabled = |on: bool| serde_json::json!({ "enabled": on });
        serde_json::json!({
            "sync_rules": { "basic": enabled(self.basic_rules), "advanced": enabled(self.advanced_rules) },
            "document_level_security": enabled(self.document_level_security),
            "incremental_sync": enabled(self.incremental_sync),
            "native_connector_api_keys": enabled(false),
        })
    }
}

/// A kind of source with its types erased.
#[async_trait]
pub trait AnyConnector: Send + Sync {
    /// [`Connector::SERVICE_TYPE`].
    fn service_type(&self) -> &'static str;
    /// [`Connector::NAME`].
    fn name(&self) -> &'static str;
    /// The configuration fields with their defaults.
    fn schema(&self) -> ConfigSchema;
    /// What it can do.
    fn features(&self) -> FeatureSet;
    /// Whether a full listing goes on from a checkpoint.
    fn resumable(&self) -> bool;
    /// Connects with the fields of a connector document.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names every bad field; or what kept it from connecting.
    async fn connect(&self, configuration: &ConfigSchema, env: &Env) -> Result<Source>;
}

struct Erased<C>(std::marker::PhantomData<fn() -> C>);

#[async_trait]
impl<C: Connector> AnyConnector for Erased<C> {
    fn service_type(&self) -> &'static str {
        C::SERVICE_TYPE
    }

    fn name(&self) -> &'static str {
        C::NAME
    }

    fn schema(&self) -> ConfigSchema {
        C::Config::schema()
    }

    fn features(&self) -> FeatureSet {
        FeatureSet {
            basic_rules: C::FACETS.basic_rules,
            advanced_rules: C::FACETS.advanced_rules.is_some(),
            document_level_security: C::FACETS.access_control.is_some(),
            incremental_sync: C::FACETS.incremental.is_some(),
        }
    }

    fn resumable(&self) -> bool {
        C::FACETS.resumable
    }

    async fn connect(&self, configuration: &ConfigSchema, env: &Env) -> Result<Source> {
        let config = C::Config::from_schema(configuration).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::new(ErrorKind::Config, format!("Field validation errors: {}", problems.join("; ")))
        })?;
        let source = C::connect(config, env).await?;
        Ok(Source(Arc::new(Typed { source, facets: C::FACETS })))
    }
}

trait Abilities: Send + Sync {
    fn listing(&self) -> &dyn DataSource;
    fn incremental(&self) -> Option<&dyn Incremental>;
    fn access_control(&self) -> Option<&dyn AccessControl>;
    fn advanced_rules(&self) -> Option<&dyn AdvancedRules>;
    fn resumable(&self) -> bool;
}

struct Typed<S: 'static> {
    source: S,
    facets: Facets<S>,
}

impl<S: DataSource> Abilities for Typed<S> {
    fn listing(&self) -> &dyn DataSource {
        &self.source
    }

    fn incremental(&self) -> Option<&dyn Incremental> {
        self.facets.incremental.map(|look| look(&self.source))
    }

    fn access_control(&self) -> Option<&dyn AccessControl> {
        self.facets.access_control.map(|look| look(&self.source))
    }

    fn advanced_rules(&self) -> Option<&dyn AdvancedRules> {
        self.facets.advanced_rules.map(|look| look(&self.source))
    }

    fn resumable(&self) -> bool {
        self.facets.resumable
    }
}

/// A connected source of any kind, with the abilities it has. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<dyn Abilities>);

impl Source {
    /// Wraps a source that is not in a registry (tests, tools).
    pub fn of<S: DataSource>(source: S, facets: Facets<S>) -> Self {
        Self(Arc::new(Typed { source, facets }))
    }

    /// [`DataSource::ping`].
    ///
    /// # Errors
    /// What keeps the source from being synced.
    pub async fn ping(&self, cx: &Context) -> Result<()> {
        self.0.listing().ping(cx).await
    }

    /// [`DataSource::documents`].
    #[must_use]
    pub fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        self.0.listing().documents(cx)
    }

    /// Its incremental listing, if it has one.
    #[must_use]
    pub fn incremental(&self) -> Option<&dyn Incremental> {
        self.0.incremental()
    }

    /// Its identities, if it has any.
    #[must_use]
    pub fn access_control(&self) -> Option<&dyn AccessControl> {
        self.0.access_control()
    }

    /// Its check of advanced rules, if it takes them.
    #[must_use]
    pub fn advanced_rules(&self) -> Option<&dyn AdvancedRules> {
        self.0.advanced_rules()
    }

    /// Whether a full listing goes on from a checkpoint.
    #[must_use]
    pub fn resumable(&self) -> bool {
        self.0.resumable()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// The kinds of source that are built in, by service type.
#[derive(Clone, Default)]
pub struct Registry {
    connectors: BTreeMap<&'static str, Arc<dyn AnyConnector>>,
}

impl Registry {
    /// No sources.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind of source; one of the same service type is replaced.
    #[must_use]
    pub fn with<C: Connector>(mut self) -> Self {
        self.connectors.insert(C::SERVICE_TYPE, Arc::new(Erased::<C>(std::marker::PhantomData)));
        self
    }

    /// The kind of source with this service type.
    #[must_use]
    pub fn get(&self, service_type: &str) -> Option<&Arc<dyn AnyConnector>> {
        self.connectors.get(service_type)
    }

    /// All kinds, ordered by service type.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn AnyConnector>> {
        self.connectors.values()
    }

    /// All service types, ordered.
    #[must_use]
    pub fn service_types(&self) -> Vec<&'static str> {
        self.connectors.keys().copied().collect()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.connectors.keys()).finish()
    }
}
