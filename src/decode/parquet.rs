//! Parquet to records: only the columns that are asked for, from pieces of the file that the decoder names.
//!
//! [`Footer::read`] takes the end of the file. A decoder made of it is stepped like every other, but where it needs input
//! it says which bytes ([`ParquetDecoder::wanted`]); they are pushed whole. Promised are:
//!
//! - *Values are text.* Each comes out as the text that the room `row` reads as the same value, so that types, rules and
//!   reasons for refusal are those of every other format. NULL is an empty field without quotes; text, bytes and nested
//!   columns (as JSON) stand in quotes.
//! - *A record's original bytes are a line of JSON* with the columns that were read: what is refused is kept in a form that
//!   can be mended with any editor and loaded again.
//! - *Bounded memory.* Column chunks that fit are read whole; of others pages are cut out as their bytes come, but for nested
//!   columns, whose rows cannot be told before. Packed and unpacked pages count against one budget, by what their headers
//!   say, before room is made for them.
//! - *No panic.* The `parquet` crate does levels, encodings and the footer, and panics on some damaged files; that ends here,
//!   as an error. What it would allocate by is checked before.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use self::chunk::{Budget, Shared};
use self::leaf::Leaf;
use self::schema::Node;
use super::{Position, Record, Step};
use crate::error::{Error, Result};

mod chunk;
mod claims;
mod delta;
mod footer;
mod leaf;
mod line;
mod nested;
mod page;
mod schema;
mod thrift;
mod value;

pub use self::footer::{FOOTER_BYTES_MAX, Footer, MAGIC, SchemaColumn, TAIL_BYTES, Tail};

/// Rows that are decoded at once; enough that the columns' turns do not count.
const BATCH_ROWS: u64 = 1_024;
/// Levels of a nested column that are decoded at once, about.
const BATCH_LEVELS: u64 = 65_536;
/// What is read along if the next wanted bytes are no further away: another request takes as long as this does.
const GAP_BYTES: u64 = 64 * 1024;
/// At least so much of a column is asked for at once.
const PIECE_BYTES_MIN: u64 = 256 * 1024;

/// What is wanted of a file: a column, or `column.member` of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub path: String,
    /// Bytes that the file does not say are text are taken as such: old writers do not say it.
    pub is_text: bool,
}

/// How much memory a decoder may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// One record as a line of JSON.
    pub record_bytes_max: usize,
    /// Pages of all columns, packed and unpacked.
    pub pages_bytes_max: usize,
}

/// Decodes one file.
pub struct ParquetDecoder {
    footer: Footer,
    bounds: Bounds,
    budget: Arc<Budget>,
    fields: Vec<Field>,
    leaves: Vec<Leaf>,
    /// Index of the next row group.
    next_group: usize,
    /// Where the open one begins.
    group_start: u64,
    /// Its rows that are not decoded yet, and those that are but were not handed out.
    group_left: u64,
    batch_left: usize,
    batch_rows_max: u64,
    piece: u64,
    /// Records handed out or passed over.
    record: u64,
    /// Records that an earlier load has done.
    skip: u64,
    line: line::Line,
    asked: Option<Range<u64>>,
}

impl fmt::Debug for ParquetDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.position();
        f.debug_struct("ParquetDecoder")
            .field("position", &position)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

/// One field of the records.
struct Field {
    node: Node,
    /// Its leaves are here among the decoder's.
    first_leaf: usize,
    /// What stands before its value in a line of JSON.
    key: Vec<u8>,
}

impl ParquetDecoder {
    /// A decoder for the records of a file, with these fields.
    ///
    /// # Errors
    /// `Config` for a column that the file does not have.
    pub fn new(footer: Footer, wanted: &[Wanted], bounds: Bounds) -> Result<Self> {
        let mut fields = Vec::with_capacity(wanted.len());
        let mut leaves: Vec<Leaf> = Vec::new();
        let descriptor = footer.metadata.file_metadata().schema_descr_ptr();
        for one in wanted {
            let node = footer.schema.find(&one.path).ok_or_else(|| {
                Error::config(format!("the Parquet file has no column `{}`", one.path)).with_hint(
                    "`name.member` is a member of a struct; lists and maps are read whole, as JSON",
                )
            })?;
            let mut node = node.clone();
            if one.is_text {
                node.read_as_text();
            }
            let mut key = vec![if fields.is_empty() { b'{' } else { b',' }, b'"'];
            value::append_escaped(one.path.as_bytes(), &mut key);
            key.extend_from_slice(b"\":");
            let first_leaf = leaves.len();
            for index in node.leaves.clone() {
                if index >= descriptor.num_columns() {
                    return Err(Error::bug("find a column of the Parquet file"));
                }
                leaves.push(Leaf::new(index, descriptor.column(index)));
            }
            fields.push(Field { node, first_leaf, key });
        }
        Ok(Self {
            budget: Arc::new(Budget::new(bounds.pages_bytes_max)),
            footer,
            bounds,
            fields,
            leaves,
            next_group: 0,
            group_start: 0,
            group_left: 0,
            batch_left: 0,
            batch_rows_max: BATCH_ROWS,
            piece: 0,
            record: 0,
            skip: 0,
            line: line::Line::default(),
            asked: None,
        })
    }

    /// The same for the rest of a file of which `record` records are done with.
    #[must_use]
    pub fn resumed(mut self, record: u64) -> Self {
        while let Some(group) = self.footer.metadata.row_groups().get(self.next_group) {
            let end = self.record.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
            if end > record {
                break;
            }
            self.record = end;
            self.next_group += 1;
        }
        self.skip = record.saturating_sub(self.record);
        self
    }

    /// The record that comes next: its number, from 1, and where its row group begins in the file.
    pub fn position(&self) -> Position {
        Position { line: self.record + self.skip + 1, byte: self.group_start }
    }

    /// Records in the whole file.
    pub fn record_count(&self) -> u64 {
        self.footer.row_count()
    }

    /// Which bytes of the file are due, after [`Step::NeedInput`].
    pub fn wanted(&self) -> Option<Range<u64>> {
        self.asked.clone()
    }

    /// Gives the bytes that were wanted.
    ///
    /// # Errors
    /// `Input` for what is damaged or larger than the memory that is set aside for it.
    pub fn push(&mut self, bytes: &Bytes) -> Result<()> {
        let asked = self.asked.take().ok_or_else(|| Error::bug("take bytes that were not asked for"))?;
        if bytes.len() as u64 != asked.end - asked.start {
            return Err(Error::bug("take other bytes than were asked for"));
        }
        for leaf in &self.leaves {
            let Some(chunk) = &leaf.chunk else { continue };
            let mut chunk = chunk.lock();
            let wants = chunk.wants(self.piece);
            let Some(range) = wants.filter(|range| range.end <= asked.end) else { continue };
            let Some(from) = range.start.checked_sub(asked.start) else { continue };
            let to = range.end - asked.start;
            let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(to)) else { continue };
            // A slice keeps the whole alive, which is wanted for the most part anyway.
            if from <= to && to <= bytes.len() {
                chunk.push(bytes.slice(from..to)).map_err(|what| leaf.damaged(what))?;
            }
        }
        Ok(())
    }

    /// The next record, or what stands in its way.
    ///
    /// # Errors
    /// `Input` for damaged files, for records and pages that are larger than the memory set aside for them. The decoder is
    /// of no use after that.
    pub fn step(&mut self) -> Result<Step<'_>> {
        loop {
            if self.batch_left > 0 {
                if self.skip == 0 {
                    break;
                }
                self.pass_record()?;
                continue;
            }
            if self.group_left == 0 {
                if !self.open_group()? {
                    return Ok(Step::End);
                }
                continue;
            }
            if !self.read_batch()? {
                return Ok(Step::NeedInput);
            }
        }
        self.batch_left -= 1;
        self.record += 1;
        let position = Position { line: self.record, byte: self.group_start };
        self.line.begin(self.fields.len());
        for (at, field) in self.fields.iter().enumerate() {
            let leaves = self
                .leaves
                .get_mut(field.first_leaf..field.first_leaf + field.node.leaves.len())
                .ok_or_else(|| Error::bug("find a field's columns"))?;
            self.line.push_key(&field.key);
            self.line
                .push(at, &field.node, leaves, self.bounds.record_bytes_max)
                .and_then(
                    |()| if is_at_record_end(&field.node, leaves) { Ok(()) } else { Err(Trouble::Levels) },
                )
                .map_err(|trouble| trouble.error(&field.node.name, position, self.bounds.record_bytes_max))?;
        }
        self.line.end(&self.fields, &self.leaves);
        Ok(Step::Record(Record {
            position,
            raw: self.line.raw(),
            data: self.line.data(),
            spans: self.line.spans(),
        }))
    }

    /// Passes over a record that was loaded before.
    fn pass_record(&mut self) -> Result<()> {
        for leaf in &mut self.leaves {
            if leaf.next().is_err() {
                return Err(leaf.damaged("its levels do not fit its rows"));
            }
            while leaf.peek().is_some_and(|(_, repetition)| repetition > 0) {
                if leaf.next().is_err() {
                    return Err(leaf.damaged("its levels do not fit its rows"));
                }
            }
        }
        self.batch_left -= 1;
        self.skip -= 1;
        self.record += 1;
        Ok(())
    }

    /// Goes on with the next row group that has rows; false when there is none.
    fn open_group(&mut self) -> Result<bool> {
        for leaf in &mut self.leaves {
            leaf.close();
        }
        let metadata = Arc::clone(&self.footer.metadata);
        let Some(group) = metadata.row_groups().get(self.next_group) else { return Ok(false) };
        self.next_group += 1;
        self.group_left = u64::try_from(group.num_rows()).unwrap_or(0);
        if self.group_left == 0 {
            return Ok(true);
        }
        let ranges = group.columns().iter().filter_map(footer::chunk_range);
        self.group_start = ranges.map(|range| range.start).min().unwrap_or(self.group_start);
        let (mut whole, mut nested) = (0_u64, 0_u64);
        let mut levels_per_row = 1;
        for leaf in &mut self.leaves {
            let column = group.columns().get(leaf.index).ok_or_else(|| Error::bug("find a column chunk"))?;
            let length = u64::try_from(column.compressed_size()).unwrap_or(0);
            whole = whole.saturating_add(length);
            if leaf.is_nested() {
                nested = nested.saturating_add(length);
                let levels = u64::try_from(column.num_values()).unwrap_or(0) / self.group_left;
                levels_per_row = levels_per_row.max(levels);
            } else if column.num_values() != group.num_rows() {
                return Err(leaf.damaged("it has another number of values than the file has rows"));
            }
            leaf.open(Shared::new(column, Arc::clone(&self.budget))?);
        }
        self.batch_rows_max = (BATCH_LEVELS / levels_per_row).clamp(1, BATCH_ROWS);
        self.divide(whole, nested)?;
        Ok(true)
    }

    /// How much of each column is brought at once: half of the budget is for packed bytes.
    fn divide(&mut self, whole: u64, nested: u64) -> Result<()> {
        let room = self.budget.max() as u64 / 2;
        if whole <= room {
            self.piece = u64::MAX;
            return Ok(());
        }
        let count = self.leaves.iter().filter(|leaf| !leaf.is_nested()).count() as u64;
        let left = room.saturating_sub(nested);
        if nested > room || left / count.max(1) < PIECE_BYTES_MIN / 4 {
            return Err(Error::input(format!(
                "read the Parquet file: its row group {} has {whole} bytes in the columns that are needed, {nested} of them in nested ones; {room} fit into memory",
                self.next_group
            ))
            .with_hint("write smaller row groups, or give more memory: a quarter of it is for the pages of Parquet files"));
        }
        self.piece = (left / count.max(1)).max(PIECE_BYTES_MIN);
        Ok(())
    }

    /// Decodes some rows of every column; false when bytes are needed first.
    fn read_batch(&mut self) -> Result<bool> {
        let mut row_count = self.group_left.min(self.batch_rows_max);
        let mut wants: Vec<Range<u64>> = Vec::new();
        for leaf in &self.leaves {
            let Some(chunk) = &leaf.chunk else { continue };
            let chunk = chunk.lock();
            let ready = chunk.row_count();
            if ready == 0 {
                let Some(range) = chunk.wants(self.piece) else {
                    return Err(leaf.damaged("it has fewer rows than the file says"));
                };
                wants.push(range);
            }
            row_count = row_count.min(ready);
        }
        if !wants.is_empty() {
            self.asked = joined(wants);
            return Ok(false);
        }
        let count = usize::try_from(row_count).map_err(|_| Error::bug("count rows"))?;
        for leaf in &mut self.leaves {
            leaf.read(count)?;
        }
        self.group_left -= row_count;
        self.batch_left = count;
        Ok(true)
    }
}

/// Whether nothing of a record is left in a field's leaves: what was left would be taken for the next one's.
fn is_at_record_end(node: &Node, leaves: &[Leaf]) -> bool {
    matches!(node.shape, schema::Shape::Leaf(_))
        || leaves.iter().all(|leaf| leaf.peek().is_none_or(|(_, repetition)| repetition == 0))
}

/// The first of the ranges, and what lies close enough behind it.
fn joined(mut ranges: Vec<Range<u64>>) -> Option<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut ranges = ranges.into_iter();
    let mut whole = ranges.next()?;
    for range in ranges {
        if range.start > whole.end.saturating_add(GAP_BYTES) {
            break;
        }
        whole.end = whole.end.max(range.end);
    }
    Some(whole)
}

/// What ended a record before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Levels and values of a column contradict each other.
    Levels,
    /// It is longer than a record may be.
    TooLong,
}

impl Trouble {
    fn error(self, column: &str, position: Position, record_bytes_max: usize) -> Error {
        match self {
            Self::Levels => Error::input(format!(
                "read column `{column}` of the Parquet file: its levels do not fit its rows"
            ))
            .with_hint("the file is damaged: write it again"),
            Self::TooLong => Error::input(format!(
                "record {} is longer than {record_bytes_max} bytes in column `{column}`",
                position.line
            ))
            .with_hint("leave the column out (`drop:`), or give more memory: the limit grows with it"),
        }
    }
}
