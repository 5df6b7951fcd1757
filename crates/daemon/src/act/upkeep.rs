use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tracing::Instrument as _;
use tributary_client::{ClientError, Versioned};
use tributary_protocol::filtering::{FilteringRules, FilteringValidation, ValidationError, ValidationState};
use tributary_protocol::{Connector, ConnectorId, ConnectorStatus, JobType, filtering};
use tributary_schedule::Schedule;
use tributary_sdk::Source;

use super::{Changed, change_connector};
use crate::apart::Apart;
use crate::error::storable;
use crate::memory::inputs;
use crate::metrics::Metric;
use crate::observe::Served;
use crate::plan::{Needs, has_edited_draft, registration, waits_for_people};
use crate::service::Service;

/// What looking after a connector brought, for the memory.
#[derive(Debug, Default)]
pub(crate) struct UpkeepDone {
    pub(crate) checked_in: bool,
    /// The inputs of the check, whether the source works, and the version that says so.
    pub(crate) checked: Option<(u64, bool, u64)>,
    /// Up to which version the document has all it needs.
    pub(crate) kept_up_to: Option<u64>,
    /// Registration or validation did not come to an end.
    pub(crate) unfinished: bool,
}

/// Writes what the document lacks.
///
/// # Errors
/// As the cluster answers.
pub(crate) async fn register(service: &Service, id: &ConnectorId) -> Result<Changed, ClientError> {
    let observer = &service.observer;
    let changed = change_connector(&service.client, id, |connector| {
        observer.served(connector.clone()).as_ref().and_then(registration)
    })
    .await?;
    if let Changed::Written(connector) = &changed {
        tracing::info!(was = connector.doc.status.as_str(), "registered what the source says about itself");
    }
    Ok(changed)
}

impl Service {
    /// Does what the connector needs.
    pub(crate) async fn look_after(&self, id: &ConnectorId, needs: Needs) -> Result<UpkeepDone, ClientError> {
        let mut done = UpkeepDone::default();
        if needs.register {
            register(self, id).await?;
        }
        if needs.check_in {
            self.client.check_in(id).await?;
            done.checked_in = true;
        }
        if needs.check || needs.draft {
            let Some(connector) = self.fresh(id).await? else { return Ok(done) };
            if connector.declared.is_none() || !waits_for_people(connector.doc.status) {
                done.checked = Some(self.check(&connector, needs).await?);
            }
        }
        if (needs.register || needs.draft)
            && let Some(connector) = self.fresh(id).await?
        {
            done.unfinished = registration(&connector).is_some() || has_edited_draft(&connector.doc);
            done.kept_up_to = (!done.unfinished).then_some(connector.version.seq_no);
        }
        Ok(done)
    }

    async fn fresh(&self, id: &ConnectorId) -> Result<Option<Served>, ClientError> {
        Ok(self.client.connector(id).await?.and_then(|found| self.observer.served(found)))
    }

    /// Checks the source and the draft of the rules, and writes the outcome.
    async fn check(&self, connector: &Served, needs: Needs) -> Result<(u64, bool, u64), ClientError> {
        let inputs = inputs(&connector.doc, connector.service_type.as_deref());
        if needs.warn {
            for idle in idle_schedules(&connector.doc, self.now()) {
                tracing::warn!("{idle} never fires: no sync begins by it");
            }
        }
        let mut seq_no = connector.version.seq_no;
        let outcome = match complaint(connector, &self.registry.service_types()) {
            Some(text) => Err(text),
            None => self.try_source(connector).await,
        };
        let outcome = match outcome {
            Ok(source) if needs.draft => match self.validate_draft(&connector.id, &source).await? {
                Ok(Some(written)) => {
                    seq_no = written;
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(text) => Err(text),
            },
            outcome => outcome.map(|_| ()),
        };
        let good = outcome.is_ok();
        let outcome_name = if good { "good" } else { "bad" };
        self.options.metrics.count(Metric::Checks, &[("outcome", outcome_name)], 1);
        let text = outcome.err().map(|text| storable(&self.options.redactor.text(&text)));
        let mut same = false;
        let changed = change_connector(&self.client, &connector.id, |fresh| {
            // Somebody changed what was checked: that is for the next check.
            same = inputs == self::inputs(&fresh.doc, connector.service_type.as_deref());
            if same { verdict(&fresh.doc, text.as_deref()) } else { None }
        })
        .await?;
        if let (Changed::Written(_), Some(text)) = (&changed, &text) {
            tracing::warn!("the connector cannot be synced: {text}");
        } else if let Changed::Written(_) = &changed {
            tracing::info!("the connector's source is connected");
        }
        let written = changed.connector().filter(|_| same).map(|connector| connector.version.seq_no);
        Ok((inputs, good, written.unwrap_or(seq_no).max(seq_no)))
    }

    /// The source, where it can be connected and reached.
    async fn try_source(&self, connector: &Served) -> Result<Source, String> {
        let kind = connector.service_type.as_deref().and_then(|kind| self.registry.get(kind)).cloned();
        let kind = kind.ok_or("the connector has no service type")?;
        let configuration = connector.doc.configuration.clone();
        let (env, context) = (self.env(), self.context(None));
        let attempt = async move {
            let source = kind.connect(&configuration, &env).await?;
            source.ping(&context).await?;
            Ok::<_, tributary_sdk::Error>(source)
        };
        let attempt = Apart::begin("check", attempt.in_current_span());
        let mut attempt =
            attempt.map_err(|error| format!("there can be no thread for the check: {error}"))?;
        match tokio::time::timeout(self.options.check_timeout, attempt.ended()).await {
            Ok(Ok(Ok(source))) => Ok(source),
            Ok(Ok(Err(error))) => Err(error.report()),
            Ok(Err(panic)) => {
                Err(format!("the check stopped unexpectedly: {panic}; please report this defect"))
            }
            Err(_) => {
                let limit = self.options.check_timeout.as_secs_f64();
                Err(format!(
                    "the source did not answer within {limit} s (check that it runs and can be reached)"
                ))
            }
        }
    }

    /// Validates the draft of the sync rules; a valid one becomes the active one, in the same write (sync-runtime 4.6).
    /// The inner error is for the connector's document.
    async fn validate_draft(
        &self,
        id: &ConnectorId,
        source: &Source,
    ) -> Result<Result<Option<u64>, String>, ClientError> {
        let Some(Versioned { doc, .. }) = self.client.connector(id).await? else { return Ok(Ok(None)) };
        let Some(stored) = doc.filtering.first() else { return Ok(Ok(None)) };
        let draft = stored.draft.clone();
        let checking = tokio::time::timeout(self.options.check_timeout, validate(&draft, source));
        let validation = match checking.await {
            Ok(Ok(validation)) => validation,
            Ok(Err(text)) => return Ok(Err(text)),
            Err(_) => return Ok(Err("the source did not check the advanced sync rules in time".to_owned())),
        };
        let valid = validation.state == ValidationState::Valid;
        let changed = change_connector(&self.client, id, |connector| {
            let mut filtering = connector.doc.filtering.clone();
            let first = filtering.first_mut()?;
            // It was edited meanwhile: that is for the next time.
            if first.draft != draft {
                return None;
            }
            first.draft.validation = validation.clone();
            if valid {
                first.active = first.draft.clone();
            }
            Some(json!({ "filtering": filtering }))
        })
        .await?;
        if let Changed::Written(_) = changed {
            tracing::info!(valid, "validated the draft of the sync rules");
        }
        Ok(Ok(changed.connector().map(|connector| connector.version.seq_no)))
    }
}

/// Whether these rules can be used with this source (sync-runtime 8.4).
///
/// # Errors
/// When the check itself could not be made, for people.
pub async fn validate(rules: &FilteringRules, source: &Source) -> Result<FilteringValidation, String> {
    let raw = serde_json::to_value(rules).map_err(|error| error.to_string())?;
    let mut validation = filtering::validate(&raw);
    if let Some(snippet) = rules.advanced_value() {
        let messages = match source.advanced_rules() {
            None => vec!["this kind of source takes no advanced sync rules: remove them".to_owned()],
            Some(advanced) => advanced.check_rules(snippet).await.map_err(|error| error.report())?,
        };
        if !messages.is_empty() {
            validation.state = ValidationState::Invalid;
            validation.errors.push(ValidationError { ids: vec!["advanced_snippet".to_owned()], messages });
        }
    }
    Ok(validation)
}

/// What keeps a connector from being synced that can be seen without asking its source.
fn complaint(connector: &Served, known: &[&str]) -> Option<String> {
    let Some(service_type) = connector.service_type.as_deref().filter(|kind| !kind.is_empty()) else {
        return Some(
            "the connector has no service type (set one, or name it in the configuration file)".to_owned(),
        );
    };
    if connector.declared.is_none() {
        let known = known.join(", ");
        return Some(format!("the service type '{service_type}' is not built in; built in are: {known}"));
    }
    let mut schedules = BTreeMap::new();
    for kind in JobType::ALL {
        if let Some(entry) = connector.doc.schedule(kind).filter(|entry| entry.enabled) {
            schedules.insert(kind.as_str(), &entry.interval);
        }
    }
    let mut custom = Vec::new();
    for (key, read) in connector.doc.custom_schedules() {
        match read {
            Ok(schedule) if schedule.enabled => custom.push((key, schedule.interval)),
            Ok(_) => {}
            Err(error) => return Some(format!("the custom schedule '{key}' cannot be read: {error}")),
        }
    }
    if !(schedules.is_empty() && custom.is_empty()) && connector.doc.index_name.is_none() {
        return Some("a schedule is switched on, but no index is attached to the connector".to_owned());
    }
    let bad = schedules.into_iter().find_map(|(kind, interval)| {
        let error = Schedule::parse(interval).err()?;
        Some(format!("the schedule of {kind} syncs '{interval}' cannot be read: {error}"))
    });
    bad.or_else(|| {
        custom.into_iter().find_map(|(key, interval)| {
            let error = Schedule::parse(&interval).err()?;
            Some(format!(
                "the custom schedule '{key}' has an interval '{interval}' that cannot be read: {error}"
            ))
        })
    })
}

/// The schedules that are switched on and can be read, but have no further firing time. Elasticsearch takes them, and jobs
/// can be asked for all the same, so they are no error.
fn idle_schedules(doc: &Connector, now: DateTime<Utc>) -> Vec<String> {
    let idle = |interval: &str| Schedule::parse(interval).is_ok_and(|read| read.next_after(now).is_none());
    let kinds = JobType::ALL.into_iter().filter_map(|kind| {
        let entry = doc.schedule(kind).filter(|entry| entry.enabled && idle(&entry.interval))?;
        Some(format!("the schedule of {} syncs '{}'", kind.as_str(), entry.interval))
    });
    let custom = doc.custom_schedules().filter_map(|(key, read)| {
        let schedule = read.ok().filter(|schedule| schedule.enabled && idle(&schedule.interval))?;
        Some(format!("the custom schedule '{key}' ('{}')", schedule.interval))
    });
    kinds.chain(custom).collect()
}

/// What a check's outcome changes in the document. The error of a failed sync is not taken back by a source that can be
/// reached: it stays until a sync works or somebody changes the configuration.
fn verdict(doc: &Connector, problem: Option<&str>) -> Option<Value> {
    let (status, error) = (doc.status, doc.error.as_deref());
    let Some(problem) = problem else {
        let of_a_sync = status == ConnectorStatus::Error
            && error.is_some()
            && (error == doc.last_sync_error.as_deref()
                || error == doc.last_access_control_sync_error.as_deref());
        let said = status == ConnectorStatus::Connected && error.is_none();
        return (!said && !of_a_sync)
            .then(|| json!({"status": ConnectorStatus::Connected.as_str(), "error": null}));
    };
    let said = status == ConnectorStatus::Error && error == Some(problem);
    (!said).then(|| json!({"status": ConnectorStatus::Error.as_str(), "error": problem}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(status: ConnectorStatus, error: Option<&str>, last_sync_error: Option<&str>) -> Connector {
        Connector {
            status,
            error: error.map(str::to_owned),
            last_sync_error: last_sync_error.map(str::to_owned),
            ..Connector::default()
        }
    }

    #[test]
    fn schedules_that_are_on_and_never_fire_are_named() {
        let schedule = |enabled, interval: &str| json!({"enabled": enabled, "interval": interval});
        let doc: Connector = serde_json::from_value(json!({
            "scheduling": {
                "full": schedule(true, "0 0 0 30 2 ?"),
                "incremental": schedule(false, "0 0 0 31 4 ?"),
                "access_control": schedule(true, "0 0 * * * ?"),
            },
            "custom_scheduling": {
                "past": {"name": "p", "enabled": true, "interval": "0 0 0 1 1 ? 2020", "configuration_overrides": {}},
            },
        }))
        .unwrap();
        let idle = idle_schedules(&doc, "2026-03-01T00:00:00Z".parse().unwrap());
        assert_eq!(
            idle,
            ["the schedule of full syncs '0 0 0 30 2 ?'", "the custom schedule 'past' ('0 0 0 1 1 ? 2020')"]
        );
    }

    #[test]
    fn an_error_stays_until_what_caused_it_is_mended() {
        use ConnectorStatus::{Configured, Connected, Error};
        let connected = Some(json!({"status": "connected", "error": null}));
        let failed = Some(json!({"status": "error", "error": "away"}));
        for (doc, problem, expected) in [
            (connector(Configured, None, None), None, connected.clone()),
            (connector(Configured, None, None), Some("away"), failed.clone()),
            (connector(Connected, None, None), None, None),
            (connector(Error, Some("away"), None), Some("away"), None),
            (connector(Error, Some("other"), None), Some("away"), failed.clone()),
            (connector(Error, Some("away"), None), None, connected.clone()),
            // A sync failed: that the source can be reached does not mend it.
            (connector(Error, Some("refused"), Some("refused")), None, None),
            (connector(Error, Some("away"), Some("refused")), None, connected.clone()),
            // The user has changed the configuration since.
            (connector(Configured, Some("refused"), Some("refused")), None, connected),
        ] {
            assert_eq!(verdict(&doc, problem), expected, "{doc:?} {problem:?}");
        }
    }
}
