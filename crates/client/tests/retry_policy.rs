//! When a failed request is tried again.

use std::time::Duration;

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use tributary_client::{ClientError, ErrorKind, Repeat, RetryPolicy};

const KINDS: [ErrorKind; 14] = [
    ErrorKind::Config,
    ErrorKind::Unreachable,
    ErrorKind::Timeout,
    ErrorKind::Auth,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::TooLarge,
    ErrorKind::Throttled,
    ErrorKind::Unavailable,
    ErrorKind::Rejected,
    ErrorKind::Server,
    ErrorKind::BadAnswer,
    ErrorKind::Foreign,
];

fn next(
    policy: &RetryPolicy,
    attempt: u32,
    elapsed: Duration,
    kind: ErrorKind,
    seed: u64,
) -> Option<Duration> {
    let mut rng = StdRng::seed_from_u64(seed);
    policy.next(attempt, elapsed, &ClientError::new(kind, "x"), Repeat::Freely, &mut rng)
}

#[test]
fn only_what_may_pass_by_itself_is_tried_again() {
    let policy = RetryPolicy::default();
    for kind in KINDS {
        let expected = matches!(
            kind,
            ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Throttled | ErrorKind::Unavailable
        );
        assert_eq!(next(&policy, 1, Duration::ZERO, kind, 1).is_some(), expected, "{kind:?}");
    }
}

#[test]
fn what_must_not_happen_twice_is_tried_again_only_when_it_did_not_happen() {
    let policy = RetryPolicy::default();
    let mut rng = StdRng::seed_from_u64(1);
    for (kind, again) in [
        (ErrorKind::Throttled, true),
        (ErrorKind::Unavailable, true),
        (ErrorKind::Timeout, false),
        (ErrorKind::Unreachable, false),
    ] {
        let error = ClientError::new(kind, "x");
        assert_eq!(error.may_have_happened(), !again, "{kind:?}");
        let wait = policy.next(1, Duration::ZERO, &error, Repeat::IfNotDone, &mut rng);
        assert_eq!(wait.is_some(), again, "{kind:?}");
    }
}

#[test]
fn the_policy_never_tries_nothing_again() {
    for kind in KINDS {
        assert_eq!(next(&RetryPolicy::NEVER, 1, Duration::ZERO, kind, 1), None);
    }
}

proptest! {
    #[test]
    fn a_pause_is_never_longer_than_its_doubling_bound_nor_the_cap(
        attempt in 1_u32..200, seed: u64, base_ms in 1_u64..5_000, cap_ms in 1_u64..60_000,
    ) {
        let policy = RetryPolicy {
            budget: Duration::from_secs(1_000_000),
            base: Duration::from_millis(base_ms),
            cap: Duration::from_millis(cap_ms),
            on_timeout: true,
        };
        let wait = next(&policy, attempt, Duration::ZERO, ErrorKind::Throttled, seed).unwrap();
        let doubled = u128::from(base_ms) << (attempt - 1).min(60);
        prop_assert!(wait <= policy.cap);
        prop_assert!(wait.as_millis() <= doubled);
    }

    #[test]
    fn no_attempt_begins_after_the_budget(elapsed_ms in 0_u64..300_000, attempt in 1_u32..40, seed: u64) {
        let policy = RetryPolicy::default();
        let elapsed = Duration::from_millis(elapsed_ms);
        match next(&policy, attempt, elapsed, ErrorKind::Unavailable, seed) {
            Some(wait) => prop_assert!(elapsed + wait <= policy.budget),
            None => prop_assert!(elapsed + policy.cap > policy.budget),
        }
    }
}
