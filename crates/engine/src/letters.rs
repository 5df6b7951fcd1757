use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::backoff::ride_out;
use crate::batch::OpKind;
use crate::control::{Brake, Hold};
use crate::port::PortError;
use crate::prepare::Key;
use crate::report::{MAX_REASON, Refusal, shorten};

/// Notes that make a call worthwhile.
const MANY_NOTES: usize = 200;
/// Notes of one call at the most.
const ROUND: usize = 1000;

/// Keeps dead letters: what is known of documents that were not written, without the documents.
pub trait DeadLetters: fmt::Debug + Send + Sync {
    /// Writes the notes down, in their order; doing it twice is the same as doing it once.
    fn keep<'a>(&'a self, notes: &'a [LetterNote]) -> BoxFuture<'a, Result<(), PortError>>;
}

/// How a sync deals with dead letters.
#[derive(Clone, Debug)]
pub struct Letters {
    /// Who keeps them.
    pub keeper: Arc<dyn DeadLetters>,
    /// Those that are kept of earlier syncs.
    pub known: Vec<KnownLetter>,
    /// Most letters kept at once, the known ones included. What is beyond is only counted.
    pub most: usize,
    /// Whether this sync is there for the known letters only: of everything listed only their documents are written,
    /// and nothing else is deleted.
    pub retry: bool,
}

/// A dead letter of an earlier sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLetter {
    /// The document's id.
    pub id: String,
    /// What was to be done with the document.
    pub operation: OpKind,
    /// Whether the document was written, only without its content.
    pub written: bool,
    /// In how many syncs in a row it came to this.
    pub attempts: u32,
    /// Whether it is of an earlier attempt of this very job.
    pub own: bool,
}

/// What changed about the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterNote {
    /// A document was not written; the letter takes the place of an earlier one of the document.
    Keep(DeadLetter),
    /// The document with this id is as it should be, or gone.
    Forget(String),
}

/// What is known of a document that was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The document's id, and why.
    pub refusal: Refusal,
    /// What was to be done with it.
    pub operation: OpKind,
    /// Whether it was written, only without its content.
    pub written: bool,
    /// In how many syncs in a row it came to this.
    pub attempts: u32,
}

#[derive(Debug)]
struct Known {
    id: String,
    operation: OpKind,
    written: bool,
    attempts: u32,
    own: bool,
    /// Number in the listing of the document that it was last noted of; 0: not by this sync.
    position: u64,
    /// Whether this sync wrote it.
    fresh: bool,
    /// Whether this sync found that it holds still.
    holds: bool,
}

/// Notes are on their way; they come back where they could not be kept.
type Flying = BoxFuture<'static, Option<(Vec<LetterNote>, Option<PortError>)>>;

/// The dead letters of the documents at hand. Without a keeper it does nothing.
pub(crate) struct LetterBox {
    keeper: Option<Arc<dyn DeadLetters>>,
    waiting: Vec<KnownLetter>,
    known: HashMap<Key, Known>,
    most: usize,
    seed: u64,
    notes: Vec<LetterNote>,
    flying: Option<Flying>,
    beyond: u64,
    trouble: Option<PortError>,
}

impl fmt::Debug for LetterBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterBox").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl LetterBox {
    pub(crate) fn new(letters: Option<Letters>) -> Self {
        let (keeper, waiting, most) = match letters {
            Some(letters) => (Some(letters.keeper), letters.known, letters.most),
            None => (None, Vec::new(), 0),
        };
        Self {
            keeper,
            waiting,
            known: HashMap::new(),
            most,
            seed: 0,
            notes: Vec::new(),
            flying: None,
            beyond: 0,
            trouble: None,
        }
    }

    /// Documents are known by keys of this seed from now on.
    pub(crate) fn begin(&mut self, seed: u64) {
        self.seed = seed;
        for letter in std::mem::take(&mut self.waiting) {
            let KnownLetter { id, operation, written, attempts, own } = letter;
            let known =
                Known { operation, written, attempts, own, position: 0, fresh: false, holds: false, id };
            self.known.insert(Key::of(&known.id, seed), known);
        }
    }

    /// A document, listed as number `position`, is not written, or `written` without its content.
    pub(crate) fn note(&mut self, refusal: &Refusal, operation: OpKind, position: u64, written: bool) {
        if self.keeper.is_none() {
            return;
        }
        let key = Key::of(&refusal.id, self.seed);
        let former = self.known.get(&key);
        if former.is_none() && self.known.len() >= self.most {
            self.beyond += 1;
            return;
        }
        let attempts = former
            .map_or(1, |former| former.attempts.saturating_add(u32::from(!former.fresh && !former.own)));
        let mut refusal = refusal.clone();
        shorten(&mut refusal.reason, MAX_REASON);
        let id = refusal.id.clone();
        let known = Known {
            id,
            operation,
            written,
            attempts,
            own: true,
            position: position.max(former.map_or(0, |former| former.position)),
            fresh: true,
            holds: false,
        };
        self.known.insert(key, known);
        self.notes.push(LetterNote::Keep(DeadLetter { refusal, operation, written, attempts }));
    }

    /// A document is left as it is: where it was written without its content, that holds still.
    pub(crate) fn unchanged(&mut self, key: Key, position: u64) {
        if let Some(known) = self.known.get_mut(&key).filter(|known| known.written) {
            known.holds = true;
            known.position = known.position.max(position);
        }
    }

    /// A document, listed as number `position`, is settled: what is known of an earlier listing of it is of the past.
    pub(crate) fn settled(&mut self, key: Key, position: u64) {
        if !self.known.is_empty()
            && self.known.get(&key).is_some_and(|known| known.position < position)
            && let Some(known) = self.known.remove(&key)
        {
            self.notes.push(LetterNote::Forget(known.id));
        }
    }

    /// Everything was listed and dealt with: letters of documents that did not come up are of the past. Those of an
    /// earlier attempt that this one went on from hold still.
    pub(crate) fn all_listed(&mut self, went_on: bool) {
        let notes = &mut self.notes;
        self.known.retain(|_, known| {
            let stays = known.fresh || known.holds || (known.own && went_on);
            if !stays {
                notes.push(LetterNote::Forget(known.id.clone()));
            }
            stays
        });
    }

    /// Documents that were to be deleted and did not come up since.
    pub(crate) fn undeleted(&self) -> Vec<String> {
        let undeleted = |known: &&Known| known.operation == OpKind::Delete && !known.fresh;
        self.known.values().filter(undeleted).map(|known| known.id.clone()).collect()
    }

    /// Sends notes on their way where there are enough, or any and `now`; not when waiting is no longer wanted.
    pub(crate) fn launch(&mut self, now: bool, patience: Duration, brake: &Brake) {
        let enough = self.notes.len() >= if now { 1 } else { MANY_NOTES };
        if self.flying.is_some() || !enough || brake.level() != Hold::No {
            return;
        }
        let Some(keeper) = self.keeper.clone() else { return };
        let rest = self.notes.split_off(self.notes.len().min(ROUND));
        let notes = std::mem::replace(&mut self.notes, rest);
        let brake = brake.clone();
        self.flying = Some(Box::pin(async move {
            match ride_out(patience, &brake, || keeper.keep(&notes)).await {
                Some(Ok(())) => None,
                Some(Err(error)) => Some((notes, Some(error))),
                None => Some((notes, None)),
            }
        }));
    }

    /// Waits for notes on their way; `None` when there are none. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<()> {
        let landed = self.flying.as_mut()?.await;
        self.flying = None;
        if let Some((mut notes, error)) = landed {
            notes.append(&mut self.notes);
            self.notes = notes;
            if let Some(error) = error {
                tracing::warn!(%error, "dead letters cannot be kept");
                self.trouble = Some(error);
                self.keeper = None;
                self.notes.clear();
            }
        }
        Some(())
    }

    /// Whether everything that can be kept is.
    pub(crate) fn is_clear(&self) -> bool {
        self.flying.is_none() && self.notes.is_empty()
    }

    /// Keeps what is left to be kept, as far as `limit` allows; waits for the keeper to come back for `patience`.
    pub(crate) async fn finish(&mut self, limit: Duration, patience: Duration) {
        let work = async {
            while !self.is_clear() {
                self.launch(true, patience, &Brake::new());
                if self.next().await.is_none() {
                    return;
                }
            }
        };
        let _in_time = tokio::time::timeout(limit, work).await;
    }

    /// Letters kept by this sync.
    pub(crate) fn kept(&self) -> u64 {
        if self.keeper.is_none() {
            return 0;
        }
        self.known.values().filter(|known| known.fresh || (known.own && known.holds)).count() as u64
    }

    /// What the person should know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(error) = &self.trouble {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            warnings.push(format!("dead letters could not be kept: {error}{hint}"));
        } else if !self.is_clear() {
            warnings.push("some dead letters could not be kept in time".to_owned());
        }
        if self.beyond > 0 {
            let (beyond, most) = (self.beyond, self.most);
            warnings.push(format!(
                "{beyond} more documents were left out than dead letters are kept at once ({most})"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::port::PortErrorKind;

    const PATIENCE: Duration = Duration::from_secs(600);

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<LetterNote>>, Mutex<Option<PortError>>);

    impl DeadLetters for Kept {
        fn keep<'a>(&'a self, notes: &'a [LetterNote]) -> BoxFuture<'a, Result<(), PortError>> {
            Box::pin(async {
                match self.1.lock().unwrap().clone() {
                    Some(error) => Err(error),
                    None => {
                        self.0.lock().unwrap().extend_from_slice(notes);
                        Ok(())
                    }
                }
            })
        }
    }

    fn known(id: &str) -> KnownLetter {
        KnownLetter { id: id.to_owned(), operation: OpKind::Index, written: false, attempts: 2, own: false }
    }

    fn letter_box(keeper: &Arc<Kept>, known: Vec<KnownLetter>) -> LetterBox {
        let keeper = Arc::clone(keeper) as Arc<dyn DeadLetters>;
        let mut letters = LetterBox::new(Some(Letters { keeper, known, most: 3, retry: false }));
        letters.begin(7);
        letters
    }

    fn refusal(id: &str) -> Refusal {
        Refusal { id: id.to_owned(), kind: "k".to_owned(), reason: "r".to_owned(), status: Some(400) }
    }

    fn key(id: &str) -> Key {
        Key::of(id, 7)
    }

    /// What was kept, as `+id` and `-id`.
    fn told(keeper: &Kept) -> Vec<String> {
        let tell = |note: &LetterNote| match note {
            LetterNote::Keep(letter) => format!("+{} {}", letter.refusal.id, letter.attempts),
            LetterNote::Forget(id) => format!("-{id}"),
        };
        keeper.0.lock().unwrap().iter().map(tell).collect()
    }

    #[tokio::test]
    async fn a_letter_stays_until_its_document_is_written() {
        let keeper = Arc::new(Kept::default());
        let mut letters = letter_box(&keeper, vec![known("a"), known("b")]);
        letters.settled(key("other"), 1);
        letters.note(&refusal("a"), OpKind::Index, 2, false);
        letters.settled(key("a"), 1);
        letters.settled(key("a"), 2);
        letters.settled(key("b"), 3);
        letters.settled(key("a"), 4);
        letters.finish(PATIENCE, PATIENCE).await;
        assert_eq!(told(&keeper), ["+a 3", "-b", "-a"]);
        assert_eq!((letters.kept(), letters.warnings()), (0, vec![]));
    }

    #[tokio::test]
    async fn a_document_without_its_content_keeps_its_letter_while_it_is_unchanged() {
        let keeper = Arc::new(Kept::default());
        let written = KnownLetter { written: true, ..known("old") };
        let mut letters = letter_box(&keeper, vec![written]);
        letters.unchanged(key("old"), 1);
        letters.settled(key("old"), 1);
        letters.note(&refusal("new"), OpKind::Index, 2, true);
        letters.settled(key("new"), 2);
        letters.all_listed(false);
        letters.finish(PATIENCE, PATIENCE).await;
        assert_eq!(told(&keeper), ["+new 1"]);
        letters.settled(key("old"), 3);
        letters.finish(PATIENCE, PATIENCE).await;
        assert_eq!(told(&keeper), ["+new 1", "-old"]);
    }

    #[tokio::test]
    async fn what_a_complete_listing_does_not_tell_of_needs_no_letter() {
        for (went_on, left) in [(false, vec!["-gone", "-own"]), (true, vec!["-gone"])] {
            let keeper = Arc::new(Kept::default());
            let own = KnownLetter { own: true, ..known("own") };
            let mut letters = letter_box(&keeper, vec![known("gone"), own]);
            letters.all_listed(went_on);
            letters.finish(PATIENCE, PATIENCE).await;
            let mut told = told(&keeper);
            told.sort();
            assert_eq!(told, left);
        }
    }

    #[tokio::test]
    async fn letters_are_bounded_and_the_rest_is_told() {
        let keeper = Arc::new(Kept::default());
        let mut letters = letter_box(&keeper, vec![known("a")]);
        for id in ["b", "c", "d", "e", "a"] {
            letters.note(&refusal(id), OpKind::Index, 1, false);
        }
        letters.finish(PATIENCE, PATIENCE).await;
        assert_eq!(told(&keeper), ["+b 1", "+c 1", "+a 3"]);
        assert_eq!(
            letters.warnings(),
            ["2 more documents were left out than dead letters are kept at once (3)"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_keeper_that_refuses_is_told_of_and_one_that_is_away_is_waited_for() {
        let keeper = Arc::new(Kept::default());
        *keeper.1.lock().unwrap() = Some(PortError::new(PortErrorKind::Denied, "no").hint("ask"));
        let mut letters = letter_box(&keeper, vec![]);
        letters.note(&refusal("a"), OpKind::Index, 1, false);
        letters.finish(PATIENCE, PATIENCE).await;
        assert_eq!(letters.warnings(), ["dead letters could not be kept: no (ask)"]);
        assert!(letters.is_clear() && letters.kept() == 0);

        *keeper.1.lock().unwrap() = Some(PortError::new(PortErrorKind::Unavailable, "away"));
        let mut letters = letter_box(&keeper, vec![]);
        letters.note(&refusal("a"), OpKind::Index, 1, false);
        letters.finish(Duration::from_secs(2), PATIENCE).await;
        assert!(!letters.is_clear(), "nothing after it may be stored as done");
        *keeper.1.lock().unwrap() = None;
        letters.finish(PATIENCE, PATIENCE).await;
        assert_eq!((told(&keeper), letters.kept()), (vec!["+a 1".to_owned()], 1));
    }

    #[test]
    fn deletes_that_were_refused_are_known() {
        let keeper = Arc::new(Kept::default());
        let delete = KnownLetter { operation: OpKind::Delete, ..known("a") };
        let mut letters = letter_box(&keeper, vec![delete, known("b")]);
        assert_eq!(letters.undeleted(), ["a"]);
        letters.settled(key("a"), 1);
        assert_eq!(letters.undeleted(), Vec::<String>::new());
    }
}
