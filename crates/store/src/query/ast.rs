//! Queries as parsed, before any index is known.

use serde_json::Value;

/// A field with the factor its score is multiplied by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BoostedField {
    pub(crate) name: String,
    pub(crate) boost: f32,
}

/// How far a term may be from what was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fuzziness {
    /// By the term's length: below the first none, below the second one edit, then two.
    Auto(usize, usize),
    Edits(u8),
}

impl Fuzziness {
    /// The edits allowed for a term.
    pub(crate) fn edits(self, term: &str) -> u8 {
        match self {
            Self::Edits(edits) => edits,
            Self::Auto(low, high) => match term.chars().count() {
                length if length < low => 0,
                length if length < high => 1,
                _ => 2,
            },
        }
    }
}

/// Settings of fuzzy matching.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FuzzyOptions {
    pub(crate) fuzziness: Fuzziness,
    pub(crate) prefix_length: usize,
    pub(crate) max_expansions: usize,
    pub(crate) transpositions: bool,
}

impl FuzzyOptions {
    pub(crate) fn new(fuzziness: Fuzziness) -> Self {
        Self { fuzziness, prefix_length: 0, max_expansions: 50, transpositions: true }
    }
}

/// How the terms of a text combine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextOptions {
    pub(crate) and: bool,
    pub(crate) minimum_should_match: Option<String>,
    pub(crate) fuzzy: Option<FuzzyOptions>,
    pub(crate) analyzer: Option<String>,
    /// Values that do not fit the field's type match nothing instead of being an error.
    pub(crate) lenient: bool,
    /// A text without terms matches everything.
    pub(crate) zero_terms_all: bool,
    pub(crate) slop: u32,
    pub(crate) max_expansions: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            and: false,
            minimum_should_match: None,
            fuzzy: None,
            analyzer: None,
            lenient: false,
            zero_terms_all: false,
            slop: 0,
            max_expansions: 50,
        }
    }
}

/// What kind of full text query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    Match,
    Phrase,
    /// A phrase whose last word is a beginning.
    PhrasePrefix,
    /// Words, the last of which is a beginning.
    BoolPrefix,
}

/// How several fields combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MultiKind {
    Best,
    Most,
    Cross,
}

/// Bounds as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Bounds {
    /// The bound and whether it is included.
    pub(crate) lower: Option<(Value, bool)>,
    pub(crate) upper: Option<(Value, bool)>,
    pub(crate) format: Option<String>,
    pub(crate) time_zone: Option<String>,
}

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    All,
    None,
    Term {
        field: String,
        value: Value,
        case_insensitive: bool,
    },
    Terms {
        field: String,
        values: Vec<Value>,
    },
    Range {
        field: String,
        bounds: Bounds,
    },
    Exists {
        field: String,
    },
    Ids(Vec<String>),
    /// `analyzed`: written as the words of a text field are, as in query strings.
    Prefix {
        field: String,
        value: String,
        case_insensitive: bool,
        analyzed: bool,
    },
    /// `analyzed`: written as the words of a text field are, as in query strings.
    Wildcard {
        field: String,
        value: String,
        case_insensitive: bool,
        analyzed: bool,
    },
    Regexp {
        field: String,
        value: String,
        case_insensitive: bool,
    },
    Fuzzy {
        field: String,
        value: String,
        options: FuzzyOptions,
    },
    Text {
        kind: TextKind,
        field: String,
        text: String,
        options: TextOptions,
    },
    Multi {
        kind: MultiKind,
        text_kind: TextKind,
        fields: Vec<BoostedField>,
        text: String,
        options: TextOptions,
        tie_breaker: f32,
    },
    Bool(BoolNode),
    ConstantScore(Box<Node>),
    DisMax {
        queries: Vec<Node>,
        tie_breaker: f32,
    },
    Boosting {
        positive: Box<Node>,
        negative: Box<Node>,
        factor: f32,
    },
    Nested {
        path: String,
        query: Box<Node>,
        ignore_unmapped: bool,
    },
    /// The score multiplied.
    Boost(Box<Node>, f32),
    /// Reported when the query runs, as Elasticsearch does for what only an index can tell.
    Invalid {
        reason: String,
    },
}

/// `bool`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct BoolNode {
    pub(crate) must: Vec<Node>,
    pub(crate) filter: Vec<Node>,
    pub(crate) should: Vec<Node>,
    pub(crate) must_not: Vec<Node>,
    pub(crate) minimum_should_match: Option<String>,
}

impl Node {
    /// The query with its score multiplied.
    pub(crate) fn boosted(self, boost: f32) -> Self {
        if (boost - 1.0).abs() < f32::EPSILON { self } else { Self::Boost(Box::new(self), boost) }
    }

    /// Whether every document matches.
    pub(crate) fn is_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::Boost(inner, _) | Self::ConstantScore(inner) => inner.is_all(),
            Self::Bool(parts) => {
                parts.must_not.is_empty()
                    && parts.must.iter().chain(&parts.filter).all(Node::is_all)
                    && parts.should.iter().all(Node::is_all)
                    && parts.minimum_should_match.is_none()
            }
            _ => false,
        }
    }
}

/// How many of `optional` clauses must match, from a `minimum_should_match` such as `2`, `-1`, `75%`, `2<-25% 9<-3`.
///
/// # Errors
/// The text that is not a number.
pub(crate) fn minimum_should_match(spec: &str, optional: usize) -> Result<usize, String> {
    let mut result = optional as i64;
    let spec = spec.trim();
    if spec.contains('<') {
        for part in spec.split_whitespace() {
            let (limit, then) = part.split_once('<').ok_or_else(|| part.to_owned())?;
            let limit: i64 = limit.parse().map_err(|_| limit.to_owned())?;
            if (optional as i64) <= limit {
                return Ok(result.clamp(0, optional as i64) as usize);
            }
            result = simple_minimum(then, optional)?;
        }
        return Ok(result.clamp(0, optional as i64) as usize);
    }
    Ok(simple_minimum(spec, optional)?.max(0) as usize)
}

fn simple_minimum(spec: &str, optional: usize) -> Result<i64, String> {
    let number = |text: &str| text.parse::<i64>().map_err(|_| text.to_owned());
    let result = match spec.strip_suffix('%') {
        Some(percent) => {
            let calculated = (optional as f64 * number(percent)? as f64 / 100.0).trunc() as i64;
            if calculated < 0 { optional as i64 + calculated } else { calculated }
        }
        None => match number(spec)? {
            count if count < 0 => optional as i64 + count,
            count => count,
        },
    };
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_should_match_table() {
        let table = [
            ("2", 3, Ok(2)),
            ("-1", 3, Ok(2)),
            ("75%", 4, Ok(3)),
            ("75%", 3, Ok(2)),
            ("-25%", 4, Ok(3)),
            ("5", 3, Ok(5)),
            ("3<90%", 3, Ok(3)),
            ("3<90%", 4, Ok(3)),
            ("2<-25% 9<-3", 8, Ok(6)),
            ("2<-25% 9<-3", 12, Ok(9)),
            ("abc", 2, Err("abc".to_owned())),
        ];
        for (spec, optional, wanted) in table {
            assert_eq!(minimum_should_match(spec, optional), wanted, "{spec} of {optional}");
        }
    }

    #[test]
    fn fuzziness_follows_length() {
        let auto = Fuzziness::Auto(3, 6);
        assert_eq!(
            [auto.edits("ab"), auto.edits("abc"), auto.edits("abcde"), auto.edits("abcdef")],
            [0, 1, 1, 2]
        );
    }
}
