//! Values of any length: text, padded text, bytes, JSON.

use super::Reason;
use super::json;
use super::scalar::hex_pair;

/// Most bytes in one value: the server's largest allocation less its own length word.
const VALUE_BYTES_MAX: usize = 0x3FFF_FFFF - 4;

/// Appends length and bytes of `text`, which may have `char_max` characters.
pub(super) fn append(text: &[u8], char_max: Option<u32>, out: &mut Vec<u8>) -> Result<(), Reason> {
    check_text(text, char_max)?;
    append_prefixed(&[], text, out)
}

/// Appends a `char(n)` without trailing blanks: the server pads, and equal values have equal bytes.
///
/// Without a declared length the server keeps blanks as they come, so they are dropped only in a `key`.
pub(super) fn append_padded(
    text: &[u8],
    char_max: Option<u32>,
    is_key: bool,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    check_text(text, char_max)?;
    let mut kept = text;
    if char_max.is_some() || is_key {
        while let [rest @ .., b' '] = kept {
            kept = rest;
        }
    }
    append_prefixed(&[], kept, out)
}

/// Appends the bytes that `\x` and hexadecimal digits stand for.
pub(super) fn append_bytea(text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let digits = text.strip_prefix(br"\x").ok_or(Reason::NotBytea)?;
    if !digits.len().is_multiple_of(2) {
        return Err(Reason::NotBytea);
    }
    append_length(digits.len() / 2, out)?;
    out.reserve(digits.len() / 2);
    for pair in digits.chunks_exact(2) {
        out.push(hex_pair(pair[0], pair[1]).ok_or(Reason::NotBytea)?);
    }
    Ok(())
}

/// Appends `json`, whose wire form is its text.
pub(super) fn append_json(text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    check_text(text, None)?;
    json::check(text, false)?;
    append_prefixed(&[], text, out)
}

/// Appends `jsonb`, whose wire form is a version and the text.
pub(super) fn append_jsonb(text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    const VERSION: u8 = 1;
    check_text(text, None)?;
    json::check(text, true)?;
    append_prefixed(&[VERSION], text, out)
}

/// Appends `prefix` and `bytes` as one value, behind its length.
fn append_prefixed(prefix: &[u8], bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    append_length(prefix.len() + bytes.len(), out)?;
    out.extend_from_slice(prefix);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Refuses what is not UTF-8, has a NUL byte or more than `char_max` characters.
fn check_text(text: &[u8], char_max: Option<u32>) -> Result<(), Reason> {
    let is_plain = is_plain_ascii(text);
    let decoded = if is_plain { None } else { Some(decode(text)?) };
    match char_max {
        // A character has at least one byte, so that most values need no counting.
        Some(char_max) if text.len() > char_max as usize => {
            let char_count = decoded.map_or(text.len(), |decoded| decoded.chars().count());
            if char_count > char_max as usize { Err(Reason::TooManyCharacters { char_max }) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn append_length(length: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
    if length > VALUE_BYTES_MAX {
        return Err(Reason::TooManyBytes);
    }
    let length = i32::try_from(length).map_err(|_| Reason::TooManyBytes)?;
    out.extend_from_slice(&length.to_be_bytes());
    Ok(())
}

fn decode(text: &[u8]) -> Result<&str, Reason> {
    if memchr::memchr(0, text).is_some() {
        return Err(Reason::NulByte);
    }
    std::str::from_utf8(text).map_err(|_| Reason::NotUtf8)
}

/// Whether all bytes are in 1 to 127: what most text is, told in one pass instead of two.
fn is_plain_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = 0x0101_0101_0101_0101;
    let Some(last) = text.last_chunk::<8>() else {
        return text.iter().all(|byte| matches!(byte, 1..=127));
    };
    // Subtracting 1 sets the high bit of a zero byte, or borrows from one and still sets a high bit.
    let mark = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        word | word.wrapping_sub(LOW)
    };
    let marked = text.as_chunks::<8>().0.iter().fold(mark(last), |marked, word| marked | mark(word));
    marked & HIGH == 0
}
