//! The claim of a load that is at work, and what keeps it.

use std::time::Instant;

use crate::context::Context;
use crate::error::Result;
use crate::ledger::{Held, LEASED_STATEMENT_MS, Lease, Ledger};
use crate::object::Request;
use crate::table::TableName;

/// What this load holds, and where.
pub(super) struct Fence<'a> {
    pub(super) ledger: Ledger,
    pub(super) held: Held,
    request: &'a Request,
    table: TableName,
}

impl<'a> Fence<'a> {
    pub(super) fn new(ledger: Ledger, request: &'a Request, table: &TableName, held: Held) -> Self {
        Self { ledger, held, request, table: table.clone() }
    }

    /// Whether the claim must be renewed before anything more is written. A transaction's lock needs nothing.
    pub(super) fn is_old(&self) -> bool {
        self.held.lease.as_ref().is_some_and(Lease::is_old)
    }

    /// When that will be, where something must be renewed.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.held.lease.as_ref().map(Lease::renew_at)
    }

    /// Renews the claim; false when another load has raised it. Where a copy takes up the connection, another one is
    /// opened for this.
    pub(super) async fn keep(&mut self, context: &mut Context, is_taken: bool) -> Result<bool> {
        let Some(lease) = &mut self.held.lease else { return Ok(true) };
        let session = if is_taken {
            let side = context.side_session().await?;
            // Its leases are by the server's clock as well, read anew: it may have stood still meanwhile.
            side.begin(LEASED_STATEMENT_MS, 0).await?;
            side
        } else {
            context.standing_session()?
        };
        self.ledger.keep(session, self.request, &self.table, lease).await
    }
}
