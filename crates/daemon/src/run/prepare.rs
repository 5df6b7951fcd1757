use std::sync::Arc;

use serde_json::{Value, json};
use tributary_client::{Client, ErrorKind, LicenseLevel};
use tributary_engine::{Letters, Mode, PipelineFlags, Resume, SyncKind, SyncSpec};
use tributary_protocol::config::ConfigSchema;
use tributary_protocol::filtering::{RuleSet, ValidationState};
use tributary_protocol::mappings::ACCESS_CONTROL_PREFIX;
use tributary_protocol::{Connector, ConnectorId, IndexName, JobType, Pipeline, SyncJob};
use tributary_sdk::{AnyConnector, Context, Cursor, FeatureSet, Source};

use super::fence::Fence;
use super::index::{ClusterIndex, Watch};
use super::outcome::source_cursor;
use super::rate::Rate;
use super::rules::BasicRules;
use crate::act::{no_license, validate_rules};
use crate::error::told;
use crate::lease::{METADATA, Retry};
use crate::letters::{self, JobLetters};
use crate::observe::Lock;
use crate::service::Service;

/// Everything a sync is made from.
#[derive(Debug)]
pub(crate) struct Preparation {
    pub(crate) service: Arc<Service>,
    /// Names the spool.
    pub(crate) job_id: String,
    pub(crate) job: SyncJob,
    pub(crate) connector: Connector,
    pub(crate) resume: Option<Resume>,
    pub(crate) allow_deletes: bool,
    /// Dead letters that the job is there for.
    pub(crate) retry: Option<Retry>,
    pub(crate) mode: Mode,
    pub(crate) fence: Option<Fence>,
}

/// A sync that can begin.
pub(crate) struct Prepared {
    pub(crate) source: Source,
    pub(crate) context: Context,
    pub(crate) spec: SyncSpec,
    pub(crate) index: ClusterIndex,
    /// What the person should know.
    pub(crate) warnings: Vec<String>,
}

impl Preparation {
    fn connector_id(&self) -> &ConnectorId {
        &self.job.connector.id
    }

    fn kind(&self) -> JobType {
        self.job.job_type
    }

    /// Connects the source, checks everything the sync depends on, and makes sure that the index is there.
    ///
    /// # Errors
    /// What keeps the sync from beginning, for the job's document.
    pub(crate) async fn prepare(self) -> Result<Prepared, String> {
        let kind = self.source_kind()?;
        let allowed = self.allowed_features(kind.features());
        self.check_kind(kind.features(), allowed).await?;
        let name = self.index_name()?;
        let source = self.connect(kind.as_ref()).await?;
        let mut context = self.service.context(self.cursor());
        let mut spec = self.spec();
        self.ping(&source, &context).await?;
        let mut warnings = self.unknown_overrides();
        let client = self.service.content_client(self.connector_id()).clone();
        let mut pipeline = None;
        if self.kind().is_content() {
            self.apply_rules(allowed, &source, &mut context, &mut spec).await?;
            pipeline = self.pipeline(&client, &mut spec, &mut warnings).await?;
            self.extraction(&mut spec, &mut warnings);
        }
        if self.mode == Mode::Run {
            let body = if self.kind().is_content() { content_index() } else { access_control_index() };
            let created = client.ensure_index(&name, Some(&body)).await;
            if created.map_err(|error| format!("the index '{name}' cannot be used: {}", told(&error)))? {
                tracing::info!(index = name.as_str(), "created the index");
            }
        }
        let options = &self.service.options;
        let watch = Watch {
            metrics: Some(options.metrics.clone()),
            rate: options.sync.rate_limit.filter(|rate| *rate > 0.0).map(Rate::new),
            operations: options.sync.log_operations,
        };
        if self.mode == Mode::Run {
            spec.letters = Some(self.letters(&name).await?);
        }
        let index = ClusterIndex { client, name, pipeline, fence: self.fence, watch };
        Ok(Prepared { source, context, spec, index, warnings })
    }

    fn source_kind(&self) -> Result<Arc<dyn AnyConnector>, String> {
        let service = &self.service;
        let listed = service.options.connectors.listed(self.connector_id());
        let listed = listed.and_then(|listed| listed.service_type.as_ref());
        let name =
            listed.or(self.job.connector.service_type.as_ref()).or(self.connector.service_type.as_ref());
        let name = name.ok_or("the connector has no service type")?;
        service.registry.get(name).cloned().ok_or_else(|| {
            let known = service.registry.service_types().join(", ");
            format!("the service type '{name}' is not built in; built in are: {known}")
        })
    }

    /// What the connector's document allows. A document without features allows what the source can do.
    fn allowed_features(&self, able: FeatureSet) -> FeatureSet {
        self.connector.features.as_ref().map_or(able, |features| FeatureSet {
            basic_rules: features.basic_rules(),
            advanced_rules: features.advanced_rules(),
            document_level_security: features.document_level_security(),
            incremental_sync: features.incremental_sync(),
        })
    }

    async fn check_kind(&self, able: FeatureSet, allowed: FeatureSet) -> Result<(), String> {
        let id = self.connector_id();
        match self.kind() {
            JobType::Full => Ok(()),
            JobType::Incremental if able.incremental_sync && allowed.incremental_sync => Ok(()),
            JobType::Incremental => {
                Err(format!("connector {id} does not support incremental syncs: run a full one"))
            }
            JobType::AccessControl if able.document_level_security && allowed.document_level_security => {
                let license = self.service.client.license().await.map_err(|error| told(&error))?;
                if license.allows(LicenseLevel::Platinum) { Ok(()) } else { Err(no_license(&license.kind)) }
            }
            JobType::AccessControl => Err(format!("connector {id} does not support access-control syncs")),
        }
    }

    fn index_name(&self) -> Result<IndexName, String> {
        let name = self.job.connector.index_name.clone().or_else(|| self.connector.target_index(self.kind()));
        let detached = format!("{ACCESS_CONTROL_PREFIX}null");
        let name = name.filter(|name| !name.is_empty() && *name != detached);
        let mut name = name.ok_or("the connector has no index: attach one, then start a new sync")?;
        if self.kind() == JobType::AccessControl && !name.starts_with(ACCESS_CONTROL_PREFIX) {
            name.insert_str(0, ACCESS_CONTROL_PREFIX);
        }
        IndexName::try_from(name).map_err(|error| error.to_string())
    }

    /// Connects with the job's snapshot of the configuration; fields that came to be since have their defaults.
    async fn connect(&self, kind: &dyn AnyConnector) -> Result<Source, String> {
        let snapshot = &self.job.connector.configuration;
        let stored = if snapshot.is_empty() { &self.connector.configuration } else { snapshot };
        let whole = ConfigSchema::registered(stored, &kind.schema());
        let env = self.service.env();
        let connecting = kind.connect(whole.as_ref().unwrap_or(stored), &env);
        self.in_time(connecting).await
    }

    async fn ping(&self, source: &Source, context: &Context) -> Result<(), String> {
        self.in_time(source.ping(context)).await
    }

    async fn in_time<T>(&self, call: impl Future<Output = tributary_sdk::Result<T>>) -> Result<T, String> {
        let limit = self.service.options.check_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(outcome) => outcome.map_err(|error| error.report()),
            Err(_) => Err(format!(
                "the source did not answer within {} s (check that it runs and can be reached)",
                limit.as_secs_f64()
            )),
        }
    }

    /// Where an incremental listing starts.
    fn cursor(&self) -> Option<Cursor> {
        let wanted = self.kind() == JobType::Incremental;
        self.connector.sync_cursor.as_ref().filter(|_| wanted).and_then(source_cursor).map(Cursor)
    }

    fn spec(&self) -> SyncSpec {
        let options = &self.service.options;
        let mut spec = SyncSpec::new(self.job_id.clone(), options.state_dir.join("spools"));
        spec.kind = match self.kind() {
            JobType::Full => SyncKind::Full,
            JobType::Incremental => SyncKind::Incremental,
            JobType::AccessControl => SyncKind::AccessControl,
        };
        spec.mode = self.mode;
        spec.fingerprint = options.sync.fingerprint;
        spec.delete_guard = options.sync.delete_guard;
        spec.delete_guard.allow_once |= self.allow_deletes;
        spec.error_limits = options.sync.error_limits;
        spec.limits = options.sync.limits;
        spec.resume = self.resume.clone();
        spec.keeps_leftovers = is_partial(&self.job);
        spec
    }

    /// Where this sync's dead letters go, and which there are.
    async fn letters(&self, index: &IndexName) -> Result<Letters, String> {
        let (service, retry) = (&self.service, self.retry.as_ref());
        let known =
            letters::known(&service.client, self.connector_id(), Lock::of(self.kind()), &self.job_id, retry);
        let known = match known.await {
            Ok(known) => known,
            Err(error) if retry.is_some() => {
                return Err(format!("the dead letters cannot be read: {}", told(&error)));
            }
            Err(error) => {
                tracing::warn!(%error, "the dead letters of earlier syncs cannot be read");
                Vec::new()
            }
        };
        let keeper = JobLetters {
            client: service.client.clone(),
            connector: self.connector_id().clone(),
            job_id: self.job_id.clone(),
            kind: self.kind(),
            index: index.clone(),
            fence: self.fence.clone(),
            redactor: service.options.redactor.clone(),
            clock: Arc::clone(&service.clock),
            prepared: tokio::sync::OnceCell::new(),
        };
        Ok(Letters { keeper: Arc::new(keeper), known, most: letters::MOST, retry: retry.is_some() })
    }

    /// What a custom schedule wants to change of the configuration and cannot.
    fn unknown_overrides(&self) -> Vec<String> {
        let ours = self.job.metadata.as_ref().map_or(&Value::Null, |metadata| &metadata[METADATA]);
        let unknown: Vec<&str> =
            ours["unknown_overrides"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if unknown.is_empty() {
            return Vec::new();
        }
        let schedule = ours["schedule"].as_str().unwrap_or_default();
        vec![format!(
            "the custom schedule '{schedule}' sets what is no configuration field, which had no effect: {}",
            unknown.join(", ")
        )]
    }

    /// The job's own snapshot of the active rules, never a draft. A connector without a rule feature has no rules.
    async fn apply_rules(
        &self,
        allowed: FeatureSet,
        source: &Source,
        context: &mut Context,
        spec: &mut SyncSpec,
    ) -> Result<(), String> {
        let Some(rules) = &self.job.connector.filtering else { return Ok(()) };
        if !allowed.basic_rules && !allowed.advanced_rules {
            return Ok(());
        }
        let validation =
            tokio::time::timeout(self.service.options.check_timeout, validate_rules(rules, source));
        let validation =
            validation.await.map_err(|_| "the source did not check the sync rules in time")??;
        if validation.state != ValidationState::Valid {
            let problems: Vec<String> = validation
                .errors
                .iter()
                .map(|error| format!("{}: {}", error.ids.join(", "), error.messages.join("; ")))
                .collect();
            return Err(format!(
                "the active sync rules are invalid: {} (correct the draft; it is activated once it is valid)",
                problems.join("; ")
            ));
        }
        if allowed.basic_rules {
            let set = RuleSet::new(&rules.rules)
                .map_err(|error| format!("the sync rules cannot be used: {error}"))?;
            if !set.is_empty() {
                spec.rules = Some(Arc::new(BasicRules(set)));
            }
        }
        if allowed.advanced_rules {
            context.advanced_rules = rules.advanced_value().cloned();
        }
        Ok(())
    }

    /// A connector may ask for the data extraction service, which then takes the pipeline's place (sync-runtime 7).
    fn extraction(&self, spec: &mut SyncSpec, warnings: &mut Vec<String>) {
        let field = self.job.connector.configuration.get(USE_EXTRACTION_SERVICE);
        if field.is_none_or(|field| field.value != true) {
            return;
        }
        spec.extractor.clone_from(&self.service.options.sync.extractor);
        spec.extracts_attachments = spec.extractor.is_some();
        if spec.extractor.is_none() {
            warnings.push(format!(
                "{USE_EXTRACTION_SERVICE} is on, but no extraction_service is configured: files that need text \
                 extraction were indexed without their text"
            ));
        }
    }

    /// The ingest pipeline of the writes; its switches go into the specification. A cluster without the default
    /// pipeline is written to without one.
    async fn pipeline(
        &self,
        client: &Client,
        spec: &mut SyncSpec,
        warnings: &mut Vec<String>,
    ) -> Result<Option<String>, String> {
        let own = self.job.connector.pipeline.clone();
        let pipeline = own.unwrap_or_else(|| self.connector.pipeline_or_default());
        spec.pipeline = Some(PipelineFlags {
            extract_binary_content: pipeline.extract_binary_content,
            reduce_whitespace: pipeline.reduce_whitespace,
            run_ml_inference: pipeline.run_ml_inference,
        });
        spec.extracts_attachments = pipeline.extract_binary_content;
        if pipeline.name.is_empty() || pipeline.name == "_none" {
            spec.extracts_attachments = false;
            return Ok(None);
        }
        let missing = match client.pipeline(&pipeline.name).await {
            Ok(found) => found.is_none(),
            // Whoever may write through a pipeline need not be allowed to read it.
            Err(error) if error.kind() == ErrorKind::Forbidden => false,
            Err(error) => return Err(told(&error)),
        };
        if !missing {
            return Ok(Some(pipeline.name));
        }
        if pipeline.name != Pipeline::default().name {
            return Err(format!(
                "there is no ingest pipeline '{}': create it, or choose another for the connector",
                pipeline.name
            ));
        }
        spec.extracts_attachments = false;
        warnings.push(format!(
            "the cluster has no ingest pipeline '{}': documents were indexed without it, and files that need text \
             extraction without their text",
            pipeline.name
        ));
        Ok(None)
    }
}

/// The field of a connector's configuration that asks for the data extraction service.
const USE_EXTRACTION_SERVICE: &str = "use_text_extraction_service";

/// Whether the job lists a part of what belongs into the index, so that nothing may be deleted and no cursor holds.
pub(crate) fn is_partial(job: &SyncJob) -> bool {
    job.metadata.as_ref().is_some_and(|metadata| metadata[METADATA]["partial"] == true)
}

/// Mappings of a new content index. What is not named here is mapped as the cluster's templates and dynamic mapping say.
#[must_use]
pub fn content_index() -> Value {
    json!({"mappings": {"properties": {
        // Read from the source only, so that the cluster need not look into it.
        "_tributary": {"type": "object", "enabled": false},
        // Without a limit on length, unlike the dynamic mapping: a value left out of the index would hide the document
        // from those who may see it.
        "_allow_access_control": {
            "type": "text",
            "fields": {"keyword": {"type": "keyword"}, "enum": {"type": "keyword"}},
        },
    }}})
}

/// A new index of identities, as Elasticsearch's template for such indices has it (sync-runtime 9).
fn access_control_index() -> Value {
    json!({
        "settings": {"index": {"hidden": true}},
        "mappings": {"dynamic": "false", "properties": {"created_at": {"type": "date"}}},
    })
}
