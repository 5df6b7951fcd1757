//! What the sources of all SQL servers do in the same way around their listings.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::Value;
use tributary_sdk::{Error, ErrorKind, Event, Result};

use crate::{Attempts, By, Database, Marks, Position, Rule, check_rules};

/// A stream that has to be prepared first.
pub(crate) fn prepared<'a>(
    preparing: impl Future<Output = Result<BoxStream<'static, Result<Event>>>> + Send + 'a,
) -> BoxStream<'a, Result<Event>> {
    stream::once(preparing)
        .flat_map(|prepared| match prepared {
            Ok(events) => events,
            Err(error) => stream::once(std::future::ready(Err(error))).boxed(),
        })
        .boxed()
}

impl Marks {
    /// Marks by columns that a person named: `updated_at` for all tables that have it, or `table=column`.
    ///
    /// # Errors
    /// `Config` when none is named.
    pub fn by_columns(items: &[String]) -> Result<Self> {
        if items.is_empty() {
            let message = "'Cursor columns' is empty, and incremental syncs go by cursor columns";
            return Err(Error::new(ErrorKind::Config, message).hint("name a column such as updated_at"));
        }
        let mut marks = Self::default();
        for item in items {
            match item.split_once('=') {
                None => marks.all = Some(By::Column(item.trim().to_owned())),
                Some((table, column)) => {
                    marks.tables.insert(table.trim().to_owned(), By::Column(column.trim().to_owned()));
                }
            }
        }
        Ok(marks)
    }
}

impl Rule {
    /// The active rules of a sync.
    ///
    /// # Errors
    /// `Config` when they have not the form of rules.
    pub fn active(rules: Option<&Value>) -> Result<Vec<Self>> {
        rules.map_or(Ok(Vec::new()), Self::read_all).map_err(|faults| {
            Error::new(ErrorKind::Config, format!("the advanced rules are invalid: {}", faults.join("; ")))
        })
    }
}

impl Position {
    /// Where to go on in the server's log.
    ///
    /// # Errors
    /// `PositionGone` when the last sync left no place in it.
    pub fn in_log(position: Option<Self>, had_cursor: bool) -> Result<Value> {
        let log = position.map_or(Value::Null, |position| position.start.log);
        if !log.is_null() {
            return Ok(log);
        }
        let reason = if had_cursor {
            "the last sync left no position in the log of this configuration"
        } else {
            "there was no sync before"
        };
        Err(Error::new(ErrorKind::PositionGone, reason))
    }
}

/// Asks until there is an answer, at the most so many times in all.
///
/// # Errors
/// The last one, or one that will not pass.
pub(crate) async fn retried<T, A>(attempts: u32, ask: impl Fn() -> A) -> Result<T>
where
    A: Future<Output = Result<T>>,
{
    let mut attempts = Attempts::new(attempts);
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => attempts.again(error).await?,
        }
    }
}

/// Checks an advanced snippet on all databases; one message for each fault. They are asked for when its form is right.
///
/// # Errors
/// When a database cannot be asked.
pub(crate) async fn check_rules_of_all<D: Database>(
    databases: impl Future<Output = Result<Vec<D>>>,
    attempts: u32,
    snippet: &Value,
) -> Result<Vec<String>> {
    match Rule::read_all(snippet) {
        Ok(rules) if rules.is_empty() => return Ok(Vec::new()),
        Ok(_) => {}
        Err(faults) => return Ok(faults),
    }
    let mut faults = BTreeSet::new();
    for database in databases.await? {
        faults.extend(check_rules(&database, attempts, snippet).await?);
    }
    Ok(faults.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_for_all_tables_or_for_the_one_that_is_named() {
        let marks = Marks::by_columns(&["updated_at".to_owned(), " a = version ".to_owned()]).unwrap();
        assert_eq!(marks.all, Some(By::Column("updated_at".to_owned())));
        assert_eq!(marks.tables["a"], By::Column("version".to_owned()));
        assert_eq!(Marks::by_columns(&[]).unwrap_err().kind(), ErrorKind::Config);
    }
}
