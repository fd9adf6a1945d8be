//! Messages of PostgreSQL's protocol (version 3), and the two ends that they travel between.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};

use super::fault::Faults;
use crate::support::proxy::Direction;

/// No client of ours sends a message of more.
const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// Buffered answers are written out beyond this.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One message without its length.
#[derive(Clone, Debug)]
pub struct Message {
    pub tag: u8,
    pub body: Bytes,
}

impl Message {
    pub fn new(tag: u8, body: impl Into<Bytes>) -> Self {
        Self { tag, body: body.into() }
    }

    pub fn query(sql: &str) -> Self {
        Self::new(b'Q', terminated(sql))
    }

    pub fn complete(tag: &str) -> Self {
        Self::new(b'C', terminated(tag))
    }

    pub fn ready(status: u8) -> Self {
        Self::new(b'Z', vec![status])
    }

    /// An `ErrorResponse` that says no more than it must.
    pub fn error(severity: &str, code: &str, message: &str) -> Self {
        let mut body = BytesMut::new();
        for (field, value) in [(b'S', severity), (b'V', severity), (b'C', code), (b'M', message)] {
            body.put_u8(field);
            body.put_slice(&terminated(value));
        }
        body.put_u8(0);
        Self::new(b'E', body)
    }

    /// The SQLSTATE and the text of an `ErrorResponse`.
    pub fn error_parts(&self) -> (String, String) {
        let mut parts = (String::new(), String::new());
        let mut rest = self.body.clone();
        while rest.has_remaining() {
            let field = rest.get_u8();
            let Some(value) = take_text(&mut rest) else { break };
            match field {
                b'C' => parts.0 = value,
                b'M' => parts.1 = value,
                _ => {}
            }
        }
        parts
    }

    /// `CopyInResponse`.
    pub fn copy_in(is_binary: bool, column_count: usize) -> Self {
        let mut body = BytesMut::new();
        body.put_u8(u8::from(is_binary));
        body.put_u16(u16::try_from(column_count).unwrap_or(u16::MAX));
        for _ in 0..column_count {
            body.put_u16(u16::from(is_binary));
        }
        Self::new(b'G', body)
    }

    pub fn write(&self, out: &mut BytesMut) {
        out.reserve(self.body.len() + 5);
        out.put_u8(self.tag);
        out.put_u32(u32::try_from(self.body.len() + 4).unwrap_or(u32::MAX));
        out.put_slice(&self.body);
    }
}

pub fn terminated(text: &str) -> Bytes {
    let mut bytes = BytesMut::with_capacity(text.len() + 1);
    bytes.put_slice(text.as_bytes());
    bytes.put_u8(0);
    bytes.freeze()
}

/// The text up to the next zero byte.
pub fn take_text(bytes: &mut Bytes) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = bytes.split_to(end);
    bytes.advance(1);
    String::from_utf8(text.to_vec()).ok()
}

/// One end of the conversation. The client's end counts what passes, for the faults that cut after so much.
pub struct Peer {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    input: BytesMut,
    output: BytesMut,
    faults: Option<Arc<Faults>>,
    is_cut: bool,
}

impl Peer {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        let (reader, writer) = split(stream);
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self { reader, writer, input, output, faults: None, is_cut: false }
    }

    /// From now on what passes counts.
    pub fn count(&mut self, faults: Arc<Faults>) {
        self.faults = Some(faults);
    }

    /// The next message; safe to drop half-way. What is to be said is said before waiting.
    pub async fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.buffered()? {
                let size = message.body.len() as u64 + 5;
                if let Some(faults) = &self.faults
                    && faults.pass(Direction::ToServer, size).is_some()
                {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                return Ok(message);
            }
            self.flush().await?;
            self.fill().await?;
        }
    }

    /// Reads more bytes; safe to drop half-way.
    pub async fn fill(&mut self) -> io::Result<()> {
        self.input.reserve(32 * 1024);
        if self.reader.read_buf(&mut self.input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn buffered(&mut self) -> io::Result<Option<Message>> {
        let Some(length) = self.input.get(1..5) else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes([length[0], length[1], length[2], length[3]]));
        let length = length.unwrap_or(usize::MAX);
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.input.len() < length + 1 {
            return Ok(None);
        }
        let tag = self.input.get_u8();
        self.input.advance(4);
        Ok(Some(Message { tag, body: self.input.split_to(length - 4).freeze() }))
    }

    /// Queues a message.
    pub fn push(&mut self, message: &Message) {
        if self.is_cut {
            return;
        }
        let before = self.output.len();
        message.write(&mut self.output);
        let size = (self.output.len() - before) as u64;
        let allowed = self.faults.as_ref().and_then(|faults| faults.pass(Direction::ToClient, size));
        if let Some(allowed) = allowed {
            self.output.truncate(before + usize::try_from(allowed).unwrap_or(0));
            self.is_cut = true;
        }
    }

    /// Breaks off: nothing that is queued goes out any more.
    pub fn cut(&mut self) {
        self.output.clear();
        self.is_cut = true;
    }

    /// Queues bytes that are no message of the client's conversation.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Writes out what is queued; safe to drop half-way.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            self.writer.write_buf(&mut self.output).await?;
        }
        self.writer.flush().await?;
        if self.is_cut { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Writes out what is queued once it is much.
    pub async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.output.len() > OUTPUT_BYTES_MAX || self.is_cut { self.flush().await } else { Ok(()) }
    }
}
