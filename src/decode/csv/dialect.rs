//! How delimited text is laid out.

/// A short run of bytes that means something: a delimiter, or the beginning of a comment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

/// What stands between two fields.
pub type Delimiter = Marker;

impl Marker {
    /// So many bytes a marker may have: it is kept without a pointer, so that a dialect can be copied.
    pub const BYTES_MAX: usize = 8;

    /// A marker of these bytes; `None` if there are none or too many.
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..text.len()).filter(|room| !room.is_empty())?.copy_from_slice(text);
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// Its bytes; never empty.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }

    /// Its byte, if it has only one.
    pub fn byte(&self) -> Option<u8> {
        (self.length == 1).then_some(self.bytes[0])
    }

    /// Its last byte.
    pub(super) fn last(&self) -> u8 {
        self.as_bytes().last().copied().unwrap_or_default()
    }

    /// Whether `other` is where it begins.
    pub fn starts_with(&self, other: Self) -> bool {
        self.as_bytes().starts_with(other.as_bytes())
    }
}

impl From<u8> for Marker {
    fn from(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0, 0, 0, 0, 0], length: 1 }
    }
}

impl std::fmt::Debug for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// How a quote is written inside a quoted field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Twice.
    Doubled,
    /// After this byte, or twice.
    Byte(u8),
}

/// Where lines, and outside quotes records, end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordEnd {
    /// At LF, CRLF or CR, in any mixture.
    #[default]
    Any,
    /// At LF; a CR is data.
    Lf,
    /// At CRLF; a CR or LF alone is data.
    Crlf,
    /// At CR; an LF is data.
    Cr,
}

impl RecordEnd {
    /// The line end that is written where one is missing.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Any | Self::Lf => b"\n",
            Self::Crlf => b"\r\n",
            Self::Cr => b"\r",
        }
    }
}

/// What a quote inside a quoted field is that closes nothing and was not escaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrayQuotes {
    /// A fault of the record.
    #[default]
    Refuse,
    /// Data, unless a delimiter, the end of the record or the end of the object follows: such a quote closes the
    /// field even where another one stands before it.
    Accept,
}

/// How the text is laid out. The marks should differ from one another and from CR and LF; where they do not, line
/// ends win over the delimiter, and the delimiter over the quote.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Stands between two fields.
    pub delimiter: Delimiter,
    /// Stands around a field; `None`: no byte does.
    pub quote: Option<u8>,
    /// How a quote is written inside quotes.
    pub escape: Escape,
    /// Lines before the first record.
    pub skip_lines: u64,
    /// A line that begins with it where a record could begin is none.
    pub comment: Option<Marker>,
    /// Where lines end.
    pub record_end: RecordEnd,
    /// What a stray quote is.
    pub stray_quotes: StrayQuotes,
    /// Blanks (U+0020, tab) before an opening quote and after a closing one are passed over.
    pub passes_blanks: bool,
    /// The longest quoted field, in bytes without quotes and escapes.
    pub field_bytes_max: Option<u32>,
    /// Outside quotes the byte of [`Escape::Byte`] makes a delimiter, line end, quote or escape behind it data as well, where
    /// the delimiter is one byte. A field with such an escape counts as quoted: its text is no null string.
    pub escapes_unquoted: bool,
    /// An empty line is a record with one empty field.
    pub keeps_empty_lines: bool,
    /// A delimiter at the end of a record starts no field.
    pub drops_last_delimiter: bool,
}

impl Dialect {
    /// Comma, double quotes, nothing else.
    pub const CSV: Self = Self {
        delimiter: Delimiter { bytes: [b',', 0, 0, 0, 0, 0, 0, 0], length: 1 },
        quote: Some(b'"'),
        escape: Escape::Doubled,
        skip_lines: 0,
        comment: None,
        record_end: RecordEnd::Any,
        stray_quotes: StrayQuotes::Refuse,
        passes_blanks: false,
        field_bytes_max: None,
        escapes_unquoted: false,
        keeps_empty_lines: false,
        drops_last_delimiter: false,
    };

    /// The byte that escapes outside quotes, if one does.
    pub(super) fn unquoted_escape(&self) -> Option<u8> {
        match self.escape {
            Escape::Byte(escape)
                if self.escapes_unquoted
                    && Some(escape) != self.quote
                    && self.delimiter.byte().is_some_and(|delimiter| delimiter != escape) =>
            {
                Some(escape)
            }
            _ => None,
        }
    }

    /// Whether it takes more than the marks alone to find a record's fields.
    pub(super) fn has_options(&self) -> bool {
        self.delimiter.byte().is_none()
            || self.record_end != RecordEnd::Any
            || self.stray_quotes != StrayQuotes::Refuse
            || self.passes_blanks
            || self.field_bytes_max.is_some()
            || self.unquoted_escape().is_some()
    }

    /// Whether a quote that turned out never to close can be taken for the end of its line alone: only if none of
    /// the quotes behind it could then open another field that stays open, or every line might be read as often as
    /// there are lines. A quote behind it is one of a pair or follows an escape, so that it is enough that neither
    /// of those ends a field.
    pub(super) fn gives_lines_back(&self) -> bool {
        let Some(quote) = self.quote else { return false };
        let escape = match self.escape {
            Escape::Byte(escape) => escape,
            Escape::Doubled => quote,
        };
        let ends = [self.delimiter.last(), b'\r', b'\n'];
        self.stray_quotes == StrayQuotes::Refuse && !ends.contains(&quote) && !ends.contains(&escape)
    }
}

impl Default for Dialect {
    fn default() -> Self {
        Self::CSV
    }
}
