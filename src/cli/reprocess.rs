//! `holoload reprocess`: what stands under a prefix, against the ledger, or what the ledger says failed.

use clap::Args;

use super::load::show;
use super::table::Table;
use super::{Arguments, MEMORY_MIB, environment, print, progress, style, text};
use crate::context::{self, Context};
use crate::error::{Class, Result};
use crate::event::{Selection, WITHIN_HOURS_MAX, moment_ms};
use crate::load::Invocation;
use crate::object::ObjectRef;
use crate::plan::Limits;
use crate::report::{self, ErrorReport, Report};
use crate::reprocess::{Means, Outcome, reprocess};

/// Objects loaded by one run, where no limit is said; a queue takes as many as there are.
const LOAD_MAX: usize = 10_000;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct ReprocessArguments {
    /// Objects whose keys begin so: `s3://bucket/prefix/`; with `--failed` alone the ledger says which
    #[arg(long, value_name = "ADDRESS", required_unless_present = "failed")]
    prefix: Option<String>,
    /// Those whose newest version has not been loaded
    #[arg(long, requires = "prefix")]
    missing: bool,
    /// Those whose last load failed
    #[arg(long)]
    failed: bool,
    /// Put at this time or later (`2026-11-01`, or RFC 3339); without `--prefix`, failed then
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Put before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Put in so many hours before now
    #[arg(long, value_name = "HOURS", conflicts_with = "since",
          value_parser = clap::value_parser!(u64).range(1..=WITHIN_HOURS_MAX))]
    within_hours: Option<u64>,
    /// Only those that come after this one: what the last run said was `next`
    #[arg(long, value_name = "ADDRESS")]
    start_after: Option<String>,
    /// At most so many objects (default: 10000; with `--queue`, all)
    #[arg(long)]
    limit: Option<usize>,
    /// Load nothing here: put a message for each object into this queue, from which the function loads it
    #[arg(long, value_name = "ARN")]
    queue: Option<String>,
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

impl ReprocessArguments {
    fn selection(&self) -> Result<Selection> {
        let time = |said: &Option<String>| said.as_deref().map(moment_ms).transpose();
        let start_after = self.start_after.as_deref().map(ObjectRef::parse_s3).transpose()?;
        let selection = self.prefix.as_deref().map(Selection::under).transpose()?.unwrap_or_default();
        let selection = Selection {
            missing: self.missing,
            failed: self.failed,
            modified_after_ms: time(&self.since)?,
            modified_before_ms: time(&self.until)?,
            within_hours: self.within_hours,
            start_after,
            force: self.force,
            dry_run: self.dry_run,
            ..selection
        };
        Ok(selection.checked()?.at(jiff::Timestamp::now().as_millisecond()))
    }
}

pub(super) async fn run(arguments: &Arguments, said: &ReprocessArguments) -> Result<Vec<Class>> {
    // What is said on the command line is a matter of usage, whatever it would be in an event.
    let selection = said.selection().map_err(|error| error.reclassed(Class::Config))?;
    let mut context = start(arguments, said).await?;
    let queue = context.queue.clone();
    let mut reports = Vec::new();
    let mut shown = Ok(());
    let mut keep = |report: Report| {
        if said.json {
            reports.push(report);
        } else if shown.is_ok() {
            shown = show(&report);
        }
    };
    let bar = progress::Bar::start(said.prefix.as_deref().unwrap_or("failed loads"), said.json);
    let advance = |bytes: u64, size: Option<u64>, rows: u64| bar.advance(bytes, size, rows);
    let swept = |sum: &Outcome| {
        bar.say(format!(
            "{} listed, {} chosen, {} queued",
            sum.listed_count, sum.chosen_count, sum.queued_count
        ));
    };
    let means = Means {
        load_max: said.limit.unwrap_or(if queue.is_some() { usize::MAX } else { LOAD_MAX }),
        queue: queue.as_deref(),
        inline_max: 0,
        on_progress: Some(&swept),
    };
    let invocation = Invocation { progress: Some(&advance), ..Invocation::default() };
    let mut outcome = reprocess(&mut context, &selection, means, &invocation, &mut keep).await;
    bar.finish();
    context.discard().await;
    // What ended it before there was an object is all there is to say.
    let failure = match outcome.failure.take() {
        Some(error) if outcome.listed_count == 0 => return Err(error),
        failure => failure,
    };
    shown?;
    if said.json {
        let mut answer = report::answer(&reports, &outcome.ignored);
        answer["reprocess"] = outcome.json(said.dry_run);
        print(&format!("{answer:#}"))?;
    } else {
        print(&summary(&selection, &outcome))?;
    }
    if let Some(error) = &failure {
        text::error(&ErrorReport::from(error), Some(error));
        outcome.classes.push(error.class());
    }
    Ok(outcome.classes)
}

/// The queue is the function's, which may be reached where its database is not: only who names it sends anything there.
async fn start(arguments: &Arguments, said: &ReprocessArguments) -> Result<Context> {
    let mut environment = environment(arguments);
    environment.set("HOLOLOAD_QUEUE", said.queue.as_deref().unwrap_or_default());
    let aws = arguments.aws().await;
    let settings = context::settings(&environment, Some(&aws)).await?;
    Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await
}

/// The objects of a dry run, what was passed over, and the sum of it.
fn summary(selection: &Selection, outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    if !outcome.chosen.is_empty() {
        let mut table = Table::new(&["BYTES", "TABLE", "WHY", "OBJECT"]).right(&[0]);
        for one in &outcome.chosen {
            table.push([
                one.size.to_string(),
                one.table.clone(),
                one.reason.to_owned(),
                one.object.address(),
            ]);
        }
        lines.push(table.print(style::width()));
    }
    for (name, reason) in &outcome.ignored {
        let object = ObjectRef { bucket: selection.bucket.clone(), key: name.clone() };
        let address = if selection.is_of_ledger() { name.clone() } else { object.address() };
        lines.push(format!("ignored {address} ({reason})"));
    }
    let unnamed = outcome.ignored_count - outcome.ignored.len() as u64;
    if unnamed > 0 {
        lines.push(format!("ignored {unnamed} more"));
    }
    let what = if selection.is_of_ledger() { "failed" } else { "listed" };
    let loaded = if selection.dry_run { "to load" } else { "tried" };
    let queued = match outcome.queued_count {
        0 => String::new(),
        count => format!("{count} queued, "),
    };
    lines.push(format!(
        "{} objects {what}: {} {loaded}, {queued}{} need nothing, {} ignored, {}{} left",
        outcome.listed_count,
        outcome.chosen_count - outcome.queued_count,
        outcome.current_count,
        outcome.ignored_count,
        if outcome.is_cut_short { "at least " } else { "" },
        outcome.left_count,
    ));
    lines.extend(outcome.next.as_ref().map(|next| format!("next: --start-after '{}'", next.address())));
    lines.extend(outcome.hint().map(str::to_owned));
    lines.join("\n")
}
