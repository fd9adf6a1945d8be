//! The statement that writes a batch.

use super::batch::Settlement;
use crate::database::{ArrayType, Tally};
use crate::plan::{Layout, Plan};
use crate::settings::WriteMode;
use crate::table::{Column, Generated, Kind, quote};

/// The text of the statement and how to bind and read it.
pub(super) struct Statement {
    sql: String,
    types: Vec<ArrayType>,
    tally: Tally,
    settlement: Settlement,
}

impl Statement {
    pub(super) fn new(plan: &Plan, layout: &Layout) -> Self {
        let columns: Vec<&Column> =
            layout.slots.iter().filter_map(|slot| plan.table.columns.get(slot.column)).collect();
        let types: Vec<ArrayType> = columns.iter().map(|column| array_type(column.kind)).collect();
        let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        let values: Vec<String> = columns.iter().zip(&types).enumerate().map(value).collect();
        let insert = format!(
            "INSERT INTO {} AS held ({}) SELECT {}",
            plan.table.name.quoted(),
            names.join(", "),
            values.join(", ")
        );
        let changed = changed_columns(plan, layout);
        let mode = plan.route.mode;
        let settlement = match mode {
            WriteMode::Upsert | WriteMode::Replace => Settlement::LastWins,
            WriteMode::Ignore => Settlement::FirstWins,
            WriteMode::Insert => Settlement::None,
        };
        let key = names.get(..layout.key_count).unwrap_or_default().join(", ");
        let (sql, tally) = match mode {
            WriteMode::Insert => (insert, Tally::Inserted),
            WriteMode::Upsert | WriteMode::Replace if !changed.is_empty() => {
                update(&insert, &key, &changed, plan.table.is_partitioned)
            }
            _ => (format!("{insert} ON CONFLICT ({key}) DO NOTHING"), Tally::Inserted),
        };
        Self { sql, types, tally, settlement }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn types(&self) -> &[ArrayType] {
        &self.types
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    pub(super) fn settlement(&self) -> Settlement {
        self.settlement
    }
}

fn value((at, (column, array)): (usize, (&&Column, &ArrayType))) -> String {
    let unnested = format!("unnest(${}::{}[])", at + 1, array.sql);
    if column.kind == Kind::Other { format!("{unnested}::{}", column.cast_type) } else { unnested }
}

/// Columns that an existing row gets anew. `replace` also resets those that the file lacks: for them `excluded`
/// holds the default.
fn changed_columns<'a>(plan: &'a Plan, layout: &Layout) -> Vec<&'a Column> {
    let key = layout.slots.get(..layout.key_count).unwrap_or_default();
    let is_written = |index: usize| layout.slots.iter().any(|slot| slot.column == index);
    let is_changed = |(index, column): &(usize, &Column)| {
        let is_reset = plan.route.mode == WriteMode::Replace && column.generated == Generated::No;
        !key.iter().any(|slot| slot.column == *index) && (is_written(*index) || is_reset)
    };
    plan.table.columns.iter().enumerate().filter(is_changed).map(|(_, column)| column).collect()
}

/// Rows that would not change are left alone, and new rows told from changed ones by their `xmax`, which an
/// insert leaves 0. Rows that come back from a partitioned parent have no system columns.
fn update(insert: &str, key: &str, changed: &[&Column], is_partitioned: bool) -> (String, Tally) {
    let assignments: Vec<String> = changed
        .iter()
        .map(|column| {
            let name = quote(&column.name);
            format!("{name} = excluded.{name}")
        })
        .collect();
    let held: Vec<String> = changed.iter().map(|column| comparable("held", column)).collect();
    let excluded: Vec<String> = changed.iter().map(|column| comparable("excluded", column)).collect();
    let sql = format!(
        "{insert} ON CONFLICT ({key}) DO UPDATE SET {} WHERE ROW({}) IS DISTINCT FROM ROW({})",
        assignments.join(", "),
        held.join(", "),
        excluded.join(", ")
    );
    if is_partitioned {
        return (sql, Tally::Written);
    }
    let counted = format!(
        "WITH written AS ({sql} RETURNING (xmax = 0) AS is_new) \
         SELECT count(*) FILTER (WHERE is_new), count(*) FROM written"
    );
    (counted, Tally::Returned)
}

/// Types without equality, and those whose equal values may read differently, are compared as text.
fn comparable(side: &str, column: &Column) -> String {
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
