//! Dates and times: how one is written, as a strftime text in which the order of day and month is still open.

use crate::row::{MONTHS, WEEKDAYS};

/// Stand where the parts of a date in numbers are whose order is open.
pub(super) const OPEN: [char; 3] = ['\u{1}', '\u{2}', '\u{3}'];

/// Which part of a date comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The text tells.
    Told,
    /// Day or month, then the year with four digits.
    DayOrMonth,
    /// Three numbers of two digits.
    Short,
}

/// How a date or time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
pub(super) struct Shape {
    pub(super) pattern: String,
    pub(super) order: Order,
    /// The numbers whose order is open.
    pub(super) numbers: [u16; 3],
    /// `row` reads it without a pattern.
    pub(super) is_native: bool,
    pub(super) has_date: bool,
    pub(super) has_time: bool,
    pub(super) has_zone: bool,
}

/// Longer texts are none.
const LENGTH_MAX: usize = 48;

pub(super) fn is_moment(text: &str) -> bool {
    shape(text).is_some()
}

struct Cursor<'a> {
    rest: &'a str,
    pattern: String,
    order: Order,
    numbers: [u16; 3],
    is_native: bool,
}

pub(super) fn shape(text: &str) -> Option<Shape> {
    if text.len() > LENGTH_MAX || text.len() < 4 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut cursor =
        Cursor { rest: text, pattern: String::new(), order: Order::Told, numbers: [0; 3], is_native: true };
    let has_date = cursor.date();
    let mut has_zone = false;
    let has_time = if has_date && cursor.rest.is_empty() {
        false
    } else {
        if has_date {
            cursor.between()?;
        }
        cursor.time(has_date)?;
        has_zone = has_date && cursor.zone();
        true
    };
    // The year of asctime stands at the end.
    if has_date
        && !cursor.pattern.contains("%Y")
        && !cursor.pattern.contains("%y")
        && cursor.order == Order::Told
    {
        cursor.blank();
        let year = cursor.digits(4)?;
        if year.len() != 4 {
            return None;
        }
        cursor.pattern.push_str("%Y");
    }
    cursor.rest.is_empty().then_some(Shape {
        pattern: cursor.pattern,
        order: cursor.order,
        numbers: cursor.numbers,
        is_native: cursor.is_native,
        has_date,
        has_time,
        has_zone,
    })
}

/// Whether a number of eight digits is a day between 1900 and 2099.
pub(super) fn is_compact_day(text: &str) -> bool {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u16>().ok());
    text.len() == 8
        && matches!((part(0..4), part(4..6), part(6..8)), (Some(year), Some(month), Some(day))
            if (1900..=2099).contains(&year) && is_day(month, day))
}

/// Whether a number of 14 digits is a day and a time.
pub(super) fn is_compact_moment(text: &str) -> bool {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u16>().ok());
    text.len() == 14
        && text.get(..8).is_some_and(is_compact_day)
        && part(8..10).is_some_and(|hour| hour < 24)
        && part(10..12).is_some_and(|minute| minute < 60)
        && part(12..14).is_some_and(|second| second < 60)
}

fn is_day(month: u16, day: u16) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=last).contains(&day)
}

fn named(word: &str, names: &[&str]) -> Option<bool> {
    let word = word.to_ascii_lowercase();
    names.iter().find_map(|name| {
        if *name == word {
            Some(name.len() > 3)
        } else {
            (word.len() == 3 && name.starts_with(&word)).then_some(false)
        }
    })
}

impl<'a> Cursor<'a> {
    fn digits(&mut self, max: usize) -> Option<&'a str> {
        let count = self.rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(digits)
    }

    fn literal(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) if !text.is_empty() => {
                self.rest = rest;
                self.pattern.push_str(text);
                true
            }
            _ => false,
        }
    }

    fn blank(&mut self) -> bool {
        self.literal(" ")
    }

    fn word(&mut self) -> &'a str {
        let count = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = self.rest.split_at_checked(count).unwrap_or(("", self.rest));
        self.rest = rest;
        word
    }

    /// Reads a date, if there is one; otherwise nothing is read.
    fn date(&mut self) -> bool {
        let (rest, length) = (self.rest, self.pattern.len());
        self.weekday();
        let found = match self.rest.bytes().next() {
            Some(byte) if byte.is_ascii_digit() => self.numeric(),
            Some(byte) if byte.is_ascii_alphabetic() => self.month_first(),
            _ => None,
        };
        if found.is_none() {
            self.rest = rest;
            self.pattern.truncate(length);
            self.order = Order::Told;
            self.is_native = true;
        }
        found.is_some()
    }

    fn weekday(&mut self) {
        let rest = self.rest;
        let word = self.word();
        let is_long = named(word, &WEEKDAYS);
        if let Some(is_long) = is_long {
            self.is_native = false;
            self.pattern.push_str(if is_long { "%A" } else { "%a" });
            self.literal(",");
            self.blank();
        } else {
            self.rest = rest;
        }
    }

    fn month(&mut self) -> Option<()> {
        let word = self.word();
        let is_long = named(word, &MONTHS)?;
        self.pattern.push_str(if is_long { "%B" } else { "%b" });
        self.is_native = false;
        Some(())
    }

    fn numeric(&mut self) -> Option<()> {
        let first = self.digits(14)?;
        match first.len() {
            14 if is_compact_moment(first) => {
                // Digits alone are decided where the whole column is known.
                None
            }
            8 if is_compact_day(first) && !self.rest.is_empty() => {
                self.pattern.push_str("%Y%m%d");
                Some(())
            }
            4 => self.year_first(first),
            1 | 2 => self.day_first(first),
            _ => None,
        }
    }

    fn year_first(&mut self, year: &str) -> Option<()> {
        if !("1000".."3000").contains(&year) {
            return None;
        }
        self.pattern.push_str("%Y");
        if self.literal("年") {
            self.is_native = false;
            let month = self.digits(2)?;
            self.pattern.push_str("%m");
            self.literal("月").then_some(())?;
            let day = self.digits(2)?;
            self.pattern.push_str("%d");
            self.literal("日").then_some(())?;
            return is_day(month.parse().ok()?, day.parse().ok()?).then_some(());
        }
        let separator = self.separator()?;
        let month = if self.rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            self.month()?;
            1
        } else {
            let month = self.digits(2)?.parse().ok()?;
            self.pattern.push_str("%m");
            month
        };
        self.literal(separator).then_some(())?;
        let day = self.digits(2)?.parse().ok()?;
        self.pattern.push_str("%d");
        self.is_native &= separator != ".";
        is_day(month, day).then_some(())
    }

    fn separator(&mut self) -> Option<&'static str> {
        let separator = ["-", "/", "."].into_iter().find(|separator| self.rest.starts_with(separator))?;
        self.literal(separator);
        Some(separator)
    }

    /// `13/01/2014`, `01-02-99`, `20 Feb 2015`, `31-OCT-2023`, `07Mar2004`.
    fn day_first(&mut self, first: &str) -> Option<()> {
        self.is_native = false;
        let begin = self.pattern.len();
        self.pattern.push(OPEN[0]);
        let separator = self.separator().or_else(|| self.blank().then_some(" "));
        if self.rest.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            self.pattern.replace_range(begin..=begin, "%d");
            self.month()?;
            if let Some(separator) = separator {
                if separator == " " {
                    self.literal(",");
                }
                self.literal(separator).then_some(())?;
            }
            self.year()?;
            return (1..=31).contains(&first.parse::<u16>().ok()?).then_some(());
        }
        let separator = separator.filter(|separator| *separator != " ")?;
        let second = self.digits(2)?;
        self.pattern.push(OPEN[1]);
        self.literal(separator).then_some(())?;
        let third = self.digits(4)?;
        self.numbers = [first.parse().ok()?, second.parse().ok()?, third.parse().ok()?];
        let [one, two, _] = self.numbers;
        match third.len() {
            4 => {
                self.pattern.push_str("%Y");
                self.order = Order::DayOrMonth;
                (is_day(one, two) || is_day(two, one)).then_some(())
            }
            2 if first.len() == 2 && second.len() == 2 => {
                self.pattern.push(OPEN[2]);
                self.order = Order::Short;
                let [one, two, three] = self.numbers;
                (is_day(one, two) || is_day(two, one) || is_day(two, three)).then_some(())
            }
            // `2/1/03`: a year would have two digits, so the year is the last.
            2 if separator != "." => {
                self.pattern.push_str("%y");
                self.order = Order::DayOrMonth;
                (is_day(one, two) || is_day(two, one)).then_some(())
            }
            _ => None,
        }
    }

    fn year(&mut self) -> Option<()> {
        match self.digits(4)?.len() {
            4 => self.pattern.push_str("%Y"),
            2 => self.pattern.push_str("%y"),
            _ => return None,
        }
        Some(())
    }

    /// `Dec 8, 2022`, `May 11 21:44:53 2001`.
    fn month_first(&mut self) -> Option<()> {
        self.month()?;
        self.literal(".");
        self.blank().then_some(())?;
        // A blank may stand for the first digit of the day.
        let is_padded = self.rest.starts_with(' ');
        self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
        let day: u16 = self.digits(2)?.parse().ok()?;
        self.pattern.push_str(if is_padded { "%e" } else { "%d" });
        let is_year = |rest: &str| {
            rest.strip_prefix(' ')
                .is_some_and(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() == 4)
        };
        if self.literal(",") || is_year(self.rest) {
            self.blank();
            self.year()?;
        }
        (1..=31).contains(&day).then_some(())
    }

    /// What stands between date and time.
    fn between(&mut self) -> Option<()> {
        let separators = ["T", ", ", ". ", " ", ".", ":", "_", "-"];
        let separator = separators.into_iter().find(|separator| self.rest.starts_with(separator))?;
        self.literal(separator);
        self.is_native &= matches!(separator, "T" | " ");
        Some(())
    }

    fn time(&mut self, has_date: bool) -> Option<()> {
        let is_padded = has_date && self.rest.starts_with(' ');
        if is_padded {
            self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
            self.is_native = false;
        }
        let begin = self.pattern.len();
        let digits = self.digits(6)?;
        if digits.len() == 6 || digits.len() == 4 {
            return self.compact_time(digits, has_date);
        }
        if digits.is_empty() || digits.len() > 2 {
            return None;
        }
        let hour: u16 = digits.parse().ok()?;
        self.pattern.push_str(if is_padded { "%k" } else { "%H" });
        let mut rest = (0, 0);
        let separators: &[&str] = if has_date { &[":", "-", "時"] } else { &[":"] };
        let separator = separators.iter().find(|separator| self.rest.starts_with(**separator)).copied();
        match separator {
            Some("時") => self.japanese_time()?,
            Some(separator) => rest = self.minutes(separator)?,
            // An hour alone is one behind a T.
            None if has_date && self.pattern.get(..begin).is_some_and(|before| before.ends_with('T')) => {
                self.is_native = false;
            }
            None => return None,
        }
        let is_half = self.meridiem(begin);
        let is_hour =
            if is_half { (1..=12).contains(&hour) } else { hour < 24 || (hour == 24 && rest == (0, 0)) };
        is_hour.then_some(())
    }

    fn compact_time(&mut self, digits: &str, has_date: bool) -> Option<()> {
        if !has_date {
            return None;
        }
        self.is_native = false;
        self.pattern.push_str(if digits.len() == 6 { "%H%M%S" } else { "%H%M" });
        let part =
            |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |two| two.parse::<u16>().ok());
        let is_time = part(0..2)? < 24 && part(2..4)? < 60 && part(4..6)? < 60;
        is_time.then_some(())
    }

    fn minutes(&mut self, separator: &str) -> Option<(u16, u16)> {
        self.literal(separator);
        self.is_native &= separator == ":";
        let minute = self.pair()?;
        self.pattern.push_str("%M");
        let mut second = 0;
        let has_second = self
            .rest
            .strip_prefix(separator)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if has_second && self.literal(separator) {
            second = self.pair()?;
            self.pattern.push_str("%S");
            self.fraction();
        }
        Some((minute, second))
    }

    fn pair(&mut self) -> Option<u16> {
        let digits = self.digits(2)?;
        if digits.len() != 2 {
            return None;
        }
        digits.parse().ok().filter(|number| *number < 60)
    }

    fn fraction(&mut self) {
        let Some(mark) = [".", ","].into_iter().find(|mark| self.rest.starts_with(mark)) else { return };
        let digits = self.rest.get(1..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        if (1..=9).contains(&digits) {
            self.literal(mark);
            self.digits(9);
            self.pattern.push_str("%N");
            self.is_native &= mark == ".";
        }
    }

    fn japanese_time(&mut self) -> Option<()> {
        self.is_native = false;
        self.literal("時");
        self.digits(2)?.parse::<u16>().ok().filter(|minute| *minute < 60)?;
        self.pattern.push_str("%M");
        self.literal("分").then_some(())?;
        if !self.rest.is_empty() {
            self.digits(2)?.parse::<u16>().ok().filter(|second| *second < 60)?;
            self.pattern.push_str("%S");
            self.literal("秒").then_some(())?;
        }
        Some(())
    }

    fn meridiem(&mut self, begin: usize) -> bool {
        let rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
        let blank = if rest.len() < self.rest.len() { " " } else { "" };
        let Some(word) = rest.get(..2) else { return false };
        if !word.eq_ignore_ascii_case("am") && !word.eq_ignore_ascii_case("pm") {
            return false;
        }
        self.rest = rest.get(2..).unwrap_or_default();
        self.is_native = false;
        let time = self.pattern.split_off(begin).replace("%H", "%I").replace("%k", "%l");
        self.pattern.push_str(&time);
        self.pattern.push_str(blank);
        self.pattern.push_str("%p");
        true
    }

    /// Reads an offset or a zone's name, if there is one.
    fn zone(&mut self) -> bool {
        let after = self.rest.strip_prefix(' ').unwrap_or(self.rest);
        let blank = if after.len() < self.rest.len() { " " } else { "" };
        let Some(length) = zone_length(after) else { return false };
        let Some((zone, rest)) = after.split_at_checked(length) else { return false };
        // A year may stand here, too.
        self.rest = rest;
        self.pattern.push_str(blank);
        let is_universal = ["Z", "UTC", "GMT"].iter().any(|name| zone.eq_ignore_ascii_case(name));
        let is_offset = zone.starts_with(['+', '-']);
        self.is_native &= is_universal || is_offset || (zone.contains('/') && blank == " ");
        self.pattern.push_str(if is_universal || is_offset || zone == "UT" { "%z" } else { "%Z" });
        true
    }
}

fn zone_length(text: &str) -> Option<usize> {
    if let Some(digits) = text.strip_prefix(['+', '-']) {
        let is_colon = digits.as_bytes().get(2) == Some(&b':');
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let length = match (count, is_colon) {
            (2, true) => {
                digits.get(3..5).filter(|pair| pair.bytes().all(|byte| byte.is_ascii_digit())).map(|_| 6)
            }
            (2, false) => Some(3),
            (4, _) => Some(5),
            _ => None,
        };
        return length;
    }
    let letters =
        text.bytes().take_while(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'_')).count();
    let word = text.get(..letters)?;
    let is_place = word.contains('/') && word.len() <= 32;
    let is_short = (1..=5).contains(&letters) && word.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_place || is_short).then_some(letters)
}
