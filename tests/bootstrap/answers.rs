//! The answer of the S3 and manual doors: reports, and errors with the reports in them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::s3::{Fault, On};
use crate::world::{AMPLE_MS, World, failure, order_rows, orders, report};

/// Every member that a report has, and no other.
const MEMBERS: &[&str] = &[
    "atomic",
    "bucket",
    "byte_count",
    "deleted_count",
    "duplicate_count",
    "duration_ms",
    "error",
    "etag",
    "inserted_count",
    "key",
    "lag_ms",
    "phases",
    "reason",
    "reject_count",
    "reject_sample",
    "rejects",
    "row_count",
    "sequencer",
    "started_at",
    "status",
    "table",
    "unchanged_count",
    "updated_count",
    "version_id",
    "warnings",
    "write_path",
];

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn events(records: impl IntoIterator<Item = Value>) -> Value {
    json!({"Records": records.into_iter().collect::<Vec<_>>()})
}

#[test]
fn an_event_loads_and_answers_a_report() {
    let world = World::new("report");
    let handler = world.handler();
    let text = orders(1..=3, "one");
    let stored = world.put("in/a b+注文.csv", text.as_str());
    let answer = handler.invoke_json(&stored.event()).expect_ok();
    assert_eq!(members(&answer), BTreeSet::from(["ignored", "objects", "schema_version"]));
    assert_eq!((&answer["schema_version"], &answer["ignored"]), (&json!(1), &json!([])));
    let report = &answer["objects"][0];
    assert_eq!(members(report), MEMBERS.iter().copied().collect());
    let phases = BTreeSet::from(["claim_ms", "connect_ms", "finish_ms", "open_ms", "read_ms", "write_ms"]);
    assert_eq!(members(&report["phases"]), phases);
    let said = json!({
        "atomic": true, "bucket": world.bucket, "byte_count": text.len(), "deleted_count": null, "duplicate_count": 0, "error": null,
        "etag": stored.etag, "inserted_count": 3, "key": "in/a b+注文.csv", "reason": null, "reject_count": 0,
        "reject_sample": [], "rejects": null, "row_count": 3, "status": "loaded", "table": "public.orders",
        "unchanged_count": 0, "updated_count": 0, "version_id": null, "warnings": [], "write_path": "unnest",
        "sequencer": stored.sequencer.trim_end_matches('0'),
    });
    for (name, value) in said.as_object().expect("an object") {
        assert_eq!(&report[name], value, "{name}");
    }
    let started: jiff::Timestamp = report["started_at"].as_str().expect("text").parse().expect("RFC 3339");
    let age = jiff::Timestamp::now().duration_since(started);
    assert!(!age.is_negative() && age.as_secs() < 60, "{age:?}");
    assert!(report["duration_ms"].as_u64().is_some_and(|took| took < 60_000), "{report}");
    assert!(report["lag_ms"].as_i64().is_some_and(|lag| (0..60_000).contains(&lag)), "{report}");
    assert_eq!(world.rows(), order_rows(1..=3, "one"));
    assert_eq!(world.statuses("in/a b+注文.csv"), ["loaded"]);
    world.assert_at_rest();
}

#[test]
fn of_several_records_all_are_tried_and_the_worst_class_answers() {
    let world = World::new("several");
    let handler = world.handler();
    let bad = world.put("bad.csv", "id,name,amount\n1,x,1\nnothing,y,2\n");
    let denied = world.put("denied.csv", orders(1..=1, "denied"));
    world.s3.fail_always(On::get(&world.bucket, "denied.csv"), Fault::access_denied());
    let mut no_bucket = bad.event_record();
    no_bucket["s3"]["bucket"]["name"] = "no-such-bucket".into();
    let slow = world.put("slow.csv", orders(1..=9, "slow"));
    let chunks = Fault::SlowChunks { chunk_bytes: 1, pause: std::time::Duration::from_millis(500) };
    world.s3.fail_always(On::get(&world.bucket, "slow.csv"), chunks);
    let (input, access) = (bad.event_record(), denied.event_record());
    let (config, transient) = (no_bucket, slow.event_record());

    for (number, (records, class)) in [
        (vec![&input], "Input"),
        (vec![&input, &config], "Config"),
        (vec![&config, &input], "Config"),
        (vec![&config, &access, &input], "Access"),
        (vec![&input, &access, &config], "Access"),
        (vec![&input, &config, &access, &transient], "Transient"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = u32::try_from(number).expect("few");
        let good = world.put(&format!("good-{number}.csv"), orders([100 + number], "good"));
        // The good ones stand around the others; the one that takes all the time must be last.
        let all = [good.event_record()].into_iter().chain(records.iter().map(|record| (*record).clone()));
        let count = records.len() + 1;
        let deadline_ms = if class == "Transient" { 4_000 } else { AMPLE_MS };
        let payload = serde_json::to_vec(&events(all)).expect("JSON");
        let failed = failure(handler.invoke(&payload, deadline_ms));
        assert_eq!(failed.error_type, class, "{failed:?}");
        let reports = failed.answer["objects"].as_array().expect("reports");
        assert_eq!(reports.len(), count, "{failed:?}");
        assert_eq!(reports[0]["status"], "loaded");
        for report in &reports[1..] {
            assert_eq!(report["status"], "failed");
            assert!(report["error"]["hint"].is_string(), "{report}");
        }
        let worst = reports.iter().find(|report| report["error"]["class"] == class).expect("the worst");
        let message = worst["error"]["message"].as_str().expect("text");
        assert!(failed.line.starts_with(message), "{failed:?}");
        assert!(failed.line.contains("; hint: "), "{failed:?}");
    }
    assert_eq!(world.rows().len(), 6, "the good ones and nothing else");
    world.assert_at_rest();
}

/// Lambda would take it, a failure record and a log line would not.
#[test]
fn the_error_of_hundreds_of_records_stays_small() {
    let world = World::new("hundreds");
    let yaml = "routes:\n- {object: 's3://elsewhere/**', table: orders}\nunmatched: fail\nledger: off\n";
    let environment = world.environment().into_iter().filter(|(name, _)| name != "HOLOLOAD_TABLE");
    let environment = environment.chain([("HOLOLOAD_CONFIG".to_owned(), yaml.to_owned())]);
    let handler = crate::support::runtime_api::RuntimeApi::start(crate::world::BOOTSTRAP, environment);
    let record = |number: u32| {
        let key = format!("{}/注文\"{number}.csv", "long".repeat(40));
        json!({"s3": {"bucket": {"name": world.bucket}, "object": {"key": key, "eTag": "e"}}})
    };
    for count in [1, 5, 60, 500] {
        let payload = serde_json::to_vec(&events((0..count).map(record))).expect("JSON");
        let failed = failure(handler.invoke(&payload, AMPLE_MS));
        assert_eq!(failed.error_type, "Config");
        let shown = failed.answer["objects"].as_array().expect("reports").len();
        match count {
            1 | 5 => assert_eq!(shown, usize::try_from(count).expect("few"), "all fit"),
            _ => assert_eq!(shown, 1, "an example remains"),
        }
        let finished = handler.log_text().lines().filter(|line| line.contains("load finished")).count();
        let so_far = [1, 5, 60, 500].iter().take_while(|one| **one <= count).sum::<u32>();
        assert_eq!(finished, usize::try_from(so_far).expect("few"), "all were tried");
    }
}

#[test]
fn a_failed_content_can_be_acknowledged_and_nothing_else() {
    let world = World::new("acknowledged");
    let yaml = "acknowledge_failed: true\nroutes: [{object: '**', table: orders}]\n";
    let handler = world.handler_with(&[("HOLOLOAD_CONFIG", yaml), ("HOLOLOAD_TABLE", "")]);
    let bad = world.put("bad.csv", "id,name,amount\n1,x,1\nnothing,y,2\n");
    let report = report(handler.invoke_json(&bad.event()));
    assert_eq!((&report["status"], &report["error"]["class"]), (&json!("failed"), &json!("Input")));
    assert_eq!(world.statuses("bad.csv"), ["failed"]);

    // A person asked: the error is the answer.
    let asked = failure(handler.invoke_json(&json!({"s3": bad.address()})));
    assert_eq!(asked.error_type, "Input");
    let denied = world.put("denied.csv", orders(1..=1, "denied"));
    world.s3.fail_always(On::get(&world.bucket, "denied.csv"), Fault::access_denied());
    let both = failure(handler.invoke_json(&events([bad.event_record(), denied.event_record()])));
    assert_eq!(both.error_type, "Access", "what is no fault of the content is not acknowledged");
    let mut nameless = bad.event_record();
    nameless["s3"]["object"]["key"] = "%FF.csv".into();
    let both = failure(handler.invoke_json(&events([bad.event_record(), nameless])));
    assert_eq!(both.error_type, "Input", "of what was not understood nothing else would tell");
    assert!(world.rows().is_empty());
}

#[test]
fn a_refusal_by_s3_is_in_the_ledger() {
    let world = World::new("refusals");
    let handler = world.handler();
    let denied = world.put("denied.csv", orders(1..=1, "denied"));
    world.s3.fail_always(On::get(&world.bucket, "denied.csv"), Fault::access_denied());
    assert_eq!(failure(handler.invoke_json(&denied.event())).error_type, "Access");
    assert_eq!(world.statuses("denied.csv"), ["failed"]);
    let kms = world.put("kms.csv", orders(1..=1, "kms"));
    let disabled = Fault::error(400, "KMS.DisabledException", "arn:aws:kms:eu-west-1:1:key/k is disabled.");
    world.s3.fail_always(On::get(&world.bucket, "kms.csv"), disabled);
    assert_eq!(failure(handler.invoke_json(&kms.event())).error_type, "Access");
    assert_eq!(world.statuses("kms.csv"), ["failed"]);
}

#[test]
fn what_is_not_ours_is_ignored_with_a_reason() {
    let world = World::new("ignored");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=2, "a"));
    let mut removed = stored.event_record();
    removed["eventName"] = "ObjectRemoved:Delete".into();
    let mut marker = stored.event_record();
    marker["s3"]["object"]["key"] = "in/".into();
    marker["s3"]["object"]["size"] = 0.into();
    let answer = handler.invoke_json(&events([removed, stored.event_record(), marker])).expect_ok();
    assert_eq!(answer["objects"].as_array().map(Vec::len), Some(1));
    let keys: Vec<_> = answer["ignored"].as_array().expect("a list").iter().map(|one| &one["key"]).collect();
    assert_eq!(keys, ["a.csv", "in/"]);
    assert!(answer["ignored"][0]["reason"].as_str().is_some_and(|reason| reason.contains("ObjectRemoved")));
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": world.bucket});
    let answer = handler.invoke_json(&test).expect_ok();
    assert_eq!(answer["objects"], json!([]));
    assert_eq!(members(&answer["ignored"][0]), BTreeSet::from(["key", "reason"]));
}

#[test]
fn payloads_that_are_not_understood_name_the_accepted_shapes() {
    let world = World::new("not_understood");
    let handler = world.handler();
    let payloads: [&[u8]; 9] = [
        b"not JSON",
        b"",
        b"{",
        b"\xff\xfe",
        b"{\"s3\": \"s3://b/\\ud800.csv\"}",
        b"{}",
        b"[]",
        b"null",
        b"{\"Records\":[{\"eventSource\":\"aws:sns\"}]}",
    ];
    for payload in payloads {
        let failed = failure(handler.invoke(payload, AMPLE_MS));
        assert_eq!(failed.error_type, "Input", "{failed:?}");
        assert!(failed.line.contains("\"Records\"") && failed.line.contains("\"reprocess\""), "{failed:?}");
        assert_eq!(failed.answer["objects"], json!([]));
    }
    let stored = world.put("a.csv", orders(1..=2, "a"));
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded", "it goes on");
}

/// Objects made to break a loader each fail or load by themselves, in one process.
#[test]
fn a_poisoned_object_does_not_cost_the_process() {
    let world = World::new("poison");
    let handler = world.handler();
    let pid = handler.pid();
    let noise: Vec<u8> = (0..200_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let poisons: [Vec<u8>; 9] = [
        noise,
        vec![0; 100_000],
        vec![b'"'; 99_999],
        vec![b','; 100_000],
        vec![b'\n'; 100_000],
        b"\xef\xbb\xbf".to_vec(),
        b"id,name,amount\n1,\xff\xfe,1\n".to_vec(),
        b"id,name,amount\n1,a\0b,1\n".to_vec(),
        format!("id,name,amount\n1,x,{}\n", "9".repeat(200_000)).into_bytes(),
    ];
    for (number, poison) in poisons.into_iter().enumerate() {
        let stored = world.s3.put(&world.bucket, &format!("poison-{number}.csv"), poison);
        let outcome = handler.invoke_json(&stored.event());
        if !matches!(outcome, crate::support::runtime_api::Outcome::Ok(_)) {
            let failed = failure(outcome);
            assert_eq!(failed.error_type, "Input", "{number}: {failed:?}");
        }
    }
    assert!(world.rows().is_empty(), "nothing of a failed object is loaded");
    let stored = world.put("good.csv", orders(1..=2, "good"));
    assert_eq!(report(handler.invoke_json(&stored.event()))["status"], "loaded");
    assert_eq!(handler.pid(), pid);
    assert!(!handler.log_text().contains("panicked"), "{}", handler.log_text());
}
