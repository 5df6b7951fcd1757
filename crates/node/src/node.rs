use std::sync::Arc;

use chrono::{DateTime, Utc};
use tributary_store::Store;
use tributary_tasks::{ByteBudget, Clock};

use crate::api;
use crate::error::NodeError;
use crate::http::{BodyLimits, Routes};
use crate::ingest::Pipelines;
use crate::options::NodeOptions;
use crate::security::{Access, Rights, Vault};
use crate::server::{self, RunningNode};
use crate::templates::Templates;

/// The embedded node. [`Node::start`] runs it.
///
/// A clone is the same node as another caller sees it.
#[derive(Clone)]
pub struct Node {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) version: String,
    pub(crate) cluster_name: String,
    pub(crate) routes: Arc<Routes>,
    pub(crate) bodies: BodyLimits,
    pub(crate) access: Arc<Access>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) pipelines: Arc<Pipelines>,
    pub(crate) templates: Arc<Templates>,
    pub(crate) scrolls: Arc<api::Scrolls>,
    pub(crate) parsed: Arc<api::Parsed>,
    /// Held while a connector gets an index, so that no two get the same.
    pub(crate) index_names: Arc<tokio::sync::Mutex<()>>,
    /// What the caller may do.
    pub(crate) rights: Rights,
}

impl Node {
    /// Starts to listen and serve.
    ///
    /// # Errors
    /// See [`NodeError`]; each says what to do.
    pub async fn start(options: NodeOptions, store: Store) -> Result<RunningNode, NodeError> {
        server::start(options, store).await
    }

    pub(crate) fn new(options: &NodeOptions, store: Store) -> Result<Self, NodeError> {
        check_version(&options.compat_version)?;
        let access = Arc::new(Access::new(&options.security)?);
        let vault = Arc::new(Vault::open(&options.data_dir)?);
        let pipelines = Arc::new(Pipelines::load(&store)?);
        let templates = Arc::new(Templates::load(&store)?);
        let bodies = BodyLimits {
            max_bytes: options.max_body_bytes,
            pause: options.body_timeout,
            budget: ByteBudget::new(options.body_budget_bytes),
        };
        Ok(Self {
            store,
            clock: Arc::clone(&options.clock),
            version: options.compat_version.clone(),
            cluster_name: options.cluster_name.clone(),
            routes: Arc::new(api::routes()),
            bodies,
            access,
            vault,
            pipelines,
            templates,
            scrolls: Arc::default(),
            parsed: Arc::default(),
            index_names: Arc::default(),
            rights: Rights::All,
        })
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Now in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }
}

fn check_version(version: &str) -> Result<(), NodeError> {
    let parts: Vec<&str> = version.split('.').collect();
    let numbers = parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok());
    if numbers && matches!(parts[0], "8" | "9") {
        return Ok(());
    }
    Err(NodeError::BadVersion { version: version.to_owned() })
}
