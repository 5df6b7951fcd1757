use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;

use crate::{ClientError, ErrorKind};

/// When a failed request is tried again: exponential pauses with full jitter, within a budget of time.
///
/// Tried again are connection errors, timeouts and the statuses 408, 429, 502, 503 and 504
/// ([`ClientError::is_retryable`]), except what a person has to mend first ([`ClientError::is_about_tls`]). `Retry-After` is honoured; a wait that would leave the budget is not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Time from the first attempt after which no further one is begun. Default: 2 minutes. Zero: never try again.
    pub budget: Duration,
    /// Upper bound of the first pause; doubled for each further one. Default: 500 ms.
    pub base: Duration,
    /// Upper bound of every pause. Default: 30 s.
    pub cap: Duration,
    /// Whether a request that timed out is tried again. Default: yes.
    pub on_timeout: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(120),
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            on_timeout: true,
        }
    }
}

/// Whether a request may be sent again when nobody knows whether it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Doing it twice is the same as doing it once: reads, absolute writes, bulk `index` and `delete`.
    Freely,
    /// Only if the earlier attempt certainly was not carried out.
    IfNotDone,
}

impl RetryPolicy {
    /// Every request is tried once.
    pub const NEVER: Self =
        Self { budget: Duration::ZERO, base: Duration::ZERO, cap: Duration::ZERO, on_timeout: false };

    /// The pause before the next attempt, `None` to give up.
    ///
    /// `attempt` counts the attempts made (from 1), `elapsed` is the time since the first began.
    pub fn next<R: Rng + ?Sized>(
        &self,
        attempt: u32,
        elapsed: Duration,
        error: &ClientError,
        repeat: Repeat,
        rng: &mut R,
    ) -> Option<Duration> {
        let refused = !error.is_retryable()
            || error.is_about_tls()
            || (error.kind() == ErrorKind::Timeout && !self.on_timeout)
            || (repeat == Repeat::IfNotDone && error.may_have_happened())
            || self.budget.is_zero();
        if refused {
            return None;
        }
        let wait = match error.retry_after() {
            Some(asked) => asked.saturating_add(jitter(self.base, rng)),
            None => jitter(self.ceiling(attempt), rng),
        };
        (elapsed.checked_add(wait)? <= self.budget).then_some(wait)
    }

    /// Upper bound of the pause after `attempt` attempts.
    fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.checked_mul(factor).map_or(self.cap, |wait| wait.min(self.cap))
    }
}

fn jitter<R: Rng + ?Sized>(ceiling: Duration, rng: &mut R) -> Duration {
    ceiling.mul_f64(rng.random::<f64>())
}

/// Reads a `Retry-After` header: seconds, or an HTTP date. A date in the past is no wait; anything else is ignored.
pub(crate) fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?;
    Some((at.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_at_once() {
        let mut rng = rand::rng();
        let mut next = |reason| {
            let error = ClientError::new(ErrorKind::Unreachable, reason);
            RetryPolicy::default().next(1, Duration::ZERO, &error, Repeat::Freely, &mut rng)
        };
        assert_eq!(next("invalid peer certificate: UnknownIssuer"), None);
        assert!(next("Connection refused").is_some());
    }

    #[test]
    fn a_timeout_is_tried_again_only_where_that_is_wanted() {
        let error = ClientError::new(ErrorKind::Timeout, "slow");
        let next = |on_timeout| {
            let policy = RetryPolicy { on_timeout, ..RetryPolicy::default() };
            policy.next(1, Duration::ZERO, &error, Repeat::Freely, &mut rand::rng())
        };
        assert!(next(true).is_some());
        assert_eq!(next(false), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::parse_from_rfc3339("2015-10-21T07:27:30Z").unwrap().with_timezone(&Utc);
        let cases = [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_retry_after(text, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
