//! Bodies of the secret endpoints (connector-api 13).

use std::fmt;

use super::fault::Parsed;
use super::json::Located;
use super::no_broken_rule;
use super::object::{Shape, Takes, optional, required};
use crate::ProtocolError;

const POST: Shape =
    Shape { parser: "post_secret_request", strict: true, keys: &[optional("value", Takes::Text)] };
const PUT: Shape =
    Shape { parser: "connector_secret_put_request", strict: true, keys: &[required("value", Takes::Text)] };

/// A secret to be stored. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRequest(String);

impl fmt::Debug for SecretRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRequest(***)")
    }
}

impl SecretRequest {
    /// Reads the body of `POST /_connector/_secret`.
    ///
    /// # Errors
    /// As connector-api 2.3 and 13.
    pub fn parse_post(body: &[u8]) -> Result<Self, ProtocolError> {
        Self::parse(&POST, body, "[value] of the connector secret cannot be [null] or [\"\"]")
    }

    /// Reads the body of `PUT /_connector/_secret/{id}`.
    ///
    /// # Errors
    /// As connector-api 2.3 and 13.
    pub fn parse_put(body: &[u8]) -> Result<Self, ProtocolError> {
        Self::parse(&PUT, body, "[value] cannot be [null] or [\"\"]")
    }

    fn parse(shape: &Shape, body: &[u8], when_empty: &str) -> Result<Self, ProtocolError> {
        let value = Located::parse(body).and_then(|body| read(shape, &body))?;
        if value.is_empty() {
            no_broken_rule(vec![when_empty.to_owned()])?;
        }
        Ok(Self(value))
    }

    /// The secret in clear.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn read(shape: &Shape, body: &Located) -> Parsed<String> {
    let mut secret = String::new();
    shape.read(body, |_, value| {
        secret = value.string()?;
        Ok(())
    })?;
    Ok(secret)
}
