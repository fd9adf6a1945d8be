//! A guess as JSON.

use serde_json::{Value, json};

use super::Guess;
use crate::inflate::Compression;

impl Guess {
    /// All of it; whoever knows where the sample is from adds `source`.
    pub fn json(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .zip(super::ddl::sql_names(&self.columns))
            .map(|(column, sql_name)| {
                let mut shown = json!({
                    "name": column.name,
                    "column": sql_name,
                    "type": column.kind.sql(),
                    "format": column.formats,
                    "timezone": column.timezone,
                    "nullable": column.nullable,
                    "unique": column.is_unique,
                    "sure": round(column.sure),
                    "evidence": column.evidence,
                });
                if let Value::Object(members) = &mut shown {
                    let mut add = |name: &str, value: Option<Value>| {
                        value.map(|value| members.insert(name.to_owned(), value));
                    };
                    add("epoch", column.epoch.map(Value::from));
                    add("thousands", column.thousands.map(|mark| mark.to_string().into()));
                    add("decimal", column.decimal.map(|mark| mark.to_string().into()));
                    add("full_width", column.full_width.then_some(true.into()));
                    add("null", (!column.nulls.is_empty()).then(|| json!(column.nulls)));
                }
                shown
            })
            .collect();
        let notes: Vec<Value> =
            self.notes.iter().map(|note| json!({"column": note.column, "text": note.text})).collect();
        json!({
            "format": self.format.name(),
            "charset": self.charset,
            "compression": self.compression.map_or("none", Compression::name),
            "root": self.root,
            "delimiter": self.delimiter,
            "quote": self.quote,
            "escape": self.escape,
            "stray_quotes": self.has_stray_quotes,
            "newline": self.newline.name(),
            "header": self.header,
            "skip_lines": self.skip_lines,
            "comment": self.comment,
            "null_string": self.null_strings,
            "null_quoted": self.null_quoted,
            "trim": self.trim.name(),
            "trailing_delimiter": self.has_last_delimiter,
            "columns": columns,
            "notes": notes,
            "row_count": self.row_count,
            "odd_count": self.odd_count,
            "sure": round(self.sure),
        })
    }
}

fn round(sure: f64) -> f64 {
    (sure * 100.0).round() / 100.0
}
