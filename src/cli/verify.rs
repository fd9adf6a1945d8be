//! `holoload verify`: objects against their tables.

use clap::Args;

use super::load::{requests, settings_to};
use super::{Arguments, MEMORY_MIB, print, progress, style};
use crate::context::Context;
use crate::error::{Class, Error, Result, counted};
use crate::load::{Verdict, verify};
use crate::object::Request;
use crate::plan::Limits;

#[derive(Args)]
pub(super) struct VerifyArguments {
    /// `s3://bucket/key`, `s3://bucket/prefix/`, a path, or a glob in quotes
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Compare with this table, whatever the routes say
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, said: &VerifyArguments) -> Result<Vec<Class>> {
    let aws = arguments.aws().await;
    let settings = settings_to(arguments, said.table.as_deref(), None, &aws).await?;
    let mut context = Context::start(&settings, Some(aws.clone()), Limits::for_memory(MEMORY_MIB)).await?;
    let requests = requests(&said.sources, &aws, &context).await?;
    let mut verdicts = Vec::with_capacity(requests.len());
    let mut failure = None;
    for request in &requests {
        match one(&mut context, request, said.json).await {
            Ok(verdict) if said.json => verdicts.push(verdict),
            Ok(verdict) => {
                print(&style::headline(&text(&verdict)))?;
                verdicts.push(verdict);
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    context.discard().await;
    if let Some(error) = failure {
        return Err(error);
    }
    if said.json {
        // One source is answered as one verdict, several as a list.
        let value = match verdicts.as_slice() {
            [one] => serde_json::to_value(one),
            all => serde_json::to_value(all),
        };
        let value = value.map_err(|source| Error::bug("write JSON").with_source(source))?;
        print(&format!("{value:#}"))?;
    }
    let differ = verdicts.iter().filter(|verdict| !verdict.is_equal);
    Ok(differ.map(|_| Class::Input).collect())
}

async fn one(context: &mut Context, request: &Request, is_json: bool) -> Result<Verdict> {
    progress::shown(request, is_json, async |invocation| verify(context, request, invocation).await).await
}

fn text(verdict: &Verdict) -> String {
    let word = if verdict.is_equal { "equal" } else { "different" };
    let mut text = format!(
        "{word} {} -> {}\n  {}: {} the same as in the table",
        verdict.object,
        verdict.table,
        counted(verdict.row_count, "row"),
        verdict.equal_count
    );
    for (count, what) in [
        (verdict.different_count, "different"),
        (verdict.missing_count, "missing"),
        (verdict.undeleted_count, "not deleted"),
        (verdict.duplicate_count, "duplicate"),
        (verdict.reject_count, "rejected"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push_str(&format!(
        "\n  checksum {} in the file, {} in the table",
        verdict.file_checksum, verdict.table_checksum
    ));
    if !verdict.lines.is_empty() {
        let lines: Vec<String> = verdict.lines.iter().map(u64::to_string).collect();
        text.push_str(&format!("\n  first at line {}", lines.join(", ")));
        text.push_str(
            "\n  rows that another object has written since, or that are newer in the table by `newer_by`, count as different",
        );
    }
    if verdict.is_cut_short {
        text.push_str("\n  too many rows differ: the rest of the file was not compared");
    }
    if !verdict.uncompared.is_empty() {
        text.push_str(&format!("\n  not compared: {}", verdict.uncompared.join(", ")));
    }
    text
}
