//! Reading request bodies within limits of size and time.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tributary_tasks::{ByteBudget, BytePermit};

use super::envelope::{ApiError, Result};

/// What is set aside at once; more is added as the body arrives. A client that announces much and sends nothing takes
/// no memory from others.
const RESERVE: usize = 64 << 10;
/// The least bytes a second with which a body may come, beside one pause.
const LEAST_RATE: u64 = 1024;

/// How long a body that is refused may go on.
const DRAIN: Duration = Duration::from_secs(3);

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
    let reason = format!(
        "the request body is larger than the limit of [{limit}] bytes (tributary.node.max_body_size)"
    );
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
pub(crate) async fn read(headers: &HeaderMap, body: &mut Body, limits: &BodyLimits) -> Result<Held> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.max_bytes) {
        return Err(too_large(limits.max_bytes));
    }
    let encoding = Encoding::of(headers)?;
    let raw = collect(body, announced, limits).await?;
    match encoding {
        Encoding::Identity => Ok(raw),
        packed => inflate(raw, packed, limits).await,
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self> {
        match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim()) {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some("gzip" | "x-gzip") => Ok(Self::Gzip),
            Some("deflate" | "x-deflate") => Ok(Self::Deflate),
            Some(other) => Err(ApiError::text(
                415,
                format!("Content-Encoding [{other}] is not supported, use [gzip] or [deflate]"),
            )),
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

fn too_slow(limits: &BodyLimits) -> ApiError {
    let reason = format!(
        "the request body came too slowly: nothing for {} s, or less than {LEAST_RATE} bytes a second",
        limits.pause.as_secs()
    );
    ApiError::text(408, reason).header(http::header::CONNECTION, HeaderValue::from_static("close"))
}

/// When a body must have come further than to `length`.
fn deadline(begun: Instant, length: usize, limits: &BodyLimits) -> Instant {
    let whole = begun + limits.pause + Duration::from_secs(length as u64 / LEAST_RATE);
    whole.min(Instant::now() + limits.pause)
}

async fn collect(body: &mut Body, announced: Option<usize>, limits: &BodyLimits) -> Result<Held> {
    let begun = Instant::now();
    let (mut permit, mut reserved) = (None, 0);
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    let mut length = 0;
    loop {
        let frame = tokio::time::timeout_at(deadline(begun, length, limits), body.frame());
        let Some(frame) = frame.await.map_err(|_| too_slow(limits))? else { break };
        let Ok(data) = frame.map_err(|error| cut_off(&error))?.into_data() else { continue };
        length += data.len();
        if length > limits.max_bytes {
            return Err(too_large(limits.max_bytes));
        }
        if length > reserved {
            let rest = announced.unwrap_or(length).max(length) - reserved;
            let more = rest.min(RESERVE.max(length - reserved));
            charge(&mut permit, more, limits)?;
            reserved += more;
        }
        match first.take() {
            None if joined.is_empty() => first = Some(data),
            Some(start) => {
                joined.reserve(announced.unwrap_or(0).min(RESERVE).max(start.len() + data.len()));
                joined.extend_from_slice(&start);
                joined.extend_from_slice(&data);
            }
            None => joined.extend_from_slice(&data),
        }
    }
    let bytes = first.unwrap_or_else(|| joined.freeze());
    Ok(Held { bytes, permit })
}

async fn inflate(raw: Held, encoding: Encoding, limits: &BodyLimits) -> Result<Held> {
    if raw.bytes.is_empty() {
        return Ok(raw);
    }
    let limits = limits.clone();
    tokio::task::spawn_blocking(move || unpack(raw, encoding, &limits))
        .await
        .map_err(|_| ApiError::internal("decompressing the request body failed"))?
}

/// Memory is taken piece by piece: a few bytes may become very many.
fn unpack(raw: Held, encoding: Encoding, limits: &BodyLimits) -> Result<Held> {
    let Held { bytes, mut permit } = raw;
    let mut out = Vec::new();
    let (mut reader, name): (Box<dyn Read>, _) = match encoding {
        Encoding::Deflate => (Box::new(ZlibDecoder::new(&bytes[..])), "deflate"),
        _ => (Box::new(MultiGzDecoder::new(&bytes[..])), "gzip"),
    };
    loop {
        charge(&mut permit, RESERVE, limits)?;
        let read = reader.by_ref().take(RESERVE as u64).read_to_end(&mut out);
        let read = read.map_err(|_| ApiError::illegal(format!("the request body is not valid {name}")))?;
        if out.len() > limits.max_bytes {
            return Err(too_large(limits.max_bytes));
        }
        if read == 0 {
            return Ok(Held { bytes: out.into(), permit });
        }
    }
}

/// Reads what is left of a body that is refused, for a while: a client that is cut off while it sends does not see why.
pub(crate) async fn drain(mut body: Body) {
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _in_time = tokio::time::timeout(DRAIN, reading).await;
}
