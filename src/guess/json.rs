//! JSON: an object in each line, or an array of objects somewhere in a document.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::column::{self, Setting};
use super::facts::Facts;
use super::grid::lines;
use super::plain::Plain;
use super::verify::Reader;
use super::{ColumnGuess, Format, Guess, Hints, Newline, Note, Sample, Type};
use crate::error::counted;

/// Objects that are looked at.
const OBJECTS_MAX: usize = 20_000;
/// Columns that are looked at.
const KEYS_MAX: usize = 1_600;
/// How deep an array may lie.
const DEPTH_MAX: usize = 8;

/// An object's members in their order, values as written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn members(text: &[u8]) -> Option<Vec<(String, Box<RawValue>)>> {
    serde_json::from_slice::<Members>(text).ok().map(|members| members.0)
}

/// Whether the text is JSON, and which kind.
pub(super) fn sniff(plain: &Plain, sample: &Sample<'_>) -> Option<Format> {
    let text = plain.text.trim_ascii_start();
    let first = lines(text).find(|line| !line.trim_ascii().is_empty()).unwrap_or_default().trim_ascii();
    let is_object = first.starts_with(b"{") && members(first).is_some();
    let says = |word: &str| {
        sample.content_type.is_some_and(|kind| kind.contains(word))
            || sample.name.to_lowercase().contains(word)
    };
    if is_object {
        let others = lines(text).filter(|line| !line.trim_ascii().is_empty()).nth(1).is_some();
        let is_document = !others
            && !says(".jsonl")
            && !says(".ndjson")
            && find_array(text).is_some_and(|(root, _)| !root.is_empty());
        return Some(if is_document { Format::Json } else { Format::Jsonl });
    }
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    let is_array = text.starts_with(b"[") && (inner.starts_with(b"{") || inner.starts_with(b"]"));
    // A name over its value: an object that spans lines.
    let is_spread = text.starts_with(b"{") && has_name(inner);
    if is_array || is_spread || (text.starts_with(b"{") && (find_array(text).is_some() || says(".json"))) {
        return Some(Format::Json);
    }
    (says(".jsonl") || says(".ndjson")).then_some(Format::Jsonl).filter(|_| text.starts_with(b"{"))
}

/// Whether the rows are JSON arrays, one in each line or all in one: their values have no names.
pub(super) fn has_arrays_for_rows(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let is_array = |line: &[u8]| line.starts_with(b"[") && value_length(line) == Some(line.len());
    let mut filled = lines(text).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let inner = text.get(1..).unwrap_or_default().trim_ascii_start();
    text.starts_with(b"[")
        && (inner.starts_with(b"[") && value_length(text).is_some()
            || filled.next().is_some_and(is_array) && filled.next().is_some_and(is_array))
}

/// Whether objects follow one another, outside of an array.
fn is_sequence(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let rest = value_length(text).and_then(|length| text.get(length..)).unwrap_or_default();
    text.starts_with(b"{") && rest.trim_ascii_start().starts_with(b"{")
}

/// Whether a text begins with a member's name and the colon behind it.
fn has_name(text: &[u8]) -> bool {
    let length = value_length(text).filter(|_| text.starts_with(b"\""));
    length.and_then(|length| text.get(length..)).is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"))
}

pub(super) fn guess(plain: &Plain, format: Format, hints: &Hints) -> Guess {
    let mut guess = Guess { header: true, ..Guess::empty(format) };
    let mut table = Table::default();
    if format == Format::Jsonl {
        table.feed_lines(&plain.text, plain.is_whole);
        for piece in &plain.further {
            table.feed_lines(piece, true);
        }
    } else if is_sequence(&plain.text) {
        table.feed_array(&plain.text, plain.is_whole);
    } else if let Some((root, from)) = find_array(&plain.text) {
        if !root.is_empty() {
            guess.sure = guess.sure.min(0.8);
            guess.notes.push(Note::file(format!(
                "the records are those of the array at `{root}`; what stands beside it is not loaded"
            )));
        }
        guess.root = root;
        table.feed_array(plain.text.get(from + 1..).unwrap_or_default(), plain.is_whole);
    } else if plain.text.trim_ascii_start().starts_with(b"{") {
        table.feed_array(&plain.text, plain.is_whole);
    } else {
        guess.notes.push(Note::file("there is no array of objects in the document"));
    }
    if memchr::memmem::find(&plain.text, b"\r\n").is_some() {
        guess.newline = Newline::Crlf;
    }
    guess.row_count = table.rows;
    guess.odd_count = table.odd;
    if table.odd > 0 {
        guess.notes.push(Note::file(format!(
            "{}: no JSON object, refused when loaded",
            counted(table.odd, "record")
        )));
    }
    if !plain.is_whole {
        guess.notes.push(Note::file("the file goes on behind the sample"));
    }
    for key in &table.keys {
        let (column, notes) = key.column(table.rows, hints);
        guess.columns.push(column);
        guess.notes.extend(notes);
    }
    if guess.row_count == 0 {
        guess.sure = 0.0;
    }
    guess
}

/// One key, and what its values are.
#[derive(Default)]
struct Key {
    name: String,
    present: u64,
    nulls: u64,
    booleans: u64,
    nested: u64,
    numbers: Facts,
    texts: Facts,
    /// Texts that are kept to see whether the guessed type reads them.
    kept: Vec<Vec<u8>>,
}

/// Texts that are kept of each key.
const KEPT_MAX: usize = 1_000;

impl Key {
    fn feed(&mut self, value: &RawValue) {
        self.present += 1;
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'n') => self.nulls += 1,
            Some(b't' | b'f') => self.booleans += 1,
            Some(b'{' | b'[') => self.nested += 1,
            Some(b'"') => {
                let text: String = serde_json::from_str(text).unwrap_or_default();
                self.texts.feed(text.as_bytes(), true);
                if self.kept.len() < KEPT_MAX {
                    self.kept.push(text.into_bytes());
                }
            }
            _ => self.numbers.feed(text.as_bytes(), false),
        }
    }

    fn column(&self, rows: u64, hints: &Hints) -> (ColumnGuess, Vec<Note>) {
        let texts = self.texts.values + self.texts.empty_quoted + self.texts.nulls_quoted.len() as u64;
        let kinds = [self.booleans, self.nested, self.numbers.values, texts];
        let missing = rows.saturating_sub(self.present);
        let is_mixed = kinds.iter().filter(|count| **count > 0).count() > 1;
        let mut notes = Vec::new();
        let mut column = if is_mixed {
            let kind = if self.nested > 0 || self.booleans > 0 { Type::Jsonb } else { Type::Text };
            notes.push(Note::column(&self.name, "values of different JSON types stand under one key"));
            let mut column = ColumnGuess::known(&self.name, kind, false);
            column.sure = 0.5;
            column
        } else if self.booleans > 0 {
            ColumnGuess::known(&self.name, Type::Bool, false)
        } else if self.nested > 0 {
            ColumnGuess::known(&self.name, Type::Jsonb, false)
        } else if self.numbers.values > 0 {
            let choice = column::choose_number(&self.name, &self.numbers);
            notes.extend(choice.notes);
            choice.column
        } else {
            self.text(hints, &mut notes)
        };
        column.nullable = self.nulls > 0 || missing > 0 || self.present == 0;
        column.is_unique &= !column.nullable;
        column.evidence.push(format!("{} of {rows} objects have it, {} null", self.present, self.nulls));
        (column, notes)
    }

    fn text(&self, hints: &Hints, notes: &mut Vec<Note>) -> ColumnGuess {
        let mut facts = self.texts.clone();
        let words: Vec<String> = facts.nulls_quoted.keys().cloned().collect();
        for word in &words {
            facts.take_back(word, true);
        }
        let setting = Setting { is_all_text: hints.is_all_text, is_typed: true, order: None };
        let choice = column::choose(&self.name, &facts, setting);
        let mut column = choice.column;
        // An empty text is no NULL in JSON.
        let reader = Reader::new(&column);
        let reads = |text: &Vec<u8>| reader.as_ref().is_some_and(|reader| reader.reads(text));
        if column.kind != Type::Text && (facts.empty_quoted > 0 || !self.kept.iter().all(reads)) {
            column.kind = Type::Text;
            column.formats.clear();
            column.sure = 0.5;
            notes.push(Note::column(
                &self.name,
                "some texts are not of the kind that the others are; it stays text",
            ));
        } else {
            notes.extend(choice.notes);
        }
        column
    }
}

#[derive(Default)]
struct Table {
    keys: Vec<Key>,
    index: HashMap<String, usize>,
    rows: u64,
    odd: u64,
}

impl Table {
    fn feed(&mut self, text: &[u8]) {
        let Some(members) = members(text) else {
            self.odd += 1;
            return;
        };
        self.rows += 1;
        for (name, value) in members {
            let at = match self.index.get(&name) {
                Some(at) => *at,
                None if self.keys.len() < KEYS_MAX => {
                    self.index.insert(name.clone(), self.keys.len());
                    self.keys.push(Key { name, ..Key::default() });
                    self.keys.len() - 1
                }
                None => continue,
            };
            if let Some(key) = self.keys.get_mut(at) {
                key.feed(&value);
            }
        }
    }

    fn feed_lines(&mut self, text: &Bytes, is_whole: bool) {
        let end = if is_whole { text.len() } else { memchr::memrchr(b'\n', text).map_or(0, |at| at + 1) };
        for line in lines(text.get(..end).unwrap_or_default()) {
            if !line.trim_ascii().is_empty() && self.rows + self.odd < OBJECTS_MAX as u64 {
                self.feed(line);
            }
        }
    }

    /// The objects of an array behind its bracket, or those that follow one another.
    fn feed_array(&mut self, text: &[u8], is_whole: bool) {
        let mut at = 0;
        while self.rows + self.odd < OBJECTS_MAX as u64 {
            at += skip_blank(text.get(at..).unwrap_or_default());
            let rest = text.get(at..).unwrap_or_default();
            match rest.first() {
                Some(b'{' | b'[') => {}
                _ => return,
            }
            let Some(length) = value_length(rest) else {
                self.odd += u64::from(is_whole);
                return;
            };
            self.feed(rest.get(..length).unwrap_or_default());
            at += length;
        }
    }
}

fn skip_blank(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',').count()
}

/// How long the JSON value at the start of the text is, if its end is there.
fn value_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        if is_text {
            is_text = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            if !is_text && depth == 0 {
                return Some(at + 1);
            }
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return Some(at + usize::from(depth == 1)),
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// The first array of objects: its JSON pointer, and where it begins.
fn find_array(text: &[u8]) -> Option<(String, usize)> {
    find_below(text, 0, &mut String::new(), DEPTH_MAX)
}

fn find_below(text: &[u8], begin: usize, path: &mut String, depth: usize) -> Option<(String, usize)> {
    let mut at = begin + skip_blank(text.get(begin..)?);
    let first = *text.get(at)?;
    if first == b'[' {
        let inner = at + 1 + skip_blank(text.get(at + 1..)?);
        return (text.get(inner) == Some(&b'{')).then(|| (path.clone(), at));
    }
    if first != b'{' || depth == 0 {
        return None;
    }
    at += 1;
    loop {
        at += skip_blank(text.get(at..)?);
        let key_length = value_length(text.get(at..)?).filter(|_| text.get(at) == Some(&b'"'))?;
        let key: String = serde_json::from_slice(text.get(at..at + key_length)?).ok()?;
        at += key_length;
        at += skip_blank(text.get(at..)?);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at += 1;
        at += skip_blank(text.get(at..)?);
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        if let Some(found) = find_below(text, at, path, depth - 1) {
            return Some(found);
        }
        path.truncate(length);
        at += value_length(text.get(at..)?)?.max(1);
    }
}
