//! One text against the items of a pattern.

use super::super::Reason;
use super::super::time::parse_number;
use super::{Item, Part};

/// Longest number of seconds or milliseconds that is read; more digits are beyond every calendar.
const EPOCH_DIGITS_MAX: usize = 18;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MILLISECOND: i64 = 1_000;
const MICROS_DIGITS: usize = 6;

/// Names of months, in small letters.
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Names of weekdays from Sunday on, in small letters.
pub const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const WEEKDAYS_JAPANESE: [&str; 7] = ["日", "月", "火", "水", "木", "金", "土"];
const WEEKDAY_ENDINGS: [&str; 2] = ["曜日", "曜"];
const MERIDIEMS: [(&str, bool); 6] =
    [("a.m.", false), ("p.m.", true), ("am", false), ("pm", true), ("午前", false), ("午後", true)];

/// What a text gave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    numbers: [Option<i64>; 9],
    /// Counted from Sunday.
    pub(super) weekday: Option<i64>,
    pub(super) is_afternoon: Option<bool>,
    pub(super) micros: i64,
    pub(super) is_finer: bool,
    pub(super) zone: Option<&'a [u8]>,
    /// Microseconds from 1970.
    pub(super) epoch: Option<i64>,
}

impl Fields<'_> {
    pub(super) fn get(&self, part: Part) -> Option<i64> {
        self.numbers[part as usize]
    }
}

/// Matches all of `text` against all of `items`.
pub(super) fn scan<'a>(items: &[Item], text: &'a [u8]) -> Result<Fields<'a>, Reason> {
    let mut fields = Fields::default();
    let mut is_negative = false;
    let mut rest = text;
    for item in items {
        rest = match item {
            Item::Literal(literal) => rest.strip_prefix(&**literal).ok_or(Reason::NotFormat)?,
            Item::Blank => blanks(rest)?,
            Item::Number { part, digits_min, digits_max, is_padded } => {
                let (value, after) = number(rest, *digits_min, *digits_max, *is_padded)?;
                // `02024` has five digits and is more likely a slip than a year.
                if *part == Part::Year && rest.len() - after.len() > 4 && rest.first() == Some(&b'0') {
                    return Err(Reason::NotFormat);
                }
                fields.numbers[*part as usize] = Some(value);
                after
            }
            Item::Fraction { digits_max } => fraction(rest, *digits_max, &mut fields)?,
            Item::MonthName => {
                let (index, after) = name(rest, &MONTHS).ok_or(Reason::NotFormat)?;
                fields.numbers[Part::Month as usize] = Some(index + 1);
                after
            }
            Item::Weekday => {
                let (index, after) =
                    name(rest, &WEEKDAYS).or_else(|| japanese_weekday(rest)).ok_or(Reason::NotFormat)?;
                fields.weekday = Some(index);
                after
            }
            Item::Meridiem => {
                let found =
                    MERIDIEMS.iter().find_map(|(word, afternoon)| Some((*afternoon, strip(rest, word)?)));
                let (is_afternoon, after) = found.ok_or(Reason::NotFormat)?;
                fields.is_afternoon = Some(is_afternoon);
                after
            }
            Item::Zone { has_names } => {
                let (zone, after) = zone(rest, *has_names)?;
                fields.zone = Some(zone);
                after
            }
            Item::Seconds | Item::Milliseconds => {
                let (value, negative, after) = epoch(rest)?;
                let unit = if *item == Item::Seconds { MICROS_PER_SECOND } else { MICROS_PER_MILLISECOND };
                is_negative = negative;
                fields.epoch = Some(value.checked_mul(unit).ok_or(Reason::Year)?);
                after
            }
        };
    }
    if !rest.is_empty() {
        return Err(Reason::NotFormat);
    }
    fields.epoch = fields.epoch.map(|whole| {
        let micros = whole.saturating_add(fields.micros);
        if is_negative { -micros } else { micros }
    });
    Ok(fields)
}

fn blanks(text: &[u8]) -> Result<&[u8], Reason> {
    let count = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if count == 0 { Err(Reason::NotFormat) } else { text.get(count..).ok_or(Reason::NotFormat) }
}

fn number(
    text: &[u8],
    digits_min: usize,
    digits_max: usize,
    is_padded: bool,
) -> Result<(i64, &[u8]), Reason> {
    let (value, count, rest) = match text {
        // A blank stands for the first of two digits.
        [b' ', after @ ..] if is_padded => {
            let (value, count, rest) = parse_number(after, digits_max - 1);
            (value, count + 1, rest)
        }
        _ => parse_number(text, digits_max),
    };
    let is_blank = is_padded && count == 1 && text.first() == Some(&b' ');
    if count < digits_min || is_blank { Err(Reason::NotFormat) } else { Ok((value, rest)) }
}

fn fraction<'a>(text: &'a [u8], digits_max: usize, fields: &mut Fields<'_>) -> Result<&'a [u8], Reason> {
    let (micros, count, rest) = parse_number(text, digits_max.min(MICROS_DIGITS));
    if count == 0 {
        return Err(Reason::NotFormat);
    }
    let finer = rest.iter().take(digits_max - count).take_while(|byte| byte.is_ascii_digit());
    let finer_count = finer.clone().count();
    fields.is_finer = finer.into_iter().any(|digit| *digit != b'0');
    fields.micros = (count..MICROS_DIGITS).fold(micros, |micros, _| micros * 10);
    rest.get(finer_count..).ok_or(Reason::NotFormat)
}

/// Reads one of the names, whole or its first three letters; answers its index.
fn name<'a>(text: &'a [u8], names: &[&str]) -> Option<(i64, &'a [u8])> {
    let find = |length: Option<usize>| {
        (0_i64..).zip(names).find_map(|(index, name)| {
            let name = length.map_or(*name, |length| name.get(..length).unwrap_or(name));
            Some((index, strip(text, name)?))
        })
    };
    find(None).or_else(|| find(Some(3)))
}

fn japanese_weekday(text: &[u8]) -> Option<(i64, &[u8])> {
    let (index, rest) = name(text, &WEEKDAYS_JAPANESE)?;
    let ending = WEEKDAY_ENDINGS.iter().find_map(|ending| strip(rest, ending));
    Some((index, ending.unwrap_or(rest)))
}

fn strip<'a>(text: &'a [u8], word: &str) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word.as_bytes()).then_some(rest)
}

/// Reads an offset or letters; answers the text of it.
fn zone(text: &[u8], has_names: bool) -> Result<(&[u8], &[u8]), Reason> {
    let length = match text.first() {
        Some(b'+' | b'-') => offset_length(text).ok_or(Reason::UnknownZone)?,
        Some(byte) if byte.is_ascii_alphabetic() => {
            let is_in_name = |byte: &u8| {
                byte.is_ascii_alphabetic()
                    || (has_names && (byte.is_ascii_digit() || matches!(byte, b'/' | b'_' | b'-' | b'+')))
            };
            text.iter().take_while(|byte| is_in_name(byte)).count()
        }
        _ => return Err(Reason::NotFormat),
    };
    let (zone, rest) = text.split_at_checked(length).ok_or(Reason::NotFormat)?;
    let is_offset = matches!(zone.first(), Some(b'+' | b'-'));
    let is_utc = || ["z", "utc", "gmt", "ut"].iter().any(|word| zone.eq_ignore_ascii_case(word.as_bytes()));
    if has_names || is_offset || is_utc() { Ok((zone, rest)) } else { Err(Reason::UnknownZone) }
}

/// Bytes of `+hh`, `+hhmm`, `+hh:mm` or `+hh:mm:ss`.
fn offset_length(text: &[u8]) -> Option<usize> {
    let is_pair = |at: usize| text.get(at..at + 2).is_some_and(|pair| pair.iter().all(u8::is_ascii_digit));
    let is_colon = |at: usize| text.get(at) == Some(&b':');
    if !is_pair(1) {
        return None;
    }
    Some(match () {
        () if is_colon(3) && is_pair(4) && is_colon(6) && is_pair(7) => 9,
        () if is_colon(3) && is_pair(4) => 6,
        () if is_pair(3) => 5,
        () => 3,
    })
}

fn epoch(text: &[u8]) -> Result<(i64, bool, &[u8]), Reason> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (value, count, rest) = parse_number(digits, EPOCH_DIGITS_MAX);
    if count == 0 {
        return Err(Reason::NotFormat);
    }
    Ok((value, is_negative, rest))
}
