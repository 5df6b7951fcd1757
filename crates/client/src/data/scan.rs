use elasticsearch::{ClosePointInTimeParts, OpenPointInTimeParts, SearchParts};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tributary_protocol::IndexName;

use super::hit::{Hit, RawHit, SearchAnswer};
use crate::call::Call;
use crate::{Client, Result};

/// How long a point in time outlives the last request that used it.
const KEEP_ALIVE: &str = "5m";

/// A consistent walk over an index or alias, page by page.
pub(crate) struct Walk {
    client: Client,
    /// The search without paging; `size` included.
    body: Map<String, Value>,
    page: usize,
    pit: String,
    after: Option<Box<RawValue>>,
    ended: bool,
}

#[derive(Deserialize)]
struct Opened {
    id: String,
}

impl Walk {
    /// Opens a point in time. `None` when the index does not exist.
    pub(crate) async fn open(
        client: &Client,
        index: &str,
        body: Map<String, Value>,
        page: usize,
    ) -> Result<Option<Self>> {
        let call = Call::post(OpenPointInTimeParts::Index(&[index]).url()).query("keep_alive", KEEP_ALIVE);
        let opened: Opened = match client.send(call).await {
            Ok(reply) => reply.json()?,
            Err(error) if error.is_missing_index() => return Ok(None),
            Err(error) => return Err(error),
        };
        let client = client.clone();
        Ok(Some(Self { client, body, page: page.max(1), pit: opened.id, after: None, ended: false }))
    }

    /// The next page; `None` after the last, when the point in time is closed too.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<RawHit>>> {
        if self.ended {
            return Ok(None);
        }
        let page = match self.ask().await {
            Ok(page) => page,
            Err(error) => {
                self.close().await;
                return Err(error);
            }
        };
        if page.len() < self.page {
            self.close().await;
        }
        Ok(Some(page).filter(|page| !page.is_empty()))
    }

    async fn ask(&mut self) -> Result<Vec<RawHit>> {
        let mut body = self.body.clone();
        body.insert("size".into(), self.page.into());
        body.insert("pit".into(), json!({"id": self.pit, "keep_alive": KEEP_ALIVE}));
        body.insert("track_total_hits".into(), false.into());
        body.entry("sort").or_insert_with(|| json!([{"_shard_doc": "asc"}]));
        if let Some(after) = &self.after {
            body.insert("search_after".into(), serde_json::from_str(after.get()).unwrap_or(Value::Null));
        }
        let reply = self.client.send(Call::post(SearchParts::None.url()).json(&body)?).await?;
        let (hits, pit) = reply.json::<SearchAnswer>()?.complete()?;
        if let Some(pit) = pit {
            self.pit = pit;
        }
        self.after = hits.last().and_then(|hit| hit.sort.clone());
        Ok(hits)
    }

    /// Frees the point in time. One that cannot be freed ends by itself.
    async fn close(&mut self) {
        self.ended = true;
        let call = Call::delete(ClosePointInTimeParts::None.url()).json(&json!({"id": self.pit}));
        if let Ok(call) = call
            && let Err(error) = self.client.send_with(call, &crate::RetryPolicy::NEVER).await
        {
            tracing::debug!(%error, "a point in time was not closed and ends by itself");
        }
    }
}

impl Client {
    /// Every document that was in the index at the last refresh before the stream was first polled, each once, in no
    /// particular order. `source_includes` names the fields wanted (with `*` as wildcard); none: ids only. `page` is
    /// the number of documents per request; at most 10,000 unless the index says otherwise.
    ///
    /// An index that does not exist is empty. After an `Err` item the stream ends. The consumer may pause for up to
    /// 5 minutes between pages. A stream that is dropped early leaves a point in time, which ends after 5 minutes.
    #[must_use]
    pub fn scan(
        &self,
        index: &IndexName,
        source_includes: &[&str],
        page: usize,
    ) -> BoxStream<'static, Result<Hit>> {
        enum Step {
            Open(Client, String, Map<String, Value>),
            Walk(Box<Walk>),
        }
        let source =
            if source_includes.is_empty() { json!(false) } else { json!({"includes": source_includes}) };
        let body = Map::from_iter([("_source".to_owned(), source)]);
        let first = Step::Open(self.clone(), index.as_str().to_owned(), body);
        let pages = stream::try_unfold(first, move |step| async move {
            let mut walk = match step {
                Step::Walk(walk) => walk,
                Step::Open(client, index, body) => match Walk::open(&client, &index, body, page).await? {
                    Some(walk) => Box::new(walk),
                    None => return Ok(None),
                },
            };
            Ok(walk.next().await?.map(|hits| (hits, Step::Walk(walk))))
        });
        pages
            .map_ok(|hits| stream::iter(hits.into_iter().map(|hit| Ok(Hit::from(hit)))))
            .try_flatten()
            .boxed()
    }
}
