//! An object was removed from its bucket: the rows that it had loaded go.

use super::fence::Fence;
use super::snapshot::{below_removal, delete};
use super::{Work, begin, commit};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ledger::Claim;
use crate::object::Request;
use crate::object::body::current_version;
use crate::plan::Plan;
use crate::report::Status;
use crate::sink::Leftover;

const STILL_THERE: &str = "the object is there, still or again: its rows stay";

/// Deletes the rows, unless the object is there after all or something newer is known.
pub(super) async fn remove(
    context: &mut Context,
    work: &mut Work<'_>,
    request: &Request,
    plan: &Plan,
) -> Result<()> {
    // Looked at before the claim as well: while the object is there, deliveries of it must not be passed by one that
    // speaks of another version.
    if is_there(context, request).await? {
        work.report.end(Status::Superseded, STILL_THERE);
        return Ok(());
    }
    let ledger = context.ledger.clone().ok_or_else(|| Error::bug("follow a removal without a ledger"))?;
    begin(context, work.invocation, true).await?;
    let session = context.standing_session()?;
    let name = &plan.table.name;
    let claim =
        ledger.claim(session, request, name, &plan.hash, work.trace.claimant(work.invocation)).await?;
    let held = match claim {
        Claim::Fresh(held) => held,
        Claim::AlreadyLoaded { .. } => {
            session.rollback().await?;
            work.report.end(Status::Skipped, "this removal has been followed");
            return Ok(());
        }
        Claim::Superseded(reason) => {
            session.rollback().await?;
            work.report.overtake(reason);
            return Ok(());
        }
        Claim::Failed(error) => {
            session.rollback().await?;
            return Err(error);
        }
    };
    work.trace.lease = held.lease.clone().map(|lease| (name.clone(), lease));
    let mut fence = Fence::new(ledger, request, name, *held);
    if is_there(context, request).await? {
        context.standing_session()?.rollback().await?;
        work.report.end(Status::Superseded, STILL_THERE);
        return Ok(());
    }
    let below = below_removal(request);
    let (key, bucket) = (request.object.key.as_str(), request.object.bucket.as_str());
    let leftover = Leftover { key, bucket, own: None, below: below.as_deref() };
    if let Some(reason) = delete(context, work, Some(&mut fence), plan, leftover).await? {
        work.trace.lease = None;
        work.report.overtake(reason);
        return Ok(());
    }
    let what = match work.report.deleted_count {
        Some(1) => "1 row of it was deleted".to_owned(),
        Some(count) => format!("{count} rows of it were deleted"),
        None => "its rows were deleted".to_owned(),
    };
    work.report.reason = Some(format!("the object was removed: {what}"));
    commit(context, work, Some(&fence), request, plan, Status::Deleted).await
}

async fn is_there(context: &Context, request: &Request) -> Result<bool> {
    let aws = context.aws.as_ref().ok_or_else(|| Error::bug("look at an S3 object without a client"))?;
    match current_version(aws, &request.object).await {
        Ok(_) => Ok(true),
        Err(gone) if gone.code() == Some("NoSuchKey") => Ok(false),
        Err(other) => Err(other),
    }
}
