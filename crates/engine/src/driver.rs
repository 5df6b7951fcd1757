use std::time::Duration;

use tokio::time::Instant;

use crate::bodies::Fetched;
use crate::control::{Control, Hold, Request};
use crate::lookup::Looked;
use crate::outbox::Delivered;
use crate::pipeline::{Pipeline, Reading};
use crate::port::IndexPort;
use crate::prepare::Step;
use crate::progress::Phase;
use crate::reader::Reader;
use crate::report::SyncError;

/// Why a sync does not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was asked to suspend, and what was read is written as far as possible.
    Suspended,
    /// It was asked to cancel.
    Canceled,
    /// It cannot go on.
    Failed(SyncError),
}

impl From<SyncError> for Stop {
    fn from(error: SyncError) -> Self {
        Self::Failed(error)
    }
}

impl From<Request> for Stop {
    fn from(request: Request) -> Self {
        if request >= Request::Cancel { Self::Canceled } else { Self::Suspended }
    }
}

/// What the driver waited for.
enum Happened {
    Asked,
    Read(Vec<Step>),
    Looked(Looked),
    Fetched(Fetched),
    Delivered(Delivered),
    /// Dead letters, or not.
    Kept,
    Lingered,
    OutOfTime,
}

/// Moves documents from the source to the index until the source is read and everything is settled, or until
/// something stops it.
struct Driver<'d, 's, 'a, I> {
    pipeline: &'d mut Pipeline<'a, I>,
    reader: &'d mut Reader<'s>,
    control: &'d Control,
    reading: bool,
    /// Requests up to this one were seen to.
    heard: Request,
    stop: Option<Stop>,
    deadline: Option<Instant>,
}

/// Runs the stages. Afterwards nothing is on its way.
///
/// # Errors
/// Why the source was not read to its end, or not everything of it settled.
pub(crate) async fn drive<I: IndexPort>(
    pipeline: &mut Pipeline<'_, I>,
    reader: &mut Reader<'_>,
    control: &Control,
) -> Result<(), Stop> {
    pipeline.progress.enter(Phase::Reading);
    let driver =
        Driver { pipeline, reader, control, reading: true, heard: Request::Run, stop: None, deadline: None };
    driver.run().await
}

impl<I: IndexPort> Driver<'_, '_, '_, I> {
    async fn run(mut self) -> Result<(), Stop> {
        loop {
            // A source that always has more must not keep the thread to itself.
            tokio::task::consume_budget().await;
            let allowance = if self.reading { self.pipeline.reading_allowance() } else { 0 };
            let reading = match allowance {
                _ if !self.reading => Reading::Ended,
                0 => Reading::Paused,
                _ => Reading::Goes,
            };
            self.pipeline.pump(!self.reader.is_waiting(), reading);
            if let Err(error) = self.pipeline.keep_spool().await {
                self.fail(SyncError::spool(&error));
            }
            if !self.reading && self.pipeline.is_idle() {
                break;
            }
            self.pipeline.progress.waits_for_source(self.pipeline.waits_for_source(reading));
            match self.wait(allowance).await {
                Happened::Asked => self.asked(),
                Happened::Read(steps) => self.read(steps),
                Happened::Looked(looked) => self.try_to(|pipeline| pipeline.looked(looked)),
                Happened::Fetched(fetched) => {
                    self.pipeline.progress.heard_of_source();
                    self.pipeline.fetched(fetched);
                }
                Happened::Delivered(delivered) => self.try_to(|pipeline| pipeline.delivered(delivered)),
                Happened::Kept => {}
                Happened::Lingered => self.pipeline.outbox.seal(),
                Happened::OutOfTime => {
                    self.give_up();
                    break;
                }
            }
        }
        self.pipeline.progress.waits_for_source(false);
        self.stop.map_or(Ok(()), Err)
    }

    async fn wait(&mut self, allowance: usize) -> Happened {
        let next_request = if self.heard == Request::Run { Request::Suspend } else { Request::Cancel };
        let lingers = self.pipeline.outbox.linger_ends();
        let never = || Instant::now() + Duration::from_secs(3600);
        let pipeline = &mut *self.pipeline;
        let progress = pipeline.progress;
        tokio::select! {
            biased;
            () = self.control.at_least(next_request), if self.heard < Request::Cancel => Happened::Asked,
            () = tokio::time::sleep_until(self.deadline.unwrap_or_else(never)), if self.deadline.is_some() => {
                Happened::OutOfTime
            }
            Some(delivered) = pipeline.outbox.next() => Happened::Delivered(delivered),
            Some(looked) = futures::StreamExt::next(&mut pipeline.lookups) => Happened::Looked(looked),
            Some(fetched) = progress.in_source(pipeline.bodies.next()) => Happened::Fetched(fetched),
            Some(()) = pipeline.account.letters.next() => Happened::Kept,
            steps = progress.in_source(self.reader.next(allowance)), if allowance > 0 => Happened::Read(steps),
            () = tokio::time::sleep_until(lingers.unwrap_or_else(never)), if lingers.is_some() => {
                Happened::Lingered
            }
        }
    }

    fn asked(&mut self) {
        let request = self.control.request();
        self.heard = request;
        self.stop_reading();
        match request {
            Request::Run => {}
            Request::Suspend => {
                self.pipeline.brake.hold(Hold::Retries);
                if self.stop.is_none() {
                    self.stop = Some(Stop::Suspended);
                }
                self.deadline.get_or_insert(Instant::now() + self.pipeline.grace(true));
            }
            Request::Cancel => {
                if !matches!(self.stop, Some(Stop::Failed(_))) {
                    self.stop = Some(Stop::Canceled);
                }
                self.pipeline.stop();
                self.deadline = Some(Instant::now() + self.pipeline.grace(false));
            }
        }
    }

    fn read(&mut self, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.pipeline.progress.heard_of_source();
        }
        for step in steps {
            match self.pipeline.take(step) {
                Ok(true) => {}
                Ok(false) => self.stop_reading(),
                Err(error) => {
                    // What was read before is still written.
                    self.stop_reading();
                    self.stop.get_or_insert(Stop::Failed(error));
                }
            }
        }
    }

    fn stop_reading(&mut self) {
        if std::mem::take(&mut self.reading) {
            self.pipeline.progress.enter(Phase::Flushing);
        }
    }

    fn try_to(&mut self, step: impl FnOnce(&mut Pipeline<'_, I>) -> Result<(), SyncError>) {
        if let Err(error) = step(self.pipeline) {
            self.fail(error);
        }
    }

    /// The index or the disk does not take part any more: nothing more is sent.
    fn fail(&mut self, error: SyncError) {
        self.stop_reading();
        self.pipeline.stop();
        self.deadline.get_or_insert(Instant::now() + self.pipeline.grace(true));
        if !matches!(self.stop, Some(Stop::Failed(_))) {
            self.stop = Some(Stop::Failed(error));
        }
    }

    fn give_up(&mut self) {
        self.pipeline.stop();
        let requests = self.pipeline.outbox.abandon();
        if requests > 0 {
            tracing::warn!(requests, "bulk requests were given up before they were answered");
            self.pipeline.unanswered += requests;
        }
    }
}
