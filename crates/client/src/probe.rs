use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep};

use elasticsearch::InfoParts;
use elasticsearch::connector::ConnectorListParts;

use crate::call::Call;
use crate::control::Control;
use crate::{Client, ClientError, ControlChoice, ErrorKind, Result, RetryPolicy};

/// Oldest major version that this client was made for.
const OLDEST_MAJOR: u32 = 8;
/// Newest major version that this client was tried with.
const NEWEST_MAJOR: u32 = 9;

/// What a cluster says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Version number, such as `9.4.3`.
    pub version: String,
    /// Build flavor: `default`, `serverless` or another.
    pub flavor: String,
    /// Another product's name where it is not Elasticsearch, such as `opensearch`.
    pub distribution: Option<String>,
    /// The tagline.
    pub tagline: String,
    /// Name of the cluster.
    pub cluster_name: String,
    /// Id of the cluster.
    pub cluster_uuid: String,
    /// Whether answers carry `X-Elastic-Product: Elasticsearch`, which the official clients demand.
    pub says_product: bool,
    /// What it can do.
    pub abilities: Abilities,
}

/// What a cluster can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// It has the Connector APIs.
    pub connector_api: bool,
    /// It is serverless: no licence, no index settings for nodes.
    pub serverless: bool,
}

impl Server {
    /// Major and minor version, where the version is readable.
    #[must_use]
    pub fn version_pair(&self) -> Option<(u32, u32)> {
        let mut parts = self.version.split(['.', '-', '+']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// What was never tried with such a cluster; one sentence each. Empty for 8.x and 9.x.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(distribution) = &self.distribution {
            warnings.push(format!("the server is {distribution}, which was never tried"));
        } else if !self.says_product {
            warnings.push("the server does not say that it is Elasticsearch".to_owned());
        }
        match self.version_pair() {
            _ if self.abilities.serverless || self.distribution.is_some() => {}
            Some((major, _)) if major < OLDEST_MAJOR => {
                warnings.push(format!("version {} is older than {OLDEST_MAJOR}.0", self.version));
            }
            Some((major, _)) if major > NEWEST_MAJOR => {
                warnings.push(format!("version {} is newer than {NEWEST_MAJOR}.x", self.version));
            }
            Some(_) => {}
            None => warnings.push(format!("version '{}' is not known", self.version)),
        }
        warnings
    }
}

/// `GET /`, as far as it is needed. Another server's answer may lack anything.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    cluster_name: String,
    #[serde(default)]
    cluster_uuid: String,
    #[serde(default)]
    tagline: String,
    version: InfoVersion,
}

#[derive(Deserialize)]
struct InfoVersion {
    number: String,
    #[serde(default)]
    build_flavor: String,
    distribution: Option<String>,
}

/// Whether the cluster has the Connector APIs, once it was asked.
#[derive(Debug, Default)]
pub(crate) struct Ability(RwLock<Option<bool>>);

impl Ability {
    fn get(&self) -> Option<bool> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, has: bool) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(has);
    }
}

impl Client {
    /// Asks the cluster what it is and what it can do. Makes two requests, each time anew.
    ///
    /// # Errors
    /// As the cluster answers; [`ErrorKind::BadAnswer`] when it is none.
    pub async fn probe(&self) -> Result<Server> {
        self.probe_with(None).await
    }

    async fn probe_with(&self, policy: Option<&RetryPolicy>) -> Result<Server> {
        let call = Call::get(InfoParts::None.url());
        let reply = match policy {
            Some(policy) => self.send_with(call, policy).await?,
            None => self.send(call).await?,
        };
        let info: Info = reply.json()?;
        let connector_api = self.ask_ability().await?;
        Ok(Server {
            abilities: Abilities { connector_api, serverless: info.version.build_flavor == "serverless" },
            version: info.version.number,
            flavor: info.version.build_flavor,
            distribution: info.version.distribution,
            tagline: info.tagline,
            cluster_name: info.cluster_name,
            cluster_uuid: info.cluster_uuid,
            says_product: reply.product.as_deref() == Some("Elasticsearch"),
        })
    }

    /// Waits until the cluster answers, for at most `timeout`. `on_wait` hears of every failure and the pause after it.
    ///
    /// # Errors
    /// The last failure when time is up; at once when waiting cannot help (wrong credentials, wrong options, an
    /// answer that is not Elasticsearch's).
    pub async fn wait_until_ready(
        &self,
        timeout: Duration,
        mut on_wait: impl FnMut(&ClientError, Duration),
    ) -> Result<Server> {
        let end = Instant::now() + timeout;
        let mut pause = self.wait().first;
        loop {
            let error = match tokio::time::timeout_at(end, self.probe_with(Some(&RetryPolicy::NEVER))).await {
                Ok(Ok(server)) => return Ok(server),
                Ok(Err(error)) => error,
                Err(_) => {
                    let reason = format!("the cluster did not answer within {} s", timeout.as_secs_f64());
                    return Err(ClientError::new(ErrorKind::Timeout, reason).with_host(&self.names()));
                }
            };
            let may_pass = error.is_retryable() || error.kind() == ErrorKind::Server;
            if !may_pass || Instant::now() + pause >= end {
                return Err(error);
            }
            on_wait(&error, pause);
            sleep(pause).await;
            pause = self.wait().after(pause);
        }
    }

    fn names(&self) -> String {
        self.hosts().collect::<Vec<_>>().join(", ")
    }

    /// How the protocol's documents are written at this cluster; it is asked once.
    pub(crate) async fn control(&self) -> Result<Control> {
        let has_api = match (self.choice(), self.ability().get()) {
            (ControlChoice::Api, _) => true,
            (ControlChoice::Documents, _) => false,
            (ControlChoice::Auto, Some(known)) => known,
            (ControlChoice::Auto, None) => self.ask_ability().await?,
        };
        Ok(if has_api { Control::Api } else { Control::Documents })
    }

    async fn ask_ability(&self) -> Result<bool> {
        let call = Call::get(ConnectorListParts::None.url()).query("size", "0");
        let has = match self.send(call).await {
            Ok(_) => true,
            Err(error) => has_api(&error).ok_or(error)?,
        };
        self.ability().set(has);
        Ok(has)
    }
}

/// What a failing answer to `GET /_connector` says about the endpoints, if anything. A cluster without them takes
/// `_connector` for the name of an index, which credentials of few rights may not even ask for.
fn has_api(error: &ClientError) -> Option<bool> {
    match error.kind() {
        ErrorKind::Rejected | ErrorKind::NotFound => Some(false),
        ErrorKind::Forbidden if error.reason().contains("xpack/connector") => Some(true),
        ErrorKind::Forbidden if error.reason().contains("[indices:admin/get]") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(version: &str) -> Server {
        Server {
            version: version.into(),
            flavor: "default".into(),
            distribution: None,
            tagline: String::new(),
            cluster_name: String::new(),
            cluster_uuid: String::new(),
            says_product: true,
            abilities: Abilities::default(),
        }
    }

    #[test]
    fn only_untried_servers_are_warned_of() {
        for (version, warned) in [
            ("8.19.13", false),
            ("9.4.3", false),
            ("9.5.0-SNAPSHOT", false),
            ("7.17.0", true),
            ("10.0.0", true),
            ("new", true),
        ] {
            assert_eq!(!server(version).warnings().is_empty(), warned, "{version}");
        }
        let other = Server { distribution: Some("opensearch".into()), ..server("2.19.0") };
        assert_eq!(other.warnings().len(), 1);
    }

    #[test]
    fn the_answer_to_the_connector_list_tells_whether_the_endpoints_exist() {
        let error = |status: u16, reason: &str| ClientError::new(ErrorKind::of_status(status), reason);
        assert_eq!(
            has_api(&error(400, "Invalid index name [_connector], must not start with '_'.")),
            Some(false)
        );
        assert_eq!(has_api(&error(405, "")), Some(false));
        assert_eq!(has_api(&error(404, "")), Some(false));
        let denied = "action [cluster:admin/xpack/connector/list] is unauthorized for user [a]";
        assert_eq!(has_api(&error(403, denied)), Some(true));
        let denied = "action [indices:admin/get] is unauthorized for API key id [a] of user [b] on indices [_connector]";
        assert_eq!(has_api(&error(403, denied)), Some(false));
        assert_eq!(has_api(&error(403, "")), None);
        assert_eq!(has_api(&error(401, "")), None);
        assert_eq!(has_api(&error(503, "")), None);
    }
}
