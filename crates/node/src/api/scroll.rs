//! Scrolls: a search whose pages are fetched one after the other. Each is a point in time and the place reached in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use serde_json::{Map, Value, json};
use tributary_store::{SearchRequest, SearchResponse, SortKey, Store, Total, TrackTotal};

use super::Table;
use super::hits::{Look, render};
use super::search::{Asked, all_shards_failed};
use crate::http::{ApiError, BodyRule, Call, Reply, Result, parse_time_ms, token_name};
use crate::node::Node;
use crate::security::Identity;

/// Elasticsearch's default of `search.max_open_scroll_context`.
const MOST: usize = 500;
const ID_BYTES: usize = 30;

pub(super) fn routes(table: &mut Table) {
    let paths = &["/_search/scroll", "/_search/scroll/{scroll_id}"];
    table.on("GET,POST", paths, &["scroll", "scroll_id", "rest_total_hits_as_int"], BodyRule::Optional, next);
    table.on("DELETE", paths, &[], BodyRule::Optional, clear);
}

/// The open scrolls of a node.
#[derive(Debug, Default)]
pub(crate) struct Scrolls(Mutex<HashMap<String, Open>>);

#[derive(Debug)]
struct Open {
    pit: String,
    owner: Identity,
    expires_ms: i64,
    /// Pages are fetched one after the other: whoever fetches one holds this.
    place: Arc<tokio::sync::Mutex<Place>>,
}

/// Where a scroll has got to.
#[derive(Debug)]
struct Place {
    request: SearchRequest,
    /// Sort values that the caller asked for; more are added to find the next page.
    sort_values: usize,
    total: Option<Total>,
    max_score: Option<f32>,
}

fn missing(id: &str) -> ApiError {
    let reason = format!("No search context found for id [{id}]");
    all_shards_failed(404, &json!({"type": "search_context_missing_exception", "reason": reason}))
}

fn too_many() -> ApiError {
    let reason = format!(
        "Trying to create too many scroll contexts. Must be less than or equal to: [{MOST}]. This limit can be set by changing \
         the [search.max_open_scroll_context] setting."
    );
    all_shards_failed(429, &json!({"type": "too_many_scroll_contexts_exception", "reason": reason}))
}

/// Whether a text could be the id of a scroll at all.
fn check_id(id: &str) -> Result<()> {
    match URL_SAFE_NO_PAD.decode(id) {
        Ok(bytes) if bytes.len() == ID_BYTES => Ok(()),
        _ => Err(ApiError::illegal("Cannot parse scroll id")),
    }
}

fn after(now_ms: i64, keep_alive_ms: u64) -> i64 {
    now_ms.saturating_add(i64::try_from(keep_alive_ms).unwrap_or(i64::MAX))
}

impl Scrolls {
    /// The open ones, without those whose time is over.
    fn alive(&self, store: &Store, now_ms: i64) -> MutexGuard<'_, HashMap<String, Open>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, scroll| {
            let alive = scroll.expires_ms > now_ms;
            if !alive {
                store.close_pit(&scroll.pit);
            }
            alive
        });
        open
    }

    fn insert(&self, store: &Store, now_ms: i64, scroll: Open) -> Result<String> {
        let mut open = self.alive(store, now_ms);
        if open.len() >= MOST {
            store.close_pit(&scroll.pit);
            return Err(too_many());
        }
        let mut bytes = [0u8; ID_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let id = URL_SAFE_NO_PAD.encode(bytes);
        open.insert(id.clone(), scroll);
        Ok(id)
    }

    /// The place of a scroll of this caller; its life is prolonged when asked for.
    fn find(
        &self,
        store: &Store,
        now_ms: i64,
        id: &str,
        owner: &Identity,
        keep: Option<u64>,
    ) -> Result<Arc<tokio::sync::Mutex<Place>>> {
        let mut open = self.alive(store, now_ms);
        let scroll = open.get_mut(id).filter(|scroll| scroll.owner == *owner).ok_or_else(|| missing(id))?;
        if let Some(keep_alive_ms) = keep {
            scroll.expires_ms = after(now_ms, keep_alive_ms);
        }
        Ok(Arc::clone(&scroll.place))
    }

    /// Ends scrolls of this caller: those named, or all. How many there were.
    fn end(&self, store: &Store, now_ms: i64, owner: &Identity, ids: Option<&[String]>) -> usize {
        let mut open = self.alive(store, now_ms);
        let before = open.len();
        open.retain(|id, scroll| {
            let ends = scroll.owner == *owner && ids.is_none_or(|ids| ids.contains(id));
            if ends {
                store.close_pit(&scroll.pit);
            }
            !ends
        });
        before - open.len()
    }
}

impl Place {
    /// Without an order of its own a search goes by score; the place in the point in time decides between equals.
    fn new(mut request: SearchRequest) -> Self {
        let sort_values = request.sort.len();
        if request.sort.is_empty() {
            request.sort = vec![SortKey::new("_score"), SortKey::new("_shard_doc")];
            request.track_scores = true;
        }
        Self { request, sort_values, total: None, max_score: None }
    }

    async fn page(&mut self, node: &Node, keep: Option<u64>) -> Result<SearchResponse> {
        let mut request = self.request.clone();
        request.pit_keep_alive_ms = keep;
        let mut found = node.search_as_caller(request).await?;
        if self.request.search_after.is_none() {
            (self.total, self.max_score) = (found.total, found.max_score);
            // Counted and summed up once: later pages only go on.
            self.request.track_total_hits = TrackTotal::No;
            self.request.aggs = Vec::new();
        }
        (found.total, found.max_score) = (self.total, self.max_score);
        match found.hits.last().and_then(|hit| hit.sort.clone()) {
            Some(values) => self.request.search_after = Some(values),
            // Nothing is left, and nothing must be found again.
            None => self.request.size = 0,
        }
        Ok(found)
    }

    fn look(&self, id: &str, total_as_int: bool) -> Look {
        Look { total_as_int, scroll_id: Some(id.to_owned()), sort_values: Some(self.sort_values) }
    }
}

/// Starts a scroll and answers its first page.
pub(super) async fn open(node: &Node, owner: Identity, asked: Asked, keep_alive_ms: u64) -> Result<Reply> {
    let Asked { mut request, look, .. } = asked;
    let pit = node.store.open_pit(&request.indices, keep_alive_ms).await?;
    request.pit = Some(pit.clone());
    let place = Arc::new(tokio::sync::Mutex::new(Place::new(request)));
    let mut first = place.lock().await;
    let now = node.now_ms();
    let scroll =
        Open { pit, owner: owner.clone(), expires_ms: after(now, keep_alive_ms), place: Arc::clone(&place) };
    let id = node.scrolls.insert(&node.store, now, scroll)?;
    match first.page(node, None).await {
        Ok(found) => render(&found, &first.look(&id, look.total_as_int)),
        Err(error) => {
            node.scrolls.end(&node.store, now, &owner, Some(&[id]));
            Err(error)
        }
    }
}

fn wrong_member(key: &str, value: &Value) -> ApiError {
    let token = token_name(value);
    ApiError::illegal(format!(
        "Unknown parameter [{key}] in request body or parameter is of the wrong type[{token}] "
    ))
}

async fn next(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut id = call.maybe_var("scroll_id").or(call.params.text("scroll_id")).map(str::to_owned);
    let mut keep = call.params.time_ms("scroll")?;
    for (key, value) in call.object()? {
        match (key.as_str(), value.as_str()) {
            ("scroll_id", Some(given)) => id = Some(given.to_owned()),
            ("scroll", Some(given)) => keep = Some(parse_time_ms(given, "scroll")?),
            _ => return Err(wrong_member(&key, &value)),
        }
    }
    let Some(id) = id else { return Err(ApiError::validation(["scrollId is missing"])) };
    check_id(&id)?;
    let total_as_int = call.params.flag_or("rest_total_hits_as_int", false)?;
    let place = node.scrolls.find(&node.store, node.now_ms(), &id, &call.identity, keep)?;
    let mut place = place.lock().await;
    let reply = match place.page(&node, keep).await {
        Ok(found) => render(&found, &place.look(&id, total_as_int)),
        Err(error) => Err(error),
    };
    // Who names no time does not come back.
    if keep.is_none() {
        node.scrolls.end(&node.store, node.now_ms(), &call.identity, Some(&[id]));
    }
    reply
}

fn ids_of(body: Map<String, Value>) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for (key, value) in body {
        match (key.as_str(), &value) {
            ("scroll_id", Value::String(id)) => ids.push(id.clone()),
            ("scroll_id", Value::Array(list)) => {
                for item in list {
                    ids.push(
                        item.as_str()
                            .ok_or_else(|| {
                                ApiError::illegal("scroll_id array element should only contain scroll_id")
                            })?
                            .to_owned(),
                    );
                }
            }
            _ => return Err(wrong_member(&key, &value)),
        }
    }
    Ok(ids)
}

async fn clear(node: Arc<Node>, call: Call) -> Result<Reply> {
    let mut ids: Vec<String> =
        call.maybe_var("scroll_id").unwrap_or_default().split(',').map(str::to_owned).collect();
    ids.retain(|id| !id.is_empty());
    ids.extend(ids_of(call.object()?)?);
    if ids.is_empty() {
        return Err(ApiError::validation(["no scroll ids specified"]));
    }
    let all = ids.iter().any(|id| id == "_all");
    if !all {
        ids.iter().try_for_each(|id| check_id(id))?;
    }
    let freed =
        node.scrolls.end(&node.store, node.now_ms(), &call.identity, if all { None } else { Some(&ids) });
    let status = if freed > 0 || all { 200 } else { 404 };
    Ok(Reply::status(status, json!({"succeeded": true, "num_freed": freed})))
}
