//! Local time to UTC with the bundled time-zone database.
//!
//! Neither the machine nor the server has a say. A local time that a zone skipped or showed twice is refused.
//! Civil time repeats every 400 years once a zone's last recorded change is past, so that years which the
//! database cannot express are resolved as the same day some cycles earlier.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::Reason;
use super::time::parse_pair;

/// Seconds from the epoch of the database (1970) to that of the server (2000).
pub(super) const EPOCH_SECONDS: i64 = 946_684_800;
const CYCLE_SECONDS: i64 = 146_097 * 86_400;
/// Local seconds from 2000 at which cycles begin to be taken off: the start of year 9990, near the database's end.
const CYCLES_START: i64 = 252_140_083_200;
/// How far from a change of offset a local time is certain to belong to one side: no two offsets are as far apart.
const CHANGE_MARGIN_SECONDS: i64 = 3 * 86_400;
/// What one zone alone goes by, and its hours east.
const ABBREVIATIONS: [(&[u8], i64); 3] = [(b"jst", 9), (b"kst", 9), (b"hkt", 8)];
/// What RFC 2822, section 4.3, says that these mean in the date of a mail; elsewhere `CST` may be China's.
const MAIL_ABBREVIATIONS: [(&[u8], i64); 8] = [
    (b"est", -5),
    (b"edt", -4),
    (b"cst", -6),
    (b"cdt", -5),
    (b"mst", -7),
    (b"mdt", -6),
    (b"pst", -8),
    (b"pdt", -7),
];
/// Zones remembered; a file that names more looks them up again.
const REMEMBERED_MAX: usize = 16;

/// The zones that one object's values name, and the one they mean when they name none.
pub(super) struct Zones {
    unnamed: Zone,
    named: RefCell<Vec<(Vec<u8>, Zone)>>,
}

impl Zones {
    pub(super) fn new(unnamed: TimeZone) -> Self {
        Self { unnamed: Zone::new(unnamed), named: RefCell::new(Vec::new()) }
    }

    /// How far east of UTC clocks are that show `local` (seconds from 2000) in the zone that `text` names.
    pub(super) fn seconds_east(&self, text: &[u8], local: i64) -> Result<i64, Reason> {
        if text.is_empty() {
            return self.unnamed.seconds_east(local);
        }
        let name = text.strip_prefix(b" ").unwrap_or(text);
        match name {
            [] => Err(Reason::NotTimestamp),
            [b'+', offset @ ..] => parse_offset(offset).ok_or(Reason::UnknownZone),
            [b'-', offset @ ..] => parse_offset(offset).map(|seconds| -seconds).ok_or(Reason::UnknownZone),
            _ if is_utc(name) => Ok(0),
            [b'A'..=b'Z' | b'a'..=b'z', ..] if name.len() < text.len() => {
                self.seconds_east_named(name, local)
            }
            [b'A'..=b'Z' | b'a'..=b'z', ..] => Err(Reason::UnknownZone),
            _ => Err(Reason::NotTimestamp),
        }
    }

    /// The same for a value that a pattern split off: more names, as a rule of the column asked for them.
    pub(super) fn seconds_east_by_rule(
        &self,
        zone: Option<&[u8]>,
        is_mail: bool,
        local: i64,
    ) -> Result<i64, Reason> {
        let Some(name) = zone else { return self.unnamed.seconds_east(local) };
        match name {
            [b'+', offset @ ..] => return parse_offset(offset).ok_or(Reason::UnknownZone),
            [b'-', offset @ ..] => {
                return parse_offset(offset).map(|seconds| -seconds).ok_or(Reason::UnknownZone);
            }
            _ if is_utc(name) || name.eq_ignore_ascii_case(b"ut") => return Ok(0),
            _ if name.contains(&b'/') => return self.seconds_east_named(name, local),
            _ => {}
        }
        let known = ABBREVIATIONS.iter().chain(if is_mail { &MAIL_ABBREVIATIONS[..] } else { &[] });
        if let Some((_, hours)) = known.into_iter().find(|(word, _)| name.eq_ignore_ascii_case(word)) {
            return Ok(hours * 3600);
        }
        self.unnamed.seconds_east_abbreviated(name, local)
    }

    /// How far east of UTC clocks of the zone without name are at a moment (seconds from 2000).
    pub(super) fn seconds_east_at(&self, moment: i64) -> Result<i64, Reason> {
        self.unnamed.seconds_east_at(moment)
    }

    fn seconds_east_named(&self, name: &[u8], local: i64) -> Result<i64, Reason> {
        let mut named = self.named.borrow_mut();
        if let Some((_, zone)) = named.iter().find(|(known, _)| known == name) {
            return zone.seconds_east(local);
        }
        let zone = Zone::new(find(name).ok_or(Reason::UnknownZone)?);
        let answer = zone.seconds_east(local);
        if named.len() == REMEMBERED_MAX {
            named.clear();
        }
        named.push((name.to_vec(), zone));
        answer
    }
}

/// One zone, with the stretch of local time around the value resolved last.
struct Zone {
    zone: TimeZone,
    stretch: Cell<Stretch>,
}

/// Local seconds from 2000 between which clocks stood at one offset, clear of changes on either side.
#[derive(Clone, Copy)]
struct Stretch {
    start: i64,
    end: i64,
    seconds_east: i64,
}

impl Zone {
    fn new(zone: TimeZone) -> Self {
        let stretch = match zone.to_fixed_offset() {
            Ok(offset) => Stretch { start: i64::MIN, end: i64::MAX, seconds_east: offset.seconds().into() },
            Err(_) => Stretch { start: 0, end: 0, seconds_east: 0 },
        };
        Self { zone, stretch: Cell::new(stretch) }
    }

    fn seconds_east_at(&self, moment: i64) -> Result<i64, Reason> {
        let stretch = self.stretch.get();
        if (stretch.start..stretch.end).contains(&moment.saturating_add(stretch.seconds_east)) {
            return Ok(stretch.seconds_east);
        }
        let moment = moment - cycles(moment) * CYCLE_SECONDS;
        let moment = Timestamp::from_second(moment + EPOCH_SECONDS).map_err(|_| Reason::Year)?;
        Ok(self.zone.to_offset(moment).seconds().into())
    }

    /// The offset at which this zone, showing `local`, goes by `name`: it tells the two turns of a repeated hour apart.
    fn seconds_east_abbreviated(&self, name: &[u8], local: i64) -> Result<i64, Reason> {
        let shown = Timestamp::from_second(local - cycles(local) * CYCLE_SECONDS + EPOCH_SECONDS);
        let shown = Offset::UTC.to_datetime(shown.map_err(|_| Reason::Year)?);
        let goes_by = |offset: Offset| {
            let moment = offset.to_timestamp(shown).ok()?;
            let info = self.zone.to_offset_info(moment);
            let is_same = info.abbreviation().as_bytes().eq_ignore_ascii_case(name);
            is_same.then(|| i64::from(info.offset().seconds()))
        };
        let found = match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => goes_by(offset),
            AmbiguousOffset::Fold { before, after } => goes_by(before).or_else(|| goes_by(after)),
            AmbiguousOffset::Gap { .. } => None,
        };
        found.ok_or(Reason::ZoneAbbreviation)
    }

    fn seconds_east(&self, local: i64) -> Result<i64, Reason> {
        let stretch = self.stretch.get();
        if (stretch.start..stretch.end).contains(&local) {
            return Ok(stretch.seconds_east);
        }
        let cycles = cycles(local);
        let local = local - cycles * CYCLE_SECONDS;
        let shown = Timestamp::from_second(local + EPOCH_SECONDS).map_err(|_| Reason::Year)?;
        let shown = Offset::UTC.to_datetime(shown);
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => {
                let seconds_east = offset.seconds().into();
                if cycles == 0 {
                    self.remember(local, seconds_east);
                }
                Ok(seconds_east)
            }
            AmbiguousOffset::Gap { .. } => Err(Reason::SkippedLocalTime),
            AmbiguousOffset::Fold { .. } => Err(Reason::AmbiguousLocalTime),
        }
    }

    /// Keeps the stretch around `local`, if it is clear of changes there.
    fn remember(&self, local: i64, seconds_east: i64) {
        let Ok(moment) = Timestamp::from_second(local - seconds_east + EPOCH_SECONDS) else { return };
        // `preceding` leaves out the given moment itself.
        let Ok(next_moment) = Timestamp::from_second(moment.as_second() + 1) else { return };
        let to_local = |moment: Timestamp| moment.as_second() - EPOCH_SECONDS + seconds_east;
        let before = self.zone.preceding(next_moment).next().map(|change| to_local(change.timestamp()));
        let after = self.zone.following(moment).next().map(|change| to_local(change.timestamp()));
        let start = before.map_or(i64::MIN, |change| change + CHANGE_MARGIN_SECONDS);
        let end = after.map_or(CYCLES_START, |change| change - CHANGE_MARGIN_SECONDS);
        if (start..end).contains(&local) {
            self.stretch.set(Stretch { start, end, seconds_east });
        }
    }
}

/// Cycles to take off seconds from 2000 for the database to know the day.
fn cycles(seconds: i64) -> i64 {
    if seconds < CYCLES_START { 0 } else { (seconds - CYCLES_START) / CYCLE_SECONDS + 1 }
}

/// Looks a name up. Names without a slash are left alone: `CET` is a zone to one database and an offset to another.
fn find(name: &[u8]) -> Option<TimeZone> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.contains('/'))?;
    TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown())
}

fn is_utc(name: &[u8]) -> bool {
    [&b"z"[..], b"utc", b"gmt"].iter().any(|utc| name.eq_ignore_ascii_case(utc))
}

/// Reads `09`, `0900`, `09:00` or `09:00:00` as seconds; the server knows offsets below 16 hours.
fn parse_offset(text: &[u8]) -> Option<i64> {
    const SECONDS_MAX: i64 = 16 * 3600 - 1;
    let (hours, rest) = parse_pair(text)?;
    let (minutes, rest) = match rest {
        [] => (0, rest),
        [b':', rest @ ..] | rest => parse_pair(rest)?,
    };
    let seconds = match rest {
        [] => 0,
        [b':', pair @ ..] if text.len() == 8 && pair.len() == 2 => parse_pair(pair)?.0,
        _ => return None,
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= SECONDS_MAX).then_some(total)
}
