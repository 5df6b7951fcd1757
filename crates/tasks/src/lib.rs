//! Task ownership, shutdown, clocks and byte budgets shared by the async crates.
//!
//! Every task has an owner ([`TaskScope`]), every wait a way out ([`Shutdown`]), every buffer a bound in bytes
//! ([`ByteBudget`]), and time comes in as an argument ([`Clock`]).

mod budget;
mod clock;
mod scope;
mod shutdown;

pub use budget::{ByteBudget, BytePermit};
pub use clock::{Clock, ManualClock, SystemClock};
pub use scope::{TaskFailure, TaskScope};
pub use shutdown::{Shutdown, ShutdownPhase};
