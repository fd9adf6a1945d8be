//! Text in other charsets to UTF-8, and back for the reject object.
//!
//! UTF-8 itself never passes through here. A byte sequence that the charset does not know is not repaired: it comes out
//! as bytes that no UTF-8 text holds, so that the row it stands in is rejected, and [`Charset::restore`] finds the
//! original again.
//!
//! Tables are those of the WHATWG Encoding Standard, whose `Shift_JIS` is Windows-31J. Names that mean the JIS reading of
//! the same bytes (`Shift_JIS`, `EUC-JP`, `ISO-2022-JP`, but not `CP932`) map the six characters in which the two
//! differ as JIS does: `0x8160` is WAVE DASH, not FULLWIDTH TILDE.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, Decoder, DecoderResult, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8,
    UTF_16BE, UTF_16LE, WINDOWS_1252,
};

use crate::error::{Error, Result, nearest};

/// As many bytes as decide on a charset: a few hundred lines.
pub const SAMPLE_BYTES: usize = 64 * 1024;
/// Before each byte that could not be decoded; no UTF-8 text holds it.
const MARK: u8 = 0xff;
/// The longest sequence of which a decoder may say afterwards that it was malformed, and what it read after it.
const RECENT_BYTES: usize = 16;
/// Decoded at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// So many double-byte characters make a charset more likely than a stray byte.
const WIDE_MIN: usize = 2;

/// So many half-width katakana, and nothing else, make a charset.
const KATAKANA_MIN: usize = 3;

/// A charset, and in which of its two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    encoding: &'static Encoding,
    is_jis: bool,
}

/// The characters that Microsoft and JIS read from the same bytes.
const JIS: [(char, char); 6] = [
    ('\u{ff5e}', '\u{301c}'),
    ('\u{2225}', '\u{2016}'),
    ('\u{ff0d}', '\u{2212}'),
    ('\u{ffe0}', '\u{a2}'),
    ('\u{ffe1}', '\u{a3}'),
    ('\u{ffe2}', '\u{ac}'),
];

/// Names that are written in configurations, where the standard's own labels do not know them or mean another reading.
const NAMES: &[(&str, &Encoding, bool)] = &[
    ("utf8", UTF_8, false),
    ("utf8sig", UTF_8, false),
    ("ascii", UTF_8, false),
    ("usascii", UTF_8, false),
    ("utf16le", UTF_16LE, false),
    ("utf16be", UTF_16BE, false),
    ("shiftjis", SHIFT_JIS, true),
    ("sjis", SHIFT_JIS, true),
    ("xsjis", SHIFT_JIS, true),
    ("cp932", SHIFT_JIS, false),
    ("ms932", SHIFT_JIS, false),
    ("windows932", SHIFT_JIS, false),
    ("windows31j", SHIFT_JIS, false),
    ("eucjp", EUC_JP, true),
    ("ujis", EUC_JP, true),
    ("eucjpms", EUC_JP, false),
    ("cp51932", EUC_JP, false),
    ("iso2022jp", ISO_2022_JP, true),
    ("cp50220", ISO_2022_JP, false),
    ("cp50221", ISO_2022_JP, false),
    ("gbk", GBK, false),
    ("cp936", GBK, false),
    ("ms936", GBK, false),
    ("gb2312", GBK, false),
    ("euccn", GBK, false),
    ("gb18030", GB18030, false),
    ("big5", BIG5, false),
    ("big5hkscs", BIG5, false),
    ("cp950", BIG5, false),
    ("ms950", BIG5, false),
    ("euckr", EUC_KR, false),
    ("cp949", EUC_KR, false),
    ("ms949", EUC_KR, false),
    ("uhc", EUC_KR, false),
];

impl Charset {
    /// UTF-8, which needs no decoding.
    pub const UTF_8: Self = Self { encoding: UTF_8, is_jis: false };

    /// A charset by any name that people and programs give it; case and punctuation do not matter.
    ///
    /// # Errors
    /// `Config`, with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        if let Some((_, encoding, is_jis)) = NAMES.iter().find(|(known, ..)| *known == plain) {
            return Ok(Self { encoding, is_jis: *is_jis });
        }
        let windows = plain.strip_prefix("cp125").map(|page| format!("windows-125{page}"));
        let label = windows.as_deref().unwrap_or(name);
        let found = Encoding::for_label(label.as_bytes()).filter(|found| found.name() != "replacement");
        let own = |encoding: &'static Encoding| Self {
            encoding,
            is_jis: encoding == EUC_JP || encoding == ISO_2022_JP,
        };
        found.filter(|found| found.name() != "x-user-defined").map(own).ok_or_else(|| {
            let error = Error::config(format!("the charset `{name}` is not known"));
            let known = [
                "utf-8",
                "utf-16le",
                "utf-16be",
                "shift_jis",
                "cp932",
                "euc-jp",
                "iso-2022-jp",
                "gbk",
                "gb18030",
                "big5",
                "euc-kr",
                "windows-1252",
                "iso-8859-1",
            ];
            match nearest(&name.to_lowercase(), known) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!(
                    "known are {} and the other names of the Encoding Standard",
                    known.join(", ")
                )),
            }
        })
    }

    /// The name in warnings and settings.
    pub fn name(self) -> &'static str {
        match (self.encoding.name(), self.is_jis) {
            ("Shift_JIS", false) => "CP932",
            (name, _) => name,
        }
    }

    /// Whether its text is UTF-8 as it is.
    pub fn is_utf_8(self) -> bool {
        self.encoding == UTF_8
    }

    /// What stands before text in it, so that its readers know the order of bytes.
    pub fn mark(self) -> &'static [u8] {
        match self.encoding.name() {
            "UTF-16LE" => b"\xff\xfe",
            "UTF-16BE" => b"\xfe\xff",
            _ => b"",
        }
    }

    /// The original bytes of text that a [`Transcoder`] made. What has two codes in a charset comes back by the usual
    /// one (IBM's and NEC's extensions of `CP932`; half-width katakana in `ISO-2022-JP` as full-width ones).
    pub fn restore(self, text: &[u8]) -> Vec<u8> {
        let mut original = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = memchr::memchr(MARK, rest) {
            self.encode(&rest[..at], &mut original);
            let nibbles = rest.get(at + 1..at + 3).unwrap_or_default();
            if let [high, low] = nibbles {
                original.push((high & 0x0f) << 4 | low & 0x0f);
            }
            rest = rest.get(at + 3..).unwrap_or_default();
        }
        self.encode(rest, &mut original);
        original
    }

    fn encode(self, text: &[u8], into: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(text);
        let text = if self.is_jis { text.chars().map(microsoft).collect() } else { text };
        if self.encoding == UTF_16LE {
            into.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        } else if self.encoding == UTF_16BE {
            into.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
        } else {
            into.extend_from_slice(&self.encoding.encode(&text).0);
        }
    }
}

fn microsoft(letter: char) -> char {
    JIS.iter().find(|(_, jis)| *jis == letter).map_or(letter, |(microsoft, _)| *microsoft)
}

/// What a sample's bytes say of its charset.
///
/// A byte-order mark decides. Without one, text that is UTF-8 but for a few stray bytes is UTF-8, and those bytes are
/// rejected where they stand; another charset is only taken if the sample fits it as a whole and has characters of two
/// bytes, and only if nothing speaks more for letters of one. The single-byte charsets fit whatever there is, so they
/// are never guessed here: a file in one must say so.
pub fn guess(sample: &[u8], is_whole: bool) -> Charset {
    if let Some((encoding, _)) = Encoding::for_bom(sample) {
        return Charset { encoding, is_jis: false };
    }
    if let Some(encoding) = utf_16_without_mark(sample) {
        return Charset { encoding, is_jis: false };
    }
    let stray = match std::str::from_utf8(sample) {
        Ok(_) => 0,
        Err(error) if error.error_len().is_none() && !is_whole => 0,
        Err(_) => 1,
    };
    if stray == 0 {
        let is_iso_2022 = has_japanese_escape(sample) && fits(ISO_2022_JP, sample, is_whole);
        return if is_iso_2022 { Charset { encoding: ISO_2022_JP, is_jis: true } } else { Charset::UTF_8 };
    }
    // By chance a pair of bytes is a character of UTF-8 in any charset; in UTF-8 most of them are.
    let (mut valid, mut invalid) = (0, 0);
    for chunk in sample.utf8_chunks() {
        valid += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    if valid > invalid {
        return Charset::UTF_8;
    }
    if is_katakana_by_pairs(sample) && fits(EUC_JP, sample, is_whole) {
        return Charset { encoding: EUC_JP, is_jis: true };
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, is_whole);
    let likely = detector.guess(None, Utf8Detection::Deny);
    // Letters of one byte, as in `R\xe9mi`, are characters of two in several charsets: that they fit says nothing.
    if likely.is_single_byte() && has_lone_letters(sample) {
        return Charset::UTF_8;
    }
    let wide = [likely, SHIFT_JIS, EUC_JP, GB18030, BIG5, EUC_KR];
    let fitting = wide.into_iter().find(|encoding| {
        !encoding.is_single_byte()
            && wide_count(encoding, sample) >= WIDE_MIN
            && (*encoding == likely || !is_patched(encoding, sample))
            && fits(encoding, sample, is_whole)
    });
    fitting.map_or(Charset::UTF_8, |encoding| Charset { encoding, is_jis: encoding == EUC_JP })
}

/// Whether all that is not ASCII are half-width katakana as `EUC-JP` has them: each behind `0x8e`.
fn is_katakana_by_pairs(sample: &[u8]) -> bool {
    let mut pairs = 0_usize;
    let mut bytes = sample.iter().filter(|byte| !byte.is_ascii());
    while let Some(byte) = bytes.next() {
        match (byte, bytes.next()) {
            (0x8e, Some(0xa1..=0xdf)) => pairs += 1,
            (0x8e, None) => {}
            _ => return false,
        }
    }
    pairs >= KATAKANA_MIN
}

/// Whether all that is not ASCII are half-width katakana as `Shift_JIS` has them, of one byte each: beside no Latin letter, and
/// the marks of voice only behind what can have one.
fn is_katakana(sample: &[u8]) -> bool {
    let mut count = 0_usize;
    let (mut plain, mut before) = (0_usize, 0_u8);
    for byte in sample {
        let is_letter = |byte: u8| byte.is_ascii_alphabetic();
        match *byte {
            0xa1..=0xdf if is_letter(before) => return false,
            0xde if !matches!(before, 0xb3 | 0xb6..=0xc4 | 0xca..=0xce) => return false,
            0xdf if !(0xca..=0xce).contains(&before) => return false,
            0xa1..=0xdf => {
                count += 1;
                // The vowels and the rows of K and S: in other charsets few letters are there.
                plain += usize::from((0xb1..=0xbf).contains(byte));
            }
            other if other >= 0x80 || (is_letter(other) && before >= 0x80) => return false,
            _ => {}
        }
        before = *byte;
    }
    count >= KATAKANA_MIN && plain * 6 >= count
}

/// Which charset with one byte for each letter a sample is likely in: a guess from the letters that stand together,
/// never certain. `None` where UTF-8 is likelier.
pub fn guess_single_byte(sample: &[u8]) -> Option<Charset> {
    let (mut valid, mut invalid) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        valid += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    if valid >= invalid || memchr::memchr(0, sample).is_some() {
        return None;
    }
    if is_katakana(sample) {
        return Some(Charset { encoding: SHIFT_JIS, is_jis: false });
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let likely = detector.guess(None, Utf8Detection::Deny);
    let encoding = if likely.is_single_byte() { likely } else { WINDOWS_1252 };
    Some(Charset { encoding, is_jis: false })
}

/// Text in UTF-16 has a zero in many of its characters, always on the same side, and in its line ends above all.
fn utf_16_without_mark(sample: &[u8]) -> Option<&'static Encoding> {
    let pairs = sample.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
    let (mut all, mut big, mut little, mut lines) = (0_usize, 0_usize, 0_usize, 0_usize);
    for [first, second] in pairs {
        all += 1;
        big += usize::from(first == 0 && second != 0);
        little += usize::from(second == 0 && first != 0);
        lines += usize::from(matches!([first, second], [0, b'\n'] | [b'\n', 0]));
    }
    let feeds = memchr::memchr_iter(b'\n', sample).count();
    // Of a line of Japanese still the delimiters, digits and line ends: a tenth.
    let (side, other) = (little.max(big), little.min(big));
    let share = if feeds > 0 { 10 } else { 2 };
    if side == 0 || side * share < all || other * 20 > side || lines * 2 < feeds {
        return None;
    }
    Some(if little > big { UTF_16LE } else { UTF_16BE })
}

/// Whether most bytes beyond ASCII stand by themselves, where Latin letters are. In charsets of two bytes they come in pairs,
/// or are the first half of a Japanese character, below all those letters.
fn has_lone_letters(sample: &[u8]) -> bool {
    let runs = sample.split(u8::is_ascii).filter(|run| !run.is_empty());
    let (lone, all) = runs.fold((0_usize, 0_usize), |(lone, all), run| {
        (lone + usize::from(matches!(run, [0xa0..=0xff])), all + 1)
    });
    lone * 2 > all
}

fn has_japanese_escape(sample: &[u8]) -> bool {
    sample.is_ascii()
        && memchr::memchr_iter(0x1b, sample)
            .any(|at| matches!(sample.get(at + 1..at + 3), Some(b"$B" | b"$@" | b"(J" | b"(I")))
}

/// Whether all of the sample is text in the charset; its last character may be cut off.
fn fits(encoding: &'static Encoding, sample: &[u8], is_whole: bool) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut piece = vec![0; PIECE_BYTES];
    let mut rest = sample;
    loop {
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(rest, &mut piece, is_whole);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return true,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => return false,
        }
    }
}

/// Characters of two bytes and more, half-width katakana left out: those are single bytes that anything may be.
fn wide_count(encoding: &'static Encoding, sample: &[u8]) -> usize {
    let head = sample.get(..PIECE_BYTES).unwrap_or(sample);
    let (text, _) = encoding.decode_without_bom_handling(head);
    text.chars().filter(|letter| *letter >= '\u{100}' && !('\u{ff61}'..='\u{ff9f}').contains(letter)).count()
}

/// Whether the text in the charset is half made of half-width katakana and of characters that no standard has, as Cyrillic
/// letters of one byte are when read as `Shift_JIS`.
fn is_patched(encoding: &'static Encoding, sample: &[u8]) -> bool {
    let head = sample.get(..PIECE_BYTES).unwrap_or(sample);
    let (text, _) = encoding.decode_without_bom_handling(head);
    let is_odd = |letter: &char| {
        ('\u{ff61}'..='\u{ff9f}').contains(letter) || ('\u{e000}'..='\u{f8ff}').contains(letter)
    };
    text.chars().filter(is_odd).count() > wide_count(encoding, sample)
}

/// Decodes one object.
pub struct Transcoder {
    charset: Charset,
    decoder: Decoder,
    recent: Vec<u8>,
}

impl Transcoder {
    /// A decoder at the beginning of an object.
    pub fn new(charset: Charset) -> Self {
        Self {
            charset,
            decoder: charset.encoding.new_decoder_without_bom_handling(),
            recent: Vec::with_capacity(RECENT_BYTES * 2),
        }
    }

    /// Appends the UTF-8 of the next bytes; a byte-order mark stays one. `is_last` says that none will follow.
    pub fn decode(&mut self, bytes: &[u8], is_last: bool, into: &mut Vec<u8>) {
        let mut rest = bytes;
        let begin = into.len();
        loop {
            let wanted = self.decoder.max_utf8_buffer_length_without_replacement(rest.len());
            let room = wanted.unwrap_or(PIECE_BYTES).clamp(16, PIECE_BYTES);
            let start = into.len();
            into.resize(start + room, 0);
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(rest, &mut into[start..], is_last);
            into.truncate(start + written);
            self.remember(&rest[..read]);
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    self.mark(usize::from(length), usize::from(after), into);
                }
            }
        }
        if self.charset.is_jis {
            japanese(into, begin);
        }
    }

    fn remember(&mut self, read: &[u8]) {
        let tail = &read[read.len().saturating_sub(RECENT_BYTES)..];
        let keep = self.recent.len().min(RECENT_BYTES - tail.len().min(RECENT_BYTES));
        self.recent.drain(..self.recent.len() - keep);
        self.recent.extend_from_slice(tail);
    }

    fn mark(&self, length: usize, after: usize, into: &mut Vec<u8>) {
        let end = self.recent.len().saturating_sub(after);
        let malformed = &self.recent[end.saturating_sub(length)..end];
        for byte in malformed {
            into.extend_from_slice(&[MARK, 0x80 | byte >> 4, 0x80 | byte & 0x0f]);
        }
    }
}

/// The JIS reading of what was decoded from `begin` on.
fn japanese(text: &mut Vec<u8>, begin: usize) {
    let decoded = &text[begin..];
    let may_differ = memchr::memchr2_iter(0xef, 0xe2, decoded)
        .any(|at| matches!(decoded.get(at..at + 3), Some([0xef, 0xbc..=0xbf, _] | [0xe2, 0x88, _])));
    if !may_differ {
        return;
    }
    let mut mapped = Vec::with_capacity(decoded.len());
    for chunk in decoded.utf8_chunks() {
        let mut utf_8 = [0; 4];
        for letter in chunk.valid().chars() {
            let letter = JIS.iter().find(|(other, _)| *other == letter).map_or(letter, |(_, jis)| *jis);
            mapped.extend_from_slice(letter.encode_utf8(&mut utf_8).as_bytes());
        }
        mapped.extend_from_slice(chunk.invalid());
    }
    text.truncate(begin);
    text.extend_from_slice(&mapped);
}

#[cfg(test)]
mod tests {
    use super::*;

    const JAPANESE: &str = "id,name\n1,容疑者の献身\n2,ラプラスの魔女\n3,ﾊﾝｶｸ\n4,日本語、東京〜大阪\n";

    fn decode(charset: Charset, chunks: &[&[u8]]) -> Vec<u8> {
        let mut transcoder = Transcoder::new(charset);
        let mut out = Vec::new();
        for chunk in chunks {
            transcoder.decode(chunk, false, &mut out);
        }
        transcoder.decode(b"", true, &mut out);
        out
    }

    fn charset(name: &str) -> Charset {
        Charset::named(name).expect("a name")
    }

    #[test]
    fn names_of_all_kinds_are_known() {
        for (name, shown) in [
            ("UTF-8", "UTF-8"),
            ("utf8", "UTF-8"),
            ("Shift_JIS", "Shift_JIS"),
            ("SJIS", "Shift_JIS"),
            ("MS932", "CP932"),
            ("cp932", "CP932"),
            ("Windows-31J", "CP932"),
            ("EUC-JP", "EUC-JP"),
            ("euc_jp", "EUC-JP"),
            ("ISO-2022-JP", "ISO-2022-JP"),
            ("UTF-16LE", "UTF-16LE"),
            ("utf_16_be", "UTF-16BE"),
            ("gb2312", "GBK"),
            ("GB18030", "gb18030"),
            ("Big5", "Big5"),
            ("CP949", "EUC-KR"),
            ("windows-1252", "windows-1252"),
            ("cp1251", "windows-1251"),
            ("latin1", "windows-1252"),
            ("ISO-8859-15", "ISO-8859-15"),
        ] {
            assert_eq!(charset(name).name(), shown, "{name}");
        }
        let error = Charset::named("shift_jiss").expect_err("no name");
        assert_eq!(error.hint(), Some("did you mean `shift_jis`?"));
        assert!(Charset::named("hz-gb-2312").is_err(), "the standard has no table for it");
    }

    #[test]
    fn text_comes_out_the_same_wherever_it_is_cut_and_goes_back() {
        for name in ["shift_jis", "cp932", "euc-jp", "iso-2022-jp", "gb18030", "utf-16le", "utf-16be"] {
            let charset = charset(name);
            let text = if charset.is_jis { JAPANESE.to_owned() } else { JAPANESE.replace('〜', "～") };
            let text =
                if name == "iso-2022-jp" { text.replace("ﾊﾝｶｸ", "ハンカク") } else { text };
            let bytes = charset.restore(text.as_bytes());
            assert_eq!(decode(charset, &[&bytes]), text.as_bytes(), "{name}");
            for at in 0..=bytes.len() {
                let (first, second) = bytes.split_at(at);
                assert_eq!(decode(charset, &[first, second]), text.as_bytes(), "{name} cut at {at}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(decode(charset, &single), text.as_bytes(), "{name}");
        }
    }

    #[test]
    fn what_does_not_decode_is_marked_and_comes_back() {
        for (name, bytes) in [
            ("cp932", &b"1,\x93\x63\x92\x86\n2,\x93\n3,\xff\xfe,\x81\x20\n"[..]),
            ("euc-jp", b"1,\xc5\xc4\n2,\x8f\xff\n3,\xa1,\n"),
            ("gb18030", b"1,\xd6\xd0\n2,\x81\x30\x81,x\n3,\xff\n"),
            ("euc-kr", b"1,\xb0\xa1\n2,\xb0\n"),
            ("utf-16le", b"a\0,\0\x00\xd8,\0b\0\x00\xdc\n\0"),
            ("utf-16le", b"a\0,\0b"),
        ] {
            let charset = charset(name);
            let text = decode(charset, &[bytes]);
            assert!(std::str::from_utf8(&text).is_err(), "{name}: nothing is repaired");
            assert_eq!(charset.restore(&text), bytes, "{name}");
            for at in 0..=bytes.len() {
                let (first, second) = bytes.split_at(at);
                assert_eq!(decode(charset, &[first, second]), text, "{name} cut at {at}");
            }
        }
    }

    #[test]
    fn charsets_are_guessed_from_what_fits() {
        for (name, guessed) in [
            ("cp932", "CP932"),
            ("euc-jp", "EUC-JP"),
            ("iso-2022-jp", "ISO-2022-JP"),
            ("utf-16le", "UTF-16LE"),
            ("utf-16be", "UTF-16BE"),
        ] {
            let text = if name == "cp932" { JAPANESE.replace('〜', "～") } else { JAPANESE.to_owned() };
            let bytes = charset(name).restore(text.as_bytes());
            assert_eq!(guess(&bytes, true).name(), guessed, "{name}");
            assert_eq!(guess(&bytes[..bytes.len() - 5], false).name(), guessed, "{name}, cut short");
        }
        for sample in [
            &b""[..],
            b"id,name\n1,a\n",
            JAPANESE.as_bytes(),
            &JAPANESE.as_bytes()[..JAPANESE.len() - 2],
            b"\xef\xbb\xbfid\n",
            // Stray bytes are rejects, not another charset.
            b"id,name\n1,caf\xe9\n2,ole\xe9\n",
            b"id,name\n1,\xff\xfe\n",
            b"1,\xc3\n",
            b"1,a\0b\n",
            "1,日本\n2,\u{e9}\n".as_bytes(),
            // Pairs of Latin-1 letters are characters of several charsets, which is no reason to take them for such.
            b"id,name\n1,R\xe9mi\n2,H\xe9l\xe8ne\n3,Fran\xe7ois\n4,Aur\xe9lie\n",
            b"id,name\n1,M\xfcller\n2,Sch\xe4fer\n3,K\xf6nig\n4,J\xe4ger\n",
            b"id,city\n1,S\xe3o Paulo\n2,Bras\xedlia\n3,Bel\xe9m\n",
            b"id,name\n1,R\xe9mi\n2,No\xebl\n",
            b"1,\xe6\x97\xa5\n2,\xff\n",
        ] {
            assert_eq!(guess(sample, false).name(), "UTF-8", "{sample:?}");
        }
        // A few names are enough.
        for (name, words) in [
            ("cp932", "東京,大阪"),
            ("cp932", "テスト,データ"),
            ("cp932", "契約 1,契約 2"),
            ("euc-jp", "日本,山田"),
            ("gb18030", "中国,北京"),
            ("big5", "東京,大阪"),
            ("euc-kr", "한국,서울"),
        ] {
            let bytes = charset(name).restore(format!("id,a,b\n1,{words}\n").as_bytes());
            let guessed = guess(&bytes, true).name().to_lowercase();
            assert_eq!(guessed.replace("gbk", "gb18030"), name, "{words}");
        }
        assert_eq!(guess(b"\xff\xfea\0,\0", false).name(), "UTF-16LE");
        assert_eq!(guess(b"\xfe\xff\0a\0,", false).name(), "UTF-16BE");
    }

    #[test]
    fn the_two_readings_differ_where_they_should() {
        let bytes = b"\x81\x60\x81\x61\x81\x7c\x81\x91\x81\x92\x81\xca";
        assert_eq!(decode(charset("cp932"), &[bytes]), "～∥－￠￡￢".as_bytes());
        assert_eq!(decode(charset("shift_jis"), &[bytes]), "〜‖−¢£¬".as_bytes());
        assert_eq!(charset("shift_jis").restore("〜‖−¢£¬".as_bytes()), bytes);
        // NEC's row 13 and IBM's extensions are in both.
        assert_eq!(decode(charset("shift_jis"), &[b"\x87\x5d\xfb\xfc"]), "Ⅹ髙".as_bytes());
    }
}
