//! HTTP as Elasticsearch speaks it: routes, parameters, media types, bodies, answers and errors.

mod body;
mod call;
mod dispatch;
mod envelope;
mod filter_path;
mod forms;
mod media;
mod params;
mod pretty;
mod reply;
mod routes;
mod values;

pub(crate) use body::BodyLimits;
pub(crate) use call::{BodyRule, Call, Endpoint, Judge, handler, parse_json, position_of};
pub(crate) use dispatch::dispatch;
pub(crate) use envelope::{ApiError, Result, malformed_json};
pub(crate) use filter_path::matches as wildcard_matches;
pub(crate) use forms::BYTE_ORDER_MARK;
pub(crate) use params::{Params, not_a_flag, parse_time_ms};
pub(crate) use reply::{Reply, to_json};
pub(crate) use routes::Routes;
pub(crate) use tributary_store::token_name;
