//! What `holoload history` says of deliveries that ended in each of the ways there are.

use std::process::Command;

use serde_json::{Value, json};

use crate::chain::slow_down;
use crate::http::HttpStub;
use crate::world::{World, deliver, failure, orders, report};

const IN_PARTS: &str = "routes: [{object: '**', table: orders, write: {atomic: false}}]\n";
const ROWS: u32 = 60_000;
/// Half of what the object takes.
const SHORT_MS: u64 = 6_000;

fn history(world: &World, arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holoload"));
    command.args(["history", "--json"]).args(arguments).env_clear().envs(world.environment());
    let output = command.output().expect("holoload runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn every_way_to_end_is_in_the_history_with_its_reason() {
    let world = World::new("history");
    let lambda = HttpStub::start(|_, _| (202, json!({})));
    let handler = world.handler_with(&[
        ("HOLOLOAD_CONFIG", IN_PARTS),
        ("HOLOLOAD_TABLE", ""),
        ("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint()),
    ]);
    let (older, newer) =
        (world.put("two.csv", orders(1..=2, "v1")), world.put("two.csv", orders(2..=3, "v2")));
    for (stored, status) in [(&newer, "loaded"), (&newer, "skipped"), (&older, "superseded")] {
        assert_eq!(deliver(&handler, &stored.event())["status"], status);
    }
    let gone = world.put("gone.csv", orders(1..=2, "gone"));
    world.s3.delete(&world.bucket, "gone.csv");
    assert_eq!(deliver(&handler, &gone.event())["status"], "deleted");
    let bad = world.put("bad.csv", "id,name,amount\nx,bad,1\n");
    assert_eq!(failure(handler.invoke_json(&bad.event())).error_type, "Input");
    let long = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    let payload = serde_json::to_vec(&long.event()).expect("JSON");
    assert_eq!(report(handler.invoke(&payload, SHORT_MS))["status"], "continued");

    let lines = history(&world, &[]);
    let told = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        [text("key"), text("status"), text("reason"), text("error_class"), text("error_message")]
    };
    let told: Vec<[String; 5]> = lines.iter().rev().map(told).collect();
    let is_passed = "a newer version has been loaded";
    let is_loaded = "this version has been loaded; --force (`force: true`) loads it again";
    for (line, (key, status, reason)) in told.iter().zip([
        ("two.csv", "loaded", ""),
        ("two.csv", "skipped", is_loaded),
        ("two.csv", "superseded", is_passed),
        ("gone.csv", "deleted", "the object was deleted after its event was sent"),
        ("bad.csv", "failed", ""),
        ("long.csv", "continued", "the invocation's time is up: "),
    ]) {
        assert_eq!((line[0].as_str(), line[1].as_str()), (key, status), "{told:?}");
        assert!(line[2].contains(reason) && (reason.is_empty() == line[2].is_empty()), "{line:?}");
        assert_eq!(!line[3].is_empty() && !line[4].is_empty(), status == "failed", "{line:?}");
        let only = history(&world, &["--status", status]);
        assert!(only.len() == 1 && only[0]["key"] == key && only[0]["status"] == status, "{only:?}");
    }
    assert_eq!(told.len(), 6, "{told:?}");
    let offset = lines[0]["next_offset"].as_u64().expect("an offset");
    assert!(offset > 0 && offset < long.size, "{offset}");
}
