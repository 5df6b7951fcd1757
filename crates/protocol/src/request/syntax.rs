//! What is said of text that is not JSON, with the place at which reading it stopped.

use std::fmt::Write as _;

use super::fault::{Cause, Fault};
use super::json::At;

/// How much of a body is shown, in bytes.
const SHOWN: usize = 500;

const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

/// What is being read.
#[derive(Clone, Copy)]
pub(super) enum Inside {
    Root,
    Object(At),
    Array(At),
}

impl Inside {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Object(_) => "Object",
            Self::Array(_) => "Array",
        }
    }

    /// The bracket that ends it, and where it began.
    fn closing(self) -> (char, At) {
        match self {
            Self::Root => (']', At { line: 1, col: 0 }),
            Self::Object(start) => ('}', start),
            Self::Array(start) => (']', start),
        }
    }
}

/// The refusals of one body.
#[derive(Clone, Copy)]
pub(super) struct Refuse<'b>(pub(super) &'b [u8]);

impl Refuse<'_> {
    fn source(self, at: At) -> String {
        let (shown, more) = self.0.split_at(self.0.len().min(SHOWN));
        let mut text = format!("[Source: (byte[])\"{}\"", String::from_utf8_lossy(shown));
        if !more.is_empty() {
            let _ = write!(text, "[truncated {} bytes]", more.len());
        }
        let _ = write!(text, "; line: {}, column: {}]", at.line, at.col);
        text
    }

    /// Something that cannot stand here.
    pub(super) fn because(self, at: At, what: &str) -> Fault {
        let what = format!("{what}\n at {}", self.source(at));
        let cause = Cause::new("json_parse_exception", what.clone());
        Fault::of(at, Cause::new("x_content_parse_exception", format!("{at} {what}")).because(cause))
    }

    /// The body ends too soon.
    fn end(self, at: At, what: &str) -> Fault {
        let what = format!("Unexpected end-of-input{what}\n at {}", self.source(at));
        let cause = Cause::new("json_e_o_f_exception", what);
        let reason = format!("{at} Unexpected end of file");
        Fault::of(at, Cause::new("x_content_e_o_f_exception", reason).because(cause))
    }

    /// The body ends where the next member or item, or the closing bracket, should come.
    pub(super) fn unclosed(self, at: At, inside: Inside) -> Fault {
        let start = self.source(inside.closing().1);
        self.end(at, &format!(": expected close marker for {} (start marker at {start})", inside.name()))
    }

    /// The body ends behind a comma or a name.
    pub(super) fn unfinished(self, at: At, inside: Inside) -> Fault {
        self.end(at, &format!(" within/between {} entries", inside.name()))
    }

    pub(super) fn unfinished_name(self, at: At) -> Fault {
        self.end(at, " in field name")
    }

    pub(super) fn unfinished_text(self, at: At) -> Fault {
        self.end(at, ": was expecting closing quote for a string value")
    }

    pub(super) fn unfinished_number(self, at: At) -> Fault {
        self.end(at, " in a Number value")
    }

    pub(super) fn character(self, at: At, found: char, why: &str) -> Fault {
        self.because(at, &format!("Unexpected character ('{found}' (code {})){why}", u32::from(found)))
    }

    pub(super) fn no_colon(self, at: At, found: char) -> Fault {
        self.character(at, found, ": was expecting a colon to separate field name and value")
    }

    pub(super) fn no_comma(self, at: At, found: char, inside: Inside) -> Fault {
        self.character(at, found, &format!(": was expecting comma to separate {} entries", inside.name()))
    }

    pub(super) fn no_name(self, at: At, found: char) -> Fault {
        self.character(at, found, ": was expecting double-quote to start field name")
    }

    pub(super) fn no_value(self, at: At, found: char, inside: Inside) -> Fault {
        let bracket = matches!((found, inside), ('}' | ',', _) | (']', Inside::Array(_)));
        if bracket {
            self.character(at, found, ": expected a value")
        } else {
            self.character(at, found, &format!(": expected a valid value {VALUES}"))
        }
    }

    /// Another bracket than the one that was opened.
    pub(super) fn wrong_bracket(self, at: At, found: char, inside: Inside) -> Fault {
        let (wanted, start) = inside.closing();
        let start = self.source(start);
        let what = format!(
            "Unexpected close marker '{found}': expected '{wanted}' (for {} starting at {start})",
            inside.name()
        );
        self.because(at, &what)
    }

    /// A word that is none of JSON's.
    pub(super) fn token(self, at: At, word: &str) -> Fault {
        match word {
            "NaN" | "Infinity" | "INF" => self.because(
                at,
                &format!(
                    "Non-standard token '{word}': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
                ),
            ),
            _ => self.because(at, &format!("Unrecognized token '{word}': was expecting {VALUES}")),
        }
    }

    pub(super) fn duplicate(self, at: At, name: &str) -> Fault {
        self.because(at, &format!("Duplicate field '{name}'"))
    }

    pub(super) fn too_deep(self, at: At, limit: usize) -> Fault {
        let what = format!("Document nesting depth ({}) exceeds the maximum allowed ({limit})", limit + 1);
        self.because(at, &what)
    }
}
