//! The doors beside S3's own notification: envelopes are unwrapped, keys decoded as each encodes them.

use super::samples::{BOOK_ORDER, sample};
use super::{Class, Door, Event, Said, Value, assert_says, json, message, objects, parse, record};
use holoload::event::{Job, Message};

const VERSION: Option<&str> = Some("096fKKXTRTtl3on89fVO.nfljtsv6qko");
const MANUAL: Said = Said {
    bucket: BOOK_ORDER.bucket,
    key: BOOK_ORDER.key,
    is_manual: true,
    version_id: None,
    etag: None,
    size: None,
    sequencer: None,
    event_time_ms: None,
    force: false,
    dry_run: false,
};

#[track_caller]
fn one_message(payload: &Value) -> Message {
    let Ok(Event::Messages(mut messages)) = parse(payload) else { panic!("messages: {payload}") };
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

#[track_caller]
fn job(payload: &Value) -> Job {
    let Ok(Event::Job(job)) = parse(payload) else { panic!("a job: {payload}") };
    job
}

#[test]
fn sns() {
    let (requests, ignored) = objects(&sample("sns"), Door::Sns);
    assert_eq!((requests.len(), ignored.len()), (1, 0));
    assert_says(&requests[0], &BOOK_ORDER);
}

#[test]
fn what_arrives_in_messages_is_the_same() {
    let bridge = Said { event_time_ms: Some(1_772_357_415_000), version_id: VERSION, ..BOOK_ORDER };
    for (name, said) in [
        ("sns-in-sqs", &BOOK_ORDER),
        ("eventbridge-in-sqs", &bridge),
        ("failure-record-in-sqs", &BOOK_ORDER),
        ("dead-letter", &BOOK_ORDER),
    ] {
        let message = one_message(&sample(name));
        let batch = message.content.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!((batch.requests.len(), batch.ignored.len()), (1, 0), "{name}");
        assert_says(&batch.requests[0], said);
    }
}

#[test]
fn eventbridge() {
    let (requests, ignored) = objects(&sample("eventbridge"), Door::EventBridge);
    assert_eq!((requests.len(), ignored.len()), (1, 0));
    let said = Said { event_time_ms: Some(1_772_357_415_000), version_id: VERSION, ..BOOK_ORDER };
    assert_says(&requests[0], &said);
}

/// `EventBridge` leaves keys as they are.
#[test]
fn eventbridge_keys_are_taken_as_they_stand() {
    for (key, other) in [
        ("a+b.csv", Some("a b.csv")),
        ("%2B%20%%%.png", Some("+ %%%.png")),
        ("in/\u{65e5}\u{672c} 1.csv", None),
        ("100%.csv", None),
    ] {
        let mut event = sample("eventbridge");
        event["detail"]["object"]["key"] = key.into();
        let (requests, _) = objects(&event, Door::EventBridge);
        assert_eq!(requests[0].object.key, key);
        assert_eq!(requests[0].other_key.as_deref(), other, "what is tried where there is no such object");
    }
}

#[test]
fn a_deletion_on_the_bus_is_a_removal() {
    let Ok(Event::Objects { door: Door::EventBridge, batch }) = parse(&sample("eventbridge-delete")) else {
        panic!("objects")
    };
    assert!(batch.requests.is_empty());
    assert_eq!(batch.ignored[0].reason, "`Object Deleted` creates no object");
    let removal = batch.ignored[0].removal.as_deref().expect("a removal");
    assert!(removal.is_removal);
    let said = Said {
        event_time_ms: Some(1_772_357_415_000),
        sequencer: Some("0055AED6DCD9028B11"),
        bucket: BOOK_ORDER.bucket,
        key: BOOK_ORDER.key,
        ..Said::default()
    };
    assert_says(removal, &said);
}

#[test]
fn other_events_on_the_bus_are_ignored_by_name() {
    let bus = |source: &str, kind: &str, detail: Value| json!({"version": "0", "source": source, "detail-type": kind, "time": "2026-03-01T09:30:15Z", "detail": detail});
    let object = json!({"bucket": {"name": "b"}, "object": {"key": "k.csv"}});
    let marker = json!({"bucket": {"name": "b"}, "object": {"key": "in/", "size": 0}});
    for (event, key, reason) in [
        (
            bus("aws.s3", "Object Tags Added", object.clone()),
            "k.csv",
            "`Object Tags Added` creates no object",
        ),
        (bus("aws.s3", "Object Restore Completed", object.clone()), "k.csv", "`Object Restore Completed`"),
        (
            bus("aws.s3", "AWS API Call via CloudTrail", json!({"eventName": "PutObject"})),
            "AWS API",
            "switch EventBridge on",
        ),
        (bus("aws.s3", "Object Created", marker), "in/", "a folder marker"),
        (
            bus("aws.ec2", "EC2 Instance State-change Notification", json!({"state": "pending"})),
            "EC2",
            "`aws.ec2`",
        ),
        (
            bus("aws.events", "Scheduled Event", json!({})),
            "Scheduled Event",
            "a schedule says what to do in its input",
        ),
        (bus("aws.scheduler", "Scheduled Event", json!({})), "Scheduled Event", "in its input"),
    ] {
        let (requests, ignored) = objects(&event, Door::EventBridge);
        assert!(requests.is_empty(), "{event}");
        assert!(ignored[0].0.starts_with(key) && ignored[0].1.contains(reason), "{ignored:?}");
    }
    for name in ["bucket", "object"] {
        let mut event = bus("aws.s3", "Object Created", object.clone());
        event["detail"][name] = Value::Null;
        let error = parse(&event).expect_err("no object");
        assert!(error.message().contains(&format!("`detail.{name}.")), "{error:?}");
    }
    // Somebody's own bus, and a failure record on a bus.
    let own = bus("com.example.orders", "Load", json!({"s3": "s3://b/k.csv", "force": true}));
    let of_failed = json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"Records": [record("k.csv")]}});
    let failed = bus("lambda", "Lambda Function Invocation Result - Failure", of_failed);
    for (event, is_manual) in [(own, true), (failed, false)] {
        let (requests, _) = objects(&event, Door::EventBridge);
        assert_eq!((requests[0].object.key.as_str(), requests[0].is_manual), ("k.csv", is_manual));
    }
}

#[test]
fn records_of_other_services_are_ignored_by_name() {
    for (payload, source) in [
        (
            json!({"Records": [{"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {}}]}),
            "aws:dynamodb",
        ),
        (
            json!({"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": "SGVsbG8="}}]}),
            "aws:kinesis",
        ),
        (json!({"Records": [{"eventSource": "aws:ses", "ses": {}}]}), "aws:ses"),
        (json!({"eventSource": "aws:kafka", "records": {"topic-0": []}}), "aws:kafka"),
    ] {
        let (requests, ignored) = objects(&payload, Door::S3);
        assert!(requests.is_empty());
        assert_eq!(ignored, [(source.to_owned(), format!("records of `{source}`, which tell of no object"))]);
    }
}

#[test]
fn topics_send_several_and_other_things() {
    let of = |message: &str| json!({"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": message}});
    let event = |key: &str| json!({"Records": [record(key)]}).to_string();
    let payload = json!({"Records": [of(&event("a.csv")), of("not JSON"), of(&event("b.csv"))]});
    let Ok(Event::Objects { door: Door::Sns, batch }) = parse(&payload) else { panic!("objects") };
    let keys: Vec<_> = batch.requests.iter().map(|request| request.object.key.as_str()).collect();
    assert_eq!((keys.as_slice(), batch.unreadable.len()), (["a.csv", "b.csv"].as_slice(), 1));
    let error = parse(&json!({"Records": [of("not JSON")]})).expect_err("nothing is understood");
    assert!(error.message().contains("the SNS message is not JSON"), "{error:?}");
    let confirm = json!({"Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Token": "t", "Message": "You have chosen"});
    let (_, ignored) = objects(&confirm, Door::Sns);
    assert!(ignored[0].1.contains("confirm the subscription"), "{ignored:?}");
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}).to_string();
    let (_, ignored) = objects(&json!({"Records": [of(&test)]}), Door::Sns);
    assert_eq!(ignored[0].0, "s3:TestEvent");
}

#[test]
fn batch_operations_1_0() {
    let job = job(&sample("batch-operations-1.0"));
    assert_eq!(job.schema_version, "1.0");
    assert_eq!(job.invocation_id, "YXNkbGZqYWRmaiBhc2RmdW9hZHNmZGpmaGFzbGtkaGZza2RmaAo");
    assert_eq!((job.tasks.len(), job.tasks[0].id.as_str()), (1, "dGFza2lkZ29lc2hlcmUK"));
    let batch = job.tasks[0].content.as_ref().expect("understood");
    let said = Said { key: "original-data/2026-03/注文 1+2.csv", version_id: VERSION, ..MANUAL };
    assert_says(&batch.requests[0], &said);
}

#[test]
fn batch_operations_2_0() {
    let job = job(&sample("batch-operations-2.0"));
    assert_eq!((job.schema_version.as_str(), job.unknown_arguments.len()), ("2.0", 0));
    let batch = job.tasks[0].content.as_ref().expect("understood");
    assert_says(&batch.requests[0], &Said { force: true, ..MANUAL });
}

/// Keys are percent-encoded, a plus is a plus; arguments of somebody else are named, not obeyed.
#[test]
fn batch_operations_tasks() {
    let of = |task: Value| {
        let payload = json!({"invocationSchemaVersion": "1.0", "invocationId": "i",
            "job": {"id": "j", "userArguments": {"MyDestinationBucket": "d", "dry_run": "true"}}, "tasks": [task]});
        job(&payload)
    };
    for (key, arn, expected) in [
        ("in%2Fa%2Bb.csv", "arn:aws:s3:::b", "in/a+b.csv"),
        ("a+b.csv", "arn:aws:s3:us-east-1:0123456788:b", "a+b.csv"),
        ("Happy%20Face.jpg", "arn:aws-cn:s3:::b", "Happy Face.jpg"),
    ] {
        let job = of(json!({"taskId": "t", "s3Key": key, "s3VersionId": null, "s3BucketArn": arn}));
        assert_eq!(job.unknown_arguments, ["MyDestinationBucket"]);
        let request = &job.tasks[0].content.as_ref().expect("understood").requests[0];
        assert_says(request, &Said { bucket: "b", key: expected, dry_run: true, ..MANUAL });
    }
    for (task, part) in [
        (json!({"taskId": "t", "s3Key": "k"}), "neither `s3Bucket` nor `s3BucketArn`"),
        (json!({"taskId": "t", "s3BucketArn": "arn:aws:s3:::b"}), "`s3Key` is missing"),
        (json!({"taskId": "t", "s3Key": "a%FF", "s3Bucket": "b"}), "it is not UTF-8"),
    ] {
        let job = of(task);
        let error = job.tasks[0].content.as_ref().expect_err("not understood");
        assert_eq!(error.class(), Class::Input);
        assert!(error.message().contains(part), "{error:?}");
    }
}

/// `"True"` is what Python makes of a truth: taken for nothing, a dry run would load everything.
#[test]
fn batch_operations_flags() {
    let of = |dry_run: Value| {
        job(&json!({"invocationSchemaVersion": "2.0", "invocationId": "i",
            "job": {"id": "j", "userArguments": {"dry_run": dry_run}},
            "tasks": [{"taskId": "t", "s3Key": "k", "s3Bucket": "b"}]}))
    };
    for (said, dry_run) in [
        (json!("True"), true),
        (json!("TRUE"), true),
        (json!(true), true),
        (json!("False"), false),
        (json!(""), false),
        (json!(false), false),
    ] {
        let job = of(said.clone());
        let request = &job.tasks[0].content.as_ref().expect("understood").requests[0];
        assert_eq!(request.dry_run, dry_run, "{said}");
    }
    for said in [json!("yes"), json!("1"), json!(1), Value::Null] {
        let job = of(said.clone());
        let error = job.tasks[0].content.as_ref().expect_err("not understood");
        assert_eq!((error.class(), job.tasks[0].id.as_str()), (Class::Input, "t"), "{said}");
        assert!(error.message().contains("`dry_run` must be true or false"), "{error:?}");
    }
}

#[test]
fn step_functions() {
    let (requests, _) = objects(&sample("step-functions-item"), Door::Manual);
    assert_says(&requests[0], &MANUAL);
    let (requests, ignored) = objects(&sample("step-functions-batch"), Door::Manual);
    assert_says(&requests[0], &MANUAL);
    assert_eq!(
        ignored,
        [("original-data/".to_owned(), "a folder marker (key ends in `/`, size 0)".to_owned())]
    );
    let (requests, _) = objects(&sample("step-functions-inventory"), Door::Manual);
    let said = Said { key: "original-data/2026-03/注文 1+2.csv", version_id: VERSION, ..MANUAL };
    assert_says(&requests[0], &said);
}

#[test]
fn map_items_by_hand() {
    let (requests, _) = objects(&json!({"bucket": "b", "key": "a%2B+b.csv", "force": true}), Door::Manual);
    assert_says(&requests[0], &Said { bucket: "b", key: "a%2B+b.csv", force: true, ..MANUAL });
    for name in ["VersionId", "version_id", "versionId"] {
        let (requests, _) =
            objects(&json!({"bucket": "b", "key": "k", name: "v1", "if_exists": true}), Door::Manual);
        assert_eq!(requests[0].version.version_id.as_deref(), Some("v1"), "{name}");
        assert!(requests[0].may_be_gone);
    }
    for (column, word, reason) in [
        ("IsDeleteMarker", json!("true"), "a delete marker"),
        ("IsDeleteMarker", json!(true), "a delete marker"),
        ("IsLatest", json!("false"), "not the newest"),
        ("IsLatest", json!(false), "not the newest"),
    ] {
        let (requests, ignored) =
            objects(&json!({"Bucket": "b", "Key": "k.csv", column: word}), Door::Manual);
        assert!(requests.is_empty() && ignored[0].1.contains(reason), "{ignored:?}");
    }
    let error = parse(&json!({"Key": "k.csv", "Etag": "\"e\"", "Size": 3})).expect_err("no bucket");
    assert!(error.hint().is_some_and(|hint| hint.contains("ItemSelector")), "{error:?}");
    let mixed = json!({"Items": [{"Bucket": "b", "Key": "k.csv"}, {"Key": "l.csv"}, {"s3": "s3://b/m.csv"}, {"x": 1}, 5]});
    let Ok(Event::Objects { batch, .. }) = parse(&mixed) else { panic!("objects") };
    assert_eq!((batch.requests.len(), batch.unreadable.len()), (2, 3));
    for empty in [json!({"Items": []}), json!({"Items": [5]}), json!({"Items": [{"x": 1}], "BatchInput": {}})]
    {
        assert!(parse(&empty).is_err(), "{empty}");
    }
}

#[test]
fn failure_record() {
    let (requests, _) = objects(&sample("failure-record"), Door::FailureRecord);
    assert_says(&requests[0], &BOOK_ORDER);
    let mut success = sample("failure-record");
    success["requestContext"]["condition"] = "Success".into();
    let (requests, ignored) = objects(&success, Door::S3);
    assert!(requests.is_empty());
    assert_eq!(ignored[0].1, "the record of an invocation that succeeded");
    // Whatever the original was.
    let of = |payload: Value| json!({"requestContext": {"condition": "EventAgeExceeded"}, "requestPayload": payload});
    let (requests, _) = objects(&of(json!({"s3": "s3://b/k.csv"})), Door::FailureRecord);
    assert_eq!(requests[0].object.key, "k.csv");
    assert!(matches!(parse(&of(sample("schedule"))), Ok(Event::Reprocess(_))));
    let (requests, _) = objects(&of(sample("batch-operations-2.0")), Door::FailureRecord);
    assert_eq!(requests.len(), 1, "nobody waits for the task's verdict any more");
    let messages = json!({"Records": [message("m", &json!({"Records": [record("k.csv")]}).to_string())]});
    let (requests, _) = objects(&of(messages), Door::FailureRecord);
    assert_eq!(requests.len(), 1);
}

#[test]
fn schedule() {
    let Ok(Event::Reprocess(selection)) = parse(&sample("schedule")) else { panic!("a selection") };
    assert_eq!((selection.bucket.as_str(), selection.prefix.as_str()), (BOOK_ORDER.bucket, "original-data/"));
    assert!(selection.missing && !selection.force && !selection.dry_run);
}
