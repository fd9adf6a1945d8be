//! Requests to load again, or at last: objects by name, whatever stands under a prefix, or whatever failed.

use serde_json::{Map, Value, json};

use super::{Batch, Door, flag, known_members, text};
use crate::error::{Error, Result};
use crate::object::{ObjectRef, Request};

/// Most objects that one request may ask for by `limit`.
const LIMIT_MAX: u64 = 1_000_000;
/// The longest window that ends now: ten years.
pub const WITHIN_HOURS_MAX: u64 = 87_600;
/// Milliseconds in an hour.
const HOUR_MS: i64 = 3_600_000;

/// Which objects are to be found and loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a member of the request")]
pub struct Selection {
    /// The bucket; empty where the ledger says which objects failed, in whatever bucket.
    pub bucket: String,
    /// What keys begin with; empty for all of them.
    pub prefix: String,
    /// Just these, and nothing has to be found.
    pub objects: Vec<ObjectRef>,
    /// Those whose newest version has not been loaded.
    pub missing: bool,
    /// Those whose last load failed.
    pub failed: bool,
    /// Put at this time or later, milliseconds since 1970; of failures, failed then.
    pub modified_after_ms: Option<i64>,
    /// Put before this time.
    pub modified_before_ms: Option<i64>,
    /// Put in so many hours before now.
    pub within_hours: Option<u64>,
    /// Those that come after this one.
    pub start_after: Option<ObjectRef>,
    /// How often the request has been handed on.
    pub hop: u32,
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

    /// Whether the ledger alone says which objects these are.
    pub fn is_of_ledger(&self) -> bool {
        self.bucket.is_empty() && self.objects.is_empty()
    }

    /// Whether the ledger must be asked.
    pub fn needs_ledger(&self) -> bool {
        self.missing || self.failed
    }

    /// The same, if its parts go together.
    ///
    /// # Errors
    /// `Input`, saying which do not.
    pub fn checked(self) -> Result<Self> {
        let refuse = |what: &str, hint: &str| {
            Err(Error::input(format!("read the reprocess request: {what}")).with_hint(hint.to_owned()))
        };
        if self.is_of_ledger() && (self.missing || !self.failed) {
            return refuse(
                "it names neither objects nor a prefix",
                "name `objects` or a `prefix`; without either `failed` loads what the ledger says failed, and nothing else",
            );
        }
        if self.within_hours.is_some() && self.modified_after_ms.is_some() {
            return refuse("a window of hours has no other beginning", "leave one of the two out");
        }
        let starts_elsewhere = |start: &ObjectRef| !self.bucket.is_empty() && start.bucket != self.bucket;
        if self.start_after.as_ref().is_some_and(starts_elsewhere) {
            return refuse(
                "it is to begin in another bucket",
                "give the address that the last answer's `next` had",
            );
        }
        Ok(self)
    }

    /// The same with a window that keeps its place while the clock goes on.
    #[must_use]
    pub fn at(mut self, now_ms: i64) -> Self {
        if let Some(hours) = self.within_hours.take() {
            let window_ms = i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(HOUR_MS);
            self.modified_after_ms = Some(now_ms.saturating_sub(window_ms));
        }
        self
    }

    /// The payload that asks for the rest of it.
    pub fn payload(&self) -> Value {
        let mut request = Map::new();
        if !self.is_of_ledger() {
            request.insert("prefix".to_owned(), format!("s3://{}/{}", self.bucket, self.prefix).into());
        }
        for (name, is_set) in [
            ("missing", self.missing),
            ("failed", self.failed),
            ("force", self.force),
            ("dry_run", self.dry_run),
        ] {
            if is_set {
                request.insert(name.to_owned(), true.into());
            }
        }
        for (name, ms) in
            [("modified_after", self.modified_after_ms), ("modified_before", self.modified_before_ms)]
        {
            if let Some(moment) = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
                request.insert(name.to_owned(), format!("{moment:.3}").into());
            }
        }
        if let Some(hours) = self.within_hours {
            request.insert("modified_within_hours".to_owned(), hours.into());
        }
        if let Some(limit) = self.limit {
            request.insert("limit".to_owned(), limit.into());
        }
        if let Some(start) = &self.start_after {
            request.insert("start_after".to_owned(), start.address().into());
        }
        if self.hop > 0 {
            request.insert("hop".to_owned(), self.hop.into());
        }
        json!({ "reprocess": request })
    }
}

/// The message that asks for one object; with `if_exists` it is no failure should that be gone by then.
pub fn manual_message(object: &ObjectRef, force: bool, if_exists: bool) -> String {
    let mut message = json!({"s3": object.address()});
    for (name, is_set) in [("force", force), ("if_exists", if_exists)] {
        if is_set {
            message[name] = true.into();
        }
    }
    // SQS refuses these two even inside a JSON text, where every other letter of a key can stand.
    message.to_string().replace('\u{FFFE}', "\\ufffe").replace('\u{FFFF}', "\\uffff")
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

/// `{"reprocess": {…}}`: objects by name, or a selection.
pub(super) fn request(request: &Value) -> Result<(Door, Batch)> {
    let has = |name: &&str| request.get(*name).is_some();
    if !has(&"objects") && ["prefix", "failed", "missing"].iter().any(has) {
        let batch = Batch { sweeps: vec![selection(request)?], ..Batch::default() };
        return Ok((Door::Manual, batch));
    }
    if request.get("prefix").is_some() {
        return Err(Error::input("read the reprocess request: `objects` and `prefix` exclude each other")
            .with_hint("send two requests"));
    }
    objects(request)
}

fn selection(request: &Value) -> Result<Selection> {
    let known = [
        "prefix",
        "missing",
        "failed",
        "modified_after",
        "modified_before",
        "modified_within_hours",
        "limit",
        "force",
        "dry_run",
        "start_after",
        "hop",
        "objects",
    ];
    known_members(request, &known)?;
    let time = |name: &str| text(request, name)?.as_deref().map(moment_ms).transpose();
    let start_after = text(request, "start_after")?;
    let selection = match text(request, "prefix")? {
        Some(address) => Selection::under(&address)?,
        None => Selection::default(),
    };
    Selection {
        missing: flag(request, "missing")?,
        failed: flag(request, "failed")?,
        modified_after_ms: time("modified_after")?,
        modified_before_ms: time("modified_before")?,
        within_hours: number(request, "modified_within_hours", WITHIN_HOURS_MAX)?,
        start_after: start_after.as_deref().map(ObjectRef::parse_s3).transpose()?,
        hop: number(request, "hop", u64::from(u32::MAX))?
            .and_then(|hop| u32::try_from(hop).ok())
            .unwrap_or(0),
        limit: number(request, "limit", LIMIT_MAX)?.and_then(|limit| usize::try_from(limit).ok()),
        force: flag(request, "force")?,
        dry_run: flag(request, "dry_run")?,
        ..selection
    }
    .checked()
}

fn number(request: &Value, name: &str, max: u64) -> Result<Option<u64>> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(said) => said.as_u64().filter(|number| (1..=max).contains(number)).map(Some).ok_or_else(|| {
            Error::input(format!("read the event: `{name}` must be a number from 1 to {max}"))
        }),
    }
}

fn objects(request: &Value) -> Result<(Door, Batch)> {
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
    Ok((Door::Manual, Batch { requests, may_be_queued: true, ..Batch::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an invocation hands on is what the next one reads.
    #[test]
    fn what_is_handed_on_is_understood() {
        let start = ObjectRef { bucket: "b".to_owned(), key: "in/日本 1+2.csv".to_owned() };
        let under = Selection::under("s3://b/in/").expect("a prefix");
        for selection in [
            Selection { missing: true, start_after: Some(start.clone()), hop: 3, ..under.clone() },
            Selection { limit: Some(7), force: true, modified_before_ms: Some(1_772_357_415_123), ..under },
            Selection {
                failed: true,
                within_hours: Some(24),
                start_after: Some(start),
                hop: 1,
                ..Selection::default()
            }
            .at(1_772_357_415_123),
        ] {
            let payload = selection.payload();
            let (_, batch) = request(&payload["reprocess"]).expect("understood");
            assert_eq!(batch.sweeps, [selection], "{payload}");
        }
    }

    #[test]
    fn a_window_begins_so_many_hours_ago() {
        let selection = Selection { within_hours: Some(24), ..Selection::default() }.at(100_000_000);
        assert_eq!((selection.modified_after_ms, selection.within_hours), (Some(13_600_000), None));
    }

    #[test]
    fn a_message_holds_only_what_a_queue_takes() {
        let object = ObjectRef { bucket: "b".to_owned(), key: "a\u{1}\u{FFFE}\u{FFFF}\"日.csv".to_owned() };
        let message = manual_message(&object, true, true);
        assert!(message.chars().all(|c| c >= ' ' && c != '\u{FFFE}' && c != '\u{FFFF}'), "{message:?}");
        let value: Value = serde_json::from_str(&message).expect("JSON");
        assert_eq!(value, json!({"s3": object.address(), "if_exists": true, "force": true}));
    }
}
