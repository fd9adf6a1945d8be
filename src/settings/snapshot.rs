//! What `mode: snapshot` adds to how rows are written.

use serde::Deserialize;

/// What the rows of an object replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The rows that earlier versions of the same object had loaded.
    #[default]
    Object,
    /// All rows of the table.
    Table,
}

/// What becomes of the rows of an object that was removed from its bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Removal {
    /// They stay.
    #[default]
    Keep,
    /// They are deleted.
    Delete,
}
