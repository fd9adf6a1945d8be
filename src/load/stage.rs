//! An object that takes the place of a whole table: its rows go into a stage first.
//!
//! On PostgreSQL the stage is a temporary table and what differs is merged in the load's transaction, so that rows which
//! stay the same are not touched. On Hologres it is a table of its own, which then takes the other one's name.

use std::cmp::Ordering;

use super::fence::Fence;
use super::snapshot::{Begun, Snapshot, explained};
use super::swap;
use super::{Work, begin};
use crate::context::Context;
use crate::database::Session;
use crate::error::{Error, Result};
use crate::ledger::{Claim, Claimant, Held, Ledger, Reach};
use crate::object::{ObjectRef, ObjectVersion, Request};
use crate::plan::{Layout, Plan};
use crate::report::Report;
use crate::sink::{self, Merge};
use crate::table::TableName;

/// PostgreSQL's stage: every session has its own.
const STAGE: &str = "holoload_stage";
const PASSED: &str = "an object that was modified later holds the table";

/// Where the rows are until they are the table's.
pub(super) struct Stage {
    /// The plan that leads there.
    pub(super) plan: Plan,
}

impl Stage {
    pub(super) async fn begin(
        context: &mut Context,
        work: &mut Work<'_>,
        fence: Option<&mut Fence<'_>>,
        request: &Request,
        plan: &Plan,
    ) -> Result<Begun> {
        let session = context.standing_session()?;
        if !session.dialect().is_hologres() {
            let name = TableName { schema: "pg_temp".to_owned(), name: STAGE.to_owned() };
            session.run(&sink::stage(plan, &name), "make a stage for the table").await.map_err(|error| {
                let hint = "the loader's user needs TEMPORARY on the database and SELECT on the table";
                if error.code() == Some("42501") { error.with_hint(hint) } else { error }
            })?;
            let stage = Self { plan: plan.into_table(name) };
            return Ok(Begun::Go(Snapshot::Table(Box::new(stage))));
        }
        if plan.table.is_partitioned {
            return Err(Error::config(format!(
                "table `{}` is partitioned: Hologres cannot put another one in its place",
                plan.table.name
            ))
            .with_hint("load with `scope: object`, or route each partition's objects to its own table"));
        }
        let fence = fence.ok_or_else(|| Error::bug("replace a table without a claim"))?;
        let held = claim(context, work, &fence.ledger, &plan.table.name).await?;
        work.trace.whole = held.lease.clone().map(|lease| (plan.table.name.clone(), lease));
        let is_passed = is_passed(&held, request, &work.trace.version);
        fence.whole = Some((whole(), held));
        if is_passed {
            return Ok(Begun::Passed(PASSED));
        }
        let name = swap::make(context, fence, plan, &mut work.report.warnings).await?;
        Ok(Begun::Go(Snapshot::Table(Box::new(Self { plan: plan.into_table(name) }))))
    }

    /// The table becomes what the stage holds; a reason when something newer was first.
    pub(super) async fn finish(
        &self,
        context: &mut Context,
        work: &mut Work<'_>,
        fence: Option<&mut Fence<'_>>,
        request: &Request,
        plan: &Plan,
        layout: Option<&Layout>,
    ) -> Result<Option<&'static str>> {
        let fence = fence.ok_or_else(|| Error::bug("replace a table without a claim"))?;
        let name = &plan.table.name;
        if context.standing_session()?.dialect().is_hologres() {
            // A copy may have taken the bound of a leased statement away.
            begin(context, work.invocation, true).await?;
            if !fence.keep(context, false).await? {
                return Ok(Some(super::snapshot::OVERTAKEN));
            }
            swap::swap(context, plan, &self.plan.table.name).await?;
            work.report.deleted_count = None;
            work.report.is_partial = true;
        } else {
            let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", name.quoted());
            context.standing_session()?.run(&lock, "lock the table").await?;
            let held = claim(context, work, &fence.ledger, name).await?;
            if is_passed(&held, request, &work.trace.version) {
                return Ok(Some(PASSED));
            }
            fence.whole = Some((whole(), held));
            let merge = Merge::new(plan, layout, &self.plan.table.name);
            let session = context.standing_session()?;
            self.merge(session, &merge, work.report).await.map_err(explained)?;
        }
        let lease = fence.whole.as_ref().and_then(|(_, held)| held.lease.as_ref());
        let read = held_by(request, &work.trace.version);
        let session = context.standing_session()?;
        let reach = Reach { read: &read, is_whole: true, owner: &work.trace.owner };
        if !fence.ledger.raise(session, &whole(), name, reach, lease).await? {
            return Err(taken());
        }
        work.trace.whole = None;
        Ok(None)
    }

    async fn merge(&self, session: &mut Session, merge: &Merge, report: &mut Report) -> Result<()> {
        const ACTION: &str = "make the table what the object says";
        let staged = report.inserted_count.unwrap_or(0);
        if staged > 0 {
            let analyze = format!("ANALYZE {}", self.plan.table.name.quoted());
            session.run(&analyze, "look at the stage").await?;
        }
        let deleted =
            session.change_rows(&merge.delete, &[], crate::database::Tally::Written, ACTION).await?;
        report.deleted_count = Some(deleted.written);
        // What the stage updated or found the same had another row of the object before it.
        report.duplicate_count += report.updated_count.unwrap_or(0) + report.unchanged_count;
        report.updated_count = Some(0);
        report.unchanged_count = 0;
        if merge.insert.is_empty() {
            return Ok(());
        }
        let merged = session.change_rows(&merge.insert, &[], merge.tally, ACTION).await?;
        report.inserted_count = merged.inserted;
        report.updated_count = merged.inserted.map(|inserted| merged.written.saturating_sub(inserted));
        report.unchanged_count = staged.saturating_sub(merged.written);
        Ok(())
    }
}

/// What the fence says of the table as a whole stands in a row that no object can have.
pub(super) fn whole() -> Request {
    let object = ObjectRef { bucket: String::new(), key: String::new() };
    Request { force: true, ..Request::manual(object) }
}

async fn claim(context: &mut Context, work: &Work<'_>, ledger: &Ledger, table: &TableName) -> Result<Held> {
    let claimant = Claimant {
        owner: &work.trace.owner,
        has_lease: work.trace.whole.is_some(),
        asked_until: &mut None,
        wait: std::time::Duration::from_millis(work.invocation.claim_wait_ms()),
    };
    match ledger.claim(context.standing_session()?, &whole(), table, "", claimant).await? {
        Claim::Fresh(held) => Ok(*held),
        _ => Err(Error::bug("claim the table: the answer is none that it can have")),
    }
}

/// What the fence keeps: the object in place of its `ETag`. A file's time of change orders nothing.
fn held_by(request: &Request, version: &ObjectVersion) -> ObjectVersion {
    ObjectVersion {
        etag: Some(request.object.address()),
        last_modified_ms: version.last_modified_ms.filter(|_| request.object.is_s3()).or(Some(0)),
        ..ObjectVersion::default()
    }
}

/// Sequencers order the versions of one object, and the object's own fence has decided about those; different objects are
/// ordered by when they were modified, and within one of S3's seconds by their address.
fn is_passed(held: &Held, request: &Request, version: &ObjectVersion) -> bool {
    if request.force || !request.object.is_s3() {
        return false;
    }
    let own = held_by(request, version);
    match held.compare(&own) {
        Some(Ordering::Less) => true,
        Some(Ordering::Equal) => own.etag.as_deref() < held.read_etag(),
        Some(Ordering::Greater) | None => false,
    }
}

/// Another load is at work on the table now: this one may be the newer all the same, and begins again.
pub(super) fn taken() -> Error {
    Error::transient("keep the claim on the table: it ran out, and another load took it")
        .with_code("Busy")
        .with_hint("try again when the other load is done")
}
