//! What the handler prints for `CloudWatch`: one line for each object, by table and never by key.

use serde_json::{Value, json};

use crate::http::HttpStub;
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{Fault, On};
use crate::world::{World, orders};

/// Documents in the order they were printed; each is a line of its own.
fn documents(handler: &RuntimeApi) -> Vec<Value> {
    let log = handler.log_text();
    let lines = log.lines().filter(|line| line.contains("\"_aws\""));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What the `CloudWatch` specification asks of a document; answers its directives as `dimensions: metrics`.
#[track_caller]
fn directives(document: &Value) -> Vec<(Vec<String>, Vec<String>)> {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap_or_else(|| panic!("{document:#}"));
        list.iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    };
    let aws = &document["_aws"];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let age_ms = now.as_millis().abs_diff(u128::from(aws["Timestamp"].as_u64().expect("milliseconds")));
    assert!(age_ms < 3_600_000, "{document:#}");
    let directives = aws["CloudWatchMetrics"].as_array().expect("directives").iter().map(|directive| {
        assert_eq!(directive["Namespace"], "holoload");
        let dimensions = texts(&directive["Dimensions"][0]);
        assert!(dimensions.len() <= 30 && dimensions.iter().all(|name| document[name].is_string()));
        let metrics = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&metrics.len()));
        let names = metrics.iter().map(|metric| {
            assert!(["Count", "Bytes", "Milliseconds"].contains(&metric["Unit"].as_str().expect("a unit")));
            let name = metric["Name"].as_str().expect("a name").to_owned();
            assert!(document[&name].is_number(), "{name}: {document:#}");
            name
        });
        (dimensions, names.collect())
    });
    directives.collect()
}

/// What a metric adds up to, among the documents in which this set of dimensions has it.
#[track_caller]
fn total(documents: &[Value], dimensions: &[&str], name: &str) -> i64 {
    let of = |document: &Value| {
        let has_it = directives(document)
            .iter()
            .any(|(set, names)| set == dimensions && names.iter().any(|one| one == name));
        if has_it { document[name].as_i64().expect("a number") } else { 0 }
    };
    documents.iter().map(of).sum()
}

/// The reports of an answer, be it an error.
#[track_caller]
fn answered(outcome: Outcome) -> Vec<Value> {
    let answer = match outcome {
        Outcome::Ok(answer) => answer,
        Outcome::Err { error_message, .. } => {
            let at = error_message.find(" {\"").expect("reports");
            serde_json::from_str(&error_message[at + 1..]).expect("JSON")
        }
        other => panic!("{other:?}"),
    };
    answer["objects"].as_array().expect("reports").clone()
}

const FUNCTION: &[&str] = &["function"];
const TABLE: &[&str] = &["function", "table"];

#[test]
fn every_object_is_told_once_and_adds_up_to_its_report() {
    let world = World::new("metrics");
    let rejects = format!("s3://{}/rejects/", world.bucket);
    let handler = world.handler_with(&[("HOLOLOAD_REJECTS", &rejects)]);
    let old = world.put("in/canary-key.csv", orders(1..=9, "old"));
    let new = world.put("in/canary-key.csv", orders(1..=3, "new"));
    let some = world.put("in/some.csv", "id,name,amount\n4,canary-cell,1\n5x,canary-cell,2\n6,c,3\n");
    let none = world.put("in/none.csv", "id,name,amount\n7x,canary-cell,1\n");
    let marker = json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": world.bucket}, "object": {"key": "in/", "size": 0}}});
    let mut reports: Vec<Value> = Vec::new();
    for event in [
        json!({"Records": [new.event_record(), some.event_record()]}),
        old.event(),
        none.event(),
        some.event(),
        json!({"Records": [marker]}),
    ] {
        reports.extend(answered(handler.invoke_json(&event)));
    }
    let told = reports.clone();
    // Of a dry run and of a reject object of our own there is nothing to tell.
    for event in [json!({"s3": some.address(), "dry_run": true}), json!({"s3": reports[1]["rejects"]})] {
        reports.extend(answered(handler.invoke_json(&event)));
    }
    let last: Vec<&Value> = reports.iter().skip(told.len()).map(|report| &report["status"]).collect();
    assert_eq!(last, ["skipped", "ignored"]);
    let statuses: Vec<&Value> = told.iter().map(|report| &report["status"]).collect();
    assert_eq!(statuses, ["loaded", "loaded", "superseded", "failed", "skipped"], "{reports:#?}");

    let documents = documents(&handler);
    assert_eq!(documents.len(), told.len(), "{documents:#?}");
    for (document, report) in documents.iter().zip(&told) {
        assert_eq!((&document["function"], &document["table"]), (&json!("loader"), &json!("public.orders")));
        let ended = format!("{}_count", report["status"].as_str().expect("a status"));
        assert_eq!(document[&ended], 1, "{document:#}");
        for name in ["row_count", "reject_count", "byte_count", "duration_ms", "lag_ms"] {
            let is_told = document[name].is_number();
            assert!(!is_told || document[name] == report[name], "{name}: {document:#}");
        }
        for (name, phase) in report["phases"].as_object().expect("phases") {
            assert!(document[name].is_null() || document[name] == *phase, "{name}: {document:#}");
        }
        for (set, names) in directives(document) {
            assert!(set == FUNCTION || set == TABLE, "{set:?}");
            assert!(names.iter().all(|name| !name.contains("key")), "{names:?}");
        }
    }
    let sum = |name: &str| -> i64 { told.iter().filter_map(|report| report[name].as_i64()).sum() };
    for set in [FUNCTION, TABLE] {
        for name in ["row_count", "reject_count", "byte_count"] {
            assert_eq!(total(&documents, set, name), sum(name), "{set:?} {name}");
        }
        for (name, expected) in [("loaded_count", 2), ("failed_count", 1), ("cold_start_count", 1)] {
            assert_eq!(total(&documents, set, name), expected, "{set:?} {name}");
        }
    }
    assert_eq!(total(&documents, TABLE, "superseded_count"), 1);
    assert_eq!(total(&documents, TABLE, "skipped_count"), 1);
    // One database: its certificate is the function's, not a table's.
    assert!(total(&documents, FUNCTION, "certificate_days") > 0);
    assert_eq!(total(&documents, TABLE, "certificate_days"), 0);
    let text = documents.iter().map(Value::to_string).collect::<String>();
    let environment = world.environment();
    let password = environment.iter().find(|(name, _)| name == "HOLOLOAD_PASSWORD").expect("a password");
    for hidden in ["canary", "some.csv", &world.bucket, &password.1, &old.etag] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn a_cold_start_is_counted_once_for_each_process() {
    let world = World::new("metrics_cold");
    let handler = world.handler();
    let stored = world.put("a.csv", orders([1], "a"));
    // The first invocation has no object, and is a cold start all the same.
    handler.invoke_json(&json!({"unknown": 1})).expect_err();
    handler.invoke_json(&stored.event()).expect_ok();
    assert_eq!(
        directives(&documents(&handler)[0]),
        [(vec!["function".to_owned()], vec!["cold_start_count".to_owned()])]
    );
    assert_eq!(total(&documents(&handler), FUNCTION, "cold_start_count"), 1);
    handler.restart();
    for _ in 0..2 {
        handler.invoke_json(&stored.event()).expect_ok();
    }
    assert_eq!(total(&documents(&handler), FUNCTION, "cold_start_count"), 2);
    // Settings that cannot work: nothing was loaded, and the process started.
    let broken = world.handler_with(&[("HOLOLOAD_PORT", "many")]);
    broken.invoke_json(&stored.event()).expect_err();
    assert_eq!(total(&documents(&broken), FUNCTION, "cold_start_count"), 1);
}

#[test]
fn what_was_tried_again_is_counted() {
    let world = World::new("metrics_retries");
    let handler = world.handler();
    let stored = world.put("a.csv", orders(1..=1_000, "a"));
    // Twice the body breaks off, and is opened again.
    let cut = || Fault::CutBody { after_bytes: 1_000 };
    world.s3.fail_times(2, On::get(&world.bucket, "a.csv"), cut());
    handler.invoke_json(&stored.event()).expect_ok();
    assert_eq!(total(&documents(&handler), TABLE, "retry_count"), 2);
    assert_eq!(total(&documents(&handler), FUNCTION, "retry_count"), 0, "by table alone");
}

/// A part counts nothing that a later part counts again.
#[test]
fn a_load_in_parts_is_counted_once() {
    use crate::chain::{Queue, drain, slow_down};
    let world = World::new("metrics_parts");
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let yaml = "routes: [{object: '**', table: orders, write: {atomic: false}}]\n";
    let handler = world.handler_with(&[("HOLOLOAD_CONFIG", yaml), ("HOLOLOAD_TABLE", ""), (name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=30_000, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    drain(&handler, &queue, &stored, 4_000, |_, _| {});
    let documents = documents(&handler);
    assert!(total(&documents, TABLE, "continued_count") >= 1);
    assert_eq!(total(&documents, FUNCTION, "loaded_count"), 1);
    let loaded: Vec<Value> =
        documents.into_iter().filter(|document| document["failed_count"].is_null()).collect();
    assert_eq!(total(&loaded, FUNCTION, "row_count"), 30_000);
    assert_eq!(total(&loaded, FUNCTION, "byte_count"), i64::try_from(stored.size).expect("a size"));
}

#[test]
fn metrics_can_be_switched_off() {
    let world = World::new("metrics_off");
    let stored = world.put("a.csv", orders([1], "a"));
    for (said, count) in [("off", 0), ("on", 1), ("", 1)] {
        let handler = world.handler_with(&[("HOLOLOAD_METRICS", said)]);
        handler.invoke_json(&stored.event()).expect_ok();
        assert_eq!(documents(&handler).len(), count, "{said}");
    }
    let handler = world.handler_with(&[("HOLOLOAD_METRICS", "of")]);
    let (class, message) = handler.invoke_json(&stored.event()).expect_err();
    assert_eq!(class, "Config");
    assert!(message.contains("HOLOLOAD_METRICS must be `on` or `off`"), "{message}");
}

/// Lines of the log and metrics share standard output, whatever the log looks like.
#[test]
fn metrics_are_lines_of_their_own_in_either_format() {
    let world = World::new("metrics_format");
    let sqs = HttpStub::start(|_, _| (200, json!({})));
    for format in ["JSON", "Text"] {
        let handler = world
            .handler_with(&[("AWS_LAMBDA_LOG_FORMAT", format), ("AWS_ENDPOINT_URL_SQS", &sqs.endpoint())]);
        let stored = world.put(&format!("{format}.csv"), orders([1], "a"));
        handler.invoke_json(&stored.event()).expect_ok();
        assert_eq!(documents(&handler).len(), 1, "{format}");
        let log = handler.log_text();
        let line = log.lines().find(|line| line.contains("\"_aws\"")).expect("a document");
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
}
