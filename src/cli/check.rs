//! `holoload check`: a full dry run, and what a load would come to.

use clap::Args;
use serde_json::{Value, json};

use super::load::{Mode, read_as_guessed, requests, settings_to};
use super::style::{self, Paint};
use super::table::Table;
use super::{Arguments, MEMORY_MIB, print, progress, text};
use crate::context::Context;
use crate::error::{Class, Error, Result, counted};
use crate::load::{Checked, check};
use crate::object::{ObjectRef, Request};
use crate::plan::Limits;
use crate::report::{SCHEMA_VERSION, Status};

/// Bad rows that a screen takes; `--json` has more.
const SHOWN_MAX: usize = 20;

#[derive(Args)]
pub(super) struct CheckArguments {
    /// `s3://bucket/key`, `s3://bucket/prefix/`, a path, a glob in quotes, or `-` for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Check against this table, whatever the routes say
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// What happens where a key exists
    #[arg(long, value_enum, requires = "table")]
    mode: Option<Mode>,
    /// Read the files as `holoload guess` says, whatever the routes say
    #[arg(long, requires = "table")]
    guess: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, said: &CheckArguments) -> Result<Vec<Class>> {
    let aws = arguments.aws().await;
    let mode = said.mode.map(Into::into);
    let mut settings = settings_to(arguments, said.table.as_deref(), mode, &aws).await?;
    if said.guess {
        read_as_guessed(&mut settings, &said.sources, &aws, said.json).await?;
    }
    let mut context = Context::start(&settings, Some(aws.clone()), Limits::for_memory(MEMORY_MIB)).await?;
    let mut answers = Vec::new();
    let mut classes = Vec::new();
    for request in requests(&said.sources, &aws, &context).await? {
        let checked = one(&mut context, &request, said.json).await;
        classes.extend(checked.report.class());
        if said.json {
            answers.push(json_of(&checked)?);
            continue;
        }
        print(&shown(&checked))?;
        if let Some(error) = &checked.report.error {
            text::error(error, None);
        }
    }
    context.discard().await;
    if said.json {
        print(&format!("{:#}", json!({"schema_version": SCHEMA_VERSION, "objects": answers})))?;
    }
    Ok(classes)
}

async fn one(context: &mut Context, request: &Request, is_json: bool) -> Checked {
    progress::shown(request, is_json, async |invocation| check(context, request, invocation).await).await
}

/// The report's members, and beside them `mapping`, `bad_rows` and `duplicate_keys`.
fn json_of(checked: &Checked) -> Result<Value> {
    let bug = |source| Error::bug("write JSON").with_source(source);
    let mut value = serde_json::to_value(&checked.report).map_err(bug)?;
    value["mapping"] = serde_json::to_value(&checked.mapping).map_err(bug)?;
    value["bad_rows"] = serde_json::to_value(&checked.rejects).map_err(bug)?;
    value["duplicate_keys"] = serde_json::to_value(&checked.duplicates).map_err(bug)?;
    Ok(value)
}

fn shown(checked: &Checked) -> String {
    let report = &checked.report;
    let object = ObjectRef { bucket: report.bucket.clone(), key: report.key.clone() };
    let word = match report.status {
        Status::Skipped if report.reject_count > 0 || checked.duplicates.row_count > 0 => "warn",
        Status::Skipped => "ok",
        other => other.name(),
    };
    let mut lines = vec![style::headline(&format!("{word} {object}"))];
    if let (Some(table), Some(first)) = (&report.table, lines.first_mut()) {
        first.push_str(&format!(" -> {table}"));
    }
    if let Some(reason) = report.reason.as_ref().filter(|_| report.status == Status::Ignored) {
        lines.push(format!("  {reason}"));
        return lines.join("\n");
    }
    lines.push(format!("  {}", counts(checked)));
    if let Some(path) = report.write_path {
        let how = if report.atomic { "all rows appear together" } else { "rows appear batch by batch" };
        lines.push(format!("  would be written by {path}, {how}; nothing was"));
    }
    if !checked.mapping.is_empty() {
        lines.push(mapping(checked).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"));
    }
    for sample in checked.rejects.iter().take(SHOWN_MAX) {
        let column = sample.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
        let line = format!("line {}, byte {}{column}: {}", sample.line, sample.byte, sample.reason);
        lines.push(format!("  {} {line}", style::out(Paint::Bad, "bad")));
    }
    if checked.rejects.len() > SHOWN_MAX {
        lines.push(format!("  and {} more bad rows", report.reject_count - SHOWN_MAX as u64));
    }
    let again = checked.duplicates.lines.iter();
    lines.extend(again.map(|(first, line)| format!("  line {line} has the key of line {first}")));
    lines.extend(report.warnings.iter().map(|warning| format!("  warning: {warning}")));
    lines.join("\n")
}

fn counts(checked: &Checked) -> String {
    let report = &checked.report;
    let duplicates = &checked.duplicates;
    let mut parts = vec![counted(report.row_count, "row"), format!("{} bad", report.reject_count)];
    parts.push(match (duplicates.has_key, duplicates.is_bounded) {
        (false, _) => "no key".to_owned(),
        (true, false) => format!("{} whose key came before", duplicates.row_count),
        (true, true) => format!("at least {} whose key came before", duplicates.row_count),
    });
    format!("{} ({} bytes)", parts.join(", "), report.byte_count)
}

fn mapping(checked: &Checked) -> String {
    let mut table = Table::new(&["FIELD", "COLUMN", "TYPE", ""]);
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for one in &checked.mapping {
        table.push([word(&one.field), word(&one.column), word(&one.sql_type), one.note.to_owned()]);
    }
    // Indented by two.
    table.print(style::width().map(|width| width.saturating_sub(2)))
}
