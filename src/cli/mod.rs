//! The door for people: arguments in, text or JSON out, an exit code that scripts can use.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 an object failed, 2 usage or
//! configuration, 3 access, 4 try again, 70 a bug; of several objects the worst, in the order 70 4 3 2 1 0.

use std::io::{IsTerminal, Write};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use futures_util::FutureExt;
use serde_json::Value;

use crate::aws::Aws;
use crate::context::{self, Context};
use crate::database::Dialect;
use crate::error::{Class, Error, Result};
use crate::event::{self, Event};
use crate::handler::{Answer, handle};
use crate::ledger::{self, Ledger};
use crate::load::{Invocation, load};
use crate::object::{ObjectRef, Request};
use crate::plan::Limits;
use crate::report::{self, ErrorReport, Report};
use crate::settings::{Environment, ParseSettings, RouteSettings, Settings, WriteMode, WriteSettings};
use crate::table::{TableName, quote};

mod doctor;
mod history;
mod progress;
mod reprocess;
mod text;
mod verify;

/// What a laptop or a cron host spares for one load.
const MEMORY_MIB: u64 = 1024;
/// An event file is a few kilobytes; Lambda takes 6 MB.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Loads objects from Amazon S3 into Alibaba Cloud Hologres or PostgreSQL.
#[derive(Parser)]
#[command(name = "holoload", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Configuration: a YAML file, or its `s3://` address (default: `HOLOLOAD_CONFIG`)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Load objects or files now
    Load(LoadArguments),
    /// Show what was loaded, newest first
    History(history::HistoryArguments),
    /// Look whether everything is as a load needs it, and say what to change
    Doctor(doctor::DoctorArguments),
    /// Load what is missing under a prefix, or failed
    Reprocess(reprocess::ReprocessArguments),
    /// Compare an object with its table, write nothing
    Verify(verify::VerifyArguments),
    /// Handle one event as Lambda would
    Invoke {
        /// The event, `-` for standard input
        #[arg(value_name = "EVENT.json")]
        event: PathBuf,
    },
    /// Print the statements for the ledger, the fence and the rights a loader needs
    Setup {
        /// Create ledger and fence now
        #[arg(long)]
        apply: bool,
    },
}

#[derive(Args)]
struct LoadArguments {
    /// `s3://bucket/key`, a local path, or `-` for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Load into this table, whatever the routes say
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// What happens where a key exists
    #[arg(long, value_enum, requires = "table")]
    mode: Option<Mode>,
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
enum Mode {
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

/// Runs the command line; the exit code says how it went.
pub async fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help and version come as errors too; they exit 0. Printing fails only on a closed pipe.
            drop(usage.print());
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    start_logging();
    // The text of a panic may quote a value; its place may not.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        text::note(&format!("panicked at {place}"));
    }));
    let outcome = AssertUnwindSafe(command(&arguments)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| {
        Err(Error::bug("holoload panicked").with_hint("please report this with the place above"))
    });
    match outcome {
        Ok(classes) => ExitCode::from(exit_code(&classes)),
        Err(error) => {
            text::error(&ErrorReport::from(&error), Some(&error));
            ExitCode::from(error.class().exit_code())
        }
    }
}

async fn command(arguments: &Arguments) -> Result<Vec<Class>> {
    match &arguments.command {
        Command::Load(load) => run_load(arguments, load).await,
        Command::History(said) => history::run(arguments, said).await,
        Command::Doctor(said) => doctor::run(arguments, said).await,
        Command::Reprocess(said) => reprocess::run(arguments, said).await,
        Command::Verify(said) => verify::run(arguments, said).await,
        Command::Invoke { event } => run_invoke(arguments, event).await,
        Command::Setup { apply } => run_setup(arguments, *apply).await,
    }
}

fn exit_code(classes: &[Class]) -> u8 {
    classes.iter().map(|class| class.exit_code()).max().unwrap_or(0)
}

fn start_logging() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "off,holoload=warn".to_owned());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time();
    // A second start in one process keeps the first subscriber.
    drop(builder.try_init());
}

async fn settings(arguments: &Arguments, aws: &Aws) -> Result<Settings> {
    settings_with(arguments, None, aws).await
}

async fn settings_with(arguments: &Arguments, table: Option<&str>, aws: &Aws) -> Result<Settings> {
    let mut environment = environment(arguments);
    if let Some(table) = table {
        environment.set("HOLOLOAD_TABLE", table);
    }
    context::settings(&environment, Some(aws)).await
}

fn environment(arguments: &Arguments) -> Environment {
    let mut environment = Environment::of_process();
    if let Some(config) = &arguments.config {
        environment.set("HOLOLOAD_CONFIG", config);
    }
    environment
}

async fn run_load(arguments: &Arguments, load: &LoadArguments) -> Result<Vec<Class>> {
    let requests = load.sources.iter().map(|source| request(source, load)).collect::<Result<Vec<_>>>()?;
    let aws = Aws::from_environment().await;
    let settings = settings_to(arguments, load.table.as_deref(), load.mode.map(Into::into), &aws).await?;
    let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let mut reports = Vec::with_capacity(requests.len());
    for request in &requests {
        let report = load_with_progress(&mut context, request).await;
        if !load.json {
            show(&report)?;
        }
        reports.push(report);
    }
    context.discard().await;
    if load.json {
        print(&format!("{:#}", report::answer(&reports, &[])))?;
    }
    Ok(reports.iter().filter_map(Report::class).collect())
}

async fn settings_to(
    arguments: &Arguments,
    table: Option<&str>,
    mode: Option<WriteMode>,
    aws: &Aws,
) -> Result<Settings> {
    let mut settings = settings_with(arguments, table, aws).await?;
    if let Some(table) = table {
        // That is just what was asked for.
        settings.warnings.retain(|warning| !warning.starts_with("HOLOLOAD_TABLE "));
        settings.routes = vec![route_to(table, mode, &settings)];
    }
    Ok(settings)
}

/// `--table` stands for a route of its own; everything else is as the first route says.
fn route_to(table: &str, mode: Option<WriteMode>, settings: &Settings) -> RouteSettings {
    let first = settings.routes.first();
    RouteSettings {
        object: "**".to_owned(),
        table: table.to_owned(),
        parse: first.map_or_else(ParseSettings::default, |route| route.parse.clone()),
        write: match (mode, first) {
            (Some(mode), _) => WriteSettings { mode, ..WriteSettings::default() },
            (None, first) => first.map_or_else(WriteSettings::default, |route| route.write.clone()),
        },
        columns: first.map(|route| route.columns.clone()).unwrap_or_default(),
        drop: first.map(|route| route.drop.clone()).unwrap_or_default(),
        extras: first.and_then(|route| route.extras.clone()),
        missing: first.map(|route| route.missing).unwrap_or_default(),
        drift: first.map(|route| route.drift).unwrap_or_default(),
        bad_rows: first.and_then(|route| route.bad_rows),
    }
}

fn request(source: &str, load: &LoadArguments) -> Result<Request> {
    let mut request = Request::manual(object(source)?);
    request.force = load.force;
    request.dry_run = load.dry_run;
    Ok(request)
}

fn object(source: &str) -> Result<ObjectRef> {
    let object = if source == "-" {
        ObjectRef::stdin(&format!("{:.3}-{}", jiff::Timestamp::now(), std::process::id()).replace(':', ""))
    } else if source.starts_with("s3://") {
        if source.ends_with('/') {
            return Err(
                Error::config(format!("`{source}` is a prefix")).with_hint("name objects: `s3://bucket/key`")
            );
        }
        ObjectRef::parse_s3(source)?
    } else {
        let path = std::path::absolute(source)
            .map_err(|error| Error::config(format!("read the path `{source}`")).with_source(error))?;
        ObjectRef::local(&path.to_string_lossy())
    };
    Ok(object)
}

async fn load_with_progress(context: &mut Context, request: &Request) -> Report {
    let bar = progress::Bar::start(&request.object.to_string());
    let advance = |bytes: u64, rows: u64| bar.advance(bytes, rows);
    let invocation = Invocation { progress: Some(&advance), ..Invocation::default() };
    let report = load(context, request, &invocation).await;
    bar.finish();
    report
}

fn show(report: &Report) -> Result<()> {
    print(&report::human(report))?;
    if let Some(error) = &report.error {
        text::error(error, None);
    }
    Ok(())
}

async fn run_setup(arguments: &Arguments, apply: bool) -> Result<Vec<Class>> {
    let aws = Aws::from_environment().await;
    let settings = settings(arguments, &aws).await?;
    let name = settings.ledger.as_deref().ok_or_else(ledger_is_off)?;
    let ledger = Ledger::new(name)?;
    let tables =
        settings.routes.iter().map(|route| TableName::parse(&route.table)).collect::<Result<Vec<_>>>()?;
    let user = settings.target.as_ref().map_or("loader", |target| target.user.as_str());
    let host = settings.target.as_ref().map_or("", |target| target.host.as_str());
    let mut lines: Vec<String> = ledger::statements(&ledger, Dialect::of_host(host));
    let user = if user.is_empty() { "loader" } else { user };
    lines.extend(ledger::grants(&ledger, &tables, user));
    let deletes = settings.routes.iter().map(|route| {
        let write = &route.write;
        write.mode == WriteMode::Snapshot || write.op.is_some() && write.soft_delete.is_none()
    });
    let cleared = tables.iter().zip(deletes).filter(|(_, deletes)| *deletes);
    lines.extend(cleared.map(|(table, _)| format!("GRANT DELETE ON {} TO {}", table.quoted(), quote(user))));
    print(&lines.iter().map(|line| format!("{line};")).collect::<Vec<_>>().join("\n"))?;
    if apply {
        let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
        context.session().await?;
        context.discard().await;
        text::note("ledger and fence are there; the grants are for the tables' owner to run");
    }
    Ok(Vec::new())
}

async fn with_ledger(arguments: &Arguments) -> Result<(Context, Ledger)> {
    let aws = Aws::from_environment().await;
    let settings = settings(arguments, &aws).await?;
    let context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let ledger = context.ledger.clone().ok_or_else(ledger_is_off)?;
    Ok((context, ledger))
}

fn ledger_is_off() -> Error {
    Error::config("the ledger is off").with_hint("remove `ledger: off` (HOLOLOAD_LEDGER)")
}

async fn run_invoke(arguments: &Arguments, path: &std::path::Path) -> Result<Vec<Class>> {
    let payload = read_event(path)?;
    let aws = Aws::from_environment().await;
    // Settings that cannot work are what it is asked about.
    if let Ok(Event::Doctor(object)) = event::parse(&payload) {
        return doctor::answer(arguments, &aws, object).await;
    }
    let settings = settings(arguments, &aws).await?;
    let mut context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let answer = handle(&mut context, &payload, &Invocation::default()).await;
    context.discard().await;
    match answer {
        Answer::Done { body, classes } => {
            print(&format!("{body:#}"))?;
            Ok(classes)
        }
        Answer::Failed { class, message, classes } => {
            let body = serde_json::json!({"errorType": class.name(), "errorMessage": message});
            print(&format!("{body:#}"))?;
            Ok(classes)
        }
    }
}

fn read_event(path: &std::path::Path) -> Result<Value> {
    let refuse = |source: std::io::Error| {
        Error::config(format!("read the event `{}`", path.display())).with_source(source)
    };
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map_err(refuse)?;
        bytes
    } else {
        std::fs::read(path).map_err(refuse)?
    };
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(Error::config(format!(
            "the event is larger than {EVENT_BYTES_MAX} bytes, more than Lambda takes"
        )));
    }
    // What is not JSON is answered as Lambda's door answers it.
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String("not JSON".to_owned())))
}

/// Writes to stdout; a reader that has seen enough is no error.
fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::config("write to stdout").with_source(error))
        }
        _ => Ok(()),
    }
}
