//! An object that takes longer than one invocation, on Hologres.

use std::time::Duration;

use crate::chain::{Queue, assert_continued, drain, kill_after_a_checkpoint, slow_down};
use crate::lab::world;
use crate::support::runtime_api::RuntimeApi;
use crate::support::standin::{Options, Profile};
use crate::world::{order_rows, orders};

const ROWS: u32 = 60_000;
const SHORT_MS: u64 = 5_000;

fn in_several_invocations(profile: Profile) {
    let name = format!("continued_{profile:?}").to_lowercase();
    let (world, _standin) = world(&name, Options { profile, ..Options::default() });
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = world.handler_with(&[(name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 3 * 1024);
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
    slow_down(&world, "long.csv", 8 * 1024);
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

/// A long invocation is killed: of what it had written at most the last seconds are written again.
#[test]
fn a_kill_costs_the_last_seconds_only() {
    let (world, _standin) = world("continued_checkpoint", Options::default());
    let handler = world.handler();
    let end_lease = "UPDATE holoload_fence SET lease_until = now(), claimed_at = now() - interval '1 minute'";
    kill_after_a_checkpoint(&world, &handler, || world.database.run(end_lease));
}
