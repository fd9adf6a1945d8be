//! What kind of number a text is.

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Digits, perhaps a sign.
    Integer { digits: u16, has_plus: bool, has_zero: bool },
    /// Digits with a point.
    Decimal { whole: u16, scale: u16, has_zero: bool },
    /// With an exponent.
    Exponent,
    /// Infinity or not a number.
    Special,
    /// Groups of three digits; the separator, and the decimal sign where there are decimal places.
    Grouped { by: char, decimal: Option<char>, whole: u16, scale: u16 },
    /// A comma before the decimal places.
    Comma { whole: u16, scale: u16 },
}

pub(super) fn number(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let has_plus = text.starts_with('+');
    let first = unsigned.bytes().next()?;
    if !first.is_ascii_digit() && first != b'.' {
        let special = ["nan", "infinity", "inf"].iter().any(|word| unsigned.eq_ignore_ascii_case(word));
        return special.then_some(Number::Special);
    }
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = unsigned.split_at(digits);
    let has_zero = whole.len() > 1 && whole.starts_with('0');
    let length = |text: &str| u16::try_from(text.len()).unwrap_or(u16::MAX);
    match rest.as_bytes().first() {
        None => return Some(Number::Integer { digits: length(whole), has_plus, has_zero }),
        Some(b'e' | b'E') => return is_exponent(rest).then_some(Number::Exponent),
        Some(b'.') => {
            let after = rest.get(1..)?;
            let scale = after.bytes().take_while(u8::is_ascii_digit).count();
            if scale + whole.len() == 0 {
                return None;
            }
            let end = after.get(scale..)?;
            if end.is_empty() {
                let significant = length(whole.trim_start_matches('0'));
                return Some(Number::Decimal { whole: significant, scale: length(after), has_zero });
            }
            if is_exponent(end) {
                return Some(Number::Exponent);
            }
        }
        _ => {}
    }
    grouped(unsigned).or_else(|| comma(unsigned))
}

fn is_exponent(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return false };
    let digits = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `1,234,567.89`, `1.234.567,89`, `1 234 567,89`, `1'234.50`.
fn grouped(text: &str) -> Option<Number> {
    for (by, decimal) in [(',', '.'), ('.', ','), (' ', ','), (' ', '.'), ('\'', '.'), ('_', '.')] {
        let (whole, fraction) = match text.split_once(decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        if !whole.contains(by) || fraction.is_some_and(|digits| !is_digits(digits)) {
            continue;
        }
        let mut groups = whole.split(by);
        let first = groups.next()?;
        let is_first = (1..=3).contains(&first.len()) && is_digits(first) && !first.starts_with('0');
        if is_first && groups.all(|group| group.len() == 3 && is_digits(group)) {
            let whole = whole.chars().filter(char::is_ascii_digit).count();
            let scale = fraction.map_or(0, str::len);
            return Some(Number::Grouped {
                by,
                decimal: fraction.map(|_| decimal),
                whole: u16::try_from(whole).ok()?,
                scale: u16::try_from(scale).ok()?,
            });
        }
    }
    None
}

fn comma(text: &str) -> Option<Number> {
    let (whole, fraction) = text.split_once(',')?;
    let has_zero = whole.len() > 1 && whole.starts_with('0');
    if !is_digits(whole) || !is_digits(fraction) || has_zero {
        return None;
    }
    Some(Number::Comma {
        whole: u16::try_from(whole.len()).ok()?,
        scale: u16::try_from(fraction.len()).ok()?,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number that full-width digits and signs write, if there are any.
pub(super) fn from_full_width(text: &str) -> Option<String> {
    if text.is_ascii() || !text.chars().any(|letter| ('０'..='９').contains(&letter)) {
        return None;
    }
    let narrow = |letter: char| match letter {
        '！'..='～' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        '\u{3000}' => ' ',
        '−' | '‐' => '-',
        other => other,
    };
    let text: String = text.chars().map(narrow).collect();
    number(&text).map(|_| text)
}

/// Whether a text is an amount with a currency's sign, or a share in percent.
pub(super) fn has_unit(text: &str) -> bool {
    const SIGNS: [char; 8] = ['$', '€', '£', '¥', '￥', '₩', '円', '元'];
    let bare =
        text.trim_matches(|letter: char| SIGNS.contains(&letter) || matches!(letter, '%' | '％' | ' '));
    let unsigned = text.trim_start_matches(['-', '+']).trim_start_matches(SIGNS);
    bare.len() < text.len() && (number(bare).is_some() || number(unsigned).is_some())
}
