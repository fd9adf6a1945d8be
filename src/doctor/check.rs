//! One line of the doctor's: what was looked at, what was found, what to do.

use serde::Serialize;

use crate::error::{Class, Error};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Loads work; something is worth looking at.
    Warn,
    /// Loads fail.
    Fail,
    /// Not looked at; what was found says why.
    Skipped,
}

impl Status {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// What kind of trouble a failure is.
    pub class: Option<Class>,
    /// What was found.
    pub found: String,
    /// The step that helps.
    pub hint: Option<String>,
}

impl Check {
    /// As it should be.
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, class: None, found: found.into(), hint: None }
    }

    /// Worth looking at.
    pub(super) fn warn(name: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: Status::Warn, hint: Some(hint.into()), ..Self::ok(name, found) }
    }

    /// Loads fail here.
    pub(super) fn fail(
        name: &'static str,
        class: Class,
        found: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status: Status::Fail, class: Some(class), hint: Some(hint.into()), ..Self::ok(name, found) }
    }

    /// Not looked at.
    pub(super) fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(name, why) }
    }

    /// Not looked at: it could not have ended well.
    pub(super) fn because(name: &'static str, failed: &str) -> Self {
        Self::skipped(name, format!("because `{failed}` failed"))
    }

    /// Loads fail as this did.
    pub(super) fn failed(name: &'static str, error: &Error) -> Self {
        let hint = error.hint().unwrap_or("the message says why");
        Self::fail(name, error.class(), error.message(), hint)
    }

    /// What could not be found out, where a load would not fail for it.
    pub(super) fn untold(name: &'static str, error: &Error) -> Self {
        Self::warn(name, error.message(), error.hint().unwrap_or("the message says why"))
    }

    pub(super) fn is_failed(&self) -> bool {
        self.status == Status::Fail
    }
}

/// All checks.
#[derive(Clone, Debug)]
pub struct Examination {
    /// In the order in which a load would meet them.
    pub checks: Vec<Check>,
}

impl Examination {
    /// `fail` when any check failed, else `warn` when any warned.
    pub fn verdict(&self) -> Status {
        let has = |status| self.checks.iter().any(|check| check.status == status);
        [Status::Fail, Status::Warn].into_iter().find(|status| has(*status)).unwrap_or(Status::Ok)
    }

    /// Of every check that failed.
    pub fn classes(&self) -> Vec<Class> {
        self.checks.iter().filter_map(|check| check.class).collect()
    }

    /// How many ended so.
    pub fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// For machines: the answer to the event, and to `--json`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema_version": 1,
            "doctor": {"verdict": self.verdict(), "checks": self.checks},
        })
    }
}
