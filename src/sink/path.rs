//! Which write path a server and a table allow, and why not the others.
//!
//! Versions and limits are those of the Hologres help ("COPY", "Accelerate SQL execution with Fixed Plan", "Best
//! practices for batch write", "INSERT ON CONFLICT") and of what the vendor's clients do (holo-client 2.6,
//! `UnnestUpsertStatementBuilder`, `CopyUtil`). What is refused here would be refused there, slower or not at all.

use std::collections::BTreeMap;

use super::sql;
use crate::database::{Dialect, Version};
use crate::error::{Error, Result};
use crate::plan::{Layout, Plan};
use crate::settings::{WriteMode, WritePath};
use crate::table::{Column, Generated, Kind, TableName};

/// `COPY … STREAM_MODE` exists (holo-client and the Kafka and Spark connectors ask for this version).
const FIXED_COPY_SINCE: Version = Version::new(1, 3, 24);
/// It takes `time` ("Fixed Plan", supported types).
const FIXED_TIME_SINCE: Version = Version::new(2, 2, 0);
/// It takes a partitioned parent (holo-client README).
const FIXED_COPY_PARENT_SINCE: Version = Version::new(3, 1, 0);
/// `unnest` is a Fixed Plan (holo-client, `SUPPORT_VERSION`).
const UNNEST_SINCE: Version = Version::new(1, 1, 38);
/// A Fixed Plan may insert into a partitioned parent ("INSERT").
const INSERT_PARENT_SINCE: Version = Version::new(1, 3, 0);
/// Bulk COPY takes `ON_CONFLICT` ("Best practices for batch write").
const BULK_CONFLICT_SINCE: Version = Version::new(3, 0, 4);
/// And for some of the columns.
const BULK_PARTIAL_SINCE: Version = Version::new(3, 1, 1);

const UNCONDITIONAL: &str = "COPY knows no `newer_by`";

/// Paths that a server refused for a table, and what it said: asked once, not for each object.
#[derive(Default)]
pub struct Refusals {
    known: BTreeMap<(String, Dialect, WritePath), String>,
}

impl Refusals {
    /// Remembers a refusal.
    pub fn note(&mut self, table: &TableName, dialect: Dialect, path: WritePath, why: String) {
        self.known.insert((table.to_string(), dialect, path), why);
    }

    /// Takes a refusal back.
    pub fn forget(&mut self, table: &TableName, dialect: Dialect, path: WritePath) {
        self.known.remove(&(table.to_string(), dialect, path));
    }

    fn of(&self, table: &TableName, dialect: Dialect, path: WritePath) -> Option<&str> {
        self.known.get(&(table.to_string(), dialect, path)).map(String::as_str)
    }
}

/// Chooses the path for a plan.
///
/// # Errors
/// `Config`, with what stands in the way of each path, when none is left, or not the one that was asked for.
pub(super) fn choose(
    plan: &Plan,
    layout: &Layout,
    dialect: Dialect,
    refusals: &Refusals,
) -> Result<WritePath> {
    let mut obstacles = Vec::new();
    for path in candidates(plan, dialect) {
        let obstacle = match dialect {
            Dialect::PostgreSql => of_postgresql(plan, path),
            Dialect::Hologres(version) => on_hologres(plan, layout, version, path),
        };
        let refused = || refusals.of(&plan.target, dialect, path).map(str::to_owned);
        match obstacle.or_else(refused) {
            None => return Ok(path),
            Some(why) => obstacles.push(format!("{} ({why})", path.name())),
        }
    }
    let error = Error::config(format!(
        "no write path of {dialect} fits table `{}`: {}",
        plan.target,
        obstacles.join(", ")
    ));
    Err(error.with_hint(way_out(plan, dialect)))
}

fn way_out(plan: &Plan, dialect: Dialect) -> &'static str {
    if dialect == Dialect::PostgreSql {
        "leave `atomic` and `path` out of `write:`"
    } else if plan.route.path.is_some() {
        "leave `path` out of `write:`, and the fastest path that fits is taken"
    } else if plan.route.atomic == Some(true) {
        "leave `atomic` out: rows then become visible batch by batch, and a load that fails half-way is mended by the next"
    } else if plan.route.mode == WriteMode::Insert {
        "give the table a primary key and load with `mode: upsert`; or `write: {mode: insert, path: unnest}`, where a load that is tried again repeats rows"
    } else {
        "name columns in the file's header that fit, or change the table"
    }
}

/// The paths to try, the best first.
fn candidates(plan: &Plan, dialect: Dialect) -> Vec<WritePath> {
    if let Some(path) = plan.route.path {
        return vec![path];
    }
    let is_atomic = plan.route.atomic == Some(true) || plan.route.mode == WriteMode::Insert;
    match dialect {
        Dialect::PostgreSql => vec![WritePath::Unnest],
        // Rows without conflict rule are repeated by a repeated load, unless all of them appear together or none.
        Dialect::Hologres(_) if is_atomic => vec![WritePath::BulkCopy],
        Dialect::Hologres(_) => {
            vec![WritePath::FixedCopy, WritePath::Unnest, WritePath::Values, WritePath::SingleRow]
        }
    }
}

fn of_postgresql(plan: &Plan, path: WritePath) -> Option<String> {
    match path {
        WritePath::FixedCopy | WritePath::BulkCopy => Some("only Hologres has it".to_owned()),
        _ if plan.route.snapshot.is_some() && plan.route.atomic == Some(false) => {
            Some("on PostgreSQL a snapshot's rows always appear together".to_owned())
        }
        WritePath::Unnest | WritePath::Values | WritePath::SingleRow => None,
    }
}

fn on_hologres(plan: &Plan, layout: &Layout, version: Version, path: WritePath) -> Option<String> {
    let since = |needed: Version| (version < needed).then(|| format!("needs Hologres {needed}"));
    if path != WritePath::BulkCopy && plan.route.atomic == Some(true) {
        return Some("not atomic".to_owned());
    }
    if let Some(why) = deleting(plan, path) {
        return Some(why.to_owned());
    }
    if let Some(name) = unwritten_distribution(plan, layout) {
        return Some(format!("the file lacks `{name}`, part of the distribution key"));
    }
    match path {
        WritePath::FixedCopy => since(FIXED_COPY_SINCE)
            .or_else(|| fixed_copy(plan, layout, version))
            .or_else(|| fixed_plan(plan, layout, |kind| is_fixed(kind, version))),
        WritePath::Unnest => since(UNNEST_SINCE)
            .or_else(|| plan.table.is_partitioned.then(|| since(INSERT_PARENT_SINCE)).flatten())
            .or_else(|| resetting(plan, layout))
            .or_else(|| omitted_default(plan, layout))
            .or_else(|| fixed_plan(plan, layout, is_unnestable))
            .or_else(|| too_long(plan, layout, path)),
        WritePath::Values | WritePath::SingleRow => too_long(plan, layout, path),
        WritePath::BulkCopy => bulk_copy(plan, layout, version),
    }
}

/// Rows that a file marks as deleted.
fn deleting(plan: &Plan, path: WritePath) -> Option<&'static str> {
    plan.route.operation.as_ref().filter(|operation| operation.deletes())?;
    if plan.table.partition_column.is_some() {
        // Help, "DELETE": it cannot target a partitioned parent.
        return Some("rows cannot be deleted through a partitioned parent: `soft_delete` marks them");
    }
    (path == WritePath::BulkCopy).then_some("a copy deletes no rows: `soft_delete` marks them")
}

fn written<'a>(plan: &'a Plan, layout: &'a Layout) -> impl Iterator<Item = &'a Column> {
    layout.slots.iter().filter_map(|slot| plan.table.columns.get(slot.column))
}

fn unwritten_distribution(plan: &Plan, layout: &Layout) -> Option<String> {
    let is_written = |name: &String| written(plan, layout).any(|column| column.name == *name);
    plan.table.distribution_key.iter().find(|name| !is_written(name)).cloned()
}

fn fixed_copy(plan: &Plan, layout: &Layout, version: Version) -> Option<String> {
    if layout.newer_slot.is_some() {
        return Some(UNCONDITIONAL.to_owned());
    }
    if plan.table.key.is_none() || plan.route.mode == WriteMode::Insert {
        return Some("it would repeat rows when it is repeated".to_owned());
    }
    if plan.table.partition_column.is_some() && version < FIXED_COPY_PARENT_SINCE {
        return Some(format!("needs Hologres {FIXED_COPY_PARENT_SINCE} for a partitioned table"));
    }
    // Help, "COPY": data cannot be imported into only one column.
    if layout.slots.len() < 2 {
        return Some("COPY takes two columns or more".to_owned());
    }
    resetting(plan, layout)
}

/// What keeps a table out of Fixed Plans as a whole, or a column.
fn fixed_plan(plan: &Plan, layout: &Layout, is_fit: impl Fn(Kind) -> bool) -> Option<String> {
    if plan.table.has_money() {
        return Some("a table with a money column has no Fixed Plan".to_owned());
    }
    let unfit = written(plan, layout).find(|column| !is_fit(column.kind))?;
    Some(format!("column `{}` is of type `{}`", unfit.name, unfit.sql_type))
}

fn is_fixed(kind: Kind, version: Version) -> bool {
    match kind {
        Kind::Uuid | Kind::Other => false,
        Kind::Time { .. } => version >= FIXED_TIME_SINCE,
        _ => true,
    }
}

/// What holo-client sends as arrays; `time` and the rest it sends value by value.
fn is_unnestable(kind: Kind) -> bool {
    !matches!(kind, Kind::Uuid | Kind::Other | Kind::Time { .. })
}

/// `replace` gives columns that the file lacks their default, which only a VALUES list can say.
fn resetting(plan: &Plan, layout: &Layout) -> Option<String> {
    let column = sql::reset_columns(plan, layout).next()?;
    Some(format!("`replace` resets column `{}`, which the file lacks", column.name))
}

fn omitted_default(plan: &Plan, layout: &Layout) -> Option<String> {
    let is_written = |index: usize| layout.slots.iter().any(|slot| slot.column == index);
    let columns = plan.table.columns.iter().enumerate();
    let mut omitted = columns.filter(|(index, column)| {
        let is_made = column.has_default || column.generated != Generated::No;
        is_made && !is_written(*index)
    });
    let (_, column) = omitted.next()?;
    Some(format!("the file lacks column `{}`, which has a default", column.name))
}

fn too_long(plan: &Plan, layout: &Layout, path: WritePath) -> Option<String> {
    let length = sql::Statement::hologres(plan, layout, path).shortest_bytes();
    (length > sql::QUERY_BYTES_MAX)
        .then(|| format!("its statement would be {length} bytes long, more than {}", sql::QUERY_BYTES_MAX))
}

fn bulk_copy(plan: &Plan, layout: &Layout, version: Version) -> Option<String> {
    if layout.newer_slot.is_some() {
        return Some(UNCONDITIONAL.to_owned());
    }
    if plan.route.atomic == Some(false) && plan.route.path.is_none() {
        return Some("it is atomic".to_owned());
    }
    if plan.table.partition_column.is_some() {
        return Some("not into a partitioned table".to_owned());
    }
    if layout.slots.len() < 2 {
        return Some("COPY takes two columns or more".to_owned());
    }
    if plan.route.mode == WriteMode::Insert {
        return None;
    }
    let writable = plan.table.columns.iter().filter(|column| column.generated.is_writable()).count();
    let needed = if layout.slots.len() < writable { BULK_PARTIAL_SINCE } else { BULK_CONFLICT_SINCE };
    if version < needed {
        return Some(format!("needs Hologres {needed}"));
    }
    resetting(plan, layout)
}

/// The INSERT that finds the bad rows of a copy.
pub(super) fn insert_beside(plan: &Plan, layout: &Layout, dialect: Dialect) -> WritePath {
    let is_unnestable = match dialect {
        Dialect::PostgreSql => true,
        Dialect::Hologres(version) => on_hologres(plan, layout, version, WritePath::Unnest).is_none(),
    };
    if is_unnestable { WritePath::Unnest } else { WritePath::Values }
}
