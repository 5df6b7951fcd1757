use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tributary_sdk::{Connector, Context};

use super::ids;
use crate::{Listing, World, connect, list, runtime, try_connect};

/// Longest time that work may go on after its stream was dropped.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// An item that cannot be read counts as seen: it is told, not left out, and does not end the listing.
pub async fn an_unreadable_item_is_skipped_with_its_reason<C: Connector, W: World>() {
    let mut world = W::start().await;
    let Some(id) = world.add_unreadable().await else { return };
    let listing = list(&connect::<C>(&world.config()).await).await;
    assert!(listing.is_clean(), "one unreadable item is no gap: {:?}", listing.errors().collect::<Vec<_>>());
    let skipped = listing.skipped.iter().find(|(skipped, _)| *skipped == id);
    let Some((_, error)) = skipped else { panic!("'{id}' cannot be read and was not skipped") };
    assert!(!error.to_string().is_empty());
    let mut all = ids(&listing);
    all.insert(id);
    assert_eq!(all, world.ids().await, "the rest is listed");
}

/// What could not be listed must not be deleted.
pub async fn a_failing_part_never_ends_the_stream_cleanly<C: Connector, W: World>() {
    let mut world = W::start().await;
    let source = connect::<C>(&world.config()).await;
    if !world.break_part().await {
        return;
    }
    let listing = list(&source).await;
    assert!(!listing.is_clean(), "a part failed and the listing ended as if it had found everything");
    let error = listing.errors().next().map(tributary_sdk::Error::report).unwrap_or_default();
    assert!(!error.is_empty(), "the failure does not tell what failed");
}

/// The end of the stream means that everything was listed, even if the source goes away in between.
pub async fn a_source_that_goes_away_midway_never_ends_the_stream_cleanly<C: Connector, W: World>() {
    let mut world = W::start().await;
    world.fill(W::MANY).await;
    let expected = world.ids().await;
    let source = connect::<C>(&world.config()).await;
    let cx = Context::default();
    let mut events = source.documents(&cx);
    let first = events.next().await;
    assert!(matches!(first, Some(Ok(_))), "{first:?}");
    world.go_away().await;
    let rest = Listing::of(events).await;
    let found_all = rest.ids.len() + 1 >= expected.len();
    assert!(
        !rest.is_clean() || found_all,
        "only {} of {} items were listed",
        rest.ids.len() + 1,
        expected.len()
    );
}

/// Connecting or the ping fails, and says what to do.
pub async fn a_source_that_is_away_is_told_with_a_hint<C: Connector, W: World>() {
    let mut world = W::start().await;
    let connected = connect::<C>(&world.config()).await;
    let cx = Context::default();
    connected.ping(&cx).await.unwrap_or_else(|error| panic!("the source is there: {}", error.report()));
    world.go_away().await;
    let error = connected.ping(&cx).await.expect_err("the source is away and the ping succeeds");
    assert!(error.hint_text().is_some(), "no hint: {}", error.report());
    let error = match try_connect::<C>(&world.config()).await {
        Ok(source) => source.ping(&cx).await.expect_err("the source is away and the ping succeeds"),
        Err(error) => error,
    };
    assert!(error.hint_text().is_some(), "no hint: {}", error.report());
}

/// An empty, clean listing would delete everything.
pub async fn a_listing_of_a_source_that_is_away_never_ends_cleanly<C: Connector, W: World>() {
    let mut world = W::start().await;
    let source = connect::<C>(&world.config()).await;
    world.go_away().await;
    let listing = list(&source).await;
    assert!(!listing.is_clean(), "the source is away and its listing ends cleanly");
}

/// Cancelling a sync drops the stream: nothing may go on behind it.
///
/// # Panics
/// When the law is broken.
pub fn dropping_the_stream_stops_the_work<C: Connector, W: World>() {
    let home = runtime();
    let world = home.block_on(async {
        let mut world = W::start().await;
        world.fill(W::MANY).await;
        world
    });
    // On a runtime of its own, which waits for its threads when it ends.
    let work = runtime();
    work.block_on(async {
        let source = connect::<C>(&world.config()).await;
        let cx = Context::default();
        let mut events = source.documents(&cx);
        assert!(matches!(events.next().await, Some(Ok(_))));
    });
    let dropped = Instant::now();
    work.shutdown_timeout(STOPS_WITHIN * 2);
    assert!(dropped.elapsed() < STOPS_WITHIN, "the listing went on after its stream was dropped");
}
