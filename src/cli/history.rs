//! `holoload history`: the ledger, read or shortened.

use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::{Arguments, print, text, with_ledger};
use crate::error::{Class, Error, Result};
use crate::ledger::{self, Filter};
use crate::report::Status;
use crate::table::TableName;

/// Longer than any ledger.
const DAYS_MAX: u64 = 36_500;

#[derive(Args)]
pub(super) struct HistoryArguments {
    /// Only loads that ended so
    #[arg(long, value_parser = PossibleValuesParser::new(Status::ALL.map(Status::name)))]
    status: Option<String>,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Only loads into this table
    #[arg(long)]
    table: Option<String>,
    /// At most so many lines
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Delete old lines; the newest of every object stays
    #[arg(long, conflicts_with_all = ["status", "prefix", "table", "limit"])]
    prune: bool,
    /// How old: days (`90d`) or hours (`36h`)
    #[arg(long, value_name = "AGE", default_value = "90d", requires = "prune")]
    older_than: String,
    /// Say how many lines would go, delete none
    #[arg(long, requires = "prune")]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, history: &HistoryArguments) -> Result<Vec<Class>> {
    if history.prune { prune(arguments, history).await } else { show(arguments, history).await }
}

async fn show(arguments: &Arguments, history: &HistoryArguments) -> Result<Vec<Class>> {
    let (mut context, ledger) = with_ledger(arguments).await?;
    let table = history.table.as_deref().map(TableName::parse).transpose()?;
    let filter = Filter {
        status: history.status.clone(),
        prefix: history.prefix.clone(),
        table: table.map(|table| table.to_string()),
        line_max: i64::from(history.limit),
    };
    let lines = match ledger::history(&ledger, context.bare_session().await?, &filter).await {
        // No ledger yet: looking at it is no reason to create it.
        Err(error) if error.code() == Some("42P01") => Vec::new(),
        lines => lines?,
    };
    context.discard().await;
    if history.json {
        let value =
            serde_json::to_value(&lines).map_err(|source| Error::bug("write JSON").with_source(source))?;
        print(&format!("{value:#}"))?;
    } else {
        print(&text::history(&lines))?;
    }
    Ok(Vec::new())
}

async fn prune(arguments: &Arguments, history: &HistoryArguments) -> Result<Vec<Class>> {
    let older_than = age(&history.older_than)?;
    let (mut context, ledger) = with_ledger(arguments).await?;
    let session = context.bare_session().await?;
    let count = match ledger::prune(&ledger, session, older_than, history.dry_run).await {
        Err(error) if error.code() == Some("42P01") => 0,
        count => count?,
    };
    context.discard().await;
    if history.json {
        print(&format!("{:#}", json!({"pruned_count": count, "dry_run": history.dry_run})))?;
    } else {
        let what = if history.dry_run { "would be deleted" } else { "deleted" };
        print(&format!("{count} lines older than {} {what}", history.older_than))?;
    }
    Ok(Vec::new())
}

fn age(said: &str) -> Result<Duration> {
    let refuse =
        || Error::config(format!("read the age `{said}`")).with_hint("write days, `90d`, or hours, `36h`");
    let number = said.strip_suffix(['d', 'h']).and_then(|number| number.parse::<u64>().ok());
    let hours = number.and_then(|number| number.checked_mul(if said.ends_with('d') { 24 } else { 1 }));
    let hours = hours.filter(|hours| *hours <= DAYS_MAX * 24).ok_or_else(refuse)?;
    Ok(Duration::from_hours(hours))
}
