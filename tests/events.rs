//! Every payload that holoload accepts, ignores or refuses, and what each is understood as.

use holoload::error::Class;
use holoload::event::{Door, Event, parse};
use holoload::object::Request;
use serde_json::{Value, json};

#[path = "events/doors.rs"]
mod doors;
#[path = "events/refused.rs"]
mod refused;
#[path = "events/samples.rs"]
mod samples;

/// What a request says, in one comparable piece.
#[derive(Debug, Default, PartialEq)]
struct Said {
    bucket: &'static str,
    key: &'static str,
    version_id: Option<&'static str>,
    etag: Option<&'static str>,
    size: Option<u64>,
    sequencer: Option<&'static str>,
    event_time_ms: Option<i64>,
    is_manual: bool,
    force: bool,
    dry_run: bool,
}

#[track_caller]
fn assert_says(request: &Request, said: &Said) {
    let found = Said { bucket: said.bucket, key: said.key, ..Said::default() };
    assert_eq!((request.object.bucket.as_str(), request.object.key.as_str()), (found.bucket, found.key));
    assert_eq!(request.version.version_id.as_deref(), said.version_id);
    assert_eq!(request.version.etag.as_deref(), said.etag);
    assert_eq!(request.version.size, said.size);
    assert_eq!(request.version.last_modified_ms, None, "no delivery says it");
    assert_eq!(request.sequencer.as_ref().map(holoload::object::Sequencer::as_str), said.sequencer);
    assert_eq!(request.event_time_ms, said.event_time_ms);
    assert_eq!(
        (request.is_manual, request.force, request.dry_run),
        (said.is_manual, said.force, said.dry_run)
    );
}

/// The objects and the ignored records of a payload that is answered as a whole.
#[track_caller]
fn objects(payload: &Value, expected: Door) -> (Vec<Request>, Vec<(String, String)>) {
    match parse(payload).expect("understood") {
        Event::Objects { door, batch } => {
            assert_eq!(door, expected);
            let ignored = batch.ignored.into_iter().map(|one| (one.key, one.reason)).collect();
            (batch.requests, ignored)
        }
        other => panic!("taken for something else: {other:?}"),
    }
}

fn record(key: &str) -> Value {
    json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": key}}})
}

fn message(id: &str, body: &str) -> Value {
    json!({"messageId": id, "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
           "attributes": {"ApproximateReceiveCount": "2"}, "eventSourceARN": "arn:aws:sqs:eu-west-1:1:q"})
}

/// The facts' table: S3 encodes keys as forms do, the manual forms are taken as written.
#[test]
fn keys_are_decoded_as_their_door_encodes_them() {
    for (raw, notified) in [
        ("red+flower.jpg", "red flower.jpg"),
        ("a%2Bb.csv", "a+b.csv"),
        ("in%2F%E6%97%A5%E6%9C%AC+1.csv", "in/日本 1.csv"),
        ("100%25.csv", "100%.csv"),
        ("test%2Fkey", "test/key"),
        ("test/key", "test/key"),
        ("a%252Bb.csv", "a%2Bb.csv"),
        ("%2B%20%%%.png", "+ %%%.png"),
        ("..%2F..%2Fx.csv", "../../x.csv"),
        ("日本.csv", "日本.csv"),
        ("%00.csv", "\0.csv"),
    ] {
        let payload = json!({"Records": [record(raw)]});
        let (requests, _) = objects(&payload, Door::S3);
        assert_eq!(requests[0].object.key, notified, "{raw}");
        let wrapped = json!({"Records": [message("m", &payload.to_string())]});
        let Ok(Event::Messages(messages)) = parse(&wrapped) else { panic!("messages") };
        let batch = messages[0].content.as_ref().expect("understood");
        assert_eq!(batch.requests[0].object.key, notified, "{raw} in a message");
        for manual in [
            json!({"s3": format!("s3://b/{raw}")}),
            json!({"reprocess": {"objects": [format!("s3://b/{raw}")]}}),
        ] {
            let (requests, _) = objects(&manual, Door::Manual);
            assert_eq!(requests[0].object.key, raw, "as written");
        }
    }
}

#[test]
fn a_key_that_is_not_utf_8_is_an_error_and_not_another_key() {
    let error = parse(&json!({"Records": [record("a%FFb.csv")]})).expect_err("not UTF-8");
    assert_eq!(error.class(), Class::Input);
    assert!(error.message().contains("a%FFb.csv"), "{error}");
}

#[test]
fn sequencers_become_comparable_and_nonsense_orders_nothing() {
    let of = |sequencer: &str| {
        let mut record = record("k.csv");
        record["s3"]["object"]["sequencer"] = sequencer.into();
        let (requests, _) = objects(&json!({"Records": [record]}), Door::S3);
        requests[0].sequencer.clone()
    };
    assert!(of("0055AED6DCD90281E5") < of("0055AED6DCD90281E6"));
    assert!(of("0055AED6DCD90281E5") < of("0055AED6DCD91"), "a shorter one may be later");
    assert!(of("006408CAD69598B05E") < of("00643717F9F8B85354"));
    assert_eq!(of("0055AED6DCD9"), of("0055AED6DCD90000"), "padded with zeros");
    assert_eq!(of("617f08299329d189"), of("617F08299329D189"));
    assert!(of("617F08299329D189").is_some());
    assert_eq!(of("Happy Sequencer"), None);
    assert_eq!(of(""), None);
}

/// Whoever asks for removals gets the object, and not the version that went: that one cannot be read.
#[test]
fn a_removal_says_of_which_object_it_is() {
    for (name, is_removal) in [
        ("ObjectRemoved:Delete", true),
        ("s3:ObjectRemoved:DeleteMarkerCreated", true),
        ("LifecycleExpiration:Delete", true),
        ("ObjectTagging:Delete", false),
        ("ObjectRestore:Delete", false),
    ] {
        let mut record = record("in%2Fa+b.csv");
        record["eventName"] = name.into();
        record["eventTime"] = "1970-01-01T00:00:01.000Z".into();
        record["s3"]["object"]["sequencer"] = "0055aed600".into();
        record["s3"]["object"]["versionId"] = "v".into();
        let Event::Objects { batch, .. } = parse(&json!({"Records": [record]})).expect("understood") else {
            panic!("no objects")
        };
        let removal = batch.ignored[0].removal.as_deref();
        assert_eq!(removal.is_some(), is_removal, "{name}");
        let Some(removal) = removal else { continue };
        assert!(removal.is_removal);
        let said = Said { bucket: "b", key: "in/a b.csv", sequencer: Some("0055AED6"), ..Said::default() };
        assert_says(removal, &Said { event_time_ms: Some(1_000), ..said });
    }
}

#[test]
fn what_creates_no_object_is_ignored_by_name() {
    for (name, reason) in [
        ("ObjectRemoved:Delete", Some("`ObjectRemoved:Delete` creates no object")),
        ("s3:ObjectRemoved:Delete", Some("`ObjectRemoved:Delete` creates no object")),
        ("ObjectTagging:Put", Some("`ObjectTagging:Put` creates no object")),
        ("LifecycleExpiration:Delete", Some("`LifecycleExpiration:Delete` creates no object")),
        ("ObjectRestore:Completed", Some("`ObjectRestore:Completed` creates no object")),
        ("ObjectCreated:Put", None),
        ("ObjectCreated:Post", None),
        ("ObjectCreated:Copy", None),
        ("s3:ObjectCreated:CompleteMultipartUpload", None),
    ] {
        let mut record = record("k.csv");
        record["eventName"] = name.into();
        let (requests, ignored) = objects(&json!({"Records": [record]}), Door::S3);
        match reason {
            Some(reason) => {
                assert!(requests.is_empty(), "{name}");
                assert_eq!(ignored, [("k.csv".to_owned(), reason.to_owned())]);
            }
            None => assert_eq!((requests.len(), ignored.len()), (1, 0), "{name}"),
        }
    }
}

#[test]
fn only_an_empty_object_is_a_folder_marker() {
    let of = |key: &str, size: Option<u64>| {
        let mut record = record(key);
        record["s3"]["object"]["size"] = size.map_or(Value::Null, Value::from);
        let (requests, ignored) = objects(&json!({"Records": [record]}), Door::S3);
        (requests.len(), ignored.len())
    };
    assert_eq!(of("in/", Some(0)), (0, 1));
    assert_eq!(of("in/", None), (0, 1));
    assert_eq!(of("in/", Some(7)), (1, 0), "it has rows to lose");
    assert_eq!(of("in", Some(0)), (1, 0));
}

/// The `null` version of an object from before versioning is no version, quotes are no part of an ETag.
#[test]
fn versions_and_etags_are_cleaned() {
    let mut record = record("k.csv");
    record["s3"]["object"]["versionId"] = "null".into();
    record["s3"]["object"]["eTag"] = "\"abc\"".into();
    let (requests, _) = objects(&json!({"Records": [record]}), Door::S3);
    assert_says(&requests[0], &Said { bucket: "b", key: "k.csv", etag: Some("abc"), ..Said::default() });
    let mut empty = self::record("k.csv");
    empty["s3"]["object"]["versionId"] = "".into();
    empty["s3"]["object"]["eTag"] = "".into();
    let (requests, _) = objects(&json!({"Records": [empty]}), Door::S3);
    assert_says(&requests[0], &Said { bucket: "b", key: "k.csv", ..Said::default() });
}
