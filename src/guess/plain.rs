//! The sample as text: unpacked, in UTF-8.

use bytes::Bytes;

use super::{Hints, Note, Sample, TEXT_BYTES_MAX};
use crate::charset::{self, Charset, Transcoder};
use crate::decode::BYTE_ORDER_MARK;
use crate::error::{Error, Result};
use crate::inflate::{Compression, Inflater};

/// The window that a compressed sample may ask for.
const WINDOW_BYTES: usize = 128 << 20;
/// A sample as text.
pub(super) struct Plain {
    /// UTF-8 but for bytes that do not decode, without a byte-order mark.
    pub(super) text: Bytes,
    /// Pieces from further on, from their first line end to their last.
    pub(super) further: Vec<Bytes>,
    pub(super) is_whole: bool,
    pub(super) compression: Option<Compression>,
    pub(super) charset_name: String,
    pub(super) notes: Vec<Note>,
}

/// Looked at to tell text from something else.
const TEXT_LOOK_BYTES: usize = 64 * 1024;
/// So many bytes that are no text may be in any file.
const ODD_BYTES_MAX: usize = 16;
/// And one byte in so many. Text in another charset than it was taken for has more letters than stray bytes.
const ODD_SHARE: usize = 10;

impl Plain {
    /// # Errors
    /// `Input` for other formats, and for what no charset makes a text of.
    pub(super) fn check_is_text(&self) -> Result<()> {
        let hint = "csv, tsv, jsonl, json and parquet are read: write it as one of them; --format or --charset say that it is one";
        if let Some(what) = crate::decode::Format::foreign_name(&self.text) {
            return Err(Error::input(format!("the object is {what}")).with_hint(hint));
        }
        let looked = self.text.get(..TEXT_LOOK_BYTES).unwrap_or(&self.text);
        let is_odd = |letter: char| {
            letter.is_control()
                && !matches!(letter, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1a}'..='\u{1f}')
        };
        let odd = looked.utf8_chunks().map(|chunk| {
            chunk.invalid().len() + chunk.valid().chars().filter(|letter| is_odd(*letter)).count()
        });
        let odd: usize = odd.sum();
        if odd > ODD_BYTES_MAX && odd > looked.len() / ODD_SHARE {
            let what = format!(
                "the object is no text: {odd} of its first {} bytes stand for no letter",
                looked.len()
            );
            return Err(Error::input(what).with_hint(hint));
        }
        Ok(())
    }
}

pub(super) fn plain(sample: &Sample<'_>, hints: &Hints) -> Result<Plain> {
    let compression = compression(sample.head, hints)?;
    let (mut raw, mut is_whole) = match compression {
        Some(compression) => unpack(sample, compression)?,
        None => (sample.head.to_vec(), sample.is_whole),
    };
    if raw.len() > TEXT_BYTES_MAX {
        raw.truncate(TEXT_BYTES_MAX);
        is_whole = false;
    }
    let mut notes = Vec::new();
    let charset = match &hints.charset {
        Some(name) => Charset::named(name)?,
        None => guess_charset(&raw, is_whole, &mut notes),
    };
    let text = decode(&raw, charset, is_whole);
    let is_by_bytes = !matches!(charset.name(), "UTF-16LE" | "UTF-16BE" | "ISO-2022-JP");
    let further = match compression {
        None if is_by_bytes => sample.further.iter().filter_map(|piece| inner(piece)).collect(),
        _ => Vec::new(),
    };
    let further = further.into_iter().map(|piece: &[u8]| decode(piece, charset, true)).collect();
    Ok(Plain { text, further, is_whole, compression, charset_name: charset.name().to_owned(), notes })
}

fn compression(head: &[u8], hints: &Hints) -> Result<Option<Compression>> {
    match hints.compression.as_deref() {
        None => Compression::of(head),
        Some("none") => Ok(None),
        Some(name) => {
            let found = Compression::ALL.into_iter().find(|compression| compression.name() == name);
            found.map(Some).ok_or_else(|| {
                Error::config(format!("the compression `{name}` is not known"))
                    .with_hint("known are none, gzip, zstd and bzip2")
            })
        }
    }
}

/// As much of the beginning as is needed; an end that is cut off is no error where the sample is no whole object.
fn unpack(sample: &Sample<'_>, compression: Compression) -> Result<(Vec<u8>, bool)> {
    let mut inflater = Inflater::new(compression, WINDOW_BYTES)?;
    let mut text = Vec::new();
    inflater.push(Bytes::copy_from_slice(sample.head));
    if sample.is_whole {
        inflater.finish();
    }
    loop {
        match inflater.pull() {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            Ok(None) => return Ok((text, sample.is_whole)),
            Err(error) if text.is_empty() => return Err(error),
            Err(error) if sample.is_whole => return Err(error),
            Err(_) => return Ok((text, false)),
        }
        if text.len() > TEXT_BYTES_MAX {
            return Ok((text, false));
        }
    }
}

fn guess_charset(raw: &[u8], is_whole: bool, notes: &mut Vec<Note>) -> Charset {
    let head = raw.get(..charset::SAMPLE_BYTES).unwrap_or(raw);
    let is_whole = is_whole && head.len() == raw.len();
    let found = charset::guess(head, is_whole);
    if !found.is_utf_8() {
        return found;
    }
    let stray = stray_count(head, is_whole);
    if stray == 0 {
        return found;
    }
    if let Some(single) = charset::guess_single_byte(head) {
        notes.push(Note::file(format!(
            "charset: not UTF-8, and of the charsets with one byte for each letter none can be told for certain; \
             {} is likely. Compare a name with accents",
            single.name()
        )));
        return single;
    }
    notes.push(Note::file(format!(
        "charset: UTF-8 but for bytes in {stray} places; rows with such bytes will be refused"
    )));
    found
}

fn stray_count(text: &[u8], is_whole: bool) -> usize {
    let mut count = 0;
    let mut rest = text;
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => return count,
            Err(error) => match error.error_len() {
                None => return count + usize::from(is_whole),
                Some(length) => {
                    count += 1;
                    rest = rest.get(error.valid_up_to() + length..).unwrap_or_default();
                }
            },
        }
    }
}

fn decode(raw: &[u8], charset: Charset, is_whole: bool) -> Bytes {
    let mut text = Vec::with_capacity(raw.len());
    if charset.is_utf_8() {
        text.extend_from_slice(raw);
    } else {
        Transcoder::new(charset).decode(raw, is_whole, &mut text);
    }
    let text = Bytes::from(text);
    if text.starts_with(BYTE_ORDER_MARK) { text.slice(BYTE_ORDER_MARK.len()..) } else { text }
}

/// The whole lines of a piece that was cut anywhere.
fn inner(piece: &[u8]) -> Option<&[u8]> {
    let from = memchr::memchr(b'\n', piece)? + 1;
    let to = memchr::memrchr(b'\n', piece)? + 1;
    piece
        .get(from..to)
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.get(..TEXT_BYTES_MAX).unwrap_or(lines))
}
