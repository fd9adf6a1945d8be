//! Requests to load again, or at last: objects by name, or whatever stands under a prefix.

use serde_json::Value;

use super::{Batch, Door, Event, flag, known_members, text};
use crate::error::{Error, Result};
use crate::object::{ObjectRef, Request};

/// Most objects that one request may ask for by `limit`.
const LIMIT_MAX: u64 = 1_000_000;

/// Which objects under a prefix are to be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the request")]
pub struct Selection {
    /// The bucket.
    pub bucket: String,
    /// What keys begin with; empty for all of them.
    pub prefix: String,
    /// Those whose newest version has not been loaded.
    pub missing: bool,
    /// Those whose last load failed.
    pub failed: bool,
    /// Put at this time or later, milliseconds since 1970.
    pub modified_after_ms: Option<i64>,
    /// Put before this time.
    pub modified_before_ms: Option<i64>,
    /// At most so many objects are loaded.
    pub limit: Option<usize>,
    /// Load what the ledger says is loaded.
    pub force: bool,
    /// Only say what would be loaded.
    pub dry_run: bool,
}

impl Selection {
    /// Everything under `s3://bucket/prefix`.
    pub fn under(address: &str) -> Result<Self> {
        let rest = address.strip_prefix("s3://").filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let rest = rest.ok_or_else(|| {
            Error::input(format!("read the prefix `{address}`"))
                .with_hint("write `s3://bucket/prefix/`, the prefix as keys are stored (not URL-encoded)")
        })?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..Self::default() })
    }

    /// Whether the ledger must be asked.
    pub fn needs_ledger(&self) -> bool {
        self.missing || self.failed
    }
}

/// A time as RFC 3339, or a day, which begins at midnight UTC.
///
/// # Errors
/// `Input`, naming both forms.
pub fn moment_ms(said: &str) -> Result<i64> {
    let moment = said.parse::<jiff::Timestamp>().ok();
    let day = || {
        let day = said.parse::<jiff::civil::Date>().ok()?;
        day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    moment.or_else(day).map(jiff::Timestamp::as_millisecond).ok_or_else(|| {
        Error::input(format!("read the time `{said}`")).with_hint(
            "write a day, `2026-11-01` (UTC), or a time with its zone, `2026-11-01T09:00:00+09:00`",
        )
    })
}

pub(super) fn is_selection(payload: &Value) -> bool {
    payload.get("reprocess").is_some_and(|request| request.get("prefix").is_some())
}

/// `{"reprocess": {"prefix": …}}`
pub(super) fn selection(payload: &Value) -> Result<Event> {
    known_members(payload, &["reprocess"])?;
    let request = &payload["reprocess"];
    if request.get("objects").is_some() {
        return Err(Error::input("read the reprocess request: `objects` and `prefix` exclude each other")
            .with_hint("send two requests"));
    }
    let known =
        ["prefix", "missing", "failed", "modified_after", "modified_before", "limit", "force", "dry_run"];
    known_members(request, &known)?;
    let address = text(request, "prefix")?.unwrap_or_default();
    let time = |name: &str| text(request, name)?.as_deref().map(moment_ms).transpose();
    let limit = match request.get("limit") {
        None | Some(Value::Null) => None,
        Some(said) => {
            let limit = said.as_u64().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            Some(limit.ok_or_else(|| {
                Error::input(format!("read the event: `limit` must be a number from 1 to {LIMIT_MAX}"))
            })?)
        }
    };
    Ok(Event::Reprocess(Selection {
        missing: flag(request, "missing")?,
        failed: flag(request, "failed")?,
        modified_after_ms: time("modified_after")?,
        modified_before_ms: time("modified_before")?,
        limit,
        force: flag(request, "force")?,
        dry_run: flag(request, "dry_run")?,
        ..Selection::under(&address)?
    }))
}

/// `{"reprocess": {"objects": […]}}`
pub(super) fn objects(request: &Value) -> Result<(Door, Batch)> {
    if request.get("prefix").is_some() {
        return Err(Error::input("read the reprocess request: a prefix is for a direct invocation")
            .with_hint(
                "invoke the function with it, or `holoload reprocess --prefix`; a message names `objects`",
            ));
    }
    known_members(request, &["objects", "force", "dry_run", "prefix"])?;
    let objects = request.get("objects").and_then(Value::as_array).filter(|objects| !objects.is_empty());
    let objects = objects.ok_or_else(|| {
        Error::input("read the reprocess request: `objects` must be a list of `s3://bucket/key`")
    })?;
    let mut requests = Vec::with_capacity(objects.len());
    for address in objects {
        let address = address.as_str().ok_or_else(|| {
            Error::input("read the reprocess request: `objects` must be a list of `s3://bucket/key`")
        })?;
        let mut one = Request::manual(ObjectRef::parse_s3(address)?);
        one.force = flag(request, "force")?;
        one.dry_run = flag(request, "dry_run")?;
        requests.push(one);
    }
    Ok((Door::Manual, Batch { requests, ..Batch::default() }))
}
