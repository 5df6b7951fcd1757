//! What the machine itself keeps any server on it from: how long its disk takes, and for how long its processors are held up.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::work::Times;

/// How long the processors are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A shorter pause is the system's own work.
const SHORTEST: Duration = Duration::from_micros(500);

pub(super) struct Machine {
    pub(super) cores: usize,
    /// How long the disk takes to keep 4 KiB more of a file: what no acknowledged write can be faster than.
    pub(super) fsync: Times,
    pub(super) pauses: Pauses,
}

/// For how long processors were held up that had all work to do, by whatever else the machine or its host does.
#[derive(Debug, PartialEq)]
pub(super) struct Pauses {
    /// Of all their time.
    pub(super) share: f64,
    pub(super) longest: Duration,
}

impl Machine {
    pub(super) fn look_at(folder: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { cores, fsync: fsyncs(folder)?, pauses: pauses(cores) })
    }
}

fn fsyncs(folder: &Path) -> Result<Times> {
    let path = folder.join("fsync");
    let mut file = File::create(&path)?;
    let mut times = Times::default();
    for _ in 0..300 {
        let start = Instant::now();
        file.write_all(&[b'x'; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(times)
}

fn pauses(cores: usize) -> Pauses {
    let held_up = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(held_up)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    Pauses::of(&held_up, LOOK * u32::try_from(cores).unwrap_or(1))
}

/// Keeps a processor busy and tells when it was not.
fn held_up() -> Vec<Duration> {
    let (begin, mut pauses) = (Instant::now(), Vec::new());
    let mut last = begin;
    while last.duration_since(begin) < LOOK {
        let now = Instant::now();
        let pause = now.duration_since(last);
        if pause >= SHORTEST {
            pauses.push(pause);
        }
        last = now;
    }
    pauses
}

impl Pauses {
    fn of(pauses: &[Duration], time: Duration) -> Self {
        Self {
            share: pauses.iter().sum::<Duration>().as_secs_f64() / time.as_secs_f64(),
            longest: pauses.iter().max().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_a_share_of_the_time_of_all_processors() {
        let ms = Duration::from_millis;
        let pauses = Pauses::of(&[ms(2), ms(40), ms(8)], ms(1_000));
        assert_eq!(pauses, Pauses { share: 0.05, longest: ms(40) });
        assert_eq!(Pauses::of(&[], ms(1_000)), Pauses { share: 0.0, longest: Duration::ZERO });
    }
}
