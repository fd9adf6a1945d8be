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
    /// What is held of the table as a whole, by a request of its own.
    pub(super) whole: Option<(Request, Held)>,
    request: &'a Request,
    table: TableName,
}

impl<'a> Fence<'a> {
    pub(super) fn new(ledger: Ledger, request: &'a Request, table: &TableName, held: Held) -> Self {
        Self { ledger, held, whole: None, request, table: table.clone() }
    }

    /// Whether the claim must be renewed before anything more is written. A transaction's lock needs nothing.
    pub(super) fn is_old(&self) -> bool {
        self.leases().any(Lease::is_old)
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
        let Some(lease) = &mut self.held.lease else { return Ok(true) };
        let session = if is_taken {
            let side = context.side_session().await?;
            // Its leases are by the server's clock as well, read anew: it may have stood still meanwhile.
            side.begin(LEASED_STATEMENT_MS, 0).await?;
            side
        } else {
            context.standing_session()?
        };
        if let Some((request, Held { lease: Some(lease), .. })) = &mut self.whole
            && !self.ledger.keep(session, request, &self.table, lease).await?
        {
            return Err(super::stage::taken());
        }
        self.ledger.keep(session, self.request, &self.table, lease).await
    }
}
