//! A load that does not fit into its invocation: what is there stays, and the ledger says where to go on.

use super::Work;
use super::fence::Fence;
use super::snapshot::OVERTAKEN;
use super::stream::{Stream, show};
use crate::context::Context;
use crate::error::Result;
use crate::ledger::ResumePoint;
use crate::reject::Rejects;
use crate::report::{Report, Resume, Status};

/// Ends the load here, with everything before `point` durable.
pub(super) async fn hand_on(
    context: &mut Context,
    work: &mut Work<'_>,
    fence: &mut Fence<'_>,
    stream: &mut Stream<'_>,
    mut point: ResumePoint,
) -> Result<()> {
    stream.keep_rejects(context, work.trace, &mut point).await?;
    name_parts(stream.rejects(), work.report);
    show(&point, work.report);
    work.report.end(Status::Continued, reason(work, &point));
    if !fence.checkpoint(context, work.invocation, work.trace, work.report, &point).await? {
        work.trace.lease = None;
        work.report.overtake(OVERTAKEN);
        return Ok(());
    }
    work.report.resume = Some(Resume { offset: point.offset, record: point.record, from: stream.from() });
    work.trace.lease = None;
    work.trace.is_recorded = true;
    Ok(())
}

/// The same had been done when the connection broke, and only its answer was lost: going on here would make rows durable
/// that the ledger's line, which is closed, does not know of.
pub(super) async fn handed_on_before(
    context: &mut Context,
    work: &mut Work<'_>,
    point: &ResumePoint,
) -> Result<()> {
    context.standing_session()?.rollback().await?;
    show(point, work.report);
    work.report.end(Status::Continued, reason(work, point));
    work.report.resume = Some(Resume { offset: point.offset, record: point.record, from: 0 });
    work.report.is_partial = true;
    Ok(())
}

fn reason(work: &Work<'_>, point: &ResumePoint) -> String {
    if point.is_by_record() {
        return format!(
            "the invocation's time is up: {} records are loaded, the next one goes on there",
            point.offset
        );
    }
    let size = work.trace.version.size.map(|size| format!(" of {size}")).unwrap_or_default();
    format!(
        "the invocation's time is up: {}{size} bytes are loaded, the next one goes on there",
        point.offset
    )
}

/// Bad rows of earlier parts are not forgotten over those of the last.
pub(super) fn name_parts(rejects: &Rejects, report: &mut Report) {
    let mut parts = rejects.written().iter();
    if report.rejects.is_none() {
        report.rejects = parts.next_back().cloned();
    }
    let others: Vec<&str> = parts.map(String::as_str).collect();
    if !others.is_empty() {
        report.warnings.push(format!("bad rows of earlier parts of the object: {}", others.join(", ")));
    }
}
