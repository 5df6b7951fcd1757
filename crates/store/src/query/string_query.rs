//! The little languages of `query_string` and `simple_query_string`.

use serde_json::Value;

use super::ast::{BoolNode, BoostedField, Bounds, Node, TextOptions};
use super::string_atoms::unescape;

/// Which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Lucene's: fields, ranges, regular expressions; wrong input is an error.
    Full,
    /// `+ | - " * ( ) ~`; wrong input is taken as text.
    Simple,
}

/// What holds where the text says nothing else.
pub(super) struct Defaults {
    pub(super) fields: Vec<BoostedField>,
    pub(super) options: TextOptions,
    pub(super) tie_breaker: f32,
    /// Whether words may begin with a wildcard.
    pub(super) leading: bool,
}

/// How deep parentheses may nest.
const MAX_DEPTH: usize = 30;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Occur {
    Should,
    Must,
    MustNot,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) chars: Vec<char>,
    pub(super) pos: usize,
    pub(super) syntax: Syntax,
    pub(super) defaults: &'a Defaults,
    pub(super) depth: usize,
}

pub(super) type Parsed<T> = Result<T, ()>;

/// Parses a query; what is malformed is reported when the query runs.
pub(super) fn parse(text: &str, syntax: Syntax, defaults: &Defaults) -> Node {
    let mut parser = Parser { text, chars: text.chars().collect(), pos: 0, syntax, defaults, depth: 0 };
    let parsed = parser.expression(&defaults.fields.clone());
    match parsed {
        Ok(node) if parser.at_end() => node.unwrap_or(Node::None),
        _ if syntax == Syntax::Simple => parser.words(text, &defaults.fields),
        _ => Node::Invalid { reason: format!("Failed to parse query [{}]", parser.text) },
    }
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.pos).copied()
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.pos >= self.chars.len()
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.pos += 1;
        }
    }

    pub(super) fn eat(&mut self, wanted: &str) -> bool {
        let matches = wanted.chars().enumerate().all(|(at, c)| self.chars.get(self.pos + at) == Some(&c));
        if matches {
            self.pos += wanted.chars().count();
        }
        matches
    }

    /// A word operator such as `AND`, standing alone.
    fn eat_word(&mut self, word: &str) -> bool {
        let end = self.pos + word.len();
        let alone = self.chars.get(end).is_none_or(|c| c.is_whitespace() || *c == '(' || *c == '"');
        alone && self.eat(word)
    }

    /// Clauses up to the end or a closing parenthesis.
    fn expression(&mut self, fields: &[BoostedField]) -> Parsed<Option<Node>> {
        let mut clauses: Vec<(Occur, Node)> = Vec::new();
        let mut explicit_or = false;
        let default = if self.defaults.options.and { Occur::Must } else { Occur::Should };
        loop {
            self.skip_space();
            if matches!(self.peek(), None | Some(')')) {
                break;
            }
            let joined = self.joint();
            self.skip_space();
            if matches!(self.peek(), None | Some(')')) && joined.is_some() {
                return if self.syntax == Syntax::Simple { Ok(combine(clauses, None)) } else { Err(()) };
            }
            let (occur, negated) = self.modifier();
            let Some(node) = self.clause(fields)? else { continue };
            let occur = match (occur, negated, joined) {
                (_, true, _) => Occur::MustNot,
                (Some(occur), _, _) => occur,
                (None, _, Some(true)) => Occur::Must,
                (None, _, Some(false)) => Occur::Should,
                (None, _, None) => default,
            };
            match (joined, clauses.last_mut()) {
                (Some(true), Some((last, _))) if *last == Occur::Should => *last = Occur::Must,
                (Some(false), Some((last, _))) if *last == Occur::Must && self.defaults.options.and => {
                    *last = Occur::Should;
                }
                _ => {}
            }
            explicit_or |= joined == Some(false);
            clauses.push((occur, node));
        }
        let minimum = self.defaults.options.minimum_should_match.clone().filter(|_| !explicit_or);
        Ok(combine(clauses, minimum))
    }

    /// `AND` or `OR` between clauses.
    fn joint(&mut self) -> Option<bool> {
        if self.syntax == Syntax::Simple {
            if self.peek() == Some('|') {
                self.pos += 1;
                return Some(false);
            }
            // A plus between words joins them.
            if self.peek() == Some('+') {
                self.pos += 1;
                return Some(true);
            }
            return None;
        }
        if self.eat_word("AND") || self.eat("&&") {
            Some(true)
        } else if self.eat_word("OR") || self.eat("||") {
            Some(false)
        } else {
            None
        }
    }

    fn modifier(&mut self) -> (Option<Occur>, bool) {
        self.skip_space();
        match self.peek() {
            Some('+') => {
                self.pos += 1;
                (Some(Occur::Must), false)
            }
            Some('-') => {
                self.pos += 1;
                (None, true)
            }
            Some('!') if self.syntax == Syntax::Full => {
                self.pos += 1;
                (None, true)
            }
            Some('N') if self.syntax == Syntax::Full && self.eat_word("NOT") => {
                self.skip_space();
                (None, true)
            }
            _ => (None, false),
        }
    }

    fn group(&mut self, fields: &[BoostedField]) -> Parsed<Option<Node>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(());
        }
        let inner = self.expression(fields)?;
        if !self.eat(")") {
            return Err(());
        }
        self.depth -= 1;
        let boost = self.boost()?;
        Ok(inner.map(|node| node.boosted(boost)))
    }

    fn clause(&mut self, fields: &[BoostedField]) -> Parsed<Option<Node>> {
        self.skip_space();
        if self.eat("(") {
            return self.group(fields);
        }
        if self.peek() == Some('"') {
            return self.phrase(fields).map(Some);
        }
        if self.syntax == Syntax::Simple {
            return self.simple_word(fields);
        }
        if self.peek() == Some('/') {
            return self.regex(fields).map(Some);
        }
        if matches!(self.peek(), Some('[' | '{')) {
            return self.range(fields).map(Some);
        }
        let (word, wild) = self.word();
        if word.is_empty() {
            return Err(());
        }
        if self.peek() == Some(':') {
            self.pos += 1;
            return self.with_field(&unescape(&word));
        }
        self.term(&word, wild, fields).map(Some)
    }

    /// What follows `field:`.
    fn with_field(&mut self, field: &str) -> Parsed<Option<Node>> {
        self.skip_space();
        let fields = [BoostedField { name: field.to_owned(), boost: 1.0 }];
        if field == "_exists_" {
            let (word, _) = self.word();
            return Ok(Some(Node::Exists { field: unescape(&word) }));
        }
        for (operator, lower, included) in
            [(">=", true, true), ("<=", false, true), (">", true, false), ("<", false, false)]
        {
            if self.eat(operator) {
                self.skip_space();
                let (word, _) = self.word();
                let bound = Some((Value::String(unescape(&word)), included));
                let bounds = if lower {
                    Bounds { lower: bound, ..Bounds::default() }
                } else {
                    Bounds { upper: bound, ..Bounds::default() }
                };
                return Ok(Some(Node::Range { field: field.to_owned(), bounds }));
            }
        }
        self.clause(&fields)
    }

    /// A word up to white space or a special character, with escapes kept.
    pub(super) fn word(&mut self) -> (String, bool) {
        let mut word = String::new();
        let mut wild = false;
        while let Some(c) = self.peek() {
            match c {
                '\\' => {
                    word.push(c);
                    self.pos += 1;
                    let Some(next) = self.peek() else { break };
                    word.push(next);
                }
                c if c.is_whitespace() => break,
                '(' | ')' | '"' | '^' | '~' | ':' | '[' | ']' | '{' | '}' => break,
                '*' | '?' => {
                    wild = true;
                    word.push(c);
                }
                c => word.push(c),
            }
            self.pos += 1;
        }
        (word, wild)
    }

    pub(super) fn number_after(&mut self, mark: char) -> Parsed<Option<String>> {
        if self.peek() != Some(mark) {
            return Ok(None);
        }
        self.pos += 1;
        let mut digits = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_ascii_digit() || *c == '.') {
            digits.push(c);
            self.pos += 1;
        }
        Ok(Some(digits))
    }

    pub(super) fn boost(&mut self) -> Parsed<f32> {
        match self.number_after('^')? {
            None => Ok(1.0),
            Some(digits) => digits.parse().map_err(|_| ()),
        }
    }
}

fn combine(mut clauses: Vec<(Occur, Node)>, minimum: Option<String>) -> Option<Node> {
    if clauses.len() <= 1 {
        let (occur, node) = clauses.pop()?;
        if occur != Occur::MustNot {
            return Some(node);
        }
        return Some(Node::Bool(BoolNode { must_not: vec![node], ..BoolNode::default() }));
    }
    let mut parts = BoolNode { minimum_should_match: minimum, ..BoolNode::default() };
    for (occur, node) in clauses {
        match occur {
            Occur::Should => parts.should.push(node),
            Occur::Must => parts.must.push(node),
            Occur::MustNot => parts.must_not.push(node),
        }
    }
    Some(Node::Bool(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::ast::TextKind;

    fn show(node: &Node) -> String {
        let list = |nodes: &[Node], mark: &str| {
            nodes.iter().map(|n| format!("{mark}{}", show(n))).collect::<Vec<_>>()
        };
        match node {
            Node::Text { field, text, kind, options, .. } => match (kind, options.fuzzy) {
                (TextKind::Phrase, _) => format!("{field}:\"{text}\"~{}", options.slop),
                (_, Some(_)) => format!("{field}:{text}~"),
                _ => format!("{field}:{text}"),
            },
            Node::Multi { text, .. } => format!("*:{text}"),
            Node::Bool(b) => {
                let all = [list(&b.must, "+"), list(&b.should, ""), list(&b.must_not, "-")].concat();
                format!("({})", all.join(" "))
            }
            Node::Range { field, bounds } => {
                let bound = |b: &Option<(Value, bool)>| {
                    b.as_ref().map_or("*".into(), |(v, i)| format!("{}{i}", v.as_str().unwrap()))
                };
                format!("{field}:[{} {}]", bound(&bounds.lower), bound(&bounds.upper))
            }
            Node::Wildcard { field, value, .. }
            | Node::Prefix { field, value, .. }
            | Node::Regexp { field, value, .. } => format!("{field}:{value}"),
            Node::Exists { field } => format!("?{field}"),
            Node::Boost(inner, boost) => format!("{}^{boost}", show(inner)),
            Node::Invalid { .. } => "invalid".into(),
            other => format!("{other:?}"),
        }
    }

    fn parse_with(text: &str, syntax: Syntax, and: bool) -> String {
        let fields = vec![BoostedField { name: "t".into(), boost: 1.0 }];
        let options = TextOptions { and, ..TextOptions::default() };
        show(&parse(text, syntax, &Defaults { fields, options, tie_breaker: 0.0, leading: true }))
    }

    #[test]
    fn query_string_language() {
        let table = [
            ("quick", "t:quick"),
            ("quick brown", "(t:quick t:brown)"),
            ("quick AND brown", "(+t:quick +t:brown)"),
            ("quick OR brown", "(t:quick t:brown)"),
            ("quick NOT brown", "(t:quick -t:brown)"),
            ("+a -b c", "(+t:a t:c -t:b)"),
            ("k:a", "k:a"),
            ("k:(a b)", "(k:a k:b)"),
            ("k:\"a b\"~2", "k:\"a b\"~2"),
            ("n:[1 TO 5}", "n:[1true 5false]"),
            ("n:>=5", "n:[5true *]"),
            ("d:[* TO now]", "d:[* nowtrue]"),
            ("qui*", "t:qui*"),
            ("/ab+/", "t:ab+"),
            ("quikc~1", "t:quikc~"),
            ("a^2 b", "(t:a^2 t:b)"),
            ("_exists_:k", "?k"),
            ("(a OR b) AND c", "(+(t:a t:b) +t:c)"),
            ("a\\:b", "t:a:b"),
            ("t:(quick AND", "invalid"),
            ("\"open", "invalid"),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_with(text, Syntax::Full, false), wanted, "{text}");
        }
        assert_eq!(parse_with("a b", Syntax::Full, true), "(+t:a +t:b)");
    }

    #[test]
    fn simple_query_string_never_fails() {
        let table = [
            ("quick + dog", "(+t:quick +t:dog)"),
            ("quick | dog", "(t:quick t:dog)"),
            ("quick -dog", "(t:quick -t:dog)"),
            ("\"a b\" c", "(t:\"a b\"~0 t:c)"),
            ("qui*", "t:qui"),
            ("(a", "t:(a"),
            ("a )", "t:a )"),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_with(text, Syntax::Simple, false), wanted, "{text}");
        }
    }
}
