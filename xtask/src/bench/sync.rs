//! The sync engine with its client beside a bare bulk loader: the same documents into the same target, in turns.

use std::fmt::Write as _;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::node::servers::{self, Server};
use super::sink::{self, Sink};
use super::{Scratch, build};

/// How the benchmark is run.
#[derive(Args)]
pub(crate) struct Options {
    /// What is measured; all cases where none is named.
    #[arg(long, value_enum)]
    case: Vec<Case>,
    /// Where to: `sink`, `node`, `elasticsearch` (9, by tests/elasticsearch), or the URL of a cluster.
    #[arg(long, default_value = "sink")]
    target: String,
    /// Documents (of the case `memory` ten times as many, of `bodies` a two-hundredth).
    #[arg(long, default_value_t = 1_000_000)]
    documents: u64,
    /// Bytes of each, about.
    #[arg(long, default_value_t = 500)]
    size: usize,
    /// How often everything is done, in turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Documents of the bare loader's requests.
    #[arg(long, default_value_t = 2000)]
    bulk: u64,
    /// Measure this `tributary-bench` instead of one that is built now.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum, PartialEq, Eq)]
enum Case {
    /// The bare loader, one that makes documents as the source does and serializes them, and the first sync.
    First,
    /// A sync, and the same again without changes.
    Unchanged,
    /// A sync, and another after 1 % changed and 1 % went.
    Changed,
    /// Ten times as many documents, and the same again without changes: does memory grow?
    Memory,
    /// Contents of 1 MiB that are fetched one by one, and the bare loader with the same.
    Bodies,
}

const ALL: [Case; 5] = [Case::First, Case::Unchanged, Case::Changed, Case::Memory, Case::Bodies];

/// One run of the loader or of a sync.
struct Run {
    case: Case,
    what: &'static str,
    documents: u64,
    bytes: u64,
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
    above_idle_mib: f64,
    /// Documents that were written or deleted.
    written: u64,
}

/// Where it all goes; ends with this value.
enum Target {
    Sink(Sink),
    Server(Server),
    Url(String),
}

impl Target {
    fn start(root: &Path, binary: &Path, scratch: &Path, options: &Options, keep: bool) -> Result<Self> {
        Ok(match options.target.as_str() {
            "sink" => Self::Sink(Sink::start(binary, keep)?),
            "node" => Self::Server(servers::node(&build(root)?, &scratch.join("node"))?),
            "elasticsearch" => {
                Self::Server(servers::elasticsearch(root, "9", &scratch.join("elasticsearch"))?)
            }
            url if url.starts_with("http") => Self::Url(url.to_owned()),
            other => {
                let accepted = "accepted are sink, node, elasticsearch and a URL";
                return Err(Error::other(format!("target '{other}': {accepted}")));
            }
        })
    }

    fn url(&self) -> String {
        match self {
            Self::Sink(sink) => sink.url().to_owned(),
            Self::Server(server) => format!("http://{}", server.address),
            Self::Url(url) => url.clone(),
        }
    }
}

/// Runs the benchmark and returns its table.
pub(super) fn run(root: &Path, options: &Options) -> Result<String> {
    let binary = options.binary.clone().map_or_else(|| sink::build(root), Ok)?;
    let scratch = Scratch::new(root)?;
    let cases = if options.case.is_empty() { &ALL[..] } else { &options.case[..] };
    let mut runs = Vec::new();
    for case in cases {
        let keep = !matches!(case, Case::First | Case::Bodies);
        let target = Target::start(root, &binary, &scratch.0, options, keep)?;
        for round in 0..options.rounds.max(1) {
            let index = format!("bench-{case:?}-{round}-{}", std::process::id()).to_lowercase();
            let bench = Bench { binary: &binary, url: &target.url(), case: *case, options };
            bench.round(&index, &mut runs)?;
        }
    }
    Ok(match options.output {
        Output::Text => text(&runs, options),
        Output::Json => json!({"target": options.target, "runs": values(&runs)}).to_string(),
    })
}

struct Bench<'a> {
    binary: &'a Path,
    url: &'a str,
    case: Case,
    options: &'a Options,
}

impl Bench<'_> {
    fn round(&self, index: &str, runs: &mut Vec<Run>) -> Result<()> {
        match self.case {
            Case::First | Case::Bodies => {
                let bulk = self.options.bulk.to_string();
                let load = ["--bulk-items", &bulk, "--serialize"];
                runs.push(self.part("load", "loader", &format!("{index}-bare"), &load[..2])?);
                if self.case == Case::First {
                    runs.push(self.part("load", "serialized", &format!("{index}-values"), &load)?);
                }
                runs.push(self.part("sync", "first", index, &[])?);
            }
            Case::Unchanged | Case::Memory => {
                runs.push(self.part("sync", "first", index, &[])?);
                runs.push(self.part("sync", "unchanged", index, &[])?);
            }
            Case::Changed => {
                runs.push(self.part("sync", "first", index, &[])?);
                let one_percent = ["--changed-one-in", "100", "--deleted-one-in", "100"];
                runs.push(self.part("sync", "changed", index, &one_percent)?);
            }
        }
        Ok(())
    }

    fn part(&self, part: &str, what: &'static str, index: &str, more: &[&str]) -> Result<Run> {
        let (documents, size) = match self.case {
            Case::Memory => (self.options.documents * 10, self.options.size),
            Case::Bodies => (self.options.documents / 200, 1 << 20),
            _ => (self.options.documents, self.options.size),
        };
        let (documents, size) = (documents.max(1).to_string(), size.to_string());
        let mut arguments = vec![part, "--target", self.url, "--index", index];
        arguments.extend(["--documents", &documents, "--size", &size]);
        arguments.extend(more);
        if self.case == Case::Bodies {
            arguments.push("--bodies");
        }
        read(self.case, what, &sink::run(self.binary, &arguments)?)
    }
}

/// Reads what a part said.
fn read(case: Case, what: &'static str, said: &Value) -> Result<Run> {
    let number = |pointer: &str| said.pointer(pointer).and_then(Value::as_f64);
    let whole = |pointer: &str| said.pointer(pointer).and_then(Value::as_u64);
    let needed = |value: Option<f64>| value.ok_or_else(|| Error::other(format!("not a measurement: {said}")));
    let figures = ["created", "updated", "deleted"].map(|name| whole(&format!("/figures/{name}")));
    let loaded = whole("/documents");
    let peak = needed(number("/taken/peak_kib"))? / 1024.0;
    Ok(Run {
        case,
        what,
        documents: loaded.or(whole("/figures/listed")).unwrap_or_default(),
        bytes: whole("/bytes").or(whole("/figures/wire_bytes")).unwrap_or_default(),
        wall_s: needed(number("/taken/wall_s"))?,
        cpu_s: needed(number("/taken/cpu_s"))?,
        peak_mib: peak,
        above_idle_mib: peak - needed(number("/taken/idle_kib"))? / 1024.0,
        written: loaded.unwrap_or_else(|| figures.into_iter().flatten().sum()),
    })
}

impl Run {
    fn per_second(&self) -> f64 {
        self.documents as f64 / self.wall_s
    }

    fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.wall_s
    }
}

/// Documents per second of each run over those of the first run of its round, which it is compared with.
fn ratios(runs: &[Run]) -> Vec<Option<f64>> {
    let mut ratios = Vec::with_capacity(runs.len());
    let mut first: Option<&Run> = None;
    for run in runs {
        let begun = first.filter(|begun| begun.case == run.case && begun.what != run.what);
        if begun.is_none() {
            first = Some(run);
        }
        ratios.push(begun.map(|begun| run.per_second() / begun.per_second()));
    }
    ratios
}

fn text(runs: &[Run], options: &Options) -> String {
    let Options { target, documents, size, .. } = options;
    let mut table = format!("{documents} documents of {size} bytes, target {target}\n");
    let head =
        "case       run           docs/s    MB/s  wall s   cpu s  peak MiB  +idle MiB    written  ratio";
    // Writing text to memory does not fail.
    let _written = writeln!(table, "{head}");
    for (run, ratio) in runs.iter().zip(ratios(runs)) {
        let case = format!("{:?}", run.case).to_lowercase();
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let _written = writeln!(
            table,
            "{case:<10} {:<10} {:>9.0} {:>7.1} {:>7.2} {:>7.2} {:>9.1} {:>10.1} {:>10} {ratio:>6}",
            run.what,
            run.per_second(),
            run.megabytes_per_second(),
            run.wall_s,
            run.cpu_s,
            run.peak_mib,
            run.above_idle_mib,
            run.written,
        );
    }
    table
}

fn values(runs: &[Run]) -> Vec<Value> {
    let value = |(run, ratio): (&Run, Option<f64>)| {
        json!({
            "case": format!("{:?}", run.case).to_lowercase(),
            "run": run.what,
            "documents": run.documents,
            "written": run.written,
            "documents_per_second": run.per_second(),
            "megabytes_per_second": run.megabytes_per_second(),
            "wall_seconds": run.wall_s,
            "cpu_seconds": run.cpu_s,
            "peak_mib": run.peak_mib,
            "above_idle_mib": run.above_idle_mib,
            "ratio": ratio,
        })
    };
    runs.iter().zip(ratios(runs)).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(case: Case, what: &'static str, wall_s: f64) -> Run {
        let taken = json!({"wall_s": wall_s, "cpu_s": 1.0, "idle_kib": 1024, "peak_kib": 3072});
        let figures = json!({"listed": 100, "created": 90, "deleted": 5, "wire_bytes": 1_000_000});
        read(case, what, &json!({"figures": figures, "taken": taken})).unwrap()
    }

    #[test]
    fn what_a_sync_says_becomes_a_row() {
        let run = run(Case::First, "first", 2.0);
        assert_eq!((run.documents, run.written, run.above_idle_mib), (100, 95, 2.0));
        assert!((run.per_second() - 50.0).abs() < 1e-9 && (run.megabytes_per_second() - 0.5).abs() < 1e-9);
        assert!(read(Case::First, "first", &json!({"error": "x"})).is_err());
    }

    #[test]
    fn every_run_is_compared_with_the_first_of_its_round() {
        let runs = [
            run(Case::First, "loader", 1.0),
            run(Case::First, "serialized", 1.25),
            run(Case::First, "first", 2.0),
            run(Case::First, "loader", 1.0),
            run(Case::Unchanged, "first", 4.0),
            run(Case::Unchanged, "unchanged", 1.0),
            run(Case::Unchanged, "first", 4.0),
        ];
        assert_eq!(ratios(&runs), [None, Some(0.8), Some(0.5), None, None, Some(4.0), None]);
        assert_eq!(ratios(&[]), []);
    }
}
