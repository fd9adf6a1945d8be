//! `EventBridge`: S3's own events (S3 user guide, "`EventBridge` event message structure"), failure records on a bus, and
//! whatever else a rule may let through.
//!
//! Keys are as stored, not URL-encoded; member names are in kebab-case, and it is `etag`.

use serde_json::Value;

use super::{Batch, Ignored, form_decoded, instant_ms, is_marker};
use crate::error::{Error, Result};
use crate::object::{ObjectRef, ObjectVersion, Request, Sequencer};

pub(super) fn is_event(payload: &Value) -> bool {
    payload.get("detail-type").is_some_and(Value::is_string)
        && payload.get("source").is_some_and(Value::is_string)
}

/// What the event holds; `read` understands a payload that stands in its detail.
pub(super) fn content(event: &Value, read: impl FnOnce(&Value) -> Result<Batch>) -> Result<Batch> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let (source, kind) = (text("source"), text("detail-type"));
    let detail = event.get("detail").unwrap_or(&Value::Null);
    match source {
        "aws.s3" if kind == "Object Created" || kind == "Object Deleted" => of_object(event, detail, kind),
        "aws.s3" if kind.starts_with("AWS API Call") => Ok(Batch::ignoring(
            kind,
            "an API call seen by CloudTrail: switch EventBridge on in the bucket's notifications, which sends `Object Created`",
        )),
        "aws.s3" => {
            let key = detail.pointer("/object/key").and_then(Value::as_str).unwrap_or(kind);
            Ok(Batch::ignoring(key, format!("`{kind}` creates no object")))
        }
        // A function's failure destination may be a bus: the record is the detail.
        "lambda" if detail.get("requestPayload").is_some() => read(detail),
        "aws.events" | "aws.scheduler" => Ok(Batch::ignoring(
            kind,
            "a schedule says what to do in its input, e.g. {\"reprocess\": {\"prefix\": \"s3://bucket/\", \"missing\": true}}",
        )),
        _ if source.starts_with("aws.") => {
            Ok(Batch::ignoring(kind, format!("an event of `{source}`, which is none of S3's")))
        }
        // Somebody's own bus: the detail is what they would have sent.
        _ => read(detail),
    }
}

fn of_object(event: &Value, detail: &Value, kind: &str) -> Result<Batch> {
    let text = |name: &str| detail.pointer(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let missing =
        |name: &str| Error::input(format!("read the EventBridge event: `detail.{name}` is missing"));
    let bucket = text("/bucket/name").ok_or_else(|| missing("bucket.name"))?;
    let key = text("/object/key").ok_or_else(|| missing("object.key"))?;
    let size = detail.pointer("/object/size").and_then(Value::as_u64);
    let request = Request {
        other_key: other_key(key),
        version: ObjectVersion {
            version_id: text("/object/version-id").filter(|id| *id != "null").map(str::to_owned),
            etag: text("/object/etag").map(|etag| etag.trim_matches('"').to_owned()),
            size,
            last_modified_ms: None,
        },
        sequencer: text("/object/sequencer").and_then(Sequencer::canonical),
        event_time_ms: event.get("time").and_then(Value::as_str).and_then(instant_ms),
        is_manual: false,
        ..Request::manual(ObjectRef { bucket: bucket.to_owned(), key: key.to_owned() })
    };
    if kind == "Object Deleted" {
        // The version that such an event names is the one that went, or a delete marker.
        let removal =
            Request { other_key: None, version: ObjectVersion::default(), is_removal: true, ..request };
        let reason = format!("`{kind}` creates no object");
        let ignored = vec![Ignored { key: key.to_owned(), reason, removal: Some(Box::new(removal)) }];
        return Ok(Batch { ignored, ..Batch::default() });
    }
    if is_marker(key, size) {
        return Ok(Batch::ignoring(key, super::MARKER));
    }
    Ok(Batch { requests: vec![request], ..Batch::default() })
}

/// Some S3-compatible stores and relays send the key encoded, as in notifications.
fn other_key(key: &str) -> Option<String> {
    if !key.contains(['%', '+']) {
        return None;
    }
    form_decoded(key).filter(|decoded| decoded != key)
}
