//! Who holds a job, and until when. Pure.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tributary_engine::Checkpoint;

/// Name of our part of a job's `metadata`.
pub(crate) const METADATA: &str = "tributary";

/// What a claim is known by: a worker may write a job only as long as the job carries the worker's token.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(String);

impl Token {
    /// A token that nobody else has.
    pub(crate) fn random() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `metadata.tributary` of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lease {
    /// The claim's token; `None` when nobody holds the job.
    pub(crate) token: Option<Token>,
    /// Who claimed it last; equals the job's `worker_hostname` unless somebody without a lease claimed it since.
    pub(crate) worker: Option<String>,
    /// When the claim ends unless it is renewed.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// How often the job was claimed.
    pub(crate) attempt: u32,
    /// How often it was taken over from a worker that had gone silent.
    pub(crate) takeovers: u32,
    /// Where a suspended job goes on, as the engine's JSON text: as an object, an update would merge it into the one
    /// before.
    pub(crate) checkpoint: Option<String>,
    /// Whether this job may delete whatever it finds; set by who creates the job.
    pub(crate) allow_deletes: bool,
    /// The dead letters that this job is there for, if it is; set by who creates the job.
    pub(crate) retry: Option<Retry>,
}

/// Dead letters of another job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retry {
    /// The other job.
    pub(crate) job: String,
    /// Only of these documents; empty: all.
    #[serde(default)]
    pub(crate) ids: Vec<String>,
}

impl Lease {
    /// What a job's `metadata` says.
    pub(crate) fn read(metadata: Option<&Value>) -> Self {
        let Some(ours) = metadata.and_then(|metadata| metadata.get(METADATA)) else { return Self::default() };
        let text = |name: &str| ours.get(name).and_then(Value::as_str).map(str::to_owned);
        let count = |name: &str| {
            ours.get(name).and_then(Value::as_u64).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
        };
        let expires_at = text("lease_expires_at").and_then(|text| text.parse().ok());
        Self {
            token: text("token").map(Token),
            worker: text("worker"),
            expires_at,
            attempt: count("attempt"),
            takeovers: count("takeovers"),
            checkpoint: text("checkpoint"),
            allow_deletes: ours.get("allow_deletes").and_then(Value::as_bool).unwrap_or(false),
            retry: ours.get("retry").and_then(|retry| serde_json::from_value(retry.clone()).ok()),
        }
    }

    /// The lease of the next claim.
    pub(crate) fn next(
        &self,
        token: Token,
        worker: &str,
        expires_at: DateTime<Utc>,
        takes_over: bool,
    ) -> Self {
        Self {
            token: Some(token),
            worker: Some(worker.to_owned()),
            expires_at: Some(expires_at),
            attempt: self.attempt.saturating_add(1),
            takeovers: if takes_over { self.takeovers.saturating_add(1) } else { 0 },
            checkpoint: self.checkpoint.clone(),
            allow_deletes: self.allow_deletes,
            retry: self.retry.clone(),
        }
    }

    /// The value of the job's `metadata` that says so.
    pub(crate) fn to_metadata(&self) -> Value {
        json!({ METADATA: {
            "token": self.token.as_ref().map(Token::as_str),
            "worker": self.worker,
            "lease_expires_at": self.expires_at.map(time),
            "attempt": self.attempt,
            "takeovers": self.takeovers,
            "checkpoint": self.checkpoint,
            "allow_deletes": self.allow_deletes,
            "retry": self.retry,
        }})
    }

    /// Where the engine goes on.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.checkpoint.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }
}

/// An instant as the protocol's documents have it (connector-api 2.10).
pub(crate) fn time(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// The times of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTerms {
    /// What a worker that has gone silent keeps its job for.
    pub(crate) length: Duration,
}

impl LeaseTerms {
    /// When a lease ends that is renewed now: a tenth early, so that whoever waits for it has taken the job over
    /// before the whole length is gone.
    pub(crate) fn expiry(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + delta(self.length.mul_f64(0.9))
    }

    /// How long the holder itself relies on a lease, from the moment when it asked for it: less than others leave it, so
    /// that what was sent last has arrived before somebody takes the job over.
    pub(crate) fn held(self) -> Duration {
        self.length.mul_f64(0.8)
    }

    /// Pause between two renewals.
    pub(crate) fn renewal(self) -> Duration {
        self.length / 3
    }

    /// How long the job must be seen unchanged before its lease is believed to have expired: longer than the pause
    /// between two renewals, so that a clock that runs ahead takes no job from a worker that is alive.
    pub(crate) fn witness(self) -> Duration {
        self.length.mul_f64(0.4)
    }
}

/// Who holds a job that is in progress or canceling.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Holder {
    /// A worker with a lease.
    Leased {
        /// The claim.
        token: Token,
        /// When it ends.
        expires_at: DateTime<Utc>,
    },
    /// A worker without one, as the Python service; it was heard of then.
    Foreign {
        /// When.
        last_seen: Option<DateTime<Utc>>,
    },
}

impl Holder {
    /// The holder by the job's document. A lease whose worker is not the job's worker is void: somebody who knows
    /// no leases has claimed the job since.
    pub(crate) fn of(lease: &Lease, worker_hostname: Option<&str>, last_seen: Option<DateTime<Utc>>) -> Self {
        match (&lease.token, lease.expires_at) {
            (Some(token), Some(expires_at)) if lease.worker.as_deref() == worker_hostname => {
                Self::Leased { token: token.clone(), expires_at }
            }
            _ => Self::Foreign { last_seen },
        }
    }

    /// Whether the holder's time is over: its lease has ended and the job was seen unchanged long enough, or nothing was
    /// heard of it for `idle_limit`.
    pub(crate) fn is_dead(
        &self,
        now: DateTime<Utc>,
        unchanged_since: DateTime<Utc>,
        terms: LeaseTerms,
        idle_limit: Duration,
    ) -> bool {
        now >= self.dies_at(unchanged_since, terms, idle_limit)
    }

    /// When [`Holder::is_dead`] becomes true unless the job changes.
    pub(crate) fn dies_at(
        &self,
        unchanged_since: DateTime<Utc>,
        terms: LeaseTerms,
        idle_limit: Duration,
    ) -> DateTime<Utc> {
        match self {
            Self::Leased { expires_at, .. } => (*expires_at).max(unchanged_since + delta(terms.witness())),
            // Without any time the job is as old as we know it.
            Self::Foreign { last_seen } => last_seen.unwrap_or(unchanged_since) + delta(idle_limit),
        }
    }
}

/// `duration` as a difference of instants; the longest there is where it is longer.
pub(crate) fn delta(duration: Duration) -> TimeDelta {
    // Half of it, so that adding it to an instant of our times does not leave the calendar.
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(365 * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: LeaseTerms = LeaseTerms { length: Duration::from_secs(30) };
    const IDLE: Duration = Duration::from_secs(300);

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    fn lease() -> Lease {
        Lease {
            token: Some(Token("t".to_owned())),
            worker: Some("w".to_owned()),
            expires_at: Some(at(27)),
            attempt: 2,
            takeovers: 1,
            checkpoint: Some("{}".to_owned()),
            allow_deletes: true,
            retry: Some(Retry { job: "j".to_owned(), ids: vec!["a".to_owned()] }),
        }
    }

    #[test]
    fn a_lease_reads_back_from_the_metadata_it_writes() {
        assert_eq!(Lease::read(Some(&lease().to_metadata())), lease());
        assert_eq!(Lease::read(Some(&Lease::default().to_metadata())), Lease::default());
    }

    #[test]
    fn metadata_of_others_is_no_lease() {
        for metadata in [json!({}), json!({"tributary": 5}), json!({"tributary": {"token": 7}}), json!("x")] {
            assert_eq!(Lease::read(Some(&metadata)), Lease::default(), "{metadata}");
        }
    }

    #[test]
    fn a_claim_by_somebody_without_leases_voids_the_lease() {
        let seen = Some(at(1));
        assert!(matches!(Holder::of(&lease(), Some("w"), seen), Holder::Leased { .. }));
        assert_eq!(Holder::of(&lease(), Some("python-host"), seen), Holder::Foreign { last_seen: seen });
        assert_eq!(Holder::of(&Lease::default(), None, seen), Holder::Foreign { last_seen: seen });
    }

    #[test]
    fn a_leased_job_is_free_only_when_the_lease_ended_and_nothing_was_renewed_meanwhile() {
        let holder = Holder::of(&lease(), Some("w"), None);
        for (now, unchanged_since, dead) in [(26, 0, false), (27, 0, true), (27, 16, false), (28, 16, true)] {
            assert_eq!(
                holder.is_dead(at(now), at(unchanged_since), TERMS, IDLE),
                dead,
                "{now} {unchanged_since}"
            );
        }
    }

    #[test]
    fn a_foreign_worker_is_dead_after_five_silent_minutes() {
        let holder = |seen| Holder::Foreign { last_seen: seen };
        for (seen, unchanged_since, now, dead) in
            [(Some(0), 0, 299, false), (Some(0), 0, 300, true), (None, 10, 309, false), (None, 10, 310, true)]
        {
            let holder = holder(seen.map(at));
            assert_eq!(holder.is_dead(at(now), at(unchanged_since), TERMS, IDLE), dead, "{seen:?} {now}");
        }
    }

    #[test]
    fn a_dead_workers_job_is_free_within_the_length_of_the_lease() {
        // The worker renews and dies at once; somebody saw the renewal.
        let holder = Holder::Leased { token: Token::random(), expires_at: TERMS.expiry(at(0)) };
        assert!(holder.is_dead(at(0) + delta(TERMS.length), at(1), TERMS, IDLE));
        // And a worker that lives renews twice before it could be taken for dead.
        assert!(TERMS.renewal() * 2 < TERMS.length.mul_f64(0.9));
        assert!(TERMS.renewal() < TERMS.witness());
    }
}
