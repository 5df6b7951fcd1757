//! Answers as gzip, for clients that take it. As with Elasticsearch only without TLS: the length of what is compressed
//! tells something about it.

use std::io::{self, Write};

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::BodyExt;

/// The level of Elasticsearch's `http.compression_level`.
const LEVEL: u32 = 3;
/// Larger answers are compressed beside the threads that serve connections.
const SMALL: usize = 64 << 10;

/// Whether a client takes gzip: `gzip` or `*`, unless with a weight of zero.
pub(super) fn wanted(method: &Method, headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weight = |item: &str| -> f32 {
        let weight = item.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
        weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0))
    };
    let (mut gzip, mut any) = (None, None);
    for item in named.flat_map(|value| value.split(',')).map(str::trim) {
        match item.split(';').next().unwrap_or_default().trim() {
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                gzip = Some(weight(item));
            }
            "*" => any = Some(weight(item)),
            _ => {}
        }
    }
    *method != Method::HEAD && gzip.or(any).is_some_and(|weight| weight > 0.0)
}

/// The answer with its body compressed; one without content stays as it is.
pub(super) async fn compress(response: Response<Body>) -> io::Result<Response<Body>> {
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if bytes.is_empty() || parts.headers.contains_key(CONTENT_ENCODING) {
        return Ok(Response::from_parts(parts, Body::from(bytes)));
    }
    let packed = if bytes.len() <= SMALL {
        gzip(&bytes)?
    } else {
        tokio::task::spawn_blocking(move || gzip(&bytes)).await.map_err(io::Error::other)??
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(Response::from_parts(parts, Body::from(packed)))
}

fn gzip(bytes: &Bytes) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(LEVEL));
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_whom_it_suits() {
        let table = [
            ("", false),
            ("gzip", true),
            ("gzip, deflate", true),
            ("deflate, br;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("br", false),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
            assert_eq!(wanted(&Method::GET, &headers), expected, "{value}");
            assert!(!wanted(&Method::HEAD, &headers), "{value}");
        }
        assert!(!wanted(&Method::GET, &HeaderMap::new()));
    }
}
