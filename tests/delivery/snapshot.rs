//! Snapshots: once deliveries stop, the table is exactly the rows of the newest versions, however they came.

use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::proxy::{CutProxy, Direction};
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{Fault, On, Put, Stored};
use crate::world::{World, deliver, order_rows, orders, report};

const LINEAGE: &str = "ALTER TABLE orders ADD src_key text, ADD src_seq text";
const OBJECT: &str = "{mode: snapshot, on_removed: delete}";

fn config(write: &str) -> String {
    let columns =
        if write.contains("table") { "" } else { "columns: {src_key: $key, src_seq: $sequencer}, " };
    format!("routes: [{{object: '**', table: orders, {columns}write: {write}}}]")
}

fn world(name: &str) -> World {
    let world = World::versioned(name);
    world.database.run(LINEAGE);
    world
}

fn handler_on(world: &World, write: &str, port: Option<u16>) -> RuntimeApi {
    let port = port.unwrap_or(world.database.port).to_string();
    let config = config(write);
    world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", &config), ("HOLOLOAD_PORT", &port)])
}

/// All orders of a list.
fn orders_of<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let without = |at: usize| [&items[..at], &items[at + 1..]].concat();
    let first = |at: usize| orders_of(&without(at)).into_iter().map(move |rest| (at, rest));
    let all = (0..items.len()).flat_map(first);
    all.map(|(at, rest)| [vec![items[at].clone()], rest].concat()).collect()
}

#[test]
fn versions_in_any_order_end_with_the_rows_of_the_newest() {
    let world = world("snapshot_orders");
    let handler = handler_on(&world, OBJECT, None);
    let beside = world.put("beside.csv", orders(900..=903, "beside"));
    assert_eq!(report(handler.invoke_json(&beside.event()))["status"], "loaded");
    let versions = [1..=6_u32, 4..=9, 2..=3];
    for (number, order) in orders_of(&[0, 1, 2, 1]).into_iter().enumerate() {
        world.database.query("DELETE FROM orders WHERE src_key <> 'beside.csv'");
        let key = format!("{number}.csv");
        let stored: Vec<Stored> = versions
            .iter()
            .zip(1..)
            .map(|(ids, at)| world.put(&key, orders(ids.clone(), &format!("v{at}"))))
            .collect();
        for at in &order {
            deliver(&handler, &stored[*at].event());
        }
        let newest = order_rows(2..=3, "v3").into_iter().chain(order_rows(900..=903, "beside"));
        assert_eq!(world.rows(), newest.collect::<Vec<_>>(), "{order:?}");
        // Once more, which changes nothing.
        let places = world.places();
        assert_eq!(report(handler.invoke_json(&stored[2].event()))["status"], "skipped");
        assert_eq!(world.places(), places);
    }
}

#[test]
fn a_removal_takes_the_rows_along_in_any_order() {
    let world = world("snapshot_removed");
    let handler = handler_on(&world, OBJECT, None);
    let beside = world.put("beside.csv", orders(900..=901, "beside"));
    assert_eq!(report(handler.invoke_json(&beside.event()))["status"], "loaded");
    for (number, order) in orders_of(&[0, 1, 2, 2]).into_iter().enumerate() {
        let key = format!("in/{number} +.csv");
        let stored = [
            world.put(&key, orders(1..=4, "v1")),
            world.put(&key, orders(3..=6, "v2")),
            world.s3.delete(&world.bucket, &key),
        ];
        for at in &order {
            deliver(&handler, &stored[*at].event());
        }
        assert_eq!(world.rows(), order_rows(900..=901, "beside"), "{order:?}");
        // It comes again, by the same name.
        let again = world.put(&key, orders(5..=5, "again"));
        assert_eq!(deliver(&handler, &again.event())["status"], "loaded");
        assert_eq!(deliver(&handler, &stored[2].event())["status"], "superseded");
        assert_eq!(world.database.count("orders WHERE name = 'again'"), 1, "{order:?}");
        let gone = world.s3.delete(&world.bucket, &key);
        let removed = deliver(&handler, &gone.event());
        assert_eq!(
            (&removed["status"], &removed["deleted_count"], &removed["reason"]),
            (&json!("deleted"), &json!(1), &json!("the object was removed: 1 row of it was deleted"))
        );
        let line = format!(
            "SELECT status || ': ' || reason FROM holoload_ledger WHERE object_key = '{key}' ORDER BY finished_at DESC LIMIT 1"
        );
        let line = world.database.value(&line);
        assert_eq!(line.as_deref(), Some("deleted: the object was removed: 1 row of it was deleted"));
        assert_eq!(deliver(&handler, &gone.event())["status"], "skipped");
    }
    world.assert_at_rest();
}

/// A put that follows, or a version that was not the newest: the object is there.
#[test]
fn a_removal_of_what_is_there_removes_nothing() {
    let world = world("snapshot_there");
    let handler = handler_on(&world, OBJECT, None);
    let (first, second) = (world.put("a.csv", orders(1..=2, "v1")), world.put("a.csv", orders(2..=3, "v2")));
    // The older version is deleted for good, after the newer one was put.
    let mut event = first.event();
    event["Records"][0]["eventName"] = "ObjectRemoved:Delete".into();
    event["Records"][0]["s3"]["object"]["sequencer"] = format!("{}F", second.sequencer).into();
    for _ in 0..2 {
        let removed = report(handler.invoke_json(&event));
        assert_eq!((&removed["status"], &removed["deleted_count"]), (&json!("superseded"), &Value::Null));
    }
    // What is there may still be loaded.
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    assert_eq!(report(handler.invoke_json(&event))["status"], "superseded");
    assert_eq!(world.rows(), order_rows(2..=3, "v2"));
}

/// Events without a sequencer, and those of a bucket's own rules.
#[test]
fn a_removal_without_a_sequencer_is_followed_as_well() {
    let world = world("snapshot_unsequenced");
    let handler = handler_on(&world, OBJECT, None);
    for name in ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"] {
        let stored = world.put("a.csv", orders(1..=3, "a"));
        assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
        let mut event = world.s3.delete(&world.bucket, "a.csv").event();
        event["Records"][0]["eventName"] = name.into();
        event["Records"][0]["s3"]["object"].as_object_mut().expect("an object").remove("sequencer");
        for count in [3, 0] {
            let removed = report(handler.invoke_json(&event));
            assert_eq!(
                (&removed["status"], &removed["deleted_count"]),
                (&json!("deleted"), &json!(count)),
                "{name}"
            );
        }
        assert_eq!(world.rows(), [""; 0]);
    }
}

#[test]
fn a_removal_that_no_route_asks_for_is_ignored() {
    let world = world("snapshot_kept");
    for write in [
        "{mode: snapshot}",
        "{mode: snapshot, on_removed: keep}",
        "{mode: upsert}",
        "{mode: snapshot, scope: table}",
    ] {
        let handler = handler_on(&world, write, None);
        let stored = world.put("a.csv", orders(1..=3, "a"));
        assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
        let answer = handler.invoke_json(&world.s3.delete(&world.bucket, "a.csv").event()).expect_ok();
        assert_eq!(answer["objects"], json!([]));
        let reason = "`ObjectRemoved:Delete` creates no object";
        assert_eq!(answer["ignored"], json!([{"key": "a.csv", "reason": reason}]), "{write}");
        assert_eq!(world.rows(), order_rows(1..=3, "a"));
    }
}

/// Through a queue as well.
#[test]
fn a_removal_comes_through_a_queue() {
    let world = world("snapshot_queue");
    let handler = handler_on(&world, OBJECT, None);
    let send = |event: Value| {
        let message = json!({"eventSource": "aws:sqs", "messageId": "m", "body": event.to_string()});
        let answer = handler.invoke_json(&json!({"Records": [message]})).expect_ok();
        assert_eq!(answer, json!({"batchItemFailures": []}));
    };
    send(world.put("a.csv", orders(1..=3, "a")).event());
    assert_eq!(world.rows(), order_rows(1..=3, "a"));
    send(world.s3.delete(&world.bucket, "a.csv").event());
    assert_eq!(world.rows(), [""; 0]);
    assert_eq!(world.statuses("a.csv"), ["loaded", "deleted"]);
}

/// A removal that cannot be looked into does nothing and comes again.
#[test]
fn a_removal_waits_for_an_answer_about_the_object() {
    let world = world("snapshot_unanswered");
    let handler = handler_on(&world, OBJECT, None);
    let stored = world.put("a.csv", orders(1..=3, "a"));
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    let gone = world.s3.delete(&world.bucket, "a.csv").event();
    world.s3.fail_always(On::head(&world.bucket, "a.csv"), Fault::access_denied());
    let (error_type, _) = handler.invoke_json(&gone).expect_err();
    assert_eq!(error_type, "Access");
    assert_eq!(world.rows(), order_rows(1..=3, "a"));
    world.s3.clear_faults();
    assert_eq!(report(handler.invoke_json(&gone))["status"], "deleted");
    assert_eq!(world.rows(), [""; 0]);
}

/// What is loaded by hand between events takes the place of what was there, and gives way to what comes.
#[test]
fn loads_by_hand_between_events() {
    let world = world("snapshot_hand");
    let handler = handler_on(&world, OBJECT, None);
    let put = |ids, name: &str| world.put("a.csv", orders(ids, name));
    let ask = |stored: &Stored, force: bool| {
        let payload = json!({"s3": stored.address(), "version_id": stored.version_id, "force": force});
        report(handler.invoke_json(&payload))["status"].clone()
    };
    let first = put(1..=3, "v1");
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "loaded");
    let second = put(2..=4, "v2");
    assert_eq!(ask(&second, false), "loaded");
    assert_eq!(world.rows(), order_rows(2..=4, "v2"));
    // Back and forth, as often as somebody wants.
    for (stored, rows) in [
        (&first, order_rows(1..=3, "v1")),
        (&second, order_rows(2..=4, "v2")),
        (&first, order_rows(1..=3, "v1")),
        (&second, order_rows(2..=4, "v2")),
        (&second, order_rows(2..=4, "v2")),
    ] {
        assert_eq!(ask(stored, true), "loaded");
        assert_eq!(world.rows(), rows);
    }
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "skipped");
    let third = put(7..=7, "v3");
    assert_eq!(report(handler.invoke_json(&third.event()))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(7..=7, "v3"));
}

/// What was loaded before the ledger was begun anew is as old as what it remembers.
#[test]
fn a_new_ledger_forgets_no_rows() {
    let world = world("snapshot_ledger");
    let handler = handler_on(&world, OBJECT, None);
    assert_eq!(deliver(&handler, &world.put("a.csv", orders(1..=3, "v1")).event())["status"], "loaded");
    world.database.run("DROP TABLE holoload_fence, holoload_ledger");
    let second = world.put("a.csv", orders(3..=4, "v2"));
    assert_eq!(deliver(&handler, &json!({"s3": second.address()}))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(3..=4, "v2"));
    assert_eq!(deliver(&handler, &second.event())["status"], "skipped");
    let gone = world.s3.delete(&world.bucket, "a.csv").event();
    world.database.run("DROP TABLE holoload_fence, holoload_ledger");
    assert_eq!(deliver(&handler, &gone)["deleted_count"], 2);
    assert_eq!(world.rows(), [""; 0]);
}

/// Whole, or not at all: cut off anywhere, the table is one version's rows, and after the next delivery the newer's.
#[test]
fn a_cut_leaves_one_version_or_the_other() {
    for write in [OBJECT, "{mode: snapshot, scope: table}"] {
        let world = world("snapshot_cut");
        let whole = {
            let proxy = CutProxy::in_front_of(world.database.port);
            let handler = handler_on(&world, write, Some(proxy.port()));
            assert_eq!(
                deliver(&handler, &world.put("a.csv", orders(1..=6, "v0")).event())["status"],
                "loaded"
            );
            proxy.counts().to_server
        };
        for step in 1..=12 {
            let older = world.database.value("SELECT name FROM orders LIMIT 1").expect("a name");
            let newer = format!("v{step}");
            let ids = if step % 2 == 0 { 1..=6_u32 } else { 4..=9 };
            let before = world.rows();
            let stored = world.put("a.csv", orders(ids.clone(), &newer));
            let proxy = CutProxy::in_front_of(world.database.port);
            let handler = handler_on(&world, write, Some(proxy.port()));
            proxy.cut(Direction::ToServer, whole * step / 13);
            let payload = serde_json::to_vec(&stored.event()).expect("JSON");
            thread::scope(|scope| {
                let invoking = scope.spawn(|| handler.invoke(&payload, 1_500));
                while !invoking.is_finished() {
                    if proxy.was_cut() {
                        proxy.refuse(true);
                    }
                    thread::sleep(Duration::from_micros(200));
                }
                invoking.join().expect("answered")
            });
            world.assert_at_rest();
            let after = order_rows(ids, &newer);
            let rows = world.rows();
            assert!(rows == before || rows == after, "{older} and {newer}: {rows:?}");
            proxy.reset();
            deliver(&handler, &stored.event());
            assert_eq!(world.rows(), after);
        }
    }
}

fn aged(world: &World, key: &str, text: String, age_s: u64) -> Stored {
    let last_modified = Some(SystemTime::now() - Duration::from_secs(age_s));
    world.s3.put_with(&world.bucket, key, text, Put { last_modified, ..Put::default() })
}

/// Different objects are ordered by when they were modified.
#[test]
fn a_table_ends_as_the_object_that_was_modified_last() {
    let world = World::versioned("snapshot_table");
    let handler = handler_on(&world, "{mode: snapshot, scope: table}", None);
    for order in orders_of(&[0, 1, 2, 2]) {
        let name = format!("{order:?}");
        let put = |key: &str, ids, version: &str, age_s| {
            aged(&world, &format!("{name}/{key}"), orders(ids, &format!("{version} of {key}")), age_s)
        };
        world.database.query("TRUNCATE orders");
        world.database.run("DROP TABLE IF EXISTS holoload_fence, holoload_ledger");
        let stored =
            [put("a.csv", 1..=6_u32, "v1", 30), put("b.csv", 4..=9, "v1", 20), put("a.csv", 5..=7, "v2", 10)];
        for at in &order {
            deliver(&handler, &stored[*at].event());
        }
        assert_eq!(world.rows(), order_rows(5..=7, "v2 of a.csv"), "{order:?}");
    }
    // By hand, and with force, an older one takes the table; what comes next is compared with it.
    let older = aged(&world, "older.csv", orders(1..=2, "older"), 3_600);
    let ask = |force: bool| {
        let payload = json!({"s3": older.address(), "force": force});
        report(handler.invoke_json(&payload))
    };
    let passed = ask(false);
    assert_eq!(
        (&passed["status"], &passed["reason"], &passed["deleted_count"]),
        (&json!("superseded"), &json!("an object that was modified later holds the table"), &Value::Null)
    );
    assert_eq!(ask(true)["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=2, "older"));
    world.assert_at_rest();
}

/// Of two objects of one second it is always the same that stays.
#[test]
fn objects_of_one_second_are_told_apart_by_their_names() {
    let world = World::versioned("snapshot_second");
    let handler = handler_on(&world, "{mode: snapshot, scope: table}", None);
    let now = SystemTime::now();
    for (number, order) in [["a", "b"], ["b", "a"]].into_iter().enumerate() {
        let put = Put { last_modified: Some(now + Duration::from_secs(number as u64 * 5)), ..Put::default() };
        let stored = order.map(|name| {
            let key = format!("{number}/{name}.csv");
            world.s3.put_with(&world.bucket, &key, orders(1..=2, name), put.clone())
        });
        for one in &stored {
            deliver(&handler, &one.event());
        }
        assert_eq!(world.rows(), order_rows(1..=2, "b"), "{order:?}");
    }
}

/// Loads of one table at once: each is whole, and the one that was modified last stays.
#[test]
fn loads_of_one_table_at_once_wait_for_each_other() {
    let world = World::versioned("snapshot_at_once");
    let handlers: Vec<RuntimeApi> =
        (0..3).map(|_| handler_on(&world, "{mode: snapshot, scope: table}", None)).collect();
    for round in 0..4_u32 {
        let stored: Vec<Stored> = (0..3_u32)
            .map(|at| {
                let age_s = 1_000 - u64::from(round * 10 + at);
                aged(
                    &world,
                    &format!("{round}-{at}.csv"),
                    orders(at..=at + 40, &format!("{round}-{at}")),
                    age_s,
                )
            })
            .collect();
        let outcomes: Vec<Value> = thread::scope(|scope| {
            let all: Vec<_> = handlers
                .iter()
                .zip(&stored)
                .map(|(handler, stored)| scope.spawn(|| deliver(handler, &stored.event())))
                .collect();
            all.into_iter().map(|one| one.join().expect("answered")).collect()
        });
        assert_eq!(world.rows(), order_rows(2..=42, &format!("{round}-2")), "{outcomes:?}");
    }
    world.assert_at_rest();
}

/// Whoever reads meanwhile sees the old table until all of the new one is there.
#[test]
fn readers_see_one_table_or_the_other() {
    let world = World::new("snapshot_readers");
    let handler = handler_on(&world, "{mode: snapshot, scope: table}", None);
    deliver(&handler, &aged(&world, "old.csv", orders(1..=50, "old"), 20).event());
    let stored = aged(&world, "new.csv", orders(1..=50, "new"), 10);
    let stall = Fault::StallBody { after_bytes: stored.size - 10, duration: Duration::from_secs(2) };
    world.s3.fail(On::get(&world.bucket, "new.csv"), stall);
    thread::scope(|scope| {
        let invoking = scope.spawn(|| handler.invoke_json(&stored.event()));
        while !invoking.is_finished() {
            let rows = world.rows();
            assert!(rows == order_rows(1..=50, "old") || rows == order_rows(1..=50, "new"));
        }
        assert!(matches!(invoking.join().expect("answered"), Outcome::Ok(_)));
    });
    assert_eq!(world.rows(), order_rows(1..=50, "new"));
}
