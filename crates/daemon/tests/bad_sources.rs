//! Sources that panic, hang or flood: only their own jobs are affected, and say why. One daemon serves the bad source and
//! a good one; the good one's jobs go on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::time::Duration;

use support::pair::{Pair, untouched};
use support::world::Misdeed;
use support::{World, until};
use tributary_daemon::DaemonOptions;
use tributary_protocol::{ConnectorStatus, JobType, SyncStatus};

/// Bytes of the engine's budget that are under way at the most, and what may stand beside them: the document that was
/// listed last, and requests whose answers are read.
const UNDER_WAY: u64 = (24 << 20) + (8 << 20);

#[tokio::test(flavor = "multi_thread")]
async fn one_that_panics_while_it_lists() {
    let (bad, good) = (World::new("bad-panic").with_documents(5), World::new("good-panic"));
    let good = good.with_documents(300).slow(Duration::from_millis(5));
    bad.panic_in_listings(true);
    let pair = Pair::set(&bad, &good, |_| {}).await;
    let others = pair.good.ask(JobType::Full).await;
    until("listing", || good.is_listing()).await;
    let id = pair.bad.ask(JobType::Full).await;
    pair.bad_job_fails(&id, "the fake source panics").await;
    assert_eq!(pair.good.job(&others).await.status, SyncStatus::InProgress, "it ran meanwhile");
    untouched(&pair.good.job_is(&others, SyncStatus::Completed).await);
    bad.panic_in_listings(false);
    pair.end_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_panics_or_hangs_when_it_is_pinged() {
    for (misdeed, why) in [
        (Misdeed::PanicsWhenPinged, "the fake source panics when it is pinged"),
        (Misdeed::HangsWhenPinged, "the source did not answer within 1 s"),
    ] {
        let (bad, good) = (World::new("bad-ping").with_documents(5), World::new("good-ping"));
        bad.misbehave(misdeed);
        let good = good.with_documents(3);
        let adjust = |options: &mut DaemonOptions| options.check_timeout = Duration::from_secs(1);
        let pair = Pair::set(&bad, &good, adjust).await;
        // The check says so, before anybody asks for a sync.
        let told =
            pair.bad.connector_is("in error", |connector| connector.status == ConnectorStatus::Error).await;
        assert!(told.error.as_deref().unwrap().contains(why), "{:?}", told.error);
        let others = pair.good.ask(JobType::Full).await;
        let id = pair.bad.ask(JobType::Full).await;
        pair.bad_job_fails(&id, why).await;
        untouched(&pair.good.job_is(&others, SyncStatus::Completed).await);
        bad.misbehave(Misdeed::None);
        pair.end_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_while_it_lists() {
    // Waiting for what never comes, and blocking its thread.
    for blocks in [false, true] {
        let (bad, good) = (World::new("bad-hang").with_documents(5), World::new("good-hang"));
        if !blocks {
            bad.misbehave(Misdeed::HangsWhileListing);
        }
        bad.block_thread(blocks);
        let good = good.with_documents(3);
        let mut pair = Pair::set(&bad, &good, |_| {}).await;
        let id = pair.bad.ask(JobType::Full).await;
        until("listing", || bad.listed() > 0).await;
        pair.others_go_on(&id).await;
        pair.cancel(&id).await;
        pair.fails_in_time().await;
        pair.fails_of_silence().await;
        bad.misbehave(Misdeed::None);
        bad.block_thread(false);
        pair.end_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_floods_the_index_is_read_no_faster_than_it_can_be_written() {
    const TEXT: usize = 100_000;
    let bad = World::new("bad-flood").with_documents(5).with_text(TEXT);
    bad.misbehave(Misdeed::NeverEnds);
    let good = World::new("good-flood").with_documents(3);
    // However fast this machine is, the index is slower than the source.
    let adjust = |options: &mut DaemonOptions| {
        options.sync.rate_limit = Some(50.0);
        // A source is not silent because the index is slow.
        options.sync.silence_limit = Some(Duration::from_millis(500));
    };
    let mut pair = Pair::set(&bad, &good, adjust).await;
    let id = pair.bad.ask(JobType::Full).await;
    until("listing", || bad.listed() > 150).await;
    pair.others_go_on(&id).await;
    let job = pair.cancel(&id).await;
    let (listed, written) = (bad.listed() as u64, u64::try_from(job.indexed_document_count).unwrap());
    let waiting = (listed - written) * TEXT as u64;
    assert!(waiting < UNDER_WAY, "{listed} documents were listed, {written} are written");
    assert!(written > 0, "it did flood: {listed} documents were listed");
    // What was on its way when it was cancelled may have been written too; nobody heard of it.
    assert!((written..=listed).contains(&pair.bad.count().await), "the job tells no more than there is");
    pair.fails_in_time().await;
    bad.misbehave(Misdeed::None);
    bad.clear();
    bad.add("0");
    pair.bad.client.delete_index(&pair.bad.index).await.unwrap();
    pair.end_well().await;
}
