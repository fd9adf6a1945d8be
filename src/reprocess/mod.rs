//! Loading what is missing or failed: a bucket's listing against the ledger, or the ledger alone, page by page. Few objects are
//! loaded on the spot, many are handed to the queue, one message each.
//!
//! What an object is taken for depends on the newest version that the listing shows. Nothing is decided here that the load
//! does not decide once more, under its claim: a version that somebody else loads meanwhile is skipped.

use std::time::{Duration, Instant};

use futures_util::FutureExt;

use crate::aws::GROUP_MESSAGES_MAX;
use crate::context::Context;
use crate::error::{Class, Error, Result};
use crate::event::{Selection, manual_message};
use crate::ledger::{KNOWN_KEYS_MAX, known};
use crate::load::{Invocation, load};
use crate::object::{ObjectRef, Request};
use crate::plan::Destination;
use crate::report::{Report, Status};

mod choice;
mod outcome;
mod source;

use choice::missing_or_failed;
pub use outcome::{Chosen, Outcome};
use source::{Found, Source};

/// Objects that are loaded on the spot although there is a queue: a queue is for more.
pub const INLINE_MAX: usize = 10;

/// Objects named in an answer: of those that are passed over, and of a dry run.
const NAMED_MAX: usize = 1_000;
/// Pages that are still counted once no more is loaded: a hundred thousand objects.
const COUNTED_PAGES_MAX: u32 = 100;
/// Left of an invocation when another load is begun, at the least.
const LOAD_RESERVE_MS: u64 = 5_000;
/// Left of it when another page is asked for, or messages are sent.
const PAGE_RESERVE_MS: u64 = 2_000;

/// What a sweep may do.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// At most so many objects are loaded, or handed to the queue.
    pub load_max: usize,
    /// ARN of the queue that takes the others, where there is one.
    pub queue: Option<&'a str>,
    /// So many objects are loaded on the spot although there is a queue.
    pub inline_max: usize,
    /// Called with how far the sweep is, after each page.
    pub on_progress: Option<&'a (dyn Fn(&Outcome) + Send + Sync)>,
}

/// Loads what the selection says, or hands it on; each report of a load is handed on as it comes.
///
/// What becomes of an object stands in its report; errors of the listing, the ledger and the queue end the sweep and stand in its
/// outcome.
pub async fn reprocess(
    context: &mut Context,
    selection: &Selection,
    means: Means<'_>,
    invocation: &Invocation<'_>,
    on_report: &mut (dyn FnMut(Report) + Send),
) -> Outcome {
    let mut sweep = Sweep {
        selection,
        means,
        invocation,
        slowest: Duration::ZERO,
        waiting: Vec::new(),
        position: None,
        out: Outcome::default(),
    };
    if let Err(error) = sweep.run(context, on_report).await {
        sweep.out.failure = Some(error);
        sweep.out.is_cut_short = true;
    }
    sweep.ended()
}

/// Cut off while there is still time to say so: none when it is up.
async fn in_time<T>(invocation: &Invocation<'_>, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    let Some(at) = invocation.deadline else { return work.await.map(Some) };
    let left = at.saturating_duration_since(Instant::now()).saturating_sub(invocation.exit_limit() / 2);
    tokio::time::timeout(left, work).await.map_or(Ok(None), |done| done.map(Some))
}

struct Sweep<'a> {
    selection: &'a Selection,
    means: Means<'a>,
    invocation: &'a Invocation<'a>,
    slowest: Duration,
    /// Chosen, and neither loaded nor handed on yet.
    waiting: Vec<Chosen>,
    /// Everything up to this object is settled.
    position: Option<ObjectRef>,
    out: Outcome,
}

impl Sweep<'_> {
    fn has(&self, ms: u64) -> bool {
        let time = Duration::from_millis(ms);
        self.invocation.deadline.is_none_or(|at| at.saturating_duration_since(Instant::now()) > time)
    }

    /// As long as the longest load so far, and once more.
    fn has_for_load(&self) -> bool {
        let slowest_ms = u64::try_from(self.slowest.as_millis()).unwrap_or(u64::MAX);
        self.has(slowest_ms.saturating_mul(2).max(LOAD_RESERVE_MS))
    }

    async fn run(&mut self, context: &mut Context, on_report: &mut (dyn FnMut(Report) + Send)) -> Result<()> {
        if self.selection.needs_ledger() && context.ledger.is_none() {
            return Err(Error::config("the ledger is off: nobody knows what is missing or has failed")
                .with_hint("remove `ledger: off` (HOLOLOAD_LEDGER), or leave `missing` and `failed` out"));
        }
        let mut source = Source::new(self.selection);
        let mut counted_pages = 0;
        while !source.is_at_end {
            counted_pages += u32::from(self.out.left_count > 0);
            if counted_pages > COUNTED_PAGES_MAX || !self.has(PAGE_RESERVE_MS) {
                self.out.is_cut_short = true;
                return Ok(());
            }
            let page = in_time(self.invocation, source.page(context)).await?;
            let Some(page) = page else { return self.cut_short() };
            for some in page.chunks(KNOWN_KEYS_MAX) {
                if !self.take(context, some, on_report).await? {
                    return self.cut_short();
                }
                self.tell();
            }
        }
        self.finish(context, on_report).await
    }

    /// What was found was there at some time; what somebody named should be.
    fn may_be_gone(&self) -> bool {
        self.selection.objects.is_empty()
    }

    fn tell(&self) {
        if let Some(tell) = self.means.on_progress {
            tell(&self.out);
        }
    }

    /// Time is up; a sweep that has not settled anything will not get further the next time either.
    fn cut_short(&mut self) -> Result<()> {
        self.out.is_cut_short = true;
        if self.position.is_some() {
            return Ok(());
        }
        Err(Error::transient("reprocess: the invocation's time is up")
            .with_hint("run the same request again; give the function more time if it never gets further"))
    }

    /// False when time is up.
    async fn take(
        &mut self,
        context: &mut Context,
        found: &[Found],
        on_report: &mut (dyn FnMut(Report) + Send),
    ) -> Result<bool> {
        let routed = self.routed(context, found)?;
        let invocation = self.invocation;
        let choosing = self.choose(context, routed).boxed();
        let Some(chosen) = in_time(invocation, choosing).await? else { return Ok(false) };
        for one in chosen {
            let is_full = self.out.chosen_count >= self.means.load_max as u64;
            // Once one was left, all after it are: what is loaded is a part from the beginning.
            let is_left = is_full || self.out.left_count > 0;
            if self.selection.dry_run {
                self.out.chosen_count += 1;
                if self.out.chosen.len() < NAMED_MAX {
                    self.out.chosen.push(one);
                }
            } else if is_left || self.means.queue.is_none() && !self.has_for_load() {
                self.out.left_count += 1;
            } else if self.means.queue.is_some() {
                self.out.chosen_count += 1;
                self.waiting.push(one);
            } else {
                self.out.chosen_count += 1;
                let object = one.object.clone();
                if self.load_here(context, one, on_report).await {
                    self.position = Some(object);
                } else {
                    self.out.left_count += 1;
                }
            }
        }
        if self.waiting.len() > self.means.inline_max && !self.flush(context).await? {
            return Ok(false);
        }
        if self.out.left_count == 0 && self.waiting.is_empty() {
            self.position = found.last().map(|last| last.object.clone()).or(self.position.take());
        }
        Ok(true)
    }

    /// False when the load is to be continued.
    async fn load_here(
        &mut self,
        context: &mut Context,
        chosen: Chosen,
        on_report: &mut (dyn FnMut(Report) + Send),
    ) -> bool {
        let begun = Instant::now();
        let (force, may_be_gone) = (self.selection.force, self.may_be_gone());
        let request = Request { may_be_gone, force, ..Request::manual(chosen.object) };
        let report = load(context, &request, self.invocation).boxed().await;
        self.slowest = self.slowest.max(begun.elapsed());
        self.out.classes.extend(report.class());
        let is_done = report.status != Status::Continued;
        on_report(report);
        is_done
    }

    /// The few that came together in spite of a queue; what there is no time for goes there all the same.
    async fn finish(
        &mut self,
        context: &mut Context,
        on_report: &mut (dyn FnMut(Report) + Send),
    ) -> Result<()> {
        let mut rest = Vec::new();
        for one in std::mem::take(&mut self.waiting) {
            if self.out.queued_count > 0 || !self.has_for_load() {
                rest.push(one);
                continue;
            }
            let again = one.clone();
            if !self.load_here(context, one, on_report).await {
                rest.push(again);
            } else if rest.is_empty() {
                self.position = Some(again.object);
            }
        }
        self.waiting = rest;
        if !self.flush(context).await? {
            self.out.is_cut_short = true;
        }
        Ok(())
    }

    /// Hands everything that waits to the queue; false when time is up.
    async fn flush(&mut self, context: &Context) -> Result<bool> {
        let Some(queue) = self.means.queue else { return Ok(true) };
        let aws = context.aws.clone().ok_or_else(|| Error::bug("send messages without a client"))?;
        while !self.waiting.is_empty() {
            if !self.has(PAGE_RESERVE_MS) {
                return Ok(false);
            }
            let count = self.waiting.len().min(GROUP_MESSAGES_MAX);
            let message =
                |one: &Chosen| manual_message(&one.object, self.selection.force, self.may_be_gone());
            let messages: Vec<String> = self.waiting.iter().take(count).map(message).collect();
            let sending = aws.send_messages(queue, &messages);
            if in_time(self.invocation, sending).await?.is_none() {
                return Ok(false);
            }
            self.out.queued_count += count as u64;
            self.position = self.waiting.drain(..count).next_back().map(|last| last.object);
            self.tell();
        }
        Ok(true)
    }

    fn ended(self) -> Outcome {
        let Self { selection, waiting, position, mut out, .. } = self;
        let unsent = waiting.len() as u64;
        out.chosen_count -= unsent;
        out.left_count += unsent;
        if (out.left_count > 0 || out.is_cut_short) && selection.objects.is_empty() {
            out.next = position.or_else(|| selection.start_after.clone());
        }
        out
    }

    /// Objects with the table of their route; the others are passed over.
    fn routed<'l>(&mut self, context: &Context, found: &'l [Found]) -> Result<Vec<(&'l Found, Chosen)>> {
        let mut routed = Vec::with_capacity(found.len());
        for one in found {
            let is_after = |from: i64| one.last_modified_ms.is_none_or(|at| at >= from);
            let is_before = |to: i64| one.last_modified_ms.is_none_or(|at| at < to);
            if !self.selection.modified_after_ms.is_none_or(is_after)
                || !self.selection.modified_before_ms.is_none_or(is_before)
            {
                continue;
            }
            self.out.listed_count += 1;
            match table(context, one)? {
                Ok(table) => {
                    let (object, size) = (one.object.clone(), one.size);
                    routed.push((one, Chosen { object, table, reason: "asked for", size }));
                }
                Err(reason) => self.ignore(&one.object, reason),
            }
        }
        Ok(routed)
    }

    fn ignore(&mut self, object: &ObjectRef, reason: String) {
        self.out.ignored_count += 1;
        if self.out.ignored.len() < NAMED_MAX {
            let is_named = self.selection.bucket.is_empty();
            let name = if is_named { object.address() } else { object.key.clone() };
            self.out.ignored.push((name, reason));
        }
    }

    async fn choose(&mut self, context: &mut Context, routed: Vec<(&Found, Chosen)>) -> Result<Vec<Chosen>> {
        if self.selection.is_of_ledger() {
            return Ok(self.failed(routed));
        }
        if routed.is_empty() || !self.selection.needs_ledger() {
            return Ok(routed.into_iter().map(|(_, chosen)| chosen).collect());
        }
        let Some(ledger) = context.ledger.clone() else { return Ok(Vec::new()) };
        let keys: Vec<&str> = routed.iter().map(|(found, _)| found.object.key.as_str()).collect();
        let session = context.bare_session().await?;
        let known = match known(&ledger, session, &self.selection.bucket, &keys).await {
            // No ledger yet: nothing has been loaded.
            Err(error) if error.code() == Some("42P01") => std::collections::BTreeMap::new(),
            known => known?,
        };
        let mut taken = Vec::new();
        for (found, mut chosen) in routed {
            let lines = known.get(&found.object.key).map(Vec::as_slice).unwrap_or_default();
            let lines = lines.iter().filter(|line| line.table == chosen.table);
            match missing_or_failed(self.selection, found.etag.as_deref(), &lines.collect::<Vec<_>>()) {
                Some(reason) => {
                    chosen.reason = reason;
                    taken.push(chosen);
                }
                None => self.out.current_count += 1,
            }
        }
        Ok(taken)
    }

    /// Of what the ledger says failed, what failed for the table that its route leads to now.
    fn failed(&mut self, routed: Vec<(&Found, Chosen)>) -> Vec<Chosen> {
        let mut taken = Vec::with_capacity(routed.len());
        for (found, chosen) in routed {
            // Without a name it failed before its table was known.
            let is_own = |table: &String| table.is_empty() || *table == chosen.table;
            if found.failed_tables.iter().any(is_own) {
                taken.push(Chosen { reason: "its last load failed", ..chosen });
            } else {
                let tables = found.failed_tables.join(", ");
                let reason = format!("it failed for {tables}; its route leads to {}", chosen.table);
                self.ignore(&found.object, reason);
            }
        }
        taken
    }
}

/// The table that an object's rows go to, or why it is passed over.
fn table(context: &Context, found: &Found) -> Result<std::result::Result<String, String>> {
    let object = &found.object;
    // Only a listing knows the size for sure.
    if object.key.ends_with('/') && found.size == 0 && found.etag.is_some() {
        return Ok(Err("a folder marker".to_owned()));
    }
    if context.rejects.as_ref().is_some_and(|place| place.holds(object)) {
        return Ok(Err("a reject object of our own".to_owned()));
    }
    match context.planner.destination(object) {
        Ok(Destination::Route(route)) => Ok(Ok(route.table.to_string())),
        Ok(Destination::Ignored(reason)) => Ok(Err(reason)),
        // Where an object without a route is to fail, asking for a prefix is not asking for it.
        Err(error) if error.class() == Class::Config && !context.planner.is_empty() => {
            // A capture that names no table is told; an address without a route is told shorter.
            let reason = error.to_string();
            Ok(Err(if reason.starts_with("no route matches") {
                "no route matches".to_owned()
            } else {
                reason
            }))
        }
        Err(error) => Err(error),
    }
}
