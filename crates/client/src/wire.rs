//! One attempt at one host: what the `elasticsearch` crate's transport is told, and what its answers mean.

use std::error::Error as _;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use elasticsearch::http::response::Response;
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use flate2::{Compression, write::GzEncoder};
use reqwest_of_elasticsearch::Error as HttpError;

use crate::call::{Call, Reply};
use crate::fault::read_fault;
use crate::retry::parse_retry_after;
use crate::{Auth, ClientError, ClientOptions, ErrorKind, Gzip, Result};

/// Bodies below this size are not worth compressing.
const COMPRESS_FROM: usize = 1024;
/// Bodies from this size on are compressed on a thread of their own.
const COMPRESS_ASIDE: usize = 64 * 1024;

/// A node of the cluster.
pub(crate) struct Host {
    /// Address without credentials and without trailing slash.
    pub(crate) name: String,
    /// Whether bodies are compressed, for it and by it.
    pub(crate) compress: bool,
    transport: Transport,
    headers: HeaderMap,
}

/// A request's body, plain and compressed where some host wants it so.
pub(crate) struct Encoded {
    plain: Option<Bytes>,
    zipped: Option<Bytes>,
}

impl Encoded {
    pub(crate) async fn new(plain: Option<Bytes>, compress: bool) -> Result<Self> {
        let zipped = match &plain {
            Some(body) if compress && body.len() >= COMPRESS_FROM => Some(zip(body.clone()).await?),
            _ => None,
        };
        Ok(Self { plain, zipped })
    }

    /// The body for this host, and whether it is compressed.
    fn body(&self, host: &Host) -> (Option<Bytes>, bool) {
        match &self.zipped {
            Some(zipped) if host.compress => (Some(zipped.clone()), true),
            _ => (self.plain.clone(), false),
        }
    }
}

async fn zip(body: Bytes) -> Result<Bytes> {
    let zipped = if body.len() < COMPRESS_ASIDE {
        gzip(&body)
    } else {
        tokio::task::spawn_blocking(move || gzip(&body))
            .await
            .unwrap_or_else(|e| Err(std::io::Error::other(e)))
    };
    zipped.map_err(|e| ClientError::config(format!("the request could not be compressed: {e}")))
}

fn gzip(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}

/// The hosts of `options`; all problems with them in one error.
pub(crate) fn hosts(options: &ClientOptions) -> Result<Vec<Host>> {
    let mut problems = Vec::new();
    if options.hosts.is_empty() {
        problems.push("no host is given; name at least one, as http://localhost:9200".to_owned());
    }
    if options.request_timeout.is_zero() {
        problems.push("request_timeout is 0; give a positive time".to_owned());
    }
    let shared = shared_headers(options, &mut problems);
    let certificates = read_certificates(options).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let mut hosts = Vec::new();
    for address in &options.hosts {
        match host(address, options, &shared, certificates.as_deref()) {
            Ok(host) => hosts.push(host),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(hosts) } else { Err(ClientError::config(problems.join("; "))) }
}

fn host(
    address: &str,
    options: &ClientOptions,
    headers: &HeaderMap,
    certificates: Option<&[u8]>,
) -> Result<Host, String> {
    let (url, in_address) = parse_address("host", address)?;
    let auth = if options.auth == Auth::None { &in_address } else { &options.auth };
    let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone()));
    if let Some(credentials) = credentials(auth)? {
        builder = builder.auth(credentials);
    }
    let validation = match certificates {
        _ if !options.verify_certs => CertificateValidation::None,
        None => CertificateValidation::Default,
        Some(pem) => CertificateValidation::Full(certificate(options, pem)?),
    };
    builder = builder.cert_validation(validation);
    builder = match &options.proxy {
        None => builder.disable_proxy(),
        Some(proxy) => with_proxy(builder, proxy.reveal())?,
    };
    let name = url.as_str().trim_end_matches('/').to_owned();
    let transport =
        builder.build().map_err(|e| format!("host '{name}': the connection could not be prepared: {e}"))?;
    let compress = match options.gzip {
        Gzip::Always => true,
        Gzip::Never => false,
        Gzip::Auto => !is_loopback(&url),
    };
    let mut headers = headers.clone();
    if !compress {
        // The transport would ask for compressed answers, which cost the cluster more than the bytes on the way.
        headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    }
    Ok(Host { name, compress, transport, headers })
}

/// The address without credentials, and the credentials that stood in it. `what` is for the error: whose address it is.
fn parse_address(what: &str, address: &str) -> Result<(Url, Auth), String> {
    const FORM: &str = "expected an address like https://search.example.org:9200";
    let mut url = Url::parse(address).map_err(|error| {
        // Where it cannot be taken apart, a password in it would be shown.
        let shown = if address.contains('@') { "" } else { address };
        format!("{what} '{shown}' is not an address ({error}); {FORM}")
    })?;
    let auth = match (url.username(), url.password()) {
        ("", None) => Auth::None,
        (user, password) => {
            Auth::Basic { user: unescape(user), password: unescape(password.unwrap_or_default()).into() }
        }
    };
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    let good = matches!(url.scheme(), "http" | "https") && url.host().is_some() && cleared.is_ok();
    if !good {
        return Err(format!("{what} has the scheme '{}'; {FORM}", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{what} '{}' must not have a query or fragment; {FORM}", url.path()));
    }
    Ok((url, auth))
}

/// Percent-decodes a user or password of an address.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn credentials(auth: &Auth) -> Result<Option<Credentials>, String> {
    Ok(Some(match auth {
        Auth::None => return Ok(None),
        Auth::Basic { user, password } => Credentials::Basic(user.clone(), password.reveal().to_owned()),
        Auth::ApiKey(key) => {
            let key = key.reveal().trim();
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(
                    "api_key is empty or holds spaces or other characters that no API key has".to_owned()
                );
            }
            match key.split_once(':') {
                Some((id, secret)) => Credentials::ApiKey(id.to_owned(), secret.to_owned()),
                None => Credentials::EncodedApiKey(key.to_owned()),
            }
        }
    }))
}

fn with_proxy(builder: TransportBuilder, proxy: &str) -> Result<TransportBuilder, String> {
    let (url, auth) = parse_address("proxy", proxy)?;
    Ok(match &auth {
        Auth::Basic { user, password } => builder.proxy(url, Some(user), Some(password.reveal())),
        _ => builder.proxy(url, None, None),
    })
}

fn read_certificates(options: &ClientOptions) -> Result<Option<Vec<u8>>, String> {
    let Some(path) = options.ca_certs.as_ref().filter(|_| options.verify_certs) else { return Ok(None) };
    let pem =
        std::fs::read(path).map_err(|e| format!("ca_certs '{}' could not be read: {e}", path.display()))?;
    certificate(options, &pem)?;
    Ok(Some(pem))
}

fn certificate(options: &ClientOptions, pem: &[u8]) -> Result<Certificate, String> {
    let path = options.ca_certs.as_deref().unwrap_or_else(|| std::path::Path::new("")).display();
    Certificate::from_pem(pem).map_err(|e| format!("ca_certs '{path}' holds no PEM certificate: {e}"))
}

fn shared_headers(options: &ClientOptions, problems: &mut Vec<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str, secret: bool| {
        let name_ok = HeaderName::from_bytes(name.as_bytes());
        let value_ok = HeaderValue::from_str(value);
        match (name_ok, value_ok) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(secret);
                headers.insert(name, value);
            }
            _ => problems.push(format!("header '{name}': the name or value cannot be sent")),
        }
    };
    add("x-elastic-product-origin", &options.product_origin, false);
    add(USER_AGENT.as_str(), &options.user_agent, false);
    for (name, value) in &options.headers {
        add(name, value.reveal(), true);
    }
    headers
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Host {
    /// Sends `call` once.
    pub(crate) async fn attempt(&self, call: &Call<'_>, body: &Encoded, timeout: Duration) -> Result<Reply> {
        let (bytes, zipped) = body.body(self);
        let sent = bytes.as_ref().map_or(0, Bytes::len) as u64;
        let mut headers = self.headers.clone();
        if bytes.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(call.content_type));
        }
        if zipped {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        // A path that starts with "//host" or "scheme:" must not lead to another host.
        let path = format!("./{}", call.path.trim_start_matches('/'));
        let timeout = call.timeout.unwrap_or(timeout);
        let answer = self
            .transport
            .send(call.method, &path, headers, Some(&call.query[..]), bytes, Some(timeout))
            .await;
        let outcome = match answer {
            Ok(response) => self.read(call, response, sent, timeout).await,
            Err(error) => Err(transport_error(&error, timeout)),
        };
        outcome.map_err(|error| error.with_operation(call.to_string()).with_host(&self.name))
    }

    async fn read(&self, call: &Call<'_>, response: Response, sent: u64, timeout: Duration) -> Result<Reply> {
        let status = response.status_code().as_u16();
        if !response.url().as_str().starts_with(&self.name) {
            return Err(ClientError::foreign(
                "the host redirects to another address; give that address instead",
            )
            .with_status(status)
            .with_maybe_done(true));
        }
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (product, retry_after) = (header("x-elastic-product"), header("retry-after"));
        let body =
            response.bytes().await.map_err(|error| transport_error(&error, timeout).with_maybe_done(true))?;
        if (200..300).contains(&status) {
            let operation = call.to_string();
            return Ok(Reply { status, body, sent, product, operation, host: self.name.clone() });
        }
        let wait = retry_after.and_then(|value| parse_retry_after(&value, Utc::now()));
        Err(read_fault(status, &body, call.method == Method::Head).with_retry_after(wait))
    }
}

/// What an error of the transport means. The text never holds more of the address than host and port.
fn transport_error(error: &elasticsearch::Error, timeout: Duration) -> ClientError {
    let http = error.source().and_then(|source| source.downcast_ref::<HttpError>());
    let never_sent = http.is_some_and(|e| e.is_connect() || e.is_builder());
    let cause = innermost(error);
    if error.is_timeout() {
        let reason = format!("no answer within {} s", timeout.as_secs_f64());
        return ClientError::new(ErrorKind::Timeout, reason).with_maybe_done(!never_sent);
    }
    match http {
        Some(http) if http.is_builder() => {
            ClientError::config(format!("the request cannot be sent: {cause}"))
        }
        Some(http) if http.is_decode() => {
            ClientError::bad_answer(format!("the answer cannot be read: {cause}")).with_maybe_done(true)
        }
        Some(_) if never_sent => ClientError::new(ErrorKind::Unreachable, format!("cannot connect: {cause}"))
            .with_maybe_done(false),
        Some(_) => ClientError::new(ErrorKind::Unreachable, format!("the connection broke: {cause}")),
        None => ClientError::config(format!("the request cannot be sent: {cause}")),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_taken_out_of_it() {
        let (url, auth) = parse_address("host", "https://el%40stic:p%3Aw@search.example.org/es").unwrap();
        assert_eq!(url.as_str(), "https://search.example.org/es");
        assert_eq!(auth, Auth::Basic { user: "el@stic".into(), password: "p:w".into() });
    }

    #[test]
    fn a_wrong_address_is_refused_without_showing_a_password() {
        for address in ["localhost:9200", "ftp://u:hunter2@h", "u:hunter2@h:9200", "", "https://h/?a=hunter2"]
        {
            let problem = parse_address("host", address).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
            assert!(problem.contains("expected an address"), "{problem}");
        }
    }

    #[test]
    fn all_problems_of_the_options_are_told_at_once() {
        let mut options = ClientOptions::new(["nonsense", "ftp://x"]).auth(Auth::ApiKey("a b".into()));
        options.ca_certs = Some("/nonexistent/ca.pem".into());
        options.headers = vec![("x y".into(), "1".into())];
        options.request_timeout = Duration::ZERO;
        let Err(error) = hosts(&options) else { panic!("must fail") };
        assert_eq!(error.kind(), ErrorKind::Config);
        for part in ["request_timeout", "header 'x y'", "/nonexistent/ca.pem", "scheme 'ftp'"] {
            assert!(error.reason().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn loopback_is_known_in_all_forms() {
        for (address, expected) in [
            ("http://localhost:9200", true),
            ("http://127.8.9.1", true),
            ("http://[::1]:9200", true),
            ("https://es.localhost", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(address).unwrap()), expected, "{address}");
        }
    }
}
