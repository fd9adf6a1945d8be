//! Objects that take several invocations: killed within them and between them, delivered again, overtaken by the next
//! version where the one before it was left in parts.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::history::{Content, Mode, Trouble};
use crate::place::{DIALECTS, Dialect, Place};
use crate::play::{Counts, Pace, Play};
use crate::random::Random;

/// One history each, all at once: they wait nearly all of their time.
const MODES: [Mode; 4] = [Mode::Parts; 4];
/// Every load may be broken off there, whatever its mode.
const MODES_HOLOGRES: [Mode; 7] =
    [Mode::Parts, Mode::Parts, Mode::Parts, Mode::Snapshot, Mode::Snapshot, Mode::Changes, Mode::Inserted];
const VERSIONS: usize = 3;
/// 3.6 MiB in batches of 1 MiB.
const ROWS: u32 = 450;
const WIDE_BYTES: usize = 8 * 1024;
/// Two and a half invocations for each version, two batches in each.
const PACE: Pace = Pace { chunk_bytes: 32 * 1024, pause: Duration::from_millis(50), deadline_ms: 3_000 };

/// A version shares some of its keys with the one before it.
fn content(mode: Mode, seed: u64, version: u32) -> Content {
    // After the last of all versions of a snapshot the object may be gone.
    if mode == Mode::Snapshot && seed.is_multiple_of(2) && version == 2 {
        return Content::removal();
    }
    let name = format!("{seed}-{version}");
    let pad = WIDE_BYTES / (name.len() + 1);
    let first = version * ROWS / 3;
    let content = Content::of(first..first + ROWS, &name, pad);
    if mode.has_changes() { content.without(first + 100..first + 200) } else { content }
}

fn kill(random: &mut Random) -> Trouble {
    Trouble::KillAfter(Duration::from_millis(300 + random.below(2_300)))
}

fn play_one(place: &Place, mode: Mode, seed: u64) -> Counts {
    let mut random = Random::new(seed);
    let versions = (0..VERSIONS).map(|version| content(mode, seed, u32::try_from(version).expect("few")));
    let is_versioned = seed.is_multiple_of(2);
    let mut play = Play::of_one(place, mode, is_versioned, &format!("{seed}"), versions.collect());
    play.pace = Some(PACE);
    for version in 0..VERSIONS {
        play.put(0);
        // Sometimes the next version comes after the first part.
        for _ in 0..=random.index(4) {
            let killed = random.chance(40).then(|| kill(&mut random));
            let of = if random.chance(80) { version } else { random.index(version + 1) };
            if random.chance(25) {
                play.deliver(&[(0, of, killed.as_ref()), (0, version, None)]);
            } else {
                play.deliver(&[(0, of, killed.as_ref())]);
            }
        }
        if random.chance(40) {
            // The rest of it goes in at once.
            play.pace = None;
            play.deliver(&[(0, version, None)]);
            play.pace = Some(PACE);
        }
    }
    play.assert_right(&mut random, &format!("history {seed}"));
    play.counts
}

fn prove(dialect: Dialect, modes: &[Mode]) {
    let started = Instant::now();
    let mut counts = Counts::default();
    thread::scope(|scope| {
        let all = modes.iter().zip(1..).map(|(mode, seed)| {
            scope.spawn(move || play_one(&Place::new(dialect, &format!("continued_{seed}")), *mode, seed))
        });
        let all: Vec<_> = all.collect();
        for one in all {
            counts.add(one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    println!("{dialect:?}: {counts:?} in {} s", started.elapsed().as_secs());
    assert!(counts.continued > 0 && counts.kills > 0, "what never happened would prove nothing: {counts:?}");
}

#[test]
fn loads_in_several_invocations_end_right_on_postgresql() {
    prove(Dialect::PostgreSql, &MODES);
}

#[test]
fn loads_in_several_invocations_end_right_on_hologres() {
    prove(Dialect::Hologres, &MODES_HOLOGRES);
}

/// Moves the point at which the load goes on behind this many more rows.
fn move_on(place: &Place, text: &str, rows: usize) {
    let database = &place.world.database;
    let is_last = "resume IS NOT NULL AND object_key LIKE '%/moved.csv'";
    let sql = format!("SELECT resume FROM holoload_ledger WHERE {is_last} ORDER BY attempt DESC LIMIT 1");
    let mut point: Value =
        serde_json::from_str(&database.value(&sql).expect("a resume point")).expect("JSON");
    let count = |name: &str| usize::try_from(point[name].as_u64().expect("a number")).expect("small");
    let (offset, line, record) = (count("offset"), count("line"), count("record"));
    let skipped: usize = text[offset..].split_inclusive('\n').take(rows).map(str::len).sum();
    for (name, value) in [("offset", offset + skipped), ("line", line + rows), ("record", record + rows)] {
        point[name] = value.into();
    }
    database.query(&format!("UPDATE holoload_ledger SET resume = '{point}' WHERE {is_last}"));
}

#[test]
fn a_resume_point_moved_forward_is_seen() {
    for dialect in DIALECTS {
        let place = Place::new(dialect, "planted_resume");
        let content = content(Mode::Parts, 0, 0);
        let text = content.text();
        let mut play = Play::of_one(&place, Mode::Parts, true, "moved", vec![content]);
        play.pace = Some(PACE);
        play.put(0);
        // On a busy machine the first may end before anything is written.
        let is_continued = (0..8).any(|_| play.deliver(&[(0, 0, None)]) == ["continued"]);
        assert!(is_continued, "{}", play.told());
        move_on(&place, &text, 3);
        let mut found = play.settle(&mut Random::new(1));
        found.extend(play.violations());
        assert!(found.iter().any(|one| one.starts_with("(a)")), "not seen: {found:?}\n{}", play.told());
    }
}
