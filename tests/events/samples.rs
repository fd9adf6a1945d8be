//! `events/*.json`: one payload for each way in, as its sender writes it.

use holoload::event::Selection;

use super::{Door, Event, Said, Value, assert_says, objects, parse};

pub(super) fn sample(name: &str) -> Value {
    let path = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(super) const BOOK_ORDER: Said = Said {
    bucket: "bob-embulk-demo",
    key: "original-data/book_order.csv",
    version_id: None,
    etag: Some("d41d8cd98f00b204e9800998ecf8427e"),
    size: Some(697_000),
    sequencer: Some("0055AED6DCD90281E5"),
    event_time_ms: Some(1_772_357_415_123),
    is_manual: false,
    force: false,
    dry_run: false,
};

#[test]
fn every_sample_is_understood() {
    let folder = format!("{}/events", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"))
        .collect();
    names.sort_unstable();
    for name in &names {
        let stem = name.strip_suffix(".json").unwrap_or_else(|| panic!("{name} is no payload"));
        assert!(parse(&sample(stem)).is_ok(), "{name}");
    }
    // Each is compared in a test of its own, here or beside.
    let compared = [
        "batch-operations-1.0.json",
        "batch-operations-2.0.json",
        "continuation.json",
        "dead-letter.json",
        "doctor.json",
        "eventbridge-delete.json",
        "eventbridge-in-sqs.json",
        "eventbridge.json",
        "failure-record-in-sqs.json",
        "failure-record.json",
        "manual-if-exists.json",
        "manual-version.json",
        "manual.json",
        "reprocess-failed.json",
        "reprocess-handed-on.json",
        "reprocess-missing.json",
        "reprocess-window.json",
        "reprocess.json",
        "s3-delete.json",
        "s3-folder-marker.json",
        "s3-minimal.json",
        "s3-minio.json",
        "s3-test-event.json",
        "s3.json",
        "schedule.json",
        "sns-in-sqs.json",
        "sns.json",
        "sqs.json",
        "step-functions-batch.json",
        "step-functions-inventory.json",
        "step-functions-item.json",
    ];
    assert_eq!(names, compared);
}

/// What one invocation writes the next one reads.
#[test]
fn continuation() {
    let (requests, ignored) = objects(&sample("continuation"), Door::Continuation);
    assert_eq!((requests.len(), ignored.len()), (1, 0));
    assert_says(&requests[0], &BOOK_ORDER);
    let handed_on = requests[0].continuation.expect("a continuation");
    assert_eq!((handed_on.hop, handed_on.offset), (2, 348_160));
    let request = &requests[0];
    let written = holoload::event::continuation(request, &request.object, &request.version, 2, 348_160);
    assert_eq!(written, sample("continuation"));
    for broken in [serde_json::json!({"continue": {}}), serde_json::json!({"continue": "here"})] {
        let error = parse(&broken).expect_err("no continuation");
        assert!(error.hint().is_some_and(|hint| hint.contains("goes on where it was left")), "{error}");
    }
}

#[test]
fn doctor() {
    let wanted = holoload::object::ObjectRef::parse_s3("s3://bob-embulk-demo/original-data/book_order.csv");
    let asked = |payload: &Value| match parse(payload) {
        Ok(Event::Doctor(object)) => object,
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(&sample("doctor")), wanted.ok());
    assert_eq!(asked(&serde_json::json!({"doctor": true})), None);
}

#[test]
fn s3() {
    let (requests, ignored) = objects(&sample("s3"), Door::S3);
    assert_eq!((requests.len(), ignored.len()), (2, 0));
    assert_says(&requests[0], &BOOK_ORDER);
    assert_says(
        &requests[1],
        &Said {
            key: "encryption-data/2026-03/注文 1+2.csv",
            version_id: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko"),
            etag: Some("9b2cf535f27731c974343645a3985328-64"),
            size: Some(1 << 30),
            sequencer: Some("0055AED6DCD9028A"),
            event_time_ms: Some(1_772_357_416_000),
            ..BOOK_ORDER
        },
    );
}

#[test]
fn s3_test_event() {
    let (requests, ignored) = objects(&sample("s3-test-event"), Door::S3);
    assert!(requests.is_empty());
    let reason = "s3:TestEvent, sent when a notification is configured";
    assert_eq!(ignored, [("s3:TestEvent".to_owned(), reason.to_owned())]);
}

#[test]
fn s3_delete() {
    let (requests, ignored) = objects(&sample("s3-delete"), Door::S3);
    assert!(requests.is_empty());
    let reason = "`ObjectRemoved:DeleteMarkerCreated` creates no object";
    assert_eq!(ignored, [("original-data/book_order.csv".to_owned(), reason.to_owned())]);
}

#[test]
fn s3_folder_marker() {
    let (requests, ignored) = objects(&sample("s3-folder-marker"), Door::S3);
    assert!(requests.is_empty());
    let reason = "a folder marker (key ends in `/`, size 0)";
    assert_eq!(ignored, [("original-data/2026-04/".to_owned(), reason.to_owned())]);
}

#[test]
fn s3_minio() {
    let (requests, ignored) = objects(&sample("s3-minio"), Door::S3);
    assert_eq!((requests.len(), ignored.len()), (1, 0));
    assert_says(&requests[0], &Said { sequencer: Some("17A8E3F5B2C4D96"), ..BOOK_ORDER });
}

#[test]
fn s3_minimal() {
    let (requests, ignored) = objects(&sample("s3-minimal"), Door::S3);
    assert_eq!((requests.len(), ignored.len()), (1, 0));
    assert_says(&requests[0], &Said { bucket: BOOK_ORDER.bucket, key: BOOK_ORDER.key, ..Said::default() });
}

#[test]
fn sqs() {
    let Ok(Event::Messages(messages)) = parse(&sample("sqs")) else { panic!("messages") };
    let ids: Vec<_> = messages.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "059f36b4-87a3-44ab-83d2-661975830a7d",
            "2e1424d4-f796-459a-8184-9c92662be6da",
            "b5a5c0de-5a7c-4d8a-9a40-1f4a2f1f0c11"
        ]
    );
    let counts: Vec<_> = messages.iter().map(|message| message.receive_count).collect();
    assert_eq!(counts, [1, 3, 5]);
    for message in &messages {
        assert_eq!(message.queue_arn.as_deref(), Some("arn:aws:sqs:ap-northeast-1:123456789012:holoload"));
        assert!(message.receipt_handle.is_some());
    }
    let first = messages[0].content.as_ref().expect("S3's notification");
    assert_eq!((first.requests.len(), first.ignored.len()), (1, 0));
    assert_says(&first.requests[0], &BOOK_ORDER);
    let second = messages[1].content.as_ref().expect("the test event");
    assert!(second.requests.is_empty());
    assert_eq!(second.ignored[0].key, "s3:TestEvent");
    let third = messages[2].content.as_ref().expect_err("not JSON");
    assert_eq!(third.message(), "read the event: the SQS message body is not JSON");
    assert!(third.hint().is_some_and(|hint| hint.contains("\"Records\"")), "{third:?}");
}

#[test]
fn manual() {
    let (requests, ignored) = objects(&sample("manual"), Door::Manual);
    assert_eq!((requests.len(), ignored.len()), (1, 0));
    let said = Said { bucket: BOOK_ORDER.bucket, key: BOOK_ORDER.key, is_manual: true, ..Said::default() };
    assert_says(&requests[0], &said);
}

#[test]
fn manual_version() {
    let (requests, _) = objects(&sample("manual-version"), Door::Manual);
    let said = Said {
        bucket: BOOK_ORDER.bucket,
        key: "original-data/100%25 a+b 注文.csv",
        version_id: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko"),
        is_manual: true,
        force: true,
        dry_run: true,
        ..Said::default()
    };
    assert_says(&requests[0], &said);
}

#[test]
fn reprocess() {
    let (requests, ignored) = objects(&sample("reprocess"), Door::Manual);
    assert_eq!((requests.len(), ignored.len()), (2, 0));
    let first = Said {
        bucket: BOOK_ORDER.bucket,
        key: BOOK_ORDER.key,
        is_manual: true,
        force: true,
        ..Said::default()
    };
    assert_says(&requests[0], &first);
    assert_says(&requests[1], &Said { key: "encryption-data/book_order.csv", ..first });
}

#[test]
fn manual_if_exists() {
    let (requests, _) = objects(&sample("manual-if-exists"), Door::Manual);
    let said = Said {
        bucket: BOOK_ORDER.bucket,
        key: BOOK_ORDER.key,
        is_manual: true,
        force: true,
        ..Said::default()
    };
    assert_says(&requests[0], &said);
    assert!(requests[0].may_be_gone);
    let (requests, _) = objects(&sample("manual"), Door::Manual);
    assert!(!requests[0].may_be_gone, "somebody named it");
}

#[track_caller]
fn selection(name: &str) -> Selection {
    match parse(&sample(name)) {
        Ok(Event::Reprocess(selection)) => selection,
        other => panic!("taken for something else: {other:?}"),
    }
}

fn under(prefix: &str) -> Selection {
    Selection { bucket: BOOK_ORDER.bucket.to_owned(), prefix: prefix.to_owned(), ..Selection::default() }
}

#[test]
fn reprocess_failed() {
    let expected = Selection { failed: true, within_hours: Some(24), ..Selection::default() };
    assert_eq!(selection("reprocess-failed"), expected);
    assert!(expected.is_of_ledger());
}

#[test]
fn reprocess_missing() {
    let expected = Selection { missing: true, within_hours: Some(48), ..under("original-data/") };
    assert_eq!(selection("reprocess-missing"), expected);
}

#[test]
fn reprocess_window() {
    let expected = Selection {
        modified_after_ms: Some(1_772_323_200_000),
        modified_before_ms: Some(1_774_969_200_000),
        limit: Some(500),
        force: true,
        dry_run: true,
        ..under("original-data/2026-03/")
    };
    assert_eq!(selection("reprocess-window"), expected);
}

/// What one invocation writes the next one reads, as a message or by itself.
#[test]
fn reprocess_handed_on() {
    let payload = sample("reprocess-handed-on");
    let read = selection("reprocess-handed-on");
    assert_eq!(
        read.start_after.as_ref().map(|start| start.key.as_str()),
        Some("original-data/2026-03/注文 1+2.csv")
    );
    assert_eq!((read.hop, read.limit), (3, Some(1_200)));
    assert_eq!(read.payload(), payload);
    let message = super::message("m", &payload.to_string());
    let Ok(Event::Messages(messages)) = parse(&serde_json::json!({"Records": [message]})) else {
        panic!("messages")
    };
    assert_eq!(messages[0].content.as_ref().expect("understood").sweeps, [read]);
}
