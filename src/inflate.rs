//! Compressed bytes to plain ones: gzip, zstd and bzip2, told by their first bytes.
//!
//! In come chunks cut anywhere, out come pieces of bounded size. Several members one after the other, as `cat` or
//! parallel compressors make them, are one stream. Checksums are verified; what is cut short, does not fit its
//! checksum or is followed by something else is an error, never a shorter object.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::error::{Error, Result};

#[cfg(feature = "parquet")]
mod page;

#[cfg(feature = "parquet")]
pub use self::page::{PageCodec, fits_checksum, unpack_page};

/// Made of one call at the most, so that a small chunk of zeros does not become a large piece of memory.
const PIECE_BYTES_MAX: usize = 256 * 1024;
/// How much larger than what was read the plain bytes may be. Text compresses ten to a hundred times, gzip can do
/// 1,032; what is beyond is made to fill memory and time.
pub const RATIO_MAX: u64 = 1_100;
/// The ratio is looked at from here on: the first bytes of a stream say little.
const RATIO_FROM_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that tell a compression.
pub const MAGIC_BYTES: usize = 6;

/// How an object is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, also several members.
    Gzip,
    /// RFC 8878, also several frames.
    Zstd,
    /// bzip2, also several streams.
    Bzip2,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Bzip2];

    /// The word in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
        }
    }

    /// What the first bytes of an object say; [`MAGIC_BYTES`] are enough, fewer are if the object has no more.
    ///
    /// # Errors
    /// `Input` for compressions and archives that are not read.
    pub fn of(head: &[u8]) -> Result<Option<Self>> {
        let refused = match head {
            [0x1f, 0x8b, ..] => return Ok(Some(Self::Gzip)),
            // The second is a skippable frame, as parallel compressors write first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                return Ok(Some(Self::Zstd));
            }
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, _, ..] => return Ok(Some(Self::Bzip2)),
            [b'P', b'K', 3 | 5, 4 | 6, ..] => {
                return Err(Error::input("read the object: it is a zip archive, as .xlsx files are").with_hint(
                    "save a spreadsheet as CSV (UTF-8); unpack an archive: `unzip -p a.zip | holoload load -`",
                ));
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "compressed with xz",
            [0x04, 0x22, 0x4d, 0x18, ..] => "compressed with lz4",
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => "a 7z archive",
            [0xff, 0x06, 0x00, 0x00, b's', b'N', ..] => "compressed with snappy",
            _ => return Ok(None),
        };
        Err(Error::input(format!("read the object: it is {refused}")).with_hint(
            "gzip, zstd and bzip2 are read: compress the file with one of them, or put it as it is",
        ))
    }
}

/// One compressed object on its way.
pub struct Inflater {
    compression: Compression,
    stream: Stream,
    input: Bytes,
    is_in_member: bool,
    is_finished: bool,
    window_log_max: u32,
    read: u64,
    made: u64,
}

enum Stream {
    Gzip(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
    Bzip2(Box<bzip2::Decompress>),
}

/// What one call of a decompressor did.
struct Done {
    read: usize,
    is_end: bool,
}

impl Inflater {
    /// `memory_bytes` is what a window may take; zstd's can be as large as its writer wanted.
    pub fn new(compression: Compression, memory_bytes: usize) -> Result<Self> {
        let window_log_max = memory_bytes.max(1 << 20).ilog2().clamp(20, 27);
        let stream = Stream::new(compression, window_log_max)?;
        Ok(Self {
            compression,
            stream,
            input: Bytes::new(),
            is_in_member: false,
            is_finished: false,
            window_log_max,
            read: 0,
            made: 0,
        })
    }

    /// Gives the next chunk, once [`Inflater::pull`] has nothing more.
    pub fn push(&mut self, chunk: Bytes) {
        self.input =
            if self.input.is_empty() { chunk } else { [&self.input[..], &chunk[..]].concat().into() };
    }

    /// Says that no chunk will follow.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The next plain bytes; `None` when another chunk is needed, or at the end.
    ///
    /// # Errors
    /// `Input` for what is broken, cut short, or grows beyond all measure.
    pub fn pull(&mut self) -> Result<Option<Bytes>> {
        loop {
            if !self.is_in_member && !self.begin_member()? {
                return Ok(None);
            }
            let mut piece = Vec::with_capacity(PIECE_BYTES_MAX);
            let done = self.stream.run(&self.input, &mut piece).map_err(|what| self.broken(&what))?;
            let is_stuck = done.read == 0 && piece.is_empty() && !done.is_end;
            self.take(done.read);
            self.made += piece.len() as u64;
            if done.is_end {
                self.is_in_member = false;
            }
            self.check_ratio()?;
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
            if is_stuck || self.input.is_empty() && !done.is_end {
                return if self.is_finished && self.input.is_empty() {
                    Err(self.broken("it ends in the middle"))
                } else if self.is_finished {
                    Err(self.broken("its last bytes make no sense"))
                } else {
                    Ok(None)
                };
            }
        }
    }

    /// Whether there is another member to read.
    fn begin_member(&mut self) -> Result<bool> {
        let is_first = self.read == 0;
        if !is_first && self.compression == Compression::Gzip {
            // Tapes and block devices fill up with zeros, and gzip passes over them.
            let zeros = self.input.iter().take_while(|byte| **byte == 0).count();
            self.take(zeros);
        }
        if self.input.is_empty() {
            return Ok(false);
        }
        if !is_first {
            if self.input.len() < MAGIC_BYTES && !self.is_finished {
                return Ok(false);
            }
            if Compression::of(&self.input).ok().flatten() != Some(self.compression) {
                return Err(self.broken("something else follows its end"));
            }
            self.stream = Stream::new(self.compression, self.window_log_max)?;
        }
        self.is_in_member = true;
        Ok(true)
    }

    fn take(&mut self, count: usize) {
        let _ = self.input.split_to(count);
        self.read += count as u64;
    }

    fn check_ratio(&self) -> Result<()> {
        if self.made <= RATIO_FROM_BYTES || self.made / RATIO_MAX <= self.read {
            return Ok(());
        }
        Err(Error::input(format!(
            "read the {} data: {} bytes became {}, more than {RATIO_MAX} times as many",
            self.compression.name(),
            self.read,
            self.made
        ))
        .with_hint("no table of text compresses so well: is it the right file? Put it uncompressed if it is"))
    }

    fn broken(&self, what: &str) -> Error {
        let name = self.compression.name();
        Error::input(format!("read the {name} data: {what} (compressed byte {})", self.read)).with_hint(
            format!("the file is damaged or was not written to its end: `{name} -t` tells; put it again"),
        )
    }
}

impl Stream {
    fn new(compression: Compression, window_log_max: u32) -> Result<Self> {
        Ok(match compression {
            // 15 bits is the largest window that gzip knows.
            Compression::Gzip => Self::Gzip(Box::new(Decompress::new_gzip(15))),
            Compression::Zstd => {
                let bug = |source| Error::bug("start the zstd decoder").with_source(source);
                let mut decoder = Decoder::new().map_err(bug)?;
                decoder.set_parameter(DParameter::WindowLogMax(window_log_max)).map_err(bug)?;
                Self::Zstd(Box::new(decoder))
            }
            Compression::Bzip2 => Self::Bzip2(Box::new(bzip2::Decompress::new(false))),
        })
    }

    fn run(&mut self, input: &[u8], piece: &mut Vec<u8>) -> std::result::Result<Done, String> {
        match self {
            Self::Gzip(gzip) => {
                let before = gzip.total_in();
                let status = gzip
                    .decompress_vec(input, piece, FlushDecompress::None)
                    .map_err(|error| error.message().map_or_else(|| error.to_string(), str::to_owned))?;
                let read = usize::try_from(gzip.total_in() - before).unwrap_or(usize::MAX);
                Ok(Done { read: read.min(input.len()), is_end: status == Status::StreamEnd })
            }
            Self::Bzip2(bzip2) => {
                let before = bzip2.total_in();
                let status = bzip2.decompress_vec(input, piece).map_err(|error| error.to_string())?;
                let read = usize::try_from(bzip2.total_in() - before).unwrap_or(usize::MAX);
                Ok(Done { read: read.min(input.len()), is_end: status == bzip2::Status::StreamEnd })
            }
            Self::Zstd(zstd) => {
                let mut from = InBuffer::around(input);
                let mut to = OutBuffer::around(piece);
                let left = zstd.run(&mut from, &mut to).map_err(|error| zstd_error(&error))?;
                Ok(Done { read: from.pos(), is_end: left == 0 })
            }
        }
    }
}

fn zstd_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    if text.contains("too much memory") {
        return format!("{text}: its window is too large for this function's memory");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn text() -> Vec<u8> {
        (0..20_000_u32)
            .flat_map(|row| format!("{row},name {},{}\n", row % 97, row * 7).into_bytes())
            .collect()
    }

    fn packed(compression: Compression, text: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                writer.write_all(text).expect("memory");
                writer.finish().expect("memory")
            }
            Compression::Zstd => {
                let mut writer = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
                writer.include_checksum(true).expect("a parameter");
                writer.write_all(text).expect("memory");
                writer.finish().expect("memory")
            }
            Compression::Bzip2 => {
                let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
                writer.write_all(text).expect("memory");
                writer.finish().expect("memory")
            }
        }
    }

    fn inflate(compression: Compression, chunks: &[&[u8]]) -> Result<Vec<u8>> {
        let mut inflater = Inflater::new(compression, 64 << 20)?;
        let mut out = Vec::new();
        for chunk in chunks {
            inflater.push(Bytes::copy_from_slice(chunk));
            while let Some(piece) = inflater.pull()? {
                assert!(piece.len() <= PIECE_BYTES_MAX);
                out.extend_from_slice(&piece);
            }
        }
        inflater.finish();
        while let Some(piece) = inflater.pull()? {
            out.extend_from_slice(&piece);
        }
        Ok(out)
    }

    #[test]
    fn comes_out_as_it_went_in_wherever_it_is_cut() {
        let text = text();
        for compression in Compression::ALL {
            let packed = packed(compression, &text);
            assert_eq!(Compression::of(&packed).ok().flatten(), Some(compression));
            assert_eq!(inflate(compression, &[&packed]).expect("whole"), text);
            let bytes: Vec<&[u8]> = packed.chunks(1).collect();
            assert_eq!(inflate(compression, &bytes).expect("byte by byte"), text);
            for at in (0..packed.len()).step_by(997) {
                let (first, second) = packed.split_at(at);
                assert_eq!(
                    inflate(compression, &[first, second]).expect("in two"),
                    text,
                    "{compression:?} at {at}"
                );
            }
        }
    }

    #[test]
    fn members_are_one_stream_and_an_empty_one_is_empty() {
        for compression in Compression::ALL {
            let (a, b, empty) =
                (packed(compression, b"a,1\n"), packed(compression, b"b,2\n"), packed(compression, b""));
            let joined = [&a[..], &empty, &b].concat();
            assert_eq!(inflate(compression, &[&joined]).expect("members"), b"a,1\nb,2\n");
            for at in 0..=joined.len() {
                let (first, second) = joined.split_at(at);
                assert_eq!(
                    inflate(compression, &[first, second]).expect("in two"),
                    b"a,1\nb,2\n",
                    "{compression:?} {at}"
                );
            }
            assert_eq!(inflate(compression, &[&empty]).expect("empty"), b"");
        }
        let padded = [packed(Compression::Gzip, b"a\n"), vec![0; 1000]].concat();
        assert_eq!(inflate(Compression::Gzip, &[&padded]).expect("padded"), b"a\n");
    }

    #[test]
    fn what_is_cut_short_damaged_or_followed_by_something_else_is_an_error() {
        let text = text();
        for compression in Compression::ALL {
            let packed = packed(compression, &text);
            for length in (1..packed.len()).step_by(211).chain([packed.len() - 1]) {
                let error = inflate(compression, &[&packed[..length]]).expect_err("cut short");
                assert_eq!(error.class(), crate::error::Class::Input, "{compression:?} {length}");
            }
            let followed = [&packed[..], b"id,name\n"].concat();
            let error = inflate(compression, &[&followed]).expect_err("followed");
            assert!(error.message().contains("something else follows"), "{compression:?}: {error}");
            for at in (8..packed.len()).step_by(packed.len() / 23) {
                let mut damaged = packed.clone();
                damaged[at] ^= 0x10;
                match inflate(compression, &[&damaged]) {
                    Err(_) => {}
                    Ok(plain) => assert_eq!(plain, text, "{compression:?}: damage at {at} went unnoticed"),
                }
            }
        }
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 96 << 20];
        for compression in [Compression::Zstd, Compression::Bzip2] {
            let error = inflate(compression, &[&packed(compression, &zeros)]).expect_err("a bomb");
            assert!(error.message().contains("times as many"), "{error}");
        }
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (head, name) in [
            (&b"PK\x03\x04\x14\x00"[..], "zip"),
            (b"\xfd7zXZ\x00", "xz"),
            (b"\x04\x22\x4d\x18\x40\x40", "lz4"),
            (b"7z\xbc\xaf\x27\x1c", "7z"),
        ] {
            for head in [head.to_vec(), [head, b"and more"].concat()] {
                let error = Compression::of(&head).expect_err("not read");
                assert!(error.message().contains(name), "{error}");
            }
        }
        for head in [&b""[..], b"a", b"id,nam", b"BZh9,x", b"\x1f", b"\xef\xbb\xbfid,"] {
            assert_eq!(Compression::of(head).ok(), Some(None), "{head:?}");
        }
    }
}
