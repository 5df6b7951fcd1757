//! Values as JSON, and as they stand in ids. No conversion fails: what cannot be a number or a date becomes text.

mod bytes;
mod number;
mod time;

pub use bytes::{bits, bytes, bytes_in_id, json, text};
pub use number::{decimal, decimal_in_id, float, float_in_id, single};
pub use time::{Moment, date, offset, time_of_day};
