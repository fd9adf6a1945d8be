//! The grammar of RFC 8259 over bytes that are all there: nothing is built, nothing allocated.

use crate::decode::Malformation;

/// Deepest nesting of a record; one bit of [`Text::skip`]'s stack for each level. Columns of type `json` take no more.
pub(super) const DEPTH_MAX: u32 = 128;

/// What is wrong, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) malformation: Malformation,
    pub(super) at: usize,
    /// The field in which it is, where that is known.
    pub(super) field: usize,
}

/// What a string holds, its quotes not counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) has_escape: bool,
}

type Checked<T> = Result<T, Fault>;

/// A text, and how far it was read.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// The first thing that is wrong with what it says, while its grammar is right: reading goes on behind it, so
    /// that its end is known for sure.
    noted: Option<Fault>,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, noted: None }
    }

    /// Notes what is wrong, unless something was before.
    #[cold]
    pub(super) fn note(&mut self, fault: Fault) {
        self.noted.get_or_insert(fault);
    }

    pub(super) fn noted(&self) -> Option<Fault> {
        self.noted
    }

    #[cold]
    pub(super) fn fault(&self, malformation: Malformation) -> Fault {
        Fault { malformation, at: self.at, field: usize::MAX }
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn expect(&mut self, byte: u8) -> Checked<()> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(Malformation::NotJson)) }
    }

    /// A string, at its opening quote.
    pub(super) fn string(&mut self) -> Checked<Quoted> {
        self.expect(b'"')?;
        let start = self.at;
        let mut has_escape = false;
        loop {
            self.skip_plain();
            match self.peek() {
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(Quoted { start, end, has_escape });
                }
                Some(b'\\') => {
                    has_escape = true;
                    self.escape()?;
                }
                Some(0..=0x1f) => return Err(self.fault(Malformation::ControlCharacter)),
                Some(_) => self.at += 1,
                None => return Err(self.fault(Malformation::NotJson)),
            }
        }
    }

    /// Passes over bytes of a string that mean nothing, eight at a time; the last few of the text are not looked at.
    fn skip_plain(&mut self) {
        while let Some(block) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let marks = marks(u64::from_le_bytes(*block));
            if marks != 0 {
                self.at += (marks.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
    }

    /// An escape, at its backslash.
    fn escape(&mut self) -> Checked<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xdc00..=0xdfff => {
                    self.note(self.fault(Malformation::LoneSurrogate));
                    Ok(())
                }
                0xd800..=0xdbff => self.second_half(),
                _ => Ok(()),
            },
            _ => Err(self.fault(Malformation::NotJson)),
        }
    }

    /// What must follow the first half of a surrogate pair.
    fn second_half(&mut self) -> Checked<()> {
        let before = self.at;
        if self.slice(before, before + 2) == br"\u" && matches!(self.code_unit()?, 0xdc00..=0xdfff) {
            return Ok(());
        }
        // What stands there instead may begin a pair of its own.
        self.at = before;
        self.note(self.fault(Malformation::LoneSurrogate));
        Ok(())
    }

    /// `\u` and four hexadecimal digits.
    fn code_unit(&mut self) -> Checked<u16> {
        let unit = self.bytes.get(self.at + 2..self.at + 6).and_then(hexadecimal);
        let unit = unit.ok_or_else(|| self.fault(Malformation::NotJson))?;
        self.at += 6;
        Ok(unit)
    }

    fn skip_digits(&mut self) -> bool {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at > start
    }

    /// A value that holds no other, at its first byte.
    pub(super) fn scalar(&mut self) -> Checked<()> {
        let word: &[u8] = match self.peek() {
            Some(b'"') => return self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => return self.number(),
            Some(b't') => b"true",
            Some(b'f') => b"false",
            Some(b'n') => b"null",
            _ => return Err(self.fault(Malformation::NotJson)),
        };
        if self.slice(self.at, self.at + word.len()) != word {
            return Err(self.fault(Malformation::NotJson));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Checked<()> {
        self.take(b'-');
        let is_whole = self.take(b'0') || self.skip_digits();
        let has_fraction = is_whole && self.take(b'.');
        if !is_whole || has_fraction && !self.skip_digits() {
            return Err(self.fault(Malformation::NotJson));
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if !self.skip_digits() {
                return Err(self.fault(Malformation::NotJson));
            }
        }
        Ok(())
    }

    /// Any value, at its first byte, inside of `depth` others.
    pub(super) fn skip(&mut self, depth: u32) -> Checked<()> {
        // The lowest bit tells whether the innermost is an object.
        let mut objects: u128 = 0;
        let mut inner = 0;
        loop {
            match self.peek() {
                Some(first @ (b'{' | b'[')) => {
                    self.at += 1;
                    if depth + inner >= DEPTH_MAX {
                        return Err(self.fault(Malformation::JsonDepth));
                    }
                    inner += 1;
                    let is_object = first == b'{';
                    objects = objects << 1 | u128::from(is_object);
                    self.skip_blanks();
                    if !self.take(if is_object { b'}' } else { b']' }) {
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                    inner -= 1;
                    objects >>= 1;
                }
                _ => self.scalar()?,
            }
            while inner > 0 {
                self.skip_blanks();
                let is_object = objects & 1 == 1;
                if self.take(b',') {
                    self.skip_blanks();
                    if is_object {
                        self.name()?;
                    }
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                inner -= 1;
                objects >>= 1;
            }
            if inner == 0 {
                return Ok(());
            }
        }
    }

    /// A name and its colon; what follows is its value.
    fn name(&mut self) -> Checked<()> {
        self.string()?;
        self.skip_blanks();
        self.expect(b':')?;
        self.skip_blanks();
        Ok(())
    }
}

/// Marks the highest bit of the first byte that is a quote, a backslash or a control character; bytes behind it may be
/// marked without reason.
fn marks(block: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let zero_in = |block: u64| block.wrapping_sub(ONES) & !block;
    let quote = zero_in(block ^ (ONES * b'"' as u64));
    let backslash = zero_in(block ^ (ONES * b'\\' as u64));
    let control = block.wrapping_sub(ONES * 0x20) & !block;
    (quote | backslash | control) & HIGHS
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |unit: u16, byte| {
        let digit = char::from(*byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok())?;
        Some(unit << 4 | digit)
    })
}

/// Appends what a string means that [`Text::string`] has passed.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let unit = |from: usize| escape.get(from + 2..from + 6).and_then(hexadecimal).unwrap_or_default();
        let (length, character) = match escape.get(1) {
            Some(b'b') => (2, '\u{8}'),
            Some(b'f') => (2, '\u{c}'),
            Some(b'n') => (2, '\n'),
            Some(b'r') => (2, '\r'),
            Some(b't') => (2, '\t'),
            Some(b'u') => {
                let units = [unit(0), unit(6)];
                let length = if matches!(units[0], 0xd800..=0xdbff) { 12 } else { 6 };
                let decoded = char::decode_utf16(units).next().and_then(Result::ok);
                (length, decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            Some(byte) => (2, char::from(*byte)),
            None => (1, '\\'),
        };
        let mut bytes = [0; 4];
        out.extend_from_slice(character.encode_utf8(&mut bytes).as_bytes());
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
