use tributary_sdk::{Secret, SourceConfig};

/// The configuration of the source `mysql`.
#[derive(Clone, Debug, SourceConfig)]
pub struct MysqlConfig {
    /// Where the server is.
    #[config(label = "Host", tooltip = "Name or address of the server.")]
    pub host: String,
    /// Its port.
    #[config(label = "Port", tooltip = "TCP port of the server, usually 3306.")]
    pub port: u16,
    /// Who logs in.
    #[config(label = "Username", tooltip = "Account that logs in and reads.")]
    pub user: String,
    /// Its password.
    #[config(label = "Password")]
    pub password: Secret<String>,
    /// Which databases.
    #[config(
        label = "Database",
        tooltip = "Database to read; several separated by commas, * for any part of a name. With anything but one name, ids begin \
                   with the database."
    )]
    pub database: String,
    /// Which tables.
    #[config(
        label = "Comma-separated list of tables",
        tooltip = "Tables to read, with or without their database; * stands for any part of a name. Does not count while \
                   advanced sync rules are active.",
        value = "*"
    )]
    pub tables: Vec<String>,
    /// Whether the connection is encrypted and the server's certificate checked.
    #[config(
        label = "Enable SSL",
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
    /// Rows of one page.
    #[config(
        label = "Rows fetched per request",
        tooltip = "Rows of one page. Rows are streamed whatever it is.",
        default = 5000,
        min = 1,
        max = 1_000_000,
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
    /// How the connection is encrypted.
    #[config(
        label = "SSL mode",
        tooltip = "Overrides the switch above, with the meaning that MySQL's own clients give these words.",
        options = [
            ("default", "As the switch says"),
            ("disabled", "Never encrypted"),
            ("preferred", "Encrypted if the server can, nothing checked"),
            ("required", "Encrypted, nothing checked"),
            ("verify_ca", "Encrypted, signed by a known authority for any host"),
            ("verify_identity", "Encrypted, signed by a known authority for this host"),
        ],
        default = "default",
        advanced
    )]
    pub ssl_mode: String,
    /// The client's certificate.
    #[config(
        label = "Client certificate",
        tooltip = "PEM of the certificate that this client shows, for accounts that require one.",
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
        options = [
            ("full_read", "Reading everything"),
            ("cursor_column", "A column that grows"),
            ("binlog", "The server's binary log, deletions included"),
        ],
        default = "full_read",
        advanced
    )]
    pub incremental_by: String,
    /// Columns that grow with every change.
    #[config(
        label = "Cursor columns",
        tooltip = "A column that grows with every change (updated_at), for all tables that have it, or table=column.",
        depends_on(incremental_by = "cursor_column"),
        default = "",
        advanced
    )]
    pub cursor_columns: Vec<String>,
    /// The number under which the log is read.
    #[config(
        label = "Replica number",
        tooltip = "Server id under which the log is read. No replica and no other connector may have the same.",
        depends_on(incremental_by = "binlog"),
        default = 1_827_364,
        min = 1,
        advanced
    )]
    pub binlog_server_id: u32,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    Disabled,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

impl MysqlConfig {
    /// The encryption that counts.
    pub(crate) fn encryption(&self) -> Encryption {
        match (self.ssl_mode.as_str(), self.ssl_enabled) {
            ("disabled", _) => Encryption::Disabled,
            ("preferred", _) => Encryption::Preferred,
            ("required", _) => Encryption::Required,
            ("verify_ca", _) => Encryption::VerifyCa,
            ("verify_identity", _) | (_, true) => Encryption::VerifyIdentity,
            (_, false) => Encryption::Disabled,
        }
    }
}
