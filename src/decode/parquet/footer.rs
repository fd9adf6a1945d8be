//! The end of a file: what columns it has, and where their bytes are.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use super::claims;
use super::schema::{Node, Schema};
use crate::error::{Error, Result};

/// Read first from the end of a file; most footers are shorter.
pub const TAIL_BYTES: u64 = 64 * 1024;
/// The longest footer that is read: thousands of columns in thousands of row groups. Parsed it takes a few times as much, and
/// 21 times as much where a hostile one says as little of each column as it can.
pub const FOOTER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The length of the footer, and the magic.
const END_BYTES: u64 = 8;
/// What a Parquet file begins and ends with.
pub const MAGIC: &[u8; 4] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";

/// What the last bytes of a file came to.
#[derive(Debug)]
pub enum Tail {
    /// All of the footer.
    Footer(Footer),
    /// The footer begins before them: its bytes up to the end of the file are needed.
    Wants(Range<u64>),
}

/// Columns and row groups of one file.
#[derive(Clone, Debug)]
pub struct Footer {
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) schema: Arc<Schema>,
    pub(super) size: u64,
}

/// One column of the file, as a table would have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaColumn {
    /// Its name.
    pub name: String,
    /// The type that holds each of its values.
    pub sql_type: String,
    /// Whether there may be NULLs.
    pub is_nullable: bool,
}

impl Footer {
    /// Reads the last bytes of a file of `size` bytes: [`TAIL_BYTES`], all of a shorter file, or as many as were wanted.
    ///
    /// # Errors
    /// `Input` for what is no Parquet file, or an encrypted one.
    pub fn read(size: u64, tail: &[u8]) -> Result<Tail> {
        Self::read_within(size, tail, FOOTER_BYTES_MAX)
    }

    /// The same where memory is short: footers of more than `bytes_max` bytes are refused.
    ///
    /// # Errors
    /// As above.
    pub fn read_within(size: u64, tail: &[u8], bytes_max: u64) -> Result<Tail> {
        let Some((before, end)) = tail.split_last_chunk::<8>() else { return Err(no_parquet()) };
        let [l0, l1, l2, l3, magic @ ..] = *end;
        if magic == *MAGIC_ENCRYPTED {
            return Err(Error::input("read the Parquet file's footer: it is encrypted").with_hint(
                "write the file without Parquet's own encryption; S3 can encrypt it instead (SSE-KMS)",
            ));
        }
        if magic != *MAGIC {
            return Err(no_parquet());
        }
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let bytes_max = bytes_max.min(FOOTER_BYTES_MAX);
        if length > bytes_max {
            let hint = if bytes_max < FOOTER_BYTES_MAX {
                "write larger row groups, or give more memory: the limit grows with it up to 16 MiB"
            } else {
                "write larger row groups: there are too many of them"
            };
            return Err(Error::input(format!(
                "read the Parquet file's footer: it has {length} bytes, more than {bytes_max}"
            ))
            .with_hint(hint));
        }
        let Some(start) = size.checked_sub(END_BYTES + length).filter(|start| *start >= 4) else {
            return Err(damaged("its length is more than the file's"));
        };
        let from = usize::try_from(length).ok().and_then(|length| before.len().checked_sub(length));
        let Some(bytes) = from.and_then(|from| before.get(from..)) else {
            return Ok(Tail::Wants(start..size));
        };
        Self::parse(size, bytes).map(Tail::Footer)
    }

    fn parse(size: u64, bytes: &[u8]) -> Result<Self> {
        claims::look_at(bytes)?;
        let parsed = catch_unwind(|| ParquetMetaDataReader::decode_metadata(bytes));
        let metadata = match parsed {
            Ok(Ok(metadata)) => metadata,
            Ok(Err(error)) => return Err(damaged("it cannot be read").with_source(error)),
            Err(_) => return Err(damaged("it cannot be read")),
        };
        let built = catch_unwind(AssertUnwindSafe(|| Schema::of(metadata.file_metadata().schema())));
        let schema = built.map_err(|_| damaged("its schema contradicts itself"))??;
        let footer = Self { metadata: Arc::new(metadata), schema: Arc::new(schema), size };
        footer.check()?;
        Ok(footer)
    }

    /// Whether every column chunk is inside the file.
    fn check(&self) -> Result<()> {
        for group in self.metadata.row_groups() {
            if group.num_columns() != self.schema.leaf_count || group.num_rows() < 0 {
                return Err(damaged("a row group has other columns than the schema"));
            }
            for chunk in group.columns() {
                let range = chunk_range(chunk).ok_or_else(|| damaged("a column has no place in the file"))?;
                if range.end > self.size || chunk.num_values() < 0 {
                    return Err(damaged("a column lies outside of the file"));
                }
                if chunk.file_path().is_some() {
                    return Err(Error::input("read the Parquet file: its columns are in other files")
                        .with_hint("give the data files themselves, not their `_metadata`"));
                }
            }
        }
        Ok(())
    }

    /// The top-level columns.
    pub fn columns(&self) -> Vec<SchemaColumn> {
        self.schema.columns.iter().map(Node::column).collect()
    }

    /// A column by its name, or a member of a struct by `name.member`.
    pub fn column(&self, path: &str) -> Option<SchemaColumn> {
        self.schema.find(path).map(|node| SchemaColumn { name: path.to_owned(), ..node.column() })
    }

    /// Rows in the file.
    pub fn row_count(&self) -> u64 {
        let counts =
            self.metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        counts.fold(0, u64::saturating_add)
    }

    /// Row groups in the file.
    pub fn group_count(&self) -> usize {
        self.metadata.num_row_groups()
    }
}

/// Where a column chunk's pages are.
pub(super) fn chunk_range(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    // Some writers say 0 for no dictionary.
    let dictionary = chunk.dictionary_page_offset().filter(|offset| *offset > 0);
    let first = dictionary.map_or(chunk.data_page_offset(), |offset| offset.min(chunk.data_page_offset()));
    let start = u64::try_from(first).ok()?;
    let length = u64::try_from(chunk.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}

fn no_parquet() -> Error {
    Error::input("read the Parquet file's footer: the object does not end as a Parquet file does")
        .with_hint("it was cut short, or it is no Parquet file: `parse: {format: …}` says what it is")
}

pub(super) fn damaged(what: &str) -> Error {
    Error::input(format!("read the Parquet file's footer: {what}"))
        .with_hint("the file is damaged: write it again")
}
