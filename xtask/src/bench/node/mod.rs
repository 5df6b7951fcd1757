//! The node and Elasticsearch side by side: the same requests from the same client, in turns.

mod documents;
mod http;
mod machine;
pub(super) mod servers;
mod table;
mod work;

use std::io::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::machine::Machine;
use self::servers::Server;
use self::table::{Better, Goal, Row};
use self::work::{Steady, Times};
use super::{Scratch, build};

/// The index that is measured, and the one that both are warmed up with.
const INDEX: &str = "bench";
const WARM: &str = "bench-warm";
/// Clients that update at once.
const UPDATERS: usize = 50;
const UPDATE: Steady = Steady { clients: UPDATERS, during: Duration::from_secs(5), rate: None };
/// Updates of connectors in a second where they do not come without a pause: some ten thousand connectors that are checked
/// in every thirty seconds and sync every ten minutes do not make as many.
const UPDATE_RATE: u32 = 1_000;
/// After this time without requests a server counts as idle.
const IDLE: Duration = Duration::from_secs(30);
/// 30 MB in MiB.
const IDLE_GOAL: f64 = 30e6 / (1 << 20) as f64;

/// How the benchmark is run.
#[derive(Args)]
pub(crate) struct Options {
    /// Measure Elasticsearch too: 8 or 9 starts that version (tests/elasticsearch), a URL names one that runs.
    #[arg(long, value_name = "8|9|URL")]
    elasticsearch: Option<String>,
    /// Documents of a load.
    #[arg(long, default_value_t = 200_000)]
    documents: u64,
    /// Bytes of each, about.
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Documents of a bulk request.
    #[arg(long, default_value_t = 1000)]
    bulk: u64,
    /// Connections that load at once.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    /// How often everything is done, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// Measure only this; may be given several times.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Measure this program instead of one that is built now.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Output {
    Text,
    /// As in `docs/benchmarks.md`.
    Markdown,
    Json,
}

/// What can be measured by itself.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Part {
    /// From the start of the process to the first answer.
    Ready,
    /// Bulk indexing, and the size on disk after it.
    Bulk,
    /// Gets and searches; indexes first.
    Reads,
    /// Updates of documents by many clients.
    Updates,
    /// Updates of connectors by many clients.
    ConnectorUpdates,
    /// Memory at rest, before and after everything else.
    Memory,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether there are documents to be indexed.
    fn loads(&self) -> bool {
        self.wants(Part::Bulk) || self.wants(Part::Reads)
    }
}

/// What is measured of one server.
#[derive(Default)]
struct Measured {
    ready: Vec<f64>,
    idle: Option<f64>,
    acknowledged: Vec<f64>,
    searchable: Vec<f64>,
    processor: Vec<f64>,
    bulks: Times,
    gets: Times,
    searches: Vec<Times>,
    updates: Times,
    connector_updates: Times,
    same_connector: Times,
    connector_updates_at_a_rate: Times,
    disk: Option<f64>,
    idle_after: Option<f64>,
    own_after: Option<f64>,
}

pub(super) fn run(root: &Path, options: &Options) -> Result<String> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(root)?,
    };
    let scratch = Scratch::new(root)?;
    let machine = Machine::look_at(&scratch.0)?;
    let documents = if options.loads() || options.wants(Part::Updates) { options.documents } else { 0 };
    let bulks = documents::bulks(documents, options.size, options.bulk);
    let mut servers = vec![(servers::node(&binary, &scratch.0.join("node"))?, Measured::default())];
    if let Some(which) = &options.elasticsearch {
        servers.push((
            servers::elasticsearch(root, which, &scratch.0.join("elasticsearch"))?,
            Measured::default(),
        ));
    }
    if options.wants(Part::Ready) {
        ready(&binary, &scratch.0, &mut servers)?;
    }
    if options.wants(Part::Memory) {
        std::thread::sleep(IDLE);
    }
    for (server, measured) in &mut servers {
        measured.idle = server.resident_mib().filter(|_| options.wants(Part::Memory));
        if !bulks.is_empty() {
            warm(server, &bulks, options)?;
        }
    }
    for round in 0..options.rounds.max(1) {
        rounds(round, &mut servers, &bulks, options)?;
    }
    // Elasticsearch's build for tests has no Connector endpoints.
    if let Some((server, measured)) = servers.first_mut().filter(|_| options.wants(Part::ConnectorUpdates)) {
        work::connectors(server, UPDATERS)?;
        // The first second is not measured.
        work::connector_updates(server, Steady { during: UPDATE.during / 5, ..UPDATE }, false)?;
        measured.connector_updates = work::connector_updates(server, UPDATE, false)?;
        measured.same_connector = work::connector_updates(server, UPDATE, true)?;
        let at_a_rate = Steady { rate: Some(UPDATE_RATE), ..UPDATE };
        measured.connector_updates_at_a_rate = work::connector_updates(server, at_a_rate, false)?;
    }
    if options.loads() {
        for (server, measured) in &mut servers {
            server.settle();
            measured.disk = server.disk_mib();
        }
    }
    if options.wants(Part::Memory) {
        std::thread::sleep(IDLE);
        for (server, measured) in &mut servers {
            measured.idle_after = server.resident_mib();
            measured.own_after = server.own_mib();
        }
    }
    Ok(render(&servers, &machine, options))
}

/// One round of what is done in turns.
fn rounds(
    round: u64,
    servers: &mut [(Server, Measured)],
    bulks: &[Vec<u8>],
    options: &Options,
) -> Result<()> {
    if options.loads() {
        for (server, measured) in &mut *servers {
            loads(server, measured, bulks, options)?;
        }
    }
    if options.wants(Part::Reads) {
        for (server, measured) in &mut *servers {
            reads(server, measured, round, options)?;
        }
    }
    if options.wants(Part::Updates) {
        for (server, measured) in servers {
            measured.updates.add(work::updates(server, INDEX, UPDATE)?);
        }
    }
    Ok(())
}

/// From the start of the process to the first answer, on an empty folder.
fn ready(binary: &Path, scratch: &Path, servers: &mut [(Server, Measured)]) -> Result<()> {
    for (server, measured) in servers.iter_mut() {
        measured.ready.extend(server.ready.map(|time| time.as_secs_f64() * 1000.0));
    }
    let Some((_, node)) = servers.first_mut() else { return Ok(()) };
    for run in 0..10 {
        let started = servers::node(binary, &scratch.join(format!("empty-{run}")))?;
        node.ready.extend(started.ready.map(|time| time.as_secs_f64() * 1000.0));
    }
    Ok(())
}

/// What a server does slower the first times, it does here.
fn warm(server: &Server, bulks: &[Vec<u8>], options: &Options) -> Result<()> {
    work::create(server, WARM)?;
    let some = bulks.get(..(bulks.len() / 2).max(1).min(bulks.len())).unwrap_or_default();
    work::load(server, WARM, some, options.clients)?;
    work::gets(server, WARM, (options.documents / 2).min(options.bulk), 2_000, 3)?;
    for kind in 0..documents::SEARCHES.len() {
        work::searches(server, WARM, kind, 1_000_000, 300)?;
    }
    work::updates(server, WARM, UPDATE)?;
    work::delete(server, WARM)
}

fn loads(server: &Server, measured: &mut Measured, bulks: &[Vec<u8>], options: &Options) -> Result<()> {
    if !measured.acknowledged.is_empty() {
        work::delete(server, INDEX)?;
    }
    work::create(server, INDEX)?;
    server.settle();
    let load = work::load(server, INDEX, bulks, options.clients)?;
    measured.acknowledged.push(options.documents as f64 / load.acknowledged.as_secs_f64());
    measured.searchable.push(options.documents as f64 / load.searchable.as_secs_f64());
    let processor = load.processor.map(|time| time.as_secs_f64() * 1e6 / options.documents as f64);
    measured.processor.extend(processor);
    measured.bulks.add(load.requests);
    server.settle();
    Ok(())
}

fn reads(server: &Server, measured: &mut Measured, round: u64, options: &Options) -> Result<()> {
    measured.gets.add(work::gets(server, INDEX, options.documents, 5_000, round + 11)?);
    for kind in 0..documents::SEARCHES.len() {
        let times = work::searches(server, INDEX, kind, round * 200, 200)?;
        match measured.searches.get_mut(kind) {
            Some(known) => known.add(times),
            None => measured.searches.push(times),
        }
    }
    Ok(())
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

type Look<'a> = Box<dyn Fn(&Measured) -> Option<f64> + 'a>;

fn rows(servers: &[(Server, Measured)]) -> Vec<Row> {
    let row = |what: &str, unit, better, goal: Option<Goal>, look: Look<'_>| {
        let of = |at: usize| servers.get(at).and_then(|(_, measured)| look(measured));
        Row { node: of(0), elasticsearch: of(1), goal, ..Row::new(what, unit, better) }
    };
    let (less, more) = (Better::Less, Better::More);
    let mut rows = vec![
        row("ready on an empty folder", "ms", less, Some(Goal::Value(100.0)), Box::new(|m| median(&m.ready))),
        row("idle, empty", "MiB", less, Some(Goal::Value(IDLE_GOAL)), Box::new(|m| m.idle)),
        row(
            "bulk, acknowledged",
            "docs/s",
            more,
            Some(Goal::Times(2.0)),
            Box::new(|m| median(&m.acknowledged)),
        ),
        row("bulk, searchable", "docs/s", more, None, Box::new(|m| median(&m.searchable))),
        row("bulk, processor time", "µs/doc", less, None, Box::new(|m| median(&m.processor))),
    ];
    let mut times = |what: &str, goal: Option<Goal>, look: &dyn Fn(&Measured) -> Option<&Times>| {
        for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
            let goal = goal.as_ref().filter(|_| share > 0.9).map(|goal| match goal {
                Goal::Value(value) => Goal::Value(*value),
                Goal::Times(times) => Goal::Times(*times),
            });
            let look = |m: &Measured| look(m).and_then(|times| times.percentile(share));
            rows.push(row(&format!("{what}, {name}"), "ms", less, goal, Box::new(look)));
        }
    };
    times("bulk request", None, &|m| Some(&m.bulks));
    times("get by id", None, &|m| Some(&m.gets));
    for (kind, name) in documents::SEARCHES.iter().enumerate() {
        times(name, None, &|m| m.searches.get(kind));
    }
    times("update, 50 clients", None, &|m| Some(&m.updates));
    times("connector update, 50 clients", Some(Goal::Value(5.0)), &|m| Some(&m.connector_updates));
    times("the same connector, 50 clients", Some(Goal::Value(5.0)), &|m| Some(&m.same_connector));
    let at_a_rate = format!("connector update, 50 clients, {UPDATE_RATE}/s");
    times(&at_a_rate, Some(Goal::Value(5.0)), &|m| Some(&m.connector_updates_at_a_rate));
    rows.push(row("on disk after the load", "MiB", less, None, Box::new(|m| m.disk)));
    rows.push(row("idle after all this", "MiB", less, None, Box::new(|m| m.idle_after)));
    rows.push(row("of that, not mapped files", "MiB", less, None, Box::new(|m| m.own_after)));
    rows.retain(|row| row.node.is_some() || row.elasticsearch.is_some());
    rows
}

fn render(servers: &[(Server, Measured)], machine: &Machine, options: &Options) -> String {
    let rows = rows(servers);
    let other = servers.get(1).map_or("-", |(server, _)| &server.name);
    let fsync = [0.5, 0.99].map(|share| machine.fsync.percentile(share).unwrap_or_default());
    let (cores, pauses) = (machine.cores, &machine.pauses);
    let longest = pauses.longest.as_secs_f64() * 1000.0;
    let about = format!(
        "{} documents of {} bytes, {} in a request, {} connections, {} rounds in turns, {cores} cores; one fsync of 4 KiB on this \
         disk takes {:.2} ms (p50), {:.2} ms (p99); busy cores are held up for {:.1} % of the time, at longest {longest:.1} ms",
        options.documents,
        options.size,
        options.bulk,
        options.clients,
        options.rounds,
        fsync[0],
        fsync[1],
        100.0 * pauses.share,
    );
    match options.output {
        Output::Text => format!("{about}\n{}", table::text(&rows, other)),
        Output::Markdown => format!("{about}\n\n{}", table::markdown(&rows, other)),
        Output::Json => {
            let about: Value = json!({
                "documents": options.documents, "size": options.size, "bulk": options.bulk, "clients": options.clients,
                "rounds": options.rounds, "cores": cores, "fsync_ms": {"p50": fsync[0], "p99": fsync[1]},
                "pauses": {"share": pauses.share, "longest_ms": longest},
            });
            table::json(&rows, other, &about).to_string()
        }
    }
}
