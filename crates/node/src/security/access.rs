//! Authentication: basic users and API keys.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use sha2::{Digest, Sha256};
use tributary_store::Store;

use super::keys;
use super::rights::{Rights, roles_of};
use super::{Need, Roles};
use crate::error::NodeError;
use crate::http::{ApiError, Result};
use crate::options::Security;

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

/// Checks who may come in. Keeps digests, not passwords.
#[derive(Debug)]
pub(crate) struct Access {
    users: Vec<(String, [u8; 32])>,
}

/// The digest that is compared and stored instead of a secret. Comparing digests tells nothing about the secret by the
/// time it takes.
pub(super) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Access {
    pub(crate) fn new(security: &Security) -> Result<Self, NodeError> {
        let mut users = Vec::with_capacity(security.users.len());
        for user in &security.users {
            if user.name.is_empty() || user.name.contains(':') || user.password.reveal().is_empty() {
                return Err(NodeError::BadUser { name: user.name.clone() });
            }
            users.push((user.name.clone(), digest(user.password.reveal())));
        }
        Ok(Self { users })
    }

    /// Whether requests must authenticate.
    pub(crate) fn enabled(&self) -> bool {
        !self.users.is_empty()
    }

    /// Who sent these headers, or 401.
    pub(crate) fn authenticate(
        &self,
        store: &Store,
        headers: &HeaderMap,
        path: &str,
        now_ms: i64,
    ) -> Result<Caller> {
        if !self.enabled() {
            return Ok(Caller::unlimited(Identity::Anonymous));
        }
        let Some(value) = headers.get(AUTHORIZATION) else {
            return Err(missing(path));
        };
        let text = value.to_str().unwrap_or_default();
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let credentials = decoded(rest.trim());
        let pair = credentials.as_deref().and_then(|text| text.split_once(':'));
        match (scheme.to_ascii_lowercase().as_str(), pair) {
            ("basic", Some((name, password))) => self.basic(name, password, path).map(Caller::unlimited),
            ("apikey", Some((id, secret))) => {
                let key = keys::authenticate(store, id, secret, now_ms)?.ok_or_else(bad_key)?;
                let roles = roles_of(&key)?;
                Ok(Caller { identity: Identity::Key { id: key.id, name: key.name, owner: key.owner }, roles })
            }
            ("apikey", None) => Err(bad_key()),
            _ => Err(missing(path)),
        }
    }

    fn basic(&self, name: &str, password: &str, path: &str) -> Result<Identity> {
        let given = digest(password);
        let known = self.users.iter().any(|(user, wanted)| user == name && *wanted == given);
        if known {
            Ok(Identity::User(name.to_owned()))
        } else {
            Err(unauthorized(&format!("unable to authenticate user [{name}] for REST request [{path}]")))
        }
    }
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}

fn missing(path: &str) -> ApiError {
    unauthorized(&format!("missing authentication credentials for REST request [{path}]"))
}

fn bad_key() -> ApiError {
    unauthorized(
        "unable to authenticate with provided credentials and anonymous access is not allowed for this request",
    )
}

fn unauthorized(reason: &str) -> ApiError {
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
    use crate::options::{Password, User};

    #[test]
    fn users_need_a_name_and_a_password() {
        for (name, password) in [("", "x"), ("a:b", "x"), ("a", "")] {
            let security =
                Security { users: vec![User { name: name.to_owned(), password: Password::new(password) }] };
            assert!(Access::new(&security).is_err(), "{name}:{password}");
        }
    }

    #[test]
    fn a_user_is_let_in_with_the_right_password_only() {
        let access = Access::new(&Security::with_user("elastic", "secret")).unwrap();
        assert_eq!(access.basic("elastic", "secret", "/").unwrap(), Identity::User("elastic".to_owned()));
        assert_eq!(access.basic("elastic", "Secret", "/").unwrap_err().status().as_u16(), 401);
        assert_eq!(access.basic("other", "secret", "/").unwrap_err().status().as_u16(), 401);
        assert!(!format!("{access:?}").contains("secret"));
    }
}
