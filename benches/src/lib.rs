//! What benchmarks of the sync engine are made of: a [`Sink`] that parses and acknowledges bulk requests, a bare bulk
//! loader ([`load`]) to compare with, a source of generated documents ([`Generated`]), and [`sync_once`], which runs
//! engine and client on any source and tells what it took.
//!
//! The binary `tributary-bench` offers them one by one, so that each runs in a process of its own and memory and
//! processor time are of that process alone. `cargo xtask bench sync` puts them together.

mod documents;
mod error;
mod lines;
mod load;
mod measure;
mod sink;
mod sync;

pub use documents::{Documents, Generated};
pub use error::BenchError;
pub use lines::load_lines;
pub use load::{LoadOptions, Loaded, load};
pub use measure::{Taken, Usage};
pub use sink::{Counts, Sink, SinkOptions};
pub use sync::{SyncOptions, Synced, sync_once};
