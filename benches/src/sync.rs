use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tributary_client::{Client, ClientOptions};
use tributary_daemon::{ClusterIndex, content_index};
use tributary_engine::{Control, Ended, Figures, Limits, PipelineFlags, Progress, SyncSpec, sync};
use tributary_protocol::IndexName;
use tributary_sdk::{Context, Source};

use crate::{BenchError, Taken, Usage};

/// How one sync is run.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// Address of the cluster.
    pub url: String,
    /// The index that is written; it is created as the daemon creates it.
    pub index: String,
    /// Folder for spools.
    pub spool_dir: PathBuf,
    /// Bounds of the sync.
    pub limits: Limits,
    /// Whether the switches of the default pipeline are written into every document, as for a connector.
    pub pipeline_switches: bool,
}

/// What a sync did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Synced {
    /// Its figures.
    pub figures: Figures,
    /// What it took.
    pub taken: Taken,
}

/// Runs one full sync with the engine, the client and the daemon's adapter between them.
///
/// # Errors
/// When it does not end well.
pub async fn sync_once(source: &Source, options: SyncOptions) -> Result<Synced, BenchError> {
    let name = IndexName::try_from(options.index).map_err(|error| BenchError::of("the index", error))?;
    let failed = |error| BenchError::of("the target", error);
    let client = Client::new(ClientOptions::new([options.url])).map_err(failed)?;
    let _created = client.ensure_index(&name, Some(&content_index())).await.map_err(failed)?;
    let index = ClusterIndex::new(client, name, None);
    let mut spec = SyncSpec::new("bench", options.spool_dir);
    spec.limits = options.limits;
    spec.pipeline = options.pipeline_switches.then(PipelineFlags::default);
    let (progress, control) = (Progress::new(), Control::new());
    let usage = Usage::now();
    let ended = Box::pin(sync(&index, source, Context::default(), spec, &progress, &control)).await;
    let taken = usage.taken();
    match ended {
        Ended::Completed(report) if report.figures.failed == 0 => {
            Ok(Synced { figures: report.figures, taken })
        }
        Ended::Completed(report) => Err(BenchError(format!("documents were refused: {:?}", report.refusals))),
        Ended::Failed { error, .. } => Err(BenchError::of("the sync failed", error)),
        other => Err(BenchError(format!("the sync did not complete: {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Documents, Generated, Sink, SinkOptions};

    #[tokio::test]
    async fn a_sink_that_keeps_ids_lets_a_sync_see_what_changed() {
        let sink =
            Sink::start(([127, 0, 0, 1], 0).into(), SinkOptions { keep: true, ..SinkOptions::default() });
        let sink = sink.await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let run = async |documents: Documents| {
            let options = SyncOptions {
                url: sink.url(),
                index: "docs".to_owned(),
                spool_dir: folder.path().to_owned(),
                limits: Limits::default(),
                pipeline_switches: false,
            };
            let figures = sync_once(&Generated::source(documents), options).await.unwrap().figures;
            [figures.created, figures.updated, figures.unchanged, figures.deleted]
        };
        let documents = Documents::new(2000, 300);
        assert_eq!(run(documents.clone()).await, [2000, 0, 0, 0]);
        assert_eq!(run(documents.clone()).await, [0, 0, 2000, 0]);
        let operations = sink.counts().operations;
        let changed = Documents { changed_one_in: Some(100), deleted_one_in: Some(100), ..documents };
        assert_eq!(run(changed).await, [0, 20, 1960, 20]);
        assert_eq!(sink.counts().operations, operations + 40);
    }
}
