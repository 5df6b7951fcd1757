//! Durations and sizes as people write them.

use std::time::Duration;

/// The longest duration that is accepted: ten years. Longer ones are slips, and sums of them overflow clocks.
const LONGEST: f64 = 10.0 * 366.0 * 86_400.0;

/// A number of seconds, or a number with a unit: `ms`, `s`, `m`, `h`, `d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "s" | "sec" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Some(number * factor).filter(|seconds| (0.0..=LONGEST).contains(seconds)).map(Duration::from_secs_f64)
}

/// A number of `unit` bytes, or a number with a unit: `b`, `kb`, `mb`, `gb` (powers of 1024, also as `kib` and so on).
pub(crate) fn size(text: &str, unit_bytes: u64) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit.strip_suffix("ib").map(|prefix| format!("{prefix}b")).as_deref().unwrap_or(unit) {
        "" => unit_bytes,
        "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    // Up to 2^53 a float is exact to the byte, and 8 PiB are more than any setting here means.
    let bytes = (number * factor as f64).round();
    (0.0..=9_007_199_254_740_992.0).contains(&bytes).then_some(bytes as u64)
}

/// A duration in the shortest of the forms that `duration` reads.
pub(crate) fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if !ms.is_multiple_of(1000) => format!("{ms}ms"),
        _ if !ms.is_multiple_of(60_000) => format!("{}s", ms / 1000),
        _ if !ms.is_multiple_of(3_600_000) => format!("{}m", ms / 60_000),
        _ => format!("{}h", ms / 3_600_000),
    }
}

fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_carry_a_unit() {
        for (text, ms) in [
            ("0", 0),
            ("30", 30_000),
            ("0.5", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("250ms", 250),
            ("1.5 h", 5_400_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1", "1e3", "5 weeks", "1..2", "999999999999", "inf", "NaN"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_in_their_key_s_unit_or_carry_one() {
        for (text, bytes) in [
            ("3", 3 << 20),
            ("3mb", 3 << 20),
            ("3 MiB", 3 << 20),
            ("0.5", 512 << 10),
            ("10b", 10),
            ("2gb", 2 << 30),
        ] {
            assert_eq!(size(&text.to_lowercase(), 1 << 20), Some(bytes), "{text}");
        }
        for text in ["-1", "mb", "3 miles", "99999999999999999999"] {
            assert_eq!(size(text, 1), None, "{text}");
        }
    }

    #[test]
    fn a_shown_duration_reads_back() {
        for ms in [0, 1, 999, 1000, 90_000, 3_600_000, 300_000] {
            let value = Duration::from_millis(ms);
            assert_eq!(duration(&show(value)), Some(value));
        }
    }
}
