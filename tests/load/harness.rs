//! The loader as people run it: the real binary, an environment with nothing but what the test says, a database
//! and a bucket of the test's own.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "two test binaries include this module, each uses a part of it"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::postgres::{self, Database};
use crate::support::s3::S3Server;
use crate::support::wait_until;

/// A backend notices within milliseconds that its client has gone.
const GONE_TIMEOUT: Duration = Duration::from_secs(10);

/// One S3 server for the whole test binary; every test has a bucket of its own.
pub fn s3() -> &'static S3Server {
    static SHARED: OnceLock<S3Server> = OnceLock::new();
    SHARED.get_or_init(S3Server::start)
}

/// Stored generated columns and nondeterministic collations came with PostgreSQL 12.
pub fn is_older_than_12() -> bool {
    postgres::shared().major_version() < 12
}

/// A database, a bucket and a folder that nobody else uses.
pub struct Lab {
    pub db: Database,
    pub bucket: String,
    folder: tempfile::TempDir,
}

impl Lab {
    /// In the shared cluster; `sql` makes the tables, as the user who loads.
    pub fn new(name: &str, sql: &str) -> Self {
        Self::in_database(name, postgres::shared().database(name), sql)
    }

    /// In a database of a cluster that the test has made.
    pub fn in_database(name: &str, db: Database, sql: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("{}-{number}", name.replace('_', "-"));
        s3().create_bucket(&bucket, crate::support::s3::BucketOptions::default());
        if !sql.is_empty() {
            db.run(sql);
        }
        Self { db, bucket, folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a local file and answers its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    }

    /// Puts an object and answers its address.
    pub fn put(&self, key: &str, bytes: impl AsRef<[u8]>) -> String {
        s3().put(&self.bucket, key, bytes.as_ref().to_vec());
        self.address(key)
    }

    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// `holoload` with the database and S3 in its environment, and the table `t`.
    pub fn holoload(&self, arguments: &[&str]) -> Run {
        let mut run = Run::new(arguments).env("HOLOLOAD_TABLE", "t");
        run.variables.extend(self.db.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        let s3 = s3().environment().into_iter();
        run.variables.extend(s3.map(|(name, value)| (name.to_owned(), value)));
        run
    }

    /// `holoload load --json` of one source.
    pub fn load(&self, source: &str) -> Run {
        self.holoload(&["load", "--json", source])
    }

    /// Loads text through a local file into the table `t`; it must succeed. Answers the report.
    pub fn load_text(&self, text: impl AsRef<[u8]>) -> Value {
        let path = self.file("input.csv", text);
        self.load(&path).run().loaded()
    }

    /// The rows of a query as `a|b|NULL`, one text each.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let value = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
        let row = |row: Vec<Option<String>>| row.into_iter().map(value).collect::<Vec<_>>().join("|");
        self.db.query(sql).into_iter().map(row).collect()
    }

    /// No row of the table is there, and no session of the loader.
    #[track_caller]
    pub fn assert_untouched(&self, table: &str) {
        assert_eq!(self.db.count(table), 0, "rows of a failed load");
        self.assert_gone();
    }

    /// No session of the loader is left, least of all one inside a transaction.
    #[track_caller]
    pub fn assert_gone(&self) {
        let is_gone = wait_until(GONE_TIMEOUT, || self.db.sessions("application_name = 'holoload'") == 0);
        assert!(is_gone, "a session was left; idle in transaction: {}", self.db.idle_in_transaction());
    }

    /// `status|table|rows|error class` of the ledger, oldest first.
    pub fn ledger(&self) -> Vec<String> {
        self.rows(
            "SELECT status, table_name, row_count, error_class FROM holoload_ledger ORDER BY finished_at",
        )
    }
}

/// One run of the binary that is still to start.
pub struct Run {
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    stdin: Vec<u8>,
}

impl Run {
    /// With nothing but `PATH` in its environment.
    pub fn new(arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            variables: BTreeMap::new(),
            stdin: Vec::new(),
        }
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Another command in the same environment.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        bytes.as_ref().clone_into(&mut self.stdin);
        self
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holoload"));
        command.args(&self.arguments).env_clear().envs(&self.variables);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    pub fn run(self) -> Outcome {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("holoload starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        let bytes = self.stdin;
        // A child that does not read all of its input closes the pipe; that is not this test's failure.
        let writer = std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        let output = child.wait_with_output().expect("holoload ends");
        writer.join().expect("the writer ends");
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Everything on stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// The report of the only object.
    #[track_caller]
    pub fn report(&self) -> Value {
        let answer = self.json();
        let objects = answer["objects"].as_array().expect("objects");
        assert_eq!(objects.len(), 1, "{answer:#}");
        let report = objects[0].clone();
        assert_adds_up(&report);
        report
    }

    /// The report of the only object, which was loaded.
    #[track_caller]
    pub fn loaded(self) -> Value {
        let report = self.exits(0).report();
        assert_eq!(report["status"], "loaded", "{report:#}");
        assert!(report["error"].is_null(), "{report:#}");
        report
    }

    /// The only object failed with `--json`: class by exit code, parts of the message, parts of the hint.
    #[track_caller]
    pub fn failed(self, code: i32, message: &str, hint: &str) -> Value {
        let report = self.exits(code).report();
        assert_eq!(report["status"], "failed", "{report:#}");
        let error = &report["error"];
        let class = ["", "Input", "Config", "Access", "Transient"][usize::try_from(code).expect("a code")];
        assert_eq!(error["class"], class, "{report:#}");
        assert_contains(error["message"].as_str().expect("a message"), message);
        assert_contains(error["hint"].as_str().unwrap_or_default(), hint);
        report
    }

    /// It ended before there was an object: `error:` and `hint:` on stderr, nothing on stdout.
    #[track_caller]
    pub fn refused(self, code: i32, message: &str, hint: &str) {
        let outcome = self.exits(code);
        assert_eq!(outcome.stdout, "");
        let (error, rest) = outcome.stderr.split_once("\n\nhint: ").unwrap_or((&outcome.stderr, ""));
        assert!(error.starts_with("error: "), "{}", outcome.stderr);
        assert_contains(error, message);
        assert_contains(rest, hint);
    }
}

/// Every part of `wanted`, which `…` separates, stands in `text`, in this order.
#[track_caller]
pub fn assert_contains(text: &str, wanted: &str) {
    let mut rest = text;
    for part in wanted.split('…') {
        let Some(at) = rest.find(part) else { panic!("`{part}` is missing in: {text}") };
        rest = &rest[at + part.len()..];
    }
}

/// `[rows, inserted, updated, unchanged, duplicate, rejected]`
#[track_caller]
pub fn counts(report: &Value) -> [u64; 6] {
    let names = [
        "row_count",
        "inserted_count",
        "updated_count",
        "unchanged_count",
        "duplicate_count",
        "reject_count",
    ];
    names.map(|name| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}")))
}

/// Every row that was read became exactly one of: inserted, updated, unchanged, deleted, duplicate, rejected. Where the
/// server does not tell new from changed rows, and for a load that failed half-way, no sum is owed.
#[track_caller]
fn assert_adds_up(report: &Value) {
    if report["inserted_count"].is_null() || report["status"] != "loaded" {
        return;
    }
    let [rows, parts @ ..] = counts(report);
    let deleted = report["deleted_count"].as_u64().unwrap_or(0);
    let other: u64 = parts.iter().sum();
    // A snapshot deletes rows that are in the table, and not in the file.
    assert!(rows == other + deleted || rows == other, "{report:#}");
}
