//! One object's bytes on their way to the database: while one batch is written the next is read.

use std::time::Instant;

use super::bring::bring;
use super::facts::Facts;
use super::fence::Fence;
use super::fit::Fit;
use super::intake::{Intake, Mark, Pause};
use super::snapshot::Snapshot;
use super::{Invocation, Trace, elapsed_ms};
use crate::context::Context;
use crate::database::{Dialect, Session};
use crate::error::{Class, Error, Result};
use crate::ledger::{ResumePoint, Totals};
use crate::object::body::ObjectBody;
use crate::plan::{Layout, Limits, Plan};
use crate::reject::Rejects;
use crate::report::{Report, Status};
use crate::settings::{WriteMode, WritePath};
use crate::sink::{Batch, Bounds, Durability, Outcome, Refusals, Sink, Written};

pub(super) struct Stream<'a> {
    plan: &'a Plan,
    body: ObjectBody,
    intake: Intake<'a>,
    dialect: Dialect,
    sink: Option<Sink>,
    is_at_end: bool,
    /// Where this load began to read.
    from: u64,
    /// What is written is not in the table yet.
    is_staged: bool,
    /// By what the rows of a snapshot are known.
    mark: Option<String>,
}

/// How far the object was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// To its end.
    Done,
    /// Until another load had raised the claim.
    Overtaken,
    /// As far as the time went; another invocation goes on here.
    Paused(Box<ResumePoint>),
}

/// The batch that is written and the one that is read meanwhile.
#[derive(Default)]
struct Pair {
    full: Batch,
    next: Batch,
}

impl Pair {
    fn turn(&mut self) {
        self.full.clear();
        std::mem::swap(&mut self.full, &mut self.next);
    }
}

/// What is read while a batch is written.
enum Reading {
    /// Nothing: it is the last one, and ends here.
    Not(Mark),
    /// The next batch, or what there is of it by then.
    Until(Option<Instant>),
}

struct Exchanged {
    further: Mark,
    /// Rows that the server refused; neither mark counts them.
    refused_count: u64,
}

/// What a load is told, and tells, on its way.
pub(super) struct Course<'a> {
    pub(super) invocation: &'a Invocation<'a>,
    pub(super) trace: &'a mut Trace,
    pub(super) report: &'a mut Report,
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
        let facts = Facts { content_type: body.content_type.clone(), ..facts };
        let intake = Intake::new(plan, zone, limits, dialect, facts);
        Self {
            plan,
            body,
            intake,
            dialect,
            sink: None,
            is_at_end: false,
            is_staged: false,
            from: 0,
            mark: None,
        }
    }

    /// Batches go by the snapshot's plan, into its stage; or its rows have a mark.
    pub(super) fn of(self, snapshot: &'a Snapshot) -> Self {
        let mark = snapshot.mark().map(str::to_owned);
        match snapshot.stage() {
            Some(plan) => Self { plan, is_staged: true, mark, ..self },
            None => Self { mark, ..self },
        }
    }

    /// Where this load began to read.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// Which field went where, once there was a record.
    pub(super) fn layout(&self) -> Option<&Layout> {
        self.intake.layout()
    }

    /// The same for the rest of an object, whose body is open where that begins.
    pub(super) fn resumed(mut self, point: &ResumePoint) -> Result<Self> {
        self.intake = self.intake.resumed(point)?;
        self.from = point.offset;
        Ok(self)
    }

    /// Reads to the end and writes every batch; or as far as the time goes, where another invocation can go on.
    pub(super) async fn run(
        &mut self,
        context: &mut Context,
        course: &mut Course<'_>,
        mut fence: Option<&mut Fence<'_>>,
    ) -> Result<Flow> {
        let mut pair = Pair::default();
        let mut fit = Fit::new(course.invocation, self.body.version.size);
        let mut reach = self.begin(&mut pair.full, &fit, course.report).await?;
        let Some(layout) = self.intake.layout().cloned() else {
            course.report.warnings.push("the object is empty: there was nothing to load".to_owned());
            return Ok(Flow::Done);
        };
        let way = Way {
            plan: self.plan,
            layout: &layout,
            dialect: self.dialect,
            invocation: course.invocation,
            is_staged: self.is_staged,
        };
        let sink = Sink::new(self.plan, &layout, self.dialect, &context.refusals)?;
        way.announce(&sink, context, course.report).await?;
        self.sink = Some(sink);
        while !pair.full.is_empty() {
            let can_pause = self.can_pause(fence.is_some());
            let is_last = can_pause && fit.is_over() && !self.is_at_end;
            let until = if can_pause { fit.hand_on_at() } else { None };
            let clock = Instant::now();
            let reading = if is_last { Reading::Not(reach) } else { Reading::Until(until) };
            let exchanged = self.exchange(context, course, &way, &mut fence, &mut pair, reading).await?;
            let Some(Exchanged { further, refused_count }) = exchanged else { return Ok(Flow::Overtaken) };
            reach.reject_count += refused_count;
            let read = if self.intake.is_plain() { reach.position.byte } else { self.read() };
            fit.wrote(clock.elapsed(), read);
            if !can_pause {
                fit.check(self.way_out())?;
            } else if is_last && self.is_left(reach) {
                return Ok(Flow::Paused(Box::new(self.point(reach, &layout, course.report))));
            } else if let Some(fence) = fence.as_deref_mut().filter(|fence| fence.is_checkpoint_due())
                && self.is_left(reach)
                && !self.save(context, course, fence, self.point(reach, &layout, course.report)).await?
            {
                return Ok(Flow::Overtaken);
            }
            reach = further;
            reach.reject_count += refused_count;
            pair.turn();
            if pair.full.is_empty() && !self.is_at_end {
                // The time was over before a row of the next batch had come.
                if can_pause && fit.is_over() && self.is_left(reach) {
                    return Ok(Flow::Paused(Box::new(self.point(reach, &layout, course.report))));
                }
                reach = self.fill(&mut pair.full, None).await?;
            }
        }
        self.conclude(context, course.report, fence).await
    }

    /// The first batch; time counts once it is known what the object's rows are.
    async fn begin(&mut self, full: &mut Batch, fit: &Fit, report: &mut Report) -> Result<Mark> {
        let clock = Instant::now();
        let mut reach = self.fill(full, fit.hand_on_at()).await?;
        if full.is_empty() && !self.is_at_end {
            reach = self.fill(full, None).await?;
        }
        report.phases.read_ms = elapsed_ms(clock);
        Ok(reach)
    }

    /// Writes the full batch and meanwhile reads the next one; none when the claim is lost.
    async fn exchange(
        &mut self,
        context: &mut Context,
        course: &mut Course<'_>,
        way: &Way<'_>,
        fence: &mut Option<&mut Fence<'_>>,
        pair: &mut Pair,
        reading: Reading,
    ) -> Result<Option<Exchanged>> {
        let clock = Instant::now();
        let refused_max = self.intake.rejects_left();
        let Self { body, intake, is_at_end, sink, .. } = self;
        let sink = sink.as_mut().ok_or_else(|| Error::bug("keep the write path"))?;
        let Pair { full, next } = pair;
        let write = async {
            let written = way.write(context, sink, full, refused_max, fence, course.report).await;
            (written, elapsed_ms(clock))
        };
        let read = async {
            match reading {
                Reading::Not(reach) => (Ok(reach), 0),
                Reading::Until(until) => {
                    let filled = fill(body, intake, is_at_end, next, until).await;
                    (filled, elapsed_ms(clock))
                }
            }
        };
        // The write goes first: its statement is on the way before decoding keeps this thread busy.
        let ((written, write_ms), (filled, read_ms)) = tokio::join!(biased; write, read);
        course.report.phases.write_ms += write_ms;
        course.report.phases.read_ms += read_ms;
        let Some(written) = written? else { return Ok(None) };
        count(course.report, &written);
        for refused in &written.refused {
            intake.refuse(full, refused)?;
        }
        let further = filled?;
        if let Some(progress) = course.invocation.progress {
            progress(intake.reached(body.offset(), body.version.size), body.version.size, intake.row_count);
        }
        Ok(Some(Exchanged { further, refused_count: written.refused.len() as u64 }))
    }

    /// How far the object is done with.
    fn read(&self) -> u64 {
        self.intake.reached(self.body.offset(), self.body.version.size)
    }

    async fn fill(&mut self, batch: &mut Batch, until: Option<Instant>) -> Result<Mark> {
        fill(&mut self.body, &mut self.intake, &mut self.is_at_end, batch, until).await
    }

    async fn conclude(
        &mut self,
        context: &mut Context,
        report: &mut Report,
        fence: Option<&mut Fence<'_>>,
    ) -> Result<Flow> {
        if self.intake.row_count == 0 {
            report.warnings.push("the object holds a header and no rows".to_owned());
        }
        report.warnings.extend(self.intake.warnings());
        self.intake.verdict()?;
        if let Some(fence) = fence.filter(|fence| self.holds_connection() && fence.is_old())
            && !fence.keep(context, true).await?
        {
            return Ok(Flow::Overtaken);
        }
        Ok(Flow::Done)
    }

    /// Whether another invocation could go on where this one stops.
    fn can_pause(&self, is_fenced: bool) -> bool {
        is_fenced && self.is_breakable() && self.body.is_seekable()
    }

    fn is_breakable(&self) -> bool {
        !self.is_staged && self.sink.as_ref().is_some_and(|sink| !sink.is_atomic())
    }

    /// What would let another invocation go on, if anything.
    fn way_out(&self) -> &'static str {
        if self.is_breakable() {
            "with a ledger the next invocation goes on where this one stops; or "
        } else if self.plan.route.snapshot.is_some() {
            ""
        } else {
            "`write: {atomic: false}` lets the next invocation go on where this one stops; or "
        }
    }

    /// Whether there are bytes after the mark.
    fn is_left(&self, reach: Mark) -> bool {
        // How long the text of a packed object is shows at its end only.
        !self.intake.is_plain() || self.body.version.size.is_none_or(|size| reach.position.byte < size)
    }

    fn point(&self, reach: Mark, layout: &Layout, report: &Report) -> ResumePoint {
        ResumePoint {
            offset: reach.position.byte,
            line: reach.position.line,
            record: reach.record,
            header: self.intake.header(),
            format: self.intake.format().map_or_else(String::new, |format| format.name().to_owned()),
            field_count: layout.field_count,
            totals: Totals {
                inserted: report.inserted_count,
                updated: report.updated_count,
                unchanged: report.unchanged_count,
                deleted: report.deleted_count,
                rejects: reach.reject_count,
                duplicates: report.duplicate_count,
                cut: reach.cut_count,
            },
            rejects: self.intake.rejects.written().to_vec(),
            plan: self.plan.hash.clone(),
            mark: self.mark.clone(),
            is_packed: !self.intake.is_plain(),
            is_forced: false,
        }
    }

    /// Bad rows, rows and history as far as `point`, and the load goes on; false when another load has taken over.
    async fn save(
        &mut self,
        context: &mut Context,
        course: &mut Course<'_>,
        fence: &mut Fence<'_>,
        mut point: ResumePoint,
    ) -> Result<bool> {
        let trace = &mut *course.trace;
        self.keep_rejects(context, trace, &mut point).await?;
        let report = &mut *course.report;
        show(&point, report);
        let what = if point.is_by_record() { "everything up to record" } else { "everything before byte" };
        report.reason = Some(format!("at work: {what} {} is loaded", point.offset));
        report.status = Status::Running;
        let is_ours = fence.checkpoint(context, course.invocation, trace, report, &point).await?;
        report.reason = None;
        trace.resume = Some(point);
        Ok(is_ours)
    }

    /// Writes the bad rows so far, as a part of their own.
    pub(super) async fn keep_rejects(
        &mut self,
        context: &Context,
        trace: &Trace,
        point: &mut ResumePoint,
    ) -> Result<()> {
        let Some(place) = &context.rejects else { return Ok(()) };
        let rejects = &mut self.intake.rejects;
        let address = rejects.write(place, context.aws.as_ref(), &trace.object, &trace.version).await?;
        rejects.start_part(point.offset, address);
        point.rejects = rejects.written().to_vec();
        Ok(())
    }

    /// Whether a copy takes up the connection until [`Stream::finish`].
    pub(super) fn holds_connection(&self) -> bool {
        self.sink.as_ref().is_some_and(Sink::holds_connection)
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
            fill(&mut self.body, &mut self.intake, &mut self.is_at_end, &mut batch, None).await?;
            if let Some(layout) = self.intake.layout() {
                let sink = Sink::new(self.plan, layout, self.dialect, refusals)?;
                report.write_path = Some(sink.path().name());
                report.atomic = sink.is_atomic();
                report.duplicate_count += sink.settle(&mut batch);
            }
            if let Some(progress) = invocation.progress {
                progress(self.read(), self.body.version.size, self.intake.row_count);
            }
            batch.clear();
        }
        report.warnings.extend(self.intake.warnings());
        self.intake.verdict()
    }

    /// What was counted on the way, into the report.
    pub(super) fn count(&self, report: &mut Report) {
        report.row_count = self.intake.row_count;
        report.byte_count = self.body.offset();
        report.reject_count = self.intake.rejects.count();
        report.reject_sample = self.intake.rejects.sample().to_vec();
        report.retry_count += self.body.reopened();
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

/// Reads until the batch is full, the object ends or the time is over; answers how far that is.
pub(super) async fn fill(
    body: &mut ObjectBody,
    intake: &mut Intake<'_>,
    is_at_end: &mut bool,
    batch: &mut Batch,
    until: Option<Instant>,
) -> Result<Mark> {
    while !*is_at_end {
        match intake.advance(batch)? {
            Pause::BatchFull => break,
            Pause::End => *is_at_end = true,
            Pause::NeedInput => {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                match left {
                    None => bring(body, intake).await?,
                    Some(left) if left.is_zero() => break,
                    Some(left) => match tokio::time::timeout(left, bring(body, intake)).await {
                        Ok(brought) => brought?,
                        Err(_) => break,
                    },
                }
            }
        }
    }
    Ok(intake.mark())
}

/// What was counted up to a resume point, into the report.
pub(super) fn show(point: &ResumePoint, report: &mut Report) {
    let totals = point.totals;
    report.row_count = point.record;
    if !point.is_by_record() {
        report.byte_count = point.offset;
    }
    report.reject_count = totals.rejects;
    report.inserted_count = totals.inserted;
    report.updated_count = totals.updated;
    report.unchanged_count = totals.unchanged;
    report.deleted_count = totals.deleted;
    report.duplicate_count = totals.duplicates;
}

fn count(report: &mut Report, written: &Written) {
    let updated = written.counts.inserted.map(|inserted| written.counts.written.saturating_sub(inserted));
    report.inserted_count = report.inserted_count.zip(written.counts.inserted).map(|(sum, new)| sum + new);
    report.updated_count = report.updated_count.zip(updated).map(|(sum, new)| sum + new);
    report.unchanged_count += written.unchanged;
    if let Some(deleted) = written.deleted {
        *report.deleted_count.get_or_insert(0) += deleted;
    }
    report.duplicate_count += written.duplicates;
}
