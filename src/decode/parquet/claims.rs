//! What a footer says of its own size, before it is believed.
//!
//! The crate calls itself for each group of the schema inside another, makes room for as many members as a group says to
//! have, and reads a field by what it expects there, whatever type the field says. So the schema is read here first, where a
//! field of another type than Parquet's ends it: the crate then reads the same.

use super::footer::damaged;
use super::thrift::{BINARY, BYTE, FALSE, I32, LIST, Reader, STRUCT, TRUE, Trouble};
use crate::error::{Error, Result};

/// Groups inside each other.
const NESTING_MAX: usize = 64;
/// Columns and groups of a schema: as many as a record may have fields.
const SCHEMA_PARTS_MAX: u64 = 1 << 16;
/// What an element of the footer's lists takes at least; fewer bytes hold none, and room is made for as many as a list says.
const GROUP_BYTES_MIN: u64 = 16;
const ELEMENT_BYTES_MIN: u64 = 3;

type Read<T> = std::result::Result<T, Trouble>;

/// Looks at lists and groups of a footer.
///
/// # Errors
/// `Input` for what cannot be, or is too much.
pub(super) fn look_at(bytes: &[u8]) -> Result<()> {
    let mut reader = Reader::new(bytes);
    let unreadable = |_| damaged("it cannot be read");
    let mut last = 0;
    while let Some(field) = reader.field(last).map_err(unreadable)? {
        let is_due = match field.id {
            1 => field.is_one_of(&[I32]),
            2 => last < 2 && field.is_one_of(&[LIST]),
            // What comes before the schema could hide it.
            _ => last >= 2 && field.id > 2,
        };
        if !is_due {
            return Err(damaged("its fields are not in order"));
        }
        last = field.id;
        match field.id {
            2 => look_at_schema(&mut reader)?,
            4 => pass_list(&mut reader, GROUP_BYTES_MIN).map_err(unreadable)?,
            5 | 7 => pass_list(&mut reader, ELEMENT_BYTES_MIN).map_err(unreadable)?,
            _ => reader.skip(field).map_err(unreadable)?,
        }
    }
    if last >= 2 { Ok(()) } else { Err(damaged("it has no schema")) }
}

/// Passes over a list of structs, each of which takes so many bytes at least.
fn pass_list(reader: &mut Reader<'_>, bytes_min: u64) -> Read<()> {
    let (count, kind) = reader.list()?;
    let begin = reader.at();
    for _ in 0..count {
        reader.pass_element(kind)?;
    }
    let length = (reader.at() - begin) as u64;
    let is_told = count == 0 || kind == STRUCT && count.saturating_mul(bytes_min) <= length;
    if is_told { Ok(()) } else { Err(Trouble::Wrong) }
}

/// How deeply the schema's groups are nested, and whether they have as many members as they say.
fn look_at_schema(reader: &mut Reader<'_>) -> Result<()> {
    let unreadable = |_| damaged("its schema cannot be read");
    let (count, kind) = reader.list().map_err(unreadable)?;
    if kind != STRUCT {
        return Err(damaged("its schema cannot be read"));
    }
    if count > SCHEMA_PARTS_MAX {
        return Err(Error::input(format!(
            "read the Parquet file's footer: its schema has {count} columns and groups, more than {SCHEMA_PARTS_MAX}"
        ))
        .with_hint("no table has so many: write the columns that are needed"));
    }
    let mut open: Vec<u32> = Vec::new();
    for at in 0..count {
        let children = child_count(reader).map_err(unreadable)?;
        if u64::from(children) >= count - at {
            return Err(damaged("a group of its schema has fewer members than it says"));
        }
        if let Some(left) = open.last_mut() {
            *left = left.saturating_sub(1);
        }
        if children > 0 {
            open.push(children);
            if open.len() > NESTING_MAX {
                return Err(damaged("its columns are nested too deeply"));
            }
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Ok(())
}

/// Passes over a column or group; answers how many members it has.
fn child_count(reader: &mut Reader<'_>) -> Read<u32> {
    let (mut last, mut children) = (0, 0);
    while let Some(field) = reader.field(last)? {
        last = field.id;
        let is_typed = match field.id {
            1..=3 | 5..=9 => field.is_one_of(&[I32]),
            4 => field.is_one_of(&[BINARY]),
            10 => field.is_one_of(&[STRUCT]),
            _ => true,
        };
        match field.id {
            _ if !is_typed => return Err(Trouble::Wrong),
            5 => children = reader.count()?,
            10 => pass_logical_type(reader)?,
            _ => reader.skip(field)?,
        }
    }
    Ok(children)
}

/// Passes over a logical type: a struct of one struct, whose fields are its parameters.
fn pass_logical_type(reader: &mut Reader<'_>) -> Read<()> {
    let mut last = 0;
    while let Some(field) = reader.field(last)? {
        last = field.id;
        if !field.is_one_of(&[STRUCT]) {
            return Err(Trouble::Wrong);
        }
        let mut inner = 0;
        while let Some(parameter) = reader.field(inner)? {
            inner = parameter.id;
            let kinds: &[u8] = match (field.id, parameter.id) {
                // Scale and precision; the edges of a geography.
                (5, 1 | 2) | (18, 2) => &[I32],
                // Adjusted to UTC, and a unit; signed.
                (7 | 8, 1) | (10, 2) => &[TRUE, FALSE],
                (7 | 8, 2) => &[STRUCT],
                // Bits, a version.
                (10 | 16, 1) => &[BYTE],
                (17 | 18, 1) => &[BINARY],
                _ => &[BYTE, I32, BINARY, TRUE, FALSE, STRUCT],
            };
            if !parameter.is_one_of(kinds) {
                return Err(Trouble::Wrong);
            }
            reader.skip(parameter)?;
        }
    }
    Ok(())
}
