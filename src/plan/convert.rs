//! What is said of columns and fields to the rules by which values are read; what cannot work is refused.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Route;
use crate::error::{Error, Result};
use crate::row::{Conversion, Epoch, Rules, TimeFormat, Trim};
use crate::settings::{self, ColumnSettings, ExtraFields, MissingFields, ParseSettings, RouteSettings};
use crate::table::{Kind, Table};

/// The rules of `parse`; zone and resolution of times are the load's to say.
pub(super) fn rules(parse: &ParseSettings) -> Rules {
    Rules {
        null_strings: bytes(&parse.null_string),
        null_quoted: parse.null_quoted,
        trim: match parse.trim {
            settings::Trim::None => Trim::None,
            settings::Trim::Unquoted => Trim::Unquoted,
            settings::Trim::All => Trim::All,
        },
        extra_fields: parse.extra_fields == ExtraFields::Ignore,
        extra_empty_fields: parse.extra_fields == ExtraFields::Empty,
        missing_fields: parse.missing_fields == MissingFields::Null,
        ..Rules::default()
    }
}

/// The rules of each column that has some.
///
/// # Errors
/// `Config`, naming the column, for what no column could be read by.
pub(super) fn conversions(said: &RouteSettings) -> Result<Vec<(String, Conversion)>> {
    let convert = |(name, column): (&String, &ColumnSettings)| {
        conversion(column)
            .map(|conversion| (name.clone(), conversion))
            .map_err(|error| error.context(format!("`columns.{name}`")))
    };
    let conversions = said.columns.iter().map(convert).collect::<Result<Vec<_>>>()?;
    Ok(conversions.into_iter().filter(|(_, conversion)| !conversion.is_empty()).collect())
}

fn conversion(said: &ColumnSettings) -> Result<Conversion> {
    if said.epoch.is_some() && !said.format.is_empty() {
        return Err(Error::config("it has both `epoch` and `format`")
            .with_hint("keep one; a `format` list may have `%s` (seconds) or `%Q` (milliseconds) in it"));
    }
    if said.default_date.is_some() && said.format.is_empty() {
        return Err(Error::config("`default_date` has no `format` whose date it could stand in for")
            .with_hint("add `format`, such as `%H:%M`"));
    }
    let default_date = said.default_date.as_deref().map(date).transpose()?;
    let format = |pattern: &String| match default_date {
        Some(date) => TimeFormat::with_default_date(pattern, date),
        None => TimeFormat::new(pattern),
    };
    let conversion = Conversion {
        trim: said.trim.as_deref().map(|word| match word {
            "all" => Trim::All,
            "unquoted" => Trim::Unquoted,
            _ => Trim::None,
        }),
        nulls: said.null.as_deref().map(bytes),
        default: said.default.clone().map(String::into_bytes),
        full_width: said.full_width.unwrap_or(false),
        thousands: said.thousands.as_deref().map(thousands).transpose()?,
        decimal_comma: said.decimal.as_deref().map(decimal_comma).transpose()?.unwrap_or(false),
        formats: said.format.iter().map(format).collect::<Result<_>>()?,
        zone: said.timezone.as_deref().map(zone).transpose()?,
        epoch: said.epoch.as_deref().and_then(|word| Epoch::ALL.into_iter().find(|one| one.name() == word)),
        true_words: bytes(&said.true_words),
        false_words: bytes(&said.false_words),
    };
    check_words(&conversion)?;
    Ok(conversion)
}

fn bytes(texts: &[String]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.clone().into_bytes()).collect()
}

fn date(text: &str) -> Result<Date> {
    text.parse::<Date>().ok().filter(|date| date.year() > 0).ok_or_else(|| {
        Error::config(format!("`default_date: {text}` is no date"))
            .with_hint("write it as YYYY-MM-DD, in quotes")
    })
}

fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown()).ok_or_else(|| {
        Error::config(format!("the time zone `{name}` is not known"))
            .with_hint("use an IANA name such as `Asia/Tokyo` or `UTC`")
    })
}

fn thousands(text: &str) -> Result<Vec<u8>> {
    let mut letters = text.chars();
    let is_mark =
        |letter: char| !letter.is_alphanumeric() && !matches!(letter, '+' | '-' | '\0' | '\r' | '\n');
    match (letters.next(), letters.next()) {
        (Some(letter), None) if is_mark(letter) => Ok(text.as_bytes().to_vec()),
        _ => Err(Error::config("`thousands` must be one character that stands between digits")
            .with_hint("such as `,` `.` `'` `_`, a blank, or U+00A0")),
    }
}

fn decimal_comma(text: &str) -> Result<bool> {
    match text {
        "," => Ok(true),
        "." => Ok(false),
        _ => Err(Error::config("`decimal` must be `.` or `,`")
            .with_hint("a number with another mark before its decimal places is no number here")),
    }
}

/// A word must not be true and false.
fn check_words(conversion: &Conversion) -> Result<()> {
    const USUAL: [&[&str]; 2] =
        [&["t", "true", "1", "y", "yes", "on"], &["f", "false", "0", "n", "no", "off"]];
    let or_usual = |words: &[Vec<u8>], usual: &[&str]| match words {
        [] => usual.iter().map(|word| word.as_bytes().to_vec()).collect(),
        words => words.to_vec(),
    };
    let [true_words, false_words] =
        [or_usual(&conversion.true_words, USUAL[0]), or_usual(&conversion.false_words, USUAL[1])];
    let both = |word: &&Vec<u8>| false_words.iter().any(|other| other.eq_ignore_ascii_case(word));
    match true_words.iter().find(both) {
        None => Ok(()),
        Some(word) => Err(Error::config(format!(
            "`{}` is a word for true and for false",
            String::from_utf8_lossy(word)
        ))
        .with_hint(
            "give both lists, `true` and `false`; a list that is left out is the usual one (0, no, off…)",
        )),
    }
}

/// Rules must suit the types of their columns.
///
/// # Errors
/// `Config`, naming column and type.
pub(super) fn check(route: &Route, table: &Table) -> Result<()> {
    for (name, conversion) in &route.conversions {
        let column = table.column_index(name).and_then(|index| table.columns.get(index));
        // Columns that are not there are refused where all that is said of columns is.
        let Some(column) = column else { continue };
        if let Some((what, hint)) = unsuited(conversion, column.kind) {
            return Err(Error::config(format!(
                "`columns.{name}`: {what}, and the column is of type `{}`",
                column.sql_type
            ))
            .with_hint(hint));
        }
    }
    Ok(())
}

/// What cannot work in a column of this kind, and what to do.
fn unsuited(rule: &Conversion, kind: Kind) -> Option<(String, &'static str)> {
    let is_moment = matches!(kind, Kind::Date | Kind::Timestamp { .. } | Kind::Timestamptz { .. });
    let is_whole = matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8);
    let is_number = is_whole || matches!(kind, Kind::Float4 | Kind::Float8 | Kind::Numeric { .. });
    let said = |what: &str, hint| Some((what.to_owned(), hint));
    if !rule.formats.is_empty() && !is_moment && !matches!(kind, Kind::Time { .. }) {
        return said(
            "it has a time `format`",
            "time formats are for columns of type date, time, timestamp and timestamptz",
        );
    }
    if rule.epoch.is_some() && !is_moment {
        return said(
            "it has `epoch`",
            "counts from 1970 go into columns of type timestamptz, timestamp or date",
        );
    }
    if (rule.thousands.is_some() || rule.decimal_comma) && !is_number {
        return said("it has marks of numbers (`thousands`, `decimal`)", "these are for columns of numbers");
    }
    if rule.thousands.as_deref() == Some(if rule.decimal_comma { b"," } else { b"." }) && !is_whole {
        return said(
            "`thousands` and `decimal` are the same",
            "say both, such as `thousands: \".\", decimal: \",\"`",
        );
    }
    if (!rule.true_words.is_empty() || !rule.false_words.is_empty()) && kind != Kind::Bool {
        return said("it has words for `true` and `false`", "these are for columns of type bool");
    }
    if rule.full_width && matches!(kind, Kind::Bytea | Kind::Json | Kind::Jsonb | Kind::Uuid) {
        return said("it has `full_width`", "full-width digits are read in numbers, times and text");
    }
    rule.formats
        .iter()
        .find_map(|format| unsuited_format(format, rule, kind))
        .or_else(|| unsuited_zone(rule, kind))
}

fn unsuited_format(format: &TimeFormat, rule: &Conversion, kind: Kind) -> Option<(String, &'static str)> {
    let pattern = format.pattern();
    if matches!(kind, Kind::Time { .. }) {
        return match () {
            () if format.says_date() => Some((
                format!("`{pattern}` has a date"),
                "a time of day has none: leave it out of the format, or use a timestamp",
            )),
            () if format.has_zone() => {
                Some((format!("`{pattern}` has a zone"), "the column keeps none: leave it out of the format"))
            }
            () => None,
        };
    }
    if !format.has_date() {
        return Some((
            format!("`{pattern}` has no date"),
            "add `default_date: \"YYYY-MM-DD\"` for times without one",
        ));
    }
    let keeps_zone = matches!(kind, Kind::Timestamptz { .. });
    if format.has_zone() && !format.is_epoch() && !keeps_zone && rule.zone.is_none() {
        return Some((
            format!("`{pattern}` has a zone"),
            "the column keeps none: add `timezone`, and what clocks show there is written",
        ));
    }
    None
}

fn unsuited_zone(rule: &Conversion, kind: Kind) -> Option<(String, &'static str)> {
    rule.zone.as_ref()?;
    let has_moments = rule.epoch.is_some() || rule.formats.iter().any(TimeFormat::has_zone);
    let suits = match kind {
        Kind::Timestamptz { .. } => true,
        Kind::Timestamp { .. } | Kind::Date => has_moments,
        _ => false,
    };
    (!suits).then(|| {
        (
            "it has a `timezone`".to_owned(),
            "zones are for timestamptz, and for timestamp and date where `epoch` or a `format` with `%z` says the moment",
        )
    })
}

/// What a column says, or its rules, which go with some types alone; else what was guessed.
pub fn type_of_rules(said: &ColumnSettings, guessed: &str) -> String {
    if let Some(said) = &said.sql_type {
        return said.clone();
    }
    let is_time = matches!(
        Kind::of_sql(guessed),
        Kind::Date | Kind::Time { .. } | Kind::Timestamp { .. } | Kind::Timestamptz { .. }
    );
    let ruled = match said.format.first().and_then(|pattern| TimeFormat::new(pattern).ok()) {
        _ if is_time => guessed,
        Some(format) if format.has_zone() || format.is_epoch() => "timestamptz",
        Some(format) if !format.has_date() => "time",
        Some(format) if !format.has_time() => "date",
        Some(_) => "timestamp",
        None if said.epoch.is_some() => "timestamptz",
        None if guessed == "text" && (said.thousands.is_some() || said.decimal.is_some()) => "numeric",
        None if !said.true_words.is_empty() || !said.false_words.is_empty() => "boolean",
        None => guessed,
    };
    ruled.to_owned()
}
