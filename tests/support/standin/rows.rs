//! The rows inside COPY data, however the messages split them.

use bytes::{Buf as _, BytesMut};

use super::copy::{Copy, Format};
use super::errors::Refusal;

const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const BINARY_HEADER_BYTES: usize = 19;

/// Cuts COPY data into whole rows. Holds no more than the rows that nobody has taken.
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub struct Rows {
    format: Format,
    quote: u8,
    escape: u8,
    /// A header that is still to come.
    skips_header: bool,
    is_ended: bool,
    data: BytesMut,
    /// Where each whole row of `data` ends.
    ends: Vec<usize>,
    /// How far `data` has been read, and what the reader was in the middle of.
    at: usize,
    is_quoted: bool,
    is_escaped: bool,
}

/// Rows that follow each other.
pub struct Chunk {
    pub data: BytesMut,
    pub ends: Vec<usize>,
}

impl Chunk {
    /// The bytes of rows `from..to`.
    pub fn rows(&self, from: usize, to: usize) -> &[u8] {
        let start = if from == 0 { 0 } else { self.ends[from - 1] };
        &self.data[start..self.ends[to - 1]]
    }
}

impl Rows {
    pub fn new(copy: &Copy) -> Self {
        Self {
            format: copy.format,
            quote: copy.quote,
            escape: copy.escape,
            skips_header: copy.has_header || copy.format == Format::Binary,
            is_ended: false,
            data: BytesMut::new(),
            ends: Vec::new(),
            at: 0,
            is_quoted: false,
            is_escaped: false,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.is_ended {
            return if bytes.is_empty() || self.format != Format::Binary {
                Ok(())
            } else {
                Err(Refusal::new("22P04", "received copy data after EOF marker"))
            };
        }
        self.data.extend_from_slice(bytes);
        if self.format == Format::Binary {
            return self.read_binary();
        }
        self.read_lines();
        Ok(())
    }

    /// No more data will come: what is left is the last row, which may lack its line end.
    pub fn finish(&mut self) -> Result<(), Refusal> {
        let end = self.ends.last().copied().unwrap_or(0);
        if self.is_ended || self.data.len() == end {
            return Ok(());
        }
        match self.format {
            Format::Binary => Err(Refusal::new("22P04", "unexpected EOF in COPY data")),
            Format::Csv if self.is_quoted => Err(Refusal::new("22P04", "unterminated CSV quoted field")),
            _ if self.skips_header => Ok(()),
            _ => {
                self.data.extend_from_slice(b"\n");
                self.ends.push(self.data.len());
                Ok(())
            }
        }
    }

    pub fn count(&self) -> usize {
        self.ends.len()
    }

    pub fn byte_count(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Takes the first whole rows.
    pub fn take(&mut self, count: usize) -> Chunk {
        let count = count.min(self.ends.len());
        let size = if count == 0 { 0 } else { self.ends[count - 1] };
        let rest = self.ends.split_off(count);
        let ends = std::mem::replace(&mut self.ends, rest.into_iter().map(|end| end - size).collect());
        self.at -= size;
        Chunk { data: self.data.split_to(size), ends }
    }

    fn read_binary(&mut self) -> Result<(), Refusal> {
        if self.skips_header {
            if self.data.len() < BINARY_HEADER_BYTES {
                return Ok(());
            }
            if !self.data.starts_with(BINARY_HEADER) {
                return Err(Refusal::new("22P04", "COPY file signature not recognized"));
            }
            self.data.advance(BINARY_HEADER_BYTES);
            self.skips_header = false;
        }
        while let Some(fields) = self.data.get(self.at..self.at + 2) {
            let field_count = i16::from_be_bytes([fields[0], fields[1]]);
            if field_count == -1 {
                self.is_ended = true;
                self.data.truncate(self.at);
                return Ok(());
            }
            let Some(end) = row_end(&self.data, self.at + 2, field_count)? else { return Ok(()) };
            self.ends.push(end);
            self.at = end;
        }
        Ok(())
    }

    fn read_lines(&mut self) {
        let mut start = self.ends.last().copied().unwrap_or(0);
        while self.at < self.data.len() {
            let byte = self.data[self.at];
            self.at += 1;
            match self.format {
                _ if self.is_escaped => self.is_escaped = false,
                Format::Csv if self.is_quoted && byte == self.escape && self.escape != self.quote => {
                    self.is_escaped = true;
                }
                Format::Csv if byte == self.quote => self.is_quoted = !self.is_quoted,
                Format::Text if byte == b'\\' => self.is_escaped = true,
                _ if byte == b'\n' && !self.is_quoted => {
                    if self.skips_header {
                        self.skips_header = false;
                        self.data.advance(self.at);
                        self.at = 0;
                    } else if matches!(&self.data[start..self.at], b"\\.\n" | b"\\.\r\n") {
                        self.is_ended = true;
                        self.data.truncate(start);
                        self.at = start;
                        return;
                    } else {
                        self.ends.push(self.at);
                        start = self.at;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Where the fields of a row end; `None` while they are not all there.
fn row_end(data: &[u8], mut at: usize, field_count: i16) -> Result<Option<usize>, Refusal> {
    let wrong = || Refusal::new("22P04", "invalid field size");
    for _ in 0..field_count {
        let Some(size) = data.get(at..at + 4) else { return Ok(None) };
        at += 4;
        match i32::from_be_bytes([size[0], size[1], size[2], size[3]]) {
            -1 => {}
            size => at += usize::try_from(size).map_err(|_| wrong())?,
        }
    }
    Ok((at <= data.len()).then_some(at))
}

/// What stands before and after the rows of a whole COPY.
pub fn frame(format: Format) -> (Vec<u8>, &'static [u8]) {
    if format != Format::Binary {
        return (Vec::new(), b"");
    }
    let mut header = BINARY_HEADER.to_vec();
    header.resize(BINARY_HEADER_BYTES, 0);
    (header, b"\xff\xff")
}
