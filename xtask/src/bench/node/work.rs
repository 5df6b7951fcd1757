//! What the servers are asked to do, and how long each request took.

use std::io::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::documents::{self, Numbers};
use super::http::{Client, Request};
use super::servers::Server;

/// How long requests of one kind took.
#[derive(Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The time in milliseconds that this share of the requests did not exceed.
    pub(super) fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
        sorted.get(at).map(|time| time.as_secs_f64() * 1000.0)
    }
}

/// Runs the same work on several connections at once.
fn on_all<T: Send>(
    server: &Server,
    clients: usize,
    work: impl Fn(usize, &mut Client) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            (0..clients).map(|at| scope.spawn(move || work(at, &mut server.client()?))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(Error::other("a client failed"))))
            .collect()
    })
}

/// An empty index with the mappings of the documents.
pub(super) fn create(server: &Server, index: &str) -> Result<()> {
    server.client()?.succeed("PUT", &format!("/{index}"), documents::MAPPINGS).map(drop)
}

pub(super) fn delete(server: &Server, index: &str) -> Result<()> {
    server.client()?.succeed("DELETE", &format!("/{index}"), "").map(drop)
}

/// What a load took.
pub(super) struct Load {
    /// Until all documents were acknowledged.
    pub(super) acknowledged: Duration,
    /// Until all could be found.
    pub(super) searchable: Duration,
    /// Processor time until then, of the server alone: what else the machine does makes little difference to it.
    pub(super) processor: Option<Duration>,
    /// Each request.
    pub(super) requests: Times,
}

/// Sends all bulk requests over so many connections.
pub(super) fn load(server: &Server, index: &str, bulks: &[Vec<u8>], clients: usize) -> Result<Load> {
    let before = server.processor_time();
    let (next, path, start) = (AtomicUsize::new(0), format!("/{index}/_bulk"), Instant::now());
    let all = on_all(server, clients, |_, client| {
        let mut times = Times::default();
        while let Some(bulk) = bulks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let answer = client.send("POST", &path, bulk)?;
            times.push(start.elapsed());
            let head =
                String::from_utf8_lossy(answer.body.get(..200.min(answer.body.len())).unwrap_or_default());
            if answer.status != 200 || !head.contains("\"errors\":false") {
                return Err(Error::other(format!("a bulk was answered {}: {head}", answer.status)));
            }
        }
        Ok(times)
    })?;
    let acknowledged = start.elapsed();
    server.client()?.succeed("POST", &format!("/{index}/_refresh"), "")?;
    let searchable = start.elapsed();
    let processor = server.processor_time().zip(before).map(|(after, before)| after.saturating_sub(before));
    let mut requests = Times::default();
    all.into_iter().for_each(|times| requests.add(times));
    Ok(Load { acknowledged, searchable, processor, requests })
}

/// Reads documents by their ids, one connection.
pub(super) fn gets(server: &Server, index: &str, documents: u64, count: u64, seed: u64) -> Result<Times> {
    let (mut client, mut numbers, mut times) = (server.client()?, Numbers::new(seed), Times::default());
    for _ in 0..count {
        let path = format!("/{index}/_doc/{}", documents::id(numbers.below(documents)).replace('/', "%2F"));
        let start = Instant::now();
        client.succeed("GET", &path, "")?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// Searches of one kind, one connection.
pub(super) fn searches(server: &Server, index: &str, kind: usize, from: u64, count: u64) -> Result<Times> {
    let (mut client, mut times) = (server.client()?, Times::default());
    let path = format!("/{index}/_search");
    for n in from..from + count {
        let body = documents::search(kind, n);
        let start = Instant::now();
        client.succeed("POST", &path, &body)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// How many clients do one request after the other, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Steady {
    pub(super) clients: usize,
    pub(super) during: Duration,
    /// Requests of all of them in a second; without it each makes no pause.
    pub(super) rate: Option<u32>,
}

/// The time of each request.
fn steadily(server: &Server, steady: Steady, request: impl Fn(usize, usize) -> Request) -> Result<Times> {
    let Steady { clients, during, rate } = steady;
    let (mut times, begin) = (Times::default(), Instant::now());
    let mut sent = vec![0; clients];
    let pause = rate.map(|rate| Duration::from_secs(1) / rate.max(1));
    // At a rate they take turns, each at its own time, so that no two send at once.
    let due = |at: usize, n: usize| match pause {
        Some(pause) => begin + pause * u32::try_from(n * clients + at).unwrap_or(u32::MAX),
        None => Instant::now(),
    };
    server.clients(clients)?.run(|at, took| {
        if let Some(took) = took {
            times.push(took);
        }
        let n = sent.get_mut(at)?;
        let due = due(at, *n);
        if due >= begin + during {
            return None;
        }
        *n += 1;
        Some((due, request(at, *n - 1)))
    })?;
    Ok(times)
}

/// Partial updates, each client of a document of its own.
pub(super) fn updates(server: &Server, index: &str, steady: Steady) -> Result<Times> {
    steadily(server, steady, |at, n| Request {
        method: "POST",
        path: format!("/{index}/_update/client-{at}"),
        body: format!("{{\"doc\":{{\"size\":{n}}},\"doc_as_upsert\":true}}"),
    })
}

/// A connector for each client.
pub(super) fn connectors(server: &Server, clients: usize) -> Result<()> {
    on_all(server, clients, |at, client| {
        client.succeed("PUT", &format!("/_connector/bench-{at}"), "{\"service_type\": \"bench\"}").map(drop)
    })
    .map(drop)
}

/// The writes of a daemon to connectors: checks in, and tells of a sync's end. Each client has a connector of its own,
/// unless all have the same.
pub(super) fn connector_updates(server: &Server, steady: Steady, same: bool) -> Result<Times> {
    steadily(server, steady, |at, n| {
        let connector = format!("/_connector/bench-{}", if same { 0 } else { at });
        let (path, body) = match n % 2 {
            0 => ("_check_in", String::new()),
            _ => ("_last_sync", format!("{{\"last_indexed_document_count\": {n}}}")),
        };
        Request { method: "PUT", path: format!("{connector}/{path}"), body }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times = Times((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(times.percentile(0.5), Some(50.0));
        assert_eq!(times.percentile(0.99), Some(99.0));
        assert_eq!(times.percentile(1.0), Some(100.0));
        assert_eq!(Times::default().percentile(0.5), None);
    }
}
