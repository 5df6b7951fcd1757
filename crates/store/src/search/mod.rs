//! Searching: the request, its execution over the indices, and the response.

mod collect;
mod execute;
mod highlight;
mod parse;
mod parse_highlight;
mod request;
mod response;
mod sort;
mod sort_code;
mod source;

pub(crate) use collect::{Candidate, best, matching, order, weigh};
pub(crate) use execute::{count, execute};
pub use request::{
    FieldRequest, HighlightField, HighlightRequest, Missing, SearchRequest, SortKey, SortMode, SourceFilter,
    TrackTotal,
};
pub use response::{Hit, SearchResponse, Total};
pub(crate) use sort::{Plan, plans, single_value, value_column};
