//! What a source is made of: the [`DataSource`] trait, documents, configuration, errors, registry.
//!
//! A source is a type that implements [`Connector`] (how to connect) and a type that implements [`DataSource`] (what
//! to list). Abilities beyond a full listing are further traits, declared with [`Facets`].

mod config;
mod document;
pub mod emit;
mod error;
mod facets;
mod fields;
mod hex;
mod registry;
mod secret;
mod source;
pub mod tls;

pub use config::{ConfigReader, ConfigValue, FieldBuilder, SourceConfig, read_value};
pub use document::{Access, Body, BodyKind, Content, DocId, Document};
pub use error::{Error, ErrorKind, Result};
pub use facets::Facets;
pub use fields::{Columns, Fields};
pub use hex::hex;
pub use registry::{AnyConnector, Connector, Env, FeatureSet, Registry, Source};
pub use secret::Secret;
pub use source::{AccessControl, AdvancedRules, Context, Cursor, DataSource, Event, Incremental, Resumable};
pub use tributary_protocol::config::{
    ConfigField, ConfigProblem, ConfigSchema, Dependency, Display, FieldType, SelectOption, Validation,
    ValidationKind,
};
pub use tributary_sdk_macros::SourceConfig;
