//! Every door: what it is answered when the object loads, goes on later, fails for good, or may be tried again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::{Queue, message, slow_down};
use crate::http::HttpStub;
use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::{Fault, On, Stored};
use crate::world::{AMPLE_MS, World, failure, order_rows, orders};

const ROWS: u32 = 60_000;
const SHORT_MS: u64 = 6_000;
/// A sweep begins no load in its last seconds.
const SCHEDULE: &str = "schedule";
const SCHEDULE_MS: u64 = 9_000;
const IN_PARTS: &str = "routes: [{object: '**', table: orders, write: {atomic: false}}]\n";

/// A door's name, and the event of an object as it arrives there.
type Door = (&'static str, fn(&Stored) -> Value);

/// The world with a queue and a Lambda that take what is handed on.
struct House {
    world: World,
    queue: Queue,
    lambda: HttpStub,
    handler: RuntimeApi,
}

impl House {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        let (queue, lambda) = (Queue::start(), HttpStub::start(|_, _| (202, json!({}))));
        let (variable, endpoint) = queue.environment();
        let handler = world.handler_with(&[
            ("HOLOLOAD_CONFIG", IN_PARTS),
            ("HOLOLOAD_TABLE", ""),
            (variable, &endpoint),
            ("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint()),
        ]);
        Self { world, queue, lambda, handler }
    }

    fn invoke(&self, payload: &Value, deadline_ms: u64) -> crate::support::runtime_api::Outcome {
        self.handler.invoke(&serde_json::to_vec(payload).expect("JSON"), deadline_ms)
    }

    fn good(&self, door: &str) -> Stored {
        self.world.put(&format!("{door}/a+b 1.csv"), orders(1..=3, door))
    }

    fn bad(&self, door: &str) -> Stored {
        self.world.put(&format!("{door}/bad.csv"), "id,name,amount\n3,x,1\nnothing,y,2\n")
    }

    /// So slow that nothing of it is there in time.
    fn stuck(&self, door: &str) -> Stored {
        let key = format!("{door}/stuck.csv");
        let chunks = Fault::SlowChunks { chunk_bytes: 1, pause: Duration::from_millis(500) };
        self.world.s3.fail_always(On::get(&self.world.bucket, &key), chunks);
        self.world.put(&key, orders(1..=9, door))
    }

    /// So long that a part of it is.
    fn long(&self, door: &str) -> Stored {
        let stored = self.world.put(&format!("{door}/long.csv"), orders(1..=ROWS, door));
        slow_down(&self.world, &stored.key, if door == SCHEDULE { 2 * 1024 } else { 6 * 1024 });
        stored
    }

    fn empty(&self) {
        self.world.s3.clear_faults();
        self.world.database.run("TRUNCATE orders");
    }
}

fn encoded(key: &str) -> String {
    key.replace('+', "%2B").replace(' ', "%20")
}

fn sns(stored: &Stored) -> Value {
    json!({"EventVersion": "1.0", "EventSource": "aws:sns", "EventSubscriptionArn": "arn:aws:sns:eu-west-1:1:t:s",
           "Sns": {"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:1:t",
                   "Subject": "Amazon S3 Notification", "Message": stored.event().to_string()}})
}

fn bridge(stored: &Stored) -> Value {
    json!({"version": "0", "id": "i", "detail-type": "Object Created", "source": "aws.s3", "time": "2026-03-01T09:30:15Z",
           "detail": {"version": "0", "bucket": {"name": stored.bucket}, "reason": "PutObject",
                      "object": {"key": stored.key, "size": stored.size, "etag": stored.etag, "sequencer": stored.sequencer}}})
}

fn failed(payload: &Value) -> Value {
    json!({"version": "1.0", "timestamp": "2026-03-01T09:36:20.613Z", "requestPayload": payload,
           "requestContext": {"requestId": "r", "functionArn": "arn:aws:lambda:eu-west-1:1:function:f:$LATEST",
                              "condition": "RetriesExhausted", "approximateInvokeCount": 3},
           "responseContext": {"statusCode": 200, "functionError": "Unhandled"}, "responsePayload": {"errorType": "Transient"}})
}

const ASYNCHRONOUS: &[Door] = &[
    ("s3", Stored::event),
    ("sns", |stored| json!({"Records": [sns(stored)]})),
    ("eventbridge", bridge),
    ("failure-record", |stored| failed(&stored.event())),
];

#[test]
fn asynchronous_doors() {
    let house = House::new("doors_asynchronous");
    for (door, event) in ASYNCHRONOUS {
        let answer = house.invoke(&event(&house.good(door)), AMPLE_MS).expect_ok();
        assert_eq!(answer["objects"][0]["status"], "loaded", "{door}: {answer}");
        assert_eq!(house.world.rows(), order_rows(1..=3, door));

        let failed = failure(house.invoke(&event(&house.bad(door)), AMPLE_MS));
        assert_eq!(failed.error_type, "Input", "{door}: {failed:?}");
        let failed = failure(house.invoke(&event(&house.stuck(door)), SHORT_MS));
        assert_eq!(failed.error_type, "Transient", "{door}: {failed:?}");

        let (long, handed_on) = (house.long(door), house.lambda.calls().len());
        let answer = house.invoke(&event(&long), SHORT_MS).expect_ok();
        assert_eq!(answer["objects"][0]["status"], "continued", "{door}: {answer}");
        let calls = house.lambda.calls();
        assert_eq!(calls.len(), handed_on + 1, "{door}");
        house.world.s3.clear_faults();
        let answer = house.invoke(&calls[handed_on].1, AMPLE_MS).expect_ok();
        assert_eq!(answer["objects"][0]["status"], "loaded", "{door}: {answer}");
        assert_eq!(house.world.rows(), order_rows(1..=ROWS, door));
        house.empty();
    }
    assert!(house.queue.sent().is_empty());
}

const QUEUED: &[Door] = &[
    ("sqs", |stored| message("m", &stored.event().to_string())),
    ("sns-in-sqs", |stored| message("m", &sns(stored)["Sns"].to_string())),
    ("eventbridge-in-sqs", |stored| message("m", &bridge(stored).to_string())),
    ("failure-record-in-sqs", |stored| message("m", &failed(&stored.event()).to_string())),
    ("manual-in-sqs", |stored| message("m", &json!({"s3": stored.address()}).to_string())),
];

#[test]
fn queues() {
    let house = House::new("doors_queues");
    let (done, listed) =
        (json!({"batchItemFailures": []}), json!({"batchItemFailures": [{"itemIdentifier": "m"}]}));
    for (door, event) in QUEUED {
        assert_eq!(house.invoke(&event(&house.good(door)), AMPLE_MS).expect_ok(), done, "{door}");
        assert_eq!(house.world.rows(), order_rows(1..=3, door));
        assert_eq!(house.invoke(&event(&house.bad(door)), AMPLE_MS).expect_ok(), listed, "{door}");
        assert_eq!(house.world.statuses(&format!("{door}/bad.csv")), ["failed"]);
        assert_eq!(house.invoke(&event(&house.stuck(door)), SHORT_MS).expect_ok(), listed, "{door}");

        let (long, handed_on) = (house.long(door), house.queue.sent().len());
        assert_eq!(house.invoke(&event(&long), SHORT_MS).expect_ok(), done, "{door}");
        let sent = house.queue.sent();
        assert_eq!(sent.len(), handed_on + 1, "{door}: it is queued before the message is let go");
        house.world.s3.clear_faults();
        assert_eq!(house.invoke(&message("n", &sent[handed_on]), AMPLE_MS).expect_ok(), done, "{door}");
        assert_eq!(house.world.rows(), order_rows(1..=ROWS, door));
        house.empty();
    }
    assert!(house.lambda.calls().is_empty());
}

const JOBS: &[Door] = &[
    ("batch-1.0", |stored| {
        json!({"invocationSchemaVersion": "1.0", "invocationId": "i-1", "job": {"id": "j"},
               "tasks": [{"taskId": "t-1", "s3Key": encoded(&stored.key), "s3VersionId": null,
                          "s3BucketArn": format!("arn:aws:s3:::{}", stored.bucket)}]})
    }),
    ("batch-2.0", |stored| {
        json!({"invocationSchemaVersion": "2.0", "invocationId": "i-1",
               "job": {"id": "j", "userArguments": {"MyDestinationBucket": "elsewhere"}},
               "tasks": [{"taskId": "t-1", "s3Key": encoded(&stored.key), "s3VersionId": null, "s3Bucket": stored.bucket}]})
    }),
];

/// The job's report keeps code and text; an error answer would tell it nothing.
#[test]
fn batch_operations() {
    let house = House::new("doors_batch");
    for (door, event) in JOBS {
        let ask = |stored: &Stored, deadline_ms: u64| {
            let answer = house.invoke(&event(stored), deadline_ms).expect_ok();
            let version = door.rsplit('-').next().expect("a version");
            assert_eq!(
                (&answer["invocationSchemaVersion"], &answer["invocationId"]),
                (&version.into(), &"i-1".into())
            );
            assert_eq!(answer["treatMissingKeysAs"], "PermanentFailure");
            let results = answer["results"].as_array().expect("a list");
            assert_eq!((results.len(), &results[0]["taskId"]), (1, &"t-1".into()));
            let text = |name: &str| results[0][name].as_str().expect("text").to_owned();
            assert_eq!(text("resultString").contains("MyDestinationBucket"), version == "2.0");
            (text("resultCode"), text("resultString"))
        };
        let (code, text) = ask(&house.good(door), AMPLE_MS);
        assert_eq!(code, "Succeeded", "{door}: {text}");
        assert!(text.starts_with("status=loaded,rows=3,rejected=0"), "{text}");
        assert_eq!(house.world.rows(), order_rows(1..=3, door));
        let (code, text) = ask(&house.bad(door), AMPLE_MS);
        assert_eq!(code, "PermanentFailure", "{door}: {text}");
        assert!(text.contains("; hint: ") && !text.contains('\n'), "{text}");
        let mut gone = house.good(door);
        gone.key = format!("{door}/gone.csv");
        let (code, text) = ask(&gone, AMPLE_MS);
        assert_eq!(code, "PermanentFailure", "{door}: {text}");
        let (code, text) = ask(&house.stuck(door), SHORT_MS);
        assert_eq!(code, "TemporaryFailure", "{door}: {text}");

        let long = house.long(door);
        let (code, text) = ask(&long, SHORT_MS);
        assert_eq!(code, "TemporaryFailure", "{door}: {text}");
        assert!(text.starts_with("status=continued,"), "{text}");
        house.world.s3.clear_faults();
        let (code, text) = ask(&long, AMPLE_MS);
        assert_eq!(code, "Succeeded", "{door}: {text}");
        assert_eq!(house.world.rows(), order_rows(1..=ROWS, door));
        house.empty();
    }
    assert!(house.queue.sent().is_empty() && house.lambda.calls().is_empty(), "the job itself tries again");
}

const WAITING: &[Door] = &[
    ("manual", |stored| json!({"s3": stored.address()})),
    ("reprocess", |stored| json!({"reprocess": {"objects": [stored.address()]}})),
    (
        "map-item",
        |stored| json!({"Bucket": stored.bucket, "Key": stored.key, "Size": stored.size, "StorageClass": "STANDARD"}),
    ),
    (
        "map-batch",
        |stored| json!({"BatchInput": {"Bucket": stored.bucket}, "Items": [{"Key": stored.key, "Size": stored.size}]}),
    ),
];

const SWEPT: &[Door] = &[(SCHEDULE, |stored| json!({"reprocess": {"prefix": stored.address()}}))];

/// A state machine sees an error by its name, and calls again for the rest.
#[test]
fn callers_who_wait() {
    waiting("doors_waiting", WAITING);
}

#[test]
fn schedules() {
    waiting("doors_schedules", SWEPT);
}

fn waiting(name: &str, doors: &[Door]) {
    let house = House::new(name);
    for (door, event) in doors {
        let short_ms = if *door == SCHEDULE { SCHEDULE_MS } else { SHORT_MS };
        let answer = house.invoke(&event(&house.good(door)), AMPLE_MS).expect_ok();
        assert_eq!(answer["objects"][0]["status"], "loaded", "{door}: {answer}");
        assert_eq!(house.world.rows(), order_rows(1..=3, door));
        let failed = failure(house.invoke(&event(&house.bad(door)), AMPLE_MS));
        assert_eq!(failed.error_type, "Input", "{door}: {failed:?}");
        assert_eq!(failed.answer["objects"][0]["status"], "failed");
        let failed = failure(house.invoke(&event(&house.stuck(door)), short_ms));
        assert_eq!(failed.error_type, "Transient", "{door}: {failed:?}");

        let long = house.long(door);
        let answer = house.invoke(&event(&long), short_ms).expect_ok();
        assert_eq!(answer["objects"][0]["status"], "continued", "{door}: {answer}");
        assert!(
            answer["objects"][0]["resume"]["offset"].as_u64().is_some_and(|offset| offset > 0),
            "{door}: {answer}"
        );
        house.world.s3.clear_faults();
        let answer = house.invoke(&event(&long), AMPLE_MS).expect_ok();
        assert_eq!(answer["objects"][0]["status"], "loaded", "{door}: {answer}");
        assert_eq!(house.world.rows(), order_rows(1..=ROWS, door));
        house.empty();
    }
    assert!(house.queue.sent().is_empty() && house.lambda.calls().is_empty());
}

/// Settings that cannot work are answered in the form of the door, too.
#[test]
fn a_function_that_cannot_start_tells_the_job() {
    let world = World::new("doors_start");
    let handler = world.handler_with(&[("HOLOLOAD_CONFIG", "targte: {}\n")]);
    let event = JOBS[0].1(&world.put("a.csv", orders(1..=3, "a")));
    let answer = handler.invoke_json(&event).expect_ok();
    assert_eq!(answer["results"][0]["resultCode"], "PermanentFailure", "{answer}");
    let text = answer["results"][0]["resultString"].as_str().expect("text");
    assert!(text.contains("targte"), "{text}");
}

/// A listing names folders too; a manifest of objects says nothing of their size.
#[test]
fn folder_markers_are_ignored_whoever_names_them() {
    let world = World::new("doors_markers");
    let handler = world.handler();
    let marker = world.put("in/", "");
    let answer = handler.invoke_json(&json!({"s3": marker.address()})).expect_ok();
    assert_eq!(answer["objects"][0]["status"], "ignored", "{answer}");
    let answer = handler.invoke_json(&JOBS[0].1(&marker)).expect_ok();
    assert_eq!(answer["results"][0]["resultCode"], "Succeeded");
    let text = answer["results"][0]["resultString"].as_str().expect("text");
    assert!(text.starts_with("status=ignored,") && text.contains("folder marker"), "{text}");
}
