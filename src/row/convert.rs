//! Values of columns that have rules: each step of [`super::rule`], in reused buffers.

use super::format::Civil;
use super::rule::{Conversion, Epoch, Trim};
use super::zone::Zones;
use super::{Encoder, Reason, Rules, Slot, append_fixed, append_null, scalar};
use crate::decode::Field;
use crate::table::Kind;

/// More digits before the point are beyond every calendar.
const EPOCH_DIGITS_MAX: usize = 20;
/// More digits behind it are only looked at for not being zero.
const EPOCH_PLACES_MAX: usize = 12;
const MICROS_PLACES: u32 = 6;
/// Digits between two separators.
const GROUP_DIGITS: usize = 3;

/// Rules ready for values: what a column left unsaid is filled in from the object's.
pub(super) struct Converter {
    conversion: Conversion,
    trim: Trim,
    nulls: Vec<Vec<u8>>,
    null_quoted: bool,
    has_absent: bool,
    /// Where the column has a zone of its own, or counts moments.
    zones: Option<Zones>,
}

/// What values are rewritten in.
#[derive(Default)]
pub(super) struct Scratch {
    narrowed: Vec<u8>,
    number: Vec<u8>,
}

impl Converter {
    pub(super) fn new(conversion: Conversion, rules: &Rules) -> Self {
        // Moments in columns that keep no zone are UTC's unless the column says another.
        let has_moments =
            conversion.epoch.is_some() || conversion.formats.iter().any(super::TimeFormat::is_epoch);
        let zone = conversion.zone.clone();
        Self {
            trim: conversion.trim.unwrap_or(rules.trim),
            nulls: conversion.nulls.clone().unwrap_or_else(|| rules.null_strings.clone()),
            null_quoted: rules.null_quoted || rules.has_absent && conversion.nulls.is_some(),
            has_absent: rules.has_absent,
            zones: zone.or_else(|| has_moments.then_some(jiff::tz::TimeZone::UTC)).map(Zones::new),
            conversion,
        }
    }

    pub(super) fn has_default(&self) -> bool {
        self.conversion.default.is_some()
    }

    /// A field's text without the blanks that are no part of it; none where it is NULL.
    pub(super) fn text<'f>(&self, field: Field<'f>) -> Option<&'f [u8]> {
        let text = match self.trim {
            Trim::Unquoted if !field.is_quoted => trim_blanks(field.bytes),
            Trim::All => trim_all(field.bytes),
            _ => field.bytes,
        };
        let is_absent = self.has_absent && !field.is_quoted && field.bytes.is_empty();
        let is_null = is_absent || (self.null_quoted || !field.is_quoted) && self.is_null(text);
        (!is_null).then_some(text)
    }

    fn is_null(&self, text: &[u8]) -> bool {
        self.nulls.iter().any(|null| null == text)
    }

    /// Whether a text that stands in no file is NULL: only by what the column itself says.
    fn is_null_by_own(&self, text: &[u8]) -> bool {
        self.conversion.nulls.is_some() && self.is_null(text)
    }
}

impl Encoder {
    /// Appends the value of a field in a column with rules.
    pub(super) fn append_converted(
        &self,
        slot: &Slot,
        converter: &Converter,
        field: Field<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        match converter.text(field) {
            None => self.append_default(slot, converter, out),
            Some(text) => self.append_ruled(slot, converter, text, out),
        }
    }

    /// Appends a text that stands in no file.
    pub(super) fn append_said(
        &self,
        slot: &Slot,
        converter: &Converter,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        if converter.is_null_by_own(text) {
            return self.append_default(slot, converter, out);
        }
        self.append_ruled(slot, converter, text, out)
    }

    /// Appends what stands in for NULL.
    pub(super) fn append_default(
        &self,
        slot: &Slot,
        converter: &Converter,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        match &converter.conversion.default {
            Some(text) => self.append_ruled(slot, converter, text, out),
            None => append_null(slot, out),
        }
    }

    fn append_ruled(
        &self,
        slot: &Slot,
        converter: &Converter,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let rule = &converter.conversion;
        if !rule.full_width && !rule.has_marks() {
            return self.append_typed(slot, converter, text, out);
        }
        let mut scratch = self.scratch.take();
        let outcome = self.append_rewritten(slot, converter, text, &mut scratch, out);
        self.scratch.set(scratch);
        outcome
    }

    fn append_rewritten(
        &self,
        slot: &Slot,
        converter: &Converter,
        text: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let rule = &converter.conversion;
        let Scratch { narrowed, number } = scratch;
        let mut text = text;
        if rule.full_width && !text.is_ascii() {
            let is_text =
                matches!(slot.kind, Kind::Text | Kind::Varchar { .. } | Kind::Char { .. } | Kind::Other);
            narrow(text, !is_text, narrowed);
            text = narrowed;
        }
        if rule.has_marks() && is_number(slot.kind) {
            take_marks(text, rule.thousands.as_deref(), rule.decimal_comma, number)?;
            text = number;
        }
        self.append_typed(slot, converter, text, out)
    }

    fn append_typed(
        &self,
        slot: &Slot,
        converter: &Converter,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        let rule = &converter.conversion;
        let zones = converter.zones.as_ref().unwrap_or(&self.zones);
        match slot.kind {
            Kind::Bool if !rule.true_words.is_empty() || !rule.false_words.is_empty() => {
                append_fixed([u8::from(boolean(text, rule)?)], out);
                Ok(())
            }
            Kind::Date | Kind::Time { .. } | Kind::Timestamp { .. } | Kind::Timestamptz { .. } => {
                match civil(text, rule)? {
                    Some(civil) => self.append_civil(slot.kind, civil, zones, out),
                    None => self.append_value(slot, text, zones, out),
                }
            }
            _ => self.append_value(slot, text, zones, out),
        }
    }

    fn append_civil(
        &self,
        kind: Kind,
        civil: Civil<'_>,
        zones: &Zones,
        out: &mut Vec<u8>,
    ) -> Result<(), Reason> {
        match kind {
            Kind::Date => append_fixed(civil.date(zones)?.to_be_bytes(), out),
            Kind::Time { digits } => append_fixed(civil.time(digits)?.to_be_bytes(), out),
            Kind::Timestamp { digits } => append_fixed(civil.timestamp(digits, zones)?.to_be_bytes(), out),
            Kind::Timestamptz { digits } => {
                let micros = civil.timestamptz(digits, zones)?;
                append_fixed(self.moment(micros).to_be_bytes(), out);
            }
            _ => return Err(Reason::NotFormat),
        }
        Ok(())
    }
}

/// What the column's rule reads of a time; none where it has no rule for them.
fn civil<'a>(text: &'a [u8], rule: &Conversion) -> Result<Option<Civil<'a>>, Reason> {
    if let Some(unit) = rule.epoch {
        return epoch(text, unit).map(Some);
    }
    let mut refused = None;
    for format in &rule.formats {
        match format.parse(text) {
            Ok(civil) => return Ok(Some(civil)),
            // What the first format that fits the form finds wrong says more than that another one does not fit.
            Err(reason) if refused.is_none() || refused == Some(Reason::NotFormat) => refused = Some(reason),
            Err(_) => {}
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Reads a count of seconds or parts of them from 1970.
fn epoch(text: &[u8], unit: Epoch) -> Result<Civil<'static>, Reason> {
    let (negative, digits) = scalar::split_sign(text);
    let split = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match split {
        Some(at) => (digits.get(..at).unwrap_or_default(), digits.get(at + 1..).unwrap_or_default()),
        None => (digits, &[][..]),
    };
    let are_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !are_digits(whole) || (split.is_some() && !are_digits(fraction)) {
        return Err(Reason::NotEpoch);
    }
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
    if whole.len() - zeros > EPOCH_DIGITS_MAX {
        return Err(Reason::Year);
    }
    let (kept, dropped) = fraction.split_at(fraction.len().min(EPOCH_PLACES_MAX));
    let value = whole.iter().chain(kept).fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let value = if negative { -value } else { value };
    let places = unit.places() + u32::try_from(kept.len()).unwrap_or(0);
    let mut is_finer = dropped.iter().any(|digit| *digit != b'0');
    let micros = if places <= MICROS_PLACES {
        value * 10_i128.pow(MICROS_PLACES - places)
    } else {
        let divisor = 10_i128.pow(places - MICROS_PLACES);
        is_finer |= value % divisor != 0;
        value.div_euclid(divisor)
    };
    let micros = i64::try_from(micros).map_err(|_| Reason::Year)?;
    Ok(Civil::from_epoch(micros, is_finer))
}

fn boolean(text: &[u8], rule: &Conversion) -> Result<bool, Reason> {
    let is_any = |words: &[Vec<u8>]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any(&rule.true_words) {
        return Ok(true);
    }
    if is_any(&rule.false_words) {
        return Ok(false);
    }
    match scalar::boolean(text)? {
        true if rule.true_words.is_empty() => Ok(true),
        false if rule.false_words.is_empty() => Ok(false),
        _ => Err(Reason::NotBoolean),
    }
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8 | Kind::Numeric { .. })
}

/// Writes the number with a point and without separators into `out`.
fn take_marks(
    text: &[u8],
    thousands: Option<&[u8]>,
    decimal_comma: bool,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    out.clear();
    let (_, unsigned) = scalar::split_sign(text);
    out.extend_from_slice(text.get(..text.len() - unsigned.len()).unwrap_or_default());
    let digit_count = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (first, mut rest) = unsigned.split_at(digit_count(unsigned));
    out.extend_from_slice(first);
    let separator = thousands.filter(|separator| !separator.is_empty());
    while let Some(after) = separator.and_then(|separator| rest.strip_prefix(separator)) {
        // `0,123` is no number of four digits to anyone.
        let has_good_start = (1..=GROUP_DIGITS).contains(&first.len()) && first.first() != Some(&b'0');
        if !has_good_start || digit_count(after) != GROUP_DIGITS {
            return Err(Reason::Grouping);
        }
        let (group, left) = after.split_at(GROUP_DIGITS);
        out.extend_from_slice(group);
        rest = left;
    }
    let decimal = if decimal_comma { b',' } else { b'.' };
    match rest.split_first() {
        Some((mark, places)) if *mark == decimal => {
            out.push(b'.');
            rest = places;
        }
        Some((b'.' | b',', _)) => return Err(Reason::DecimalMark),
        _ => {}
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Writes `text` into `out` with full-width digits, signs and points as ASCII, and, with `marks`, what stands between digits.
fn narrow(text: &[u8], marks: bool, out: &mut Vec<u8>) {
    out.clear();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let narrowed = match rest {
            [0xEF, 0xBC, last @ 0x90..=0x99, ..] => Some(last - 0x90 + b'0'),
            [0xEF, 0xBC, 0x8B, ..] => Some(b'+'),
            // U+FF0D, and U+2212, which the same byte of Shift_JIS becomes elsewhere.
            [0xEF, 0xBC, 0x8D, ..] | [0xE2, 0x88, 0x92, ..] => Some(b'-'),
            [0xEF, 0xBC, 0x8E, ..] => Some(b'.'),
            [0xEF, 0xBC, 0x8C, ..] if marks => Some(b','),
            [0xEF, 0xBC, 0x8F, ..] if marks => Some(b'/'),
            [0xEF, 0xBC, 0x9A, ..] if marks => Some(b':'),
            [0xE3, 0x80, 0x80, ..] if marks => Some(b' '),
            _ => None,
        };
        match narrowed {
            Some(byte) => {
                out.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let mut kept = text;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = kept {
        kept = rest;
    }
    kept
}

fn trim_all(text: &[u8]) -> &[u8] {
    let mut kept = text;
    loop {
        kept = match kept {
            [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] => rest,
            [0xC2, 0xA0, rest @ ..] | [rest @ .., 0xC2, 0xA0] => rest,
            [0xE3, 0x80, 0x80, rest @ ..] | [rest @ .., 0xE3, 0x80, 0x80] => rest,
            _ => return kept,
        };
    }
}
