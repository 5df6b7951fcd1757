use std::future::Future;

use tokio::task::JoinSet;

/// Why a task of a [`TaskScope`] did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TaskFailure {
    /// The task panicked; the text is the panic's message.
    #[error("task '{name}' panicked: {message}")]
    Panicked {
        /// Name given at spawn.
        name: String,
        /// Message of the panic.
        message: String,
    },
    /// The task was aborted.
    #[error("task '{name}' was aborted")]
    Aborted {
        /// Name given at spawn.
        name: String,
    },
}

/// Owns a set of tasks: dropping the scope aborts them, [`TaskScope::join`] waits for all. A panic in one task is
/// reported, never spread to others.
#[derive(Debug)]
pub struct TaskScope<T: 'static = ()> {
    tasks: JoinSet<T>,
    names: std::collections::HashMap<tokio::task::Id, String>,
}

impl<T: Send + 'static> Default for TaskScope<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> TaskScope<T> {
    /// An empty scope.
    #[must_use]
    pub fn new() -> Self {
        Self { tasks: JoinSet::new(), names: std::collections::HashMap::new() }
    }

    /// Starts `task` under `name` (for logs and failures).
    pub fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = T> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name.into());
    }

    /// Number of tasks that have not been joined yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next task to end; `None` when there is none. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<T, TaskFailure>> {
        let ended = self.tasks.join_next_with_id().await?;
        Some(self.outcome(ended))
    }

    /// The next task that has ended already, without waiting.
    pub fn try_next(&mut self) -> Option<Result<T, TaskFailure>> {
        let ended = self.tasks.try_join_next_with_id()?;
        Some(self.outcome(ended))
    }

    fn outcome(
        &mut self,
        ended: Result<(tokio::task::Id, T), tokio::task::JoinError>,
    ) -> Result<T, TaskFailure> {
        match ended {
            Ok((id, value)) => {
                self.names.remove(&id);
                Ok(value)
            }
            Err(error) => {
                let name = self.names.remove(&error.id()).unwrap_or_else(|| "unnamed".to_owned());
                Err(failure(name, error))
            }
        }
    }

    /// Waits for all tasks; returns the failures.
    pub async fn join(&mut self) -> Vec<TaskFailure> {
        let mut failures = Vec::new();
        while let Some(ended) = self.next().await {
            failures.extend(ended.err());
        }
        failures
    }

    /// Aborts all tasks and waits until they are gone.
    pub async fn abort(&mut self) {
        self.tasks.shutdown().await;
        self.names.clear();
    }
}

fn failure(name: String, error: tokio::task::JoinError) -> TaskFailure {
    match error.try_into_panic() {
        Ok(panic) => TaskFailure::Panicked { name, message: panic_message(panic.as_ref()) },
        Err(_) => TaskFailure::Aborted { name },
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_reported_with_its_name_and_does_not_touch_other_tasks() {
        let mut scope = TaskScope::new();
        scope.spawn("bad", async { panic!("boom") });
        scope.spawn("good", async {});
        let failures = scope.join().await;
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].to_string(), "task 'bad' panicked: boom");
    }

    #[tokio::test]
    async fn abort_ends_tasks_that_wait_for_ever() {
        let mut scope: TaskScope<()> = TaskScope::new();
        scope.spawn("forever", std::future::pending());
        scope.abort().await;
        assert!(scope.is_empty());
    }
}
