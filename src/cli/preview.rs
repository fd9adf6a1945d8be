//! `holoload preview`: the first rows as they are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use unicode_width::UnicodeWidthStr;

use super::guess::{HintArguments, settings_of, tell};
use super::load::{Mode, settings_to};
use super::sample::{Guessed, guess_from};
use super::style::{self, Paint};
use super::table::{Table, cleaned};
use super::{Arguments, MEMORY_MIB, print, sources, text};
use crate::aws::Aws;
use crate::context::Context;
use crate::database::Dialect;
use crate::error::{Class, Error, Result, counted};
use crate::guess::Guess;
use crate::load::{Mapping, Preview, PreviewRow, Reading, lenient, preview};
use crate::object::{ObjectRef, Request};
use crate::plan::{Destination, Limits, Plan, Planner, type_of_rules};
use crate::settings::{ColumnSettings, Settings, WriteMode, WriteSettings};
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
    /// Guess types, or take those of the routes, and ask no database
    #[arg(long, conflicts_with = "table")]
    guess: bool,
    /// What happens where a key exists
    #[arg(long, value_enum, requires = "table")]
    mode: Option<Mode>,
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
    let settings = settings_to(arguments, said.table.as_deref(), said.mode.map(Into::into), &aws).await?;
    let found = sources::expand(std::slice::from_ref(&said.source), &aws, &|_| false).await?;
    let rows = said.rows.clamp(1, ROWS_MAX);
    let is_live = !said.guess && settings.target.is_some() && !settings.routes.is_empty();
    let (object, previewed) = if is_live {
        let first = found.into_iter().next().ok_or_else(nothing)?;
        let mut context =
            Context::start(&settings, Some(aws.clone()), Limits::for_memory(MEMORY_MIB)).await?;
        let request = Request::manual(first.object);
        let previewed = preview(&mut context, &request, rows).await;
        context.discard().await;
        (request.object, previewed?)
    } else {
        if said.table.is_some() {
            return Err(Error::config("preview with the types of a table: no database is named")
                .with_hint("set HOLOLOAD_HOST and its like, or leave --table out: types are guessed then"));
        }
        let hints = said.said.hints()?;
        let guessed = guess_from(found, &aws, &hints, said.said.head_bytes()).await?.ok_or_else(nothing)?;
        let object = guessed.object.clone();
        (object, by_guess(guessed, &settings, &aws, rows, said.json).await?)
    };
    if !said.json {
        for warning in &previewed.warnings {
            text::aside(&format!("{}: {warning}", style::err(Paint::Warn, "warning")));
        }
    }
    let shown = if said.json {
        let value = serde_json::to_value(&previewed);
        let mut value = value.map_err(|source| Error::bug("write JSON").with_source(source))?;
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

/// By the route of the settings that takes the object, or by the guess as a route; and a table that is nowhere.
async fn by_guess(
    guessed: Guessed,
    settings: &Settings,
    aws: &Aws,
    rows: usize,
    is_json: bool,
) -> Result<Preview> {
    let Guessed { object, guess, body } = guessed;
    let limits = Limits::for_memory(MEMORY_MIB);
    let mut said = settings.clone();
    for route in &mut said.routes {
        route.write = WriteSettings { mode: WriteMode::Insert, ..WriteSettings::default() };
    }
    let (planner, columns, types_of) = match routed(&said, &object, limits)? {
        Some((planner, at)) => {
            let columns = said.routes.get(at).map(|route| route.columns.clone()).unwrap_or_default();
            (planner, columns, "the settings and a guess")
        }
        None => {
            if !is_json {
                tell(&guess);
            }
            let mut settings = settings_of(&guess)?;
            for route in &mut settings.routes {
                route.write.mode = WriteMode::Insert;
            }
            (Planner::new(&settings, limits)?, BTreeMap::new(), "a guess")
        }
    };
    let Destination::Route(route) = planner.destination(&object)? else { return Err(nothing()) };
    let plan = Plan::new(lenient(&route), Arc::new(table_of(&guess, &columns)?))?;
    let request = Request::manual(object);
    let (zone, dialect) = (planner.zone(), Dialect::PostgreSql);
    let reading = Reading { plan: &plan, zone, limits: planner.limits(), dialect, request: &request };
    let body = match body {
        Some(body) => body,
        None => reading.open(Some(aws)).await?,
    };
    let mut previewed = reading.rows(body, rows).await?;
    types_of.clone_into(&mut previewed.table);
    Ok(previewed)
}
/// The route that takes the object, by itself, and its number.
fn routed(settings: &Settings, object: &ObjectRef, limits: Limits) -> Result<Option<(Planner, usize)>> {
    for (at, route) in settings.routes.iter().enumerate() {
        let alone = Settings { routes: vec![route.clone()], ..settings.clone() };
        let planner = Planner::new(&alone, limits)?;
        if matches!(planner.destination(object), Ok(Destination::Route(_))) {
            return Ok(Some((planner, at)));
        }
    }
    Ok(None)
}

/// A table as the settings say their columns' types and the guess those of the others.
fn table_of(guess: &Guess, said: &BTreeMap<String, ColumnSettings>) -> Result<SqlTable> {
    let is_all_said = !said.is_empty() && said.values().all(|column| column.sql_type.is_some());
    let mut columns: Vec<(String, String)> = Vec::new();
    if !is_all_said {
        columns.extend(guess.columns.iter().map(|column| (column.sql_name(), column.kind.sql())));
    }
    let mut named: Vec<_> = said.iter().collect();
    named.sort_by_key(|(_, column)| column.field);
    for (name, column) in named {
        match columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = type_of_rules(column, known),
            None => columns.push((name.clone(), type_of_rules(column, "text"))),
        }
    }
    let column = |(name, sql_type): (String, String)| Column {
        name,
        cast_type: sql_type.clone(),
        kind: Kind::of_sql(&sql_type),
        sql_type,
        is_rounded_by_server: false,
        not_null: false,
        has_default: false,
        generated: Generated::No,
    };
    Ok(SqlTable {
        name: TableName::parse("guessed")?,
        columns: columns.into_iter().map(column).collect(),
        key: None,
        is_partitioned: false,
        partition_column: None,
        distribution_key: Vec::new(),
    })
}

/// What heads a field: its name, and the type it is tried as.
fn head(field: &Mapping) -> [String; 2] {
    let name = field.field.clone().unwrap_or_default();
    let is_number = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_digit());
    let shown = match &field.column {
        Some(column) if *column != name && is_number => column.clone(),
        Some(column) if name.is_empty() => format!("{column} ({})", field.note),
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
    match &row.reason {
        Some(reason) => Some(format!("^ line {}: {column}{reason}", row.line)),
        None => row.is_delete.then(|| format!("^ line {}: deletes the row of this key", row.line)),
    }
}

fn horizontal(previewed: &Preview) -> String {
    if previewed.fields.is_empty() {
        return sum(previewed);
    }
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
    table.second_head(std::iter::once(String::new()).chain(heads.iter().map(|[_, kind]| kind.clone())));
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
    let rows = counted(previewed.rows.len() as u64, "row");
    match bad {
        0 => format!("{rows}, {types}"),
        bad => format!("{rows}, {bad} bad, {types}"),
    }
}
