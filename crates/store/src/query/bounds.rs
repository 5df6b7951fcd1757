//! Values of queries as numbers of a field's type.

use serde_json::Value;

use super::ast::Bounds;
use super::parse_value::scalar_text;
use crate::dates::{DateFormats, Zone, resolve_math};
use crate::error::{Cause, ErrorKind, StoreError};
use crate::mapping::{FieldType, Leaf, Storage};

/// A range of numbers, bounds included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NumberRange {
    Int(i128, i128),
    Float(f64, f64),
}

impl NumberRange {
    pub(super) fn as_i64(self) -> Option<(i64, i64)> {
        match self {
            Self::Int(low, high) => {
                let clamp = |n: i128| n.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
                (low <= i64::MAX.into() && high >= i64::MIN.into()).then(|| (clamp(low), clamp(high)))
            }
            Self::Float(low, high) => (low <= i64::MAX as f64 && high >= i64::MIN as f64)
                .then(|| (low.ceil() as i64, high.floor() as i64)),
        }
    }

    pub(super) fn as_u64(self) -> Option<(u64, u64)> {
        match self {
            Self::Int(low, high) => {
                let clamp = |n: i128| n.clamp(0, u64::MAX.into()) as u64;
                (low <= u64::MAX.into() && high >= 0).then(|| (clamp(low), clamp(high)))
            }
            Self::Float(low, high) => {
                (high >= 0.0).then(|| (low.max(0.0).ceil() as u64, high.floor() as u64))
            }
        }
    }

    pub(super) fn as_f64(self) -> Option<(f64, f64)> {
        match self {
            Self::Int(low, high) => Some((low as f64, high as f64)),
            Self::Float(low, high) => Some((low, high)),
        }
    }
}

/// Why a value cannot be used, before the index is named.
pub(super) struct BadValue {
    pub(super) error: StoreError,
}

fn bad(es_type: &str, reason: String) -> BadValue {
    let error = StoreError::new(ErrorKind::QueryShard, format!("failed to create query: {reason}"));
    BadValue { error: error.because(Cause::new(es_type, reason)) }
}

type Fits<T> = Result<T, BadValue>;

/// What date math needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) now_ms: i64,
}

fn bad_date(reason: &str) -> BadValue {
    let reason = format!("{reason}: [{reason}]");
    BadValue {
        error: StoreError::new(ErrorKind::DateParse, reason.clone())
            .because(Cause::new("illegal_argument_exception", reason)),
    }
}

fn date(formats: &DateFormats, value: &Value, clock: Clock, round_up: bool, zone: Zone) -> Fits<i64> {
    let text = scalar_text(value);
    resolve_math(formats, &text, clock.now_ms, round_up, zone).map_err(|reason| bad_date(&reason))
}

fn boolean(value: &Value) -> Fits<i64> {
    match scalar_text(value).as_str() {
        "true" => Ok(1),
        "false" | "" => Ok(0),
        other => Err(bad(
            "illegal_argument_exception",
            format!("Can't parse boolean value [{other}], expected [true] or [false]"),
        )),
    }
}

fn decimal(value: &Value) -> Fits<f64> {
    let text = scalar_text(value);
    text.parse().map_err(|_| bad("number_format_exception", format!("For input string: \"{text}\"")))
}

/// A whole number, or the fraction that was given instead.
fn whole(value: &Value) -> Fits<Result<i128, f64>> {
    let text = scalar_text(value);
    if let Ok(whole) = text.parse::<i128>() {
        return Ok(Ok(whole));
    }
    let fraction = decimal(value)?;
    Ok(if fraction.fract() == 0.0 { Ok(fraction as i128) } else { Err(fraction) })
}

/// The range that holds exactly one value; `None` when no value of the field's type is equal to it.
pub(super) fn exactly(leaf: &Leaf, value: &Value, clock: Clock) -> Fits<Option<NumberRange>> {
    Ok(match leaf.ty {
        FieldType::Boolean => boolean(value).map(|on| Some(NumberRange::Int(on.into(), on.into())))?,
        // A date names all of the unit it is precise to, as Elasticsearch's term query on dates does.
        FieldType::Date | FieldType::DateNanos => {
            let low = date(&leaf.formats, value, clock, false, Zone::default())?;
            let high = date(&leaf.formats, value, clock, true, Zone::default())?;
            Some(NumberRange::Int(low.into(), high.max(low).into()))
        }
        _ if leaf.ty.storage() == Storage::Int => {
            whole(value)?.ok().map(|number| NumberRange::Int(number, number))
        }
        _ => {
            let number = narrowed(leaf, decimal(value)?);
            Some(NumberRange::Float(number, number))
        }
    })
}

fn narrowed(leaf: &Leaf, number: f64) -> f64 {
    match leaf.ty {
        FieldType::Float | FieldType::HalfFloat => f64::from(number as f32),
        FieldType::ScaledFloat => (number * leaf.scaling).round() / leaf.scaling,
        _ => number,
    }
}

/// The numbers between bounds.
pub(super) fn between(leaf: &Leaf, bounds: &Bounds, clock: Clock) -> Fits<NumberRange> {
    if leaf.ty.is_date() {
        return dates(leaf, bounds, clock);
    }
    if leaf.ty == FieldType::Boolean {
        let low = bounds
            .lower
            .as_ref()
            .map_or(Ok(0), |(value, included)| boolean(value).map(|n| n + i64::from(!included)))?;
        let high = bounds
            .upper
            .as_ref()
            .map_or(Ok(1), |(value, included)| boolean(value).map(|n| n - i64::from(!included)))?;
        return Ok(NumberRange::Int(low.into(), high.into()));
    }
    if leaf.ty.storage() == Storage::Int {
        let low = match &bounds.lower {
            None => i128::MIN,
            Some((value, included)) => match whole(value)? {
                Ok(number) => number + i128::from(!included),
                Err(fraction) => fraction.ceil() as i128,
            },
        };
        let high = match &bounds.upper {
            None => i128::MAX,
            Some((value, included)) => match whole(value)? {
                Ok(number) => number - i128::from(!included),
                Err(fraction) => fraction.floor() as i128,
            },
        };
        return Ok(NumberRange::Int(low, high));
    }
    let low = match &bounds.lower {
        None => f64::NEG_INFINITY,
        Some((value, included)) => {
            let number = narrowed(leaf, decimal(value)?);
            if *included { number } else { number.next_up() }
        }
    };
    let high = match &bounds.upper {
        None => f64::INFINITY,
        Some((value, included)) => {
            let number = narrowed(leaf, decimal(value)?);
            if *included { number } else { number.next_down() }
        }
    };
    Ok(NumberRange::Float(low, high))
}

fn dates(leaf: &Leaf, bounds: &Bounds, clock: Clock) -> Fits<NumberRange> {
    let own;
    let formats = match &bounds.format {
        None => &leaf.formats,
        Some(spec) => {
            own =
                DateFormats::parse_spec(spec).map_err(|reason| bad("illegal_argument_exception", reason))?;
            &own
        }
    };
    let zone = match &bounds.time_zone {
        None => Zone::default(),
        Some(zone) => Zone::parse(zone).ok_or_else(|| {
            let reason = format!("the time zone [{zone}] is unknown: give an offset such as +01:00 or a name such as Europe/Berlin");
            bad("illegal_argument_exception", reason)
        })?,
    };
    // An excluded lower bound and an included upper one are rounded up to the end of what was written.
    let low = match &bounds.lower {
        None => i64::MIN,
        Some((value, true)) => date(formats, value, clock, false, zone)?,
        Some((value, false)) => date(formats, value, clock, true, zone)?.saturating_add(1),
    };
    let high = match &bounds.upper {
        None => i64::MAX,
        Some((value, true)) => date(formats, value, clock, true, zone)?,
        Some((value, false)) => date(formats, value, clock, false, zone)?.saturating_sub(1),
    };
    Ok(NumberRange::Int(low.into(), high.into()))
}
