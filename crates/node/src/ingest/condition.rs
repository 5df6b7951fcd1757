//! The `if` of processors: the part of the scripting language that the default ingestion pipelines use.
//!
//! Comparisons, `&&`, `||`, `!`, brackets, literals, fields of `ctx` (`ctx.a`, `ctx?.a?.b`, `ctx['a']`) and the methods
//! `containsKey`, `contains`, `startsWith`, `endsWith`, `isEmpty`, `size` and `length`.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::doc::IngestDoc;

/// Parts of a condition, and how deep they may nest: both are gone through by recursion.
const MOST_TOKENS: usize = 2000;
const DEEPEST: usize = 50;

/// A condition, ready to be asked.
#[derive(Debug)]
pub(super) struct Condition(Expr);

#[derive(Debug)]
enum Expr {
    Literal(Value),
    /// A field of the document; empty: the document itself.
    Field(String),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Operator, Box<Expr>),
    Method(Box<Expr>, Method, Option<Box<Expr>>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    ContainsKey,
    Contains,
    StartsWith,
    EndsWith,
    IsEmpty,
    Size,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(Number),
    Sign(&'static str),
}

const SIGNS: [&str; 17] =
    ["&&", "||", "==", "!=", "<=", ">=", "?.", "(", ")", "[", "]", ".", "!", "<", ">", ",", ";"];

impl Condition {
    /// Reads a condition; the error says what is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        if tokens.len() > MOST_TOKENS {
            return Err(format!("it has {} parts, more than {MOST_TOKENS}", tokens.len()));
        }
        let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
        if parser.name("return") {
            parser.at += 1;
        }
        let expr = parser.any()?;
        while parser.sign(";") {}
        match parser.tokens.get(parser.at) {
            None => Ok(Self(expr)),
            Some(token) => Err(format!("{token:?} is not expected")),
        }
    }

    /// Whether it holds for a document.
    pub(super) fn holds(&self, doc: &IngestDoc) -> bool {
        eval(&self.0, doc) == Value::Bool(true)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut out, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' || first == '"' {
            let end = rest[1..].find(first).ok_or("a text is not closed")? + 2;
            out.push(Token::Text(rest[1..end - 1].to_owned()));
            end
        } else if first.is_ascii_digit()
            || (first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            let end =
                rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |end| end + 1);
            let number =
                serde_json::from_str(&rest[..end]).map_err(|_| format!("'{}' is no number", &rest[..end]))?;
            out.push(Token::Number(number));
            end
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            out.push(Token::Name(rest[..end].to_owned()));
            end
        } else {
            let sign = SIGNS
                .into_iter()
                .find(|sign| rest.starts_with(sign))
                .ok_or(format!("'{first}' is not known"))?;
            out.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[length..].trim_start();
    }
    Ok(out)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.tokens.get(self.at), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(there);
        there
    }

    fn name(&self, name: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Name(found)) if found == name)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(format!("'{sign}' is missing")) }
    }

    fn any(&mut self) -> Result<Expr, String> {
        let mut left = self.all()?;
        while self.sign("||") {
            left = Expr::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Expr, String> {
        let mut left = self.comparison()?;
        while self.sign("&&") {
            left = Expr::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = self.unary()?;
        for (sign, operator) in [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.sign(sign) {
                return Ok(Expr::Compare(Box::new(left), operator, Box::new(self.unary()?)));
            }
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST} levels"));
        }
        let expr = self.operand();
        self.depth -= 1;
        expr
    }

    fn operand(&mut self) -> Result<Expr, String> {
        if self.sign("!") {
            return Ok(Expr::Not(Box::new(self.unary()?)));
        }
        let mut expr = self.primary()?;
        loop {
            if self.sign("?.") || self.sign(".") {
                expr = self.member(expr)?;
            } else if self.sign("[") {
                let Some(Token::Text(key)) = self.tokens.get(self.at).cloned() else {
                    return Err("only ['name'] is served between brackets".to_owned());
                };
                self.at += 1;
                self.expect("]")?;
                expr = below(expr, &key)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn member(&mut self, of: Expr) -> Result<Expr, String> {
        let Some(Token::Name(name)) = self.tokens.get(self.at).cloned() else {
            return Err("a name is missing after '.'".to_owned());
        };
        self.at += 1;
        if !self.sign("(") {
            return below(of, &name);
        }
        let argument = if self.sign(")") {
            None
        } else {
            let argument = self.any()?;
            self.expect(")")?;
            Some(Box::new(argument))
        };
        let method = match (name.as_str(), argument.is_some()) {
            ("containsKey", true) => Method::ContainsKey,
            ("contains", true) => Method::Contains,
            ("startsWith", true) => Method::StartsWith,
            ("endsWith", true) => Method::EndsWith,
            ("isEmpty", false) => Method::IsEmpty,
            ("size" | "length", false) => Method::Size,
            _ => return Err(format!("the method '{name}' is not known")),
        };
        Ok(Expr::Method(Box::new(of), method, argument))
    }

    fn primary(&mut self) -> Result<Expr, String> {
        if self.sign("(") {
            let inner = self.any()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let token = self.tokens.get(self.at).cloned().ok_or("it ends too early")?;
        self.at += 1;
        match token {
            Token::Text(text) => Ok(Expr::Literal(Value::String(text))),
            Token::Number(number) => Ok(Expr::Literal(Value::Number(number))),
            Token::Name(name) => match name.as_str() {
                "ctx" => Ok(Expr::Field(String::new())),
                "true" => Ok(Expr::Literal(Value::Bool(true))),
                "false" => Ok(Expr::Literal(Value::Bool(false))),
                "null" => Ok(Expr::Literal(Value::Null)),
                _ => Err(format!("'{name}' is not known")),
            },
            Token::Sign(sign) => Err(format!("'{sign}' is not expected")),
        }
    }
}

fn below(of: Expr, name: &str) -> Result<Expr, String> {
    match of {
        Expr::Field(path) if path.is_empty() => Ok(Expr::Field(name.to_owned())),
        Expr::Field(path) => Ok(Expr::Field(format!("{path}.{name}"))),
        _ => Err(format!("'{name}' of something that is no field")),
    }
}

fn eval(expr: &Expr, doc: &IngestDoc) -> Value {
    let truth = |expr: &Expr| eval(expr, doc) == Value::Bool(true);
    match expr {
        Expr::Literal(value) => value.clone(),
        Expr::Field(path) if path.is_empty() => Value::Object(doc.source.clone()),
        Expr::Field(path) => doc.get(path).unwrap_or_default(),
        Expr::Not(inner) => Value::Bool(!truth(inner)),
        Expr::And(left, right) => Value::Bool(truth(left) && truth(right)),
        Expr::Or(left, right) => Value::Bool(truth(left) || truth(right)),
        Expr::Compare(left, operator, right) => {
            Value::Bool(compare(&eval(left, doc), *operator, &eval(right, doc)))
        }
        Expr::Method(of, Method::ContainsKey, Some(key)) => {
            let key = eval(key, doc);
            let key = key.as_str().unwrap_or_default();
            Value::Bool(match of.as_ref() {
                Expr::Field(path) if path.is_empty() => doc.source.contains_key(key),
                of => eval(of, doc).get(key).is_some(),
            })
        }
        Expr::Method(of, method, argument) => {
            call(&eval(of, doc), *method, argument.as_ref().map(|argument| eval(argument, doc)))
        }
    }
}

fn call(of: &Value, method: Method, argument: Option<Value>) -> Value {
    let size = match of {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    };
    let argument = argument.unwrap_or_default();
    let texts = |test: fn(&str, &str) -> bool| match (of, &argument) {
        (Value::String(text), Value::String(part)) => Value::Bool(test(text, part)),
        _ => Value::Bool(false),
    };
    match method {
        Method::IsEmpty => size.map_or(Value::Null, |size| Value::Bool(size == 0)),
        Method::Size => size.map_or(Value::Null, |size| Value::from(size as u64)),
        Method::Contains if of.is_array() => {
            Value::Bool(of.as_array().is_some_and(|items| items.contains(&argument)))
        }
        Method::Contains => texts(|text, part| text.contains(part)),
        Method::StartsWith => texts(|text, part| text.starts_with(part)),
        Method::EndsWith => texts(|text, part| text.ends_with(part)),
        Method::ContainsKey => Value::Null,
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right))
        }
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    };
    match operator {
        Operator::Equal => order == Some(Ordering::Equal),
        Operator::Unequal => order != Some(Ordering::Equal),
        Operator::Less => order == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_mean_what_they_say() {
        let source = json!({"flag": true, "n": 5, "t": "abc", "o": {"k": null}, "l": [1], "body": ""});
        let doc = IngestDoc::new("i".into(), None, source.as_object().unwrap().clone());
        for (text, expected) in [
            ("ctx?.flag == true", true),
            ("ctx?._extract_binary_content == true", false),
            ("ctx.body != null && !ctx.body.isEmpty()", false),
            ("ctx.t != null", true),
            ("ctx?.none?.deeper == null", true),
            ("ctx.n > 4 && (ctx.n < 5 || ctx.n == 5.0)", true),
            ("ctx.containsKey('t') && !ctx.containsKey(\"u\")", true),
            ("ctx.o.containsKey('k')", true),
            ("ctx['t'].startsWith('ab') && ctx.t.contains('c')", true),
            ("ctx.l.size() == 1", true),
            ("return ctx.n >= 6;", false),
            ("ctx.flag", true),
            ("ctx.n", false),
        ] {
            assert_eq!(Condition::parse(text).unwrap().holds(&doc), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "ctx.a +",
            "for (x in ctx) {}",
            "'open",
            "ctx.a ==",
            "Math.max(1)",
            "ctx.a.frob()",
            "(ctx.a",
            "ctx.a ctx.b",
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_refused() {
        for text in [
            "!".repeat(100_000) + "ctx.a",
            "(".repeat(100_000),
            "ctx.a.contains(".repeat(100_000),
            "ctx.a == 1 || ".repeat(100_000) + "ctx.a",
            "!".repeat(DEEPEST) + "ctx.a",
        ] {
            assert!(Condition::parse(&text).is_err(), "{}", &text[..20]);
        }
        assert!(Condition::parse(&("ctx.a || ".repeat(400) + "ctx.a")).is_ok());
    }
}
