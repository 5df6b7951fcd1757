use std::time::Duration;

use tokio::time::Instant;

/// Failures that are borne within a span of time (sync-runtime 1.5).
#[derive(Debug)]
pub(crate) struct ErrorBudget {
    max: u32,
    span: Duration,
    count: u32,
    begun: Option<Instant>,
}

impl ErrorBudget {
    pub(crate) fn new(max: u32, span: Duration) -> Self {
        Self { max, span, count: 0, begun: None }
    }

    /// Counts a failure; whether it was one too many.
    pub(crate) fn is_spent_by_failure(&mut self, now: Instant) -> bool {
        if self.begun.is_none_or(|begun| now.duration_since(begun) > self.span) {
            self.begun = Some(now);
            self.count = 0;
        }
        self.count += 1;
        self.count > self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_close_together_spend_the_budget() {
        let start = Instant::now();
        let at = |second: u64| start + Duration::from_secs(second);
        let mut budget = ErrorBudget::new(2, Duration::from_secs(10));
        assert_eq!([0, 1, 2].map(|second| budget.is_spent_by_failure(at(second))), [false, false, true]);
        let mut budget = ErrorBudget::new(2, Duration::from_secs(10));
        assert_eq!(
            [0, 9, 11, 12, 13].map(|s| budget.is_spent_by_failure(at(s))),
            [false, false, false, false, true]
        );
    }
}
