//! The conversation with Hologres is cut at every message, both ways, in the middle of rows that are durable batch by
//! batch. The same with PostgreSQL: `tests/delivery/cuts.rs`.

use crate::histories::number;
use crate::history::{Content, Mode};
use crate::place::{Dialect, Place};
use crate::play::Play;
use crate::random::Random;
use crate::support::proxy::Direction;
use crate::support::standin::{Fault, Standin, errors};

/// Rows of the version that is cut: two batches.
const ROWS: u32 = 150;
const PAD: usize = 450;
/// Messages of one load: each is a point to cut at. More than this and every few are taken; `HOLOLOAD_TEST_POINTS` says
/// another number.
const POINTS_MAX: u64 = 50;
/// Of bytes, spread over the whole conversation.
const BYTE_POINTS: u64 = 12;
/// The handlers that are cut off, and that come before and after them.
const CUT: usize = 0;
const OTHER: usize = 1;

struct Sweep {
    place: Place,
    direction: Direction,
    counted: u64,
}

impl Sweep {
    fn new(name: &str, direction: Direction) -> Self {
        Self { place: Place::new(Dialect::Hologres, name), direction, counted: 0 }
    }

    fn standin(&self) -> &Standin {
        self.place.standin.as_ref().expect("a stand-in")
    }

    /// An object with one version that is loaded, and a newer one that is still to be.
    fn object(&self, name: &str) -> Play<'_> {
        let versions = vec![
            Content::of(0..6, &format!("{name}-old"), 0),
            Content::of(3..ROWS, &format!("{name}-new"), PAD),
        ];
        let mut play = Play::of_one(&self.place, Mode::Upsert, true, name, versions);
        play.put(0);
        play.turn = OTHER;
        assert_eq!(play.deliver(&[(0, 0, None)]), ["loaded"]);
        play.put(0);
        play.turn = CUT;
        play
    }

    /// How many messages, or bytes, the load of the newer version is.
    fn whole(&mut self, is_cold: bool) -> u64 {
        self.counted += 1;
        let name = format!("whole-{}", self.counted);
        let mut play = self.object(&name);
        if is_cold {
            self.place.handlers[CUT].api.restart();
        }
        self.standin().inject(Fault::CutAfterMessages { direction: self.direction, count: u64::MAX });
        assert_eq!(play.deliver(&[(0, 1, None)]), ["loaded"]);
        let passed = self.standin().passed(self.direction);
        self.standin().clear_faults();
        play.assert_right(&mut Random::new(0), &name);
        passed
    }

    fn messages(&self, count: u64) -> Fault {
        Fault::CutAfterMessages { direction: self.direction, count }
    }
}

/// At every message, or at as many as there is time for.
fn points(whole: u64) -> Vec<u64> {
    let step = whole.div_ceil(number("HOLOLOAD_TEST_POINTS").unwrap_or(POINTS_MAX).max(1)).max(1);
    (0..whole).step_by(usize::try_from(step).expect("small")).collect()
}

/// A conversation may be shorter than the one that was measured: it renews its lease when it takes long.
fn is_most(count: usize, of: usize) -> bool {
    count * 5 >= of * 4
}

/// Cut once, in a conversation from its beginning: the same invocation ends it well.
fn cut_once(name: &str, direction: Direction) {
    let mut sweep = Sweep::new(name, direction);
    let whole = sweep.whole(true);
    let mut faults: Vec<Fault> = points(whole).into_iter().map(|count| sweep.messages(count)).collect();
    let message_points = faults.len();
    let bytes = |step: u64| Fault::CutAfterBytes { direction, count: (1 << 20) * step / BYTE_POINTS };
    faults.extend((0..BYTE_POINTS).filter(|_| direction == Direction::ToServer).map(bytes));
    let mut skipped = 0;
    for (number, fault) in faults.iter().enumerate() {
        let what = format!("{name}-{number:03}");
        let mut play = sweep.object(&what);
        sweep.place.handlers[CUT].api.restart();
        sweep.standin().inject(fault.clone());
        let answers = play.deliver(&[(0, 1, None)]);
        play.fates[0][1].is_touched = true;
        sweep.standin().clear_faults();
        // Cut between the fence and the answer to it, the next attempt finds that it was loaded.
        assert!(
            matches!(answers[0].as_str(), "loaded" | "skipped"),
            "{fault:?}: {answers:?}\n{}",
            play.told()
        );
        skipped += usize::from(answers[0] == "skipped");
        play.assert_right(&mut Random::new(1), &format!("{fault:?}"));
    }
    let cuts = sweep.standin().cuts() as usize;
    println!(
        "{name}: {whole} messages, {message_points} + {} points, {cuts} cuts, {skipped} found it loaded",
        faults.len() - message_points
    );
    assert!(is_most(cuts, faults.len()), "{cuts} of {} cuts fell into the conversation", faults.len());
}

/// Cut, and nobody is let in from then on: the invocation fails, its lease runs out, a redelivery ends it well.
fn cut_for_good(name: &str, direction: Direction) {
    let mut sweep = Sweep::new(name, direction);
    // The second time the connection is warm: there is no login to refuse.
    sweep.whole(false);
    let whole = sweep.whole(false);
    let points = points(whole);
    let mut failed = 0;
    for (number, count) in points.iter().enumerate() {
        let what = format!("{name}-{number:03}");
        let mut play = sweep.object(&what);
        sweep.standin().inject(errors::allow_list("203.0.113.7"));
        sweep.standin().inject(sweep.messages(*count));
        let outcome = play.deliver(&[(0, 1, None)]).remove(0);
        play.fates[0][1].is_touched = true;
        sweep.standin().clear_faults();
        failed += usize::from(outcome != "loaded");
        play.turn = OTHER;
        play.assert_right(&mut Random::new(1), &format!("after {count} messages"));
        // Warm again for the next point.
        play.turn = CUT;
        assert_eq!(play.deliver(&[(0, 1, None)]), ["skipped"]);
    }
    let cuts = sweep.standin().cuts() as usize;
    println!("{name}: {whole} messages, {} points, {cuts} cuts, {failed} failed first", points.len());
    assert!(is_most(cuts, points.len()), "{cuts} of {} cuts fell into the conversation", points.len());
    assert!(is_most(failed, points.len()), "{failed} of {} invocations failed", points.len());
}

#[test]
fn a_cut_on_the_way_to_hologres_is_survived() {
    cut_once("cut_to_server", Direction::ToServer);
}

#[test]
fn a_cut_on_the_way_from_hologres_is_survived() {
    cut_once("cut_to_client", Direction::ToClient);
}

#[test]
fn a_hologres_lost_on_the_way_to_it_is_made_good_by_a_redelivery() {
    cut_for_good("lost_to_server", Direction::ToServer);
}

#[test]
fn a_hologres_lost_on_the_way_from_it_is_made_good_by_a_redelivery() {
    cut_for_good("lost_to_client", Direction::ToClient);
}

/// What a cut must not leave, each made by hand after a real one: the sweep's own assertion sees all of them.
#[test]
fn the_sweep_sees_what_a_cut_must_not_leave() {
    let sweep = Sweep::new("cut_planted", Direction::ToServer);
    for (number, violation) in [
        // The end of a batch was lost, and nobody wrote it again.
        "DELETE FROM orders WHERE id > 100",
        "DELETE FROM orders WHERE id = 5",
        // What only the older version had went with it.
        "DELETE FROM orders WHERE id = 1",
        // A batch of the older version landed late.
        "UPDATE orders SET name = replace(name, '-new', '-old'), pad = NULL WHERE id BETWEEN 3 AND 5",
        // Half a row.
        "UPDATE orders SET pad = left(pad, 901) WHERE id = 70",
        "DELETE FROM holoload_ledger WHERE object_key LIKE '%planted%'",
        "UPDATE holoload_ledger SET status = 'running'",
    ]
    .into_iter()
    .enumerate()
    {
        let mut play = sweep.object(&format!("planted-{number}"));
        sweep.standin().inject(sweep.messages(9));
        play.deliver(&[(0, 1, None)]);
        sweep.standin().clear_faults();
        let mut random = Random::new(1);
        play.assert_right(&mut random, "before it is planted");
        sweep.place.world.database.query(violation);
        // Redelivered or not: what is skipped is not made good.
        let mut found = play.settle(&mut random);
        found.extend(play.violations());
        assert!(!found.is_empty(), "not seen: {violation}");
    }
}
