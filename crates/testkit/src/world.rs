use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a source lists, in a test: a real server or a faithful fake, and everything a test does to it.
pub trait World: Sized + Send + 'static {
    /// How many items make the source's listing long: more than its queues hold, and several checkpoints.
    const MANY: usize = 2_500;

    /// What takes long and is done once, such as building a server. It does not count as a law's time.
    fn prepare() {}

    /// A world with at least three items, of every kind the source knows.
    fn start() -> impl Future<Output = Self> + Send;

    /// Values of configuration fields that connect to it.
    fn config(&self) -> Map<String, Value>;

    /// Ids of the documents that a full listing must find.
    fn ids(&self) -> impl Future<Output = BTreeSet<String>> + Send;

    /// Adds an item; returns its document's id.
    fn add(&mut self) -> impl Future<Output = String> + Send;

    /// Changes the content of an item.
    fn change(&mut self, id: &str) -> impl Future<Output = ()> + Send;

    /// Removes an item.
    fn remove(&mut self, id: &str) -> impl Future<Output = ()> + Send;

    /// Makes the whole source unreachable, as when its server stops.
    fn go_away(&mut self) -> impl Future<Output = ()> + Send;

    /// Makes a part of the source impossible to list (a folder without rights, a page that fails) while the rest goes
    /// on. Returns whether that can be done here.
    fn break_part(&mut self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// Adds an item that is listed but can neither be described nor read; returns its id, if that can be done here.
    fn add_unreadable(&mut self) -> impl Future<Output = Option<String>> + Send {
        std::future::ready(None)
    }

    /// Adds many items at once.
    fn fill(&mut self, count: usize) -> impl Future<Output = ()> + Send {
        async move {
            for _ in 0..count {
                self.add().await;
            }
        }
    }
}
