//! What sources with encrypted connections share: certificates as people paste them, and whom to trust.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::{Error, ErrorKind, Result};

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Characters in a line of a PEM text.
const LINE: usize = 64;

/// Mends a PEM text whose line breaks became blanks (or the two characters `\n`), as happens in forms of one line.
/// `what` names it in errors; the text itself is never shown.
///
/// # Errors
/// [`ErrorKind::Config`] when there is no complete block in it.
pub fn pem(what: &str, text: &str) -> Result<String> {
    let text = text.replace("\\r", " ").replace("\\n", " ");
    let mut rest = text.as_str();
    let mut mended = String::with_capacity(text.len());
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let block = begun.split_once(DASHES).and_then(|(label, after)| {
            let (body, after) = after.split_once(&format!("-----END {label}-----"))?;
            Some((label, body, after))
        });
        let Some((label, body, after)) = block else { break };
        append(&mut mended, label, body);
        rest = after;
    }
    if mended.is_empty() || rest.contains(BEGIN) {
        return Err(Error::new(ErrorKind::Config, format!("'{what}' is no complete PEM text"))
            .hint("paste the whole block, from -----BEGIN …----- to -----END …-----"));
    }
    Ok(mended)
}

fn append(mended: &mut String, label: &str, body: &str) {
    let body: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
    mended.push_str(BEGIN);
    mended.push_str(label);
    mended.push_str("-----\n");
    for line in body.chunks(LINE) {
        mended.extend(line);
        mended.push('\n');
    }
    mended.push_str("-----END ");
    mended.push_str(label);
    mended.push_str("-----\n");
}

/// The certificates to trust, as one PEM text: those of this machine, and those of `authority` (a PEM text) if there
/// is one. `what` names the latter in errors.
///
/// # Errors
/// [`ErrorKind::Config`] when `authority` holds no certificate, or nothing is trusted at all.
pub fn trusted(what: &str, authority: Option<&str>) -> Result<Vec<u8>> {
    let mut trusted = String::new();
    // Those that cannot be used are left out: one odd certificate of the machine must not close every connection.
    let machine = rustls_native_certs::load_native_certs();
    for certificate in machine.certs.iter().filter(|certificate| is_usable(certificate)) {
        append(&mut trusted, "CERTIFICATE", &BASE64_STANDARD.encode(certificate));
    }
    if let Some(authority) = authority {
        for certificate in authorities(what, authority)? {
            append(&mut trusted, "CERTIFICATE", &BASE64_STANDARD.encode(certificate));
        }
    }
    if trusted.is_empty() {
        return Err(Error::new(ErrorKind::Config, "this machine trusts no certificate authority")
            .hint(format!("install the package ca-certificates, or set '{what}'")));
    }
    Ok(trusted.into_bytes())
}

fn authorities(what: &str, text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let refused = |why: &str| Error::new(ErrorKind::Config, format!("'{what}' {why}"));
    let text = pem(what, text)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = found.map_err(|error| refused("holds a certificate that cannot be read").because(error))?;
    if found.is_empty() {
        return Err(refused("holds no certificate")
            .hint("expected a block that begins with -----BEGIN CERTIFICATE-----"));
    }
    if !found.iter().all(is_usable) {
        return Err(refused("holds a certificate that is no X.509 certificate"));
    }
    Ok(found)
}

fn is_usable(certificate: &CertificateDer<'static>) -> bool {
    RootCertStore::empty().add(certificate.clone()).is_ok()
}

/// Makes ring the library for cryptography of all that do not choose one. Call it before the first encrypted
/// connection of a driver that takes the process's choice.
pub fn choose_ring() {
    // Another choice made before counts.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_that_became_blanks_come_back() {
        let body = "QUJD".repeat(20);
        let expected = format!(
            "-----BEGIN EC PRIVATE KEY-----\n{}\n{}\n-----END EC PRIVATE KEY-----\n",
            &body[..64],
            &body[64..]
        );
        let (a, b) = body.split_at(30);
        for text in [
            format!("-----BEGIN EC PRIVATE KEY----- {a} {b} -----END EC PRIVATE KEY-----"),
            format!("-----BEGIN EC PRIVATE KEY-----\\n{a}\\n{b}\\n-----END EC PRIVATE KEY-----\\n"),
            format!("\n-----BEGIN EC PRIVATE KEY-----\r\n{a}{b}\r\n-----END EC PRIVATE KEY-----"),
            expected.clone(),
        ] {
            assert_eq!(pem("Key", &text).unwrap(), expected, "{text}");
        }
        assert_eq!(pem("Key", &expected.repeat(2)).unwrap(), expected.repeat(2), "chains stay chains");
    }

    #[test]
    fn what_is_no_certificate_is_refused_and_not_shown() {
        for text in ["secret", "-----BEGIN X----- secret", "-----BEGIN X----- secret -----END Y-----"] {
            let error = pem("Key", text).unwrap_err();
            assert!(error.report().contains("'Key'") && !error.report().contains("secret"), "{error:?}");
        }
        for text in [
            "-----BEGIN PRIVATE KEY-----QUJD-----END PRIVATE KEY-----",
            "-----BEGIN CERTIFICATE-----QUJD-----END CERTIFICATE-----",
        ] {
            assert_eq!(trusted("CA", Some(text)).unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
