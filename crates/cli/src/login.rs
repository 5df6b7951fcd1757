//! `tributary login`: an address and credentials for the commands that come.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tributary_client::{Auth, ClientOptions, Secret};

use crate::args::LoginArgs;
use crate::error::{CliError, Result};
use crate::{output, target, terminal};

pub(crate) async fn run(args: LoginArgs) -> Result<()> {
    let file = file().ok_or_else(|| CliError::user("there is no configuration folder").hint("set HOME"))?;
    if file.exists() {
        terminal::confirm(&format!("replace what '{}' remembers", file.display()), args.yes)?;
    }
    let host = match &args.target.host {
        Some(host) => host.clone(),
        None if terminal::can_ask() => terminal::ask("Address", false)?.trim().to_owned(),
        None => return Err(CliError::user("no address was given").hint("give --host")),
    };
    let auth = match target::credentials(&args.target)? {
        Some(auth) => auth,
        None => ask()?,
    };
    let mut options = ClientOptions::new([host.as_str()]).auth(auth.clone());
    options.ca_certs = args.target.ca_certs.as_deref().map(whole_path).transpose()?;
    let ca_certs = options.ca_certs.clone();
    let client = target::impatient(options)?;
    let server = client.probe().await?;
    write(&file, &content(&host, &auth, ca_certs.as_deref())).map_err(|error| {
        CliError::user(format!("file '{}' cannot be written: {error}", file.display()))
            .hint("give write access")
    })?;
    output::line(format!("{host} answers, version {}; remembered in {}", server.version, file.display()))
}

/// The commands to come may run in other folders.
fn whole_path(file: &Path) -> Result<PathBuf> {
    fs::canonicalize(file).map_err(|error| {
        CliError::user(format!("file '{}' cannot be read: {error}", file.display()))
            .hint("name a PEM file that you may read with --ca-certs")
    })
}

/// The file that a login left, if there is one.
pub(crate) fn remembered() -> Option<PathBuf> {
    file().filter(|file| file.exists())
}

fn file() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("tributary").join("login.yml"))
}

/// Without a terminal nobody is asked, and nobody logs in.
fn ask() -> Result<Auth> {
    if !terminal::can_ask() {
        return Ok(Auth::None);
    }
    let key = terminal::ask("API key (empty: user and password)", true)?;
    if !key.is_empty() {
        return Ok(Auth::ApiKey(Secret::new(key)));
    }
    let user = terminal::ask("User (empty: no credentials)", false)?;
    if user.is_empty() {
        return Ok(Auth::None);
    }
    Ok(Auth::Basic { user, password: Secret::new(terminal::ask("Password", true)?) })
}

/// A configuration as `run -c` takes it too.
fn content(host: &str, auth: &Auth, ca_certs: Option<&Path>) -> String {
    let mut lines = vec!["elasticsearch:".to_owned(), line("host", host)];
    lines.extend(ca_certs.map(|file| line("ca_certs", &file.display().to_string())));
    match auth {
        Auth::ApiKey(key) => lines.push(line("api_key", key.reveal())),
        Auth::Basic { user, password } => {
            lines.push(line("username", user));
            lines.push(line("password", password.reveal()));
        }
        Auth::None => {}
    }
    lines.push(String::new());
    lines.join("\n")
}

/// JSON texts are YAML texts; a `$` would begin a variable.
fn line(key: &str, value: &str) -> String {
    format!("  {key}: {}", Value::from(value.replace('$', "$$")))
}

/// Writes the file for the user's eyes only, whole or not at all.
fn write(file: &Path, content: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("new");
    // One that an interrupted login left may have other permissions.
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    written.write_all(content.as_bytes())?;
    written.sync_all()?;
    fs::rename(fresh, file)
}

#[cfg(test)]
mod tests {
    use tributary_settings::{Credentials, Settings};

    use super::*;

    #[test]
    fn what_is_remembered_reads_back() {
        let password = "p\"a$$s$ {w}: o'rd\\";
        let auth = Auth::Basic { user: "me".to_owned(), password: Secret::new(password) };
        let settings =
            Settings::from_yaml_str(&content("http://a:1", &auth, Some(Path::new("/ca's $1.pem")))).unwrap();
        assert_eq!(settings.elasticsearch.ca_certs.as_deref(), Some(Path::new("/ca's $1.pem")));
        assert_eq!(settings.elasticsearch.hosts, ["http://a:1"]);
        let Credentials::Basic { username, password: read } = settings.elasticsearch.credentials() else {
            panic!()
        };
        assert_eq!((username, read.reveal()), ("me", password));
    }
}
