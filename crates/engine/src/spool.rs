//! Sets of ids larger than memory: sorted runs on disk, merged in one pass.

mod dir;
mod manifest;
mod run;
mod scanned;
mod seen;

pub(crate) use dir::SpoolDir;
pub use dir::sweep_spools;
pub(crate) use manifest::Manifest;
pub(crate) use scanned::{Leftover, ScannedSpool};
pub(crate) use seen::{SeenSet, SeenSpool};

/// Runs `work` on a thread for blocking work.
///
/// # Errors
/// Its error, or that it panicked.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}
