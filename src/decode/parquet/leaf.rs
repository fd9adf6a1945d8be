//! The values of one leaf, some rows at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use ::parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescPtr;

use super::Trouble;
use super::chunk::{OVER_BUDGET, Shared};
use super::value::Value;
use crate::error::{Error, Result};

/// A leaf of a field that is read.
pub(super) struct Leaf {
    /// Its index in the file.
    pub(super) index: usize,
    pub(super) chunk: Option<Shared>,
    descriptor: ColumnDescPtr,
    reader: Option<ColumnReader>,
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    level_count: usize,
    level_at: usize,
    value_at: usize,
}

enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Leaf {
    pub(super) fn new(index: usize, descriptor: ColumnDescPtr) -> Self {
        Self {
            index,
            chunk: None,
            descriptor,
            reader: None,
            values: Values::Bool(Vec::new()),
            definitions: Vec::new(),
            repetitions: Vec::new(),
            level_count: 0,
            level_at: 0,
            value_at: 0,
        }
    }

    pub(super) fn is_nested(&self) -> bool {
        self.descriptor.max_rep_level() > 0
    }

    /// Goes on with another row group.
    pub(super) fn open(&mut self, chunk: Shared) {
        let reader = get_column_reader(Arc::clone(&self.descriptor), Box::new(chunk.clone()));
        self.values = match &reader {
            ColumnReader::BoolColumnReader(_) => Values::Bool(Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Values::Int32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Values::Int64(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Values::Int96(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Values::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Values::Double(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Values::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Values::Fixed(Vec::new()),
        };
        self.chunk = Some(chunk);
        self.reader = Some(reader);
        self.forget();
    }

    /// Ends the row group.
    pub(super) fn close(&mut self) {
        self.forget();
        self.values = Values::Bool(Vec::new());
        self.reader = None;
        self.chunk = None;
    }

    fn forget(&mut self) {
        self.definitions.clear();
        self.repetitions.clear();
        (self.level_count, self.level_at, self.value_at) = (0, 0, 0);
        match &mut self.values {
            Values::Bool(values) => values.clear(),
            Values::Int32(values) => values.clear(),
            Values::Int64(values) => values.clear(),
            Values::Int96(values) => values.clear(),
            Values::Float(values) => values.clear(),
            Values::Double(values) => values.clear(),
            Values::Bytes(values) => values.clear(),
            Values::Fixed(values) => values.clear(),
        }
    }

    /// Reads the next rows; the ones before are done with.
    ///
    /// # Errors
    /// `Input` for pages that are damaged. The crate panics on some of them; the reader is not used after that.
    pub(super) fn read(&mut self, row_count: usize) -> Result<()> {
        self.forget();
        if let Some(chunk) = &self.chunk {
            chunk.lock().settle();
        }
        let read = catch_unwind(AssertUnwindSafe(|| self.read_values(row_count)));
        let read = read.unwrap_or_else(|_| Err(ParquetError::General("its pages are damaged".to_owned())));
        match read {
            Ok((rows, levels)) if rows == row_count => {
                self.level_count = levels;
                if let Some(chunk) = &self.chunk {
                    chunk.lock().note_read(row_count as u64);
                }
                Ok(())
            }
            Ok(_) => Err(self.damaged("it has fewer rows than the file says")),
            Err(ParquetError::General(what)) if what == OVER_BUDGET => Err(self.damaged(OVER_BUDGET)),
            Err(error) => Err(self.damaged("a page cannot be read").with_source(error)),
        }
    }

    fn read_values(&mut self, row_count: usize) -> parquet::errors::Result<(usize, usize)> {
        let Self { reader, values, definitions, repetitions, .. } = self;
        let levels = (definitions, repetitions);
        match (reader.as_mut(), values) {
            (Some(ColumnReader::BoolColumnReader(reader)), Values::Bool(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::Int32ColumnReader(reader)), Values::Int32(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::Int64ColumnReader(reader)), Values::Int64(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::Int96ColumnReader(reader)), Values::Int96(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::FloatColumnReader(reader)), Values::Float(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::DoubleColumnReader(reader)), Values::Double(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::ByteArrayColumnReader(reader)), Values::Bytes(into)) => {
                records(reader, row_count, levels, into)
            }
            (Some(ColumnReader::FixedLenByteArrayColumnReader(reader)), Values::Fixed(into)) => {
                records(reader, row_count, levels, into)
            }
            _ => Err(ParquetError::General("no row group is open".to_owned())),
        }
    }

    /// The error for this column.
    pub(super) fn damaged(&self, what: &str) -> Error {
        let name = self.descriptor.path().string();
        let error = Error::input(format!("read column `{name}` of the Parquet file: {what}"));
        if what == OVER_BUDGET {
            return error.with_hint("give the function more memory, or write smaller row groups or pages");
        }
        error.with_hint("the file is damaged: write it again")
    }

    /// Levels of definition and repetition of what comes next; none at the end of what was read.
    pub(super) fn peek(&self) -> Option<(i16, i16)> {
        if self.level_at >= self.level_count {
            return None;
        }
        let definition = match self.descriptor.max_def_level() {
            0 => 0,
            _ => *self.definitions.get(self.level_at)?,
        };
        let repetition = match self.descriptor.max_rep_level() {
            0 => 0,
            _ => *self.repetitions.get(self.level_at)?,
        };
        Some((definition, repetition))
    }

    /// Passes over what comes next; answers its value, if it has one.
    pub(super) fn next(&mut self) -> std::result::Result<Option<Value<'_>>, Trouble> {
        let (definition, _) = self.peek().ok_or(Trouble::Levels)?;
        self.level_at += 1;
        if definition < self.descriptor.max_def_level() {
            return Ok(None);
        }
        let at = self.value_at;
        self.value_at += 1;
        self.value(at).map(Some).ok_or(Trouble::Levels)
    }

    /// Where the value that was last passed over is kept.
    pub(super) fn last(&self) -> usize {
        self.value_at.saturating_sub(1)
    }

    /// A value that was read.
    pub(super) fn value(&self, at: usize) -> Option<Value<'_>> {
        Some(match &self.values {
            Values::Bool(values) => Value::Bool(*values.get(at)?),
            Values::Int32(values) => Value::Int32(*values.get(at)?),
            Values::Int64(values) => Value::Int64(*values.get(at)?),
            Values::Int96(values) => match values.get(at)?.data() {
                [low, high, day] => {
                    Value::Int96 { nanos: u64::from(*high) << 32 | u64::from(*low), day: *day }
                }
                _ => return None,
            },
            Values::Float(values) => Value::Float(*values.get(at)?),
            Values::Double(values) => Value::Double(*values.get(at)?),
            Values::Bytes(values) => Value::Bytes(values.get(at)?.data()),
            Values::Fixed(values) => Value::Bytes(values.get(at)?.data()),
        })
    }
}

fn records<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    row_count: usize,
    (definitions, repetitions): (&mut Vec<i16>, &mut Vec<i16>),
    values: &mut Vec<T::T>,
) -> parquet::errors::Result<(usize, usize)> {
    let (rows, _, levels) = reader.read_records(row_count, Some(definitions), Some(repetitions), values)?;
    Ok((rows, levels))
}
