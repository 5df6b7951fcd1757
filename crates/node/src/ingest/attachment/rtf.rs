//! RTF: control words, groups and characters in a code page.

use encoding_rs::{Encoding, WINDOWS_1252};

use super::Extracted;
use super::limits::Budget;

/// Groups whose text is not for readers.
const HIDDEN: [&str; 16] = [
    "fonttbl",
    "colortbl",
    "stylesheet",
    "pict",
    "object",
    "filetbl",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "generator",
    "fldinst",
    "themedata",
    "datastore",
    "latentstyles",
    "xmlnstbl",
];

/// Where the text of a group goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Body,
    Info,
    Title,
    Author,
    Nowhere,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    place: Place,
    /// Characters that stand after `\u` for readers without Unicode.
    substitutes: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    groups: Vec<Group>,
    encoding: &'static Encoding,
    /// Bytes of the code page that are not decoded yet: a character may have two.
    pending: Vec<u8>,
    /// Half of a character that is written as two `\u`.
    high: Option<u16>,
    skip: usize,
    body: String,
    title: String,
    author: String,
}

pub(super) fn read(bytes: &[u8], budget: &Budget) -> Result<Extracted, String> {
    let bytes = bytes.trim_ascii_start();
    let mut reader = Reader {
        bytes,
        at: 0,
        groups: Vec::new(),
        encoding: WINDOWS_1252,
        pending: Vec::new(),
        high: None,
        skip: 0,
        body: String::with_capacity(bytes.len() / 4),
        title: String::new(),
        author: String::new(),
    };
    reader.run(budget).map_err(|why| format!("application/rtf: {why}"))?;
    let some = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(Extracted {
        content: reader.body.trim().to_owned(),
        content_type: "application/rtf",
        title: some(reader.title),
        author: some(reader.author),
        ..Extracted::default()
    })
}

impl Reader<'_> {
    fn run(&mut self, budget: &Budget) -> Result<(), String> {
        let mut steps = 0_usize;
        while let Some(byte) = self.next() {
            steps += 1;
            if steps.is_multiple_of(1 << 16) {
                budget.in_time()?;
            }
            match byte {
                b'{' => self.open(budget.depth())?,
                b'}' => {
                    self.flush();
                    self.groups.pop();
                    self.skip = 0;
                    if self.groups.is_empty() {
                        return Ok(());
                    }
                }
                b'\\' => self.control()?,
                b'\r' | b'\n' => {}
                byte => self.byte(byte),
            }
        }
        Err("it is truncated: a group is not closed".to_owned())
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn open(&mut self, deepest: usize) -> Result<(), String> {
        self.flush();
        if self.groups.len() >= deepest {
            return Err(format!("its groups are nested deeper than {deepest}"));
        }
        let group = self.groups.last().copied();
        self.groups.push(group.unwrap_or(Group { place: Place::Body, substitutes: 1 }));
        Ok(())
    }

    fn control(&mut self) -> Result<(), String> {
        let Some(byte) = self.next() else { return Err("it is truncated in a control word".to_owned()) };
        match byte {
            b'\'' => {
                let digits =
                    self.bytes.get(self.at..self.at + 2).and_then(|hex| std::str::from_utf8(hex).ok());
                if let Some(byte) = digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    self.at += 2;
                    self.byte(byte);
                }
            }
            b'*' => self.go(Place::Nowhere),
            b'~' => self.put("\u{a0}"),
            b'_' => self.put("-"),
            b'\r' | b'\n' => self.put("\n"),
            b'\\' | b'{' | b'}' => self.byte(byte),
            byte if byte.is_ascii_alphabetic() => {
                self.at -= 1;
                let (word, number) = self.word();
                self.obey(&word, number);
            }
            _ => {}
        }
        Ok(())
    }

    fn word(&mut self) -> (String, Option<i64>) {
        let rest = &self.bytes[self.at..];
        let letters = rest.iter().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
        let sign = usize::from(rest.get(letters) == Some(&b'-'));
        let digits = rest[letters + sign..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let end = if digits == 0 { letters } else { letters + sign + digits };
        let number = String::from_utf8_lossy(&rest[letters..end]).parse().ok();
        let word = String::from_utf8_lossy(&rest[..letters]).into_owned();
        self.at += end + usize::from(rest.get(end) == Some(&b' '));
        (word, number)
    }

    fn obey(&mut self, word: &str, number: Option<i64>) {
        match word {
            "par" | "line" | "sect" | "page" | "row" => self.put("\n"),
            "tab" | "cell" => self.put("\t"),
            "emdash" => self.put("—"),
            "endash" => self.put("–"),
            "lquote" => self.put("‘"),
            "rquote" => self.put("’"),
            "ldblquote" => self.put("“"),
            "rdblquote" => self.put("”"),
            "bullet" => self.put("•"),
            "u" => self.unicode(number),
            "uc" => {
                if let (Some(group), Some(number)) = (self.groups.last_mut(), number) {
                    group.substitutes = usize::try_from(number).unwrap_or(1);
                }
            }
            "bin" => self.at += number.and_then(|length| usize::try_from(length).ok()).unwrap_or(0),
            "ansicpg" => {
                let label = number.map(|page| format!("windows-{page}"));
                self.encoding = label
                    .and_then(|label| match label.as_str() {
                        "windows-932" => Encoding::for_label(b"shift_jis"),
                        "windows-936" => Encoding::for_label(b"gbk"),
                        "windows-949" => Encoding::for_label(b"euc-kr"),
                        "windows-950" => Encoding::for_label(b"big5"),
                        "windows-65001" => Encoding::for_label(b"utf-8"),
                        label => Encoding::for_label(label.as_bytes()),
                    })
                    .unwrap_or(WINDOWS_1252);
            }
            "info" => self.go(Place::Info),
            "title" if self.place() == Place::Info => self.go(Place::Title),
            "author" if self.place() == Place::Info => self.go(Place::Author),
            word if HIDDEN.contains(&word) => self.go(Place::Nowhere),
            _ => {}
        }
    }

    fn place(&self) -> Place {
        self.groups.last().map_or(Place::Nowhere, |group| group.place)
    }

    fn go(&mut self, place: Place) {
        self.flush();
        if let Some(group) = self.groups.last_mut()
            && group.place != Place::Nowhere
        {
            group.place = place;
        }
    }

    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.pending.push(byte);
        }
    }

    fn unicode(&mut self, number: Option<i64>) {
        self.flush();
        self.skip = self.groups.last().map_or(1, |group| group.substitutes);
        // Numbers above 32767 are written as negative ones.
        let Some(unit) = number.and_then(|number| u16::try_from(number & 0xFFFF).ok()) else { return };
        let units = [self.high.take().unwrap_or(unit), unit];
        if (0xD800..0xDC00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        let units = if units[0] == unit { &units[1..] } else { &units[..] };
        self.write(&String::from_utf16_lossy(units));
    }

    fn put(&mut self, text: &str) {
        self.flush();
        self.skip = 0;
        self.write(text);
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let (text, _) = self.encoding.decode_without_bom_handling(&pending);
        self.write(&text);
    }

    fn write(&mut self, text: &str) {
        match self.place() {
            Place::Body => self.body.push_str(text),
            Place::Title => self.title.push_str(text),
            Place::Author => self.author.push_str(text),
            Place::Info | Place::Nowhere => {}
        }
    }
}
