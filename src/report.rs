//! What became of an object: counts, phases, reasons; as JSON for machines, as text for people.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Class, Error, counted};
use crate::object::{ObjectRef, Request};

/// The shape of answers; raised when a member changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// Bad rows named in a report; the reject object has them all.
pub const SAMPLE_MAX: usize = 5;

/// In what state a load is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At work.
    Running,
    /// The rows are in the table.
    Loaded,
    /// This version had been loaded before.
    Skipped,
    /// A newer version has been, or will be, loaded.
    Superseded,
    /// The object is gone.
    Deleted,
    /// The object is none of ours.
    Ignored,
    /// Handed on, to be continued.
    Continued,
    /// It could not be loaded.
    Failed,
}

impl Status {
    /// Each of them, in the order in which reports count them.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Loaded,
        Self::Skipped,
        Self::Superseded,
        Self::Deleted,
        Self::Ignored,
        Self::Continued,
        Self::Failed,
    ];

    /// The word in reports and ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Loaded => "loaded",
            Self::Skipped => "skipped",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Ignored => "ignored",
            Self::Continued => "continued",
            Self::Failed => "failed",
        }
    }
}

/// What is said of an error.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorReport {
    /// Class.
    pub class: Class,
    /// SQLSTATE or service code.
    pub code: Option<String>,
    /// The chain of causes in one line.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl ErrorReport {
    /// Message and hint, as they stand in an answer.
    pub fn line(&self) -> String {
        let hint = self.hint.as_deref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        format!("{}{hint}", self.message)
    }
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        Self {
            class: error.class(),
            code: error.code().map(str::to_owned),
            message: error.message(),
            hint: error.hint().map(str::to_owned),
        }
    }
}

/// Time spent in the parts of a load, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Phases {
    /// TCP, TLS, login; 0 on a warm connection.
    pub connect_ms: u64,
    /// Table definition and claim.
    pub claim_ms: u64,
    /// Until S3 answered the first bytes' headers.
    pub open_ms: u64,
    /// Reading, decoding and typing.
    pub read_ms: u64,
    /// Waiting for the database to take the rows.
    pub write_ms: u64,
    /// Rejects, ledger and commit.
    pub finish_ms: u64,
}

/// A bad row, named without its values.
#[derive(Clone, Debug, Serialize)]
pub struct RejectSample {
    /// Physical line, from 1.
    pub line: u64,
    /// Byte offset, from 0.
    pub byte: u64,
    /// Column or field, where one is to blame.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
}

/// Where a load that was handed on goes on.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Resume {
    /// Byte of the object, from 0.
    pub offset: u64,
    /// Rows before it.
    pub record: u64,
    /// Byte at which the load that ends there had begun to read.
    #[serde(skip)]
    pub from: u64,
}

/// What became of one object.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Bucket.
    pub bucket: String,
    /// Key, decoded.
    pub key: String,
    /// Version that was read.
    pub version_id: Option<String>,
    /// ETag of what was read.
    pub etag: Option<String>,
    /// Canonical sequencer of the event.
    pub sequencer: Option<String>,
    /// Target table.
    pub table: Option<String>,
    /// How it ended.
    pub status: Status,
    /// Why, for every status but `loaded` and `failed`.
    pub reason: Option<String>,
    /// Rows read: written, unchanged, duplicate and rejected ones.
    pub row_count: u64,
    /// Rows that were new; null where the server does not tell.
    pub inserted_count: Option<u64>,
    /// Rows that were changed; null where the server does not tell.
    pub updated_count: Option<u64>,
    /// Rows that were there already, the same.
    pub unchanged_count: u64,
    /// Rows deleted, where a load deletes rows; null where the server does not tell.
    pub deleted_count: Option<u64>,
    /// Bad rows.
    pub reject_count: u64,
    /// Rows that gave way to another one of the same key (within batches).
    pub duplicate_count: u64,
    /// Bytes read of the object.
    pub byte_count: u64,
    /// The write path that was used.
    pub write_path: Option<&'static str>,
    /// Whether the rows appeared together.
    pub atomic: bool,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall time.
    pub duration_ms: u64,
    /// From the put to the commit, where the put's time is known.
    pub lag_ms: Option<i64>,
    /// Where the time went.
    pub phases: Phases,
    /// Address of the reject object.
    pub rejects: Option<String>,
    /// The first bad rows.
    pub reject_sample: Vec<RejectSample>,
    /// Where the next invocation goes on, of a load that is `continued`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// Things worth telling that are no errors.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub error: Option<ErrorReport>,
    /// Rows of this object are in the table, whatever becomes of the load.
    #[serde(skip)]
    pub is_partial: bool,
    /// How often the load was begun again, and the object's body opened again: for the metrics.
    #[serde(skip)]
    pub retry_count: u32,
    /// Until the database's certificate ends, where one was seen: for the metrics.
    #[serde(skip)]
    pub certificate_days: Option<i64>,
}

impl Report {
    /// A report that is still to be filled.
    pub fn new(request: &Request, started_at: jiff::Timestamp) -> Self {
        Self {
            bucket: request.object.bucket.clone(),
            key: request.object.key.clone(),
            version_id: request.version.version_id.clone(),
            etag: request.version.etag.clone(),
            sequencer: request.sequencer.as_ref().map(|sequencer| sequencer.as_str().to_owned()),
            table: None,
            status: Status::Running,
            reason: None,
            row_count: 0,
            inserted_count: Some(0),
            updated_count: Some(0),
            unchanged_count: 0,
            deleted_count: None,
            reject_count: 0,
            duplicate_count: 0,
            byte_count: 0,
            write_path: None,
            atomic: true,
            started_at: format!("{started_at:.3}"),
            duration_ms: 0,
            lag_ms: None,
            phases: Phases::default(),
            rejects: None,
            reject_sample: Vec::new(),
            resume: None,
            warnings: Vec::new(),
            error: None,
            is_partial: false,
            retry_count: 0,
            certificate_days: None,
        }
    }

    /// Forgets what an attempt counted, before the next one.
    pub fn reset_counts(&mut self) {
        self.row_count = 0;
        self.inserted_count = Some(0);
        self.updated_count = Some(0);
        self.unchanged_count = 0;
        self.deleted_count = None;
        self.reject_count = 0;
        self.duplicate_count = 0;
        self.byte_count = 0;
        self.rejects = None;
        self.reject_sample.clear();
    }

    /// Ends with a status that needs a reason.
    pub fn end(&mut self, status: Status, reason: impl Into<String>) {
        self.status = status;
        self.reason = Some(reason.into());
    }

    /// Ends because the object is gone, or is another one by now: of this one nothing more will come.
    pub fn go_without(&mut self, status: Status, reason: impl Into<String>) {
        self.end(status, reason);
        self.reset_counts();
        if self.is_partial {
            self.warnings
                .push("rows of this object that were written before that stay in the table".to_owned());
        }
    }

    /// Ends because a newer version took the object over. Rows that it does not have may stay.
    pub fn overtake(&mut self, reason: impl Into<String>) {
        self.end(Status::Superseded, reason);
        self.resume = None;
        if self.is_partial {
            self.warnings.push(
                "rows of this object that were written before a newer version came stay in the table where that has no row of their key"
                    .to_owned(),
            );
        } else {
            self.reset_counts();
        }
    }

    /// Ends with an error. What was read stays counted; of what was written nothing is there any more, unless the path
    /// was not atomic.
    pub fn fail(&mut self, error: &Error) {
        if self.is_partial {
            self.inserted_count = None;
            self.updated_count = None;
            self.warnings.push(
                "rows of this object that were written before it failed stay in the table; loading it again mends them"
                    .to_owned(),
            );
        } else {
            self.inserted_count = Some(0);
            self.updated_count = Some(0);
        }
        self.unchanged_count = 0;
        self.deleted_count = None;
        self.duplicate_count = 0;
        self.status = Status::Failed;
        self.error = Some(error.into());
    }

    /// The class of the error, if it failed.
    pub fn class(&self) -> Option<Class> {
        self.error.as_ref().map(|error| error.class)
    }
}

/// The answer that is a report.
pub fn answer(reports: &[Report], ignored: &[(String, String)]) -> Value {
    let ignored: Vec<Value> =
        ignored.iter().map(|(key, reason)| json!({"key": key, "reason": reason})).collect();
    json!({"schema_version": SCHEMA_VERSION, "objects": reports, "ignored": ignored})
}

/// A report for people: one headline, then what needs their eyes.
pub fn human(report: &Report) -> String {
    let address = ObjectRef { bucket: report.bucket.clone(), key: report.key.clone() }.address();
    let mut text = format!("{} {address}", report.status.name());
    let add = |text: &mut String, line: &str| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{line}");
    };
    if let Some(table) = &report.table {
        add(&mut text, &format!(" -> {table}"));
    }
    if report.row_count > 0 || report.status == Status::Loaded {
        add(&mut text, &format!("\n  {}", counts(report)));
    }
    if let Some(reason) = &report.reason {
        add(&mut text, &format!("\n  {reason}"));
    }
    for sample in &report.reject_sample {
        let column = sample.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
        add(
            &mut text,
            &format!("\n  rejected line {}, byte {}{column}: {}", sample.line, sample.byte, sample.reason),
        );
    }
    if report.reject_count > report.reject_sample.len() as u64 {
        add(&mut text, &format!("\n  rejected {} rows in all", report.reject_count));
    }
    if let Some(address) = &report.rejects {
        add(&mut text, &format!("\n  rejected rows: {address}"));
    }
    for warning in &report.warnings {
        add(&mut text, &format!("\n  warning: {warning}"));
    }
    text
}

fn counts(report: &Report) -> String {
    let mut parts = vec![counted(report.row_count, "row")];
    for (count, what) in [
        (report.inserted_count.unwrap_or(0), "inserted"),
        (report.updated_count.unwrap_or(0), "updated"),
        (report.unchanged_count, "unchanged"),
        (report.deleted_count.unwrap_or(0), "deleted"),
        (report.duplicate_count, "duplicate"),
        (report.reject_count, "rejected"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{} ({}, {} ms)", parts.join(", "), counted(report.byte_count, "byte"), report.duration_ms)
}
