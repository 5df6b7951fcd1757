//! The rights of one request: what its caller may do, and what the call at hand needs. Checked where names of indices are
//! resolved and documents are read, so no endpoint can forget it.

use std::sync::Arc;

use tributary_store::{Doc, IndexInfo, Query, ResolveOptions, SearchRequest, StoreError, WriteIndex};

use super::needs::{IndexNeed, Need, WriteNeed};
use super::privileges::{cluster_grants, index_grants};
use super::roles::{Roles, Visible};
use super::{ApiKey, Identity};
use crate::http::{ApiError, Result, wildcard_matches};
use crate::node::Node;

/// What a caller may do.
#[derive(Debug, Clone, Default)]
pub(crate) enum Rights {
    /// Everything.
    #[default]
    All,
    /// What the roles of an API key grant.
    Limited(Arc<Limits>),
}

/// The limits of a request.
#[derive(Debug)]
pub(crate) struct Limits {
    roles: Arc<Roles>,
    /// How refusals name the caller.
    who: String,
    /// What the call needs on each index; `None` for calls that work on indices of the node's own accord.
    need: Option<IndexNeed>,
}

/// The roles of a key; `None` when it may do what its owner may.
pub(crate) fn roles_of(key: &ApiKey) -> Result<Option<Arc<Roles>>> {
    if key.role_descriptors.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Roles::parse(&key.role_descriptors, &key.owner, "api_key_request")?)))
}

fn refused(reason: String) -> ApiError {
    ApiError::new(403, "security_exception", reason)
}

fn refused_cluster(who: &str, privilege: &str, action: &str) -> ApiError {
    let granting = cluster_grants(privilege).join(",");
    refused(format!(
        "action [{action}] is unauthorized for {who}, this action is granted by the cluster privileges [{granting}]"
    ))
}

/// Every name an index has.
fn names_of(info: &IndexInfo) -> Vec<&str> {
    std::iter::once(info.name.as_str()).chain(info.aliases.keys().map(String::as_str)).collect()
}

/// Whether one of the parts of an expression means a name.
fn is_meant(name: &str, parts: &[&str]) -> bool {
    parts
        .iter()
        .any(|part| matches!(*part, "" | "_all") || part.starts_with('-') || wildcard_matches(part, name))
}

/// As [`names_of`].
fn names_to_write(index: &WriteIndex) -> Vec<&str> {
    std::iter::once(index.name()).chain(index.aliases()).collect()
}

impl Rights {
    /// The rights of a caller with these roles for a call that needs this; an error when the call itself is not allowed.
    pub(crate) fn for_call(identity: &Identity, roles: Option<&Arc<Roles>>, need: Need) -> Result<Self> {
        let Some(roles) = roles else { return Ok(Self::All) };
        let who = match identity {
            Identity::Key { id, owner, .. } => format!("API key id [{id}] of user [{owner}]"),
            other => format!("user [{}]", other.user()),
        };
        let need = match need {
            Need::Caller => None,
            Need::Index(need) => Some(need),
            Need::Cluster { privilege, .. } if roles.grants_cluster(privilege) => None,
            Need::Cluster { privilege, action } => return Err(refused_cluster(&who, privilege, action)),
            Need::Everything => {
                return Err(refused(format!(
                    "this call is unauthorized for {who}: it needs a user without limits"
                )));
            }
        };
        Ok(Self::Limited(Arc::new(Limits { roles: Arc::clone(roles), who, need })))
    }

    /// Refuses a caller without this cluster privilege.
    pub(crate) fn check_cluster(&self, privilege: &str, action: &str) -> Result<()> {
        match self {
            Self::Limited(limits) if !limits.roles.grants_cluster(privilege) => {
                Err(refused_cluster(&limits.who, privilege, action))
            }
            _ => Ok(()),
        }
    }

    /// The roles, unless there is no limit.
    pub(crate) fn roles(&self) -> Option<&Roles> {
        match self {
            Self::All => None,
            Self::Limited(limits) => Some(&limits.roles),
        }
    }
}

impl Limits {
    fn refuse(&self, action: &str, index: &str, privilege: &str) -> ApiError {
        let granting = index_grants(privilege).join(",");
        refused(format!(
            "action [{action}] is unauthorized for {} on indices [{index}], this action is granted by the index privileges \
             [{granting}]",
            self.who
        ))
    }

    /// Refuses a caller who could do this on no index whatsoever.
    fn check_any(&self) -> Result<()> {
        let Some(need) = self.need else { return Ok(()) };
        need.privileges.iter().try_for_each(|privilege| self.check_anywhere(privilege, need.action))
    }

    fn check_anywhere(&self, privilege: &str, action: &str) -> Result<()> {
        if self.roles.grants_anywhere(privilege) {
            return Ok(());
        }
        let granting = index_grants(privilege).join(",");
        Err(refused(format!(
            "action [{action}] is unauthorized for {}, this action is granted by the index privileges [{granting}]",
            self.who
        )))
    }

    fn check(&self, names: &[&str]) -> Result<()> {
        let Some(need) = self.need else { return Ok(()) };
        match need.privileges.iter().find(|privilege| !self.roles.grants_index(names, privilege)) {
            None => Ok(()),
            Some(privilege) => Err(self.refuse(need.action, names.first().unwrap_or(&""), privilege)),
        }
    }
}

impl Node {
    /// The node as a caller with these rights sees it.
    pub(crate) fn seen_with(self: &Arc<Self>, rights: Rights) -> Arc<Self> {
        match rights {
            Rights::All => Arc::clone(self),
            limited => Arc::new(Self { rights: limited, ..Self::clone(self) }),
        }
    }

    /// Refuses an index that the caller may not use for the call at hand.
    pub(crate) fn check_index(&self, index: &WriteIndex) -> Result<()> {
        match &self.rights {
            Rights::All => Ok(()),
            Rights::Limited(limits) => limits.check(&names_to_write(index)),
        }
    }

    /// As [`Node::check_index`], for a name that is no index (yet), or that is to become an alias.
    pub(crate) fn check_name(&self, name: &str) -> Result<()> {
        match &self.rights {
            Rights::All => Ok(()),
            Rights::Limited(limits) => limits.check(&[name]),
        }
    }

    /// Refuses to create an index on the way of a write, unless the caller may.
    pub(crate) fn check_create(&self, name: &str) -> Result<()> {
        let Rights::Limited(limits) = &self.rights else { return Ok(()) };
        match limits.need {
            None => Ok(()),
            Some(need) if need.privileges == ["create_index"] => limits.check(&[name]),
            Some(_) if limits.roles.grants_index(&[name], "auto_configure") => Ok(()),
            Some(_) => Err(limits.refuse("indices:admin/auto_create", name, "auto_configure")),
        }
    }

    /// What an expression means to the caller: names given must be allowed, wildcards mean only what is.
    pub(crate) fn allowed(&self, expression: &str, options: ResolveOptions) -> Result<Vec<IndexInfo>> {
        let limits = match &self.rights {
            Rights::Limited(limits) if limits.need.is_some() => limits,
            _ => return Ok(self.store.resolve(expression, options)?),
        };
        let is_pattern =
            |part: &str| part.contains('*') || part == "_all" || part.starts_with('-') || part.is_empty();
        for part in expression.split(',').map(str::trim).filter(|part| !is_pattern(part)) {
            // A right to an index is none to the aliases that lead to it.
            let checked = limits.check(&[part]);
            if !options.ignore_unavailable {
                checked?;
            }
        }
        limits.check_any()?;
        let mut found = self.store.resolve(expression, options)?;
        let parts: Vec<&str> = expression.split(',').map(str::trim).collect();
        found.retain(|info| {
            let names = names_of(info).into_iter().filter(|name| is_meant(name, &parts));
            limits.check(&names.collect::<Vec<_>>()).is_ok()
        });
        if found.is_empty() && !options.allow_no_indices {
            return Err(StoreError::no_such_index(expression).into());
        }
        Ok(found)
    }

    /// Refuses indices that the caller may not read.
    pub(crate) fn check_readable(&self, indices: &[String]) -> Result<()> {
        self.visible_to_caller(indices).map(|_| ())
    }

    /// The query that restricts a search of these indices to what the caller may see; `None` when that is all of it.
    pub(crate) fn visible_to_caller(&self, indices: &[String]) -> Result<Option<Query>> {
        let Rights::Limited(limits) = &self.rights else { return Ok(None) };
        let (mut parts, mut restricted) = (Vec::with_capacity(indices.len()), false);
        for index in indices {
            let only = Query::term("_index", index.as_str());
            match self.visible_of(limits, index) {
                Visible::Nothing => return Err(limits.refuse("indices:data/read/search", index, "read")),
                Visible::All => parts.push(only),
                Visible::Matching(query) => {
                    restricted = true;
                    parts.push(Query::all_of(vec![only, *query]));
                }
            }
        }
        Ok(restricted.then(|| Query::any_of(parts)))
    }

    fn visible_of(&self, limits: &Limits, index: &str) -> Visible {
        match self.store.write_index(index).filter(|found| found.name() == index) {
            Some(found) => limits.roles.visible(&names_to_write(&found)),
            // Deleted, but still in a point in time.
            None => limits.roles.visible(&[index]),
        }
    }

    /// A document as it is now, if the caller may see it.
    pub(crate) async fn get_as_caller(&self, index: &str, id: &str) -> Result<Option<Doc>> {
        let (name, key) = (index.to_owned(), id.to_owned());
        let read = move |store: &tributary_store::Store| Ok(store.get(&name, &key)?);
        let Some(filter) = self.visible_to_caller(&[index.to_owned()])? else {
            return self.blocking(read).await;
        };
        let Some(doc) = self.blocking(read).await? else { return Ok(None) };
        // Whether it may be seen is decided by search, which may still show the form before this one.
        self.store.refresh(&[index.to_owned()]).await?;
        let mut request = SearchRequest::new(vec![index.to_owned()]);
        request.query = Query::ids(vec![id.to_owned()]);
        request.filter = Some(filter);
        request.size = 1;
        request.seq_no_primary_term = true;
        request.source.enabled = false;
        let found = self.store.search(request).await?;
        let seen = found.hits.first().is_some_and(|hit| hit.seq_no == Some(doc.seq_no));
        Ok(seen.then_some(doc))
    }

    /// Refuses a caller who has this privilege on no index whatsoever.
    pub(crate) fn check_anywhere(&self, privilege: &str, action: &str) -> Result<()> {
        match &self.rights {
            Rights::All => Ok(()),
            Rights::Limited(limits) => limits.check_anywhere(privilege, action),
        }
    }

    /// Refuses a write whose caller has not the privilege for what it does.
    pub(crate) fn check_write(&self, index: &str, write: WriteNeed) -> Result<()> {
        let Rights::Limited(limits) = &self.rights else { return Ok(()) };
        let found = self.store.write_index(index);
        let names = found.as_ref().map_or_else(|| vec![index], names_to_write);
        if limits.roles.grants_index(&names, write.privilege) {
            return Ok(());
        }
        Err(limits.refuse(write.action, index, write.privilege))
    }

    /// Refuses updates of documents that the caller may not see whole: the answer would tell what is in them.
    pub(crate) fn check_update(&self, index: &str, reason: &str) -> Result<()> {
        let Rights::Limited(limits) = &self.rights else { return Ok(()) };
        match self.visible_of(limits, index) {
            Visible::Matching(_) => Err(ApiError::new(400, "security_exception", reason)),
            // Without the right to read, nothing of the document is answered.
            Visible::All | Visible::Nothing => Ok(()),
        }
    }
}
