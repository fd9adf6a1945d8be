//! `holoload reprocess`: what stands under a prefix, against the ledger.

use clap::Args;

use super::{Arguments, MEMORY_MIB, print, progress, settings, show, text};
use crate::aws::Aws;
use crate::context::Context;
use crate::error::{Class, Result};
use crate::event::{Selection, moment_ms};
use crate::load::Invocation;
use crate::object::ObjectRef;
use crate::plan::Limits;
use crate::report::{self, Report};
use crate::reprocess::{Outcome, reprocess};

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct ReprocessArguments {
    /// Objects whose keys begin so: `s3://bucket/prefix/`
    #[arg(long, value_name = "ADDRESS")]
    prefix: String,
    /// Those whose newest version has not been loaded
    #[arg(long)]
    missing: bool,
    /// Those whose last load failed
    #[arg(long)]
    failed: bool,
    /// Put at this time or later (`2026-11-01`, or RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Put before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Load at most so many objects
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
    /// Say what would be loaded, load nothing
    #[arg(long)]
    dry_run: bool,
    /// Load even what the ledger says is loaded or newer
    #[arg(long)]
    force: bool,
    /// Print the reports as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, said: &ReprocessArguments) -> Result<Vec<Class>> {
    // What is said on the command line is a matter of usage, whatever it would be in an event.
    let usage = |error: crate::error::Error| error.reclassed(Class::Config);
    let time = |said: &Option<String>| said.as_deref().map(moment_ms).transpose().map_err(usage);
    let selection = Selection {
        missing: said.missing,
        failed: said.failed,
        modified_after_ms: time(&said.since)?,
        modified_before_ms: time(&said.until)?,
        force: said.force,
        dry_run: said.dry_run,
        ..Selection::under(&said.prefix).map_err(usage)?
    };
    let aws = Aws::from_environment().await;
    let settings = settings(arguments, &aws).await?;
    let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let mut reports = Vec::new();
    let mut shown = Ok(());
    let mut keep = |report: Report| {
        if said.json {
            reports.push(report);
        } else if shown.is_ok() {
            shown = show(&report);
        }
    };
    let bar = progress::Bar::start(&said.prefix);
    let advance = |bytes: u64, rows: u64| bar.advance(bytes, rows);
    let invocation = Invocation { progress: Some(&advance), ..Invocation::default() };
    let outcome = reprocess(&mut context, &selection, said.limit, &invocation, &mut keep).await;
    bar.finish();
    context.discard().await;
    let outcome = outcome?;
    shown?;
    if said.json {
        let mut answer = report::answer(&reports, &outcome.ignored);
        answer["reprocess"] = outcome.json(said.dry_run);
        print(&format!("{answer:#}"))?;
    } else {
        print(&summary(&selection, &outcome))?;
    }
    Ok(outcome.classes)
}

/// The objects of a dry run, what was passed over, and the sum of it.
fn summary(selection: &Selection, outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    if !outcome.chosen.is_empty() {
        let mut rows = vec![["BYTES", "TABLE", "WHY", "OBJECT"].map(str::to_owned)];
        rows.extend(outcome.chosen.iter().map(|one| {
            [one.size.to_string(), one.table.clone(), one.reason.to_owned(), one.object.address()]
        }));
        lines.push(text::table(&rows, &[0]));
    }
    for (key, reason) in &outcome.ignored {
        let object = ObjectRef { bucket: selection.bucket.clone(), key: key.clone() };
        lines.push(format!("ignored {} ({reason})", object.address()));
    }
    let unnamed = outcome.ignored_count - outcome.ignored.len() as u64;
    if unnamed > 0 {
        lines.push(format!("ignored {unnamed} more"));
    }
    let loaded = if selection.dry_run { "to load" } else { "tried" };
    lines.push(format!(
        "{} objects listed: {} {loaded}, {} need nothing, {} ignored, {}{} left",
        outcome.listed_count,
        outcome.chosen_count,
        outcome.current_count,
        outcome.ignored_count,
        if outcome.is_cut_short { "at least " } else { "" },
        outcome.left_count,
    ));
    lines.extend(outcome.hint().map(str::to_owned));
    lines.join("\n")
}
