//! JSON checked in one pass without allocation.
//!
//! The grammar is RFC 8259. Beyond it the pass refuses what a server may refuse later, for the whole statement:
//! nesting without bound, the escape of NUL, halves of surrogate pairs, and numbers that `jsonb` cannot keep. That
//! is also why a general parser does not serve: it either skips values without looking at these or builds them.

use super::Reason;
use super::numeric;
use super::scalar::hex_digit;

/// Deepest nesting; one bit of the stack for each level.
const DEPTH_MAX: u32 = 128;

/// Checks that `text`, which is known to be UTF-8 without NUL, is one JSON value.
pub(super) fn check(text: &[u8], keeps_numbers: bool) -> Result<(), Reason> {
    let mut scan = Scan { text, rest: text, keeps_numbers };
    let mut open = Open { objects: 0, depth: 0 };
    let mut expected = Expected::Value;
    loop {
        scan.skip_blanks();
        expected = match expected {
            Expected::AfterValue if open.depth == 0 => {
                return if scan.rest.is_empty() { Ok(()) } else { Err(Reason::NotJson) };
            }
            Expected::AfterValue => match (scan.next()?, open.is_object()) {
                (b',', true) => Expected::Name,
                (b',', false) => Expected::Value,
                (b'}', true) | (b']', false) => open.pop(),
                _ => return Err(Reason::NotJson),
            },
            Expected::FirstName if scan.take(b'}') => open.pop(),
            Expected::FirstElement if scan.take(b']') => open.pop(),
            Expected::FirstName | Expected::Name => {
                if !scan.take(b'"') {
                    return Err(Reason::NotJson);
                }
                scan.string()?;
                scan.skip_blanks();
                if !scan.take(b':') {
                    return Err(Reason::NotJson);
                }
                Expected::Value
            }
            Expected::FirstElement | Expected::Value => match scan.next()? {
                b'{' => open.push(true)?,
                b'[' => open.push(false)?,
                first => {
                    scan.leaf(first)?;
                    Expected::AfterValue
                }
            },
        };
    }
}

#[derive(Clone, Copy)]
enum Expected {
    Value,
    FirstElement,
    FirstName,
    Name,
    AfterValue,
}

/// The objects and arrays around the current place.
struct Open {
    objects: u128,
    depth: u32,
}

impl Open {
    fn push(&mut self, is_object: bool) -> Result<Expected, Reason> {
        if self.depth == DEPTH_MAX {
            return Err(Reason::JsonDepth);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        Ok(if is_object { Expected::FirstName } else { Expected::FirstElement })
    }

    fn pop(&mut self) -> Expected {
        self.depth -= 1;
        self.objects >>= 1;
        Expected::AfterValue
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

struct Scan<'a> {
    text: &'a [u8],
    rest: &'a [u8],
    keeps_numbers: bool,
}

impl Scan<'_> {
    fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', after @ ..] = self.rest {
            self.rest = after;
        }
    }

    fn next(&mut self) -> Result<u8, Reason> {
        let (first, after) = self.rest.split_first().ok_or(Reason::NotJson)?;
        self.rest = after;
        Ok(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn skip_digits(&mut self) {
        while let [b'0'..=b'9', after @ ..] = self.rest {
            self.rest = after;
        }
    }

    fn digits(&mut self) -> Result<(), Reason> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Err(Reason::NotJson);
        }
        self.skip_digits();
        Ok(())
    }

    /// A value that holds no other, of which `first` is already taken.
    fn leaf(&mut self, first: u8) -> Result<(), Reason> {
        let word: &[u8] = match first {
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(first),
            b't' => b"rue",
            b'f' => b"alse",
            b'n' => b"ull",
            _ => return Err(Reason::NotJson),
        };
        self.rest = self.rest.strip_prefix(word).ok_or(Reason::NotJson)?;
        Ok(())
    }

    /// A number whose first byte is already taken.
    fn number(&mut self, first: u8) -> Result<(), Reason> {
        let start = self.position() - 1;
        let leading = if first == b'-' { self.next()? } else { first };
        match leading {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(Reason::NotJson),
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        if self.keeps_numbers && !numeric::fits(&self.text[start..self.position()]) {
            return Err(Reason::JsonNumber);
        }
        Ok(())
    }

    /// A string whose opening quote is already taken.
    fn string(&mut self) -> Result<(), Reason> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                0..=0x1F => return Err(Reason::NotJson),
                _ => {}
            }
        }
    }

    /// An escape whose backslash is already taken.
    fn escape(&mut self) -> Result<(), Reason> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.code_unit()? {
                0 => Err(Reason::JsonNul),
                0xD800..=0xDBFF => {
                    self.rest = self.rest.strip_prefix(br"\u").ok_or(Reason::JsonSurrogate)?;
                    match self.code_unit()? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(Reason::JsonSurrogate),
                    }
                }
                0xDC00..=0xDFFF => Err(Reason::JsonSurrogate),
                _ => Ok(()),
            },
            _ => Err(Reason::NotJson),
        }
    }

    fn code_unit(&mut self) -> Result<u16, Reason> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | u16::from(hex_digit(self.next()?).ok_or(Reason::NotJson)?);
        }
        Ok(unit)
    }
}
