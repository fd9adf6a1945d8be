//! Histories without end: `make soak`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::histories::{number, play_seed};
use crate::place::{Dialect, Places};
use crate::play::Counts;

const SOAK_S: u64 = 60;
/// New databases and new handlers after so many histories.
const HISTORIES_PER_PLACE: u64 = 200;

/// Until time is up, or until a history does not end right: its seed replays it.
fn soak(dialect: Dialect, name: &str) {
    let end = Instant::now() + Duration::from_secs(number("HOLOLOAD_TEST_SOAK_S").unwrap_or(SOAK_S));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let mut seed = number("HOLOLOAD_TEST_SEED").unwrap_or(now.as_secs() * 1_000);
    let mut counts = Counts::default();
    loop {
        let mut places = Places::new(dialect, name);
        for _ in 0..HISTORIES_PER_PLACE {
            if Instant::now() >= end {
                println!("{dialect:?}: soaked; {counts:?}");
                return;
            }
            counts.add(play_seed(&mut places, seed));
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
