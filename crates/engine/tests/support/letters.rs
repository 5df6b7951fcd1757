use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use tributary_engine::{DeadLetter, DeadLetters, KnownLetter, LetterNote, Letters, PortError, PortErrorKind};

/// Keeps dead letters in memory, with the number of the job they are of.
#[derive(Debug, Default)]
pub struct MemoryLetters {
    kept: Mutex<BTreeMap<String, (u64, DeadLetter)>>,
    job: Mutex<u64>,
    /// Every so many calls one fails.
    away: Mutex<u64>,
    calls: Mutex<u64>,
}

impl MemoryLetters {
    pub fn set_away(&self, every: u64) {
        *self.away.lock().unwrap() = every;
    }

    pub fn next_job(&self) {
        *self.job.lock().unwrap() += 1;
    }

    pub fn letters(&self) -> BTreeMap<String, DeadLetter> {
        self.kept.lock().unwrap().iter().map(|(id, (_, letter))| (id.clone(), letter.clone())).collect()
    }

    pub fn ids(&self) -> Vec<String> {
        self.letters().into_keys().collect()
    }

    /// For the next attempt: what is kept is known.
    pub fn for_sync(self: &Arc<Self>, retry: bool) -> Letters {
        let job = *self.job.lock().unwrap();
        let kept = self.kept.lock().unwrap();
        let known = kept.iter().map(|(id, (of, letter))| KnownLetter {
            id: id.clone(),
            operation: letter.operation,
            written: letter.written,
            attempts: letter.attempts,
            own: *of == job,
        });
        Letters {
            keeper: Arc::clone(self) as Arc<dyn DeadLetters>,
            known: known.collect(),
            most: 1000,
            retry,
        }
    }
}

impl DeadLetters for MemoryLetters {
    fn keep<'a>(&'a self, notes: &'a [LetterNote]) -> BoxFuture<'a, Result<(), PortError>> {
        Box::pin(async move {
            let (calls, away) = {
                let mut calls = self.calls.lock().unwrap();
                *calls += 1;
                (*calls, *self.away.lock().unwrap())
            };
            if away > 0 {
                tokio::time::sleep(Duration::from_millis(calls % 7)).await;
                if calls.is_multiple_of(away) {
                    return Err(PortError::new(PortErrorKind::Unavailable, "letters: away"));
                }
            }
            let job = *self.job.lock().unwrap();
            let mut kept = self.kept.lock().unwrap();
            for note in notes {
                match note {
                    LetterNote::Keep(letter) => {
                        kept.insert(letter.refusal.id.clone(), (job, letter.clone()));
                    }
                    LetterNote::Forget(id) => {
                        kept.remove(id);
                    }
                }
            }
            Ok(())
        })
    }
}
