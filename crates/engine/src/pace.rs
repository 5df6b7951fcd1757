//! How hard an index is written to: how many bulk requests are on their way at once, and how large they are. Both
//! follow what the index answers and how fast, within the job's limits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::spec::Limits;

/// Requests are never made smaller than this for the sake of the index.
const SMALLEST: usize = 64 << 10;
/// Requests on their way at once that an index which asks to slow down still gets while they are larger than
/// [`HANDY`]: one alone leaves the index idle on the way to it and back.
const FEW: usize = 3;
/// Bytes of a request that make the way there and back small beside the index's work.
const HANDY: usize = 256 << 10;
/// Requests that take longer become smaller: waiting for an answer is waiting with a lease, a cancel, a checkpoint.
const SLOW: Duration = Duration::from_secs(5);
/// Requests that are answered faster may become larger again.
const QUICK: Duration = Duration::from_secs(1);
/// How long the size of a refused request is remembered.
const MEMORY: Duration = Duration::from_secs(60);
/// A refused request costs a pause. So an index that has room for three and not for four is not tried with four again and
/// again.
const MOST_CAUTION: usize = 64;
/// Requests that queue in the index: with fewer there may be more of them, with more there are fewer.
const FEW_QUEUED: f64 = 2.0;
const MANY_QUEUED: f64 = 4.0;
/// How the best time of the past loses its meaning, answer by answer.
const FORGET: f64 = 1.002;

/// The pace of one job, shared by everything that sends.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tempo: Mutex<Tempo>,
    changed: Notify,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        let tempo = Mutex::new(Tempo::new(limits.concurrent_bulks, limits.batch_bytes));
        Self { shared: Arc::new(Shared { tempo, changed: Notify::new() }) }
    }

    /// Requests that may be on their way at once.
    pub(crate) fn limit(&self) -> usize {
        self.tempo().limit
    }

    /// Bytes of a request.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.tempo().batch
    }

    /// Requests that the index took so far.
    pub(crate) fn taken(&self) -> u64 {
        self.tempo().taken
    }

    /// Waits until another request may be sent. Nothing is lost when the future is dropped.
    pub(crate) async fn turn(&self) -> Turn {
        loop {
            let changed = self.shared.changed.notified();
            if self.tempo().begin() {
                return Turn { pace: self.clone(), began: Instant::now() };
            }
            changed.await;
        }
    }

    fn tempo(&self) -> MutexGuard<'_, Tempo> {
        self.shared.tempo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way; dropped without a word it says nothing about the index.
#[derive(Debug)]
pub(crate) struct Turn {
    pace: Pace,
    began: Instant,
}

impl Turn {
    /// The index took the request, of `bytes` bytes.
    pub(crate) fn answered(self, bytes: usize) {
        self.pace.tempo().answered(bytes, self.began, Instant::now());
    }

    /// The index asked to slow down.
    pub(crate) fn throttled(self, bytes: usize) {
        self.pace.tempo().throttled(bytes, self.began, Instant::now());
    }

    /// The index never takes as much at once.
    pub(crate) fn too_large(self, bytes: usize) {
        self.pace.tempo().too_large(bytes);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.pace.tempo().sent -= 1;
        self.pace.shared.changed.notify_waiters();
    }
}

/// What is known of the index, and what follows from it.
#[derive(Debug)]
struct Tempo {
    /// Requests on their way, and how many may be.
    sent: usize,
    limit: usize,
    most: usize,
    /// Requests that were taken.
    taken: u64,
    /// Bytes of a request, and how many may be.
    batch: usize,
    most_batch: usize,
    /// Answers in a row that speak for more requests at once, and for fewer.
    roomy: usize,
    crowded: usize,
    /// How many times longer it takes to dare one more request at once: twice as long after each time that it was refused.
    caution: usize,
    /// Whether the last step was one more at once, which was not refused so far.
    dared: bool,
    /// Seconds for a byte when the index has nothing else to do, as far as was seen.
    best: Option<f64>,
    /// When it was last asked to slow down: what was sent before says nothing new.
    slowed: Option<Instant>,
    /// The smallest request that was refused although few were on their way.
    refused: Option<(usize, Instant)>,
}

impl Tempo {
    fn new(most: usize, most_batch: usize) -> Self {
        let most = most.max(1);
        Self {
            sent: 0,
            limit: most,
            most,
            taken: 0,
            batch: most_batch,
            most_batch,
            roomy: 0,
            crowded: 0,
            caution: 1,
            dared: false,
            best: None,
            slowed: None,
            refused: None,
        }
    }

    fn begin(&mut self) -> bool {
        let may = self.sent < self.limit;
        self.sent += usize::from(may);
        may
    }

    fn answered(&mut self, bytes: usize, began: Instant, now: Instant) {
        self.taken += 1;
        let took = now.duration_since(began);
        if took >= SLOW {
            self.shrink_to(bytes.min(self.batch) / 2);
        } else if took < QUICK && bytes >= self.batch / 4 * 3 {
            let known = self.refused.filter(|(_, when)| now.duration_since(*when) < MEMORY);
            let most = known.map_or(self.most_batch, |(refused, _)| (refused / 8 * 7).min(self.most_batch));
            self.batch = (self.batch + self.batch / 4).min(most).max(self.batch);
        }
        // Small requests tell of the way there and back, not of the index's work.
        if bytes >= self.batch / 4 {
            self.weigh(took.as_secs_f64() / bytes.max(1) as f64);
        }
    }

    /// Compares the time for a byte with the best one: what is above that was spent in a queue.
    fn weigh(&mut self, time: f64) {
        let best = self.best.map_or(time, |best| (best * FORGET).min(time));
        self.best = Some(best);
        let queued = if time > 0.0 { self.limit as f64 * (1.0 - best / time) } else { 0.0 };
        if queued < FEW_QUEUED {
            self.crowded = 0;
            self.roomy += 1;
        } else if queued > MANY_QUEUED {
            self.roomy = 0;
            self.crowded += 1;
        } else {
            (self.roomy, self.crowded) = (0, 0);
        }
        if self.roomy >= self.limit * 4 * self.caution {
            if std::mem::replace(&mut self.dared, true) {
                self.caution = (self.caution / 2).max(1);
            }
            self.set_limit(self.limit + 1);
        } else if self.crowded >= self.limit {
            self.set_limit(self.limit - 1);
        }
    }

    fn throttled(&mut self, bytes: usize, began: Instant, now: Instant) {
        if self.slowed.is_some_and(|slowed| began < slowed) {
            return;
        }
        self.slowed = Some(now);
        if std::mem::take(&mut self.dared) {
            self.caution = (self.caution * 2).min(MOST_CAUTION);
        }
        if self.limit > FEW || (self.limit > 1 && bytes.min(self.batch) <= HANDY) {
            let least = if self.limit > FEW { FEW } else { 1 };
            self.set_limit((self.limit / 2).max(least));
        } else {
            // So few, and still too much: it is the size.
            self.set_limit(self.limit);
            self.refused = Some((bytes, now));
            self.shrink_to(bytes.min(self.batch) / 2);
        }
    }

    fn too_large(&mut self, bytes: usize) {
        self.shrink_to(bytes / 2);
        self.most_batch = self.most_batch.min(self.batch);
    }

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(1, self.most);
        (self.roomy, self.crowded) = (0, 0);
    }

    fn shrink_to(&mut self, bytes: usize) {
        self.batch = self.batch.min(bytes.max(SMALLEST.min(self.most_batch)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Answers `count` requests of `bytes` bytes after `millis` each, one after the other.
    fn answer(tempo: &mut Tempo, count: usize, bytes: usize, millis: u64) {
        for _ in 0..count {
            let now = Instant::now();
            tempo.answered(bytes, now, now + Duration::from_millis(millis));
        }
    }

    fn throttle(tempo: &mut Tempo, bytes: usize) {
        let now = tempo.slowed.map_or_else(Instant::now, |slowed| slowed + Duration::from_millis(1));
        tempo.throttled(bytes, now, now + Duration::from_millis(1));
    }

    #[test]
    fn throttling_halves_and_success_brings_back() {
        let mut tempo = Tempo::new(5, MIB);
        let mut tries = Vec::new();
        for _ in 0..5 {
            let batch = tempo.batch;
            throttle(&mut tempo, batch);
            tries.push((tempo.limit, tempo.batch));
        }
        let (half, quarter) = (MIB / 2, MIB / 4);
        assert_eq!(tries, [(3, MIB), (3, half), (3, quarter), (1, quarter), (1, quarter / 2)]);
        answer(&mut tempo, 4, quarter / 2, 10);
        assert_eq!(tempo.limit, 2);
        answer(&mut tempo, 1000, quarter / 2, 10);
        assert_eq!(tempo.limit, 5);
    }

    #[test]
    fn one_more_at_once_that_is_refused_is_dared_ever_more_seldom() {
        let (mut tempo, mut refusals) = (Tempo::new(8, MIB), 0);
        // Room for three.
        for _ in 0..2_000 {
            if tempo.limit > 3 {
                throttle(&mut tempo, MIB);
                refusals += 1;
            }
            answer(&mut tempo, 1, MIB, 10);
        }
        assert!((5..10).contains(&refusals), "{refusals}");
        // Room for all.
        answer(&mut tempo, 3_000, MIB, 10);
        assert_eq!(tempo.limit, 8);
    }

    #[test]
    fn refusals_of_requests_that_were_sent_together_count_once() {
        let mut tempo = Tempo::new(8, MIB);
        let began = Instant::now();
        (1..6).for_each(|n| tempo.throttled(MIB, began, began + Duration::from_millis(n)));
        assert_eq!((tempo.limit, tempo.batch), (4, MIB));
    }

    #[test]
    fn a_request_that_is_refused_alone_becomes_smaller_and_does_not_grow_back_to_that_size() {
        let mut tempo = Tempo::new(1, 3 * MIB);
        throttle(&mut tempo, 3 * MIB);
        throttle(&mut tempo, 3 * MIB / 2);
        assert_eq!(tempo.batch, 3 * MIB / 4);
        for _ in 0..100 {
            let batch = tempo.batch;
            answer(&mut tempo, 1, batch, 100);
        }
        assert!(tempo.batch > MIB && tempo.batch < 3 * MIB / 2, "{}", tempo.batch);
        (0..100).for_each(|_| throttle(&mut tempo, SMALLEST));
        assert_eq!(tempo.batch, SMALLEST);
    }

    #[test]
    fn a_size_that_was_refused_is_tried_again_after_a_while() {
        let mut tempo = Tempo::new(1, MIB);
        throttle(&mut tempo, MIB);
        let later = Instant::now() + MEMORY * 2;
        for _ in 0..10 {
            tempo.answered(tempo.batch, later, later + Duration::from_millis(100));
        }
        assert_eq!(tempo.batch, MIB);
    }

    #[test]
    fn slow_answers_make_requests_smaller_and_quick_ones_larger_again() {
        let mut tempo = Tempo::new(5, 4 * MIB);
        answer(&mut tempo, 1, 4 * MIB, 6_000);
        answer(&mut tempo, 1, 2 * MIB, 6_000);
        assert_eq!(tempo.batch, MIB);
        answer(&mut tempo, 3, MIB, 3_000);
        assert_eq!(tempo.batch, MIB, "neither slow nor quick");
        for _ in 0..10 {
            let batch = tempo.batch;
            answer(&mut tempo, 1, batch, 300);
        }
        assert_eq!(tempo.batch, 4 * MIB);
    }

    #[test]
    fn a_size_the_index_never_takes_is_never_sent_again() {
        let mut tempo = Tempo::new(5, 4 * MIB);
        tempo.too_large(MIB);
        answer(&mut tempo, 100, MIB / 2, 10);
        assert_eq!(tempo.batch, MIB / 2);
    }

    #[test]
    fn requests_that_only_queue_become_fewer() {
        let mut tempo = Tempo::new(20, MIB);
        answer(&mut tempo, 1, MIB, 10);
        answer(&mut tempo, 200, MIB, 200);
        let crowded = tempo.limit;
        assert!((2..10).contains(&crowded), "{crowded}");
        answer(&mut tempo, 2_000, MIB, 10);
        assert_eq!(tempo.limit, 20, "an index with room takes more again");
    }

    #[test]
    fn an_index_that_became_slower_for_good_is_not_starved() {
        let mut tempo = Tempo::new(8, MIB);
        answer(&mut tempo, 10, MIB, 10);
        answer(&mut tempo, 5_000, MIB, 400);
        assert_eq!(tempo.limit, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_requests_are_on_their_way_than_the_pace_allows() {
        let pace = Pace::new(&Limits { concurrent_bulks: 2, ..Limits::default() });
        let (first, second) = (pace.turn().await, pace.turn().await);
        let waits = tokio::time::timeout(Duration::from_secs(9), pace.turn());
        assert!(waits.await.is_err());
        first.throttled(SMALLEST);
        assert_eq!(pace.limit(), 1);
        assert!(tokio::time::timeout(Duration::from_secs(9), pace.turn()).await.is_err());
        let (third, ()) = tokio::join!(pace.turn(), async { drop(second) });
        third.answered(MIB);
        let _again = pace.turn().await;
    }
}
