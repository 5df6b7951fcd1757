use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::{Column, Key, Table};

/// A value of a key's column: how it stands in the document's id, and how the database reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// Not there; left out of the id.
    Null,
    /// A whole number.
    Int(i64),
    /// A whole number without sign.
    Unsigned(u64),
    /// A text that is the same in both.
    Text(String),
    /// Any other value.
    Other {
        /// In the id.
        text: String,
        /// For the database.
        literal: String,
    },
}

impl KeyValue {
    /// The value to go on after, to be kept in a checkpoint.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::from(*number),
            Self::Unsigned(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
            Self::Other { literal, .. } => Value::from(literal.as_str()),
        }
    }

    /// Adds it to an id.
    pub(crate) fn push_to(&self, id: &mut String) {
        // Writing to a text cannot fail.
        let _written = match self {
            Self::Null => Ok(()),
            Self::Int(number) => write!(id, "{number}"),
            Self::Unsigned(number) => write!(id, "{number}"),
            Self::Text(text) | Self::Other { text, .. } => id.write_str(text),
        };
    }
}

/// Keys that a person gave to views and tables without one: `orders_view=order_id, log=day+number`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyColumns(BTreeMap<String, Vec<String>>);

impl KeyColumns {
    /// Reads `table=column+column` items; the table may have its schema before it: `sales.orders=number`.
    ///
    /// # Errors
    /// The first item that is none.
    pub fn parse(items: &[String]) -> Result<Self, String> {
        let mut keys = BTreeMap::new();
        for item in items {
            let (table, columns) = item.split_once('=').unwrap_or((item, ""));
            let columns: Vec<String> = columns.split('+').map(|column| column.trim().to_owned()).collect();
            if table.trim().is_empty() || columns.iter().any(String::is_empty) {
                return Err(format!("'{item}' is not of the form table=column or table=column+column"));
            }
            keys.insert(table.trim().to_owned(), columns);
        }
        Ok(Self(keys))
    }

    /// The key to read `table` by: what a person gave, else its own.
    ///
    /// # Errors
    /// Names a given column that the table has not.
    pub fn of(&self, table: &Table) -> Result<Option<Key>, String> {
        let given = self.0.get(&table.name.to_string()).or_else(|| self.0.get(&table.name.name));
        let Some(given) = given else { return Ok(table.key.clone()) };
        for column in given {
            if table.column(column).is_none() {
                let known: Vec<&str> =
                    table.columns.iter().map(|Column { name, .. }| name.as_str()).collect();
                return Err(format!(
                    "the key of {} names the column '{column}'; it has {}",
                    table.name,
                    known.join(", ")
                ));
            }
        }
        let guaranteed = table.key.as_ref().is_some_and(|key| key.guaranteed && key.columns == *given);
        Ok(Some(Key { columns: given.clone(), guaranteed }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, TableName};

    #[test]
    fn a_given_key_is_used_and_its_columns_must_be_there() {
        let column = |name: &str| Column { name: name.to_owned(), type_name: "int".to_owned() };
        let table = Table {
            name: TableName::new("s", "v"),
            kind: Kind::View,
            columns: vec![column("a"), column("b")],
            key: None,
        };
        let keys = |text: &str| KeyColumns::parse(&[text.to_owned()]).unwrap();
        let key = keys("v = b + a").of(&table).unwrap().unwrap();
        assert_eq!((key.columns, key.guaranteed), (vec!["b".to_owned(), "a".to_owned()], false));
        assert!(keys("s.v=a").of(&table).unwrap().is_some());
        assert!(keys("other.v=a").of(&table).unwrap().is_none());
        assert_eq!(keys("v=c").of(&table).unwrap_err(), "the key of s.v names the column 'c'; it has a, b");
        assert!(KeyColumns::parse(&["v".to_owned()]).is_err());
        assert!(KeyColumns::parse(&["v=a+".to_owned()]).is_err());
    }
}
