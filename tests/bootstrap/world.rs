//! What each of these tests has to itself: a database with one table, a bucket, and handlers that know both.

#![allow(dead_code, unreachable_pub, reason = "every test binary includes this module and uses a part of it")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::postgres::{self, Database};
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{BucketOptions, S3Server, Stored};
use crate::support::wait_until;

/// The handler as Lambda runs it.
pub const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
/// Longer than anything here takes that is not stuck.
pub const AMPLE_MS: u64 = 60_000;

pub struct World {
    pub database: Database,
    /// Its own, so that faults are taken back for no other test.
    pub s3: S3Server,
    pub bucket: String,
}

impl World {
    pub fn new(name: &str) -> Self {
        Self::in_database(name, postgres::shared().database(name))
    }

    /// The same in a cluster that the test has made.
    pub fn in_database(name: &str, database: Database) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        database.run("CREATE TABLE orders (id int8 PRIMARY KEY, name text NOT NULL, amount numeric(12,2))");
        let bucket = format!("{}-{number}", name.replace('_', "-"));
        let s3 = S3Server::start();
        s3.create_bucket(&bucket, BucketOptions::default());
        Self { database, s3, bucket }
    }

    /// The same with a bucket that keeps versions.
    pub fn versioned(name: &str) -> Self {
        let world = Self::new(name);
        world.s3.create_bucket(&world.bucket, BucketOptions { versioning: true, ..BucketOptions::default() });
        world
    }

    /// What a handler needs to load into the table; later variables win.
    pub fn environment(&self) -> Vec<(String, String)> {
        let target = self.database.environment().into_iter();
        let all = target.chain(self.s3.environment()).map(|(name, value)| (name.to_owned(), value));
        all.chain([("HOLOLOAD_TABLE".to_owned(), "orders".to_owned())]).collect()
    }

    pub fn handler(&self) -> RuntimeApi {
        self.handler_with(&[])
    }

    pub fn handler_with(&self, extra: &[(&str, &str)]) -> RuntimeApi {
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        RuntimeApi::start(BOOTSTRAP, self.environment().into_iter().chain(extra))
    }

    pub fn put(&self, key: &str, text: impl Into<String>) -> Stored {
        self.s3.put(&self.bucket, key, text.into())
    }

    /// The table, one text for each row.
    pub fn rows(&self) -> Vec<String> {
        let sql =
            "SELECT concat_ws('|', id::text, name, coalesce(amount::text, 'NULL')) FROM orders ORDER BY id";
        self.database.query(sql).into_iter().map(|mut row| row.remove(0).expect("text")).collect()
    }

    /// Where every row is stored and which transaction wrote it: the same before and after means not touched.
    pub fn places(&self) -> Vec<Vec<Option<String>>> {
        self.database.query("SELECT ctid::text, xmin::text, xmax::text, id::text FROM orders ORDER BY id")
    }

    /// The ledger's statuses of one object, oldest first; each with a reason, an error or rows.
    pub fn statuses(&self, key: &str) -> Vec<String> {
        let sql = format!(
            "SELECT status, reason IS NOT NULL OR error_message IS NOT NULL OR row_count IS NOT NULL, \
             reason IS NOT NULL, error_message IS NOT NULL \
             FROM holoload_ledger WHERE object_key = '{key}' ORDER BY finished_at, attempt"
        );
        let lines = self.database.query(&sql).into_iter().map(|mut line| {
            let text = |value: Option<String>| value.expect("not NULL");
            let (has_error, has_reason) = (text(line.remove(3)), text(line.remove(2)));
            let status = text(line.remove(0));
            let explained = match status.as_str() {
                "loaded" => (has_reason.as_str(), has_error.as_str()) == ("f", "f"),
                "failed" => has_error == "t",
                _ => has_reason == "t",
            };
            assert!(explained, "{status} of {key}: reason {has_reason}, error {has_error}");
            status
        });
        lines.collect()
    }

    /// No session of ours is inside a transaction or at work; a warm one may wait outside.
    #[track_caller]
    pub fn assert_at_rest(&self) {
        let at_rest = || self.database.sessions("state <> 'idle' OR state IS NULL") == 0;
        assert!(wait_until(Duration::from_secs(5), at_rest), "a session of ours is left");
    }

    /// Waits until the server has seen every session of ours end.
    #[track_caller]
    pub fn assert_no_session(&self) {
        let is_gone = || self.database.sessions("true") == 0;
        assert!(wait_until(Duration::from_secs(10), is_gone), "a session of ours is left");
    }
}

/// Rows with these ids, the name and the id as amount, after a header.
pub fn orders(ids: impl IntoIterator<Item = u32>, name: &str) -> String {
    let rows = ids.into_iter().map(|id| format!("{id},{name},{id}.50\n"));
    std::iter::once("id,name,amount\n".to_owned()).chain(rows).collect()
}

/// The same as [`World::rows`] has them.
pub fn order_rows(ids: impl IntoIterator<Item = u32>, name: &str) -> Vec<String> {
    ids.into_iter().map(|id| format!("{id}|{name}|{id}.50")).collect()
}

/// The report of the one object of an answer.
#[track_caller]
pub fn report(outcome: Outcome) -> Value {
    let answer = outcome.expect_ok();
    let objects = answer["objects"].as_array().unwrap_or_else(|| panic!("no reports: {answer}"));
    assert_eq!(objects.len(), 1, "{answer}");
    objects[0].clone()
}

/// Delivers as Lambda does: an answer of class Transient is tried again.
pub fn deliver(handler: &RuntimeApi, event: &Value) -> Value {
    for _ in 0..10 {
        match handler.invoke_json(event) {
            Outcome::Err { error_type, .. } if error_type == "Transient" => {}
            outcome => return report(outcome),
        }
    }
    panic!("ten deliveries were not enough");
}

/// The one report's status, whether the answer is one of success or not.
#[track_caller]
pub fn status(outcome: &Outcome) -> String {
    let answer = match outcome {
        Outcome::Ok(answer) => answer.clone(),
        Outcome::Err { error_message, .. } => split(error_message).1,
        other => panic!("no answer: {other:?}"),
    };
    answer["objects"][0]["status"].as_str().unwrap_or_else(|| panic!("no status: {answer}")).to_owned()
}

/// An error answer, taken apart.
#[derive(Debug)]
pub struct Failure {
    pub error_type: String,
    pub line: String,
    pub answer: Value,
}

#[track_caller]
pub fn failure(outcome: Outcome) -> Failure {
    let (error_type, message) = outcome.expect_err();
    assert!(message.len() <= 32 * 1024, "{} bytes", message.len());
    let (line, answer) = split(&message);
    Failure { error_type, line, answer }
}

/// One line, a space, JSON.
#[track_caller]
fn split(message: &str) -> (String, Value) {
    assert!(!message.contains('\n'), "more than one line: {message}");
    let answers = message.match_indices(" {").filter_map(|(at, _)| {
        let answer: Value = serde_json::from_str(&message[at + 1..]).ok()?;
        Some((message[..at].to_owned(), answer))
    });
    let found = answers.into_iter().find(|(_, answer)| answer["schema_version"] == 1);
    found.unwrap_or_else(|| panic!("no JSON after the line: {message}"))
}
