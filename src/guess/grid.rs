//! A sample cut into records and fields under one dialect.

use bytes::Bytes;
use memchr::memchr2;

use crate::decode::csv::{CsvDecoder, Delimiter, Dialect, Escape, StrayQuotes};
use crate::decode::{Malformation, Step};

/// One way to read delimited text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) delimiter: Vec<u8>,
    pub(super) quote: Option<u8>,
    /// `None`: a quote is doubled.
    pub(super) escape: Option<u8>,
    pub(super) comment: Vec<u8>,
    pub(super) skip_lines: u64,
    pub(super) is_stray: bool,
}

impl Layout {
    fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: Delimiter::new(&self.delimiter).unwrap_or(Dialect::CSV.delimiter),
            quote: self.quote,
            escape: self.escape.map_or(Escape::Doubled, Escape::Byte),
            skip_lines: self.skip_lines,
            comment: Delimiter::new(&self.comment),
            stray_quotes: if self.is_stray { StrayQuotes::Accept } else { StrayQuotes::Refuse },
            ..Dialect::CSV
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    start: u32,
    end: u32,
    pub(super) is_quoted: bool,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    first: usize,
    pub(super) count: usize,
    pub(super) line: u64,
    /// It is not well formed.
    pub(super) is_malformed: bool,
    /// It is, when blanks around its quotes are passed over.
    pub(super) is_blank_around: bool,
}

/// Records and their fields; a field's text is copied once.
#[derive(Debug, Default)]
pub(super) struct Grid {
    text: Vec<u8>,
    cells: Vec<Cell>,
    pub(super) rows: Vec<Row>,
    /// Bytes behind the last record, which a cut sample may not tell the end of.
    pub(super) rest_bytes: usize,
    /// Line ends of the records: LF, CRLF, CR.
    pub(super) endings: [u64; 3],
}

/// More than these rows tell nothing new.
pub(super) const ROWS_MAX: usize = 50_000;
/// Fields of a row that are looked at.
pub(super) const WIDTH_MAX: usize = 1_600;

impl Grid {
    pub(super) fn read(text: &Bytes, layout: &Layout, is_whole: bool) -> Self {
        let mut grid = Self::default();
        let mut decoder = CsvDecoder::new(layout.dialect(), text.len() + 1);
        decoder.push(text.clone());
        if is_whole {
            decoder.finish();
        }
        while grid.rows.len() < ROWS_MAX {
            match decoder.step() {
                Ok(Step::Record(record)) => {
                    grid.note_ending(record.raw);
                    let first = grid.cells.len();
                    for field in record.fields().take(WIDTH_MAX) {
                        grid.add(field.bytes, field.is_quoted);
                    }
                    let count = record.field_count();
                    let line = record.position.line;
                    let row = Row { first, count, line, is_malformed: false, is_blank_around: false };
                    grid.rows.push(row);
                }
                Ok(Step::Malformed { position, raw, malformation, .. }) => {
                    grid.add_malformed(position.line, raw, malformation, layout);
                }
                Ok(Step::NeedInput | Step::End) | Err(_) => break,
            }
        }
        let at = usize::try_from(decoder.position().byte).unwrap_or(usize::MAX);
        grid.rest_bytes = text.len().saturating_sub(at);
        grid
    }

    /// Adds the records of further text that was cut at lines. A line may have been cut out of a quoted field: what has
    /// another width is left out.
    pub(super) fn append(&mut self, text: &Bytes, layout: &Layout, width: usize) {
        let plain = Layout { skip_lines: 0, ..layout.clone() };
        let other = Self::read(text, &plain, true);
        for (index, row) in other.rows.iter().enumerate() {
            if row.count != width || row.is_malformed || self.rows.len() >= ROWS_MAX {
                continue;
            }
            let first = self.cells.len();
            for (cell, is_quoted) in other.row(index) {
                self.add(cell, is_quoted);
            }
            self.rows.push(Row { first, ..*row });
        }
    }

    fn add(&mut self, bytes: &[u8], is_quoted: bool) {
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(bytes);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.cells.push(Cell { start, end, is_quoted });
    }

    fn add_malformed(&mut self, line: u64, raw: &[u8], malformation: Malformation, layout: &Layout) {
        let first = self.cells.len();
        let is_mended = malformation == Malformation::TextAfterQuote && self.mend(raw, layout);
        if !is_mended {
            self.cells.truncate(first);
        }
        let count = self.cells.len() - first;
        self.rows.push(Row { first, count, line, is_malformed: !is_mended, is_blank_around: is_mended });
    }

    /// Reads a record whose only fault are blanks between a closing quote and the delimiter.
    fn mend(&mut self, raw: &[u8], layout: &Layout) -> bool {
        let Some(quote) = layout.quote else { return false };
        let end = raw.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        let mut rest = raw.get(..end).unwrap_or_default();
        loop {
            let mut field = Vec::new();
            let is_quoted = rest.first() == Some(&quote);
            let after = if is_quoted {
                let Some((used, length)) = unquote(rest, quote, layout.escape) else { return false };
                field.extend_from_slice(&used);
                let after = rest.get(length..).unwrap_or_default();
                let blanks = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                let closing = after.get(blanks..).unwrap_or_default();
                if !closing.is_empty() && !closing.starts_with(&layout.delimiter) {
                    return false;
                }
                closing
            } else {
                let length = memchr::memmem::find(rest, &layout.delimiter).unwrap_or(rest.len());
                let (text, after) = rest.split_at(length);
                field.extend_from_slice(text);
                after
            };
            self.add(&field, is_quoted);
            match after.get(layout.delimiter.len()..) {
                Some(next) if !after.is_empty() => rest = next,
                _ => return true,
            }
        }
    }

    fn note_ending(&mut self, raw: &[u8]) {
        let kind = match raw {
            [.., b'\r', b'\n'] => 1,
            [.., b'\n'] => 0,
            [.., b'\r'] => 2,
            _ => return,
        };
        if let Some(count) = self.endings.get_mut(kind) {
            *count += 1;
        }
    }

    /// The fields of a row and whether each stood in quotes.
    pub(super) fn row(&self, index: usize) -> impl Iterator<Item = (&[u8], bool)> + '_ {
        let cells = self.rows.get(index).and_then(|row| {
            let end = row.first + row.count.min(WIDTH_MAX);
            self.cells.get(row.first..end)
        });
        cells.unwrap_or_default().iter().map(|cell| {
            let bytes = self.text.get(cell.start as usize..cell.end as usize);
            (bytes.unwrap_or_default(), cell.is_quoted)
        })
    }

    /// Fields that stood in quotes.
    pub(super) fn quoted_count(&self) -> usize {
        self.cells.iter().filter(|cell| cell.is_quoted).count()
    }

    /// One field.
    pub(super) fn cell(&self, row: usize, column: usize) -> Option<(&[u8], bool)> {
        let row = self.rows.get(row).filter(|row| column < row.count.min(WIDTH_MAX))?;
        let cell = self.cells.get(row.first + column)?;
        Some((self.text.get(cell.start as usize..cell.end as usize)?, cell.is_quoted))
    }
}

/// The text of a quoted field at the start of `text`, and how long it is with its quotes.
fn unquote(text: &[u8], quote: u8, escape: Option<u8>) -> Option<(Vec<u8>, usize)> {
    let mut field = Vec::new();
    let mut at = 1;
    loop {
        let byte = *text.get(at)?;
        let next = text.get(at + 1);
        if escape == Some(byte)
            && byte != quote
            && next.is_some_and(|next| *next == quote || Some(*next) == escape)
        {
            field.extend(next);
            at += 2;
        } else if byte != quote {
            field.push(byte);
            at += 1;
        } else if next == Some(&quote) {
            field.push(quote);
            at += 2;
        } else {
            return Some((field, at + 1));
        }
    }
}

/// The lines of a text.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = match after {
            [b'\r', b'\n', more @ ..] | [_, more @ ..] => more,
            [] => after,
        };
        Some(line)
    })
}
