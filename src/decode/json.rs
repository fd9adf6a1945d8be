//! JSON to records: one object for each line, or the objects of an array.
//!
//! In come the chunks of one object, cut anywhere; out come its records, each with its place, its original bytes and
//! one field for each path that is wanted. What [`csv`](super::csv) promises is promised here too: the same steps for
//! every chunking, nothing repaired, nothing lost, linear time, buffers of at most one record.
//!
//! The grammar is RFC 8259, all of it and no more. Beyond the grammar a record is malformed if a name stands twice in
//! it (in the record itself, or where a path leads through), if a string has half of a surrogate pair, or if it is no
//! object: what other readers do with these differs.
//!
//! - A string is the field that it means, and counts as quoted; numbers, `true` and `false` are fields as written;
//!   objects and arrays are their JSON text. `null` and what is not there are empty fields without quotes. A field can
//!   be asked for as JSON: then a string keeps its quotes and escapes.
//! - With [`Layout::Lines`] a record is a line; LF ends it, and a CR before it is a blank like others. Lines of nothing
//!   but blanks are none. A malformed line is one step, and the next line is read.
//! - With [`Layout::Document`] records are the elements of the array at `root`, or the one object there; with an empty
//!   root also objects that follow one another. What stands around the array must be JSON. A record whose grammar is
//!   right is one step even if it is malformed otherwise; where the grammar is broken it cannot be known what is a
//!   record any more, and the decoding ends with an error that names the place.
//!
//! The engine is our own because this is where the time of a load goes: a general parser builds values, or visits them
//! one by one behind an interface that forgets where they stood. `serde_json` is the oracle of the tests.

use std::mem;

use bytes::Bytes;
use memchr::memchr;

use self::extent::Extent;
use self::parse::Parser;
use self::text::Text;
use self::tree::Use;
use self::walk::{Item, Met, Walk};
use super::buffer::{BUFFER_KEEP_BYTES, BYTE_ORDER_MARK, join, reserve};
use super::csv::RECORD_BYTES_CAP;
use super::{Malformation, Position, Record, Step};
use crate::error::{Error, Result};

mod extent;
mod parse;
mod path;
mod survey;
mod text;
mod tree;
mod walk;

pub use self::path::{JsonPath, PATH_TOKENS_MAX};
pub use self::survey::{SURVEY_BYTES, SURVEY_RECORDS, Survey};

/// How records lie in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One on each line.
    Lines,
    /// In an array, or one behind the other.
    Document {
        /// Where the array is.
        root: JsonPath,
    },
}

/// What becomes of names that no path wants and nothing was said about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// A record with one is malformed.
    Refuse,
    /// They are passed over.
    Pass,
    /// They are one more field, behind those of the paths: a JSON object.
    Collect,
}

/// Decodes one object of JSON.
#[derive(Debug)]
pub struct JsonDecoder {
    parser: Parser,
    /// `None`: records are lines.
    walk: Option<Walk>,
    record_bytes_max: usize,
    chunk: Bytes,
    /// The first byte of the chunk that is neither answered nor carried.
    at: usize,
    /// The value so far, where it began in an earlier chunk.
    carry: Vec<u8>,
    decoded: Vec<u8>,
    /// Where the byte `at` is; of a value that was begun, where that begins.
    here: Position,
    /// Where the current record begins, or the next one; in a document where the last one ended.
    position: Position,
    /// The value that was begun.
    item: Option<Item>,
    extent: Extent,
    /// The record that was handed out.
    last: Whole,
    is_answered: bool,
    is_finished: bool,
    failure: Option<Failure>,
}

/// Why decoding cannot go on.
#[derive(Clone, Copy, Debug)]
enum Failure {
    TooLong(Position),
    Broken { at: Position, what: &'static str },
}

type Sought<T> = std::result::Result<T, Failure>;

/// A value that is all there: the carry, or these bytes of the chunk.
#[derive(Clone, Copy, Debug, Default)]
struct Whole {
    begin: usize,
    length: usize,
}

impl JsonDecoder {
    /// A decoder for one object in which a record, its line end included, is at most `record_bytes_max` bytes long,
    /// and in any case at most [`RECORD_BYTES_CAP`]. Its records have one field for each path.
    pub fn new(paths: &[JsonPath], layout: Layout, record_bytes_max: usize) -> Self {
        Self {
            parser: Parser::new(paths),
            walk: match layout {
                Layout::Lines => None,
                Layout::Document { root } => Some(Walk::new(root)),
            },
            record_bytes_max: record_bytes_max.min(RECORD_BYTES_CAP),
            chunk: Bytes::new(),
            at: 0,
            carry: Vec::new(),
            decoded: Vec::new(),
            here: Position { line: 1, byte: 0 },
            position: Position { line: 1, byte: 0 },
            item: None,
            extent: Extent::default(),
            last: Whole::default(),
            is_answered: false,
            is_finished: false,
            failure: None,
        }
    }

    /// The same for the rest of an object whose records before `position` are done with; `around` is what
    /// [`JsonDecoder::around`] said there.
    #[must_use]
    pub fn resumed(mut self, position: Position, around: &str) -> Self {
        self.here = position;
        self.position = position;
        if position.byte > 0 {
            self.walk = self.walk.map(|walk| walk.resumed(around));
        }
        self
    }

    /// The same with fields, by their paths' places, whose strings are taken with quotes and escapes.
    #[must_use]
    pub fn with_json_fields(mut self, fields: impl IntoIterator<Item = usize>) -> Self {
        fields.into_iter().for_each(|field| self.parser.take_as_json(field));
        self
    }

    /// The same with names of the record that are known and go nowhere.
    #[must_use]
    pub fn with_passed<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        names.into_iter().for_each(|name| self.parser.know(name, Use::Passed));
        self
    }

    /// The same with names of the record that come too late: a record with one is [`Malformation::LateName`].
    #[must_use]
    pub fn with_late<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        names.into_iter().for_each(|name| self.parser.know(name, Use::Late));
        self
    }

    /// The same where names may be written otherwise: one whose form is that of a wanted or late name comes too late.
    #[must_use]
    pub fn with_forms<'n>(
        mut self,
        names: impl IntoIterator<Item = &'n str>,
        form: fn(&str) -> String,
    ) -> Self {
        self.parser.treat_forms(names.into_iter().map(form).collect(), form);
        self
    }

    /// The same with a rule for all other names; unless said, they are passed over.
    #[must_use]
    pub fn with_others(mut self, rule: Others) -> Self {
        self.parser.treat_others(rule);
        self
    }

    /// Where the record that was not yet answered begins, or the last one ended.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What is open around the records of a document.
    pub fn around(&self) -> &str {
        self.walk.as_ref().map(Walk::around).unwrap_or_default()
    }

    /// Appends the names that no path wants and nothing was said about, of the record that was handed out.
    fn other_names(&self, mut add: impl FnMut(&[u8])) {
        self.parser.other_names(self.whole(self.last)).for_each(&mut add);
    }

    /// A name that was passed over though nothing was said about it, if there was one.
    pub fn passed_over(&self) -> Option<&str> {
        self.parser.passed_over()
    }

    /// Gives the next chunk. It is due at the start and after [`Step::NeedInput`]; earlier it is right too, but
    /// copies what is left of the chunk before.
    pub fn push(&mut self, chunk: Bytes) {
        if self.failure.is_some() {
            return;
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        self.chunk = join(rest, chunk);
        self.at = 0;
    }

    /// Says that no chunk will follow.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    /// The next record, or what stands in its way.
    ///
    /// # Errors
    ///
    /// A record longer than the limit ends the decoding, and so does a document that is not well formed: this step and
    /// all that follow give the same error.
    pub fn step(&mut self) -> Result<Step<'_>> {
        self.forget_answered();
        if let Some(failure) = self.failure {
            return Err(failure.error(self.record_bytes_max, self.walk.is_some()));
        }
        if self.here.byte == 0 && self.item.is_none() && !self.pass_mark() {
            return Ok(Step::NeedInput);
        }
        let found = if self.walk.is_some() { self.next_element() } else { self.next_line() };
        match found {
            Ok(Some(whole)) => self.answer(whole),
            Ok(None) if self.is_finished => Ok(Step::End),
            Ok(None) => Ok(Step::NeedInput),
            Err(failure) => Err(self.give_up(failure)),
        }
    }

    /// Makes room for the next record after one was handed out.
    fn forget_answered(&mut self) {
        if mem::take(&mut self.is_answered) {
            self.drop_carry();
            if !self.decoded.is_empty() {
                self.decoded.clear();
                self.decoded.shrink_to(BUFFER_KEEP_BYTES);
            }
        }
    }

    fn drop_carry(&mut self) {
        if !self.carry.is_empty() {
            self.carry.clear();
            self.carry.shrink_to(BUFFER_KEEP_BYTES);
        }
    }

    /// Passes over a byte-order mark; `false` while it is not known whether there is one.
    fn pass_mark(&mut self) -> bool {
        let start = self.chunk.get(..BYTE_ORDER_MARK.len()).unwrap_or(&self.chunk);
        if start == BYTE_ORDER_MARK {
            self.at += BYTE_ORDER_MARK.len();
            self.here.byte += BYTE_ORDER_MARK.len() as u64;
            if self.walk.is_none() {
                self.position = self.here;
            }
        } else if BYTE_ORDER_MARK.starts_with(start) && !self.is_finished {
            // The bytes stay in the chunk, and the next push joins them to what it brings.
            return false;
        }
        true
    }

    /// The next line that is not blank; `None` where it is not all there.
    fn next_line(&mut self) -> Sought<Option<Whole>> {
        loop {
            let begin = self.at;
            let rest = self.chunk.get(begin..).unwrap_or_default();
            // One byte past the limit tells a record that is too long from one that is not, however large the chunk.
            let room = self.record_bytes_max.saturating_sub(self.carry.len()) + 1;
            let window = rest.get(..room).unwrap_or(rest);
            let end = memchr(b'\n', window).map(|at| at + 1);
            let is_there = end.is_some() || self.is_finished && window.len() == rest.len();
            self.take(begin, end.unwrap_or(window.len()), is_there)?;
            let whole = Whole { begin, length: self.at - begin };
            let line = self.whole(whole);
            if line.is_empty() || !is_there {
                return Ok(None);
            }
            if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
                let (length, ends) = (line.len() as u64, u64::from(line.ends_with(b"\n")));
                self.here = Position { line: self.here.line + ends, byte: self.here.byte + length };
                self.position = self.here;
                self.item = None;
                self.drop_carry();
                continue;
            }
            self.position = self.here;
            return Ok(Some(whole));
        }
    }

    /// Takes `length` more bytes of the chunk for the current value, into the carry unless all of it is in the chunk.
    fn take(&mut self, begin: usize, length: usize, is_all: bool) -> Sought<()> {
        self.at = begin + length;
        if !is_all || !self.carry.is_empty() {
            let part = self.chunk.get(begin..self.at).unwrap_or_default();
            reserve(&mut self.carry, part.len(), self.record_bytes_max);
            self.carry.extend_from_slice(part);
        }
        let taken = if self.carry.is_empty() { length } else { self.carry.len() };
        // A line that has begun is a value, so that no byte-order mark is looked for in its middle.
        if taken > 0 && self.item.is_none() {
            self.item = Some(Item::Record);
        }
        if taken > self.record_bytes_max { Err(Failure::TooLong(self.here)) } else { Ok(()) }
    }

    fn whole(&self, whole: Whole) -> &[u8] {
        raw_of(&self.carry, &self.chunk, whole)
    }

    /// The next record of a document; `None` where it is not all there, and at the end.
    fn next_element(&mut self) -> Sought<Option<Whole>> {
        loop {
            let item = match self.item {
                Some(item) => item,
                None => match self.reach_value()? {
                    Some(item) => item,
                    None => return Ok(None),
                },
            };
            let begin = self.at;
            let rest = self.chunk.get(begin..).unwrap_or_default();
            let room = self.record_bytes_max.saturating_sub(self.carry.len()) + 1;
            let window = rest.get(..room).unwrap_or(rest);
            let is_last = self.is_finished && window.len() == rest.len();
            let end = self.extent.scan(window);
            let is_there = end.is_some() || is_last && self.extent.is_bare();
            self.take(begin, end.unwrap_or(window.len()), is_there)?;
            if !is_there {
                if is_last {
                    return Err(broken(self.here, "the object ends before its JSON text does"));
                }
                return Ok(None);
            }
            let whole = Whole { begin, length: self.at - begin };
            match item {
                Item::Record => {
                    self.position = self.here;
                    return Ok(Some(whole));
                }
                Item::Name | Item::Aside => self.pass_value(whole, item)?,
            }
        }
    }

    /// Passes over blanks and marks; `None` where no value begins in the chunk.
    fn reach_value(&mut self) -> Sought<Option<Item>> {
        let Some(walk) = &mut self.walk else { return Ok(None) };
        while let Some(byte) = self.chunk.get(self.at).copied() {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                let met = walk.meet(byte).map_err(|what| Failure::Broken { at: self.here, what })?;
                if let Met::Value(item) = met {
                    self.item = Some(item);
                    self.extent = Extent::default();
                    return Ok(Some(item));
                }
            }
            self.at += 1;
            self.here.byte += 1;
            self.here.line += u64::from(byte == b'\n');
        }
        if self.is_finished {
            walk.finish().map_err(|what| Failure::Broken { at: self.here, what })?;
        }
        Ok(None)
    }

    /// A value on the way to the records, or beside it.
    fn pass_value(&mut self, whole: Whole, item: Item) -> Sought<()> {
        let bytes = self.whole(whole);
        let mut text = Text::new(bytes);
        let mut name = Vec::new();
        let checked = if item == Item::Name {
            text.string().map(|quoted| text::unescape(text.slice(quoted.start, quoted.end), &mut name))
        } else {
            text.skip(0)
        };
        let checked = checked.and_then(|()| match std::str::from_utf8(bytes) {
            Ok(_) => text.noted().map_or(Ok(()), Err),
            Err(_) => Err(text.fault(Malformation::NotUtf8)),
        });
        let checked = match checked {
            Ok(()) if text.at == bytes.len() => Ok(()),
            Ok(()) => Err(text.fault(Malformation::NotJson)),
            fault => fault,
        };
        let advanced = advanced(self.here, bytes);
        if let Err(fault) = checked {
            let at = advanced_to(self.here, bytes, fault.at);
            return Err(broken(at, fault.malformation.reason()));
        }
        if let Some(walk) = self.walk.as_mut().filter(|_| item == Item::Name) {
            walk.name(&name).map_err(|what| Failure::Broken { at: self.here, what })?;
        }
        self.here = advanced;
        self.item = None;
        self.drop_carry();
        Ok(())
    }

    /// Notes why decoding cannot go on.
    #[cold]
    fn give_up(&mut self, failure: Failure) -> Error {
        self.failure = Some(failure);
        self.carry = Vec::new();
        self.chunk = Bytes::new();
        self.at = 0;
        failure.error(self.record_bytes_max, self.walk.is_some())
    }

    /// Hands out a record.
    fn answer(&mut self, whole: Whole) -> Result<Step<'_>> {
        let position = self.position;
        let raw = raw_of(&self.carry, &self.chunk, whole);
        let parsed = self.parser.parse(raw);
        if let Err(fault) = &parsed
            && self.walk.is_some()
            && !fault.malformation.is_bounded()
        {
            let at = advanced_to(position, raw, fault.at);
            let what = fault.malformation.reason();
            return Err(self.give_up(Failure::Broken { at, what }));
        }
        let raw = raw_of(&self.carry, &self.chunk, whole);
        self.here = match &mut self.walk {
            // A line has one end.
            None => Position {
                line: position.line + u64::from(raw.ends_with(b"\n")),
                byte: position.byte + raw.len() as u64,
            },
            Some(walk) => {
                walk.end_record();
                advanced(position, raw)
            }
        };
        self.position = self.here;
        self.item = None;
        self.is_answered = true;
        self.last = whole;
        if let Err(fault) = parsed {
            return Ok(Step::Malformed {
                position,
                raw,
                malformation: fault.malformation,
                field: fault.field,
            });
        }
        let data = if self.parser.needs_decoding() {
            reserve(&mut self.decoded, raw.len(), RECORD_BYTES_CAP);
            self.decoded.extend_from_slice(raw);
            self.parser.decode(raw, &mut self.decoded);
            &self.decoded
        } else {
            raw
        };
        Ok(Step::Record(Record { position, raw, data, spans: self.parser.spans() }))
    }
}

fn raw_of<'b>(carry: &'b [u8], chunk: &'b Bytes, whole: Whole) -> &'b [u8] {
    if carry.is_empty() {
        chunk.get(whole.begin..whole.begin + whole.length).unwrap_or_default()
    } else {
        carry
    }
}

/// Whether a text is one well-formed object.
pub fn is_object(text: &[u8]) -> bool {
    Parser::new(&[]).parse(text).is_ok()
}

/// A bad record's text as one line, for objects that have one on each: line ends between its parts become blanks. Inside
/// of strings they stay, since there they are what is wrong with it.
pub fn one_line(record: &[u8]) -> Vec<u8> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let one = |byte: &u8| {
        let is_between = !is_quoted;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'"' => is_quoted = !is_quoted,
            b'\\' => is_escaped = is_quoted,
            _ => {}
        }
        if is_between && matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }
    };
    record.iter().map(one).collect()
}

#[cold]
fn broken(at: Position, what: &'static str) -> Failure {
    Failure::Broken { at, what }
}

/// Where the byte behind `bytes` is, which begin at `position`.
fn advanced(position: Position, bytes: &[u8]) -> Position {
    let line_ends = memchr::memchr_iter(b'\n', bytes).count() as u64;
    Position { line: position.line + line_ends, byte: position.byte + bytes.len() as u64 }
}

fn advanced_to(position: Position, bytes: &[u8], at: usize) -> Position {
    advanced(position, bytes.get(..at).unwrap_or(bytes))
}

impl Failure {
    fn error(self, record_bytes_max: usize, is_document: bool) -> Error {
        match self {
            Self::TooLong(Position { line, byte }) => {
                let cause = if is_document {
                    "a string or an object that begins there is probably never closed"
                } else {
                    "JSON Lines have one object on each line; `parse: {format: json}` reads an array, or an object over several lines"
                };
                Error::input(format!("record at line {line}, byte {byte} is longer than {record_bytes_max} bytes"))
                    .with_hint(format!(
                        "{cause}; if the record is really that long, give more memory: the limit grows with it"
                    ))
            }
            Self::Broken { at: Position { line, byte }, what } => {
                Error::input(format!("read JSON at line {line}, byte {byte}: {what}")).with_hint(
                    "correct the object there and put it again; `parse: {format: jsonl}` goes on behind a broken line, where \
                     each record stands on a line of its own",
                )
            }
        }
    }
}
