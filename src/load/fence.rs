//! The claim of a load that is at work: what keeps it, and what it leaves behind while the load goes on.

use std::time::{Duration, Instant};

use super::{Invocation, Trace, begin};
use crate::context::Context;
use crate::database::Session;
use crate::error::Result;
use crate::ledger::{Held, LEASED_STATEMENT_MS, Lease, Ledger, Line, Reach, ResumePoint};
use crate::object::Request;
use crate::report::{Report, Status};
use crate::table::TableName;

/// Work that is older than this is made durable, where a load is more than one transaction: what a kill costs.
const CHECKPOINT_AFTER_MS: u64 = 10_000;

/// What this load holds, and where.
pub(super) struct Fence<'a> {
    pub(super) ledger: Ledger,
    pub(super) held: Held,
    /// What is held of the table as a whole, by a request of its own.
    pub(super) whole: Option<(Request, Held)>,
    request: &'a Request,
    table: TableName,
    /// When the history last learned how far the load is.
    saved_at: Instant,
}

impl<'a> Fence<'a> {
    pub(super) fn new(ledger: Ledger, request: &'a Request, table: &TableName, held: Held) -> Self {
        Self { ledger, held, whole: None, request, table: table.clone(), saved_at: Instant::now() }
    }

    /// Whether the claim must be renewed before anything more is written. A transaction's lock needs nothing.
    pub(super) fn is_old(&self) -> bool {
        self.leases().any(Lease::is_old)
    }

    /// Whether it is time to say how far the load is.
    pub(super) fn is_checkpoint_due(&self) -> bool {
        self.saved_at.elapsed() >= Duration::from_millis(CHECKPOINT_AFTER_MS)
    }

    /// When that will be, where something must be renewed.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.leases().map(Lease::renew_at).min()
    }

    fn leases(&self) -> impl Iterator<Item = &Lease> {
        let whole = self.whole.as_ref().and_then(|(_, held)| held.lease.as_ref());
        self.held.lease.iter().chain(whole)
    }

    /// Renews the claim; false when another load has raised it. Where a copy takes up the connection, another one is
    /// opened for this.
    pub(super) async fn keep(&mut self, context: &mut Context, is_taken: bool) -> Result<bool> {
        if self.held.lease.is_none() {
            return Ok(true);
        }
        if is_taken {
            return self.keep_beside(context.side_session().await?).await;
        }
        self.keep_over(context.standing_session()?).await
    }

    /// The same over a second connection. Its leases are by the server's clock as well, read anew: it may have stood still
    /// meanwhile.
    pub(super) async fn keep_beside(&mut self, side: &mut Session) -> Result<bool> {
        side.begin(LEASED_STATEMENT_MS, 0).await?;
        self.keep_over(side).await
    }

    async fn keep_over(&mut self, session: &mut Session) -> Result<bool> {
        let Some(lease) = &mut self.held.lease else { return Ok(true) };
        if let Some((request, Held { lease: Some(lease), .. })) = &mut self.whole
            && !self.ledger.keep(session, request, &self.table, lease).await?
        {
            return Err(super::stage::taken());
        }
        self.ledger.keep(session, self.request, &self.table, lease).await
    }

    /// Makes everything before `point` durable, with a line in the history that says so: `running`, and the load goes on
    /// under the same claim, or `continued`, and the claim ends. False when another load has taken the object over.
    pub(super) async fn checkpoint(
        &mut self,
        context: &mut Context,
        invocation: &Invocation<'_>,
        trace: &Trace,
        report: &mut Report,
        point: &ResumePoint,
    ) -> Result<bool> {
        let is_leased = self.held.lease.is_some();
        if is_leased && !self.keep(context, false).await? {
            return Ok(false);
        }
        let goes_on = report.status == Status::Running;
        let session = context.standing_session()?;
        if !is_leased {
            let reach = Reach { read: &trace.version, is_whole: false, owner: &trace.owner };
            if !self.ledger.raise(session, self.request, &self.table, reach, None).await? {
                return Ok(false);
            }
        }
        let point = ResumePoint { is_forced: self.request.force, ..point.clone() };
        let line = Line {
            report,
            status_name: report.status.name(),
            version: &trace.version,
            plan_hash: trace.plan_hash.as_deref(),
            request_id: invocation.request_id,
            load_id: &trace.owner,
            event_time_ms: self.request.event_time_ms,
            started_ms: trace.started_ms,
            resume: Some(&point),
        };
        self.ledger.record(session, &line).await?;
        session.commit().await?;
        report.is_partial = true;
        self.saved_at = Instant::now();
        if let Some(lease) = self.held.lease.as_ref().filter(|_| !goes_on) {
            self.ledger.release(session, self.request, &self.table, lease).await?;
        }
        if is_leased || !goes_on {
            return Ok(true);
        }
        begin(context, invocation, true).await?;
        let session = context.standing_session()?;
        if !self.ledger.reclaim(session, self.request, &self.table, &trace.owner).await? {
            return Ok(false);
        }
        session.set_lock_timeout(super::LOCK_WAIT_MS.min(invocation.statement_ms())).await?;
        Ok(true)
    }
}
