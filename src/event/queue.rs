//! SQS: messages, each with a verdict of its own.

use aws_lambda_events::event::sqs::SqsMessage;
use serde_json::Value;

use super::{Batch, objects, unrecognised};
use crate::error::{Error, Result};

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

pub(super) fn is_record(record: &Value) -> bool {
    record.get("eventSource").and_then(Value::as_str) == Some("aws:sqs")
}

/// The messages of a delivery.
///
/// # Errors
/// For a message without an id: the queue could not be told of it, so the whole delivery must come back.
pub(super) fn messages(records: &[Value], depth: usize) -> Result<Vec<Message>> {
    records.iter().map(|record| message(record, depth)).collect()
}

fn message(record: &Value, depth: usize) -> Result<Message> {
    let message: SqsMessage = serde_json::from_value(record.clone())
        .map_err(|source| Error::input("read an SQS message").with_source(source))?;
    let id = message.message_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::input("read an SQS message: it has no `messageId`"))?;
    let receive_count =
        message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let body = message.body.unwrap_or_default();
    let content = serde_json::from_str::<Value>(&body)
        .map_err(|_| unrecognised("the SQS message body is not JSON"))
        .and_then(|body| objects(&body, depth + 1))
        .map(|(_, batch)| batch);
    Ok(Message {
        id,
        receipt_handle: message.receipt_handle,
        queue_arn: message.event_source_arn,
        receive_count,
        content,
    })
}
