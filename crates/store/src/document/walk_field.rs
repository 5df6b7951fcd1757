//! The values of fields, as a document is walked through.

use std::sync::Arc;

use super::flat::KeywordKind;
use super::values::{self, BadValue};
use super::walk::Walker;
use crate::error::Result;
use crate::json::Token;
use crate::mapping::{FieldType, Leaf, Storage, join};

impl<'a> Walker<'a> {
    /// A scalar for a field and its multi-fields.
    pub(super) fn scalar(&mut self, leaf: &Arc<Leaf>, token: &Token<'a>, at: usize) -> Result<()> {
        self.add_checked(leaf, token, at)?;
        self.sub_fields(leaf, token, at)?;
        if !leaf.copy_to.is_empty() {
            self.flat.forget_members();
        }
        for target in &leaf.copy_to {
            match self.mapping.find(target) {
                Some(target) => self.scalar_copy(target, token, at)?,
                None => {
                    let node = self.mapping.infer(target, token)?;
                    if !matches!(token, Token::Null) {
                        self.add_new(target, node);
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies do not copy on.
    fn scalar_copy(&mut self, leaf: &Arc<Leaf>, token: &Token<'a>, at: usize) -> Result<()> {
        self.add_checked(leaf, token, at)?;
        self.sub_fields(leaf, token, at)
    }

    fn sub_fields(&mut self, leaf: &Leaf, token: &Token<'a>, at: usize) -> Result<()> {
        let mapping = self.mapping;
        for sub in leaf.subs.iter().filter_map(|id| mapping.leaf(*id)) {
            self.add_checked(sub, token, at)?;
        }
        Ok(())
    }

    fn add_checked(&mut self, leaf: &Leaf, token: &Token<'a>, at: usize) -> Result<()> {
        match self.add(leaf, token) {
            Ok(()) => Ok(()),
            Err(_) if leaf.ignore_malformed => Ok(()),
            Err(BadValue { cause, preview }) => {
                let preview =
                    preview.unwrap_or_else(|| values::scalar_text(token).unwrap_or("null").to_owned());
                Err(self.bad_value(leaf, at, &preview, cause))
            }
        }
    }

    fn add(&mut self, leaf: &Leaf, token: &Token<'a>) -> std::result::Result<(), BadValue> {
        if matches!(token, Token::Null) {
            return match super::null_token(leaf) {
                Some(token) => self.add(leaf, &token),
                None => Ok(()),
            };
        }
        match leaf.ty.storage() {
            Storage::Text => {
                let text = values::scalar_text(token).unwrap_or_default();
                if leaf.indexed {
                    self.flat.add_text(leaf.analyzer, leaf.id, text);
                    self.flat.add_length(leaf.id, self.mapping.analyzers.get(leaf.analyzer).length(text));
                }
                Ok(())
            }
            Storage::Keyword if leaf.ty == FieldType::Ip => {
                let text = values::ip(token)?;
                self.keyword(leaf, &text)
            }
            Storage::Keyword => {
                let text = values::scalar_text(token).unwrap_or_default();
                if leaf.ignore_above != usize::MAX
                    && text.len() > leaf.ignore_above
                    && text.chars().count() > leaf.ignore_above
                {
                    return Ok(());
                }
                match &leaf.normalizer {
                    Some(normalizer) => self.keyword(leaf, &normalizer.normalize(text)),
                    None => self.keyword(leaf, text),
                }
            }
            Storage::Int | Storage::Float => {
                if let Some(number) = values::number(leaf, token)? {
                    if leaf.indexed || leaf.doc_values {
                        self.flat.add_number(leaf.id, number);
                    }
                } else if let Some(token) = super::null_token(leaf) {
                    return self.add(leaf, &token);
                }
                Ok(())
            }
            Storage::Flattened => {
                let text = values::scalar_text(token).unwrap_or_default();
                self.keyword(leaf, text)
            }
            Storage::Nothing => Ok(()),
        }
    }

    fn keyword(&mut self, leaf: &Leaf, text: &str) -> std::result::Result<(), BadValue> {
        let kind = match (leaf.indexed, leaf.doc_values) {
            (true, _) => KeywordKind::Indexed,
            (false, true) => KeywordKind::Column,
            (false, false) => return Ok(()),
        };
        values::check_term(&leaf.path, text)?;
        self.flat.add_keyword(kind, leaf.id, text);
        Ok(())
    }

    /// Any value below a flattened field.
    pub(super) fn flattened(&mut self, leaf: &Arc<Leaf>, key: &str) -> Result<()> {
        self.reader.peek();
        let at = self.reader.offset();
        let token = self.token()?;
        match &token {
            Token::ObjectStart => self.flattened_object(leaf, key),
            Token::ArrayStart => {
                let mut first = true;
                while self.element(&mut first)? {
                    self.flattened(leaf, key)?;
                }
                Ok(())
            }
            Token::Null => Ok(()),
            scalar => {
                let text = values::scalar_text(scalar).unwrap_or_default();
                if text.chars().count() > leaf.ignore_above {
                    return Ok(());
                }
                let keyed = format!("{key}\0{text}");
                let bad = |walker: &Self, error: BadValue| walker.bad_value(leaf, at, text, error.cause);
                values::check_term(&leaf.path, &keyed).map_err(|error| bad(self, error))?;
                self.keyword(leaf, text).map_err(|error| bad(self, error))?;
                self.flat.add_keyword(KeywordKind::Keyed, leaf.id, &keyed);
                Ok(())
            }
        }
    }

    pub(super) fn flattened_object(&mut self, leaf: &Arc<Leaf>, path: &str) -> Result<()> {
        let mut first = true;
        while let Some(key) = self.reader.key(&mut first).map_err(|error| self.syntax(&error))? {
            self.flattened(leaf, &join(path, &key))?;
        }
        Ok(())
    }
}
