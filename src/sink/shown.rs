//! Encoded values as people read them: the text with which the server answers when it is asked for them.

use jiff::tz::TimeZone;

use super::csv;
use crate::table::Kind;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Seconds from 1970-01-01 to 2000-01-01, from which on the server counts.
const SECONDS_TO_2000: i64 = 946_684_800;
/// Powers of ten from which on the server writes an exponent: the digits that a type has for certain.
const REAL_POWER_END: i32 = 6;
const DOUBLE_POWER_END: i32 = 15;
const POWER_START: i32 = -4;

/// The text of a value that is no NULL; moments in `zone`.
pub fn value_text(kind: Kind, bytes: &[u8], zone: &TimeZone) -> String {
    let mut out = Vec::new();
    match kind {
        Kind::Bool => return (bytes == [1]).to_string(),
        Kind::Jsonb => out.extend_from_slice(bytes.get(1..).unwrap_or_default()),
        Kind::Float4 => {
            let value = f32::from_be_bytes(csv::fixed(bytes));
            return float(&format!("{value}"), &format!("{value:e}"), REAL_POWER_END);
        }
        Kind::Float8 => {
            let value = f64::from_be_bytes(csv::fixed(bytes));
            return float(&format!("{value}"), &format!("{value:e}"), DOUBLE_POWER_END);
        }
        Kind::Numeric { limits } => {
            csv::append_numeric(bytes, &mut out);
            fill_places(limits, &mut out);
        }
        Kind::Timestamptz { .. } => return moment(i64::from_be_bytes(csv::fixed(bytes)), zone),
        Kind::Uuid => {
            csv::append_text(kind, bytes, &mut out);
            for at in [8, 13, 18, 23] {
                out.splice(at.min(out.len())..at.min(out.len()), *b"-");
            }
        }
        kind => csv::append_text(kind, bytes, &mut out),
    }
    let text = String::from_utf8_lossy(&out).into_owned();
    if matches!(kind, Kind::Timestamp { .. } | Kind::Time { .. }) { without_zeros(&text) } else { text }
}

fn float(plain: &str, exponential: &str, power_end: i32) -> String {
    match exponential.split_once('e').map(|(digits, power)| (digits, power.parse::<i32>())) {
        Some((digits, Ok(power))) if !(POWER_START..power_end).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
        // Infinite, or no number at all: `-inf`, `NaN`.
        None => plain.replace("inf", "Infinity"),
        Some(_) => plain.to_owned(),
    }
}

/// The column's decimal places, which the server fills up.
fn fill_places(limits: Option<(u16, i16)>, text: &mut Vec<u8>) {
    let places = limits.and_then(|(_, places)| usize::try_from(places).ok()).unwrap_or(0);
    if places == 0 || text.as_slice() == b"NaN" {
        return;
    }
    let there = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => text.len() - at - 1,
        None => {
            text.push(b'.');
            0
        }
    };
    text.extend(std::iter::repeat_n(b'0', places.saturating_sub(there)));
}

fn moment(micros: i64, zone: &TimeZone) -> String {
    let seconds = micros.div_euclid(MICROS_PER_SECOND).saturating_add(SECONDS_TO_2000);
    // Years that the zones do not know, and the infinities, are shown as they are kept.
    let east = jiff::Timestamp::from_second(seconds).map_or(0, |at| zone.to_offset(at).seconds());
    let mut out = Vec::new();
    let (sign, size) = (if east < 0 { '-' } else { '+' }, east.unsigned_abs());
    let mut suffix = format!("{sign}{:02}", size / 3600);
    for part in [size / 60 % 60, size % 60] {
        if part > 0 || size % 60 > 0 {
            suffix.push_str(&format!(":{part:02}"));
        }
    }
    let is_finite = micros != i64::MAX && micros != i64::MIN;
    let shifted = if is_finite {
        micros.saturating_add(i64::from(east).saturating_mul(MICROS_PER_SECOND))
    } else {
        micros
    };
    // Writing to a Vec cannot fail.
    let _ = csv::append_moment(shifted, "", &mut out);
    let text = without_zeros(&String::from_utf8_lossy(&out));
    match text.strip_suffix(" BC") {
        _ if !is_finite => text,
        Some(text) => format!("{}{suffix} BC", without_zeros(text)),
        None => format!("{text}{suffix}"),
    }
}

/// Of a time with a fraction; every one has six digits.
fn without_zeros(text: &str) -> String {
    let (text, era) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
    let kept = if text.contains('.') { text.trim_end_matches('0') } else { text };
    format!("{kept}{era}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind, bytes: &[u8]) -> String {
        value_text(kind, bytes, &TimeZone::UTC)
    }

    #[test]
    fn floats_are_as_the_server_writes_them() {
        let double = |value: f64| text(Kind::Float8, &value.to_be_bytes());
        for (value, shown) in [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (100.0, "100"),
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (1e15, "1e+15"),
            (123_456_789_012_345.0, "123456789012345"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(double(value), shown);
        }
        for (value, shown) in [
            (0.1_f32, "0.1"),
            (1e-4, "0.0001"),
            (1e6, "1e+06"),
            (999_999.0, "999999"),
            (123_456_790.0, "1.2345679e+08"),
        ] {
            assert_eq!(text(Kind::Float4, &value.to_be_bytes()), shown);
        }
    }

    #[test]
    fn numerics_have_the_places_of_their_column() {
        let numeric = |places: Option<i16>, words: &[u16]| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            text(Kind::Numeric { limits: places.map(|places| (18, places)) }, &bytes)
        };
        assert_eq!(numeric(Some(2), &[1, 0, 0, 0, 12]), "12.00");
        assert_eq!(numeric(Some(4), &[2, 0, 0, 1, 1, 5000]), "1.5000");
        assert_eq!(numeric(Some(0), &[1, 0, 0, 0, 12]), "12");
        assert_eq!(numeric(None, &[2, 0, 0, 1, 1, 5000]), "1.5");
        assert_eq!(numeric(Some(2), &[0, 0, 0xC000, 0]), "NaN");
    }

    #[test]
    fn moments_are_in_the_zone_that_is_set() {
        let moment = |micros: i64, zone: &str| {
            let zone = TimeZone::get(zone).expect("a zone");
            value_text(Kind::Timestamptz { digits: 6 }, &micros.to_be_bytes(), &zone)
        };
        assert_eq!(moment(0, "UTC"), "2000-01-01 00:00:00+00");
        assert_eq!(moment(500_000, "Asia/Tokyo"), "2000-01-01 09:00:00.5+09");
        assert_eq!(moment(-1, "America/St_Johns"), "1999-12-31 20:29:59.999999-03:30");
        assert_eq!(moment(i64::MAX, "Asia/Tokyo"), "infinity");
        let timestamp = |micros: i64| text(Kind::Timestamp { digits: 6 }, &micros.to_be_bytes());
        assert_eq!(timestamp(1_230_000), "2000-01-01 00:00:01.23");
        assert_eq!(timestamp(60_000_000), "2000-01-01 00:01:00");
        let old = -70_000_000_000 * MICROS_PER_SECOND;
        assert!(moment(old, "UTC").ends_with("+00 BC"));
    }

    #[test]
    fn other_values_are_as_a_client_shows_them() {
        let uuid = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        assert_eq!(text(Kind::Uuid, &uuid), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(text(Kind::Bool, &[1]), "true");
        assert_eq!(text(Kind::Jsonb, b"\x01{}"), "{}");
        assert_eq!(text(Kind::Bytea, b"\x00\xff"), "\\x00ff");
        assert_eq!(text(Kind::Text, "語".as_bytes()), "語");
    }
}
