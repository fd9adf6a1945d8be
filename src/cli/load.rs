//! `holoload load`, and how a command finds its route and its objects.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::guess::{settings_of, tell};
use super::sample::{HEAD_BYTES, guess_from};
use super::{Arguments, MEMORY_MIB, print, progress, settings_with, sources, style, text};
use crate::aws::Aws;
use crate::context::Context;
use crate::error::{Class, Error, Result, counted};
use crate::guess::Hints;
use crate::load::load;
use crate::object::{ObjectRef, Request};
use crate::plan::{Limits, into_table};
use crate::report::{self, Report, Status};
use crate::settings::{RouteSettings, Settings, Unmatched, WriteMode, WriteSettings};

/// Objects that `--guess` looks at before the first is loaded; of each about 400 KiB are read.
const GUESSED_MAX: usize = 1_000;

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct LoadArguments {
    /// `s3://bucket/key`, `s3://bucket/prefix/`, a path, a glob in quotes, or `-` for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Load into this table, whatever the routes say
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// What happens where a key exists
    #[arg(long, value_enum, requires = "table")]
    mode: Option<Mode>,
    /// Read the files as `holoload guess` says, whatever the routes say; settings say it for longer
    #[arg(long, requires = "table")]
    guess: bool,
    /// Decode and type everything against the live table, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Load even what the ledger says is loaded, newer or failed
    #[arg(long)]
    force: bool,
    /// Print the reports as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Mode {
    Upsert,
    Ignore,
    Replace,
    Insert,
}

impl From<Mode> for WriteMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Upsert => Self::Upsert,
            Mode::Ignore => Self::Ignore,
            Mode::Replace => Self::Replace,
            Mode::Insert => Self::Insert,
        }
    }
}

pub(super) async fn run(arguments: &Arguments, said: &LoadArguments) -> Result<Vec<Class>> {
    let aws = arguments.aws().await;
    let mode = said.mode.map(Into::into);
    let mut settings = settings_to(arguments, said.table.as_deref(), mode, &aws).await?;
    if said.guess {
        read_as_guessed(&mut settings, &said.sources, &aws, said.json).await?;
    }
    let mut context = Context::start(&settings, Some(aws.clone()), Limits::for_memory(MEMORY_MIB)).await?;
    let requests = requests(&said.sources, &aws, &context).await?;
    let mut reports = Vec::with_capacity(requests.len());
    for mut request in requests {
        request.force = said.force;
        request.dry_run = said.dry_run;
        let report = load_with_progress(&mut context, &request, said.json).await;
        if !said.json {
            show(&report)?;
        }
        reports.push(report);
    }
    context.discard().await;
    if said.json {
        print(&format!("{:#}", report::answer(&reports, &[])))?;
    } else if reports.len() > 1 {
        print(&sum(&reports))?;
    }
    Ok(reports.iter().filter_map(Report::class).collect())
}

/// Requests for what the words stand for; reject objects of our own are left out of globs and prefixes.
pub(super) async fn requests(words: &[String], aws: &Aws, context: &Context) -> Result<Vec<Request>> {
    let place = context.rejects.as_ref();
    let is_own = |object: &_| place.is_some_and(|place| place.holds(object));
    let found = sources::expand(words, aws, &is_own).await?;
    Ok(found.into_iter().map(|source| Request::manual(source.object)).collect())
}

pub(super) async fn settings_to(
    arguments: &Arguments,
    table: Option<&str>,
    mode: Option<WriteMode>,
    aws: &Aws,
) -> Result<Settings> {
    let mut settings = settings_with(arguments, table, aws).await?;
    if let Some(table) = table {
        // That is just what was asked for.
        settings.warnings.retain(|warning| !warning.starts_with("HOLOLOAD_TABLE "));
        settings.routes = routes_to(table, mode, &settings)?;
        settings.unmatched = Unmatched::Fail;
    }
    Ok(settings)
}

/// `--table` stands in every route for the table; everything else is as the route says that matches, or the first one.
fn routes_to(table: &str, mode: Option<WriteMode>, settings: &Settings) -> Result<Vec<RouteSettings>> {
    let mut routes = into_table(&settings.routes, table);
    if routes.is_empty() {
        routes.push(RouteSettings::read(&json!({"object": "**", "table": table}))?);
    }
    if let Some(mode) = mode {
        for route in &mut routes {
            route.write = WriteSettings { mode, ..WriteSettings::default() };
        }
    }
    Ok(routes)
}

/// Every route reads the files as a guess does.
pub(super) async fn read_as_guessed(
    settings: &mut Settings,
    words: &[String],
    aws: &Aws,
    is_json: bool,
) -> Result<()> {
    if words.iter().any(|word| word == "-") {
        return Err(Error::config("guess how standard input is read: it is read once").with_hint(
            "write it into a file first, or write `holoload guess - -o holoload.yaml` of a part of it",
        ));
    }
    let found = sources::expand(words, aws, &|_| false).await?;
    if found.len() > GUESSED_MAX {
        return Err(Error::config(format!("guess how {} objects are read", found.len())).with_hint(format!(
            "at most {GUESSED_MAX} are looked at: write what the guess of one of them says into a configuration"
        )));
    }
    let mut first: Option<(ObjectRef, RouteSettings)> = None;
    for source in found {
        let object = source.object.clone();
        let guessed = guess_from(vec![source], aws, &Hints::default(), HEAD_BYTES).await?;
        let guess = guessed.ok_or_else(|| Error::bug("guess from one object"))?.guess;
        if !is_json {
            tell(&guess);
        }
        let read = settings_of(&guess)?.routes;
        let read = read.into_iter().next().ok_or_else(|| Error::bug("read the one route of the guess"))?;
        match &first {
            None => first = Some((object, read)),
            Some((_, route)) if is_read_alike(route, &read) => {}
            Some((other, _)) => {
                return Err(Error::config(format!("read `{object}` as `{other}` is read: they are written differently"))
                    .with_hint("load them one by one, or write a configuration with a route for each: `holoload guess FILE`"));
            }
        }
    }
    let (_, read) = first.ok_or_else(|| Error::input("there is nothing to guess from"))?;
    for route in &mut settings.routes {
        route.parse = read.parse.clone();
        route.columns = read.columns.clone();
        route.drop.clone_from(&read.drop);
    }
    Ok(())
}

/// Types are the table's: what is left must be the same.
fn is_read_alike(one: &RouteSettings, other: &RouteSettings) -> bool {
    let rules = |route: &RouteSettings| {
        let mut columns = route.columns.clone();
        for column in columns.values_mut() {
            column.sql_type = None;
        }
        columns
    };
    one.parse == other.parse && one.drop == other.drop && rules(one) == rules(other)
}

async fn load_with_progress(context: &mut Context, request: &Request, is_json: bool) -> Report {
    progress::shown(request, is_json, async |invocation| load(context, request, invocation).await).await
}

pub(super) fn show(report: &Report) -> Result<()> {
    print(&style::headline(&report::human(report)))?;
    if let Some(error) = &report.error {
        text::error(error, None);
    }
    Ok(())
}

/// One line about many objects.
fn sum(reports: &[Report]) -> String {
    let count = |status| reports.iter().filter(|report| report.status == status).count();
    let parts: Vec<String> = Status::ALL
        .map(|status| (count(status), status.name()))
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let row_count: u64 = reports.iter().map(|report| report.row_count).sum();
    let reject_count: u64 = reports.iter().map(|report| report.reject_count).sum();
    let rows = counted(row_count, "row");
    format!("\n{} objects: {}; {rows}, {reject_count} rejected", reports.len(), parts.join(", "))
}
