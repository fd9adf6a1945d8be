//! Loading what is missing: a bucket's listing against the ledger, page by page.
//!
//! What an object is taken for depends on the newest version that the listing shows. Nothing is decided here that the load
//! does not decide once more, under its claim: a version that somebody else loads meanwhile is skipped.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::aws::Listed;
use crate::context::Context;
use crate::error::{Class, Error, Result};
use crate::event::Selection;
use crate::ledger::{KNOWN_KEYS_MAX, known};
use crate::load::{Invocation, load};
use crate::object::{ObjectRef, Request};
use crate::plan::Destination;
use crate::report::{Report, Status};

mod choice;

use choice::missing_or_failed;

/// Objects named in an answer: of those that are passed over, and of a dry run.
const NAMED_MAX: usize = 1_000;
/// Pages that are still counted once no more is loaded: a hundred thousand objects.
const COUNTED_PAGES_MAX: u32 = 100;
/// Left of an invocation when another load is begun, at the least.
const LOAD_RESERVE_MS: u64 = 5_000;
/// Left of it when another page is asked for.
const PAGE_RESERVE_MS: u64 = 2_000;

/// An object that a dry run would load.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Which one.
    pub object: ObjectRef,
    /// Where its rows would go.
    pub table: String,
    /// Why.
    pub reason: &'static str,
    /// Bytes.
    pub size: u64,
}

/// What became of a selection.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects that were listed and are within the times that were asked for.
    pub listed_count: u64,
    /// Of these, those that need not be loaded.
    pub current_count: u64,
    /// Loads that were begun, or would be.
    pub chosen_count: u64,
    /// Those still to be loaded.
    pub left_count: u64,
    /// There may be more than were counted.
    pub is_cut_short: bool,
    /// Objects passed over.
    pub ignored_count: u64,
    /// The first of them, with the reason.
    pub ignored: Vec<(String, String)>,
    /// What a dry run would load, the first of it.
    pub chosen: Vec<Chosen>,
    /// Of every load that failed.
    pub classes: Vec<Class>,
}

impl Outcome {
    /// What to do about the rest, if there is any.
    pub fn hint(&self) -> Option<&'static str> {
        (self.left_count > 0 || self.is_cut_short)
            .then_some("run the same request again: what has been loaded is not loaded twice")
    }

    /// For machines.
    pub fn json(&self, dry_run: bool) -> Value {
        let chosen: Vec<Value> = self.chosen.iter().map(|one| {
            json!({"object": one.object.address(), "table": one.table, "reason": one.reason, "size": one.size})
        }).collect();
        json!({
            "listed_count": self.listed_count,
            "current_count": self.current_count,
            "chosen_count": self.chosen_count,
            "left_count": self.left_count,
            "is_cut_short": self.is_cut_short,
            "ignored_count": self.ignored_count,
            "dry_run": dry_run,
            "chosen": chosen,
            "hint": self.hint(),
        })
    }
}

/// Loads what the selection says, at most `load_max` objects; each report is handed on as it comes.
///
/// # Errors
/// Of the listing and of the ledger. What becomes of an object stands in its report.
pub async fn reprocess(
    context: &mut Context,
    selection: &Selection,
    load_max: usize,
    invocation: &Invocation<'_>,
    on_report: &mut (dyn FnMut(Report) + Send),
) -> Result<Outcome> {
    if selection.needs_ledger() && context.ledger.is_none() {
        return Err(Error::config("the ledger is off: nobody knows what is missing or has failed")
            .with_hint("remove `ledger: off` (HOLOLOAD_LEDGER), or leave `missing` and `failed` out"));
    }
    let aws = context.aws.clone().ok_or_else(|| Error::bug("list objects without a client"))?;
    let mut sweep =
        Sweep { selection, load_max, invocation, slowest: Duration::ZERO, out: Outcome::default() };
    let (mut from, mut counted_pages) = (None, 0);
    loop {
        let is_counting = sweep.out.left_count > 0;
        counted_pages += u32::from(is_counting);
        if counted_pages > COUNTED_PAGES_MAX || !sweep.has(Duration::from_millis(PAGE_RESERVE_MS)) {
            sweep.out.is_cut_short = true;
            break;
        }
        let page = in_time(invocation, aws.list(&selection.bucket, &selection.prefix, from)).await?;
        for some in page.objects.chunks(KNOWN_KEYS_MAX) {
            sweep.take(context, some, on_report).await?;
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    Ok(sweep.out)
}

/// Cut off while there is still time to say so.
async fn in_time<T>(invocation: &Invocation<'_>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(at) = invocation.deadline else { return work.await };
    let left = at.saturating_duration_since(Instant::now()).saturating_sub(invocation.exit_limit() / 2);
    tokio::time::timeout(left, work).await.unwrap_or_else(|_| {
        Err(Error::transient("reprocess the prefix: the invocation's time is up")
            .with_hint("run the same request again; give the function more time if it never gets further"))
    })
}

struct Sweep<'a> {
    selection: &'a Selection,
    load_max: usize,
    invocation: &'a Invocation<'a>,
    slowest: Duration,
    out: Outcome,
}

impl Sweep<'_> {
    fn has(&self, time: Duration) -> bool {
        self.invocation.deadline.is_none_or(|at| at.saturating_duration_since(Instant::now()) > time)
    }

    async fn take(
        &mut self,
        context: &mut Context,
        listed: &[Listed],
        on_report: &mut (dyn FnMut(Report) + Send),
    ) -> Result<()> {
        let routed = self.routed(context, listed)?;
        let invocation = self.invocation;
        let choosing = self.choose(context, routed).boxed();
        for chosen in in_time(invocation, choosing).await? {
            if self.selection.dry_run {
                self.out.chosen_count += 1;
                if self.out.chosen.len() < NAMED_MAX {
                    self.out.chosen.push(chosen);
                }
                continue;
            }
            // As long as the longest load so far, and once more.
            let needed = (self.slowest * 2).max(Duration::from_millis(LOAD_RESERVE_MS));
            let is_full = self.out.chosen_count >= self.load_max as u64;
            // Once one was left, all after it are: what is loaded is a part from the beginning.
            if is_full || self.out.left_count > 0 || !self.has(needed) {
                self.out.left_count += 1;
                continue;
            }
            self.out.chosen_count += 1;
            let begun = Instant::now();
            let request = Request { force: self.selection.force, ..Request::manual(chosen.object) };
            let report = load(context, &request, self.invocation).boxed().await;
            self.slowest = self.slowest.max(begun.elapsed());
            self.out.classes.extend(report.class());
            self.out.left_count += u64::from(report.status == Status::Continued);
            on_report(report);
        }
        Ok(())
    }

    /// Objects with the table of their route; the others are passed over.
    fn routed<'l>(&mut self, context: &Context, listed: &'l [Listed]) -> Result<Vec<(&'l Listed, Chosen)>> {
        let mut routed = Vec::with_capacity(listed.len());
        for one in listed {
            let is_after = |from: i64| one.last_modified_ms.is_none_or(|at| at >= from);
            let is_before = |to: i64| one.last_modified_ms.is_none_or(|at| at < to);
            if !self.selection.modified_after_ms.is_none_or(is_after)
                || !self.selection.modified_before_ms.is_none_or(is_before)
            {
                continue;
            }
            self.out.listed_count += 1;
            let object = ObjectRef { bucket: self.selection.bucket.clone(), key: one.key.clone() };
            if one.key.ends_with('/') && one.size == 0 {
                self.ignore(object.key, "a folder marker");
            } else if context.rejects.as_ref().is_some_and(|place| place.holds(&object)) {
                self.ignore(object.key, "a reject object of our own");
            } else {
                match context.planner.destination(&object) {
                    Ok(Destination::Route(route)) => {
                        let (table, size) = (route.table.to_string(), one.size);
                        routed.push((one, Chosen { object, table, reason: "asked for", size }));
                    }
                    Ok(Destination::Ignored(reason)) => self.ignore(object.key, &reason),
                    // Where an object without a route is to fail, asking for a prefix is not asking for it.
                    Err(error) if error.class() == Class::Config && !context.planner.is_empty() => {
                        self.ignore(object.key, "no route matches");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(routed)
    }

    fn ignore(&mut self, key: String, reason: &str) {
        self.out.ignored_count += 1;
        if self.out.ignored.len() < NAMED_MAX {
            self.out.ignored.push((key, reason.to_owned()));
        }
    }

    async fn choose(&mut self, context: &mut Context, routed: Vec<(&Listed, Chosen)>) -> Result<Vec<Chosen>> {
        if routed.is_empty() || !self.selection.needs_ledger() {
            return Ok(routed.into_iter().map(|(_, chosen)| chosen).collect());
        }
        let Some(ledger) = context.ledger.clone() else { return Ok(Vec::new()) };
        let keys: Vec<&str> = routed.iter().map(|(listed, _)| listed.key.as_str()).collect();
        let session = context.bare_session().await?;
        let known = match known(&ledger, session, &self.selection.bucket, &keys).await {
            // No ledger yet: nothing has been loaded.
            Err(error) if error.code() == Some("42P01") => std::collections::BTreeMap::new(),
            known => known?,
        };
        let mut taken = Vec::new();
        for (listed, mut chosen) in routed {
            let lines = known.get(&listed.key).map(Vec::as_slice).unwrap_or_default();
            let lines = lines.iter().filter(|line| line.table == chosen.table);
            match missing_or_failed(self.selection, listed.etag.as_deref(), &lines.collect::<Vec<_>>()) {
                Some(reason) => {
                    chosen.reason = reason;
                    taken.push(chosen);
                }
                None => self.out.current_count += 1,
            }
        }
        Ok(taken)
    }
}
