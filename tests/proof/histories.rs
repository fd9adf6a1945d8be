//! Random histories of deliveries, faults and kills: the same seed draws the same history, whatever comes of it.

use std::thread;
use std::time::Instant;

use crate::history::History;
use crate::place::{Dialect, Places};
use crate::play::{Counts, play};

/// In CI; `HOLOLOAD_TEST_HISTORIES` says another number.
const HISTORIES: u64 = 64;

/// Histories at once: most of their time they wait.
const WORKERS: usize = 2;

pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// One seed, or as many as are asked for.
fn seeds() -> Vec<u64> {
    match number("HOLOLOAD_TEST_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("HOLOLOAD_TEST_HISTORIES").unwrap_or(HISTORIES)).collect(),
    }
}

/// Every so many-th history, at a place of its own.
fn play_some(dialect: Dialect, name: &str, seeds: impl Iterator<Item = u64>) -> Counts {
    let mut places = Places::new(dialect, name);
    let mut counts = Counts::default();
    for seed in seeds {
        counts.add(play_seed(&mut places, seed));
    }
    counts
}

/// The history of a seed; where it does not end right, the test fails with the seed and what happened.
#[track_caller]
pub(crate) fn play_seed(places: &mut Places, seed: u64) -> Counts {
    let place = places.of(seed);
    play(place, &History::random(seed, place.has_atomic())).unwrap_or_else(|told| panic!("{told}"))
}

fn prove(dialect: Dialect, name: &str) {
    let started = Instant::now();
    let seeds = seeds();
    let workers = WORKERS.min(seeds.len());
    let mut counts = Counts::default();
    thread::scope(|scope| {
        let all = (0..workers).map(|worker| {
            let own = seeds.iter().copied().skip(worker).step_by(workers);
            scope.spawn(move || play_some(dialect, &format!("{name}_{worker}"), own))
        });
        let all: Vec<_> = all.collect();
        for one in all {
            counts.add(one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    println!("{dialect:?}: {counts:?} in {} s", started.elapsed().as_secs());
    if seeds.len() as u64 >= HISTORIES {
        // What never happened would prove nothing.
        let Counts { kills, cuts, at_once, skipped, superseded, deleted, overwrites, body_faults, .. } =
            counts;
        for (count, what) in [
            (kills, "kills"),
            (cuts, "cuts"),
            (at_once, "deliveries at once"),
            (skipped, "skipped"),
            (superseded, "superseded"),
            (deleted, "deleted"),
            (overwrites, "overwritten under the reader"),
            (body_faults, "faults of S3"),
        ] {
            assert!(count > 0, "no history had: {what}; {counts:?}");
        }
    }
}

#[test]
fn random_histories_end_right_on_postgresql() {
    prove(Dialect::PostgreSql, "histories");
}

#[test]
fn random_histories_end_right_on_hologres() {
    prove(Dialect::Hologres, "histories");
}
