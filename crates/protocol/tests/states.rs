//! Laws of the state machines (connector-api 11); the tables themselves are checked beside them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use tributary_protocol::{ConnectorStatus, JobType, SyncStatus, TriggerMethod};

/// All states that can be reached in any number of steps.
fn reachable(from: SyncStatus) -> Vec<SyncStatus> {
    let mut found = vec![from];
    let mut at = 0;
    while let Some(&state) = found.get(at) {
        found.extend(
            SyncStatus::ALL
                .into_iter()
                .filter(|next| state.may_become(*next) && !found.contains(next))
                .collect::<Vec<_>>(),
        );
        at += 1;
    }
    found
}

#[test]
fn every_job_can_end_and_an_ended_one_goes_nowhere() {
    for status in SyncStatus::ALL {
        let reachable = reachable(status);
        assert!(reachable.iter().any(|state| state.is_final()), "{status}");
        assert_eq!(status.is_final(), reachable.len() == 1, "{status}");
        assert!(!(status.is_final() && status.is_running()), "{status}");
    }
}

#[test]
fn only_a_waiting_job_is_taken_up_and_no_job_becomes_pending_again() {
    for status in SyncStatus::ALL {
        let waits = matches!(status, SyncStatus::Pending | SyncStatus::Suspended);
        assert_eq!(status.may_become(SyncStatus::InProgress), waits, "{status}");
        assert!(!status.may_become(SyncStatus::Pending), "{status}");
    }
}

#[test]
fn every_connector_may_fail_and_none_becomes_new_again() {
    for status in ConnectorStatus::ALL {
        assert!(status.may_become(ConnectorStatus::Error), "{status}");
        assert!(!status.may_become(ConnectorStatus::Created), "{status}");
    }
}

#[test]
fn only_identities_are_no_content() {
    for kind in JobType::ALL {
        assert_eq!(kind.is_content(), kind.as_str() != "access_control");
    }
}

#[test]
fn an_unknown_word_is_refused_in_the_words_of_the_reference() {
    for (error, reason) in [
        ("x".parse::<ConnectorStatus>().unwrap_err(), "Unknown ConnectorStatus [x]."),
        ("x".parse::<SyncStatus>().unwrap_err(), "Unknown ConnectorSyncStatus [x]."),
        ("x".parse::<JobType>().unwrap_err(), "Unknown ConnectorSyncJobType [x]."),
        ("x".parse::<TriggerMethod>().unwrap_err(), "Unknown ConnectorSyncJobTriggerMethod [x]."),
    ] {
        assert_eq!(
            (error.status(), error.es_type(), error.reason()),
            (400, "illegal_argument_exception", reason)
        );
    }
}

proptest! {
    #[test]
    fn a_word_is_a_status_exactly_when_its_lower_case_is(word in "[a-zA-Z_]{0,14}", known in 0..7_usize, upper in any::<u16>()) {
        let mixed: String = SyncStatus::ALL[known].as_str().chars().enumerate()
            .map(|(at, letter)| if upper >> (at % 16) & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        prop_assert_eq!(mixed.parse::<SyncStatus>().unwrap(), SyncStatus::ALL[known]);
        let is_known = SyncStatus::ALL.iter().any(|status| status.as_str() == word.to_ascii_lowercase());
        prop_assert_eq!(word.parse::<SyncStatus>().is_ok(), is_known);
    }
}
