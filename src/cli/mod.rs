//! The door for people: arguments in, text or JSON out, an exit code that scripts can use.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 an object failed, 2 usage or
//! configuration, 3 access, 4 try again, 70 a bug; of several objects the worst, in the order 70 4 3 2 1 0.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use futures_util::FutureExt;

use crate::aws::Aws;
use crate::context::{self, Context};
use crate::error::{Class, Error, Result};
use crate::ledger::Ledger;
use crate::plan::Limits;
use crate::report::ErrorReport;
use crate::settings::{Environment, Settings};

mod check;
mod completions;
mod doctor;
mod embulk;
mod guess;
mod history;
mod invoke;
mod load;
mod output;
mod preview;
mod progress;
mod reprocess;
mod sample;
mod setup;
mod sources;
mod style;
mod table;
mod text;
mod verify;

/// What a laptop or a cron host spares for one load.
const MEMORY_MIB: u64 = 1024;

/// Whoever has set up `psql` has said which database is meant. What it says of TLS is weaker than what is asked for here.
const OF_PSQL: [(&str, &str); 6] = [
    ("PGHOST", "HOLOLOAD_HOST"),
    ("PGPORT", "HOLOLOAD_PORT"),
    ("PGDATABASE", "HOLOLOAD_DATABASE"),
    ("PGUSER", "HOLOLOAD_USER"),
    ("PGPASSWORD", "HOLOLOAD_PASSWORD"),
    ("PGSSLROOTCERT", "HOLOLOAD_CA"),
];

/// As shells say it of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What `holoload` alone says.
const SHORT_HELP: &str = "\
holoload loads files and S3 objects into Alibaba Cloud Hologres or PostgreSQL

  holoload guess orders.csv --ddl --table orders | psql   make a table that fits the file
  holoload load orders.csv --table orders                 load it: a file, a glob, s3://bucket/key, or -
  holoload doctor s3://bucket/key                         what is missing, and what to do about it

`holoload --help` lists all commands, `holoload COMMAND --help` says what each takes.
";

/// Loads files and S3 objects into Alibaba Cloud Hologres or PostgreSQL.
#[derive(Parser)]
#[command(name = "holoload", version, max_term_width = 80)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration: a YAML file, or its `s3://` address (default: `HOLOLOAD_CONFIG`)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<String>,
    /// Profile of the AWS configuration (default: `AWS_PROFILE`)
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// When output is coloured; `auto`: on a terminal, and as `NO_COLOR`, `CLICOLOR_FORCE` and `TERM` say
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: style::Colour,
    /// No progress, no notes: results and errors alone
    #[arg(long, short, global = true)]
    quiet: bool,
}

impl Arguments {
    async fn aws(&self) -> Aws {
        Aws::of_profile(self.profile.as_deref()).await
    }
}

#[derive(Subcommand)]
enum Command {
    /// Say what a file is: a configuration, or the table that fits it
    #[command(
        after_help = "Examples:\n  holoload guess orders.csv\n  holoload guess s3://bucket/orders/ --ddl --table orders | psql"
    )]
    Guess(guess::GuessArguments),
    /// Show the first rows as they are read
    #[command(after_help = "Example:\n  holoload preview s3://bucket/orders.csv -n 5")]
    Preview(preview::PreviewArguments),
    /// Read everything against the live table and say what a load would come to, write nothing
    #[command(after_help = "Example:\n  holoload check 'data/*.csv' --table public.orders")]
    Check(check::CheckArguments),
    /// Load objects or files now
    #[command(after_help = "Example:\n  holoload load 'data/*.csv' --table public.orders")]
    Load(load::LoadArguments),
    /// Show what was loaded, newest first
    #[command(after_help = "Example:\n  holoload history --status failed --limit 10")]
    History(history::HistoryArguments),
    /// Look whether everything is as a load needs it, and say what to change
    #[command(after_help = "Example:\n  holoload doctor s3://bucket/orders.csv")]
    Doctor(doctor::DoctorArguments),
    /// Load what is missing under a prefix, or failed
    #[command(after_help = "Example:\n  holoload reprocess --missing --prefix s3://bucket/orders/")]
    Reprocess(reprocess::ReprocessArguments),
    /// Compare objects with their table, write nothing
    #[command(after_help = "Example:\n  holoload verify s3://bucket/orders.csv")]
    Verify(verify::VerifyArguments),
    /// Handle one event as Lambda would
    #[command(after_help = "Example:\n  holoload invoke events/s3-put.json")]
    Invoke {
        /// The event, `-` for standard input
        #[arg(value_name = "EVENT.json")]
        event: PathBuf,
    },
    /// Translate an Embulk file into a configuration, and name what has no equivalent
    #[command(after_help = "Example:\n  holoload import-embulk config.yml -o holoload.yaml")]
    ImportEmbulk(embulk::ImportArguments),
    /// Print the statements for the ledger, the fence and the rights a loader needs
    #[command(after_help = "Example:\n  holoload setup | psql")]
    Setup(setup::SetupArguments),
    /// Print the completions of a shell
    #[command(
        after_help = "Examples:\n  source <(holoload completions bash)\n  holoload completions fish > ~/.config/fish/completions/holoload.fish"
    )]
    Completions(completions::CompletionsArguments),
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
    style::decide(arguments.color, arguments.quiet);
    let Some(said) = &arguments.command else {
        text::note(SHORT_HELP.trim_end());
        return ExitCode::from(Class::Config.exit_code());
    };
    start_logging();
    // The text of a panic may quote a value; its place may not.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        text::note(&format!("panicked at {place}"));
    }));
    let work = AssertUnwindSafe(command(&arguments, said)).catch_unwind();
    let outcome = tokio::select! {
        outcome = work => outcome,
        Ok(()) = tokio::signal::ctrl_c() => return interrupted(said),
    };
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

/// Dropping the work has closed its connections: what was not committed is rolled back.
fn interrupted(command: &Command) -> ExitCode {
    let what = match command {
        Command::Load(_) | Command::Reprocess(_) | Command::Invoke { .. } => {
            "interrupted: rows that were not durable are gone; the same command loads what is missing, `holoload history` has \
             what was loaded"
        }
        _ => "interrupted: nothing was written",
    };
    text::note(&format!("{}: {what}", style::err(style::Paint::Bad, "error")));
    ExitCode::from(INTERRUPTED)
}

async fn command(arguments: &Arguments, command: &Command) -> Result<Vec<Class>> {
    match command {
        Command::Guess(said) => guess::run(arguments, said).boxed().await,
        Command::Preview(said) => preview::run(arguments, said).boxed().await,
        Command::Check(said) => check::run(arguments, said).boxed().await,
        Command::Load(said) => load::run(arguments, said).boxed().await,
        Command::History(said) => history::run(arguments, said).await,
        Command::Doctor(said) => doctor::run(arguments, said).await,
        Command::Reprocess(said) => reprocess::run(arguments, said).await,
        Command::Verify(said) => verify::run(arguments, said).await,
        Command::Invoke { event } => invoke::run(arguments, event).await,
        Command::Setup(said) => setup::run(arguments, said).await,
        Command::ImportEmbulk(said) => embulk::run(arguments, said),
        Command::Completions(said) => completions::run(said),
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
        .with_ansi(style::is_err_coloured())
        .with_target(false)
        .without_time();
    // A second start in one process keeps the first subscriber.
    drop(builder.try_init());
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
    if environment.get("HOLOLOAD_CONFIG").is_none() && environment.get("HOLOLOAD_HOST").is_none() {
        for (theirs, ours) in OF_PSQL {
            let value = std::env::var(theirs).ok().filter(|value| !value.is_empty());
            if let Some(value) = value.filter(|_| environment.get(ours).is_none()) {
                environment.set(ours, &value);
            }
        }
    }
    environment
}

async fn with_ledger(arguments: &Arguments) -> Result<(Context, Ledger)> {
    let aws = arguments.aws().await;
    let settings = settings_with(arguments, None, &aws).await?;
    let context = Context::start(&settings, Some(aws), Limits::for_memory(MEMORY_MIB)).await?;
    let ledger = context.ledger.clone().ok_or_else(ledger_is_off)?;
    Ok((context, ledger))
}

fn ledger_is_off() -> Error {
    Error::config("the ledger is off").with_hint("remove `ledger: off` (HOLOLOAD_LEDGER)")
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
