//! Reading request bodies within limits of size and time.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tributary_tasks::{ByteBudget, BytePermit};

use super::envelope::{ApiError, Result};

/// What is set aside at once for a body of known length; more is added as it arrives.
const FIRST_RESERVE: usize = 1 << 20;

/// Limits for bodies.
#[derive(Debug, Clone)]
pub(crate) struct BodyLimits {
    /// The largest body in bytes, after decompression.
    pub(crate) max_bytes: usize,
    /// The longest pause between two pieces.
    pub(crate) pause: Duration,
    /// Memory for all bodies being read or worked on.
    pub(crate) budget: ByteBudget,
}

/// A body and the share of memory it holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    permit: Option<BytePermit>,
}

impl Held {
    /// The body; its memory counts until the returned guard is dropped.
    pub(crate) fn split(self) -> (Bytes, Option<BytePermit>) {
        (self.bytes, self.permit)
    }
}

fn too_large(limit: usize) -> ApiError {
    let reason = format!("the request body is larger than the limit of [{limit}] bytes (max_body_bytes)");
    ApiError::new(413, "status_exception", reason)
        .header(http::header::CONNECTION, HeaderValue::from_static("close"))
}

fn overloaded() -> ApiError {
    let reason = "too many request bodies are being worked on at this moment; send this one again later";
    ApiError::new(429, "es_rejected_execution_exception", reason)
        .header(http::header::CONNECTION, HeaderValue::from_static("close"))
}

fn cut_off(error: &axum::Error) -> ApiError {
    ApiError::illegal(format!("the request body could not be read: {error}"))
}

/// Reads a body to its end.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limits: &BodyLimits) -> Result<Held> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.max_bytes) {
        return Err(too_large(limits.max_bytes));
    }
    let encoding = Encoding::of(headers)?;
    let raw = collect(body, announced, limits).await?;
    match encoding {
        Encoding::Identity => Ok(raw),
        Encoding::Gzip => inflate(raw, limits).await,
    }
}

enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self> {
        match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim()) {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some(other) => {
                Err(ApiError::text(415, format!("Content-Encoding [{other}] is not supported, use [gzip]")))
            }
        }
    }
}

/// Takes the share for `more` bytes, or refuses.
fn charge(permit: &mut Option<BytePermit>, more: usize, limits: &BodyLimits) -> Result<()> {
    let taken = limits.budget.try_acquire(more).ok_or_else(overloaded)?;
    match permit {
        None => *permit = Some(taken),
        // Both come from the same budget, so they always merge.
        Some(held) => drop(held.merge(taken)),
    }
    Ok(())
}

async fn collect(mut body: Body, announced: Option<usize>, limits: &BodyLimits) -> Result<Held> {
    let mut permit = None;
    if let Some(length) = announced.filter(|length| *length > 0) {
        charge(&mut permit, length, limits)?;
    }
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut length = 0;
    loop {
        let frame = tokio::time::timeout(limits.pause, body.frame()).await.map_err(|_| {
            ApiError::text(
                408,
                format!("no part of the request body arrived for {} s", limits.pause.as_secs()),
            )
            .header(http::header::CONNECTION, HeaderValue::from_static("close"))
        })?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|error| cut_off(&error))?.into_data() else { continue };
        length += data.len();
        if length > limits.max_bytes {
            return Err(too_large(limits.max_bytes));
        }
        if announced.is_none() {
            charge(&mut permit, data.len(), limits)?;
        }
        match first.take() {
            None if joined.is_empty() => first = Some(data),
            Some(start) => {
                joined.reserve(announced.unwrap_or(0).min(FIRST_RESERVE).max(start.len() + data.len()));
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&data);
            }
            None => joined.extend_from_slice(&data),
        }
    }
    let bytes = first.unwrap_or_else(|| joined.freeze());
    Ok(Held { bytes, permit })
}

async fn inflate(raw: Held, limits: &BodyLimits) -> Result<Held> {
    let limit = limits.max_bytes;
    if raw.bytes.is_empty() {
        return Ok(raw);
    }
    let Held { bytes, mut permit } = raw;
    let unpack = move || -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity((bytes.len() * 4).min(limit).min(FIRST_RESERVE));
        let mut reader = MultiGzDecoder::new(&bytes[..]).take(limit as u64 + 1);
        reader.read_to_end(&mut out).map_err(|_| ApiError::illegal("the request body is not valid gzip"))?;
        if out.len() > limit { Err(too_large(limit)) } else { Ok(out) }
    };
    let unpacked = tokio::task::spawn_blocking(unpack)
        .await
        .map_err(|_| ApiError::internal("decompressing the request body failed"))??;
    charge(&mut permit, unpacked.len(), limits)?;
    Ok(Held { bytes: unpacked.into(), permit })
}
