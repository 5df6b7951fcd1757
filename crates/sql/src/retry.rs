use std::time::Duration;

use tributary_sdk::{Error, ErrorKind};

/// Longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// How often something is tried that may work a little later. Whenever rows came in between, counting starts over.
#[derive(Clone, Copy, Debug)]
pub struct Attempts {
    most: u32,
    failed: u32,
}

impl Attempts {
    /// This many attempts in all; at least one.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most: most.max(1), failed: 0 }
    }

    /// Something worked: the next failure is the first again.
    pub fn worked(&mut self) {
        self.failed = 0;
    }

    /// After a failure: waits for the next attempt.
    ///
    /// # Errors
    /// Gives the error back when there is none.
    pub async fn again(&mut self, error: Error) -> Result<(), Error> {
        self.failed += 1;
        if !error.is_retryable() || self.failed >= self.most {
            return Err(error);
        }
        let pause = pause(self.failed, &error);
        tracing::warn!(attempt = self.failed, "{}; trying again in {} s", error.report(), pause.as_secs());
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// 2, 4, 8 … seconds, or what the other side asked for.
fn pause(failed: u32, error: &Error) -> Duration {
    match error.kind() {
        ErrorKind::Throttled(Some(asked)) => asked,
        _ => Duration::from_secs(2_u64.saturating_pow(failed)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: ErrorKind) -> Error {
        Error::new(kind, "x")
    }

    #[tokio::test]
    async fn attempts_are_counted_and_begin_anew_after_a_success() {
        let soon = || failure(ErrorKind::Throttled(Some(Duration::ZERO)));
        let mut attempts = Attempts::new(3);
        attempts.again(soon()).await.unwrap();
        attempts.again(soon()).await.unwrap();
        attempts.worked();
        attempts.again(soon()).await.unwrap();
        attempts.again(soon()).await.unwrap();
        attempts.again(soon()).await.unwrap_err();
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let seconds = |failed| pause(failed, &failure(ErrorKind::Unavailable)).as_secs();
        assert_eq!((seconds(1), seconds(2), seconds(3), seconds(20)), (2, 4, 8, LONGEST.as_secs()));
    }

    #[tokio::test]
    async fn what_cannot_work_later_is_not_tried_again() {
        Attempts::new(9).again(failure(ErrorKind::Auth)).await.unwrap_err();
    }
}
