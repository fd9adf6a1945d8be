//! The claim where rows have no transactions: deliveries twice, late, at once, and workers that die.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{PROFILES, world};
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{Fault as S3Fault, On};
use crate::support::standin::{Fault, Moment, Options, Profile, Standin};
use crate::support::wait_until;
use crate::world::{World, deliver, order_rows, orders, report, status};

fn claim_of(world: &World) -> String {
    world.database.value("SELECT claim FROM holoload_fence").expect("a claim")
}

#[test]
fn deliveries_in_any_order_end_with_the_newest() {
    for profile in PROFILES {
        for extended_copy in [true, false] {
            let (world, _standin) = world("order", Options { profile, extended_copy, ..Options::default() });
            let handler = world.handler();
            let first = world.put("a.csv", orders(1..=3, "first"));
            let second = world.put("a.csv", orders(1..=3, "second"));
            assert_eq!(status(&handler.invoke_json(&second.event())), "loaded");
            assert_eq!(status(&handler.invoke_json(&first.event())), "superseded");
            assert_eq!(status(&handler.invoke_json(&second.event())), "skipped");
            assert_eq!(world.rows(), order_rows(1..=3, "second"));
            assert_eq!(world.statuses("a.csv"), ["loaded", "superseded", "skipped"]);
            let third = world.put("a.csv", orders(1..=3, "third"));
            assert_eq!(status(&handler.invoke_json(&third.event())), "loaded");
            assert_eq!(world.rows(), order_rows(1..=3, "third"));
            // A claim is the sequencer, filled up, and an attempt.
            let claim = claim_of(&world);
            let (sequencer, attempt) = claim.split_once('!').expect("two parts");
            assert_eq!((sequencer.len(), attempt.len()), (64, 10), "{claim}");
            world.assert_at_rest();
        }
    }
}

#[test]
fn two_versions_at_once_never_end_with_the_older() {
    let (world, _standin) = world("at_once", Options::default());
    let handlers = [world.handler(), world.handler()];
    let mut statuses = Vec::new();
    for round in 0..24_u32 {
        let key = format!("{round}.csv");
        let first = world.put(&key, orders(1..=20, &format!("older-{round}")));
        let second = world.put(&key, orders(1..=20, &format!("newer-{round}")));
        // Now this one is held up, now the other, now neither.
        let pause = Duration::from_millis(u64::from(round % 5) * 7);
        world.s3.fail(On::get(&world.bucket, &key), S3Fault::StallBody { after_bytes: 60, duration: pause });
        let (older, newer) = (&handlers[(round % 2) as usize], &handlers[((round + 1) % 2) as usize]);
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| deliver(older, &first.event()));
            // Only an older load that is done before the newer one begins is `loaded`.
            thread::sleep(Duration::from_millis(u64::from(round % 3) * 150));
            let other = scope.spawn(|| deliver(newer, &second.event()));
            (one.join().expect("delivered"), other.join().expect("delivered"))
        });
        assert_eq!(
            world.rows(),
            order_rows(1..=20, &format!("newer-{round}")),
            "round {round}: {one} {other}"
        );
        assert_eq!(other["status"], "loaded");
        statuses.push(one["status"].as_str().expect("text").to_owned());
    }
    for status in ["loaded", "superseded"] {
        assert!(statuses.iter().any(|one| one == status), "the race went both ways: {statuses:?}");
    }
    world.assert_at_rest();
}

#[test]
fn one_delivery_to_four_handlers_is_loaded_once() {
    for profile in [Profile::V2_2, Profile::V4_1] {
        let (world, _standin) = world("same", Options { profile, ..Options::default() });
        let handlers: Vec<_> = (0..4).map(|_| world.handler()).collect();
        for round in 0..6 {
            let (key, name) = (format!("{round}.csv"), format!("round-{round}"));
            let event = world.put(&key, orders(1..=50, &name)).event();
            let outcomes: Vec<Outcome> = thread::scope(|scope| {
                let all: Vec<_> =
                    handlers.iter().map(|handler| scope.spawn(|| handler.invoke_json(&event))).collect();
                all.into_iter().map(|one| one.join().expect("answered")).collect()
            });
            let loaded = outcomes.iter().filter(|outcome| status(outcome) == "loaded").count();
            assert_eq!(loaded, 1, "{outcomes:?}");
            assert_eq!(world.rows(), order_rows(1..=50, &name));
            let statuses = world.statuses(&key);
            assert_eq!(statuses.len(), 4, "one line for each: {statuses:?}");
        }
        world.assert_at_rest();
    }
}

#[test]
fn cold_starts_make_the_ledger_together() {
    let (world, _standin) = world("cold", Options::default());
    let handlers: Vec<_> = (0..16).map(|_| world.handler()).collect();
    assert!(handlers.iter().all(|handler| handler.wait_for_init(Duration::from_secs(20))));
    let reports: Vec<Value> = thread::scope(|scope| {
        let invoking = handlers.iter().zip(0_u32..).map(|(handler, number)| {
            let stored = world.put(&format!("{number}.csv"), orders([number], "cold"));
            scope.spawn(move || report(handler.invoke_json(&stored.event())))
        });
        let invoking: Vec<_> = invoking.collect();
        invoking.into_iter().map(|one| one.join().expect("answered")).collect()
    });
    for report in &reports {
        assert_eq!(report["status"], "loaded", "{report}");
    }
    assert_eq!(world.rows(), order_rows(0..16, "cold"));
    assert_eq!(world.database.count("holoload_ledger WHERE status = 'loaded'"), 16);
}

/// A second load of a version that is being loaded says so after five seconds; a person's as well.
#[test]
fn a_load_at_work_is_not_disturbed() {
    let (world, standin) = world("busy", Options::default());
    let (first, second) = (world.handler(), world.handler());
    let event = world.put("a.csv", orders(1..=3, "a")).event();
    standin.inject(Fault::Hold { sql_contains: "COPY".to_owned() });
    thread::scope(|scope| {
        let holding = scope.spawn(|| first.invoke_json(&event));
        assert!(wait_until(Duration::from_secs(10), || standin
            .statements()
            .iter()
            .any(|sql| sql.starts_with("COPY"))));
        let started = Instant::now();
        let (error_type, message) = second.invoke_json(&event).expect_err();
        assert_eq!(error_type, "Transient");
        assert!(message.contains("another load of it is at work"), "{message}");
        assert!(started.elapsed() < Duration::from_secs(20));
        standin.clear_faults();
        assert_eq!(status(&holding.join().expect("answered")), "loaded");
    });
    assert_eq!(world.rows(), order_rows(1..=3, "a"));
    let lease = world.database.query("SELECT lease_until FROM holoload_fence");
    assert_eq!(lease, [[None]], "given back");
}

/// A worker that dies leaves a lease of at most 60 s of the server's clock; who comes after it runs out takes over.
#[test]
fn a_dead_worker_blocks_nobody_for_longer_than_its_lease() {
    let (world, standin) = world("dead", Options::default());
    let (first, second) = (world.handler(), world.handler());
    let event = world.put("a.csv", orders(1..=3, "a")).event();
    standin.inject(Fault::Hold { sql_contains: "COPY".to_owned() });
    thread::scope(|scope| {
        let dying = scope.spawn(|| first.invoke_json(&event));
        assert!(wait_until(Duration::from_secs(10), || standin
            .statements()
            .iter()
            .any(|sql| sql.starts_with("COPY"))));
        first.kill();
        drop(dying.join());
    });
    let left = world
        .database
        .value("SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM holoload_fence");
    let left: f64 = left.and_then(|text| text.parse().ok()).expect("a lease");
    assert!((0.0..=60.0).contains(&left), "{left} s");
    standin.clear_faults();
    // As time does.
    world.database.query("UPDATE holoload_fence SET lease_until = clock_timestamp() - interval '1 s'");
    assert_eq!(status(&second.invoke_json(&event)), "loaded");
    assert_eq!(world.rows(), order_rows(1..=3, "a"));
    assert!(claim_of(&world).ends_with("!0000000002"));
}

/// The first case in which rows of a superseded version stay: a load that died after some of its batches.
#[test]
fn part_of_a_version_stays_until_the_next_load() {
    let (world, standin) = world("part", Options::default());
    let (first, second) = (world.handler(), world.handler());
    let older = world.put("a.csv", orders(1..=25_000, "older"));
    standin.inject(Fault::CutCopyAfterRows { rows: 10_001, times: u32::MAX });
    thread::scope(|scope| {
        let dying = scope.spawn(|| first.invoke_json(&older.event()));
        assert!(wait_until(Duration::from_secs(20), || world.database.count("orders") >= 10_000));
        first.kill();
        drop(dying.join());
    });
    standin.clear_faults();
    world.database.query("UPDATE holoload_fence SET lease_until = clock_timestamp() - interval '1 s'");
    let newer = world.put("a.csv", orders(1..=5, "newer"));
    assert_eq!(status(&second.invoke_json(&newer.event())), "loaded");
    let newest = world.database.count("orders WHERE name = 'newer'");
    assert_eq!(newest, 5, "every row of the newest version is there");
    let stale = world.database.count("orders WHERE name = 'older' AND id <= 5");
    assert_eq!(stale, 0, "and no older one under its keys");
    assert!(world.database.count("orders WHERE name = 'older'") >= 9_000, "the rest of the part stays");
    assert_eq!(status(&second.invoke_json(&older.event())), "superseded");
}

/// The second: a batch that was on its way for longer than the lease lands on top of a newer version.
#[test]
fn a_late_batch_stays_until_the_next_load() {
    let (world, standin) = world("late", Options::default());
    let (first, second) = (world.handler(), world.handler());
    let older = world.put("a.csv", orders(1..=3, "older"));
    standin.inject(Fault::Hold { sql_contains: "COPY".to_owned() });
    thread::scope(|scope| {
        let late = scope.spawn(|| first.invoke_json(&older.event()));
        assert!(wait_until(Duration::from_secs(10), || standin
            .statements()
            .iter()
            .any(|sql| sql.starts_with("COPY"))));
        // The lease runs out while the batch hangs; as time does.
        world.database.query("UPDATE holoload_fence SET lease_until = clock_timestamp() - interval '1 s'");
        let newer = world.put("a.csv", orders(1..=3, "newer"));
        let config = "routes: [{object: '**', table: orders, write: {path: unnest}}]";
        let passing = world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", config)]);
        assert_eq!(status(&passing.invoke_json(&newer.event())), "loaded");
        assert_eq!(world.rows(), order_rows(1..=3, "newer"));
        standin.clear_faults();
        assert_eq!(status(&late.join().expect("answered")), "superseded", "it sees that it was overtaken");
    });
    assert_eq!(world.rows(), order_rows(1..=3, "older"), "stale, until the object's next load");
    let again = world.put("a.csv", orders(1..=3, "again"));
    assert_eq!(status(&second.invoke_json(&again.event())), "loaded");
    assert_eq!(world.rows(), order_rows(1..=3, "again"));
}

/// A newer version need not wait for the whole lease of an older one that is still at work: that one stops at its next
/// batch, and says so.
#[test]
fn an_older_load_at_work_makes_way() {
    let (world, standin) = world("way", Options::default());
    let (first, second) = (world.handler(), world.handler());
    let older = world.put("a.csv", orders(1..=25_000, "older"));
    standin.inject(Fault::Delay { sql_contains: "COPY".to_owned(), by: Duration::from_millis(1500) });
    thread::scope(|scope| {
        let stopped = scope.spawn(|| first.invoke_json(&older.event()));
        assert!(wait_until(Duration::from_secs(10), || standin
            .statements()
            .iter()
            .any(|sql| sql.starts_with("COPY"))));
        let newer = world.put("a.csv", orders(1..=25_000, "newer"));
        let started = Instant::now();
        assert_eq!(status(&second.invoke_json(&newer.event())), "loaded");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        let stopped = report(stopped.join().expect("answered"));
        assert_eq!(stopped["status"], "superseded");
        let warnings = stopped["warnings"].to_string();
        assert!(warnings.contains("stay in the table"), "{stopped}");
    });
    assert_eq!(world.database.count("orders WHERE name = 'newer'"), 25_000);
    assert_eq!(world.database.count("orders"), 25_000);
    world.assert_at_rest();
}

/// One object has the keys upwards, the other downwards, in several batches: both load, by streams and by INSERTs.
#[test]
fn two_objects_over_the_same_keys_both_load() {
    const ROWS: u32 = 25_000;
    for extended_copy in [true, false] {
        let (world, _standin) = world("opposite", Options { extended_copy, ..Options::default() });
        let handlers = [world.handler(), world.handler()];
        let first = world.put("up.csv", orders(1..=ROWS, "up"));
        let second = world.put("down.csv", orders((1..=ROWS).rev(), "down"));
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| deliver(&handlers[0], &first.event()));
            let other = scope.spawn(|| deliver(&handlers[1], &second.event()));
            (one.join().expect("delivered"), other.join().expect("delivered"))
        });
        assert_eq!((&one["status"], &other["status"]), (&"loaded".into(), &"loaded".into()), "{one} {other}");
        assert_eq!(world.database.count("orders WHERE name IN ('up', 'down')"), i64::from(ROWS));
        assert_eq!(world.database.count("orders"), i64::from(ROWS));
        world.assert_at_rest();
    }
}

/// An older load that broke off in the middle, and finds itself overtaken when it tries again, makes way as well.
#[test]
fn an_older_load_that_broke_off_makes_way() {
    let (world, standin) = world("broke", Options::default());
    let (first, second) = (world.handler(), world.handler());
    let older = world.put("a.csv", orders(1..=3, "older")).event();
    let newer = world.put("a.csv", orders(1..=3, "newer")).event();
    standin.inject(Fault::Hold { sql_contains: "COPY".to_owned() });
    thread::scope(|scope| {
        let broken = scope.spawn(|| first.invoke_json(&older));
        assert!(wait_until(Duration::from_secs(10), || {
            standin.statements().iter().any(|sql| sql.starts_with("COPY"))
        }));
        let claim = claim_of(&world);
        let started = Instant::now();
        let waiting = scope.spawn(|| second.invoke_json(&newer));
        assert!(wait_until(Duration::from_secs(10), || claim_of(&world) > claim), "claimed at once");
        standin.restart();
        standin.clear_faults();
        assert_eq!(status(&broken.join().expect("answered")), "superseded");
        // Its own connection was cut as well: the next delivery loads.
        drop(waiting.join().expect("answered"));
        assert_eq!(deliver(&second, &newer)["table"], "public.orders");
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    });
    assert_eq!(world.rows(), order_rows(1..=3, "newer"));
}

/// Waits until a statement that begins so has come.
#[track_caller]
fn wait_for(standin: &Standin, begins: &str) {
    let has_come = || standin.statements().iter().any(|sql| sql.starts_with(begins));
    assert!(wait_until(Duration::from_secs(10), has_come), "{begins}");
}

fn by_path(world: &World, path: &str) -> RuntimeApi {
    let config = format!("routes: [{{object: '**', table: orders, write: {{path: {path}}}}}]");
    world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", &config)])
}

/// A batch that takes many statements renews its lease between them, and stops there when it is overtaken.
#[test]
fn a_batch_of_many_statements_renews_its_claim() {
    let (world, standin) = world("slow", Options::default());
    let (first, second) = (by_path(&world, "single_row"), world.handler());
    let older = world.put("a.csv", orders(1..=26, "older")).event();
    let newer = world.put("a.csv", orders(1..=26, "newer")).event();
    let insert = "INSERT INTO \"public\".\"orders\"";
    standin.inject(Fault::Delay { sql_contains: insert.to_owned(), by: Duration::from_secs(1) });
    thread::scope(|scope| {
        let slow = scope.spawn(|| first.invoke_json(&older));
        wait_for(&standin, insert);
        let started = Instant::now();
        assert_eq!(status(&second.invoke_json(&newer)), "loaded");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert_eq!(status(&slow.join().expect("answered")), "superseded");
    });
    assert_eq!(world.rows(), order_rows(1..=26, "newer"));
    world.assert_at_rest();
}

/// A load that has raised its claim over an older one at work, and breaks off while it waits for it, still waits when it
/// tries again.
#[test]
fn a_claim_that_was_raised_is_no_lease() {
    let (world, standin) = world("raised", Options::default());
    let (first, second) = (world.handler(), by_path(&world, "unnest"));
    let older = world.put("a.csv", orders(1..=3, "older")).event();
    let newer = world.put("a.csv", orders(1..=3, "newer")).event();
    standin.inject(Fault::Hold { sql_contains: "COPY".to_owned() });
    thread::scope(|scope| {
        let at_work = scope.spawn(|| first.invoke_json(&older));
        wait_for(&standin, "COPY");
        standin.inject(Fault::CutAtStatement {
            sql_contains: "SELECT sequencer, version_id".to_owned(),
            moment: Moment::Before,
            skip: 3,
            times: 1,
        });
        let waiting = scope.spawn(|| second.invoke_json(&newer));
        assert!(
            wait_until(Duration::from_secs(10), || claim_of(&world).ends_with("!0000000002")),
            "tried again"
        );
        thread::sleep(Duration::from_secs(2));
        assert_eq!(world.database.count("orders"), 0, "the older load still has its lease");
        standin.clear_faults();
        assert_eq!(status(&at_work.join().expect("answered")), "superseded");
        assert_eq!(status(&waiting.join().expect("answered")), "loaded");
    });
    assert_eq!(world.rows(), order_rows(1..=3, "newer"));
    world.assert_at_rest();
}

/// A load that was overtaken gives up its own lease, and not a second time the one that has begun since.
#[test]
fn a_lease_is_given_up_once() {
    let (world, standin) = world("once", Options::default());
    let (first, second) = (world.handler(), by_path(&world, "unnest"));
    let older = world.put("a.csv", orders(1..=3, "older")).event();
    let newer = world.put("a.csv", orders(1..=3, "newer")).event();
    let insert = "INSERT INTO \"public\".\"orders\"";
    standin.inject(Fault::Delay { sql_contains: "COPY".to_owned(), by: Duration::from_secs(2) });
    standin.inject(Fault::Hold { sql_contains: insert.to_owned() });
    thread::scope(|scope| {
        let overtaken = scope.spawn(|| first.invoke_json(&older));
        wait_for(&standin, "COPY");
        // The lease is to be renewed, in vain, and then given up; of that the older load never hears.
        standin.inject(Fault::CutAtStatement {
            sql_contains: "DO UPDATE SET lease_until".to_owned(),
            moment: Moment::After,
            skip: 1,
            times: 1,
        });
        let at_work = scope.spawn(|| second.invoke_json(&newer));
        wait_for(&standin, insert);
        assert_eq!(status(&overtaken.join().expect("answered")), "superseded");
        let lease = world.database.value("SELECT lease_until FROM holoload_fence");
        assert!(lease.is_some(), "the newer load is at work");
        standin.clear_faults();
        assert_eq!(status(&at_work.join().expect("answered")), "loaded");
    });
    assert_eq!(world.rows(), order_rows(1..=3, "newer"));
    world.assert_at_rest();
}

/// A long copy of a whole object keeps its claim over a second connection.
#[test]
fn a_long_atomic_load_keeps_its_claim() {
    let (world, standin) = world("long", Options::default());
    let config = "routes: [{object: '**', table: orders, write: {atomic: true}}]";
    let handler = world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", config)]);
    let stored = world.put("a.csv", orders(1..=30_000, "a"));
    standin.inject(Fault::Delay { sql_contains: "COPY".to_owned(), by: Duration::from_secs(11) });
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!(
        (&report["status"], &report["write_path"]),
        (&"loaded".into(), &"bulk_copy".into()),
        "{report:#}"
    );
    assert_eq!(world.database.count("orders"), 30_000);
    assert_eq!(standin.logins(), 2, "one to load, one to keep the claim");
    let clocks = standin.statements().iter().filter(|sql| sql.contains("SELECT now()")).count();
    assert!(clocks >= 2, "each by the server's clock");
    world.assert_at_rest();
}

/// The server may take long over the end of a copy: nobody else gets the object meanwhile.
#[test]
fn a_copy_that_ends_slowly_keeps_its_claim() {
    let (world, standin) = world("end", Options::default());
    world.database.run(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(13); RETURN NULL; END'; \
         CREATE TRIGGER wait AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE PROCEDURE wait()",
    );
    let config = "routes: [{object: '**', table: orders, write: {atomic: true}}]";
    let handler = world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", config)]);
    let stored = world.put("a.csv", orders(1..=10, "a"));
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!(
        (&report["status"], &report["write_path"]),
        (&"loaded".into(), &"bulk_copy".into()),
        "{report:#}"
    );
    assert_eq!(world.rows(), order_rows(1..=10, "a"));
    let statements = standin.statements();
    let is_renewal = |sql: &String| sql.contains("SET lease_until = excluded.lease_until WHERE");
    assert!(
        statements.iter().filter(|sql| is_renewal(sql)).count() >= 2,
        "claimed, and renewed: {statements:?}"
    );
    assert_eq!(standin.logins(), 2, "over a second connection");
    world.assert_at_rest();
}

/// A verdict about content is repeated without reading; what the ledger says survives.
#[test]
fn a_failed_object_repeats_its_verdict() {
    let (world, _standin) = world("verdict", Options::default());
    let handler = world.handler();
    let stored = world.put("a.csv", "id,name,amount\n1,a,x\n");
    for _ in 0..2 {
        let (error_type, _) = handler.invoke_json(&stored.event()).expect_err();
        assert_eq!(error_type, "Input");
    }
    assert_eq!(world.s3.gets(&world.bucket, "a.csv").len(), 1, "read once");
    let lease = world.database.query("SELECT lease_until FROM holoload_fence");
    assert_eq!(lease, [[None]], "given back");
    assert_eq!(world.statuses("a.csv"), ["failed", "failed"]);
}
