//! What is wrong with a body, in the words and with the nesting of connector-api 2.4.

use std::fmt;

use serde_json::{Value, json};

use super::json::At;
use crate::ProtocolError;

pub(super) type Parsed<T> = Result<T, Fault>;

const PARSE: &str = "x_content_parse_exception";
const CUT_OFF: &str = "x_content_e_o_f_exception";

/// An exception as Elasticsearch shows it: type, reason, cause.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cause {
    pub(super) es_type: &'static str,
    pub(super) reason: String,
    pub(super) caused_by: Option<Box<Cause>>,
}

impl Cause {
    pub(super) fn new(es_type: &'static str, reason: impl Into<String>) -> Self {
        Self { es_type, reason: reason.into(), caused_by: None }
    }

    pub(super) fn illegal(reason: impl Into<String>) -> Self {
        Self::new("illegal_argument_exception", reason)
    }

    pub(super) fn because(mut self, cause: Self) -> Self {
        self.caused_by = Some(Box::new(cause));
        self
    }

    /// The cause that helps most: the innermost of the parsing exceptions.
    pub(super) fn root(&self) -> &Self {
        match &self.caused_by {
            Some(inner) if self.es_type == PARSE && [PARSE, CUT_OFF].contains(&inner.es_type) => inner.root(),
            _ => self,
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut value = json!({"type": self.es_type, "reason": self.reason});
        if let Some(cause) = &self.caused_by {
            value["caused_by"] = cause.to_value();
        }
        value
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}]", self.line, self.col)
    }
}

/// A refusal of a body, and the token at which reading stopped: all objects around that token name its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) at: At,
    pub(super) cause: Box<Cause>,
}

impl Fault {
    pub(super) fn of(at: At, cause: Cause) -> Self {
        Self { at, cause: Box::new(cause) }
    }

    pub(super) fn illegal(at: At, reason: impl Into<String>) -> Self {
        Self::of(at, Cause::illegal(reason))
    }

    /// A refusal by the parser of an object.
    pub(super) fn parser(at: At, parser: &str, message: impl fmt::Display) -> Self {
        Self::of(at, Cause::new(PARSE, format!("{at} [{parser}] {message}")))
    }

    /// As the parser of the object around this value tells it.
    pub(super) fn in_field(self, parser: &str, key: &str) -> Self {
        let reason = format!("{} [{parser}] failed to parse field [{key}]", self.at);
        Self { at: self.at, cause: Box::new(Cause::new(PARSE, reason).because(*self.cause)) }
    }

    /// All members were read, but no object can be made of them.
    pub(super) fn build(at: At, parser: &str, cause: Cause) -> Self {
        let reason = format!("Failed to build [{parser}] after last required field arrived");
        Self::of(at, Cause::new(PARSE, reason).because(cause))
    }
}

impl From<Fault> for ProtocolError {
    fn from(fault: Fault) -> Self {
        let cause = *fault.cause;
        let root = Cause { caused_by: None, ..cause.root().clone() };
        let error = Self::new(400, cause.es_type, cause.reason).root_cause(root.to_value());
        match cause.caused_by {
            None => error,
            Some(inner) => error.caused_by(inner.to_value()),
        }
    }
}
