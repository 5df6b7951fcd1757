//! Tells systemd how the service stands (`sd_notify(3)`); without systemd it does nothing.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tributary_tasks::TaskScope;

/// The service manager that started us, if one listens.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one the environment names.
    pub(crate) fn from_env() -> Self {
        let socket = env::var("NOTIFY_SOCKET").ok().and_then(|name| open(&name));
        let micros = env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        Self { socket, watchdog: micros.filter(|_| ours).map(Duration::from_micros) }
    }

    /// The service does what it is for.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The service reads its configuration again; [`ServiceManager::ready`] says that it has.
    /// Units of `Type=notify-reload` wait for the time beside it, in microseconds of the monotonic clock.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The service ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Shows a sign of life as often as was asked for, for as long as the scope lives and the runtime gets its turn.
    pub(crate) fn watched(self: &std::sync::Arc<Self>) -> TaskScope {
        let mut scope = TaskScope::new();
        if let Some(interval) = self.watchdog.filter(|_| self.socket.is_some()) {
            let manager = std::sync::Arc::clone(self);
            scope.spawn("watchdog", async move {
                loop {
                    manager.tell("WATCHDOG=1");
                    tokio::time::sleep(interval / 2).await;
                }
            });
        }
        scope
    }

    fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::warn!(%error, state, "the service manager was not told");
        }
    }
}

/// A name that begins with `@` is an abstract address.
fn open(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok()?,
        None => SocketAddr::from_pathname(name).ok()?,
    };
    Some((UnixDatagram::unbound().ok()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_hears_the_states_in_their_words() {
        let name = format!("tributary-test-{}", std::process::id());
        let heard = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let manager = ServiceManager { socket: open(&format!("@{name}")), watchdog: None };
        manager.ready();
        manager.reloading();
        manager.stopping();
        let mut buffer = [0; 64];
        let mut next = || {
            let length = heard.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        assert_eq!(next(), "READY=1");
        let reloading = next();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(since.is_some_and(|micros| micros.parse::<u64>().is_ok_and(|at| at > 0)), "{reloading}");
        assert_eq!(next(), "STOPPING=1");
    }

    #[test]
    fn without_a_service_manager_nothing_is_told() {
        ServiceManager::default().ready();
    }
}
