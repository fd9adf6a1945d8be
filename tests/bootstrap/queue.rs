//! SQS: every message has its own verdict, and what may succeed later comes back sooner than the queue would send it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::HttpStub;
use crate::support::s3::{Fault, On, Stored};
use crate::world::{AMPLE_MS, World, orders};

fn message(id: &str, body: &str, receive_count: u32) -> Value {
    json!({
        "messageId": id, "receiptHandle": format!("handle-{id}"), "body": body, "messageAttributes": {},
        "attributes": {"ApproximateReceiveCount": receive_count.to_string(), "SentTimestamp": "1772357415200",
                       "SenderId": "AIDAJXNJGGKNS7OSV23OI", "ApproximateFirstReceiveTimestamp": "1772357415207"},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs", "awsRegion": "ap-northeast-1",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:loads",
    })
}

fn of(id: &str, stored: &Stored) -> Value {
    message(id, &stored.event().to_string(), 1)
}

fn batch(messages: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"Records": messages})).expect("JSON")
}

#[track_caller]
fn failed_ids(answer: &Value) -> Vec<&str> {
    let members: Vec<_> = answer.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["batchItemFailures"]);
    let failures = answer["batchItemFailures"].as_array().expect("a list");
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("an id")).collect()
}

fn slow(world: &World, key: &str) -> Stored {
    let chunks = Fault::SlowChunks { chunk_bytes: 1, pause: Duration::from_millis(500) };
    world.s3.fail_always(On::get(&world.bucket, key), chunks);
    world.put(key, orders(1..=9, "slow"))
}

#[test]
fn messages_are_answered_one_by_one() {
    let world = World::new("queue");
    let sqs = HttpStub::start(|_, _| (200, json!({})));
    let handler = world.handler_with(&[("AWS_ENDPOINT_URL_SQS", &sqs.endpoint())]);
    let (first, second) = (world.put("a.csv", orders([1], "a")), world.put("b.csv", orders([2], "b")));
    let bad = world.put("bad.csv", "id,name,amount\n3,x,1\nnothing,y,2\n");
    let (later, last) = (slow(&world, "slow-1.csv"), slow(&world, "slow-2.csv"));
    let test = json!({"Event": "s3:TestEvent", "Bucket": world.bucket}).to_string();
    // One message of two records: the good one loads, the message comes back for the other.
    let mixed = json!({"Records": [bad.event_record(), second.event_record()]}).to_string();
    let messages = [
        of("good", &first),
        of("bad", &bad),
        message("poison", "not JSON", 1),
        message("unknown", "{}", 1),
        message("test", &test, 1),
        message("mixed", &mixed, 1),
        message("later", &later.event().to_string(), 3),
        message("last", &last.event().to_string(), 40),
    ];
    let clock = Instant::now();
    // Of 20 s one is kept back: enough for two messages to be put off, on a busy machine too.
    let answer = handler.invoke(&batch(&messages), 20_000).expect_ok();
    assert!(clock.elapsed() < Duration::from_secs(20), "answered in time");
    assert_eq!(failed_ids(&answer), ["bad", "poison", "unknown", "mixed", "later", "last"]);
    assert_eq!(world.rows(), ["1|a|1.50", "2|b|2.50"]);
    assert_eq!(world.statuses("bad.csv"), ["failed", "failed"]);
    world.assert_at_rest();

    let calls = sqs.calls();
    // What failed for good comes back soon, to end in the dead-letter queue; what may pass is left more and more time.
    let expected = [
        ("bad", 2..=5),
        ("poison", 2..=5),
        ("unknown", 2..=5),
        ("mixed", 2..=5),
        ("later", 10..=20),
        ("last", 450..=900),
    ];
    assert_eq!(calls.len(), expected.len(), "{calls:?}");
    for ((operation, input), (id, bounds)) in calls.iter().zip(expected) {
        assert_eq!(
            (operation.as_str(), &input["ReceiptHandle"]),
            ("ChangeMessageVisibility", &json!(format!("handle-{id}")))
        );
        let seconds = input["VisibilityTimeout"].as_u64().expect("a number");
        assert!(bounds.contains(&seconds), "{id}: {seconds} s of {bounds:?}");
        let url = input["QueueUrl"].as_str().expect("text");
        assert!(url.ends_with("/123456789012/loads"), "{url}");
    }
}

#[test]
fn all_done_is_an_empty_list() {
    let world = World::new("queue_done");
    let handler = world.handler();
    let (first, second) = (world.put("a.csv", orders([1], "a")), world.put("b.csv", orders([2], "b")));
    let answer = handler.invoke(&batch(&[of("one", &first), of("two", &second)]), AMPLE_MS).expect_ok();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let again = handler.invoke(&batch(&[of("one", &first)]), AMPLE_MS).expect_ok();
    assert_eq!(again, json!({"batchItemFailures": []}), "a redelivery is done");
    assert_eq!(world.statuses("a.csv"), ["loaded", "skipped"]);
}

#[test]
fn a_failed_content_is_acknowledged_where_that_is_the_policy() {
    let world = World::new("queue_acknowledged");
    let yaml = "acknowledge_failed: true\nroutes: [{object: '**', table: orders}]\n";
    let handler = world.handler_with(&[("HOLOLOAD_CONFIG", yaml), ("HOLOLOAD_TABLE", "")]);
    let bad = world.put("bad.csv", "id,name,amount\n3,x,1\nnothing,y,2\n");
    let denied = world.put("denied.csv", orders(1..=1, "denied"));
    world.s3.fail_always(On::get(&world.bucket, "denied.csv"), Fault::access_denied());
    let mut nameless = bad.event_record();
    nameless["s3"]["object"]["key"] = "%FF.csv".into();
    let partly = json!({"Records": [bad.event_record(), nameless]}).to_string();
    let messages = [
        of("bad", &bad),
        of("denied", &denied),
        message("poison", "not JSON", 1),
        message("partly", &partly, 1),
    ];
    let answer = handler.invoke(&batch(&messages), AMPLE_MS).expect_ok();
    assert_eq!(failed_ids(&answer), ["denied", "poison", "partly"]);
    assert_eq!(world.statuses("bad.csv"), ["failed", "failed"]);
}

/// The queue's own timeout brings the message back then; the batch's answer must not wait for SQS.
#[test]
fn a_queue_that_is_out_of_reach_costs_nobody_the_answer() {
    let world = World::new("queue_unreachable");
    let sqs = HttpStub::start(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        (200, json!({}))
    });
    let handler = world.handler_with(&[("AWS_ENDPOINT_URL_SQS", &sqs.endpoint())]);
    let (good, later) = (world.put("a.csv", orders([1], "a")), slow(&world, "slow.csv"));
    let answer = handler.invoke(&batch(&[of("good", &good), of("later", &later)]), 10_000).expect_ok();
    assert_eq!(failed_ids(&answer), ["later"]);
    assert!(handler.log_text().contains("message visibility not changed"));
}
