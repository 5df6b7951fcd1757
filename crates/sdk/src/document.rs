use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde_json::Value;

use crate::{Error, ErrorKind, Fields, Result};

/// Fields that most documents have at most.
const FIELDS: usize = 8;

/// Identifies a document within its connector's index; never empty. Ids longer than Elasticsearch allows (512
/// bytes) are hashed by the engine (sync-runtime 6.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocId(String);

impl DocId {
    /// An id.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] when `id` is empty.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() {
            return Err(Error::new(ErrorKind::InvalidData, "a document id is empty"));
        }
        Ok(Self(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as owned text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One item of content on its way to the index.
#[derive(Debug)]
pub struct Document {
    /// Its id.
    pub id: DocId,
    /// Its fields, without `_id`, `id`, `_timestamp`, body and access fields: the engine adds those.
    pub fields: Fields,
    /// When the item last changed at the source; becomes `_timestamp`.
    pub timestamp: Option<DateTime<Utc>>,
    /// A token that changes whenever the content behind [`Document::body`] may have changed (an ETag, a revision,
    /// or size and modification time). Without it the body is fetched on every full sync.
    pub version: Option<String>,
    /// Names of top-level fields that may change without the document having changed (an access time, a view
    /// count): sent with the document, but left out of the comparison with the indexed one.
    pub volatile: &'static [&'static str],
    /// Who may see it.
    pub access: Access,
    /// Its content, fetched only when it is needed.
    pub body: Option<Body>,
}

impl Document {
    /// A document with `id` and nothing else; visible to everybody.
    #[must_use]
    pub fn new(id: DocId) -> Self {
        Self {
            id,
            fields: Fields::with_capacity(FIELDS),
            timestamp: None,
            version: None,
            volatile: &[],
            access: Access::Everyone,
            body: None,
        }
    }

    /// Sets a field.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name, value);
        self
    }
}

/// Who may see a document (sync-runtime section 9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// No restriction: the document carries no access field.
    #[default]
    Everyone,
    /// Only holders of one of these tokens (`user:…`, `group:…`). An empty list means nobody: the engine writes a
    /// token that no one holds, since Elasticsearch reads an empty array as "no field", that is, everybody.
    Only(Vec<String>),
}

/// What a body is made of, known before it is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Text; becomes the field `body`.
    Text,
    /// Bytes that a pipeline extracts text from; becomes `_attachment`, and is only fetched when the index's
    /// pipeline extracts attachments.
    Binary,
}

/// Fetched content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text for the field `body`.
    Text(String),
    /// Bytes for the field `_attachment`.
    Binary(Bytes),
    /// There is no content to index, for this reason (too large, not readable as text); the document's fields are
    /// indexed without it.
    Nothing {
        /// Why, for the person who looks for the content.
        reason: String,
    },
}

type Fetch = Box<dyn FnOnce() -> BoxFuture<'static, Result<Content>> + Send>;

/// Content that is fetched lazily. An `Err` of the fetch means: skip this document for now and keep what is
/// indexed of it.
pub struct Body {
    kind: BodyKind,
    size: Option<u64>,
    held: u64,
    fetch: Fetch,
}

impl Body {
    /// Content of `kind` that `fetch` gets.
    pub fn lazy<F, T>(kind: BodyKind, fetch: F) -> Self
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<Content>> + Send + 'static,
    {
        Self { kind, size: None, held: 0, fetch: Box::new(|| Box::pin(fetch())) }
    }

    /// Text that is at hand already.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        let size = text.len() as u64;
        let lazy = Self::lazy(BodyKind::Text, move || std::future::ready(Ok(Content::Text(text))));
        Self { size: Some(size), held: size, ..lazy }
    }

    /// Says how many bytes the content will have at most, so that memory can be set aside before it is fetched.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// What the content is made of.
    #[must_use]
    pub fn kind(&self) -> BodyKind {
        self.kind
    }

    /// Size in bytes, when known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Bytes of content that it holds before it is fetched, so that they can be counted as memory in use.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.held
    }

    /// Fetches the content.
    ///
    /// # Errors
    /// Whatever kept the source from reading it.
    pub async fn fetch(self) -> Result<Content> {
        (self.fetch)().await
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("kind", &self.kind).field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_id_is_refused() {
        assert_eq!(DocId::new("").unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_text_body_knows_its_size_and_gives_its_text() {
        let body = Body::text("héllo");
        assert_eq!((body.kind(), body.size()), (BodyKind::Text, Some(6)));
        assert_eq!(body.fetch().await.unwrap(), Content::Text("héllo".to_owned()));
    }
}
