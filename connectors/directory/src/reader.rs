use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tributary_sdk::{BodyKind, Content, Error, ErrorKind, Result};

use crate::content;

/// Threads that read at once, at most: some for slow disks and network mounts.
const LANES: usize = 8;
/// Files that wait for each of the lanes before there is one more. Files in the page cache are read faster than one
/// thread wakes another.
const PER_LANE: usize = 3;

/// Reads contents on threads for blocking work, several files on each, since handing over a thread for every small
/// file costs more than reading it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reader(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    /// As many as the engine fetches at once.
    waiting: VecDeque<Job>,
    lanes: usize,
}

#[derive(Debug)]
struct Job {
    path: PathBuf,
    kind: BodyKind,
    max_bytes: u64,
    answer: oneshot::Sender<Result<Content>>,
}

impl Reader {
    /// Reads one file.
    pub(crate) async fn fetch(self, path: PathBuf, kind: BodyKind, max_bytes: u64) -> Result<Content> {
        let (answer, content) = oneshot::channel();
        if let Some(lane) = self.push(Job { path, kind, max_bytes, answer }) {
            // It ends with the queue, so nobody has to wait for it.
            let _running = tokio::task::spawn_blocking(move || lane.run());
        }
        content
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "reading a file stopped unexpectedly")))
    }

    /// Adds a file; gives a lane to start, where there are too few.
    fn push(&self, job: Job) -> Option<Lane> {
        let mut queue = self.lock();
        queue.waiting.push_back(job);
        let enough = queue.lanes >= LANES || queue.waiting.len() <= queue.lanes * PER_LANE;
        (!enough).then(|| {
            queue.lanes += 1;
            Lane { reader: self.clone(), is_open: true }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread's share; counted until it is dropped, even if it never runs.
struct Lane {
    reader: Reader,
    is_open: bool,
}

impl Lane {
    fn run(mut self) {
        while let Some(Job { path, kind, max_bytes, answer }) = self.next() {
            if !answer.is_closed() {
                // Nobody may want it any more.
                let _unwanted = answer.send(content::read(&path, kind, max_bytes));
            }
        }
    }

    /// The next file. Looking and closing are one step, so that no file is left behind.
    fn next(&mut self) -> Option<Job> {
        let mut queue = self.reader.lock();
        let job = queue.waiting.pop_front();
        if job.is_none() {
            queue.lanes -= 1;
            self.is_open = false;
        }
        job
    }
}

impl Drop for Lane {
    /// A lane that was stopped fails what waits when it was the last, so that nobody waits for ever.
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let mut queue = self.reader.lock();
        queue.lanes -= 1;
        if queue.lanes == 0 {
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn job(path: &str) -> (Job, oneshot::Receiver<Result<Content>>) {
        let (answer, content) = oneshot::channel();
        (Job { path: PathBuf::from(path), kind: BodyKind::Text, max_bytes: 10, answer }, content)
    }

    #[test]
    fn lanes_grow_with_what_waits_up_to_their_limit_and_end_with_it() {
        let reader = Reader::default();
        let (jobs, contents): (Vec<_>, Vec<_>) = (0..100).map(|_| job("/no/such/file")).unzip();
        let lanes: Vec<Lane> = jobs.into_iter().filter_map(|job| reader.push(job)).collect();
        assert_eq!(lanes.len(), LANES);
        lanes.into_iter().for_each(Lane::run);
        let queue = reader.lock();
        assert_eq!((queue.lanes, queue.waiting.len()), (0, 0));
        for mut content in contents {
            assert!(matches!(content.try_recv(), Ok(Ok(Content::Nothing { .. }))));
        }
    }

    #[test]
    fn a_lane_that_never_runs_leaves_nobody_waiting() {
        let reader = Reader::default();
        let (job, mut content) = job("/no/such/file");
        drop(reader.push(job));
        assert!(content.try_recv().is_err());
        assert_eq!(reader.lock().lanes, 0);
    }

    #[tokio::test]
    async fn many_readers_at_once_all_get_their_own_file() {
        let home = tempfile::tempdir().unwrap();
        let reader = Reader::default();
        let fetches = (0..200_u32).map(|n| {
            let path = home.path().join(n.to_string());
            std::fs::write(&path, n.to_string()).unwrap();
            reader.clone().fetch(path, BodyKind::Text, 10)
        });
        let contents = futures::future::join_all(fetches);
        let contents = tokio::time::timeout(Duration::from_secs(30), contents).await.unwrap();
        for (n, content) in contents.into_iter().enumerate() {
            assert_eq!(content.unwrap(), Content::Text(n.to_string()));
        }
    }
}
