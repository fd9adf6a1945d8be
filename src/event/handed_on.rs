//! What an invocation says to the next one, which goes on with its load: `{"continue": {…}}`, read and written here.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::object::{Continuation, ObjectRef, ObjectVersion, Request, Sequencer};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct HandedOn {
    s3: String,
    version_id: Option<String>,
    etag: Option<String>,
    size: Option<u64>,
    sequencer: Option<String>,
    event_time_ms: Option<i64>,
    #[serde(default)]
    is_manual: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    if_exists: bool,
    #[serde(default)]
    force: bool,
    hop: u32,
    offset: u64,
}

/// The payload with which the next invocation goes on with the version of the object that was read, from byte `offset` on. How far the
/// load is, and with what header, it finds in the ledger.
pub fn continuation(
    request: &Request,
    object: &ObjectRef,
    read: &ObjectVersion,
    hop: u32,
    offset: u64,
) -> Value {
    let handed_on = HandedOn {
        s3: object.address(),
        version_id: read.version_id.clone(),
        etag: read.etag.clone(),
        size: request.version.size,
        sequencer: request.sequencer.as_ref().map(|sequencer| sequencer.as_str().to_owned()),
        event_time_ms: request.event_time_ms,
        is_manual: request.is_manual,
        if_exists: request.may_be_gone,
        force: request.force,
        hop,
        offset,
    };
    json!({ "continue": handed_on })
}

pub(super) fn request(value: &Value) -> Result<Request> {
    let refuse = |source: serde_json::Error| {
        Error::input("read the event: `continue` is what an invocation of holoload writes")
            .with_source(source)
            .with_hint(
                "to load an object by hand send {\"s3\": \"s3://bucket/key\"}: it goes on where it was left",
            )
    };
    let handed_on = HandedOn::deserialize(value).map_err(refuse)?;
    Ok(Request {
        object: ObjectRef::parse_s3(&handed_on.s3)?,
        other_key: None,
        version: ObjectVersion {
            version_id: handed_on.version_id,
            etag: handed_on.etag,
            size: handed_on.size,
            last_modified_ms: None,
        },
        sequencer: handed_on.sequencer.as_deref().and_then(Sequencer::canonical),
        event_time_ms: handed_on.event_time_ms,
        is_manual: handed_on.is_manual,
        may_be_gone: handed_on.if_exists,
        force: handed_on.force,
        dry_run: false,
        is_removal: false,
        continuation: Some(Continuation { hop: handed_on.hop, offset: handed_on.offset }),
    })
}
