//! A fake source, a node, and daemons to serve it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test uses a part")]
#![allow(unreachable_pub, reason = "shared by the tests beside it")]

pub mod license;
pub mod pair;
pub mod recorder;
pub mod world;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tributary_client::{Client, ClientOptions, JobFilter, NewConnector, Versioned};
use tributary_daemon::{Daemon, DaemonError, DaemonHandle, DaemonOptions, Selection};
use tributary_harness::TestNode;
use tributary_protocol::{
    Connector, ConnectorId, ConnectorStatus, IndexName, JobType, SyncJob, SyncJobId, SyncStatus,
    TriggerMethod,
};
use tributary_tasks::{Shutdown, TaskScope};

pub use world::{World, registry};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// An address of an Elasticsearch that the tests use instead of a node of their own.
const ELASTICSEARCH: &str = "TRIBUTARY_TEST_ELASTICSEARCH";

/// A node with one connector of a fake source.
pub struct Rig {
    /// Ends with the test. `None`: an Elasticsearch is used.
    _node: Option<TestNode>,
    pub client: Client,
    pub connector: ConnectorId,
    pub index: IndexName,
    pub state: tempfile::TempDir,
    daemons: TaskScope<Result<(), DaemonError>>,
}

impl Rig {
    /// A node with a connector that is configured for the world.
    pub async fn start(world: &World) -> Self {
        let (node, client) = match std::env::var(ELASTICSEARCH) {
            Ok(address) => (None, Client::new(ClientOptions::new([address])).unwrap()),
            Err(_) => {
                let node = TestNode::start().await;
                let client = node.client();
                (Some(node), client)
            }
        };
        Self { _node: node, ..Self::on(client, world).await }
    }

    /// A connector that is configured for the world, on the cluster that `client` reaches.
    pub async fn on(client: Client, world: &World) -> Self {
        client.ensure_protocol_indices().await.unwrap();
        let connector = ConnectorId::from(format!("c-{}", world.key()));
        let index = format!("search-{}", world.key());
        let new = NewConnector {
            index_name: Some(index.clone()),
            service_type: Some("fake".to_owned()),
            ..NewConnector::default()
        };
        client.create_connector(Some(&connector), &new).await.unwrap();
        let rig = Self {
            _node: None,
            client,
            connector,
            index: IndexName::try_from(index).unwrap(),
            state: tempfile::tempdir().unwrap(),
            daemons: TaskScope::new(),
        };
        rig.configure(world).await;
        rig
    }

    pub async fn configure(&self, world: &World) {
        let configuration = registry().get("fake").unwrap().schema();
        self.client.update_configuration(&self.connector, &configuration).await.unwrap();
        let values = json!({"world": world.key()});
        self.client.update_configuration_values(&self.connector, values.as_object().unwrap()).await.unwrap();
    }

    pub fn options(&self) -> DaemonOptions {
        let mut options = DaemonOptions::default();
        options.connectors = Selection::of([self.connector.clone()]);
        options.poll_interval = Duration::from_millis(300);
        options.lease = Duration::from_secs(3);
        options.state_dir = self.state.path().join(&options.worker_name);
        options.sync.limits.linger = Duration::from_millis(20);
        options
    }

    /// Starts a daemon; it stops when its shutdown is asked for.
    pub fn daemon(&mut self, options: DaemonOptions) -> Shutdown {
        self.daemon_of(self.client.clone(), options)
    }

    /// Starts a daemon that reaches the cluster through `client`.
    pub fn daemon_of(&mut self, client: Client, options: DaemonOptions) -> Shutdown {
        let shutdown = Shutdown::new();
        let daemon = Daemon::new(client, registry(), options);
        self.daemons.spawn("daemon", daemon.run(shutdown.clone()));
        shutdown
    }

    /// Starts a daemon whose options can be changed.
    pub fn daemon_with_handle(&mut self, options: DaemonOptions) -> (Shutdown, DaemonHandle) {
        let shutdown = Shutdown::new();
        let daemon = Daemon::new(self.client.clone(), registry(), options);
        let handle = daemon.handle();
        self.daemons.spawn("daemon", daemon.run(shutdown.clone()));
        (shutdown, handle)
    }

    /// Where the cluster is.
    pub fn url(&self) -> String {
        self.client.hosts().next().unwrap().to_owned()
    }

    /// Stops daemons and waits until they are gone.
    pub async fn stop(&mut self, shutdown: &Shutdown) {
        shutdown.stop();
        let ended =
            tokio::time::timeout(PATIENCE, self.daemons.next()).await.expect("the daemon stops in time");
        ended.expect("there is a daemon").expect("the daemon does not panic").expect("the daemon ends well");
    }

    /// Ends all daemons as a crash would.
    pub async fn crash(&mut self) {
        self.daemons.abort().await;
    }

    pub async fn ask(&self, kind: JobType) -> SyncJobId {
        self.client.create_job(&self.connector, kind, TriggerMethod::OnDemand).await.unwrap()
    }

    pub async fn connector(&self) -> Connector {
        self.client.connector(&self.connector).await.unwrap().unwrap().doc
    }

    pub async fn job(&self, id: &SyncJobId) -> SyncJob {
        self.client.job(id).await.unwrap().unwrap().doc
    }

    pub async fn jobs(&self) -> Vec<Versioned<SyncJobId, SyncJob>> {
        let filter = JobFilter { connector_id: Some(self.connector.clone()), ..JobFilter::default() };
        self.client.jobs(&filter).await.unwrap()
    }

    pub async fn count(&self) -> u64 {
        self.client.refresh(&self.index).await.unwrap();
        self.client.count(&self.index).await.unwrap()
    }

    /// Waits until the job has this status.
    pub async fn job_is(&self, id: &SyncJobId, status: SyncStatus) -> SyncJob {
        let end = Instant::now() + PATIENCE;
        loop {
            let job = self.job(id).await;
            if job.status == status {
                return job;
            }
            assert!(
                !job.status.is_final() && Instant::now() < end,
                "the job is {:?} instead of {status:?}: {:?} {:?}",
                job.status,
                job.error,
                job.metadata
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the connector is as `wanted` says.
    pub async fn connector_is(&self, what: &str, wanted: impl Fn(&Connector) -> bool) -> Connector {
        let end = Instant::now() + PATIENCE;
        loop {
            let connector = self.connector().await;
            if wanted(&connector) {
                return connector;
            }
            assert!(Instant::now() < end, "the connector is not {what}: {connector:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn is_connected(&self) -> Connector {
        self.connector_is("connected", |connector| connector.status == ConnectorStatus::Connected).await
    }
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn refused(job: &SyncJob) -> Value {
    job.metadata.as_ref().map_or(Value::Null, |metadata| metadata["tributary"]["refused"].clone())
}

/// Options whose state lies in this folder, as after a restart on the same machine.
pub fn with_state(mut options: DaemonOptions, folder: &Path) -> DaemonOptions {
    options.state_dir = folder.to_owned();
    options
}
