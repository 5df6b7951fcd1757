//! The table of routes: which handler serves which method and path.

use std::collections::BTreeMap;

use http::Method;

use super::call::Endpoint;
use super::envelope::{ApiError, Result};
use super::params::decode;

/// Elasticsearch's order of methods in its 405 answers.
static ORDER: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD, Method::PATCH];

#[derive(Default)]
struct Node {
    literal: BTreeMap<String, Node>,
    /// A segment that may hold anything, with its name.
    variable: Option<(&'static str, Box<Node>)>,
    endpoints: Vec<(Method, Endpoint)>,
    /// The names of the variables on the way here, of each endpoint.
    names: Vec<Vec<&'static str>>,
}

/// All routes.
#[derive(Default)]
pub(crate) struct Routes {
    root: Node,
}

/// A route that was found, with the values of its variables, decoded.
pub(crate) struct Found<'r> {
    pub(crate) endpoint: &'r Endpoint,
    pub(crate) vars: Vec<(&'static str, String)>,
}

/// One way through the tree for a path.
struct Candidate<'r> {
    node: &'r Node,
    values: Vec<String>,
}

impl Routes {
    /// Adds an endpoint. Segments in braces are variables.
    pub(crate) fn add(&mut self, method: Method, pattern: &'static str, endpoint: Endpoint) {
        let mut node = &mut self.root;
        let mut names = Vec::new();
        for segment in pattern.split('/').filter(|segment| !segment.is_empty()) {
            node = match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => {
                    names.push(name);
                    &mut *node.variable.get_or_insert_with(|| (name, Box::default())).1
                }
                None => node.literal.entry(segment.to_owned()).or_default(),
            };
        }
        node.endpoints.push((method, endpoint));
        node.names.push(names);
    }

    /// Finds the endpoint for a request; `target` is the path with its query, which refusals show.
    pub(crate) fn find(&self, method: &Method, path: &str, target: &str) -> Result<Found<'_>> {
        decode(path, false).map_err(ApiError::illegal)?;
        let candidates = self.candidates(path);
        for Candidate { node, values } in &candidates {
            let at = node.endpoints.iter().position(|(served, _)| served == method);
            if let Some((at, (_, endpoint))) = at.and_then(|at| Some((at, node.endpoints.get(at)?))) {
                let names = node.names.get(at).into_iter().flatten();
                let vars = names
                    .zip(values)
                    .map(|(name, raw)| Ok((*name, decode(raw, false).map_err(ApiError::illegal)?)))
                    .collect::<Result<Vec<_>>>()?;
                return Ok(Found { endpoint, vars });
            }
        }
        Err(no_handler(method, target, &candidates))
    }

    /// The methods that a path is served with, in Elasticsearch's order.
    pub(crate) fn allowed(&self, path: &str) -> Vec<&'static str> {
        methods(&self.candidates(path))
    }

    fn candidates(&self, path: &str) -> Vec<Candidate<'_>> {
        let trimmed = path.trim_end_matches('/');
        let segments: Vec<&str> = match trimmed.strip_prefix('/') {
            Some(rest) => rest.split('/').collect(),
            None => Vec::new(),
        };
        let mut candidates = Vec::new();
        walk(&self.root, &segments, &mut Vec::new(), &mut candidates);
        // A path that is spelled out in the table is never taken for an index of that name.
        if candidates.iter().any(|candidate| candidate.values.is_empty()) {
            candidates.retain(|candidate| candidate.values.is_empty());
        }
        candidates
    }
}

fn methods(candidates: &[Candidate<'_>]) -> Vec<&'static str> {
    let served: Vec<&Method> =
        candidates.iter().flat_map(|found| found.node.endpoints.iter().map(|(m, _)| m)).collect();
    ORDER.iter().filter(|method| served.contains(method)).map(Method::as_str).collect()
}

fn walk<'r>(node: &'r Node, segments: &[&str], values: &mut Vec<String>, found: &mut Vec<Candidate<'r>>) {
    let Some((segment, rest)) = segments.split_first() else {
        if !node.endpoints.is_empty() {
            found.push(Candidate { node, values: values.clone() });
        }
        return;
    };
    if let Some(next) = node.literal.get(*segment) {
        walk(next, rest, values, found);
    }
    if let Some((_, next)) = &node.variable {
        values.push((*segment).to_owned());
        walk(next, rest, values, found);
        values.pop();
    }
}

fn no_handler(method: &Method, target: &str, candidates: &[Candidate<'_>]) -> ApiError {
    let allowed = methods(candidates);
    if allowed.is_empty() {
        return ApiError::bare_text(
            400,
            format!("no handler found for uri [{target}] and method [{method}]"),
        );
    }
    let text = format!(
        "Incorrect HTTP method for uri [{target}] and method [{method}], allowed: [{}]",
        allowed.join(", ")
    );
    let error = ApiError::text(405, text);
    match http::HeaderValue::from_str(&allowed.join(",")) {
        Ok(value) => error.header(http::header::ALLOW, value),
        Err(_) => error,
    }
}
