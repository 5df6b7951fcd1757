use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tributary_client::{Client, ClientOptions, RetryPolicy};
use tributary_node::{Node, NodeOptions, RunningNode, Security};
use tributary_store::{Store, StoreOptions, SyncMode};

use crate::OPERATOR;

/// A node in this process, on a free port.
#[derive(Debug)]
pub struct TestNode {
    url: String,
    data_dir: PathBuf,
    running: RunningNode,
    store: Kept,
    folder: Option<TempDir>,
}

/// Closed when it is dropped, whoever else still holds it: what writes its files must end before their folder goes. Stores
/// have no `Debug`.
struct Kept(Store);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl TestNode {
    /// A node on an empty folder, which goes with it.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut node = Self::start_in(folder.path()).await;
        node.folder = Some(folder);
        node
    }

    /// As [`TestNode::start`], with security; [`OPERATOR`] is its user.
    pub async fn start_secured() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (name, password) = OPERATOR;
        let mut node = Self::start_with(folder.path(), Security::with_user(name, password)).await;
        node.folder = Some(folder);
        node
    }

    /// A node on this folder, which stays.
    pub async fn start_in(data_dir: &Path) -> Self {
        Self::start_with(data_dir, Security::default()).await
    }

    async fn start_with(data_dir: &Path, security: Security) -> Self {
        // Power does not fail in tests, and nobody waits for the disk.
        let options = StoreOptions::new(data_dir).sync(SyncMode::None);
        let store = Store::open(options).unwrap_or_else(|error| panic!("the store does not open: {error}"));
        let listen = ([127, 0, 0, 1], 0).into();
        let options = NodeOptions::new(data_dir).listen(listen).security(security);
        let running = Node::start(options, store.clone()).await;
        let running = running.unwrap_or_else(|error| panic!("the node does not start: {error}"));
        let url = format!("http://{}", running.local_addr());
        Self { url, data_dir: data_dir.to_owned(), running, store: Kept(store), folder: None }
    }

    /// Its address for clients.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of it that does not try again.
    #[must_use]
    pub fn client(&self) -> Client {
        let options = ClientOptions::new([self.url.as_str()]).retry(RetryPolicy::NEVER);
        Client::new(options).unwrap_or_else(|error| panic!("no client of {}: {error}", self.url))
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store.0
    }

    /// Ends it and closes its store.
    pub async fn stop(self) {
        self.running.stop().await;
        self.store.0.close();
        drop(self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_answers_and_comes_back_with_its_data() {
        let folder = TempDir::new().unwrap();
        let node = TestNode::start_in(folder.path()).await;
        let body = tributary_client::ClientOptions::new([node.url()]);
        assert!(Client::new(body).unwrap().raw("PUT", "/a", None).await.is_ok());
        node.stop().await;
        let node = TestNode::start_in(folder.path()).await;
        assert!(node.client().raw("GET", "/a", None).await.is_ok());
        node.stop().await;
    }
}
