//! Records to rows: the text of each field, typed strictly by its column and encoded as the server keeps it.
//!
//! In comes a [`Record`] and, once for each object, the slots that the statement fills. Out come bytes: for each
//! slot a length as `i32` (-1 for NULL) and the value in the server's binary form, which is what a tuple of binary
//! `COPY` holds and what bound parameters are. Or out comes a [`Refusal`] that names the slot and the [`Reason`].
//!
//! Promised:
//!
//! - Nothing is changed in silence: no value is trimmed, rounded, cut short or replaced unless a [`Conversion`] of its
//!   column says so. A text that is not wholly a value of its column's type is refused, so that what the server gets is what it stores. Floats alone take the
//!   nearest value that their type has, which is what floats are; and moments lose the digits that Hologres does not
//!   keep, which is counted.
//! - A reason never holds the value.
//! - A refused row leaves no bytes behind.
//! - Equal keys have equal bytes, so that duplicates can be told without knowing types: for this alone the sign of a
//!   zero float, the trailing blanks of a `char` and the trailing zeros of a `numeric` without scale are not kept
//!   in key columns. Two kinds stay outside, because only the server knows what is equal: `jsonb`, and any
//!   [`Kind::Other`].
//! - The answer depends on the record and the rules alone: no clock, no locale, no time zone of the machine or server.
//! - Once its buffers have grown, an accepted row allocates nothing.

mod convert;
mod extras;
mod format;
mod json;
mod numeric;
mod op;
mod refusal;
mod rule;
mod scalar;
mod text;
mod time;
mod zone;

use std::cell::Cell;
use std::io::Write as _;

use jiff::tz::TimeZone;

use crate::decode::{Record, Span};
use crate::table::Kind;
use convert::{Converter, Scratch};
pub use extras::Members;
pub use format::{Civil, MONTHS, TimeFormat, WEEKDAYS, from_java, from_java_all, from_ruby};
pub use op::Marks;
pub use refusal::{NOT_UTF_8, Reason, Refusal};
pub use rule::{Conversion, Epoch, Trim};
use zone::Zones;

/// Rules that hold for the whole object.
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
#[derive(Clone, Debug)]
pub struct Rules {
    /// An unquoted field equal to one of these is NULL. The empty one unless said otherwise.
    pub null_strings: Vec<Vec<u8>>,
    /// Whether a quoted field is NULL by them, too.
    pub null_quoted: bool,
    /// Whether an empty field without quotes stands for what is not there (`null`, or no member, in JSON). It is NULL
    /// whatever the null strings are, and those of a column count for quoted fields, too.
    pub has_absent: bool,
    /// Which blanks around a field are no part of its value.
    pub trim: Trim,
    /// Whether a record may have more fields than the others; they go nowhere.
    pub extra_fields: bool,
    /// Whether it may if those are empty, without quotes.
    pub extra_empty_fields: bool,
    /// Whether a record may have fewer; what it lacks is NULL.
    pub missing_fields: bool,
    /// What local times in `timestamptz` columns are local to.
    pub zone: TimeZone,
    /// How finely the server keeps a `timestamptz`.
    pub moments: Moments,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            null_strings: vec![Vec::new()],
            null_quoted: false,
            has_absent: false,
            trim: Trim::None,
            extra_fields: false,
            extra_empty_fields: false,
            missing_fields: false,
            zone: TimeZone::UTC,
            moments: Moments::default(),
        }
    }
}

/// The resolution of `timestamptz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moments {
    /// PostgreSQL's.
    #[default]
    Microseconds,
    /// Hologres's: finer digits are cut off here and counted, so that what is sent is what is stored.
    Milliseconds,
}

const MICROS_PER_MILLISECOND: i64 = 1_000;

/// One value to write: which column, from which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What the column holds.
    pub kind: Kind,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Index of the field.
    pub field: usize,
    /// Whether the column is part of the key.
    pub is_key: bool,
    /// Index of its rules, where it has some.
    pub conversion: Option<u16>,
}

/// Index of the rules of columns without rules of their own, where those of the object are more than one null string.
const PLAIN: u16 = u16::MAX;

/// What stands behind a record's fields as if it were one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// The same text for every record; none is NULL.
    Text(Option<Vec<u8>>),
    /// The line on which the record begins.
    Line,
    /// Fields of the record, as one JSON object.
    Members(Members),
    /// One text for deleted rows, another one, or NULL, for all others.
    Deletion {
        /// Of a row that is marked as deleted.
        gone: Vec<u8>,
        /// Of the others.
        there: Option<Vec<u8>>,
    },
}

/// What a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// How many of its bytes, from the first, are the key.
    pub key_len: usize,
    /// It is to be deleted, and nothing but its key was encoded.
    pub is_delete: bool,
}

/// Digits of the largest line number.
const LINE_DIGITS: usize = 20;

/// Types and encodes the records of one object.
pub struct Encoder {
    null_string: Vec<u8>,
    zones: Zones,
    moments: Moments,
    cut_count: Cell<u64>,
    slots: Vec<Slot>,
    key_slot_count: usize,
    field_count: usize,
    extras: Vec<Extra>,
    marks: Option<Marks>,
    rules: Rules,
    converters: Vec<Converter>,
    plain: Converter,
    scratch: Cell<Scratch>,
    /// Where JSON objects are put together, kept for its capacity.
    object: Cell<Vec<u8>>,
}

impl Encoder {
    /// An encoder for records of `field_count` fields; `slots` stand in statement order, key columns first.
    pub fn new(rules: Rules, slots: Vec<Slot>, field_count: usize) -> Self {
        let key_slot_count = slots.iter().take_while(|slot| slot.is_key).count();
        debug_assert!(slots[key_slot_count..].iter().all(|slot| !slot.is_key), "key columns come first");
        let is_one_null = rules.null_strings.len() == 1
            && (!rules.has_absent || rules.null_strings.first().is_some_and(Vec::is_empty));
        let is_simple = is_one_null && !rules.null_quoted && rules.trim == Trim::None;
        let mut slots = slots;
        if !is_simple {
            for slot in &mut slots {
                slot.conversion = slot.conversion.or(Some(PLAIN));
            }
        }
        Self {
            null_string: rules.null_strings.first().cloned().unwrap_or_default(),
            zones: Zones::new(rules.zone.clone()),
            moments: rules.moments,
            cut_count: Cell::new(0),
            slots,
            key_slot_count,
            field_count,
            extras: Vec::new(),
            marks: None,
            converters: Vec::new(),
            plain: Converter::new(Conversion::default(), &rules),
            scratch: Cell::default(),
            object: Cell::default(),
            rules,
        }
    }

    /// The same with the rules that slots name by their index.
    #[must_use]
    pub fn with_conversions(mut self, conversions: Vec<Conversion>) -> Self {
        let ready = |conversion| Converter::new(conversion, &self.rules);
        self.converters = conversions.into_iter().map(ready).collect();
        self
    }

    /// The same with what stands behind the fields: the slot of the first of them has the index `field_count`.
    #[must_use]
    pub fn with_extras(mut self, extras: Vec<Extra>) -> Self {
        self.extras = extras;
        self
    }

    /// The same for records of which one field marks deleted rows.
    #[must_use]
    pub fn with_marks(mut self, marks: Option<Marks>) -> Self {
        self.marks = marks;
        self
    }

    /// Appends the row to `out` and answers how many of its bytes, from the first, are the key.
    ///
    /// On refusal `out` is left as it was.
    pub fn encode(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<usize, Refusal> {
        self.encode_row(record, out).map(|encoded| encoded.key_len)
    }

    /// The same, for records that may be about rows to delete.
    pub fn encode_row(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<Encoded, Refusal> {
        let start = out.len();
        self.append_row(record, out).inspect_err(|_| out.truncate(start))
    }

    /// Whether `record` would be accepted.
    pub fn types_cleanly(&self, record: &Record<'_>) -> bool {
        let cut_count = self.cut_count.get();
        let is_clean = self.encode(record, &mut Vec::new()).is_ok();
        self.cut_count.set(cut_count);
        is_clean
    }

    /// Whether the text at `index` of what stands behind the fields is a value of each column that it fills.
    ///
    /// # Errors
    /// The reason for which every row would be refused.
    pub fn check_extra(&self, index: usize) -> Result<(), Reason> {
        let Some(Extra::Text(Some(text))) = self.extras.get(index) else { return Ok(()) };
        let at = self.field_count + index;
        let cut_count = self.cut_count.get();
        let mut slots = self.slots.iter().filter(|slot| slot.field == at);
        let checked = slots.try_for_each(|slot| self.append_said_text(slot, text, &mut Vec::new()));
        self.cut_count.set(cut_count);
        checked
    }

    /// Whether every text that stands in for NULL is a value of its column.
    ///
    /// # Errors
    /// The slot, and the reason for which rows would be refused.
    pub fn check_defaults(&self) -> Result<(), Refusal> {
        let cut_count = self.cut_count.get();
        let mut slots = self.slots.iter().enumerate();
        let checked =
            slots.try_for_each(|(index, slot)| match slot.conversion.map(|at| self.converter(at)) {
                Some(converter) if converter.has_default() => self
                    .append_default(slot, converter, &mut Vec::new())
                    .map_err(|reason| Refusal { slot: Some(index), reason }),
                _ => Ok(()),
            });
        self.cut_count.set(cut_count);
        checked
    }

    /// How many values lost digits that the server does not keep.
    pub fn cut_count(&self) -> u64 {
        self.cut_count.get()
    }

    fn moment(&self, micros: i64) -> i64 {
        let finer = micros.rem_euclid(MICROS_PER_MILLISECOND);
        let is_infinite = matches!(micros, i64::MIN | i64::MAX);
        if self.moments == Moments::Microseconds || finer == 0 || is_infinite {
            return micros;
        }
        self.cut_count.set(self.cut_count.get() + 1);
        micros - finer
    }

    fn append_row(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<Encoded, Refusal> {
        let mut record = *record;
        if record.field_count() != self.field_count {
            self.settle_field_count(&mut record)?;
        }
        let record = &record;
        let start = out.len();
        let mut key_len = 0;
        let is_delete = match &self.marks {
            None => false,
            Some(marks) => marks.says_delete(record)? && marks.deletes,
        };
        // Of a row that goes only the key matters; files of changes leave the rest empty.
        let slots = if is_delete { &self.slots[..self.key_slot_count] } else { &self.slots[..] };
        for (index, slot) in slots.iter().enumerate() {
            let refuse = |reason| Refusal { slot: Some(index), reason };
            match (record.field(slot.field), slot.conversion) {
                (Some(field), None) if !field.is_quoted && field.bytes == self.null_string => {
                    append_null(slot, out)
                }
                (Some(field), None) => self.append_value(slot, field.bytes, &self.zones, out),
                (Some(field), Some(index)) => self.append_converted(slot, self.converter(index), field, out),
                (None, _) => self.append_extra(slot, record, out),
            }
            .map_err(refuse)?;
            if index + 1 == self.key_slot_count {
                key_len = out.len() - start;
            }
        }
        Ok(Encoded { key_len, is_delete })
    }

    /// Refuses a record with another number of fields than the others, unless the rules put up with it.
    #[cold]
    fn settle_field_count(&self, record: &mut Record<'_>) -> Result<(), Refusal> {
        let (found, expected) = (record.field_count(), self.field_count);
        if found < expected && self.rules.missing_fields {
            return Ok(());
        }
        let is_empty = |span: &Span| !span.is_quoted && span.start == span.end;
        match record.spans.split_at_checked(expected) {
            Some((spans, extra))
                if self.rules.extra_fields || self.rules.extra_empty_fields && extra.iter().all(is_empty) =>
            {
                record.spans = spans;
                Ok(())
            }
            _ => Err(Refusal { slot: None, reason: Reason::FieldCount { found, expected } }),
        }
    }

    fn converter(&self, index: u16) -> &Converter {
        self.converters.get(usize::from(index)).unwrap_or(&self.plain)
    }

    fn append_extra(&self, slot: &Slot, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
        let at = slot.field.checked_sub(self.field_count);
        match at.and_then(|at| self.extras.get(at)) {
            Some(Extra::Text(Some(text))) => self.append_said_text(slot, text, out),
            Some(Extra::Line) => {
                let mut digits = [0; LINE_DIGITS];
                let mut rest = &mut digits[..];
                // A line's number has no more digits than there is room for.
                let _ = write!(rest, "{}", record.position.line);
                let unused = rest.len();
                self.append_said_text(slot, &digits[..LINE_DIGITS - unused], out)
            }
            Some(Extra::Members(members)) => {
                let mut object = self.object.take();
                object.clear();
                let appended = members
                    .append(record, &self.plain, &mut object)
                    .and_then(|()| self.append_value(slot, &object, &self.zones, out));
                self.object.set(object);
                appended
            }
            Some(Extra::Deletion { gone, there }) => {
                let is_gone = self.marks.as_ref().is_some_and(|marks| marks.says_delete(record) == Ok(true));
                match there {
                    _ if is_gone => self.append_said_text(slot, gone, out),
                    Some(there) => self.append_said_text(slot, there, out),
                    None => append_null(slot, out),
                }
            }
            Some(Extra::Text(None)) | None => match slot.conversion {
                Some(index) => self.append_default(slot, self.converter(index), out),
                None => append_null(slot, out),
            },
        }
    }

    /// Appends a text that stands in no field.
    fn append_said_text(&self, slot: &Slot, text: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
        match slot.conversion {
            Some(index) => self.append_said(slot, self.converter(index), text, out),
            None => self.append_value(slot, text, &self.zones, out),
        }
    }

    fn append_value(&self, slot: &Slot, text: &[u8], zones: &Zones, out: &mut Vec<u8>) -> Result<(), Reason> {
        match slot.kind {
            Kind::Bool => append_fixed([u8::from(scalar::boolean(text)?)], out),
            Kind::Int2 => append_fixed(scalar::int2(text)?.to_be_bytes(), out),
            Kind::Int4 => append_fixed(scalar::int4(text)?.to_be_bytes(), out),
            Kind::Int8 => append_fixed(scalar::int8(text)?.to_be_bytes(), out),
            Kind::Float4 => {
                let value = scalar::float4(text)?;
                // Adding 0 turns -0 into the 0 that it equals.
                append_fixed(if slot.is_key { value + 0.0 } else { value }.to_be_bytes(), out);
            }
            Kind::Float8 => {
                let value = scalar::float8(text)?;
                append_fixed(if slot.is_key { value + 0.0 } else { value }.to_be_bytes(), out);
            }
            Kind::Numeric { limits } => numeric::append(text, limits, slot.is_key, out)?,
            Kind::Text | Kind::Other => text::append(text, None, out)?,
            Kind::Varchar { char_max } => text::append(text, char_max, out)?,
            Kind::Char { char_max } => text::append_padded(text, char_max, slot.is_key, out)?,
            Kind::Date => append_fixed(time::date(text)?.to_be_bytes(), out),
            Kind::Time { digits } => append_fixed(time::time(text, digits)?.to_be_bytes(), out),
            Kind::Timestamp { digits } => append_fixed(time::timestamp(text, digits)?.to_be_bytes(), out),
            Kind::Timestamptz { digits } => {
                let micros = time::timestamptz(text, digits, zones)?;
                append_fixed(self.moment(micros).to_be_bytes(), out);
            }
            Kind::Uuid => append_fixed(scalar::uuid(text)?, out),
            Kind::Bytea => text::append_bytea(text, out)?,
            Kind::Json => text::append_json(text, out)?,
            Kind::Jsonb => text::append_jsonb(text, out)?,
        }
        Ok(())
    }
}

fn append_null(slot: &Slot, out: &mut Vec<u8>) -> Result<(), Reason> {
    const NULL_LENGTH: i32 = -1;
    if slot.not_null {
        return Err(Reason::Null);
    }
    out.extend_from_slice(&NULL_LENGTH.to_be_bytes());
    Ok(())
}

/// Appends a value of fixed width behind its length, in one step.
fn append_fixed<const WIDTH: usize>(value: [u8; WIDTH], out: &mut Vec<u8>) {
    // As long as the widest fixed value, a UUID, and its length.
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&width_bytes::<WIDTH>());
    bytes[4..4 + WIDTH].copy_from_slice(&value);
    out.extend_from_slice(&bytes[..4 + WIDTH]);
}

#[expect(clippy::cast_possible_truncation, reason = "checked when compiled")]
const fn width_bytes<const WIDTH: usize>() -> [u8; 4] {
    const { assert!(WIDTH <= 16, "no fixed value is wider") };
    [0, 0, 0, WIDTH as u8]
}
