//! Delimited text to records.
//!
//! In come the chunks of one object, cut anywhere; out come its records, each with its place, its original
//! bytes and its fields. Promised are:
//!
//! - *The same steps for every chunking.* All that is known in the middle of a record is the scanner's state; no
//!   rule looks at a byte that may not have come yet. A carriage return at the end of a chunk waits, because the
//!   line feed that belongs to it may still come.
//! - *Nothing repaired, nothing lost.* The bytes of all records and malformed records, and between them the
//!   byte-order mark, skipped lines and empty lines, are the object.
//! - *Linear time, bounded memory.* A byte is searched once, or twice where a quote before it turned out never to
//!   close, and copied only if its record spans chunks (into the carry) or holds an escape (into the decoded
//!   text). Both buffers are at most one record long.
//!
//! The grammar is RFC 4180 as `csv-core` reads it:
//!
//! - A record ends at CR, LF or CRLF, in any mixture, or with the object. Empty lines are no records.
//! - A delimiter always starts another field, so a trailing one adds an empty field.
//! - A quote is special only as the first byte of a field; later in an unquoted field it is data.
//! - Inside quotes delimiters and line ends are data, and a doubled quote stands for one.
//! - With [`Escape::Byte`] the escape, inside quotes only, stands for the quote or escape that follows it: `\"` is
//!   `"`, `\\` is `\`. Before anything else it is data, as in PostgreSQL's COPY (`csv-core` would drop it): `C:\new`
//!   stays what it is. Doubled quotes work beside it.
//!
//! Two things that `csv-core` mends in silence are malformed here: text after a closing quote, and a quote that
//! the object never closes. The first reaches as far as `csv-core` would take it, so that the next record is the
//! same for both. Of the second only the lines up to the one with that quote are lost; the lines behind it are read
//! as records, as if it had not been there. They are read again no more than once: a quote in them is one of a
//! pair or follows an escape, so that none opens a field that stays open.
//!
//! A [`Dialect`] may ask for more, at the price of speed: delimiters of several bytes, one line end only, stray
//! quotes as data, blanks beside quotes, escapes outside quotes, a limit for quoted fields. A field beyond the limit is given up like a
//! quote that is never closed, except where stray quotes are data: there a quote behind it may well open another
//! such field, so that the record, and an open quote the rest of the object, is lost whole. Comments are passed
//! over where a record could begin and cost nothing, nor do empty lines as records and delimiters that end a record.
//!
//! There is one path for all records of a dialect, not one for quoted and one for others, and `csv-core` is the oracle of the
//! tests, not the engine. To find those two faults takes a state machine over the original bytes, and one that
//! finds them knows every field as well: `csv-core` beside it would copy each quoted record and tell nothing new.
//! A field without escapes is a span of the original bytes, quoted or not.

use std::mem;

use bytes::Bytes;
use memchr::{memchr, memchr2, memmem};

use self::scan::Scanner;
use super::buffer::{BUFFER_KEEP_BYTES, join, reserve};
use super::{Position, Record, Step};
use crate::error::{Error, Result};

mod dialect;
mod gap;
mod scan;

pub use self::dialect::{Delimiter, Dialect, Escape, Marker, RecordEnd, StrayQuotes};
pub use self::scan::FIELD_COUNT_MAX;

/// The largest record that can be allowed: spans are 32 bits wide.
pub const RECORD_BYTES_CAP: usize = 1 << 30;

/// Decodes one object of delimited text.
#[expect(clippy::struct_excessive_bools, reason = "what was seen, each by itself")]
#[derive(Debug)]
pub struct CsvDecoder {
    scanner: Scanner,
    record_bytes_max: usize,
    skip_lines: u64,
    comment: Option<Marker>,
    record_end: RecordEnd,
    keeps_empty_lines: bool,
    drops_last_delimiter: bool,
    chunk: Bytes,
    /// The first byte of the chunk that is neither answered nor carried.
    at: usize,
    /// The record so far, where it began in an earlier chunk.
    carry: Vec<u8>,
    decoded: Vec<u8>,
    /// The lines that a record in the carry lost, where it lost only some; the others are in the chunk again.
    lost: Bytes,
    /// Where the current record begins, or the next one.
    position: Position,
    /// A line passed over ended in CR: a line feed that follows is part of that line end.
    is_after_return: bool,
    /// The line passed over is a comment, of which the end has not come yet.
    is_in_comment: bool,
    is_answered: bool,
    is_finished: bool,
    too_long: Option<TooLong>,
}

/// A record past the limit: where it begins, and the line of its open quote.
#[derive(Clone, Copy, Debug)]
struct TooLong {
    position: Position,
    quote_line: Option<u64>,
}

impl CsvDecoder {
    /// A decoder for one object in which a record, its line end included, is at most `record_bytes_max` bytes
    /// long, and in any case at most [`RECORD_BYTES_CAP`].
    pub fn new(dialect: Dialect, record_bytes_max: usize) -> Self {
        Self {
            scanner: Scanner::new(&dialect),
            record_bytes_max: record_bytes_max.min(RECORD_BYTES_CAP),
            skip_lines: dialect.skip_lines,
            comment: dialect.comment,
            record_end: dialect.record_end,
            keeps_empty_lines: dialect.keeps_empty_lines,
            drops_last_delimiter: dialect.drops_last_delimiter,
            chunk: Bytes::new(),
            at: 0,
            carry: Vec::new(),
            decoded: Vec::new(),
            lost: Bytes::new(),
            position: Position { line: 1, byte: 0 },
            is_after_return: false,
            is_in_comment: false,
            is_answered: false,
            is_finished: false,
            too_long: None,
        }
    }

    /// The same for the rest of an object whose records before `position` are done with.
    pub fn resumed(dialect: Dialect, record_bytes_max: usize, position: Position) -> Self {
        let skip_lines = if position.byte == 0 { dialect.skip_lines } else { 0 };
        Self { skip_lines, position, ..Self::new(dialect, record_bytes_max) }
    }

    /// Where the record that was not yet answered begins.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Gives the next chunk. It is due at the start and after [`Step::NeedInput`]; earlier it is right too, but
    /// copies what is left of the chunk before.
    pub fn push(&mut self, chunk: Bytes) {
        if self.too_long.is_some() {
            return;
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        self.chunk = join(rest, chunk);
        self.at = 0;
        self.scanner.forget_chunk();
    }

    /// Says that no chunk will follow.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The next record, or what stands in its way.
    ///
    /// # Errors
    ///
    /// A record longer than the limit ends the decoding: this step and all that follow give the same error.
    pub fn step(&mut self) -> Result<Step<'_>> {
        self.forget_answered();
        if let Some(too_long) = self.too_long {
            return Err(too_long.error(self.record_bytes_max));
        }
        if self.carry.is_empty() && !self.reach_record() {
            return Ok(if self.is_finished { Step::End } else { Step::NeedInput });
        }

        // One byte past the limit tells a record that is too long from one that is not, however large the chunk.
        let carried = self.carry.len();
        let room = self.record_bytes_max.saturating_sub(carried) + 1;
        let begin = self.at;
        let to = self.chunk.len().min(begin + room);
        let end = self.scanner.scan(&self.chunk, begin..to, carried);
        self.at = end.unwrap_or(to);
        let length = carried + self.at - begin;
        if carried > 0 || end.is_none() {
            self.carry_from(begin);
        }

        // Of a record that is cut only its first lines count: where it is cut depends on the chunks, they do not.
        if length > self.record_bytes_max && self.scanner.cut().is_none() {
            return Err(self.give_up());
        }
        if end.is_none() {
            if !self.is_finished {
                return Ok(Step::NeedInput);
            }
            self.scanner.end(length);
        }
        Ok(self.answer(begin))
    }

    /// Makes room for the next record after one was handed out.
    fn forget_answered(&mut self) {
        if mem::take(&mut self.is_answered) {
            self.scanner.begin();
            if !self.carry.is_empty() {
                self.carry.clear();
                self.carry.shrink_to(BUFFER_KEEP_BYTES);
            }
            if !self.decoded.is_empty() {
                self.decoded.clear();
                self.decoded.shrink_to(BUFFER_KEEP_BYTES);
            }
            if !self.lost.is_empty() {
                self.lost = Bytes::new();
            }
        }
    }

    /// Adds what was scanned of the chunk, which is all from `begin` on, to the carry.
    fn carry_from(&mut self, begin: usize) {
        let part = self.chunk.get(begin..self.at).unwrap_or_default();
        reserve(&mut self.carry, part.len(), self.record_bytes_max);
        self.carry.extend_from_slice(part);
    }

    /// Notes that the carried record is too long.
    fn give_up(&mut self) -> Error {
        let quote_line = self.scanner.open_quote_line().map(|line| self.position.line + line);
        let too_long = TooLong { position: self.position, quote_line };
        self.too_long = Some(too_long);
        self.carry = Vec::new();
        self.chunk = Bytes::new();
        self.at = 0;
        too_long.error(self.record_bytes_max)
    }

    /// Hands out the scanned record: the carry, or where that is empty the chunk from `begin`.
    fn answer(&mut self, begin: usize) -> Step<'_> {
        let mut line_count = 1 + self.scanner.line_end_count();
        if let Some((field_start, lines_before)) = self.scanner.cut() {
            line_count = 1 + lines_before;
            if let Some(end) = self.line_end(begin, field_start) {
                self.give_back(begin, end);
            }
        }
        let raw = match (self.carry.as_slice(), &self.lost[..]) {
            ([], []) => self.chunk.get(begin..self.at).unwrap_or_default(),
            ([], lost) => lost,
            (carried, _) => carried,
        };
        let position = self.position;
        self.position.line += line_count;
        self.position.byte += raw.len() as u64;
        self.is_answered = true;

        if let Some((malformation, field)) = self.scanner.malformed() {
            return Step::Malformed { position, raw, malformation, field };
        }
        if self.drops_last_delimiter {
            self.scanner.drop_last_delimiter();
        }
        let data = if self.scanner.has_escape() {
            reserve(&mut self.decoded, raw.len(), self.record_bytes_max);
            self.decoded.extend_from_slice(raw);
            self.scanner.unescape(&mut self.decoded);
            &self.decoded
        } else {
            raw
        };
        Step::Record(Record { position, raw, data, spans: self.scanner.spans() })
    }
}

impl CsvDecoder {
    /// The end of the first line of the scanned record that ends behind its byte `from`, if there is one and the
    /// record does not end there as well.
    fn line_end(&self, begin: usize, from: usize) -> Option<usize> {
        let record = match self.carry.as_slice() {
            [] => self.chunk.get(begin..self.at)?,
            carried => carried,
        };
        let rest = record.get(from..)?;
        let end = match self.record_end {
            RecordEnd::Any => {
                let at = memchr2(b'\r', b'\n', rest)?;
                at + if rest.get(at..)?.starts_with(b"\r\n") { 2 } else { 1 }
            }
            RecordEnd::Lf => memchr(b'\n', rest)? + 1,
            RecordEnd::Cr => memchr(b'\r', rest)? + 1,
            RecordEnd::Crlf => memmem::find(rest, b"\r\n")? + 2,
        };
        Some(from + end).filter(|end| *end < record.len())
    }

    /// Takes the scanned record for its first `end` bytes; those behind them are read again.
    fn give_back(&mut self, begin: usize, end: usize) {
        self.scanner.forget_chunk();
        if self.carry.is_empty() {
            self.at = begin + end;
            return;
        }
        let mut record = Bytes::from(mem::take(&mut self.carry));
        self.lost = record.split_to(end);
        let rest = self.chunk.split_off(self.at.min(self.chunk.len()));
        self.chunk = record;
        self.at = 0;
        if !rest.is_empty() {
            self.push(rest);
        }
    }
}

impl TooLong {
    fn error(self, record_bytes_max: usize) -> Error {
        let Position { line, byte } = self.position;
        let cause = match self.quote_line {
            Some(quote_line) => format!("the quote opened in line {quote_line} is probably never closed"),
            None => "the lines probably do not end in CR or LF".to_owned(),
        };
        Error::input(format!("record at line {line}, byte {byte} is longer than {record_bytes_max} bytes"))
            .with_hint(format!(
                "{cause}; if the record is really that long, give more memory: the limit grows with it"
            ))
    }
}
