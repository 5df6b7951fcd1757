use serde_json::Value;
use tributary_sdk::{ConfigField, ConfigValue, Secret, SourceConfig};

/// The configuration of the source `postgresql`.
#[derive(Clone, Debug, SourceConfig)]
pub struct PostgresqlConfig {
    /// Where the server is.
    #[config(label = "Host", tooltip = "Name or address of the server.")]
    pub host: String,
    /// Its port.
    #[config(label = "Port", tooltip = "TCP port of the server, usually 5432.")]
    pub port: u16,
    /// Who logs in.
    #[config(label = "Username", tooltip = "Role that logs in and reads.")]
    pub username: String,
    /// Its password.
    #[config(label = "Password")]
    pub password: Secret<String>,
    /// Which databases.
    #[config(
        label = "Database",
        tooltip = "Database to read; several separated by commas, or * for all that this role may connect to."
    )]
    pub database: String,
    /// Which schemas.
    #[config(label = "Schema", tooltip = "Schema to read; several separated by commas, or * for all.")]
    pub schema: String,
    /// Which tables.
    #[config(
        label = "Comma-separated list of tables",
        tooltip = "Tables to read, with or without their schema; * stands for any part of a name. Does not count while \
                   advanced sync rules are active.",
        value = "*"
    )]
    pub tables: Vec<String>,
    /// Rows handed over at once.
    #[config(
        label = "Rows fetched per request",
        tooltip = "Rows handed over at once. Rows are streamed whatever it is.",
        default = 50,
        min = 1,
        max = 100_000,
        advanced
    )]
    pub fetch_size: usize,
    /// Attempts of one request.
    #[config(
        label = "Retries per request",
        tooltip = "How often a request is tried in all, with growing pauses.",
        default = 3,
        min = 1,
        max = 100,
        advanced
    )]
    pub retry_count: u32,
    /// Whether the connection is encrypted and the server's certificate checked.
    #[config(
        label = "Enable SSL verification",
        tooltip = "Encrypt the connection and check the server's certificate.",
        value = false
    )]
    pub ssl_enabled: bool,
    /// Who signs the server's certificate.
    #[config(
        label = "SSL certificate",
        tooltip = "PEM of the authority that signed the server's certificate; the system's authorities count too.",
        default = "",
        display = "textarea"
    )]
    pub ssl_ca: String,
    /// How the connection is encrypted.
    #[config(
        label = "SSL mode",
        tooltip = "Overrides the switch above, with the meaning that libpq gives these words.",
        default = "default",
        advanced
    )]
    pub ssl_mode: SslMode,
    /// The client's certificate.
    #[config(
        label = "Client certificate",
        tooltip = "PEM of the certificate that this client shows, for servers that ask for one.",
        default = "",
        display = "textarea",
        advanced
    )]
    pub ssl_cert: String,
    /// The key of the client's certificate.
    #[config(
        label = "Client key",
        tooltip = "PEM of the key to the client certificate.",
        default = "",
        advanced
    )]
    pub ssl_key: Secret<String>,
    /// Keys of views.
    #[config(
        label = "Key columns",
        tooltip = "What tells rows of views and of tables without a key apart: view=column, log=day+number.",
        default = "",
        advanced
    )]
    pub key_columns: Vec<String>,
    /// How changed rows are found by incremental syncs.
    #[config(
        label = "Incremental sync by",
        tooltip = "How an incremental sync finds what changed.",
        default = "full_read",
        advanced
    )]
    pub incremental_by: IncrementalBy,
    /// Columns that grow with every change.
    #[config(
        label = "Cursor columns",
        tooltip = "A column that grows with every change (updated_at), for all tables that have it, or table=column.",
        depends_on(incremental_by = "cursor_column"),
        default = "",
        advanced
    )]
    pub cursor_columns: Vec<String>,
    /// The publication that changes come from.
    #[config(
        label = "Publication",
        tooltip = "Publication that changes are read from. It is created if the role may do so.",
        depends_on(incremental_by = "logical_replication"),
        default = "tributary",
        advanced
    )]
    pub publication: String,
    /// The replication slot.
    #[config(
        label = "Replication slot",
        tooltip = "Name of the slot; empty: one made from this configuration. No two connectors may share one.",
        depends_on(incremental_by = "logical_replication"),
        default = "",
        advanced
    )]
    pub replication_slot: String,
    /// The most log that the slot may hold back.
    #[config(
        label = "Most log kept by the slot (MiB)",
        tooltip = "When the slot holds back more of the server's log than this, it is dropped and everything is read.",
        depends_on(incremental_by = "logical_replication"),
        default = 10_240,
        min = 1,
        advanced
    )]
    pub replication_max_log_mb: u32,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// As the switch says: on, the certificate and the host's name are checked; off, encrypted if the server can.
    #[default]
    Default,
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can, nothing checked.
    Prefer,
    /// Encrypted, nothing checked.
    Require,
    /// Encrypted, signed by a known authority.
    VerifyCa,
    /// Encrypted, signed by a known authority, for this host.
    VerifyFull,
}

/// How changed rows are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncrementalBy {
    /// Everything is read, what changed is written.
    #[default]
    FullRead,
    /// By a column.
    CursorColumn,
    /// By the time at which the server committed a row's last change.
    CommitTimestamp,
    /// From the server's log, deletions included.
    LogicalReplication,
}

/// A choice between words.
macro_rules! choice {
    ($type:ty, $(($word:literal, $label:literal, $value:path)),* $(,)?) => {
        impl ConfigValue for $type {
            fn field() -> ConfigField {
                use tributary_sdk::{Display, SelectOption};
                let option = |value: &str, label: &str| SelectOption { label: label.to_owned(), value: value.into() };
                let options = vec![$(option($word, $label)),*];
                ConfigField { display: Display::Dropdown, options, ..String::field() }
            }

            fn from_value(value: &Value) -> Result<Self, String> {
                match value.as_str() {
                    $(Some($word) => Ok($value),)*
                    _ => Err(format!("one of {}", [$($word),*].join(", "))),
                }
            }
        }
    };
}

choice!(
    SslMode,
    ("default", "As the switch says", SslMode::Default),
    ("disable", "Never encrypted", SslMode::Disable),
    ("prefer", "Encrypted if the server can, nothing checked", SslMode::Prefer),
    ("require", "Encrypted, nothing checked", SslMode::Require),
    ("verify-ca", "Encrypted, signed by a known authority", SslMode::VerifyCa),
    ("verify-full", "Encrypted, signed by a known authority for this host", SslMode::VerifyFull),
);

choice!(
    IncrementalBy,
    ("full_read", "Reading everything", IncrementalBy::FullRead),
    ("cursor_column", "A column that grows", IncrementalBy::CursorColumn),
    ("commit_timestamp", "The server's commit timestamps", IncrementalBy::CommitTimestamp),
    ("logical_replication", "Logical replication, deletions included", IncrementalBy::LogicalReplication),
);

impl PostgresqlConfig {
    /// The encryption that counts.
    #[must_use]
    pub fn encryption(&self) -> SslMode {
        match (self.ssl_mode, self.ssl_enabled) {
            (SslMode::Default, true) => SslMode::VerifyFull,
            (SslMode::Default, false) => SslMode::Prefer,
            (mode, _) => mode,
        }
    }
}
