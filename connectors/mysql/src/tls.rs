//! TLS in the grades that MySQL's clients know.

use mysql_async::{ClientIdentity, Error as MysqlError, SslOpts};
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use tributary_sdk::{Result, tls};

use crate::config::{Encryption, MysqlConfig};
use crate::error::refused;

/// What the driver needs to encrypt.
pub(crate) fn encrypted(config: &MysqlConfig, encryption: Encryption) -> Result<SslOpts> {
    tls::choose_ring();
    let mut options = SslOpts::default();
    match encryption {
        Encryption::VerifyIdentity | Encryption::VerifyCa => {
            let authority = Some(config.ssl_ca.as_str()).filter(|text| !text.trim().is_empty());
            let trusted = tls::trusted("SSL certificate", authority)?;
            options = options.with_root_certs(vec![trusted.into()]).with_disable_built_in_roots(true);
        }
        _ => options = options.with_danger_accept_invalid_certs(true),
    }
    if !config.ssl_cert.trim().is_empty() {
        let certificate = tls::pem("Client certificate", &config.ssl_cert)?;
        let key = tls::pem("Client key", config.ssl_key.reveal())?;
        let identity = ClientIdentity::new(certificate.into_bytes().into(), key.into_bytes().into());
        options = options.with_client_identity(Some(identity));
    }
    Ok(options)
}

/// A name that a certificate holds which was refused for its names alone.
///
/// The driver checks names always. Where any name is good, it is told to expect this one: chain and validity are checked
/// as before.
pub(crate) fn name_of(error: &MysqlError) -> Option<String> {
    match refused(error)? {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            presented.iter().find_map(|shown| name(shown))
        }
        _ => None,
    }
}

/// The name in `DnsName("*.example.org")`, or one that it covers.
fn name(shown: &str) -> Option<String> {
    let (_, name) = shown.split_once('(')?;
    let name = name.strip_suffix(')')?.trim_matches('"').replace('*', "any");
    ServerName::try_from(name.as_str()).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_library_shows_them() {
        let plain = |shown: &str| name(shown);
        assert_eq!(plain("DnsName(\"db.example.org\")").as_deref(), Some("db.example.org"));
        assert_eq!(plain("DnsName(\"*.example.org\")").as_deref(), Some("any.example.org"));
        assert_eq!(plain("IpAddress(10.0.0.1)").as_deref(), Some("10.0.0.1"));
        assert_eq!(plain("DirectoryName"), None);
    }
}
