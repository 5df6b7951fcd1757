use bytes::{BufMut, Bytes, BytesMut};
use elasticsearch::BulkParts;
use serde::Serialize;
use tributary_protocol::IndexName;

use super::bulk_answer::{BulkAnswer, read_answer};
use crate::call::Call;
use crate::{Client, ClientError, Repeat, Result};

/// What one operation of a bulk request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BulkOp {
    /// Creates or fully replaces a document.
    Index,
    /// Creates a document; fails with 409 when it exists.
    Create,
    /// Merges into a document.
    Update,
    /// Deletes a document.
    Delete,
}

impl BulkOp {
    /// The operation's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Index, Self::Create, Self::Update, Self::Delete].into_iter().find(|op| op.as_str() == name)
    }
}

/// A bulk request for one index. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct BulkBody {
    index: IndexName,
    payload: Bytes,
    items: usize,
    repeat: Repeat,
}

impl BulkBody {
    /// A request from lines that are ready: action and source lines without an index name, the last one ended by a
    /// newline. `items` is the number of operations in them. They must only be such that doing them twice is the same
    /// as doing them once (`index`, `delete`, `update` with absolute values).
    #[must_use]
    pub fn from_lines(index: IndexName, payload: Bytes, items: usize) -> Self {
        Self { index, payload, items, repeat: Repeat::Freely }
    }

    /// The index that is written.
    #[must_use]
    pub fn index(&self) -> &IndexName {
        &self.index
    }

    /// Number of operations.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Size of the lines, uncompressed.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }
}

/// Why an operation was not added to a [`BulkBuilder`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The request is full: send it, then add the operation to a new one. A request that is empty takes any operation.
    #[error("the bulk request is full")]
    Full,
    /// The document is not JSON.
    #[error("the document cannot be written as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// Builds bulk requests for one index, bounded in bytes and operations. Documents are written into the request's
/// buffer at once; nothing of them is kept besides.
#[derive(Debug)]
pub struct BulkBuilder {
    index: IndexName,
    buffer: BytesMut,
    items: usize,
    max_bytes: usize,
    max_items: usize,
    repeat: Repeat,
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    _id: Option<&'a str>,
}

impl BulkBuilder {
    /// A builder of requests of at most `max_bytes` (uncompressed) and `max_items` operations. A single operation
    /// that is larger goes alone.
    #[must_use]
    pub fn new(index: IndexName, max_bytes: usize, max_items: usize) -> Self {
        Self { index, buffer: BytesMut::new(), items: 0, max_bytes, max_items, repeat: Repeat::Freely }
    }

    /// Number of operations added.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Size of the lines so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Adds: create or fully replace the document.
    ///
    /// # Errors
    /// [`PushError`]; the builder is as before.
    pub fn index<T: Serialize + ?Sized>(&mut self, id: &str, document: &T) -> Result<(), PushError> {
        self.push(BulkOp::Index, Some(id), |line| serde_json::to_writer(line, document))
    }

    /// Adds: create or fully replace the document, given as JSON text on one line.
    ///
    /// # Errors
    /// [`PushError::Full`]; the builder is as before.
    pub fn index_json(&mut self, id: &str, document: &[u8]) -> Result<(), PushError> {
        self.push(BulkOp::Index, Some(id), |line| {
            line.get_mut().put_slice(document);
            Ok(())
        })
    }

    /// Adds: create the document, under an id that the index chooses where none is given.
    ///
    /// Such a request is not sent again after an attempt whose outcome is unknown.
    ///
    /// # Errors
    /// [`PushError`]; the builder is as before.
    pub fn create<T: Serialize + ?Sized>(&mut self, id: Option<&str>, document: &T) -> Result<(), PushError> {
        self.push(BulkOp::Create, id, |line| serde_json::to_writer(line, document))?;
        self.repeat = Repeat::IfNotDone;
        Ok(())
    }

    /// Adds: merge `change` into the document, which is created from it where `upsert` says so.
    ///
    /// # Errors
    /// [`PushError`]; the builder is as before.
    pub fn update<T: Serialize + ?Sized>(
        &mut self,
        id: &str,
        change: &T,
        upsert: bool,
    ) -> Result<(), PushError> {
        #[derive(Serialize)]
        struct Change<'a, T: ?Sized> {
            doc: &'a T,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            doc_as_upsert: bool,
        }
        let change = Change { doc: change, doc_as_upsert: upsert };
        self.push(BulkOp::Update, Some(id), |line| serde_json::to_writer(line, &change))
    }

    /// Adds: delete the document.
    ///
    /// # Errors
    /// [`PushError::Full`]; the builder is as before.
    pub fn delete(&mut self, id: &str) -> Result<(), PushError> {
        self.push(BulkOp::Delete, Some(id), |_| Ok(()))
    }

    /// The request so far; the builder is empty again. `None` when nothing was added.
    pub fn take(&mut self) -> Option<BulkBody> {
        let items = std::mem::take(&mut self.items);
        let repeat = std::mem::replace(&mut self.repeat, Repeat::Freely);
        let payload = self.buffer.split().freeze();
        (items > 0).then(|| BulkBody { index: self.index.clone(), payload, items, repeat })
    }

    fn push(
        &mut self,
        op: BulkOp,
        id: Option<&str>,
        source: impl FnOnce(&mut bytes::buf::Writer<&mut BytesMut>) -> serde_json::Result<()>,
    ) -> Result<(), PushError> {
        let before = self.buffer.len();
        let written = self.write(op, id, source);
        let fits = self.items == 0 || (self.buffer.len() <= self.max_bytes && self.items < self.max_items);
        let outcome = match written {
            Err(error) => Err(error.into()),
            Ok(()) if !fits => Err(PushError::Full),
            Ok(()) => Ok(()),
        };
        match outcome {
            Ok(()) => self.items += 1,
            Err(_) => self.buffer.truncate(before),
        }
        outcome
    }

    fn write(
        &mut self,
        op: BulkOp,
        id: Option<&str>,
        source: impl FnOnce(&mut bytes::buf::Writer<&mut BytesMut>) -> serde_json::Result<()>,
    ) -> serde_json::Result<()> {
        let mut line = (&mut self.buffer).writer();
        line.get_mut().put_slice(b"{\"");
        line.get_mut().put_slice(op.as_str().as_bytes());
        line.get_mut().put_slice(b"\":");
        serde_json::to_writer(&mut line, &Target { _id: id })?;
        line.get_mut().put_slice(b"}\n");
        if op != BulkOp::Delete {
            source(&mut line)?;
            line.get_mut().put_slice(b"\n");
        }
        Ok(())
    }
}

impl Client {
    /// Sends a bulk request, through the ingest pipeline `pipeline` where one is given. A single operation that fails
    /// is an item of the answer, not an error.
    ///
    /// A request that the cluster throttles (429) is not tried again here: whoever writes much has to write less at
    /// once, not to insist.
    ///
    /// # Errors
    /// Where the whole request failed; [`crate::ErrorKind::TooLarge`] asks the caller to split it.
    pub async fn bulk(&self, body: &BulkBody, pipeline: Option<&str>) -> Result<BulkAnswer> {
        self.bulk_of(body, pipeline, |_| None).await
    }

    /// As [`Client::bulk`] where the caller knows the ids it sent, by the operation's place: the answer has an id only
    /// where it is another.
    ///
    /// # Errors
    /// As [`Client::bulk`].
    pub async fn bulk_of<'a>(
        &self,
        body: &BulkBody,
        pipeline: Option<&str>,
        sent: impl Fn(usize) -> Option<&'a str> + Send,
    ) -> Result<BulkAnswer> {
        if body.is_empty() {
            return Ok(BulkAnswer::default());
        }
        let mut call = Call::post(BulkParts::Index(body.index.as_str()).url()).lines(body.payload.clone());
        call.repeat = body.repeat;
        call.yields = true;
        if let Some(pipeline) = pipeline {
            call = call.query("pipeline", pipeline);
        }
        let reply = self.send(call).await?;
        let mut answer = reply.read(read_answer(&reply.body, body.items, sent))?;
        if answer.items.len() != body.items {
            let reason = format!("{} operations were sent, {} answers came", body.items, answer.items.len());
            return Err(ClientError::bad_answer(reason)
                .with_maybe_done(true)
                .with_operation(&reply.operation)
                .with_host(&reply.host));
        }
        answer.sent_bytes = reply.sent;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn index() -> IndexName {
        IndexName::try_from("search-docs".to_owned()).unwrap()
    }

    fn text(body: &BulkBody) -> &str {
        std::str::from_utf8(&body.payload).unwrap()
    }

    #[test]
    fn every_operation_is_its_lines() {
        let mut builder = BulkBuilder::new(index(), 1000, 10);
        builder.index("a\"1", &json!({"t": 1})).unwrap();
        builder.index_json("b", br#"{"t":2}"#).unwrap();
        builder.create(None, &json!({"t": 3})).unwrap();
        builder.update("c", &json!({"t": 4}), true).unwrap();
        builder.update("d", &json!({"t": 5}), false).unwrap();
        builder.delete("e").unwrap();
        let body = builder.take().unwrap();
        assert_eq!(body.items(), 6);
        assert_eq!(
            text(&body),
            concat!(
                "{\"index\":{\"_id\":\"a\\\"1\"}}\n{\"t\":1}\n",
                "{\"index\":{\"_id\":\"b\"}}\n{\"t\":2}\n",
                "{\"create\":{}}\n{\"t\":3}\n",
                "{\"update\":{\"_id\":\"c\"}}\n{\"doc\":{\"t\":4},\"doc_as_upsert\":true}\n",
                "{\"update\":{\"_id\":\"d\"}}\n{\"doc\":{\"t\":5}}\n",
                "{\"delete\":{\"_id\":\"e\"}}\n",
            )
        );
        assert!(builder.is_empty());
        assert!(builder.take().is_none());
    }

    #[test]
    fn a_full_request_takes_no_more_and_stays_as_it_was() {
        let mut builder = BulkBuilder::new(index(), 60, 2);
        builder.delete("a").unwrap();
        assert!(matches!(builder.index("b", &json!({"t": "x".repeat(60)})), Err(PushError::Full)));
        builder.delete("c").unwrap();
        assert!(matches!(builder.delete("d"), Err(PushError::Full)));
        assert_eq!(
            text(&builder.take().unwrap()),
            "{\"delete\":{\"_id\":\"a\"}}\n{\"delete\":{\"_id\":\"c\"}}\n"
        );
    }

    #[test]
    fn an_empty_request_takes_an_operation_of_any_size() {
        let mut builder = BulkBuilder::new(index(), 10, 10);
        builder.index("b", &json!({"t": "x".repeat(60)})).unwrap();
        assert!(matches!(builder.delete("c"), Err(PushError::Full)));
    }

    #[test]
    fn only_creations_make_a_request_unrepeatable() {
        let mut builder = BulkBuilder::new(index(), 1000, 10);
        builder.create(Some("a"), &json!({})).unwrap();
        assert_eq!(builder.take().unwrap().repeat, Repeat::IfNotDone);
        builder.delete("a").unwrap();
        assert_eq!(builder.take().unwrap().repeat, Repeat::Freely);
    }
}
