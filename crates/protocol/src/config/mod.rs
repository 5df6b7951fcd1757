//! Configuration fields: definitions, values, checks (connector-api 7 and 14.2, sync-runtime 10).

mod check;
mod field;
mod register;
mod schema;
mod value;

pub use check::ConfigProblem;
pub use field::{ConfigField, Dependency, Display, FieldType, SelectOption, Validation, ValidationKind};
pub use schema::ConfigSchema;
