//! Values of fixed width other than times: truth, integers, floats, UUIDs.

use super::Reason;

/// Reads one of the whole words of the server's documentation; the abbreviations that it takes too (`tr`, `of`) are refused.
pub(super) fn boolean(text: &[u8]) -> Result<bool, Reason> {
    const TRUE: [&[u8]; 6] = [b"t", b"true", b"1", b"y", b"yes", b"on"];
    const FALSE: [&[u8]; 6] = [b"f", b"false", b"0", b"n", b"no", b"off"];
    let is_any = |words: &[&[u8]]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any(&TRUE) {
        Ok(true)
    } else if is_any(&FALSE) {
        Ok(false)
    } else {
        Err(Reason::NotBoolean)
    }
}

/// `int2`
pub(super) fn int2(text: &[u8]) -> Result<i16, Reason> {
    i16::try_from(int8(text)?).map_err(|_| Reason::OutOfRange { sql_type: "int2" })
}

/// `int4`
pub(super) fn int4(text: &[u8]) -> Result<i32, Reason> {
    i32::try_from(int8(text)?).map_err(|_| Reason::OutOfRange { sql_type: "int4" })
}

/// `int8`
pub(super) fn int8(text: &[u8]) -> Result<i64, Reason> {
    // The longest run of digits that cannot overflow the accumulator.
    const DIGITS_MAX: usize = 19;
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return Err(Reason::NotInteger);
    }
    let mut significant = digits;
    if digits.len() > DIGITS_MAX {
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        significant = &digits[zeros..];
        if !significant.iter().all(u8::is_ascii_digit) {
            return Err(Reason::NotInteger);
        }
        if significant.len() > DIGITS_MAX {
            return Err(Reason::OutOfRange { sql_type: "int8" });
        }
    }
    let mut magnitude = 0_u64;
    for byte in significant {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Reason::NotInteger);
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    let value = if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    value.ok_or(Reason::OutOfRange { sql_type: "int8" })
}

/// `float4`, parsed as such: going through the wider type would round twice.
pub(super) fn float4(text: &[u8]) -> Result<f32, Reason> {
    const SQL_TYPE: &str = "float4";
    match special(text) {
        Some(Special::NaN) => Ok(f32::NAN),
        Some(Special::Infinity { negative }) => Ok(if negative { f32::NEG_INFINITY } else { f32::INFINITY }),
        None => {
            let value: f32 = parse_finite(text)?;
            check_finite(text, value.is_infinite(), value == 0.0, SQL_TYPE).map(|()| value)
        }
    }
}

/// `float8`
pub(super) fn float8(text: &[u8]) -> Result<f64, Reason> {
    const SQL_TYPE: &str = "float8";
    match special(text) {
        Some(Special::NaN) => Ok(f64::NAN),
        Some(Special::Infinity { negative }) => Ok(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        None => {
            let value: f64 = parse_finite(text)?;
            check_finite(text, value.is_infinite(), value == 0.0, SQL_TYPE).map(|()| value)
        }
    }
}

/// `uuid`: 32 hexadecimal digits, with hyphens after the 8th, 12th, 16th and 20th or none, in braces or none.
pub(super) fn uuid(text: &[u8]) -> Result<[u8; 16], Reason> {
    const GROUPS: [(usize, usize); 5] = [(0, 8), (9, 13), (14, 18), (19, 23), (24, 36)];
    let bare = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let mut digits = [0_u8; 32];
    if bare.len() == digits.len() {
        digits.copy_from_slice(bare);
    } else {
        if bare.len() != 36 || GROUPS[1..].iter().any(|(start, _)| bare[start - 1] != b'-') {
            return Err(Reason::NotUuid);
        }
        let mut filled = 0;
        for (start, end) in GROUPS {
            digits[filled..filled + end - start].copy_from_slice(&bare[start..end]);
            filled += end - start;
        }
    }
    let mut value = [0; 16];
    for (byte, pair) in value.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_pair(pair[0], pair[1]).ok_or(Reason::NotUuid)?;
    }
    Ok(value)
}

/// The byte that two hexadecimal digits of any case stand for.
pub(super) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    Some(hex_digit(high)? << 4 | hex_digit(low)?)
}

/// The value of one hexadecimal digit of any case.
pub(super) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether there is a minus, and what follows an optional sign.
pub(super) fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// A number word.
pub(super) enum Special {
    NaN,
    Infinity { negative: bool },
}

/// Reads the words that stand for no finite number.
pub(super) fn special(text: &[u8]) -> Option<Special> {
    if text.eq_ignore_ascii_case(b"nan") {
        return Some(Special::NaN);
    }
    let (negative, word) = split_sign(text);
    let is_infinity = word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"infinity");
    is_infinity.then_some(Special::Infinity { negative })
}

fn parse_finite<F: fast_float2::FastFloat>(text: &[u8]) -> Result<F, Reason> {
    // The parser knows number words of its own (`-nan`); only digits may reach it.
    match split_sign(text).1.first() {
        Some(b'0'..=b'9' | b'.') => fast_float2::parse(text).map_err(|_| Reason::NotNumber),
        _ => Err(Reason::NotNumber),
    }
}

/// Refuses a finite text that became infinite, and a nonzero text that became zero.
fn check_finite(text: &[u8], infinite: bool, zero: bool, sql_type: &'static str) -> Result<(), Reason> {
    let has_nonzero_digit = || {
        let mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
        mantissa.into_iter().any(|byte| matches!(byte, b'1'..=b'9'))
    };
    if infinite {
        Err(Reason::OutOfRange { sql_type })
    } else if zero && has_nonzero_digit() {
        Err(Reason::TooSmall { sql_type })
    } else {
        Ok(())
    }
}
