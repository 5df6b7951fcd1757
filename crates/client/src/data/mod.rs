//! The data path: indices, bulk, look-ups, scans.

mod bulk;
mod bulk_answer;
mod bulk_plain;
mod hit;
mod index;
mod license;
mod privileges;
mod scan;

pub use bulk::{BulkBody, BulkBuilder, BulkOp, PushError};
pub use bulk_answer::{BulkAnswer, BulkError, BulkItem, BulkResult};
pub use hit::{DocVersion, Hit};
pub(crate) use hit::{RawHit, SearchAnswer};
pub(crate) use index::path_part;
pub use license::{License, LicenseLevel};
pub use privileges::{IndexPrivileges, MissingPrivileges};
pub(crate) use scan::Walk;
