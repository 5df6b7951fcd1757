//! What SQL sources share. A server implements [`Server`] (which databases are read, its log of changes), a database
//! [`Database`] and [`Session`] (what tables there are, rows of one statement) and a [`Naming`] (what documents and fields
//! are called); this crate does the rest: which tables are read, by which key, where to go on after an interruption,
//! retries, advanced rules, documents.
//!
//! | Part | What it does |
//! |---|---|
//! | [`Source`] | the source of a [`Server`]: everything below put together |
//! | [`documents`] | the full listing: keyset order, checkpoints, retries that go on after the last row |
//! | [`changes`] | rows that changed since a mark (a column, or what the database knows of its rows) |
//! | [`Rule`], [`check_rules`] | advanced sync rules: queries with tables and id columns |
//! | [`Selection`], [`KeyColumns`] | lists of tables with `*`, keys of views |
//! | [`value`] | values as JSON and as the id's text, exact and without failures |
//!
//! Memory does not depend on the number of rows: a session hands over slices bounded by rows and bytes, and only one
//! is held at a time.

mod changes;
mod database;
mod document;
mod frame;
mod keys;
mod listing;
mod naming;
mod plan;
mod position;
mod retry;
mod rules;
mod selection;
mod source;
mod table;
pub mod value;
mod wait;

pub use changes::changes;
pub use database::{By, Database, Found, Read, Row, Rows, Session, Slices, What};
pub use document::Shape;
pub use keys::{KeyColumns, KeyValue};
pub use listing::{documents, elsewhere};
pub use naming::{Naming, Origin};
pub use plan::{Marks, Plan, Start};
pub use position::Position;
pub use retry::Attempts;
pub use rules::{Rule, check_rules};
pub use selection::{Selected, Selection};
pub use source::{Log, Server, SessionOf, Source};
pub use table::{Column, Key, Kind, Table, TableName};
pub use wait::{in_time, late};
