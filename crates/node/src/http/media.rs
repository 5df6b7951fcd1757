//! Media types: what a client sends and what it wants back.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};

use super::envelope::{ApiError, Result};
use super::forms::Form;

/// The major version that answers unless another is asked for, and the oldest that may be asked for.
const CURRENT: i8 = 9;
const OLDEST: i8 = 8;

/// A form, and whether it is named with Elasticsearch's own prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) form: Form,
    vendor: bool,
}

impl Named {
    /// The value of the parameter `format`; nothing for one that is not known.
    fn of_format(text: &str) -> Option<Self> {
        let form = match text.to_ascii_lowercase().as_str() {
            "json" => Form::Json,
            "yaml" => Form::Yaml,
            "cbor" => Form::Cbor,
            "smile" => Form::Smile,
            _ => return None,
        };
        Some(Self { form, vendor: false })
    }

    fn name(self) -> String {
        let form = match self.form {
            Form::Json => "json",
            Form::Yaml => "yaml",
            Form::Cbor => "cbor",
            Form::Smile => "smile",
        };
        format!("application/{}{form}", if self.vendor { "vnd.elasticsearch+" } else { "" })
    }
}

/// A client's wish for the form of the answer: `format` before `Accept` before the form of its own body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    format: Option<Named>,
    accept: Option<Named>,
    /// The form of the request's body, or the one that a request without a body claims.
    content: Option<Named>,
    /// The parameters of `Accept`, each behind a semicolon, which the answer's type repeats.
    parameters: String,
    /// Whether the parameter `format` is there, known or not.
    formatted: bool,
}

impl Wish {
    /// With the value of the parameter `format`.
    pub(crate) fn with_format(mut self, format: Option<&str>) -> Self {
        self.formatted = format.is_some();
        self.format = format.and_then(Named::of_format);
        self
    }

    fn named(&self) -> Named {
        let asked = self.format.or(self.accept).or(self.content);
        asked.unwrap_or(Named { form: Form::Json, vendor: false })
    }

    /// The form of the answer.
    pub(crate) fn form(&self) -> Form {
        self.named().form
    }

    /// The `Content-Type` of the answer.
    pub(crate) fn media_type(&self) -> String {
        self.named().name() + &self.parameters
    }

    /// Whether tables are written as text: unless a form is asked for.
    pub(crate) fn wants_text(&self) -> bool {
        if self.formatted { self.format.is_none() } else { self.accept.is_none() }
    }

    /// The form of the body.
    pub(crate) fn body_form(&self) -> Form {
        self.content.map_or(Form::Json, |named| named.form)
    }
}

/// One parsed media type.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Media {
    /// `type/subtype`, lower-case.
    name: String,
    parameters: Vec<(String, String)>,
    /// As it was sent.
    raw: String,
}

impl Media {
    fn version(&self) -> Result<Option<i8>> {
        let named = self.parameters.iter().rfind(|(name, _)| name == "compatible-with");
        let Some((_, text)) = named else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            let cause = format!("invalid media-type [{}]", self.raw);
            invalid("Accept, Content-Type", "illegal_argument_exception", cause)
        })?;
        Ok(Some(number))
    }

    fn named(&self) -> Option<Named> {
        let (form, vendor) = match self.name.as_str() {
            "application/json" | "application/x-ndjson" | "application/*" => (Form::Json, false),
            "application/yaml" => (Form::Yaml, false),
            "application/cbor" => (Form::Cbor, false),
            "application/smile" => (Form::Smile, false),
            "application/vnd.elasticsearch+json" | "application/vnd.elasticsearch+x-ndjson" => {
                (Form::Json, true)
            }
            "application/vnd.elasticsearch+yaml" => (Form::Yaml, true),
            "application/vnd.elasticsearch+cbor" => (Form::Cbor, true),
            "application/vnd.elasticsearch+smile" => (Form::Smile, true),
            _ => return None,
        };
        Some(Named { form, vendor })
    }
}

fn invalid(headers: &str, cause_type: &str, cause: String) -> ApiError {
    ApiError::new(
        400,
        "media_type_header_exception",
        format!("Invalid media-type value on headers [{headers}]"),
    )
    .because(cause_type, cause)
}

/// A media type; nothing for a list of several, and for `*/*`, which leave the choice to the server.
fn parse(raw: &str) -> std::result::Result<Option<Media>, String> {
    if raw.contains(',') || raw.trim() == "*/*" {
        return Ok(None);
    }
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let lower = raw.to_ascii_lowercase();
    let mut parts = lower.split(';');
    let name = parts.next().unwrap_or_default();
    let (kind, subtype) = match name.split_once('/') {
        Some((kind, subtype)) if token(kind.trim()) && token(subtype.trim()) => (kind.trim(), subtype.trim()),
        _ => return Err(format!("invalid media-type [{raw}]")),
    };
    let mut parameters = Vec::new();
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        match part.split('=').collect::<Vec<_>>().as_slice() {
            [name, value] if !name.is_empty() && !value.is_empty() => {
                parameters.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => return Err(format!("invalid parameters for header [{raw}]")),
        }
    }
    Ok(Some(Media { name: format!("{kind}/{subtype}"), parameters, raw: raw.to_owned() }))
}

/// A header's media type.
fn header(headers: &HeaderMap, name: &HeaderName, shown: &str) -> Result<Option<Media>> {
    let wrong = |cause: String| invalid(shown, "illegal_argument_exception", cause);
    let mut values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let Some(raw) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong(format!("Incorrect header [{shown}]. Only one value should be provided")));
    }
    if raw.trim().is_empty() {
        return Err(wrong(format!("Header [{shown}] cannot be empty.")));
    }
    parse(&raw).map_err(wrong)
}

fn check_version(version: i8, name: &str, raw: &str) -> Result<()> {
    if (OLDEST..=CURRENT).contains(&version) {
        return Ok(());
    }
    let text = format!(
        "{name} version must be either version {CURRENT} or {OLDEST}, but found {version}. {name}={raw}"
    );
    Err(invalid("Accept, Content-Type", "status_exception", text))
}

fn check_versions(accept: Option<&Media>, content: Option<&Media>, has_body: bool) -> Result<()> {
    let raw = |media: Option<&Media>| media.map_or_else(|| "null".to_owned(), |media| media.raw.clone());
    let version = |media: Option<&Media>| media.map_or(Ok(None), Media::version);
    let (wanted, sent) = (version(accept)?, version(content)?);
    check_version(wanted.unwrap_or(CURRENT), "Accept", &raw(accept))?;
    if !has_body {
        return Ok(());
    }
    check_version(sent.unwrap_or(CURRENT), "Content-Type", &raw(content))?;
    let must_match = if wanted.unwrap_or(CURRENT) != sent.unwrap_or(CURRENT) {
        " and the compatible versions must match"
    } else if wanted.is_some() != sent.is_some() {
        ""
    } else {
        return Ok(());
    };
    let text = format!(
        "A compatible version is required on both Content-Type and Accept headers if either one has requested a \
         compatible version{must_match}. Accept={}, Content-Type={}",
        raw(accept),
        raw(content)
    );
    Err(invalid("Accept, Content-Type", "status_exception", text))
}

/// Judges both headers. `has_body` tells whether the request carries content, whose version then counts.
pub(crate) fn negotiate(headers: &HeaderMap, has_body: bool) -> Result<Wish> {
    let accept = header(headers, &ACCEPT, "Accept")?;
    let content = header(headers, &CONTENT_TYPE, "Content-Type")?;
    check_versions(accept.as_ref(), content.as_ref(), has_body)?;
    let parameters = accept.iter().flat_map(|media| &media.parameters);
    Ok(Wish {
        format: None,
        accept: accept.as_ref().and_then(Media::named),
        content: content.as_ref().and_then(Media::named),
        parameters: parameters.map(|(name, value)| format!(";{name}={value}")).collect(),
        formatted: false,
    })
}

/// The form that a media type names, of the parameter `source_content_type`.
pub(crate) fn form_of(raw: &str) -> Result<Form> {
    let invalid = |_| ApiError::illegal(format!("invalid Content-Type header [{raw}]"));
    let named = parse(raw).map_err(invalid)?.as_ref().and_then(Media::named);
    named
        .map(|named| named.form)
        .ok_or_else(|| validation(&format!("Unknown value for source_content_type [{raw}]")))
}

/// A refusal of parameters.
pub(crate) fn validation(message: &str) -> ApiError {
    ApiError::new(400, "validation_exception", format!("Validation Failed: 1: {message};"))
}

/// Refuses a body of a type that is not read, or, where lines are read one by one, one that does not come in lines.
pub(crate) fn check_body(headers: &HeaderMap, wish: &Wish, in_lines: bool) -> Result<()> {
    match wish.content {
        Some(named) if !in_lines || named.form == Form::Json => Ok(()),
        _ => {
            let raw = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
            let raw = raw.unwrap_or_default();
            Err(ApiError::text(406, format!("Content-Type header [{raw}] is not supported")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: &str = "application/vnd.elasticsearch+json";

    fn headers(accept: Option<&str>, content: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(ACCEPT, accept), (CONTENT_TYPE, content)] {
            value.map(|value| headers.insert(name, value.parse().unwrap()));
        }
        headers
    }

    /// Taken from the answers of Elasticsearch 9.4.
    #[test]
    fn the_answers_type_follows_accept_then_the_bodys_and_repeats_the_parameters_of_accept() {
        let with = |n: u32| format!("{VENDOR}; compatible-with={n}");
        let table: [(Option<&str>, Option<&str>, &str); 16] = [
            (None, None, "application/json"),
            (Some("application/json"), None, "application/json"),
            (Some("*/*"), None, "application/json"),
            (Some("application/*"), None, "application/json"),
            (Some(&with(8)), None, "application/vnd.elasticsearch+json;compatible-with=8"),
            (Some(&with(9)), Some(&with(9)), "application/vnd.elasticsearch+json;compatible-with=9"),
            (Some(VENDOR), None, VENDOR),
            (None, Some(VENDOR), VENDOR),
            (None, Some("application/x-ndjson"), "application/json"),
            (None, Some("application/yaml"), "application/yaml"),
            (Some("application/json"), Some("application/yaml"), "application/json"),
            (Some("application/json; Charset=UTF-8 ; a=B"), None, "application/json;charset=utf-8;a=b"),
            (Some("*/*;q=0.1"), None, "application/json;q=0.1"),
            (Some("text/html, */*;q=0.1"), None, "application/json"),
            (Some("a/b"), None, "application/json"),
            (Some("application/vnd.elasticsearch+cbor"), None, "application/vnd.elasticsearch+cbor"),
        ];
        for (accept, content, wanted) in table {
            let wish = negotiate(&headers(accept, content), content.is_some()).unwrap();
            assert_eq!(wish.media_type(), wanted, "{accept:?} {content:?}");
        }
        let yaml = negotiate(&headers(Some("application/json"), None), false).unwrap();
        assert_eq!(yaml.clone().with_format(Some("YAML")).media_type(), "application/yaml");
        assert_eq!(yaml.with_format(Some("foo")).media_type(), "application/json");
    }

    #[test]
    fn bodies_need_a_type_that_is_read() {
        let judge = |content: Option<&str>, in_lines| {
            let headers = headers(None, content);
            negotiate(&headers, true).and_then(|wish| check_body(&headers, &wish, in_lines))
        };
        let refused = [None, Some("text/plain"), Some("application/json, text/plain"), Some("text/json")];
        for content in refused {
            let error = judge(content, false).unwrap_err();
            let shown = content.unwrap_or_default();
            assert_eq!(error.reason(), format!("Content-Type header [{shown}] is not supported"));
            assert_eq!(error.status(), 406);
        }
        for content in ["application/json", "application/json; charset=UTF-8", "application/x-ndjson", VENDOR]
        {
            assert!(judge(Some(content), true).is_ok(), "{content}");
        }
        for content in ["application/yaml", "application/cbor", "application/smile"] {
            assert!(judge(Some(content), false).is_ok(), "{content}");
            assert_eq!(judge(Some(content), true).unwrap_err().status(), 406, "{content}");
        }
    }

    /// Taken from the answers of Elasticsearch 9.4.
    #[test]
    fn headers_that_are_no_media_type_are_refused_with_and_without_a_body() {
        let with = |n: u32| format!("{VENDOR};compatible-with={n}");
        let (old, new) = (with(8), with(9));
        let both = "A compatible version is required on both Content-Type and Accept headers if either one has \
                    requested a compatible version";
        let table: [(Option<&str>, Option<&str>, bool, String); 12] = [
            (Some(""), None, false, "Header [Accept] cannot be empty.".into()),
            (Some("foo"), None, false, "invalid media-type [foo]".into()),
            (
                Some("application/json;foo"),
                None,
                false,
                "invalid parameters for header [application/json;foo]".into(),
            ),
            (None, Some(" "), false, "Header [Content-Type] cannot be empty.".into()),
            (None, Some("foo"), false, "invalid media-type [foo]".into()),
            (
                Some(&with(7)),
                None,
                false,
                format!("Accept version must be either version 9 or 8, but found 7. Accept={}", with(7)),
            ),
            (
                None,
                Some(&with(10)),
                true,
                format!(
                    "Content-Type version must be either version 9 or 8, but found 10. Content-Type={}",
                    with(10)
                ),
            ),
            (
                Some(&new),
                Some("application/json"),
                true,
                format!("{both}. Accept={new}, Content-Type=application/json"),
            ),
            (None, Some(&new), true, format!("{both}. Accept=null, Content-Type={new}")),
            (
                None,
                Some("application/json;compatible-with=9"),
                true,
                format!("{both}. Accept=null, Content-Type=application/json;compatible-with=9"),
            ),
            (
                None,
                Some(&old),
                true,
                format!("{both} and the compatible versions must match. Accept=null, Content-Type={old}"),
            ),
            (
                Some(&old),
                Some(&new),
                true,
                format!("{both} and the compatible versions must match. Accept={old}, Content-Type={new}"),
            ),
        ];
        for (accept, content, has_body, wanted) in table {
            let error = negotiate(&headers(accept, content), has_body).unwrap_err();
            assert_eq!(error.body()["error"]["caused_by"]["reason"], wanted, "{accept:?} {content:?}");
            assert_eq!(error.status(), 400);
        }
        // The version of a body that is not there does not count.
        assert!(negotiate(&headers(None, Some(&old)), false).is_ok());
        let mut twice = headers(Some("application/json"), None);
        twice.append(ACCEPT, "application/json".parse().unwrap());
        assert!(negotiate(&twice, false).is_err());
    }

    #[test]
    fn tables_are_text_unless_a_form_is_asked_for() {
        let several = "text/plain,application/vnd.elasticsearch+json; compatible-with=8";
        let table = [
            (None, None, true),
            (Some(several), None, true),
            (Some("text/plain"), None, true),
            (Some("application/*"), None, false),
            (Some("application/json"), None, false),
            (Some("application/json"), Some("txt"), true),
            (None, Some("JSON"), false),
            (None, Some("cbor"), false),
        ];
        for (accept, format, wanted) in table {
            let wish = negotiate(&headers(accept, None), false).unwrap().with_format(format);
            assert_eq!(wish.wants_text(), wanted, "{accept:?} {format:?}");
        }
    }
}
