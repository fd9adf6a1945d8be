//! `holoload verify`: an object against its table.

use clap::Args;

use super::{Arguments, MEMORY_MIB, object, print, progress, settings_to};
use crate::aws::Aws;
use crate::context::Context;
use crate::error::{Class, Error, Result};
use crate::load::{Invocation, Verdict, verify};
use crate::object::Request;
use crate::plan::Limits;

#[derive(Args)]
pub(super) struct VerifyArguments {
    /// `s3://bucket/key` or a local path
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Compare with this table, whatever the routes say
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, said: &VerifyArguments) -> Result<Vec<Class>> {
    let request = Request::manual(object(&said.source)?);
    let aws = Aws::from_environment().await;
    let settings = settings_to(arguments, said.table.as_deref(), None, &aws).await?;
    let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let bar = progress::Bar::start(&request.object.to_string());
    let advance = |bytes: u64, rows: u64| bar.advance(bytes, rows);
    let invocation = Invocation { progress: Some(&advance), ..Invocation::default() };
    let verdict = verify(&mut context, &request, &invocation).await;
    bar.finish();
    context.discard().await;
    let verdict = verdict?;
    if said.json {
        let value =
            serde_json::to_value(&verdict).map_err(|source| Error::bug("write JSON").with_source(source))?;
        print(&format!("{value:#}"))?;
    } else {
        print(&text(&verdict))?;
    }
    Ok(if verdict.is_equal { Vec::new() } else { vec![Class::Input] })
}

fn text(verdict: &Verdict) -> String {
    let word = if verdict.is_equal { "equal" } else { "different" };
    let mut text = format!(
        "{word} {} -> {}\n  {} rows: {} the same as in the table",
        verdict.object, verdict.table, verdict.row_count, verdict.equal_count
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
