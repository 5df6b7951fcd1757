use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tributary_sdk::{Body, BodyKind, Content, Error};

use crate::encode::Written;
use crate::ledger::Ledger;
use crate::pipeline::Pending;
use crate::prepare::Prepared;
use crate::spec::{Extraction, TextExtractor};

/// Bytes set aside for a content of unknown size.
const UNKNOWN: usize = 1 << 20;
/// How many that wait are looked through for one that fits.
const LOOK_AHEAD: usize = 64;

/// A document that waits for its content.
#[derive(Debug)]
struct Waiting {
    pending: Pending,
    document: Box<Prepared>,
    body: Body,
}

/// A document whose content was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) pending: Pending,
    pub(crate) document: Box<Prepared>,
    /// Bytes set aside for it in the ledger.
    pub(crate) reserved: usize,
    pub(crate) content: Result<Content, Error>,
}

/// Fetches contents, several at once, as far as memory allows.
pub(crate) struct Bodies {
    waiting: VecDeque<Waiting>,
    running: FuturesUnordered<BoxFuture<'static, Fetched>>,
    most: usize,
    max_bytes: u64,
    extractor: Option<Arc<dyn TextExtractor>>,
}

impl Bodies {
    pub(crate) fn new(most: usize, max_bytes: u64, extractor: Option<Arc<dyn TextExtractor>>) -> Self {
        Self { waiting: VecDeque::new(), running: FuturesUnordered::new(), most, max_bytes, extractor }
    }

    pub(crate) fn push(&mut self, pending: Pending, document: Box<Prepared>, body: Body) {
        self.waiting.push_back(Waiting { pending, document, body });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// Starts as many fetches as may run. One that is too large for the moment lets smaller ones pass: what holds the
    /// memory may be slow.
    pub(crate) fn start(&mut self, ledger: &mut Ledger) {
        while self.running.len() < self.most {
            let running = self.running.len();
            let sizes =
                self.waiting.iter().take(LOOK_AHEAD).map(|waiting| needed(&waiting.body, self.max_bytes));
            let mut sizes = sizes.enumerate();
            let Some((at, reserved)) = sizes.find(|(_, size)| ledger.content_may_start(*size, running))
            else {
                return;
            };
            let Some(Waiting { pending, document, body }) = self.waiting.remove(at) else { return };
            ledger.reserve(reserved);
            let (max_bytes, extractor) = (self.max_bytes, self.extractor.clone());
            self.running.push(Box::pin(async move {
                let content = extracted(fetch(body, max_bytes).await, extractor.as_deref()).await;
                Fetched { pending, document, reserved, content }
            }));
        }
    }

    /// The next content; `None` when none is on its way. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Fetched> {
        self.running.next().await
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.running.clear();
    }
}

/// Memory for a content and the form it is written in.
fn needed(body: &Body, max_bytes: u64) -> usize {
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let size = match body.size() {
        // It counts already; a copy of it is written.
        Some(_) if body.held_bytes() > 0 => return 0,
        Some(size) if size > max_bytes => return 0,
        Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
        None => UNKNOWN.min(most),
    };
    match body.kind() {
        BodyKind::Text => size.saturating_mul(2),
        BodyKind::Binary => size.saturating_mul(7) / 3,
    }
}

async fn fetch(body: Body, max_bytes: u64) -> Result<Content, Error> {
    if let Some(size) = body.size()
        && size > max_bytes
        && body.held_bytes() == 0
    {
        return Ok(too_large(size, max_bytes));
    }
    let content = body.fetch().await?;
    match &content {
        Content::Binary(bytes) if bytes.len() as u64 > max_bytes => {
            Ok(too_large(bytes.len() as u64, max_bytes))
        }
        _ => Ok(content),
    }
}

/// The text of what is no text yet, where a service extracts it.
async fn extracted(
    content: Result<Content, Error>,
    extractor: Option<&dyn TextExtractor>,
) -> Result<Content, Error> {
    match (content, extractor) {
        (Ok(Content::Binary(bytes)), Some(extractor)) => Ok(match extractor.extract(bytes).await? {
            Extraction::Text(text) => Content::Text(text),
            Extraction::Nothing(reason) => Content::Nothing { reason },
        }),
        (content, _) => content,
    }
}

fn too_large(size: u64, limit: u64) -> Content {
    Content::Nothing { reason: format!("its content of {size} bytes exceeds the limit of {limit} bytes") }
}

/// How a content is written, or why it is left out.
pub(crate) fn written(content: Content, extracts_attachments: bool) -> Result<Written, String> {
    match content {
        Content::Text(text) => Ok(Written::Text(text)),
        Content::Binary(bytes) if extracts_attachments => Ok(Written::Attachment(bytes)),
        Content::Binary(_) => Err("its content is binary, and the pipeline does not extract text".to_owned()),
        Content::Nothing { reason } => Err(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;

    use super::*;

    async fn outcome(body: Body) -> Content {
        fetch(body, 100).await.unwrap()
    }

    fn binary(size: usize) -> Body {
        Body::lazy(BodyKind::Binary, move || {
            std::future::ready(Ok(Content::Binary(Bytes::from(vec![0; size]))))
        })
    }

    #[tokio::test]
    async fn a_content_over_the_limit_is_left_out_and_not_even_fetched_when_its_size_is_known() {
        let fetched = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&fetched);
        let body = Body::lazy(BodyKind::Text, move || {
            counter.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(Content::Text(String::new())))
        });
        assert!(matches!(outcome(body.with_size(101)).await, Content::Nothing { .. }));
        assert_eq!(fetched.load(Ordering::Relaxed), 0);
        assert!(matches!(outcome(binary(101)).await, Content::Nothing { .. }));
        assert!(matches!(outcome(binary(100)).await, Content::Binary(_)));
        assert!(
            matches!(outcome(Body::text("x".repeat(200))).await, Content::Text(_)),
            "texts have their own limit"
        );
    }

    /// Upper case is what it extracts; an empty file has no text, and of `down` nothing is heard.
    #[derive(Debug)]
    struct Upper;

    impl TextExtractor for Upper {
        fn extract(&self, file: Bytes) -> BoxFuture<'static, Result<Extraction, Error>> {
            Box::pin(std::future::ready(match &file[..] {
                b"" => Ok(Extraction::Nothing("it is empty".to_owned())),
                b"down" => Err(Error::new(tributary_sdk::ErrorKind::Unavailable, "nobody answers")),
                bytes => Ok(Extraction::Text(String::from_utf8_lossy(bytes).to_uppercase())),
            }))
        }
    }

    #[tokio::test]
    async fn a_service_extracts_the_text_of_files_and_leaves_texts_alone() {
        let ask = |content| extracted(Ok(content), Some(&Upper));
        let file = |bytes: &'static [u8]| Content::Binary(Bytes::from_static(bytes));
        assert_eq!(ask(file(b"text")).await.unwrap(), Content::Text("TEXT".to_owned()));
        assert_eq!(
            ask(Content::Text("as it is".to_owned())).await.unwrap(),
            Content::Text("as it is".to_owned())
        );
        assert!(
            matches!(ask(file(b"")).await.unwrap(), Content::Nothing { reason } if reason == "it is empty")
        );
        assert!(ask(file(b"down")).await.is_err());
        assert_eq!(extracted(Ok(file(b"text")), None).await.unwrap(), file(b"text"));
    }

    #[test]
    fn memory_is_set_aside_for_a_content_and_its_written_form() {
        assert_eq!(needed(&binary(1).with_size(30), 100), 70);
        assert_eq!(needed(&binary(1), 100), 233);
        assert_eq!(needed(&Body::text("abc"), 100), 0);
    }
}
