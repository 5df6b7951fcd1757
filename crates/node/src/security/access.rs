//! Authentication: basic users and API keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use rand::RngCore;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tributary_store::Store;

use super::credentials::{self, Credentials};
use super::keys;
use super::rights::{Rights, roles_of};
use super::users::{self, Listed, UserFile};
use super::{Need, Roles};
use crate::error::NodeError;
use crate::http::{ApiError, Result};
use crate::options::{Security, User};

/// Passwords hashed at once. Each takes 19 MiB and a part of a second, and anybody may ask for it.
const HASHING: usize = 2;

type Digest32 = [u8; 32];

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Authentication is off.
    Anonymous,
    /// A user of the options.
    User(String),
    /// An API key.
    Key { id: String, name: String, owner: String },
}

impl Identity {
    /// The user behind the request.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Anonymous => "_anonymous",
            Self::User(name) => name,
            Self::Key { owner, .. } => owner,
        }
    }
}

/// Who sent a request, and the limits of what may be done in its name.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    roles: Option<Arc<Roles>>,
}

impl Caller {
    fn unlimited(identity: Identity) -> Self {
        Self { identity, roles: None }
    }

    /// The rights for a call that needs this.
    pub(crate) fn rights(&self, need: Need) -> Result<Rights> {
        Rights::for_call(&self.identity, self.roles.as_ref(), need)
    }
}

/// Checks who may come in. Keeps digests and hashes, not passwords.
pub(crate) struct Access {
    users: Vec<(String, Digest32)>,
    own: Option<(String, Digest32)>,
    file: Option<UserFile>,
    listed: RwLock<Arc<Vec<Listed>>>,
    /// Of whom a password was hashed and found right: the hash, and the password's digest with `salt`.
    proven: Mutex<HashMap<String, (String, Digest32)>>,
    salt: Digest32,
    hashing: Semaphore,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("enabled", &self.enabled()).finish_non_exhaustive()
    }
}

/// The digest that is compared and stored instead of a secret. Comparing digests tells nothing about the secret by the
/// time it takes.
pub(super) fn digest(secret: &str) -> Digest32 {
    Sha256::digest(secret.as_bytes()).into()
}

fn given(user: &User) -> Result<(String, Digest32), NodeError> {
    if user.name.is_empty() || user.name.contains(':') || user.password.reveal().is_empty() {
        let rule = "it needs a name without ':' and a password that is not empty";
        return Err(NodeError::BadUser { name: user.name.clone(), rule });
    }
    Ok((user.name.clone(), digest(user.password.reveal())))
}

impl Access {
    pub(crate) fn new(security: &Security) -> Result<Self, NodeError> {
        let mut salt = [0; 32];
        rand::rng().fill_bytes(&mut salt);
        let access = Self {
            users: security.users.iter().map(given).collect::<Result<_, _>>()?,
            own: security.own.as_ref().map(given).transpose()?,
            file: security.users_file.clone().map(UserFile::new),
            listed: RwLock::default(),
            proven: Mutex::default(),
            salt,
            hashing: Semaphore::new(HASHING),
        };
        access.reload()?;
        Ok(access)
    }

    /// Reads the file of users again. What is wrong with it leaves everything as it was; so does a file without users
    /// where there were some, for that would let everybody in.
    pub(crate) fn reload(&self) -> Result<(), NodeError> {
        let Some(file) = &self.file else { return Ok(()) };
        let fresh = file.listed()?;
        if fresh.is_empty() && self.users.is_empty() && self.enabled() {
            let cause = "it holds no user any more; the users read before stay until the node starts again"
                .to_owned();
            return Err(NodeError::Users { path: file.path().to_owned(), cause });
        }
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    fn listed(&self) -> Arc<Vec<Listed>> {
        Arc::clone(&self.listed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether requests must authenticate.
    pub(crate) fn enabled(&self) -> bool {
        !self.users.is_empty() || !self.listed().is_empty()
    }

    /// Who sent these headers, or 401; `target` is the path with its parameters, as refusals name it.
    pub(crate) async fn authenticate(
        &self,
        store: &Store,
        headers: &HeaderMap,
        target: &str,
        now_ms: i64,
    ) -> Result<Caller> {
        if !self.enabled() {
            return Ok(Caller::unlimited(Identity::Anonymous));
        }
        match credentials::read(headers)? {
            Credentials::Missing => Err(missing(target)),
            Credentials::Basic { name, password } => {
                self.basic(&name, &password, target).await.map(Caller::unlimited)
            }
            Credentials::Key { id, secret } => {
                let key = keys::authenticate(store, &id, &secret, now_ms)?;
                let key = key.map_err(|why| credentials::refused("API key", &why))?;
                let roles = roles_of(&key)?;
                Ok(Caller { identity: Identity::Key { id: key.id, name: key.name, owner: key.owner }, roles })
            }
        }
    }

    async fn basic(&self, name: &str, password: &str, target: &str) -> Result<Identity> {
        let given = digest(password);
        let mut plain = self.users.iter().chain(&self.own);
        let known = plain.any(|(user, wanted)| user == name && *wanted == given)
            || self.is_listed(name, password).await?;
        if known {
            Ok(Identity::User(name.to_owned()))
        } else {
            Err(unauthorized(&format!("unable to authenticate user [{name}] for REST request [{target}]")))
        }
    }

    async fn is_listed(&self, name: &str, password: &str) -> Result<bool> {
        let users = self.listed();
        let user = users.iter().find(|user| user.name == name);
        let proof = self.proof(name, password);
        if let Some(user) = user
            && self.proven().get(name).is_some_and(|(hash, proven)| *hash == user.hash && *proven == proof)
        {
            return Ok(true);
        }
        // An unknown name takes as long as a wrong password.
        let Some(hash) = user.or(users.first()).map(|user| user.hash.clone()) else { return Ok(false) };
        let closed = |_| ApiError::internal("a password cannot be checked at this moment");
        let _permit = self.hashing.acquire().await.map_err(closed)?;
        let (checked, password) = (hash.clone(), password.to_owned());
        let right = tokio::task::spawn_blocking(move || users::verify(&checked, &password)).await;
        let right = right.map_err(|_| ApiError::internal("checking a password failed"))? && user.is_some();
        if right {
            self.proven().insert(name.to_owned(), (hash, proof));
        }
        Ok(right)
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Digest32)>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proof(&self, name: &str, password: &str) -> Digest32 {
        let parts: [&[u8]; 4] = [&self.salt, name.as_bytes(), b":", password.as_bytes()];
        parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize().into()
    }
}

fn missing(target: &str) -> ApiError {
    unauthorized(&format!("missing authentication credentials for REST request [{target}]"))
}

/// 401, with the ways to come in.
pub(super) fn unauthorized(reason: &str) -> ApiError {
    const SCHEMES: [&str; 2] = ["Basic realm=\"security\", charset=\"UTF-8\"", "ApiKey"];
    let mut error =
        ApiError::new(401, "security_exception", reason).with("header", json!({"WWW-Authenticate": SCHEMES}));
    for scheme in SCHEMES {
        error = error.header(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Password;

    fn status(result: Result<Identity>) -> u16 {
        result.map_or_else(|error| error.status().as_u16(), |_| 200)
    }

    #[test]
    fn users_need_a_name_and_a_password() {
        for (name, password) in [("", "x"), ("a:b", "x"), ("a", "")] {
            assert!(Access::new(&Security::with_user(name, password)).is_err(), "{name}:{password}");
        }
    }

    #[tokio::test]
    async fn a_user_is_let_in_with_the_right_password_only() {
        let access = Access::new(&Security::with_user("elastic", "secret")).unwrap();
        assert_eq!(
            access.basic("elastic", "secret", "/").await.unwrap(),
            Identity::User("elastic".to_owned())
        );
        assert_eq!(status(access.basic("elastic", "Secret", "/").await), 401);
        assert_eq!(status(access.basic("other", "secret", "/").await), 401);
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[tokio::test]
    async fn users_of_the_file_come_in_and_changes_hold_after_a_reload() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        let security = Security {
            users_file: Some(path.clone()),
            own: Some(User::new("_own", "own-secret")),
            ..Security::default()
        };
        let access = Access::new(&security).unwrap();
        assert!(!access.enabled(), "the process's own user switches nothing on");
        let file = UserFile::new(path);
        file.set("ann", &Password::new("first-secret")).unwrap();
        access.reload().unwrap();
        assert!(access.enabled());
        for _ in 0..2 {
            assert_eq!(status(access.basic("ann", "first-secret", "/").await), 200);
            assert_eq!(status(access.basic("ann", "own-secret", "/").await), 401);
            assert_eq!(status(access.basic("bob", "first-secret", "/").await), 401);
            assert_eq!(status(access.basic("_own", "own-secret", "/").await), 200);
        }
        file.set("ann", &Password::new("other-secret")).unwrap();
        access.reload().unwrap();
        assert_eq!(
            status(access.basic("ann", "first-secret", "/").await),
            401,
            "what was proven is forgotten"
        );
        assert_eq!(status(access.basic("ann", "other-secret", "/").await), 200);
        file.remove("ann").unwrap();
        assert!(access.reload().unwrap_err().to_string().contains("no user any more"));
        assert_eq!(
            status(access.basic("ann", "other-secret", "/").await),
            200,
            "nobody is let in by a lost file"
        );
    }
}
