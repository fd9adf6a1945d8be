//! A guess as a route of holoload's settings, with what it rests on in comments.

use super::ddl::{one_line, sql_names};
use super::{ColumnGuess, Format, Guess, Trim, Type};
use crate::error::counted;
use crate::table::TableName;

/// A text in YAML: in double quotes, so that it is a text whatever it looks like.
fn text(value: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            letter if is_escaped(letter) => {
                let code = u32::from(letter);
                quoted.push_str(&format!("\\U{code:08x}"));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// What YAML does not take as it is, or shows as nothing.
fn is_escaped(letter: char) -> bool {
    let is_noncharacter = u32::from(letter) & 0xfffe == 0xfffe;
    letter.is_control() || is_noncharacter || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn texts(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("[{}]", values.join(", "))
}

/// A glob that matches this address alone. `${` would be a variable.
fn glob(source: &str) -> String {
    let mut glob = String::new();
    for letter in source.chars() {
        match letter {
            '*' | '?' | '[' | ']' | '{' | '}' => {
                glob.push('[');
                glob.push(letter);
                glob.push(']');
            }
            letter => glob.push(letter),
        }
    }
    glob
}

/// The name of a table for a file: its own, without what stands behind the first point.
pub(super) fn table_of(source: &str) -> String {
    let stem = source.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let name: String = super::ddl::sql_name(stem).to_lowercase();
    if stem.is_empty() || stem == "-" { "my_table".to_owned() } else { name }
}

impl Guess {
    /// A route for `source` (an address or a path) that `settings` reads as it is. Without a table it is named after
    /// the file.
    pub fn yaml(&self, source: &str, table: Option<&str>) -> String {
        let mut out = String::new();
        let mut comment = |line: &str| out.push_str(&format!("# {}\n", one_line(line)));
        comment(&format!(
            "Guessed from {}; how sure it is, from 0 to 1: {:.2}",
            counted(self.row_count, "row"),
            self.sure
        ));
        for note in &self.notes {
            comment(&format!("- {}", note.message()));
        }
        let table = match table {
            Some(table) => table.to_owned(),
            None => format!("public.{}", table_of(source)),
        };
        out.push_str("routes:\n");
        out.push_str(&format!("  - object: {}\n", text(&glob(source))));
        out.push_str(&format!("    table: {}\n", text(&quoted_table(&table))));
        out.push_str("    parse:\n");
        for (key, value) in self.parse_lines() {
            out.push_str(&format!("      {key}: {value}\n"));
        }
        self.column_lines(&mut out);
        out
    }

    /// What a load would not find out by itself, the live table and the file before it; none where it needs no settings.
    pub fn unsaid(&self) -> Option<String> {
        let mut words: Vec<&str> = Vec::new();
        if self.format == Format::Csv {
            words.extend(self.parse_lines().into_iter().filter_map(|(key, _)| match key {
                "delimiter" if self.delimiter == "," => None,
                "quote" if self.quote == "\"" => None,
                "escape" if self.escape == "\"" => None,
                "format" | "charset" | "compression" | "newline" | "header" => None,
                "null_string" if self.null_strings == [""] => None,
                key => Some(key),
            }));
        }
        if !self.root.is_empty() {
            words.push("root");
        }
        let ruled = self.columns.iter().filter(|column| column.has_rules());
        words.extend(ruled.map(|column| column.name.as_str()));
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn parse_lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("format", self.format.name().to_owned()), ("charset", text(&self.charset))];
        let compression = self.compression.map_or("none", crate::inflate::Compression::name);
        lines.push(("compression", compression.to_owned()));
        match self.format {
            Format::Parquet => return vec![("format", "parquet".to_owned())],
            Format::Jsonl => return lines,
            Format::Json => {
                if !self.root.is_empty() {
                    lines.push(("root", text(&self.root)));
                }
                return lines;
            }
            Format::Csv => {}
        }
        lines.push(("delimiter", text(&self.delimiter)));
        lines.push(("quote", text(&self.quote)));
        if !self.quote.is_empty() {
            lines.push(("escape", text(&self.escape)));
        }
        if self.has_stray_quotes {
            lines.push(("stray_quotes", "accept".to_owned()));
        }
        lines.push(("newline", self.newline.name().to_owned()));
        lines.push(("header", self.header.to_string()));
        if self.has_padded_header {
            lines.push(("header_match", "relaxed".to_owned()));
        }
        if self.skip_lines > 0 {
            lines.push(("skip_lines", self.skip_lines.to_string()));
        }
        if !self.comment.is_empty() {
            lines.push(("comment", text(&self.comment)));
        }
        if self.trim != Trim::None {
            lines.push(("trim", self.trim.name().to_owned()));
        }
        if !self.null_strings.is_empty() {
            lines.push(("null_string", texts(&self.null_strings)));
        }
        if self.null_quoted {
            lines.push(("null_quoted", "true".to_owned()));
        }
        if self.has_last_delimiter {
            lines.push(("trailing_delimiter", "true".to_owned()));
        }
        if self.has_extra_fields {
            lines.push(("extra_fields", "empty".to_owned()));
        }
        lines
    }

    fn column_lines(&self, out: &mut String) {
        if self.columns.is_empty() {
            return;
        }
        out.push_str("    columns:\n");
        let names = sql_names(&self.columns);
        for (index, (column, name)) in self.columns.iter().zip(&names).enumerate() {
            let from = if !self.header || column.is_numbered {
                Some((index + 1).to_string())
            } else if *name == column.name {
                None
            } else if !column.name.contains("${") {
                Some(text(&column.name))
            } else {
                // It would be read as a variable.
                (self.format == Format::Csv).then(|| (index + 1).to_string())
            };
            let remark = one_line(&column.evidence.join("; "));
            let unsure = if column.sure < 0.7 { " (not sure)" } else { "" };
            let rule = rule(column, from);
            out.push_str(&format!("      {}: {{{rule}}}  # {remark}{unsure}\n", text(name)));
        }
    }
}

fn rule(column: &ColumnGuess, from: Option<String>) -> String {
    let mut parts = Vec::new();
    if let Some(from) = from {
        parts.push(format!("from: {from}"));
    }
    let kind = column.kind.sql();
    parts.push(if matches!(column.kind, Type::Numeric { limits: Some(_) }) {
        format!("type: {}", text(&kind))
    } else {
        format!("type: {kind}")
    });
    match column.formats.as_slice() {
        [] => {}
        [one] => parts.push(format!("format: {}", text(one))),
        many => parts.push(format!("format: {}", texts(many))),
    }
    if let Some(zone) = &column.timezone {
        parts.push(format!("timezone: {}", text(zone)));
    }
    if let Some(epoch) = column.epoch {
        parts.push(format!("epoch: {epoch}"));
    }
    if let Some(mark) = column.thousands {
        parts.push(format!("thousands: {}", text(&mark.to_string())));
    }
    if let Some(mark) = column.decimal {
        parts.push(format!("decimal: {}", text(&mark.to_string())));
    }
    if column.full_width {
        parts.push("full_width: true".to_owned());
    }
    if !column.nulls.is_empty() {
        parts.push(format!("null: {}", texts(&column.nulls)));
    }
    parts.join(", ")
}

/// A table name that was given as it is, or one that needs quotes.
fn quoted_table(table: &str) -> String {
    match TableName::parse(table) {
        Ok(_) => table.to_owned(),
        Err(_) => crate::table::quote(table),
    }
}
