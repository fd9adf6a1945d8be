//! An object that takes longer than one invocation, on Hologres.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::{Queue, assert_continued, drain, kill_after_a_checkpoint, message, outlast, slow_down};
use crate::lab::world;
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::standin::{Fault, Moment, Options, Profile};
use crate::world::{AMPLE_MS, deliver, order_rows, orders};

const ROWS: u32 = 60_000;
const SHORT_MS: u64 = 5_000;
/// Of this enough is left at the hand-over to connect anew, and it comes before the first checkpoint.
const CUT_MS: u64 = 9_500;

fn in_several_invocations(profile: Profile) {
    let name = format!("continued_{profile:?}").to_lowercase();
    let (world, _standin) = world(&name, Options { profile, ..Options::default() });
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = world.handler_with(&[(name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    outlast(&world, &stored, 3, SHORT_MS);
    let invocations = drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
    assert!(invocations >= 4, "{invocations} invocations");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    assert_continued(&world.statuses("long.csv"));
    let line = "SELECT row_count::text, byte_count::text FROM holoload_ledger WHERE status = 'loaded'";
    assert_eq!(world.database.query(line), [[Some(ROWS.to_string()), Some(stored.size.to_string())]]);
}

#[test]
fn an_object_takes_as_many_invocations_as_it_takes_on_2_2() {
    in_several_invocations(Profile::V2_2);
}

#[test]
fn an_object_takes_as_many_invocations_as_it_takes_on_4_1() {
    in_several_invocations(Profile::V4_1);
}

/// Kills at many instants; a dead worker's claim is waited for as long as its lease lasts.
#[test]
fn kills_between_and_within_invocations_lose_and_double_nothing() {
    let (world, _standin) =
        world("continued_kills", Options { profile: Profile::V3_1, ..Options::default() });
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = world.handler_with(&[(name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    outlast(&world, &stored, 1, SHORT_MS);
    let kill = |number: usize, handler: &RuntimeApi| {
        if [2, 3].contains(&number) {
            std::thread::sleep(Duration::from_millis(700 * number as u64));
            handler.kill();
            // Nobody waits a minute in a test: the lease of the dead ends now.
            world.database.run(
                "UPDATE holoload_fence SET lease_until = now(), claimed_at = now() - interval '1 minute'",
            );
        }
    };
    let invocations = drain(&handler, &queue, &stored, SHORT_MS, kill);
    assert!(invocations >= 4, "{invocations} invocations");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    assert_eq!(world.statuses("long.csv").last().map(String::as_str), Some("loaded"));
}

/// Begun by hand, ended by the event: the rows of both have one mark, and none goes as those of another version.
#[test]
fn a_snapshot_that_is_begun_by_hand_and_ended_by_its_event_is_whole() {
    let (world, _standin) = world("continued_snapshot", Options::default());
    world.database.run("ALTER TABLE orders ADD src_key text, ADD src_seq text");
    let yaml = "routes: [{object: '**', table: orders, columns: {src_key: $key, src_seq: $sequencer}, \
                write: {mode: snapshot}}]\n";
    let handler = world.handler_with(&[("HOLOLOAD_CONFIG", yaml), ("HOLOLOAD_TABLE", "")]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 3 * 1024);
    let by_hand = serde_json::to_vec(&json!({"s3": stored.address()})).expect("JSON");
    // On a busy machine there may be no time for a part.
    let is_begun = || match handler.invoke(&by_hand, SHORT_MS) {
        Outcome::Ok(answer) => answer["objects"][0]["status"] == "continued",
        _ => false,
    };
    assert!((0..10).any(|_| is_begun()), "ten invocations were not enough");
    world.s3.clear_faults();
    let last = deliver(&handler, &stored.event());
    assert_eq!((&last["status"], &last["row_count"]), (&"loaded".into(), &ROWS.into()), "{last}");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
}

/// The answer to the line that hands the load on is lost: the load ends there all the same, and not somewhere further on
/// that the ledger does not know of.
#[test]
fn a_hand_over_whose_answer_is_lost_is_not_gone_beyond() {
    let (world, standin) = world("continued_lost", Options::default());
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = world.handler_with(&[(name, &endpoint)]);
    // The first load makes the ledger.
    let first = world.put("first.csv", orders([0], "first"));
    assert_eq!(deliver(&handler, &first.event())["status"], "loaded");
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 4 * 1024);
    standin.inject(Fault::CutAtStatement {
        sql_contains: "INSERT INTO \"public\".\"holoload_ledger\"".to_owned(),
        moment: Moment::After,
        skip: 0,
        times: 1,
    });
    let receive = |body: &str, deadline_ms: u64| {
        let payload = serde_json::to_vec(&message("m", body)).expect("JSON");
        let done = json!({"batchItemFailures": []});
        // On a busy machine there may be no time left, and the message comes again.
        let is_done = (0..10).any(|_| handler.invoke(&payload, deadline_ms).expect_ok() == done);
        assert!(is_done, "ten deliveries were not enough");
    };
    receive(&stored.event().to_string(), CUT_MS);
    let next = queue.sent().pop().expect("a message");
    let sent: Value = serde_json::from_str(&next).expect("JSON");
    let line = "SELECT max(next_offset)::text FROM holoload_ledger WHERE status = 'continued'";
    assert_eq!(world.database.query(line), [[Some(sent["continue"]["offset"].to_string())]]);
    standin.clear_faults();
    world.s3.clear_faults();
    receive(&next, AMPLE_MS);
    assert_eq!(world.rows(), [order_rows([0], "first"), order_rows(1..=ROWS, "long")].concat());
    assert_eq!(world.statuses("long.csv").last().map(String::as_str), Some("loaded"));
}

/// A long invocation is killed: of what it had written at most the last seconds are written again.
#[test]
fn a_kill_costs_the_last_seconds_only() {
    let (world, _standin) = world("continued_checkpoint", Options::default());
    let handler = world.handler();
    let end_lease = "UPDATE holoload_fence SET lease_until = now(), claimed_at = now() - interval '1 minute'";
    kill_after_a_checkpoint(&world, &handler, || world.database.run(end_lease));
}
