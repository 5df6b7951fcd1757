//! The smallest parts of query strings: words, phrases, patterns and ranges.

use serde_json::Value;

use super::ast::{BoostedField, Bounds, Fuzziness, FuzzyOptions, MultiKind, Node, TextKind, TextOptions};
use super::string_query::{Parsed, Parser, Syntax};

impl Parser<'_> {
    pub(super) fn term(&mut self, word: &str, wild: bool, fields: &[BoostedField]) -> Parsed<Node> {
        let fuzzy = self.number_after('~')?;
        let boost = self.boost()?;
        if wild && !self.defaults.leading && word != "*" && word.starts_with(['*', '?']) {
            return Err(());
        }
        let node = if wild {
            if word == "*" && fields.is_empty() {
                Node::All
            } else {
                each(fields, |field| match word {
                    "*" => Node::Exists { field },
                    _ => Node::Wildcard {
                        field,
                        value: word.to_owned(),
                        case_insensitive: false,
                        analyzed: true,
                    },
                })
            }
        } else if let Some(edits) = fuzzy {
            let fuzziness = match edits.parse::<f32>() {
                Ok(edits) => Fuzziness::Edits(edits.min(2.0) as u8),
                Err(_) => Fuzziness::Auto(3, 6),
            };
            let mut options = FuzzyOptions::new(fuzziness);
            options.max_expansions = self.defaults.options.max_expansions;
            let mut text = self.defaults.options.clone();
            text.fuzzy = Some(options);
            self.text_node(&unescape(word), TextKind::Match, fields, text)
        } else {
            self.words(&unescape(word), fields)
        };
        Ok(node.boosted(boost))
    }

    pub(super) fn phrase(&mut self, fields: &[BoostedField]) -> Parsed<Node> {
        self.pos += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(()),
                Some('"') => break,
                Some('\\') => {
                    self.pos += 1;
                    text.extend(self.peek());
                }
                Some(c) => text.push(c),
            }
            self.pos += 1;
        }
        self.pos += 1;
        let mut options = self.defaults.options.clone();
        if let Some(slop) = self.number_after('~')? {
            options.slop = slop.parse().unwrap_or(0);
        }
        let boost = self.boost()?;
        Ok(self.text_node(&text, TextKind::Phrase, fields, options).boosted(boost))
    }

    pub(super) fn regex(&mut self, fields: &[BoostedField]) -> Parsed<Node> {
        self.pos += 1;
        let mut value = String::new();
        loop {
            match self.peek() {
                None => return Err(()),
                Some('/') => break,
                Some('\\') if self.chars.get(self.pos + 1) == Some(&'/') => {
                    self.pos += 1;
                    value.push('/');
                }
                Some(c) => value.push(c),
            }
            self.pos += 1;
        }
        self.pos += 1;
        Ok(each(fields, |field| Node::Regexp { field, value: value.clone(), case_insensitive: false }))
    }

    pub(super) fn range(&mut self, fields: &[BoostedField]) -> Parsed<Node> {
        let lower_included = self.peek() == Some('[');
        self.pos += 1;
        let rest: String = self.chars[self.pos..].iter().collect();
        let end = rest.find([']', '}']).ok_or(())?;
        let upper_included = rest.as_bytes().get(end) == Some(&b']');
        let inner = rest.get(..end).ok_or(())?;
        let (lower, upper) = inner.split_once(" TO ").ok_or(())?;
        self.pos += inner.chars().count() + 1;
        let bound = |text: &str, included| {
            let text = text.trim().trim_matches('"');
            (text != "*").then(|| (Value::String(unescape(text)), included))
        };
        let bounds = Bounds {
            lower: bound(lower, lower_included),
            upper: bound(upper, upper_included),
            ..Bounds::default()
        };
        let boost = self.boost()?;
        Ok(each(fields, |field| Node::Range { field, bounds: bounds.clone() }).boosted(boost))
    }

    pub(super) fn simple_word(&mut self, fields: &[BoostedField]) -> Parsed<Option<Node>> {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    self.pos += 1;
                    word.extend(self.peek());
                }
                c if c.is_whitespace() => break,
                '(' | ')' | '"' | '|' | '+' | '~' => break,
                c => word.push(c),
            }
            self.pos += 1;
        }
        if word.is_empty() {
            // A stray operator.
            self.pos += 1;
            return Ok(None);
        }
        if let Some(prefix) = word.strip_suffix('*').filter(|prefix| !prefix.is_empty()) {
            return Ok(Some(each(fields, |field| Node::Prefix {
                field,
                value: prefix.to_owned(),
                case_insensitive: false,
                analyzed: true,
            })));
        }
        let mut options = self.defaults.options.clone();
        if let Some(edits) = self.number_after('~')? {
            let fuzziness =
                edits.parse::<u8>().map_or(Fuzziness::Auto(3, 6), |edits| Fuzziness::Edits(edits.min(2)));
            options.fuzzy = Some(FuzzyOptions::new(fuzziness));
        }
        Ok(Some(self.text_node(&word, TextKind::Match, fields, options)))
    }

    /// Plain words in the default fields.
    pub(super) fn words(&self, text: &str, fields: &[BoostedField]) -> Node {
        self.text_node(text, TextKind::Match, fields, self.defaults.options.clone())
    }

    fn text_node(
        &self,
        text: &str,
        kind: TextKind,
        fields: &[BoostedField],
        mut options: TextOptions,
    ) -> Node {
        options.minimum_should_match = None;
        options.lenient |= fields.is_empty() || self.syntax == Syntax::Simple;
        match fields {
            [one] if !one.name.contains('*') => {
                Node::Text { kind, field: one.name.clone(), text: text.to_owned(), options }
                    .boosted(one.boost)
            }
            many => Node::Multi {
                kind: MultiKind::Best,
                text_kind: kind,
                fields: many.to_vec(),
                text: text.to_owned(),
                options,
                tie_breaker: self.defaults.tie_breaker,
            },
        }
    }
}

/// The same query on each field; on all of them when none is named.
fn each(fields: &[BoostedField], make: impl Fn(String) -> Node) -> Node {
    match fields {
        [] => make("*".to_owned()),
        [one] => make(one.name.clone()).boosted(one.boost),
        many => Node::DisMax {
            queries: many.iter().map(|field| make(field.name.clone()).boosted(field.boost)).collect(),
            tie_breaker: 0.0,
        },
    }
}

pub(super) fn unescape(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c == '\\' { out.extend(chars.next()) } else { out.push(c) }
    }
    out
}
