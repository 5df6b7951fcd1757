//! HTTPS, and users of a file, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kit::basic;
use kit::live::{Live, Wire, request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tributary_node::{Password, TlsFiles, UserFile};

/// Writes a certificate for `localhost` and its key; replaces those that are there.
fn certificate(dir: &Path) -> TlsFiles {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: dir.join("node.crt"), key: dir.join("node.key") };
    fs::write(&files.certificate, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

/// A client that trusts what the file holds now.
fn trusting(files: &TlsFiles) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth()).into()
}

/// One request over TLS; the answer as it came.
async fn secured(client: &TlsConnector, live: &Live, headers: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(live.address()).await?;
    let mut stream = client.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    let headers = format!("Connection: close\r\n{headers}");
    stream.write_all(&request("GET", "/", &headers, b"")).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn https_is_served_and_a_new_certificate_is_taken_over_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path());
    let old = trusting(&files);
    let live = Live::start(|options| options.tls = Some(files.clone())).await;
    assert!(live.running.has_tls());
    let answer = secured(&old, &live, "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("You Know, for Search"), "{answer}");

    certificate(dir.path());
    let new = trusting(&files);
    assert!(secured(&new, &live, "").await.is_err(), "the certificate is not read by itself");
    assert_eq!(live.running.reload().now().len(), 0);
    assert!(secured(&new, &live, "").await.is_ok());
    assert!(secured(&old, &live, "").await.is_err());

    fs::write(&files.key, "nothing").unwrap();
    let told = live.running.reload().now();
    assert!(told.len() == 1 && told[0].to_string().contains("node.key"), "{told:?}");
    assert!(secured(&new, &live, "").await.is_ok(), "a bad file changes nothing");
    live.stop().await;
}

#[tokio::test]
async fn who_speaks_plain_http_to_an_https_port_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path());
    let live = Live::start(|options| options.tls = Some(files.clone())).await;
    let mut wire = live.connect().await;
    wire.send(&request("GET", "/", "", b"")).await.unwrap();
    let (status, _, body) = wire.answer().await.unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(status == 400 && body.contains("https://") && body.ends_with("\r\n"), "{status} {body}");
    assert_eq!(wire.closed().await, b"");
    let mut noise = live.connect().await;
    noise.send(b"\x80\x01 this is no handshake at all").await.unwrap();
    noise.closed().await;
    assert!(secured(&trusting(&files), &live, "").await.is_ok());
    live.stop().await;
}

/// The status of a call with this `Authorization`, and its header.
async fn status(live: &Live, auth: &str) -> (u16, String) {
    let mut wire: Wire = live.connect().await;
    wire.send(&request("GET", "/", &format!("Authorization: {auth}\r\n"), b"")).await.unwrap();
    let (status, header, _) = wire.answer().await.unwrap();
    (status, header)
}

#[tokio::test]
async fn users_of_the_file_are_let_in_also_in_a_crowd() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    UserFile::new(&path).set("ann", &Password::new("first-secret")).unwrap();
    let live = Live::start(|options| options.security.users_file = Some(path.clone())).await;
    assert!(live.running.authenticates());
    let (refused, header) = status(&live, &basic("ann", "wrong-secret")).await;
    assert_eq!(refused, 401);
    assert!(header.contains("www-authenticate: basic realm=\"security\", charset=\"utf-8\""), "{header}");
    assert!(header.contains("www-authenticate: apikey"), "{header}");
    let calls = (0..100).map(|number| {
        let live = &live;
        async move {
            let password = if number % 10 == 0 { "wrong-secret" } else { "first-secret" };
            (number % 10 == 0, status(live, &basic("ann", password)).await.0)
        }
    });
    for (wrong, status) in futures::future::join_all(calls).await {
        assert_eq!(status, if wrong { 401 } else { 200 });
    }
    UserFile::new(&path).set("bob", &Password::new("other-secret")).unwrap();
    assert_eq!(status(&live, &basic("bob", "other-secret")).await.0, 401);
    assert!(live.running.reload().now().is_empty());
    assert_eq!(status(&live, &basic("bob", "other-secret")).await.0, 200);
    live.stop().await;
}

#[tokio::test]
async fn other_than_loopback_needs_a_user() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = tributary_node::NodeOptions::new(dir.path()).listen(([0, 0, 0, 0], 0).into());
    options.security.own = Some(tributary_node::User::new("_own", "own-secret"));
    let error = options.check().unwrap_err().to_string();
    assert!(error.contains("0.0.0.0:0") && error.contains("add a user"), "{error}");
    options.security.users_file = Some(dir.path().join("users"));
    assert!(options.check().is_err());
    UserFile::new(dir.path().join("users")).set("ann", &Password::new("first-secret")).unwrap();
    options.check().unwrap();
}
