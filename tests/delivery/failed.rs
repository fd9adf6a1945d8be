//! An object whose content failed: the verdict is repeated without a second look, until something has changed.

use serde_json::{Value, json};

use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::Stored;
use crate::world::{Failure, World, failure, orders, report};

const BAD: &str = "id,name,amount\n1,a,1\n2,b,1\nthree,c,1\n";

fn fails(handler: &RuntimeApi, event: &Value) -> Failure {
    let failed = failure(handler.invoke_json(event));
    assert_eq!(failed.error_type, "Input", "{failed:?}");
    failed
}

/// How often the object has been asked for.
fn reads(world: &World, stored: &Stored) -> usize {
    world.s3.gets(&world.bucket, &stored.key).len()
}

#[test]
fn the_verdict_is_repeated_without_reading() {
    let world = World::new("verdict");
    let handler = world.handler();
    let bad = world.put("bad.csv", BAD);
    let first = fails(&handler, &bad.event());
    let first = first.answer["objects"][0]["error"].clone();
    assert_eq!(reads(&world, &bad), 1);
    let message = first["message"].as_str().expect("text");
    for _ in 0..3 {
        let again = fails(&handler, &bad.event());
        let error = &again.answer["objects"][0]["error"];
        // Once, however often it is repeated.
        assert_eq!(error["message"], format!("failed before, under the same settings: {message}"));
        assert_eq!((&error["hint"], &error["class"]), (&first["hint"], &first["class"]));
    }
    // Nor does another process read it.
    fails(&world.handler(), &bad.event());
    assert_eq!(reads(&world, &bad), 1, "read once");
    assert!(world.rows().is_empty());
    assert_eq!(world.statuses("bad.csv"), ["failed"; 5]);
}

#[test]
fn a_manual_request_looks_again() {
    let world = World::new("verdict_manual");
    let handler = world.handler();
    let bad = world.put("bad.csv", BAD);
    fails(&handler, &bad.event());
    for (number, payload) in [
        json!({"s3": bad.address()}),
        json!({"s3": bad.address(), "force": true}),
        json!({"reprocess": {"objects": [bad.address()]}}),
    ]
    .into_iter()
    .enumerate()
    {
        let failed = fails(&handler, &payload);
        assert!(!failed.line.contains("failed before"), "{failed:?}");
        assert_eq!(reads(&world, &bad), number + 2);
    }
}

#[test]
fn a_new_version_is_judged_anew() {
    let world = World::new("verdict_version");
    let handler = world.handler();
    let bad = world.put("a.csv", BAD);
    fails(&handler, &bad.event());
    let good = world.put("a.csv", orders(1..=3, "good"));
    assert_eq!(report(handler.invoke_json(&good.event()))["status"], "loaded");
    assert_eq!(report(handler.invoke_json(&bad.event()))["status"], "superseded");
}

#[test]
fn a_changed_table_is_a_reason_to_look_again() {
    let world = World::new("verdict_table");
    let bad = world.put("bad.csv", BAD);
    fails(&world.handler(), &bad.event());
    world.database.run("ALTER TABLE orders ALTER COLUMN id TYPE text");
    assert_eq!(report(world.handler().invoke_json(&bad.event()))["status"], "loaded");
    assert_eq!(world.database.count("orders"), 3);
}

/// The hint of such a failure names the setting that helps: once it is set, a retry must look again.
#[test]
fn changed_settings_are_a_reason_to_look_again() {
    let world = World::new("verdict_settings");
    let rejects = format!("s3://{}/rejects/", world.bucket);
    let bad = world.put("in/bad.csv", BAD);
    let failed = fails(&world.handler(), &bad.event());
    assert!(failed.line.contains("HOLOLOAD_REJECTS"), "{failed:?}");
    let kept = world.handler_with(&[("HOLOLOAD_REJECTS", &rejects)]);
    let report = report(kept.invoke_json(&bad.event()));
    assert_eq!((&report["status"], &report["reject_count"]), (&json!("loaded"), &json!(1)));
    assert_eq!(world.database.count("orders"), 2);

    // Nor is a verdict carried over to other settings of the rows themselves.
    let zoned = world.put("zoned.csv", "id,name,amount\n9,x\n");
    fails(&world.handler(), &zoned.event());
    let reads_before = reads(&world, &zoned);
    fails(&world.handler_with(&[("HOLOLOAD_TIMEZONE", "Asia/Tokyo")]), &zoned.event());
    assert_eq!(reads(&world, &zoned), reads_before + 1, "another time zone");
    fails(&world.handler_with(&[("HOLOLOAD_WRITE_MODE", "ignore")]), &zoned.event());
    assert_eq!(reads(&world, &zoned), reads_before + 2, "another mode");
    fails(&world.handler(), &zoned.event());
    assert_eq!(reads(&world, &zoned), reads_before + 3, "the last verdict was of other settings");
}

/// Failures that may pass are never a verdict.
#[test]
fn only_the_content_is_judged_for_good() {
    let world = World::new("verdict_access");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=3, "a"));
    let denied = crate::support::s3::Fault::access_denied();
    world.s3.fail(crate::support::s3::On::get(&world.bucket, "a.csv"), denied);
    assert_eq!(failure(handler.invoke_json(&stored.event())).error_type, "Access");
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    let archived = world.put("archived.csv", orders(4..=6, "archived"));
    let refusal =
        crate::support::s3::Fault::error(403, "InvalidObjectState", "not valid for the storage class");
    world.s3.fail(crate::support::s3::On::get(&world.bucket, "archived.csv"), refusal);
    assert_eq!(failure(handler.invoke_json(&archived.event())).error_type, "Input");
    assert_eq!(report(handler.invoke_json(&archived.event()))["status"], "loaded", "it was restored");
    let other = world.put("b.csv", "id,name,amuont\n1,a,1\n");
    assert_eq!(failure(handler.invoke_json(&other.event())).error_type, "Config");
    world.database.run("ALTER TABLE orders RENAME COLUMN amount TO amuont");
    handler.restart();
    assert_eq!(report(handler.invoke_json(&other.event()))["status"], "loaded");
}
