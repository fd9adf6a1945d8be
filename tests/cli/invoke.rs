//! `holoload invoke`: one payload handled as the function would.

use serde_json::{Value, json};

use crate::harness::{Lab, Run, assert_contains, s3};
use crate::support::account::Account;
use crate::{TABLE, members};

fn invoke(lab: &Lab, event: &Value) -> Run {
    lab.holoload(&["invoke", &lab.file("event.json", event.to_string())])
}

#[test]
fn invoke_answers_an_s3_event_as_lambda_would() {
    let lab = Lab::new("invoke", TABLE);
    let first = s3().put(&lab.bucket, "in/注文 +1.csv", "id,name\n1,a\n");
    let second = s3().put(&lab.bucket, "b.csv", "id,name\n2,b\n");
    let mut deleted = s3().put(&lab.bucket, "c.csv", "id,name\n3,c\n").event_record();
    deleted["eventName"] = json!("ObjectRemoved:Delete");
    let event = json!({"Records": [first.event_record(), deleted, second.event_record()]});
    let answer = invoke(&lab, &event).run().exits(0).json();
    let statuses: Vec<_> =
        answer["objects"].as_array().expect("objects").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["loaded", "loaded"], "{answer:#}");
    assert_eq!(answer["objects"][0]["key"], "in/注文 +1.csv");
    assert!(answer["objects"][0]["lag_ms"].as_i64().is_some_and(|lag| lag >= 0), "{answer:#}");
    assert_eq!(
        answer["ignored"],
        json!([{"key": "c.csv", "reason": "`ObjectRemoved:Delete` creates no object"}])
    );
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b"]);
    lab.assert_gone();
    let again = invoke(&lab, &event).run().exits(0).json();
    assert_eq!(again["objects"][1]["status"], "skipped");

    let from_stdin = lab.holoload(&["invoke", "-"]).stdin(second.event().to_string()).run().exits(0).json();
    assert_eq!(from_stdin["objects"][0]["status"], "skipped");
}

#[test]
fn invoke_ignores_what_is_recognised_and_none_of_ours() {
    let lab = Lab::new("invoke_ignored", TABLE);
    let test_event = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": "b",
        "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"
    });
    let answer = invoke(&lab, &test_event).run().exits(0).json();
    assert_eq!(answer["objects"], json!([]));
    assert_contains(answer["ignored"][0]["reason"].as_str().expect("a reason"), "s3:TestEvent");
    let folder = s3().put(&lab.bucket, "in/", "");
    let answer = invoke(&lab, &folder.event()).run().exits(0).json();
    assert_contains(answer["ignored"][0]["reason"].as_str().expect("a reason"), "a folder marker");
}

#[test]
fn invoke_takes_manual_forms() {
    let lab = Lab::new("invoke_manual", TABLE);
    let first = lab.put("a b+c%41.csv", "id,name\n1,a\n");
    let second = lab.put("b.csv", "id,name\n2,b\n");
    let one = |event: Value| invoke(&lab, &event).run().exits(0).report();
    assert_eq!(one(json!({"s3": first, "dry_run": true}))["status"], "skipped");
    assert_eq!(lab.db.count("t"), 0);
    assert_eq!(one(json!({"s3": first}))["status"], "loaded");
    assert_eq!(one(json!({"s3": first}))["status"], "skipped");
    assert_eq!(one(json!({"s3": first, "force": true}))["status"], "loaded");
    let both = json!({"reprocess": {"objects": [first, second], "force": true}});
    let answer = invoke(&lab, &both).run().exits(0).json();
    assert_eq!(answer["objects"].as_array().map(Vec::len), Some(2));
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b"]);
}

#[test]
fn invoke_answers_errors_by_class_with_the_reports() {
    let lab = Lab::new("invoke_errors", TABLE);
    let good = s3().put(&lab.bucket, "good.csv", "id,name\n1,a\n");
    let bad = s3().put(&lab.bucket, "bad.csv", "id,name\nx,a\n");
    let header = s3().put(&lab.bucket, "header.csv", "id,nome\n2,a\n");
    let event = json!({"Records": [bad.event_record(), header.event_record(), good.event_record()]});
    let answer = invoke(&lab, &event).run().exits(2).json();
    assert_eq!(members(&answer), ["errorMessage", "errorType"]);
    assert_eq!(answer["errorType"], "Config");
    let message = answer["errorMessage"].as_str().expect("a message");
    let (line, body) = message.split_once(" {\"").expect("one line, a space, JSON");
    assert_eq!(
        line,
        "the header names `nome`, table `public.t` has no such column; hint: did you mean `name`?"
    );
    let body: Value = serde_json::from_str(&format!("{{\"{body}")).expect("JSON");
    let statuses: Vec<_> =
        body["objects"].as_array().expect("objects").iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, ["failed", "failed", "loaded"]);
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|a"]);

    let bad = invoke(&lab, &bad.event());
    let answer = bad.env("HOLOLOAD_CONFIG", "acknowledge_failed: true\n").run().exits(0).json();
    assert_eq!(answer["objects"][0]["status"], "failed", "acknowledged: {answer:#}");
    for event in [
        json!({"hello": 1}),
        json!([1]),
        json!({"Records": [{"eventSource": "aws:sns"}]}),
        json!({"s3": "s3://b/k", "forse": true}),
    ] {
        let answer = invoke(&lab, &event).run().exits(1).json();
        assert_eq!(answer["errorType"], "Input", "{event}");
        assert_contains(answer["errorMessage"].as_str().expect("a message"), "read the event…hint: ");
    }
    let not_json = lab.holoload(&["invoke", &lab.file("event.json", "not JSON")]).run().exits(1).json();
    assert_eq!(not_json["errorType"], "Input");
    lab.holoload(&["invoke", "/nowhere.json"]).run().refused(
        2,
        "read the event `/nowhere.json`…No such file",
        "",
    );
}

#[test]
fn invoke_answers_a_queue_s_batch_with_the_messages_that_failed() {
    let lab = Lab::new("invoke_sqs", TABLE);
    let good = s3().put(&lab.bucket, "good.csv", "id,name\n1,a\n");
    let bad = s3().put(&lab.bucket, "bad.csv", "id,name\nx,a\n");
    let message = |id: &str, body: String| {
        json!({
            "messageId": id, "receiptHandle": format!("handle-{id}"), "body": body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "awsRegion": "ap-northeast-1",
            "eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:q", "md5OfBody": ""
        })
    };
    let event = json!({"Records": [
        message("1", good.event().to_string()),
        message("2", bad.event().to_string()),
        message("3", "not JSON".to_owned()),
        message("4", json!({"s3": good.address()}).to_string()),
    ]});
    // No queue is there: that a message's delay cannot be set changes nothing about the answer.
    let run = invoke(&lab, &event).env("AWS_ENDPOINT_URL_SQS", s3().endpoint());
    let answer = run.run().exits(1).json();
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "3"}]}));
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|a"]);
    lab.assert_gone();
}

/// The files of `events/` as they are, in a bucket where none of their objects is: told to the one who asks, `deleted` for who only heard.
#[test]
fn invoke_takes_every_sample() {
    let (lab, account) = (Lab::new("invoke_samples", TABLE), Account::start());
    s3().create_bucket("bob-embulk-demo", crate::support::s3::BucketOptions::default());
    let folder = format!("{}/events", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(std::ffi::OsStr::to_str).expect("a name").to_owned();
        // Whoever asks for an object by name is told that it is not there; one of the messages is not JSON.
        let is_told = name.starts_with("batch-operations") || name.starts_with("step-functions");
        let exit = match name.as_str() {
            "doctor" | "manual" | "manual-version" | "reprocess" | "s3-minimal" | "sqs" => 1,
            _ => i32::from(is_told),
        };
        // The doctor asks the account who we are; it is to ask nobody outside.
        let run = lab.holoload(&["invoke", path.to_str().expect("UTF-8")]);
        let run = account.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value));
        let answer = run.run().exits(exit).json();
        assert!(answer.is_object(), "{name}: {answer}");
    }
    assert!(lab.rows("SELECT * FROM t").is_empty());
}
