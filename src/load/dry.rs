//! An object read as a load would read it, and nothing written: what `check` tells.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::facts::Facts;
use super::intake::Intake;
use super::stream::fill;
use super::{Invocation, Trace, bring, elapsed_ms, facts, is_marker, note_version, pinned, plan};
use crate::context::Context;
use crate::database::Dialect;
use crate::error::{Error, Result};
use crate::object::body::ObjectBody;
use crate::object::{FOLDER_MARKER, Request};
use crate::plan::{Destination, How, Layout, PERCENT_FROM_ROWS, Plan, Route};
use crate::reject::Rejects;
use crate::report::{RejectSample, Report, SAMPLE_MAX, Status};
use crate::sink::{Batch, Refusals, Sink};

/// Bad rows that are named one by one.
const REJECTS_SHOWN_MAX: usize = 1_000;
/// Keys that are remembered to find those that come again: some hundred megabytes.
const KEYS_MAX: usize = 2_000_000;

/// What a full dry run found.
#[derive(Debug)]
pub struct Checked {
    /// As of a load; the status is `skipped` where one would succeed.
    pub report: Report,
    /// Which field goes where.
    pub mapping: Vec<Mapping>,
    /// Bad rows, the first 1,000 of them.
    pub rejects: Vec<RejectSample>,
    /// Rows of one key.
    pub duplicates: Duplicates,
}

/// A field, a column, or both.
#[derive(Clone, Debug, Serialize)]
pub struct Mapping {
    /// The field's name; without a header its number.
    pub field: Option<String>,
    /// The column's name.
    pub column: Option<String>,
    /// The column's type.
    pub sql_type: Option<String>,
    /// How they come together, or why not; empty where the field simply fills the column.
    pub note: &'static str,
}

/// Rows whose key came before, in the whole object.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Duplicates {
    /// Whether rows have a key at all.
    pub has_key: bool,
    /// How many there are.
    pub row_count: u64,
    /// Line of the first of a key, and of the one that came again; the first five.
    pub lines: Vec<(u64, u64)>,
    /// There were more than 2,000,000 keys: those that came later were compared with the ones before only.
    pub is_bounded: bool,
}

/// Decodes and types the whole object against the live table.
pub async fn check(context: &mut Context, request: &Request, invocation: &Invocation<'_>) -> Checked {
    let started = Instant::now();
    let mut report = Report::new(request, jiff::Timestamp::now());
    report.warnings.clone_from(&context.warnings);
    let mut checked =
        Checked { report, mapping: Vec::new(), rejects: Vec::new(), duplicates: Duplicates::default() };
    match checked.look(context, request, invocation).await {
        Ok(None) => checked.report.end(Status::Skipped, "checked: nothing was written"),
        Ok(Some(reason)) => checked.report.end(Status::Ignored, reason),
        Err(error) => {
            context.discard_within(invocation.close_limit()).await;
            checked.report.fail(&error);
        }
    }
    checked.report.duration_ms = elapsed_ms(started);
    checked
}

impl Checked {
    /// Why the object is passed over, if it is.
    async fn look(
        &mut self,
        context: &mut Context,
        request: &Request,
        invocation: &Invocation<'_>,
    ) -> Result<Option<String>> {
        if context.rejects.as_ref().is_some_and(|place| place.holds(&request.object)) {
            return Ok(Some("the object is a reject object of our own".to_owned()));
        }
        let route = match context.planner.destination(&request.object)? {
            Destination::Route(route) => route,
            Destination::Ignored(reason) => return Ok(Some(reason)),
        };
        self.report.table = Some(route.table.to_string());
        let request = &pinned(context, request).await?;
        if is_marker(request) {
            return Ok(Some(FOLDER_MARKER.to_owned()));
        }
        context.bare_session().await?;
        let plan = plan(context, lenient(&route)).await?;
        let dialect = context.standing_session()?.dialect();
        let body =
            bring::open(context.aws.as_ref(), &request.object, &request.version, &plan.route, 0).await?;
        let mut trace = Trace { started_ms: jiff::Timestamp::now().as_millisecond(), ..Trace::default() };
        note_version(&body, &mut self.report, &mut trace);
        let facts = Facts { content_type: body.content_type.clone(), ..facts(request, &trace, None) };
        let planner = &context.planner;
        let (limits, zone) = (planner.limits(), planner.zone());
        let mut intake = Intake::new(&plan, zone, limits, dialect, facts);
        intake.rejects = Rejects::new(limits.reject_bytes_max).with_sample_max(REJECTS_SHOWN_MAX);
        let read = self.read(&plan, body, &mut intake, dialect, &context.refusals, invocation).await;
        self.report.row_count = intake.row_count;
        self.report.reject_count = intake.rejects.count();
        self.rejects = intake.rejects.sample().to_vec();
        self.report.reject_sample = self.rejects.iter().take(SAMPLE_MAX).cloned().collect();
        self.report.duplicate_count = self.duplicates.row_count;
        self.report.warnings.extend(intake.warnings());
        read?;
        self.verdict(&route)?;
        Ok(None)
    }

    async fn read(
        &mut self,
        plan: &Plan,
        mut body: ObjectBody,
        intake: &mut Intake<'_>,
        dialect: Dialect,
        refusals: &Refusals,
        invocation: &Invocation<'_>,
    ) -> Result<()> {
        let mut batch = Batch::default();
        let mut keys = Keys::default();
        let mut is_at_end = false;
        while !is_at_end {
            let filled = fill(&mut body, intake, &mut is_at_end, &mut batch, None).await;
            self.report.byte_count = body.offset();
            filled?;
            if let Some(layout) = intake.layout() {
                let sink = Sink::new(plan, layout, dialect, refusals)?;
                self.report.write_path = Some(sink.path().name());
                self.report.atomic = sink.is_atomic();
                if self.mapping.is_empty() {
                    self.mapping = mapping(plan, layout);
                    self.report.warnings.extend(layout.warnings.iter().cloned());
                }
                if layout.key_count > 0 {
                    keys.add(&batch, &mut self.duplicates);
                }
            }
            if let Some(progress) = invocation.progress {
                progress(
                    intake.reached(body.offset(), body.version.size),
                    body.version.size,
                    intake.row_count,
                );
            }
            batch.clear();
        }
        Ok(())
    }

    /// What a load would say in the end.
    fn verdict(&self, route: &Route) -> Result<()> {
        let (bad, all) = (self.report.reject_count, self.report.row_count);
        let first = self.rejects.first().map_or_else(String::new, |sample| {
            let column =
                sample.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
            format!(": line {}, byte {}{column}: {}", sample.line, sample.byte, sample.reason)
        });
        let refuse = |what: String| Err(Error::input(format!("{what}{first}")));
        if bad == 0 {
            return Ok(());
        }
        if bad == all {
            return refuse(format!("every row is bad ({bad} of {all})")).map_err(|error| {
                error.with_hint(
                    "`holoload preview` shows how the file is read, `holoload guess` how it should be",
                )
            });
        }
        if bad > route.bad_rows_max {
            let hint = match route.bad_rows_max {
                0 => {
                    "a load fails: fix the rows, or set HOLOLOAD_REJECTS (`rejects:`), and bad rows are kept there"
                }
                _ => "a load fails: fix the rows, or raise `bad_rows`",
            };
            let noun = if bad == 1 { "row" } else { "rows" };
            let what = match route.bad_rows_max {
                0 => format!("{bad} bad {noun}, and none is put up with"),
                max => format!("{bad} bad {noun}, and {max} are put up with"),
            };
            return refuse(what).map_err(|error| error.with_hint(hint));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
        let percent = bad as f64 * 100.0 / all.max(1) as f64;
        if all >= PERCENT_FROM_ROWS && percent > route.bad_rows_max_percent {
            let what = format!("{bad} of {all} rows are bad, more than {} %", route.bad_rows_max_percent);
            return refuse(what)
                .map_err(|error| error.with_hint("a load fails: fix the rows, or raise `bad_rows`"));
        }
        Ok(())
    }
}

/// The same route, to the end of the object however many rows are bad.
pub fn lenient(route: &Route) -> Arc<Route> {
    let mut route = route.clone();
    route.bad_rows_max = u64::MAX;
    route.bad_rows_max_percent = 100.0;
    Arc::new(route)
}

pub(super) fn mapping(plan: &Plan, layout: &Layout) -> Vec<Mapping> {
    let described = plan.describe(layout).into_iter();
    let of = |mapped: crate::plan::Mapped| {
        let index = mapped.column.as_deref().and_then(|name| plan.table.column_index(name));
        let column = index.and_then(|index| plan.table.columns.get(index));
        Mapping {
            field: mapped.field,
            sql_type: column.map(|column| column.sql_type.clone()),
            column: mapped.column,
            note: if mapped.how == How::Field { "" } else { mapped.how.text() },
        }
    };
    described.map(of).collect()
}

/// Keys that were met, and on which line.
#[derive(Default)]
struct Keys(HashMap<u128, u64>);

impl Keys {
    fn add(&mut self, batch: &Batch, duplicates: &mut Duplicates) {
        duplicates.has_key = true;
        for row in 0..u32::try_from(batch.len()).unwrap_or(u32::MAX) {
            let line = batch.row(row as usize).map_or(0, |(row, _)| row.position.line);
            let is_full = self.0.len() >= KEYS_MAX;
            match self.0.entry(print(batch.key(row))) {
                Entry::Occupied(first) => {
                    duplicates.row_count += 1;
                    if duplicates.lines.len() < SAMPLE_MAX {
                        duplicates.lines.push((*first.get(), line));
                    }
                }
                Entry::Vacant(_) if is_full => duplicates.is_bounded = true,
                Entry::Vacant(free) => {
                    free.insert(line);
                }
            }
        }
    }
}

/// Two keys of one print are the same key, but for one chance in 10^20 or so.
fn print(key: &[u8]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(key);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
