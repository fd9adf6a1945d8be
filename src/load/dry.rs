//! An object read as a load would read it, and nothing written: what `check` and `preview` tell.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::facts::Facts;
use super::intake::Intake;
use super::stream::fill;
use super::{Invocation, Trace, bring, elapsed_ms, facts, is_marker, note_version, pinned, plan};
use crate::context::Context;
use crate::database::Dialect;
use crate::decode::Step;
use crate::decode::csv::{self, CsvDecoder};
use crate::error::{Error, Result};
use crate::object::body::ObjectBody;
use crate::object::{FOLDER_MARKER, Request};
use crate::plan::{Destination, How, Layout, Limits, PERCENT_FROM_ROWS, Plan, Route};
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
        let facts = facts(request, &trace, None);
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
            let what = format!("{bad} bad rows, and {} are put up with", route.bad_rows_max);
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
fn lenient(route: &Route) -> Arc<Route> {
    let mut route = route.clone();
    route.bad_rows_max = u64::MAX;
    route.bad_rows_max_percent = 100.0;
    Arc::new(route)
}

fn mapping(plan: &Plan, layout: &Layout) -> Vec<Mapping> {
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

/// The first rows of an object.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The table whose types were tried.
    pub table: String,
    /// The fields of a record, in the order of the file.
    pub fields: Vec<Mapping>,
    /// The rows.
    pub rows: Vec<PreviewRow>,
    /// Why it ends before so many rows were read, if it does.
    pub warnings: Vec<String>,
}

/// A row, good or bad.
#[derive(Debug, Serialize)]
pub struct PreviewRow {
    /// Physical line, from 1.
    pub line: u64,
    /// Its fields; none: NULL.
    pub cells: Vec<Option<String>>,
    /// The column, or field, to blame, where the row is bad.
    pub column: Option<String>,
    /// Why it is bad.
    pub reason: Option<String>,
}

/// The first rows as the object's route and its live table read them.
///
/// # Errors
/// Whatever keeps a load from reading the first row.
pub async fn preview(context: &mut Context, request: &Request, row_max: usize) -> Result<Preview> {
    let route = match context.planner.destination(&request.object)? {
        Destination::Route(route) => route,
        Destination::Ignored(reason) => {
            return Err(Error::config(format!("preview `{}`: {reason}", request.object))
                .with_hint("name a table with --table, or add a route"));
        }
    };
    let request = &pinned(context, request).await?;
    context.bare_session().await?;
    let plan = plan(context, lenient(&route)).await?;
    let dialect = context.standing_session()?.dialect();
    let body = bring::open(context.aws.as_ref(), &request.object, &request.version, &plan.route, 0).await?;
    let planner = &context.planner;
    preview_of(&plan, planner.zone(), planner.limits(), body, dialect, row_max).await
}

/// The first rows as a plan reads them; no database is asked.
///
/// # Errors
/// Whatever keeps a load from reading the first row.
pub async fn preview_of(
    plan: &Plan,
    zone: &jiff::tz::TimeZone,
    limits: Limits,
    mut body: ObjectBody,
    dialect: Dialect,
    row_max: usize,
) -> Result<Preview> {
    let limits = Limits { batch_rows_max: row_max.max(1), ..limits };
    let mut intake = Intake::new(plan, zone, limits, dialect, Facts::default());
    intake.rejects = Rejects::new(limits.reject_bytes_max).with_sample_max(row_max);
    let mut batch = Batch::default();
    let mut is_at_end = false;
    let mut warnings = Vec::new();
    if let Err(error) = fill(&mut body, &mut intake, &mut is_at_end, &mut batch, None).await {
        if batch.is_empty() && intake.rejects.count() == 0 {
            return Err(error);
        }
        warnings.push(error.message());
    }
    warnings.extend(intake.warnings());
    let layout = intake.layout().cloned();
    let fields = layout.as_ref().map(|layout| mapping(plan, layout)).unwrap_or_default();
    let fields: Vec<Mapping> = fields.into_iter().filter(|field| field.field.is_some()).collect();
    let mut rows = Vec::new();
    for at in 0..batch.len() {
        let Some((row, raw)) = batch.row(at) else { continue };
        rows.push(PreviewRow {
            line: row.position.line,
            cells: cells(plan, &fields, raw),
            column: None,
            reason: None,
        });
    }
    for (sample, raw) in intake.rejects.with_lines() {
        let (column, reason) = (sample.column.clone(), Some(sample.reason.clone()));
        rows.push(PreviewRow { line: sample.line, cells: cells(plan, &fields, raw), column, reason });
    }
    rows.sort_by_key(|row| row.line);
    rows.truncate(row_max);
    Ok(Preview { table: plan.table.name.to_string(), fields, rows, warnings })
}

/// A record's fields once more, as they are written.
fn cells(plan: &Plan, fields: &[Mapping], raw: &[u8]) -> Vec<Option<String>> {
    members(fields, raw).unwrap_or_else(|| delimited(plan, raw))
}

/// Of a JSON object: what its members hold; none where it is no object, or has none of these members.
fn members(fields: &[Mapping], raw: &[u8]) -> Option<Vec<Option<String>>> {
    let object: Value = serde_json::from_slice(raw).ok()?;
    let named = |name: &str| {
        let pointer =
            if name.starts_with('/') { name.to_owned() } else { format!("/{}", name.replace('.', "/")) };
        object.get(name).or_else(|| object.pointer(&pointer))
    };
    let found: Vec<Option<&Value>> =
        fields.iter().map(|field| named(field.field.as_deref().unwrap_or_default())).collect();
    found.iter().any(Option::is_some).then(|| {
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        found.into_iter().map(|value| value.and_then(text)).collect()
    })
}

fn delimited(plan: &Plan, raw: &[u8]) -> Vec<Option<String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let dialect = csv::Dialect { skip_lines: 0, ..plan.route.dialect };
    let mut decoder = CsvDecoder::new(dialect, raw.len() + 1);
    decoder.push(Bytes::copy_from_slice(raw));
    decoder.finish();
    match decoder.step() {
        Ok(Step::Record(record)) => record
            .fields()
            .map(|field| {
                let is_null = !field.is_quoted
                    && plan.route.rules.null_strings.iter().any(|null| null.as_slice() == field.bytes);
                (!is_null).then(|| text(field.bytes))
            })
            .collect(),
        _ => vec![Some(text(raw).trim_end_matches(['\r', '\n']).to_owned())],
    }
}
