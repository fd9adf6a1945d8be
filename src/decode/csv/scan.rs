//! The fields of one record, found in pieces that come one after the other.
//!
//! Only five bytes mean anything: delimiter, CR, LF, quote, escape. [`Marks`] finds all of them at once, 64 bytes
//! at a time, and the state machine of [`Scanner`] goes from mark to mark. It never sees the bytes between, and
//! learns from the distance that there were some.
//!
//! A search of its own for each field would be simpler. In fields of 7 bytes it took 7 to 14 ns a field (`memchr3`,
//! words, single bytes), of which this takes 3: what costs is to start a search, not its bytes. In fields of
//! thousands of bytes `memchr` is twice as fast.

use std::ops::Range;

use self::options::Options;
use super::dialect::{Dialect, Escape};
use crate::decode::{Malformation, Span};

mod options;

/// How many fields a record may have; one with more is [`Malformation::TooManyFields`].
///
/// A span is larger than the delimiter it comes from, so that without a bound a record of nothing but delimiters
/// would take many times its size. No table takes more than 1,600 columns.
pub const FIELD_COUNT_MAX: usize = 1 << 16;

/// Bytes that are searched at once: one bit each.
const BLOCK_BYTES: usize = u64::BITS as usize;

/// Where in a record the scan stands. Offsets count from the record's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a field without quotes, or before the first byte of any field.
    Plain,
    Quoted,
    /// Inside quotes, where the byte at this offset is data because an escape stands before it.
    Escaped(usize),
    /// In a field without quotes, where the byte at this offset is data because an escape stands before it.
    EscapedPlain(usize),
    /// After a quote inside quotes: it closed the field unless another follows at once.
    AfterQuote,
    /// After two quotes inside quotes, where stray ones are data: the second closed the field if that can end here,
    /// or else they stand for one.
    AfterPair,
    /// After the CR that ended the record, of which a line feed may be part.
    AfterReturn,
    /// Behind a quoted field that was longer than allowed; everything up to the line's end is lost.
    Overlong,
}

/// Finds the fields of one record at a time.
#[derive(Debug)]
pub(super) struct Scanner {
    delimiter: u8,
    /// Where no byte quotes, the delimiter: it ends a field before it could open one.
    quote: u8,
    /// Where only doubling escapes, the quote.
    escape: u8,
    marks: Marks,
    state: State,
    spans: Vec<Span>,
    /// Where the current field begins; behind its quote if it has one.
    field_start: usize,
    /// One past the last quote inside quotes.
    quoted_to: usize,
    /// One past the last CR inside quotes; no mark is there before the first.
    after_return: usize,
    line_end_count: u64,
    /// Line ends before the last quote that opened a field.
    quote_line: u64,
    /// Fields that hold escapes, in order.
    escaped: Vec<usize>,
    malformed: Option<(Malformation, usize)>,
    /// The record is lost up to the end of the line in which the open quote stands, and no further.
    is_cut: bool,
    options: Options,
}

impl Scanner {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let delimiter = dialect.delimiter.last();
        let quote = dialect.quote.unwrap_or(delimiter);
        let escape = match dialect.escape {
            Escape::Byte(escape) if dialect.quote.is_some() || dialect.unquoted_escape().is_some() => escape,
            Escape::Byte(_) | Escape::Doubled => quote,
        };
        Self {
            delimiter,
            quote,
            escape,
            marks: Marks::of([delimiter, b'\r', b'\n', quote, escape]),
            state: State::Plain,
            spans: Vec::new(),
            field_start: 0,
            quoted_to: 0,
            after_return: 0,
            line_end_count: 0,
            quote_line: 0,
            escaped: Vec::new(),
            malformed: None,
            is_cut: false,
            options: Options::new(dialect),
        }
    }

    /// Makes ready for the next record.
    pub(super) fn begin(&mut self) {
        self.state = State::Plain;
        self.spans.clear();
        self.field_start = 0;
        self.quoted_to = 0;
        self.after_return = 0;
        self.line_end_count = 0;
        self.escaped.clear();
        self.malformed = None;
        self.is_cut = false;
        self.options.begin();
    }

    /// Makes ready for another chunk.
    pub(super) fn forget_chunk(&mut self) {
        self.marks.forget();
    }

    /// The fields, once the record has ended.
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// What is wrong and in which field, once the record has ended.
    pub(super) fn malformed(&self) -> Option<(Malformation, usize)> {
        self.malformed
    }

    /// Whether any field holds escapes.
    pub(super) fn has_escape(&self) -> bool {
        !self.escaped.is_empty()
    }

    /// How many line ends are inside the record's fields.
    pub(super) fn line_end_count(&self) -> u64 {
        self.line_end_count
    }

    /// How many of them come before the quote that is open.
    pub(super) fn open_quote_line(&self) -> Option<u64> {
        matches!(self.state, State::Quoted | State::Escaped(_)).then_some(self.quote_line)
    }

    /// Where the quoted field begins whose line alone is lost, once the record has ended, and how many line ends
    /// stand before it.
    pub(super) fn cut(&self) -> Option<(usize, u64)> {
        self.is_cut.then_some((self.field_start, self.quote_line))
    }

    /// Reads on in `chunk`, whose byte `window.start` is byte `base` of the record; where in the chunk the record
    /// ends, if it does so before the window does.
    pub(super) fn scan(&mut self, chunk: &[u8], window: Range<usize>, base: usize) -> Option<usize> {
        if self.state == State::AfterReturn {
            return line_feed_end(chunk, window);
        }
        if self.options.is_used {
            return self.scan_with_options(chunk, window, base);
        }
        self.marks.seek(window.start);
        while let Some((at, mark)) = self.marks.next(chunk, window.end) {
            let offset = base + at - window.start;
            // The state of most marks stands apart: in one jump table with the others all were a quarter slower.
            let is_field_end = if self.state == State::Plain {
                self.meet_plain(offset, mark)
            } else {
                self.meet_quoted(offset, mark)
            };
            if !is_field_end {
                continue;
            }
            self.field_start = offset + 1;
            match mark {
                b'\n' => return Some(at + 1),
                b'\r' => {
                    self.state = State::AfterReturn;
                    return line_feed_end(chunk, at + 1..window.end);
                }
                _ => {}
            }
        }
        None
    }

    /// Takes a mark in a field that began with a quote; whether the field ends before it.
    fn meet_quoted(&mut self, offset: usize, mark: u8) -> bool {
        match self.state {
            State::Plain
            | State::EscapedPlain(_)
            | State::AfterPair
            | State::AfterReturn
            | State::Overlong => false,
            State::Quoted => {
                if mark == self.quote {
                    self.quoted_to = offset + 1;
                    self.state = State::AfterQuote;
                } else if mark == self.escape {
                    self.state = State::Escaped(offset + 1);
                } else {
                    self.count_line_end(offset, mark);
                }
                false
            }
            State::Escaped(next_at) => {
                self.state = State::Quoted;
                if offset == next_at && (mark == self.quote || mark == self.escape) {
                    self.note_escape();
                    return false;
                }
                self.meet_quoted(offset, mark)
            }
            State::AfterQuote if offset == self.quoted_to && self.is_field_end(mark) => {
                self.push_span(self.quoted_to - 1, true);
                self.state = State::Plain;
                true
            }
            State::AfterQuote if offset == self.quoted_to && mark == self.quote => {
                self.note_escape();
                self.state = State::Quoted;
                false
            }
            State::AfterQuote => {
                self.note(Malformation::TextAfterQuote);
                self.state = State::Plain;
                self.meet_plain(offset, mark)
            }
        }
    }

    /// Takes a mark in any other field.
    #[inline]
    fn meet_plain(&mut self, offset: usize, mark: u8) -> bool {
        if self.is_field_end(mark) {
            self.push_span(offset, false);
            return true;
        }
        if mark == self.quote && offset == self.field_start {
            self.field_start += 1;
            self.quote_line = self.line_end_count;
            self.state = State::Quoted;
        }
        false
    }

    /// Counts a mark inside quotes if a line ends with it; CRLF is one end.
    fn count_line_end(&mut self, offset: usize, mark: u8) {
        if mark == b'\r' || mark == b'\n' && self.after_return != offset {
            self.line_end_count += 1;
        }
        if mark == b'\r' {
            self.after_return = offset + 1;
        }
    }

    #[inline]
    fn is_field_end(&self, mark: u8) -> bool {
        mark == self.delimiter || mark == b'\n' || mark == b'\r'
    }

    /// Ends the record where the object ends, after `length` bytes of it.
    pub(super) fn end(&mut self, length: usize) {
        match self.state {
            State::Plain | State::EscapedPlain(_) => self.push_span(length, false),
            // It outranks what was noted before: everything from the quote on is in doubt.
            State::Quoted | State::Escaped(_) => {
                let is_overlong = self.options.gives_lines_back && self.is_overlong(length);
                self.leave_open(if is_overlong {
                    Malformation::FieldTooLong
                } else {
                    Malformation::UnterminatedQuote
                });
            }
            State::AfterQuote | State::AfterPair if self.closed_to() >= length => self.close(),
            State::AfterPair => self.leave_open(Malformation::UnterminatedQuote),
            State::AfterQuote if self.options.accepts_stray => {
                self.leave_open(Malformation::UnterminatedQuote);
            }
            State::AfterQuote => self.note(Malformation::TextAfterQuote),
            State::AfterReturn | State::Overlong => {}
        }
    }

    fn leave_open(&mut self, malformation: Malformation) {
        self.malformed = Some((malformation, self.spans.len()));
        self.is_cut = self.options.gives_lines_back;
    }

    /// How far everything behind the last quote is known to be nothing.
    fn closed_to(&self) -> usize {
        if self.options.is_used { self.options.blanks_to } else { self.quoted_to }
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a record has at most `RECORD_BYTES_CAP` bytes")]
    fn push_span(&mut self, end: usize, is_quoted: bool) {
        if self.spans.len() < FIELD_COUNT_MAX {
            self.spans.push(Span { start: self.field_start as u32, end: end as u32, is_quoted });
        } else {
            self.note(Malformation::TooManyFields);
        }
    }

    /// Notes what is wrong in the current field, unless something was wrong before.
    #[cold]
    fn note(&mut self, malformation: Malformation) {
        self.malformed.get_or_insert((malformation, self.spans.len()));
    }

    fn note_escape(&mut self) {
        let index = self.spans.len();
        if self.escaped.last() != Some(&index) {
            self.escaped.push(index);
        }
    }

    /// Takes the last field for nothing if it is empty, unquoted, and not the only one.
    pub(super) fn drop_last_delimiter(&mut self) {
        if let [.., _, last] = self.spans.as_slice()
            && !last.is_quoted
            && last.start == last.end
        {
            self.spans.pop();
        }
    }

    /// Takes the escapes out of `text`, a copy of the record's bytes: each field that has some is shortened where
    /// it stands.
    #[expect(clippy::cast_possible_truncation, reason = "a record has at most `RECORD_BYTES_CAP` bytes")]
    pub(super) fn unescape(&mut self, text: &mut [u8]) {
        let (delimiter, quote, escape) = (self.delimiter, self.quote, self.escape);
        let is_pair = |is_quoted: bool, first: u8, second: Option<u8>| {
            if is_quoted {
                let is_mark = second == Some(quote) || second == Some(escape);
                return first == escape && is_mark || first == quote && second == Some(quote);
            }
            let is_mark = |byte| byte == escape || byte == quote || byte == delimiter || is_line_end(byte);
            first == escape && second.is_some_and(is_mark)
        };
        for &index in &self.escaped {
            let Some(span) = self.spans.get_mut(index) else { continue };
            let Some(field) = text.get_mut(span.start as usize..span.end as usize) else { continue };
            let (mut from, mut to) = (0, 0);
            while from < field.len() {
                // Of a pair the first only says that the second is data.
                let second = field.get(from + 1).copied();
                from += usize::from(is_pair(span.is_quoted, field[from], second));
                field[to] = field[from];
                from += 1;
                to += 1;
            }
            span.end = span.start + to as u32;
            span.is_quoted = true;
        }
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Where a record ends whose CR stands before the window, if the window has a byte to tell by.
fn line_feed_end(chunk: &[u8], window: Range<usize>) -> Option<usize> {
    let start = window.start;
    let next = *chunk.get(window)?.first()?;
    Some(start + usize::from(next == b'\n'))
}

/// The marks of one chunk in order.
#[derive(Debug)]
struct Marks {
    wanted: [u8; 5],
    /// How far the chunk was searched; the bits are of the block that ends here.
    searched_to: usize,
    bits: u64,
}

impl Marks {
    fn of(wanted: [u8; 5]) -> Self {
        Self { wanted, searched_to: 0, bits: 0 }
    }

    fn forget(&mut self) {
        self.searched_to = 0;
        self.bits = 0;
    }

    /// Drops the marks before `at`.
    fn seek(&mut self, at: usize) {
        let ahead = self.searched_to.saturating_sub(at);
        if ahead == 0 {
            self.searched_to = at;
            self.bits = 0;
        } else if ahead < BLOCK_BYTES {
            self.bits &= u64::MAX << (BLOCK_BYTES - ahead);
        }
    }

    /// The next mark before `to`: where, and which.
    #[inline]
    fn next(&mut self, chunk: &[u8], to: usize) -> Option<(usize, u8)> {
        while self.bits == 0 {
            if self.searched_to >= to {
                return None;
            }
            self.bits = find_all(chunk.get(self.searched_to..)?, self.wanted);
            self.searched_to += BLOCK_BYTES;
        }
        let at = self.searched_to - BLOCK_BYTES + self.bits.trailing_zeros() as usize;
        if at >= to {
            return None;
        }
        self.bits &= self.bits - 1;
        Some((at, *chunk.get(at)?))
    }
}

/// A bit for each of the first 64 bytes that is among `wanted`, the first byte's the lowest.
fn find_all(bytes: &[u8], wanted: [u8; 5]) -> u64 {
    if let Some(block) = bytes.first_chunk() {
        return find_all_in_block(block, wanted);
    }
    // A mark that the zeros may give lies behind the end, where none is taken.
    let mut block = [0; BLOCK_BYTES];
    for (copy, &byte) in block.iter_mut().zip(bytes) {
        *copy = byte;
    }
    find_all_in_block(&block, wanted)
}

#[inline]
fn find_all_in_block(block: &[u8; BLOCK_BYTES], wanted: [u8; 5]) -> u64 {
    // Two loops without branches, of which the compiler makes vector code: one byte 0 or 1 for each byte, ...
    let mut hits = [0; BLOCK_BYTES];
    for (hit, &byte) in hits.iter_mut().zip(block) {
        for mark in wanted {
            *hit |= u8::from(byte == mark);
        }
    }
    // ... then eight of them to eight bits: the factor moves the lowest bit of byte n to bit 56 + n.
    let mut bits = 0;
    for (index, eight) in hits.as_chunks().0.iter().enumerate() {
        let gathered = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (8 * index);
    }
    bits
}
