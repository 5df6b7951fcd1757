//! SMILE 1.0, the binary form of Jackson's (its specification is at github.com/FasterXML/smile-format-specification).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Json;

const HEADER: &[u8] = b":)\n";
/// Names are shared unless the header says that they are not; values only if it says so.
const SHARED_NAMES: u8 = 1;
const SHARED_VALUES: u8 = 2;
/// How many names, and how many values, are remembered.
const REMEMBERED: usize = 1024;
const END_OF_TEXT: u8 = 0xfc;

/// Reads one value as JSON. Bytes become base64.
pub(super) fn read(body: &[u8]) -> Result<String, String> {
    let rest = body.strip_prefix(HEADER).ok_or("it does not begin with [:)]")?;
    let (flags, rest) = rest.split_first().ok_or("it ends too soon")?;
    if flags >> 4 != 0 {
        return Err(format!("version [{}] is not known", flags >> 4));
    }
    let shared = |flag: u8| (flags & flag != 0).then(Vec::new);
    let mut reader =
        Reader { rest, json: Json::default(), names: shared(SHARED_NAMES), values: shared(SHARED_VALUES) };
    reader.value()?;
    Ok(reader.json.out)
}

struct Reader<'b> {
    rest: &'b [u8],
    json: Json,
    names: Option<Vec<String>>,
    values: Option<Vec<String>>,
}

/// Keeps a short text for references to it.
fn remember(list: &mut Option<Vec<String>>, text: &str) {
    let Some(list) = list else { return };
    if list.len() == REMEMBERED {
        list.clear();
    }
    list.push(text.to_owned());
}

fn recall(list: &Option<Vec<String>>, at: usize) -> Result<String, String> {
    list.as_ref().and_then(|list| list.get(at)).cloned().ok_or_else(|| format!("nothing is kept as [{at}]"))
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("it ends too soon")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn text(&mut self, length: usize) -> Result<String, String> {
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "a text is not UTF-8".to_owned())
    }

    /// A text that ends with a mark.
    fn long_text(&mut self) -> Result<String, String> {
        let length = self.rest.iter().position(|byte| *byte == END_OF_TEXT).ok_or("a text does not end")?;
        let text = self.text(length)?;
        self.byte()?;
        Ok(text)
    }

    /// Seven bits a byte; the last has six and its highest bit.
    fn whole(&mut self) -> Result<u64, String> {
        let mut number: u64 = 0;
        loop {
            let byte = self.byte()?;
            let (bits, part) = if byte & 0x80 == 0 { (7, byte) } else { (6, byte & 0x3f) };
            if number >> (64 - bits) != 0 {
                return Err("a number is too long".into());
            }
            number = number << bits | u64::from(part);
            if byte & 0x80 != 0 {
                return Ok(number);
            }
        }
    }

    fn signed(&mut self) -> Result<i64, String> {
        let number = self.whole()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Bits in bytes of seven, the first byte with what is over.
    fn bits(&mut self, bytes: usize) -> Result<u64, String> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
    }

    fn float(&mut self, number: f64) -> Result<(), String> {
        self.json.scalar(serde_json::Number::from_f64(number).ok_or("a number is not finite")?);
        Ok(())
    }

    /// Bytes, seven bits in each.
    fn packed(&mut self) -> Result<Vec<u8>, String> {
        let length = usize::try_from(self.whole()?).map_err(|_| "it ends too soon")?;
        let packed = self.take(length.checked_mul(8).ok_or("it ends too soon")?.div_ceil(7))?;
        let (mut out, mut held, mut bits) = (Vec::with_capacity(length), 0u32, 0);
        for (at, byte) in packed.iter().enumerate() {
            // The last byte holds what is left over.
            let width = if at + 1 == packed.len() { length * 8 - at * 7 } else { 7 };
            held = held << width | u32::from(byte & 0x7f);
            bits += width;
            if bits >= 8 {
                bits -= 8;
                out.push((held >> bits & 0xff) as u8);
            }
        }
        Ok(out)
    }

    /// An integer of any length: its bytes, the highest first, the highest bit the sign.
    fn big(&mut self) -> Result<(), String> {
        let bytes = self.packed()?;
        if bytes.len() > 16 {
            return Err("a number of more than 128 bits".into());
        }
        let start = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
        let number = bytes.iter().fold(start, |number: i128, byte| number << 8 | i128::from(*byte));
        self.json.token(&number.to_string());
        Ok(())
    }

    fn value(&mut self) -> Result<(), String> {
        let first = self.byte()?;
        let low = usize::from(first & 0x1f);
        match first {
            0x01..=0x1f => {
                let text = recall(&self.values, low - 1)?;
                self.json.text(&text);
            }
            0x20 => self.json.text(""),
            0x21 => self.json.scalar(Value::Null),
            0x22 | 0x23 => self.json.scalar(first == 0x23),
            0x24 | 0x25 => {
                let number = self.signed()?;
                self.json.scalar(number);
            }
            0x26 => self.big()?,
            0x28 => {
                let bits = self.bits(5)? as u32;
                self.float(f64::from(f32::from_bits(bits)))?;
            }
            0x29 => {
                let bits = self.bits(10)?;
                self.float(f64::from_bits(bits))?;
            }
            0x40..=0x7f => self.short(usize::from(first & 0x3f) + 1)?,
            0x80..=0xbf => self.short(usize::from(first & 0x3f) + 2)?,
            0xc0..=0xdf => self.json.scalar((low >> 1) as i64 ^ -((low & 1) as i64)),
            0xe0 | 0xe4 => {
                let text = self.long_text()?;
                self.json.text(&text);
            }
            0xe8 => {
                let bytes = self.packed()?;
                self.json.text(&STANDARD.encode(bytes));
            }
            0xec..=0xef => {
                let at = usize::from(first & 3) << 8 | usize::from(self.byte()?);
                let text = recall(&self.values, at)?;
                self.json.text(&text);
            }
            0xf8 => self.array()?,
            0xfa => self.object()?,
            0xfd => {
                let length = usize::try_from(self.whole()?).map_err(|_| "it ends too soon")?;
                let bytes = self.take(length)?;
                self.json.text(&STANDARD.encode(bytes));
            }
            _ => return Err(format!("[{first:#04x}] begins no value")),
        }
        Ok(())
    }

    fn short(&mut self, length: usize) -> Result<(), String> {
        let text = self.text(length)?;
        self.json.text(&text);
        remember(&mut self.values, &text);
        Ok(())
    }

    fn array(&mut self) -> Result<(), String> {
        self.json.begin(false)?;
        while *self.rest.first().ok_or("it ends too soon")? != 0xf9 {
            self.value()?;
        }
        self.byte()?;
        self.json.end();
        Ok(())
    }

    fn object(&mut self) -> Result<(), String> {
        self.json.begin(true)?;
        while *self.rest.first().ok_or("it ends too soon")? != 0xfb {
            let name = self.name()?;
            self.json.text(&name);
            self.value()?;
        }
        self.byte()?;
        self.json.end();
        Ok(())
    }

    fn name(&mut self) -> Result<String, String> {
        let first = self.byte()?;
        let name = match first {
            0x20 => return Ok(String::new()),
            0x30..=0x33 => {
                let at = usize::from(first & 3) << 8 | usize::from(self.byte()?);
                return recall(&self.names, at);
            }
            0x34 => return self.long_text(),
            0x40..=0x7f => return recall(&self.names, usize::from(first & 0x3f)),
            0x80..=0xbf => self.text(usize::from(first & 0x3f) + 1)?,
            0xc0..=0xf7 => self.text(usize::from(first & 0x3f) + 2)?,
            _ => return Err(format!("[{first:#04x}] begins no name")),
        };
        remember(&mut self.names, &name);
        Ok(name)
    }
}

/// A value as SMILE, with nothing shared.
pub(super) fn write(value: &Value) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    out.push(0);
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0x21),
        Value::Bool(flag) => out.push(0x22 + u8::from(*flag)),
        Value::Number(number) => put_number(number, out),
        Value::String(text) => put_text(text, out),
        Value::Array(items) => {
            out.push(0xf8);
            items.iter().for_each(|item| put(item, out));
            out.push(0xf9);
        }
        Value::Object(members) => {
            out.push(0xfa);
            for (name, member) in members {
                put_name(name, out);
                put(member, out);
            }
            out.push(0xfb);
        }
    }
}

/// Seven bits a byte, and six in the last.
fn put_whole(mut number: u64, out: &mut Vec<u8>) {
    let mut bytes = vec![0x80 | (number & 0x3f) as u8];
    number >>= 6;
    while number > 0 {
        bytes.push((number & 0x7f) as u8);
        number >>= 7;
    }
    out.extend(bytes.iter().rev());
}

fn put_packed(bytes: &[u8], out: &mut Vec<u8>) {
    put_whole(bytes.len() as u64, out);
    let (mut held, mut bits) = (0u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 7 {
            bits -= 7;
            out.push((held >> bits & 0x7f) as u8);
        }
    }
    if bits > 0 {
        out.push((held & ((1 << bits) - 1)) as u8);
    }
}

fn put_number(number: &serde_json::Number, out: &mut Vec<u8>) {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => {
            let zigzag = (number << 1 ^ number >> 63) as u64;
            match u8::try_from(zigzag) {
                Ok(small @ 0..=31) => out.push(0xc0 + small),
                _ => {
                    out.push(if i32::try_from(number).is_ok() { 0x24 } else { 0x25 });
                    put_whole(zigzag, out);
                }
            }
        }
        (None, Some(number)) => {
            out.push(0x26);
            put_packed(&i128::from(number).to_be_bytes()[7..], out);
        }
        _ => {
            out.push(0x29);
            let bits = number.as_f64().unwrap_or_default().to_bits();
            out.extend((0..10).rev().map(|at| (bits >> (at * 7) & 0x7f) as u8));
        }
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let ascii = text.is_ascii();
    let first = match text.len() {
        0 => 0x20,
        length @ 1..=64 if ascii => 0x3f + length,
        length @ 2..=65 if !ascii => 0x7e + length,
        _ => return put_long(if ascii { 0xe0 } else { 0xe4 }, text, out),
    };
    out.push(first as u8);
    out.extend(text.as_bytes());
}

fn put_long(first: u8, text: &str, out: &mut Vec<u8>) {
    out.push(first);
    out.extend(text.as_bytes());
    out.push(END_OF_TEXT);
}

fn put_name(name: &str, out: &mut Vec<u8>) {
    let ascii = name.is_ascii();
    let first = match name.len() {
        0 => 0x20,
        length @ 1..=64 if ascii => 0x7f + length,
        length @ 2..=57 if !ascii => 0xbe + length,
        _ => return put_long(0x34, name, out),
    };
    out.push(first as u8);
    out.extend(name.as_bytes());
}
