//! Bytes to records, one file per format.
//!
//! A decoder is pushed chunks and pulled records. It knows no clock and no network, and what it answers does
//! not depend on where the chunks were cut. It repairs nothing: a record that is not well formed comes out as
//! [`Step::Malformed`], with its bytes.

mod buffer;
pub mod csv;
mod format;
pub mod json;
#[cfg(feature = "parquet")]
pub mod parquet;

pub(crate) use buffer::BYTE_ORDER_MARK;
pub use format::{Format, HEAD_BYTES, JSON_REJECTS};

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Position {
    /// Physical line of the first byte, from 1.
    pub line: u64,
    /// Offset of the first byte in the (decompressed) object, from 0; a byte-order mark counts.
    pub byte: u64,
}

/// Where one field's bytes are in the record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Whether the field stood in quotes.
    pub is_quoted: bool,
}

/// One record: fields as text, borrowed from the decoder until the next step.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it begins.
    pub position: Position,
    /// Its original bytes with the line terminator that ended it.
    pub raw: &'a [u8],
    /// What the spans point into.
    pub data: &'a [u8],
    /// One for each field; never empty.
    pub spans: &'a [Span],
}

/// One field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its bytes, quotes and escapes removed.
    pub bytes: &'a [u8],
    /// Whether it stood in quotes.
    pub is_quoted: bool,
}

impl<'a> Record<'a> {
    /// Number of fields.
    pub fn field_count(&self) -> usize {
        self.spans.len()
    }

    /// The field at `index`, if the record has so many.
    pub fn field(&self, index: usize) -> Option<Field<'a>> {
        let span = self.spans.get(index)?;
        let bytes = self.data.get(span.start as usize..span.end as usize)?;
        Some(Field { bytes, is_quoted: span.is_quoted })
    }

    /// All fields in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + '_ {
        (0..self.spans.len()).filter_map(|index| self.field(index))
    }
}

/// Why a record is not well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformation {
    /// The object ends inside a quoted field.
    UnterminatedQuote,
    /// Something other than a delimiter or the end of the record follows a closing quote.
    TextAfterQuote,
    /// The record has more fields than any table could take.
    TooManyFields,
    /// The grammar of JSON does not have it.
    NotJson,
    /// A string holds a control character that is not escaped.
    ControlCharacter,
    /// Half of a surrogate pair is escaped without the other.
    LoneSurrogate,
    /// Objects and arrays are nested deeper than any column could take.
    JsonDepth,
    /// It is JSON, but not an object.
    NotAnObject,
    /// One name stands twice in an object.
    DuplicateName,
    /// A path leads into a value that is neither an object nor an array.
    NoWayThrough,
    /// A name (at this place in the record's bytes, escapes included) that no column is known for.
    UnknownName(Span),
    /// The same for the name of a column that the first records did not have.
    LateName(Span),
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A quoted field is longer than the dialect allows.
    FieldTooLong,
}

impl Malformation {
    /// Whether the end of what is malformed is known for sure all the same.
    pub fn is_bounded(self) -> bool {
        !matches!(self, Self::NotJson | Self::ControlCharacter | Self::JsonDepth | Self::UnterminatedQuote)
    }

    /// Whether only JSON can be malformed so.
    pub fn is_of_json(self) -> bool {
        !matches!(
            self,
            Self::UnterminatedQuote | Self::TextAfterQuote | Self::TooManyFields | Self::FieldTooLong
        )
    }

    /// The reason as it stands in the errors file.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnterminatedQuote => "a quoted field is never closed",
            Self::TextAfterQuote => "text after a closing quote",
            Self::TooManyFields => "too many fields",
            Self::NotJson => "not well-formed JSON",
            Self::ControlCharacter => "a control character in a JSON string",
            Self::LoneSurrogate => "half of a surrogate pair in a JSON string",
            Self::JsonDepth => "JSON nested deeper than 128 levels",
            Self::NotAnObject => "not a JSON object",
            Self::DuplicateName => "a name that stands twice in a JSON object",
            Self::NoWayThrough => "a path leads into a value that is neither an object nor an array",
            Self::UnknownName(_) => "a name that the table has no column for",
            Self::LateName(_) => {
                "a column that the first records do not have: name it under `columns:` to have it loaded"
            }
            Self::NotUtf8 => "not UTF-8",
            Self::FieldTooLong => "a quoted field is longer than `field_bytes_max`",
        }
    }
}

/// What a decoder has to say next.
#[derive(Debug)]
pub enum Step<'a> {
    /// A record.
    Record(Record<'a>),
    /// Bytes that form no record; `field` counts from 0.
    Malformed {
        /// Where they begin.
        position: Position,
        /// The bytes, terminator included.
        raw: &'a [u8],
        /// What is wrong.
        malformation: Malformation,
        /// The field in which it is.
        field: usize,
    },
    /// Push the next chunk, or finish.
    NeedInput,
    /// Nothing more will come.
    End,
}

/// A decoder of whatever text an object holds.
#[derive(Debug)]
pub enum Decoder {
    /// Delimited text.
    Csv(Box<csv::CsvDecoder>),
    /// JSON.
    Json(Box<json::JsonDecoder>),
    /// Columns, which say what bytes they need.
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::ParquetDecoder>),
}

impl Decoder {
    /// Gives the next chunk, after [`Step::NeedInput`]; or the bytes that are wanted, where the decoder says which.
    ///
    /// # Errors
    /// `Input` for columns that are damaged.
    pub fn push(&mut self, chunk: bytes::Bytes) -> crate::error::Result<()> {
        match self {
            Self::Csv(decoder) => decoder.push(chunk),
            Self::Json(decoder) => decoder.push(chunk),
            #[cfg(feature = "parquet")]
            Self::Parquet(decoder) => return decoder.push(&chunk),
        }
        Ok(())
    }

    /// Says that no chunk will follow.
    pub fn finish(&mut self) {
        match self {
            Self::Csv(decoder) => decoder.finish(),
            Self::Json(decoder) => decoder.finish(),
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => {}
        }
    }

    /// The next record, or what stands in its way.
    ///
    /// # Errors
    /// `Input`, once decoding cannot go on.
    pub fn step(&mut self) -> crate::error::Result<Step<'_>> {
        match self {
            Self::Csv(decoder) => decoder.step(),
            Self::Json(decoder) => decoder.step(),
            #[cfg(feature = "parquet")]
            Self::Parquet(decoder) => decoder.step(),
        }
    }

    /// Where the next record begins, or the last one ended.
    pub fn position(&self) -> Position {
        match self {
            Self::Csv(decoder) => decoder.position(),
            Self::Json(decoder) => decoder.position(),
            #[cfg(feature = "parquet")]
            Self::Parquet(decoder) => decoder.position(),
        }
    }
}
