//! The forms of bodies beside JSON: YAML, CBOR and SMILE. What is read becomes JSON, which is all that handlers know.

mod cbor;
mod smile;
mod surrogates;
mod yaml;

use bytes::Bytes;
use serde_json::Value;

use super::envelope::{ApiError, Result};

/// The deepest nesting that is read, as in JSON.
const MAX_DEPTH: usize = 127;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Yaml,
    Cbor,
    Smile,
}

/// With this some programs mark their texts as UTF-8; Elasticsearch skips it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body as JSON. An empty one stays empty.
pub(crate) fn to_json(form: Form, body: Bytes) -> Result<Bytes> {
    if body.is_empty() {
        return Ok(body);
    }
    let read = match form {
        Form::Json if body.starts_with(BYTE_ORDER_MARK) => {
            return Ok(surrogates::joined(body.slice(BYTE_ORDER_MARK.len()..)));
        }
        Form::Json => return Ok(surrogates::joined(body)),
        Form::Yaml => yaml::read(&body),
        Form::Cbor => cbor::read(&body),
        Form::Smile => smile::read(&body),
    };
    let name = match form {
        Form::Json => "JSON",
        Form::Yaml => "YAML",
        Form::Cbor => "CBOR",
        Form::Smile => "SMILE",
    };
    let malformed = |why: String| {
        ApiError::new(
            400,
            "x_content_parse_exception",
            format!("the body is not {name} that can be read: {why}"),
        )
    };
    let json = read.map_err(malformed)?;
    // Without a value it is what blank text is in JSON, and not as if there were no body.
    Ok(if json.is_empty() { Bytes::from_static(b" ") } else { json.into() })
}

/// A value in a form.
pub(crate) fn write(form: Form, value: &Value) -> Vec<u8> {
    match form {
        Form::Json => value.to_string().into_bytes(),
        Form::Yaml => yaml::write(value),
        Form::Cbor => cbor::write(value),
        Form::Smile => smile::write(value),
    }
}

/// JSON as it is put together, token by token. Names are written as they come: whoever reads the JSON sees doublets.
#[derive(Default)]
struct Json {
    out: String,
    /// Of each open object or array: whether it is an object, and how many names and values it has.
    open: Vec<(bool, usize)>,
}

impl Json {
    /// Text: a name where an object wants one, a value elsewhere.
    fn text(&mut self, text: &str) {
        self.token(&Value::from(text).to_string());
    }

    /// A number, a boolean or null.
    fn scalar(&mut self, value: impl Into<Value>) {
        self.token(&value.into().to_string());
    }

    fn token(&mut self, token: &str) {
        self.separate();
        self.out.push_str(token);
    }

    fn separate(&mut self) {
        if let Some((object, count)) = self.open.last_mut() {
            match (*object, *count) {
                (_, 0) => {}
                (true, count) if count % 2 == 1 => self.out.push(':'),
                _ => self.out.push(','),
            }
            *count += 1;
        }
    }

    fn begin(&mut self, object: bool) -> std::result::Result<(), String> {
        if self.open.len() == MAX_DEPTH {
            return Err(format!("nesting deeper than {MAX_DEPTH}"));
        }
        self.token(if object { "{" } else { "[" });
        self.open.push((object, 0));
        Ok(())
    }

    fn end(&mut self) {
        if let Some((object, _)) = self.open.pop() {
            self.out.push(if object { '}' } else { ']' });
        }
    }

    /// Whether the next token is a name.
    fn wants_name(&self) -> bool {
        self.open.last().is_some_and(|(object, count)| *object && count % 2 == 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FORMS: [Form; 3] = [Form::Yaml, Form::Cbor, Form::Smile];

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-40i64..40).prop_map(Value::from),
            (-1e15f64..1e15).prop_map(Value::from),
            "\\PC{0,90}".prop_map(Value::from),
            "[ -~\\n\\t]{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[ -~é]{1,80}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in any_value()) {
            for form in FORMS {
                let written = write(form, &value);
                let read = to_json(form, written.clone().into());
                let read = read.map_err(|error| TestCaseError::fail(format!("{form:?} {} {:?}", error.reason(), String::from_utf8_lossy(&written))))?;
                prop_assert_eq!(&serde_json::from_slice::<Value>(&read).unwrap(), &value, "{:?}", form);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            for form in FORMS {
                let mut body = if form == Form::Smile { b":)\n\x05".to_vec() } else { Vec::new() };
                body.extend(&bytes);
                if let Ok(read) = to_json(form, body.into()) {
                    let blank = form == Form::Yaml && read == " ";
                    prop_assert!(blank || serde_json::from_slice::<Value>(&read).is_ok(), "{form:?} {read:?}");
                }
            }
        }
    }

    #[test]
    fn doublets_reach_the_reader() {
        let read = to_json(Form::Yaml, Bytes::from_static(b"a: 1\na: 2\n")).unwrap();
        assert_eq!(read, r#"{"a":1,"a":2}"#);
        let read = to_json(Form::Cbor, Bytes::from_static(b"\xa2aa\x01aa\x02")).unwrap();
        assert_eq!(read, r#"{"a":1,"a":2}"#);
    }

    #[test]
    fn nesting_is_limited() {
        let deep = |n: usize| {
            [
                (Form::Yaml, format!("{}1{}", "[".repeat(n), "]".repeat(n)).into_bytes()),
                (Form::Cbor, [vec![0x81; n], vec![1]].concat()),
                (Form::Smile, [b":)\n\x00".to_vec(), vec![0xf8; n], vec![0xc2], vec![0xf9; n]].concat()),
            ]
        };
        for (form, body) in deep(MAX_DEPTH) {
            assert!(to_json(form, body.into()).is_ok(), "{form:?}");
        }
        for (form, body) in deep(MAX_DEPTH + 1).into_iter().chain(deep(100_000)) {
            assert!(to_json(form, body.into()).is_err(), "{form:?}");
        }
    }

    #[test]
    fn an_empty_body_stays_empty() {
        for form in FORMS {
            assert_eq!(to_json(form, Bytes::new()).unwrap(), Bytes::new());
            assert!(!write(form, &json!({})).is_empty());
        }
    }
}
