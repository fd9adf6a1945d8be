//! One record: a line of JSON, with the fields' texts inside it where they are the same, and behind it where they are not.

use super::leaf::Leaf;
use super::nested;
use super::schema::{Node, Shape};
use super::value::{append_escaped, needs_escape};
use super::{Field, Trouble};
use crate::decode::Span;
use crate::decode::buffer::BUFFER_KEEP_BYTES;

#[derive(Default)]
pub(super) struct Line {
    data: Vec<u8>,
    raw_len: usize,
    spans: Vec<Span>,
    /// Fields whose text JSON writes in another way, and where their values are.
    apart: Vec<(usize, usize)>,
}

impl Line {
    pub(super) fn begin(&mut self, field_count: usize) {
        self.data.clear();
        self.data.shrink_to(BUFFER_KEEP_BYTES);
        self.spans.clear();
        self.spans.resize(field_count, Span::default());
        self.apart.clear();
        if field_count == 0 {
            self.data.push(b'{');
        }
    }

    pub(super) fn push_key(&mut self, key: &[u8]) {
        self.data.extend_from_slice(key);
    }

    /// Appends a field.
    pub(super) fn push(
        &mut self,
        at: usize,
        node: &Node,
        leaves: &mut [Leaf],
        bytes_max: usize,
    ) -> Result<(), Trouble> {
        let start = self.data.len();
        if start > bytes_max {
            return Err(Trouble::TooLong);
        }
        let Shape::Leaf(kind) = &node.shape else {
            let is_there = nested::append(node, leaves, bytes_max, &mut self.data)?;
            // NULL stays empty, whatever JSON calls it.
            let end = if is_there { self.data.len() } else { start };
            self.span(at, start, end, is_there);
            return Ok(());
        };
        let leaf = leaves.first_mut().ok_or(Trouble::Levels)?;
        let Some(value) = leaf.next()? else {
            self.data.extend_from_slice(b"null");
            self.span(at, start, start, false);
            return Ok(());
        };
        if value.length() / 2 > bytes_max {
            return Err(Trouble::TooLong);
        }
        if let Some(text) = value.text(*kind) {
            self.data.push(b'"');
            if needs_escape(text) {
                append_escaped(text, &mut self.data);
                self.apart.push((at, leaf.last()));
            } else {
                self.data.extend_from_slice(text);
                self.span(at, start + 1, start + 1 + text.len(), true);
            }
            self.data.push(b'"');
            return Ok(());
        }
        match value.append_json(*kind, &mut self.data) {
            Some((from, to)) => self.span(at, from, to, false),
            None => self.apart.push((at, leaf.last())),
        }
        Ok(())
    }

    /// Ends the line, and appends the texts that are not in it.
    pub(super) fn end(&mut self, fields: &[Field], leaves: &[Leaf]) {
        self.data.extend_from_slice(b"}\n");
        self.raw_len = self.data.len();
        for (at, value_at) in std::mem::take(&mut self.apart) {
            let Some(field) = fields.get(at) else { continue };
            let Shape::Leaf(kind) = &field.node.shape else { continue };
            let value = leaves.get(field.first_leaf).and_then(|leaf| leaf.value(value_at));
            let Some(value) = value else { continue };
            let start = self.data.len();
            match value.text(*kind) {
                Some(text) => self.data.extend_from_slice(text),
                None => {
                    value.append(*kind, &mut self.data);
                }
            }
            self.span(at, start, self.data.len(), true);
        }
    }

    fn span(&mut self, at: usize, start: usize, end: usize, is_quoted: bool) {
        // Records are shorter than 2^30 bytes, and in here twice at the most.
        let of = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        if let Some(span) = self.spans.get_mut(at) {
            *span = Span { start: of(start), end: of(end), is_quoted };
        }
    }

    pub(super) fn raw(&self) -> &[u8] {
        self.data.get(..self.raw_len).unwrap_or_default()
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }
}
