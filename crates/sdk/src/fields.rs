use std::collections::HashSet;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};
use smallvec::SmallVec;

/// A document's fields in the order in which they were set; no name comes twice.
///
/// Most documents have a map of their own. Rows of one table differ in values only: those share their names, see
/// [`Columns`]. Both read alike, and are equal when their names and values are, in whatever order.
#[derive(Clone)]
pub struct Fields(Form);

#[derive(Clone)]
enum Form {
    Own(Map<String, Value>),
    Row { columns: Columns, values: Vec<Value> },
}

/// What the documents of one table have in common: fields with the same value in all, and after them the names of the
/// columns. A clone is the same columns, not a copy.
#[derive(Clone, Debug)]
pub struct Columns(Arc<Head>);

#[derive(Debug)]
struct Head {
    constants: Vec<(String, Value)>,
    names: Vec<String>,
    /// All places, constants first, in the order of the names.
    sorted: Vec<usize>,
}

impl Head {
    fn name(&self, place: usize) -> Option<&str> {
        match self.constants.get(place) {
            Some((name, _)) => Some(name),
            None => self.names.get(place - self.constants.len()).map(String::as_str),
        }
    }

    fn at<'a>(&'a self, values: &'a [Value], place: usize) -> Option<(&'a str, &'a Value)> {
        match self.constants.get(place) {
            Some((name, value)) => Some((name, value)),
            None => {
                let place = place - self.constants.len();
                Some((self.names.get(place)?, values.get(place)?))
            }
        }
    }
}

impl Columns {
    /// Columns; `None` when a name comes twice, since a document has one value under each.
    #[must_use]
    pub fn new(constants: Vec<(String, Value)>, names: Vec<String>) -> Option<Self> {
        let mut head = Head { constants, names, sorted: Vec::new() };
        let all: Vec<&str> =
            (0..head.constants.len() + head.names.len()).filter_map(|place| head.name(place)).collect();
        let mut sorted: Vec<usize> = (0..all.len()).collect();
        sorted.sort_by_key(|&place| all.get(place));
        if all.iter().collect::<HashSet<_>>().len() < all.len() {
            return None;
        }
        head.sorted = sorted;
        Some(Self(Arc::new(head)))
    }

    /// The fields of a row with these values, in the order of the columns; a missing one is null.
    #[must_use]
    pub fn row(&self, mut values: Vec<Value>) -> Fields {
        values.resize(self.0.names.len(), Value::Null);
        Fields(Form::Row { columns: self.clone(), values })
    }
}

impl Fields {
    /// No fields, with room for some.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Form::Own(Map::with_capacity(capacity)))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Own(map) => map.len(),
            Form::Row { columns, .. } => columns.0.sorted.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match &self.0 {
            Form::Own(map) => map.get(name),
            Form::Row { .. } => self.iter().find_map(|(other, value)| (other == name).then_some(value)),
        }
    }

    /// Whether there is a field `name`.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a field; returns the value it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.as_map_mut().insert(name.into(), value.into())
    }

    /// Takes a field out; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.as_map_mut().shift_remove(name)
    }

    /// The fields as a map of their own, to be changed. That of a row is made when it is first asked for.
    pub fn as_map_mut(&mut self) -> &mut Map<String, Value> {
        if matches!(self.0, Form::Row { .. }) {
            self.0 = Form::Own(std::mem::take(self).into_map());
        }
        match &mut self.0 {
            Form::Own(map) => map,
            Form::Row { .. } => unreachable!("it was made a map just now"),
        }
    }

    /// The fields as a map.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        match self.0 {
            Form::Own(map) => map,
            Form::Row { columns, values } => {
                let constants = columns.0.constants.iter().cloned();
                constants.chain(columns.0.names.iter().cloned().zip(values)).collect()
            }
        }
    }

    /// Names and values, in their order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Form::Own(map) => Places::Map(map.iter()),
            Form::Row { columns, values } => Places::Row { head: &columns.0, values, next: 0 },
        })
    }

    /// Names, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Calls `each` with names and values, in the order of the names.
    pub fn for_each_by_name<'a>(&'a self, mut each: impl FnMut(&'a str, &'a Value)) {
        match &self.0 {
            Form::Own(map) => {
                let mut sorted: SmallVec<[(&String, &Value); SORTED]> = map.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| name.as_str());
                sorted.into_iter().for_each(|(name, value)| each(name, value));
            }
            Form::Row { columns, values } => {
                let fields = columns.0.sorted.iter().filter_map(|&place| columns.0.at(values, place));
                fields.for_each(|(name, value)| each(name, value));
            }
        }
    }
}

/// Fields that are sorted without memory from the allocator.
const SORTED: usize = 16;

/// See [`Fields::iter`].
pub struct Iter<'a>(Places<'a>);

enum Places<'a> {
    Map(serde_json::map::Iter<'a>),
    Row { head: &'a Head, values: &'a [Value], next: usize },
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Places::Map(map) => map.next().map(|(name, value)| (name.as_str(), value)),
            Places::Row { head, values, next } => {
                let field = head.at(values, *next)?;
                *next += 1;
                Some(field)
            }
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self(Form::Own(Map::new()))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl PartialEq<Map<String, Value>> for Fields {
    fn eq(&self, other: &Map<String, Value>) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a str, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(map: Map<String, Value>) -> Self {
        Self(Form::Own(map))
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.into_map())
    }
}

impl FromIterator<(String, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Self(Form::Own(fields.into_iter().collect()))
    }
}

impl Index<&str> for Fields {
    type Output = Value;

    /// The value under a name, or null.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Fields {
        let constants = vec![("table".to_owned(), json!("t"))];
        Columns::new(constants, vec!["b".to_owned(), "a".to_owned()]).unwrap().row(vec![json!(1), json!("x")])
    }

    fn own() -> Fields {
        let map = json!({"table": "t", "b": 1, "a": "x"});
        Fields::from(map.as_object().unwrap().clone())
    }

    #[test]
    fn a_row_reads_like_a_map() {
        for fields in [row(), own()] {
            let names: Vec<&str> = fields.keys().collect();
            assert_eq!(names, ["table", "b", "a"]);
            let mut sorted = Vec::new();
            fields.for_each_by_name(|name, value| sorted.push((name, value)));
            assert_eq!(sorted, [("a", &json!("x")), ("b", &json!(1)), ("table", &json!("t"))]);
            assert_eq!(
                (&fields["a"], &fields["table"], &fields["none"]),
                (&json!("x"), &json!("t"), &Value::Null)
            );
            assert_eq!((fields.len(), fields.contains_key("b"), fields.contains_key("c")), (3, true, false));
            assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"table":"t","b":1,"a":"x"}"#);
            assert_eq!(Value::from(fields).to_string(), r#"{"table":"t","b":1,"a":"x"}"#);
        }
        assert_eq!((row(), row()), (own(), row()));
    }

    #[test]
    fn changing_a_row_leaves_the_others_of_its_table_alone() {
        let columns = Columns::new(Vec::new(), vec!["a".to_owned()]).unwrap();
        let (mut changed, other) = (columns.row(vec![json!(1)]), columns.row(vec![json!(1)]));
        assert_eq!(changed.insert("a", 2), Some(json!(1)));
        assert_eq!(changed.insert("b", 3), None);
        assert_eq!((changed.remove("a"), &changed["b"]), (Some(json!(2)), &json!(3)));
        assert_eq!((other.len(), &other["a"]), (1, &json!(1)));
        assert_ne!(changed, other);
    }

    #[test]
    fn a_name_comes_once_and_every_column_has_a_value() {
        let name = || vec!["a".to_owned()];
        assert!(Columns::new(vec![("a".to_owned(), Value::Null)], name()).is_none());
        let columns = Columns::new(Vec::new(), name()).unwrap();
        assert_eq!(columns.row(Vec::new()).get("a"), Some(&Value::Null));
        assert_eq!(columns.row(vec![json!(1), json!(2)]).len(), 1);
    }
}
