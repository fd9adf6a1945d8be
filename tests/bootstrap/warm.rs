//! What stays between invocations, and what must not grow.

use serde_json::json;

use crate::support::runtime_api::RuntimeApi;
use crate::world::{World, order_rows, orders, report};

/// The one warm session's process in the server.
#[track_caller]
fn backend(world: &World) -> String {
    let pids = world.database.query(&format!(
        "SELECT pid::text FROM pg_stat_activity WHERE usename = 'app' AND datname = '{}' AND application_name = 'holoload'",
        world.database.name
    ));
    assert_eq!(pids.len(), 1, "one session: {pids:?}");
    pids[0][0].clone().expect("a number")
}

#[track_caller]
fn load(world: &World, handler: &RuntimeApi, id: u32) -> serde_json::Value {
    let stored = world.put(&format!("{id}.csv"), orders([id], "warm"));
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!(report["status"], "loaded", "{report}");
    report
}

#[test]
fn the_connection_is_kept_between_invocations() {
    let world = World::new("warm");
    let handler = world.handler();
    load(&world, &handler, 1);
    let first = backend(&world);
    for id in 2..12 {
        let report = load(&world, &handler, id);
        assert!(report["phases"]["connect_ms"].as_u64().is_some_and(|took| took <= 5), "warm: {report}");
        assert_eq!(backend(&world), first);
    }
    let again = world.put("1.csv", orders([1], "warm"));
    handler.invoke_json(&again.event()).expect_ok();
    assert_eq!(backend(&world), first);
    assert_eq!(world.rows(), order_rows(1..12, "warm"));
}

#[test]
fn a_failed_load_does_not_pass_its_connection_on() {
    let world = World::new("warm_failed");
    let handler = world.handler();
    load(&world, &handler, 1);
    let first = backend(&world);
    let bad = world.put("bad.csv", "id,name,amount\nnothing,y,2\n");
    handler.invoke_json(&bad.event()).expect_err();
    load(&world, &handler, 2);
    assert_ne!(backend(&world), first, "a connection that saw an error is not used again");
}

#[test]
fn a_connection_that_the_server_ended_is_replaced() {
    let world = World::new("warm_ended");
    let handler = world.handler();
    load(&world, &handler, 1);
    assert_eq!(world.database.terminate_sessions(), 1);
    let report = load(&world, &handler, 2);
    assert_eq!(report["warnings"], json!([]));

    // Frozen, as Lambda does, the process learns of it only when it is at work again.
    handler.freeze();
    assert_eq!(world.database.terminate_sessions(), 1);
    handler.thaw();
    load(&world, &handler, 3);
    assert_eq!(world.rows(), order_rows(1..=3, "warm"));
}

/// The table gets a column while its definition is known: files that have it load at once.
#[test]
fn a_changed_table_is_read_again() {
    let world = World::new("warm_changed");
    let handler = world.handler();
    load(&world, &handler, 1);
    world.database.run("ALTER TABLE orders DROP COLUMN amount");
    let stored = world.put("2.csv", "id,name\n2,warm\n");
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    let names = world.database.query("SELECT id::text, name FROM orders ORDER BY id");
    assert_eq!(names.len(), 2);
}

/// The first half of the invocations fills caches and pools; after that nothing may be added.
#[test]
fn thousands_of_invocations_take_no_more_memory() {
    const GROWTH_MAX_KIB: u64 = 3 * 1024;
    let world = World::new("thousands");
    let handler = world.handler();
    let test = serde_json::to_vec(&json!({"Event": "s3:TestEvent", "Bucket": world.bucket})).expect("JSON");
    let first = serde_json::to_vec(&world.put("first.csv", orders([0], "first")).event()).expect("JSON");
    let mut early_kib = 0;
    for number in 0..3_000_u32 {
        match number % 3 {
            0 => {
                handler.invoke(&test, 30_000).expect_ok();
            }
            1 => {
                handler.invoke(&first, 30_000).expect_ok();
            }
            _ => {
                let text = orders(number..number + 3, "many");
                let stored = world.put(&format!("{}.csv", number % 100), text);
                assert_eq!(report(handler.invoke_json(&stored.event()))["row_count"], 3);
            }
        }
        if number == 500 {
            early_kib = handler.rss_kib();
        }
    }
    let late_kib = handler.rss_kib();
    let line = format!("resident after 500 invocations {early_kib} KiB, after 3,000 {late_kib} KiB\n");
    // For whoever runs the tests with `--nocapture`; a closed standard error fails no test.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(late_kib < early_kib + GROWTH_MAX_KIB, "{early_kib} KiB after 500, {late_kib} KiB after 3,000");
    assert_eq!(world.database.sessions("true"), 1, "one connection served them all");
    assert_eq!(
        world.database.value("SELECT count(*) FROM holoload_ledger WHERE status = 'loaded'").as_deref(),
        Some("1001")
    );
}
