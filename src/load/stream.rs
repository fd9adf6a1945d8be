//! One object's bytes on their way to the database: while one batch is written the next is read.

use std::time::Instant;

use super::intake::{Intake, Pause};
use super::{Invocation, elapsed_ms};
use crate::database::Session;
use crate::error::Result;
use crate::object::body::ObjectBody;
use crate::plan::{Plan, Planner};
use crate::reject::Rejects;
use crate::report::Report;
use crate::sink::{Batch, Sink, Written};

pub(super) struct Stream<'a> {
    plan: &'a Plan,
    body: ObjectBody,
    intake: Intake<'a>,
    is_at_end: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(plan: &'a Plan, planner: &Planner, body: ObjectBody) -> Self {
        let intake = Intake::new(plan, planner.zone(), planner.limits());
        Self { plan, body, intake, is_at_end: false }
    }

    /// Reads to the end and writes every batch.
    pub(super) async fn run(
        &mut self,
        session: &mut Session,
        invocation: &Invocation<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let mut full = Batch::default();
        let mut next = Batch::default();
        let clock = Instant::now();
        fill(&mut self.body, &mut self.intake, &mut self.is_at_end, &mut full).await?;
        report.phases.read_ms = elapsed_ms(clock);
        let Some(layout) = self.intake.layout() else {
            report.warnings.push("the object is empty: there was nothing to load".to_owned());
            return Ok(());
        };
        let mut sink = Sink::new(self.plan, layout);
        report.write_path = Some(sink.path());
        while !full.is_empty() {
            let clock = Instant::now();
            let refused_max = self.intake.rejects_left();
            let writing = async {
                let written = sink.write(session, &mut full, refused_max).await;
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
            let written = written?;
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
        Ok(())
    }

    /// Reads to the end and writes nothing.
    pub(super) async fn run_dry(&mut self, invocation: &Invocation<'_>, report: &mut Report) -> Result<()> {
        let mut batch = Batch::default();
        while !self.is_at_end {
            fill(&mut self.body, &mut self.intake, &mut self.is_at_end, &mut batch).await?;
            if let Some(layout) = self.intake.layout() {
                let sink = Sink::new(self.plan, layout);
                report.write_path = Some(sink.path());
                report.duplicate_count += sink.settle(&mut batch);
            }
            if let Some(progress) = invocation.progress {
                progress(self.body.offset(), self.intake.row_count);
            }
            batch.clear();
        }
        Ok(())
    }

    /// Bad rows beyond what is put up with, seen from the end.
    pub(super) fn verdict(&self) -> Result<()> {
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
