//! `holoload preview`: the first rows as they are read.

use std::sync::Arc;

use clap::Args;
use unicode_width::UnicodeWidthStr;

use super::guess::{HintArguments, tell};
use super::load::settings_to;
use super::sample::guess_from;
use super::style::{self, Paint};
use super::table::{Table, cleaned};
use super::{Arguments, MEMORY_MIB, print, sources, text};
use crate::aws::Aws;
use crate::context::Context;
use crate::database::Dialect;
use crate::error::{Class, Error, Result};
use crate::guess::{Guess, Type};
use crate::load::{Mapping, Preview, PreviewRow, preview, preview_of};
use crate::object::body::ObjectBody;
use crate::object::{ObjectRef, ObjectVersion, Request, STDIN_BUCKET};
use crate::plan::{Destination, Limits, Plan, Planner};
use crate::settings::{Environment, Settings, WriteMode};
use crate::table::{Column, Generated, Kind, Table as SqlTable, TableName};

/// Rows that a screen takes.
const ROWS_MAX: usize = 10_000;
/// A table is this wide where there is no terminal to say.
const WIDTH: usize = 100;

#[derive(Args)]
pub(super) struct PreviewArguments {
    /// `s3://bucket/key`, `s3://bucket/prefix/`, a path, a glob in quotes, or `-` for standard input
    #[arg(value_name = "SOURCE")]
    source: String,
    /// So many rows
    #[arg(long, short = 'n', value_name = "N", default_value_t = 15)]
    rows: usize,
    /// Try the types of this table; without one, and without routes, types are guessed
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// A field in each line
    #[arg(long, short = 'G')]
    vertical: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    said: HintArguments,
}

pub(super) async fn run(arguments: &Arguments, said: &PreviewArguments) -> Result<Vec<Class>> {
    let aws = arguments.aws().await;
    let settings = settings_to(arguments, said.table.as_deref(), None, &aws).await?;
    let found = sources::expand(std::slice::from_ref(&said.source), &aws, &|_| false).await?;
    let rows = said.rows.clamp(1, ROWS_MAX);
    let is_live = settings.target.is_some() && !settings.routes.is_empty();
    let (object, previewed) = if is_live {
        let first = found.into_iter().next().ok_or_else(nothing)?;
        let mut context =
            Context::start(&settings, Some(aws.clone()), Limits::for_memory(MEMORY_MIB)).await?;
        let request = Request::manual(first.object);
        let previewed = preview(&mut context, &request, rows).await;
        context.discard().await;
        (request.object, previewed?)
    } else {
        let hints = said.said.hints()?;
        let guessed = guess_from(found, &aws, &hints, said.said.head_bytes()).await?.ok_or_else(nothing)?;
        if guessed.object.bucket == STDIN_BUCKET {
            return Err(Error::config("preview standard input without a table: it cannot be read twice")
                .with_hint("write it into a file first, or name a table with --table"));
        }
        if !said.json {
            tell(&guessed.guess);
        }
        let previewed = by_guess(&guessed.object, &guessed.guess, &aws, rows).await?;
        (guessed.object, previewed)
    };
    for warning in previewed.warnings.iter().filter(|_| !said.json) {
        text::note(&format!("{}: {warning}", style::err(Paint::Warn, "warning")));
    }
    let shown = if said.json {
        let value =
            serde_json::to_value(&previewed).map_err(|source| Error::bug("write JSON").with_source(source));
        let mut value = value?;
        value["source"] = object.address().into();
        format!("{value:#}")
    } else if said.vertical {
        vertical(&previewed)
    } else {
        horizontal(&previewed)
    };
    print(&shown)?;
    Ok(Vec::new())
}

fn nothing() -> Error {
    Error::input("there is nothing to preview")
}

/// The guess as a route and a table, neither of which is anywhere.
async fn by_guess(object: &ObjectRef, guess: &Guess, aws: &Aws, rows: usize) -> Result<Preview> {
    let yaml = guess.yaml("**", Some("guessed"));
    let mut settings = Settings::read(Some(&yaml), &Environment::default())
        .map_err(|error| Error::bug("read the guess").with_source(error))?;
    for route in &mut settings.routes {
        "**".clone_into(&mut route.object);
        route.write.mode = WriteMode::Insert;
    }
    let planner = Planner::new(&settings, Limits::for_memory(MEMORY_MIB))?;
    let Destination::Route(route) = planner.destination(object)? else { return Err(nothing()) };
    let plan = Plan::new(route, Arc::new(table_of(guess)?))?;
    let body = ObjectBody::open(Some(aws), object, &ObjectVersion::default()).await?;
    let mut previewed =
        preview_of(&plan, planner.zone(), planner.limits(), body, Dialect::PostgreSql, rows).await?;
    "a guess".clone_into(&mut previewed.table);
    Ok(previewed)
}

fn table_of(guess: &Guess) -> Result<SqlTable> {
    let column = |guess: &crate::guess::ColumnGuess| Column {
        name: guess.sql_name(),
        sql_type: guess.kind.sql(),
        cast_type: guess.kind.sql(),
        kind: kind(guess.kind),
        is_rounded_by_server: false,
        not_null: false,
        has_default: false,
        generated: Generated::No,
    };
    Ok(SqlTable {
        name: TableName::parse("guessed")?,
        columns: guess.columns.iter().map(column).collect(),
        key: None,
        is_partitioned: false,
        partition_column: None,
        distribution_key: Vec::new(),
    })
}

/// Digits of a second that PostgreSQL keeps.
const DIGITS: u8 = 6;

fn kind(guessed: Type) -> Kind {
    match guessed {
        Type::Bool => Kind::Bool,
        Type::Int => Kind::Int4,
        Type::Bigint => Kind::Int8,
        Type::Numeric { limits } => Kind::Numeric {
            limits: limits.and_then(|(precision, scale)| Some((precision, i16::try_from(scale).ok()?))),
        },
        Type::Real => Kind::Float4,
        Type::Double => Kind::Float8,
        Type::Date => Kind::Date,
        Type::Time => Kind::Time { digits: DIGITS },
        Type::Timestamp => Kind::Timestamp { digits: DIGITS },
        Type::Timestamptz => Kind::Timestamptz { digits: DIGITS },
        Type::Uuid => Kind::Uuid,
        Type::Jsonb => Kind::Jsonb,
        Type::Bytea => Kind::Bytea,
        Type::Text => Kind::Text,
    }
}

/// What heads a field: its name, and the type it is tried as.
fn head(field: &Mapping) -> [String; 2] {
    let name = field.field.clone().unwrap_or_default();
    let is_number = name.chars().all(|letter| letter.is_ascii_digit());
    let shown = match &field.column {
        Some(column) if *column != name && is_number => column.clone(),
        Some(column) if *column != name => format!("{name} -> {column}"),
        Some(_) => name,
        None => format!("{name} ({})", field.note),
    };
    [shown, field.sql_type.clone().unwrap_or_else(|| "-".to_owned())]
}

/// NULL is a word, and the empty text two quotes: neither looks like the other.
fn cell(row: &PreviewRow, at: usize) -> String {
    match row.cells.get(at) {
        None => String::new(),
        Some(None) => "NULL".to_owned(),
        Some(Some(text)) if text.is_empty() => "''".to_owned(),
        Some(Some(text)) if text == "NULL" => "'NULL'".to_owned(),
        Some(Some(text)) => text.clone(),
    }
}

fn complaint(row: &PreviewRow) -> Option<String> {
    let column = row.column.as_ref().map(|column| format!("column `{column}`: ")).unwrap_or_default();
    row.reason.as_ref().map(|reason| format!("^ line {}: {column}{reason}", row.line))
}

fn horizontal(previewed: &Preview) -> String {
    let heads: Vec<[String; 2]> = previewed.fields.iter().map(head).collect();
    let names: Vec<&str> = ["LINE"].into_iter().chain(heads.iter().map(|[name, _]| name.as_str())).collect();
    let numbers: Vec<usize> = previewed
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| is_number(field))
        .map(|(at, _)| at + 1)
        .collect();
    let mut table = Table::new(&names).right(&[0]).right(&numbers);
    table.push(std::iter::once(String::new()).chain(heads.iter().map(|[_, kind]| kind.clone())));
    for row in &previewed.rows {
        let cells = (0..heads.len()).map(|at| cell(row, at));
        table.push(std::iter::once(row.line.to_string()).chain(cells));
        if let Some(line) = complaint(row) {
            table.below(&line);
        }
    }
    let sum = format!("\n{}", sum(previewed));
    table.print(Some(style::width().unwrap_or(WIDTH))) + "\n" + &sum
}

fn is_number(field: &Mapping) -> bool {
    let kind = field.sql_type.as_deref().unwrap_or_default();
    ["smallint", "integer", "bigint", "real", "double", "numeric"].iter().any(|name| kind.starts_with(name))
}

fn vertical(previewed: &Preview) -> String {
    let heads: Vec<[String; 2]> = previewed.fields.iter().map(head).collect();
    let width = heads.iter().map(|[name, _]| name.width()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for row in &previewed.rows {
        lines.push(style::out(Paint::Head, &format!("-- line {}", row.line)));
        for (at, [name, kind]) in heads.iter().enumerate() {
            let fill = " ".repeat(width.saturating_sub(name.width()));
            lines.push(format!("{name}{fill}  {}  ({kind})", cleaned(&cell(row, at))));
        }
        lines.extend(complaint(row).map(|line| style::out(Paint::Bad, &line)));
    }
    lines.push(String::new());
    lines.push(sum(previewed));
    lines.join("\n")
}

fn sum(previewed: &Preview) -> String {
    let bad = previewed.rows.iter().filter(|row| row.reason.is_some()).count();
    let types = format!("types of {}", previewed.table);
    let noun = if previewed.rows.len() == 1 { "row" } else { "rows" };
    match bad {
        0 => format!("{} {noun}, {types}", previewed.rows.len()),
        bad => format!("{} {noun}, {bad} bad, {types}", previewed.rows.len()),
    }
}
