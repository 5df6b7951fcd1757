use serde_json::Value;
use tributary_sql::{Naming, Origin};

/// The names that indices built from PostgreSQL have.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) rule_schema: String,
}

impl Naming for Names {
    fn field(&self, origin: &Origin<'_>, column: &str) -> String {
        format!("{}_{}_{column}", origin.schema, origin.tables.join("_")).to_lowercase()
    }

    fn id_prefix(&self, origin: &Origin<'_>) -> String {
        format!("{}_{}_{}", origin.database, origin.schema, origin.tables.join("_"))
    }

    fn fixed(&self, origin: &Origin<'_>) -> Vec<(String, Value)> {
        let table = match (origin.is_query, origin.tables) {
            (false, [table]) => Value::from(table.as_str()),
            (_, tables) => Value::from(tables.to_vec()),
        };
        vec![
            ("database".to_owned(), Value::from(origin.database)),
            ("schema".to_owned(), Value::from(origin.schema)),
            ("table".to_owned(), table),
        ]
    }

    fn rule_schema(&self) -> &str {
        &self.rule_schema
    }

    fn missing_tables(&self, missing: &[String]) -> String {
        let names: Vec<String> = missing.iter().map(|name| format!("'{name}'")).collect();
        format!("Tables not found or inaccessible: {{{}}}.", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_indices_that_are_there_already() {
        let names = Names { rule_schema: "public".to_owned() };
        let tables = ["T".to_owned()];
        let origin = Origin { database: "Xe", schema: "public", tables: &tables, is_query: false };
        assert_eq!(names.field(&origin, "Odd Name"), "public_t_odd name");
        assert_eq!(names.id_prefix(&origin), "Xe_public_T");
        assert_eq!(names.fixed(&origin)[2], ("table".to_owned(), Value::from("T")));
        let tables = ["a".to_owned(), "b".to_owned()];
        let origin = Origin { database: "xe", schema: "public", tables: &tables, is_query: true };
        assert_eq!(names.field(&origin, "id"), "public_a_b_id");
        assert_eq!(names.fixed(&origin)[2].1, serde_json::json!(["a", "b"]));
        assert_eq!(names.missing_tables(&["zzz".to_owned()]), "Tables not found or inaccessible: {'zzz'}.");
    }
}
