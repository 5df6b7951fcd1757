//! The laws that every source keeps.

mod world;

tributary_testkit::conformance!(
    connector = tributary_connector_mongodb::Mongodb,
    world = world::MongodbWorld
);
