//! `{"reprocess": {"prefix": …}}`: as much as fits into an invocation, and what is left.

use serde_json::{Value, json};

use crate::support::runtime_api::RuntimeApi;
use crate::world::{AMPLE_MS, World, failure, orders};

fn invoke(handler: &RuntimeApi, request: &Value) -> Value {
    handler.invoke_json(&json!({"reprocess": request})).expect_ok()
}

fn sum(answer: &Value) -> [u64; 4] {
    let names = ["listed_count", "chosen_count", "current_count", "left_count"];
    names.map(|name| answer["reprocess"][name].as_u64().unwrap_or_else(|| panic!("{name}: {answer:#}")))
}

#[test]
fn a_prefix_is_loaded_invocation_by_invocation() {
    let world = World::new("reprocess");
    let handler = world.handler();
    // Less than the ledger is asked about at once, and more: pages are cut as S3 cuts them.
    world.s3.set_page_size(50);
    for id in 0..120 {
        world.put(&format!("in/{id:03}.csv"), orders([id], "a"));
    }
    let seen = world.s3.put(&world.bucket, "in/007.csv", orders([7], "again"));
    handler.invoke_json(&seen.event()).expect_ok();
    let prefix = format!("s3://{}/in/", world.bucket);

    let dry = invoke(&handler, &json!({"prefix": prefix, "missing": true, "dry_run": true}));
    assert_eq!(sum(&dry), [120, 119, 1, 0]);
    assert_eq!(dry["objects"], json!([]));
    assert_eq!(dry["reprocess"]["chosen"].as_array().map(Vec::len), Some(119));
    assert_eq!(world.database.count("orders"), 1, "a dry run loads nothing");

    let first = invoke(&handler, &json!({"prefix": prefix, "missing": true}));
    assert_eq!(sum(&first), [120, 100, 1, 19]);
    assert_eq!(first["objects"].as_array().map(Vec::len), Some(100));
    assert!(first["reprocess"]["hint"].as_str().is_some_and(|hint| hint.contains("again")), "{first:#}");
    let second = invoke(&handler, &json!({"prefix": prefix, "missing": true, "limit": 10}));
    assert_eq!(sum(&second), [120, 10, 101, 9]);
    let third = invoke(&handler, &json!({"prefix": prefix, "missing": true}));
    assert_eq!(sum(&third), [120, 9, 111, 0]);
    assert_eq!(third["reprocess"]["hint"], Value::Null);
    assert_eq!(sum(&invoke(&handler, &json!({"prefix": prefix, "missing": true}))), [120, 0, 120, 0]);
    assert_eq!(world.database.count("orders"), 120);
    world.assert_at_rest();
}

/// A load is begun only where there is time for it; what is left is said.
#[test]
fn nothing_is_begun_that_will_not_be_ended() {
    let world = World::new("reprocess_late");
    let handler = world.handler();
    world.put("in/a.csv", orders([1], "a"));
    let request = json!({"reprocess": {"prefix": format!("s3://{}/in/", world.bucket), "missing": true}});
    let payload = serde_json::to_vec(&request).expect("JSON");
    // Connected before, so that a page takes next to no time.
    let prefix = format!("s3://{}/in/", world.bucket);
    invoke(&handler, &json!({"prefix": prefix, "missing": true, "dry_run": true}));
    let answer = handler.invoke(&payload, 4_900).expect_ok();
    assert_eq!(answer["objects"], json!([]));
    let said = &answer["reprocess"];
    assert!(said["left_count"] == 1 || said["is_cut_short"] == true, "{answer:#}");
    assert!(said["hint"].is_string(), "{answer:#}");
    assert_eq!(world.database.count("orders"), 0);
    let answer = handler.invoke(&payload, AMPLE_MS).expect_ok();
    assert_eq!(sum(&answer), [1, 1, 0, 0]);
}

#[test]
fn an_object_that_fails_is_told_and_the_others_are_loaded() {
    let world = World::new("reprocess_bad");
    let handler = world.handler();
    world.put("in/a.csv", orders([1], "a"));
    world.put("in/b.csv", "id,name,amount\nx,y,z\n");
    world.put("in/c.csv", orders([3], "c"));
    let request = json!({"reprocess": {"prefix": format!("s3://{}/in/", world.bucket), "failed": true, "missing": true}});
    let failed = failure(handler.invoke_json(&request));
    assert_eq!(failed.error_type, "Input");
    assert_eq!(failed.answer["objects"].as_array().map(Vec::len), Some(3));
    assert_eq!(sum(&failed.answer), [3, 3, 0, 0], "an error answer says how far it came, too");
    assert_eq!(world.database.count("orders"), 2);
}

#[test]
fn what_is_not_understood_is_refused() {
    let world = World::new("reprocess_refused");
    let handler = world.handler();
    for (request, part) in [
        (json!({"prefix": "in/"}), "read the prefix `in/`"),
        (json!({"prefix": "s3://b/", "objects": ["s3://b/k"]}), "exclude each other"),
        (json!({"prefix": "s3://b/", "mising": true}), "`mising` is not known here"),
        (json!({"prefix": "s3://b/", "modified_after": "soon"}), "read the time `soon`"),
        (json!({"prefix": "s3://b/", "limit": 0}), "`limit` must be a number"),
        (
            json!({"prefix": "s3://b/", "modified_within_hours": 0}),
            "`modified_within_hours` must be a number",
        ),
        (
            json!({"prefix": "s3://b/", "modified_within_hours": 2, "modified_after": "2026-11-01"}),
            "a window of hours has no other beginning",
        ),
        (json!({"prefix": "s3://b/", "start_after": "k"}), "read the object address `k`"),
        (json!({"prefix": "s3://b/", "start_after": "s3://c/k"}), "it is to begin in another bucket"),
        (json!({"missing": true}), "it names neither objects nor a prefix"),
        (json!({"missing": true, "failed": true}), "it names neither objects nor a prefix"),
    ] {
        let failed = failure(handler.invoke_json(&json!({"reprocess": request})));
        assert_eq!(failed.error_type, "Input");
        assert!(failed.line.contains(part), "{failed:?}");
    }
}
