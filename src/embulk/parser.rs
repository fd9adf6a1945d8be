//! `in.parser:`: how bytes become records, and what is said of the columns.

use serde_json::Value;

use super::time::{patterns, zone};
use super::{Notes, Section, plain};

/// A line of the route's `parse:`, as YAML text.
type Member = (&'static str, String);

/// What the parser says.
#[derive(Clone, Debug, Default)]
pub(super) struct Parser {
    /// Members of `parse:`.
    pub(super) members: Vec<Member>,
    pub(super) columns: Vec<Column>,
    /// Columns have names that a header gives; otherwise their place is all there is.
    pub(super) has_header: bool,
    /// The first bad row ends the load.
    pub(super) stops: bool,
    /// Zone of times that have none.
    pub(super) timezone: Option<String>,
}

/// What is said of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) formats: Vec<String>,
    pub(super) timezone: Option<String>,
    pub(super) date: Option<String>,
    /// A path into JSON.
    pub(super) from: Option<String>,
    /// Texts that are NULL in it, where they are other than the route's.
    pub(super) null: Vec<String>,
}

pub(super) fn read(mut said: Section, notes: &mut Notes) -> Parser {
    if said.members.is_empty() {
        notes.todo(
            "in.parser",
            "is not there yet (a file for `embulk guess`): format and types are found while loading; `holoload guess SOURCE` writes them down",
        );
        return Parser { has_header: true, ..Parser::default() };
    }
    let kind = said.text("type").unwrap_or_else(|| "csv".to_owned());
    let parser = match kind.as_str() {
        "csv" => csv(&mut said, notes),
        "json" | "jsonl" => json(&mut said, &kind, notes),
        other => {
            let text = "because CSV, TSV, JSON and Parquet are read: write one of these instead";
            notes.drop("in.parser.type", format!("`{other}`, {text}"));
            said.members.clear();
            Parser { has_header: true, ..Parser::default() }
        }
    };
    said.end(notes, &format!("the parser `{kind}`"));
    parser
}

fn csv(said: &mut Section, notes: &mut Notes) -> Parser {
    let mut parser = Parser::default();
    characters(said, &mut parser, notes);
    records(said, &mut parser, notes);
    let null = null_string(said, &mut parser, notes);
    header(said, &mut parser, notes);
    faults(said, &mut parser, notes);
    columns(said, &mut parser, notes);
    if let Some(null) = null {
        // Faithful for texts; for the rest Embulk dropped rows with an ordinary empty field.
        for column in
            parser.columns.iter_mut().filter(|column| !matches!(column.kind.as_str(), "string" | "json"))
        {
            column.null = vec![null.clone(), String::new()];
        }
    }
    parser
}

fn characters(said: &mut Section, parser: &mut Parser, notes: &mut Notes) {
    let members = &mut parser.members;
    if let Some(charset) = said.text("charset") {
        members.push(("charset", text(&charset.to_lowercase())));
    }
    if said.take("newline").is_some() {
        notes.drop(
            "in.parser.newline",
            "because line ends inside quotes stay as they are in the file; Embulk rewrote them. Records end at LF, CRLF or CR",
        );
    }
    if let Some(ends) = said.text("line_delimiter_recognized") {
        members.push(("record_end", text(&ends.to_lowercase())));
    }
    let delimiter = said.text("delimiter").unwrap_or_else(|| ",".to_owned());
    if delimiter != "," {
        members.push(("delimiter", text(&delimiter)));
    }
    let quote = one(said.take("quote"), "\"");
    if quote != "\"" {
        members.push(("quote", text(&quote)));
    }
    let has_escape = said.members.contains_key("escape");
    let escape = one(said.take("escape"), "\\");
    if !has_escape {
        notes.differs(
            "in.parser.escape",
            "which was not said: Embulk's default is `\\` and it is written out here; holoload's own is the doubled quote. Without \
             quotes around it, or before another letter, `\\` stays what it is",
        );
    }
    if escape != "\"" {
        members.push(("escape", text(&escape)));
    }
    let stray = said.text("quotes_in_quoted_fields").unwrap_or_default();
    if stray == "ACCEPT_STRAY_QUOTES_ASSUMING_NO_DELIMITERS_IN_FIELDS" {
        members.push(("stray_quotes", "accept".to_owned()));
    }
    if said.is_true("trim_if_not_quoted") {
        members.push(("trim", "unquoted".to_owned()));
        notes.differs(
            "in.parser.trim_if_not_quoted",
            "tabs go as well, where Embulk took blanks (U+0020) alone",
        );
    }
    if let Some(marker) = said.text("comment_line_marker") {
        members.push(("comment", text(&marker)));
    }
}

/// A character; none where it is said to be null.
fn one(said: Option<Value>, default: &str) -> String {
    match said {
        None => default.to_owned(),
        Some(value) => plain(&value).unwrap_or_default(),
    }
}

fn null_string(said: &mut Section, parser: &mut Parser, notes: &mut Notes) -> Option<String> {
    let null = said.text("null_string")?;
    parser.members.push(("null_string", text(&null)));
    parser.members.push(("null_quoted", "true".to_owned()));
    if !null.is_empty() {
        notes.differs(
            "in.parser.null_string",
            "an empty field is '' in texts, as in Embulk, and NULL in other columns, where Embulk dropped the whole row",
        );
        return Some(null);
    }
    None
}

fn header(said: &mut Section, parser: &mut Parser, notes: &mut Notes) {
    let lines = said.number("skip_header_lines");
    let lines = if said.is_true("header_line") { Some(1) } else { lines }.unwrap_or(0);
    parser.has_header = lines > 0;
    if lines > 1 {
        parser.members.push(("skip_lines", (lines - 1).to_string()));
    }
    parser.members.push(("header", parser.has_header.to_string()));
    if parser.has_header {
        notes.differs(
            "in.parser.skip_header_lines",
            "the last line that was passed over is the header, and fields go by its names; Embulk went by position and never read it. If \
             it is no header, set `header: false` and `skip_lines`. Where its names are other than the columns', say which field each takes: \
             `columns: {name: {from: 1}}`",
        );
    }
}

fn records(said: &mut Section, parser: &mut Parser, notes: &mut Notes) {
    if said.is_true("allow_extra_columns") {
        parser.members.push(("extra_fields", "ignore".to_owned()));
    }
    if said.is_true("allow_optional_columns") {
        parser.members.push(("missing_fields", text("null")));
    }
    if let Some(limit) = said.number("max_quoted_size_limit") {
        parser.members.push(("field_bytes_max", limit.to_string()));
        notes.differs("in.parser.max_quoted_size_limit", "counts bytes, where Embulk counted characters");
    }
}

fn faults(said: &mut Section, parser: &mut Parser, notes: &mut Notes) {
    parser.stops = said.is_true("stop_on_invalid_record");
    if !parser.stops {
        notes.differs(
            "in.parser.stop_on_invalid_record",
            "false: Embulk dropped bad rows with a line in the log and exit code 0. Here they are kept in a reject object (set `rejects:`), \
             counted, and too many fail the object; without `rejects:` the first bad row does",
        );
    }
    notes.differs(
        "in.parser.charset",
        "bytes that do not decode make their row a reject; Embulk loaded U+FFFD in their place",
    );
}

fn columns(said: &mut Section, parser: &mut Parser, notes: &mut Notes) {
    let read_zone =
        |said: Option<String>, option: &str, notes: &mut Notes| said.map(|name| zone(option, &name, notes));
    parser.timezone = read_zone(said.text("default_timezone"), "in.parser.default_timezone", notes);
    let format = said.text("default_timestamp_format");
    let formats =
        format.map_or_else(Vec::new, |format| patterns("in.parser.default_timestamp_format", &format, notes));
    let date = said.text("default_date");
    let Some(Value::Array(listed)) = said.take("columns") else { return };
    for (at, column) in listed.into_iter().enumerate() {
        let path = format!("in.parser.columns[{at}]");
        let Ok(mut one) = Section::new(&path, Some(column)) else { continue };
        let name = one.text("name").unwrap_or_default();
        if parser.columns.iter().any(|column| column.name == name) {
            notes.drop(&path, format!("because there is a column `{name}` already"));
            continue;
        }
        let kind = one.text("type").unwrap_or_else(|| "string".to_owned());
        let mut column = Column { from: one.text("element_at"), name, kind, ..Column::default() };
        if column.kind == "timestamp" {
            column.formats = match one.text("format") {
                Some(own) => patterns(&one.named("format"), &own, notes),
                None => formats.clone(),
            };
            column.timezone = read_zone(one.text("timezone"), &one.named("timezone"), notes);
            column.date = one.text("date").or_else(|| date.clone());
        } else {
            let why = "because the column is no `timestamp`, and Embulk did not look at it either";
            one.drop_all(notes, &[("format", why), ("timezone", why), ("date", why)]);
        }
        one.end(notes, "a column");
        of_kind(&column, notes);
        parser.columns.push(column);
    }
}

fn of_kind(column: &Column, notes: &mut Notes) {
    match column.kind.as_str() {
        "boolean" => notes.differs(
            "in.parser.columns.type: boolean",
            "a word that is neither true nor false (t, yes, on, 1; f, no, off, 0) is a reject; Embulk took it for false",
        ),
        "double" => notes.differs(
            "in.parser.columns.type: double",
            "types are the table's: numeric columns keep every digit, where Embulk went through a double",
        ),
        "long" => notes.differs(
            "in.parser.columns.type: long",
            "types are the table's: 12.5 in an integer column is a reject with its line, and nothing becomes NULL",
        ),
        "timestamp" => notes.differs(
            "in.parser.columns.type: timestamp",
            "times are read with daylight saving and stored as they are; local times that do not exist, or exist twice, are rejects",
        ),
        _ => {}
    }
}

fn json(said: &mut Section, kind: &str, notes: &mut Notes) -> Parser {
    let mut parser = Parser { has_header: true, ..Parser::default() };
    let root = said.text("root").filter(|root| !root.is_empty() && root != "/");
    let is_array = said.is_true("flatten_json_array") || root.is_some();
    let format = if is_array { "json" } else { "jsonl" };
    parser.members.push(("format", format.to_owned()));
    if let Some(root) = root {
        parser.members.push(("root", text(&root)));
    }
    if let Some(charset) = said.text("charset") {
        parser.members.push(("charset", text(&charset.to_lowercase())));
    }
    if kind == "json" {
        notes.differs(
            "in.parser.type",
            "each member fills the column of its name; Embulk made one column `record` of the whole",
        );
    }
    said.drop_all(
        notes,
        &[
            ("invalid_string_escapes", "because text that is no JSON is a reject"),
            ("min_rows_for_guess", "use `holoload guess --sample-bytes`"),
            ("default_typecast", "because types are the table's"),
            ("newline", "because records end at LF, CRLF or CR"),
        ],
    );
    faults(said, &mut parser, notes);
    columns(said, &mut parser, notes);
    parser
}

/// A YAML text that is one whatever stands in it.
pub(super) fn text(said: &str) -> String {
    let is_word = said.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && said.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/'));
    let is_taken = matches!(
        said.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    if is_word && !is_taken { said.to_owned() } else { Value::from(said).to_string() }
}
