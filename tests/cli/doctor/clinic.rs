//! A set-up in which everything is right, for each test to break.

use std::ops::Deref;

use serde_json::Value;

use crate::harness::{Lab, Outcome, Run, assert_contains, s3};
use crate::support::account::Account;
use crate::support::postgres::{self, Database};
use crate::support::s3::Put;
use crate::support::standin::{Options, Standin};

pub(crate) const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";
const TEXT: &str = "id,name\n1,a\n";

/// A lab, an account, and an object that is encrypted with a key of the test's own.
pub(crate) struct Clinic {
    pub(crate) lab: Lab,
    pub(crate) account: Account,
    pub(crate) key: String,
    pub(crate) source: String,
}

impl Deref for Clinic {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Clinic {
    pub(crate) fn new(name: &str) -> Self {
        Self::in_database(name, postgres::shared().database(name), TABLE)
    }

    pub(crate) fn in_database(name: &str, database: Database, sql: &str) -> Self {
        let lab = Lab::in_database(name, database, sql);
        let key = format!("key-of-{}", lab.bucket);
        let put = Put { kms_key: Some(key.clone()), ..Put::default() };
        s3().put_with(&lab.bucket, "in/a.csv", TEXT, put);
        let source = lab.address("in/a.csv");
        Self { lab, account: Account::start(), key, source }
    }

    /// The same behind a stand-in of Hologres.
    pub(crate) fn hologres(name: &str, options: Options) -> (Self, Standin) {
        let database = postgres::shared_hologres().database(name);
        let standin = Standin::start(&database, options);
        (Self::in_database(name, standin.database(), TABLE), standin)
    }

    /// `holoload doctor --json` with the object and a place for rejects.
    pub(crate) fn doctor(&self) -> Run {
        let mut run = self.holoload(&["doctor", "--json", &self.source]);
        for (name, value) in self.account.environment() {
            run = run.env(name, value);
        }
        run.env("HOLOLOAD_REJECTS", self.address("rejects/"))
    }

    /// A user of the server's own for this database, who may log in and nothing else.
    pub(crate) fn user(&self) -> (String, &'static str) {
        let user = format!("doctor_{}", self.db.name);
        self.db.query(&format!("CREATE ROLE {user} LOGIN PASSWORD 'the-password'"));
        (user, "the-password")
    }
}

/// What a run found.
pub(crate) struct Findings(Value);

impl Findings {
    #[track_caller]
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self::read(outcome.json())
    }

    #[track_caller]
    pub(crate) fn read(answer: Value) -> Self {
        assert_eq!(answer["schema_version"], 1, "{answer:#}");
        let findings = Self(answer);
        for check in findings.checks() {
            let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
            let is_hinted = !text("hint").is_empty();
            let must_be_hinted = matches!(text("status").as_str(), "warn" | "fail");
            assert_eq!(is_hinted, must_be_hinted, "{check:#}");
            assert_eq!(check["class"].is_null(), text("status") != "fail", "{check:#}");
            assert!(!text("found").is_empty(), "{check:#}");
        }
        findings
    }

    fn checks(&self) -> &[Value] {
        self.0["doctor"]["checks"].as_array().expect("checks")
    }

    pub(crate) fn verdict(&self) -> &str {
        self.0["doctor"]["verdict"].as_str().expect("a verdict")
    }

    #[track_caller]
    pub(crate) fn check(&self, name: &str) -> &Value {
        let found = self.checks().iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no `{name}` in {:#}", self.0))
    }

    /// Status, and parts of what was found and of the hint.
    #[track_caller]
    pub(crate) fn has(&self, name: &str, status: &str, found: &str, hint: &str) -> &Self {
        let check = self.check(name);
        assert_eq!(check["status"], status, "{check:#}\nin {:#}", self.0);
        assert_contains(check["found"].as_str().expect("text"), found);
        assert_contains(check["hint"].as_str().unwrap_or_default(), hint);
        self
    }

    /// These were not looked at, because that one failed.
    #[track_caller]
    pub(crate) fn skips(&self, names: &[&str], failed: &str) -> &Self {
        for name in names {
            self.has(name, "skipped", &format!("because `{failed}` failed"), "");
        }
        self
    }

    pub(crate) fn named(&self, status: &str) -> Vec<&str> {
        let checks = self.checks().iter().filter(|check| check["status"] == status);
        checks.map(|check| check["name"].as_str().expect("a name")).collect()
    }

    /// This check failed and no other one.
    #[track_caller]
    pub(crate) fn only_fails(&self, name: &str, found: &str, hint: &str) -> &Self {
        assert_eq!(self.named("fail"), [name], "{:#}", self.0);
        assert_eq!(self.verdict(), "fail");
        self.has(name, "fail", found, hint)
    }
}
