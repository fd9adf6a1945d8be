//! An invocation that runs out of time answers before it is killed, and leaves nothing behind.

use std::time::{Duration, Instant};

use crate::support::proxy::CutProxy;
use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::{Fault, On, Stored};
use crate::world::{World, failure, order_rows, orders, report};

/// The load does not fit into so many milliseconds: it says so in time.
#[track_caller]
fn runs_out(handler: &RuntimeApi, stored: &Stored, deadline_ms: u64) {
    let pid = handler.pid();
    let payload = serde_json::to_vec(&stored.event()).expect("JSON");
    let clock = Instant::now();
    let failed = failure(handler.invoke(&payload, deadline_ms));
    assert_eq!(failed.error_type, "Transient", "{failed:?}");
    let took = clock.elapsed();
    assert!(took < Duration::from_millis(deadline_ms), "{took:?} of {deadline_ms} ms");
    assert!(took > Duration::from_millis(deadline_ms / 2), "given up after {took:?} of {deadline_ms} ms");
    let report = &failed.answer["objects"][0];
    assert_eq!((&report["status"], &report["inserted_count"]), (&"failed".into(), &0.into()), "{report}");
    assert_eq!(handler.pid(), pid);
}

#[test]
fn a_slow_object_is_given_up_in_time() {
    let world = World::new("deadline_object");
    let handler = world.handler();
    // Ten batches' worth, the last rows of which never come: rows are on their way when time is up.
    let stored = world.put("slow.csv", orders(1..60_000, "slow"));
    let after_bytes = stored.size - 10;
    let stall = Fault::StallBody { after_bytes, duration: Duration::from_secs(30) };
    world.s3.fail_always(On::get(&world.bucket, "slow.csv"), stall);
    for deadline_ms in [1_500, 3_000] {
        runs_out(&handler, &stored, deadline_ms);
        world.assert_at_rest();
        assert_eq!(world.database.count("orders"), 0);
    }
    assert_eq!(world.statuses("slow.csv"), ["failed", "failed"]);
    world.s3.clear_faults();
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    assert_eq!(world.database.count("orders"), 59_999);
}

#[test]
fn a_statement_that_waits_is_cancelled_in_time() {
    let world = World::new("deadline_statement");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=5, "a"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let blocker = runtime.block_on(async {
        let client = world.database.admin().await;
        client.batch_execute("BEGIN; LOCK TABLE orders IN SHARE MODE").await.expect("the lock");
        client
    });
    std::thread::scope(|scope| {
        let invoking = scope.spawn(|| runs_out(&handler, &stored, 2_500));
        // The blocker's connection needs its runtime to live on.
        runtime.block_on(async {
            while !invoking.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        invoking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    world.assert_at_rest();
    runtime.block_on(blocker.batch_execute("ROLLBACK")).expect("the lock is released");
    assert_eq!(world.database.count("orders"), 0);
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=5, "a"));
}

/// The network swallows everything, as a NAT gateway does that forgot the flow.
#[test]
fn a_database_that_falls_silent_is_left_in_time() {
    let world = World::new("deadline_silence");
    let proxy = CutProxy::in_front_of(world.database.port);
    let handler = world.handler_with(&[("HOLOLOAD_PORT", &proxy.port().to_string())]);
    let first = world.put("first.csv", orders(1..=5, "first"));
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "loaded");
    let second = world.put("second.csv", orders(6..=9, "second"));
    proxy.pause();
    for deadline_ms in [1_500, 3_000, 5_000] {
        runs_out(&handler, &second, deadline_ms);
    }
    proxy.resume();
    world.assert_at_rest();
    assert_eq!(world.rows(), order_rows(1..=5, "first"));
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    assert_eq!(world.database.count("orders"), 9);
}

/// Silence in the middle of the rows: the transaction is open when the time is up.
#[test]
fn silence_in_the_middle_of_a_load_is_left_in_time() {
    let world = World::new("deadline_middle");
    let proxy = CutProxy::in_front_of(world.database.port);
    let handler = world.handler_with(&[("HOLOLOAD_PORT", &proxy.port().to_string())]);
    let stored = world.put("slow.csv", orders(1..60_000, "slow"));
    let stall = Fault::StallBody { after_bytes: stored.size - 10, duration: Duration::from_secs(30) };
    world.s3.fail_always(On::get(&world.bucket, "slow.csv"), stall);
    std::thread::scope(|scope| {
        let invoking = scope.spawn(|| runs_out(&handler, &stored, 3_000));
        let is_inside = || world.database.idle_in_transaction() == 1;
        assert!(crate::support::wait_until(Duration::from_secs(2), is_inside), "rows were sent");
        proxy.pause();
        invoking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    proxy.resume();
    world.assert_at_rest();
    assert_eq!(world.database.count("orders"), 0);
    world.s3.clear_faults();
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
}
