//! Media types: what a client sends and what it wants back.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::envelope::{ApiError, Result};

/// Major versions a client may ask compatibility with: this one and the one before.
const VERSIONS: [u32; 2] = [9, 8];

/// A client's wish for the form of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Wish {
    /// Nothing that decides it.
    #[default]
    Any,
    /// JSON, with the `compatible-with` version asked for, if any.
    Json(Option<u32>),
    /// Plain text (tables).
    Text,
    /// YAML.
    Yaml,
}

impl Wish {
    /// The `Content-Type` of a JSON answer.
    pub(crate) fn json_type(&self) -> &'static str {
        match self {
            Self::Json(Some(8)) => "application/vnd.elasticsearch+json;compatible-with=8",
            Self::Json(Some(9)) => "application/vnd.elasticsearch+json;compatible-with=9",
            _ => "application/json",
        }
    }
}

/// One parsed media type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Media {
    /// `type/subtype`, lower-case, without the vendor prefix.
    name: String,
    /// `compatible-with`.
    version: Option<u32>,
}

fn invalid(headers: &str, cause_type: &str, cause: String) -> ApiError {
    ApiError::new(
        400,
        "media_type_header_exception",
        format!("Invalid media-type value on headers [{headers}]"),
    )
    .because(cause_type, cause)
}

fn parse(text: &str, header: &str) -> Result<Media> {
    let bad = || invalid(header, "illegal_argument_exception", format!("invalid media-type [{text}]"));
    let lower = text.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let (kind, subtype) = name.split_once('/').ok_or_else(bad)?;
    if kind.is_empty() || subtype.is_empty() || subtype.contains(['/', ' ']) {
        return Err(bad());
    }
    let mut version = None;
    for part in parts.filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').ok_or_else(bad)?;
        if key == "compatible-with" && subtype.starts_with("vnd.elasticsearch+") {
            version = Some(value.parse().map_err(|_| bad())?);
        }
    }
    let subtype = subtype.strip_prefix("vnd.elasticsearch+").unwrap_or(subtype);
    let kind = if subtype == "text" { "text" } else { kind };
    let subtype = if subtype == "text" { "plain" } else { subtype };
    Ok(Media { name: format!("{kind}/{subtype}"), version })
}

fn header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.trim().is_empty())
}

fn check_version(media: &Media, name: &str, raw: &str) -> Result<()> {
    match media.version {
        Some(version) if !VERSIONS.contains(&version) => {
            let text =
                format!("{name} version must be either version 9 or 8, but found {version}. {name}={raw}");
            Err(invalid("Accept, Content-Type", "status_exception", text))
        }
        _ => Ok(()),
    }
}

/// Judges both headers. `has_body` tells whether the request carries content, whose type then counts.
pub(crate) fn negotiate(headers: &HeaderMap, has_body: bool) -> Result<Wish> {
    let accept_text = header(headers, &ACCEPT);
    // Several types in one header are too many to choose from: Elasticsearch then answers in its default form.
    let accept =
        accept_text.filter(|text| !text.contains(',')).map(|text| parse(text, "Accept")).transpose()?;
    if let (Some(accept), Some(raw)) = (&accept, accept_text) {
        check_version(accept, "Accept", raw)?;
    }
    if has_body {
        check_content(headers, accept.as_ref(), accept_text)?;
    }
    Ok(match accept {
        Some(Media { name, version }) => match name.as_str() {
            "application/json" | "application/x-ndjson" => Wish::Json(version),
            "text/plain" => Wish::Text,
            "application/yaml" => Wish::Yaml,
            _ => Wish::Any,
        },
        None => accept_text.and_then(first_of_several).unwrap_or_default(),
    })
}

/// `text/plain,application/vnd.elasticsearch+json; compatible-with=8`, as the official clients send it for tables.
fn first_of_several(text: &str) -> Option<Wish> {
    let version = text.split("compatible-with=").nth(1)?.chars().next()?.to_digit(10)?;
    let plain_first = text.trim_start().starts_with("text/");
    VERSIONS.contains(&version).then_some(if plain_first { Wish::Text } else { Wish::Json(Some(version)) })
}

fn check_content(headers: &HeaderMap, accept: Option<&Media>, accept_text: Option<&str>) -> Result<()> {
    let Some(raw) = header(headers, &CONTENT_TYPE) else {
        return Err(ApiError::text(406, "Content-Type header [] is not supported"));
    };
    let content = parse(raw, "Content-Type")?;
    if !matches!(content.name.as_str(), "application/json" | "application/x-ndjson") {
        return Err(ApiError::text(406, format!("Content-Type header [{raw}] is not supported")));
    }
    check_version(&content, "Content-Type", raw)?;
    let wanted = accept.and_then(|accept| accept.version);
    // A type without a version may go with any; two versions must agree.
    let several = accept.is_none() && accept_text.is_some();
    if !several && wanted != content.version && (content.version.is_some() || wanted.is_some()) {
        let text = format!(
            "A compatible version is required on both Content-Type and Accept headers if either one has requested a \
             compatible version. Accept={}, Content-Type={raw}",
            accept_text.unwrap_or("null")
        );
        return Err(invalid("Accept, Content-Type", "status_exception", text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str, content: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        if !content.is_empty() {
            headers.insert(CONTENT_TYPE, content.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_answer_has_the_version_that_was_asked_for() {
        let vnd = |n: u32| format!("application/vnd.elasticsearch+json; compatible-with={n}");
        let table = [
            (String::new(), "application/json"),
            ("application/json".to_owned(), "application/json"),
            ("*/*".to_owned(), "application/json"),
            (vnd(8), "application/vnd.elasticsearch+json;compatible-with=8"),
            (vnd(9), "application/vnd.elasticsearch+json;compatible-with=9"),
        ];
        for (accept, wanted) in table {
            assert_eq!(negotiate(&headers(&accept, ""), false).unwrap().json_type(), wanted, "{accept}");
        }
    }

    #[test]
    fn bodies_need_a_type_that_is_json() {
        for (content, status) in [("", 406), ("text/plain", 406), ("application/cbor", 406), ("foo", 400)] {
            assert_eq!(
                negotiate(&headers("", content), true).unwrap_err().status().as_u16(),
                status,
                "{content}"
            );
            assert!(negotiate(&headers("", content), false).is_ok(), "no body, no matter");
        }
        for content in ["application/json", "application/json; charset=UTF-8", "application/x-ndjson"] {
            assert!(negotiate(&headers("", content), true).is_ok(), "{content}");
        }
    }

    #[test]
    fn versions_must_be_known_and_agree() {
        let v = |n: u32| format!("application/vnd.elasticsearch+json; compatible-with={n}");
        assert!(
            negotiate(&headers(&v(9), "application/vnd.elasticsearch+x-ndjson; compatible-with=9"), true)
                .is_ok()
        );
        assert!(negotiate(&headers(&v(7), ""), false).is_err());
        assert!(negotiate(&headers(&v(10), ""), false).is_err());
        assert!(negotiate(&headers(&v(9), &v(8)), true).is_err());
        assert!(negotiate(&headers("", &v(9)), true).is_err());
        assert!(negotiate(&headers(&v(9), "application/json"), true).is_err());
    }

    #[test]
    fn tables_are_text_when_text_is_asked_for_first() {
        let accept = "text/plain,application/vnd.elasticsearch+json; compatible-with=8";
        assert_eq!(negotiate(&headers(accept, ""), false).unwrap(), Wish::Text);
        assert_eq!(negotiate(&headers("text/plain", ""), false).unwrap(), Wish::Text);
    }
}
