//! Times as a pattern says that they are written: `%d/%b/%Y:%H:%M:%S %z`.
//!
//! A pattern is compiled once; reading by it allocates nothing. It is read strictly: the whole text, days that the
//! calendar has, the day of the week that the date is. What the pattern leaves out is never made up: a pattern
//! without a year, with an hour of twelve and no `%p`, or with minutes and no hour, is refused when it is compiled.

mod compile;
mod foreign;
mod scan;

use super::Reason;
use super::time::{MICROS_PER_DAY, MICROS_PER_SECOND, check_moment, days, micros_of_day};
use super::zone::{EPOCH_SECONDS, Zones};
use crate::error::Result as Answer;
pub use foreign::{from_java, from_java_all, from_ruby};
use scan::Fields;
pub use scan::{MONTHS, WEEKDAYS};

/// A compiled pattern.
///
/// | directive | reads |
/// |---|---|
/// | `%Y` | a year of four to six digits |
/// | `%y` | its last two digits: 69 to 99 are of the 1900s, 00 to 68 of the 2000s (POSIX) |
/// | `%m` `%d` `%e` | month and day, one or two digits; a blank may stand for the first one of the day |
/// | `%b` `%B` `%h` | the month's English name, whole or its first three letters, in any case |
/// | `%a` `%A` | the day of the week, likewise, or in Japanese; it must be the date's |
/// | `%j` | day of the year |
/// | `%H` `%k`, `%I` `%l` | hour of 24, hour of 12; one or two digits, or a blank and one |
/// | `%p` `%P` | am, pm, a.m., p.m. in any case, or in Japanese |
/// | `%M` `%S` | minute and second, one or two digits; there is no second 60 |
/// | `%N` `%f` `%L` `%3N`… | digits of the second behind the point, as many as there are |
/// | `%z` `%:z` `%::z` | `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`, `Z`, `UTC`, `GMT`, `UT` |
/// | `%Z` | the same, an IANA name, JST, KST, HKT, an abbreviation of the column's own zone; in the form of mail (RFC 2822) also its EST to PDT |
/// | `%s`, `%Q` | seconds, milliseconds from 1970 in UTC; a fraction may follow `%s` |
/// | `%F` `%T` `%R` `%D` `%r` | `%Y-%m-%d`, `%H:%M:%S`, `%H:%M`, `%m/%d/%y`, `%I:%M:%S %p` |
/// | `%n` `%t`, a blank | one or more blanks |
/// | `%%`, all else | itself |
///
/// Numbers with nothing between them have all their digits: `%Y%m%d`. The flags `-`, `_`, `0`, `^` and `#` say how to
/// write and change nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat {
    pattern: String,
    items: Box<[Item]>,
    parts: Parts,
    default_date: Option<Date>,
}

/// Year, month and day.
type Date = (i64, i64, i64);

/// What a text is matched against, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(Box<[u8]>),
    Blank,
    Number { part: Part, digits_min: usize, digits_max: usize, is_padded: bool },
    Fraction { digits_max: usize },
    MonthName,
    Weekday,
    Meridiem,
    Zone { has_names: bool },
    Seconds,
    Milliseconds,
}

/// A number that a text gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Year,
    ShortYear,
    Month,
    Day,
    DayOfYear,
    Hour,
    Hour12,
    Minute,
    Second,
}

/// Which parts a pattern has.
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    year: bool,
    month: bool,
    day: bool,
    day_of_year: bool,
    weekday: bool,
    hour: bool,
    hour_12: bool,
    meridiem: bool,
    minute: bool,
    second: bool,
    fraction: bool,
    zone: bool,
    epoch: bool,
    /// The form of mail, whose zone names are its own.
    mail: bool,
}

/// What a text said, by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil<'a> {
    /// Days from 2000-01-01, where there is a date.
    pub days: Option<i64>,
    /// Microseconds of the day, where there is a time; a whole day is the end of it.
    pub micros: Option<i64>,
    /// Whether there were nonzero digits below the microsecond.
    pub is_finer: bool,
    /// The offset or the zone's name, where there is one; `Z` where seconds from 1970 were counted.
    pub zone: Option<&'a [u8]>,
    is_mail: bool,
}

impl TimeFormat {
    /// Compiles a pattern whose date, if it has one, is whole.
    ///
    /// # Errors
    /// `Config`, for directives that are not known and patterns that do not say a time in full.
    pub fn new(pattern: &str) -> Answer<Self> {
        compile::compile(pattern, None)
    }

    /// The same with a date that stands in for the year, month or day that the pattern lacks.
    ///
    /// # Errors
    /// `Config`, as above.
    pub fn with_default_date(pattern: &str, date: jiff::civil::Date) -> Answer<Self> {
        let date = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        compile::compile(pattern, Some(date))
    }

    /// As it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether what it reads has a date.
    pub fn has_date(&self) -> bool {
        self.default_date.is_some() || self.parts.has_date() || self.parts.epoch
    }

    /// Whether a part of a date stands in the text itself.
    pub fn says_date(&self) -> bool {
        let parts = self.parts;
        parts.year || parts.month || parts.day || parts.day_of_year || parts.weekday || parts.epoch
    }

    /// Whether what it reads has a time of day.
    pub fn has_time(&self) -> bool {
        self.parts.has_hour() || self.parts.epoch
    }

    /// Whether what it reads says its offset or zone; times from 1970 do.
    pub fn has_zone(&self) -> bool {
        self.parts.zone || self.parts.epoch
    }

    /// Whether it counts from 1970.
    pub fn is_epoch(&self) -> bool {
        self.parts.epoch
    }

    /// Reads the whole of `text`. Whether its zone is known is not looked at.
    ///
    /// # Errors
    /// What is wrong: the form, the day, the time, the day of the week.
    pub fn parse<'a>(&self, text: &'a [u8]) -> Result<Civil<'a>, Reason> {
        let fields = scan::scan(&self.items, text)?;
        if let Some(epoch) = fields.epoch {
            return Ok(Civil::from_epoch(epoch, fields.is_finer));
        }
        let days = if self.has_date() { Some(self.days(&fields)?) } else { None };
        let micros = if self.has_time() { Some(time_of_day(&fields)?) } else { None };
        let (is_finer, zone) = (fields.is_finer, fields.zone);
        if is_finer && micros == Some(MICROS_PER_DAY) {
            return Err(Reason::NoSuchTime);
        }
        Ok(Civil { days, micros, is_finer, zone, is_mail: self.parts.mail })
    }

    fn days(&self, fields: &Fields<'_>) -> Result<i64, Reason> {
        let (default_year, default_month, default_day) = self.default_date.unwrap_or_default();
        let year = match (fields.get(Part::Year), fields.get(Part::ShortYear)) {
            (Some(year), _) => year,
            (None, Some(short)) => short + if short < 69 { 2000 } else { 1900 },
            (None, None) => default_year,
        };
        let day_count = match fields.get(Part::DayOfYear) {
            Some(day) => {
                let (first, last) = (days(year, 1, 1)?, days(year, 12, 31)?);
                let day_count = first + day - 1;
                if !(first..=last).contains(&day_count) {
                    return Err(Reason::NoSuchDay);
                }
                day_count
            }
            None => {
                let month = fields.get(Part::Month).unwrap_or(default_month);
                days(year, month, fields.get(Part::Day).unwrap_or(default_day))?
            }
        };
        // 2000-01-01 was a Saturday.
        let weekday = (day_count + 6).rem_euclid(7);
        if fields.weekday.is_some_and(|said| said != weekday) {
            return Err(Reason::WrongWeekday);
        }
        Ok(day_count)
    }
}

fn time_of_day(fields: &Fields<'_>) -> Result<i64, Reason> {
    let hour = match (fields.get(Part::Hour), fields.get(Part::Hour12), fields.is_afternoon) {
        (Some(hour), ..) => hour,
        (None, Some(hour @ 1..=12), Some(is_afternoon)) => hour % 12 + if is_afternoon { 12 } else { 0 },
        _ => return Err(Reason::NoSuchTime),
    };
    let or_zero = |part| fields.get(part).unwrap_or(0);
    micros_of_day(hour, or_zero(Part::Minute), or_zero(Part::Second), fields.micros)
}

impl Parts {
    fn has_date(self) -> bool {
        self.year && (self.day_of_year || (self.month && self.day))
    }

    fn has_hour(self) -> bool {
        self.hour || self.hour_12
    }
}

impl Civil<'static> {
    /// From microseconds since 1970 in UTC.
    pub(super) fn from_epoch(micros: i64, is_finer: bool) -> Self {
        let days = micros.div_euclid(MICROS_PER_DAY) - EPOCH_SECONDS * MICROS_PER_SECOND / MICROS_PER_DAY;
        Self {
            days: Some(days),
            micros: Some(micros.rem_euclid(MICROS_PER_DAY)),
            is_finer,
            zone: Some(b"Z"),
            is_mail: false,
        }
    }
}

impl Civil<'_> {
    /// For a `date`: whole days only; with a zone, those of the column's own.
    pub(super) fn date(&self, zones: &Zones) -> Result<i32, Reason> {
        const MOMENT_DIGITS: u8 = 6;
        let local = self.timestamp(MOMENT_DIGITS, zones)?;
        if local % MICROS_PER_DAY != 0 {
            return Err(Reason::TimeInDate);
        }
        i32::try_from(local / MICROS_PER_DAY).map_err(|_| Reason::Year)
    }

    /// For a `time`.
    pub(super) fn time(&self, digits: u8) -> Result<i64, Reason> {
        self.check_digits(digits)?;
        self.micros.ok_or(Reason::NotTime)
    }

    /// For a `timestamp`: as the clock shows it, or, with a zone, as clocks of the column's own zone do.
    pub(super) fn timestamp(&self, digits: u8, zones: &Zones) -> Result<i64, Reason> {
        self.check_digits(digits)?;
        let local = self.local()?;
        if self.zone.is_none() {
            return check_moment(local);
        }
        let moment = self.moment(local, zones)?;
        let seconds_east = zones.seconds_east_at(moment.div_euclid(MICROS_PER_SECOND))?;
        check_moment(moment + seconds_east * MICROS_PER_SECOND)
    }

    /// For a `timestamptz`: local to the column's zone unless it says another.
    pub(super) fn timestamptz(&self, digits: u8, zones: &Zones) -> Result<i64, Reason> {
        self.check_digits(digits)?;
        self.moment(self.local()?, zones)
    }

    fn local(&self) -> Result<i64, Reason> {
        let days = self.days.ok_or(Reason::NotTimestamp)?;
        let micros =
            days.checked_mul(MICROS_PER_DAY).and_then(|start| start.checked_add(self.micros.unwrap_or(0)));
        check_moment(micros.ok_or(Reason::Year)?)
    }

    fn moment(&self, local: i64, zones: &Zones) -> Result<i64, Reason> {
        let seconds = local.div_euclid(MICROS_PER_SECOND);
        let seconds_east = zones.seconds_east_by_rule(self.zone, self.is_mail, seconds)?;
        check_moment(local - seconds_east * MICROS_PER_SECOND)
    }

    fn check_digits(&self, digits: u8) -> Result<(), Reason> {
        let step = 10_i64.pow(6_u32.saturating_sub(u32::from(digits)));
        let is_finer = self.is_finer || self.micros.unwrap_or(0) % step != 0;
        if is_finer { Err(Reason::SecondDigits { digits: digits.min(6) }) } else { Ok(()) }
    }
}
