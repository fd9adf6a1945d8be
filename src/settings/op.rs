//! `write: {op: …}`: the field of a record that says what becomes of its row.

use serde::Deserialize;
use serde_json::Value;

/// How change files name their operations (AWS DMS writes `I`, `U` and `D` into a first column `Op`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpSettings {
    /// The field's name in the header.
    pub column: Option<String>,
    /// Its place in the record, from 1, for files without a header.
    pub field: Option<usize>,
    /// The row is new.
    pub insert: String,
    /// The row has changed.
    pub update: String,
    /// The row is gone.
    pub delete: String,
}

impl Default for OpSettings {
    fn default() -> Self {
        Self {
            column: None,
            field: None,
            insert: "I".to_owned(),
            update: "U".to_owned(),
            delete: "D".to_owned(),
        }
    }
}

/// A name alone stands for a column with the usual letters.
pub(super) fn op<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<OpSettings>, D::Error> {
    use serde::de::Error as _;
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(column) => Ok(Some(OpSettings { column: Some(column), ..OpSettings::default() })),
        said @ Value::Object(_) => serde_json::from_value(said).map(Some).map_err(D::Error::custom),
        _ => Err(D::Error::custom("`op` must be a column's name, or {column, insert, update, delete}")),
    }
}
