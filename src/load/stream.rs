//! One object's bytes on their way to the database: while one batch is written the next is read.

use std::time::Instant;

use super::fence::Fence;
use super::intake::{Facts, Intake, Pause};
use super::{Invocation, elapsed_ms};
use crate::context::Context;
use crate::database::{Dialect, Session};
use crate::error::{Class, Error, Result};
use crate::object::body::ObjectBody;
use crate::plan::{Layout, Limits, Plan};
use crate::reject::Rejects;
use crate::report::Report;
use crate::settings::{WriteMode, WritePath};
use crate::sink::{Batch, Bounds, Durability, Outcome, Refusals, Sink, Written};

pub(super) struct Stream<'a> {
    plan: &'a Plan,
    body: ObjectBody,
    intake: Intake<'a>,
    dialect: Dialect,
    sink: Option<Sink>,
    is_at_end: bool,
    /// What is written is not in the table yet.
    is_staged: bool,
}

/// How far the object was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// To its end.
    Done,
    /// Until another load had raised the claim.
    Overtaken,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        zone: &jiff::tz::TimeZone,
        limits: Limits,
        body: ObjectBody,
        dialect: Dialect,
        facts: Facts,
    ) -> Self {
        let intake = Intake::new(plan, zone, limits, dialect, facts);
        Self { plan, body, intake, dialect, sink: None, is_at_end: false, is_staged: false }
    }

    /// Batches go by this plan: into a stage.
    pub(super) fn into_stage(self, stage: &'a Plan) -> Self {
        Self { plan: stage, is_staged: true, ..self }
    }

    /// Which field went where, once there was a record.
    pub(super) fn layout(&self) -> Option<&Layout> {
        self.intake.layout()
    }

    /// Reads to the end and writes every batch.
    pub(super) async fn run(
        &mut self,
        context: &mut Context,
        invocation: &Invocation<'_>,
        mut fence: Option<&mut Fence<'_>>,
        report: &mut Report,
    ) -> Result<Flow> {
        let mut full = Batch::default();
        let mut next = Batch::default();
        let clock = Instant::now();
        fill(&mut self.body, &mut self.intake, &mut self.is_at_end, &mut full).await?;
        report.phases.read_ms = elapsed_ms(clock);
        let Some(layout) = self.intake.layout().cloned() else {
            report.warnings.push("the object is empty: there was nothing to load".to_owned());
            return Ok(Flow::Done);
        };
        let sink = Sink::new(self.plan, &layout, self.dialect, &context.refusals)?;
        let way = Way {
            plan: self.plan,
            layout: &layout,
            dialect: self.dialect,
            invocation,
            is_staged: self.is_staged,
        };
        way.announce(&sink, context, report).await?;
        let sink = self.sink.insert(sink);
        while !full.is_empty() {
            let clock = Instant::now();
            let refused_max = self.intake.rejects_left();
            let writing = async {
                let written = way.write(context, sink, &mut full, refused_max, &mut fence, report).await;
                (written, elapsed_ms(clock))
            };
            let reading = async {
                let filled = fill(&mut self.body, &mut self.intake, &mut self.is_at_end, &mut next).await;
                (filled, elapsed_ms(clock))
            };
            // The write goes first: its statement is on the way before decoding keeps this thread busy.
            let ((written, write_ms), (filled, read_ms)) = tokio::join!(biased; writing, reading);
            report.phases.write_ms += write_ms;
            report.phases.read_ms += read_ms;
            let Some(written) = written? else { return Ok(Flow::Overtaken) };
            count(report, &written);
            for refused in &written.refused {
                self.intake.refuse(&full, refused)?;
            }
            filled?;
            if let Some(progress) = invocation.progress {
                progress(self.body.offset(), self.intake.row_count);
            }
            full.clear();
            std::mem::swap(&mut full, &mut next);
        }
        if self.intake.row_count == 0 {
            report.warnings.push("the object holds a header and no rows".to_owned());
        }
        report.warnings.extend(self.intake.warning());
        self.intake.verdict()?;
        let holds_connection = sink.holds_connection();
        if let Some(fence) = fence.filter(|fence| holds_connection && fence.is_old())
            && !fence.keep(context, true).await?
        {
            return Ok(Flow::Overtaken);
        }
        Ok(Flow::Done)
    }

    /// Makes rows visible that are not yet.
    pub(super) async fn finish(&mut self, session: &mut Session) -> Result<()> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let finished = sink.finish(session).await;
        finished.map_err(|error| {
            let repeats = self.plan.route.mode == WriteMode::Insert && sink.path() == WritePath::BulkCopy;
            if repeats && error.class() == Class::Transient {
                // As a content error it is repeated to whoever delivers the object again, and nothing is loaded twice.
                return Error::input(
                    "the connection broke as the copy ended: it is not known whether its rows are there",
                )
                .with_hint("look into the table; if they are not, load again with --force (`force: true`)");
            }
            error
        })
    }

    /// Reads to the end and writes nothing.
    pub(super) async fn run_dry(
        &mut self,
        refusals: &Refusals,
        invocation: &Invocation<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let mut batch = Batch::default();
        while !self.is_at_end {
            fill(&mut self.body, &mut self.intake, &mut self.is_at_end, &mut batch).await?;
            if let Some(layout) = self.intake.layout() {
                let sink = Sink::new(self.plan, layout, self.dialect, refusals)?;
                report.write_path = Some(sink.path().name());
                report.atomic = sink.is_atomic();
                report.duplicate_count += sink.settle(&mut batch);
            }
            if let Some(progress) = invocation.progress {
                progress(self.body.offset(), self.intake.row_count);
            }
            batch.clear();
        }
        report.warnings.extend(self.intake.warning());
        self.intake.verdict()
    }

    /// What was counted on the way, into the report.
    pub(super) fn count(&self, report: &mut Report) {
        report.row_count = self.intake.row_count;
        report.byte_count = self.body.offset();
        report.reject_count = self.intake.rejects.count();
        report.reject_sample = self.intake.rejects.sample().to_vec();
    }

    pub(super) fn rejects(&self) -> &Rejects {
        &self.intake.rejects
    }
}

/// What stays the same while batches are written.
struct Way<'a> {
    plan: &'a Plan,
    layout: &'a Layout,
    dialect: Dialect,
    invocation: &'a Invocation<'a>,
    is_staged: bool,
}

impl Way<'_> {
    /// Says which path is taken. One copy of the whole object may run as long as there is time.
    async fn announce(&self, sink: &Sink, context: &mut Context, report: &mut Report) -> Result<()> {
        report.write_path = Some(sink.path().name());
        report.atomic = sink.is_atomic() || self.is_staged;
        if sink.path() == WritePath::BulkCopy {
            context.standing_session()?.limit_statements(self.invocation.statement_ms()).await?;
        }
        Ok(())
    }

    /// Writes a batch, over the next path where the server does not have this one; none when the claim is lost.
    async fn write(
        &self,
        context: &mut Context,
        sink: &mut Sink,
        batch: &mut Batch,
        refused_max: u64,
        fence: &mut Option<&mut Fence<'_>>,
        report: &mut Report,
    ) -> Result<Option<Written>> {
        if let Some(fence) = fence
            && fence.is_old()
            && !fence.keep(context, sink.holds_connection()).await?
        {
            return Ok(None);
        }
        let written = loop {
            let pause_at = fence.as_ref().and_then(|fence| fence.renew_at());
            let bounds = Bounds { refused_max, pause_at };
            let refused = match sink.write(context.standing_session()?, batch, bounds).await? {
                Outcome::Written(written) => break written,
                Outcome::Paused => {
                    report.is_partial |= !self.is_staged;
                    if let Some(fence) = fence
                        && !fence.keep(context, false).await?
                    {
                        return Ok(None);
                    }
                    continue;
                }
                Outcome::PathRefused(refused) => refused,
            };
            let path = sink.path();
            tracing::warn!(path = path.name(), error = %refused, "write path refused, taking the next");
            context.refusals.note(&self.plan.target, self.dialect, path, refused.message());
            let next = Sink::new(self.plan, self.layout, self.dialect, &context.refusals);
            // What may pass is no reason to do without the only path there is, now and for all loads to come.
            if next.is_err() && refused.class() == Class::Transient {
                context.refusals.forget(&self.plan.target, self.dialect, path);
                return Err(refused);
            }
            *sink = next?;
            context.renew_session().await?;
            super::begin(context, self.invocation, fence.is_some()).await?;
            self.announce(sink, context, report).await?;
        };
        if written.durability == Durability::Durable {
            report.is_partial |= !self.is_staged;
            if let Some(fence) = fence
                && !fence.keep(context, false).await?
            {
                return Ok(None);
            }
        }
        Ok(Some(written))
    }
}

/// Reads until the batch is full or the object ends.
async fn fill(
    body: &mut ObjectBody,
    intake: &mut Intake<'_>,
    is_at_end: &mut bool,
    batch: &mut Batch,
) -> Result<()> {
    while !*is_at_end {
        match intake.advance(batch)? {
            Pause::BatchFull => return Ok(()),
            Pause::End => *is_at_end = true,
            Pause::NeedInput => match body.next().await? {
                Some(chunk) => intake.push(chunk),
                None => intake.finish(),
            },
        }
    }
    Ok(())
}

fn count(report: &mut Report, written: &Written) {
    let updated = written.counts.inserted.map(|inserted| written.counts.written.saturating_sub(inserted));
    report.inserted_count = report.inserted_count.zip(written.counts.inserted).map(|(sum, new)| sum + new);
    report.updated_count = report.updated_count.zip(updated).map(|(sum, new)| sum + new);
    report.unchanged_count += written.unchanged;
    report.duplicate_count += written.duplicates;
}
