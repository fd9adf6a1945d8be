//! Thrift's compact protocol, as much of it as page headers and the shape of a schema need.

/// Structs and lists inside each other; Parquet's own have five.
const DEPTH_MAX: u8 = 16;

const STOP: u8 = 0;
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const BYTE: u8 = 3;
const I16: u8 = 4;
pub(super) const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
pub(super) const STRUCT: u8 = 12;

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The bytes end before the value does.
    Short,
    /// No value looks like that.
    Wrong,
}

/// Reads values one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The head of a struct's field.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldHead {
    pub(super) id: i16,
    kind: u8,
}

impl FieldHead {
    /// Whether its type is one of these.
    pub(super) fn is_one_of(self, kinds: &[u8]) -> bool {
        kinds.contains(&self.kind)
    }

    /// Booleans are told by their type alone.
    pub(super) fn is_true(self) -> bool {
        self.kind == TRUE
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8, Trouble> {
        let byte = self.bytes.get(self.at).copied().ok_or(Trouble::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, length: u64) -> Result<(), Trouble> {
        let length = usize::try_from(length).map_err(|_| Trouble::Wrong)?;
        let end = self.at.checked_add(length).ok_or(Trouble::Wrong)?;
        if end > self.bytes.len() {
            return Err(Trouble::Short);
        }
        self.at = end;
        Ok(())
    }

    fn unsigned(&mut self) -> Result<u64, Trouble> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Trouble::Wrong)
    }

    /// A number of any width.
    pub(super) fn integer(&mut self) -> Result<i64, Trouble> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that counts or measures.
    pub(super) fn count(&mut self) -> Result<u32, Trouble> {
        u32::try_from(self.integer()?)
            .ok()
            .filter(|count| i32::try_from(*count).is_ok())
            .ok_or(Trouble::Wrong)
    }

    /// The next field of a struct after the one with `last`; none at the struct's end.
    pub(super) fn field(&mut self, last: i16) -> Result<Option<FieldHead>, Trouble> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == STOP {
            return Ok(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.integer()?).map_err(|_| Trouble::Wrong)?,
            delta => last.checked_add(i16::from(delta)).ok_or(Trouble::Wrong)?,
        };
        Ok(Some(FieldHead { id, kind }))
    }

    /// How many elements the list has that begins here, and of what type they are.
    pub(super) fn list(&mut self) -> Result<(u64, u8), Trouble> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.unsigned()?,
            size => u64::from(size),
        };
        Ok((size, head & 0x0f))
    }

    /// Passes over the value of a field.
    pub(super) fn skip(&mut self, field: FieldHead) -> Result<(), Trouble> {
        match field.kind {
            TRUE | FALSE => Ok(()),
            kind => self.skip_value(kind, DEPTH_MAX),
        }
    }

    /// Passes over one element of a list of this type.
    pub(super) fn pass_element(&mut self, kind: u8) -> Result<(), Trouble> {
        self.skip_value(kind, DEPTH_MAX)
    }

    fn skip_value(&mut self, kind: u8, depth: u8) -> Result<(), Trouble> {
        let depth = depth.checked_sub(1).ok_or(Trouble::Wrong)?;
        match kind {
            TRUE | FALSE | BYTE => self.pass(1),
            I16 | I32 | I64 => self.unsigned().map(drop),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.unsigned()?;
                self.pass(length)
            }
            LIST | SET => {
                let (size, kind) = self.list()?;
                // Each element takes a byte at least, so that the bytes bound the loop.
                (0..size).try_for_each(|_| self.skip_value(kind, depth))
            }
            MAP => {
                let size = self.unsigned()?;
                let kinds = if size == 0 { 0 } else { self.byte()? };
                (0..size).try_for_each(|_| {
                    self.skip_value(kinds >> 4, depth)?;
                    self.skip_value(kinds & 0x0f, depth)
                })
            }
            STRUCT => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    last = field.id;
                    match field.kind {
                        TRUE | FALSE => {}
                        kind => self.skip_value(kind, depth)?,
                    }
                }
                Ok(())
            }
            _ => Err(Trouble::Wrong),
        }
    }
}
