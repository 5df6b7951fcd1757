//! TLS over rustls, in the grades that libpq knows.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tributary_sdk::{Error, ErrorKind, Result, tls};

use crate::config::{PostgresqlConfig, SslMode};

/// The TLS side of a connection; `None` when it is never encrypted.
pub(crate) fn client(config: &PostgresqlConfig) -> Result<Option<Tls>> {
    let mode = config.encryption();
    if mode == SslMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong =
        |what: &str, error: rustls::Error| Error::new(ErrorKind::Config, what.to_owned()).because(error);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS cannot be set up", error))?;
    let checks = match mode {
        SslMode::VerifyFull | SslMode::VerifyCa => Some(verifier(&config.ssl_ca, &provider)?),
        _ => None,
    };
    let checker = Arc::new(Checker { provider, checks, any_name: mode == SslMode::VerifyCa });
    let builder = builder.dangerous().with_custom_certificate_verifier(checker);
    let tls = if config.ssl_cert.trim().is_empty() {
        builder.with_no_client_auth()
    } else {
        let (chain, key) = client_certificate(config)?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| wrong("'Client certificate' and 'Client key' do not fit together", error))?
    };
    Ok(Some(Tls(Arc::new(tls))))
}

fn verifier(authority: &str, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let trusted = tls::trusted("SSL certificate", Some(authority).filter(|text| !text.trim().is_empty()))?;
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::pem_slice_iter(&trusted).filter_map(Result::ok);
    let (_added, _ignored) = roots.add_parsable_certificates(trusted);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().map_err(
        |error| {
            Error::new(
                ErrorKind::Config,
                "no authority is known that could have signed the server's certificate",
            )
            .hint("give the authority's certificate in 'SSL certificate'")
            .because(error)
        },
    )
}

fn certificates(label: &str, text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let text = tls::pem(label, text)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::new(ErrorKind::Config, format!("'{label}' holds no certificate in PEM form"))),
        Err(error) => {
            Err(Error::new(ErrorKind::Config, format!("'{label}' is not in PEM form")).because(error))
        }
    }
}

fn client_certificate(
    config: &PostgresqlConfig,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates("Client certificate", &config.ssl_cert)?;
    let key = tls::pem("Client key", config.ssl_key.reveal())?;
    // The cause could show parts of the key.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| Error::new(ErrorKind::Config, "'Client key' holds no private key in PEM form"))?;
    Ok((chain, key))
}

/// Checks as much of the server's certificate as the mode asks for.
#[derive(Debug)]
struct Checker {
    provider: Arc<CryptoProvider>,
    checks: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
}

impl ServerCertVerifier for Checker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(checks) = &self.checks else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last, after chain and validity.
        match checks.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes TLS connections for the database client.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl MakeTlsConnect<TcpOrSocket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Handshake, Self::Error> {
        let name = ServerName::try_from(domain.to_owned())?;
        Ok(Handshake { config: Arc::clone(&self.0), name })
    }
}

/// The stream that the database client opens.
pub(crate) type TcpOrSocket = tokio_postgres::Socket;

/// One handshake to be made.
pub(crate) struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsConnect<TcpOrSocket> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: TcpOrSocket) -> Self::Future {
        let connector = tokio_rustls::TlsConnector::from(self.config);
        let connecting = connector.connect(self.name, stream);
        Box::pin(async move { Ok(Encrypted(Box::new(connecting.await?))) })
    }
}

/// An encrypted connection.
pub(crate) struct Encrypted(Box<tokio_rustls::client::TlsStream<TcpOrSocket>>);

impl tokio_postgres::tls::TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
