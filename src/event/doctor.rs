//! `{"doctor": true}` and `{"doctor": {"s3": "s3://bucket/key"}}`.

use serde_json::Value;

use super::{Event, known_members, text};
use crate::error::{Error, Result};
use crate::object::ObjectRef;

/// Reads what is to be looked at.
pub(super) fn request(payload: &Value, asked: &Value) -> Result<Event> {
    known_members(payload, &["doctor"])?;
    match asked {
        Value::Bool(true) => Ok(Event::Doctor(None)),
        Value::Object(_) => {
            known_members(asked, &["s3"])?;
            let address = text(asked, "s3")?;
            let object = address.as_deref().map(ObjectRef::parse_s3).transpose()?;
            Ok(Event::Doctor(object))
        }
        _ => Err(Error::input("read the event: `doctor` must be true or an object")
            .with_hint("write {\"doctor\": true} or {\"doctor\": {\"s3\": \"s3://bucket/key\"}}")),
    }
}
