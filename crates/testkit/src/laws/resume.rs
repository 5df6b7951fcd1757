use std::collections::BTreeSet;

use tributary_sdk::{Connector, Cursor, Registry};

use super::clean;
use crate::{World, connect, list_from};

/// Checkpoints that are tried, spread over the listing.
const TRIED: usize = 10;

/// From every checkpoint, the rest of the listing comes, and not everything again. Sources that are not resumable may
/// not send any.
pub async fn a_resumable_source_goes_on_from_every_checkpoint<C: Connector, W: World>() {
    let mut world = W::start().await;
    world.fill(W::MANY).await;
    let source = connect::<C>(&world.config()).await;
    let whole = clean(&source).await;
    let registry = Registry::new().with::<C>();
    if !registry.iter().any(|kind| kind.resumable()) {
        assert!(whole.checkpoints.is_empty(), "a source that is not resumable sends checkpoints");
        return;
    }
    assert!(!whole.checkpoints.is_empty(), "no checkpoint in {} documents", whole.ids.len());
    let step = whole.checkpoints.len().div_ceil(TRIED);
    for (before, cursor) in whole.checkpoints.iter().step_by(step) {
        let later = connect::<C>(&world.config()).await;
        let rest = list_from(&later, Some(stored(cursor))).await;
        assert!(rest.is_clean(), "from {cursor:?}: {:?}", rest.errors().collect::<Vec<_>>());
        let wanted: BTreeSet<&String> = whole.ids[*before..].iter().collect();
        let found: BTreeSet<&String> = rest.ids.iter().collect();
        let missing = wanted.difference(&found).count();
        assert_eq!(missing, 0, "{missing} of {} documents after {cursor:?} did not come", wanted.len());
        assert!(found.len() < whole.ids.len(), "everything came again after {cursor:?}");
    }
}

/// As it is after being stored.
fn stored(cursor: &Cursor) -> Cursor {
    let text = serde_json::to_string(cursor).expect("a cursor is JSON");
    serde_json::from_str(&text).expect("a cursor is JSON")
}
