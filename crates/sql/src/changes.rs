use futures::stream::BoxStream;
use tributary_sdk::emit;
use tributary_sdk::{Event, Result};

use crate::listing::run;
use crate::{Database, Plan, Start};

/// Lists rows that changed since the marks of `since`: those whose mark is at it or after it. Tables without a mark,
/// and the queries of advanced rules, are read as a whole. Rows that are gone are not told: a full listing finds them.
/// The last event is the checkpoint to start from next time.
#[must_use]
pub fn changes<D: Database>(
    databases: Vec<D>,
    plan: Plan,
    since: Start,
    log: serde_json::Value,
) -> BoxStream<'static, Result<Event>> {
    emit::spawned(move |emit| async move {
        let next = Start { marks: since.marks.clone(), log };
        run(&databases, &plan, &emit, Some(&since), None, next).await
    })
}
