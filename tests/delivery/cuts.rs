//! The conversation with the database is cut at every so many bytes: nothing or everything is there, and a
//! redelivery ends with everything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crate::support::proxy::{Counts, CutProxy, Direction};
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{Fault, On, Stored};
use crate::support::wait_until;
use crate::world::{World, failure, orders, report};

const STEPS: u64 = 60;
const ROWS: u32 = 6;
/// Enough for one attempt and one more; the third pause would not fit.
const SHORT_MS: u64 = 1_500;

struct Step<'a> {
    world: &'a World,
    stored: Stored,
    first_id: u32,
}

impl<'a> Step<'a> {
    fn new(world: &'a World, number: u64) -> Self {
        let first_id = u32::try_from(number).expect("few") * 100;
        let stored = world.put(&format!("step-{number:04}.csv"), orders(first_id..first_id + ROWS, "whole"));
        Self { world, stored, first_id }
    }

    fn row_count(&self) -> i64 {
        let last_id = self.first_id + 99;
        self.world
            .database
            .count(&format!("orders WHERE id BETWEEN {} AND {last_id} AND name = 'whole'", self.first_id))
    }

    fn lines(&self, status: &str) -> i64 {
        let key = &self.stored.key;
        self.world
            .database
            .count(&format!("holoload_ledger WHERE object_key = '{key}' AND status = '{status}'"))
    }

    fn is_fenced(&self) -> bool {
        let key = &self.stored.key;
        self.world
            .database
            .count(&format!("holoload_fence WHERE object_key = '{key}' AND loaded_at IS NOT NULL"))
            == 1
    }

    /// Rows, ledger and fence say the same: nothing, or everything. Answers which.
    #[track_caller]
    fn assert_whole(&self) -> bool {
        let rows = self.row_count();
        assert!(rows == 0 || rows == i64::from(ROWS), "{}: {rows} of {ROWS} rows", self.stored.key);
        let is_loaded = rows > 0;
        assert_eq!(self.lines("loaded"), i64::from(is_loaded), "{}: the ledger", self.stored.key);
        assert_eq!(self.is_fenced(), is_loaded, "{}: the fence", self.stored.key);
        is_loaded
    }

    /// Every session of the one that was cut off has ended; others' stay out of it.
    #[track_caller]
    fn assert_at_rest(&self) {
        let at_rest = || self.world.database.sessions("state <> 'idle'") == 0;
        assert!(wait_until(Duration::from_secs(5), at_rest), "{}: a session is left", self.stored.key);
    }

    #[track_caller]
    fn converges(&self, handler: &RuntimeApi) {
        let was_loaded = self.assert_whole();
        let again = report(handler.invoke_json(&self.stored.event()));
        assert_eq!(again["status"], if was_loaded { "skipped" } else { "loaded" }, "{again}");
        assert!(self.assert_whole());
    }
}

struct Sweep {
    world: World,
    /// Bytes of one load by a new process, each way.
    whole: Counts,
}

impl Sweep {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        // The ledger is made once; what is measured is the conversation of every later cold start.
        let first = Step::new(&world, 0);
        report(world.handler().invoke_json(&first.stored.event()));
        let proxy = CutProxy::in_front_of(world.database.port);
        let step = Step::new(&world, 1);
        let handler = through(&world, &proxy);
        assert_eq!(report(handler.invoke_json(&step.stored.event()))["status"], "loaded");
        let whole = proxy.counts();
        assert!(whole.to_server > 2_000 && whole.to_client > 2_000, "{whole:?}");
        Self { world, whole }
    }

    /// Cut points over the whole conversation, and every few bytes of its end, where the commit is.
    fn cuts(&self, direction: Direction) -> Vec<u64> {
        let whole = match direction {
            Direction::ToServer => self.whole.to_server,
            Direction::ToClient => self.whole.to_client,
        };
        let coarse = (0..STEPS * 2 / 3).map(|step| whole * step / (STEPS * 2 / 3));
        // Conversations differ by a few bytes (times, numbers): the first of these may lie behind the end.
        let fine = (0..STEPS / 3).map(|step| (whole + 60).saturating_sub(step * 12));
        coarse.chain(fine).collect()
    }
}

fn through(world: &World, proxy: &CutProxy) -> RuntimeApi {
    world.handler_with(&[("HOLOLOAD_PORT", &proxy.port().to_string())])
}

/// Cut once: the next attempt of the same invocation ends it well.
fn cut_once(name: &str, direction: Direction) {
    let sweep = Sweep::new(name);
    let mut cut_count = 0;
    for (number, after) in sweep.cuts(direction).into_iter().enumerate() {
        let step = Step::new(&sweep.world, number as u64 + 10);
        let proxy = CutProxy::in_front_of(sweep.world.database.port);
        proxy.cut(direction, after);
        let handler = through(&sweep.world, &proxy);
        let outcome = handler.invoke_json(&step.stored.event());
        let Outcome::Ok(answer) = &outcome else { panic!("cut after {after} bytes: {outcome:?}") };
        let status = answer["objects"][0]["status"].as_str();
        // When the commit went through and only its answer was lost, the next attempt finds it loaded.
        assert!(matches!(status, Some("loaded" | "skipped")), "cut after {after} bytes: {answer}");
        assert!(step.assert_whole(), "cut after {after} bytes: {answer}");
        step.assert_at_rest();
        step.converges(&handler);
        cut_count += u64::from(proxy.was_cut());
    }
    assert!(cut_count >= STEPS - 10, "{cut_count} of {STEPS} cuts fell into the conversation");
}

/// Cut, and out of reach from then on: the invocation fails, the redelivery after it ends it well.
fn cut_for_good(name: &str, direction: Direction) {
    let sweep = Sweep::new(name);
    let (mut nothing, mut everything) = (0_u64, 0_u64);
    for (number, after) in sweep.cuts(direction).into_iter().enumerate() {
        let step = Step::new(&sweep.world, number as u64 + 10);
        let proxy = CutProxy::in_front_of(sweep.world.database.port);
        proxy.cut(direction, after);
        let handler = through(&sweep.world, &proxy);
        let payload = serde_json::to_vec(&step.stored.event()).expect("JSON");
        let outcome = thread::scope(|scope| {
            let invoking = scope.spawn(|| handler.invoke(&payload, SHORT_MS));
            while !invoking.is_finished() {
                if proxy.was_cut() {
                    proxy.refuse(true);
                }
                thread::sleep(Duration::from_micros(200));
            }
            invoking.join().expect("answered")
        });
        step.assert_at_rest();
        if proxy.was_cut() && matches!(outcome, Outcome::Err { .. }) {
            let failed = failure(outcome);
            assert_eq!(failed.error_type, "Transient", "cut after {after} bytes: {failed:?}");
            if step.assert_whole() { everything += 1 } else { nothing += 1 }
        } else {
            // The cut fell behind the commit, or behind the whole conversation.
            assert_eq!(report(outcome)["status"], "loaded");
            assert!(step.assert_whole());
            everything += 1;
        }
        proxy.reset();
        step.converges(&handler);
        assert_eq!(step.lines("loaded"), 1);
    }
    assert!(nothing > STEPS / 2, "{nothing} cuts came before the commit");
    assert!(everything > 0, "and some after it");
}

#[test]
fn a_cut_on_the_way_to_the_server_is_survived() {
    cut_once("cut_to_server", Direction::ToServer);
}

#[test]
fn a_cut_on_the_way_to_the_client_is_survived() {
    cut_once("cut_to_client", Direction::ToClient);
}

#[test]
fn a_database_lost_on_the_way_to_it_has_all_or_nothing() {
    cut_for_good("lost_to_server", Direction::ToServer);
}

#[test]
fn a_database_lost_on_the_way_from_it_has_all_or_nothing() {
    cut_for_good("lost_to_client", Direction::ToClient);
}

const MANY: u32 = 30_000;

/// The same with several batches: rows have been sent, and more, when the connection goes.
#[test]
fn a_cut_between_batches_leaves_nothing() {
    let world = World::new("cut_batches");
    let whole = {
        let stored = world.put("whole.csv", orders(1..=MANY, "all"));
        let proxy = CutProxy::in_front_of(world.database.port);
        assert_eq!(report(through(&world, &proxy).invoke_json(&stored.event()))["status"], "loaded");
        proxy.counts().to_server
    };
    for percent in [15, 30, 45, 60, 75, 90, 98] {
        world.database.query("TRUNCATE orders");
        let stored = world.put(&format!("{percent}.csv"), orders(1..=MANY, "cut"));
        let proxy = CutProxy::in_front_of(world.database.port);
        proxy.cut(Direction::ToServer, whole * percent / 100);
        let handler = through(&world, &proxy);
        let payload = serde_json::to_vec(&stored.event()).expect("JSON");
        let outcome = thread::scope(|scope| {
            let invoking = scope.spawn(|| handler.invoke(&payload, 4_000));
            while !invoking.is_finished() {
                if proxy.was_cut() {
                    proxy.refuse(true);
                }
                thread::sleep(Duration::from_micros(200));
            }
            invoking.join().expect("answered")
        });
        assert!(proxy.was_cut(), "at {percent} %");
        assert_eq!(failure(outcome).error_type, "Transient", "at {percent} %");
        world.assert_no_session();
        assert_eq!(world.database.count("orders"), 0, "at {percent} %");
        proxy.reset();
        assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded", "at {percent} %");
        assert_eq!(world.database.count("orders WHERE name = 'cut'"), i64::from(MANY));
    }
}

/// Killed in the middle of the rows, as a sandbox is whose time or memory is up.
#[test]
fn a_killed_handler_leaves_nothing() {
    let world = World::new("killed");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=MANY, "a"));
    for _ in 0..3 {
        let stall = Fault::StallBody { after_bytes: stored.size - 10, duration: Duration::from_secs(30) };
        world.s3.fail(On::get(&world.bucket, "a.csv"), stall);
        thread::scope(|scope| {
            let invoking = scope.spawn(|| handler.invoke_json(&stored.event()));
            let is_inside = || world.database.idle_in_transaction() == 1;
            assert!(wait_until(Duration::from_secs(10), is_inside), "rows were sent");
            handler.kill();
            assert_eq!(invoking.join().expect("an outcome"), Outcome::Exited { code: None });
        });
        world.assert_no_session();
        assert_eq!(world.database.count("orders"), 0);
        handler.restart();
    }
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    assert_eq!(world.database.count("orders"), i64::from(MANY));
    assert_eq!(world.statuses("a.csv"), ["loaded"]);
}

/// The assertions of the sweeps see what they look for: each of these states is one that a cut must not leave.
#[test]
fn the_sweep_sees_violations() {
    let world = World::new("planted");
    let handler = world.handler();
    let violations = [
        "DELETE FROM orders WHERE id % 2 = 0",
        "DELETE FROM orders",
        "UPDATE orders SET name = 'older' WHERE id % 3 = 0",
        "DELETE FROM holoload_ledger",
        "UPDATE holoload_ledger SET status = 'failed'",
        "UPDATE holoload_fence SET loaded_at = NULL",
        "INSERT INTO holoload_ledger (bucket, object_key, version, table_name, attempt, status) \
         SELECT bucket, object_key, version, table_name, attempt + 1, status FROM holoload_ledger",
    ];
    for (number, violation) in violations.into_iter().enumerate() {
        world.database.query("TRUNCATE orders");
        let ledger = "SELECT to_regclass('holoload_ledger')::text";
        if world.database.value(ledger).is_some() {
            world.database.query("TRUNCATE holoload_ledger");
        }
        let step = Step::new(&world, number as u64 + 1);
        report(handler.invoke_json(&step.stored.event()));
        assert!(step.assert_whole());
        world.database.query(violation);
        let seen = catch_unwind(AssertUnwindSafe(|| step.assert_whole()));
        assert!(seen.is_err(), "not seen: {violation}");
    }
}
