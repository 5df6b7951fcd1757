use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use elasticsearch::http::Method;

use crate::call::{Call, Reply};
use crate::control::Unreadable;
use crate::hosts::Hosts;
use crate::probe::Ability;
use crate::wire::{self, Encoded, Host};
use crate::{
    ClientError, ClientOptions, ClientStats, ControlChoice, ErrorKind, Result, RetryPolicy, WaitPauses,
};

/// How long a host is given to show that it is there, where another could be asked instead.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);

/// The typed client of an Elasticsearch cluster, or of a Tributary node. Cheap to clone.
///
/// Every method may be called concurrently, and dropping a returned future cancels the call and its pauses. Failed
/// requests are tried again as [`RetryPolicy`] says, at another host where there are several; an error is returned
/// when that did not help.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    retry: RetryPolicy,
}

struct Inner {
    hosts: Vec<Host>,
    health: Mutex<Hosts>,
    timeout: Duration,
    choice: ControlChoice,
    wait: WaitPauses,
    stats: Arc<ClientStats>,
    ability: Ability,
    unreadable: Unreadable,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hosts", &self.hosts().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with every problem of the options at once.
    pub fn new(options: ClientOptions) -> Result<Self> {
        let hosts = wire::hosts(&options)?;
        let health = Mutex::new(Hosts::new(hosts.len()));
        let ClientOptions { retry, request_timeout: timeout, control: choice, wait, stats, .. } = options;
        let (ability, unreadable) = (Ability::default(), Unreadable::default());
        let inner = Inner { hosts, health, timeout, choice, wait, stats, ability, unreadable };
        Ok(Self { inner: Arc::new(inner), retry })
    }

    /// The same client, which begins no further attempt of a request after `budget`: for whoever would rather have the
    /// cluster's reason soon than its answer late.
    #[must_use]
    pub fn within(&self, budget: Duration) -> Self {
        let mut client = self.clone();
        client.retry.budget = client.retry.budget.min(budget);
        client
    }

    /// Addresses of the nodes, without credentials.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.inner.hosts.iter().map(|host| host.name.as_str())
    }

    pub(crate) fn choice(&self) -> ControlChoice {
        self.inner.choice
    }

    pub(crate) fn wait(&self) -> WaitPauses {
        self.inner.wait
    }

    pub(crate) fn ability(&self) -> &Ability {
        &self.inner.ability
    }

    pub(crate) fn unreadable(&self) -> &Unreadable {
        &self.inner.unreadable
    }

    /// Any request, for what has no method of its own. `method` is GET, PUT, POST, DELETE or HEAD; `path` begins with
    /// a slash and may hold a query. The answer is JSON, or text as a JSON string; `null` for an empty one.
    ///
    /// Only GET and HEAD are tried again after an attempt whose outcome is unknown.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for another method or path; else as the cluster answers.
    pub async fn raw(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let verb = match method.to_ascii_uppercase().as_str() {
            "GET" => Method::Get,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            "HEAD" => Method::Head,
            _ => {
                return Err(ClientError::config(format!(
                    "method '{method}' is not one of GET, PUT, POST, DELETE, HEAD"
                )));
            }
        };
        if !path.starts_with('/') {
            return Err(ClientError::config(format!("path '{path}' does not begin with '/'")));
        }
        let mut call = Call::of(verb, path);
        if !matches!(verb, Method::Get | Method::Head) {
            call = call.not_repeatable();
        }
        if let Some(body) = body {
            call = call.json(body)?;
        }
        let reply = self.send(call).await?;
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        let text = || Value::String(String::from_utf8_lossy(&reply.body).into_owned());
        Ok(serde_json::from_slice(&reply.body).unwrap_or_else(|_| text()))
    }

    /// Sends a request until it succeeds or the policy gives up.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Reply> {
        self.send_with(call, &self.retry).await
    }

    pub(crate) async fn send_with(&self, mut call: Call<'_>, policy: &RetryPolicy) -> Result<Reply> {
        let compress = self.inner.hosts.iter().any(|host| host.compress);
        let body = Encoded::new(call.body.take(), compress).await?;
        let start = Instant::now();
        let mut tried = Vec::new();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let at = self.health(|hosts| hosts.pick(Instant::now(), &tried));
            self.inner.stats.sent(attempt > 1);
            let error = match self.attempt(at, &call, &body).await {
                Ok(reply) => {
                    self.health(|hosts| hosts.succeeded(at));
                    return Ok(reply);
                }
                Err(error) => error.with_attempts(attempt),
            };
            self.inner.stats.failed(error.kind());
            let elsewhere = self.judge(at, &error, &mut tried);
            if call.yields && error.kind() == ErrorKind::Throttled {
                return Err(error);
            }
            let wait = policy.next(attempt, start.elapsed(), &error, call.repeat, &mut rand::rng());
            let Some(wait) = wait else { return Err(error) };
            if elsewhere {
                continue;
            }
            tracing::warn!(attempt, wait_ms = wait.as_millis() as u64, %error, "request failed and is tried again");
            sleep(wait).await;
            tried.clear();
        }
    }

    /// Notes what `error` says about the host; whether another is to be asked at once.
    fn judge(&self, at: usize, error: &ClientError, tried: &mut Vec<usize>) -> bool {
        let host_is_at_fault =
            matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Unavailable);
        self.health(|hosts| {
            if !host_is_at_fault {
                hosts.succeeded(at);
                return false;
            }
            tried.push(at);
            hosts.failed(at, Instant::now());
            hosts.has_fresh(Instant::now(), tried)
        })
    }

    async fn attempt(&self, at: usize, call: &Call<'_>, body: &Encoded) -> Result<Reply> {
        let host = &self.inner.hosts[at];
        let proven = self.inner.hosts.len() == 1 || self.health(|hosts| hosts.is_proven(at));
        if !proven {
            self.prove(host, call).await?;
        }
        host.attempt(call, body, self.inner.timeout).await
    }

    /// Asks a host of which nothing good is known whether it is there at all. Without this a machine that swallows
    /// packets would cost a whole request timeout although another host could serve.
    async fn prove(&self, host: &Host, call: &Call<'_>) -> Result<()> {
        let nothing = Encoded::new(None, false).await?;
        let timeout = PROOF_TIMEOUT.min(self.inner.timeout);
        match host.attempt(&Call::head("/"), &nothing, timeout).await {
            Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
                Err(error.with_maybe_done(false).with_operation(call.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn health<T>(&self, act: impl FnOnce(&mut Hosts) -> T) -> T {
        act(&mut self.inner.health.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
