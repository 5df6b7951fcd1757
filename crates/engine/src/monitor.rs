use std::collections::VecDeque;

use crate::spec::ErrorLimits;

/// Watches the index's answers and says when so many were refusals that the job has to fail (sync-runtime 6.8).
#[derive(Debug)]
pub(crate) struct ErrorMonitor {
    limits: ErrorLimits,
    total: u64,
    consecutive: u64,
    /// The last answers, true for a refusal. Missing ones count as successes.
    window: VecDeque<bool>,
    in_window: u64,
}

impl ErrorMonitor {
    pub(crate) fn new(limits: ErrorLimits) -> Self {
        Self { limits, total: 0, consecutive: 0, window: VecDeque::new(), in_window: 0 }
    }

    pub(crate) fn success(&mut self) {
        self.consecutive = 0;
        self.push(false);
    }

    /// A refusal.
    ///
    /// # Errors
    /// Which limit is exceeded, with `last` as the last error.
    pub(crate) fn refusal(&mut self, last: &str) -> Result<(), String> {
        self.total += 1;
        self.consecutive += 1;
        self.push(true);
        if !self.limits.enabled {
            return Ok(());
        }
        if self.consecutive > self.limits.max_consecutive {
            let seen = self.consecutive;
            return Err(format!(
                "Exceeded maximum consecutive errors - saw {seen} errors in a row. Last error: {last}"
            ));
        }
        if self.total > self.limits.max_total {
            let seen = self.total;
            return Err(format!(
                "Exceeded maximum total error count - saw {seen} errors. Last error: {last}"
            ));
        }
        if self.rate() > self.limits.max_rate {
            let (rate, window) = (self.limits.max_rate, self.limits.window);
            return Err(format!(
                "Exceeded maximum error ratio of {rate} for last {window} operations. Last error: {last}"
            ));
        }
        Ok(())
    }

    /// Share of refusals in the window; the divisor is always the whole window.
    #[expect(clippy::cast_precision_loss, reason = "windows are far below 2^52")]
    fn rate(&self) -> f64 {
        if self.limits.window == 0 { 0.0 } else { self.in_window as f64 / self.limits.window as f64 }
    }

    fn push(&mut self, refused: bool) {
        if self.limits.window == 0 {
            return;
        }
        if self.window.len() >= self.limits.window && self.window.pop_front() == Some(true) {
            self.in_window -= 1;
        }
        self.window.push_back(refused);
        self.in_window += u64::from(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds answers (`x` refused, `.` accepted, `n*` for repetition) and returns after how many refusals it trips.
    fn trips(limits: ErrorLimits, answers: impl IntoIterator<Item = bool>) -> Option<(u64, String)> {
        let mut monitor = ErrorMonitor::new(limits);
        let mut refusals = 0;
        for refused in answers {
            if refused {
                refusals += 1;
                if let Err(message) = monitor.refusal("no") {
                    return Some((refusals, message));
                }
            } else {
                monitor.success();
            }
        }
        None
    }

    fn every(nth: u64, answers: u64) -> impl Iterator<Item = bool> {
        (1..=answers).map(move |n| n % nth == 0)
    }

    #[test]
    fn the_eleventh_refusal_in_a_row_trips() {
        let limits = ErrorLimits::default();
        let (refusals, message) = trips(limits, [true; 20]).unwrap();
        assert_eq!(refusals, 11);
        assert_eq!(message, "Exceeded maximum consecutive errors - saw 11 errors in a row. Last error: no");
        let mut broken_up = vec![true; 10];
        broken_up.push(false);
        broken_up.extend([true; 5]);
        assert_eq!(trips(limits, broken_up), None);
    }

    #[test]
    fn the_thousand_and_first_refusal_in_all_trips() {
        let (refusals, message) = trips(ErrorLimits::default(), every(10, 20_000)).unwrap();
        assert_eq!(refusals, 1001);
        assert!(message.starts_with("Exceeded maximum total error count - saw 1001 errors."));
    }

    #[test]
    fn sixteen_refusals_among_a_hundred_trip_and_fifteen_do_not() {
        let limits = ErrorLimits::default();
        let (refusals, message) = trips(limits, every(2, 100)).unwrap();
        assert_eq!(refusals, 16, "a short history counts as if success had gone before");
        assert_eq!(message, "Exceeded maximum error ratio of 0.15 for last 100 operations. Last error: no");
        assert_eq!(trips(limits, every(7, 1_000)), None);
    }

    #[test]
    fn limits_can_be_switched_off() {
        let off = ErrorLimits { enabled: false, ..ErrorLimits::default() };
        assert_eq!(trips(off, [true; 5_000]), None);
        let no_rate = ErrorLimits { window: 0, ..ErrorLimits::default() };
        assert_eq!(trips(no_rate, every(2, 1_000)), None);
    }
}
