//! Handlers killed at random instants while two are at work; a third one takes the deliveries over.

use crate::histories::play_seed;
use crate::history::Temper;
use crate::place::{Dialect, Places};
use crate::play::Counts;

/// Killed in the middle of an invocation, in CI.
const KILLS: u64 = 20;
/// Kills that come after the answer do not count; so many histories have enough of the others.
const HISTORIES_MAX: u64 = 60;
const FIRST_SEED: u64 = 1_000_000;

fn prove(dialect: Dialect, name: &str) {
    let mut places = Places::new(dialect, name);
    let mut counts = Counts::default();
    for seed in (FIRST_SEED..).filter(|seed| Temper::of(*seed) == Temper::Kills) {
        if counts.kills >= KILLS || counts.histories >= HISTORIES_MAX {
            break;
        }
        counts.add(play_seed(&mut places, seed));
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
