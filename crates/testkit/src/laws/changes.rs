use tributary_sdk::Connector;

use super::{clean, ids};
use crate::{World, connect};

/// A later listing finds what came meanwhile, and finds the rest as it was.
pub async fn an_added_item_appears<C: Connector, W: World>() {
    let mut world = W::start().await;
    let source = connect::<C>(&world.config()).await;
    let before = clean(&source).await;
    let added = world.add().await;
    let after = clean(&source).await;
    assert!(!before.items.contains_key(&added), "the world adds an item that was there");
    assert!(after.items.contains_key(&added), "'{added}' was added and is not listed");
    assert_eq!(after.items.len(), before.items.len() + 1);
}

/// A change is seen in the version or in a field that is compared.
pub async fn a_changed_item_differs<C: Connector, W: World>() {
    let mut world = W::start().await;
    let id = world.add().await;
    let source = connect::<C>(&world.config()).await;
    let before = clean(&source).await;
    world.change(&id).await;
    let after = clean(&source).await;
    assert_ne!(before.items.get(&id), after.items.get(&id), "'{id}' changed and looks the same");
    assert_eq!(ids(&before), ids(&after), "a change keeps the ids");
    for (other, item) in before.items.iter().filter(|(other, _)| **other != id) {
        assert_eq!(Some(item), after.items.get(other), "'{other}' differs though another item changed");
    }
}

/// What was removed is not listed any more.
pub async fn a_removed_item_vanishes<C: Connector, W: World>() {
    let mut world = W::start().await;
    let id = world.add().await;
    let source = connect::<C>(&world.config()).await;
    let before = clean(&source).await;
    world.remove(&id).await;
    let after = clean(&source).await;
    assert!(before.items.contains_key(&id) && !after.items.contains_key(&id), "'{id}' was removed");
    assert_eq!(after.items.len(), before.items.len() - 1);
}
