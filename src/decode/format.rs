//! Which format an object is in: what was said of it, then its name, then its content type, then its first bytes.

use std::ops::Range;

use crate::error::{Error, Result};

/// How records lie in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// The same with tabs.
    Tsv,
    /// One JSON object on each line.
    JsonLines,
    /// A JSON document.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// Text that is looked at: the first line of JSON must fit for it to be told from a document over several lines.
pub const HEAD_BYTES: usize = 64 * 1024;

/// What stands at the end of names behind the one that tells the format.
const PACKED: [&str; 6] = [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".bzip2"];

/// Reject objects of JSON, which are lines whatever the object was.
pub const JSON_REJECTS: &str = ".rejects.jsonl";

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Csv, Self::Tsv, Self::JsonLines, Self::Json, Self::Parquet];

    /// The word in settings and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::JsonLines => "jsonl",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }

    /// The format of this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether it is JSON of either kind.
    pub fn is_json(self) -> bool {
        matches!(self, Self::JsonLines | Self::Json)
    }

    /// The format that the extension of a key or path tells; `.txt` tells none.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let plain = PACKED.iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(&name);
        let (stem, extension) = plain.rsplit('/').next().and_then(|file| file.rsplit_once('.'))?;
        Some(match extension {
            _ if stem.is_empty() => return None,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" => Self::JsonLines,
            "json" => Self::Json,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// The format that a content type tells, whatever its parameters; `text/plain` and the like tell none.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "text/csv" => Self::Csv,
            "text/tab-separated-values" => Self::Tsv,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Self::JsonLines,
            "application/json" => Self::Json,
            "application/vnd.apache.parquet" => Self::Parquet,
            _ => return None,
        })
    }

    /// What is known before a byte was read: what was said, else the name, else the content type.
    pub fn before(said: Option<Self>, name: &str, content_type: Option<&str>) -> Option<Self> {
        // Rows of a document, and of a file of columns, come back as lines, by a name of our own.
        let has_lines = |said: Self| said.is_json() || said == Self::Parquet;
        if name.ends_with(JSON_REJECTS) && said.is_none_or(has_lines) {
            return Some(Self::JsonLines);
        }
        said.or_else(|| Self::of_name(name)).or_else(|| content_type.and_then(Self::of_content_type))
    }

    /// What an object is that begins so, where it is none of the formats of text.
    pub fn foreign_name(head: &[u8]) -> Option<&'static str> {
        let marked = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
        marked.or_else(|| (head.get(TAR_MARK) == Some(b"ustar")).then_some(TAR))
    }

    /// What the first text says, where `known` may say it already; `None` while it needs more of the text, which is
    /// never more than [`HEAD_BYTES`].
    ///
    /// # Errors
    /// `Input` for what is no text at all, and what contradicts.
    pub fn of_head(known: Option<Self>, head: &[u8], is_whole: bool) -> Result<Option<Self>> {
        let is_enough = is_whole || head.len() >= HEAD_BYTES;
        if !is_enough && head.len() < MAGIC_BYTES {
            return Ok(None);
        }
        if let Some(what) = Self::foreign_name(head) {
            return foreign(known, what);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match known {
            Some(Self::Json) | None => {}
            Some(Self::JsonLines) if is_array(text) => {
                return Err(Error::input("the object is a JSON array, not jsonl")
                    .with_hint("name it .json, or say `parse: {format: json}`"));
            }
            Some(known) => return Ok(Some(known)),
        }
        let otherwise = known.unwrap_or(Self::Csv);
        match text.first() {
            None if !is_enough => Ok(None),
            Some(b'{') => {
                let end = memchr::memchr(b'\n', text);
                let Some(line) = end.or_else(|| is_enough.then_some(text.len())) else { return Ok(None) };
                let line = text.get(..line).unwrap_or_default();
                let is_object = line.trim_ascii_end().ends_with(b"}") && super::json::is_object(line);
                // A document that begins with one line that is all of it is the same either way.
                Ok(Some(match (is_object, is_member(line)) {
                    (true, _) => Self::JsonLines,
                    (false, true) => Self::Json,
                    (false, false) => otherwise,
                }))
            }
            Some(b'[') if known.is_none() => {
                let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
                match inner.first() {
                    None if !is_enough => Ok(None),
                    Some(b'{' | b']') => Ok(Some(Self::Json)),
                    _ => Ok(Some(Self::Csv)),
                }
            }
            _ => Ok(Some(otherwise)),
        }
    }
}

/// Whether a text begins as an array of objects does.
fn is_array(text: &[u8]) -> bool {
    text.strip_prefix(b"[").is_some_and(|inner| inner.trim_ascii_start().starts_with(b"{"))
}

/// Whether an object that begins so may go on as JSON.
fn is_member(line: &[u8]) -> bool {
    let inner = line.get(1..).unwrap_or_default().trim_ascii_start();
    matches!(inner.first(), None | Some(b'"' | b'}'))
}

/// Where the mark of a tar archive stands, behind the first name and what is said of it; the other marks are shorter.
const TAR_MARK: Range<usize> = 257..262;
const MAGIC_BYTES: usize = TAR_MARK.end;
const PARQUET: &str = "a Parquet file";
const STILL_PACKED: &str = "still compressed";
/// What other formats begin with; ASCII but for what is in no charset at all.
const FOREIGN: [(&[u8], &str); 16] = [
    (b"PAR1", PARQUET),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"PK\x03\x04", "a zip archive, as .xlsx files are"),
    (b"%PDF-", "a PDF"),
    (b"SQLite fo", "an SQLite database"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"\x1f\x8b\x08", STILL_PACKED),
    (b"\x28\xb5\x2f\xfd", STILL_PACKED),
    (b"BZh91AY&SY", STILL_PACKED),
    (b"\xfd7zXZ\0", STILL_PACKED),
    // The mark of UTF-16, and then a zero where none is.
    (b"\xef\xbb\xbf\0", "text in UTF-32"),
    (b"\0\0\xfe\xff", "text in UTF-32"),
    (b"<!doctype", "an HTML page"),
    (b"<html", "an HTML page"),
];
const TAR: &str = "a tar archive";

fn foreign(known: Option<Format>, what: &str) -> Result<Option<Format>> {
    if what == PARQUET && known.is_none_or(|known| known == Format::Parquet) {
        return Ok(Some(Format::Parquet));
    }
    let error = match known {
        Some(known) => Error::input(format!("the object is {what}, not {}", known.name())),
        None => Error::input(format!("the object is {what}")),
    };
    Err(error.with_hint(match what {
        PARQUET => "name it .parquet, or say `parse: {format: parquet}`",
        STILL_PACKED => "it was compressed twice, or `compression: none` is said of it: compress it once, and leave the key out",
        TAR => "an object is one file: put those of the archive each by itself",
        _ => "csv, tsv, jsonl, json and parquet are read: write it as one of them, in UTF-8",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_content_types_tell() {
        for (name, format) in [
            ("in/a.csv", Some(Format::Csv)),
            ("a.CSV.GZ", Some(Format::Csv)),
            ("a.tsv.zst", Some(Format::Tsv)),
            ("a.tab", Some(Format::Tsv)),
            ("a.jsonl", Some(Format::JsonLines)),
            ("a.ndjson.bz2", Some(Format::JsonLines)),
            ("a.json", Some(Format::Json)),
            ("dt=1/part-0.snappy.parquet", Some(Format::Parquet)),
            ("a.txt", None),
            ("a.gz", None),
            ("a", None),
            (".csv", None),
            ("x.csv/a", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
        for (content_type, format) in [
            ("text/csv; charset=utf-8", Some(Format::Csv)),
            ("text/tab-separated-values", Some(Format::Tsv)),
            ("Application/JSON", Some(Format::Json)),
            ("application/x-ndjson", Some(Format::JsonLines)),
            ("application/jsonl", Some(Format::JsonLines)),
            ("application/vnd.apache.parquet", Some(Format::Parquet)),
            ("binary/octet-stream", None),
            ("text/plain", None),
        ] {
            assert_eq!(Format::of_content_type(content_type), format, "{content_type}");
        }
        let before = |said, name| Format::before(said, name, Some("application/json"));
        assert_eq!(before(Some(Format::Csv), "a.jsonl"), Some(Format::Csv));
        assert_eq!(before(None, "a.csv"), Some(Format::Csv));
        assert_eq!(before(None, "a"), Some(Format::Json));
        assert_eq!(before(Some(Format::Json), "r/b/a.json.1.rejects.jsonl"), Some(Format::JsonLines));
        assert_eq!(before(Some(Format::Csv), "r/b/a.json.1.rejects.jsonl"), Some(Format::Csv));
    }

    #[test]
    fn first_bytes_tell() {
        let json = Some(Format::Json);
        for (known, head, format) in [
            (None, "a,b\n1,2\n", Format::Csv),
            (None, "", Format::Csv),
            (None, "[1],2\n3,4", Format::Csv),
            (None, "{x},2\n3,4", Format::Csv),
            (None, "\u{feff} [\n{\"a\":1}]", Format::Json),
            (None, "[]", Format::Json),
            (None, "{\n\"a\":1}", Format::Json),
            (None, "{\"a\":1}\n{\"a\":2}", Format::JsonLines),
            (None, "\u{feff}{\"a\":1}", Format::JsonLines),
            (json, "{\"a\":1}\r\n{\"a\":2}", Format::JsonLines),
            (json, "{\"a\":[\n1]}", Format::Json),
            (json, "{\"a\":1} {\"a\":2}\n", Format::Json),
            (json, "nonsense\n and more", Format::Json),
            (Some(Format::JsonLines), "[1]\n{\"a\":1}", Format::JsonLines),
            (Some(Format::Csv), "{\"a\":1}\n{\"a\":2}", Format::Csv),
            (None, "PAR1\u{15}\u{4}\u{15}\u{10}\u{15}", Format::Parquet),
        ] {
            let whole = Format::of_head(known, head.as_bytes(), true).expect(head);
            assert_eq!(whole, Some(format), "{head}");
            for at in 0..head.len() {
                let early = Format::of_head(known, &head.as_bytes()[..at], false).expect(head);
                assert!(early.is_none() || early == Some(format), "{head} up to {at}: {early:?}");
            }
        }
        let array = Format::of_head(Some(Format::JsonLines), b"[\n{\"a\":1}]", true).expect_err("an array");
        assert!(array.to_string().contains("a JSON array, not jsonl"), "{array}");
        let packed = Format::of_head(Some(Format::Csv), b"\x1f\x8b\x08\0", true).expect_err("gzip");
        assert!(packed.to_string().contains("still compressed, not csv"), "{packed}");
        let tar = format!("a.csv{}ustar\0", "\0".repeat(252));
        for (head, what) in [
            ("PAR1\u{15}\u{4}\u{15}\u{10}\u{15}", "a Parquet file, not csv"),
            ("Obj\u{1}\u{4}\u{14}avro", "an Avro file"),
            ("ORC\u{8}\u{3}\u{10}\u{1}\u{1}\u{1}", "an ORC file"),
            ("<?xml version=\"1.0\"?>", "an XML document"),
            (&tar, "a tar archive, not csv"),
            ("BZh91AY&SY\0", "still compressed, not csv"),
            ("\u{feff}\0a\0", "text in UTF-32"),
        ] {
            let error = Format::of_head(Some(Format::Csv), head.as_bytes(), true).expect_err(head);
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
