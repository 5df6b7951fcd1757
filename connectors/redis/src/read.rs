//! Reading values: small ones many at a time, large ones in parts.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Cmd, Pipeline, ServerError, Value};
use tributary_sdk::{Error, ErrorKind, Result};

use crate::client::{Link, text};
use crate::document::Content;
use crate::failure;
use crate::value::{Bytes, Entry, Held};

/// Values up to this many bytes are read whole.
const SMALL: i64 = 64 << 10;
/// Bytes that are read at once, by the server's estimate.
const AT_ONCE: i64 = 1 << 20;
/// Members of a large value that are read at once.
const PART: usize = 500;

/// What a key is, before its value is read.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) key: Bytes,
    pub(crate) kind: String,
    pub(crate) size: Option<i64>,
}

/// What became of reading a key.
#[derive(Debug)]
pub(crate) enum Outcome {
    Read(Content),
    /// The key is not there any more.
    Gone,
    /// It is of another type now.
    Changed,
    Unreadable(Error),
}

/// The types with values that are read. The name of the JSON module's type is what `TYPE` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Hash,
    List,
    Set,
    Scored,
    Stream,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::Text,
            "ReJSON-RL" => Self::Json,
            "hash" => Self::Hash,
            "list" => Self::List,
            "set" => Self::Set,
            "zset" => Self::Scored,
            "stream" => Self::Stream,
            _ => return None,
        })
    }

    /// The command for the whole value.
    fn whole(self, key: &[u8]) -> Cmd {
        let (name, rest): (&str, &[&str]) = match self {
            Self::Text => ("GET", &[]),
            Self::Json => ("JSON.GET", &[]),
            Self::Hash => ("HGETALL", &[]),
            Self::List => ("LRANGE", &["0", "-1"]),
            Self::Set => ("SMEMBERS", &[]),
            Self::Scored => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
            Self::Stream => ("XRANGE", &["-", "+"]),
        };
        let mut command = redis::cmd(name);
        command.arg(key).arg(rest);
        command
    }

    /// Reads the answer to [`Kind::whole`]. `None`: the key is gone, since no key holds nothing but a text or a stream.
    fn held(self, answer: Value) -> Result<Option<Held>> {
        Ok(match self {
            Self::Text => bytes(answer)?.map(Held::Text),
            Self::Json => bytes(answer)?.map(Held::Json),
            Self::Hash => filled(pairs(answer)?).map(|mut pairs| {
                pairs.sort_unstable();
                Held::Hash(pairs)
            }),
            Self::List => filled(items(answer)?).map(Held::List),
            Self::Set => filled(items(answer)?).map(|mut items| {
                items.sort_unstable();
                Held::Set(items)
            }),
            Self::Scored => filled(scored(answer)?).map(Held::Scored),
            Self::Stream => Some(Held::Entries(entries(answer)?)),
        })
    }
}

/// Reads the values of the first of these keys: of many small ones, or of one that is large. Their number is that of the
/// outcomes, and at least one.
pub(crate) async fn next(link: &mut Link, looked: &[Looked], limit: u64) -> Result<Vec<Outcome>> {
    let small = small_run(looked);
    let (Some(first), 0) = (looked.first(), small) else {
        return whole(link, looked.get(..small).unwrap_or_default()).await;
    };
    let outcome = match Kind::of(&first.kind) {
        Some(kind) => part_by_part(link, kind, first, limit).await?,
        None => {
            let reason = format!("values of the type {} cannot be read", first.kind);
            Outcome::Read(Content::Omitted(reason))
        }
    };
    Ok(vec![outcome])
}

/// How many of the keys at the front are small, and together not too large.
fn small_run(looked: &[Looked]) -> usize {
    let mut bytes = 0;
    let fits = |looked: &&Looked| {
        let is_small = Kind::of(&looked.kind).is_some() && looked.size.is_some_and(|size| size <= SMALL);
        bytes += looked.size.unwrap_or(0);
        is_small && bytes <= AT_ONCE
    };
    looked.iter().take_while(fits).count()
}

async fn whole(link: &mut Link, looked: &[Looked]) -> Result<Vec<Outcome>> {
    let kinds: Vec<Kind> = looked.iter().filter_map(|looked| Kind::of(&looked.kind)).collect();
    let mut commands = Pipeline::with_capacity(looked.len());
    for (kind, looked) in kinds.iter().zip(looked) {
        commands.add_command(kind.whole(&looked.key));
    }
    let answers = link.ask_all("reading values", &commands).await?;
    let each = kinds.iter().zip(looked).zip(answers);
    each.map(|((kind, looked), answer)| match answer {
        Value::ServerError(error) => refused(&looked.key, &error),
        answer => Ok(match kind.held(answer) {
            Ok(Some(held)) => Outcome::Read(Content::Held(held)),
            Ok(None) => Outcome::Gone,
            Err(error) => Outcome::Unreadable(error),
        }),
    })
    .collect()
}

/// What an error that the server answered for one key means. One that has nothing to do with the key ends the listing.
pub(crate) fn refused(key: &[u8], error: &ServerError) -> Result<Outcome> {
    if error.code() == "WRONGTYPE" {
        return Ok(Outcome::Changed);
    }
    let error = failure::answered(&format!("reading the key '{}'", shown(key)), error);
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Auth => Err(error),
        _ => Ok(Outcome::Unreadable(error)),
    }
}

/// A key's name for messages.
pub(crate) fn shown(key: &[u8]) -> String {
    String::from_utf8_lossy(key).chars().take(200).collect()
}

/// Why reading a large value stops.
enum Stop {
    Listing(Error),
    Key(Outcome),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Key(Outcome::Unreadable(error))
    }
}

/// Reads a value that may be large, up to `limit` bytes.
async fn part_by_part(link: &mut Link, kind: Kind, looked: &Looked, limit: u64) -> Result<Outcome> {
    let mut large =
        Large { link, key: &looked.key, left: usize::try_from(limit).unwrap_or(usize::MAX), limit };
    let held = match kind {
        Kind::Text => large.text().await,
        Kind::Json => large.json(looked.size).await,
        Kind::Hash => large.hash().await,
        Kind::List => large.list().await,
        Kind::Set => large.set().await,
        Kind::Scored => large.scored().await,
        Kind::Stream => large.stream().await,
    };
    match held {
        Ok(Some(held)) => Ok(Outcome::Read(Content::Held(held))),
        Ok(None) => Ok(Outcome::Gone),
        Err(Stop::Key(outcome)) => Ok(outcome),
        Err(Stop::Listing(error)) => Err(error),
    }
}

/// A value on its way, part by part.
struct Large<'a> {
    link: &'a mut Link,
    key: &'a [u8],
    /// Bytes that still fit.
    left: usize,
    limit: u64,
}

type Part = std::result::Result<Option<Held>, Stop>;

impl Large<'_> {
    async fn ask(&mut self, name: &str, rest: &[&str]) -> std::result::Result<Value, Stop> {
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd(name).arg(self.key).arg(rest);
        let answer =
            self.link.ask_all("reading a large value", &commands).await.map_err(Stop::Listing)?.pop();
        match answer {
            Some(Value::ServerError(error)) => {
                Err(refused(self.key, &error).map_or_else(Stop::Listing, Stop::Key))
            }
            answer => Ok(answer.unwrap_or_default()),
        }
    }

    fn take(&mut self, bytes: usize) -> std::result::Result<(), Stop> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large(&self) -> Stop {
        let reason = format!("larger than {} bytes (service.max_file_download_size)", self.limit);
        Stop::Key(Outcome::Read(Content::Omitted(reason)))
    }

    async fn text(&mut self) -> Part {
        if let Value::Int(length) = self.ask("STRLEN", &[]).await? {
            self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        let answer = self.ask("GET", &[]).await?;
        Ok(Kind::Text.held(answer)?)
    }

    /// The module gives the text at once or not at all.
    async fn json(&mut self, size: Option<i64>) -> Part {
        if size.is_some_and(|size| size.cast_unsigned() / 8 > self.limit) {
            return Err(self.too_large());
        }
        let held = Kind::Json.held(self.ask("JSON.GET", &[]).await?)?;
        if let Some(Held::Json(text)) = &held {
            self.take(text.len())?;
        }
        Ok(held)
    }

    async fn hash(&mut self) -> Part {
        let mut found = BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let (next, members) = self.scan("HSCAN", &cursor).await?;
            for (name, value) in pairs(members)? {
                self.take(name.len() + value.len())?;
                found.insert(name, value);
            }
            if next == "0" {
                return Ok((!found.is_empty()).then(|| Held::Hash(found.into_iter().collect())));
            }
            cursor = next;
        }
    }

    async fn set(&mut self) -> Part {
        let mut found = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let (next, members) = self.scan("SSCAN", &cursor).await?;
            for member in items(members)? {
                self.take(member.len())?;
                found.insert(member);
            }
            if next == "0" {
                return Ok((!found.is_empty()).then(|| Held::Set(found.into_iter().collect())));
            }
            cursor = next;
        }
    }

    async fn scored(&mut self) -> Part {
        let mut found = BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let (next, members) = self.scan("ZSCAN", &cursor).await?;
            for (member, score) in scored(members)? {
                self.take(member.len() + size_of::<f64>())?;
                found.insert(member, score);
            }
            if next == "0" {
                let mut members: Vec<(Bytes, f64)> = found.into_iter().collect();
                // As the server orders them: by score, then by name.
                members.sort_by(|a, b| a.1.total_cmp(&b.1));
                return Ok((!members.is_empty()).then_some(Held::Scored(members)));
            }
            cursor = next;
        }
    }

    async fn scan(&mut self, name: &str, cursor: &str) -> std::result::Result<(String, Value), Stop> {
        let answer = self.ask(name, &[cursor, "COUNT", &PART.to_string()]).await?;
        Ok(page(answer)?)
    }

    async fn list(&mut self) -> Part {
        let mut found = Vec::new();
        loop {
            let (from, to) = (found.len().to_string(), (found.len() + PART - 1).to_string());
            let part = items(self.ask("LRANGE", &[&from, &to]).await?)?;
            let is_last = part.len() < PART;
            for item in part {
                self.take(item.len() + 1)?;
                found.push(item);
            }
            if is_last {
                return Ok((!found.is_empty()).then_some(Held::List(found)));
            }
        }
    }

    async fn stream(&mut self) -> Part {
        let mut found = Vec::new();
        let mut from = "-".to_owned();
        loop {
            let part = entries(self.ask("XRANGE", &[&from, "+", "COUNT", &PART.to_string()]).await?)?;
            let next = part.last().and_then(|(id, _)| after(id)).filter(|_| part.len() == PART);
            for (id, pairs) in part {
                let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
                self.take(id.len() + bytes)?;
                found.push((id, pairs));
            }
            match next {
                Some(next) => from = next,
                None => return Ok(Some(Held::Entries(found))),
            }
        }
    }
}

/// The smallest id of a stream's entry after this one.
fn after(id: &[u8]) -> Option<String> {
    let (milliseconds, number) = std::str::from_utf8(id).ok()?.split_once('-')?;
    let (milliseconds, number): (u64, u64) = (milliseconds.parse().ok()?, number.parse().ok()?);
    match number.checked_add(1) {
        Some(number) => Some(format!("{milliseconds}-{number}")),
        None => Some(format!("{}-0", milliseconds.checked_add(1)?)),
    }
}

fn odd(expected: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the server gave no {expected} where one was expected"))
}

/// The answer of a scan: where to go on, and what was found.
pub(crate) fn page(answer: Value) -> Result<(String, Value)> {
    let Value::Array(parts) = answer else { return Err(odd("page of a scan")) };
    let mut parts = parts.into_iter();
    let cursor = parts.next().as_ref().and_then(text);
    cursor.zip(parts.next()).ok_or_else(|| odd("page of a scan"))
}

fn bytes(value: Value) -> Result<Option<Bytes>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::Int(number) => Ok(Some(number.to_string().into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        _ => Err(odd("text")),
    }
}

pub(crate) fn items(value: Value) -> Result<Vec<Bytes>> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(values) => {
            values.into_iter().map(|value| bytes(value)?.ok_or_else(|| odd("text"))).collect()
        }
        _ => Err(odd("list")),
    }
}

fn pairs(value: Value) -> Result<Vec<(Bytes, Bytes)>> {
    let mut items = items(value)?.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let Some(first) = items.next() {
        pairs.push((first, items.next().ok_or_else(|| odd("pair"))?));
    }
    Ok(pairs)
}

fn scored(value: Value) -> Result<Vec<(Bytes, f64)>> {
    let score = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let pair = |(member, text): (Bytes, Bytes)| Ok((member, score(&text).ok_or_else(|| odd("score"))?));
    pairs(value)?.into_iter().map(pair).collect()
}

fn entries(value: Value) -> Result<Vec<Entry>> {
    let Value::Array(values) = value else { return Err(odd("list of entries")) };
    let entry = |value| {
        let Value::Array(parts) = value else { return Err(odd("entry")) };
        let mut parts = parts.into_iter();
        let id = parts.next().map(bytes).transpose()?.flatten().ok_or_else(|| odd("entry's id"))?;
        Ok((id, pairs(parts.next().unwrap_or_default())?))
    };
    values.into_iter().map(entry).collect()
}

fn filled<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(kind: &str, size: i64) -> Looked {
        Looked { key: b"k".to_vec(), kind: kind.to_owned(), size: Some(size) }
    }

    #[test]
    fn small_values_are_read_together_until_they_are_large() {
        assert_eq!(
            small_run(&[looked("string", 100), looked("hash", SMALL), looked("string", SMALL + 1)]),
            2
        );
        assert_eq!(small_run(&[looked("MBbloom--", 100)]), 0);
        let many = vec![looked("string", SMALL); 100];
        assert_eq!(small_run(&many), usize::try_from(AT_ONCE / SMALL).unwrap());
        let unknown = Looked { size: None, ..looked("string", 0) };
        assert_eq!(small_run(&[unknown]), 0);
    }

    #[test]
    fn the_next_entry_of_a_stream_is_the_one_after_the_last() {
        assert_eq!(after(b"5-1").as_deref(), Some("5-2"));
        assert_eq!(after(format!("5-{}", u64::MAX).as_bytes()).as_deref(), Some("6-0"));
        assert_eq!(after(format!("{0}-{0}", u64::MAX).as_bytes()), None);
    }

    #[test]
    fn odd_answers_are_errors_and_not_empty_values() {
        for odd in [Value::Int(1), Value::Array(vec![Value::Nil]), Value::Array(vec![Value::Int(1)])] {
            assert!(pairs(odd).is_err());
        }
        assert!(page(Value::Array(vec![Value::Int(0)])).is_err());
        assert!(scored(Value::Array(vec![Value::Int(1), Value::BulkString(b"x".to_vec())])).is_err());
    }
}
