use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Work of a source on a thread of its own: whatever it does with that thread (block it, panic), nobody else notices.
/// A worker of the runtime that is blocked can keep all timers and sockets from being looked at.
///
/// Dropping this ends the work at its next pause; a thread that is blocked is left behind.
#[derive(Debug)]
pub(crate) struct Apart<T> {
    ended: oneshot::Receiver<Result<T, String>>,
    /// Its end tells the thread to stop.
    _wanted: oneshot::Sender<()>,
}

impl<T: Send + 'static> Apart<T> {
    /// Begins the work; must be called in a runtime, whose timers and sockets the work uses.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub(crate) fn begin(name: &str, work: impl Future<Output = T> + Send + 'static) -> io::Result<Self> {
        let runtime = Handle::current();
        let (wanted, unwanted) = oneshot::channel::<()>();
        let (tell, ended) = oneshot::channel();
        let run = move || {
            let work = async move {
                tokio::select! {
                    biased;
                    _ = unwanted => None,
                    done = work => Some(done),
                }
            };
            let done = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)));
            let told = match done {
                Ok(None) => return,
                Ok(Some(done)) => Ok(done),
                Err(panic) => Err(message(panic.as_ref())),
            };
            // Whoever waited may have gone at this very moment.
            let _gone = tell.send(told);
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { ended, _wanted: wanted })
    }

    /// The outcome of the work. Cancel-safe.
    ///
    /// # Errors
    /// The message of a panic.
    pub(crate) async fn ended(&mut self) -> Result<T, String> {
        (&mut self.ended).await.unwrap_or_else(|_| Err("its thread is gone".to_owned()))
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_outcome() {
        let mut apart = Apart::<()>::begin("t", async { panic!("boom") }).unwrap();
        assert_eq!(apart.ended().await, Err("boom".to_owned()));
    }

    #[tokio::test]
    async fn a_blocked_thread_blocks_nobody_else() {
        let let_go = Arc::new(AtomicBool::new(false));
        let blocked = Arc::clone(&let_go);
        let mut apart = Apart::begin("t", async move {
            while !blocked.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), apart.ended()).await.is_err());
        let_go.store(true, Ordering::SeqCst);
        assert_eq!(apart.ended().await, Ok(()));
    }

    #[tokio::test]
    async fn work_that_nobody_wants_any_more_is_dropped() {
        struct Tell(Option<std::sync::mpsc::Sender<()>>);
        impl Drop for Tell {
            fn drop(&mut self) {
                drop(self.0.take());
            }
        }
        let (sender, dropped) = std::sync::mpsc::channel();
        let held = Tell(Some(sender));
        let apart = Apart::begin("t", async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(apart);
        let gone = dropped.recv_timeout(Duration::from_secs(5));
        assert_eq!(gone, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }
}
