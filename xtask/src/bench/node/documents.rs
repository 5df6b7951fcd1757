//! The documents that are indexed, and the words to search them by: the same for every server and every run.

use std::fmt::Write as _;

/// Words of the vocabulary.
const WORDS: u64 = 8_000;
const OWNERS: u64 = 200;

pub(super) const MAPPINGS: &str = r#"{"settings": {"number_of_shards": 1, "number_of_replicas": 0}, "mappings": {"properties": {
    "title": {"type": "text"}, "body": {"type": "text"}, "owner": {"type": "keyword"}, "size": {"type": "long"},
    "created_at": {"type": "date"}, "public": {"type": "boolean"}}}}"#;

/// A source of numbers that are the same every time.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }

    /// The number of a word: few are frequent and many are rare, as in any language.
    fn word(&mut self) -> u64 {
        let (a, b, c) = (self.below(WORDS), self.below(WORDS), self.below(WORDS));
        a * b / WORDS * c / WORDS
    }
}

/// A pronounceable word for a number.
pub(super) fn word(mut number: u64) -> String {
    const FIRST: &[u8] = b"bdfgklmnprstvz";
    const THEN: &[u8] = b"aeiou";
    let mut word = String::new();
    number += 70;
    while number > 0 {
        word.push(char::from(FIRST[(number % 14) as usize]));
        number /= 14;
        word.push(char::from(THEN[(number % 5) as usize]));
        number /= 5;
    }
    word
}

pub(super) fn id(n: u64) -> String {
    format!("folder-{:03}/document-{n:07}", n % 200)
}

pub(super) fn owner(n: u64) -> String {
    format!("{}@example.org", word(n % OWNERS))
}

/// Document `n`, about `size` bytes as JSON.
pub(super) fn document(n: u64, size: usize) -> String {
    let mut numbers = Numbers::new(n + 1);
    let mut text = format!(
        "{{\"title\":\"{} {} {}\",\"owner\":\"{}\",\"size\":{},\"created_at\":\"{}-{:02}-{:02}T{:02}:30:00Z\",\"public\":{},\"body\":\"",
        word(numbers.word()),
        word(numbers.word()),
        n,
        owner(numbers.below(OWNERS)),
        numbers.below(1_000_000),
        2016 + numbers.below(10),
        1 + numbers.below(12),
        1 + numbers.below(28),
        numbers.below(24),
        n.is_multiple_of(3),
    );
    while text.len() + 2 < size {
        text.push_str(&word(numbers.word()));
        text.push(' ');
    }
    text.push_str("\"}");
    text
}

/// All bulk requests, ready to be sent.
pub(super) fn bulks(documents: u64, size: usize, per_request: u64) -> Vec<Vec<u8>> {
    let per_request = per_request.max(1);
    let starts = (0..documents.div_ceil(per_request)).map(|at| at * per_request);
    starts
        .map(|start| {
            let mut lines = String::with_capacity((size + 64) * per_request as usize);
            for n in start..(start + per_request).min(documents) {
                // Writing to memory does not fail.
                let _written = writeln!(lines, "{{\"index\":{{\"_id\":\"{}\"}}}}", id(n));
                lines.push_str(&document(n, size));
                lines.push('\n');
            }
            lines.into_bytes()
        })
        .collect()
}

/// The kinds of search that are measured.
pub(super) const SEARCHES: [&str; 8] = [
    "match, one word",
    "match, three words",
    "phrase",
    "filter and range",
    "prefix",
    "sorted by number",
    "terms aggregation",
    "histogram by month",
];

/// The `n`th search of a kind. No two are the same, so that no cache of answers is measured.
pub(super) fn search(kind: usize, n: u64) -> String {
    let mut numbers = Numbers::new(n * 31 + kind as u64 + 7);
    let (a, b, c) = (word(numbers.word()), word(numbers.word()), word(numbers.word()));
    let from = numbers.below(900_000);
    let range = format!(r#"{{"range": {{"size": {{"gte": {from}, "lt": {}}}}}}}"#, from + 100_000);
    match kind {
        0 => format!(r#"{{"query": {{"match": {{"body": "{a}"}}}}}}"#),
        1 => format!(r#"{{"query": {{"match": {{"body": "{a} {b} {c}"}}}}}}"#),
        2 => format!(r#"{{"query": {{"match_phrase": {{"body": "{a} {b}"}}}}}}"#),
        3 => format!(
            r#"{{"query": {{"bool": {{"filter": [{{"term": {{"owner": "{}"}}}}, {range}]}}}}}}"#,
            owner(numbers.below(OWNERS))
        ),
        4 => format!(r#"{{"query": {{"prefix": {{"body": "{}"}}}}}}"#, a.get(..4).unwrap_or("ba")),
        5 => format!(r#"{{"query": {{"match": {{"body": "{a}"}}}}, "sort": [{{"size": "desc"}}]}}"#),
        6 => {
            format!(r#"{{"size": 0, "query": {range}, "aggs": {{"by": {{"terms": {{"field": "owner"}}}}}}}}"#)
        }
        _ => format!(
            r#"{{"size": 0, "query": {range}, "aggs": {{"by": {{"date_histogram": {{"field": "created_at", "calendar_interval": "month"}}}}}}}}"#
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn bulks_hold_every_document_once_in_about_the_size_asked_for() {
        let mut ids = HashSet::new();
        for bulk in bulks(25, 1024, 10) {
            let text = String::from_utf8(bulk).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.chunks(2) {
                let action: Value = serde_json::from_str(pair[0]).unwrap();
                let _document: Value = serde_json::from_str(pair[1]).unwrap();
                assert!((1000..1100).contains(&pair[1].len()), "{}", pair[1].len());
                assert!(ids.insert(action["index"]["_id"].as_str().unwrap().to_owned()));
            }
        }
        assert_eq!(ids.len(), 25);
    }

    #[test]
    fn searches_are_json_and_differ() {
        for kind in 0..SEARCHES.len() {
            let all: HashSet<String> = (0..200).map(|n| search(kind, n)).collect();
            assert!(all.iter().all(|text| serde_json::from_str::<Value>(text).is_ok()), "{kind}");
            assert!(all.len() > 20, "{kind}: {}", all.len());
        }
    }
}
