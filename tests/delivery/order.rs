//! Which of two deliveries is the newer one, and what comes of the older.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::s3::{Put, Stored};
use crate::world::{World, order_rows, orders, report, status};

/// The event of a version with another sequencer than S3 gave it.
fn event(stored: &Stored, sequencer: Option<&str>) -> Value {
    let mut event = stored.event();
    let object = &mut event["Records"][0]["s3"]["object"];
    match sequencer {
        Some(sequencer) => object["sequencer"] = sequencer.into(),
        None => drop(object.as_object_mut().expect("an object").remove("sequencer")),
    }
    event
}

/// Versions that were modified at these times, in seconds before now, oldest first.
fn versions<const N: usize>(world: &World, key: &str, ages: [u64; N]) -> [Stored; N] {
    let mut number = 0;
    ages.map(|age| {
        number += 1;
        let last_modified = Some(SystemTime::now() - Duration::from_secs(age));
        let put = Put { last_modified, ..Put::default() };
        world.s3.put_with(&world.bucket, key, orders(1..=3, &format!("v{number}")), put)
    })
}

#[test]
fn sequencers_are_compared_as_s3_says() {
    let world = World::versioned("sequencers");
    let handler = world.handler();
    for (number, (loaded, late, status)) in [
        ("0055AED6DCD90281E6", "0055AED6DCD90281E5", "superseded"),
        ("0055AED6DCD90281E5", "0055AED6DCD90281E6", "loaded"),
        // A shorter one may be the later one: neither length nor the number decides.
        ("0055AED6DCD91", "0055AED6DCD90281E5", "superseded"),
        ("0055AED6DCD90281E5", "0055AED6DCD91", "loaded"),
        ("00643717F9F8B85354", "006408CAD69598B05E", "superseded"),
        ("006408CAD69598B05E", "00643717F9F8B85354", "loaded"),
        // Lower case and upper case are the same hexadecimal digits.
        ("617F08299329D18A", "617f08299329d189", "superseded"),
        ("617f08299329d189", "617F08299329D18A", "loaded"),
    ]
    .into_iter()
    .enumerate()
    {
        // The later delivery is by its time and place in the bucket the newer one each time: only sequencers speak.
        let key = format!("{number}.csv");
        let [first, second] = versions(&world, &key, [20, 10]);
        assert_eq!(report(handler.invoke_json(&event(&first, Some(loaded))))["status"], "loaded");
        let report = report(handler.invoke_json(&event(&second, Some(late))));
        assert_eq!(report["status"], status, "{loaded} then {late}");
        let name = if status == "loaded" { "v2" } else { "v1" };
        assert_eq!(world.rows(), order_rows(1..=3, name), "{loaded} then {late}");
    }
}

/// Trailing zeros and case make no other sequencer: the same version is the same delivery.
#[test]
fn equal_sequencers_are_one_delivery() {
    let world = World::new("sequencers_equal");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=3, "a"));
    assert_eq!(report(handler.invoke_json(&event(&stored, Some("0055AED6DCD9"))))["status"], "loaded");
    for same in ["0055AED6DCD90000", "0055aed6dcd9", "0055AED6DCD9"] {
        assert_eq!(report(handler.invoke_json(&event(&stored, Some(same))))["status"], "skipped", "{same}");
    }
}

#[test]
fn an_older_sequencer_reads_nothing() {
    let world = World::versioned("older");
    let handler = world.handler();
    let first = world.put("a.csv", orders(1..=4, "first"));
    let second = world.put("a.csv", orders(1..=4, "second"));
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    let (places, gets) = (world.places(), world.s3.gets(&world.bucket, "a.csv").len());
    let late = report(handler.invoke_json(&first.event()));
    assert_eq!(
        (&late["status"], &late["reason"]),
        (&json!("superseded"), &json!("a newer version has been loaded"))
    );
    assert_eq!(world.places(), places);
    assert_eq!(world.s3.gets(&world.bucket, "a.csv").len(), gets);
}

/// A person loads the newer version before its event comes: then the event finds it loaded, and a late older one is
/// kept out by the time of modification.
#[test]
fn a_manual_load_comes_before_its_event() {
    let world = World::versioned("manual_first");
    let handler = world.handler();
    let [first, second, third] = versions(&world, "a.csv", [30, 20, 10]);
    let ask = |version: &Stored| {
        let payload = json!({"s3": version.address(), "version_id": version.version_id});
        report(handler.invoke_json(&payload))["status"].clone()
    };
    assert_eq!(ask(&second), "loaded");
    assert_eq!(world.rows(), order_rows(1..=3, "v2"));
    let places = world.places();
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "skipped");
    let late = report(handler.invoke_json(&first.event()));
    assert_eq!((&late["status"], &late["row_count"]), (&json!("superseded"), &json!(0)));
    assert_eq!(ask(&first), "superseded");
    assert_eq!(world.places(), places);
    assert_eq!(report(handler.invoke_json(&third.event()))["status"], "loaded");
    assert_eq!(ask(&third), "skipped");
    assert_eq!(ask(&second), "superseded");
    assert_eq!(world.rows(), order_rows(1..=3, "v3"));
}

/// The fence had a sequencer before the manual load; that one says nothing of what was loaded since.
#[test]
fn a_manual_load_between_events() {
    let world = World::versioned("manual_between");
    let handler = world.handler();
    let [first, second, third] = versions(&world, "a.csv", [30, 20, 10]);
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "loaded");
    let newest = json!({"s3": first.address()});
    assert_eq!(report(handler.invoke_json(&newest))["status"], "loaded");
    for (late, status) in [(&first, "superseded"), (&second, "superseded"), (&third, "skipped")] {
        assert_eq!(report(handler.invoke_json(&late.event()))["status"], status);
        assert_eq!(world.rows(), order_rows(1..=3, "v3"));
    }
}

/// S3 tells times of modification in whole seconds: within one, the version that is there now is the newer.
#[test]
fn two_versions_of_one_second_are_told_apart() {
    let world = World::versioned("one_second");
    let handler = world.handler();
    let ask = |version: &Stored| {
        let payload = json!({"s3": version.address(), "version_id": version.version_id});
        report(handler.invoke_json(&payload))["status"].clone()
    };
    let now = SystemTime::now();
    let put = |key: &str, name: &str| {
        let put = Put { last_modified: Some(now), ..Put::default() };
        world.s3.put_with(&world.bucket, key, orders(1..=3, name), put)
    };
    // The newer one is loaded by hand: the older one's event comes too late.
    let (first, second) = (put("a.csv", "v1"), put("a.csv", "v2"));
    assert_eq!(ask(&second), "loaded");
    assert_eq!(report(handler.invoke_json(&first.event()))["status"], "superseded");
    assert_eq!(ask(&first), "superseded");
    assert_eq!(world.rows(), order_rows(1..=3, "v2"));
    // The older one is loaded by hand: the newer one's event is not late.
    let first = put("b.csv", "v3");
    assert_eq!(ask(&first), "loaded");
    let second = put("b.csv", "v4");
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=3, "v4"));
    assert_eq!(ask(&first), "superseded");
}

/// Events that carry no sequencer (other stores, written by hand) never pass what is newer.
#[test]
fn an_event_without_a_sequencer_does_not_pass_a_newer_version() {
    let world = World::versioned("unsequenced");
    let handler = world.handler();
    let [first, second] = versions(&world, "a.csv", [20, 10]);
    assert_eq!(report(handler.invoke_json(&second.event()))["status"], "loaded");
    for sequencer in [None, Some("Happy Sequencer")] {
        let late = report(handler.invoke_json(&event(&first, sequencer)));
        assert_eq!(late["status"], "superseded", "{sequencer:?}");
        assert_eq!(world.rows(), order_rows(1..=3, "v2"));
    }
    assert_eq!(report(handler.invoke_json(&event(&second, None)))["status"], "skipped");

    let [first, second] = versions(&world, "b.csv", [20, 10]);
    assert_eq!(report(handler.invoke_json(&event(&second, None)))["status"], "loaded");
    assert_eq!(report(handler.invoke_json(&event(&first, None)))["status"], "superseded");
    assert_eq!(world.rows(), order_rows(1..=3, "v2"));
}

/// What the event knows may fill columns.
#[test]
fn an_event_fills_columns_with_what_it_knows() {
    let world = World::new("facts");
    world.database.run("ALTER TABLE orders ADD sequencer text, ADD put_at timestamptz, ADD version text");
    let config = "routes: [{object: '**', table: orders, columns: {sequencer: $sequencer, put_at: $event_time, version: $version}}]";
    let handler = world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", config)]);
    let stored = world.put("a.csv", orders([1], "a"));
    let record = stored.event_record();
    assert_eq!(status(&handler.invoke_json(&stored.event())), "loaded");
    let sequencer = record["s3"]["object"]["sequencer"].as_str().expect("text").trim_end_matches('0');
    let (etag, time) = (record["s3"]["object"]["eTag"].as_str(), record["eventTime"].as_str());
    let found = world
        .database
        .query(&format!("SELECT sequencer, version, put_at = '{}' FROM orders", time.expect("text")));
    assert_eq!(found, [[Some(sequencer.to_owned()), etag.map(str::to_owned), Some("t".to_owned())]]);
}
