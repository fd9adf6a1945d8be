//! Any payload to objects, or to an explicit "ignored, because".
//!
//! The payload is parsed to a JSON value first and the door decided from its shape, since the typed events of
//! `aws_lambda_events` accept each other's payloads (every field of `SqsEvent` has a default) and refuse what
//! people write by hand. Keys are decoded as their door encodes them: S3 notifications are form-urlencoded
//! (`+` is a space), Batch Operations percent-encode, `EventBridge` and the manual forms are taken as written.

use percent_encoding::percent_decode;
use serde_json::Value;

use crate::error::{Error, Result, nearest};
use crate::object::{FOLDER_MARKER as MARKER, ObjectRef, Request};

mod bridge;
mod doctor;
mod handed_on;
mod item;
mod job;
mod queue;
mod reprocess;
mod s3;
mod sns;

pub use handed_on::continuation;
pub use job::{Job, Task};
pub use queue::Message;
pub use reprocess::{Selection, WITHIN_HOURS_MAX, manual_message, moment_ms};

/// How deep envelopes may stand inside each other: S3 in SNS in SQS is 3, and a failure record of that 4.
const NESTING_MAX: usize = 4;

/// The way a payload came in; it decides the shape of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// An S3 notification, invoked asynchronously.
    S3,
    /// A topic, asynchronously.
    Sns,
    /// A rule of a bus, asynchronously.
    EventBridge,
    /// A batch of SQS messages.
    Sqs,
    /// A task of S3 Batch Operations.
    BatchOperations,
    /// A person, a script or a state machine.
    Manual,
    /// An earlier invocation, which did not get to the object's end.
    Continuation,
    /// The record of an invocation that failed, sent back by hand or by a destination.
    FailureRecord,
}

impl Door {
    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sns => "sns",
            Self::EventBridge => "eventbridge",
            Self::Sqs => "sqs",
            Self::BatchOperations => "batch_operations",
            Self::Manual => "manual",
            Self::Continuation => "continuation",
            Self::FailureRecord => "failure_record",
        }
    }

    /// Nobody waits for the answer; an error makes Lambda try again, and ends in the failure destination.
    pub fn is_asynchronous(self) -> bool {
        matches!(self, Self::S3 | Self::Sns | Self::EventBridge | Self::Continuation | Self::FailureRecord)
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
    /// Objects that are still to be found.
    pub sweeps: Vec<Selection>,
    /// Nobody waits for the reports: many of them may be handed to the queue.
    pub may_be_queued: bool,
}

impl Batch {
    /// One record that is passed over.
    fn ignoring(key: &str, reason: impl Into<String>) -> Self {
        let ignored = vec![Ignored { key: key.to_owned(), reason: reason.into(), removal: None }];
        Self { ignored, ..Self::default() }
    }

    fn absorb(&mut self, other: Self) {
        self.requests.extend(other.requests);
        self.ignored.extend(other.ignored);
        self.unreadable.extend(other.unreadable);
        self.sweeps.extend(other.sweeps);
        self.may_be_queued |= other.may_be_queued;
    }

    /// Whatever the parts hold.
    ///
    /// # Errors
    /// The first one, where nothing at all is understood: the payload itself is what was not.
    fn of_parts(parts: impl IntoIterator<Item = Result<Self>>) -> Result<Self> {
        let (mut all, mut is_understood) = (Self::default(), false);
        for part in parts {
            match part {
                Ok(batch) => {
                    is_understood = true;
                    all.absorb(batch);
                }
                Err(error) => all.unreadable.push(error),
            }
        }
        if is_understood || all.unreadable.is_empty() { Ok(all) } else { Err(all.unreadable.remove(0)) }
    }
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
    /// Tasks of S3 Batch Operations, answered one by one.
    Job(Job),
    /// Whatever stands under a prefix, or failed.
    Reprocess(Selection),
    /// Is everything as a load needs it, perhaps one of this object?
    Doctor(Option<ObjectRef>),
}

/// Decides the door and reads what it carries.
///
/// # Errors
/// `Input`, naming the accepted shapes, for anything that is not recognised.
pub fn parse(payload: &Value) -> Result<Event> {
    let with_way_out = |error: Error| match error.hint() {
        Some(_) => error,
        None => {
            error.with_hint("compare the event with the samples in `events/`; docs/events.md has every shape")
        }
    };
    understand(payload).map_err(with_way_out)
}

fn understand(payload: &Value) -> Result<Event> {
    let mut payload = payload;
    let mut depth = 1;
    // Unwrapped, a failure record is the original: nobody waits for the answer that its messages or its task had.
    while let Some(original) = failed(payload) {
        (payload, depth) = (original, depth + 1);
        within_nesting(depth)?;
    }
    if depth == 1 && job::is_job(payload) {
        return Ok(Event::Job(job::job(payload)));
    }
    if depth == 1 && records(payload).first().is_some_and(queue::is_record) {
        return queue::messages(records(payload), depth).map(Event::Messages);
    }
    if let Some(asked) = payload.get("doctor") {
        return doctor::request(payload, asked);
    }
    let (door, mut batch) = objects(payload, depth)?;
    let is_alone = batch.requests.is_empty() && batch.ignored.is_empty() && batch.sweeps.len() == 1;
    if let Some(selection) = batch.sweeps.pop_if(|_| is_alone) {
        return Ok(Event::Reprocess(selection));
    }
    // It takes an invocation, and an answer, of its own.
    batch.unreadable.extend(batch.sweeps.drain(..).map(|_| {
        Error::input("read the event: a request to sweep stands beside other records")
            .with_hint("send {\"reprocess\": …} by itself")
    }));
    Ok(Event::Objects { door: if depth > 1 { Door::FailureRecord } else { door }, batch })
}

/// The payload of an invocation that failed, out of the record that Lambda sends to a failure destination (Lambda
/// developer guide, "Capturing records of Lambda asynchronous invocations").
fn failed(payload: &Value) -> Option<&Value> {
    payload.get("requestContext")?;
    payload.get("requestPayload").filter(|_| !is_success_record(payload))
}

fn is_success_record(payload: &Value) -> bool {
    let condition = payload.pointer("/requestContext/condition").and_then(Value::as_str);
    condition == Some("Success") && payload.get("requestPayload").is_some()
}

fn records(payload: &Value) -> &[Value] {
    payload.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn within_nesting(depth: usize) -> Result<()> {
    if depth > NESTING_MAX {
        return Err(Error::input(format!("read the event: envelopes are nested deeper than {NESTING_MAX}"))
            .with_hint("send the innermost event by itself"));
    }
    Ok(())
}

fn objects(payload: &Value, depth: usize) -> Result<(Door, Batch)> {
    within_nesting(depth)?;
    let inner = |payload: &Value| objects(payload, depth + 1).map(|(_, batch)| batch);
    if job::is_job(payload) {
        let tasks = job::job(payload).tasks;
        return Ok((Door::S3, Batch::of_parts(tasks.into_iter().map(|task| task.content))?));
    }
    if is_success_record(payload) {
        let reason = "the record of an invocation that succeeded";
        return Ok((Door::S3, Batch::ignoring("destination record", reason)));
    }
    if let Some(original) = failed(payload) {
        return objects(original, depth + 1);
    }
    if bridge::is_event(payload) {
        return Ok((Door::EventBridge, bridge::content(payload, inner)?));
    }
    if payload.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        let reason = "s3:TestEvent, sent when a notification is configured";
        return Ok((Door::S3, Batch::ignoring("s3:TestEvent", reason)));
    }
    if sns::is_envelope(payload) {
        return Ok((Door::Sns, sns::content(payload, inner)?));
    }
    if payload.get("Records").is_some_and(Value::is_array) {
        return of_records(records(payload), depth);
    }
    if let Some(source) =
        payload.get("eventSource").and_then(Value::as_str).filter(|source| is_foreign(source))
    {
        return Ok((Door::S3, Batch::ignoring(source, foreign(source))));
    }
    by_hand(payload)
}

/// Records of one service; which one, the first says.
fn of_records(records: &[Value], depth: usize) -> Result<(Door, Batch)> {
    let inner = |payload: &Value| objects(payload, depth + 1).map(|(_, batch)| batch);
    let Some(first) = records.first() else { return Err(unrecognised("`Records` is empty")) };
    if queue::is_record(first) {
        let messages = queue::messages(records, depth)?;
        return Ok((Door::Sqs, Batch::of_parts(messages.into_iter().map(|message| message.content))?));
    }
    if sns::is_record(first) {
        let parts = records.iter().map(|record| sns::content(record.get("Sns").unwrap_or(record), inner));
        return Ok((Door::Sns, Batch::of_parts(parts)?));
    }
    if records.iter().all(s3::is_record) {
        return Ok((Door::S3, Batch::of_parts(records.iter().map(s3::record))?));
    }
    let source = |record: &'_ Value| {
        record
            .get("eventSource")
            .and_then(Value::as_str)
            .filter(|source| is_foreign(source))
            .map(str::to_owned)
    };
    match source(first) {
        Some(name) if records.iter().all(|record| source(record).is_some()) => {
            Ok((Door::S3, Batch::ignoring(&name, foreign(&name))))
        }
        _ => Err(unrecognised("`Records` holds something else than S3, SQS or SNS records")),
    }
}

/// Another AWS service, by the names that services give themselves in records.
fn is_foreign(source: &str) -> bool {
    source.starts_with("aws:") && !matches!(source, "aws:s3" | "aws:sqs" | "aws:sns")
}

fn foreign(source: &str) -> String {
    format!("records of `{source}`, which tell of no object")
}

/// What people, scripts, state machines and earlier invocations write.
fn by_hand(payload: &Value) -> Result<(Door, Batch)> {
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
        return reprocess::request(request);
    }
    if item::is_item(payload) {
        return Ok((Door::Manual, item::content(payload)?));
    }
    Err(unrecognised("the payload has none of the members that name a door"))
}

fn unrecognised(what: &str) -> Error {
    Error::input(format!("read the event: {what}")).with_hint(
        "accepted are an S3 notification {\"Records\": [{\"eventSource\": \"aws:s3\", …}]}, the same in SQS messages, in SNS or in a \
         failure record, EventBridge's {\"source\": \"aws.s3\", \"detail-type\": \"Object Created\", …}, S3 Batch Operations \
         {\"job\": …, \"tasks\": […]}, {\"s3\": \"s3://bucket/key\"} and {\"reprocess\": {\"objects\": [\"s3://bucket/key\"]}}",
    )
}

/// Whether a key stands for a folder: consoles make such objects.
fn is_marker(key: &str, size: Option<u64>) -> bool {
    key.ends_with('/') && size.unwrap_or(0) == 0
}

/// A key as forms encode it: `+` is a space, the rest percent-encoded UTF-8.
fn form_decoded(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn instant_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

fn manual(payload: &Value, address: &str) -> Result<(Door, Batch)> {
    known_members(payload, &["s3", "version_id", "force", "dry_run", "if_exists"])?;
    let mut request = Request::manual(ObjectRef::parse_s3(address)?);
    request.version.version_id = text(payload, "version_id")?;
    request.force = flag(payload, "force")?;
    request.dry_run = flag(payload, "dry_run")?;
    request.may_be_gone = flag(payload, "if_exists")?;
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
