//! A source that floods with documents that are too large: they are left out, named in the job, and fill no memory. Alone
//! in its program, whose memory is looked at.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use support::pair::Pair;
use support::world::Misdeed;
use support::{World, refused, until};
use tributary_protocol::{JobType, SyncStatus};

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_floods_with_documents_that_are_too_large_fills_no_memory() {
    const TEXT: usize = 8 << 20;
    const MOST: u64 = 192 << 20;
    let bad = World::new("bad-large").with_documents(5).with_text(TEXT);
    bad.misbehave(Misdeed::NeverEnds);
    let good = World::new("good-large").with_documents(3);
    let pair = Pair::set(&bad, &good, |_| {}).await;
    pair.bad.is_connected().await;
    let before = resident();
    let id = pair.bad.ask(JobType::Full).await;
    until("listing", || bad.listed() > 1).await;
    pair.others_go_on(&id).await;
    let mut most = 0;
    until("flooded", || {
        most = most.max(resident().saturating_sub(before));
        bad.listed() as u64 * TEXT as u64 > 2 * MOST
    })
    .await;
    assert!(most < MOST, "{most} bytes more than before");
    pair.bad.client.cancel_job(&id).await.unwrap();
    let job = pair.bad.job_is(&id, SyncStatus::Canceled).await;
    let told = refused(&job);
    assert!(told["counts"]["too_large"].as_u64() > Some(40), "the job says what it left out: {told}");
    bad.misbehave(Misdeed::None);
    bad.clear();
    pair.end_well().await;
}
