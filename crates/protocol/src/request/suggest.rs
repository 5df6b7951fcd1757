//! `did you mean [..]?` for unknown keys.

/// The text to add to the complaint about `given`; empty when no known key is near.
pub(super) fn did_you_mean(given: &str, known: &[&str]) -> String {
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|key| {
            let longest = key.chars().count().max(given.chars().count());
            let distance = edit_distance(given, key);
            // Near is what shares more than half of its letters.
            (distance * 2 < longest).then(|| (distance * 1000 / longest.max(1), *key))
        })
        .collect();
    near.sort_unstable();
    match near.as_slice() {
        [] => String::new(),
        [(_, only)] => format!(" did you mean [{only}]?"),
        several => {
            let keys: Vec<&str> = several.iter().map(|(_, key)| *key).collect();
            format!(" did you mean any of [{}]?", keys.join(", "))
        }
    }
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or_default();
            let here = (corner + usize::from(x != *y)).min(above + 1).min(left + 1);
            corner = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = here;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, distance) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("name", "nmae", 2)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn keys_that_share_more_than_half_of_their_letters_are_proposed() {
        let keys = ["name", "description"];
        assert_eq!(did_you_mean("nam", &keys), " did you mean [name]?");
        assert_eq!(did_you_mean("nothing_like_it", &keys), "");
        assert_eq!(
            did_you_mean("sync_errors", &["sync_error", "sync_errorx"]),
            " did you mean any of [sync_error, sync_errorx]?"
        );
    }
}
