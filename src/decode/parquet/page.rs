//! The header that stands before each page: sizes, counts and encodings.

use ::parquet::basic::Encoding;

use super::thrift::{Reader, Trouble};

/// Headers can hold the page's smallest and largest value, whole.
pub(super) const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageKind {
    Data,
    DataV2,
    Dictionary,
    /// Of no use to a reader of all rows.
    Other,
}

/// What is said of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageHeader {
    pub(super) kind: PageKind,
    /// Bytes of the header itself.
    pub(super) header_len: usize,
    /// Bytes that follow it.
    pub(super) packed_len: usize,
    /// Bytes they unpack to.
    pub(super) plain_len: usize,
    pub(super) checksum: Option<u32>,
    pub(super) value_count: u32,
    pub(super) encoding: Encoding,
    pub(super) definition_encoding: Encoding,
    pub(super) repetition_encoding: Encoding,
    pub(super) null_count: u32,
    pub(super) row_count: u32,
    pub(super) definition_len: u32,
    pub(super) repetition_len: u32,
    pub(super) is_packed: bool,
}

impl PageHeader {
    /// Reads the header at the start of `bytes`; `Short` if it has not all come.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Trouble> {
        let mut reader = Reader::new(bytes);
        let mut header = Self {
            kind: PageKind::Other,
            header_len: 0,
            packed_len: 0,
            plain_len: 0,
            checksum: None,
            value_count: 0,
            encoding: Encoding::PLAIN,
            definition_encoding: Encoding::RLE,
            repetition_encoding: Encoding::RLE,
            null_count: 0,
            row_count: 0,
            definition_len: 0,
            repetition_len: 0,
            is_packed: true,
        };
        let mut seen = [false; 3];
        let mut last = 0;
        while let Some(field) = reader.field(last)? {
            last = field.id;
            match field.id {
                1 => {
                    seen[0] = true;
                    header.kind = match reader.count()? {
                        0 => PageKind::Data,
                        2 => PageKind::Dictionary,
                        3 => PageKind::DataV2,
                        _ => PageKind::Other,
                    };
                }
                2 => {
                    seen[1] = true;
                    header.plain_len = reader.count()? as usize;
                }
                3 => {
                    seen[2] = true;
                    header.packed_len = reader.count()? as usize;
                }
                4 => header.checksum = i32::try_from(reader.integer()?).ok().map(i32::cast_unsigned),
                5 => header.read_data(&mut reader)?,
                7 => header.read_dictionary(&mut reader)?,
                8 => header.read_data_v2(&mut reader)?,
                _ => reader.skip(field)?,
            }
        }
        if seen != [true; 3] {
            return Err(Trouble::Wrong);
        }
        header.header_len = reader.at();
        Ok(header)
    }

    fn read_data(&mut self, reader: &mut Reader<'_>) -> Result<(), Trouble> {
        let mut last = 0;
        while let Some(field) = reader.field(last)? {
            last = field.id;
            match field.id {
                1 => self.value_count = reader.count()?,
                2 => self.encoding = encoding(reader)?,
                3 => self.definition_encoding = encoding(reader)?,
                4 => self.repetition_encoding = encoding(reader)?,
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }

    fn read_dictionary(&mut self, reader: &mut Reader<'_>) -> Result<(), Trouble> {
        let mut last = 0;
        while let Some(field) = reader.field(last)? {
            last = field.id;
            match field.id {
                1 => self.value_count = reader.count()?,
                2 => self.encoding = encoding(reader)?,
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }

    fn read_data_v2(&mut self, reader: &mut Reader<'_>) -> Result<(), Trouble> {
        let mut last = 0;
        while let Some(field) = reader.field(last)? {
            last = field.id;
            match field.id {
                1 => self.value_count = reader.count()?,
                2 => self.null_count = reader.count()?,
                3 => self.row_count = reader.count()?,
                4 => self.encoding = encoding(reader)?,
                5 => self.definition_len = reader.count()?,
                6 => self.repetition_len = reader.count()?,
                7 => self.is_packed = field.is_true(),
                _ => reader.skip(field)?,
            }
        }
        Ok(())
    }
}

fn encoding(reader: &mut Reader<'_>) -> Result<Encoding, Trouble> {
    Ok(match reader.count()? {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        #[expect(deprecated, reason = "old files have levels in it")]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(Trouble::Wrong),
    })
}
