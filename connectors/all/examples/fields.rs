//! Prints what every source declares of its configuration, as JSON: what `cargo xtask generate` makes tables of.

use std::collections::BTreeMap;
use std::io;

fn main() -> io::Result<()> {
    let registry = tributary_connectors::registry();
    let schemas: BTreeMap<_, _> =
        registry.iter().map(|kind| (kind.service_type().to_owned(), kind.schema())).collect();
    serde_json::to_writer(io::stdout().lock(), &schemas).map_err(io::Error::from)
}
