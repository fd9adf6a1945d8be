//! A body that breaks is read on from where it broke, of the same version, or the load comes to nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::{Fault, On, Request, Stored};
use crate::world::{AMPLE_MS, World, failure, order_rows, orders, report};

const ROWS: std::ops::RangeInclusive<u32> = 1..=400;

fn cut(after_bytes: u64) -> Fault {
    Fault::CutBody { after_bytes }
}

fn gets(world: &World, stored: &Stored) -> Vec<Request> {
    world.s3.gets(&world.bucket, &stored.key)
}

#[track_caller]
fn loads_whole(world: &World, handler: &RuntimeApi, stored: &Stored, name: &str) {
    let loaded = report(handler.invoke_json(&stored.event()));
    assert_eq!(
        (&loaded["status"], &loaded["byte_count"]),
        (&json!("loaded"), &json!(stored.size)),
        "{loaded}"
    );
    assert_eq!(loaded["row_count"], 400);
    assert_eq!(world.rows(), order_rows(ROWS, name));
}

/// The body is cut after every so many bytes; what is asked for next is the rest, of the same version.
fn cut_everywhere(world: &World) {
    let handler = world.handler();
    let size = orders(ROWS, "name-00").len() as u64;
    let cuts = (0..24).map(|step| size * step / 24).chain([1, 14, 15, 16, size - 2, size - 1]);
    for (number, after) in cuts.enumerate() {
        let name = format!("name-{number:02}");
        let stored = world.put(&format!("{number}.csv"), orders(ROWS, &name));
        assert_eq!(stored.size, size);
        world.s3.fail(On::get(&world.bucket, &stored.key), cut(after));
        loads_whole(world, &handler, &stored, &name);
        let requests = gets(world, &stored);
        assert_eq!(requests.len(), 2, "cut after {after}: {requests:?}");
        assert_eq!(requests[0].bytes_sent, after);
        assert_eq!(requests[0].version_id, stored.version_id);
        let rest = (after > 0).then(|| format!("bytes={after}-"));
        assert_eq!(requests[1].range, rest);
        assert_eq!(requests[1].if_match, Some(format!("\"{}\"", stored.etag)));
        assert_eq!(requests[1].version_id, stored.version_id);
    }
}

#[test]
fn a_cut_body_is_read_on() {
    cut_everywhere(&World::new("body_cut"));
}

#[test]
fn a_cut_body_of_a_version_is_read_on() {
    cut_everywhere(&World::versioned("body_cut_version"));
}

/// Several cuts, errors of S3 and answers that are not what was asked for, on the way through one object.
#[test]
fn whatever_answers_a_resumption_no_byte_is_doubled_or_lost() {
    let world = World::new("body_faults");
    let handler = world.handler();
    for (number, faults) in [
        vec![cut(100), cut(0), cut(1), cut(2_000)],
        vec![cut(100), Fault::WrongContentRange],
        vec![cut(100), Fault::IgnoreRange],
        vec![cut(100), Fault::ShortAnswer { bytes: 50 }],
        vec![cut(100), Fault::OtherEtag],
        vec![cut(100), Fault::Close],
        vec![cut(100), Fault::slow_down()],
        vec![cut(100), Fault::internal_error(), cut(7)],
        vec![cut(100), Fault::Stall(Duration::from_millis(300))],
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("name-{number:02}");
        let stored = world.put(&format!("{number}.csv"), orders(ROWS, &name));
        for fault in faults {
            world.s3.fail(On::get(&world.bucket, &stored.key), fault);
        }
        loads_whole(&world, &handler, &stored, &name);
        assert_eq!(world.statuses(&stored.key), ["loaded"], "in one attempt");
    }
}

#[test]
fn a_body_that_keeps_breaking_is_given_up() {
    let world = World::new("body_breaking");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(ROWS, "a"));
    world.s3.fail_always(On::get(&world.bucket, "a.csv"), cut(10));
    let payload = serde_json::to_vec(&stored.event()).expect("JSON");
    // Long enough for all resumptions of one attempt, and the beginning of the next.
    let failed = failure(handler.invoke(&payload, 22_000));
    assert_eq!(failed.error_type, "Transient", "{failed:?}");
    let log = handler.log_text();
    assert!(log.contains("given up after reopening it 8 times"), "{log}");
    let first: Vec<_> = gets(&world, &stored).into_iter().take(9).map(|get| get.range).collect();
    let expected = (0..9).map(|step| (step > 0).then(|| format!("bytes={}-", step * 10)));
    assert_eq!(first, expected.collect::<Vec<_>>());
    assert!(world.rows().is_empty());
    world.assert_at_rest();
    world.s3.clear_faults();
    loads_whole(&world, &handler, &stored, "a");
    assert_eq!(world.statuses("a.csv"), ["failed", "loaded"]);
}

/// Overwritten between two parts of its body: never rows of both versions.
#[test]
fn an_object_overwritten_under_the_reader_is_superseded() {
    let world = World::new("body_overwritten");
    let handler = world.handler();
    let other = orders(ROWS, "other");
    for after in [0, 1, 15, 2_000, 6_000] {
        let stored = world.put("a.csv", orders(ROWS, "mixed"));
        let overwrite = Fault::OverwriteAt { after_bytes: after, bytes: other.clone().into() };
        world.s3.fail(On::get(&world.bucket, "a.csv"), vec![overwrite, cut(after)]);
        let report = report(handler.invoke_json(&stored.event()));
        assert_eq!(
            (&report["status"], &report["row_count"]),
            (&json!("superseded"), &json!(0)),
            "{after}: {report}"
        );
        assert!(world.rows().is_empty(), "{after}");
        world.assert_at_rest();
    }
    // Overwritten, but read to the end in one piece: the old version is whole, the new one's event will follow.
    let stored = world.put("a.csv", orders(ROWS, "whole"));
    let overwrite = Fault::OverwriteAt { after_bytes: 100, bytes: other.into() };
    world.s3.fail(On::get(&world.bucket, "a.csv"), overwrite);
    loads_whole(&world, &handler, &stored, "whole");
}

#[test]
fn a_version_is_read_on_whatever_came_after_it() {
    let world = World::versioned("body_version");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(ROWS, "old"));
    let overwrite = Fault::OverwriteAt { after_bytes: 500, bytes: orders(ROWS, "new").into() };
    world.s3.fail(On::get(&world.bucket, "a.csv"), vec![overwrite, cut(500)]);
    loads_whole(&world, &handler, &stored, "old");
}

#[test]
fn an_object_deleted_under_the_reader_is_deleted() {
    let world = World::new("body_deleted");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(ROWS, "a"));
    world.s3.fail(On::get(&world.bucket, "a.csv"), vec![Fault::DeleteAt { after_bytes: 500 }, cut(500)]);
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!((&report["status"], &report["row_count"]), (&json!("deleted"), &json!(0)), "{report}");
    assert!(world.rows().is_empty());
    assert_eq!(world.statuses("a.csv"), ["deleted"]);
}

/// A short silence is waited for; a long one is broken off and the rest asked for anew.
#[test]
fn a_body_that_falls_silent_is_read_on() {
    let world = World::new("body_silent");
    let handler = world.handler();
    for (key, silence) in [("short.csv", 2), ("long.csv", 300)] {
        let stored = world.put(key, orders(ROWS, "name"));
        let stall = Fault::StallBody { after_bytes: 1_000, duration: Duration::from_secs(silence) };
        world.s3.fail(On::get(&world.bucket, key), stall);
        let clock = Instant::now();
        let payload = serde_json::to_vec(&stored.event()).expect("JSON");
        let loaded = report(handler.invoke(&payload, AMPLE_MS));
        assert_eq!(
            (&loaded["status"], &loaded["row_count"]),
            (&json!("loaded"), &json!(400)),
            "{key}: {loaded}"
        );
        assert!(clock.elapsed() < Duration::from_secs(45), "{key}: {:?}", clock.elapsed());
    }
}
