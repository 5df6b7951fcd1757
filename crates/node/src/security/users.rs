//! The file of users: a name and the hash of a password in each line, readable by its owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use crate::error::NodeError;
use crate::options::Password;

/// The longest name and the shortest password, as Elasticsearch has them for its own users.
const LONGEST_NAME: usize = 507;
const SHORTEST_PASSWORD: usize = 6;
const HEAD: &str = "# Users of the node: name:hash. Change it with `tributary node user`.\n";

/// A user and the hash of the password (argon2, PHC string).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) hash: String,
}

/// Users for basic authentication, kept in a file.
#[derive(Clone, Debug)]
pub struct UserFile {
    path: PathBuf,
}

impl UserFile {
    /// The users kept at this path; the file need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where they are kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the users; none when there is no file.
    ///
    /// # Errors
    /// The file cannot be read, others may read it, or a line is no user.
    pub fn names(&self) -> Result<Vec<String>, NodeError> {
        Ok(self.listed()?.into_iter().map(|user| user.name).collect())
    }

    /// Adds a user or gives one another password; whether the user is new. The hash takes a part of a second.
    ///
    /// # Errors
    /// The name or the password will not do, or the file cannot be read or written.
    pub fn set(&self, name: &str, password: &Password) -> Result<bool, NodeError> {
        check_name(name).map_err(|rule| NodeError::BadUser { name: name.to_owned(), rule })?;
        if password.reveal().chars().count() < SHORTEST_PASSWORD {
            let rule = "its password must have 6 characters or more";
            return Err(NodeError::BadUser { name: name.to_owned(), rule });
        }
        let mut users = self.listed()?;
        let hash = Argon2::default()
            .hash_password(password.reveal().as_bytes())
            .map_err(|error| self.fault(format!("a password cannot be hashed: {error}")))?
            .to_string();
        let known = users.iter_mut().find(|user| user.name == name);
        let new = known.is_none();
        match known {
            Some(user) => user.hash = hash,
            None => users.push(Listed { name: name.to_owned(), hash }),
        }
        self.write(&users)?;
        Ok(new)
    }

    /// Removes a user; whether there was one of this name.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn remove(&self, name: &str) -> Result<bool, NodeError> {
        let mut users = self.listed()?;
        let before = users.len();
        users.retain(|user| user.name != name);
        let found = users.len() < before;
        if found {
            self.write(&users)?;
        }
        Ok(found)
    }

    pub(crate) fn listed(&self) -> Result<Vec<Listed>, NodeError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.fault(format!("{error}; make it readable for this user"))),
        };
        let mode = file.metadata().map_err(|error| self.fault(error.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            let cause = format!("other users can read it (mode {:o}); run chmod 600 on it", mode & 0o777);
            return Err(self.fault(cause));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| self.fault(error.to_string()))?;
        parse(&text).map_err(|cause| self.fault(cause))
    }

    /// Writes the file whole or not at all.
    fn write(&self, users: &[Listed]) -> Result<(), NodeError> {
        let lines: String = users.iter().map(|user| format!("{}:{}\n", user.name, user.hash)).collect();
        let draft = self.path.with_extension("new");
        let written = || -> std::io::Result<()> {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            // One that an interrupted change left may have other permissions.
            match fs::remove_file(&draft) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(HEAD.as_bytes())?;
            file.write_all(lines.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &self.path)
        };
        written()
            .map_err(|error| self.fault(format!("{error}; make it and its folder writable for this user")))
    }

    fn fault(&self, cause: impl Into<String>) -> NodeError {
        NodeError::Users { path: self.path.clone(), cause: cause.into() }
    }
}

/// Whether the password is the one that was hashed.
pub(super) fn verify(hash: &str, password: &str) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let printable = name.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if name.is_empty() || name.len() > LONGEST_NAME || name.trim() != name || !printable {
        return Err("its name must have 1 to 507 printable ASCII characters, without spaces at the ends");
    }
    if name.contains(':') {
        return Err("its name must not hold ':'");
    }
    if name.starts_with(['_', '#']) {
        return Err("its name must not begin with '_' or '#'");
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<Listed>, String> {
    let mut users: Vec<Listed> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let number = at + 1;
        // What stands in the line may be a password that somebody put there by hand: it is not repeated.
        let (name, hash) =
            line.split_once(':').ok_or_else(|| format!("line {number} is not of the form name:hash"))?;
        check_name(name).map_err(|rule| format!("line {number} is no user: {rule}"))?;
        let hash = hash.trim();
        let usable = PasswordHash::new(hash).is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2"));
        if !usable {
            return Err(format!(
                "line {number} holds no argon2 hash for user '{name}'; set the password with `tributary node user add`"
            ));
        }
        if users.iter().any(|user| user.name == name) {
            return Err(format!("line {number} lists user '{name}' again; remove one of the lines"));
        }
        users.push(Listed { name: name.to_owned(), hash: hash.to_owned() });
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, UserFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = UserFile::new(dir.path().join("data/users"));
        (dir, file)
    }

    #[test]
    fn a_user_is_added_changed_and_removed_and_no_password_is_written() {
        let (_dir, file) = file();
        assert_eq!(file.names().unwrap(), [""; 0]);
        assert!(file.set("ann", &Password::new("first-secret")).unwrap());
        assert!(file.set("bob smith", &Password::new("first-secret")).unwrap());
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains("first-secret"), "{text}");
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let listed = file.listed().unwrap();
        assert_ne!(listed[0].hash, listed[1].hash, "each hash has a salt of its own");
        assert!(verify(&listed[0].hash, "first-secret") && !verify(&listed[0].hash, "first-secre"));
        assert!(!file.set("ann", &Password::new("other-secret")).unwrap());
        assert!(verify(&file.listed().unwrap()[0].hash, "other-secret"));
        assert!(file.remove("ann").unwrap() && !file.remove("ann").unwrap());
        assert_eq!(file.names().unwrap(), ["bob smith"]);
    }

    #[test]
    fn names_and_passwords_that_will_not_do_are_refused() {
        let (_dir, file) = file();
        for (name, password) in [
            ("", "secret"),
            ("a:b", "secret"),
            ("_a", "secret"),
            (" a", "secret"),
            ("ä", "secret"),
            ("a", "short"),
        ] {
            let error = file.set(name, &Password::new(password)).unwrap_err().to_string();
            assert!(error.contains(&format!("user '{name}'")) && !error.contains(password), "{error}");
        }
        assert!(!file.path().exists());
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_a_plain_password_is_refused() {
        let (_dir, file) = file();
        file.set("ann", &Password::new("first-secret")).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(file.names().unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let hash = file.listed().unwrap()[0].hash.clone();
        for (text, told) in [
            ("ann:hunter2hunter2".to_owned(), "line 1 holds no argon2 hash"),
            ("hunter2hunter2".to_owned(), "line 1 is not of the form"),
            (format!("a:{hash}\na:{hash}"), "line 2 lists user 'a' again"),
        ] {
            fs::write(file.path(), &text).unwrap();
            let error = file.names().unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("hunter2"), "{error}");
        }
    }
}
