use tributary_sdk::{BodyKind, Connector, Content};

use super::{clean, ids};
use crate::{World, connect};

/// Fields that the engine writes.
const ENGINE_FIELDS: [&str; 7] =
    ["_id", "id", "_timestamp", "body", "_attachment", "_allow_access_control", "_tributary"];

/// Nothing is missing, nothing is there twice.
pub async fn a_listing_finds_every_item_once<C: Connector, W: World>() {
    let mut world = W::start().await;
    world.fill(20).await;
    let source = connect::<C>(&world.config()).await;
    let listing = clean(&source).await;
    assert_eq!(ids(&listing), world.ids().await);
    assert_eq!(listing.ids.len(), listing.items.len(), "an item was listed twice");
    assert!(listing.items.len() >= 23, "a world starts with at least three items");
}

/// Same ids, versions, fields: a sync without changes writes nothing.
pub async fn two_listings_of_an_unchanged_source_are_equal<C: Connector, W: World>() {
    let world = W::start().await;
    let first = clean(&connect::<C>(&world.config()).await).await;
    // Reading a content must not make it differ either.
    for (_, body) in first.bodies {
        let _content = body.fetch().await;
    }
    let second = clean(&connect::<C>(&world.config()).await).await;
    for (id, item) in &first.items {
        assert_eq!(Some(item), second.items.get(id), "'{id}' differs though it did not change");
    }
    assert_eq!(first.items.len(), second.items.len());
    for (id, item) in &second.items {
        assert!(
            !item.has_body || item.version.is_some(),
            "'{id}' has content but no version: it is always fetched"
        );
    }
}

/// What the engine adds is not the source's to set, and volatile fields are fields.
pub async fn documents_leave_the_engines_fields_alone<C: Connector, W: World>() {
    let world = W::start().await;
    let listing = clean(&connect::<C>(&world.config()).await).await;
    for (id, fields) in &listing.fields {
        for reserved in ENGINE_FIELDS {
            assert!(
                !fields.contains_key(reserved),
                "'{id}' sets the field '{reserved}', which is the engine's"
            );
        }
        for volatile in listing.volatile[id] {
            assert!(
                fields.contains_key(*volatile),
                "'{id}' has no field '{volatile}', which is called volatile"
            );
        }
    }
}

/// Contents are of the announced size and, for bytes, of the announced kind.
pub async fn every_content_can_be_fetched<C: Connector, W: World>() {
    let world = W::start().await;
    let listing = clean(&connect::<C>(&world.config()).await).await;
    for (id, body) in listing.bodies {
        let (kind, size) = (body.kind(), body.size());
        let content =
            body.fetch().await.unwrap_or_else(|error| panic!("content of '{id}': {}", error.report()));
        match content {
            Content::Text(_) => assert_eq!(kind, BodyKind::Text, "'{id}' announced bytes and has text"),
            Content::Binary(bytes) => {
                assert!(
                    size.is_none_or(|size| bytes.len() as u64 <= size),
                    "'{id}' is larger than announced"
                );
            }
            Content::Nothing { reason } => assert!(!reason.is_empty(), "'{id}' has no content and no reason"),
        }
    }
}
