//! The same delivery again, another version, a version that is gone.

use serde_json::json;

use crate::support::s3::Operation;
use crate::world::{World, failure, order_rows, orders, report};

#[test]
fn a_redelivery_is_skipped_and_writes_nothing() {
    let world = World::new("redelivery");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=5, "first"));
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    let (places, gets) = (world.places(), world.s3.gets(&world.bucket, "a.csv").len());
    for _ in 0..3 {
        let again = report(handler.invoke_json(&stored.event()));
        assert_eq!((&again["status"], &again["row_count"]), (&json!("skipped"), &json!(0)));
        assert!(again["reason"].as_str().is_some_and(|reason| reason.contains("has been loaded")));
    }
    // Another process knows as much.
    assert_eq!(report(world.handler().invoke_json(&stored.event()))["status"], "skipped");
    assert_eq!(world.places(), places, "no row was touched");
    assert_eq!(world.s3.gets(&world.bucket, "a.csv").len(), gets, "nor the object read");
    assert_eq!(world.statuses("a.csv"), ["loaded", "skipped", "skipped", "skipped", "skipped"]);
    world.assert_at_rest();
}

#[test]
fn an_overwritten_object_loads() {
    let world = World::new("overwritten");
    let handler = world.handler();
    let first = world.put("a.csv", orders(1..=4, "first"));
    assert_eq!(report(handler.invoke_json(&first.event()))["inserted_count"], 4);
    let second = world.put("a.csv", orders(3..=6, "second"));
    let loaded = report(handler.invoke_json(&second.event()));
    assert_eq!(
        (&loaded["status"], &loaded["inserted_count"], &loaded["updated_count"]),
        (&json!("loaded"), &json!(2), &json!(2))
    );
    let expected = [order_rows(1..=2, "first"), order_rows(3..=6, "second")].concat();
    assert_eq!(world.rows(), expected);
    // The same bytes put once more are a version of their own, of which no row differs.
    let places = world.places();
    let third = world.put("a.csv", orders(3..=6, "second"));
    let loaded = report(handler.invoke_json(&third.event()));
    assert_eq!((&loaded["status"], &loaded["unchanged_count"]), (&json!("loaded"), &json!(4)));
    assert_eq!(world.places().len(), places.len());
    assert_eq!(world.rows(), expected);
    // What came before is older from now on.
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "superseded");
}

#[test]
fn an_event_whose_object_was_overwritten_writes_nothing() {
    let world = World::new("stale");
    let handler = world.handler();
    let first = world.put("a.csv", orders(1..=4, "first"));
    let second = world.put("a.csv", orders(3..=6, "second"));
    let stale = report(handler.invoke_json(&first.event()));
    assert_eq!((&stale["status"], &stale["row_count"]), (&json!("superseded"), &json!(0)));
    assert!(world.rows().is_empty());
    let fences = world.database.count("holoload_fence WHERE loaded_at IS NOT NULL");
    assert_eq!(fences, 0, "nothing has been loaded");
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "superseded");
    assert_eq!(world.rows(), order_rows(3..=6, "second"));
    assert_eq!(world.statuses("a.csv"), ["superseded", "loaded", "superseded"]);
}

#[test]
fn an_object_that_is_gone_is_deleted_and_for_a_person_an_error() {
    let world = World::new("gone");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=4, "first"));
    world.s3.delete(&world.bucket, "a.csv");
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "deleted");
    assert_eq!(world.statuses("a.csv"), ["deleted"]);
    let asked = failure(handler.invoke_json(&json!({"s3": stored.address()})));
    assert_eq!(asked.error_type, "Input");
    assert_eq!(asked.answer["objects"][0]["error"]["code"], "NoSuchKey");
    assert!(world.rows().is_empty());
    // Put again, it is an object like any other.
    let again = world.put("a.csv", orders(1..=2, "again"));
    assert_eq!(report(handler.invoke_json(&again.event()))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=2, "again"));
}

#[test]
fn a_bucket_with_versions_is_read_by_version() {
    let world = World::versioned("versions");
    let handler = world.handler();
    let first = world.put("a.csv", orders(1..=4, "first"));
    let second = world.put("a.csv", orders(3..=6, "second"));
    // In order, although the newer one is there already: the first is read by its version.
    let loaded = report(handler.invoke_json(&first.event()));
    assert_eq!((&loaded["status"], &loaded["version_id"]), (&json!("loaded"), &json!(first.version_id)));
    assert_eq!(world.rows(), order_rows(1..=4, "first"));
    let get = world.s3.gets(&world.bucket, "a.csv").pop().expect("a GET");
    assert_eq!(get.version_id, first.version_id);
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    let expected = [order_rows(1..=2, "first"), order_rows(3..=6, "second")].concat();
    assert_eq!(world.rows(), expected);
    // Under a delete marker a version is still there; a late delivery of it is older all the same.
    world.s3.delete(&world.bucket, "a.csv");
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "superseded");
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "skipped");
    let late = world.put("b.csv", orders(8..=9, "late"));
    world.s3.delete(&world.bucket, "b.csv");
    assert_eq!(report(handler.invoke_json(&late.event()))["status"], "loaded", "the marker hides no version");
    // A version that is gone for good is.
    let mut gone = world.put("c.csv", orders(1..=1, "gone")).event();
    gone["Records"][0]["s3"]["object"]["versionId"] = "v99999999.0000000000000000".into();
    assert_eq!(report(handler.invoke_json(&gone))["status"], "deleted");
}

#[test]
fn force_loads_what_is_loaded_and_leaves_the_order_of_events() {
    let world = World::versioned("force");
    let handler = world.handler();
    let first = world.put("a.csv", orders(1..=2, "first"));
    let second = world.put("a.csv", orders(1..=2, "second"));
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    let ask = |version: &Option<String>, force: bool| {
        report(handler.invoke_json(&json!({"s3": first.address(), "version_id": version, "force": force})))["status"].clone()
    };
    assert_eq!(ask(&None, false), "skipped");
    world.database.run("UPDATE orders SET name = 'by hand'");
    assert_eq!(ask(&None, true), "loaded");
    assert_eq!(world.rows(), order_rows(1..=2, "second"));
    assert_eq!(ask(&first.version_id, true), "loaded", "an older one, if somebody insists");
    assert_eq!(world.rows(), order_rows(1..=2, "first"));
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "superseded");
    let third = world.put("a.csv", orders(1..=2, "third"));
    assert_eq!(report(handler.invoke_json(&third.event()))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=2, "third"));
}

#[test]
fn a_dry_run_reads_and_writes_nothing() {
    let world = World::new("dry_run");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=7, "dry"));
    let dry = report(handler.invoke_json(&json!({"s3": stored.address(), "dry_run": true})));
    assert_eq!((&dry["status"], &dry["row_count"]), (&json!("skipped"), &json!(7)));
    assert!(world.rows().is_empty());
    let tables = world.database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    assert_eq!(tables, [[Some("orders".to_owned())]], "not even a ledger");
    let writes = world.s3.requests();
    let is_write = |request: &&crate::support::s3::Request| {
        request.bucket == world.bucket && matches!(request.operation, Operation::Put | Operation::Delete)
    };
    assert_eq!(writes.iter().filter(is_write).count(), 0);
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
}
