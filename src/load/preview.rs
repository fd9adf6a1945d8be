//! The first rows of an object as a load would write them: what `preview` tells.

use std::sync::Arc;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use super::dry::{Mapping, lenient, mapping};
use super::facts::Facts;
use super::intake::Intake;
use super::stream::fill;
use super::{Trace, bring, facts, note_version, pinned, plan};
use crate::aws::Aws;
use crate::context::Context;
use crate::database::Dialect;
use crate::decode::csv::{self, CsvDecoder};
use crate::decode::{Format, Step};
use crate::error::{Class, Error, Result};
use crate::object::Request;
use crate::object::body::ObjectBody;
use crate::plan::{Destination, Layout, Limits, Plan, Route};
use crate::reject::Rejects;
use crate::report::Report;
use crate::settings::WriteMode;
use crate::sink::{Batch, value_text};

/// The first rows of an object.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The table whose types were tried.
    pub table: String,
    /// The fields of a record, in the order of the file; after them the columns that something else fills.
    pub fields: Vec<Mapping>,
    /// The rows.
    pub rows: Vec<PreviewRow>,
    /// Why it ends before so many rows were read, if it does.
    pub warnings: Vec<String>,
}

/// A row, good or bad.
#[derive(Debug, Serialize)]
pub struct PreviewRow {
    /// Physical line, from 1; of a Parquet file the row.
    pub line: u64,
    /// The values as they would stand in the table, and of fields that go nowhere the text; none: NULL. Of a bad row the
    /// fields as they are written.
    pub cells: Vec<Option<String>>,
    /// The row of this key would be deleted.
    pub is_delete: bool,
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
    let route = lenient(&route);
    let plan = match plan(context, Arc::clone(&route)).await {
        // A table without the key that a load would need still says what its columns hold.
        Err(error) if error.class() == Class::Config && route.mode != WriteMode::Insert => {
            let mut keyless = Route::clone(&route);
            keyless.mode = WriteMode::Insert;
            keyless.newer_by = None;
            plan(context, Arc::new(keyless)).await.map_err(|_| error)?
        }
        plan => plan?,
    };
    let dialect = context.standing_session()?.dialect();
    let planner = &context.planner;
    let reading = Reading { plan: &plan, zone: planner.zone(), limits: planner.limits(), dialect, request };
    reading.rows(reading.open(context.aws.as_ref()).await?, row_max).await
}

/// How rows are to be read; no database is asked.
pub struct Reading<'a> {
    /// Route and table.
    pub plan: &'a Plan,
    /// Zone of times that have none.
    pub zone: &'a TimeZone,
    /// How much of the object is held at once.
    pub limits: Limits,
    /// What the table is in.
    pub dialect: Dialect,
    /// The object.
    pub request: &'a Request,
}

impl Reading<'_> {
    /// Opens the object as its format is read.
    ///
    /// # Errors
    /// Of S3, by their class; `Input` for a local file that cannot be read.
    pub async fn open(&self, aws: Option<&Aws>) -> Result<ObjectBody> {
        let Request { object, version, .. } = self.request;
        bring::open(aws, object, version, &self.plan.route, 0).await
    }

    /// The first rows.
    ///
    /// # Errors
    /// Whatever keeps a load from reading the first row.
    pub async fn rows(&self, mut body: ObjectBody, row_max: usize) -> Result<Preview> {
        let Self { plan, zone, dialect, request, .. } = *self;
        let limits = Limits { batch_rows_max: row_max.max(1), ..self.limits };
        let mut trace = Trace { started_ms: jiff::Timestamp::now().as_millisecond(), ..Trace::default() };
        note_version(&body, &mut Report::new(request, jiff::Timestamp::now()), &mut trace);
        let facts = Facts { content_type: body.content_type.clone(), ..facts(request, &trace, None) };
        let mut intake = Intake::new(plan, zone, limits, dialect, facts);
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
        let shown = Shown::new(plan, intake.layout(), intake.format(), zone);
        let mut rows = Vec::new();
        for (at, index) in (0..batch.len()).zip(0_u32..) {
            let Some((row, raw)) = batch.row(at) else { continue };
            rows.push(PreviewRow {
                line: row.position.line,
                cells: shown.values(batch.fields(index), raw),
                is_delete: batch.is_delete(index),
                column: None,
                reason: None,
            });
        }
        for (sample, raw) in intake.rejects.with_lines() {
            let (column, reason) = (sample.column.clone(), Some(sample.reason.clone()));
            let cells = shown.written(raw);
            rows.push(PreviewRow { line: sample.line, cells, is_delete: false, column, reason });
        }
        rows.sort_by_key(|row| row.line);
        rows.truncate(row_max);
        Ok(Preview { table: plan.table.name.to_string(), fields: shown.fields, rows, warnings })
    }
}

/// What stands in which place of a row.
struct Shown<'a> {
    plan: &'a Plan,
    zone: &'a TimeZone,
    format: Format,
    fields: Vec<Mapping>,
    /// Of each of them which encoded value it is.
    slots: Vec<Option<usize>>,
    /// Columns of the slots.
    columns: Vec<usize>,
}

impl<'a> Shown<'a> {
    fn new(plan: &'a Plan, layout: Option<&Layout>, format: Option<Format>, zone: &'a TimeZone) -> Self {
        let slots = layout.map(|layout| layout.slots.as_slice()).unwrap_or_default();
        let columns: Vec<usize> = slots.iter().map(|slot| slot.column).collect();
        let slot_of = |field: &Mapping| {
            let index = field.column.as_deref().and_then(|name| plan.table.column_index(name))?;
            columns.iter().position(|column| *column == index)
        };
        // What neither the file has nor anything else fills is no part of a row.
        let fields: Vec<Mapping> = layout
            .map(|layout| mapping(plan, layout))
            .unwrap_or_default()
            .into_iter()
            .filter(|field| field.field.is_some() || slot_of(field).is_some())
            .collect();
        let slots = fields.iter().map(slot_of).collect();
        Self { plan, zone, format: format.unwrap_or(Format::Csv), fields, slots, columns }
    }

    /// A good row.
    fn values<'b>(&self, encoded: impl Iterator<Item = Option<&'b [u8]>>, raw: &[u8]) -> Vec<Option<String>> {
        let encoded: Vec<Option<&[u8]>> = encoded.collect();
        let value = |slot: usize| {
            let column = self.plan.table.columns.get(*self.columns.get(slot)?)?;
            let bytes = *encoded.get(slot)?;
            Some(bytes.map(|bytes| value_text(column.kind, bytes, self.zone)))
        };
        let values = self.slots.iter().map(|slot| slot.and_then(value));
        let is_all_shown = self.slots.iter().all(Option::is_some) && encoded.len() == self.columns.len();
        let written = if is_all_shown { Vec::new() } else { self.written(raw) };
        let or_written = |(at, value): (usize, Option<Option<String>>)| {
            value.unwrap_or_else(|| written.get(at).cloned().flatten())
        };
        values.enumerate().map(or_written).collect()
    }

    /// A record's fields once more, as they are written; nothing where a column has none.
    fn written(&self, raw: &[u8]) -> Vec<Option<String>> {
        let found = match self.format {
            Format::Csv | Format::Tsv => return self.delimited(raw),
            Format::JsonLines | Format::Json | Format::Parquet => self.members(raw),
        };
        found.unwrap_or_else(|| vec![Some(whole(raw))])
    }

    /// What the members of an object hold; none where it is no object.
    fn members(&self, raw: &[u8]) -> Option<Vec<Option<String>>> {
        let object: Value = serde_json::from_slice(raw).ok()?;
        let members = object.as_object()?;
        let named = |name: &str| {
            let pointer = || name.replace('.', "/");
            let pointer = if name.starts_with('/') { name.to_owned() } else { format!("/{}", pointer()) };
            members.get(name).or_else(|| object.pointer(&pointer))
        };
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let cell = |field: &Mapping| field.field.as_deref().and_then(named).and_then(text);
        Some(self.fields.iter().map(cell).collect())
    }

    fn delimited(&self, raw: &[u8]) -> Vec<Option<String>> {
        let route = &self.plan.route;
        let mut dialect = csv::Dialect { skip_lines: 0, ..super::reader::dialect_of(route, self.format) };
        // A comment sign in a reject is none: the decoder has passed over comments.
        dialect.comment = None;
        let mut decoder = CsvDecoder::new(dialect, raw.len() + 1);
        decoder.push(Bytes::copy_from_slice(raw));
        decoder.finish();
        let Ok(Step::Record(record)) = decoder.step() else { return vec![Some(whole(raw))] };
        let is_null = |text: &[u8]| route.rules.null_strings.iter().any(|null| null.as_slice() == text);
        record
            .fields()
            .map(|field| {
                let text = || String::from_utf8_lossy(field.bytes).into_owned();
                (field.is_quoted || !is_null(field.bytes)).then(text)
            })
            .collect()
    }
}

fn whole(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).trim_end_matches(['\r', '\n']).to_owned()
}
