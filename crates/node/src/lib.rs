//! The embedded node: an HTTP front of the store that speaks Elasticsearch's language, so that its official clients,
//! the Python connector service and curl work unchanged.
//!
//! It serves the Connector, Sync Job and Secret APIs, documents, bulk, search, points in time, scrolls, index
//! administration, ingest pipelines, API keys and the few cluster endpoints clients ask for. What it does not serve
//! answers 4xx with a reason that says so.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tributary_node::{Node, NodeOptions};
//! use tributary_store::{Store, StoreOptions};
//!
//! let store = Store::open(StoreOptions::new("data"))?;
//! let running = Node::start(NodeOptions::new("data"), store).await?;
//! println!("listening on {}", running.local_addr());
//! running.stop().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod error;
mod http;
mod ingest;
mod node;
mod options;
mod security;
mod server;
mod templates;
mod update;
mod writes;

pub use error::NodeError;
pub use node::Node;
pub use options::{NodeOptions, Password, Security, TlsFiles, User};
pub use security::UserFile;
pub use server::{Reload, RunningNode, router};
