//! SQS by its JSON protocol, as much of it as is sent here: what a queue takes, and what it refuses.

#![allow(dead_code, unreachable_pub, reason = "every test binary includes this module and uses a part of it")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::HttpStub;

pub const ARN: &str = "arn:aws:sqs:ap-northeast-1:123456789012:loads";
/// What the service documents.
const BATCH_MESSAGES_MAX: usize = 10;
const BATCH_BYTES_MAX: usize = 1_048_576;

/// Why one message of a batch is not taken: whose fault it is, and the code.
pub type Refusal = (bool, &'static str);
type Whim = Box<dyn FnMut(&str) -> Option<Refusal> + Send>;

/// A queue that keeps what is put into it.
pub struct Sqs {
    stub: HttpStub,
    taken: Arc<Mutex<Vec<String>>>,
    whim: Arc<Mutex<Whim>>,
}

impl Sqs {
    pub fn start() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// Each call takes so long.
    pub fn slow(pause: Duration) -> Self {
        let taken = Arc::<Mutex<Vec<String>>>::default();
        let whim: Arc<Mutex<Whim>> = Arc::new(Mutex::new(Box::new(|_| None)));
        let (kept, mood) = (Arc::clone(&taken), Arc::clone(&whim));
        let stub = HttpStub::start(move |operation, input| {
            std::thread::sleep(pause);
            let url = input["QueueUrl"].as_str().expect("an address");
            if !url.ends_with("/123456789012/loads") {
                return error("QueueDoesNotExist");
            }
            match operation {
                "SendMessage" => {
                    lock(&kept).push(text(input, "MessageBody"));
                    (200, json!({"MessageId": "id", "MD5OfMessageBody": "e4e68fb7bd0e697a0ae8f1bb342846b3"}))
                }
                "SendMessageBatch" => batch(input, &kept, &mood),
                _ => (200, json!({})),
            }
        });
        Self { stub, taken, whim }
    }

    /// Asked of each message of a batch.
    pub fn refuse(&self, whim: impl FnMut(&str) -> Option<Refusal> + Send + 'static) {
        *lock(&self.whim) = Box::new(whim);
    }

    pub fn endpoint(&self) -> String {
        self.stub.endpoint()
    }

    /// Bodies of everything it took, in the order it came.
    pub fn taken(&self) -> Vec<String> {
        lock(&self.taken).clone()
    }

    /// The same as JSON, taken out.
    pub fn drain(&self) -> Vec<Value> {
        let bodies = std::mem::take(&mut *lock(&self.taken));
        bodies.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
    }

    pub fn calls(&self) -> Vec<(String, Value)> {
        self.stub.calls()
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}")).to_owned()
}

fn error(code: &str) -> (u16, Value) {
    (400, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": code}))
}

fn batch(input: &Value, taken: &Mutex<Vec<String>>, whim: &Mutex<Whim>) -> (u16, Value) {
    let entries = input["Entries"].as_array().expect("entries");
    let ids: HashSet<String> = entries.iter().map(|entry| text(entry, "Id")).collect();
    let bytes: usize = entries.iter().map(|entry| text(entry, "MessageBody").len()).sum();
    match entries.len() {
        0 => return error("EmptyBatchRequest"),
        count if count > BATCH_MESSAGES_MAX => return error("TooManyEntriesInBatchRequest"),
        count if ids.len() < count => return error("BatchEntryIdsNotDistinct"),
        _ if bytes > BATCH_BYTES_MAX => return error("BatchRequestTooLong"),
        _ => {}
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let (id, body) = (text(entry, "Id"), text(entry, "MessageBody"));
        let is_unspeakable = |c: char| c < ' ' && !"\t\n\r".contains(c) || "\u{FFFE}\u{FFFF}".contains(c);
        let refusal = lock(whim)(&body);
        let refusal =
            if body.contains(is_unspeakable) { Some((true, "InvalidMessageContents")) } else { refusal };
        match refusal {
            Some((is_sender_fault, code)) => {
                failed.push(json!({"Id": id, "SenderFault": is_sender_fault, "Code": code, "Message": code}));
            }
            None => {
                lock(taken).push(body);
                successful.push(
                    json!({"Id": id, "MessageId": "id", "MD5OfMessageBody": "e4e68fb7bd0e697a0ae8f1bb342846b3"}),
                );
            }
        }
    }
    (200, json!({"Successful": successful, "Failed": failed}))
}
