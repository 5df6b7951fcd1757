//! A worker that stands still between taking a connector's lock and claiming the job, until others have released the lock and
//! run another job.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod support;

use serde_json::json;
use support::recorder::Recorder;
use support::{Rig, World};
use tributary_client::Client;
use tributary_harness::TestNode;
use tributary_protocol::{ConnectorId, JobType, SyncJobId, SyncStatus, TriggerMethod};

/// Runs a job as another worker would, until its `end`.
async fn begin_another(client: Client, connector: ConnectorId) -> SyncJobId {
    let id = client.create_job(&connector, JobType::Full, TriggerMethod::OnDemand).await.unwrap();
    let lease = json!({"token": "another", "worker": "another", "lease_expires_at": "2100-01-01T00:00:00Z"});
    let claim = json!({
        "status": "in_progress", "worker_hostname": "another", "metadata": {"tributary": lease},
    });
    client.update_job(&id, &claim, None).await.unwrap();
    id
}

async fn end(client: &Client, connector: &ConnectorId, job: &SyncJobId) {
    let ended = json!({"status": "completed", "metadata": {"tributary": {"token": null}}});
    client.update_job(job, &ended, None).await.unwrap();
    client.update_connector(connector, &json!({"last_sync_status": "completed"}), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_claim_is_left_again_while_another_job_of_the_connector_runs() {
    let node = TestNode::start().await;
    let world = World::new("late").with_documents(30);
    let recorder = Recorder::start(node.url(), &format!("search-{}", world.key())).await;
    let mut rig = Rig::on(recorder.client(), &world).await;
    let (send, other) = tokio::sync::oneshot::channel();
    let (client, connector) = (node.client(), rig.connector.clone());
    recorder.before_claim(async move {
        send.send(begin_another(client, connector).await).unwrap();
    });

    let late = rig.ask(JobType::Full).await;
    let shutdown = rig.daemon(rig.options());
    let other = other.await.unwrap();
    let left = rig.job_is(&late, SyncStatus::Suspended).await;
    assert_eq!(left.metadata.unwrap()["tributary"]["attempt"], 0, "it has not run");
    // Long enough for another try.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(rig.job(&late).await.status, SyncStatus::Suspended);
    assert_eq!(recorder.book().requests, 0, "nothing was written");
    assert_eq!(rig.job(&other).await.status, SyncStatus::InProgress);

    end(&rig.client, &rig.connector, &other).await;
    rig.job_is(&late, SyncStatus::Completed).await;
    assert_eq!(rig.count().await, 30);
    rig.stop(&shutdown).await;
}
