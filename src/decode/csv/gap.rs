//! What stands between records: the byte-order mark, skipped lines, comments and empty lines.

use std::mem;

use memchr::{memchr, memchr2};

use super::{CsvDecoder, RecordEnd};
use crate::decode::BYTE_ORDER_MARK;

/// What the text at hand begins with.
enum Begins {
    /// A line end of so many bytes.
    LineEnd(usize),
    /// Anything else.
    Text,
    /// That is not known before more bytes come.
    Unknown,
}

impl CsvDecoder {
    /// Passes over everything in the chunk that belongs to no record; whether a record begins after it.
    pub(super) fn reach_record(&mut self) -> bool {
        if self.position.byte == 0 && !self.pass_mark() {
            return false;
        }
        while let Some(rest) = self.chunk.get(self.at..)
            && let Some(&first) = rest.first()
        {
            if mem::take(&mut self.is_after_return) && first == b'\n' {
                self.pass(1);
                continue;
            }
            match self.begins(rest, first) {
                Begins::LineEnd(_)
                    if self.keeps_empty_lines && self.skip_lines == 0 && !self.is_in_comment =>
                {
                    return true;
                }
                Begins::LineEnd(length) => {
                    self.pass(length);
                    self.position.line += 1;
                    self.is_after_return = first == b'\r' && self.record_end == RecordEnd::Any;
                    self.skip_lines = self.skip_lines.saturating_sub(1);
                    self.is_in_comment = false;
                }
                Begins::Unknown => return false,
                Begins::Text if self.skip_lines > 0 || self.is_in_comment => {
                    let length = self.line_length(rest);
                    self.pass(length);
                }
                Begins::Text => match self.is_comment(rest) {
                    Some(is_comment) if !is_comment => return true,
                    Some(_) => self.is_in_comment = true,
                    None => return false,
                },
            }
        }
        false
    }

    #[inline]
    fn begins(&self, rest: &[u8], first: u8) -> Begins {
        match (self.record_end, first) {
            (RecordEnd::Any | RecordEnd::Lf, b'\n') | (RecordEnd::Any | RecordEnd::Cr, b'\r') => {
                Begins::LineEnd(1)
            }
            (RecordEnd::Crlf, b'\r') => match rest.get(1) {
                Some(b'\n') => Begins::LineEnd(2),
                None if !self.is_finished => Begins::Unknown,
                _ => Begins::Text,
            },
            _ => Begins::Text,
        }
    }

    /// How much of `rest`, which does not begin with a line end, is certainly before the next one.
    fn line_length(&self, rest: &[u8]) -> usize {
        let behind = rest.get(1..).unwrap_or_default();
        let found = match self.record_end {
            RecordEnd::Any => memchr2(b'\r', b'\n', behind),
            RecordEnd::Lf => memchr(b'\n', behind),
            RecordEnd::Cr | RecordEnd::Crlf => memchr(b'\r', behind),
        };
        found.map_or(rest.len(), |length| length + 1)
    }

    /// Whether a comment begins; `None` while it is not known.
    #[inline]
    fn is_comment(&self, rest: &[u8]) -> Option<bool> {
        let Some(marker) = &self.comment else { return Some(false) };
        let marker = marker.as_bytes();
        if rest.starts_with(marker) {
            Some(true)
        } else if marker.starts_with(rest) && !self.is_finished {
            // The bytes stay in the chunk, and the next push joins them to what it brings.
            None
        } else {
            Some(false)
        }
    }

    /// Passes over a byte-order mark; `false` while it is not known whether there is one.
    fn pass_mark(&mut self) -> bool {
        let start = self.chunk.get(..BYTE_ORDER_MARK.len()).unwrap_or(&self.chunk);
        if start == BYTE_ORDER_MARK {
            self.pass(BYTE_ORDER_MARK.len());
        } else if BYTE_ORDER_MARK.starts_with(start) && !self.is_finished {
            // As above.
            return false;
        }
        true
    }

    fn pass(&mut self, length: usize) {
        self.at += length;
        self.position.byte += length as u64;
    }
}
