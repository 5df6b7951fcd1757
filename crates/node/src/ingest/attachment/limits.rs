//! What reading one file may cost, and the thread that pays for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Threads that outlived their deadline; a reader in a library cannot be stopped from outside.
static OVERDUE: AtomicUsize = AtomicUsize::new(0);
/// While so many files are overdue, no other is begun.
const MOST_OVERDUE: usize = 4;
const STACK: usize = 8 << 20;
const MIB: usize = 1 << 20;

/// What reading one file may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the file.
    pub(super) input: usize,
    /// Bytes that everything compressed in it may have together.
    pub(super) unpacked: usize,
    /// Files in files, and elements or groups in one another.
    pub(super) depth: usize,
    pub(super) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { input: 64 * MIB, unpacked: 64 * MIB, depth: 256, time: Duration::from_secs(30) }
    }
}

/// What is left of the limits while a file is read.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    left: usize,
    until: Instant,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, left: limits.unpacked, until: Instant::now() + limits.time }
    }

    pub(super) fn depth(&self) -> usize {
        self.limits.depth
    }

    /// Bytes that may still be unpacked.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.in_time()?;
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    pub(super) fn in_time(&self) -> Result<(), String> {
        if Instant::now() < self.until { Ok(()) } else { Err(too_slow(self.limits.time)) }
    }

    pub(super) fn too_large(&self) -> String {
        format!("it unpacks to more than {} bytes", self.limits.unpacked)
    }
}

fn too_slow(time: Duration) -> String {
    format!("reading it takes longer than {} s", time.as_secs_f32())
}

/// Runs `read` on a thread of its own, so that neither a panic nor an endless loop in it reaches the caller.
pub(super) fn guarded<T: Send + 'static>(
    limits: Limits,
    read: impl FnOnce(&mut Budget) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    if OVERDUE.load(Ordering::Acquire) >= MOST_OVERDUE {
        return Err(format!("{MOST_OVERDUE} other files that take too long are still being read; try again"));
    }
    let (done, result) = sync_channel(1);
    let (gone, abandoned) = sync_channel::<()>(1);
    let work = move || {
        // The send fails only when nobody waits any more; then this thread was counted.
        let sent = done.send(read(&mut Budget::new(limits)));
        drop(sent);
    };
    let worker = thread::Builder::new()
        .name("attachment".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
            if abandoned.recv().is_ok() {
                OVERDUE.fetch_sub(1, Ordering::AcqRel);
            }
            panicked
        })
        .map_err(|error| format!("no thread to read it: {error}"))?;
    // Readers look at the clock themselves; the thread is given up only when that did not help.
    match result.recv_timeout(limits.time + Duration::from_millis(500)) {
        Ok(answer) => {
            drop(gone);
            drop(worker);
            answer
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err("its structure is broken: the reader failed on it".to_owned())
        }
        Err(RecvTimeoutError::Timeout) => {
            OVERDUE.fetch_add(1, Ordering::AcqRel);
            // There is room for one; a closed channel means that the thread ended just now.
            if gone.send(()).is_err() {
                OVERDUE.fetch_sub(1, Ordering::AcqRel);
            }
            Err(too_slow(limits.time))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_endless_readers_are_failures_of_the_file() {
        // Who should end by himself gets time for it, also on a busy machine; who should not end waits to be told.
        let ample = Limits { time: Duration::from_secs(600), ..Limits::default() };
        let short = Limits { time: Duration::from_millis(20), ..ample };
        let broken = guarded(ample, |_| -> Result<(), String> { panic!("on purpose") });
        assert!(broken.unwrap_err().contains("structure is broken"));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let endless = guarded(short, move |_| Ok(held.recv().is_ok()));
        assert!(endless.unwrap_err().contains("longer than 0.02 s"));
        drop(release);
        let patient = guarded(short, |budget| {
            loop {
                budget.in_time()?;
            }
        });
        assert!(matches!(patient as Result<(), String>, Err(why) if why.contains("longer")));
        assert_eq!(guarded(ample, |_| Ok(1)).unwrap(), 1);
    }
}
