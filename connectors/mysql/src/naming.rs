use serde_json::Value;
use tributary_sql::{Naming, Origin};

/// Fields that documents have for other reasons, and names that no index takes.
const TAKEN: &[&str] = &[
    "id",
    "Table",
    "_id",
    "_index",
    "_source",
    "_routing",
    "_type",
    "_ignored",
    "_field_names",
    "_timestamp",
    "_allow_access_control",
    "_tributary",
];

/// The names that indices built from MySQL have.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) database: String,
    /// Whether other databases go into the same index.
    pub(crate) is_one_of_many: bool,
}

impl Naming for Names {
    fn field(&self, _origin: &Origin<'_>, column: &str) -> String {
        let is_taken = TAKEN.contains(&column) || (self.is_one_of_many && column == "Database");
        if is_taken { format!("column_{column}") } else { column.to_owned() }
    }

    fn id_prefix(&self, origin: &Origin<'_>) -> String {
        let tables = origin.tables.join("_");
        if self.is_one_of_many { format!("{}_{tables}", origin.database) } else { tables }
    }

    fn fixed(&self, origin: &Origin<'_>) -> Vec<(String, Value)> {
        let table = match (origin.is_query, origin.tables) {
            (false, [table]) => Value::from(table.as_str()),
            (_, tables) => Value::from(tables.to_vec()),
        };
        let mut fixed = vec![("Table".to_owned(), table)];
        if self.is_one_of_many {
            fixed.push(("Database".to_owned(), Value::from(origin.database)));
        }
        fixed
    }

    fn rule_schema(&self) -> &str {
        &self.database
    }

    fn rule_key(&self, mut columns: Vec<String>) -> Vec<String> {
        columns.sort();
        columns
    }

    fn missing_tables(&self, missing: &[String]) -> String {
        format!("Tables not found or inaccessible: {}.", missing.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_indices_that_are_there_already() {
        let one = Names { database: "shop".to_owned(), is_one_of_many: false };
        let many = Names { is_one_of_many: true, ..one.clone() };
        let tables = ["a".to_owned(), "b".to_owned()];
        let origin = Origin { database: "shop", schema: "shop", tables: &tables, is_query: true };
        assert_eq!(
            (one.id_prefix(&origin), many.id_prefix(&origin)),
            ("a_b".to_owned(), "shop_a_b".to_owned())
        );
        assert_eq!(
            (one.field(&origin, "Name"), one.field(&origin, "id")),
            ("Name".to_owned(), "column_id".to_owned())
        );
        assert_eq!(one.fixed(&origin), [("Table".to_owned(), serde_json::json!(["a", "b"]))]);
        assert_eq!(one.rule_key(vec!["z".to_owned(), "a".to_owned()]), ["a", "z"]);
        assert_eq!(
            one.missing_tables(&["x".to_owned(), "y".to_owned()]),
            "Tables not found or inaccessible: x, y."
        );
    }
}
