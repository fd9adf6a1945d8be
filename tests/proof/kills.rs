//! Handlers killed at random instants while two are at work; a third one takes the deliveries over.

use crate::histories::modes;
use crate::history::{History, Temper};
use crate::place::{Dialect, Place};
use crate::play::{Counts, play};

/// Killed in the middle of an invocation, in CI.
const KILLS: u64 = 20;
/// Kills that come after the answer do not count; so many histories have enough of the others.
const HISTORIES_MAX: u64 = 60;
const FIRST_SEED: u64 = 1_000_000;

fn prove(dialect: Dialect, name: &str) {
    let place = Place::new(dialect, name);
    let mut counts = Counts::default();
    for seed in FIRST_SEED..FIRST_SEED + HISTORIES_MAX {
        if counts.kills >= KILLS {
            break;
        }
        let history = History::random(seed, modes(dialect), Temper::Kills);
        match play(&place, &history) {
            Ok(counted) => counts.add(counted),
            Err(told) => panic!("{told}"),
        }
    }
    println!("{dialect:?}: {} kills in {} histories; {counts:?}", counts.kills, counts.histories);
    assert!(counts.kills >= KILLS, "{counts:?}");
}

#[test]
fn killed_handlers_leave_nothing_wrong_on_postgresql() {
    prove(Dialect::PostgreSql, "kills");
}

#[test]
fn killed_handlers_leave_nothing_wrong_on_hologres() {
    prove(Dialect::Hologres, "kills");
}
