//! HTTPS: the certificate, and reading it again.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::NodeError;
use crate::options::TlsFiles;

/// The certificate that is served.
pub(crate) struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    pub(crate) fn open(files: TlsFiles) -> Result<Self, NodeError> {
        let config = load(&files)?;
        Ok(Self { files, config: RwLock::new(Arc::new(config)) })
    }

    /// Reads the files again, for connections that come. What is wrong with them leaves everything as it was.
    pub(crate) fn reload(&self) -> Result<(), NodeError> {
        let fresh = load(&self.files)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

fn fault(path: &Path, cause: impl Into<String>) -> NodeError {
    NodeError::Tls { path: path.to_owned(), cause: cause.into() }
}

fn load(files: &TlsFiles) -> Result<ServerConfig, NodeError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&files.certificate, error.to_string()))?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => fault(
                &files.key,
                format!("it is not the key of the certificate {}", files.certificate.display()),
            ),
            rustls::Error::InvalidCertificate(why) => {
                fault(&files.certificate, format!("the certificate is not valid ({why:?})"))
            }
            other => fault(&files.key, format!("the key cannot be used ({other})")),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What a PEM file that cannot be read is told as.
fn unreadable(path: &Path, error: &pem::Error) -> NodeError {
    match error {
        pem::Error::Io(error) => fault(path, format!("{error}; name a PEM file that this user may read")),
        other => fault(path, format!("it is no valid PEM file ({other})")),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NodeError> {
    let items = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(path, &error))?;
    let chain: Vec<_> = items.collect::<Result<_, _>>().map_err(|error| unreadable(path, &error))?;
    if chain.is_empty() {
        return Err(fault(path, "it holds no certificate in PEM form"));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, NodeError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            fault(path, "it holds no private key in PEM form (PKCS#8, PKCS#1 or SEC1, not encrypted)")
        }
        other => unreadable(path, &other),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair(dir: &Path, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        TlsFiles { certificate, key }
    }

    #[test]
    fn each_fault_of_the_files_names_the_file_and_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (pair(dir.path(), "one"), pair(dir.path(), "two"));
        assert!(Tls::open(one.clone()).is_ok());
        let empty = dir.path().join("empty");
        fs::write(&empty, "").unwrap();
        let broken = dir.path().join("broken");
        fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").unwrap();
        let missing = dir.path().join("missing");
        let with =
            |certificate: &Path, key: &Path| TlsFiles { certificate: certificate.into(), key: key.into() };
        for (files, named, told) in [
            (with(&missing, &one.key), "missing", "No such file"),
            (with(&one.certificate, &missing), "missing", "No such file"),
            (with(dir.path(), &one.key), "", "cannot use"),
            (with(&empty, &one.key), "empty", "no certificate"),
            (with(&broken, &one.key), "broken", "no valid PEM"),
            (with(&one.certificate, &empty), "empty", "no private key"),
            (with(&one.certificate, &one.certificate), "one.crt", "no private key"),
            (with(&one.certificate, &two.key), "two.key", "is not the key of the certificate"),
        ] {
            let Err(error) = Tls::open(files) else { panic!("{named} {told}") };
            let error = error.to_string();
            assert!(error.contains(named) && error.contains(told) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_bad_file_at_a_reload_leaves_the_certificate_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let files = pair(dir.path(), "one");
        let tls = Tls::open(files.clone()).unwrap();
        fs::write(&files.key, "").unwrap();
        assert!(tls.reload().is_err());
        drop(tls.acceptor());
        pair(dir.path(), "one");
        tls.reload().unwrap();
    }
}
