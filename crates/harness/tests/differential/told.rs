//! The differences that `docs/compatibility.md` tells.

use std::collections::BTreeSet;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");

/// The first column of the tables whose rows begin with an id in backticks, below "Differences".
pub(crate) fn ids() -> BTreeSet<String> {
    let page = std::fs::read_to_string(PAGE).expect("docs/compatibility.md");
    let (_, below) = page.split_once("\n## Differences\n").expect("a section 'Differences'");
    let row = |line: &str| line.strip_prefix("| `")?.split_once('`').map(|(id, _)| id.to_owned());
    let ids: Vec<String> = below.lines().filter_map(row).collect();
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), set.len(), "an id of docs/compatibility.md is used twice");
    set
}
