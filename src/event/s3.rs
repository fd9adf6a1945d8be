//! S3 notification records (S3 user guide, "Event message structure", major version 2).

use percent_encoding::percent_decode;
use serde_json::Value;

use super::{Batch, Ignored, MARKER, form_decoded, instant_ms, is_marker};
use crate::error::{Error, Result};
use crate::object::{ObjectRef, ObjectVersion, Request, Sequencer};

/// Whether a record is an S3 notification; S3-compatible stores write other sources, all have `s3`.
pub(super) fn is_record(record: &Value) -> bool {
    record.get("s3").is_some_and(Value::is_object)
}

/// The object of a record, or why it is passed over.
pub(super) fn record(record: &Value) -> Result<Batch> {
    known_version(record)?;
    let bucket = record.pointer("/s3/bucket/name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let bucket = bucket.ok_or_else(|| Error::input("read the S3 record: `s3.bucket.name` is missing"))?;
    let raw_key = record.pointer("/s3/object/key").and_then(Value::as_str).filter(|key| !key.is_empty());
    let raw_key = raw_key.ok_or_else(|| Error::input("read the S3 record: `s3.object.key` is missing"))?;
    let key = decode_key(raw_key)?;
    let object = record.pointer("/s3/object");
    let size = object.and_then(|object| object.get("size")).and_then(Value::as_u64);

    let event_name = record.get("eventName").and_then(Value::as_str).unwrap_or("ObjectCreated:Put");
    let event_name = event_name.strip_prefix("s3:").unwrap_or(event_name);
    let member = |name: &str| object.and_then(|object| object.get(name)).and_then(Value::as_str);
    let sequencer = member("sequencer").and_then(Sequencer::canonical);
    let event_time_ms = record.get("eventTime").and_then(Value::as_str).and_then(instant_ms);
    if !event_name.starts_with("ObjectCreated:") {
        let reason = format!("`{event_name}` creates no object");
        // The version that such an event names is the one that went, or a delete marker: none that could be read.
        let removal = is_removal(event_name).then(|| Request {
            sequencer,
            event_time_ms,
            is_manual: false,
            is_removal: true,
            ..Request::manual(ObjectRef { bucket: bucket.to_owned(), key: key.clone() })
        });
        let ignored = vec![Ignored { key, reason, removal: removal.map(Box::new) }];
        return Ok(Batch { ignored, ..Batch::default() });
    }
    if is_marker(&key, size) {
        return Ok(Batch::ignoring(&key, MARKER));
    }

    let request = Request {
        object: ObjectRef { bucket: bucket.to_owned(), key },
        other_key: other_key(raw_key),
        version: ObjectVersion {
            version_id: member("versionId").filter(|id| !id.is_empty() && *id != "null").map(str::to_owned),
            etag: member("eTag")
                .map(|etag| etag.trim_matches('"').to_owned())
                .filter(|etag| !etag.is_empty()),
            size,
            last_modified_ms: None,
        },
        sequencer,
        event_time_ms,
        is_manual: false,
        may_be_gone: false,
        is_removal: false,
        force: false,
        dry_run: false,
        continuation: None,
    };
    Ok(Batch { requests: vec![request], ..Batch::default() })
}

/// Members keep their meaning within a major version of the structure, says the user guide; there is one so far.
fn known_version(record: &Value) -> Result<()> {
    let version = record.get("eventVersion").and_then(Value::as_str).unwrap_or("2.0");
    if version.split('.').next() == Some("2") {
        return Ok(());
    }
    Err(Error::input(format!(
        "read the S3 record: its `eventVersion` is {version}, and 2.x is what is known"
    ))
    .with_hint("a newer holoload may read it"))
}

/// By a person, or by a rule of the bucket when its time had come.
fn is_removal(event_name: &str) -> bool {
    event_name.starts_with("ObjectRemoved:") || event_name.starts_with("LifecycleExpiration:")
}

/// Keys in S3 notifications are form-urlencoded.
fn decode_key(raw: &str) -> Result<String> {
    form_decoded(raw).ok_or_else(|| {
        Error::input(format!("decode the object key `{raw}`: it is not UTF-8"))
            .with_hint("S3 keys are UTF-8; send the key form-urlencoded, as S3 does")
    })
}

/// Some S3-compatible stores percent-encode keys and leave `+` as it is.
fn other_key(raw: &str) -> Option<String> {
    if !raw.contains('+') {
        return None;
    }
    percent_decode(raw.as_bytes()).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::decode_key;

    #[test]
    fn keys_decode_as_forms_do() {
        for (raw, key) in [
            ("red+flower.jpg", "red flower.jpg"),
            ("a%2Bb.csv", "a+b.csv"),
            ("in%2F%E6%97%A5%E6%9C%AC+1.csv", "in/日本 1.csv"),
            ("100%25.csv", "100%.csv"),
            ("test%2Fkey", "test/key"),
            ("plain/key.csv", "plain/key.csv"),
        ] {
            assert_eq!(decode_key(raw).expect("UTF-8"), key);
        }
        assert!(decode_key("%FF.csv").is_err());
    }
}
