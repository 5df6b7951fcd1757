//! The package's description of itself.

use std::collections::BTreeSet;

use super::binary::Binary;

/// The version of the changelog's newest entry, `tributary (1.2.3) unstable; …`.
pub(super) fn version(changelog: &str) -> Result<String, String> {
    let version = changelog.strip_prefix("tributary (").and_then(|rest| rest.split_once(')'));
    version.map(|(version, _)| version.to_owned()).ok_or_else(|| {
        "packaging/debian/changelog does not begin with 'tributary (VERSION) unstable; urgency=medium'"
            .to_owned()
    })
}

/// The file `control`.
pub(super) fn fields(
    version: &str,
    changelog: &str,
    program: &Binary,
    kilobytes: u64,
) -> Result<String, String> {
    let maintainer = changelog
        .lines()
        .find_map(|line| line.strip_prefix(" -- ")?.split_once("  "))
        .map(|(maintainer, _)| maintainer)
        .ok_or("packaging/debian/changelog names nobody in ' -- NAME <ADDRESS>  DATE'")?;
    let Binary { architecture, libc } = program;
    Ok(format!(
        "Package: tributary\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: {maintainer}\n\
         Installed-Size: {kilobytes}\n\
         Depends: adduser, libc6 (>= {libc}), libgcc-s1 (>= 4.2)\n\
         Recommends: ca-certificates\n\
         Section: net\n\
         Priority: optional\n\
         Homepage: https://github.com/tributary/tributary\n\
         Description: runtime for Elasticsearch's Connector Protocol\n \
         Tributary keeps the content of folders, databases, object stores, wikis and\n \
         trackers searchable in Elasticsearch. Its daemon polls connectors, schedules\n \
         and runs their sync jobs, and reports through the Connector APIs, on a\n \
         cluster or on the Elasticsearch-compatible node that is built in.\n"
    ))
}

/// The list of crates from what `cargo tree` says; those of the workspace are not third parties.
pub(super) fn third_party(tree: &str) -> String {
    let lines = tree.lines().filter_map(|line| {
        let (package, licence) = line.split_once('\t')?;
        // A repeated one is marked with an asterisk.
        let licence = licence.trim_end_matches(" (*)").trim();
        let mut words = package.split(' ');
        let (name, version) = (words.next()?, words.next()?);
        (!name.starts_with("tributary"))
            .then(|| format!("{name} {} {licence}", version.trim_start_matches('v')))
    });
    let lines: BTreeSet<String> = lines.collect();
    lines.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str =
        "tributary (0.1.0) unstable; urgency=medium\n\n  * A.\n\n -- Ann <a@b>  Thu, 1 Jan 2026\n";

    #[test]
    fn the_changelog_tells_version_and_maintainer() {
        assert_eq!(version(CHANGELOG).unwrap(), "0.1.0");
        let program = Binary { architecture: "amd64", libc: "2.34".to_owned() };
        let fields = fields("0.1.0", CHANGELOG, &program, 7).unwrap();
        for line in [
            "Version: 0.1.0",
            "Maintainer: Ann <a@b>",
            "Depends: adduser, libc6 (>= 2.34), libgcc-s1 (>= 4.2)",
        ] {
            assert!(fields.lines().any(|found| found == line), "{line}: {fields}");
        }
        assert!(version("Tributary 0.1.0").is_err());
    }

    #[test]
    fn third_parties_are_listed_once_and_without_paths() {
        let tree = "tributary-cli v0.1.0 (/a/path)\tApache-2.0\nb v2.0.0\tMIT\na v1.0.0 (proc-macro)\tMIT OR Apache-2.0\n\
                    b v2.0.0\tMIT (*)\n";
        assert_eq!(third_party(tree), "a 1.0.0 MIT OR Apache-2.0\nb 2.0.0 MIT\n");
    }
}
