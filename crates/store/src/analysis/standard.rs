//! The standard tokenizer: words as Unicode's text segmentation (UAX 29) cuts them, without the rules for scripts that
//! need a dictionary. ASCII runs through a table.

use std::ops::Range;

/// Longer words are cut, as Lucene does.
const MAX_TOKEN_CHARS: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Letter,
    Digit,
    /// `_` and its kin: joins letters, digits and itself.
    Connector,
    /// Joins letters.
    MidLetter,
    /// Joins digits.
    MidNumber,
    /// Joins letters, and digits.
    MidBoth,
    /// Stands alone: ideographs, Hiragana.
    Single,
    Katakana,
    /// Combining marks and format characters: belong to the character before.
    Extend,
    Emoji,
}

const fn ascii_class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
        b'0'..=b'9' => Class::Digit,
        b'_' => Class::Connector,
        b':' => Class::MidLetter,
        b',' | b';' => Class::MidNumber,
        b'.' | b'\'' => Class::MidBoth,
        _ => Class::Other,
    }
}

const ASCII: [Class; 128] = {
    let mut table = [Class::Other; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = ascii_class(byte as u8);
        byte += 1;
    }
    table
};

fn class_of(c: char) -> Class {
    match c as u32 {
        code @ 0..=0x7f => ASCII[code as usize],
        0xad | 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f => Class::Extend,
        0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200c..=0x200f | 0x2060 | 0x20d0..=0x20ff => Class::Extend,
        0x3099 | 0x309a | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0xfeff | 0x1f3fb..=0x1f3ff => Class::Extend,
        0xb7 | 0x387 | 0x55f | 0x5f4 | 0x2027 | 0xfe13 | 0xfe55 | 0xff1a => Class::MidLetter,
        0x2018 | 0x2019 | 0x2024 | 0xfe52 | 0xff07 | 0xff0e => Class::MidBoth,
        0x37e | 0x589 | 0x60c | 0x66c | 0xfe10 | 0xfe14 | 0xfe50 | 0xfe54 | 0xff0c | 0xff1b => {
            Class::MidNumber
        }
        0x203f | 0x2040 | 0x2054 | 0xfe33 | 0xfe34 | 0xfe4d..=0xfe4f | 0xff3f => Class::Connector,
        0x3041..=0x3096 | 0x309d..=0x309f => Class::Single,
        0x3005..=0x3007 | 0x3021..=0x3029 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff => {
            Class::Single
        }
        0x20000..=0x3ffff => Class::Single,
        0x3031..=0x3035 | 0x309b | 0x309c | 0x30a0..=0x30ff | 0x31f0..=0x31ff | 0xff66..=0xff9f => {
            Class::Katakana
        }
        0x1f300..=0x1f3fa | 0x1f400..=0x1faff | 0x2600..=0x27bf => Class::Emoji,
        _ if c.is_numeric() && c.to_digit(10).is_none() && !c.is_alphabetic() => digit_or_other(c),
        _ if c.is_alphabetic() => Class::Letter,
        _ => Class::Other,
    }
}

/// Decimal digits of other scripts join like digits; superscripts and fractions do not.
fn digit_or_other(c: char) -> Class {
    match c as u32 {
        0x660..=0x669 | 0x6f0..=0x6f9 | 0x966..=0x96f | 0x9e6..=0x9ef | 0xe50..=0xe59 | 0xff10..=0xff19 => {
            Class::Digit
        }
        _ => Class::Other,
    }
}

/// Byte ranges of the words in a text.
pub(crate) struct Words<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, pos: 0 }
    }

    fn char_at(&self, pos: usize) -> Option<(Class, usize)> {
        let byte = *self.text.as_bytes().get(pos)?;
        if byte < 128 {
            return Some((ASCII[byte as usize], 1));
        }
        let c = self.text.get(pos..)?.chars().next()?;
        Some((class_of(c), c.len_utf8()))
    }

    fn skip_extends(&self, mut pos: usize) -> usize {
        while let Some((Class::Extend, len)) = self.char_at(pos) {
            pos += len;
        }
        pos
    }

    /// The class of the last of the ASCII letters and digits that begin at `start`, and how many they are: most words are
    /// nothing else, and these join whatever their order.
    fn plain_run(&self, start: usize) -> (Class, usize) {
        let bytes = self.text.as_bytes().get(start..).unwrap_or_default();
        let bytes = bytes.get(..MAX_TOKEN_CHARS).unwrap_or(bytes);
        let length = bytes.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(bytes.len());
        let last = length.checked_sub(1).and_then(|at| bytes.get(at));
        (last.map_or(Class::Other, |byte| ascii_class(*byte)), length)
    }

    /// The end of the word that begins at `start` with a letter, digit or connector; `None` when it holds connectors only.
    fn word_end(&self, start: usize) -> (usize, bool) {
        let (mut last, mut chars) = self.plain_run(start);
        let (mut pos, mut solid) = (start + chars, chars > 0);
        while let Some((class, len)) = self.char_at(pos) {
            if chars == MAX_TOKEN_CHARS {
                break;
            }
            let joins = match class {
                Class::Letter | Class::Digit => last != Class::Katakana,
                Class::Connector => true,
                Class::Katakana => matches!(last, Class::Other | Class::Katakana | Class::Connector),
                Class::Extend => last != Class::Other,
                Class::MidLetter | Class::MidNumber | Class::MidBoth => {
                    let next = self.char_at(self.skip_extends(pos + len)).map(|(class, _)| class);
                    let letters =
                        last == Class::Letter && next == Some(Class::Letter) && class != Class::MidNumber;
                    let digits =
                        last == Class::Digit && next == Some(Class::Digit) && class != Class::MidLetter;
                    if !letters && !digits {
                        break;
                    }
                    pos += len;
                    chars += 1;
                    continue;
                }
                _ => false,
            };
            if !joins {
                break;
            }
            if class != Class::Extend {
                last = class;
            }
            solid |= matches!(class, Class::Letter | Class::Digit | Class::Katakana);
            pos += len;
            chars += 1;
        }
        (pos, solid)
    }
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.pos;
            let (class, len) = self.char_at(start)?;
            match class {
                Class::Letter | Class::Digit | Class::Connector | Class::Katakana => {
                    let (end, solid) = self.word_end(start);
                    self.pos = end.max(start + len);
                    if solid {
                        return Some(start..self.pos);
                    }
                }
                Class::Single | Class::Emoji => {
                    self.pos = self.skip_extends(start + len);
                    return Some(start..self.pos);
                }
                _ => self.pos += len,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        Words::new(text).map(|range| &text[range]).collect()
    }

    #[test]
    fn words_are_cut_as_unicode_says() {
        let table: [(&str, &[&str]); 14] = [
            ("The 2 QUICK Brown-Foxes", &["The", "2", "QUICK", "Brown", "Foxes"]),
            ("dog's bone. It's", &["dog's", "bone", "It's"]),
            ("3.14 1,000 a.b x.", &["3.14", "1,000", "a.b", "x"]),
            ("foo_bar _ __x", &["foo_bar", "__x"]),
            ("user@host.example.org", &["user", "host.example.org"]),
            ("/path/to/file.txt", &["path", "to", "file.txt"]),
            ("naïve café", &["naïve", "café"]),
            ("e\u{301}a", &["e\u{301}a"]),
            ("日本語", &["日", "本", "語"]),
            ("カタカナ", &["カタカナ"]),
            ("ひら", &["ひ", "ら"]),
            ("Привет, мир!", &["Привет", "мир"]),
            ("a:b 1:2", &["a:b", "1", "2"]),
            ("", &[]),
        ];
        for (text, wanted) in table {
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn long_words_are_cut() {
        let text = "x".repeat(600);
        assert_eq!(words(&text).iter().map(|w| w.len()).collect::<Vec<_>>(), [255, 255, 90]);
        let mixed = format!("{}_y é{}", "x1".repeat(127), "z".repeat(300));
        assert_eq!(words(&mixed).iter().map(|w| w.chars().count()).collect::<Vec<_>>(), [255, 1, 255, 46]);
    }
}
