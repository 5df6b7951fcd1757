//! YAML to a tree that keeps texts as written and remembers lines.
//!
//! Scalars are not typed here: what `123` or `yes` means depends on the key, so a numeric id stays the text it is.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

/// Deepest nesting and most values that are read: aliases can multiply both.
const MAX_DEPTH: usize = 32;
const MAX_VALUES: usize = 100_000;

/// A value of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Yaml {
    Null,
    Scalar(String),
    List(Vec<Yaml>),
    Map(Vec<Entry>),
}

/// A key with its value, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Yaml,
}

/// Why a text is no configuration: the line, counted from 1, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

impl From<ScanError> for Invalid {
    fn from(error: ScanError) -> Self {
        Self { line: error.marker().line(), reason: error.info().to_owned() }
    }
}

/// Reads the text's only document; nothing but comments is `Null`.
pub(crate) fn parse(text: &str) -> Result<Yaml, Invalid> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), line: 1, values: 0 };
    let mut document = Yaml::Null;
    let mut documents = 0;
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(document),
            Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(reader.invalid("a second document begins here; only one is read"));
                }
            }
            event => document = reader.value(event, 0)?,
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Yaml>,
    /// Where the last event began.
    line: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, Invalid> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err(error.into()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn invalid(&self, reason: impl Into<String>) -> Invalid {
        Invalid { line: self.line, reason: reason.into() }
    }

    fn count(&mut self, values: usize) -> Result<(), Invalid> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err(self.invalid(format!("more than {MAX_VALUES} values")));
        }
        Ok(())
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Yaml, Invalid> {
        if depth > MAX_DEPTH {
            return Err(self.invalid(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned().unwrap_or(Yaml::Null);
                self.count(value.size())?;
                (0, value)
            }
            _ => return Err(self.invalid("a value was expected here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Yaml, Invalid> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Yaml::List(items)),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Yaml, Invalid> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let event = self.next()?;
            let line = self.line;
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.invalid("a key must be plain text")),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            if key == "<<" { merged.push(value) } else { entries.push(Entry { key, line, value }) }
        }
        // `<<: *anchor`: what is merged in gives way to what is written here.
        for entry in merged.into_iter().flat_map(Yaml::into_merged) {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry);
            }
        }
        Ok(Yaml::Map(entries))
    }
}

impl Yaml {
    fn size(&self) -> usize {
        1 + match self {
            Self::Null | Self::Scalar(_) => 0,
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    fn into_merged(self) -> Vec<Entry> {
        match self {
            Self::Map(entries) => entries,
            Self::List(items) => items.into_iter().flat_map(Self::into_merged).collect(),
            Self::Null | Self::Scalar(_) => Vec::new(),
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" if style == ScalarStyle::Plain => Yaml::Null,
        _ => Yaml::Scalar(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Yaml {
        Yaml::Scalar(text.to_owned())
    }

    #[test]
    fn texts_stay_as_written_and_lines_are_kept() {
        let parsed = parse("a: 0123\n# note\nb:\n  c: 'null'\n  d:\n").unwrap();
        let inner = vec![
            Entry { key: "c".into(), line: 4, value: scalar("null") },
            Entry { key: "d".into(), line: 5, value: Yaml::Null },
        ];
        assert_eq!(
            parsed,
            Yaml::Map(vec![
                Entry { key: "a".into(), line: 1, value: scalar("0123") },
                Entry { key: "b".into(), line: 3, value: Yaml::Map(inner) },
            ])
        );
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_read() {
        let Yaml::Map(entries) = parse("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n").unwrap() else {
            panic!("not a map")
        };
        let Yaml::Map(b) = &entries[1].value else { panic!("not a map") };
        let texts: Vec<_> = b.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
        assert_eq!(texts, [("l", &scalar("3")), ("k", &scalar("1"))]);
    }

    #[test]
    fn what_is_no_configuration_names_its_line() {
        for (text, line) in [("a: 1\nb: [1, 2\n", 3), ("a: 1\n---\nb: 2\n", 2), ("a: 1\n? [x]\n: 2\n", 2)] {
            let invalid = parse(text).unwrap_err();
            assert_eq!(invalid.line, line, "{text:?}: {}", invalid.reason);
        }
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..9 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        assert!(parse(&text).unwrap_err().reason.contains("100000"));
        assert!(parse(&"[".repeat(100)).is_err());
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(&deep).unwrap_err().reason.contains("deeper"));
    }

    #[test]
    fn an_empty_file_is_nothing() {
        assert_eq!(parse("# only a comment\n"), Ok(Yaml::Null));
        assert_eq!(parse("\u{feff}"), Ok(Yaml::Null));
    }
}
