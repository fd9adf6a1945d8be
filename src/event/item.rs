//! Items of a Step Functions Map state, as its readers hand them over (Step Functions developer guide, "ItemReader"):
//! rows of an S3 inventory or of a CSV manifest, entries of a listing, one by one or batched by `ItemBatcher`.
//!
//! An item that its state has shaped into `{"s3": "s3://bucket/key"}` is a manual request.

use serde_json::Value;

use super::{Batch, Ignored, MARKER, flag, form_decoded, is_marker, manual, unrecognised};
use crate::error::{Error, Result};
use crate::object::{ObjectRef, Request};

/// One entry, or a batch of them.
pub(super) fn is_item(payload: &Value) -> bool {
    is_entry(payload) || payload.get("Items").is_some_and(Value::is_array)
}

fn is_entry(value: &Value) -> bool {
    let has = |name: &str| value.get(name).is_some_and(Value::is_string);
    has("Key") || has("bucket") && has("key")
}

/// The objects that an item names; of a batch the bucket may stand in `BatchInput`.
pub(super) fn content(payload: &Value) -> Result<Batch> {
    let Some(items) = payload.get("Items").and_then(Value::as_array) else {
        let mut batch = Batch::default();
        entry(payload, None, &mut batch)?;
        return Ok(batch);
    };
    if items.is_empty() {
        return Err(unrecognised("`Items` is empty"));
    }
    let shared = payload.get("BatchInput");
    Batch::of_parts(items.iter().map(|item| match item.get("s3").and_then(Value::as_str) {
        Some(address) => manual(item, address).map(|(_, batch)| batch),
        None if is_entry(item) => {
            let mut batch = Batch::default();
            entry(item, shared, &mut batch).map(|()| batch)
        }
        None => Err(unrecognised("an item names no object")),
    }))
}

fn entry(item: &Value, shared: Option<&Value>, batch: &mut Batch) -> Result<()> {
    let of = |value: &Value, name: &str| {
        let named = value.get(name).or_else(|| value.get(name.to_lowercase()));
        named.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let bucket = of(item, "Bucket").or_else(|| of(shared?, "Bucket"));
    let bucket = bucket.ok_or_else(|| {
        Error::input("read the map item: it names no bucket").with_hint(
            "let the state's ItemSelector make {\"s3\": \"s3://bucket/key\"} of it, or {\"Bucket\": …, \"Key\": …}",
        )
    })?;
    let raw = of(item, "Key").ok_or_else(|| Error::input("read the map item: its `Key` is empty"))?;
    let key = if is_inventory(item) { decoded(&raw)? } else { raw };
    // CSV files have them as text, other sources as what they are.
    let says = |name: &str, truth: bool| {
        let is_word = |said: String| said.eq_ignore_ascii_case(if truth { "true" } else { "false" });
        of(item, name).is_some_and(is_word) || item.get(name).and_then(Value::as_bool) == Some(truth)
    };
    if says("IsDeleteMarker", true) {
        batch.ignored.push(Ignored { key, reason: "a delete marker".to_owned(), removal: None });
        return Ok(());
    }
    if says("IsLatest", false) {
        let reason = "not the newest version of its object".to_owned();
        batch.ignored.push(Ignored { key, reason, removal: None });
        return Ok(());
    }
    let size = item.get("Size");
    let size = size.and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
    if is_marker(&key, size) {
        batch.ignored.push(Ignored { key, reason: MARKER.to_owned(), removal: None });
        return Ok(());
    }
    let asks = |name: &str| {
        Ok::<bool, Error>(flag(item, name)? || shared.map_or(Ok(false), |shared| flag(shared, name))?)
    };
    let mut request = Request::manual(ObjectRef { bucket, key });
    // As an inventory, a manual request and a notification call it: overlooked, another version would be loaded.
    let version_id = ["VersionId", "version_id", "versionId"].into_iter().find_map(|name| of(item, name));
    request.version.version_id = version_id.filter(|id| id != "null");
    request.may_be_gone = asks("if_exists")?;
    request.force = asks("force")?;
    request.dry_run = asks("dry_run")?;
    batch.requests.push(request);
    Ok(())
}

/// Rows of an inventory are text throughout, and have columns that nothing else has.
fn is_inventory(item: &Value) -> bool {
    let has = |name: &str| item.get(name).is_some();
    has("Bucket")
        && (has("IsLatest")
            || has("IsDeleteMarker")
            || has("LastModifiedDate")
            || item.get("Size").is_some_and(Value::is_string))
}

/// Keys in inventories are URL-encoded (S3 user guide, "Amazon S3 Inventory list").
fn decoded(raw: &str) -> Result<String> {
    form_decoded(raw).ok_or_else(|| {
        Error::input(format!("decode the object key `{raw}`: it is not UTF-8"))
            .with_hint("keys in an inventory are URL-encoded UTF-8")
    })
}
