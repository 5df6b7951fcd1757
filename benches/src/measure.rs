use std::fs;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Ticks per second of the times in `/proc`; the same on every Linux.
const TICKS: f64 = 100.0;

/// What this process has used at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    at: Instant,
    cpu: f64,
    resident: u64,
}

/// What a piece of work took of this process.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Time on the clock, in seconds.
    pub wall_s: f64,
    /// Processor time of all threads, in seconds.
    pub cpu_s: f64,
    /// Memory before the work, in KiB.
    pub idle_kib: u64,
    /// Most memory at any moment since the process began, in KiB.
    pub peak_kib: u64,
}

impl Usage {
    /// What was used so far.
    #[must_use]
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self { at: Instant::now(), cpu: cpu_seconds(&stat).unwrap_or_default(), resident: status("VmRSS:") }
    }

    /// What was used since.
    #[must_use]
    pub fn taken(&self) -> Taken {
        let wall = self.at.elapsed();
        let now = Self::now();
        Taken {
            wall_s: wall.max(Duration::from_nanos(1)).as_secs_f64(),
            cpu_s: now.cpu - self.cpu,
            idle_kib: self.resident,
            peak_kib: status("VmHWM:"),
        }
    }
}

/// User and system time of a line of `/proc/PID/stat`. The name, second in the line, may hold spaces.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_user_and_system_time_whatever_the_process_is_called() {
        let stat = "17 (a b) c) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 4 0 100";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }

    #[test]
    fn memory_and_time_of_this_process_are_told() {
        let before = Usage::now();
        let block = std::hint::black_box(vec![1_u8; 8 << 20]);
        let taken = before.taken();
        assert!(taken.peak_kib >= 8 << 10 && taken.wall_s > 0.0, "{taken:?} {}", block.len());
    }
}
