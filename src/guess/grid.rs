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
    /// Blanks between quotes and delimiters are passed over.
    pub(super) passes_blanks: bool,
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
            passes_blanks: self.passes_blanks,
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
}

/// Records and their fields; a field's text is copied once.
#[derive(Debug, Default)]
pub(super) struct Grid {
    text: Vec<u8>,
    cells: Vec<Cell>,
    pub(super) rows: Vec<Row>,
    /// Bytes behind the last record, which a cut sample may not tell the end of.
    pub(super) rest_bytes: usize,
    /// The text ends in its last line, behind a quote that opens there and does not close.
    pub(super) is_cut_in_quotes: bool,
    /// Line ends of the records: LF, CRLF, CR.
    pub(super) endings: [u64; 3],
}

/// How further text fits a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fit {
    pub(super) good: usize,
    pub(super) odd: usize,
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
                    grid.rows.push(Row { first, count, line, is_malformed: false });
                }
                Ok(Step::Malformed { position, raw, malformation, .. }) => {
                    grid.is_cut_in_quotes = layout.quote == Some(b'"')
                        && matches!(malformation, Malformation::UnterminatedQuote)
                        && memchr2(b'\n', b'\r', raw).is_none();
                    let first = grid.cells.len();
                    grid.rows.push(Row { first, count: 0, line: position.line, is_malformed: true });
                }
                Ok(Step::NeedInput | Step::End) | Err(_) => break,
            }
        }
        let at = usize::try_from(decoder.position().byte).unwrap_or(usize::MAX);
        grid.rest_bytes = text.len().saturating_sub(at);
        grid
    }

    /// Adds the records of further text that was cut at lines, and says how many of them fit in. What has another width
    /// is left out.
    pub(super) fn append(&mut self, text: &Bytes, layout: &Layout, width: usize) -> Fit {
        let plain = Layout { skip_lines: 0, ..layout.clone() };
        let outside = Self::read(text, &plain, true);
        let mut fit = outside.fit(width);
        let mut other = outside;
        // The piece may begin inside a quoted field.
        if let Some(quote) = layout.quote.filter(|_| fit.odd > 0 && fit.good < fit.odd) {
            let inside = Self::read(&Bytes::from([&[quote], text.as_ref()].concat()), &plain, true);
            let inside_fit = inside.fit(width);
            if inside_fit.good > fit.good {
                (fit, other) = (inside_fit, inside);
            }
        }
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
        fit
    }

    /// How many records have `width` fields. Of the others the first and the last do not count where fields are quoted:
    /// the piece may have been cut at a line end inside one.
    fn fit(&self, width: usize) -> Fit {
        let is_good = |row: &Row| row.count == width && !row.is_malformed;
        let good = self.rows.iter().filter(|row| is_good(row)).count();
        let mut odd = self.rows.len() - good;
        if good > 0 && self.quoted_count() > 0 {
            let edges = [self.rows.first(), self.rows.last()];
            odd -= edges.into_iter().flatten().filter(|row| !is_good(row)).count().min(odd);
        }
        Fit { good, odd }
    }

    fn add(&mut self, bytes: &[u8], is_quoted: bool) {
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(bytes);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.cells.push(Cell { start, end, is_quoted });
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

    /// The rows that speak for or against the layout: not what the end of the file cut off.
    pub(super) fn judged(&self) -> &[Row] {
        match self.rows.as_slice() {
            [rows @ .., _] if self.is_cut_in_quotes && !rows.is_empty() => rows,
            rows => rows,
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

    /// Whether a field holds a line end.
    pub(super) fn spans_lines(&self) -> bool {
        memchr2(b'\n', b'\r', &self.text).is_some()
    }

    /// One field.
    pub(super) fn cell(&self, row: usize, column: usize) -> Option<(&[u8], bool)> {
        let row = self.rows.get(row).filter(|row| column < row.count.min(WIDTH_MAX))?;
        let cell = self.cells.get(row.first + column)?;
        Some((self.text.get(cell.start as usize..cell.end as usize)?, cell.is_quoted))
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
