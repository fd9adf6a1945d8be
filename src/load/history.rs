//! What the ledger hears of a load that did not commit its line with its rows.

use super::{Invocation, Trace, retry_pause};
use crate::context::Context;
use crate::error::{Class, Error, RETRY_MAX_DEFAULT, RETRY_PAUSE_DEFAULT_MS, Result};
use crate::ledger::{Ledger, Line};
use crate::object::Request;
use crate::report::{Report, Status};

/// The ledger could not be told how a load ended. Were a delivery answered as done all the same, its object would end in
/// no status at all; failed, it comes again, finds what has become of it, and says so.
pub(super) fn not_told(request: &Request, report: &mut Report, error: Error) {
    let is_delivered = !request.is_manual && !matches!(report.status, Status::Failed | Status::Ignored);
    if !is_delivered {
        report.warnings.push(format!("the ledger could not be written: {error}"));
        return;
    }
    let has_hint = error.hint().is_some();
    let error = error.context(format!("tell the ledger that the object is {}", report.status.name()));
    report.fail(&if has_hint { error } else { error.with_hint("the next delivery of it tells the ledger") });
    report.reason = None;
}

/// A line in the history for a load that did not commit one itself.
pub(super) struct HistoryLine<'a> {
    pub(super) request: &'a Request,
    pub(super) invocation: &'a Invocation<'a>,
    pub(super) trace: &'a Trace,
}

impl HistoryLine<'_> {
    pub(super) async fn write(&self, context: &mut Context, report: &Report) -> Result<()> {
        let Some(ledger) = context.ledger.clone() else { return Ok(()) };
        let line = Line {
            report,
            status_name: report.status.name(),
            version: &self.trace.version,
            plan_hash: self.trace.plan_hash.as_deref(),
            request_id: self.invocation.request_id,
            load_id: &self.trace.owner,
            event_time_ms: self.request.event_time_ms,
            started_ms: self.trace.started_ms,
            resume: self.trace.resume.as_ref().filter(|_| report.status == Status::Failed),
        };
        let writing = async {
            let mut tried = 0;
            loop {
                let written = self.write_once(context, &ledger, &line).await;
                let pause = retry_pause(tried, RETRY_PAUSE_DEFAULT_MS);
                match written {
                    Err(error) if error.class() == Class::Transient && tried < RETRY_MAX_DEFAULT => {
                        context.discard_within(self.invocation.close_limit()).await;
                    }
                    written => return written,
                }
                tried += 1;
                tokio::time::sleep(pause).await;
            }
        };
        tokio::time::timeout(self.invocation.exit_limit(), writing)
            .await
            .unwrap_or_else(|_| Err(Error::transient("write the ledger: no time is left")))
    }

    async fn write_once(&self, context: &mut Context, ledger: &Ledger, line: &Line<'_>) -> Result<()> {
        let session = context.session().await?;
        if let Some((table, lease)) = &self.trace.lease {
            ledger.release(session, self.request, table, lease).await?;
        }
        if let Some((table, lease)) = &self.trace.whole {
            ledger.release(session, &super::stage::whole(), table, lease).await?;
        }
        if line.report.status == Status::Superseded
            && let Some(table) = line.report.table.as_deref()
        {
            let request = Request { version: line.version.clone(), ..self.request.clone() };
            ledger.close_overtaken(session, &request, table, line.load_id).await?;
        }
        ledger.record(session, line).await
    }
}
