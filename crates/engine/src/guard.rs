use crate::report::{SyncError, SyncErrorKind};
use crate::spec::DeleteGuard;

/// What a full listing is about to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leftovers {
    /// Documents in the index that the source did not list.
    pub(crate) documents: u64,
    /// Documents that were in the index before this sync.
    pub(crate) before: u64,
    /// Whether the source listed no document at all.
    pub(crate) empty_listing: bool,
}

/// Whether so much may be deleted.
///
/// # Errors
/// [`SyncErrorKind::DeleteGuard`], with the numbers and how to allow it.
pub(crate) fn check(guard: &DeleteGuard, leftovers: Leftovers) -> Result<(), SyncError> {
    let Leftovers { documents, before, empty_listing } = leftovers;
    if guard.allow_once || documents == 0 {
        return Ok(());
    }
    #[expect(clippy::cast_precision_loss, reason = "shares need no more than 52 bits")]
    let share = documents as f64 / before.max(documents) as f64;
    let too_many = documents >= guard.min_documents && share > guard.max_share;
    let everything = empty_listing && documents >= before && documents >= guard.min_documents_when_empty;
    if !too_many && !everything {
        return Ok(());
    }
    let what = if everything {
        format!("the source listed nothing, so all {documents} documents of the index would be deleted")
    } else {
        let (percent, most) = (share * 100.0, guard.max_share * 100.0);
        format!(
            "{documents} of {before} documents ({percent:.0} %) would be deleted since the source no longer lists \
             them; the delete guard allows {most:.0} %"
        )
    };
    Err(SyncError::new(SyncErrorKind::DeleteGuard, format!("{what}; nothing was deleted")).hint(
        "check the source; if these documents really are gone, sync once with deletions allowed (tributary sync --allow-deletes)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trips(guard: DeleteGuard, documents: u64, before: u64, empty_listing: bool) -> bool {
        check(&guard, Leftovers { documents, before, empty_listing }).is_err()
    }

    #[test]
    fn the_guard_stops_what_is_both_many_and_a_large_share() {
        let guard = DeleteGuard::default();
        for (documents, before, empty, stops) in [
            (0, 0, true, false),
            (99, 100, false, false),
            (100, 500, false, false),
            (101, 500, false, true),
            (100, 499, false, true),
            (1_000, 1_000_000, false, false),
            (1_000, 1_000, false, true),
            (9, 9, true, false),
            (10, 10, true, true),
            (10, 11, true, false),
            (50, 50, false, false),
        ] {
            assert_eq!(trips(guard, documents, before, empty), stops, "{documents} of {before}, {empty}");
        }
    }

    #[test]
    fn the_guard_can_be_lifted_once() {
        let lifted = DeleteGuard { allow_once: true, ..DeleteGuard::default() };
        assert!(!trips(lifted, 1_000, 1_000, true));
    }

    #[test]
    fn the_guard_names_the_numbers_and_how_to_allow_it() {
        let leftovers = Leftovers { documents: 300, before: 1_000, empty_listing: false };
        let error = check(&DeleteGuard::default(), leftovers).unwrap_err();
        assert_eq!(error.kind, SyncErrorKind::DeleteGuard);
        let text = error.report();
        for part in ["300 of 1000", "30 %", "20 %", "nothing was deleted", "--allow-deletes"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
