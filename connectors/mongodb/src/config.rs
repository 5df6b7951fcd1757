use serde_json::Value;
use tributary_sdk::{ConfigField, ConfigValue, Secret, SourceConfig};

/// The configuration of the source `mongodb`.
#[derive(Clone, Debug, SourceConfig)]
pub struct MongodbConfig {
    /// The connection string.
    #[config(
        label = "Server hostname",
        tooltip = "A connection string: mongodb://host:27017/?replicaSet=rs0 or mongodb+srv://host. It may hold any option of \
                   the driver."
    )]
    pub host: String,
    /// Who logs in.
    #[config(label = "Username", tooltip = "If it is not in the connection string.")]
    pub user: Option<String>,
    /// The user's password.
    #[config(label = "Password")]
    pub password: Option<Secret<String>>,
    /// Which database.
    #[config(label = "Database")]
    pub database: String,
    /// Which collection, `*` for all.
    #[config(label = "Collection", tooltip = "One collection, or * for all of the database.")]
    pub collection: String,
    /// Whether only the named server is talked to.
    #[config(
        label = "Direct connection",
        tooltip = "Talk to the named server only, whatever replica set it belongs to.",
        value = false
    )]
    pub direct_connection: bool,
    /// Whether the connection is encrypted.
    #[config(
        label = "SSL/TLS Connection",
        tooltip = "The server must offer TLS. Addresses with mongodb+srv are encrypted in any case.",
        value = false
    )]
    pub ssl_enabled: bool,
    /// Who else may have signed the server's certificate.
    #[config(
        label = "Certificate Authority (.pem)",
        tooltip = "PEM text of the authority that signed the server's certificate, if this machine does not know it.",
        depends_on(ssl_enabled = true)
    )]
    pub ssl_ca: Option<String>,
    /// Whether any certificate will do.
    #[config(
        label = "Skip certificate verification",
        tooltip = "Accept any certificate. Whoever stands between can then read everything.",
        default = false,
        depends_on(ssl_enabled = true),
        advanced
    )]
    pub tls_insecure: bool,
    /// What becomes of dates outside of the years 1 to 9999.
    #[config(
        label = "Out-of-range date handling",
        tooltip = "Dates outside of the years 1 to 9999: skip the document, take the nearest date, or write milliseconds since \
                   1970.",
        default = "DATETIME",
        advanced
    )]
    pub datetime_conversion: DateMode,
}

/// How dates are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateMode {
    /// A document with a date out of range is skipped.
    #[default]
    Refuse,
    /// The first or last date takes its place.
    Clamp,
    /// Only dates out of range are milliseconds.
    Auto,
    /// All dates are milliseconds.
    Milliseconds,
}

const MODES: [(&str, &str, DateMode); 4] = [
    ("DATETIME", "Raise an error (legacy)", DateMode::Refuse),
    ("DATETIME_CLAMP", "Clamp to the min/max date", DateMode::Clamp),
    ("DATETIME_AUTO", "Out-of-range dates as epoch milliseconds", DateMode::Auto),
    ("DATETIME_MS", "All dates as epoch milliseconds", DateMode::Milliseconds),
];

impl DateMode {
    pub(crate) fn name(self) -> &'static str {
        MODES.iter().find(|(_, _, mode)| *mode == self).map_or("", |(name, ..)| name)
    }
}

impl ConfigValue for DateMode {
    fn field() -> ConfigField {
        use tributary_sdk::{Display, SelectOption};
        let option = |(value, label, _): &(&str, &str, DateMode)| SelectOption {
            label: (*label).to_owned(),
            value: (*value).into(),
        };
        ConfigField {
            display: Display::Dropdown,
            options: MODES.iter().map(option).collect(),
            ..String::field()
        }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let found = MODES.iter().find(|(name, ..)| value.as_str() == Some(name));
        found.map(|(_, _, mode)| *mode).ok_or_else(|| {
            format!("one of {}", MODES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", "))
        })
    }
}
