use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::{Serialize, de::DeserializeOwned};

use crate::fault::{is_page, page_words};
use crate::{ClientError, Repeat, Result};

/// One request, ready to be sent as often as needed.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: Cow<'a, str>,
    pub(crate) query: Vec<(&'static str, Cow<'a, str>)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) content_type: &'static str,
    pub(crate) repeat: Repeat,
    pub(crate) timeout: Option<Duration>,
    /// Whether an answer 429 goes back to the caller at once.
    pub(crate) yields: bool,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            content_type: "application/json",
            repeat: Repeat::Freely,
            timeout: None,
            yields: false,
        }
    }

    pub(crate) fn get(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::Get, path)
    }

    pub(crate) fn head(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::Head, path)
    }

    pub(crate) fn post(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::Post, path)
    }

    pub(crate) fn put(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::Put, path)
    }

    pub(crate) fn delete(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::Delete, path)
    }

    pub(crate) fn of(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(method, path)
    }

    pub(crate) fn query(mut self, name: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn query_if(self, wanted: bool, name: &'static str, value: &'static str) -> Self {
        if wanted { self.query(name, value) } else { self }
    }

    /// A JSON body.
    pub(crate) fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Result<Self> {
        let bytes = serde_json::to_vec(body)
            .map_err(|e| ClientError::config(format!("the request is not JSON: {e}")))?;
        self.body = Some(bytes.into());
        Ok(self)
    }

    /// A body of JSON lines.
    pub(crate) fn lines(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self.content_type = "application/x-ndjson";
        self
    }

    /// Sending it twice is not the same as sending it once.
    pub(crate) fn not_repeatable(mut self) -> Self {
        self.repeat = Repeat::IfNotDone;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Head => "HEAD",
        };
        let path = self.path.split_once('?').map_or(&*self.path, |(path, _)| path);
        write!(f, "{method} {path}")
    }
}

/// A good answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    /// Bytes of the request's body as sent.
    pub(crate) sent: u64,
    /// The header `X-Elastic-Product`.
    pub(crate) product: Option<String>,
    /// What was asked, for errors.
    pub(crate) operation: String,
    /// Who answered, for errors.
    pub(crate) host: String,
}

impl Reply {
    /// Reads the body, which must be JSON of this form.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.read(serde_json::from_slice(&self.body))
    }

    /// Names this answer in the error of reading it.
    pub(crate) fn read<T>(&self, read: serde_json::Result<T>) -> Result<T> {
        read.map_err(|error| {
            let told = if is_page(&self.body) {
                format!("the answer is a web page, not Elasticsearch's: '{}'", page_words(&self.body))
            } else {
                format!("the answer is not what Elasticsearch answers: {error}")
            };
            // Whatever it is, it begins like JSON; a proxy's page does not.
            let first = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
            let is_json = first.is_some_and(|byte| b"{[".contains(byte));
            let error = if is_json { ClientError::bad_answer(told) } else { ClientError::foreign(told) };
            error
                .with_status(self.status)
                .with_maybe_done(true)
                .with_operation(&self.operation)
                .with_host(&self.host)
        })
    }
}
