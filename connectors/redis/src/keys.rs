//! Finding keys and looking what they are.

use std::collections::HashSet;

use redis::{Pipeline, Value};
use serde_json::Value as Json;
use tributary_sdk::{Error, ErrorKind, Result};

use crate::client::{Link, text};
use crate::document::Digest;
use crate::read::{self, Looked, Outcome};
use crate::value::Bytes;

/// Keys that the server is asked for at once; it may give a few more or fewer.
const AT_ONCE: u32 = 1_000;
/// Ids that are remembered, so that a key that a scan finds again is not listed again: twice as many at most.
const REMEMBERED: usize = 50_000;

/// Keys of one database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// The database's number.
    pub(crate) database: u32,
    /// As it stands in ids and documents.
    pub(crate) name: Json,
    pub(crate) pattern: Option<String>,
    pub(crate) kind: Option<String>,
}

impl Target {
    pub(crate) fn all(database: u32, name: Json) -> Self {
        Self { database, name, pattern: None, kind: None }
    }
}

/// Some keys, and where to go on.
pub(crate) async fn page(link: &mut Link, target: &Target, cursor: &str) -> Result<(String, Vec<Bytes>)> {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor);
    if let Some(pattern) = &target.pattern {
        command.arg("MATCH").arg(pattern);
    }
    command.arg("COUNT").arg(AT_ONCE);
    if let Some(kind) = &target.kind {
        command.arg("TYPE").arg(kind);
    }
    let answer = link.ask(&format!("listing the keys of database {}", target.database), command).await;
    let answer = answer.map_err(|error| match (&target.kind, error.kind()) {
        (Some(kind), ErrorKind::InvalidData) => error.hint(format!(
            "the rule asks for keys of the type '{kind}': the server must be Redis 6 or later and know it"
        )),
        _ => error,
    })?;
    let (next, keys) = read::page(answer)?;
    Ok((next, read::items(keys)?))
}

/// Looks what keys are. Those that are gone or of another type than wanted are left out.
pub(crate) async fn look(
    link: &mut Link,
    target: &Target,
    keys: &[Bytes],
) -> Result<(Vec<Looked>, Vec<(Bytes, Error)>)> {
    let mut commands = Pipeline::with_capacity(keys.len() * 2);
    for key in keys {
        commands.cmd("TYPE").arg(key).cmd("MEMORY").arg("USAGE").arg(key);
    }
    let answers = link.ask_all("looking at keys", &commands).await?;
    let mut answers = answers.into_iter();
    let (mut looked, mut unreadable) = (Vec::with_capacity(keys.len()), Vec::new());
    for key in keys {
        let (Some(kind), Some(size)) = (answers.next(), answers.next()) else { break };
        // Some users may ask everything but this.
        let size = if let Value::Int(size) = size { Some(size) } else { None };
        if let Value::ServerError(error) = &kind {
            if let Outcome::Unreadable(error) = read::refused(key, error)? {
                unreadable.push((key.clone(), error));
            }
            continue;
        }
        let kind = text(&kind).unwrap_or_default();
        let is_wanted = target.kind.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&kind));
        if kind != "none" && is_wanted {
            looked.push(Looked { key: key.clone(), kind, size });
        }
    }
    Ok((looked, unreadable))
}

/// The ids that came last. A scan may find a key again, mostly soon after.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    newer: HashSet<Digest>,
    older: HashSet<Digest>,
}

impl Recent {
    /// Whether an id is new.
    pub(crate) fn is_new(&mut self, id: Digest) -> bool {
        if self.newer.contains(&id) || self.older.contains(&id) {
            return false;
        }
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_for_a_good_while_and_memory_stays_bounded() {
        let mut recent = Recent::default();
        let id = |n: usize| (n as u128).to_be_bytes();
        for n in 0..3 * REMEMBERED {
            assert!(recent.is_new(id(n)));
            assert!(!recent.is_new(id(n)));
            assert!(!recent.is_new(id(n.saturating_sub(REMEMBERED - 1))));
        }
        assert!(recent.newer.len() + recent.older.len() <= 2 * REMEMBERED);
    }
}
