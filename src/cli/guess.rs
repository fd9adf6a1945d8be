//! `holoload guess`: what a file is, as a configuration or as a table.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::load::settings_to;
use super::output::OutputArguments;
use super::sample::{self, Guessed, guess_from};
use super::style::{self, Paint};
use super::table::Table;
use super::{Arguments, MEMORY_MIB, environment, print, sources, text};
use crate::aws::Aws;
use crate::context::Context;
use crate::database::Dialect;
use crate::error::{Class, Error, Result};
use crate::guess::{DdlDialect, Difference, Format, Guess, Hints, TEXT_BYTES_MAX};
use crate::plan::Limits;
use crate::settings::{Environment, Settings};
use crate::table::TableName;

#[derive(Args)]
pub(super) struct GuessArguments {
    /// `s3://bucket/key`, `s3://bucket/prefix/`, a path, a glob in quotes, or `-` for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    #[command(flatten)]
    output: OutputArguments,
    /// Name of the table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Print the statement that makes the table
    #[arg(long)]
    ddl: bool,
    /// For which database (default: what `HOLOLOAD_HOST` is)
    #[arg(long, value_enum, requires = "ddl")]
    dialect: Option<DialectWord>,
    /// Say what stands between the file and the live table
    #[arg(long, conflicts_with_all = ["ddl", "output"])]
    compare: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "ddl")]
    json: bool,
    #[command(flatten)]
    said: HintArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum DialectWord {
    Hologres,
    Postgres,
}

/// What is known already.
#[derive(Args)]
pub(super) struct HintArguments {
    /// Read so many bytes of the head
    #[arg(long, value_name = "N", default_value_t = sample::HEAD_BYTES)]
    sample_bytes: usize,
    /// The format: csv, tsv, jsonl, json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The charset
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,
    /// What stands between fields; `\t` is a tab
    #[arg(long, value_name = "TEXT")]
    delimiter: Option<String>,
    /// What stands around fields; empty: nothing
    #[arg(long, value_name = "CHAR")]
    quote: Option<String>,
    /// Whether the first record is a header
    #[arg(long, value_name = "true|false")]
    header: Option<bool>,
    /// Lines before the first record
    #[arg(long, value_name = "N")]
    skip_lines: Option<u64>,
    /// What a comment begins with; empty: there are none
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Time zone of times that have none
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Take every column for text
    #[arg(long)]
    all_text: bool,
}

impl HintArguments {
    pub(super) fn head_bytes(&self) -> usize {
        self.sample_bytes.clamp(1, TEXT_BYTES_MAX)
    }

    pub(super) fn hints(&self) -> Result<Hints> {
        let known = ["csv", "tsv", "jsonl", "json", "parquet"];
        let format = match self.format.as_deref() {
            None => None,
            Some(word) => Some(Format::named(word).ok_or_else(|| {
                Error::config(format!("the format `{word}` is not known"))
                    .with_hint(format!("known are {}", known.join(", ")))
            })?),
        };
        let is_tsv = self.format.as_deref() == Some("tsv");
        let tab = || is_tsv.then(|| "\t".to_owned());
        Ok(Hints {
            format,
            charset: self.charset.clone(),
            delimiter: self.delimiter.as_ref().map(|text| text.replace("\\t", "\t")).or_else(tab),
            quote: self.quote.clone(),
            header: self.header,
            skip_lines: self.skip_lines,
            comment: self.comment.clone(),
            timezone: self.timezone.clone(),
            is_all_text: self.all_text,
            ..Hints::default()
        })
    }
}

pub(super) async fn run(arguments: &Arguments, said: &GuessArguments) -> Result<Vec<Class>> {
    let aws = arguments.aws().await;
    let hints = said.said.hints()?;
    let found = sources::expand(&said.sources, &aws, &|_| false).await?;
    let guessed = guess_from(found, &aws, &hints, said.said.head_bytes()).await?;
    let Guessed { object, guess, .. } =
        guessed.ok_or_else(|| Error::input("there is nothing to guess from"))?;
    if said.compare {
        return compare(arguments, said, &aws, &object.address(), &guess).await;
    }
    let table = said.table.clone().unwrap_or_else(|| sample::table_name(&object));
    let whole = if said.ddl {
        guess.ddl(&TableName::parse(&table)?, dialect(arguments, said.dialect))
    } else if said.json {
        let mut value = guess.json();
        value["source"] = Value::from(object.address());
        format!("{value:#}")
    } else {
        if let Some(table) = &said.table {
            TableName::parse(table)?;
        }
        let yaml = guess.yaml(&object.address(), Some(&table));
        match glob(&said.sources) {
            Some(glob) => with_object(&yaml, &glob),
            None => yaml,
        }
    };
    said.output.write(whole.trim_end())?;
    if !said.json {
        tell(&guess);
    }
    Ok(Vec::new())
}

/// What the YAML of a guess says, of any object.
pub(super) fn settings_of(guess: &Guess) -> Result<Settings> {
    let yaml = guess.yaml("**", Some("guessed"));
    let mut settings = Settings::read(Some(&yaml), &Environment::default())
        .map_err(|error| Error::bug("read the guess").with_source(error))?;
    for route in &mut settings.routes {
        // In the YAML it is one object's name, letter by letter.
        "**".clone_into(&mut route.object);
    }
    Ok(settings)
}

/// What the sample could not tell, where people look.
pub(super) fn tell(guess: &Guess) {
    for note in &guess.notes {
        text::aside(&format!("{}: {}", style::err(Paint::Warn, "note"), note.message()));
    }
}

/// What a route has to match so that all the sources are loaded by it, where that is more than one object.
fn glob(words: &[String]) -> Option<String> {
    let [word] = words else { return None };
    let is_glob = word.contains(['*', '?', '[', '{']);
    if word.starts_with("s3://") {
        return if word.ends_with('/') { Some(format!("{word}**")) } else { is_glob.then(|| word.clone()) };
    }
    if word.ends_with('/') || is_glob && !std::path::Path::new(word).exists() {
        let tail = if word.ends_with('/') { "**" } else { "" };
        let head = if word.starts_with('/') { "" } else { "**/" };
        return Some(format!("{head}{}{tail}", word.trim_start_matches("./")));
    }
    None
}

/// The same configuration for the objects of a glob.
fn with_object(yaml: &str, glob: &str) -> String {
    const OBJECT: &str = "  - object: ";
    let line = |line: &str| match line.strip_prefix(OBJECT) {
        Some(_) => format!("{OBJECT}{}", Value::from(glob)),
        None => line.to_owned(),
    };
    yaml.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn dialect(arguments: &Arguments, said: Option<DialectWord>) -> DdlDialect {
    match said {
        Some(DialectWord::Hologres) => DdlDialect::Hologres,
        Some(DialectWord::Postgres) => DdlDialect::Postgres,
        None => {
            let host = environment(arguments).get("HOLOLOAD_HOST").unwrap_or_default().to_owned();
            let is_hologres = Dialect::of_host(&host).is_hologres();
            if is_hologres { DdlDialect::Hologres } else { DdlDialect::Postgres }
        }
    }
}

async fn compare(
    arguments: &Arguments,
    said: &GuessArguments,
    aws: &Aws,
    address: &str,
    guess: &Guess,
) -> Result<Vec<Class>> {
    let settings = settings_to(arguments, said.table.as_deref(), None, aws).await?;
    let named = said.table.clone().or_else(|| settings.routes.first().map(|route| route.table.clone()));
    let name = named.ok_or_else(|| {
        Error::config("no table is named").with_hint("name it with --table or HOLOLOAD_TABLE")
    })?;
    let name = TableName::parse(&name)?;
    let mut context = Context::start(&settings, Some(aws.clone()), Limits::for_memory(MEMORY_MIB)).await?;
    let table = context.bare_session().await?.table(&name).await;
    context.discard().await;
    let table = table?;
    let differences = guess.compare(&table);
    if said.json {
        let listed: Vec<Value> = differences.iter().map(json_of).collect();
        print(&format!(
            "{:#}",
            json!({"source": address, "table": name.to_string(), "differences": listed})
        ))?;
    } else {
        print(&table_of(&differences, address, &name))?;
    }
    let is_fatal = differences.iter().any(|difference| difference.is_fatal);
    Ok(is_fatal.then_some(Class::Input).into_iter().collect())
}

fn json_of(difference: &Difference) -> Value {
    json!({
        "column": difference.column,
        "text": difference.text,
        "fix": difference.fix,
        "is_fatal": difference.is_fatal,
    })
}

fn table_of(differences: &[Difference], address: &str, name: &TableName) -> String {
    if differences.is_empty() {
        return format!("{address} fits {name}");
    }
    let mut table = Table::new(&["", "COLUMN", "WHAT", "FIX"]).status(0);
    for difference in differences {
        table.push([
            if difference.is_fatal { "fail" } else { "warn" }.to_owned(),
            difference.column.clone(),
            difference.text.clone(),
            difference.fix.clone().unwrap_or_default(),
        ]);
    }
    table.print(style::width())
}
