//! Who asks, and what is kept secret.

mod access;
mod credentials;
mod descriptor;
mod keys;
mod needs;
mod privileges;
mod rights;
mod roles;
mod template;
mod users;
mod vault;

pub(crate) use access::{Access, Identity};
pub(crate) use descriptor::shown;
pub(crate) use keys::{ApiKey, KeyChange, KeyFilter, NewKey, create, find, invalidate, update};
pub(crate) use needs::{Need, WriteNeed};
pub(crate) use rights::Rights;
pub(crate) use roles::Roles;
pub use users::UserFile;
pub(crate) use vault::Vault;
