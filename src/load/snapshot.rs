//! Snapshots: what other versions of the object, or other objects, had loaded goes once this one's rows are there.

use super::fence::Fence;
use super::stage::Stage;
use super::{Trace, Work, begin};
use crate::context::Context;
use crate::database::{Dialect, Parameter, Tally, Type};
use crate::error::Result;
use crate::object::{ObjectVersion, Request, Sequencer};
use crate::plan::{Layout, Plan};
use crate::sink::Leftover;

/// What stands between a sequencer and what tells versions apart that have none. It sorts before every digit.
const WITHOUT_SEQUENCER: char = '!';
/// Sorts right after it: above every mark that begins with a sequencer, below the next sequencer.
const ABOVE: char = '"';

/// Why a load ends early.
pub(super) const OVERTAKEN: &str = "a newer version was claimed meanwhile";

/// By what the rows of a version are known, and the rows of others that it may delete.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) own: String,
    below: String,
}

impl Mark {
    /// That of the rows that are written now, where the plan knows rows by one.
    pub(super) fn of(
        plan: &Plan,
        fence: Option<&Fence<'_>>,
        request: &Request,
        trace: &Trace,
    ) -> Option<Self> {
        plan.route.lineage()?;
        let newest = fence.and_then(|fence| fence.held.newest());
        Some(Self::new(newest, request, &trace.version, &trace.owner))
    }

    /// Of what was asked for without a sequencer the version is told by its identity; its mark lies right behind the
    /// newest sequencer that is known, and is the same each time.
    fn new(newest: Option<&str>, request: &Request, version: &ObjectVersion, owner: &str) -> Self {
        if let Some(sequencer) = request.sequencer.as_ref().map(Sequencer::as_str) {
            return Self { own: sequencer.to_owned(), below: format!("{sequencer}{ABOVE}") };
        }
        let newest = newest.unwrap_or_default();
        let identity = version.identity().unwrap_or(owner);
        Self { own: format!("{newest}{WITHOUT_SEQUENCER}{identity}"), below: format!("{newest}{ABOVE}") }
    }
}

/// What a load has to do beside loading.
pub(super) enum Snapshot {
    /// Nothing.
    None,
    /// Rows of other versions of the object go.
    Object(Mark),
    /// The whole table is replaced.
    Table(Box<Stage>),
}

/// Whether there is something to load.
pub(super) enum Begun {
    Go(Snapshot),
    /// Something newer is there: the reason.
    Passed(&'static str),
}

impl Snapshot {
    /// What the plan asks for, once the version is known.
    pub(super) async fn begin(
        context: &mut Context,
        work: &mut Work<'_>,
        fence: Option<&mut Fence<'_>>,
        request: &Request,
        plan: &Plan,
    ) -> Result<Begun> {
        if plan.route.replaces_table() {
            return Stage::begin(context, work, fence, request, plan).await;
        }
        let mark = Mark::of(plan, fence.as_deref(), request, work.trace);
        Ok(Begun::Go(mark.map_or(Self::None, Self::Object)))
    }

    /// What the rows say in the column for the sequencer.
    pub(super) fn mark(&self) -> Option<&str> {
        match self {
            Self::Object(mark) => Some(&mark.own),
            Self::None | Self::Table(_) => None,
        }
    }

    /// Where the rows go first.
    pub(super) fn stage(&self) -> Option<&Plan> {
        match self {
            Self::Table(stage) => Some(&stage.plan),
            Self::None | Self::Object(_) => None,
        }
    }

    /// Lets the others go, now that all rows are written; a reason when the load was overtaken.
    pub(super) async fn finish(
        &self,
        context: &mut Context,
        work: &mut Work<'_>,
        fence: Option<&mut Fence<'_>>,
        request: &Request,
        plan: &Plan,
        layout: Option<&Layout>,
    ) -> Result<Option<&'static str>> {
        let reason = match self {
            Self::None => return Ok(None),
            Self::Object(mark) => {
                let leftover = Leftover {
                    key: &request.object.key,
                    bucket: &request.object.bucket,
                    own: Some(&mark.own),
                    below: Some(&mark.below),
                };
                delete(context, work, fence, plan, leftover).await?
            }
            Self::Table(stage) => stage.finish(context, work, fence, request, plan, layout).await?,
        };
        if reason.is_none() && work.report.row_count == 0 {
            let what = if plan.route.replaces_table() {
                "the table"
            } else {
                "what its earlier versions had loaded"
            };
            work.report.warnings.push(format!("the object has no rows: every row of {what} was deleted"));
        }
        Ok(reason)
    }
}

/// The bound below which rows of a removed object are older than its removal.
pub(super) fn below_removal(request: &Request) -> Option<String> {
    request.sequencer.as_ref().map(|sequencer| format!("{}{ABOVE}", sequencer.as_str()))
}

/// Deletes rows of an object; a reason when the load was overtaken.
pub(super) async fn delete(
    context: &mut Context,
    work: &mut Work<'_>,
    mut fence: Option<&mut Fence<'_>>,
    plan: &Plan,
    mut leftover: Leftover<'_>,
) -> Result<Option<&'static str>> {
    let Some(lineage) = plan.route.lineage() else { return Ok(None) };
    let dialect = context.standing_session()?.dialect();
    let mut tables = vec![plan.table.name.clone()];
    if let Dialect::Hologres(_) = dialect {
        // A copy may have taken the bound of a leased statement away.
        begin(context, work.invocation, fence.is_some()).await?;
        // Rows of a partitioned table are deleted in its partitions alone (Hologres help, "DELETE").
        if plan.table.partition_column.is_some() {
            tables = context.standing_session()?.leaves(&plan.table.name).await?;
        }
    } else {
        // Nothing arrives late there: the claim is a lock, and the statement part of its transaction.
        leftover.below = None;
    }
    let mut deleted = 0;
    for table in &tables {
        if let Some(fence) = &mut fence
            && fence.is_old()
            && !fence.keep(context, false).await?
        {
            return Ok(Some(OVERTAKEN));
        }
        let (sql, values) = leftover.delete(&lineage, table, dialect);
        let values: Vec<Parameter<'_>> = values.iter().map(|value| (value as _, Type::TEXT)).collect();
        let session = context.standing_session()?;
        let counts =
            session.change_rows(&sql, &values, Tally::Written, "delete rows of other versions").await;
        deleted += counts.map_err(explained)?.written;
    }
    // Counts of affected rows are switched off there.
    work.report.deleted_count = (!dialect.is_hologres()).then_some(deleted);
    Ok(None)
}

/// A refusal at this point is about rows that others refer to, or a missing right.
pub(super) fn explained(error: crate::error::Error) -> crate::error::Error {
    match error.code() {
        Some("42501") => error.with_hint("a snapshot deletes rows: GRANT DELETE ON the table TO the loader's user"),
        Some("23503") => error.with_hint(
            "rows of another table refer to rows that would go: delete those first, or let the foreign key say ON DELETE",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectRef;

    #[test]
    fn marks_keep_the_order_of_versions() {
        let version =
            |id: &str| ObjectVersion { version_id: Some(id.to_owned()), ..ObjectVersion::default() };
        let asked = |sequencer: Option<&str>| Request {
            sequencer: sequencer.and_then(Sequencer::canonical),
            ..Request::manual(ObjectRef::local("a"))
        };
        let of = |newest: Option<&str>, sequencer: Option<&str>, id: &str| {
            Mark::new(newest, &asked(sequencer), &version(id), "owner")
        };
        let (first, second) = (of(None, Some("0055AE"), "v"), of(None, Some("0055AE1"), "v"));
        let by_hand = of(Some("0055AE"), None, "zz");
        assert_eq!(by_hand.own, "0055AE!zz");
        assert!(first.own < by_hand.own && by_hand.own < second.own);
        // Each may delete what is older, and what is as new and was asked for otherwise.
        assert!(first.own < first.below && by_hand.own < first.below && first.below < second.own);
        assert!(first.own < by_hand.below && by_hand.below < second.own);
        let unknown = of(None, None, "v");
        assert!(unknown.own < first.own && unknown.below < first.own);
        assert_eq!(unknown.own, of(None, None, "v").own);
    }
}
