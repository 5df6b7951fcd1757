//! What all writes share: finding or creating the index, `refresh`, and running blocking work of the store.

use serde_json::{Map, Value};
use tributary_protocol::mappings;
use tributary_store::{CreateIndex, ErrorKind, IndexInfo, ResolveOptions, Store, StoreError, WriteIndex};

use crate::http::{ApiError, Call, Params, Result};
use crate::node::Node;
use crate::security::Rights;

/// Where a write goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The concrete index.
    pub(crate) index: String,
    /// Copies the index is meant to have: what Elasticsearch reports as `_shards.total`.
    pub(crate) copies: u64,
    pub(crate) default_pipeline: Option<String>,
    pub(crate) final_pipeline: Option<String>,
}

impl Target {
    fn of(index: &WriteIndex) -> Self {
        let pipeline = |name: &str| {
            let text = index.setting(name)?;
            (text != "_none" && !text.is_empty()).then(|| text.to_owned())
        };
        Self {
            index: index.name().to_owned(),
            copies: copies_of(index.setting("number_of_replicas")),
            default_pipeline: pipeline("default_pipeline"),
            final_pipeline: pipeline("final_pipeline"),
        }
    }
}

/// One primary and the replicas asked for.
pub(crate) fn copies(info: &IndexInfo) -> u64 {
    copies_of(info.settings.get("number_of_replicas").and_then(Value::as_str))
}

fn copies_of(replicas: Option<&str>) -> u64 {
    1 + replicas.and_then(|replicas| replicas.parse::<u64>().ok()).unwrap_or(1)
}

/// When a write becomes visible to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresh {
    Later,
    Now,
    WaitFor,
}

impl Refresh {
    /// The parameter `refresh`.
    pub(crate) fn of(call: &Call) -> Result<Self> {
        match call.params.get("refresh") {
            None | Some("false") => Ok(Self::Later),
            Some("" | "true") => Ok(Self::Now),
            Some("wait_for") => Ok(Self::WaitFor),
            Some(other) => Err(ApiError::illegal(format!("Unknown value for refresh: [{other}]."))),
        }
    }

    /// As parameters of endpoints where only `true` and `false` exist.
    pub(crate) fn flag(call: &Call) -> Result<Self> {
        Ok(if call.params.flag_or("refresh", false)? { Self::Now } else { Self::Later })
    }
}

impl Node {
    /// Runs work of the store that waits for the disk where waiting does no harm.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_| ApiError::internal("the node failed to do this; its log says more"))?
    }

    /// Creates an index from its template and what was asked for.
    pub(crate) async fn create_index(&self, name: &str, asked: CreateIndex) -> Result<()> {
        self.check_create(name)?;
        let spec = self.templates.for_new_index(name, asked);
        let name = name.to_owned();
        self.blocking(move |store| Ok(store.create_index(&name, spec)?)).await
    }

    /// Makes sure that an index exists, from its template.
    pub(crate) async fn ensure_index(&self, name: &str) -> Result<()> {
        if self.store.write_index(name).is_some() {
            return Ok(());
        }
        match self.create_index(name, CreateIndex::default()).await {
            // Somebody else was faster.
            Err(error) if error.es_type() == "resource_already_exists_exception" => Ok(()),
            other => other,
        }
    }

    /// Where a write to this name goes; the index is created when missing.
    pub(crate) async fn target(&self, name: &str, require_alias: bool) -> Result<Target> {
        if let Some(index) = self.store.write_index(name) {
            self.check_index(&index)?;
            if require_alias && index.name() == name {
                return Err(not_an_alias(name));
            }
            return Ok(Target::of(&index));
        }
        self.check_name(name)?;
        if !name.is_empty()
            && !name.contains(['*', ','])
            && !self.store.resolve_names(name, lenient())?.is_empty()
        {
            return Err(ApiError::illegal(format!(
                "no write index is defined for alias [{name}]. The write index may be explicitly disabled using \
                 is_write_index=false or the alias points to multiple indices without one being designated as a write index"
            )));
        }
        if require_alias {
            return Err(not_an_alias(name));
        }
        // Who writes to a protocol alias first means the index behind it.
        let concrete = match name {
            mappings::CONNECTORS_ALIAS => mappings::CONNECTORS_INDEX,
            mappings::SYNC_JOBS_ALIAS => mappings::SYNC_JOBS_INDEX,
            name => name,
        };
        self.ensure_index(concrete).await?;
        let index = self.store.write_index(concrete).ok_or_else(|| StoreError::no_such_index(concrete))?;
        Ok(Target::of(&index))
    }

    /// The concrete index of a read of one document.
    pub(crate) fn read_index(&self, name: &str) -> Result<String> {
        // Patterns and lists are taken for names here, and no index has such a one.
        if name.contains(['*', ',']) {
            return Err(StoreError::no_such_index(name).into());
        }
        let mut names = self
            .resolve_names(name, ResolveOptions { allow_no_indices: false, ..ResolveOptions::default() })?;
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                names.push(last);
                let reason = format!(
                    "alias [{name}] has more than one index associated with it [{}], can't execute a single index op",
                    names.join(", ")
                );
                Err(ApiError::illegal(reason))
            }
            (None, _) => Err(StoreError::no_such_index(name).into()),
        }
    }

    /// The concrete names an expression means.
    pub(crate) fn resolve_names(&self, expression: &str, options: ResolveOptions) -> Result<Vec<String>> {
        if let Rights::All = self.rights {
            check_names(expression)?;
            return Ok(self.store.resolve_names(expression, options)?);
        }
        Ok(self.resolve(expression, options)?.into_iter().map(|info| info.name).collect())
    }

    /// The indices an expression means.
    pub(crate) fn resolve(&self, expression: &str, options: ResolveOptions) -> Result<Vec<IndexInfo>> {
        check_names(expression)?;
        self.allowed(expression, options)
    }

    /// Makes writes visible as asked.
    pub(crate) async fn refresh_after(&self, refresh: Refresh, indices: &[String]) -> Result<()> {
        if refresh == Refresh::Later || indices.is_empty() {
            return Ok(());
        }
        match self.store.refresh(indices).await {
            // Deleted in the meantime: nothing is left that could be made visible.
            Err(error) if error.kind() == ErrorKind::IndexNotFound => Ok(()),
            other => Ok(other?),
        }
    }
}

fn lenient() -> ResolveOptions {
    ResolveOptions { ignore_unavailable: true, ..ResolveOptions::default() }
}

/// No index's name begins with an underscore, so such a path is a call this node does not know.
fn check_names(expression: &str) -> Result<()> {
    match expression.split(',').find(|part| part.starts_with('_') && *part != "_all") {
        None => Ok(()),
        Some(part) => {
            let reason = format!("Invalid index name [{part}], must not start with '_'.");
            Err(ApiError::new(400, "invalid_index_name_exception", reason)
                .with("index_uuid", "_na_")
                .with("index", part))
        }
    }
}

fn not_an_alias(name: &str) -> ApiError {
    let reason = format!(
        "no such index [{name}] and [require_alias] request flag is [true] and [{name}] is not an alias"
    );
    ApiError::new(404, "index_not_found_exception", reason).with("index_uuid", "_na_").with("index", name)
}

/// How names are to be resolved: `expand_wildcards`, `ignore_unavailable`, `allow_no_indices`.
pub(crate) fn resolve_options(call: &Call) -> Result<ResolveOptions> {
    options_of(&call.params)
}

/// As [`resolve_options`], from parameters alone.
pub(crate) fn options_of(params: &Params) -> Result<ResolveOptions> {
    let mut options = ResolveOptions {
        ignore_unavailable: params.flag_or("ignore_unavailable", false)?,
        allow_no_indices: params.flag_or("allow_no_indices", true)?,
        expand_hidden: false,
    };
    for value in params.list("expand_wildcards").unwrap_or_default() {
        match value.as_str() {
            "all" | "hidden" => options.expand_hidden = true,
            "open" | "closed" | "none" => {}
            other => return Err(ApiError::illegal(format!("No valid expand wildcard value [{other}]"))),
        }
    }
    Ok(options)
}

/// `{"total", "successful", "failed"}` of a write.
pub(crate) fn shards(total: u64, successful: u64) -> Value {
    let mut shards = Map::new();
    shards.insert("total".into(), total.into());
    shards.insert("successful".into(), successful.into());
    shards.insert("failed".into(), 0.into());
    Value::Object(shards)
}
