//! Files that carry their own schema: nothing is guessed of them.

use std::ops::Range;

use super::{ColumnGuess, Guess, Type};
use crate::decode::parquet::{Footer, SchemaColumn, Tail};
use crate::error::Result;

pub use crate::decode::parquet::TAIL_BYTES;

/// What the end of a file came to.
#[derive(Debug)]
pub enum SchemaRead {
    /// Its columns, and how many rows it has.
    Guess(Box<Guess>),
    /// The schema begins before: these bytes are needed, to the end of the file.
    Wants(Range<u64>),
}

/// Reads the end of a Parquet file of `size` bytes: [`TAIL_BYTES`], or as many as were wanted.
///
/// # Errors
/// `Input` for what is no Parquet file, or an encrypted one.
pub fn read_schema(size: u64, tail: &[u8]) -> Result<SchemaRead> {
    let footer = match Footer::read(size, tail)? {
        Tail::Wants(range) => return Ok(SchemaRead::Wants(range)),
        Tail::Footer(footer) => footer,
    };
    let columns = footer.columns().into_iter().map(column).collect();
    let mut guess = Guess::of_schema(columns);
    guess.row_count = footer.row_count();
    Ok(SchemaRead::Guess(Box::new(guess)))
}

fn column(column: SchemaColumn) -> ColumnGuess {
    let mut known = ColumnGuess::known(column.name, kind(&column.sql_type), column.is_nullable);
    known.evidence.push(format!("the file says {}", column.sql_type));
    known
}

fn kind(sql_type: &str) -> Type {
    let limits = || {
        let inner = sql_type.strip_prefix("numeric(")?.strip_suffix(')')?;
        let (precision, scale) = inner.split_once(',')?;
        Some((precision.parse().ok()?, scale.parse().ok()?))
    };
    match sql_type {
        "boolean" => Type::Bool,
        "smallint" | "integer" => Type::Int,
        "bigint" => Type::Bigint,
        "real" => Type::Real,
        "double precision" => Type::Double,
        "date" => Type::Date,
        "time" => Type::Time,
        "timestamp" => Type::Timestamp,
        "timestamptz" => Type::Timestamptz,
        "uuid" => Type::Uuid,
        "jsonb" => Type::Jsonb,
        "bytea" => Type::Bytea,
        numeric if numeric.starts_with("numeric") => Type::Numeric { limits: limits() },
        _ => Type::Text,
    }
}
