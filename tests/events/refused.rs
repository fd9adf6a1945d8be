//! What is not understood says so and names what is; nothing is taken for something it is not.

use super::{Class, Event, Value, json, message, parse, record};

#[track_caller]
fn refused(payload: &Value, part: &str) {
    let error = match parse(payload) {
        Err(error) => error,
        Ok(event) => panic!("{payload} was understood as {event:?}"),
    };
    assert_eq!(error.class(), Class::Input, "{payload}: {error:?}");
    assert!(error.message().contains(part), "{payload}: {error:?}");
    assert!(!error.message().contains('\n'), "{payload}: {error:?}");
}

#[track_caller]
fn unrecognised(payload: &Value) {
    refused(payload, "read the event: ");
    let hint = parse(payload).err().and_then(|error| error.hint().map(str::to_owned));
    let hint = hint.unwrap_or_else(|| panic!("{payload} is refused without a hint"));
    for shape in ["\"Records\"", "SQS", "\"s3\": \"s3://bucket/key\"", "\"reprocess\""] {
        assert!(hint.contains(shape), "{payload}: {hint}");
    }
}

#[test]
fn unknown_payloads_name_the_accepted_shapes() {
    for payload in [
        json!({}),
        json!([]),
        Value::Null,
        json!("text"),
        json!(5),
        json!(true),
        json!([record("k.csv")]),
        json!({"Records": []}),
        json!({"Records": {}}),
        json!({"Records": null}),
        json!({"Records": [null]}),
        json!({"Records": [{}]}),
        json!({"Records": ["text"]}),
        json!({"Event": "s3:OtherEvent"}),
        json!({"s3": 5}),
        json!({"s3": null}),
        json!({"key1": "value1", "key2": "value2", "key3": "value3"}),
        json!({"Records": [{"EventVersion": "1.0", "EventSource": "aws:sns", "EventSubscriptionArn": "arn:aws:sns:eu-west-1:1:t:u",
               "Sns": {"Type": "Notification", "MessageId": "95df01b4", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "{}"}}]}),
        json!({"Records": [{"eventSource": "aws:kinesis"}, {}]}),
        json!({"requestContext": {"http": {"method": "GET"}}, "rawPath": "/", "version": "2.0"}),
        json!({"job": {"id": "j"}}),
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "not JSON"}),
        json!({"version": "0", "detail-type": "Order Placed", "source": "com.example", "detail": {"order": 1}}),
    ] {
        unrecognised(&payload);
    }
}

/// One foreign record among S3's is a payload that nobody sends; none of it is guessed at.
#[test]
fn records_of_two_kinds_are_refused() {
    unrecognised(&json!({"Records": [record("k.csv"), {"eventSource": "aws:dynamodb", "dynamodb": {}}]}));
    unrecognised(&json!({"Records": [record("k.csv"), message("m", "{}")]}));
}

#[test]
fn misspelt_members_are_named_with_the_nearest() {
    for (payload, hint) in [
        (json!({"reprocess": {"obejcts": ["s3://b/k"]}}), "did you mean `objects`?"),
        (json!({"reprocess": {"objects": ["s3://b/k"], "forse": true}}), "did you mean `force`?"),
        (json!({"s3": "s3://b/k", "versionid": "v"}), "did you mean `version_id`?"),
        (json!({"s3": "s3://b/k", "dry-run": true}), "did you mean `dry_run`?"),
        (
            json!({"reprocess": {"objects": ["s3://b/k"], "zzz": 1}}),
            "known are objects, force, dry_run, prefix",
        ),
        // On the wrong level it would do nothing, in silence.
        (json!({"reprocess": {"objects": ["s3://b/k"]}, "force": true}), "known are reprocess"),
    ] {
        refused(&payload, "is not known here");
        let error = parse(&payload).expect_err("misspelt");
        assert_eq!(error.hint(), Some(hint), "{payload}");
    }
}

#[test]
fn members_of_the_wrong_type_are_refused() {
    for (payload, part) in [
        (json!({"s3": "s3://b/k", "force": "yes"}), "`force` must be true or false"),
        (json!({"s3": "s3://b/k", "dry_run": 1}), "`dry_run` must be true or false"),
        (json!({"s3": "s3://b/k", "version_id": 7}), "`version_id` must be text"),
        (json!({"s3": "b/k"}), "read the object address `b/k`"),
        (json!({"s3": "s3://b"}), "read the object address `s3://b`"),
        (json!({"s3": "s3://b/"}), "read the object address `s3://b/`"),
        (json!({"s3": ""}), "read the object address ``"),
        (json!({"reprocess": "s3://b/k"}), "a member is not an object"),
        (json!({"reprocess": null}), "a member is not an object"),
        (json!({"reprocess": {}}), "`objects` must be a list"),
        (json!({"reprocess": {"objects": []}}), "`objects` must be a list"),
        (json!({"reprocess": {"objects": "s3://b/k"}}), "`objects` must be a list"),
        (json!({"reprocess": {"objects": ["s3://b/k", 5]}}), "`objects` must be a list"),
        (json!({"reprocess": {"objects": ["s3://b/k", "k"]}}), "read the object address `k`"),
        (json!({"Records": [{"s3": {}}]}), "`s3.bucket.name` is missing"),
        (
            json!({"Records": [{"s3": {"bucket": {"name": ""}, "object": {"key": "k"}}}]}),
            "`s3.bucket.name` is missing",
        ),
        (
            json!({"Records": [{"s3": {"bucket": {"name": 5}, "object": {"key": "k"}}}]}),
            "`s3.bucket.name` is missing",
        ),
        (json!({"Records": [{"s3": {"bucket": {"name": "b"}}}]}), "`s3.object.key` is missing"),
        (
            json!({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": ""}}}]}),
            "`s3.object.key` is missing",
        ),
    ] {
        refused(&payload, part);
    }
}

/// Members that help but are no condition may be anything; they count as absent then.
#[test]
fn what_only_helps_is_no_condition() {
    let mut odd = record("k.csv");
    odd["eventTime"] = "yesterday".into();
    odd["s3"]["object"]["size"] = "large".into();
    odd["s3"]["object"]["sequencer"] = json!(5);
    odd["s3"]["object"]["eTag"] = Value::Null;
    let Ok(Event::Objects { batch, .. }) = parse(&json!({"Records": [odd]})) else { panic!("understood") };
    let request = &batch.requests[0];
    assert_eq!((request.version.size, request.event_time_ms), (None, None));
    assert!(request.sequencer.is_none() && request.version.etag.is_none());
}

#[test]
fn messages_are_judged_one_by_one() {
    let good = json!({"Records": [record("k.csv")]}).to_string();
    let bodies = ["not JSON", "", "{}", "null", "[]", "\"text\"", good.as_str()];
    let records: Vec<Value> = bodies.iter().map(|body| message(&format!("m {body}"), body)).collect();
    let Ok(Event::Messages(messages)) = parse(&json!({"Records": records})) else { panic!("messages") };
    assert_eq!(messages.len(), bodies.len());
    for (message, body) in messages.iter().zip(bodies) {
        assert_eq!(message.id, format!("m {body}"));
        match &message.content {
            Ok(batch) => assert_eq!((body, batch.requests.len()), (good.as_str(), 1)),
            Err(error) => {
                assert_ne!(body, good);
                assert_eq!(error.class(), Class::Input, "{body}");
                assert!(error.hint().is_some_and(|hint| hint.contains("\"Records\"")), "{body}: {error:?}");
            }
        }
    }
}

/// A queue's message may hold what came out of another queue, but not without an end.
#[test]
fn envelopes_in_envelopes_end() {
    let mut body = json!({"Records": [record("k.csv")]});
    for depth in 0..6 {
        body = json!({"Records": [message("m", &body.to_string())]});
        let Ok(Event::Messages(messages)) = parse(&body) else { panic!("messages at depth {depth}") };
        assert_eq!(messages[0].content.is_ok(), depth < 3, "depth {depth}");
    }
}

/// Without an id it could not be named in the answer, and the queue would take all of the batch for failed.
#[test]
fn a_message_without_an_id_is_refused() {
    for id in [Value::Null, json!("")] {
        let mut record = message("m", "{}");
        record["messageId"] = id;
        refused(&json!({"Records": [record]}), "it has no `messageId`");
    }
    let mut record = message("m", "{}");
    record["messageId"] = json!(5);
    refused(&json!({"Records": [record]}), "read an SQS message");
}

#[test]
fn a_message_by_hand_needs_little() {
    let body = json!({"s3": "s3://b/k.csv"}).to_string();
    let payload = json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": body}]});
    let Ok(Event::Messages(messages)) = parse(&payload) else { panic!("messages") };
    let message = &messages[0];
    assert_eq!((message.receive_count, message.receipt_handle.as_deref()), (1, None));
    let batch = message.content.as_ref().expect("understood");
    assert!(batch.requests[0].is_manual);
    assert_eq!(batch.requests[0].object.key, "k.csv");
}

#[test]
fn failure_records_in_failure_records_end() {
    let mut payload = json!({"Records": [record("k.csv")]});
    for depth in 1..7 {
        assert_eq!(parse(&payload).is_ok(), depth <= 4, "depth {depth}");
        payload = json!({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload});
    }
}

/// What has another structure may mean something else by the same names.
#[test]
fn another_major_version_of_the_notification_is_refused() {
    for (version, is_known) in
        [("2.0", true), ("2.1", true), ("2.6", true), ("3.0", false), ("1.9", false), ("20.0", false)]
    {
        let mut record = record("k.csv");
        record["eventVersion"] = version.into();
        assert_eq!(parse(&json!({"Records": [record]})).is_ok(), is_known, "{version}");
    }
}
