//! The data extraction service: text from files, over HTTP (sync-runtime 7).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use reqwest_of_elasticsearch as reqwest;
use serde::Deserialize;
use tributary_engine::{Extraction, TextExtractor};
use tributary_sdk::{Error, ErrorKind};
use tributary_settings::{ExtractionService, Settings};

use crate::error::{CliError, Result, deepest};

/// How long a check waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest part of an answer that is shown.
const SHOWN: usize = 300;

/// The service that the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    client: reqwest::Client,
    host: String,
    /// Where files are put for a service that reads them itself.
    shared: Option<PathBuf>,
}

/// What the service answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    extracted_text: Option<String>,
    error: Option<String>,
    message: Option<String>,
}

/// The configured service, as the engine asks for it.
pub(crate) fn extractor(settings: &Settings) -> Result<Option<Arc<dyn TextExtractor>>> {
    let service = settings.extraction_service.as_ref().map(Service::new).transpose()?;
    Ok(service.map(|service| Arc::new(service) as Arc<dyn TextExtractor>))
}

impl Service {
    pub(crate) fn new(settings: &ExtractionService) -> Result<Self> {
        // It is a neighbour, not behind the proxy that the environment may name.
        let client = reqwest::Client::builder().timeout(settings.timeout).no_proxy().build();
        let client = client
            .map_err(|error| CliError::ours(format!("no client for the extraction service: {error}")))?;
        let shared = settings.use_file_pointers.then(|| settings.shared_volume_dir.clone());
        Ok(Self { client, host: settings.host.clone(), shared })
    }

    /// Whether it answers and, where files are handed over in a folder, whether they can be put there.
    pub(crate) async fn check(&self) -> Result<(), String> {
        if let Some(folder) = &self.shared {
            Shared::put(folder, b"")?;
        }
        let answer = self.client.get(format!("{}/ping/", self.host)).timeout(PATIENCE).send().await;
        let status = answer.map_err(|error| unreachable(&error))?.status();
        if status.is_success() { Ok(()) } else { Err(format!("answers its ping with {status}")) }
    }

    async fn ask(self, file: Bytes) -> Result<Extraction, Error> {
        let away = |message: String| {
            Error::new(ErrorKind::Unavailable, format!("the extraction service {message}"))
                .hint("the document is left as it was and tried again by the next sync")
        };
        let mut request =
            self.client.put(format!("{}/extract_text/", self.host)).header("accept", "application/json");
        let mut kept = None;
        request = match self.shared {
            Some(folder) => {
                let put = tokio::task::spawn_blocking(move || Shared::put(&folder, &file)).await;
                let put = put.map_err(|error| away(error.to_string()))?.map_err(away)?;
                let request = request.query(&[("local_file_path", &put.0)]);
                kept = Some(put);
                request
            }
            None => request.header("content-type", "application/octet-stream").body(file),
        };
        let answer = request.send().await.map_err(|error| away(unreachable(&error)))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| away(unreachable(&error)))?;
        drop(kept);
        if matches!(status.as_u16(), 429 | 502..=504) {
            return Err(away(format!("answers {status}")));
        }
        Ok(read(status.as_u16(), &text))
    }
}

impl TextExtractor for Service {
    fn extract(&self, file: Bytes) -> BoxFuture<'static, Result<Extraction, Error>> {
        Box::pin(self.clone().ask(file))
    }
}

/// What an answer says about the file.
fn read(status: u16, text: &str) -> Extraction {
    let answer: Answer = serde_json::from_str(text).unwrap_or_default();
    match answer {
        Answer { extracted_text: Some(text), error: None, .. } if status == 200 => Extraction::Text(text),
        Answer { error, message, .. } => {
            let told: Vec<String> = error.into_iter().chain(message).collect();
            let told = if told.is_empty() { text.to_owned() } else { told.join(": ") };
            let told: String = told.chars().take(SHOWN).collect();
            Extraction::Nothing(format!("the extraction service could not read it: status {status}: {told}"))
        }
    }
}

fn unreachable(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "did not answer in time (extraction_service.timeout)".to_owned();
    }
    format!("cannot be reached: {}", deepest(error))
}

/// A file in the folder that is shared with the service; removed when dropped.
#[derive(Debug)]
struct Shared(PathBuf);

impl Shared {
    fn put(folder: &Path, content: &[u8]) -> Result<Self, String> {
        let put = Self(folder.join(format!("tributary-{:016x}", rand::random::<u64>())));
        fs::write(&put.0, content)
            .map_err(|error| format!("gets no files: '{}' cannot be written: {error}", folder.display()))?;
        Ok(put)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.0.display(), "a file for the extraction service stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::{Query, Request};
    use axum::routing::{get, put};
    use std::collections::HashMap;

    use super::*;

    /// A service as the reference describes it: the body's or the named file's text in upper case.
    async fn service() -> (tributary_tasks::TaskScope, String) {
        let extract = async |Query(query): Query<HashMap<String, String>>, request: Request| {
            let whole = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
            let bytes = match query.get("local_file_path") {
                Some(path) => fs::read(path).unwrap(),
                None => whole.to_vec(),
            };
            let text = String::from_utf8_lossy(&bytes).to_uppercase();
            match text.as_str() {
                "BUSY" => (http::StatusCode::SERVICE_UNAVAILABLE, "{}".to_owned()),
                "BROKEN" => {
                    (http::StatusCode::OK, r#"{"error": "422", "message": "no such format"}"#.to_owned())
                }
                _ => (http::StatusCode::OK, serde_json::json!({ "extracted_text": text }).to_string()),
            }
        };
        let app = Router::new().route("/ping/", get(async || "ok")).route("/extract_text/", put(extract));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut scope = tributary_tasks::TaskScope::new();
        scope.spawn("service", async move { axum::serve(listener, app).await.unwrap() });
        (scope, format!("http://{address}"))
    }

    fn asked(host: &str, more: &str) -> Service {
        let settings =
            Settings::from_yaml_str(&format!("extraction_service: {{host: '{host}'{more}}}")).unwrap();
        Service::new(settings.extraction_service.as_ref().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn text_comes_from_the_service() {
        let (_service, host) = service().await;
        let service = asked(&host, "");
        service.check().await.unwrap();
        let ask = |text: &'static str| service.extract(Bytes::from_static(text.as_bytes()));
        assert_eq!(ask("words").await.unwrap(), Extraction::Text("WORDS".to_owned()));
        let Extraction::Nothing(reason) = ask("broken").await.unwrap() else { panic!() };
        assert!(reason.contains("status 200: 422: no such format"), "{reason}");
        assert_eq!(ask("busy").await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn files_are_handed_over_in_a_folder_and_do_not_stay_there() {
        let (_service, host) = service().await;
        let folder = tempfile::tempdir().unwrap();
        let service = asked(
            &host,
            &format!(", use_file_pointers: true, shared_volume_dir: '{}'", folder.path().display()),
        );
        service.check().await.unwrap();
        assert_eq!(
            service.extract(Bytes::from_static(b"words")).await.unwrap(),
            Extraction::Text("WORDS".to_owned())
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let gone = asked(&host, ", use_file_pointers: true, shared_volume_dir: '/no/such'");
        assert!(gone.check().await.unwrap_err().contains("'/no/such' cannot be written"));
    }

    #[tokio::test]
    async fn a_service_that_is_away_is_no_answer() {
        let address = tributary_harness::free_address();
        let service = asked(&format!("http://{address}"), "");
        let error = service.extract(Bytes::from_static(b"x")).await.unwrap_err();
        assert!(error.report().contains("cannot be reached"), "{}", error.report());
        assert!(service.check().await.is_err());
    }
}
