//! Walks a document's JSON beside the mapping.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::flat::FlatDoc;
use super::values;
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::json::{JsonError, Reader, Token, line_col};
use crate::mapping::{
    Dynamic, FieldType, Leaf, Mapping, Node, ObjectNode, add_new_field, join, strict_error,
};

/// The document's fields, and those the mapping does not know yet.
pub(super) struct Walked {
    pub(super) flat: FlatDoc,
    pub(super) new_fields: ObjectNode,
}

/// Names that a document must not use at its top.
const METADATA: [&str; 13] = [
    "_id",
    "_index",
    "_source",
    "_routing",
    "_ignored",
    "_seq_no",
    "_version",
    "_primary_term",
    "_field_names",
    "_nested_path",
    "_tier",
    "_data_stream_timestamp",
    "_ignored_source",
];

pub(super) struct Walker<'a> {
    text: &'a str,
    pub(super) reader: Reader<'a>,
    pub(super) mapping: &'a Mapping,
    id: Option<&'a str>,
    pub(super) flat: FlatDoc,
    new_fields: ObjectNode,
    /// Keys seen in the objects that are open; each object owns the part from its beginning.
    keys: Vec<Cow<'a, str>>,
    /// Where the present field's name stands.
    name_at: usize,
}

static EMPTY: std::sync::LazyLock<ObjectNode> = std::sync::LazyLock::new(ObjectNode::default);

/// Where the walk stands in the mapping.
#[derive(Clone, Copy)]
struct Place<'m> {
    node: Option<&'m Node>,
    dynamic: Dynamic,
}

impl<'a> Walker<'a> {
    pub(super) fn new(mapping: &'a Arc<Mapping>, id: Option<&'a str>, source: &'a Bytes) -> Result<Self> {
        let text = std::str::from_utf8(source).map_err(|error| {
            let reason =
                format!("failed to parse: the document is not valid UTF-8 at byte {}", error.valid_up_to());
            StoreError::new(ErrorKind::DocumentParsing, reason)
        })?;
        Ok(Self {
            text,
            reader: Reader::new(text),
            mapping,
            id,
            flat: FlatDoc::new(Arc::clone(mapping), source.clone()),
            new_fields: ObjectNode::default(),
            keys: Vec::new(),
            name_at: 0,
        })
    }

    /// Reads the whole document.
    pub(super) fn run(mut self) -> Result<Walked> {
        if self.reader.peek() != Some(b'{') {
            let reason = "Malformed content, must start with an object";
            return Err(StoreError::new(ErrorKind::DocumentParsing, reason));
        }
        let token = self.token()?;
        let root = self.mapping.root();
        if root.enabled {
            self.object(root, "", root.dynamic.unwrap_or(Dynamic::True))?;
        } else {
            self.skip_rest(&token)?;
        }
        self.nothing_follows()?;
        Ok(self.walked())
    }

    pub(super) fn nothing_follows(&mut self) -> Result<()> {
        if self.reader.peek().is_none() {
            return Ok(());
        }
        let what = match self.token()? {
            Token::ObjectStart => "START_OBJECT",
            Token::ArrayStart => "START_ARRAY",
            _ => "VALUE",
        };
        let reason = format!("Malformed content, found extra data after parsing: {what}");
        Err(StoreError::illegal(reason))
    }

    pub(super) fn walked(self) -> Walked {
        Walked { flat: self.flat, new_fields: self.new_fields }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        line_col(self.text, offset)
    }

    /// The error for text that is not JSON.
    pub(super) fn syntax(&self, error: &JsonError) -> StoreError {
        let (line, col) = self.position(error.offset);
        let inner = format!("[{line}:{col}] {}", error.message);
        let kind = if error.offset >= self.text.len() {
            "x_content_e_o_f_exception"
        } else {
            "x_content_parse_exception"
        };
        self.failed(inner, kind)
    }

    /// `failed to parse: ...` at the present field.
    fn failed(&self, why: String, cause: &str) -> StoreError {
        let (line, col) = self.position(self.name_at);
        StoreError::new(ErrorKind::DocumentParsing, format!("[{line}:{col}] failed to parse: {why}"))
            .because(Cause::new(cause, why))
    }

    pub(super) fn token(&mut self) -> Result<Token<'a>> {
        self.reader.token().map_err(|error| self.syntax(&error))
    }

    fn skip_rest(&mut self, token: &Token<'a>) -> Result<()> {
        self.reader.skip_rest(token).map_err(|error| self.syntax(&error))
    }

    pub(super) fn element(&mut self, first: &mut bool) -> Result<bool> {
        self.reader.element(first).map_err(|error| self.syntax(&error))
    }

    /// Reads the members of an object whose brace was just read.
    fn object(&mut self, node: &'a ObjectNode, path: &str, dynamic: Dynamic) -> Result<()> {
        let keys = self.keys.len();
        let mut first = true;
        loop {
            if self.reader.peek() == Some(b'"') || first {
                self.name_at = self.reader.offset();
            }
            let Some(key) = self.reader.key(&mut first).map_err(|error| self.syntax(&error))? else { break };
            self.check_key(&key, keys)?;
            match metadata_of(&key).filter(|_| path.is_empty()) {
                Some(field) => self.metadata(field, key.split_once('.').map(|(_, below)| below))?,
                None => self.member(node, path, &key, dynamic)?,
            }
            if path.is_empty() {
                self.flat.end_member(&key, self.reader.offset());
            }
            self.keys.push(key);
        }
        self.keys.truncate(keys);
        Ok(())
    }

    /// Checks a key of the object whose keys begin at `from`.
    fn check_key(&mut self, key: &str, from: usize) -> Result<()> {
        if self.keys[from..].iter().any(|seen| seen == key) {
            let (line, col) = self.position(self.reader.offset());
            let why = format!("[{line}:{}] Duplicate field '{key}'", col.saturating_sub(1));
            return Err(self.failed(why, "x_content_parse_exception"));
        }
        if key.is_empty() {
            return Err(
                self.failed("field name cannot be an empty string".to_owned(), "illegal_argument_exception")
            );
        }
        let dotted = key.as_bytes().contains(&b'.');
        let blank = if dotted { key.split('.').any(is_blank) } else { is_blank(key) };
        if blank {
            let why = format!("field name cannot contain only whitespace: ['{key}']");
            return Err(self.failed(why, "illegal_argument_exception"));
        }
        Ok(())
    }

    /// What a document has where it must not name metadata: refused, unless it is no value at all, as an empty list is.
    /// `below` is what follows in a name with dots.
    fn metadata(&mut self, field: &str, below: Option<&str>) -> Result<()> {
        // A later version may have a value there, which reading along would take for a field's.
        self.flat.forget_members();
        self.reader.peek();
        let at = self.reader.offset();
        let token = self.token()?;
        if below.is_none() && matches!(token, Token::ArrayStart) {
            let mut first = true;
            while self.element(&mut first)? {
                self.metadata(field, None)?;
            }
            return Ok(());
        }
        self.skip_rest(&token)?;
        let end = self.reader.offset();
        let mut shown = preview(self.text.get(at..end).unwrap_or_default());
        for part in below.iter().flat_map(|below| below.rsplit('.')) {
            shown = format!("{{{part}={shown}}}");
        }
        let (line, col) = self.position(if below.is_some() { self.name_at } else { at });
        let why = format!(
            "[{line}:{col}] Field [{field}] is a metadata field and cannot be added inside a document. Use the index API \
             request parameters."
        );
        let cause = Cause::new(ErrorKind::DocumentParsing.es_type(), why);
        let place = if matches!(token, Token::ObjectStart | Token::ArrayStart) { end - 1 } else { at };
        Err(self.bad_field(field, field, place, &shown, cause))
    }

    /// One member; a name with dots leads through objects.
    pub(super) fn member(
        &mut self,
        object: &'a ObjectNode,
        path: &str,
        name: &str,
        dynamic: Dynamic,
    ) -> Result<()> {
        let dynamic = object.dynamic.unwrap_or(dynamic);
        let Some((head, rest)) = name.split_once('.') else {
            let place = Place { node: object.children.get(name), dynamic };
            let full = if path.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(join(path, name)) };
            return self.value(place, &full, name, path);
        };
        let below = join(path, head);
        match object.children.get(head) {
            Some(Node::Object(inner)) if !inner.enabled => {
                self.reader.skip().map_err(|error| self.syntax(&error))
            }
            Some(Node::Object(inner)) => self.member(inner, &below, rest, dynamic),
            Some(Node::Field(field)) if field.ty == FieldType::Flattened => {
                let leaf = self.leaf(field.leaf)?;
                self.flattened(leaf, rest)
            }
            Some(Node::Field(field)) => {
                let (line, col) = self.position(self.reader.offset() + 1);
                let reason = format!(
                    "[{line}:{col}] failed to parse: Could not dynamically add mapping for field [{name}]. Existing mapping \
                     for [{below}] must be of type object but found [{}].",
                    field.ty.name()
                );
                Err(StoreError::new(ErrorKind::DocumentParsing, reason))
            }
            None => self.member(&EMPTY, &below, rest, dynamic),
        }
    }

    fn leaf(&self, id: u32) -> Result<&'a Arc<Leaf>> {
        let missing =
            || StoreError::new(ErrorKind::Internal, format!("field number {id} is not in the mapping"));
        self.mapping.leaf(id).ok_or_else(missing)
    }

    /// One value of a field or object.
    fn value(&mut self, place: Place<'a>, path: &str, name: &str, within: &str) -> Result<()> {
        self.reader.peek();
        let at = self.reader.offset();
        let token = self.token()?;
        match place.node {
            Some(Node::Object(object)) => self.object_value(object, place, path, name, within, &token, at),
            Some(Node::Field(field)) => {
                let leaf = self.leaf(field.leaf)?;
                self.field_value(leaf, place, path, name, within, &token, at)
            }
            None => self.unmapped(place, path, name, within, &token, at),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn object_value(
        &mut self,
        object: &'a ObjectNode,
        place: Place<'a>,
        path: &str,
        name: &str,
        within: &str,
        token: &Token<'a>,
        at: usize,
    ) -> Result<()> {
        match token {
            _ if !object.enabled => self.skip_rest(token),
            Token::ObjectStart => self.object(object, path, object.dynamic.unwrap_or(place.dynamic)),
            Token::ArrayStart => {
                let mut first = true;
                while self.element(&mut first)? {
                    self.value(place, path, "null", within)?;
                }
                Ok(())
            }
            Token::Null => Ok(()),
            _ => {
                let (line, col) = self.position(at);
                let reason = format!(
                    "[{line}:{col}] object mapping for [{path}] tried to parse field [{name}] as object, but found a concrete \
                     value"
                );
                Err(StoreError::new(ErrorKind::DocumentParsing, reason))
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn field_value(
        &mut self,
        leaf: &Arc<Leaf>,
        place: Place<'a>,
        path: &str,
        name: &str,
        within: &str,
        token: &Token<'a>,
        at: usize,
    ) -> Result<()> {
        match token {
            Token::ArrayStart => {
                let mut first = true;
                while self.element(&mut first)? {
                    self.value(place, path, name, within)?;
                }
                Ok(())
            }
            Token::ObjectStart if leaf.ty == FieldType::Flattened => self.flattened_object(leaf, ""),
            Token::ObjectStart => {
                self.skip_rest(token)?;
                if leaf.ignore_malformed {
                    return Ok(());
                }
                let end = self.reader.offset();
                let preview = preview(self.text.get(at..end).unwrap_or_default());
                let cause = values::object_cause(leaf.ty, self.position(at));
                Err(self.bad_value(leaf, end - 1, &preview, cause))
            }
            token => self.scalar(leaf, token, at),
        }
    }

    fn unmapped(
        &mut self,
        place: Place<'a>,
        path: &str,
        name: &str,
        within: &str,
        token: &Token<'a>,
        at: usize,
    ) -> Result<()> {
        match place.dynamic {
            Dynamic::Strict => Err(strict_error(self.position(at), name, within)),
            Dynamic::False | Dynamic::Runtime => self.skip_rest(token),
            Dynamic::True => match token {
                Token::Null => Ok(()),
                Token::ArrayStart => {
                    let mut first = true;
                    while self.element(&mut first)? {
                        self.value(place, path, name, within)?;
                    }
                    Ok(())
                }
                Token::ObjectStart => {
                    let node = self.mapping.infer(path, token)?;
                    let object = matches!(node, Node::Object(_));
                    let enabled = !matches!(&node, Node::Object(object) if !object.enabled);
                    self.add_new(path, node);
                    if object && enabled {
                        self.object(&EMPTY, path, Dynamic::True)
                    } else {
                        self.skip_rest(token)
                    }
                }
                scalar => {
                    let node = self.mapping.infer(path, scalar)?;
                    self.add_new(path, node);
                    Ok(())
                }
            },
        }
    }

    /// Notes a field the mapping lacks. What was noted first stays; a contradiction shows when the document is read
    /// again under the new mapping.
    pub(super) fn add_new(&mut self, path: &str, node: Node) {
        let full = self.mapping.limits.ignore_beyond
            && self.mapping.root().count() + self.new_fields.count() >= self.mapping.limits.total_fields;
        if full {
            return;
        }
        let mut object = &self.new_fields;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            match object.children.get(part) {
                Some(Node::Object(inner)) if parts.peek().is_some() => object = inner,
                Some(_) => return,
                None => break,
            }
        }
        add_new_field(&mut self.new_fields, path, node);
    }

    pub(super) fn bad_value(&self, leaf: &Leaf, at: usize, preview: &str, cause: Cause) -> StoreError {
        self.bad_field(&leaf.path, leaf.ty.name(), at, preview, cause)
    }

    fn bad_field(&self, field: &str, kind: &str, at: usize, preview: &str, cause: Cause) -> StoreError {
        let (line, col) = self.position(at);
        let id = self.id.map_or_else(String::new, |id| format!(" in document with id '{id}'"));
        let reason = format!(
            "[{line}:{col}] failed to parse field [{field}] of type [{kind}]{id}. Preview of field's value: '{preview}'"
        );
        StoreError::new(ErrorKind::DocumentParsing, reason).because(cause)
    }
}

fn is_blank(name: &str) -> bool {
    name.bytes().next().is_none_or(|first| !first.is_ascii_alphanumeric()) && name.trim().is_empty()
}

/// The name of metadata that a key at the top of a document begins with.
fn metadata_of(key: &str) -> Option<&'static str> {
    if key.as_bytes().first() != Some(&b'_') {
        return None;
    }
    let head = key.split_once('.').map_or(key, |(head, _)| head);
    METADATA.into_iter().find(|name| *name == head)
}

/// An object as Java prints it, for errors.
fn preview(json: &str) -> String {
    fn show(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Object(object) => {
                let parts: Vec<String> = object.iter().map(|(k, v)| format!("{k}={}", show(v))).collect();
                format!("{{{}}}", parts.join(", "))
            }
            serde_json::Value::Array(list) => {
                format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        }
    }
    serde_json::from_str(json).map_or_else(|_| json.to_owned(), |value| show(&value))
}
