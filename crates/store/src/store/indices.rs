//! The calls that concern indices: create, delete, mappings, settings, aliases.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Store;
use super::open::NEXT_NUM_KEY;
use crate::error::{ErrorKind, Result, StoreError};
use crate::kv::{Counters, meta_key};
use crate::model::{CreateIndex, IndexInfo, ResolveOptions, WriteIndex};
use crate::names::{check_alias_name, check_index_name, new_uuid, now_ms};
use crate::settings::Settings;
use crate::state::{IndexState, Meta, Parts};
use crate::sync::lock;

fn alias_properties(value: Value) -> Result<Value> {
    let mut properties = match value {
        Value::Null => Map::new(),
        Value::Object(properties) => properties,
        other => {
            return Err(StoreError::illegal(format!("alias properties must be an object, not [{other}]")));
        }
    };
    if let Some(filter) = properties.get("filter").filter(|filter| !filter.is_null()) {
        crate::query::Query::parse(filter)?;
    }
    if let Some(Value::String(routing)) = properties.remove("routing") {
        properties.insert("index_routing".into(), json!(routing));
        properties.insert("search_routing".into(), json!(routing));
    }
    properties.retain(|_, value| !value.is_null());
    Ok(Value::Object(properties))
}

impl Store {
    /// Creates an index; durable on return.
    ///
    /// # Errors
    /// `invalid_index_name_exception`, `resource_already_exists_exception`, `mapper_parsing_exception`,
    /// `illegal_argument_exception` for settings.
    pub fn create_index(&self, name: &str, spec: CreateIndex) -> Result<()> {
        let shared = self.open_shared()?;
        check_index_name(name)?;
        let settings = Settings::parse(&spec.settings)?;
        let mut aliases = Map::new();
        for (alias, properties) in spec.aliases {
            self.check_alias(&alias)?;
            aliases.insert(alias, alias_properties(properties)?);
        }
        let mut next_num = lock(&shared.next_num);
        if let Some(existing) = shared.catalog.get(name) {
            let reason = format!("index [{name}/{}] already exists", existing.uuid);
            return Err(
                StoreError::new(ErrorKind::ResourceAlreadyExists, reason).in_index(name, &existing.uuid)
            );
        }
        if !shared.catalog.behind_alias(name).is_empty() {
            let reason = format!("Invalid index name [{name}], already exists as alias");
            return Err(StoreError::new(ErrorKind::InvalidIndexName, reason).in_index(name, "_na_"));
        }
        let num = *next_num;
        let parts = Parts {
            num,
            name: name.to_owned(),
            uuid: new_uuid(),
            created_at: now_ms(),
            settings,
            mappings: spec.mappings,
            field_ids: BTreeMap::new(),
            aliases,
            counters: Counters::default(),
        };
        let state = IndexState::new(parts, shared.kv.root(), shared.options.index_buffer_bytes)?;
        shared.kv.check_space()?;
        let db = shared.kv.db()?;
        let mut batch = db.batch(3);
        batch.insert(&db.meta, meta_key(b'i', num), state.stored(&state.mapping(), &state.meta()));
        batch.insert(&db.meta, meta_key(b'c', num), Counters::default().encode());
        batch.insert(&db.meta, NEXT_NUM_KEY, (num + 1).to_be_bytes());
        shared.kv.commit(batch, true)?;
        *next_num = num + 1;
        shared.catalog.insert(Arc::new(state));
        Ok(())
    }

    fn check_alias(&self, alias: &str) -> Result<()> {
        check_alias_name(alias)?;
        if self.shared().catalog.get(alias).is_some() {
            let reason = format!(
                "Invalid alias name [{alias}]: an index or data stream exists with the same name as the alias"
            );
            return Err(StoreError::new(ErrorKind::InvalidAliasName, reason));
        }
        Ok(())
    }

    /// Deletes an index with its documents and aliases. Points in time that are open on it stay readable.
    ///
    /// # Errors
    /// `index_not_found_exception`.
    pub fn delete_index(&self, name: &str) -> Result<()> {
        let shared = self.open_shared()?;
        let _creating = lock(&shared.next_num);
        let state = shared.catalog.require(name)?;
        let db = shared.kv.db()?;
        {
            let _gate = lock(&shared.gate);
            let mut batch = db.batch(2);
            batch.remove(&db.meta, meta_key(b'i', state.num));
            batch.insert(&db.meta, meta_key(b'd', state.num), b"");
            shared.kv.commit(batch, true)?;
            state.mark_deleted();
            shared.catalog.remove(name);
        }
        shared.pool.schedule(&state, false);
        shared.pool.purge(state.num, Arc::clone(&state.search.readers));
        Ok(())
    }

    /// The index of that name, or the one index that alias points to (the write index when it points to several).
    #[must_use]
    pub fn index(&self, name_or_alias: &str) -> Option<IndexInfo> {
        self.shared().catalog.index_or_alias(name_or_alias).map(|state| state.info())
    }

    /// As [`Store::index`], with what a write needs to know only.
    #[must_use]
    pub fn write_index(&self, name_or_alias: &str) -> Option<WriteIndex> {
        self.shared().catalog.index_or_alias(name_or_alias).map(|state| state.for_writes())
    }

    /// Bytes that an index takes: the live sources plus the search index on disk (approximate). 0 when there is none.
    #[must_use]
    pub fn stored_bytes(&self, index: &str) -> u64 {
        self.shared().catalog.get(index).map_or(0, |state| state.stored_bytes())
    }

    /// Every index, sorted by name, hidden ones included.
    #[must_use]
    pub fn indices(&self) -> Vec<IndexInfo> {
        self.shared().catalog.all().iter().map(|state| state.info()).collect()
    }

    /// The indices an expression means: names, aliases, comma lists, `*` patterns, `-` exclusions, `_all`.
    ///
    /// # Errors
    /// `index_not_found_exception` as the options say.
    pub fn resolve(&self, expression: &str, options: ResolveOptions) -> Result<Vec<IndexInfo>> {
        let found = self.open_shared()?.catalog.resolve(expression, options)?;
        Ok(found.iter().map(|state| state.info()).collect())
    }

    /// The concrete names an expression means, as [`Store::resolve`] but without the details.
    ///
    /// # Errors
    /// As [`Store::resolve`].
    pub fn resolve_names(&self, expression: &str, options: ResolveOptions) -> Result<Vec<String>> {
        let found = self.open_shared()?.catalog.resolve(expression, options)?;
        Ok(found.iter().map(|state| state.name.clone()).collect())
    }

    /// Merges mappings into an index's.
    ///
    /// # Errors
    /// `illegal_argument_exception` where a field would change its type, `mapper_parsing_exception` for malformed ones.
    pub fn put_mapping(&self, index: &str, mappings: &Value) -> Result<()> {
        let shared = self.open_shared()?;
        let state = shared.catalog.require(index)?;
        state.change(&shared.kv, |mapping, _| Ok((Some(mapping.merged(mappings)?), None)))
    }

    /// Merges dynamic settings into an index's; null removes one.
    ///
    /// # Errors
    /// `illegal_argument_exception` for static settings and bad values.
    pub fn put_settings(&self, index: &str, settings: &Value) -> Result<()> {
        let shared = self.open_shared()?;
        let state = shared.catalog.require(index)?;
        state.change(&shared.kv, |mapping, meta| {
            let settings = meta.settings.merged(settings, &state.name, &state.uuid)?;
            let limits = settings.limits();
            let mapping = if limits == mapping.limits { None } else { Some(mapping.with_limits(limits)?) };
            Ok((mapping, Some(Meta { settings, aliases: meta.aliases.clone() })))
        })
    }

    /// Adds or replaces an alias of an index; `properties` may hold `filter`, `is_write_index`, `is_hidden`.
    ///
    /// # Errors
    /// `invalid_alias_name_exception`, `index_not_found_exception`.
    pub fn put_alias(&self, index: &str, alias: &str, properties: Value) -> Result<()> {
        let shared = self.open_shared()?;
        let state = shared.catalog.require(index)?;
        self.check_alias(alias)?;
        let properties = alias_properties(properties)?;
        state.change(&shared.kv, |_, meta| {
            let mut meta = meta.clone();
            meta.aliases.insert(alias.to_owned(), properties);
            Ok((None, Some(meta)))
        })
    }

    /// Removes an alias from an index.
    ///
    /// # Errors
    /// `aliases_not_found_exception`, `index_not_found_exception`.
    pub fn delete_alias(&self, index: &str, alias: &str) -> Result<()> {
        let shared = self.open_shared()?;
        let state = shared.catalog.require(index)?;
        state.change(&shared.kv, |_, meta| {
            let mut meta = meta.clone();
            if meta.aliases.remove(alias).is_none() {
                return Err(StoreError::new(
                    ErrorKind::AliasesNotFound,
                    format!("aliases [{alias}] missing"),
                ));
            }
            Ok((None, Some(meta)))
        })
    }
}
