//! Letters with marks to their ASCII look-alikes.

/// Latin-1 Supplement and Latin Extended-A, from U+00C0 to U+017F, one entry each.
const LATIN: [&str; 192] = [
    "A", "A", "A", "A", "A", "A", "AE", "C", "E", "E", "E", "E", "I", "I", "I", "I", "D", "N", "O", "O", "O",
    "O", "O", "×", "O", "U", "U", "U", "U", "Y", "TH", "ss", "a", "a", "a", "a", "a", "a", "ae", "c", "e",
    "e", "e", "e", "i", "i", "i", "i", "d", "n", "o", "o", "o", "o", "o", "÷", "o", "u", "u", "u", "u", "y",
    "th", "y", "A", "a", "A", "a", "A", "a", "C", "c", "C", "c", "C", "c", "C", "c", "D", "d", "D", "d", "E",
    "e", "E", "e", "E", "e", "E", "e", "E", "e", "G", "g", "G", "g", "G", "g", "G", "g", "H", "h", "H", "h",
    "I", "i", "I", "i", "I", "i", "I", "i", "I", "i", "IJ", "ij", "J", "j", "K", "k", "q", "L", "l", "L",
    "l", "L", "l", "L", "l", "L", "l", "N", "n", "N", "n", "N", "n", "'n", "N", "n", "O", "o", "O", "o", "O",
    "o", "OE", "oe", "R", "r", "R", "r", "R", "r", "S", "s", "S", "s", "S", "s", "S", "s", "T", "t", "T",
    "t", "T", "t", "U", "u", "U", "u", "U", "u", "U", "u", "U", "u", "U", "u", "W", "w", "Y", "y", "Y", "Z",
    "z", "Z", "z", "Z", "z", "s",
];

/// Folds what has an ASCII look-alike; combining marks are dropped.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let code = c as u32;
        match code {
            0xc0..=0x17f => out.push_str(LATIN.get((code - 0xc0) as usize).copied().unwrap_or_default()),
            0x300..=0x36f => {}
            0x2018 | 0x2019 => out.push('\''),
            0x201c | 0x201d => out.push('"'),
            0x2010..=0x2015 => out.push('-'),
            0xff01..=0xff5e => out.push(char::from_u32(code - 0xfee0).unwrap_or(c)),
            0x1e00..=0x1eff => out.push(fold_extended(code).unwrap_or(c)),
            _ => out.push(c),
        }
    }
    out
}

/// Latin Extended Additional: pairs of capital and small letters, in blocks by base letter.
fn fold_extended(code: u32) -> Option<char> {
    let blocks = [
        (0x1e00, 'a'),
        (0x1e02, 'b'),
        (0x1e08, 'c'),
        (0x1e0a, 'd'),
        (0x1e14, 'e'),
        (0x1e1e, 'f'),
        (0x1e20, 'g'),
        (0x1e22, 'h'),
        (0x1e2c, 'i'),
        (0x1e30, 'k'),
        (0x1e36, 'l'),
        (0x1e3e, 'm'),
        (0x1e44, 'n'),
        (0x1e4c, 'o'),
        (0x1e54, 'p'),
        (0x1e58, 'r'),
        (0x1e60, 's'),
        (0x1e6a, 't'),
        (0x1e72, 'u'),
        (0x1e7c, 'v'),
        (0x1e80, 'w'),
        (0x1e8a, 'x'),
        (0x1e8e, 'y'),
        (0x1e90, 'z'),
        (0x1e96, '\0'),
        (0x1ea0, 'a'),
        (0x1eb8, 'e'),
        (0x1ec8, 'i'),
        (0x1ecc, 'o'),
        (0x1ee4, 'u'),
        (0x1ef2, 'y'),
        (0x1efa, '\0'),
    ];
    let base = blocks.iter().rev().find(|(from, _)| *from <= code)?.1;
    match base {
        '\0' => None,
        small if code.is_multiple_of(2) => Some(small.to_ascii_uppercase()),
        small => Some(small),
    }
}
