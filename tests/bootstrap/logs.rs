//! What the handler logs: one line for each object, and nothing that alarms while all is well.

use serde_json::{Value, json};

use crate::support::runtime_api::RuntimeApi;
use crate::world::{World, failure, orders, report};

/// What was logged; metrics stand between.
fn lines(handler: &RuntimeApi) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let all = handler.log_text().lines().map(parse).collect::<Vec<Value>>();
    all.into_iter().filter(|line| line["_aws"].is_null()).collect()
}

fn finished(handler: &RuntimeApi) -> Vec<Value> {
    lines(handler).into_iter().filter(|line| line["message"] == "load finished").collect()
}

#[test]
fn every_object_has_one_line_of_json() {
    let world = World::new("logs");
    let handler = world.handler();
    let (first, second) = (world.put("a.csv", orders([1], "a")), world.put("b.csv", orders([2], "b")));
    let test = json!({"Event": "s3:TestEvent", "Bucket": world.bucket});
    let payload = json!({"Records": [first.event_record(), second.event_record()]});
    let answer = handler.invoke_json(&payload).expect_ok();
    handler.invoke_json(&first.event()).expect_ok();
    handler.invoke_json(&test).expect_ok();
    for line in lines(&handler) {
        assert!(line["level"] == "INFO", "all is well: {line}");
        assert!(line["timestamp"].is_string(), "{line}");
    }
    let finished = finished(&handler);
    let keys: Vec<_> = finished.iter().map(|line| &line["key"]).collect();
    assert_eq!(keys, ["a.csv", "b.csv", "a.csv"]);
    let statuses: Vec<_> = finished.iter().map(|line| &line["status"]).collect();
    assert_eq!(statuses, ["loaded", "loaded", "skipped"]);
    for (line, expected) in finished.iter().zip(answer["objects"].as_array().expect("reports")) {
        let text = line["report"].as_str().expect("text");
        let logged: Value = serde_json::from_str(text).expect("the report");
        assert_eq!(&logged, expected, "what is answered is what is logged");
        assert_eq!((&line["door"], &line["table"]), (&json!("s3"), &json!("public.orders")));
    }
}

#[test]
fn a_failure_is_an_error_with_class_and_hint() {
    let world = World::new("logs_failed");
    let handler = world.handler();
    let bad = world.put("bad.csv", "id,name,amount\n1,canary-value,1\nnothing,canary-value,2\n");
    let failed = failure(handler.invoke_json(&bad.event()));
    let finished = finished(&handler);
    assert_eq!(finished.len(), 1);
    let line = &finished[0];
    assert_eq!((&line["level"], &line["status"]), (&json!("ERROR"), &json!("failed")));
    assert_eq!((&line["error_class"], &line["row_count"]), (&json!("Input"), &json!(2)));
    assert_eq!(line["error"], failed.answer["objects"][0]["error"]["message"]);
    assert!(line["hint"].as_str().is_some_and(|hint| hint.contains("HOLOLOAD_REJECTS")), "{line}");
    assert!(!handler.log_text().contains("canary-value"));
    handler.invoke_json(&json!({"unknown": 1})).expect_err();
    let last = lines(&handler).pop().expect("a line");
    assert_eq!((&last["level"], &last["message"]), (&json!("ERROR"), &json!("event not understood")));
}

#[test]
fn bad_rows_inside_the_limit_are_a_warning() {
    let world = World::new("logs_rejects");
    let rejects = format!("s3://{}/rejects/", world.bucket);
    let handler = world.handler_with(&[("HOLOLOAD_REJECTS", &rejects)]);
    let bad = world.put("in/bad.csv", "id,name,amount\n1,x,1\nnothing,y,2\n");
    assert_eq!(report(handler.invoke_json(&bad.event()))["reject_count"], 1);
    assert_eq!(finished(&handler)[0]["level"], "WARN");
}

#[test]
fn the_level_is_lambdas() {
    let world = World::new("logs_level");
    for (level, well_count) in
        [("TRACE", 1), ("DEBUG", 1), ("INFO", 1), ("WARN", 0), ("ERROR", 0), ("FATAL", 0)]
    {
        let handler = world.handler_with(&[("AWS_LAMBDA_LOG_LEVEL", level)]);
        let stored = world.put(&format!("{level}.csv"), orders([1], "a"));
        handler.invoke_json(&stored.event()).expect_ok();
        assert_eq!(finished(&handler).len(), well_count, "{level}");
        let bad = world.put(&format!("{level}-bad.csv"), "id,name,amount\nnothing,y,2\n");
        handler.invoke_json(&bad.event()).expect_err();
        assert_eq!(finished(&handler).len(), well_count + 1, "{level}");
    }
}

#[test]
fn the_format_is_lambdas() {
    let world = World::new("logs_format");
    for (format, is_json) in [("JSON", true), ("Text", false), ("text", false), ("", true)] {
        let handler = world.handler_with(&[("AWS_LAMBDA_LOG_FORMAT", format)]);
        let stored = world.put("a.csv", orders([1], "a"));
        handler.invoke_json(&stored.event()).expect_ok();
        let log = handler.log_text();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("load finished")).collect();
        assert_eq!(lines.len(), 1, "{format}: {log}");
        assert_eq!(serde_json::from_str::<Value>(lines[0]).is_ok(), is_json, "{format}: {log}");
        assert!(!log.contains('\u{1b}'), "no colours");
    }
}
