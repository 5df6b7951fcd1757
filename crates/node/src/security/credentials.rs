//! What the header `Authorization` says.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::access::unauthorized;
use crate::http::{ApiError, Result};

/// Padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The credentials of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// None, or of a kind that is not known.
    Missing,
    Basic {
        name: String,
        password: String,
    },
    Key {
        id: String,
        secret: String,
    },
}

/// Reads them; what cannot be read is 401.
pub(super) fn read(headers: &HeaderMap) -> Result<Credentials> {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(Credentials::Missing);
    }
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => basic(rest),
        "apikey" => key(rest).map_err(|why| refused("API key", &why)),
        "bearer" => Err(refused("oauth2 token", "invalid token")),
        _ => Ok(Credentials::Missing),
    }
}

fn basic(text: &str) -> Result<Credentials> {
    let decoded = decode(text).map_err(|why| {
        unauthorized("invalid basic authentication header encoding")
            .because("illegal_argument_exception", why)
    })?;
    let (name, password) =
        decoded.split_once(':').ok_or_else(|| unauthorized("invalid basic authentication header value"))?;
    Ok(Credentials::Basic { name: name.to_owned(), password: password.to_owned() })
}

fn key(text: &str) -> Result<Credentials, String> {
    let decoded = decode(text)?;
    let (id, secret) = decoded.split_once(':').ok_or("invalid ApiKey value")?;
    Ok(Credentials::Key { id: id.to_owned(), secret: secret.to_owned() })
}

/// The error for credentials of this kind that do not hold.
pub(super) fn refused(kind: &str, why: &str) -> ApiError {
    let reason = "unable to authenticate with provided credentials and anonymous access is not allowed for this request";
    unauthorized(reason).with("additional_unsuccessful_credentials", format!("{kind}: {why}"))
}

fn decode(text: &str) -> Result<String, String> {
    let bytes = BASE64.decode(text).map_err(|_| undecodable(text))?;
    // Like a decoder that replaces what is no UTF-8: such names and secrets are nobody's.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Why a text is no Base64, in Elasticsearch's words.
fn undecodable(text: &str) -> String {
    if text.len() < 2 {
        return "Input byte[] should at least have 2 bytes for base64 bytes".to_owned();
    }
    let foreign = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    match text.bytes().find(foreign) {
        Some(byte) => format!("Illegal base64 character {byte:x}"),
        None => "Input byte array has wrong 4-byte ending unit".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &str) -> Result<Credentials> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        read(&headers)
    }

    #[test]
    fn both_kinds_are_read_with_and_without_padding() {
        let ab = |value: &str| match given(value) {
            Ok(Credentials::Basic { name, password }) => format!("{name} {password}"),
            Ok(Credentials::Key { id, secret }) => format!("{id} {secret}"),
            other => format!("{other:?}"),
        };
        for value in ["Basic YTpi", "basic  YTpi", "ApiKey YTpi", "APIKEY YTpi"] {
            assert_eq!(ab(value), "a b", "{value}");
        }
        assert_eq!(ab("Basic YTpiYw=="), "a bc");
        assert_eq!(ab("Basic YTpiYw"), "a bc");
        for value in ["", "Basic", "ApiKey ", "Foo YTpi"] {
            assert_eq!(given(value).unwrap(), Credentials::Missing, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let why = |value: &str| given(value).unwrap_err().body()["error"].clone();
        assert_eq!(why("Basic !!!")["caused_by"]["reason"], "Illegal base64 character 21");
        assert_eq!(why("Basic YWI=")["reason"], "invalid basic authentication header value");
        let member = "additional_unsuccessful_credentials";
        assert_eq!(why("ApiKey YWI=")[member], "API key: invalid ApiKey value");
        assert_eq!(why("Bearer x")[member], "oauth2 token: invalid token");
    }
}
