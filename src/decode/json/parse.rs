//! One record's text to the fields that are wanted of it.

use std::collections::BTreeSet;

use super::Others;
use super::path::JsonPath;
use super::text::{DEPTH_MAX, Fault, Quoted, Text, unescape};
use super::tree::{NONE, ROOT, Tree, Use};
use crate::decode::{Malformation, Span};

/// How many names a record may have that no path wants; each takes more memory than it has bytes.
const OTHERS_MAX: usize = 1 << 16;

/// A member of the record that no path wants.
#[derive(Clone, Copy, Debug)]
struct Other {
    /// Its name as it is written, without quotes.
    written: Span,
    /// Its name as it is meant: in the text, or if it was written with escapes in [`Parser::names`].
    meant: Span,
    has_escape: bool,
    value: Span,
}

/// Finds fields; holds them until the next record.
#[derive(Debug)]
pub(super) struct Parser {
    tree: Tree,
    others_rule: Others,
    /// Fields that are taken as they are written.
    as_json: Vec<bool>,
    spans: Vec<Span>,
    /// Children whose fields hold escapes.
    escaped: Vec<u32>,
    others: Vec<Other>,
    /// Names that were written with escapes, without them.
    names: Vec<u8>,
    /// Forms of names that come too late, and what makes them.
    forms: Option<(BTreeSet<String>, fn(&str) -> String)>,
    /// The first name that was passed over.
    passed_over: Option<String>,
    record: u64,
}

impl Parser {
    pub(super) fn new(paths: &[JsonPath]) -> Self {
        Self {
            tree: Tree::new(paths),
            others_rule: Others::Pass,
            as_json: vec![false; paths.len()],
            spans: vec![Span::default(); paths.len()],
            escaped: Vec::new(),
            others: Vec::new(),
            names: Vec::new(),
            forms: None,
            passed_over: None,
            record: 0,
        }
    }

    pub(super) fn take_as_json(&mut self, field: usize) {
        if let Some(as_json) = self.as_json.get_mut(field) {
            *as_json = true;
        }
    }

    pub(super) fn know(&mut self, name: &str, purpose: Use) {
        self.tree.know(name, purpose);
    }

    pub(super) fn treat_others(&mut self, rule: Others) {
        if rule == Others::Collect && self.others_rule != Others::Collect {
            self.spans.push(Span::default());
        }
        self.others_rule = rule;
    }

    pub(super) fn treat_forms(&mut self, forms: BTreeSet<String>, form: fn(&str) -> String) {
        self.forms = Some((forms, form));
    }

    pub(super) fn passed_over(&self) -> Option<&str> {
        self.passed_over.as_deref()
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Whether fields are not as they stand in the text.
    pub(super) fn needs_decoding(&self) -> bool {
        !self.escaped.is_empty() || self.others_rule == Others::Collect
    }

    /// Appends to `data`, which begins with the record's text `raw`, what fields are that do not stand in it.
    pub(super) fn decode(&mut self, raw: &[u8], data: &mut Vec<u8>) {
        for child in &self.escaped {
            let Some(child) = self.tree.child(*child) else { continue };
            let mut decoded = None;
            for field in child.fields.iter().map(|field| *field as usize) {
                let is_text = self.as_json.get(field) == Some(&false);
                let Some(span) = self.spans.get_mut(field).filter(|_| is_text) else { continue };
                // Fields of one path share what was decoded.
                *span = *decoded.get_or_insert_with(|| {
                    let start = data.len();
                    unescape(slice(raw, *span), data);
                    spanned(start, data.len(), true)
                });
            }
        }
        if self.others_rule == Others::Collect {
            self.collect(raw, data);
        }
    }

    /// One object of the members that no path wants.
    fn collect(&mut self, raw: &[u8], data: &mut Vec<u8>) {
        let start = data.len();
        data.push(b'{');
        for other in &self.others {
            data.extend_from_slice(if data.len() > start + 1 { b",\"" } else { b"\"" });
            data.extend_from_slice(slice(raw, other.written));
            data.extend_from_slice(b"\":");
            data.extend_from_slice(slice(raw, other.value));
        }
        data.push(b'}');
        if let Some(span) = self.spans.last_mut() {
            *span = spanned(start, data.len(), true);
        }
    }

    /// The names that no path wants, as they are meant.
    pub(super) fn other_names<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = &'t [u8]> {
        self.others.iter().map(move |other| name_of(&self.names, text, other))
    }

    /// Reads a record.
    pub(super) fn parse(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.record += 1;
        self.spans.fill(Span::default());
        self.escaped.clear();
        self.others.clear();
        self.names.clear();
        let mut text = Text::new(bytes);
        text.skip_blanks();
        let is_object = text.peek() == Some(b'{');
        if is_object {
            self.object(&mut text, ROOT, 0)?;
        } else {
            text.skip(0)?;
        }
        text.skip_blanks();
        if text.peek().is_some() {
            return Err(text.fault(Malformation::NotJson));
        }
        let refuse = |malformation, at| Err(Fault { malformation, at, field: usize::MAX });
        if let Err(error) = std::str::from_utf8(bytes) {
            return refuse(Malformation::NotUtf8, error.valid_up_to());
        }
        if !is_object {
            return refuse(Malformation::NotAnObject, 0);
        }
        self.check_others(bytes)?;
        text.noted().map_or(Ok(()), Err)
    }

    /// An object that paths lead through, at its brace.
    fn object(&mut self, text: &mut Text<'_>, node: u32, depth: u32) -> Result<(), Fault> {
        text.at += 1;
        text.skip_blanks();
        if text.take(b'}') {
            return Ok(());
        }
        let mut last = NONE;
        loop {
            let name = text.string()?;
            let found = self.find(text, node, last, name);
            text.skip_blanks();
            text.expect(b':')?;
            text.skip_blanks();
            if found == NONE {
                let start = text.at;
                text.skip(depth + 1)?;
                if node == ROOT {
                    self.note_other(text, name, start)?;
                }
            } else {
                last = found;
                self.value(text, found, depth + 1, Some(name))?;
            }
            text.skip_blanks();
            if text.take(b'}') {
                return Ok(());
            }
            text.expect(b',')?;
            text.skip_blanks();
        }
    }

    fn find(&mut self, text: &Text<'_>, node: u32, last: u32, name: Quoted) -> u32 {
        let raw = text.slice(name.start, name.end);
        if !name.has_escape {
            return self.tree.find(node, last, raw);
        }
        let start = self.names.len();
        unescape(raw, &mut self.names);
        let found = self.tree.find(node, last, self.names.get(start..).unwrap_or_default());
        self.names.truncate(start);
        found
    }

    /// The value of a known member or element, at its first byte.
    fn value(
        &mut self,
        text: &mut Text<'_>,
        index: u32,
        depth: u32,
        name: Option<Quoted>,
    ) -> Result<(), Fault> {
        let record = self.record;
        let Some(child) = self.tree.child(index) else { return text.skip(depth) };
        let (node, field) = (child.node, child.fields.first().map_or(usize::MAX, |field| *field as usize));
        let within = |fault: Fault| if fault.field == usize::MAX { Fault { field, ..fault } } else { fault };
        if std::mem::replace(&mut child.seen, record) == record {
            text.note(within(text.fault(Malformation::DuplicateName)));
        }
        if child.purpose == Use::Late {
            let name = name.map(|name| spanned(name.start, name.end, true)).unwrap_or_default();
            text.note(text.fault(Malformation::LateName(name)));
        }
        let start = text.at;
        let mut span = None;
        match text.peek() {
            Some(b'"') => {
                let quoted = text.string().map_err(within)?;
                if quoted.has_escape {
                    self.escaped.push(index);
                }
                span = Some(spanned(quoted.start, quoted.end, true));
            }
            Some(b'{') if node != NONE && depth < DEPTH_MAX => self.object(text, node, depth)?,
            Some(b'[') if node != NONE && depth < DEPTH_MAX => self.array(text, node, depth)?,
            _ => text.skip(depth).map_err(within)?,
        }
        match text.bytes.get(start) {
            Some(b'n') => return Ok(()),
            Some(b'{' | b'[') => {}
            _ if node != NONE => {
                let fault = Fault { malformation: Malformation::NoWayThrough, at: start, field };
                text.note(fault);
            }
            _ => {}
        }
        self.set(index, span.unwrap_or_else(|| spanned(start, text.at, false)), (start, text.at));
        Ok(())
    }

    fn set(&mut self, index: u32, span: Span, (start, end): (usize, usize)) {
        let Some(child) = self.tree.child(index) else { return };
        for field in child.fields.iter().map(|field| *field as usize) {
            let as_json = self.as_json.get(field) == Some(&true);
            if let Some(place) = self.spans.get_mut(field) {
                *place = if as_json { spanned(start, end, true) } else { span };
            }
        }
    }

    /// An array that paths lead through, at its bracket.
    fn array(&mut self, text: &mut Text<'_>, node: u32, depth: u32) -> Result<(), Fault> {
        text.at += 1;
        text.skip_blanks();
        if text.take(b']') {
            return Ok(());
        }
        let mut last = NONE;
        let mut place = Place::default();
        loop {
            let found = self.tree.find(node, last, place.name());
            if found == NONE {
                text.skip(depth + 1)?;
            } else {
                last = found;
                self.value(text, found, depth + 1, None)?;
            }
            text.skip_blanks();
            if text.take(b']') {
                return Ok(());
            }
            text.expect(b',')?;
            text.skip_blanks();
            place.advance();
        }
    }

    fn note_other(&mut self, text: &Text<'_>, name: Quoted, value_start: usize) -> Result<(), Fault> {
        if self.others.len() == OTHERS_MAX {
            return Err(text.fault(Malformation::TooManyFields));
        }
        let written = spanned(name.start, name.end, false);
        let mut meant = written;
        if name.has_escape {
            let start = self.names.len();
            unescape(text.slice(name.start, name.end), &mut self.names);
            meant = spanned(start, self.names.len(), false);
        }
        let value = spanned(value_start, text.at, false);
        self.others.push(Other { written, meant, has_escape: name.has_escape, value });
        Ok(())
    }

    /// No name may be there twice; and where others are refused, none may be there at all.
    fn check_others(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let refuse = |malformation, other: &Other| {
            Err(Fault { malformation, at: other.value.start as usize, field: usize::MAX })
        };
        if let Some((forms, form)) = &self.forms {
            let is_late = |other: &&Other| {
                std::str::from_utf8(name_of(&self.names, bytes, other))
                    .is_ok_and(|name| forms.contains(&form(name)))
            };
            if let Some(late) = self.others.iter().find(is_late) {
                return refuse(Malformation::LateName(late.written), late);
            }
        }
        if self.others_rule == Others::Refuse
            && let Some(first) = self.others.first()
        {
            return refuse(Malformation::UnknownName(first.written), first);
        }
        if self.others_rule == Others::Pass
            && self.passed_over.is_none()
            && let Some(first) = self.others.first()
        {
            let name = name_of(&self.names, bytes, first);
            self.passed_over = Some(String::from_utf8_lossy(name).into_owned());
        }
        if self.others.len() < 2 {
            return Ok(());
        }
        let names = &self.names;
        let name = |other: &Other| name_of(names, bytes, other);
        self.others.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        let is_twice = |pair: &&[Other]| matches!(pair, [one, other] if name(one) == name(other));
        if let Some([_, other]) = self.others.windows(2).find(is_twice) {
            return refuse(Malformation::DuplicateName, other);
        }
        self.others.sort_unstable_by_key(|other| other.value.start);
        Ok(())
    }
}

/// The place of an element, in digits.
struct Place {
    digits: [u8; PLACE_DIGITS],
    from: usize,
}

/// Digits of the largest place: no record has so many bytes.
const PLACE_DIGITS: usize = 10;

impl Default for Place {
    fn default() -> Self {
        Self { digits: [b'0'; PLACE_DIGITS], from: PLACE_DIGITS - 1 }
    }
}

impl Place {
    fn name(&self) -> &[u8] {
        self.digits.get(self.from..).unwrap_or_default()
    }

    fn advance(&mut self) {
        for (at, digit) in self.digits.iter_mut().enumerate().rev() {
            self.from = self.from.min(at);
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}

fn name_of<'t>(names: &'t [u8], text: &'t [u8], other: &Other) -> &'t [u8] {
    slice(if other.has_escape { names } else { text }, other.meant)
}

fn slice(bytes: &[u8], span: Span) -> &[u8] {
    bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a record and what is decoded of it are shorter than 4 GiB"
)]
fn spanned(start: usize, end: usize, is_quoted: bool) -> Span {
    Span { start: start as u32, end: end as u32, is_quoted }
}
