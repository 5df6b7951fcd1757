use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Keeps writes below a number of operations in a second: whoever wants to write waits until what went before has had
/// its time.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    free_from: Mutex<Instant>,
}

impl Rate {
    /// `per_second` must be positive.
    pub(crate) fn new(per_second: f64) -> Self {
        Self { per_second, free_from: Mutex::new(Instant::now()) }
    }

    /// Waits until `operations` may be sent.
    pub(crate) async fn turn(&self, operations: usize) {
        let begins = self.book(operations, Instant::now());
        sleep_until(begins).await;
    }

    #[expect(clippy::cast_precision_loss, reason = "requests hold few operations")]
    fn book(&self, operations: usize, now: Instant) -> Instant {
        let takes =
            Duration::try_from_secs_f64(operations as f64 / self.per_second).unwrap_or(Duration::ZERO);
        let mut free_from = self.free_from.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*free_from).max(now);
        *free_from = begins + takes;
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_time_no_more_is_sent_than_the_rate_allows() {
        let rate = Rate::new(100.0);
        let now = Instant::now();
        let begins: Vec<u128> = (0..4).map(|_| (rate.book(50, now) - now).as_millis()).collect();
        assert!(
            begins[0] < 5 && (495..505).contains(&begins[1]) && (1495..1505).contains(&begins[3]),
            "{begins:?}"
        );
        let later = now + Duration::from_secs(60);
        assert_eq!(rate.book(1, later), later, "what was not used is not saved up");
    }
}
