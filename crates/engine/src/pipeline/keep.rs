//! Seen ids and checkpoints are put on disk.

use tokio::time::Instant;

use super::Pipeline;
use crate::checkpoints::Mark;
use crate::port::IndexPort;
use crate::spec::Checkpoint;

impl<I: IndexPort> Pipeline<'_, I> {
    /// Writes full buffers of the spool to disk and stores a checkpoint that is due.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) async fn keep_spool(&mut self) -> std::io::Result<()> {
        let Some(seen) = &mut self.seen else { return Ok(()) };
        if let Some(candidate) = &self.candidate {
            seen.cut_at(candidate.records).await?;
        }
        if seen.is_full() {
            seen.flush().await?;
        }
        let stable = self.checkpoints.stable().map_or(0, |mark| mark.records);
        // What is behind a checkpoint is never listed again, so it must be noted by then.
        let reached = self.account.letters.is_clear()
            && self.checkpoints.stable().is_some()
            && self.candidate.as_ref().is_some_and(|candidate| candidate.records <= stable);
        if reached && let Some(mark) = self.candidate.take() {
            self.store(&mark).await?;
        }
        Ok(())
    }

    /// Stores the last stable checkpoint, if it can be gone on from.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) async fn store_last(&mut self) -> std::io::Result<()> {
        if !self.resumable || !self.account.letters.is_clear() {
            return Ok(());
        }
        match self.checkpoints.stable().cloned() {
            Some(mark) => self.store(&mark).await,
            None => Ok(()),
        }
    }

    async fn store(&mut self, mark: &Mark) -> std::io::Result<()> {
        let (figures, refused) = (self.progress.snapshot(), self.account.refusals().counts.clone());
        let Some(seen) = &mut self.seen else {
            let cursor = mark.cursor.clone();
            self.stored = Some(Checkpoint { cursor, position: mark.position, figures, refused, spool: None });
            return Ok(());
        };
        if let Some(checkpoint) = seen.store(mark, figures, refused).await? {
            self.stored = Some(checkpoint);
        }
        self.last_stored = Instant::now();
        Ok(())
    }
}
