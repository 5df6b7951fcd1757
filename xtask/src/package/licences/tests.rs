use super::*;

/// What `cargo metadata` would say of crates with these names and licences, in folders of these names.
fn metadata(folder: &Path, crates: &[(&str, &str)]) -> String {
    let package = |(name, licence): &(&str, &str)| {
        serde_json::json!({
            "name": name, "version": "1.0.0", "license": licence, "license_file": "docs/terms.txt",
            "repository": "https://example.org/all", "manifest_path": folder.join(name).join("Cargo.toml"),
        })
    };
    let packages: Vec<Value> = crates.iter().map(package).collect();
    serde_json::json!({ "packages": packages }).to_string()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn each_text_stands_once_with_all_crates_it_belongs_to() {
    let texts = |texts: &[(&str, &str)]| -> Texts {
        texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    };
    let texts = BTreeMap::from([
        ("a 1.0.0".to_owned(), texts(&[("LICENSE-MIT", "MIT of A"), ("LICENSE-APACHE", "Apache")])),
        ("b 2.0.0".to_owned(), texts(&[("COPYING", "Apache")])),
    ]);
    let document = document("a 1.0.0 MIT\n", &texts);
    assert!(document.contains("\na 1.0.0 MIT\n"));
    assert!(document.contains("\na 1.0.0: LICENSE-APACHE\nb 2.0.0: COPYING\n\nApache\n"), "{document}");
    assert!(document.contains("\na 1.0.0: LICENSE-MIT\n\nMIT of A\n"), "{document}");
    assert_eq!(document.matches("\n\nApache\n").count(), 1);
}

#[test]
fn texts_are_found_wherever_the_sources_keep_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in [
        ("a/LICENSE-MIT", "one\r\ntwo"),
        ("a/vendored/Copying.txt", "three"),
        ("a/LICENSES/0BSD.txt", "four"),
        ("a/docs/terms.txt", "five"),
        ("a/NOTICE", " \n"),
        ("a/license.rs", "fn"),
        ("a/README", "no"),
        ("a/tests/COPYING", "of test data"),
    ] {
        write(folder.path(), path, text);
    }
    let packages = packages(&metadata(folder.path(), &[("a", "MIT")])).expect("packages");
    let texts = packages["a 1.0.0"].texts().expect("texts");
    let texts: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let expected = [
        ("LICENSE-MIT", "one\ntwo"),
        ("LICENSES/0BSD.txt", "four"),
        ("docs/terms.txt", "five"),
        ("vendored/Copying.txt", "three"),
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_crate_without_a_text_gets_the_one_that_holds_for_it_or_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    for (path, text) in [
        ("LICENSE", "Apache"),
        ("packaging/licences/kept", "kept text"),
        ("kept/src/lib.rs", ""),
        ("whole/LICENSE", "BSD of whole"),
        ("part/src/lib.rs", ""),
        ("either/src/lib.rs", ""),
        ("both/src/lib.rs", ""),
    ] {
        write(root, path, text);
    }
    let crates = [
        ("kept", "MIT"),
        ("whole", "BSD-3-Clause"),
        ("part", "BSD-3-Clause"),
        ("either", "MIT/Apache-2.0"),
        ("both", "Apache-2.0 AND ISC"),
    ];
    let metadata = metadata(root, &crates);
    let of = |name: &str| third_party(root, &format!("{name} 1.0.0 X\n"), &metadata);
    for (name, expected) in [
        ("kept", "\nkept 1.0.0: kept text\n\nkept text\n"),
        ("part", "\npart 1.0.0: LICENSE of whole\n\nBSD of whole\n"),
        ("either", "\neither 1.0.0: Apache-2.0\n\nApache\n"),
    ] {
        let document = of(name).expect(name);
        assert!(document.contains(expected), "{name}: {document}");
    }
    let refused = of("both").expect_err("no text holds for it");
    assert!(refused.contains("both 1.0.0 (Apache-2.0 AND ISC)"), "{refused}");
    assert!(refused.contains("packaging/licences/both"), "{refused}");
}

#[test]
fn every_crate_of_the_program_has_the_text_of_its_licence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let document = super::super::third_party(root).expect("the document");
    let (list, texts) = document.split_once("\n\n====").expect("a list, then the texts");
    let crates: Vec<&str> = list.lines().skip(2).collect();
    for expected in ["tokio ", "tantivy-common ", "zstd-sys "] {
        assert!(crates.iter().any(|line| line.starts_with(expected)), "{expected}: {list}");
    }
    for line in crates {
        let name: Vec<&str> = line.split(' ').take(2).collect();
        assert!(texts.contains(&format!("\n{}: ", name.join(" "))), "{line}");
    }
}
