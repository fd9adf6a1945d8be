//! The pages of one column in one row group: cut out of its bytes as they come, unpacked when they are read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::parquet::basic::{CompressionCodec, Encoding, Type as Physical};
use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use bytes::Bytes;

use super::delta;
use super::footer::chunk_range;
use super::page::{HEADER_BYTES_MAX, PageHeader, PageKind};
use super::thrift::Trouble;
use crate::error::{Error, Result};
use crate::inflate::{PageCodec, fits_checksum, unpack_page};

/// What a value of a dictionary takes beside its bytes.
const ENTRY_BYTES: usize = 40;
/// What the length of a value, or its levels and itself, take while a page is read that does not say how long it is.
const LENGTH_BYTES: usize = 16;

/// The bytes that all columns may hold at once, packed and unpacked.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    max: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self { held: AtomicUsize::new(0), max }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    fn take(&self, count: usize) -> bool {
        let held = self.held.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        held <= self.max
    }

    fn give(&self, count: usize) {
        self.held.fetch_sub(count, Ordering::Relaxed);
    }
}

/// A page as it is in the file.
#[derive(Debug)]
struct Packed {
    header: PageHeader,
    bytes: Bytes,
}

/// What has come of a column chunk and was not read yet.
#[derive(Debug)]
pub(super) struct Chunk {
    codec: PageCodec,
    /// The whole of it in the file, and up to where it came.
    range: Range<u64>,
    fetched: u64,
    /// The start of a page of which something is missing, and how much that is, if it is known.
    rest: Bytes,
    missing: u64,
    pages: VecDeque<Packed>,
    /// Values in pages that have not come.
    values_to_come: u64,
    /// Values of the page that is being read.
    left_in_page: u64,
    /// Of the budget: packed bytes, the dictionary, pages that are being read, the last of these.
    packed_held: usize,
    dictionary_held: usize,
    pages_held: usize,
    last_held: usize,
    budget: Arc<Budget>,
    column: Column,
}

/// What the reader of pages must know of the column.
#[derive(Clone, Copy, Debug)]
struct Column {
    physical: Physical,
    length: usize,
    definition_max: i16,
    repetition_max: i16,
}

/// A chunk as both its readers see it: the one that brings bytes, and the one that takes pages.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Chunk>>);

impl Shared {
    pub(super) fn new(metadata: &ColumnChunkMetaData, budget: Arc<Budget>) -> Result<Self> {
        Chunk::new(metadata, budget).map(|chunk| Self(Arc::new(Mutex::new(chunk))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Chunk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Parquet crate's errors are texts.
fn wrong(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// What makes the difference between a file that is too large for the memory and a damaged one.
pub(super) const OVER_BUDGET: &str = "its pages do not fit into the memory that is set aside for them";

fn codec_of(metadata: &ColumnChunkMetaData) -> Result<PageCodec> {
    let name = match metadata.compression_codec() {
        CompressionCodec::UNCOMPRESSED => return Ok(PageCodec::Plain),
        CompressionCodec::SNAPPY => return Ok(PageCodec::Snappy),
        CompressionCodec::GZIP => return Ok(PageCodec::Gzip),
        CompressionCodec::ZSTD => return Ok(PageCodec::Zstd),
        CompressionCodec::LZ4 => return Ok(PageCodec::Lz4Hadoop),
        CompressionCodec::LZ4_RAW => return Ok(PageCodec::Lz4),
        CompressionCodec::BROTLI => "brotli",
        CompressionCodec::LZO => "lzo",
    };
    Err(Error::input(format!(
        "read column `{}` of the Parquet file: it is compressed with {name}",
        metadata.column_path().string()
    ))
    .with_hint("write the file with zstd, snappy, gzip or lz4"))
}

impl Chunk {
    fn new(metadata: &ColumnChunkMetaData, budget: Arc<Budget>) -> Result<Self> {
        let range = chunk_range(metadata).ok_or_else(|| Error::bug("find a column chunk"))?;
        let described = metadata.column_descr();
        let length = match described.physical_type() {
            Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(described.type_length()).unwrap_or(0),
            _ => 0,
        };
        let column = Column {
            physical: described.physical_type(),
            length,
            definition_max: described.max_def_level(),
            repetition_max: described.max_rep_level(),
        };
        Ok(Self {
            codec: codec_of(metadata)?,
            fetched: range.start,
            range,
            rest: Bytes::new(),
            missing: 0,
            pages: VecDeque::new(),
            values_to_come: u64::try_from(metadata.num_values()).unwrap_or(0),
            left_in_page: 0,
            packed_held: 0,
            dictionary_held: 0,
            pages_held: 0,
            last_held: 0,
            budget,
            column,
        })
    }

    fn is_nested(&self) -> bool {
        self.column.repetition_max > 0
    }

    /// The rows that can be read without another page: those of a nested column are known once all of it is there.
    pub(super) fn row_count(&self) -> u64 {
        if self.is_nested() {
            return if self.is_whole() { u64::MAX } else { 0 };
        }
        if self.left_in_page > 0 {
            return self.left_in_page;
        }
        let data = self.pages.iter().find(|page| page.header.kind != PageKind::Dictionary);
        data.map_or(0, |page| u64::from(page.header.value_count))
    }

    fn is_whole(&self) -> bool {
        self.fetched >= self.range.end || self.values_to_come == 0
    }

    /// The bytes to bring next, about `piece` of them; none at the chunk's end.
    pub(super) fn wants(&self, piece: u64) -> Option<Range<u64>> {
        if self.is_whole() {
            return None;
        }
        // Rows of nested columns are known at the end only.
        let length = if self.is_nested() { u64::MAX } else { piece.max(self.missing) };
        Some(self.fetched..self.range.end.min(self.fetched.saturating_add(length)))
    }

    /// Takes the bytes that were wanted.
    pub(super) fn push(&mut self, bytes: Bytes) -> std::result::Result<(), &'static str> {
        self.fetched += bytes.len() as u64;
        self.packed_held += bytes.len();
        let fits = self.budget.take(bytes.len());
        self.rest = if self.rest.is_empty() { bytes } else { [&self.rest[..], &bytes[..]].concat().into() };
        if !fits {
            return Err(OVER_BUDGET);
        }
        self.missing = 0;
        while !self.rest.is_empty() && self.values_to_come > 0 {
            let head = self.rest.get(..HEADER_BYTES_MAX).unwrap_or(&self.rest);
            let header = match PageHeader::read(head) {
                Ok(header) => header,
                Err(Trouble::Short) if head.len() < HEADER_BYTES_MAX && self.fetched < self.range.end => {
                    break;
                }
                Err(_) => return Err("a page has no header"),
            };
            let length = header.header_len.saturating_add(header.packed_len);
            if self.rest.len() < length {
                if self.fetched >= self.range.end {
                    return Err("a page is cut short");
                }
                self.missing = (length - self.rest.len()) as u64;
                break;
            }
            let mut page = self.rest.split_to(length);
            let page = Packed { header, bytes: page.split_off(header.header_len) };
            self.queue(page)?;
        }
        if self.values_to_come == 0 {
            self.rest = Bytes::new();
        }
        Ok(())
    }

    fn queue(&mut self, page: Packed) -> std::result::Result<(), &'static str> {
        let count = page.header.value_count;
        match page.header.kind {
            PageKind::Data | PageKind::DataV2 if count > 0 => {
                let left = self.values_to_come.checked_sub(u64::from(count));
                self.values_to_come = left.ok_or("its pages have more values than the column")?;
                self.pages.push_back(page);
            }
            PageKind::Dictionary => self.pages.push_back(page),
            _ => self.give_packed(page.bytes.len()),
        }
        Ok(())
    }

    fn give_packed(&mut self, count: usize) {
        let count = count.min(self.packed_held);
        self.packed_held -= count;
        self.budget.give(count);
    }

    /// Says that rows of a column that is not nested were read.
    pub(super) fn note_read(&mut self, row_count: u64) {
        self.left_in_page = self.left_in_page.saturating_sub(row_count);
    }

    /// Says that values read so far are done with: pages but the last are not held any more.
    pub(super) fn settle(&mut self) {
        self.budget.give(self.pages_held - self.last_held);
        self.pages_held = self.last_held;
    }

    fn next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
        let Some(page) = self.pages.pop_front() else {
            // The reader is never asked for rows that are not here.
            return if self.is_whole() { Ok(None) } else { Err(wrong("a page is missing")) };
        };
        let header = page.header;
        let needs_lengths = self.is_nested()
            || matches!(header.encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY);
        let beside = match header.kind {
            PageKind::Dictionary => ENTRY_BYTES,
            _ if needs_lengths => LENGTH_BYTES,
            _ => 0,
        };
        let held = (header.value_count as usize).saturating_mul(beside).saturating_add(header.plain_len);
        // More than can be counted is more than there is.
        let held = held.min(usize::MAX / 4);
        let fits = self.budget.take(held);
        if header.kind == PageKind::Dictionary {
            self.dictionary_held += held;
        } else {
            self.pages_held += held;
            self.last_held = held;
            self.left_in_page = u64::from(header.value_count);
        }
        if !fits {
            return Err(wrong(OVER_BUDGET));
        }
        if header.checksum.is_some_and(|checksum| !fits_checksum(&page.bytes, checksum)) {
            return Err(wrong("a page does not fit its checksum"));
        }
        let unpacked = self.unpack(&header, &page.bytes).ok_or_else(|| wrong("a page does not unpack"))?;
        self.give_packed(header.header_len + page.bytes.len());
        self.column.check(&header, &unpacked).map_err(wrong)?;
        Ok(Some(to_page(&header, unpacked)))
    }

    fn unpack(&self, header: &PageHeader, packed: &Bytes) -> Option<Bytes> {
        if header.kind != PageKind::DataV2 {
            return match self.codec {
                PageCodec::Plain => (packed.len() == header.plain_len).then(|| packed.clone()),
                codec => unpack_page(codec, packed, header.plain_len).map(Bytes::from),
            };
        }
        // Levels stand before the values, never compressed.
        let levels_len = (header.definition_len as usize).checked_add(header.repetition_len as usize)?;
        let (levels, values) = packed.split_at_checked(levels_len)?;
        let plain_len = header.plain_len.checked_sub(levels_len)?;
        if !header.is_packed || self.codec == PageCodec::Plain {
            return (values.len() == plain_len).then(|| packed.clone());
        }
        if values.is_empty() {
            return (plain_len == 0).then(|| packed.clone());
        }
        let values = unpack_page(self.codec, values, plain_len)?;
        Some([levels, &values[..]].concat().into())
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.budget.give(self.packed_held + self.dictionary_held + self.pages_held);
    }
}

impl Column {
    /// What the crate takes for granted, and would allocate by or read zeros for.
    fn check(self, header: &PageHeader, plain: &[u8]) -> std::result::Result<(), &'static str> {
        let count = header.value_count as usize;
        if header.kind == PageKind::Dictionary {
            let width = match self.physical {
                Physical::BOOLEAN => return Err("a dictionary of booleans"),
                Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
                Physical::INT64 | Physical::DOUBLE => 8,
                Physical::INT96 => 12,
                Physical::FIXED_LEN_BYTE_ARRAY => self.length.max(1),
            };
            let fits = count.checked_mul(width).is_some_and(|needed| needed <= plain.len());
            return if fits { Ok(()) } else { Err("a dictionary has fewer values than it says") };
        }
        if !matches!(
            header.encoding,
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY | Encoding::DELTA_BINARY_PACKED
        ) {
            return Ok(());
        }
        let values = self.values_of(header, plain).ok_or("a page's levels are cut short")?;
        let lists = if header.encoding == Encoding::DELTA_BYTE_ARRAY { 2 } else { 1 };
        delta::check(values, lists, count).ok_or("a page has other lengths than it says")
    }

    /// What follows the levels.
    fn values_of<'a>(&self, header: &PageHeader, plain: &'a [u8]) -> Option<&'a [u8]> {
        if header.kind == PageKind::DataV2 {
            let levels_len = (header.definition_len as usize).checked_add(header.repetition_len as usize)?;
            return plain.get(levels_len..);
        }
        let mut rest = plain;
        for (max, encoding) in [
            (self.repetition_max, header.repetition_encoding),
            (self.definition_max, header.definition_encoding),
        ] {
            if max <= 0 {
                continue;
            }
            let length = if encoding == Encoding::RLE {
                let (length, after) = rest.split_first_chunk::<4>()?;
                rest = after;
                u32::from_le_bytes(*length) as usize
            } else {
                let bits = (max.unsigned_abs().ilog2() + 1) as usize;
                (header.value_count as usize).checked_mul(bits)?.div_ceil(8)
            };
            rest = rest.get(length..)?;
        }
        Some(rest)
    }
}

fn to_page(header: &PageHeader, buf: Bytes) -> Page {
    let (num_values, encoding) = (header.value_count, header.encoding);
    match header.kind {
        PageKind::Dictionary => Page::DictionaryPage { buf, num_values, encoding, is_sorted: false },
        PageKind::DataV2 => Page::DataPageV2 {
            buf,
            num_values,
            encoding,
            num_nulls: header.null_count,
            num_rows: header.row_count,
            def_levels_byte_len: header.definition_len,
            rep_levels_byte_len: header.repetition_len,
            is_compressed: false,
            statistics: None,
        },
        PageKind::Data | PageKind::Other => Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: header.definition_encoding,
            rep_level_encoding: header.repetition_encoding,
            statistics: None,
        },
    }
}

impl Iterator for Shared {
    type Item = parquet::errors::Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Shared {
    fn get_next_page(&mut self) -> parquet::errors::Result<Option<Page>> {
        self.lock().next_page()
    }

    fn peek_next_page(&mut self) -> parquet::errors::Result<Option<PageMetadata>> {
        let chunk = self.lock();
        Ok(chunk.pages.front().map(|page| {
            let is_dict = page.header.kind == PageKind::Dictionary;
            PageMetadata {
                num_rows: (page.header.kind == PageKind::DataV2).then_some(page.header.row_count as usize),
                num_levels: (!is_dict).then_some(page.header.value_count as usize),
                is_dict,
            }
        }))
    }

    fn skip_next_page(&mut self) -> parquet::errors::Result<()> {
        Err(wrong("pages are read one after the other"))
    }
}
