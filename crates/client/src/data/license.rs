use serde::Deserialize;

/// A cluster's licence.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct License {
    /// Its type as the cluster says it, such as `basic` or `trial`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `active`, `expired` or `invalid`.
    pub status: String,
}

/// Levels of licences, lowest first. A trial counts as the highest (sync-runtime 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LicenseLevel {
    /// Free.
    Basic,
    /// Gold.
    Gold,
    /// Platinum: what access control needs.
    Platinum,
    /// Enterprise.
    Enterprise,
    /// Trial.
    Trial,
}

impl License {
    /// The licence of a cluster that has none to check.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { kind: "enterprise".to_owned(), status: "active".to_owned() }
    }

    /// The level; an unknown type is the lowest.
    #[must_use]
    pub fn level(&self) -> LicenseLevel {
        match self.kind.as_str() {
            "gold" => LicenseLevel::Gold,
            "platinum" => LicenseLevel::Platinum,
            "enterprise" => LicenseLevel::Enterprise,
            "trial" => LicenseLevel::Trial,
            _ => LicenseLevel::Basic,
        }
    }

    /// Whether the licence covers `level`. An expired one covers nothing.
    #[must_use]
    pub fn allows(&self, level: LicenseLevel) -> bool {
        self.status != "expired" && self.level() >= level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_covers_its_level_and_those_below_unless_it_expired() {
        let license = |kind: &str, status: &str| License { kind: kind.into(), status: status.into() };
        for (kind, status, allowed) in [
            ("basic", "active", false),
            ("standard", "active", false),
            ("gold", "active", false),
            ("platinum", "active", true),
            ("enterprise", "active", true),
            ("trial", "active", true),
            ("trial", "expired", false),
            ("new-kind", "active", false),
        ] {
            assert_eq!(license(kind, status).allows(LicenseLevel::Platinum), allowed, "{kind} {status}");
        }
        assert!(License::unlimited().allows(LicenseLevel::Enterprise));
    }
}
