//! Makes files, and reads them as a load does.

use std::sync::Arc;

use bytes::Bytes;
use holoload::decode::Step;
use holoload::decode::parquet::{Bounds, Footer, ParquetDecoder, TAIL_BYTES, Tail, Wanted};
use holoload::error::Result;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// The values of one leaf in one row group, with its levels.
pub(crate) enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I96(Vec<[u32; 3]>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<Vec<u8>>),
    Fixed(Vec<Vec<u8>>),
}

pub(crate) struct Leaf {
    pub(crate) values: Values,
    pub(crate) definitions: Option<Vec<i16>>,
    pub(crate) repetitions: Option<Vec<i16>>,
}

/// Values without NULLs in a required column.
pub(crate) fn required(values: Values) -> Leaf {
    Leaf { values, definitions: None, repetitions: None }
}

/// Values of an optional column; 0 in `definitions` is a NULL.
pub(crate) fn optional(values: Values, definitions: &[i16]) -> Leaf {
    Leaf { values, definitions: Some(definitions.to_vec()), repetitions: None }
}

pub(crate) fn nested(values: Values, definitions: &[i16], repetitions: &[i16]) -> Leaf {
    Leaf { values, definitions: Some(definitions.to_vec()), repetitions: Some(repetitions.to_vec()) }
}

pub(crate) fn texts(texts: &[&str]) -> Values {
    Values::Bytes(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

/// A file of these row groups.
pub(crate) fn file(schema: &str, properties: WriterProperties, groups: Vec<Vec<Leaf>>) -> Bytes {
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("a writer");
    for group in groups {
        let mut columns = writer.next_row_group().expect("a row group");
        for leaf in group {
            let mut column = columns.next_column().expect("no error").expect("a column");
            let (definitions, repetitions) = (leaf.definitions.as_deref(), leaf.repetitions.as_deref());
            let to_bytes = |values: Vec<Vec<u8>>| values.into_iter().map(ByteArray::from).collect::<Vec<_>>();
            let written = match (column.untyped(), leaf.values) {
                (ColumnWriter::BoolColumnWriter(to), Values::Bool(values)) => {
                    to.write_batch(&values, definitions, repetitions)
                }
                (ColumnWriter::Int32ColumnWriter(to), Values::I32(values)) => {
                    to.write_batch(&values, definitions, repetitions)
                }
                (ColumnWriter::Int64ColumnWriter(to), Values::I64(values)) => {
                    to.write_batch(&values, definitions, repetitions)
                }
                (ColumnWriter::Int96ColumnWriter(to), Values::I96(values)) => {
                    let values: Vec<Int96> =
                        values.into_iter().map(|parts| Int96::from(parts.to_vec())).collect();
                    to.write_batch(&values, definitions, repetitions)
                }
                (ColumnWriter::FloatColumnWriter(to), Values::F32(values)) => {
                    to.write_batch(&values, definitions, repetitions)
                }
                (ColumnWriter::DoubleColumnWriter(to), Values::F64(values)) => {
                    to.write_batch(&values, definitions, repetitions)
                }
                (ColumnWriter::ByteArrayColumnWriter(to), Values::Bytes(values)) => {
                    to.write_batch(&to_bytes(values), definitions, repetitions)
                }
                (ColumnWriter::FixedLenByteArrayColumnWriter(to), Values::Fixed(values)) => {
                    let values: Vec<FixedLenByteArray> =
                        to_bytes(values).into_iter().map(FixedLenByteArray::from).collect();
                    to.write_batch(&values, definitions, repetitions)
                }
                _ => panic!("values of another type than the column's"),
            };
            written.expect("written");
            column.close().expect("closed");
        }
        columns.close().expect("closed");
    }
    writer.into_inner().expect("a file").into()
}

pub(crate) fn plain() -> WriterProperties {
    WriterProperties::builder().build()
}

/// A field as the encoder gets it; no text for NULL.
pub(crate) type Cell = Option<String>;

/// What was read, and how.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) lines: Vec<String>,
    pub(crate) positions: Vec<(u64, u64)>,
    pub(crate) asked: Vec<(u64, u64)>,
}

pub(crate) const BOUNDS: Bounds = Bounds { record_bytes_max: 1 << 20, pages_bytes_max: 64 << 20 };

pub(crate) fn footer(file: &Bytes) -> Result<Footer> {
    let size = file.len() as u64;
    let from = size.saturating_sub(TAIL_BYTES);
    match Footer::read(size, &file[usize::try_from(from).expect("small")..])? {
        Tail::Footer(footer) => Ok(footer),
        Tail::Wants(range) => {
            match Footer::read(size, &file[usize::try_from(range.start).expect("small")..])? {
                Tail::Footer(footer) => Ok(footer),
                Tail::Wants(_) => panic!("the footer is whole"),
            }
        }
    }
}

pub(crate) fn read(file: &Bytes) -> Result<Read> {
    let paths: Vec<String> = footer(file)?.columns().into_iter().map(|column| column.name).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    read_columns(file, &paths, BOUNDS, 0)
}

pub(crate) fn read_columns(file: &Bytes, paths: &[&str], bounds: Bounds, from: u64) -> Result<Read> {
    let wanted: Vec<Wanted> =
        paths.iter().map(|path| Wanted { path: (*path).to_owned(), is_text: false }).collect();
    let decoder = ParquetDecoder::new(footer(file)?, &wanted, bounds)?;
    drain(file, decoder.resumed(from))
}

pub(crate) fn drain(file: &Bytes, mut decoder: ParquetDecoder) -> Result<Read> {
    let mut read = Read::default();
    loop {
        let before = decoder.position();
        match decoder.step()? {
            Step::End => return Ok(read),
            Step::NeedInput => {
                let range = decoder.wanted().expect("something is wanted");
                read.asked.push((range.start, range.end));
                let at = |offset: u64| usize::try_from(offset).expect("small");
                decoder.push(&file.slice(at(range.start)..at(range.end)))?;
            }
            Step::Record(record) => {
                let cells = record.fields().map(|field| {
                    let text = String::from_utf8_lossy(field.bytes).into_owned();
                    (field.is_quoted || !text.is_empty()).then_some(text)
                });
                read.rows.push(cells.collect());
                read.lines.push(String::from_utf8_lossy(record.raw).into_owned());
                read.positions.push((record.position.line, record.position.byte));
                assert_eq!(before.line, record.position.line);
            }
            Step::Malformed { .. } => panic!("nothing is malformed"),
        }
    }
}

/// One column of what was read.
pub(crate) fn column(read: &Read, at: usize) -> Vec<Option<&str>> {
    read.rows.iter().map(|row| row[at].as_deref()).collect()
}
