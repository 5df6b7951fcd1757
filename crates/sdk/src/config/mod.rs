//! A source's configuration: which fields it has, and reading their values with every problem told at once.

mod builder;
mod reader;
mod value;

pub use builder::FieldBuilder;
pub use reader::{ConfigReader, read_value};
use tributary_protocol::config::{ConfigProblem, ConfigSchema};
pub use value::ConfigValue;

/// What a person configures of a source. Derive it:
///
/// ```
/// use tributary_sdk::{Secret, SourceConfig};
///
/// #[derive(Debug, SourceConfig)]
/// struct Shop {
///     #[config(label = "Address", tooltip = "Where the shop's API is.")]
///     url: String,
///     #[config(label = "Token")]
///     token: Secret<String>,
///     #[config(label = "Rows per request", default = 50, min = 1, max = 500)]
///     page: u32,
/// }
///
/// let problems = Shop::from_schema(&Shop::schema()).unwrap_err();
/// assert_eq!(problems[0].message, "'Address' cannot be empty.");
/// assert_eq!(problems[1].message, "'Token' cannot be empty.");
/// ```
///
/// Fields come in the order of their declaration, each with the attribute `#[config(…)]`:
///
/// | key | meaning |
/// |---|---|
/// | `label = "…"` | the name people read; needed |
/// | `tooltip`, `placeholder`, `category` | further texts |
/// | `name = "…"` | the configuration's key, where it cannot be the field's name |
/// | `default = …` | what counts while the field is empty; makes it optional |
/// | `value = …` | what a new connector starts with; the field still must not be emptied |
/// | `display = "textarea"` | how it is shown, where the type does not say it |
/// | `sensitive` | a secret; `Secret<…>` is one already |
/// | `options = ["a", ("b", "Label")]` | the choices; nothing else is accepted |
/// | `depends_on(tls = true)` | counts only while these fields have these values; needs `Option<…>` or a default |
/// | `min`, `max` (whole numbers), `greater_than`, `less_than`, `regex`, `included_in`, `list_type` | checks |
/// | `advanced` | hidden by simple user interfaces |
///
/// A field is required unless its type is `Option<…>` or it has a default. The types are those that implement
/// [`ConfigValue`].
pub trait SourceConfig: Sized + Send + 'static {
    /// The fields with their defaults, as a connector document has them.
    fn schema() -> ConfigSchema;

    /// Reads the values of `given` by the definitions of [`SourceConfig::schema`]: fields it does not declare are
    /// ignored, an optional field that is missing has its default.
    ///
    /// # Errors
    /// Everything that is wrong, at once, each naming the field's label, the value (never a sensitive one) and what
    /// is accepted.
    fn from_schema(given: &ConfigSchema) -> Result<Self, Vec<ConfigProblem>>;
}
