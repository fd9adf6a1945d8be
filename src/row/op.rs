//! The field that says whether a row was inserted, updated or deleted.

use super::{Reason, Refusal};
use crate::decode::Record;

/// Where it stands, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Index of the field.
    pub field: usize,
    /// The word for a new row.
    pub insert: Vec<u8>,
    /// The word for a changed row.
    pub update: Vec<u8>,
    /// The word for a row that is gone.
    pub delete: Vec<u8>,
    /// Such a row is deleted; otherwise it is written with a mark of its own.
    pub deletes: bool,
}

impl Marks {
    pub(super) fn says_delete(&self, record: &Record<'_>) -> Result<bool, Refusal> {
        let word = record.field(self.field).map(|field| field.bytes).unwrap_or_default();
        if word == self.delete {
            return Ok(true);
        }
        if word == self.insert || word == self.update {
            return Ok(false);
        }
        Err(Refusal { slot: None, reason: Reason::Operation })
    }
}
