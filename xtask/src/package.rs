//! `package`: a Debian package of the program, made with what every Debian machine has (`dpkg-deb`, `strip`).

mod binary;
mod control;
mod licences;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::{Outcome, cargo};
use binary::Binary;
use tree::Tree;

/// Make a Debian package: program, unit, configuration, manual pages, completions.
#[derive(Args)]
pub(crate) struct Package {
    /// Package this program instead of building one for release.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the package goes.
    #[arg(long, value_name = "DIR", default_value = "target/package")]
    out: PathBuf,
}

const MAN: &str = "usr/share/man/man1";
const DOC: &str = "usr/share/doc/tributary";
/// Shells, and where each looks for completions of programs.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/tributary"),
    ("zsh", "usr/share/zsh/vendor-completions/_tributary"),
    ("fish", "usr/share/fish/vendor_completions.d/tributary.fish"),
];

pub(crate) fn run(root: &Path, options: &Package) -> Outcome {
    let changelog = read(&root.join("packaging/debian/changelog"))?;
    let version = control::version(&changelog)?;
    if version != env!("CARGO_PKG_VERSION") {
        return Err(format!(
            "packaging/debian/changelog begins with version {version}, but the program's is {}: add an entry",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let program = match &options.binary {
        Some(given) => given.clone(),
        None => cargo::release(root, "tributary-cli", "tributary").map_err(|error| error.to_string())?,
    };
    let out = root.join(&options.out);
    let tree = Tree::new(out.join("tree"))?;
    let installed = tree.program("usr/bin/tributary", &program)?;
    said(
        "strip",
        Command::new("strip").args(["--remove-section=.comment", "--remove-section=.note"]).arg(&installed),
    )?;
    let content = fs::read(&installed).map_err(|error| unreadable(&installed, &error))?;
    let about = Binary::of(&content)?;
    files(root, &tree, &installed, &changelog)?;
    let licences = third_party(root)?;
    let unlisted: Vec<String> = binary::crates(&content)
        .into_iter()
        .filter(|name| !licences.contains(&format!("\n{name}: ")))
        .collect();
    if !unlisted.is_empty() {
        return Err(format!(
            "'{}' contains crates that this checkout does not use, so their licences are not known ({}): build it anew",
            program.display(),
            unlisted.join(", ")
        ));
    }
    tree.zipped(&format!("{DOC}/THIRD-PARTY"), &licences)?;
    let library = standard_library(root)?;
    if let Some(text) = &library {
        tree.zipped(&format!("{DOC}/RUST-LIBRARY.html"), text)?;
    }
    tree.control("control", &control::fields(&version, &changelog, &about, tree.kilobytes()?)?)?;
    tree.control("conffiles", "/etc/tributary/config.yml\n")?;
    tree.control("md5sums", &tree.sums("etc")?)?;
    for script in ["postinst", "prerm", "postrm"] {
        tree.script(script, &read(&root.join("packaging/debian").join(script))?)?;
    }
    let package = out.join(format!("tributary_{version}_{}.deb", about.architecture));
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "--build"]).arg(tree.root()).arg(&package);
    if let Some(time) = last_change(root) {
        // The same sources make the same package.
        pack.env("SOURCE_DATE_EPOCH", time);
    }
    said("dpkg-deb", &mut pack)?;
    let note = match library {
        Some(_) => "",
        None => "\nwithout RUST-LIBRARY.html.gz: the compiler comes without COPYRIGHT-library.html",
    };
    Ok(format!("written: {}{note}", package.display()))
}

/// Everything but the program itself.
fn files(root: &Path, tree: &Tree, program: &Path, changelog: &str) -> Result<(), String> {
    tree.file("usr/lib/systemd/system/tributary.service", read(&root.join("packaging/tributary.service"))?)?;
    tree.file("etc/tributary/config.yml", read(&root.join("packaging/config.yml"))?)?;
    tree.private("etc/tributary/config.yml")?;
    tree.file(
        "usr/share/lintian/overrides/tributary",
        "# It may hold secrets.\ntributary: non-standard-file-perm 0640 != 0644 [etc/tributary/config.yml]\n",
    )?;
    tree.file(&format!("{DOC}/copyright"), read(&root.join("packaging/debian/copyright"))?)?;
    tree.zipped(&format!("{DOC}/changelog"), changelog)?;
    tree.file(&format!("{DOC}/examples/config.example.yml"), tributary_settings::example_yaml())?;
    for (shell, path) in COMPLETIONS {
        tree.file(path, said(shell, Command::new(program).args(["completions", shell]))?)?;
    }
    let pages = tree.root().with_extension("man");
    fs::create_dir_all(&pages).map_err(|error| unreadable(&pages, &error))?;
    said("tributary man", Command::new(program).arg("man").arg(&pages))?;
    for page in fs::read_dir(&pages).map_err(|error| unreadable(&pages, &error))? {
        let page = page.map_err(|error| unreadable(&pages, &error))?;
        tree.zipped(&format!("{MAN}/{}", page.file_name().to_string_lossy()), &read(&page.path())?)?;
    }
    fs::remove_dir_all(&pages).map_err(|error| unreadable(&pages, &error))
}

/// The crates that are in the program: name, version, licence, and the texts of their licences.
fn third_party(root: &Path) -> Result<String, String> {
    let mut tree = cargo::command(root);
    tree.args(["tree", "--locked", "--package", "tributary-cli", "--edges", "normal", "--prefix", "none"]);
    tree.args(["--format", "{p}\t{l}"]);
    let list = control::third_party(&said("cargo tree", &mut tree)?);
    let mut metadata = cargo::command(root);
    // Of other machines' crates there need be no sources here.
    metadata.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &host(root)?]);
    let metadata = said("cargo metadata", &mut metadata)?;
    licences::third_party(root, &list, &metadata)
}

/// The licences of Rust's own library, which is in the program too, where the compiler comes with them.
fn standard_library(root: &Path) -> Result<Option<String>, String> {
    let sysroot = said("rustc", Command::new("rustc").current_dir(root).args(["--print", "sysroot"]))?;
    let text = Path::new(sysroot.trim()).join("share/doc/rust/COPYRIGHT-library.html");
    text.is_file().then(|| read(&text)).transpose()
}

/// The machine that is compiled for, as the compiler calls it.
fn host(root: &Path) -> Result<String, String> {
    let about = said("rustc", Command::new("rustc").current_dir(root).arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    Ok(host.to_owned())
}

/// The time of the last commit, in seconds.
fn last_change(root: &Path) -> Option<String> {
    let time = Command::new("git").current_dir(root).args(["log", "-1", "--format=%ct"]).output().ok()?;
    let time = String::from_utf8(time.stdout).ok()?.trim().to_owned();
    (!time.is_empty()).then_some(time)
}

/// What a program says, which must end well.
fn said(name: &str, command: &mut Command) -> Result<String, String> {
    let ended = command.output().map_err(|error| format!("{name} does not start: {error}"))?;
    if !ended.status.success() {
        return Err(format!("{name} failed: {}", String::from_utf8_lossy(&ended.stderr).trim()));
    }
    String::from_utf8(ended.stdout).map_err(|error| format!("{name} says what is no text: {error}"))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("'{}' cannot be read or written: {error}", path.display())
}
