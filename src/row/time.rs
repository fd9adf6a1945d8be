//! Dates and times: text to the server's counts of days and microseconds from 2000-01-01.

use super::Reason;
use super::zone::Zones;
use crate::calendar::days_to;

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// The first moment that no `timestamp` reaches: 294277-01-01.
const MOMENT_END: i64 = 9_223_371_331_200_000_000;
/// The first moment of any: 4714-11-24 BC.
const MOMENT_START: i64 = -211_813_488_000_000_000;
const YEAR_MAX: i64 = 294_276;

/// `date`
pub(super) fn date(text: &[u8]) -> Result<i32, Reason> {
    if let Some(negative) = infinity(text) {
        return Ok(if negative { i32::MIN } else { i32::MAX });
    }
    match parse_date(text, Reason::NotDate)? {
        (days, []) => i32::try_from(days).map_err(|_| Reason::Year),
        _ => Err(Reason::NotDate),
    }
}

/// `time`
pub(super) fn time(text: &[u8], digits: u8) -> Result<i64, Reason> {
    let (micros, rest) = parse_time(text, digits, Reason::NotTime)?;
    refuse_rest(rest, Reason::NotTime)?;
    Ok(micros)
}

/// `timestamp`
pub(super) fn timestamp(text: &[u8], digits: u8) -> Result<i64, Reason> {
    if let Some(negative) = infinity(text) {
        return Ok(infinite_moment(negative));
    }
    let (moment, rest) = parse_local(text, digits)?;
    refuse_rest(rest, Reason::NotTimestamp)?;
    check_moment(moment)
}

/// `timestamptz`; a text without zone is local to the zone of the rules.
pub(super) fn timestamptz(text: &[u8], digits: u8, zones: &Zones) -> Result<i64, Reason> {
    if let Some(negative) = infinity(text) {
        return Ok(infinite_moment(negative));
    }
    let (local, zone_text) = parse_local(text, digits)?;
    let seconds_east = zones.seconds_east(zone_text, local.div_euclid(MICROS_PER_SECOND))?;
    check_moment(local - seconds_east * MICROS_PER_SECOND)
}

/// Whether `text` is one of the two infinities, and which.
fn infinity(text: &[u8]) -> Option<bool> {
    match text.first() {
        Some(b'i' | b'I') => text.eq_ignore_ascii_case(b"infinity").then_some(false),
        Some(b'-') => text.eq_ignore_ascii_case(b"-infinity").then_some(true),
        _ => None,
    }
}

fn infinite_moment(negative: bool) -> i64 {
    if negative { i64::MIN } else { i64::MAX }
}

pub(super) fn check_moment(moment: i64) -> Result<i64, Reason> {
    if (MOMENT_START..MOMENT_END).contains(&moment) { Ok(moment) } else { Err(Reason::Year) }
}

/// What may not follow a complete value, told apart: a zone is a likely and harmful thing to drop.
fn refuse_rest(rest: &[u8], otherwise: Reason) -> Result<(), Reason> {
    match rest.strip_prefix(b" ").unwrap_or(rest) {
        [] if rest.is_empty() => Ok(()),
        [b'A' | b'a' | b'P' | b'p', b'M' | b'm'] => Err(otherwise),
        [b'+' | b'-' | b'A'..=b'Z' | b'a'..=b'z', ..] => Err(Reason::UnwantedZone),
        _ => Err(otherwise),
    }
}

/// Reads date, separator and time, or a date alone, which means its first moment; answers what is left.
fn parse_local(text: &[u8], digits: u8) -> Result<(i64, &[u8]), Reason> {
    let (days, rest) = parse_date(text, Reason::NotTimestamp)?;
    match rest {
        [] => Ok((days * MICROS_PER_DAY, rest)),
        [b'T' | b' ', time @ ..] => {
            let (micros, rest) = parse_time(time, digits, Reason::NotTimestamp)?;
            Ok((days * MICROS_PER_DAY + micros, rest))
        }
        _ => Err(Reason::NotTimestamp),
    }
}

/// Reads a date at the start of `text`; answers days from 2000-01-01 and what is left.
fn parse_date(text: &[u8], otherwise: Reason) -> Result<(i64, &[u8]), Reason> {
    let (year, digit_count, rest) = parse_number(text, 8);
    let (year, month, day, rest) = match (digit_count, rest) {
        (8, rest) => (year / 10_000, year / 100 % 100, year % 100, rest),
        (4..=6, [separator @ (b'-' | b'/'), rest @ ..]) => {
            let (month, month_digits, rest) = parse_number(rest, 2);
            let rest = match rest.split_first() {
                Some((next, rest)) if month_digits > 0 && next == separator => rest,
                _ => return Err(otherwise),
            };
            let (day, day_digits, rest) = parse_number(rest, 2);
            // `02024` has five digits and is more likely a slip than a year.
            if day_digits == 0 || (digit_count > 4 && text[0] == b'0') {
                return Err(otherwise);
            }
            (year, month, day, rest)
        }
        _ => return Err(otherwise),
    };
    if rest.first().is_some_and(u8::is_ascii_digit) {
        return Err(otherwise);
    }
    Ok((days(year, month, day)?, rest))
}

/// Days from 2000-01-01 to a day that the calendar has.
pub(super) fn days(year: i64, month: i64, day: i64) -> Result<i64, Reason> {
    if !(1..=YEAR_MAX).contains(&year) {
        return Err(Reason::Year);
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err(Reason::NoSuchDay);
    }
    Ok(days_to(year, month, day))
}

/// Microseconds of a day to a time that the clock has; 24:00:00 is the end of the day, and no minute has 61 seconds.
pub(super) fn micros_of_day(hour: i64, minute: i64, second: i64, fraction: i64) -> Result<i64, Reason> {
    let micros = (hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + fraction;
    if minute > 59 || second > 59 || micros > MICROS_PER_DAY {
        return Err(Reason::NoSuchTime);
    }
    Ok(micros)
}

/// Reads a time of day at the start of `text`; answers microseconds and what is left.
fn parse_time(text: &[u8], digits: u8, otherwise: Reason) -> Result<(i64, &[u8]), Reason> {
    let (hour, hour_digits, rest) = parse_number(text, 2);
    let rest = match rest {
        [b':', rest @ ..] if hour_digits > 0 => rest,
        _ => return Err(otherwise),
    };
    let (minute, rest) = parse_pair(rest).ok_or(otherwise)?;
    // A fraction must follow seconds: `12:30.5` would be half a minute to some and half a second to others.
    let (second, fraction, rest) = match rest {
        [b':', rest @ ..] => match parse_pair(rest).ok_or(otherwise)? {
            (second, [b'.', rest @ ..]) => {
                let (fraction, rest) = parse_fraction(rest, digits, otherwise)?;
                (second, fraction, rest)
            }
            (second, rest) => (second, 0, rest),
        },
        _ => (0, 0, rest),
    };
    Ok((micros_of_day(hour, minute, second, fraction)?, rest))
}

/// Reads the digits after the point of a second; answers microseconds and what is left.
fn parse_fraction(text: &[u8], digits: u8, otherwise: Reason) -> Result<(i64, &[u8]), Reason> {
    const MICROS_DIGITS: usize = 6;
    let kept = usize::from(digits).min(MICROS_DIGITS);
    let (micros, digit_count, rest) = parse_number(text, kept);
    let dropped_count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (dropped, rest) = rest.split_at(dropped_count);
    if digit_count + dropped_count == 0 {
        return Err(otherwise);
    }
    if dropped.iter().any(|digit| *digit != b'0') {
        return Err(Reason::SecondDigits { digits });
    }
    let scale = (digit_count..MICROS_DIGITS).fold(1, |scale, _| scale * 10);
    Ok((micros * scale, rest))
}

/// Reads up to `digits_max` digits; answers their value, their count and what is left.
pub(super) fn parse_number(text: &[u8], digits_max: usize) -> (i64, usize, &[u8]) {
    let (mut value, mut count, mut rest) = (0, 0, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest
        && count < digits_max
    {
        value = value * 10 + i64::from(digit - b'0');
        count += 1;
        rest = after;
    }
    (value, count, rest)
}

/// Reads two digits at the start of `text`; answers their value and what is left.
pub(super) fn parse_pair(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Some((i64::from(tens - b'0') * 10 + i64::from(ones - b'0'), rest))
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
