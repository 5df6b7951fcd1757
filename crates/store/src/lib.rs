//! Embedded durable document store and search. No HTTP.
//!
//! A [`Store`] keeps JSON documents in named indices, durably, under Elasticsearch's rules for mappings, versions and
//! conditions, and answers Elasticsearch's queries over them.

mod aggs;
mod analysis;
mod catalog;
mod dates;
mod document;
mod error;
mod indexing;
mod json;
mod kv;
mod locate;
mod mapping;
mod model;
mod names;
mod query;
mod readers;
mod recent;
mod search;
mod settings;
mod state;
mod store;
mod sync;
mod writer;

pub use aggs::AggRequest;
pub use error::{Cause, ErrorKind, Result, StoreError};
pub use mapping::check_mappings;
pub use model::{
    Action, Condition, CreateIndex, Doc, IndexInfo, Outcome, ResolveOptions, StoreOptions, SyncMode,
    UpdateAction, UpdateFn, VersionType, WriteIndex, WriteOp, WriteResult,
};
pub use query::{Query, token_name};
pub use search::{
    FieldRequest, HighlightField, HighlightRequest, Hit, Missing, SearchRequest, SearchResponse, SortKey,
    SortMode, SourceFilter, Total, TrackTotal,
};
pub use store::{AnalyzeBy, AnalyzedToken, ScanPage, Store};
