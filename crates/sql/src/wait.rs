use std::time::Duration;

use tributary_sdk::{Error, ErrorKind, Result};

/// Waits for an answer of the server, but not for ever. `what` says what fails then, and `told` puts it before the server's
/// own words.
///
/// # Errors
/// `Timeout` when there is no answer within `limit`, else what `told` makes of the failure.
pub async fn in_time<T, E>(
    what: &str,
    limit: Duration,
    told: impl FnOnce(&str, E) -> Error,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|error| told(what, error)),
        Err(_) => Err(late(what)),
    }
}

/// The server did not answer in time.
#[must_use]
pub fn late(what: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what}: the server does not answer"))
        .hint("check that the server runs and can be reached from here")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_a_failure_that_may_pass() {
        let told = |what: &str, error: u8| Error::new(ErrorKind::Unavailable, format!("{what}: {error}"));
        let wait = |call| in_time("no answer", Duration::from_millis(20), told, call);
        assert_eq!(wait(futures::future::ready(Ok(1)).boxed()).await.unwrap(), 1);
        let failed = wait(futures::future::ready(Err(7)).boxed()).await.unwrap_err();
        assert_eq!((failed.kind(), failed.to_string()), (ErrorKind::Unavailable, "no answer: 7".to_owned()));
        let late = wait(futures::future::pending().boxed()).await.unwrap_err();
        assert!(late.kind() == ErrorKind::Timeout && late.is_retryable(), "{late}");
    }
}
