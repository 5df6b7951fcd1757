use serde_json::Value;

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The database.
    pub database: &'a str,
    /// The schema.
    pub schema: &'a str,
    /// The table, or the tables of an advanced rule, sorted.
    pub tables: &'a [String],
    /// Whether an advanced rule's query gave them.
    pub is_query: bool,
}

/// What documents and fields are called. Ids and field names must never change: an index is built on them.
pub trait Naming: Send + Sync {
    /// The field of a column.
    fn field(&self, origin: &Origin<'_>, column: &str) -> String;

    /// What a document's id begins with; the key's values follow, joined by `_`.
    fn id_prefix(&self, origin: &Origin<'_>) -> String;

    /// Fields that all documents have.
    fn fixed(&self, origin: &Origin<'_>) -> Vec<(String, Value)>;

    /// The schema that advanced rules read from.
    fn rule_schema(&self) -> &str;

    /// The key columns of a rule without its own, from the keys of its tables in the rule's order.
    fn rule_key(&self, columns: Vec<String>) -> Vec<String> {
        columns
    }

    /// What is said of an advanced rule's tables that are not there.
    fn missing_tables(&self, missing: &[String]) -> String;
}
