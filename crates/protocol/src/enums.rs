use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ProtocolError;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $es:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// All values.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The protocol's word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ProtocolError;

            /// Reads the word in any letter case (connector-api 2.4).
            fn from_str(word: &str) -> Result<Self, ProtocolError> {
                let known = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word));
                known.ok_or_else(|| ProtocolError::illegal_argument(format!(concat!("Unknown ", $es, " [{}]."), word)))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                word.parse().map_err(|_| {
                    let accepted = [$($word),*].join(", ");
                    serde::de::Error::custom(format!(concat!("'{}' is no ", $es, "; accepted are {}"), word, accepted))
                })
            }
        }
    };
}

words! {
    /// Status of a connector (connector-api 11.1).
    ConnectorStatus, "ConnectorStatus" {
        /// New; nobody has registered its configuration fields yet.
        Created = "created",
        /// Values are missing.
        NeedsConfiguration = "needs_configuration",
        /// It has its values; nobody has connected yet.
        Configured = "configured",
        /// The source was reached.
        Connected = "connected",
        /// See its `error`.
        Error = "error",
    }
}

words! {
    /// Status of a sync job (connector-api 11.2).
    SyncStatus, "ConnectorSyncStatus" {
        /// Waits for a worker.
        Pending = "pending",
        /// A worker runs it.
        InProgress = "in_progress",
        /// Asked to stop for good; its worker has not yet.
        Canceling = "canceling",
        /// Stopped for good on request.
        Canceled = "canceled",
        /// Stopped by its worker's shutdown; goes on later.
        Suspended = "suspended",
        /// Done.
        Completed = "completed",
        /// Failed; see its `error`.
        Error = "error",
    }
}

words! {
    /// What a sync job syncs.
    JobType, "ConnectorSyncJobType" {
        /// Everything, with deletions.
        Full = "full",
        /// What changed since the last sync.
        Incremental = "incremental",
        /// Who may see what.
        AccessControl = "access_control",
    }
}

words! {
    /// Why a sync job was created.
    TriggerMethod, "ConnectorSyncJobTriggerMethod" {
        /// Somebody asked for it.
        OnDemand = "on_demand",
        /// Its schedule was due.
        Scheduled = "scheduled",
    }
}

impl ConnectorStatus {
    /// Whether a status update may move a connector from this status to `next` (connector-api 11.1).
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Created => matches!(next, Self::NeedsConfiguration | Self::Error),
            Self::NeedsConfiguration => matches!(next, Self::Configured | Self::Error),
            Self::Configured => next != Self::Created,
            Self::Connected | Self::Error => matches!(next, Self::Connected | Self::Configured | Self::Error),
        }
    }
}

impl SyncStatus {
    /// Whether a job may move from this status to `next` (connector-api 11.2).
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending | Self::Suspended => matches!(next, Self::InProgress | Self::Canceled),
            Self::InProgress => {
                matches!(next, Self::Canceling | Self::Completed | Self::Suspended | Self::Error)
            }
            Self::Canceling => matches!(next, Self::Canceled | Self::Error),
            Self::Completed | Self::Canceled | Self::Error => false,
        }
    }

    /// Whether the job is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Error)
    }

    /// Whether a worker holds the job.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::InProgress | Self::Canceling)
    }
}

impl JobType {
    /// Whether it syncs documents, not identities.
    #[must_use]
    pub fn is_content(self) -> bool {
        self != Self::AccessControl
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case_and_written_in_lower_case() {
        for status in SyncStatus::ALL {
            assert_eq!(status.as_str().to_uppercase().parse::<SyncStatus>().unwrap(), status);
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        let error = "running".parse::<ConnectorStatus>().unwrap_err();
        assert_eq!(error.to_string(), "Unknown ConnectorStatus [running].");
        let error = serde_json::from_str::<JobType>("\"half\"").unwrap_err().to_string();
        assert!(error.contains("'half'") && error.contains("full, incremental, access_control"), "{error}");
    }

    #[test]
    fn connector_transitions_are_those_of_the_table() {
        use ConnectorStatus::{Configured, Connected, Created, Error, NeedsConfiguration};
        let table = [
            (Created, vec![NeedsConfiguration, Error]),
            (NeedsConfiguration, vec![Configured, Error]),
            (Configured, vec![NeedsConfiguration, Configured, Connected, Error]),
            (Connected, vec![Connected, Configured, Error]),
            (Error, vec![Error, Connected, Configured]),
        ];
        for (from, allowed) in table {
            for to in ConnectorStatus::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&to), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn job_transitions_are_those_of_the_table() {
        use SyncStatus::{Canceled, Canceling, Completed, Error, InProgress, Pending, Suspended};
        let table = [
            (Pending, vec![InProgress, Canceled]),
            (InProgress, vec![Canceling, Completed, Suspended, Error]),
            (Suspended, vec![InProgress, Canceled]),
            (Canceling, vec![Canceled, Error]),
            (Completed, vec![]),
            (Canceled, vec![]),
            (Error, vec![]),
        ];
        for (from, allowed) in table {
            assert_eq!(from.is_final(), allowed.is_empty(), "{from}");
            for to in SyncStatus::ALL {
                assert_eq!(from.may_become(to), allowed.contains(&to), "{from} -> {to}");
            }
        }
    }
}
