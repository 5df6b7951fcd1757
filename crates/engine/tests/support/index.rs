use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;
use tributary_engine::{
    Batch, BulkAck, IndexPort, ItemAck, ItemError, ItemResult, Known, OpKind, PortError, PortErrorKind,
};

/// What goes wrong, in percent of calls or for certain documents.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub seed: u64,
    /// Bulk calls that fail before the index did anything.
    pub away: u64,
    /// Bulk calls whose answer is lost after the index did everything.
    pub lost_answer: u64,
    /// Bulk calls that are throttled.
    pub throttled: u64,
    /// Operations that are refused for now.
    pub busy: u64,
    /// Lookups that fail.
    pub lookup_away: u64,
    /// Scans that break off.
    pub scan_away: u64,
    /// Requests larger than this are too large.
    pub max_bytes: Option<usize>,
    /// Documents that are refused for good.
    pub refused: BTreeSet<String>,
    /// Documents that a pipeline drops.
    pub dropped: BTreeSet<String>,
    /// Longest time a call takes, in milliseconds.
    pub slow: u64,
}

/// What the index told in answers that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    pub wire_bytes: u64,
}

#[derive(Default)]
struct State {
    documents: BTreeMap<String, Value>,
    random: u64,
    in_flight: HashSet<String>,
    tally: Tally,
    /// Ids that were really deleted.
    deleted: Vec<String>,
    bulks: Vec<usize>,
    lookups: u64,
    scans: u64,
    /// Bulks on their way at once, at most.
    most_at_once: usize,
    flying: usize,
}

#[derive(Default)]
pub struct MemoryIndex {
    state: Mutex<State>,
    faults: Mutex<Faults>,
}

/// Takes ids out of the set when a call ends, however it ends.
struct Flight<'a> {
    index: &'a MemoryIndex,
    ids: Vec<String>,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut state = self.index.state.lock().unwrap();
        state.flying -= 1;
        for id in &self.ids {
            state.in_flight.remove(id);
        }
    }
}

impl MemoryIndex {
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().unwrap().random = faults.seed;
        *self.faults.lock().unwrap() = faults;
    }

    pub fn documents(&self) -> BTreeMap<String, Value> {
        self.state.lock().unwrap().documents.clone()
    }

    pub fn ids(&self) -> Vec<String> {
        self.documents().into_keys().collect()
    }

    pub fn put(&self, id: &str, document: Value) {
        self.state.lock().unwrap().documents.insert(id.to_owned(), document);
    }

    /// What was told since the last call.
    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut self.state.lock().unwrap().tally)
    }

    /// What was deleted since the last call.
    pub fn take_deleted(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().deleted)
    }

    /// Sizes of the bulk requests since the last call, in operations.
    pub fn take_bulks(&self) -> Vec<usize> {
        std::mem::take(&mut self.state.lock().unwrap().bulks)
    }

    pub fn lookups(&self) -> u64 {
        self.state.lock().unwrap().lookups
    }

    pub fn scans(&self) -> u64 {
        self.state.lock().unwrap().scans
    }

    pub fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most_at_once
    }

    fn dice(&self, sides: u64) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.random =
            state.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state.random >> 33) % sides.max(1)
    }

    fn happens(&self, percent: u64) -> bool {
        percent > 0 && self.dice(100) < percent
    }

    async fn take_time(&self) {
        let slow = self.faults.lock().unwrap().slow;
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(self.dice(slow))).await;
        }
    }

    fn apply(&self, batch: &Batch) -> BulkAck {
        let faults = self.faults.lock().unwrap().clone();
        let mut items = Vec::new();
        for op in batch.ops() {
            let busy = self.happens(faults.busy);
            let mut state = self.state.lock().unwrap();
            let lines = batch.lines(op);
            items.push(answer(&mut state, &faults, op, &lines, busy));
        }
        BulkAck { items, wire_bytes: batch.payload().len() as u64 }
    }

    fn told(&self, ack: &BulkAck) {
        let mut state = self.state.lock().unwrap();
        state.tally.wire_bytes += ack.wire_bytes;
        for item in &ack.items {
            match item.result {
                Some(ItemResult::Created) => state.tally.created += 1,
                Some(ItemResult::Updated) => state.tally.updated += 1,
                Some(ItemResult::Deleted) => state.tally.deleted += 1,
                _ => {}
            }
        }
    }
}

fn answer(
    state: &mut State,
    faults: &Faults,
    op: &tributary_engine::OpRef,
    lines: &[u8],
    busy: bool,
) -> ItemAck {
    let mut lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let action: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
    let name = if op.kind == OpKind::Index { "index" } else { "delete" };
    assert_eq!(action[name]["_id"], Value::from(op.id.as_str()), "the lines are those of the operation");
    let failed = |status, kind: &str| {
        let error =
            Some(Box::new(ItemError { kind: kind.to_owned(), reason: format!("{kind} of {}", op.id) }));
        ItemAck { status, error, ..ItemAck::default() }
    };
    let done = |status, result| ItemAck { status, result: Some(result), ..ItemAck::default() };
    if busy {
        return failed(429, "es_rejected_execution_exception");
    }
    match op.kind {
        OpKind::Delete => {
            assert!(lines.next().is_none());
            match state.documents.remove(&op.id) {
                Some(_) => {
                    state.deleted.push(op.id.clone());
                    done(200, ItemResult::Deleted)
                }
                None => done(404, ItemResult::NotFound),
            }
        }
        OpKind::Index => {
            let source: Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
            assert!(lines.next().is_none());
            assert_eq!(source["id"], Value::from(op.id.as_str()));
            if faults.refused.contains(&op.id) {
                return failed(400, "document_parsing_exception");
            }
            if faults.dropped.contains(&op.id) {
                return done(200, ItemResult::Noop);
            }
            match state.documents.insert(op.id.clone(), source) {
                Some(_) => done(200, ItemResult::Updated),
                None => done(201, ItemResult::Created),
            }
        }
    }
}

impl IndexPort for MemoryIndex {
    async fn lookup(&self, ids: &[String]) -> Result<Vec<Option<Known>>, PortError> {
        assert!(!ids.is_empty());
        self.take_time().await;
        let faults = self.faults.lock().unwrap().clone();
        if self.happens(faults.lookup_away) {
            return Err(PortError::new(PortErrorKind::Unavailable, "lookup: away"));
        }
        let mut state = self.state.lock().unwrap();
        state.lookups += 1;
        let known = |id| {
            let document: &Value = state.documents.get(id)?;
            let fingerprint =
                document["_tributary"]["fingerprint"].as_str().and_then(|text| text.parse().ok());
            Some(Known { fingerprint })
        };
        Ok(ids.iter().map(known).collect())
    }

    async fn bulk(&self, batch: &Batch) -> Result<BulkAck, PortError> {
        assert!(!batch.is_empty());
        let ids: Vec<String> = batch.ops().iter().map(|op| op.id.clone()).collect();
        let _flight = {
            let mut state = self.state.lock().unwrap();
            for id in &ids {
                assert!(state.in_flight.insert(id.clone()), "two writes of {id} overlap");
            }
            state.bulks.push(ids.len());
            state.flying += 1;
            state.most_at_once = state.most_at_once.max(state.flying);
            Flight { index: self, ids }
        };
        let faults = self.faults.lock().unwrap().clone();
        if faults.max_bytes.is_some_and(|most| batch.payload().len() > most) {
            return Err(PortError::new(PortErrorKind::TooLarge, "413"));
        }
        if self.happens(faults.away) {
            self.take_time().await;
            return Err(PortError::new(PortErrorKind::Unavailable, "bulk: away"));
        }
        if self.happens(faults.throttled) {
            return Err(PortError::new(PortErrorKind::Throttled, "bulk: 429"));
        }
        // A call that is dropped may or may not have been done.
        let early = self.dice(2) == 0;
        let ack = if early { Some(self.apply(batch)) } else { None };
        self.take_time().await;
        let ack = ack.unwrap_or_else(|| self.apply(batch));
        if self.happens(faults.lost_answer) {
            return Err(PortError::new(PortErrorKind::Unavailable, "bulk: connection reset"));
        }
        self.told(&ack);
        Ok(ack)
    }

    fn scan_ids(&self) -> BoxStream<'_, Result<String, PortError>> {
        let ids = {
            let mut state = self.state.lock().unwrap();
            state.scans += 1;
            state.documents.keys().cloned().collect::<Vec<_>>()
        };
        let scan_away = self.faults.lock().unwrap().scan_away;
        let stops_at = self.happens(scan_away).then(|| self.dice(ids.len() as u64));
        let slow = self.faults.lock().unwrap().slow > 0;
        futures::stream::iter(ids.into_iter().enumerate())
            .then(move |(at, id)| async move {
                if slow && at % 16 == 0 {
                    self.take_time().await;
                }
                match stops_at {
                    Some(stop) if at as u64 >= stop => {
                        Err(PortError::new(PortErrorKind::Unavailable, "scan: away"))
                    }
                    _ => Ok(id),
                }
            })
            .boxed()
    }

    async fn refresh(&self) -> Result<(), PortError> {
        self.take_time().await;
        Ok(())
    }

    async fn count(&self) -> Result<u64, PortError> {
        self.take_time().await;
        Ok(self.state.lock().unwrap().documents.len() as u64)
    }
}
