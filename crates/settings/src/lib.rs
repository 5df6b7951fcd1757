//! Process configuration: config file, environment and flags, with every problem reported at once.
//!
//! Every key of the Python service's `config.yml` is accepted with the same meaning (sync-runtime 2), dotted or nested;
//! Tributary's own keys stand beside them under `tributary:`. One table ([`keys`]) says what exists; it drives reading,
//! [`example_yaml`] and [`reference_markdown`].
//!
//! Layers, the later winning: defaults, environment variables literally named like a dotted key (as the Python service
//! takes them), the file, `TRIBUTARY_*` environment variables, flags. The process environment is an argument:
//! nothing here reads it.

mod changes;
mod duration;
mod generate;
mod given;
mod keys;
mod kind;
mod listed;
mod load;
mod problem;
mod secret;
mod settings;
mod sources;
mod substitute;
mod values;
mod yaml;

pub use crate::changes::Change;
pub use crate::generate::{example_yaml, reference_markdown};
pub use crate::keys::{Key, Origin, connector_keys, keys};
pub use crate::kind::{Kind, Unit};
pub use crate::problem::{Place, Problem, Problems};
pub use crate::secret::Secret;
pub use crate::settings::{
    Bulk, ConnectorEntry, Credentials, DeleteGuard, Elasticsearch, ErrorMonitor, ExtractionService,
    JobLimits, JobRetention, Level, Log, LogFormat, Node, NodeTls, Otlp, Service, Settings, Tributary,
};
pub use crate::sources::Sources;
