use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::json;
use tributary_sdk::emit::{self, Emitter, Stop};
use tributary_sdk::{Context, Cursor, DataSource, Event, Result, Resumable};

use crate::client::Client;
use crate::config::SampleConfig;
use crate::document::event;

/// The connected source.
#[derive(Debug)]
pub struct SampleSource {
    client: Client,
}

impl SampleSource {
    pub(crate) fn new(config: SampleConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// Lists page after page. A page that fails ends the listing with its error, never as if it were the last.
    async fn list(&self, mut from: usize, emit: Emitter) -> Result<(), Stop> {
        loop {
            let page = self.client.page(from).await?;
            for item in page.items {
                emit.send(event(item)?).await?;
            }
            let Some(next) = page.next else { return Ok(()) };
            emit.send(Event::Checkpoint(Cursor(json!(next)))).await?;
            from = next;
        }
    }
}

#[async_trait]
impl DataSource for SampleSource {
    async fn ping(&self, _cx: &Context) -> Result<()> {
        self.client.page(0).await.map(|_| ())
    }

    fn documents<'a>(&'a self, cx: &'a Context) -> BoxStream<'a, Result<Event>> {
        let from =
            cx.cursor.as_ref().and_then(|cursor| cursor.0.as_u64()).and_then(|from| from.try_into().ok());
        emit::stream(move |emit| self.list(from.unwrap_or(0), emit))
    }
}

/// Only for sources whose order is stable; else remove this, the facet and the checkpoints.
impl Resumable for SampleSource {}
