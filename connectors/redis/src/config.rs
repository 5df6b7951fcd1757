use serde_json::Value;
use tributary_sdk::{ConfigField, ConfigValue, Secret, SourceConfig};

/// The configuration of the source `redis`.
#[derive(Clone, Debug, SourceConfig)]
pub struct RedisConfig {
    /// The server.
    #[config(label = "Host", tooltip = "Name or address of the server.")]
    pub host: String,
    /// Its port.
    #[config(label = "Port", tooltip = "Usually 6379.", min = 1, max = 65535)]
    pub port: u16,
    /// The ACL user.
    #[config(label = "Username", tooltip = "The ACL user; empty for the server's default user.")]
    pub username: Option<String>,
    /// The user's password.
    #[config(label = "Password")]
    pub password: Option<Secret<String>>,
    /// Which databases, `*` for all.
    #[config(
        label = "Comma-separated list of databases",
        tooltip = "Numbers of databases such as 0,1, or * for all. Does not count while advanced sync rules are active.",
        value = "*",
        display = "textarea"
    )]
    pub database: Vec<String>,
    /// Whether the connection is encrypted.
    #[config(
        label = "SSL/TLS Connection",
        tooltip = "The server must offer TLS on this port.",
        value = false
    )]
    pub ssl_enabled: bool,
    /// Whether the client shows a certificate.
    #[config(
        label = "Mutual SSL/TLS Connection",
        tooltip = "Show the server a certificate of our own.",
        default = false,
        depends_on(ssl_enabled = true)
    )]
    pub mutual_tls_enabled: bool,
    /// The client's certificate.
    #[config(
        label = "client certificate file for SSL/TLS",
        tooltip = "The certificate itself, as PEM text.",
        depends_on(mutual_tls_enabled = true)
    )]
    pub tls_certfile: Option<String>,
    /// The key of the client's certificate.
    #[config(
        label = "client private key file for SSL/TLS",
        tooltip = "The private key itself, as PEM text.",
        depends_on(mutual_tls_enabled = true)
    )]
    pub tls_keyfile: Option<Secret<String>>,
    /// Who else may have signed the server's certificate.
    #[config(
        label = "Certificate Authority (.pem)",
        tooltip = "PEM text of the authority that signed the server's certificate, if this machine does not know it.",
        depends_on(ssl_enabled = true)
    )]
    pub ssl_ca: Option<String>,
    /// How values are written.
    #[config(
        label = "Write values as",
        tooltip = "JSON, or the way Python prints them, as other implementations of this source do.",
        default = "json"
    )]
    pub value_format: Format,
}

/// How a value becomes text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Strings as they are, everything else as JSON.
    #[default]
    Json,
    /// As Python prints it.
    Python,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Python => "python",
        }
    }
}

impl ConfigValue for Format {
    fn field() -> ConfigField {
        use tributary_sdk::{Display, SelectOption};
        let option = |value: &str, label: &str| SelectOption { label: label.to_owned(), value: value.into() };
        let options = vec![option("json", "JSON"), option("python", "Python text")];
        ConfigField { display: Display::Dropdown, options, ..String::field() }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("json") => Ok(Self::Json),
            Some("python") => Ok(Self::Python),
            _ => Err("one of json, python".to_owned()),
        }
    }
}
