//! An object's way from its first byte to COMMIT, once it is claimed.

use std::cmp::Ordering;
use std::time::Instant;

use super::bring;
use super::fence::Fence;
use super::handover::{hand_on, handed_on_before, name_parts};
use super::snapshot::{Begun, Mark, OVERTAKEN, Snapshot};
use super::stream::{Course, Flow, Stream, show};
use super::{LOCK_WAIT_MS, PART, Trace, Work, elapsed_ms, facts, note_version};
use crate::context::Context;
use crate::error::{Class, Result};
use crate::ledger::{Earlier, Line, Reach};
use crate::object::body::current_version;
use crate::object::{ObjectVersion, Request, STDIN_BUCKET};
use crate::plan::Plan;
use crate::reject::Rejects;
use crate::report::{Report, Status};

/// How a hint begins that holds where an object's rows appear together.
const ALL_OR_NOTHING: &str = "nothing was loaded:";

/// Reads the object into the table and commits.
pub(super) async fn transfer(
    context: &mut Context,
    work: &mut Work<'_>,
    mut fence: Option<Fence<'_>>,
    request: &Request,
    plan: &Plan,
) -> Result<()> {
    let clock = Instant::now();
    let earlier = fence.as_mut().map(|fence| std::mem::take(&mut fence.held.earlier)).unwrap_or_default();
    let resume = match earlier {
        Earlier::Nothing => None,
        // Rows of another mark would go at the end, as those of another version.
        Earlier::Left(point) => {
            let mark = Mark::of(plan, fence.as_ref(), request, work.trace).map(|mark| mark.own);
            Some(point).filter(|point| point.mark == mark)
        }
        Earlier::HandedOn(point) => return handed_on_before(context, work, &point).await,
        Earlier::Done => {
            context.standing_session()?.rollback().await?;
            work.report.end(Status::Skipped, "the load that was handed on has been taken to its end");
            return Ok(());
        }
    };
    // Whatever ends this load, rows of it are there.
    work.report.is_partial |= resume.is_some();
    let from = resume.as_ref().filter(|point| !point.is_packed).map_or(0, |point| point.offset);
    let body =
        bring::open(context.aws.as_ref(), &request.object, &request.version, &plan.route, from).await?;
    work.report.phases.open_ms = elapsed_ms(clock);
    note_version(&body, work.report, work.trace);
    work.trace.is_consumed = request.object.bucket == STDIN_BUCKET;
    if is_passed(context, fence.as_ref(), request, &body.version).await? {
        context.standing_session()?.rollback().await?;
        work.report.end(Status::Superseded, "a version that was modified later has been loaded");
        return Ok(());
    }
    let session = context.standing_session()?;
    session.set_lock_timeout(LOCK_WAIT_MS.min(work.invocation.statement_ms())).await?;
    let dialect = session.dialect();

    let snapshot = match Snapshot::begin(context, work, fence.as_mut(), request, plan).await? {
        Begun::Go(snapshot) => snapshot,
        Begun::Passed(reason) => {
            work.report.end(Status::Superseded, reason);
            return Ok(());
        }
    };
    let limits = context.planner.limits().with_smaller_batches(work.trace.shrunk);
    let facts = facts(request, work.trace, snapshot.mark());
    let mut stream = Stream::new(plan, context.planner.zone(), limits, body, dialect, facts);
    stream = stream.of(&snapshot);
    if let Some(point) = resume {
        stream = stream.resumed(&point)?;
        show(&point, work.report);
    }
    let Work { invocation, report, trace } = &mut *work;
    let mut course = Course { invocation, trace, report };
    let streamed = stream.run(context, &mut course, fence.as_mut()).await;
    if let (Ok(Flow::Paused(point)), Some(fence)) = (&streamed, &mut fence) {
        return hand_on(context, work, fence, &mut stream, (**point).clone()).await;
    }
    stream.count(work.report);
    if matches!(streamed, Ok(Flow::Overtaken)) {
        work.trace.lease = None;
        work.report.overtake(OVERTAKEN);
        return Ok(());
    }
    if let Err(error) = streamed {
        if error.class() == Class::Input {
            keep_rejects(context, request, stream.rejects(), work.report, work.trace).await;
        }
        return Err(if work.report.is_partial { error.with_other_hint(ALL_OR_NOTHING, PART) } else { error });
    }
    finish(context, work, fence, request, plan, (&mut stream, &snapshot)).await
}

/// The object was read to its end: bad rows, what a snapshot replaces, then fence, ledger and COMMIT.
async fn finish(
    context: &mut Context,
    work: &mut Work<'_>,
    mut fence: Option<Fence<'_>>,
    request: &Request,
    plan: &Plan,
    (stream, snapshot): (&mut Stream<'_>, &Snapshot),
) -> Result<()> {
    let clock = Instant::now();
    if let Some(place) = &context.rejects {
        work.report.rejects =
            stream.rejects().write(place, context.aws.as_ref(), &request.object, &work.trace.version).await?;
        name_parts(stream.rejects(), work.report);
    }
    // From here on the rows of a copy are there.
    if !end_copy(context, stream, fence.as_mut()).await? {
        work.trace.lease = None;
        work.report.overtake(OVERTAKEN);
        return Ok(());
    }
    let layout = stream.layout().cloned();
    let passed = snapshot.finish(context, work, fence.as_mut(), request, plan, layout.as_ref()).await?;
    if let Some(reason) = passed {
        context.standing_session()?.rollback().await?;
        work.report.overtake(reason);
        return Ok(());
    }
    commit(context, work, fence.as_ref(), request, plan, Status::Loaded).await?;
    work.report.phases.finish_ms = elapsed_ms(clock);
    Ok(())
}

/// Ends a copy of the whole object. That may take the server longer than the claim's lease, which is therefore kept over a
/// second connection meanwhile; false when another load has raised the claim.
async fn end_copy(
    context: &mut Context,
    stream: &mut Stream<'_>,
    fence: Option<&mut Fence<'_>>,
) -> Result<bool> {
    let fence = fence.filter(|fence| stream.holds_connection() && fence.renew_at().is_some());
    let Some(fence) = fence else {
        return stream.finish(context.standing_session()?).await.map(|()| true);
    };
    context.side_session().await?;
    let (session, side) = context.both_sessions()?;
    let mut ending = std::pin::pin!(stream.finish(session));
    while let Some(renew_at) = fence.renew_at() {
        tokio::select! {
            biased;
            ended = &mut ending => return ended.map(|()| true),
            () = tokio::time::sleep_until(renew_at.into()) => {
                if !fence.keep_beside(side).await? {
                    return Ok(false);
                }
            }
        }
    }
    ending.await.map(|()| true)
}

/// Whether a version that was modified later is in the table already, where nothing but that tells them apart.
async fn is_passed(
    context: &Context,
    fence: Option<&Fence<'_>>,
    request: &Request,
    version: &ObjectVersion,
) -> Result<bool> {
    // A file's time of change orders nothing: backups and copies keep theirs.
    let is_timed = request.object.is_s3() && !request.force;
    match fence.filter(|_| is_timed).and_then(|fence| fence.held.compare(version)) {
        Some(Ordering::Less) => Ok(true),
        // S3 tells whole seconds; of two versions in one second the one that is there now is the newer.
        Some(Ordering::Equal) => Ok(!is_current(context, request, version).await?),
        Some(Ordering::Greater) | None => Ok(false),
    }
}

/// Whether a version is the one that the object's name stands for now.
async fn is_current(context: &Context, request: &Request, version: &ObjectVersion) -> Result<bool> {
    let Some(aws) = context.aws.as_ref().filter(|_| request.object.is_s3()) else { return Ok(true) };
    match current_version(aws, &request.object).await {
        Ok(now) => Ok(now.etag == version.etag && now.version_id == version.version_id),
        Err(gone) if gone.code() == Some("NoSuchKey") => Ok(false),
        Err(other) => Err(other),
    }
}

/// Fence and ledger, then COMMIT: from here on the rows are there.
pub(super) async fn commit(
    context: &mut Context,
    work: &mut Work<'_>,
    fence: Option<&Fence<'_>>,
    request: &Request,
    plan: &Plan,
    status: Status,
) -> Result<()> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    work.report.lag_ms = request.event_time_ms.map(|put_ms| now_ms.saturating_sub(put_ms).max(0));
    let session = context.standing_session()?;
    if let Some(fence) = fence {
        let lease = fence.held.lease.as_ref();
        let (ledger, table) = (&fence.ledger, &plan.table.name);
        let reach = Reach { read: &work.trace.version, is_whole: true, owner: &work.trace.owner };
        let is_raised = ledger.raise(session, request, table, reach, lease).await?;
        work.trace.lease = None;
        if !is_raised {
            session.rollback().await?;
            work.report.overtake("a newer version was loaded meanwhile");
            return Ok(());
        }
        if session.dialect().is_hologres() {
            // The rows are there and the fence says so; the line that is still to be written follows below.
            work.report.status = status;
            return Ok(());
        }
        work.report.duration_ms = u64::try_from(now_ms.saturating_sub(work.trace.started_ms)).unwrap_or(0);
        let line = Line {
            report: work.report,
            status_name: status.name(),
            version: &work.trace.version,
            plan_hash: work.trace.plan_hash.as_deref(),
            request_id: work.invocation.request_id,
            load_id: &work.trace.owner,
            event_time_ms: request.event_time_ms,
            started_ms: work.trace.started_ms,
            resume: None,
        };
        ledger.record(session, &line).await?;
    }
    work.trace.is_committing = true;
    session.commit().await?;
    work.trace.is_committing = false;
    work.trace.is_recorded = true;
    work.report.status = status;
    Ok(())
}

/// The object failed for its rows: what is known of them is kept all the same.
async fn keep_rejects(
    context: &Context,
    request: &Request,
    rejects: &Rejects,
    report: &mut Report,
    trace: &Trace,
) {
    let Some(place) = &context.rejects else { return };
    match rejects.write(place, context.aws.as_ref(), &request.object, &trace.version).await {
        Ok(address) => report.rejects = address,
        Err(error) => report.warnings.push(format!("the rejects could not be written: {error}")),
    }
}
