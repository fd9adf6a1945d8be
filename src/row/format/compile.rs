//! A pattern to its items, and the patterns that do not say a time in full.

use super::{Date, Item, Part, Parts, TimeFormat};
use crate::error::{Error, Result};

/// More bytes are no pattern.
const PATTERN_BYTES_MAX: usize = 256;
const YEAR_DIGITS: usize = 4;
const YEAR_DIGITS_MAX: usize = 6;

pub(super) fn compile(pattern: &str, default_date: Option<Date>) -> Result<TimeFormat> {
    let wrong = |what: &str, hint: &str| {
        Err(Error::config(format!("the time format `{pattern}` {what}")).with_hint(hint))
    };
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
        return Err(
            Error::config("a time format has 1 to 256 bytes").with_hint("write one such as `%Y-%m-%d`")
        );
    }
    let mut compiler = Compiler { pattern, items: Vec::new(), parts: Parts::default() };
    compiler.take(pattern)?;
    let mut parts = compiler.parts;
    if let Some((what, hint)) = incomplete(parts, default_date.is_some()) {
        return wrong(what, hint);
    }
    let mut items = compiler.items;
    if let Some(what) = settle_widths(&mut items) {
        return wrong(what, "put something between them, or say the digits, as in `%3N`");
    }
    parts.mail = is_mail(&items);
    Ok(TimeFormat { pattern: pattern.to_owned(), items: items.into(), parts, default_date })
}

/// What a pattern lacks, and what to do.
fn incomplete(parts: Parts, has_default_date: bool) -> Option<(&'static str, &'static str)> {
    let some_date = parts.year || parts.month || parts.day || parts.day_of_year;
    if parts.epoch {
        let mixed =
            some_date || parts.weekday || parts.has_hour() || parts.minute || parts.second || parts.zone;
        return mixed.then_some((
            "counts from 1970 and says a date or a time besides",
            "keep `%s` (with `.%N` behind it for a fraction) or the date, not both",
        ));
    }
    if parts.day_of_year && (parts.month || parts.day) {
        return Some(("says the day twice", "keep `%j`, or `%m` and `%d`"));
    }
    if parts.hour_12 && !parts.meridiem {
        return Some(("has an hour of twelve and no `%p`", "write `%H` for an hour of 24, or add `%p`"));
    }
    if parts.meridiem && !parts.hour_12 {
        return Some(("has `%p` and no hour of twelve", "write `%I` for the hour"));
    }
    if parts.minute && !parts.has_hour() {
        return Some(("has minutes and no hour", "add `%H`, or `%I` and `%p`"));
    }
    if parts.second && !parts.minute {
        return Some(("has seconds and no minutes", "add `%M`"));
    }
    if parts.fraction && !parts.second {
        return Some(("has digits of a second and no seconds", "add `%S`, or `%s` for seconds from 1970"));
    }
    if (some_date || parts.weekday) && !parts.has_date() && !has_default_date {
        let hint = "add what is missing, or say `default_date`, whose parts stand in for it";
        return Some(match () {
            () if !parts.year => ("has a date without a year", hint),
            () if !parts.month => ("has a date without a month", hint),
            () => ("has a date without a day", hint),
        });
    }
    if !some_date && !parts.has_hour() {
        return Some(("says neither a date nor a time", "write one such as `%Y-%m-%d %H:%M:%S`"));
    }
    None
}

/// Gives numbers that stand against digits all of theirs; answers what cannot be told apart.
fn settle_widths(items: &mut [Item]) -> Option<&'static str> {
    for at in 0..items.len() {
        let is_before_digit = match items.get(at + 1) {
            Some(Item::Number { .. } | Item::Fraction { .. } | Item::Seconds | Item::Milliseconds) => true,
            Some(Item::Literal(literal)) => literal.first().is_some_and(u8::is_ascii_digit),
            _ => false,
        };
        let is_behind_digit = at > 0 && matches!(items.get(at - 1), Some(Item::Number { .. }));
        match &mut items[at] {
            Item::Number { part, digits_min, digits_max, .. } if is_before_digit || is_behind_digit => {
                if *part == Part::Year {
                    *digits_max = YEAR_DIGITS;
                }
                *digits_min = *digits_max;
            }
            Item::Fraction { digits_max } if is_before_digit => {
                if *digits_max == usize::MAX {
                    return Some("has digits of the second right before others");
                }
            }
            Item::Fraction { digits_max } => *digits_max = usize::MAX,
            Item::Seconds | Item::Milliseconds if is_before_digit => {
                return Some("has seconds from 1970 right before other digits");
            }
            _ => {}
        }
    }
    None
}

/// `[%a, ]%d %b %Y %H:%M[:%S] %z`, as RFC 2822 writes it.
fn is_mail(items: &[Item]) -> bool {
    let is_text = |item: Option<&Item>, text: &str| matches!(item, Some(Item::Literal(literal)) if **literal == *text.as_bytes());
    let is_part = |item: Option<&Item>, wanted: Part| matches!(item, Some(Item::Number { part, .. }) if *part == wanted);
    let items = match items {
        [Item::Weekday, comma, Item::Blank, rest @ ..] if is_text(Some(comma), ",") => rest,
        _ => items,
    };
    let [day, Item::Blank, Item::MonthName, Item::Blank, year, Item::Blank, hour, colon, minute, rest @ ..] =
        items
    else {
        return false;
    };
    let is_time =
        is_part(Some(hour), Part::Hour) && is_text(Some(colon), ":") && is_part(Some(minute), Part::Minute);
    let rest = match rest {
        [colon, second, rest @ ..] if is_text(Some(colon), ":") && is_part(Some(second), Part::Second) => {
            rest
        }
        _ => rest,
    };
    is_part(Some(day), Part::Day)
        && is_part(Some(year), Part::Year)
        && is_time
        && matches!(rest, [Item::Blank, Item::Zone { .. }])
}

struct Compiler<'a> {
    pattern: &'a str,
    items: Vec<Item>,
    parts: Parts,
}

impl Compiler<'_> {
    fn take(&mut self, pattern: &str) -> Result<()> {
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            rest = match first {
                '%' => self.directive(after)?,
                ' ' | '\t' | '\n' => {
                    self.blank();
                    after
                }
                _ => {
                    self.literal(&rest[..first.len_utf8()]);
                    after
                }
            };
        }
        Ok(())
    }

    fn blank(&mut self) {
        if self.items.last() != Some(&Item::Blank) {
            self.items.push(Item::Blank);
        }
    }

    fn literal(&mut self, text: &str) {
        if let Some(Item::Literal(literal)) = self.items.last_mut() {
            let mut longer = std::mem::take(literal).into_vec();
            longer.extend_from_slice(text.as_bytes());
            *literal = longer.into();
        } else {
            self.items.push(Item::Literal(text.as_bytes().into()));
        }
    }

    /// Takes flags, width and letter behind a `%`; answers what is left.
    fn directive<'p>(&mut self, after: &'p str) -> Result<&'p str> {
        let bare = after.trim_start_matches(['-', '_', '0', '^', '#']);
        let digits = bare.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let width = match &bare[..bare.len() - digits.len()] {
            "" => None,
            width => Some(
                width
                    .parse::<usize>()
                    .ok()
                    .filter(|width| (1..=9).contains(width))
                    .ok_or_else(|| self.unknown(after))?,
            ),
        };
        let letters = digits.trim_start_matches(':');
        let colon_count = digits.len() - letters.len();
        let letter = letters.chars().next().ok_or_else(|| self.unknown(after))?;
        let rest = &letters[letter.len_utf8()..];
        if (colon_count > 0 && letter != 'z') || colon_count > 3 {
            return Err(self.unknown(after));
        }
        if width.is_some() && !matches!(letter, 'N' | 'L' | 'f' | 'Y') {
            return Err(self.unknown(after));
        }
        match letter {
            'F' => self.take("%Y-%m-%d")?,
            'T' => self.take("%H:%M:%S")?,
            'R' => self.take("%H:%M")?,
            'D' => self.take("%m/%d/%y")?,
            'r' => self.take("%I:%M:%S %p")?,
            'n' | 't' => self.blank(),
            '%' => self.literal("%"),
            _ => {
                let (item, seen) = self.item(letter, width).ok_or_else(|| self.unknown(after))?;
                if std::mem::replace(seen(&mut self.parts), true) {
                    let what =
                        format!("the time format `{}` says one thing twice, at `%{letter}`", self.pattern);
                    return Err(Error::config(what).with_hint("leave one of the two out"));
                }
                self.items.push(item);
            }
        }
        Ok(rest)
    }

    /// The item of a letter, and the part that it gives.
    fn item(&self, letter: char, width: Option<usize>) -> Option<(Item, fn(&mut Parts) -> &mut bool)> {
        let number = |part, digits_min, digits_max, is_padded| Item::Number {
            part,
            digits_min,
            digits_max,
            is_padded,
        };
        let year_digits_max = width.unwrap_or(YEAR_DIGITS_MAX).clamp(YEAR_DIGITS, YEAR_DIGITS_MAX);
        let fraction = Item::Fraction { digits_max: width.unwrap_or(usize::MAX) };
        let found: (Item, fn(&mut Parts) -> &mut bool) = match letter {
            'Y' => (number(Part::Year, YEAR_DIGITS, year_digits_max, false), |parts| &mut parts.year),
            'y' => (number(Part::ShortYear, 2, 2, false), |parts| &mut parts.year),
            'm' => (number(Part::Month, 1, 2, false), |parts| &mut parts.month),
            'd' | 'e' => (number(Part::Day, 1, 2, true), |parts| &mut parts.day),
            'j' => (number(Part::DayOfYear, 1, 3, false), |parts| &mut parts.day_of_year),
            'H' | 'k' => (number(Part::Hour, 1, 2, true), |parts| &mut parts.hour),
            'I' | 'l' => (number(Part::Hour12, 1, 2, true), |parts| &mut parts.hour_12),
            'M' => (number(Part::Minute, 1, 2, false), |parts| &mut parts.minute),
            'S' => (number(Part::Second, 1, 2, false), |parts| &mut parts.second),
            'N' | 'f' | 'L' => (fraction, |parts| &mut parts.fraction),
            'b' | 'B' | 'h' => (Item::MonthName, |parts| &mut parts.month),
            'a' | 'A' => (Item::Weekday, |parts| &mut parts.weekday),
            'p' | 'P' => (Item::Meridiem, |parts| &mut parts.meridiem),
            'z' => (Item::Zone { has_names: false }, |parts| &mut parts.zone),
            'Z' => (Item::Zone { has_names: true }, |parts| &mut parts.zone),
            's' => (Item::Seconds, |parts| &mut parts.epoch),
            'Q' => (Item::Milliseconds, |parts| &mut parts.epoch),
            _ => return None,
        };
        Some(found)
    }

    fn unknown(&self, after: &str) -> Error {
        let shown: String =
            after.chars().take_while(|letter| !letter.is_ascii_alphabetic()).take(4).collect();
        let letter = after.chars().find(char::is_ascii_alphabetic).map(String::from).unwrap_or_default();
        let hint = match letter.as_str() {
            "c" => "write it out: `%a %b %e %H:%M:%S %Y`",
            "x" => "write it out: `%m/%d/%y`, or as the file has it",
            "X" => "write it out: `%H:%M:%S`",
            "G" | "g" | "V" | "u" | "w" | "U" | "W" => {
                "weeks of the year are not read; days are: `%Y-%m-%d`, `%Y-%j`"
            }
            _ => {
                "known are %Y %y %m %d %e %j %b %a %H %I %p %M %S %N %z %Z %s %Q %F %T %R %D; a percent sign is `%%`"
            }
        };
        Error::config(format!(
            "the time format `{}` has an unknown directive `%{shown}{letter}`",
            self.pattern
        ))
        .with_hint(hint)
    }
}
