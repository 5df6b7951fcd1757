//! Begins what the plan says, each action as a task of its own.

use std::sync::Arc;

use tracing::Instrument as _;
use tributary_client::ClientError;
use tributary_engine::{Control, Progress};
use tributary_protocol::SyncJobId;

use super::{Done, JOBS_PAUSE, Loop, PUT_OFF};
use crate::observe::OpenJob;
use crate::plan::{Action, prune_pause};
use crate::run::{Claim, RunControl};
use crate::service::Service;
use crate::status::RunningSync;

impl Loop {
    pub(super) fn begin(&mut self, action: Action) {
        let key = action.key();
        let service = Arc::clone(&self.service);
        let job = |id: &SyncJobId| self.jobs.iter().find(|job| job.id == *id).cloned();
        let name = key.to_string();
        match action {
            Action::Run { job: id, takes_over } => {
                let Some(job) = job(&id) else { return };
                let run = RunControl { progress: Progress::new(), control: Control::new() };
                if let Some(seen) = self.memory.connector_mut(job.connector()) {
                    seen.last_started = Some(service.now());
                }
                self.busy.running.push((id, job.connector().clone(), job.lock()));
                self.status.began(RunningSync::of(&job, &run.progress));
                self.show_running();
                let span = job_span(&job);
                self.spawn(key, name, run_job(service, job, takes_over, run).instrument(span));
            }
            Action::End { job: id, how } => {
                let Some(job) = job(&id) else { return };
                let span = job_span(&job);
                self.spawn(
                    key,
                    name,
                    async move { settled(service.end_dead(&job, how).await.map(|()| Done::Nothing)) }
                        .instrument(span),
                );
            }
            Action::CheckOrphan { job: id } => {
                let Some(job) = job(&id) else { return };
                let span = job_span(&job);
                let task = async move {
                    let pause = service.options.orphan_recheck;
                    let ended = service.end_orphan(&job).await;
                    settled(ended.map(|ended| if ended { Done::Nothing } else { Done::PutOff(pause) }))
                };
                self.spawn(key, name, task.instrument(span));
            }
            Action::CreateSlotJob { connector, kind, slot } => {
                let span = tracing::info_span!("schedule", connector_id = %connector);
                let task = async move {
                    match service.create_slot_job(&connector, kind, slot).await {
                        Ok(()) => Done::Served(kind, slot),
                        Err(error) => {
                            let kind = kind.as_str();
                            tracing::warn!(kind, "the schedule's job could not be created: {error}");
                            Done::PutOff(if error.is_mendable() { PUT_OFF * 12 } else { PUT_OFF })
                        }
                    }
                };
                self.spawn(key, name, task.instrument(span));
            }
            Action::CreateCustomJob { connector, key: schedule, slot } => {
                let span = tracing::info_span!("schedule", connector_id = %connector);
                let task = async move {
                    match service.create_custom_job(&connector, &schedule, slot).await {
                        Ok(()) => Done::ServedCustom(slot),
                        Err(error) => {
                            tracing::warn!(
                                schedule,
                                "the custom schedule's job could not be created: {error}"
                            );
                            Done::PutOff(if error.is_mendable() { PUT_OFF * 12 } else { PUT_OFF })
                        }
                    }
                };
                self.spawn(key, name, task.instrument(span));
            }
            Action::Unlock { connector, lock } => {
                let span = tracing::info_span!("unlock", connector_id = %connector);
                let task = async move {
                    match service.unlock(&connector, lock).await {
                        Ok(()) => Done::PutOff(PUT_OFF),
                        Err(error) => {
                            tracing::warn!("the connector's lock could not be released: {error}");
                            Done::PutOff(PUT_OFF)
                        }
                    }
                };
                self.spawn(key, name, task.instrument(span));
            }
            Action::Prune { connector } => {
                let span = tracing::info_span!("old jobs", connector_id = %connector);
                let pause = prune_pause(service.options.job_retention);
                let task = async move {
                    let pruned = service.prune(&connector).await;
                    settled(pruned.map(|more| Done::PutOff(if more { PUT_OFF } else { pause })))
                };
                self.spawn(key, name, task.instrument(span));
            }
            Action::Upkeep { connector, needs } => {
                let span = tracing::info_span!("upkeep", connector_id = %connector);
                let task =
                    async move { settled(service.look_after(&connector, needs).await.map(Done::Kept)) };
                self.spawn(key, name, task.instrument(span));
            }
        }
    }
}

fn job_span(job: &OpenJob) -> tracing::Span {
    tracing::info_span!(
        "job",
        connector_id = %job.connector(),
        job_id = %job.id,
        kind = job.doc.job_type.as_str(),
    )
}

async fn run_job(service: Arc<Service>, job: OpenJob, takes_over: bool, run: RunControl) -> Done {
    match service.claim(job, takes_over).await {
        Ok(Claim::Taken(claimed)) => {
            // How it went was told and written.
            let _ended = Box::pin(service.run_job(*claimed, run)).await;
            Done::Ran
        }
        // Looked at again with the next look at the jobs.
        Ok(Claim::Locked | Claim::Missed) => Done::PutOff(JOBS_PAUSE),
        Err(error) => {
            tracing::warn!(%error, "the job could not be claimed");
            Done::PutOff(PUT_OFF)
        }
    }
}

fn settled(outcome: Result<Done, ClientError>) -> Done {
    outcome.unwrap_or_else(|error| {
        tracing::warn!(%error, "could not be done for now");
        Done::PutOff(PUT_OFF)
    })
}
