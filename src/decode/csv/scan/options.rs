//! The scan for dialects that ask for more than one byte as a delimiter and quotes as the standard has them.
//!
//! It goes from mark to mark as the other one does; the mark of a delimiter of several bytes is its last. What it
//! has to look back at, a few bytes at most, may be in the chunk before: those are kept.

use std::ops::Range;

use super::{Scanner, State, line_feed_end};
use crate::decode::Malformation;
use crate::decode::csv::dialect::{Delimiter, Dialect, Marker, RecordEnd, StrayQuotes};

/// How far back anything looks.
const TAIL_BYTES: usize = Marker::BYTES_MAX;

/// What the dialect asks for, and where the scan stands with it.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Debug)]
pub(super) struct Options {
    pub(super) is_used: bool,
    delimiter: Delimiter,
    quote: Option<u8>,
    record_end: RecordEnd,
    pub(super) accepts_stray: bool,
    passes_blanks: bool,
    field_bytes_max: usize,
    pub(super) gives_lines_back: bool,
    unquoted_escape: Option<u8>,
    /// The record's last bytes before the window.
    tail: [u8; TAIL_BYTES],
    /// Everything from the field's beginning, or behind its closing quote, up to this offset is blank.
    pub(super) blanks_to: usize,
    /// Bytes of the current field that are no data because they escape others.
    escape_count: usize,
}

/// What a mark came to.
enum Met {
    /// The record goes on.
    Within,
    /// It ends.
    LineEnd,
    /// It is given up.
    Cut,
}

/// The bytes of a record that are at hand: a window of the chunk and a little before it.
struct Text<'a> {
    chunk: &'a [u8],
    window: Range<usize>,
    /// The offset of the window's first byte.
    base: usize,
    tail: [u8; TAIL_BYTES],
}

impl Text<'_> {
    fn byte(&self, offset: usize) -> Option<u8> {
        match offset.checked_sub(self.base) {
            Some(ahead) => self.chunk.get(self.window.start + ahead).copied(),
            None => self.tail.get((TAIL_BYTES + offset).checked_sub(self.base)?).copied(),
        }
    }

    /// Whether `mark` is what the bytes up to the one at `offset` end with.
    fn ends_with(&self, offset: usize, mark: &[u8]) -> bool {
        let is_same = |(back, byte): (usize, &u8)| {
            offset.checked_sub(back).and_then(|offset| self.byte(offset)) == Some(*byte)
        };
        mark.iter().rev().enumerate().all(is_same)
    }
}

impl Options {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let most = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            is_used: dialect.has_options(),
            delimiter: dialect.delimiter,
            quote: dialect.quote,
            record_end: dialect.record_end,
            accepts_stray: dialect.stray_quotes == StrayQuotes::Accept,
            passes_blanks: dialect.passes_blanks,
            field_bytes_max: dialect.field_bytes_max.map_or(usize::MAX, most),
            gives_lines_back: dialect.gives_lines_back(),
            unquoted_escape: dialect.unquoted_escape(),
            tail: [0; TAIL_BYTES],
            blanks_to: 0,
            escape_count: 0,
        }
    }

    /// Makes ready for another record.
    pub(super) fn begin(&mut self) {
        self.blanks_to = 0;
        self.escape_count = 0;
    }

    fn keep_tail(&mut self, read: &[u8]) {
        let fresh = read.len().min(TAIL_BYTES);
        self.tail.copy_within(fresh.., 0);
        let (kept, new) = (TAIL_BYTES - fresh, read.len() - fresh);
        for (to, from) in self.tail.iter_mut().skip(kept).zip(read.iter().skip(new)) {
            *to = *from;
        }
    }

    /// How long the line end is whose last byte is the mark at `offset`.
    fn line_end(&self, text: &Text<'_>, offset: usize, mark: u8) -> Option<usize> {
        match (self.record_end, mark) {
            (RecordEnd::Any | RecordEnd::Lf, b'\n') | (RecordEnd::Any | RecordEnd::Cr, b'\r') => Some(1),
            (RecordEnd::Crlf, b'\n') if text.ends_with(offset, b"\r\n") => Some(2),
            _ => None,
        }
    }

    /// Where the delimiter begins whose last byte is the mark at `offset`.
    fn delimiter_start(&self, text: &Text<'_>, offset: usize, mark: u8) -> Option<usize> {
        let is_delimiter = mark == self.delimiter.last() && text.ends_with(offset, self.delimiter.as_bytes());
        (offset + 1).checked_sub(self.delimiter.as_bytes().len()).filter(|_| is_delimiter)
    }

    /// Whether nothing but blanks, if those are passed over, stands before `to`.
    fn is_blank_to(&mut self, text: &Text<'_>, to: usize) -> bool {
        let is_blank = |at| matches!(text.byte(at), Some(b' ' | b'\t'));
        while self.passes_blanks && self.blanks_to < to && is_blank(self.blanks_to) {
            self.blanks_to += 1;
        }
        self.blanks_to >= to
    }

    /// Whether what begins a delimiter or line end, and may be a whole one, reaches from behind a quote, whose
    /// offset is less than `from`, to the mark at `offset`.
    fn may_close(&mut self, text: &Text<'_>, from: usize, offset: usize, mark: u8) -> bool {
        if self.record_end == RecordEnd::Crlf && mark == b'\r' && self.is_blank_to(text, offset) {
            return true;
        }
        let delimiter = self.delimiter;
        let whole = delimiter.as_bytes();
        (1..whole.len()).any(|length| {
            let part = whole.get(..length).unwrap_or_default();
            let start = (offset + 1).checked_sub(length).filter(|start| *start >= from);
            start.is_some_and(|start| text.ends_with(offset, part) && self.is_blank_to(text, start))
        })
    }
}

impl Scanner {
    /// [`Scanner::scan`], where the dialect has options.
    pub(super) fn scan_with_options(
        &mut self,
        chunk: &[u8],
        window: Range<usize>,
        base: usize,
    ) -> Option<usize> {
        self.marks.seek(window.start);
        let text = Text { chunk, window: window.clone(), base, tail: self.options.tail };
        while let Some((at, mark)) = self.marks.next(chunk, window.end) {
            match self.meet(&text, base + at - window.start, mark) {
                Met::Within => {}
                Met::LineEnd if mark == b'\r' && self.options.record_end == RecordEnd::Any => {
                    self.state = State::AfterReturn;
                    return line_feed_end(chunk, at + 1..window.end);
                }
                Met::LineEnd | Met::Cut => return Some(at + 1),
            }
        }
        self.pause(&text).then_some(window.end)
    }

    /// Notes at the end of the window what the next one has to know; whether the record is given up.
    fn pause(&mut self, text: &Text<'_>) -> bool {
        let read = text.chunk.get(text.window.clone()).unwrap_or_default();
        let to = text.base + read.len();
        if matches!(self.state, State::Plain | State::AfterQuote | State::AfterPair) {
            self.options.is_blank_to(text, to);
        }
        self.options.keep_tail(read);
        // After a carriage return it is not known where the line ends.
        let is_known =
            self.options.record_end != RecordEnd::Any || !text.ends_with(to.saturating_sub(1), b"\r");
        is_known && self.state == State::Quoted && self.is_overlong(to) && self.give_field_up()
    }

    fn meet(&mut self, text: &Text<'_>, offset: usize, mark: u8) -> Met {
        match self.state {
            State::Plain => self.meet_unquoted(text, offset, mark),
            State::Quoted => self.meet_inside(text, offset, mark),
            State::Escaped(next_at) => {
                self.state = State::Quoted;
                if offset == next_at && (mark == self.quote || mark == self.escape) {
                    self.note_pair();
                    return Met::Within;
                }
                self.meet_inside(text, offset, mark)
            }
            State::EscapedPlain(next_at) => {
                self.state = State::Plain;
                if offset != next_at {
                    return self.meet_unquoted(text, offset, mark);
                }
                // All marks are such that an escape makes them data.
                self.note_pair();
                self.count_line(text, offset, mark);
                if mark == b'\r' {
                    self.after_return = offset + 1;
                }
                Met::Within
            }
            State::AfterQuote | State::AfterPair => self.meet_behind(text, offset, mark),
            State::Overlong => match self.options.line_end(text, offset, mark) {
                Some(_) => Met::LineEnd,
                None => Met::Within,
            },
            State::AfterReturn => Met::Within,
        }
    }

    fn meet_unquoted(&mut self, text: &Text<'_>, offset: usize, mark: u8) -> Met {
        // The second half of a line end that is escaped.
        if mark == b'\n'
            && self.options.unquoted_escape.is_some()
            && offset == self.after_return
            && offset > 0
        {
            self.count_line(text, offset, mark);
            return Met::Within;
        }
        let line_end = self.options.line_end(text, offset, mark).map(|length| offset + 1 - length);
        if let Some(end) = line_end.filter(|end| *end >= self.field_start) {
            self.push_span(end, false);
            return Met::LineEnd;
        }
        let delimiter = self.options.delimiter_start(text, offset, mark);
        if let Some(end) = delimiter.filter(|end| *end >= self.field_start) {
            self.push_span(end, false);
            self.begin_field(offset + 1);
        } else if Some(mark) == self.options.unquoted_escape {
            self.state = State::EscapedPlain(offset + 1);
        } else if Some(mark) == self.options.quote && self.options.is_blank_to(text, offset) {
            self.begin_field(offset + 1);
            self.quote_line = self.line_end_count;
            self.state = State::Quoted;
        }
        Met::Within
    }

    fn meet_inside(&mut self, text: &Text<'_>, offset: usize, mark: u8) -> Met {
        if self.is_overlong(offset) {
            return if self.give_field_up() { Met::Cut } else { self.meet(text, offset, mark) };
        }
        if Some(mark) == self.options.quote {
            self.quoted_to = offset + 1;
            self.options.blanks_to = offset + 1;
            self.state = State::AfterQuote;
        } else if mark == self.escape {
            self.state = State::Escaped(offset + 1);
        } else {
            self.count_line(text, offset, mark);
        }
        Met::Within
    }

    /// Counts a mark that is data if a line ends with it.
    fn count_line(&mut self, text: &Text<'_>, offset: usize, mark: u8) {
        if self.options.record_end == RecordEnd::Any {
            self.count_line_end(offset, mark);
        } else if self.options.line_end(text, offset, mark).is_some() {
            self.line_end_count += 1;
        }
    }

    /// Takes the first marks behind a quote inside quotes, which tell whether it closed the field.
    fn meet_behind(&mut self, text: &Text<'_>, offset: usize, mark: u8) -> Met {
        let line_end = self.options.line_end(text, offset, mark).map(|length| offset + 1 - length);
        let delimiter = self.options.delimiter_start(text, offset, mark);
        if let Some(start) = line_end.or(delimiter)
            && start >= self.quoted_to
            && self.options.is_blank_to(text, start)
        {
            self.close();
            self.state = State::Plain;
            self.begin_field(offset + 1);
            return if line_end.is_some() { Met::LineEnd } else { Met::Within };
        }
        let is_pair = self.state == State::AfterPair;
        if !is_pair && offset == self.quoted_to && Some(mark) == self.options.quote {
            if self.options.accepts_stray {
                self.quoted_to = offset + 1;
                self.options.blanks_to = offset + 1;
                self.state = State::AfterPair;
            } else {
                self.note_pair();
                self.state = State::Quoted;
            }
            return Met::Within;
        }
        if self.options.may_close(text, self.quoted_to, offset, mark) {
            return Met::Within;
        }
        if self.options.accepts_stray {
            if is_pair {
                self.note_pair();
            }
            self.state = State::Quoted;
            return self.meet_inside(text, offset, mark);
        }
        self.note(Malformation::TextAfterQuote);
        self.state = State::Plain;
        // Nothing behind it opens a field before the next delimiter.
        self.options.blanks_to = self.field_start;
        self.meet_unquoted(text, offset, mark)
    }

    /// Ends a quoted field before the last quote.
    pub(super) fn close(&mut self) {
        // Of two quotes the first was not looked at as data before.
        if self.state == State::AfterPair && self.is_overlong(self.quoted_to - 1) {
            self.give_field_up();
        }
        self.push_span(self.quoted_to - 1, true);
    }

    fn begin_field(&mut self, offset: usize) {
        self.field_start = offset;
        self.options.blanks_to = offset;
        self.options.escape_count = 0;
    }

    fn note_pair(&mut self) {
        self.options.escape_count += 1;
        self.note_escape();
    }

    /// Whether the open quoted field, of which everything before `offset` is data, is longer than allowed, and
    /// that was not known before.
    pub(super) fn is_overlong(&self, offset: usize) -> bool {
        let length = offset.saturating_sub(self.field_start).saturating_sub(self.options.escape_count);
        let is_noted = matches!(self.malformed, Some((Malformation::FieldTooLong, _)));
        length > self.options.field_bytes_max && !is_noted
    }

    /// Notes that the open field is too long. Whether the record ends here: it does where the line in which the
    /// field begins has ended. Where lines are not given back, the record goes on to its own end.
    fn give_field_up(&mut self) -> bool {
        self.malformed = Some((Malformation::FieldTooLong, self.spans.len()));
        if !self.options.gives_lines_back {
            return false;
        }
        self.is_cut = self.line_end_count > self.quote_line;
        if !self.is_cut {
            self.state = State::Overlong;
        }
        self.is_cut
    }
}
