//! The laws that every source keeps, on a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod world;

tributary_testkit::conformance!(connector = tributary_connector_mysql::Mysql, world = world::MysqlWorld,);
