//! Bad rows, kept: the reject object and its errors file.
//!
//! The reject object holds the header (if the object had one) and the original bytes of every bad row, so that
//! it can be fixed and dropped back into the prefix. `.errors.jsonl` beside it says for each row what is wrong.
//! Both are named after key and version, so that a retry overwrites instead of adding.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::aws::Aws;
use crate::charset::Charset;
use crate::decode::csv::RecordEnd;
use crate::decode::{Format, JSON_REJECTS, Position, json};
use crate::error::{Error, Result};
use crate::object::{ObjectRef, ObjectVersion};
use crate::report::{RejectSample, SAMPLE_MAX};
use crate::row::NOT_UTF_8;

/// Where reject objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A prefix in S3, ending in `/` or empty.
    S3 {
        /// Bucket.
        bucket: String,
        /// Prefix.
        prefix: String,
    },
    /// A directory on this machine.
    Directory(PathBuf),
}

impl Place {
    /// Reads `s3://bucket/prefix/` or a path.
    pub fn parse(address: &str) -> Result<Self> {
        let Some(rest) = address.strip_prefix("s3://") else {
            // A directory called `gs:` is a slip.
            return match address.split_once("://") {
                Some((scheme, _)) => {
                    Err(Error::config(format!("rejects cannot be written to `{scheme}://`"))
                        .with_hint("write `s3://bucket/prefix/` or a directory"))
                }
                None => Ok(Self::Directory(address.into())),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::config(format!("read the rejects address `{address}`"))
                .with_hint("write `s3://bucket/prefix/` or a directory"));
        }
        let mut prefix = prefix.to_owned();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix })
    }

    /// Whether what a function of Lambda's writes there stays.
    ///
    /// # Errors
    /// `Config` for a directory.
    pub fn outlives_function(&self) -> Result<()> {
        let Self::Directory(path) = self else { return Ok(()) };
        let what = format!("the rejects directory `{}` would vanish with the function", path.display());
        Err(Error::config(what).with_hint("set HOLOLOAD_REJECTS (`rejects:`) to `s3://bucket/prefix/`"))
    }

    /// Whether an object is one of ours.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        match self {
            Self::S3 { bucket, prefix } => {
                let has_suffix = [DATA_SUFFIX, JSON_REJECTS, ERRORS_SUFFIX]
                    .iter()
                    .any(|suffix| object.key.ends_with(suffix));
                object.bucket == *bucket && object.key.starts_with(prefix.as_str()) && has_suffix
            }
            Self::Directory(_) => false,
        }
    }
}

impl Place {
    /// Writes an empty reject object, always the same one, which no route loads: nothing less tells whether rejects
    /// can be kept. In a directory it is taken away again. Answers its address.
    ///
    /// # Errors
    /// What would keep rejects from being written.
    pub async fn probe(&self, aws: &Aws) -> Result<String> {
        let name = format!("{PROBE}{DATA_SUFFIX}");
        match self {
            Self::S3 { bucket, prefix } => {
                let key = format!("{prefix}{name}");
                aws.put(bucket, &key, Vec::new(), "text/csv").await?;
                Ok(format!("s3://{bucket}/{key}"))
            }
            Self::Directory(directory) => {
                let path = directory.join(name);
                write_file(&path, b"").await?;
                // What stays behind is an empty file.
                drop(tokio::fs::remove_file(&path).await);
                Ok(path.display().to_string())
            }
        }
    }
}

/// What the doctor writes.
const PROBE: &str = "holoload-doctor";
const DATA_SUFFIX: &str = ".rejects.csv";
const ERRORS_SUFFIX: &str = ".errors.jsonl";

/// One bad row.
#[derive(Clone, Copy, Debug)]
pub struct Reject<'a> {
    /// Where it begins.
    pub position: Position,
    /// Its original bytes.
    pub raw: &'a [u8],
    /// The column, or the number of the field, to blame.
    pub column: Option<&'a str>,
    /// Why, in our words.
    pub reason: &'a str,
    /// SQLSTATE, when the server refused it.
    pub code: Option<&'a str>,
    /// The server's words; they go nowhere else.
    pub server_text: Option<&'a str>,
}

/// Where a bad row is in the object, and where its line and its reason begin here.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Rows of columns have their row group's byte in common.
    place: (u64, u64),
    data_start: usize,
    errors_start: usize,
}

/// The bad rows of one object.
#[derive(Debug)]
pub struct Rejects {
    data: Vec<u8>,
    errors: Vec<u8>,
    kept: Vec<Kept>,
    count: u64,
    bytes_max: usize,
    sample: Vec<RejectSample>,
    sample_max: usize,
    server_code: Option<String>,
    /// Bytes of `data` that belong to no row.
    head_len: usize,
    /// The byte of the object from which on these are.
    part: u64,
    /// Parts of the same object that are written.
    written: Vec<String>,
    /// The object's own, where that is not UTF-8.
    charset: Option<Charset>,
    record_end: RecordEnd,
    format: Format,
}

impl Rejects {
    /// None yet; at most `bytes_max` bytes are kept.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            data: Vec::new(),
            errors: Vec::new(),
            kept: Vec::new(),
            count: 0,
            bytes_max,
            sample: Vec::new(),
            sample_max: SAMPLE_MAX,
            server_code: None,
            head_len: 0,
            part: 0,
            written: Vec::new(),
            charset: None,
            format: Format::Csv,
            record_end: RecordEnd::Any,
        }
    }

    /// How bad rows are written: of JSON one on each line, whatever stood around them.
    pub fn set_format(&mut self, format: Format) {
        self.format = format;
        if !matches!(format, Format::Csv | Format::Tsv) {
            self.record_end = RecordEnd::Lf;
        }
    }

    /// What the reject object's name ends in, and its content type.
    fn form(&self) -> (&'static str, &'static str) {
        match self.format {
            Format::Csv | Format::Tsv => (DATA_SUFFIX, "text/csv"),
            Format::JsonLines | Format::Json | Format::Parquet => (JSON_REJECTS, "application/x-ndjson"),
        }
    }

    /// The same with so many named.
    #[must_use]
    pub fn with_sample_max(self, sample_max: usize) -> Self {
        Self { sample_max, ..self }
    }

    /// The first of them with their original bytes.
    pub fn with_lines(&self) -> impl Iterator<Item = (&RejectSample, &[u8])> {
        self.sample.iter().enumerate().filter_map(|(at, sample)| {
            let start = self.kept.get(at)?.data_start;
            let end = self.kept.get(at + 1).map_or(self.data.len(), |next| next.data_start);
            Some((sample, self.data.get(start..end)?))
        })
    }

    /// The same for objects whose records end so.
    #[must_use]
    pub fn ended_by(mut self, record_end: RecordEnd) -> Self {
        self.record_end = record_end;
        self
    }

    /// What is kept is UTF-8 that was made of text in another charset, in which it is written.
    pub fn set_charset(&mut self, charset: Charset) {
        self.charset = Some(charset);
    }

    /// Those of an object that is read on from byte `part`, after `count` bad rows that are written.
    #[must_use]
    pub fn resumed(mut self, part: u64, count: u64, written: Vec<String>) -> Self {
        self.part = part;
        self.count = count;
        self.written = written;
        self
    }

    /// Makes room for those from byte `part` on; the ones before were written to `address`.
    pub fn start_part(&mut self, part: u64, address: Option<String>) {
        self.written.extend(address);
        self.data.truncate(self.head_len);
        self.errors.clear();
        self.kept.clear();
        self.part = part;
    }

    /// The reject objects of parts that are written.
    pub fn written(&self) -> &[String] {
        &self.written
    }

    /// Keeps the lines before the data, so that the reject object is read as the object was: as many empty ones
    /// as are passed over, then the header.
    pub fn set_header(&mut self, skipped_lines: u64, header: &[u8]) {
        for _ in 0..skipped_lines.min(self.bytes_max as u64) {
            self.data.extend_from_slice(self.record_end.bytes());
        }
        self.push_line(header);
        self.head_len = self.data.len();
    }

    /// Keeps a bad row.
    ///
    /// # Errors
    /// `Input` once the rows kept are more than memory is set aside for.
    pub fn push(&mut self, reject: &Reject<'_>) -> Result<()> {
        self.count += 1;
        // What is no UTF-8 after the decoding was no text of its charset before.
        let other = self.charset.filter(|_| reject.reason == NOT_UTF_8);
        let other = other.map(|charset| format!("not {}", charset.name()));
        let reason = other.as_deref().unwrap_or(reject.reason);
        if let (None, Some(code)) = (&self.server_code, reject.code) {
            self.server_code = Some(code.to_owned());
        }
        if self.sample.len() < self.sample_max {
            self.sample.push(RejectSample {
                line: reject.position.line,
                byte: reject.position.byte,
                column: reject.column.map(str::to_owned),
                reason: reason.to_owned(),
            });
        }
        if self.data.len() + self.errors.len() + reject.raw.len() > self.bytes_max {
            return Err(Error::input(format!("the bad rows take more than {} bytes", self.bytes_max))
                .with_hint("lower `bad_rows.max`, or give the function more memory"));
        }
        self.kept.push(Kept {
            place: (reject.position.byte, reject.position.line),
            data_start: self.data.len(),
            errors_start: self.errors.len(),
        });
        if self.format == Format::Json {
            self.push_line(&json::one_line(reject.raw));
        } else {
            self.push_line(reject.raw);
        }
        let line = json!({
            "line": reject.position.line,
            "byte": reject.position.byte,
            "column": reject.column,
            "reason": reason,
            "sqlstate": reject.code,
            "server": reject.server_text,
        });
        self.errors.extend_from_slice(line.to_string().as_bytes());
        self.errors.push(b'\n');
        Ok(())
    }

    fn push_line(&mut self, raw: &[u8]) {
        self.data.extend_from_slice(raw);
        let line_end = self.record_end.bytes();
        let is_ended = raw.ends_with(line_end) || self.record_end == RecordEnd::Any && raw.ends_with(b"\r");
        if !raw.is_empty() && !is_ended {
            self.data.extend_from_slice(line_end);
        }
    }

    /// Both files in the object's order, so that of two rows with one key the later one stays the later one when
    /// both are put back: rows that the server refused come in after rows further on that were refused here.
    fn in_order(&self) -> (Vec<u8>, Vec<u8>) {
        if self.kept.is_sorted_by_key(|row| row.place) {
            return (self.data.clone(), self.errors.clone());
        }
        let head = self.kept.first().map_or(self.data.len(), |row| row.data_start);
        let mut data = self.data.get(..head).unwrap_or_default().to_vec();
        let mut errors = Vec::with_capacity(self.errors.len());
        let mut order: Vec<usize> = (0..self.kept.len()).collect();
        order.sort_by_key(|index| self.kept.get(*index).map(|row| row.place));
        for index in order {
            let (Some(row), next) = (self.kept.get(index), self.kept.get(index + 1)) else { continue };
            let data_end = next.map_or(self.data.len(), |next| next.data_start);
            let errors_end = next.map_or(self.errors.len(), |next| next.errors_start);
            data.extend_from_slice(self.data.get(row.data_start..data_end).unwrap_or_default());
            errors.extend_from_slice(self.errors.get(row.errors_start..errors_end).unwrap_or_default());
        }
        (data, errors)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// SQLSTATE of the first one that the server refused.
    pub fn server_code(&self) -> Option<&str> {
        self.server_code.as_deref()
    }

    /// The first of them.
    pub fn sample(&self) -> &[RejectSample] {
        &self.sample
    }

    /// Writes both files; answers the address of the reject object, `None` if there is nothing to write.
    pub async fn write(
        &self,
        place: &Place,
        aws: Option<&Aws>,
        object: &ObjectRef,
        version: &ObjectVersion,
    ) -> Result<Option<String>> {
        if self.kept.is_empty() {
            return Ok(None);
        }
        let mut stem = stem(object, version);
        if self.part > 0 {
            stem.push_str(&format!(".from-{}", self.part));
        }
        let (mut data, errors) = self.in_order();
        if let Some(charset) = self.charset {
            data = [charset.mark(), &charset.restore(&data)].concat();
        }
        let (suffix, content_type) = self.form();
        match place {
            Place::S3 { bucket, prefix } => {
                let aws = aws.ok_or_else(|| Error::bug("write rejects to S3 without a client"))?;
                let data_key = format!("{prefix}{stem}{suffix}");
                let errors_key = format!("{prefix}{stem}{ERRORS_SUFFIX}");
                aws.put(bucket, &errors_key, errors, "application/x-ndjson").await?;
                aws.put(bucket, &data_key, data, content_type).await?;
                Ok(Some(format!("s3://{bucket}/{data_key}")))
            }
            Place::Directory(directory) => {
                let path = directory.join(&stem);
                write_file(&with_suffix(&path, ERRORS_SUFFIX), &errors).await?;
                let data_path = with_suffix(&path, suffix);
                write_file(&data_path, &data).await?;
                Ok(Some(data_path.display().to_string()))
            }
        }
    }
}

/// Bucket, key and version; no part of it can lead out of the place.
fn stem(object: &ObjectRef, version: &ObjectVersion) -> String {
    let clean = |text: &str| {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(|part| if part == "." || part == ".." { "_" } else { part }).collect::<Vec<_>>().join("/")
    };
    let identity: String = version
        .identity()
        .unwrap_or("unversioned")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect();
    format!("{}/{}.{identity}", clean(&object.bucket), clean(&object.key))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let refuse = |source| {
        Error::access(format!("write the rejects to `{}`", path.display()))
            .with_source(source)
            .with_hint("the directory must exist or be creatable, and writable")
    };
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await.map_err(refuse)?;
    }
    tokio::fs::write(path, bytes).await.map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> ObjectVersion {
        ObjectVersion { etag: Some("abc-1".to_owned()), ..ObjectVersion::default() }
    }

    #[test]
    fn names_stay_inside_the_place() {
        let stem_of =
            |key: &str| stem(&ObjectRef { bucket: "b".to_owned(), key: key.to_owned() }, &version());
        assert_eq!(stem_of("in/a.csv"), "b/in/a.csv.abc-1");
        assert_eq!(stem_of("/../../etc//x"), "b/_/_/etc/x.abc-1");
    }

    #[test]
    fn places_are_read() {
        let s3 =
            |bucket: &str, prefix: &str| Place::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        assert_eq!(Place::parse("s3://b").ok(), Some(s3("b", "")));
        assert_eq!(Place::parse("s3://b/p").ok(), Some(s3("b", "p/")));
        assert_eq!(Place::parse("s3://b/p/").ok(), Some(s3("b", "p/")));
        assert_eq!(Place::parse("out/rejects").ok(), Some(Place::Directory("out/rejects".into())));
        assert!(Place::parse("s3://").is_err());
        assert!(Place::parse("gs://b/p").is_err());
        let own = ObjectRef { bucket: "b".to_owned(), key: "p/in/a.csv.1.rejects.csv".to_owned() };
        assert!(s3("b", "p/").holds(&own));
        assert!(!s3("b", "q/").holds(&own));
    }

    #[test]
    fn rows_keep_their_bytes_and_memory_its_limit() {
        let mut rejects = Rejects::new(400);
        rejects.set_header(1, b"a,b\r\n");
        let reject = Reject {
            position: Position { line: 2, byte: 5 },
            raw: b"1,x",
            column: Some("b"),
            reason: "not an integer",
            code: None,
            server_text: None,
        };
        rejects.push(&reject).expect("fits");
        assert_eq!(rejects.data, b"\na,b\r\n1,x\n");
        let big = [b'x'; 400];
        assert!(rejects.push(&Reject { raw: &big, ..reject }).is_err());
        assert_eq!(rejects.count(), 2);
    }
}
