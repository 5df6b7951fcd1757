//! `/metrics`, `/healthz` and `/readyz` of a running daemon.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;
use serde_json::json;
use tokio::net::TcpListener;
use tributary_daemon::{DaemonStatus, Metrics};
use tributary_tasks::TaskScope;

use crate::error::{CliError, Result};
use crate::process;

/// A loop that has not turned for this long is stuck: every request it waits for ends sooner.
const STUCK: Duration = Duration::from_secs(900);
/// The shortest time after which a look is old.
const OLD: Duration = Duration::from_secs(30);

/// What is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The daemon's figures.
    pub(crate) metrics: Metrics,
    /// What the daemon does.
    pub(crate) status: DaemonStatus,
    /// Pause between its looks.
    pub(crate) poll: Duration,
    /// When the process began.
    pub(crate) begun: Instant,
}

/// Serves for as long as the scope lives. Returns where.
pub(crate) async fn serve(listen: SocketAddr, told: Told) -> Result<(TaskScope, SocketAddr)> {
    let failed = |error: std::io::Error| {
        CliError::user(format!("tributary.monitoring.listen {listen} cannot be used: {error}"))
            .hint("choose an address of this machine and a free port")
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(told);
    let mut scope = TaskScope::new();
    scope.spawn("monitoring", async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "metrics and health are not served any more");
        }
    });
    Ok((scope, address))
}

async fn metrics(State(told): State<Told>) -> Response {
    let mut text = told.metrics.render();
    text.push_str(&process::render(told.begun.elapsed()));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn health(State(told): State<Told>) -> Response {
    let stuck = age(told.status.last_turn()).is_some_and(|age| age > STUCK);
    answer((!stuck).then_some(()).ok_or_else(|| "the daemon's loop does not turn".to_owned()))
}

async fn ready(State(told): State<Told>) -> Response {
    answer(is_ready(&told.status, told.poll))
}

fn is_ready(status: &DaemonStatus, poll: Duration) -> Result<(), String> {
    if status.is_stopping() {
        return Err("the daemon is stopping".to_owned());
    }
    let why = |text: String| match status.trouble() {
        Some(trouble) => format!("{text}: {trouble}"),
        None => text,
    };
    let Some(age) = age(status.last_look()) else {
        return Err(why("the cluster could not be looked at yet".to_owned()));
    };
    if age > OLD.max(poll * 3) {
        return Err(why(format!("the cluster could not be looked at for {} s", age.as_secs())));
    }
    Ok(())
}

fn age(at: Option<chrono::DateTime<Utc>>) -> Option<Duration> {
    at.map(|at| (Utc::now() - at).to_std().unwrap_or(Duration::ZERO))
}

fn answer(state: Result<(), String>) -> Response {
    let (status, body) = match state {
        Ok(()) => (StatusCode::OK, json!({"status": "ok"})),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "unavailable", "reason": reason})),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_has_not_looked_yet_is_alive_and_not_ready() {
        let status = DaemonStatus::default();
        assert_eq!(age(status.last_turn()), None);
        assert!(is_ready(&status, OLD).unwrap_err().contains("yet"));
    }
}
