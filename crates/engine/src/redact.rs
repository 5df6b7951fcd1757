//! What an index says of a document it refuses may quote the document. Reports, logs and dead letters are read by people
//! who may not see it.

/// Words after which Elasticsearch quotes a value in brackets, which the mark beside them closes.
const BEFORE_VALUES: [(&str, char); 7] = [
    ("date field [", ']'),
    ("failed to parse value [", ']'),
    ("Failed to parse value [", ']'),
    ("Cannot parse value [", ']'),
    ("input string [", ']'),
    ("numeric value [", ']'),
    ("Numeric value (", ')'),
];
/// What stands for something left out.
const LEFT_OUT: char = '…';

/// `reason` without the values of the document `id` that it quotes.
pub(crate) fn without_values(reason: &str, id: &str) -> String {
    brackets(&quotes(reason, id))
}

/// Leaves out what stands between quotation marks, but for the document's id. An apostrophe within a word is none.
fn quotes(reason: &str, id: &str) -> String {
    let mut kept = String::with_capacity(reason.len());
    let mut rest = reason;
    loop {
        let opening = rest.char_indices().find(|&(at, mark)| {
            matches!(mark, '\'' | '"') && !rest[..at].chars().next_back().is_some_and(char::is_alphanumeric)
        });
        let Some((at, mark)) = opening else {
            kept.push_str(rest);
            return kept;
        };
        kept.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let named = rest.strip_prefix(id).filter(|after| !id.is_empty() && after.starts_with(mark));
        if let Some(after) = named {
            kept.push_str(id);
            kept.push(mark);
            rest = &after[1..];
            continue;
        }
        kept.push(LEFT_OUT);
        // A value may hold the mark itself: the last one ends it, unless another quotation opens before.
        match closing(rest, mark) {
            Some(end) => {
                kept.push(mark);
                rest = &rest[end + 1..];
            }
            None => return kept,
        }
    }
}

/// Where a quotation ends: at the first mark that no word goes on after.
fn closing(rest: &str, mark: char) -> Option<usize> {
    rest.char_indices().find_map(|(at, found)| {
        let ends = found == mark && !rest[at + 1..].starts_with(char::is_alphanumeric);
        ends.then_some(at)
    })
}

fn brackets(reason: &str) -> String {
    let mut kept = String::with_capacity(reason.len());
    let mut rest = reason;
    let next = |rest: &str| {
        let found = |(words, mark): &(&str, char)| Some((rest.find(words)? + words.len(), *mark));
        BEFORE_VALUES.iter().filter_map(found).min()
    };
    while let Some((start, mark)) = next(rest) {
        kept.push_str(&rest[..start]);
        kept.push(LEFT_OUT);
        rest = rest[start..].find(mark).map_or("", |end| &rest[start + end..]);
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_fields_types_and_ids_stay() {
        for (reason, kept) in [
            (
                "[1:14] failed to parse field [n] of type [long] in document with id 'b1'. Preview of field's value: \
                 'my secret'; caused by: For input string: \"my secret\"",
                "[1:14] failed to parse field [n] of type [long] in document with id 'b1'. Preview of field's value: \
                 '…'; caused by: For input string: \"…\"",
            ),
            (
                "failed to parse date field [salary 9] with format [strict_date_optional_time||epoch_millis]",
                "failed to parse date field […] with format [strict_date_optional_time||epoch_millis]",
            ),
            (
                "Failed to parse value [maybe] as only [true] or [false] are allowed.",
                "Failed to parse value […] as only [true] or [false] are allowed.",
            ),
            ("'10.0.0.x' is not an IP string literal.", "'…' is not an IP string literal."),
            (
                "Document contains at least one immense term in field=\"a.keyword\" (whose UTF8 encoding is longer), the \
                 prefix of the first immense term is: '[120, 121]...'",
                "Document contains at least one immense term in field=\"…\" (whose UTF8 encoding is longer), the \
                 prefix of the first immense term is: '…'",
            ),
            ("index [a] blocked by: [TOO_MANY_REQUESTS/12]", "index [a] blocked by: [TOO_MANY_REQUESTS/12]"),
            ("Numeric value (300) out of range of byte", "Numeric value (…) out of range of byte"),
            ("value: 'it's mine'", "value: '…'"),
            ("value: 'never ends", "value: '…"),
            ("date field [never ends", "date field […"),
            ("id 'b1' and 'b1x'", "id 'b1' and '…'"),
            ("", ""),
        ] {
            assert_eq!(without_values(reason, "b1"), kept);
        }
    }
}
