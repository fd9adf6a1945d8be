//! Why a row cannot be written. A reason names limits and types and never repeats the cell's value.

use std::fmt;

/// A row that cannot be written as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the slot at fault; none where the record as a whole is.
    pub slot: Option<usize>,
    /// What is wrong.
    pub reason: Reason,
}

/// The reason for bytes that are no text.
pub const NOT_UTF_8: &str = "not UTF-8";

/// What is wrong with a value or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The record has more or fewer fields than the others.
    FieldCount {
        /// Fields of this record.
        found: usize,
        /// Fields that every record must have.
        expected: usize,
    },
    /// Neither of the words for an inserted, an updated and a deleted row.
    Operation,
    /// NULL where the column is `NOT NULL`.
    Null,
    /// A NUL byte, which no text type of the server can hold.
    NulByte,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// More bytes than the server keeps in one value.
    TooManyBytes,
    /// More characters than the column declares.
    TooManyCharacters {
        /// Declared length.
        char_max: u32,
    },
    /// Not one of the words for true and false.
    NotBoolean,
    /// Not an optional sign and digits.
    NotInteger,
    /// Not a decimal number.
    NotNumber,
    /// A number that the type cannot hold.
    OutOfRange {
        /// The type.
        sql_type: &'static str,
    },
    /// A nonzero number that the type would make zero.
    TooSmall {
        /// The type.
        sql_type: &'static str,
    },
    /// Infinity in a `numeric`, which has none on servers before 14.
    InfiniteNumeric,
    /// Nonzero digits after the last decimal place kept.
    DecimalPlaces {
        /// Decimal places kept.
        scale: u16,
    },
    /// Nonzero digits below the power of ten that a negative scale keeps.
    NotMultiple {
        /// The power of ten.
        exponent: u16,
    },
    /// More digits before the point than precision and scale leave.
    NumericRange {
        /// Declared precision.
        precision: u16,
        /// Declared scale.
        scale: i16,
    },
    /// More digits before the point than any `numeric` has.
    WholeDigits,
    /// A separator of thousands that does not stand between groups of three digits.
    Grouping,
    /// A point where the column's rule says comma, or a comma where it does not.
    DecimalMark,
    /// Not a count of time from 1970.
    NotEpoch,
    /// Not as the column's rule says that its times are written.
    NotFormat,
    /// A day of the week that the date is not.
    WrongWeekday,
    /// A time of day other than midnight in a column of dates.
    TimeInDate,
    /// Letters that several zones go by.
    ZoneAbbreviation,
    /// Not the form of a date.
    NotDate,
    /// A year before 1 or after 294276.
    Year,
    /// The form of a date, but the calendar has no such day.
    NoSuchDay,
    /// Not the form of a time of day.
    NotTime,
    /// The form of a time of day, but the clock has no such time.
    NoSuchTime,
    /// Not the form of a date and a time.
    NotTimestamp,
    /// Nonzero digits after the last digit of the second kept.
    SecondDigits {
        /// Digits kept.
        digits: u8,
    },
    /// A time zone in a column that keeps none.
    UnwantedZone,
    /// Neither an offset nor a zone of the bundled database.
    UnknownZone,
    /// A local time that clocks jumped over.
    SkippedLocalTime,
    /// A local time that clocks showed twice.
    AmbiguousLocalTime,
    /// Not a UUID.
    NotUuid,
    /// Not hexadecimal bytes.
    NotBytea,
    /// Not JSON.
    NotJson,
    /// JSON nested too deeply.
    JsonDepth,
    /// JSON with the escape of the NUL character.
    JsonNul,
    /// JSON with one half of a surrogate pair.
    JsonSurrogate,
    /// JSON with a number that `jsonb`, which keeps numbers as `numeric`, cannot hold.
    JsonNumber,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::FieldCount { found, expected } => {
                let (noun, verb) = (plural(found, "field"), if expected == 1 { "is" } else { "are" });
                return write!(f, "{found} {noun} where {expected} {verb} expected");
            }
            Self::TooManyCharacters { char_max } => {
                return write!(f, "longer than {char_max} {}", plural(char_max as usize, "character"));
            }
            Self::OutOfRange { sql_type } => return write!(f, "out of range for {sql_type}"),
            Self::TooSmall { sql_type } => {
                return write!(f, "too small for {sql_type}, which would make it 0");
            }
            Self::DecimalPlaces { scale } => {
                return write!(f, "more than {scale} decimal {}", plural(usize::from(scale), "place"));
            }
            Self::NotMultiple { exponent } => return write!(f, "not a multiple of 10^{exponent}"),
            Self::NumericRange { precision, scale } => {
                return write!(f, "out of range for numeric({precision},{scale})");
            }
            Self::SecondDigits { digits } => {
                return write!(
                    f,
                    "more than {digits} {} of the second",
                    plural(usize::from(digits), "digit")
                );
            }
            Self::Operation => "unknown operation",
            Self::Null => "NULL in a NOT NULL column",
            Self::NulByte => "NUL byte",
            Self::NotUtf8 => NOT_UTF_8,
            Self::TooManyBytes => "longer than 1 GB",
            Self::NotBoolean => "not a boolean",
            Self::NotInteger => "not an integer",
            Self::NotNumber => "not a number",
            Self::InfiniteNumeric => "infinity in a numeric column",
            Self::WholeDigits => "more than 131072 digits before the point",
            Self::Grouping => "thousands separator out of place",
            Self::DecimalMark => "not the decimal mark of the column's rule",
            Self::NotEpoch => "not a count of time from 1970",
            Self::NotFormat => "not in the column's time format",
            Self::WrongWeekday => "not the date's day of the week",
            Self::TimeInDate => "time of day in a column of dates",
            Self::ZoneAbbreviation => "abbreviation of a time zone that does not name one zone",
            Self::NotDate => "not a date",
            Self::Year => "year not in 1 to 294276",
            Self::NoSuchDay => "day does not exist",
            Self::NotTime => "not a time of day",
            Self::NoSuchTime => "time of day does not exist",
            Self::NotTimestamp => "not a timestamp",
            Self::UnwantedZone => "time zone in a column without one",
            Self::UnknownZone => "unknown time zone",
            Self::SkippedLocalTime => "local time is skipped when clocks go forward",
            Self::AmbiguousLocalTime => "local time is ambiguous, as clocks go back",
            Self::NotUuid => "not a UUID",
            Self::NotBytea => r"not bytes in the form \x0123abcd",
            Self::NotJson => "not JSON",
            Self::JsonDepth => "JSON nested deeper than 128",
            Self::JsonNul => r"JSON with the escape \u0000",
            Self::JsonSurrogate => "JSON with half of a surrogate pair",
            Self::JsonNumber => "JSON with a number out of range for numeric",
        };
        f.write_str(text)
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}
