//! Traces: the spans of jobs, sent to an OpenTelemetry collector over HTTP (OTLP).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry::{KeyValue, StringValue, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest_of_elasticsearch as reqwest;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::Layer as _;
use tributary_daemon::Redactor;
use tributary_settings::Otlp;

use crate::error::{CliError, Result, deepest};
use crate::logging::{self, Part};

/// Time for one request to the collector.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take when the process ends.
const LAST: Duration = Duration::from_secs(3);

/// Sends spans until it is stopped.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Prepares to send spans, and gives the part of the log that finds them. Nothing is sent before there is one.
    pub(crate) async fn start(otlp: Otlp, worker: String, redactor: &Redactor) -> Result<(Self, Part)> {
        let redactor = redactor.clone();
        // The client has a thread with a runtime of its own, which must not be made within another.
        let built = tokio::task::spawn_blocking(move || build(&otlp, worker, redactor)).await;
        let provider = built.map_err(CliError::ours)??;
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("tributary"))
            .with_filter(logging::ours(LevelFilter::INFO));
        Ok((Self(provider), spans.boxed()))
    }

    /// Sends what is left.
    pub(crate) async fn stop(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not sent to the collector");
        }
    }
}

fn build(otlp: &Otlp, worker: String, redactor: Redactor) -> Result<SdkTracerProvider> {
    let failed = |error: &dyn fmt::Display| {
        CliError::user(format!("traces cannot be sent to {}: {error}", otlp.endpoint))
            .hint("check tributary.otlp")
    };
    let mut client = reqwest::blocking::Client::builder().timeout(TIMEOUT).no_proxy();
    if let Some(file) = &otlp.ca_certs {
        let pem = std::fs::read(file)
            .map_err(|error| failed(&format!("'{}' cannot be read: {error}", file.display())))?;
        let authority = reqwest::Certificate::from_pem(&pem).map_err(|error| failed(&error))?;
        client = client.add_root_certificate(authority);
    }
    let cause = Cause::default();
    let client = Collector { client: client.build().map_err(|error| failed(&error))?, cause: cause.clone() };
    let headers = otlp.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", otlp.endpoint))
        .with_headers(headers.collect())
        .with_timeout(TIMEOUT)
        .build()
        .map_err(|error| failed(&error))?;
    let resource = Resource::builder_empty()
        .with_service_name("tributary")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", worker));
    let address = otlp.endpoint.to_string();
    let exporter = Clean { exporter, redactor };
    let exporter = Told { exporter, address, failing: AtomicBool::new(false), cause };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}

/// The HTTP client of the exporter, which has a thread of its own.
#[derive(Debug)]
struct Collector {
    client: reqwest::blocking::Client,
    cause: Cause,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, HttpError> {
        let answer = self.client.execute(request.try_into()?).inspect_err(|error| self.cause.set(error))?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        Ok(response.body(answer.bytes()?)?)
    }
}

/// Why the last request failed: the exporter says that there was a network error, and not which.
#[derive(Clone, Debug, Default)]
struct Cause(Arc<Mutex<Option<String>>>);

impl Cause {
    fn set(&self, error: &reqwest::Error) {
        let text = if error.is_timeout() { "no answer in time".to_owned() } else { deepest(error) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// The cause in brackets, where one is known.
    fn take(&self) -> String {
        let cause = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        cause.map_or(String::new(), |cause| format!(" ({cause})"))
    }
}

/// Tells the log when the collector cannot be reached, and when it can be again: once each.
#[derive(Debug)]
struct Told<E> {
    exporter: E,
    address: String,
    failing: AtomicBool,
    cause: Cause,
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        let was_failing = self.failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) if !was_failing => tracing::warn!(
                "traces are lost: the collector at {} does not take them: {error}{} (check tributary.otlp)",
                self.address,
                self.cause.take()
            ),
            Ok(()) if was_failing => tracing::info!("the collector at {} takes traces again", self.address),
            _ => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Hides secrets in spans before they are sent.
#[derive(Debug)]
struct Clean<E> {
    exporter: E,
    redactor: Redactor,
}

impl<E: SpanExporter> SpanExporter for Clean<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            span.attributes.iter_mut().for_each(|attribute| self.clean(attribute));
            for event in &mut span.events.events {
                event.name = self.redactor.text(&event.name).into_owned().into();
                event.attributes.iter_mut().for_each(|attribute| self.clean(attribute));
            }
            if let Status::Error { description } = &span.status {
                let description = self.redactor.text(description).into_owned().into();
                span.status = Status::Error { description };
            }
        }
        self.exporter.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E> Clean<E> {
    fn clean(&self, attribute: &mut KeyValue) {
        if let Value::String(text) = &attribute.value {
            let clean: StringValue = self.redactor.text(text.as_str()).into_owned().into();
            attribute.value = Value::String(clean);
        }
    }
}
