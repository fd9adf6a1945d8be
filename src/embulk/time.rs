//! Times of Embulk's: patterns, zones, and the zone in which moments were written where a column keeps none.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Notes;
use super::filters::Changes;
use super::output::Output;
use super::parser::{Column, Parser};
use crate::row::{TimeFormat, from_java_all, from_ruby};

/// What stands in for a date that a pattern lacks, unless the file says another.
const DATE: &str = "1970-01-01";
/// The same as a date.
const DATE_PARTS: Date = Date::constant(1970, 1, 1);
/// Zones of the database are that far from UTC at most, in whole hours (`Etc/GMT+12`, `Etc/GMT-14`).
const HOURS_EAST: std::ops::RangeInclusive<i64> = -12..=14;

/// A pattern of Embulk's as ours; several where parts of it may be missing.
pub(super) fn patterns(option: &str, said: &str, notes: &mut Notes) -> Vec<String> {
    let translated = match said.strip_prefix("java:") {
        Some(java) => from_java_all(java),
        None => from_ruby(said.strip_prefix("ruby:").unwrap_or(said)).map(|one| vec![one]),
    };
    let checked = translated.map_err(|part| format!("`{part}` has no equivalent")).and_then(|patterns| {
        let compile = |pattern: &String| TimeFormat::with_default_date(pattern, DATE_PARTS);
        match patterns.iter().try_for_each(|pattern| compile(pattern).map(|_| ())) {
            Ok(()) => Ok(patterns),
            Err(error) => Err(error.to_string()),
        }
    });
    checked.unwrap_or_else(|why| {
        notes.drop(
            option,
            format!("`{said}`, because {why}: write `format` with the directives of docs/configuration.md"),
        );
        Vec::new()
    })
}

/// The name that the database has for a zone: Embulk knows offsets and Java's short names, too.
pub(super) fn zone(option: &str, said: &str, notes: &mut Notes) -> String {
    let named = match said {
        "Z" | "UT" | "GMT" => Some("UTC".to_owned()),
        "JST" => Some("Asia/Tokyo".to_owned()),
        _ => of_offset(said),
    };
    let name = named.unwrap_or_else(|| said.to_owned());
    if TimeZone::get(&name).map_or(true, |zone| zone.is_unknown()) {
        notes.todo(option, format!("`{said}` is no name of a time zone: write one such as `Asia/Tokyo`"));
    }
    name
}

/// `+09:00` and its like, in whole hours; the names of such zones count west of UTC.
fn of_offset(said: &str) -> Option<String> {
    let bare = said.strip_prefix("UTC").or_else(|| said.strip_prefix("GMT")).unwrap_or(said);
    let digits: String = bare.strip_prefix(['+', '-'])?.chars().filter(|letter| *letter != ':').collect();
    let (hours, minutes) = digits.split_at_checked(digits.len().min(2))?;
    if !minutes.chars().all(|digit| digit == '0') {
        return None;
    }
    let hours: i64 = hours.parse().ok()?;
    let east = if bare.starts_with('-') { -hours } else { hours };
    match east {
        0 => Some("UTC".to_owned()),
        _ if !HOURS_EAST.contains(&east) => None,
        _ if east > 0 => Some(format!("Etc/GMT-{east}")),
        _ => Some(format!("Etc/GMT+{}", -east)),
    }
}

impl Parser {
    /// The same with what the output's zones and Embulk's own default date come to in the columns.
    pub(super) fn written_by(mut self, output: &Output, changes: &Changes, notes: &mut Notes) -> Self {
        let read_in = self.timezone.clone().unwrap_or_else(|| "UTC".to_owned());
        for column in self.columns.iter_mut().filter(|column| column.kind == "timestamp") {
            let name = changes.name_of(&column.name);
            let own = name.and_then(|name| Some((output.timezones.get(&name)?, name)));
            let written_in = match own {
                Some((said, name)) => zone(&format!("out.column_options.{name}.timezone"), said, notes),
                None => zone("out.default_timezone", &output.timezone, notes),
            };
            column.settle(&read_in, &written_in, notes);
        }
        self
    }
}

impl Column {
    fn settle(&mut self, read_in: &str, written_in: &str, notes: &mut Notes) {
        let formats: Vec<TimeFormat> = self
            .formats
            .iter()
            .filter_map(|pattern| TimeFormat::with_default_date(pattern, DATE_PARTS).ok())
            .collect();
        if formats.is_empty() {
            // Without a format there is no date to stand in for.
            self.date = None;
            return;
        }
        let lacks_date =
            |pattern: &String| TimeFormat::new(pattern).map_or(true, |format| !format.has_date());
        if self.date.is_none() && self.formats.iter().any(lacks_date) {
            self.date = Some(DATE.to_owned());
        }
        let zoned_count = formats.iter().filter(|format| format.has_zone()).count();
        let is_counted = formats.iter().all(TimeFormat::is_epoch);
        if zoned_count == formats.len() {
            // The zone is the text's; what a column without one shows is the output's.
            self.timezone = (!is_counted || written_in != "UTC").then(|| written_in.to_owned());
            return;
        }
        let read_in = self.timezone.clone().unwrap_or_else(|| read_in.to_owned());
        if zoned_count > 0 {
            self.timezone = Some(read_in.clone());
        }
        if read_in != written_in {
            notes.differs(
                "in.parser.columns.timezone",
                format!(
                    "Embulk read times in {read_in} and wrote them into columns of type timestamp as clocks in {written_in} show them; \
                     here such a column holds what stands in the file"
                ),
            );
        }
    }
}
