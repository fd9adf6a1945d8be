//! Several handlers at once: two versions, the same delivery, the same rows, the first start of all.

use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::runtime_api::Outcome;
use crate::support::s3::{Fault, On};
use crate::world::{World, deliver, order_rows, orders, report, status};

#[test]
fn two_versions_at_once_never_end_with_the_older() {
    let world = World::versioned("at_once");
    let handlers = [world.handler(), world.handler()];
    let mut statuses = Vec::new();
    for round in 0..50_u32 {
        let key = format!("{round}.csv");
        let first = world.put(&key, orders(1..=20, &format!("older-{round}")));
        let second = world.put(&key, orders(1..=20, &format!("newer-{round}")));
        // Now this one is held up, now the other, now neither.
        let pause = Duration::from_millis(u64::from(round % 5) * 7);
        world.s3.fail(On::get(&world.bucket, &key), Fault::StallBody { after_bytes: 60, duration: pause });
        let (older, newer) = (&handlers[(round % 2) as usize], &handlers[((round + 1) % 2) as usize]);
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| deliver(older, &first.event()));
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
    let world = World::new("same");
    let handlers: Vec<_> = (0..4).map(|_| world.handler()).collect();
    for round in 0..8 {
        let (key, name) = (format!("{round}.csv"), format!("round-{round}"));
        let stored = world.put(&key, orders(1..=50, &name));
        let event = stored.event();
        let outcomes: Vec<Outcome> = thread::scope(|scope| {
            let all: Vec<_> =
                handlers.iter().map(|handler| scope.spawn(|| handler.invoke_json(&event))).collect();
            all.into_iter().map(|one| one.join().expect("answered")).collect()
        });
        let loaded = outcomes.iter().filter(|outcome| status(outcome) == "loaded").count();
        assert_eq!(loaded, 1, "{outcomes:?}");
        for outcome in &outcomes {
            match outcome {
                Outcome::Err { error_type, .. } => assert_eq!(error_type, "Transient"),
                outcome => assert!(["loaded", "skipped"].contains(&status(outcome).as_str()), "{outcome:?}"),
            }
        }
        assert_eq!(world.rows(), order_rows(1..=50, &name));
        let statuses = world.statuses(&key);
        assert_eq!(statuses.len(), 4, "one line for each: {statuses:?}");
        assert_eq!(statuses.iter().filter(|status| *status == "loaded").count(), 1);
    }
    world.assert_at_rest();
}

/// One object has the keys upwards, the other downwards, in several batches: they lock each other out, and both load.
#[test]
fn two_objects_over_the_same_keys_both_load() {
    const ROWS: u32 = 25_000;
    let world = World::new("opposite");
    let handlers = [world.handler(), world.handler()];
    for round in 0..3 {
        let (up, down) = (format!("up-{round}"), format!("down-{round}"));
        let first = world.put(&format!("{up}.csv"), orders(1..=ROWS, &up));
        let second = world.put(&format!("{down}.csv"), orders((1..=ROWS).rev(), &down));
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| deliver(&handlers[0], &first.event()));
            let other = scope.spawn(|| deliver(&handlers[1], &second.event()));
            (one.join().expect("delivered"), other.join().expect("delivered"))
        });
        assert_eq!((&one["status"], &other["status"]), (&"loaded".into(), &"loaded".into()), "{one} {other}");
        let names = world.database.query("SELECT name, count(*)::text FROM orders GROUP BY name");
        assert_eq!(names.len(), 1, "the last commit wins, for all rows: {names:?}");
        assert_eq!(names[0][1].as_deref(), Some("25000"));
        assert!(names[0][0].as_deref() == Some(&up) || names[0][0].as_deref() == Some(&down));
    }
    world.assert_at_rest();
}

#[test]
fn thirty_cold_starts_make_the_ledger_together() {
    let world = World::new("cold");
    let handlers: Vec<_> = (0..30).map(|_| world.handler()).collect();
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
    assert_eq!(world.rows(), order_rows(0..30, "cold"));
    assert_eq!(world.database.count("holoload_ledger WHERE status = 'loaded'"), 30);
    assert_eq!(world.database.count("holoload_fence WHERE loaded_at IS NOT NULL"), 30);
}
