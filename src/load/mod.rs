//! The one loop: claim, open, read, write, finish; what is durable when, and what every failure comes to.
//!
//! On PostgreSQL everything between claim and commit is one transaction: the fence row is locked first, rows go
//! in batch by batch, then the rejects are written, then fence and ledger, then COMMIT. On Hologres, which has no such
//! transactions, the order is the same and every batch durable by itself: a claim with a lease stands in for the
//! lock. Whatever ends a load early closes the connection and waits until it is gone, so that nothing of it can become
//! durable later.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;

use crate::context::Context;
use crate::error::{Class, Error, Result};
use crate::ledger::{Claim, Claimant, LEASED_STATEMENT_MS, Lease, Reach, ResumePoint};
use crate::object::body::{ObjectBody, current_version};
use crate::object::{FOLDER_MARKER, ObjectRef, ObjectVersion, Request, Sequencer};
use crate::plan::{Destination, Plan, Route};
use crate::report::{Report, Status};
use crate::table::TableName;

mod bad;
mod bring;
#[cfg(feature = "parquet")]
mod columns;
mod dry;
mod facts;
mod fence;
mod fit;
mod handover;
mod history;
mod intake;
mod invocation;
mod preview;
mod reader;
mod removal;
mod snapshot;
mod stage;
mod stream;
mod swap;
mod transfer;
mod unpack;
mod verify;

pub use dry::{Checked, Duplicates, Mapping, check, lenient};
use facts::Facts;
use fence::Fence;
use history::HistoryLine;
pub use invocation::Invocation;
pub use preview::{Preview, PreviewRow, Reading, preview};
use stream::Stream;
use transfer::{commit, transfer};
pub use verify::{Verdict, verify};

/// How long a statement waits for rows that another load has locked.
const LOCK_WAIT_MS: u64 = 60_000;
/// A certificate that ends sooner is worth a warning.
const CERTIFICATE_WARNING_DAYS: i64 = 30;

/// How the hint of a load begins that failed when rows of it were in the table already.
const PART: &str = "a part of the rows was written:";

/// Loads one object; whatever happens becomes part of the report.
pub async fn load(context: &mut Context, request: &Request, invocation: &Invocation<'_>) -> Report {
    let started = Instant::now();
    let started_at = jiff::Timestamp::now();
    let mut report = Report::new(request, started_at);
    report.warnings.clone_from(&context.warnings);
    let owner = owner(invocation, started_at);
    let started_ms = started_at.as_millisecond();
    let (version, object) = (request.version.clone(), request.object.clone());
    let mut trace = Trace { object, version, started_ms, owner, ..Trace::default() };

    let mut work = Work { invocation, report: &mut report, trace: &mut trace };
    let loading = attempts(context, &mut work, request).boxed();
    // A panic is a defect of ours; it costs this object, not the process. Its own text may quote a value; its place is
    // in the log.
    let outcome = AssertUnwindSafe(loading).catch_unwind().await.unwrap_or_else(|_| {
        Err(Error::bug("load the object: holoload panicked")
            .with_hint("please report this with the log line before"))
    });
    if let Err(error) = &outcome {
        // Nothing of a failed load may outlive it, least of all a transaction.
        context.discard_within(invocation.close_limit()).await;
        report.fail(error);
    }
    // A load that was overtaken may have left off anywhere.
    context.leave_within(invocation.close_limit()).await;
    report.duration_ms = elapsed_ms(started);
    if !trace.is_recorded && !trace.is_shut_out && !request.dry_run {
        let line = HistoryLine { request, invocation, trace: &trace };
        if let Err(error) = line.write(context, &report).await {
            context.discard_within(invocation.close_limit()).await;
            history::not_told(request, &mut report, error);
        }
    }
    if let Some(tell) = invocation.on_report.filter(|_| !request.dry_run) {
        tell(&report);
    }
    report
}

/// A name that no other load has: on Lambda a retry carries the request id of the first try.
fn owner(invocation: &Invocation<'_>, started_at: jiff::Timestamp) -> String {
    let own = std::process::id();
    format!("{}-{own}-{:x}", invocation.request_id.unwrap_or("cli"), started_at.as_nanosecond())
}

/// What a load was told, and what it tells.
struct Work<'a> {
    invocation: &'a Invocation<'a>,
    report: &'a mut Report,
    trace: &'a mut Trace,
}

/// What is known of a load beside its report.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and none follows from another")]
#[derive(Default)]
struct Trace {
    object: ObjectRef,
    version: ObjectVersion,
    started_ms: i64,
    /// In whose name claims are made, and the line of the ledger.
    owner: String,
    /// A claim that stands until somebody gives it back, and on what.
    lease: Option<(TableName, Lease)>,
    /// The same on a table as a whole.
    whole: Option<(TableName, Lease)>,
    /// When the lease ends that was last asked for.
    asked_until: Option<SystemTime>,
    plan_hash: Option<String>,
    /// As far as the rows are there for good.
    resume: Option<ResumePoint>,
    is_recorded: bool,
    /// The database refused us; asking again, for the ledger, might lock the account.
    is_shut_out: bool,
    /// Bytes of standard input are gone: there is no second time.
    is_consumed: bool,
    /// COMMIT is on its way: from here on only the ledger knows.
    is_committing: bool,
    /// How often the server could not do with batches as large as they were.
    shrunk: u32,
}

impl Trace {
    fn claimant(&mut self, invocation: &Invocation<'_>) -> Claimant<'_> {
        Claimant {
            owner: &self.owner,
            has_lease: self.lease.is_some(),
            asked_until: &mut self.asked_until,
            wait: Duration::from_millis(invocation.claim_wait_ms()),
        }
    }
}

async fn attempts(context: &mut Context, work: &mut Work<'_>, request: &Request) -> Result<()> {
    let mut retried = 0;
    let mut request = request.clone();
    loop {
        let error = match bounded(context, work, &request).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        context.discard_within(work.invocation.close_limit()).await;
        if error.code() == Some("NoSuchKey")
            && let Some(other) = otherwise_decoded(context, &request).await
        {
            tracing::warn!(key = other.object.key, "key decode fallback");
            work.report.key.clone_from(&other.object.key);
            work.trace.object.clone_from(&other.object);
            work.report.reset_counts();
            request = other;
            continue;
        }
        let request = &request;
        let settling =
            tokio::time::timeout(work.invocation.exit_limit(), settle(context, request, &error, work.report));
        if settling.await.unwrap_or(Ok(false))? {
            return Ok(());
        }
        // A changed table shows so; what is known of it has gone with the connection. A ledger that was dropped is
        // made anew.
        let is_stale = is_stale(&error) && retried == 0;
        if is_stale {
            context.forget_ledger();
        }
        if error.class() != Class::Transient && !is_stale {
            return Err(error);
        }
        if work.trace.is_consumed {
            return Err(error.with_hint("standard input cannot be read twice: pipe it again"));
        }
        let is_late = error.code() == Some("Deadline");
        if work.trace.is_committing && (is_late || context.ledger.is_none()) {
            return Err(error.with_hint(
                "the connection broke at COMMIT: look into the table whether the rows are there",
            ));
        }
        let pause = retry_pause(retried, error.retry_pause_ms());
        let has_time = work.invocation.remaining().is_none_or(|left| left > pause * 2);
        // A table that is read anew deserves one attempt with what it is now.
        let retry_max = error.retry_max().max(u32::from(is_stale));
        if is_late || retried >= retry_max || !has_time {
            return Err(error);
        }
        tracing::warn!(error = %error, attempt = retried + 1, "load attempt failed, trying again");
        retried += 1;
        work.report.retry_count += 1;
        work.trace.shrunk += u32::from(error.wants_smaller_batch());
        tokio::time::sleep(pause).await;
        work.report.reset_counts();
    }
}

/// SQLSTATEs of a table that is not as it was: no such column, table, cast, function or conflict target; or the server
/// said so in words.
fn is_stale(error: &Error) -> bool {
    let is_changed = matches!(error.code(), Some("42703" | "42P01" | "42804" | "42846" | "42883" | "42P10"));
    error.is_stale_table() || is_changed && !error.action().starts_with("there is no table")
}

/// The request under its other key, if exactly the version that was meant is there.
async fn otherwise_decoded(context: &Context, request: &Request) -> Option<Request> {
    let key = request.other_key.clone()?;
    let aws = context.aws.as_ref()?;
    let object = ObjectRef { bucket: request.object.bucket.clone(), key };
    let found = current_version(aws, &object).await.ok()?;
    let is_meant = found.etag.is_some() && found.etag == request.version.etag;
    is_meant.then(|| Request { object, other_key: None, ..request.clone() })
}

/// The attempt, cut off in time for a clean exit.
async fn bounded(context: &mut Context, work: &mut Work<'_>, request: &Request) -> Result<()> {
    let Some(left) = work.invocation.remaining() else {
        return attempt(context, work, request).boxed().await;
    };
    let attempted = tokio::time::timeout(left, attempt(context, work, request).boxed()).await;
    attempted.unwrap_or_else(|_| {
        let state = if work.report.is_partial { PART } else { "nothing was written:" };
        Err(Error::transient("load the object: the invocation's time is up").with_code("Deadline").with_hint(
            format!("{state} raise the function's timeout (at most 900 s) or memory, or split the object"),
        ))
    })
}

async fn attempt(context: &mut Context, work: &mut Work<'_>, request: &Request) -> Result<()> {
    if context.rejects.as_ref().is_some_and(|place| place.holds(&request.object)) {
        work.report.end(Status::Ignored, "the object is a reject object of our own");
        return Ok(());
    }
    let route = match context.planner.destination(&request.object)? {
        Destination::Route(route) => route,
        Destination::Ignored(reason) => {
            work.report.end(Status::Ignored, reason);
            return Ok(());
        }
    };
    work.report.table = Some(route.table.to_string());
    let request = &pinned(context, request).await?;
    work.trace.version.clone_from(&request.version);
    if is_marker(request) {
        work.report.end(Status::Ignored, FOLDER_MARKER);
        return Ok(());
    }

    connect(context, work, request.dry_run).await?;
    let plan = plan(context, route).await?;
    work.trace.plan_hash = Some(plan.hash.clone());

    if request.dry_run || request.is_removal {
        return without_rows(context, work, request, &plan).boxed().await;
    }
    let Some(ledger) = context.ledger.clone() else {
        begin(context, work.invocation, false).await?;
        return transfer(context, work, None, request, &plan).boxed().await;
    };
    let clock = Instant::now();
    begin(context, work.invocation, true).await?;
    let session = context.standing_session()?;
    let name = &plan.table.name;
    let claim =
        ledger.claim(session, request, name, &plan.hash, work.trace.claimant(work.invocation)).await?;
    work.report.phases.claim_ms = elapsed_ms(clock);
    match claim {
        Claim::Fresh(held) => {
            work.trace.lease = held.lease.clone().map(|lease| (name.clone(), lease));
            let fence = Fence::new(ledger, request, name, *held);
            transfer(context, work, Some(fence), request, &plan).boxed().await
        }
        Claim::AlreadyLoaded { must_raise } => {
            let reach = Reach { read: &request.version, is_whole: true, owner: &work.trace.owner };
            if must_raise && ledger.raise(session, request, name, reach, None).await? {
                session.commit().await?;
            } else {
                session.rollback().await?;
            }
            work.report
                .end(Status::Skipped, "this version has been loaded; --force (`force: true`) loads it again");
            Ok(())
        }
        Claim::Superseded(reason) => {
            session.rollback().await?;
            work.report.end(Status::Superseded, reason);
            Ok(())
        }
        Claim::Failed(error) => {
            session.rollback().await?;
            Err(error)
        }
    }
}

/// Notifications say so themselves; of what stands under a prefix, or in a manifest, only S3 knows the size.
fn is_marker(request: &Request) -> bool {
    request.object.is_s3() && request.object.key.ends_with('/') && request.version.size == Some(0)
}

/// A dry run leaves nothing behind, and so creates no ledger.
async fn connect(context: &mut Context, work: &mut Work<'_>, is_dry: bool) -> Result<()> {
    let clock = Instant::now();
    let session = if is_dry { context.bare_session().await } else { context.session().await };
    let session = match session {
        Ok(session) => session,
        Err(error) => {
            work.trace.is_shut_out = error.class() == Class::Access;
            return Err(error);
        }
    };
    warn_of_certificate(session.certificate_not_after_ms(), work.report);
    // Whatever ends the load before a write path is chosen wrote nothing that was atomic there.
    work.report.atomic = !session.dialect().is_hologres();
    work.report.phases.connect_ms = elapsed_ms(clock);
    Ok(())
}

/// A request that says no version is about the one that is there now.
async fn pinned(context: &Context, request: &Request) -> Result<Request> {
    if request.is_removal {
        return Ok(request.clone());
    }
    let mut request = request.clone();
    let is_pinned = request.version.version_id.is_some() || request.version.etag.is_some();
    if !request.object.is_s3() {
        request.version = ObjectBody::open(None, &request.object, &request.version).await?.version;
    } else if !is_pinned || (request.is_manual && request.version.etag.is_none()) {
        let aws = context.aws.as_ref().ok_or_else(|| Error::bug("look at an S3 object without a client"))?;
        let asked = request.version.version_id.clone();
        let head = aws.head(&request.object.bucket, &request.object.key, asked.as_deref()).await?;
        request.version.version_id = head.version_id;
        request.version.etag = head.etag;
        request.version.size = head.size;
        request.version.last_modified_ms = head.last_modified_ms;
    }
    Ok(request)
}

async fn plan(context: &mut Context, route: std::sync::Arc<Route>) -> Result<Plan> {
    let table = context.standing_session()?.table(&route.table).await?;
    Plan::new(route, table)
}

/// Under a lease no statement may outlast it.
async fn begin(context: &mut Context, invocation: &Invocation<'_>, is_claimed: bool) -> Result<()> {
    let session = context.standing_session()?;
    let statement_ms = invocation.statement_ms();
    let is_leased = is_claimed && session.dialect().is_hologres();
    let statement_ms = if is_leased { statement_ms.min(LEASED_STATEMENT_MS) } else { statement_ms };
    session.begin(statement_ms, invocation.claim_wait_ms()).await
}

async fn without_rows(
    context: &mut Context,
    work: &mut Work<'_>,
    request: &Request,
    plan: &Plan,
) -> Result<()> {
    if request.is_removal {
        return removal::remove(context, work, request, plan).await;
    }
    dry_run(context, work, request, plan).await
}

/// Decodes and types everything against the live table, writes nothing.
async fn dry_run(context: &mut Context, work: &mut Work<'_>, request: &Request, plan: &Plan) -> Result<()> {
    let body = bring::open(context.aws.as_ref(), &request.object, &request.version, &plan.route, 0).await?;
    note_version(&body, work.report, work.trace);
    let dialect = context.standing_session()?.dialect();
    let planner = &context.planner;
    let facts = facts(request, work.trace, None);
    let mut stream = Stream::new(plan, planner.zone(), planner.limits(), body, dialect, facts);
    let streamed = stream.run_dry(&context.refusals, work.invocation, work.report).await;
    stream.count(work.report);
    streamed?;
    work.report.end(Status::Skipped, "dry run: nothing was written");
    Ok(())
}

fn facts(request: &Request, trace: &Trace, mark: Option<&str>) -> Facts {
    Facts {
        bucket: request.object.bucket.clone(),
        key: request.object.key.clone(),
        content_type: None,
        version: trace.version.identity().map(str::to_owned),
        sequencer: mark.or(request.sequencer.as_ref().map(Sequencer::as_str)).map(str::to_owned),
        event_time_ms: request.event_time_ms,
        loaded_at_ms: trace.started_ms,
    }
}

fn note_version(body: &ObjectBody, report: &mut Report, trace: &mut Trace) {
    trace.version = body.version.clone();
    report.version_id.clone_from(&trace.version.version_id);
    report.etag.clone_from(&trace.version.etag);
}

/// Errors of S3 that are an answer: the object changed or went after its event was sent.
async fn settle(context: &Context, request: &Request, error: &Error, report: &mut Report) -> Result<bool> {
    let is_pinned = request.version.version_id.is_some() || request.version.etag.is_some();
    if request.may_be_gone && !is_pinned && error.code() == Some("NoSuchKey") {
        report.go_without(Status::Deleted, "the object was deleted before it was loaded");
        return Ok(true);
    }
    if request.is_manual && !request.may_be_gone || !is_pinned {
        return Ok(false);
    }
    let Some(aws) = &context.aws else { return Ok(false) };
    match error.code() {
        Some("NoSuchKey" | "NoSuchVersion" | "MethodNotAllowed") => {
            report.go_without(Status::Deleted, "the object was deleted after its event was sent");
            Ok(true)
        }
        Some("PreconditionFailed") => match current_version(aws, &request.object).await {
            Ok(now) if now.etag != request.version.etag => {
                report.go_without(Status::Superseded, "the object was overwritten after its event was sent");
                Ok(true)
            }
            Ok(_) => Err(Error::transient("read the object: it was overwritten and put back meanwhile")
                .with_hint("the same load can be tried again")),
            Err(gone) if gone.code() == Some("NoSuchKey") => {
                report.go_without(Status::Deleted, "the object was deleted after its event was sent");
                Ok(true)
            }
            Err(other) => Err(other),
        },
        _ => Ok(false),
    }
}

fn warn_of_certificate(not_after_ms: Option<i64>, report: &mut Report) {
    let Some(not_after_ms) = not_after_ms else { return };
    let days = not_after_ms.saturating_sub(jiff::Timestamp::now().as_millisecond()) / 86_400_000;
    report.certificate_days = Some(days);
    if days < CERTIFICATE_WARNING_DAYS {
        let warning =
            format!("the database's certificate ends in {days} days: renew it before connections fail");
        if !report.warnings.contains(&warning) {
            report.warnings.push(warning);
        }
    }
}

/// The error's pause, doubled each time, with up to half of it added at random.
fn retry_pause(retried: u32, first_ms: u64) -> Duration {
    let base_ms = first_ms << retried.min(8);
    // The clock's low digits are random enough to part two loads that collided.
    let noise = u64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    Duration::from_millis(base_ms + noise % (base_ms / 2 + 1))
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
