//! A decoder that is slow and plain: it has the whole text before it and looks ahead as far as it likes.

use holoload::decode::csv::{Dialect, Escape, RecordEnd, StrayQuotes};
use holoload::decode::{Malformation, Position};

use super::steps::Seen;

struct Reader<'a> {
    dialect: Dialect,
    text: &'a [u8],
}

/// A record as far as it goes, and how many bytes it takes.
#[derive(Default)]
struct Found {
    fields: Vec<(Vec<u8>, bool)>,
    fault: Option<(Malformation, usize)>,
    end: usize,
}

/// How a quoted field ended.
enum Quoted {
    Closed { value: Vec<u8>, behind: usize },
    TextBehind { from: usize },
    TooLong,
    Open,
}

pub(crate) fn decode(dialect: Dialect, text: &[u8]) -> Vec<Seen> {
    let reader = Reader { dialect, text };
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut line = 1;
    for _ in 0..dialect.skip_lines {
        if at == text.len() {
            break;
        }
        at = reader.line_from(at);
        line += 1;
    }
    let mut seen = Vec::new();
    while at < text.len() {
        let is_comment = dialect.comment.is_some_and(|marker| text[at..].starts_with(marker.as_bytes()));
        if is_comment || !dialect.keeps_empty_lines && reader.line_end(at).is_some() {
            at = reader.line_from(at);
            line += 1;
            continue;
        }
        let found = reader.record(at);
        let position = Position { line, byte: at as u64 };
        let raw = text[at..found.end].to_vec();
        line += reader.line_count(at, found.end);
        at = found.end;
        seen.push(match found.fault {
            Some((malformation, field)) => Seen::Malformed { position, raw, malformation, field },
            None => Seen::Record { position, raw, fields: reader.without_last(found.fields) },
        });
    }
    seen
}

impl Reader<'_> {
    fn without_last(&self, mut fields: Vec<(Vec<u8>, bool)>) -> Vec<(Vec<u8>, bool)> {
        let is_nothing = fields.last().is_some_and(|(text, is_quoted)| text.is_empty() && !is_quoted);
        if self.dialect.drops_last_delimiter && is_nothing && fields.len() > 1 {
            fields.pop();
        }
        fields
    }

    /// What an escape at `at`, outside quotes, makes data.
    fn escaped(&self, at: usize) -> Option<&[u8]> {
        let Escape::Byte(escape) = self.dialect.escape else { return None };
        let delimiter = self.dialect.delimiter.byte()?;
        if !self.dialect.escapes_unquoted || self.text[at] != escape {
            return None;
        }
        let rest = &self.text[at + 1..];
        let next = *rest.first()?;
        let is_mark = [escape, delimiter, b'\r', b'\n'].contains(&next) || Some(next) == self.dialect.quote;
        is_mark.then(|| &rest[..if rest.starts_with(b"\r\n") { 2 } else { 1 }])
    }

    fn line_end(&self, at: usize) -> Option<usize> {
        let rest = &self.text[at..];
        let ends: &[&[u8]] = match self.dialect.record_end {
            RecordEnd::Any => &[b"\r\n", b"\r", b"\n"],
            RecordEnd::Lf => &[b"\n"],
            RecordEnd::Crlf => &[b"\r\n"],
            RecordEnd::Cr => &[b"\r"],
        };
        ends.iter().find(|end| rest.starts_with(end)).map(|end| end.len())
    }

    /// Where the line after the one with the byte `at` begins.
    fn line_from(&self, at: usize) -> usize {
        let ended = (at..self.text.len()).find_map(|at| self.line_end(at).map(|length| at + length));
        ended.unwrap_or(self.text.len())
    }

    fn line_count(&self, from: usize, to: usize) -> u64 {
        let (mut at, mut count) = (from, 0);
        while at < to {
            at = self.line_from(at);
            count += 1;
        }
        count
    }

    fn delimiter(&self, at: usize) -> Option<usize> {
        let delimiter = self.dialect.delimiter;
        self.text[at..].starts_with(delimiter.as_bytes()).then_some(delimiter.as_bytes().len())
    }

    /// Where a field that holds nothing but blanks from `at` on ends.
    fn blank_to_end(&self, mut at: usize) -> Option<usize> {
        loop {
            if at == self.text.len() || self.line_end(at).is_some() || self.delimiter(at).is_some() {
                return Some(at);
            }
            if !self.is_passed(at) {
                return None;
            }
            at += 1;
        }
    }

    fn is_passed(&self, at: usize) -> bool {
        self.dialect.passes_blanks && matches!(self.text.get(at), Some(b' ' | b'\t'))
    }

    /// Behind the quote that opens the field at `at`, if one does.
    fn opened(&self, mut at: usize) -> Option<usize> {
        while self.is_passed(at) && self.delimiter(at).is_none() {
            at += 1;
        }
        (self.dialect.quote.is_some() && self.text.get(at).copied() == self.dialect.quote).then_some(at + 1)
    }

    fn record(&self, start: usize) -> Found {
        let mut found = Found::default();
        let mut at = start;
        loop {
            let mut end = at;
            let mut field = None;
            if let Some(from) = self.opened(at) {
                match self.quoted(from, found.fault) {
                    Quoted::Closed { value, behind } => {
                        if self.is_longer(&value) {
                            found.fault.get_or_insert((Malformation::FieldTooLong, found.fields.len()));
                        }
                        field = Some(value);
                        end = behind;
                    }
                    Quoted::TextBehind { from } => {
                        found.fault.get_or_insert((Malformation::TextAfterQuote, found.fields.len()));
                        end = from;
                    }
                    Quoted::TooLong => {
                        found.fault = Some((Malformation::FieldTooLong, found.fields.len()));
                        found.end = self.line_from(from);
                        return found;
                    }
                    Quoted::Open => {
                        found.fault = Some((Malformation::UnterminatedQuote, found.fields.len()));
                        let is_line_alone = self.dialect.stray_quotes == StrayQuotes::Refuse;
                        found.end = if is_line_alone { self.line_from(from) } else { self.text.len() };
                        return found;
                    }
                }
            }
            let (mut text, mut has_escape) = (self.text[at..end].to_vec(), false);
            while end < self.text.len() && self.line_end(end).is_none() && self.delimiter(end).is_none() {
                let escaped = self.escaped(end);
                has_escape |= escaped.is_some();
                text.extend_from_slice(escaped.unwrap_or(&self.text[end..=end]));
                end += 1 + escaped.map_or(0, <[u8]>::len);
            }
            found.fields.push(match field {
                Some(value) => (value, true),
                None => (text, has_escape),
            });
            if end == self.text.len() {
                found.end = end;
                return found;
            }
            match self.line_end(end) {
                Some(length) => {
                    found.end = end + length;
                    return found;
                }
                None => at = end + self.delimiter(end).unwrap(),
            }
        }
    }

    fn is_longer(&self, value: &[u8]) -> bool {
        self.dialect.field_bytes_max.is_some_and(|most| value.len() > most as usize)
    }

    fn quoted(&self, from: usize, fault: Option<(Malformation, usize)>) -> Quoted {
        let accepts = self.dialect.stray_quotes == StrayQuotes::Accept;
        let escape = match self.dialect.escape {
            Escape::Byte(escape) => Some(escape),
            Escape::Doubled => None,
        };
        let quote = self.dialect.quote;
        let (mut at, mut value) = (from, Vec::new());
        loop {
            let is_noted = matches!(fault, Some((Malformation::FieldTooLong, _)));
            if self.is_longer(&value) && !accepts && !is_noted {
                return Quoted::TooLong;
            }
            let Some(&byte) = self.text.get(at) else { return Quoted::Open };
            let next = self.text.get(at + 1).copied();
            let is_doubled = Some(byte) == quote && next == quote;
            if accepts
                && is_doubled
                && let Some(behind) = self.blank_to_end(at + 2)
            {
                value.push(byte);
                return Quoted::Closed { value, behind };
            }
            if is_doubled || Some(byte) == escape && next.is_some() && (next == quote || next == escape) {
                value.extend(next);
                at += 2;
            } else if Some(byte) == quote {
                match self.blank_to_end(at + 1) {
                    Some(behind) => return Quoted::Closed { value, behind },
                    None if !accepts => return Quoted::TextBehind { from: at + 1 },
                    None => {}
                }
                value.push(byte);
                at += 1;
            } else {
                value.push(byte);
                at += 1;
            }
        }
    }
}
