//! The statements that write a batch.

use super::batch::Settlement;
use crate::database::{ArrayType, Dialect, Tally};
use crate::plan::{Layout, Plan};
use crate::settings::{WriteMode, WritePath};
use crate::table::{Column, Generated, Kind, quote};

mod delete;

/// Longest query that Hologres takes, in bytes (help, "FAQ about Hologres SQL statements": `query length … exceeded
/// the maximum 102400`).
pub(super) const QUERY_BYTES_MAX: usize = 102_400;
/// Most bound values in one statement (`Short.MAX_VALUE` in holo-client and holo-client-c; PostgreSQL takes twice as many).
const PARAMETERS_MAX: usize = 32_767;
/// Rows in one VALUES list: holo-client's batch.
const VALUES_ROWS_MAX: usize = 512;
/// Rows in one unnest on Hologres, the upper end of what the vendor's clients send.
const HOLOGRES_UNNEST_ROWS_MAX: usize = 4_096;

/// The text of an INSERT and how to bind and read it.
pub(super) struct Statement {
    /// Up to what is inserted.
    head: String,
    source: Source,
    /// From `ON CONFLICT` on.
    tail: String,
    /// Put around the whole where the server is asked what it did.
    is_counted: bool,
    tally: Tally,
}

enum Source {
    /// Whole columns, and what is made of them.
    Arrays { types: Vec<ArrayType>, text: String, rows_max: usize },
    /// Value by value; of each column its type, where it has one of its own, and columns set to their default.
    Values { types: Vec<Option<ArrayType>>, defaults: usize, rows_max: usize },
    /// The same, each row a condition on these columns.
    Keys { types: Vec<Option<ArrayType>>, names: Vec<String>, rows_max: usize },
}

impl Statement {
    pub(super) fn new(plan: &Plan, layout: &Layout, dialect: Dialect, path: WritePath) -> Self {
        match dialect {
            Dialect::PostgreSql => Self::postgresql(plan, layout, path),
            Dialect::Hologres(_) => Self::hologres(plan, layout, path),
        }
    }

    /// PostgreSQL leaves rows alone that would not change, and tells new rows from changed ones.
    fn postgresql(plan: &Plan, layout: &Layout, path: WritePath) -> Self {
        let columns = written(plan, layout);
        let source = Source::new(&columns, path, 0, usize::MAX);
        let mut changed: Vec<&Column> = columns.iter().skip(layout.key_count).copied().collect();
        changed.extend(reset_columns(plan, layout));
        let (tail, tally) = match plan.route.mode {
            WriteMode::Insert => (String::new(), Tally::Inserted),
            WriteMode::Upsert | WriteMode::Replace if !changed.is_empty() => {
                let tally = if plan.table.is_partitioned { Tally::Written } else { Tally::Returned };
                (update_changed(plan, layout, &changed), tally)
            }
            _ => (format!(" ON CONFLICT ({}) DO NOTHING", key(plan, layout)), Tally::Inserted),
        };
        let head = format!("INSERT INTO {} AS held ({})", plan.table.name.quoted(), names(&columns));
        // Rows that come back from a partitioned parent have no system columns.
        Self { head, source, tail, is_counted: tally == Tally::Returned, tally }
    }

    /// On Hologres every part must have the shape of a Fixed Plan: bare parameters, `c = excluded.c`, nothing more.
    pub(super) fn hologres(plan: &Plan, layout: &Layout, path: WritePath) -> Self {
        let mut columns = written(plan, layout);
        let reset: Vec<&Column> = reset_columns(plan, layout).collect();
        columns.extend(&reset);
        let given = &columns[..columns.len() - reset.len()];
        let source = Source::new(given, path, reset.len(), HOLOGRES_UNNEST_ROWS_MAX);
        let changed = &columns[layout.key_count..];
        let tail = match plan.route.mode {
            WriteMode::Insert => String::new(),
            WriteMode::Upsert | WriteMode::Replace if !changed.is_empty() => {
                let newer = newer(plan, layout).map(|newer| format!(" WHERE {newer}")).unwrap_or_default();
                format!(" ON CONFLICT ({}) DO UPDATE SET {}{newer}", key(plan, layout), assignments(changed))
            }
            _ => format!(" ON CONFLICT ({}) DO NOTHING", key(plan, layout)),
        };
        let alias = if layout.newer_slot.is_some() { " AS held" } else { "" };
        let head = format!("INSERT INTO {}{alias} ({})", plan.table.name.quoted(), names(&columns));
        let mut statement = Self { head, source, tail, is_counted: false, tally: Tally::Silent };
        statement.bound_length();
        statement
    }

    /// Fewer rows where the text would be too long.
    fn bound_length(&mut self) {
        let shortest = self.shortest_bytes();
        let (row_bytes, rows_max) = match &mut self.source {
            Source::Arrays { .. } => return,
            // `$32767,` for each value, `DEFAULT,` for the rest, and the brackets.
            Source::Values { types, defaults, rows_max } => (types.len() * 7 + *defaults * 8 + 3, rows_max),
            // ` = $32767 AND ` behind each name, and ` OR ` between the brackets.
            Source::Keys { names, rows_max, .. } => {
                (names.iter().map(|name| name.len() + 14).sum::<usize>() + 6, rows_max)
            }
        };
        let fitting = QUERY_BYTES_MAX.saturating_sub(shortest) / row_bytes.max(1);
        *rows_max = floor_power_of_two((*rows_max).min(fitting.max(1)));
    }

    /// The text for `row_count` rows.
    pub(super) fn text(&self, row_count: usize) -> String {
        let insert = match &self.source {
            Source::Arrays { text, .. } => format!("{}{text}{}", self.head, self.tail),
            Source::Values { types, defaults, .. } => {
                let rows = (0..row_count).map(|row| values_row(row, types.len(), *defaults));
                let rows = rows.collect::<Vec<_>>().join(",");
                format!("{} VALUES {rows}{}", self.head, self.tail)
            }
            Source::Keys { names, .. } => {
                let rows: Vec<String> = (0..row_count).map(|row| delete::key_row(row, names)).collect();
                format!("{}{}{}", self.head, rows.join(" OR "), self.tail)
            }
        };
        if !self.is_counted {
            return insert;
        }
        // An insert leaves xmax 0.
        format!(
            "WITH written AS ({insert} RETURNING (xmax = 0) AS is_new) \
             SELECT count(*) FILTER (WHERE is_new), count(*) FROM written"
        )
    }

    /// Bytes of the text for one row.
    pub(super) fn shortest_bytes(&self) -> usize {
        self.text(1).len()
    }

    /// How many of `left` rows go into the next statement. VALUES lists come in powers of two, so that there are few
    /// different statements to prepare.
    pub(super) fn rows_of(&self, left: usize) -> usize {
        match &self.source {
            Source::Arrays { rows_max, .. } => left.min(*rows_max),
            Source::Values { rows_max, .. } | Source::Keys { rows_max, .. } => {
                floor_power_of_two(left.min(*rows_max))
            }
        }
    }

    /// The types of whole columns, where they are sent so.
    pub(super) fn array_types(&self) -> Option<&[ArrayType]> {
        match &self.source {
            Source::Arrays { types, .. } => Some(types),
            Source::Values { .. } | Source::Keys { .. } => None,
        }
    }

    /// The types of single values.
    pub(super) fn value_types(&self) -> &[Option<ArrayType>] {
        match &self.source {
            Source::Arrays { .. } => &[],
            Source::Values { types, .. } | Source::Keys { types, .. } => types,
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }
}

impl Source {
    fn new(columns: &[&Column], path: WritePath, defaults: usize, unnest_rows_max: usize) -> Self {
        if matches!(path, WritePath::Values | WritePath::SingleRow) {
            let types = columns.iter().map(|column| value_type(column.kind)).collect();
            let rows_max = if path == WritePath::SingleRow { 1 } else { VALUES_ROWS_MAX };
            let rows_max = rows_max.min(PARAMETERS_MAX / columns.len().max(1)).max(1);
            return Self::Values { types, defaults, rows_max: floor_power_of_two(rows_max) };
        }
        let types: Vec<ArrayType> = columns.iter().map(|column| array_type(column.kind)).collect();
        let unnested: Vec<String> = columns.iter().zip(&types).enumerate().map(unnest).collect();
        let text = format!(" SELECT {}", unnested.join(", "));
        Self::Arrays { types, text, rows_max: unnest_rows_max }
    }
}

/// `COPY` for the batches of an object, streamed or as a whole.
pub(super) fn copy(plan: &Plan, layout: &Layout, path: WritePath) -> String {
    let conflict = match plan.route.mode {
        WriteMode::Upsert | WriteMode::Replace | WriteMode::Snapshot => ", ON_CONFLICT update",
        WriteMode::Ignore => ", ON_CONFLICT ignore",
        WriteMode::Insert => "",
    };
    let options = match path {
        WritePath::FixedCopy => "STREAM_MODE TRUE, FORMAT binary",
        _ => "FORMAT csv, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULL ''",
    };
    format!(
        "COPY {} ({}) FROM STDIN WITH ({options}{conflict})",
        plan.table.name.quoted(),
        names(&written(plan, layout))
    )
}

/// How rows of one key inside a batch are settled before they are sent.
pub(super) fn settlement(plan: &Plan, layout: &Layout) -> Settlement {
    match plan.route.mode {
        WriteMode::Upsert | WriteMode::Replace | WriteMode::Snapshot => {
            layout.newer_slot.map_or(Settlement::LastWins, |slot| Settlement::Newest { slot })
        }
        WriteMode::Ignore => Settlement::FirstWins,
        WriteMode::Insert => Settlement::None,
    }
}

/// Columns that `replace` sets to their default: `excluded` holds it for what the file lacks.
pub(super) fn reset_columns<'a>(plan: &'a Plan, layout: &'a Layout) -> impl Iterator<Item = &'a Column> {
    let is_replacing = plan.route.mode == WriteMode::Replace;
    let is_written = |index: usize| layout.slots.iter().any(|slot| slot.column == index);
    let columns = plan.table.columns.iter().enumerate();
    columns
        .filter(move |(index, column)| {
            is_replacing && column.generated == Generated::No && !is_written(*index)
        })
        .map(|(_, column)| column)
}

pub(super) fn written<'a>(plan: &'a Plan, layout: &Layout) -> Vec<&'a Column> {
    layout.slots.iter().filter_map(|slot| plan.table.columns.get(slot.column)).collect()
}

pub(super) fn names(columns: &[&Column]) -> String {
    columns.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ")
}

pub(super) fn key(plan: &Plan, layout: &Layout) -> String {
    let columns = written(plan, layout);
    names(columns.get(..layout.key_count).unwrap_or_default())
}

pub(super) fn assignments(columns: &[&Column]) -> String {
    let assigned = columns.iter().map(|column| {
        let name = quote(&column.name);
        format!("{name} = excluded.{name}")
    });
    assigned.collect::<Vec<_>>().join(", ")
}

fn update_changed(plan: &Plan, layout: &Layout, changed: &[&Column]) -> String {
    let held: Vec<String> = changed.iter().map(|column| comparable("held", column)).collect();
    let excluded: Vec<String> = changed.iter().map(|column| comparable("excluded", column)).collect();
    let newer = newer(plan, layout).map(|newer| format!("{newer} AND ")).unwrap_or_default();
    format!(
        " ON CONFLICT ({}) DO UPDATE SET {} WHERE {newer}ROW({}) IS DISTINCT FROM ROW({})",
        key(plan, layout),
        assignments(changed),
        held.join(", "),
        excluded.join(", ")
    )
}

/// What holds where the row that comes is newer than the one that is there. A Fixed Plan takes such a condition on one
/// column, with `coalesce` (Hologres help, "Accelerate SQL execution with Fixed Plan").
fn newer(plan: &Plan, layout: &Layout) -> Option<String> {
    let slot = layout.slots.get(layout.newer_slot?)?;
    let column = plan.table.columns.get(slot.column)?;
    let name = quote(&column.name);
    if column.not_null {
        return Some(format!("held.{name} < excluded.{name}"));
    }
    // Older than any value that a file can hold; `-infinity` is not confirmed to be known there.
    let least = match column.kind {
        Kind::Int2 => "'-32768'::int2",
        Kind::Int4 => "'-2147483648'::int4",
        Kind::Int8 => "'-9223372036854775808'::int8",
        Kind::Date => "'4713-01-01 BC'::date",
        Kind::Timestamp { .. } => "'4713-01-01 00:00:00 BC'::timestamp",
        _ => "'4713-01-02 00:00:00+00 BC'::timestamptz",
    };
    Some(format!("coalesce(held.{name}, {least}) < excluded.{name}"))
}

/// A cast must name exactly the column's type: with another one Hologres leaves the Fixed Plan, or fails.
fn unnest((at, (column, array)): (usize, (&&Column, &ArrayType))) -> String {
    let unnested = format!("unnest(${}::{}[])", at + 1, array.sql);
    if column.kind == Kind::Other { format!("{unnested}::{}", column.cast_type) } else { unnested }
}

fn values_row(row: usize, width: usize, defaults: usize) -> String {
    let bound = (0..width).map(|column| format!("${}", row * width + column + 1));
    let rest = std::iter::repeat_n("DEFAULT".to_owned(), defaults);
    format!("({})", bound.chain(rest).collect::<Vec<_>>().join(","))
}

fn floor_power_of_two(count: usize) -> usize {
    if count == 0 { 0 } else { 1 << count.ilog2() }
}

/// Types without equality, and those whose equal values may read differently, are compared as text.
pub(super) fn comparable(side: &str, column: &Column) -> String {
    let name = quote(&column.name);
    match column.kind {
        // Equal to the server are -0 and 0, and 1.0 and 1.00 in a jsonb.
        Kind::Float4
        | Kind::Float8
        | Kind::Json
        | Kind::Jsonb
        | Kind::Numeric { limits: None }
        | Kind::Other => format!("{side}.{name}::text COLLATE \"C\""),
        // A column's own collation may hold different texts for equal.
        Kind::Text | Kind::Varchar { .. } | Kind::Char { .. } => format!("{side}.{name} COLLATE \"C\""),
        _ => format!("{side}.{name}"),
    }
}

fn value_type(kind: Kind) -> Option<ArrayType> {
    (kind != Kind::Other).then(|| array_type(kind))
}

fn array_type(kind: Kind) -> ArrayType {
    match kind {
        Kind::Bool => ArrayType::BOOL,
        Kind::Int2 => ArrayType::INT2,
        Kind::Int4 => ArrayType::INT4,
        Kind::Int8 => ArrayType::INT8,
        Kind::Float4 => ArrayType::FLOAT4,
        Kind::Float8 => ArrayType::FLOAT8,
        Kind::Numeric { .. } => ArrayType::NUMERIC,
        Kind::Varchar { .. } => ArrayType::VARCHAR,
        Kind::Char { .. } => ArrayType::BPCHAR,
        Kind::Date => ArrayType::DATE,
        Kind::Time { .. } => ArrayType::TIME,
        Kind::Timestamp { .. } => ArrayType::TIMESTAMP,
        Kind::Timestamptz { .. } => ArrayType::TIMESTAMPTZ,
        Kind::Uuid => ArrayType::UUID,
        Kind::Bytea => ArrayType::BYTEA,
        Kind::Json => ArrayType::JSON,
        Kind::Jsonb => ArrayType::JSONB,
        Kind::Text | Kind::Other => ArrayType::TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_row_by_row() {
        assert_eq!(values_row(0, 2, 0), "($1,$2)");
        assert_eq!(values_row(3, 2, 1), "($7,$8,DEFAULT)");
        assert_eq!([0, 1, 2, 3, 512, 1000].map(floor_power_of_two), [0, 1, 2, 2, 512, 512]);
    }
}
