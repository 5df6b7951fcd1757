//! The endpoints, one module for each family, and the table that routes to them.

mod aliases;
mod bulk;
mod bulk_lines;
mod by_query;
mod cat;
mod cat_table;
mod checks;
mod cluster;
mod connectors;
mod documents;
mod explain;
mod fields;
mod gets;
mod hits;
mod indices;
mod ingest;
mod keys;
mod msearch;
mod parsed;
mod pit;
mod protocol_docs;
mod root;
mod scroll;
mod search;
mod secrets;
mod security;
mod sync_jobs;
mod template_api;
mod updates;
mod written;

use http::Method;

pub(crate) use parsed::Parsed;
pub(crate) use scroll::Scrolls;

use crate::http::{BodyRule, Call, Endpoint, Judge, Reply, Result, Routes, handler};
use crate::node::Node;

/// Parameters of endpoints that take an expression of indices.
pub(crate) const INDICES: [&str; 3] = ["expand_wildcards", "ignore_unavailable", "allow_no_indices"];

/// All routes.
pub(crate) fn routes() -> Routes {
    let mut table = Table(Routes::default());
    root::routes(&mut table);
    cluster::routes(&mut table);
    cat::routes(&mut table);
    indices::routes(&mut table);
    fields::routes(&mut table);
    aliases::routes(&mut table);
    template_api::routes(&mut table);
    documents::routes(&mut table);
    gets::routes(&mut table);
    updates::routes(&mut table);
    bulk::routes(&mut table);
    search::routes(&mut table);
    msearch::routes(&mut table);
    scroll::routes(&mut table);
    pit::routes(&mut table);
    by_query::routes(&mut table);
    ingest::routes(&mut table);
    connectors::routes(&mut table);
    sync_jobs::routes(&mut table);
    secrets::routes(&mut table);
    checks::routes(&mut table);
    explain::routes(&mut table);
    keys::routes(&mut table);
    security::routes(&mut table);
    table.0
}

/// Collects routes: `table.on("GET,POST", "/{index}/_count", &[..], BodyRule::Optional, count)`.
pub(crate) struct Table(Routes);

impl Table {
    /// Adds a handler for several methods and paths, each list separated by commas.
    pub(crate) fn on<F, R>(
        &mut self,
        methods: &str,
        patterns: &[&'static str],
        params: &'static [&'static str],
        body: BodyRule,
        function: F,
    ) where
        F: Fn(std::sync::Arc<Node>, Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Reply>> + Send + 'static,
    {
        self.judged(methods, patterns, params, body, |_| Ok(()), function);
    }

    /// As [`Table::on`], for endpoints whose requests can be judged without looking at what is stored.
    pub(crate) fn judged<J, F, R>(
        &mut self,
        methods: &str,
        patterns: &[&'static str],
        params: &'static [&'static str],
        body: BodyRule,
        judge: J,
        function: F,
    ) where
        J: Fn(&Call) -> Result<()> + Clone + Send + Sync + 'static,
        F: Fn(std::sync::Arc<Node>, Call) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<Reply>> + Send + 'static,
    {
        for method in methods.split(',') {
            let Ok(method) = method.parse::<Method>() else { continue };
            for pattern in patterns {
                let judge: Judge = Box::new(judge.clone());
                let endpoint = Endpoint { pattern, handler: handler(function.clone()), params, body, judge };
                self.0.add(method.clone(), pattern, endpoint);
            }
        }
    }
}

/// Line and column of the value of a member of a body, for refusals.
fn value_position(key: &str, body: &[u8]) -> String {
    let name = format!("\"{key}\"");
    let text = String::from_utf8_lossy(body);
    let behind = text.find(&name).map_or(0, |at| at + name.len());
    let value = text[behind..].find(|c: char| c != ':' && !c.is_whitespace()).unwrap_or(0);
    let before = &text[..behind + value];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!("{line}:{column}")
}
