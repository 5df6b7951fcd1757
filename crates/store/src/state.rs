//! One index in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::analysis::Analyzers;
use crate::document::{FlatDoc, Flattened, flatten, flatten_update};
use crate::error::{Cause, ErrorKind, Result, StoreError};
use crate::indexing::SearchState;
use crate::kv::{Counters, Kv, meta_key};
use crate::mapping::{Mapping, ObjectNode};
use crate::model::{IndexInfo, WriteIndex};
use crate::settings::Settings;
use crate::sync::{lock, read, write};

/// How often a document may bring further new fields before it is refused.
const MAX_MAPPING_ROUNDS: usize = 10;

/// What may change of an index besides its mapping.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meta {
    pub(crate) settings: Settings,
    pub(crate) aliases: Map<String, Value>,
}

/// One index.
pub(crate) struct IndexState {
    /// Never used again for another index.
    pub(crate) num: u32,
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) created_at: i64,
    pub(crate) analyzers: Arc<Analyzers>,
    meta: RwLock<Arc<Meta>>,
    mapping: RwLock<Arc<Mapping>>,
    /// Held while mapping, settings or aliases change.
    changing: Mutex<()>,
    counters: Mutex<Counters>,
    deleted: AtomicBool,
    pub(crate) search: SearchState,
}

/// Everything an index is made of, for [`IndexState::new`].
pub(crate) struct Parts {
    pub(crate) num: u32,
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) created_at: i64,
    pub(crate) settings: Settings,
    pub(crate) mappings: Value,
    pub(crate) field_ids: BTreeMap<String, u32>,
    pub(crate) aliases: Map<String, Value>,
    pub(crate) counters: Counters,
}

impl IndexState {
    pub(crate) fn new(parts: Parts, root: &Path, buffer: usize) -> Result<Self> {
        let analysis = parts.settings.analysis();
        let analyzers = Arc::new(Analyzers::from_settings(analysis.as_ref()).map_err(StoreError::illegal)?);
        let mapping =
            Mapping::new(&parts.mappings, parts.field_ids, Arc::clone(&analyzers), parts.settings.limits())?;
        let dir = root.join("search").join(parts.num.to_string());
        Ok(Self {
            num: parts.num,
            name: parts.name,
            uuid: parts.uuid,
            created_at: parts.created_at,
            analyzers,
            meta: RwLock::new(Arc::new(Meta { settings: parts.settings, aliases: parts.aliases })),
            mapping: RwLock::new(Arc::new(mapping)),
            changing: Mutex::new(()),
            counters: Mutex::new(parts.counters),
            deleted: AtomicBool::new(false),
            search: SearchState::new(dir, buffer, parts.counters.next_seq),
        })
    }

    /// Reads a stored index record.
    pub(crate) fn parts_from_stored(num: u32, value: &Value, counters: Counters) -> Option<Parts> {
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        let ids = value.get("field_ids")?.as_object()?;
        Some(Parts {
            num,
            name: text("name")?,
            uuid: text("uuid")?,
            created_at: value.get("created_at")?.as_i64()?,
            settings: Settings::from_stored(value.get("settings")?),
            mappings: value.get("mappings")?.clone(),
            field_ids: ids
                .iter()
                .filter_map(|(path, id)| Some((path.clone(), u32::try_from(id.as_u64()?).ok()?)))
                .collect(),
            aliases: value.get("aliases")?.as_object()?.clone(),
            counters,
        })
    }

    /// The record as stored.
    pub(crate) fn stored(&self, mapping: &Mapping, meta: &Meta) -> Vec<u8> {
        json!({
            "name": self.name,
            "uuid": self.uuid,
            "created_at": self.created_at,
            "settings": meta.settings.to_stored(),
            "mappings": mapping.to_value(),
            "field_ids": mapping.ids(),
            "aliases": meta.aliases,
        })
        .to_string()
        .into_bytes()
    }

    pub(crate) fn mapping(&self) -> Arc<Mapping> {
        Arc::clone(&read(&self.mapping))
    }

    pub(crate) fn meta(&self) -> Arc<Meta> {
        Arc::clone(&read(&self.meta))
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    pub(crate) fn refresh_interval(&self) -> Option<Duration> {
        self.meta().settings.refresh_interval()
    }

    pub(crate) fn hidden(&self) -> bool {
        self.name.starts_with('.') || self.meta().settings.hidden()
    }

    pub(crate) fn counters(&self) -> Counters {
        *lock(&self.counters)
    }

    pub(crate) fn set_counters(&self, counters: Counters) {
        *lock(&self.counters) = counters;
    }

    pub(crate) fn info(&self) -> IndexInfo {
        let (meta, counters) = (self.meta(), self.counters());
        IndexInfo {
            name: self.name.clone(),
            uuid: self.uuid.clone(),
            created_at: self.created_at,
            settings: meta.settings.shown(&self.name, &self.uuid, self.created_at),
            mappings: self.mapping().to_value(),
            aliases: meta.aliases.clone(),
            doc_count: counters.docs,
            deleted: counters.deleted,
            max_seq_no: counters.next_seq.checked_sub(1),
            hidden: self.hidden(),
        }
    }

    pub(crate) fn for_writes(&self) -> WriteIndex {
        WriteIndex { name: self.name.clone(), meta: self.meta() }
    }

    /// Bytes: the live sources plus the search index on disk (approximate).
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.counters().bytes + self.search.disk_bytes()
    }

    fn persist(&self, kv: &Kv, mapping: &Mapping, meta: &Meta, durable: bool) -> Result<()> {
        let db = kv.db()?;
        let mut batch = db.batch(1);
        batch.insert(&db.meta, meta_key(b'i', self.num), self.stored(mapping, meta));
        kv.commit(batch, durable)
    }

    /// Changes mapping, settings or aliases; durable on return.
    pub(crate) fn change(
        &self,
        kv: &Kv,
        change: impl FnOnce(&Arc<Mapping>, &Meta) -> Result<(Option<Mapping>, Option<Meta>)>,
    ) -> Result<()> {
        let _guard = lock(&self.changing);
        if self.is_deleted() {
            return Err(StoreError::no_such_index(&self.name));
        }
        let (mapping, meta) = (self.mapping(), self.meta());
        let (new_mapping, new_meta) = change(&mapping, &meta)?;
        let mapping = new_mapping.map_or(mapping, Arc::new);
        let meta = new_meta.map_or(meta, Arc::new);
        kv.check_space()?;
        self.persist(kv, &mapping, &meta, true)?;
        *write(&self.mapping) = mapping;
        *write(&self.meta) = meta;
        Ok(())
    }

    /// Reads a document, mapping its new fields.
    ///
    /// The mapping's record is not waited for: the document's own commit, later in the same journal, covers it.
    pub(crate) fn prepare(&self, kv: &Kv, id: Option<&str>, source: &Bytes) -> Result<FlatDoc> {
        match flatten(&self.mapping(), id, source)? {
            Flattened::Ready(flat) => Ok(flat),
            Flattened::NewFields(_) => self.prepare_mapping(kv, id, source),
        }
    }

    /// As [`Self::prepare`], for what an update made of a document.
    pub(crate) fn prepare_update(
        &self,
        kv: &Kv,
        id: &str,
        source: &Bytes,
        before: Option<&FlatDoc>,
    ) -> Result<FlatDoc> {
        match flatten_update(&self.mapping(), Some(id), source, before)? {
            Flattened::Ready(flat) => Ok(flat),
            Flattened::NewFields(_) => self.prepare_mapping(kv, Some(id), source),
        }
    }

    fn prepare_mapping(&self, kv: &Kv, id: Option<&str>, source: &Bytes) -> Result<FlatDoc> {
        let _guard = lock(&self.changing);
        let current = self.mapping();
        let mut candidate = Arc::clone(&current);
        for _ in 0..MAX_MAPPING_ROUNDS {
            match flatten(&candidate, id, source)? {
                Flattened::Ready(flat) => {
                    if !Arc::ptr_eq(&candidate, &current) {
                        self.persist(kv, &candidate, &self.meta(), false)?;
                        *write(&self.mapping) = candidate;
                    }
                    return Ok(flat);
                }
                Flattened::NewFields(fields) => candidate = Arc::new(grown(&candidate, &fields)?),
            }
        }
        Err(StoreError::new(
            ErrorKind::DocumentParsing,
            "failed to parse: the document goes on bringing new fields",
        ))
    }
}

/// The mapping with a document's new fields.
fn grown(mapping: &Mapping, fields: &ObjectNode) -> Result<Mapping> {
    mapping.with_new_fields(fields).map_err(|error| {
        if error.kind() == ErrorKind::IllegalArgument && error.reason().starts_with("Limit of") {
            let reason = format!("failed to parse: {}", error.reason());
            let cause = Cause::new(error.es_type(), error.reason());
            return StoreError::new(ErrorKind::DocumentParsing, reason).because(cause);
        }
        error
    })
}
