//! What the user or API key of a client may do.

use std::collections::BTreeMap;

use elasticsearch::security::SecurityHasPrivilegesParts;
use serde::Deserialize;
use serde_json::json;

use crate::call::Call;
use crate::{Client, Result};

/// Rights on indices that are asked for.
#[derive(Clone, Debug)]
pub struct IndexPrivileges<'a> {
    /// Names of indices and aliases.
    pub names: &'a [&'a str],
    /// The cluster's names of the rights, such as `create_index`.
    pub privileges: &'a [&'a str],
}

/// Rights that are missing, on the cluster or on one index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPrivileges {
    /// The index or alias; `None`: on the cluster.
    pub index: Option<String>,
    /// The cluster's names of the rights.
    pub privileges: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    cluster: BTreeMap<String, bool>,
    index: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Client {
    /// Which of these rights the client's user or API key lacks. None where the cluster has no security, or does not know
    /// one of the rights.
    ///
    /// # Errors
    /// As the cluster answers.
    pub async fn missing_privileges(
        &self,
        cluster: &[&str],
        indices: &[IndexPrivileges<'_>],
    ) -> Result<Vec<MissingPrivileges>> {
        let index: Vec<_> = indices
            .iter()
            .map(|asked| json!({"names": asked.names, "privileges": asked.privileges}))
            .collect();
        let call = Call::post(SecurityHasPrivilegesParts::None.url())
            .json(&json!({"cluster": cluster, "index": index}))?;
        let answer: Answer = match self.send(call).await {
            Ok(reply) => reply.json()?,
            Err(error) if matches!(error.status(), Some(400 | 404 | 405 | 410)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(answer.missing())
    }
}

impl Answer {
    fn missing(self) -> Vec<MissingPrivileges> {
        let denied = |granted: BTreeMap<String, bool>| -> Vec<String> {
            granted.into_iter().filter_map(|(name, granted)| (!granted).then_some(name)).collect()
        };
        let on_cluster = MissingPrivileges { index: None, privileges: denied(self.cluster) };
        let on_indices = self
            .index
            .into_iter()
            .map(|(index, granted)| MissingPrivileges { index: Some(index), privileges: denied(granted) });
        std::iter::once(on_cluster)
            .chain(on_indices)
            .filter(|missing| !missing.privileges.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_denied_is_missing() {
        let answer: Answer = serde_json::from_value(json!({
            "username": "ann", "has_all_requested": false, "application": {},
            "cluster": {"monitor": true, "read_pipeline": false},
            "index": {"docs": {"read": true, "write": false}, "other": {"read": true}},
        }))
        .unwrap();
        let missing = |index: Option<&str>, privilege: &str| MissingPrivileges {
            index: index.map(str::to_owned),
            privileges: vec![privilege.to_owned()],
        };
        assert_eq!(answer.missing(), [missing(None, "read_pipeline"), missing(Some("docs"), "write")]);
    }
}
