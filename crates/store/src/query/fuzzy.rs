//! Edit distance.

/// The number of insertions, deletions, substitutions and, if allowed, swaps of neighbours between two words; `None` when
/// it exceeds `most`.
pub(crate) fn distance(a: &str, b: &str, most: u8, transpositions: bool) -> Option<u8> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let most = usize::from(most);
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, cb) in b.iter().enumerate() {
            let mut best = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(ca != cb));
            if transpositions && i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        if row.iter().min().is_some_and(|least| *least > most) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|edits| *edits <= most).and_then(|edits| u8::try_from(edits).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let table = [
            ("quick", "quick", Some(0)),
            ("quikc", "quick", Some(1)),
            ("quck", "quick", Some(1)),
            ("qu", "quick", None),
            ("kitten", "sitting", None),
            ("abcd", "badc", Some(2)),
            ("", "ab", Some(2)),
        ];
        for (a, b, wanted) in table {
            assert_eq!(distance(a, b, 2, true), wanted, "{a} {b}");
        }
        assert_eq!(distance("quikc", "quick", 2, false), Some(2));
    }
}
