//! Where settings come from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// What to read settings from. The default reads nothing: all defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The configuration file, if there is one. Named but missing is a problem.
    pub file: Option<PathBuf>,
    /// The process environment: for `TRIBUTARY_*` overrides, for dotted keys and for `${VAR}` in the file.
    pub env: BTreeMap<String, String>,
    /// Flags, as key paths with their texts; the strongest layer. The later of equal paths wins.
    pub overrides: Vec<(String, String)>,
}

impl Sources {
    /// Sources with an environment, of which what is not Unicode is left out (pass `std::env::vars_os()`).
    pub fn with_env(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let env = vars
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { env: env.collect(), ..Self::default() }
    }

    /// Names the configuration file.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Adds an override, such as `("tributary.node.listen", "127.0.0.1:9300")`.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("env", &format_args!("{} variables", self.env.len()))
            .field("overrides", &self.overrides.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}
