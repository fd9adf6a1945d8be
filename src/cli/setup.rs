//! `holoload setup`: the statements that a loader needs to have run once.

use clap::Args;
use serde_json::json;

use super::{Arguments, MEMORY_MIB, ledger_is_off, print, settings_with, text};
use crate::context::Context;
use crate::database::Dialect;
use crate::error::{Class, Result};
use crate::ledger::{self, Ledger};
use crate::plan::Limits;
use crate::settings::WriteMode;
use crate::table::{TableName, quote};

#[derive(Args)]
pub(super) struct SetupArguments {
    /// Create ledger and fence now
    #[arg(long)]
    apply: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, said: &SetupArguments) -> Result<Vec<Class>> {
    let aws = arguments.aws().await;
    let settings = settings_with(arguments, None, &aws).await?;
    let name = settings.ledger.as_deref().ok_or_else(ledger_is_off)?;
    let ledger = Ledger::new(name)?;
    let (routes, open): (Vec<_>, Vec<_>) =
        settings.routes.iter().partition(|route| !route.table.contains('{'));
    let tables = routes.iter().map(|route| TableName::parse(&route.table)).collect::<Result<Vec<_>>>()?;
    let user = settings.target.as_ref().map_or("loader", |target| target.user.as_str());
    let host = settings.target.as_ref().map_or("", |target| target.host.as_str());
    let mut lines: Vec<String> = ledger::statements(&ledger, Dialect::of_host(host));
    let user = if user.is_empty() { "loader" } else { user };
    lines.extend(ledger::grants(&ledger, &tables, user));
    let deletes = routes.iter().map(|route| {
        let write = &route.write;
        write.mode == WriteMode::Snapshot || write.op.is_some() && write.soft_delete.is_none()
    });
    let cleared = tables.iter().zip(deletes).filter(|(_, deletes)| *deletes);
    lines.extend(cleared.map(|(table, _)| format!("GRANT DELETE ON {} TO {}", table.quoted(), quote(user))));
    let lines: Vec<String> = lines.iter().map(|line| format!("{line};")).collect();
    for route in open {
        let (glob, table) = (&route.object, &route.table);
        text::aside(&format!(
            "the objects of `{glob}` say their table (`{table}`): grant the same on each of them"
        ));
    }
    if said.json {
        print(&format!("{:#}", json!({"statements": lines, "applied": said.apply})))?;
    } else {
        print(&lines.join("\n"))?;
    }
    if said.apply {
        let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
        context.session().await?;
        context.discard().await;
        text::aside("ledger and fence are there; the grants are for the tables' owner to run");
    }
    Ok(Vec::new())
}
