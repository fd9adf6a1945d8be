//! `parse:`: how an object's bytes become records.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `auto`, or a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderRule {
    /// The first record decides.
    #[default]
    Auto,
    /// The first record is the header.
    Present,
    /// The first record is data; columns go by position.
    Absent,
}

/// When a header's name and a column's are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderMatch {
    /// When they are the same text.
    #[default]
    Exact,
    /// When they differ in case, width, composition (NFKC) or surrounding blanks alone.
    Relaxed,
}

/// What becomes of a quote inside a quoted field that is neither escaped nor followed by a delimiter or line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StrayQuotes {
    /// The record is a reject.
    #[default]
    Refuse,
    /// The quote is data.
    Accept,
}

/// What an empty line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmptyLines {
    /// No record.
    #[default]
    Skip,
    /// A record with one empty field.
    Record,
}

/// The line end that a file uses. For people and for writing: records end at any all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Newline {
    /// Not said.
    #[default]
    Auto,
    /// U+000A.
    Lf,
    /// U+000D U+000A.
    Crlf,
    /// U+000D.
    Cr,
}

/// Where records end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordEnd {
    /// At LF, CRLF or CR, in any mixture.
    #[default]
    Any,
    /// At LF; a CR is data.
    Lf,
    /// At CRLF; a CR or LF alone is data.
    Crlf,
    /// At CR; an LF is data.
    Cr,
}

/// Which fields lose the blanks around them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trim {
    /// None.
    #[default]
    None,
    /// Fields without quotes, U+0020 and tab.
    Unquoted,
    /// All fields, also U+3000 and U+00A0.
    All,
}

/// What becomes of a record with more fields than the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraFields {
    /// It is a reject.
    #[default]
    Refuse,
    /// It is a reject unless the surplus fields are empty, without quotes; those go nowhere.
    Empty,
    /// The surplus fields go nowhere.
    Ignore,
}

/// What becomes of a record with fewer fields than the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingFields {
    /// It is a reject.
    #[default]
    Refuse,
    /// The last columns are NULL.
    Null,
}

/// How bytes become records.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParseSettings {
    /// `auto`, `csv`, `tsv`, `jsonl`, `json` or `parquet`.
    pub format: String,
    /// `auto`, or the name of a charset.
    pub charset: String,
    /// `auto`, `none`, `gzip`, `zstd` or `bzip2`.
    pub compression: String,
    /// Whether the first record is a header.
    #[serde(deserialize_with = "header_rule")]
    pub header: HeaderRule,
    /// When a header's name is a column's.
    pub header_match: HeaderMatch,
    /// 1 to 8 bytes; unless said a comma, for `tsv` a tab.
    pub delimiter: Option<String>,
    /// One character, or empty for none.
    pub quote: String,
    /// One character; the quote itself means that a quote is doubled.
    pub escape: String,
    /// It works outside quotes as well.
    pub escape_unquoted: bool,
    /// Quotes inside quoted fields.
    pub stray_quotes: StrayQuotes,
    /// The line end that the file uses.
    pub newline: Newline,
    /// Where records end.
    pub record_end: RecordEnd,
    /// Lines that begin with it are no records; empty for none.
    pub comment: String,
    /// Physical lines to pass over at the beginning.
    pub skip_lines: u64,
    /// What an empty line is.
    pub empty_lines: EmptyLines,
    /// A delimiter at the end of a record starts no field.
    pub trailing_delimiter: bool,
    /// Blanks around fields.
    pub trim: Trim,
    /// An unquoted field that equals one of them is NULL.
    #[serde(deserialize_with = "null_string")]
    pub null_string: Vec<String>,
    /// So is a quoted one.
    pub null_quoted: bool,
    /// The longest quoted field, in bytes; a longer one makes its record a reject.
    #[serde(deserialize_with = "bytes_max")]
    pub field_bytes_max: Option<u32>,
    /// Records with more fields than the first one.
    pub extra_fields: ExtraFields,
    /// Records with fewer.
    #[serde(deserialize_with = "missing_fields")]
    pub missing_fields: MissingFields,
    /// Format `json`: a JSON pointer to the array.
    pub root: String,
}

impl Default for ParseSettings {
    fn default() -> Self {
        Self {
            format: "auto".to_owned(),
            charset: "auto".to_owned(),
            compression: "auto".to_owned(),
            header: HeaderRule::Auto,
            header_match: HeaderMatch::Exact,
            delimiter: None,
            quote: "\"".to_owned(),
            escape: "\"".to_owned(),
            escape_unquoted: false,
            stray_quotes: StrayQuotes::Refuse,
            newline: Newline::Auto,
            record_end: RecordEnd::Any,
            comment: String::new(),
            skip_lines: 0,
            empty_lines: EmptyLines::Skip,
            trailing_delimiter: false,
            trim: Trim::None,
            null_string: vec![String::new()],
            null_quoted: false,
            field_bytes_max: None,
            extra_fields: ExtraFields::Refuse,
            missing_fields: MissingFields::Refuse,
            root: String::new(),
        }
    }
}

fn header_rule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderRule, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(true) => Ok(HeaderRule::Present),
        Value::Bool(false) => Ok(HeaderRule::Absent),
        Value::String(word) if word == "auto" => Ok(HeaderRule::Auto),
        _ => Err(D::Error::custom("`header` must be auto, true or false")),
    }
}

/// `null` without quotes is what YAML reads as nothing.
fn missing_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MissingFields, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(MissingFields::Null),
        Value::String(word) if word == "null" => Ok(MissingFields::Null),
        Value::String(word) if word == "refuse" => Ok(MissingFields::Refuse),
        _ => Err(D::Error::custom("`missing_fields` must be refuse or null")),
    }
}

/// A text, or a list of texts.
fn null_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let said = match Value::deserialize(deserializer)? {
        Value::Array(items) => items,
        one => vec![one],
    };
    let text = |item| match item {
        Value::String(text) => Ok(text),
        Value::Null => Err(D::Error::invalid_type(Unexpected::Other("null"), &"a string")),
        Value::Bool(_) => Err(D::Error::invalid_type(Unexpected::Other("boolean"), &"a string")),
        Value::Number(_) => Err(D::Error::invalid_type(Unexpected::Other("number"), &"a string")),
        _ => Err(D::Error::invalid_type(Unexpected::Other("a block"), &"a string or a list of strings")),
    };
    said.into_iter().map(text).collect()
}

/// `none`, or a number of bytes.
fn bytes_max<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let said = Value::deserialize(deserializer)?;
    let bytes = said.as_u64().filter(|bytes| *bytes > 0).and_then(|bytes| u32::try_from(bytes).ok());
    match (bytes, said.as_str()) {
        (Some(bytes), _) => Ok(Some(bytes)),
        (None, Some("none")) => Ok(None),
        (None, _) => Err(D::Error::custom("`field_bytes_max` must be `none` or a number of bytes from 1 on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ParseSettings, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let said = read(
            r#"{"format":"csv","charset":"utf-8","compression":"none","header":true,"header_match":"relaxed",
            "delimiter":"||","quote":"'","escape":"\\","escape_unquoted":true,"stray_quotes":"accept","newline":"crlf","record_end":"lf",
            "comment":"--","skip_lines":2,"empty_lines":"record","trailing_delimiter":true,"trim":"all","null_string":["","\\N"],"null_quoted":true,
            "field_bytes_max":131072,"extra_fields":"ignore","missing_fields":"null","root":"/data"}"#,
        );
        let expected = ParseSettings {
            format: "csv".to_owned(),
            charset: "utf-8".to_owned(),
            compression: "none".to_owned(),
            header: HeaderRule::Present,
            header_match: HeaderMatch::Relaxed,
            delimiter: Some("||".to_owned()),
            quote: "'".to_owned(),
            escape: "\\".to_owned(),
            escape_unquoted: true,
            stray_quotes: StrayQuotes::Accept,
            newline: Newline::Crlf,
            record_end: RecordEnd::Lf,
            comment: "--".to_owned(),
            skip_lines: 2,
            empty_lines: EmptyLines::Record,
            trailing_delimiter: true,
            trim: Trim::All,
            null_string: vec![String::new(), "\\N".to_owned()],
            null_quoted: true,
            field_bytes_max: Some(131_072),
            extra_fields: ExtraFields::Ignore,
            missing_fields: MissingFields::Null,
            root: "/data".to_owned(),
        };
        assert_eq!(said, Ok(expected));
        assert_eq!(read("{}"), Ok(ParseSettings::default()));
    }

    #[test]
    fn a_null_string_is_a_text_or_a_list() {
        let nulls = |json: &str| read(json).map(|said| said.null_string);
        assert_eq!(nulls(r#"{"null_string":"NULL"}"#), Ok(vec!["NULL".to_owned()]));
        assert_eq!(nulls(r#"{"null_string":[]}"#), Ok(Vec::new()));
        for wrong in ["null", "1", "true", "[null]", "{}", "[[]]"] {
            let message = nulls(&format!(r#"{{"null_string":{wrong}}}"#)).expect_err(wrong);
            assert!(message.starts_with("invalid type: "), "{wrong}: {message}");
        }
    }

    #[test]
    fn missing_fields_may_be_null_in_two_ways() {
        let missing = |json: &str| read(json).map(|said| said.missing_fields);
        assert_eq!(missing(r#"{"missing_fields":null}"#), Ok(MissingFields::Null));
        assert_eq!(missing(r#"{"missing_fields":"null"}"#), Ok(MissingFields::Null));
        assert_eq!(missing(r#"{"missing_fields":"refuse"}"#), Ok(MissingFields::Refuse));
        assert!(missing(r#"{"missing_fields":"ignore"}"#).is_err());
    }

    #[test]
    fn a_limit_is_a_number_of_bytes_or_none() {
        let limit = |json: &str| read(json).map(|said| said.field_bytes_max);
        assert_eq!(limit(r#"{"field_bytes_max":1}"#), Ok(Some(1)));
        assert_eq!(limit(r#"{"field_bytes_max":"none"}"#), Ok(None));
        for wrong in ["0", "-1", "4294967296", "1.5", "\"all\"", "null"] {
            let message = limit(&format!(r#"{{"field_bytes_max":{wrong}}}"#)).expect_err(wrong);
            assert!(message.contains("`field_bytes_max` must be"), "{wrong}: {message}");
        }
    }
}
