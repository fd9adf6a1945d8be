//! Encoded values as CSV text, for the COPY that takes nothing else.
//!
//! The text is the one that a server set to ISO dates reads back as the same value, whatever its settings: moments
//! carry their offset, floats all their digits.

use std::io::Write as _;

use crate::calendar::date_of;
use crate::table::Kind;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Appends a row. NULL is an unquoted empty field; texts are always quoted, so that an empty one is no NULL.
pub(super) fn append_row<'a>(
    kinds: &[Kind],
    fields: impl Iterator<Item = Option<&'a [u8]>>,
    out: &mut Vec<u8>,
) {
    for (at, (kind, field)) in kinds.iter().zip(fields).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let Some(bytes) = field else { continue };
        match kind {
            Kind::Text | Kind::Varchar { .. } | Kind::Char { .. } | Kind::Json | Kind::Other => {
                append_quoted(bytes, out);
            }
            // The first byte is the format's version.
            Kind::Jsonb => append_quoted(bytes.get(1..).unwrap_or_default(), out),
            kind => append_plain(*kind, bytes, out),
        }
    }
    out.push(b'\n');
}

/// Appends the text of a value that is no NULL, unquoted.
pub(super) fn append_text(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Text | Kind::Varchar { .. } | Kind::Char { .. } | Kind::Json | Kind::Other => {
            out.extend_from_slice(bytes);
        }
        kind => append_plain(kind, bytes, out),
    }
}

fn append_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn append_plain(kind: Kind, bytes: &[u8], out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = match kind {
        Kind::Bool => write!(out, "{}", if bytes == [1] { 't' } else { 'f' }),
        Kind::Int2 => write!(out, "{}", i16::from_be_bytes(fixed(bytes))),
        Kind::Int4 => write!(out, "{}", i32::from_be_bytes(fixed(bytes))),
        Kind::Int8 => write!(out, "{}", i64::from_be_bytes(fixed(bytes))),
        Kind::Float4 => append_float(f64::from(f32::from_be_bytes(fixed(bytes))), &f32_text(bytes), out),
        Kind::Float8 => {
            let value = f64::from_be_bytes(fixed(bytes));
            append_float(value, &format!("{value:e}"), out)
        }
        Kind::Numeric { .. } => {
            append_numeric(bytes, out);
            Ok(())
        }
        Kind::Date => append_date(i64::from(i32::from_be_bytes(fixed(bytes))), out),
        Kind::Time { .. } => append_time(i64::from_be_bytes(fixed(bytes)), out),
        Kind::Timestamp { .. } => append_moment(i64::from_be_bytes(fixed(bytes)), "", out),
        Kind::Timestamptz { .. } => append_moment(i64::from_be_bytes(fixed(bytes)), "+00", out),
        Kind::Uuid => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        Kind::Bytea => {
            out.extend_from_slice(br"\x");
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
        Kind::Text | Kind::Varchar { .. } | Kind::Char { .. } | Kind::Json | Kind::Jsonb | Kind::Other => {
            Ok(())
        }
    };
}

/// The encoder wrote these bytes: they are as many as the type has.
pub(super) fn fixed<const WIDTH: usize>(bytes: &[u8]) -> [u8; WIDTH] {
    bytes.first_chunk().copied().unwrap_or([0; WIDTH])
}

fn f32_text(bytes: &[u8]) -> String {
    format!("{:e}", f32::from_be_bytes(fixed(bytes)))
}

fn append_float(value: f64, digits: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}Infinity", if value < 0.0 { "-" } else { "" })
    } else {
        // The shortest digits that read back as the same number.
        write!(out, "{digits}")
    }
}

/// A count of groups, the weight of the first, sign, decimal places, then groups of four digits.
pub(super) fn append_numeric(bytes: &[u8], out: &mut Vec<u8>) {
    let word = |at: usize| u16::from_be_bytes(fixed(bytes.get(at * 2..).unwrap_or_default()));
    let (count, weight, sign, scale) =
        (i64::from(word(0)), i64::from(word(1).cast_signed()), word(2), word(3));
    match sign {
        0xC000 => return out.extend_from_slice(b"NaN"),
        0x4000 => out.push(b'-'),
        _ => {}
    }
    let group = |index: i64| {
        let is_there = (0..count).contains(&index);
        usize::try_from(index).ok().filter(|_| is_there).map_or(0, |index| word(4 + index))
    };
    let mut whole = String::new();
    for index in 0..=weight {
        whole.push_str(&format!("{:04}", group(index)));
    }
    let whole = whole.trim_start_matches('0');
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    if scale > 0 {
        out.push(b'.');
        let groups = i64::from(scale).div_euclid(4) + 1;
        let decimals: String = (0..groups).map(|place| format!("{:04}", group(weight + 1 + place))).collect();
        out.extend_from_slice(decimals.get(..usize::from(scale)).unwrap_or(&decimals).as_bytes());
    }
}

fn append_date(days: i64, out: &mut Vec<u8>) -> std::io::Result<()> {
    match days {
        days if days == i64::from(i32::MAX) => write!(out, "infinity"),
        days if days == i64::from(i32::MIN) => write!(out, "-infinity"),
        days => {
            let (date, is_before_christ) = date_text(days);
            write!(out, "{date}{}", if is_before_christ { " BC" } else { "" })
        }
    }
}

/// `YYYY-MM-DD`, and whether the year counts backwards.
fn date_text(days: i64) -> (String, bool) {
    let (year, month, day) = date_of(days);
    let is_before_christ = year <= 0;
    let shown = if is_before_christ { 1 - year } else { year };
    (format!("{shown:04}-{month:02}-{day:02}"), is_before_christ)
}

fn append_time(micros: i64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let seconds = micros / MICROS_PER_SECOND;
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    match micros % MICROS_PER_SECOND {
        0 => Ok(()),
        rest => write!(out, ".{rest:06}"),
    }
}

pub(super) fn append_moment(micros: i64, zone: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
    match micros {
        i64::MAX => write!(out, "infinity"),
        i64::MIN => write!(out, "-infinity"),
        micros => {
            let (date, is_before_christ) = date_text(micros.div_euclid(MICROS_PER_DAY));
            write!(out, "{date} ")?;
            append_time(micros.rem_euclid(MICROS_PER_DAY), out)?;
            write!(out, "{zone}{}", if is_before_christ { " BC" } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: Kind, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        append_row(&[kind], std::iter::once(Some(bytes)), &mut out);
        String::from_utf8(out).expect("text").trim_end().to_owned()
    }

    fn numeric(words: &[u16]) -> String {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        text(Kind::Numeric { limits: None }, &bytes)
    }

    #[test]
    fn numbers_are_written_whole() {
        assert_eq!(text(Kind::Int8, &i64::MIN.to_be_bytes()), "-9223372036854775808");
        assert_eq!(text(Kind::Float4, &0.1_f32.to_be_bytes()), "1e-1");
        assert_eq!(text(Kind::Float8, &f64::NEG_INFINITY.to_be_bytes()), "-Infinity");
        assert_eq!(text(Kind::Float8, &1e300_f64.to_be_bytes()), "1e300");
        assert_eq!(numeric(&[2, 0, 0, 2, 1, 5000]), "1.50");
        assert_eq!(numeric(&[1, 1, 0x4000, 0, 12]), "-120000");
        assert_eq!(numeric(&[1, 0xFFFF, 0, 3, 10]), "0.001");
        assert_eq!(numeric(&[1, 0xFFFE, 0, 8, 1]), "0.00000001");
        assert_eq!(numeric(&[0, 0, 0, 2]), "0.00");
        assert_eq!(numeric(&[0, 0, 0xC000, 0]), "NaN");
        assert_eq!(numeric(&[1, 0, 0, 4, 7]), "7.0000");
    }

    #[test]
    fn days_and_moments_are_written_in_iso_form() {
        let date = |days: i32| text(Kind::Date, &days.to_be_bytes());
        assert_eq!(date(0), "2000-01-01");
        assert_eq!(date(59), "2000-02-29");
        assert_eq!(date(-1), "1999-12-31");
        assert_eq!(date(8_826), "2024-03-01");
        assert_eq!(date(-730_119), "0001-01-01");
        assert_eq!(date(-730_120), "0001-12-31 BC");
        assert_eq!(date(i32::MAX), "infinity");
        let moment = |micros: i64| text(Kind::Timestamptz { digits: 6 }, &micros.to_be_bytes());
        assert_eq!(moment(-1), "1999-12-31 23:59:59.999999+00");
        assert_eq!(moment(0), "2000-01-01 00:00:00+00");
        assert_eq!(moment(i64::MIN), "-infinity");
        assert_eq!(text(Kind::Time { digits: 6 }, &86_400_000_000_i64.to_be_bytes()), "24:00:00");
    }

    #[test]
    fn texts_are_quoted_and_null_is_not() {
        let mut out = Vec::new();
        let fields = [Some(&b"a\"b\nc"[..]), None, Some(b"")];
        append_row(&[Kind::Text, Kind::Text, Kind::Text], fields.into_iter(), &mut out);
        assert_eq!(out, b"\"a\"\"b\nc\",,\"\"\n");
        assert_eq!(text(Kind::Jsonb, b"\x01{}"), "\"{}\"");
        assert_eq!(text(Kind::Bytea, b"\x00\xff"), "\\x00ff");
        assert_eq!(text(Kind::Bool, &[1]), "t");
    }
}
