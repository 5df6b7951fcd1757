use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes per semaphore permit: semaphores count in `u32`, budgets may exceed 4 GiB.
const GRAIN: usize = 256;

/// A bound on the bytes that may be held at once by everybody who shares it.
///
/// Asking for more than the whole budget is granted when the budget is completely free: one oversized item passes
/// alone instead of waiting for ever.
#[derive(Clone, Debug)]
pub struct ByteBudget {
    semaphore: Arc<Semaphore>,
    total: u32,
}

/// Bytes taken from a [`ByteBudget`]; dropping it gives them back.
#[derive(Debug)]
pub struct BytePermit {
    permit: OwnedSemaphorePermit,
}

impl ByteBudget {
    /// A budget of `bytes` (rounded up to 256 bytes, at least 256, at most about 1 TiB).
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let total = permits(bytes);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until `bytes` are free and takes them. Dropping the future gives up the place in the queue.
    pub async fn acquire(&self, bytes: usize) -> BytePermit {
        let wanted = permits(bytes).min(self.total);
        loop {
            // The semaphore is never closed, so this returns at the first try.
            if let Ok(permit) = Arc::clone(&self.semaphore).acquire_many_owned(wanted).await {
                return BytePermit { permit };
            }
            tokio::task::yield_now().await;
        }
    }

    /// Takes `bytes` if they are free now.
    #[must_use]
    pub fn try_acquire(&self, bytes: usize) -> Option<BytePermit> {
        let wanted = permits(bytes).min(self.total);
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(wanted).ok()?;
        Some(BytePermit { permit })
    }

    /// Bytes free at this moment.
    #[must_use]
    pub fn available(&self) -> usize {
        self.semaphore.available_permits() * GRAIN
    }
}

impl BytePermit {
    /// Joins `other` to this permit, so that one drop frees both. Both must come from the same budget; otherwise
    /// `other` is freed on its own when it is returned as `Err`.
    ///
    /// # Errors
    /// Gives `other` back when it belongs to a different budget.
    pub fn merge(&mut self, other: BytePermit) -> Result<(), BytePermit> {
        if Arc::ptr_eq(self.permit.semaphore(), other.permit.semaphore()) {
            self.permit.merge(other.permit);
            Ok(())
        } else {
            Err(other)
        }
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(GRAIN)).unwrap_or(u32::MAX).clamp(1, 1 << 30)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_full_budget_makes_the_next_taker_wait_until_bytes_come_back() {
        let budget = ByteBudget::new(1024);
        let held = budget.acquire(1024).await;
        assert!(budget.try_acquire(1).is_none());
        let waiting = tokio::time::timeout(Duration::from_millis(20), budget.acquire(512)).await;
        assert!(waiting.is_err());
        drop(held);
        assert_eq!(budget.available(), 1024);
        let _taken = budget.acquire(512).await;
        assert_eq!(budget.available(), 512);
    }

    #[tokio::test]
    async fn an_item_larger_than_the_budget_passes_alone() {
        let budget = ByteBudget::new(1024);
        let huge = budget.acquire(1 << 20).await;
        assert_eq!(budget.available(), 0);
        drop(huge);
        assert_eq!(budget.available(), 1024);
    }

    #[tokio::test]
    async fn merged_permits_are_freed_together() {
        let budget = ByteBudget::new(1024);
        let mut first = budget.acquire(256).await;
        let second = budget.acquire(256).await;
        assert!(first.merge(second).is_ok());
        assert_eq!(budget.available(), 512);
        drop(first);
        assert_eq!(budget.available(), 1024);
    }
}
