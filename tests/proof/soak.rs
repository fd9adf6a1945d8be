//! Histories without end: `make soak`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::histories::{modes, number};
use crate::history::{History, Temper};
use crate::place::{Dialect, Place};
use crate::play::{Counts, play};
use crate::support::standin::Profile;

const SOAK_S: u64 = 60;
/// A new database, new handlers and another version of Hologres after so many histories.
const HISTORIES_PER_PLACE: u64 = 100;

/// Until time is up, or until a history does not end right: its seed replays it.
fn soak(dialect: Dialect, name: &str) {
    let end = Instant::now() + Duration::from_secs(number("HOLOLOAD_TEST_SOAK_S").unwrap_or(SOAK_S));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let mut seed = number("HOLOLOAD_TEST_SEED").unwrap_or(now.as_secs() * 1_000);
    let mut counts = Counts::default();
    for profile in [Profile::V3_1, Profile::V2_2, Profile::V4_1].into_iter().cycle() {
        let place = Place::with(dialect, name, profile);
        for _ in 0..HISTORIES_PER_PLACE {
            if Instant::now() >= end {
                println!("{dialect:?}: soaked; {counts:?}");
                return;
            }
            let temper = if seed.is_multiple_of(3) { Temper::Kills } else { Temper::Mixed };
            match play(&place, &History::random(seed, modes(dialect), temper)) {
                Ok(counted) => counts.add(counted),
                Err(told) => panic!("{told}"),
            }
            seed += 1;
        }
        println!("{dialect:?}: so far {counts:?}");
    }
}

#[test]
#[ignore = "as long as it is told to; `make soak`"]
fn soak_postgresql() {
    soak(Dialect::PostgreSql, "soak");
}

#[test]
#[ignore = "as long as it is told to; `make soak`"]
fn soak_hologres() {
    soak(Dialect::Hologres, "soak");
}
