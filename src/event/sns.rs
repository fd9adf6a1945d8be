//! SNS: the event stands as text in the envelope's `Message`, whether a topic invokes the function or fills its queue
//! (SNS developer guide, "Parsing message formats"; raw delivery has no envelope).

use serde_json::Value;

use super::{Batch, unrecognised};
use crate::error::{Error, Result};

/// Whether a record of `Records` came from a topic.
pub(super) fn is_record(record: &Value) -> bool {
    record.get("Sns").is_some_and(Value::is_object)
}

/// Whether the payload is what a topic puts into a queue.
pub(super) fn is_envelope(payload: &Value) -> bool {
    let of = |name: &str| payload.get(name).and_then(Value::as_str);
    let kind = of("Type").is_some_and(|kind| {
        matches!(kind, "Notification" | "SubscriptionConfirmation" | "UnsubscribeConfirmation")
    });
    kind && (of("TopicArn").is_some() || of("Message").is_some())
}

/// What an envelope or the `Sns` of a record holds; `read` understands the event in it.
pub(super) fn content(envelope: &Value, read: impl FnOnce(&Value) -> Result<Batch>) -> Result<Batch> {
    let kind = envelope.get("Type").and_then(Value::as_str).unwrap_or("Notification");
    if kind != "Notification" {
        let reason = format!("an SNS `{kind}` tells of no object: confirm the subscription at the topic");
        return Ok(Batch::ignoring(kind, reason));
    }
    let text = envelope.get("Message").and_then(Value::as_str);
    let text = text.ok_or_else(|| Error::input("read the SNS notification: it has no `Message`"))?;
    let message = serde_json::from_str(text).map_err(|_| unrecognised("the SNS message is not JSON"))?;
    read(&message)
}
