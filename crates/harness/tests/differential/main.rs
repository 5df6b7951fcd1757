//! The same requests go to a real Elasticsearch and to the embedded node, and the answers are compared.
//! `tests/differential/README.md` tells how to add some, and how to run a part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "progress of a long test")]

mod compare;
mod run;
mod script;
mod told;

use std::path::{Path, PathBuf};
use std::time::Instant;

use tributary_harness::{Elasticsearch, Major, TestNode};

/// Scripts in this folder of theirs run on servers with security.
const SECURED: &str = "secured";

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/differential");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_answers_as_elasticsearch_8_does() {
    compare_with(Major::Eight).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_answers_as_elasticsearch_9_does() {
    compare_with(Major::Nine).await;
}

#[test]
fn every_difference_that_is_told_is_in_a_script_and_the_other_way_round() {
    let told = told::ids();
    let mut used = std::collections::BTreeSet::new();
    for path in scripts("").into_iter().chain(scripts(SECURED)) {
        let steps = script::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        used.extend(steps.into_iter().flat_map(|step| step.differences).map(|difference| difference.id));
    }
    let unused: Vec<_> = told.difference(&used).collect();
    let untold: Vec<_> = used.difference(&told).collect();
    assert!(unused.is_empty(), "docs/compatibility.md tells of {unused:?}, which no script shows");
    assert!(untold.is_empty(), "scripts refer to {untold:?}, which docs/compatibility.md lacks");
}

async fn compare_with(major: Major) {
    let wanted = std::env::var("DIFFERENTIAL").unwrap_or_default();
    let mut report = run::Report::default();
    for folder in ["", SECURED] {
        let mut paths = scripts(folder);
        paths.retain(|path| path.to_string_lossy().contains(&wanted));
        if !paths.is_empty() {
            compare(major, folder, &paths, &mut report).await;
        }
    }
    eprintln!("{} requests compared with Elasticsearch {major}", report.requests);
    if std::env::var_os("DIFFERENTIAL_STALE").is_some() {
        report.stale.iter().for_each(|part| eprintln!("stale with {major}: {part}"));
        report.held.iter().for_each(|part| eprintln!("held with {major}: {part}"));
    }
    assert!(report.requests > 0, "no request in {SCRIPTS}");
    if wanted.is_empty() {
        let gone: Vec<_> = report.told.difference(&report.seen).collect();
        assert!(
            gone.is_empty(),
            "{gone:?} of docs/compatibility.md no longer differ from Elasticsearch {major}"
        );
    }
    assert!(report.found.is_empty(), "{} answers differ:\n\n{}", report.differing, report.found.join("\n"));
}

/// Runs these scripts of a folder.
async fn compare(major: Major, folder: &str, paths: &[PathBuf], report: &mut run::Report) {
    let secured = folder == SECURED;
    let variable = if secured { "_SECURED" } else { "" };
    let (_server, address) = match std::env::var(format!("TRIBUTARY_TEST_ELASTICSEARCH_{major}{variable}")) {
        Ok(address) => (None, address),
        Err(_) => {
            let server = tokio::task::spawn_blocking(move || start(major, secured));
            let server = server.await.expect("an Elasticsearch");
            let address = server.url().to_owned();
            (Some(server), address)
        }
    };
    let node = if secured { TestNode::start_secured().await } else { TestNode::start().await };
    for path in paths {
        let started = Instant::now();
        run::script(major, path, &address, node.url(), report).await;
        eprintln!("{} took {:?}", path.display(), started.elapsed());
    }
    node.stop().await;
}

fn start(major: Major, secured: bool) -> Elasticsearch {
    if secured {
        // Document-level security wants a licence.
        Elasticsearch::start_secured(major, &[("xpack.license.self_generated.type", "trial")])
    } else {
        Elasticsearch::start(major, &[])
    }
}

/// All scripts of a folder, in order.
fn scripts(folder: &str) -> Vec<PathBuf> {
    let entries = Path::new(SCRIPTS).join(folder).read_dir().expect("a folder with scripts");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "http"));
    paths.sort();
    paths
}
