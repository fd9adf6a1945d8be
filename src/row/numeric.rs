//! Exact decimals: text to the server's groups of four digits, without a big number in between.
//!
//! On the wire a numeric is a count of groups, the weight of the first group (a power of 10,000), a sign, the
//! number of decimal places to show, and the groups. Groups of zeros at either end are left out, so that there is
//! one encoding for each value and number of places.

use super::Reason;
use super::scalar::{Special, special, split_sign};

/// Most digits before the point.
const WHOLE_DIGITS_MAX: i64 = 131_072;
/// Most decimal places.
const SCALE_MAX: i64 = 16_383;
/// Where an exponent stops counting: far beyond every limit, and far from overflowing what it is added to.
const EXPONENT_CAP: i64 = 1 << 60;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;

/// Appends length and wire form of `text`.
///
/// With `shortest`, trailing zeros of a column without declared scale are not kept, so that equal values have equal bytes.
pub(super) fn append(
    text: &[u8],
    limits: Option<(u16, i16)>,
    shortest: bool,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    if !matches!(text.first(), Some(b'0'..=b'9')) {
        match special(text) {
            Some(Special::NaN) => {
                append_header(&Header { group_count: 0, weight: 0, sign: NAN, scale: 0 }, out);
                return Ok(());
            }
            Some(Special::Infinity { .. }) => return Err(Reason::InfiniteNumeric),
            None => {}
        }
    }
    let decimal = Decimal::parse(text).ok_or(Reason::NotNumber)?;
    let extent = decimal.extent();
    let scale = match limits {
        Some((precision, scale)) => check_declared(extent, precision, scale)?,
        None => check_undeclared(extent, if shortest { 0 } else { decimal.scale() })?,
    };
    decimal.append(extent, scale, out);
    Ok(())
}

/// Whether a `numeric` without declared limits can hold `text`.
pub(super) fn fits(text: &[u8]) -> bool {
    Decimal::parse(text).is_some_and(|decimal| check_undeclared(decimal.extent(), decimal.scale()).is_ok())
}

/// Powers of ten of the first and the last nonzero digit; none for zero.
type Extent = Option<(i64, i64)>;

fn check_declared(extent: Extent, precision: u16, scale: i16) -> Result<u16, Reason> {
    let shown = u16::try_from(scale).unwrap_or(0);
    let Some((top, bottom)) = extent else { return Ok(shown) };
    if -bottom > i64::from(scale) {
        return Err(if scale < 0 {
            Reason::NotMultiple { exponent: scale.unsigned_abs() }
        } else {
            Reason::DecimalPlaces { scale: shown }
        });
    }
    if top >= i64::from(precision) - i64::from(scale) {
        return Err(Reason::NumericRange { precision, scale });
    }
    Ok(shown)
}

fn check_undeclared(extent: Extent, scale: i64) -> Result<u16, Reason> {
    const REFUSED: Reason = Reason::DecimalPlaces { scale: 16_383 };
    let (top, bottom) = extent.unwrap_or((0, 0));
    if top >= WHOLE_DIGITS_MAX {
        return Err(Reason::WholeDigits);
    }
    let scale = scale.max(-bottom);
    if scale > SCALE_MAX { Err(REFUSED) } else { u16::try_from(scale).map_err(|_| REFUSED) }
}

/// A number as it was written.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = split_sign(text);
        let (whole, rest) = split_digits(unsigned);
        let (fraction, rest) = match rest {
            [b'.', after @ ..] => split_digits(after),
            _ => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', after @ ..] => parse_exponent(after)?,
            _ => return None,
        };
        Some(Self { negative, whole, fraction, exponent })
    }

    /// Digits before the point once the exponent has moved it.
    fn point(&self) -> i64 {
        length(self.whole) + self.exponent
    }

    /// Decimal places that were written.
    fn scale(&self) -> i64 {
        (length(self.fraction) - self.exponent).max(0)
    }

    fn extent(&self) -> Extent {
        let is_nonzero = |digit: &u8| *digit != b'0';
        let from_whole = self.whole.iter().position(is_nonzero);
        let from_fraction = || Some(self.whole.len() + self.fraction.iter().position(is_nonzero)?);
        let first = from_whole.or_else(from_fraction)?;
        let to_fraction = self.fraction.iter().rposition(is_nonzero).map(|index| self.whole.len() + index);
        let last = to_fraction.or_else(|| self.whole.iter().rposition(is_nonzero))?;
        let power = |index: usize| Some(self.point() - 1 - i64::try_from(index).ok()?);
        Some((power(first)?, power(last)?))
    }

    /// The digit at `index`, counted from the first that was written; zero outside of them.
    fn digit(&self, index: i64) -> u16 {
        let Ok(index) = usize::try_from(index) else { return 0 };
        let digit = match self.whole.get(index) {
            Some(digit) => Some(digit),
            None => self.fraction.get(index - self.whole.len()),
        };
        digit.map_or(0, |digit| u16::from(digit - b'0'))
    }

    /// Appends a number whose `extent` and `scale` were found to be inside the limits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the limits leave at most 36,865 groups and weights from -4,097 to 32,767"
    )]
    fn append(&self, extent: Extent, scale: u16, out: &mut Vec<u8>) {
        let Some((top, bottom)) = extent else {
            append_header(&Header { group_count: 0, weight: 0, sign: POSITIVE, scale }, out);
            return;
        };
        let (first, last) = (top.div_euclid(4), bottom.div_euclid(4));
        let sign = if self.negative { NEGATIVE } else { POSITIVE };
        let (group_count, weight) = ((first - last + 1) as u16, first as i16);
        append_header(&Header { group_count, weight, sign, scale }, out);
        let mut index = self.point() - 4 * (first + 1);
        for _ in last..=first {
            let group = (index..index + 4).fold(0, |group, digit_index| group * 10 + self.digit(digit_index));
            out.extend_from_slice(&group.to_be_bytes());
            index += 4;
        }
    }
}

struct Header {
    group_count: u16,
    weight: i16,
    sign: u16,
    scale: u16,
}

/// Appends the length of the whole value and the fields before the groups.
fn append_header(header: &Header, out: &mut Vec<u8>) {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&(8 + 2 * i32::from(header.group_count)).to_be_bytes());
    bytes[4..6].copy_from_slice(&header.group_count.to_be_bytes());
    bytes[6..8].copy_from_slice(&header.weight.to_be_bytes());
    bytes[8..10].copy_from_slice(&header.sign.to_be_bytes());
    bytes[10..].copy_from_slice(&header.scale.to_be_bytes());
    out.extend_from_slice(&bytes);
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0_i64, |magnitude, digit| {
        magnitude.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(EXPONENT_CAP)
    });
    Some(if negative { -magnitude } else { magnitude })
}
