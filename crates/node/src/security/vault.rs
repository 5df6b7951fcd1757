//! Secrets of connectors, encrypted at rest. The key is in a file of its own, so a copy of the store tells nothing.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use tributary_store::Store;

use crate::error::NodeError;
use crate::http::{ApiError, Result};

const SPACE: &str = "secrets";
const KEY_FILE: &str = "secrets.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Keeps secrets.
pub(crate) struct Vault(XChaCha20Poly1305);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(***)")
    }
}

impl Vault {
    /// Reads the key file of a data folder, or makes one that only its owner can read.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, NodeError> {
        let path = data_dir.join(KEY_FILE);
        let fail = |cause: String| NodeError::KeyFile { path: path.clone(), cause };
        let key = match File::open(&path) {
            Ok(file) => read_key(file).map_err(fail)?,
            Err(error) if error.kind() == ErrorKind::NotFound => make_key(data_dir, &path).map_err(fail)?,
            Err(error) => return Err(fail(format!("{error}; make it readable for this user"))),
        };
        Ok(Self(XChaCha20Poly1305::new(&key.into())))
    }

    /// Stores a secret; `true` when there was none of this id.
    pub(crate) fn put(&self, store: &Store, id: &str, value: &str) -> Result<bool> {
        let mut nonce = [0u8; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        // The id is part of what is authenticated: one secret cannot be passed off as another.
        let payload = Payload { msg: value.as_bytes(), aad: id.as_bytes() };
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| ApiError::internal("a secret cannot be encrypted"))?;
        let created = store.meta_get(SPACE, id)?.is_none();
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        store.meta_put(SPACE, id, bytes.into())?;
        Ok(created)
    }

    /// A secret in clear.
    pub(crate) fn get(&self, store: &Store, id: &str) -> Result<Option<String>> {
        let Some(bytes) = store.meta_get(SPACE, id)? else { return Ok(None) };
        let unreadable = || {
            ApiError::internal(format!(
                "the secret [{id}] cannot be decrypted: the key file is not the one it was stored with"
            ))
        };
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(unreadable)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| unreadable())?;
        let payload = Payload { msg: sealed, aad: id.as_bytes() };
        let clear = self.0.decrypt(&XNonce::from(nonce), payload).map_err(|_| unreadable())?;
        String::from_utf8(clear).map(Some).map_err(|_| unreadable())
    }

    /// Removes a secret; `false` when there was none.
    pub(crate) fn delete(&self, store: &Store, id: &str) -> Result<bool> {
        Ok(store.meta_delete(SPACE, id)?)
    }
}

fn read_key(mut file: File) -> Result<[u8; KEY_BYTES], String> {
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("other users can read it (mode {:o}); run chmod 600 on it", mode & 0o777));
    }
    let mut key = Vec::with_capacity(KEY_BYTES);
    file.read_to_end(&mut key).map_err(|error| error.to_string())?;
    key.try_into().map_err(|key: Vec<u8>| {
        format!("it holds {} bytes instead of {KEY_BYTES}; restore it from a backup, or remove it and set all secrets again", key.len())
    })
}

fn make_key(data_dir: &Path, path: &Path) -> Result<[u8; KEY_BYTES], String> {
    let text = |error: std::io::Error| format!("{error}; make {} writable for this user", data_dir.display());
    std::fs::create_dir_all(data_dir).map_err(text)?;
    let mut key = [0u8; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    // Written under another name first: a crash leaves no half a key.
    let draft = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(text)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(text)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(text)?;
    std::fs::rename(&draft, path).map_err(text)?;
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(text)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_file_is_made_once_and_only_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        Vault::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        let key = std::fs::read(&path).unwrap();
        assert_eq!(key.len(), KEY_BYTES);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        Vault::open(dir.path()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), key);
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_is_cut_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Vault::open(dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Vault::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert!(Vault::open(dir.path()).unwrap_err().to_string().contains("5 bytes"));
    }
}
