//! One value as text that the room `row` reads exactly.

use std::io::Write as _;

use super::schema::{Kind, Unit};
use crate::calendar::{DAYS_FROM_1970, date_of};

/// Digits of the longest decimal: what PostgreSQL's `numeric` can be declared with.
pub(super) const DIGITS_MAX: u16 = 1_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The day of INT96 on which 1970 begins.
const JULIAN_1970: i64 = 2_440_588;

/// A value as the file has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Int96 { nanos: u64, day: u32 },
    Float(f32),
    Double(f64),
    Bytes(&'a [u8]),
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A number or a word of JSON.
    Bare,
    /// Text without anything that JSON writes in another way.
    Plain,
}

impl<'a> Value<'a> {
    /// The bytes of a value that stands for itself.
    pub(super) fn text(self, kind: Kind) -> Option<&'a [u8]> {
        match (kind, self) {
            (Kind::Text | Kind::Json, Self::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// How long the text will be, about; what is not bytes is short.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len().saturating_mul(2),
            _ => 0,
        }
    }

    /// Appends such a value as JSON; answers where in it its text is, if it is there as it is.
    pub(super) fn append_json(self, kind: Kind, out: &mut Vec<u8>) -> Option<(usize, usize)> {
        let start = out.len();
        match self.append(kind, out) {
            Form::Bare => Some((start, out.len())),
            Form::Plain => {
                out.insert(start, b'"');
                let end = out.len();
                let is_bytes = out.get(start + 1) == Some(&b'\\');
                if is_bytes {
                    out.insert(start + 1, b'\\');
                }
                out.push(b'"');
                (!is_bytes).then_some((start + 1, end))
            }
        }
    }

    /// Appends the text of a value that [`Value::text`] does not have.
    pub(super) fn append(self, kind: Kind, out: &mut Vec<u8>) -> Form {
        match (kind, self) {
            (_, Self::Bool(value)) => bare(out, format_args!("{value}")),
            (Kind::Decimal { scale, .. }, Self::Int32(value)) => decimal(i128::from(value), scale, out),
            (Kind::Decimal { scale, .. }, Self::Int64(value)) => decimal(i128::from(value), scale, out),
            (Kind::Decimal { scale, .. }, Self::Bytes(bytes)) => decimal_of_bytes(bytes, scale, out),
            (Kind::Date, Self::Int32(days)) => {
                date(i64::from(days), out);
                Form::Plain
            }
            (Kind::Time(unit), Self::Int32(count)) => time(i64::from(count), unit, out),
            (Kind::Time(unit), Self::Int64(count)) => time(count, unit, out),
            (Kind::Timestamp { unit, is_utc }, Self::Int64(count)) => {
                let (per_second, digits) = unit.per_second();
                let (seconds, fraction) = (count.div_euclid(per_second), count.rem_euclid(per_second));
                moment(seconds, fraction.unsigned_abs(), digits, out);
                if is_utc {
                    out.push(b'Z');
                }
                Form::Plain
            }
            (_, Self::Int96 { nanos, day }) => {
                const NANOS: u64 = 1_000_000_000;
                let days = i64::from(day.cast_signed()) - JULIAN_1970;
                let whole = i64::try_from(nanos / NANOS).unwrap_or(0);
                moment(days * SECONDS_PER_DAY + whole, nanos % NANOS, 9, out);
                Form::Plain
            }
            (Kind::Unsigned { bits: 32 }, Self::Int32(value)) => {
                bare(out, format_args!("{}", value.cast_unsigned()))
            }
            (Kind::Unsigned { .. }, Self::Int64(value)) => {
                bare(out, format_args!("{}", value.cast_unsigned()))
            }
            (_, Self::Int32(value)) => bare(out, format_args!("{value}")),
            (_, Self::Int64(value)) => bare(out, format_args!("{value}")),
            (_, Self::Float(value)) => float(value, out),
            (_, Self::Double(value)) => double(value, out),
            (Kind::Half, Self::Bytes(&[low, high])) => float(half(u16::from_le_bytes([low, high])), out),
            (Kind::Uuid, Self::Bytes(bytes)) => uuid(bytes, out),
            (Kind::Interval, Self::Bytes(bytes)) => interval(bytes, out),
            (_, Self::Bytes(bytes)) => hexadecimal(bytes, out),
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes everything.
    let _ = out.write_fmt(text);
}

fn bare(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) -> Form {
    put(out, text);
    Form::Bare
}

/// The shortest text that is read back as the same value.
fn float(value: f32, out: &mut Vec<u8>) -> Form {
    match value.abs() {
        size if !size.is_finite() => special(f64::from(value), out),
        size if size != 0.0 && !(1e-5..1e15).contains(&size) => bare(out, format_args!("{value:e}")),
        _ => bare(out, format_args!("{value}")),
    }
}

fn double(value: f64, out: &mut Vec<u8>) -> Form {
    match value.abs() {
        size if !size.is_finite() => special(value, out),
        size if size != 0.0 && !(1e-5..1e15).contains(&size) => bare(out, format_args!("{value:e}")),
        _ => bare(out, format_args!("{value}")),
    }
}

/// What JSON has no number for.
fn special(value: f64, out: &mut Vec<u8>) -> Form {
    let word: &[u8] = match value {
        value if value.is_nan() => b"NaN",
        value if value < 0.0 => b"-Infinity",
        _ => b"Infinity",
    };
    out.extend_from_slice(word);
    Form::Plain
}

/// IEEE 754's 16 bits, each of which a wider float has exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2_f32.powi(exponent - 15),
    }
}

fn decimal(unscaled: i128, scale: u16, out: &mut Vec<u8>) -> Form {
    let mut digits = [0; 40];
    let mut rest = &mut digits[..];
    // 2^128 has 39 digits.
    let _ = write!(rest, "{}", unscaled.unsigned_abs());
    let unused = rest.len();
    let length = digits.len() - unused;
    point(unscaled < 0, digits.get(..length).unwrap_or_default(), scale, out)
}

/// Big-endian, two's complement, of any length.
fn decimal_of_bytes(bytes: &[u8], scale: u16, out: &mut Vec<u8>) -> Form {
    /// Longer ones have more digits than any decimal may have.
    const BYTES_MAX: usize = 416;
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    if bytes.is_empty() || bytes.len() > BYTES_MAX {
        // No number: whoever reads it refuses it.
        return hexadecimal(bytes, out);
    }
    if bytes.len() <= 16 {
        let mut wide = if is_negative { [0xff; 16] } else { [0; 16] };
        for (into, byte) in wide.iter_mut().rev().zip(bytes.iter().rev()) {
            *into = *byte;
        }
        return decimal(i128::from_be_bytes(wide), scale, out);
    }
    let mut size: Vec<u8> = bytes.iter().map(|byte| if is_negative { !byte } else { *byte }).collect();
    if is_negative {
        for byte in size.iter_mut().rev() {
            let (sum, is_over) = byte.overflowing_add(1);
            *byte = sum;
            if !is_over {
                break;
            }
        }
    }
    let mut digits = Vec::new();
    while size.iter().any(|byte| *byte != 0) {
        let mut remainder = 0_u32;
        for byte in &mut size {
            let value = remainder << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 10).unwrap_or(0);
            remainder = value % 10;
        }
        digits.push(b'0' + u8::try_from(remainder).unwrap_or(0));
    }
    digits.reverse();
    point(is_negative, &digits, scale, out)
}

/// Digits with the point where it belongs.
fn point(is_negative: bool, digits: &[u8], scale: u16, out: &mut Vec<u8>) -> Form {
    let scale = usize::from(scale);
    if is_negative {
        out.push(b'-');
    }
    let whole_len = digits.len().saturating_sub(scale);
    let (whole, fraction) = digits.split_at_checked(whole_len).unwrap_or((digits, b""));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
    if scale > 0 {
        out.push(b'.');
        out.extend(std::iter::repeat_n(b'0', scale - fraction.len().min(scale)));
        out.extend_from_slice(fraction);
    }
    Form::Bare
}

/// A day, counted from 1970-01-01.
fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = date_of(days.saturating_sub(DAYS_FROM_1970));
    put(out, format_args!("{year:04}-"));
    pair(month, out);
    out.push(b'-');
    pair(day, out);
}

/// Two digits.
fn pair(value: i64, out: &mut Vec<u8>) {
    let value = u8::try_from(value.rem_euclid(100)).unwrap_or(0);
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

fn clock(seconds: i64, fraction: u64, digits: usize, out: &mut Vec<u8>) {
    pair(seconds / 3_600, out);
    out.push(b':');
    pair(seconds / 60 % 60, out);
    out.push(b':');
    pair(seconds % 60, out);
    if fraction > 0 {
        put(out, format_args!(".{fraction:0digits$}"));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn moment(seconds: i64, fraction: u64, digits: usize, out: &mut Vec<u8>) {
    date(seconds.div_euclid(SECONDS_PER_DAY), out);
    out.push(b' ');
    clock(seconds.rem_euclid(SECONDS_PER_DAY), fraction, digits, out);
}

fn time(count: i64, unit: Unit, out: &mut Vec<u8>) -> Form {
    let (per_second, digits) = unit.per_second();
    let seconds = count.div_euclid(per_second);
    if !(0..=SECONDS_PER_DAY).contains(&seconds) {
        // No time of day: whoever reads it refuses it.
        return bare(out, format_args!("{count}"));
    }
    clock(seconds, count.rem_euclid(per_second).unsigned_abs(), digits, out);
    Form::Plain
}

fn interval(bytes: &[u8], out: &mut Vec<u8>) -> Form {
    let numbers = bytes.as_chunks::<4>().0;
    let [months, days, millis] = numbers else { return hexadecimal(bytes, out) };
    let of = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
    let millis = of(millis);
    put(out, format_args!("P{}M{}DT{}.{:03}S", of(months), of(days), millis / 1_000, millis % 1_000));
    Form::Plain
}

fn uuid(bytes: &[u8], out: &mut Vec<u8>) -> Form {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        push_hex(*byte, out);
    }
    Form::Plain
}

/// As PostgreSQL writes `bytea`. Alone of all texts it begins with a backslash, which JSON doubles.
fn hexadecimal(bytes: &[u8], out: &mut Vec<u8>) -> Form {
    out.extend_from_slice(br"\x");
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        push_hex(*byte, out);
    }
    Form::Plain
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0x0f)]);
}

/// Appends text as JSON does, without the quotes around it.
pub(super) fn append_escaped(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            0..0x20 => put(out, format_args!("\\u{byte:04x}")),
            _ => out.push(*byte),
        }
    }
}

/// Whether JSON writes some of it in another way.
pub(super) fn needs_escape(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
}
