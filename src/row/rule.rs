//! What a route says of how the text of a column is read, beyond the column's type.
//!
//! The order is: blanks taken off, NULL told, full-width digits narrowed, marks of numbers taken out, the type.
//! Each step does what its rule says and refuses what the rule does not cover; without rules a text is read as it
//! stands.

use jiff::tz::TimeZone;

use super::format::TimeFormat;

/// Which blanks around a value are no part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trim {
    /// None.
    #[default]
    None,
    /// U+0020 and tabs around fields without quotes.
    Unquoted,
    /// The same and U+00A0 and U+3000, also inside of quotes.
    All,
}

impl Trim {
    /// The word in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unquoted => "unquoted",
            Self::All => "all",
        }
    }
}

/// What a number of moments counts, from 1970-01-01 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `ns`
    Nanoseconds,
}

impl Epoch {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    /// The word in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::Nanoseconds => "ns",
        }
    }

    /// Decimal places of a second.
    pub(super) fn places(self) -> u32 {
        match self {
            Self::Seconds => 0,
            Self::Milliseconds => 3,
            Self::Microseconds => 6,
            Self::Nanoseconds => 9,
        }
    }
}

/// The rules of one column. What is left at its default changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversion {
    /// Blanks; unless said, as the object's rules say.
    pub trim: Option<Trim>,
    /// Texts that are NULL, in place of those of the object's rules.
    pub nulls: Option<Vec<Vec<u8>>>,
    /// What stands in for NULL: read as a value of the file would be, but never as NULL.
    pub default: Option<Vec<u8>>,
    /// Full-width digits, signs and points count as what they look like; in times and numbers also `／`, `：`, `，`
    /// and U+3000.
    pub full_width: bool,
    /// What may stand between groups of three digits before the point.
    pub thousands: Option<Vec<u8>>,
    /// Decimal places stand behind a comma, and a point is refused.
    pub decimal_comma: bool,
    /// How times are written: the first that fits reads the value. Empty: as without rules.
    pub formats: Vec<TimeFormat>,
    /// What local times are local to, in place of the zone of the object's rules; what moments become in columns without zone.
    pub zone: Option<TimeZone>,
    /// Numbers are moments.
    pub epoch: Option<Epoch>,
    /// Words for true, in any case of ASCII letters. Empty: the usual ones.
    pub true_words: Vec<Vec<u8>>,
    /// Words for false.
    pub false_words: Vec<Vec<u8>>,
}

impl Conversion {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether numbers are written with other marks than a point.
    pub(super) fn has_marks(&self) -> bool {
        self.thousands.is_some() || self.decimal_comma
    }
}
