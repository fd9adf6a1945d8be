//! Any payload to objects, or to an explicit "ignored, because".
//!
//! The payload is parsed to a JSON value first and the door decided from its shape, since the typed events of
//! `aws_lambda_events` accept each other's payloads (every field of `SqsEvent` has a default) and refuse what
//! people write by hand. Keys are decoded as their door encodes them: S3 notifications are form-urlencoded
//! (`+` is a space), manual forms are taken as written.

use aws_lambda_events::event::sqs::SqsMessage;
use serde_json::Value;

use crate::error::{Error, Result, nearest};
use crate::object::{ObjectRef, Request};

mod doctor;
mod handed_on;
mod reprocess;
mod s3;

pub use handed_on::continuation;
pub use reprocess::{Selection, moment_ms};

/// How deep envelopes may stand inside each other (S3 in SNS in SQS is 3).
const NESTING_MAX: usize = 4;

/// The way a payload came in; it decides the shape of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// An S3 notification, invoked asynchronously.
    S3,
    /// A batch of SQS messages.
    Sqs,
    /// A person, a script or a state machine.
    Manual,
    /// An earlier invocation, which did not get to the object's end.
    Continuation,
}

impl Door {
    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sqs => "sqs",
            Self::Manual => "manual",
            Self::Continuation => "continuation",
        }
    }
}

/// A record that is recognised but not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The key, or a word for what stood in its place.
    pub key: String,
    /// Why.
    pub reason: String,
    /// What a route may ask for all the same: the removal of an object.
    pub removal: Option<Box<Request>>,
}

/// Objects to load and records that are none of ours.
#[derive(Debug, Default)]
pub struct Batch {
    /// What to load, in the order of the payload.
    pub requests: Vec<Request>,
    /// What is passed over.
    pub ignored: Vec<Ignored>,
    /// Records that name no object; the others are loaded all the same.
    pub unreadable: Vec<Error>,
}

/// One SQS message.
#[derive(Debug)]
pub struct Message {
    /// `messageId`, to be named in the answer.
    pub id: String,
    /// Needed to change its visibility.
    pub receipt_handle: Option<String>,
    /// ARN of the queue.
    pub queue_arn: Option<String>,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// What it holds, or why that is not understood.
    pub content: Result<Batch>,
}

/// A payload, understood.
#[derive(Debug)]
pub enum Event {
    /// Objects from one delivery.
    Objects {
        /// The way they came.
        door: Door,
        /// What they are.
        batch: Batch,
    },
    /// Messages that are answered one by one.
    Messages(Vec<Message>),
    /// Whatever stands under a prefix.
    Reprocess(Selection),
    /// Is everything as a load needs it, perhaps one of this object?
    Doctor(Option<ObjectRef>),
}

/// Decides the door and reads what it carries.
///
/// # Errors
/// `Input`, naming the accepted shapes, for anything that is not recognised.
pub fn parse(payload: &Value) -> Result<Event> {
    if first_record(payload).is_some_and(|record| record.get("eventSource") == Some(&"aws:sqs".into())) {
        return messages(payload).map(Event::Messages);
    }
    if reprocess::is_selection(payload) {
        return reprocess::selection(payload);
    }
    if let Some(asked) = payload.get("doctor") {
        return doctor::request(payload, asked);
    }
    let (door, batch) = objects(payload, 1)?;
    Ok(Event::Objects { door, batch })
}

fn first_record(payload: &Value) -> Option<&Value> {
    payload.get("Records")?.as_array()?.first()
}

fn objects(payload: &Value, depth: usize) -> Result<(Door, Batch)> {
    if depth > NESTING_MAX {
        return Err(Error::input(format!("read the event: envelopes are nested deeper than {NESTING_MAX}")));
    }
    if payload.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        let reason = "s3:TestEvent, sent when a notification is configured".to_owned();
        let ignored = vec![Ignored { key: "s3:TestEvent".to_owned(), reason, removal: None }];
        return Ok((Door::S3, Batch { ignored, ..Batch::default() }));
    }
    if let Some(records) = payload.get("Records").and_then(Value::as_array) {
        if records.iter().all(s3::is_record) && !records.is_empty() {
            let mut batch = s3::records(records);
            // Nothing in it is an object: the payload itself is what was not understood.
            if batch.unreadable.len() == records.len() {
                return Err(batch.unreadable.remove(0));
            }
            return Ok((Door::S3, batch));
        }
        return Err(unrecognised("`Records` holds something else than S3 or SQS records"));
    }
    if let Some(address) = payload.get("s3").and_then(Value::as_str) {
        return manual(payload, address);
    }
    if let Some(handed_on) = payload.get("continue") {
        known_members(payload, &["continue"])?;
        let batch = Batch { requests: vec![handed_on::request(handed_on)?], ..Batch::default() };
        return Ok((Door::Continuation, batch));
    }
    if let Some(request) = payload.get("reprocess") {
        // `force` beside it instead of inside would do nothing, in silence.
        known_members(payload, &["reprocess"])?;
        return reprocess::objects(request);
    }
    Err(unrecognised("the payload has none of the members that name a door"))
}

fn unrecognised(what: &str) -> Error {
    Error::input(format!("read the event: {what}")).with_hint(
        "accepted are an S3 notification {\"Records\": [{\"eventSource\": \"aws:s3\", …}]}, SQS messages that hold one, \
         {\"s3\": \"s3://bucket/key\"} and {\"reprocess\": {\"objects\": [\"s3://bucket/key\"]}}",
    )
}

fn messages(payload: &Value) -> Result<Vec<Message>> {
    let records = payload.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    records.iter().map(message).collect()
}

fn message(record: &Value) -> Result<Message> {
    let message: SqsMessage = serde_json::from_value(record.clone())
        .map_err(|source| Error::input("read an SQS message").with_source(source))?;
    let id = message.message_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::input("read an SQS message: it has no `messageId`"))?;
    let receive_count =
        message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let body = message.body.unwrap_or_default();
    let content = serde_json::from_str::<Value>(&body)
        .map_err(|_| unrecognised("the SQS message body is not JSON"))
        .and_then(|body| objects(&body, 2))
        .map(|(_, batch)| batch);
    Ok(Message {
        id,
        receipt_handle: message.receipt_handle,
        queue_arn: message.event_source_arn,
        receive_count,
        content,
    })
}

fn manual(payload: &Value, address: &str) -> Result<(Door, Batch)> {
    known_members(payload, &["s3", "version_id", "force", "dry_run"])?;
    let mut request = Request::manual(ObjectRef::parse_s3(address)?);
    request.version.version_id = text(payload, "version_id")?;
    request.force = flag(payload, "force")?;
    request.dry_run = flag(payload, "dry_run")?;
    Ok((Door::Manual, Batch { requests: vec![request], ..Batch::default() }))
}

fn known_members(object: &Value, known: &[&str]) -> Result<()> {
    let members = object.as_object().ok_or_else(|| unrecognised("a member is not an object"))?;
    for name in members.keys() {
        if !known.contains(&name.as_str()) {
            let error = Error::input(format!("read the event: `{name}` is not known here"));
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("known are {}", known.join(", "))),
            });
        }
    }
    Ok(())
}

fn flag(object: &Value, name: &str) -> Result<bool> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Error::input(format!("read the event: `{name}` must be true or false"))),
    }
}

fn text(object: &Value, name: &str) -> Result<Option<String>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.clone())),
        Some(_) => Err(Error::input(format!("read the event: `{name}` must be text"))),
    }
}
