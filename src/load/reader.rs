//! From an object's bytes to its records: unpacked, told by format, and for JSON by the names of its first records.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::bring::Due;
use super::unpack::Unpacker;
use crate::charset::Charset;
use crate::decode::csv::{CsvDecoder, Dialect};
use crate::decode::json::{JsonDecoder, Layout as JsonLayout, Survey};
use crate::decode::{Decoder, Format, Position, Step};
use crate::error::{Error, Result};
use crate::inflate::Compression;
use crate::plan::{Limits, Members, Plan, Route};

/// What an object's first text came to.
pub(super) enum Opening {
    /// More bytes are needed.
    NeedInput,
    /// Records can be read.
    Records,
    /// The first records of JSON have members of these names; [`Reader::read_members`] goes on.
    Members { names: Vec<String>, has_records: bool },
    /// The end of the file is needed, which says what columns there are; [`Reader::read_columns`] goes on.
    Footer,
}

/// Between the object's body and whoever types its records.
pub(super) struct Reader {
    unpacker: Unpacker,
    record_bytes_max: usize,
    /// Bytes have ended.
    is_finished: bool,
    /// Text has ended.
    is_at_end: bool,
    /// What is known before the first byte.
    known: Option<Format>,
    stage: Stage,
    /// Text that a survey has seen and the decoder has not.
    seen: VecDeque<Bytes>,
}

enum Stage {
    /// The first text, until it tells the format.
    Head(BytesMut),
    /// JSON whose names are being looked at.
    Survey(Format, Box<Survey>),
    /// Columns, of which so many records are done with.
    Footer(u64),
    Records(Format, Decoder),
}

impl Reader {
    /// For an object from its beginning.
    pub(super) fn new(plan: &Plan, limits: Limits, name: &str, content_type: Option<&str>) -> Self {
        let known = Format::before(plan.route.format, name, content_type);
        Self {
            unpacker: Unpacker::new(plan.route.packing, limits.window_bytes_max),
            record_bytes_max: limits.record_bytes_max,
            is_finished: false,
            is_at_end: false,
            known,
            stage: match known {
                // Nothing but its end says anything.
                Some(Format::Parquet) => Stage::Footer(0),
                _ => Stage::Head(BytesMut::new()),
            },
            seen: VecDeque::new(),
        }
    }

    /// The same from `position` on. What is packed can only be read from its beginning.
    pub(super) fn resumed(
        self,
        is_packed: bool,
        position: Position,
        format: Format,
        decoder: Decoder,
    ) -> Self {
        let unpacker = if is_packed { self.unpacker.skipping(position.byte) } else { Unpacker::plain() };
        Self { unpacker, stage: Stage::Records(format, decoder), ..self }
    }

    /// The same for columns, behind so many records.
    pub(super) fn resumed_columns(self, record: u64) -> Self {
        Self { stage: Stage::Footer(record), ..self }
    }

    pub(super) fn push(&mut self, chunk: Bytes) -> Result<()> {
        if let Stage::Records(Format::Parquet, decoder) = &mut self.stage {
            return decoder.push(chunk);
        }
        self.unpacker.push(chunk)
    }

    /// What is to be read next.
    pub(super) fn due(&self) -> Due {
        match &self.stage {
            Stage::Footer(_) => Due::Footer,
            #[cfg(feature = "parquet")]
            Stage::Records(_, Decoder::Parquet(decoder)) => decoder.wanted().map_or(Due::Chunk, Due::Part),
            _ => Due::Chunk,
        }
    }

    /// Whether records come from columns, wherever those are in the file.
    fn is_in_columns(&self) -> bool {
        matches!(self.stage, Stage::Footer(_) | Stage::Records(Format::Parquet, _))
    }

    /// Of so many records so many are done with, where that is known beforehand.
    pub(super) fn share(&self) -> Option<(u64, u64)> {
        match &self.stage {
            #[cfg(feature = "parquet")]
            Stage::Records(_, Decoder::Parquet(decoder)) => {
                Some((decoder.position().line.saturating_sub(1), decoder.record_count()))
            }
            _ => None,
        }
    }

    /// Goes on with the columns that are wanted.
    #[cfg(feature = "parquet")]
    pub(super) fn read_columns(&mut self, decoder: Decoder) {
        self.stage = Stage::Records(Format::Parquet, decoder);
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.is_finished = true;
        self.unpacker.finish()
    }

    /// Whether positions are those of the object's own bytes.
    pub(super) fn is_plain(&self) -> bool {
        !self.is_in_columns() && self.unpacker.is_plain()
    }

    /// The charset, once it is known and other than UTF-8.
    pub(super) fn charset(&self) -> Option<Charset> {
        self.unpacker.charset().filter(|_| !self.is_in_columns())
    }

    /// Whether the charset was told by the bytes alone.
    pub(super) fn is_guessed(&self) -> bool {
        self.unpacker.is_guessed()
    }

    /// The format, once it is known.
    pub(super) fn format(&self) -> Option<Format> {
        match &self.stage {
            Stage::Head(_) => None,
            Stage::Footer(_) => Some(Format::Parquet),
            Stage::Survey(format, _) | Stage::Records(format, _) => Some(*format),
        }
    }

    /// Where the next record begins.
    pub(super) fn position(&self) -> Position {
        match &self.stage {
            // Of columns the number of the record says all.
            Stage::Records(Format::Parquet, decoder) => {
                let line = decoder.position().line;
                Position { line, byte: line.saturating_sub(1) }
            }
            Stage::Footer(record) => Position { line: record + 1, byte: *record },
            Stage::Records(_, decoder) => decoder.position(),
            _ => Position { line: 1, byte: 0 },
        }
    }

    /// What is open around the records of a JSON document.
    pub(super) fn around(&self) -> &str {
        match &self.stage {
            Stage::Records(_, Decoder::Json(decoder)) => decoder.around(),
            _ => "",
        }
    }

    /// A name that JSON records have beyond those of the first ones, and that was left out.
    pub(super) fn passed_over(&self) -> Option<&str> {
        match &self.stage {
            Stage::Records(_, Decoder::Json(decoder)) => decoder.passed_over(),
            _ => None,
        }
    }

    /// The next record; before [`Opening::Records`] there is none.
    pub(super) fn step(&mut self) -> Result<Step<'_>> {
        match &mut self.stage {
            Stage::Records(_, decoder) => decoder.step(),
            _ => Ok(Step::NeedInput),
        }
    }

    /// More text for the decoder; false when another chunk of the body is needed.
    pub(super) fn refill(&mut self) -> Result<bool> {
        if self.is_in_columns() {
            return Ok(false);
        }
        let text = match self.seen.pop_front() {
            Some(text) => Some(text),
            None => self.pull()?,
        };
        let Stage::Records(_, decoder) = &mut self.stage else { return Ok(false) };
        match text {
            Some(text) => decoder.push(text)?,
            None if self.is_at_end => decoder.finish(),
            None => return Ok(false),
        }
        Ok(true)
    }

    fn pull(&mut self) -> Result<Option<Bytes>> {
        let text = if self.is_at_end { None } else { self.unpacker.pull()? };
        self.is_at_end |= text.is_none() && self.is_finished;
        Ok(text)
    }

    /// Reads until records can be read.
    ///
    /// # Errors
    /// `Input` for an object that is none of the formats; `Config` for a format that this build does not read.
    pub(super) fn open(&mut self, route: &Route) -> Result<Opening> {
        loop {
            match &mut self.stage {
                Stage::Records(..) => return Ok(Opening::Records),
                Stage::Footer(_) => return Ok(Opening::Footer),
                Stage::Head(head) => {
                    if let Some(format) = Format::of_head(self.known, head, self.is_at_end)? {
                        let head = std::mem::take(head).freeze();
                        self.begin(route, rooted(route, self.known, format), head)?;
                        continue;
                    }
                    match self.pull()? {
                        Some(text) => self.keep(&text),
                        None if self.is_at_end => {}
                        None => return Ok(Opening::NeedInput),
                    }
                }
                Stage::Survey(_, survey) => {
                    if survey.is_done() {
                        let (names, has_records) = (survey.names().to_vec(), survey.record_count() > 0);
                        return Ok(Opening::Members { names, has_records });
                    }
                    match self.pull()? {
                        Some(text) => self.look_at(text),
                        None if self.is_at_end => self.end_survey(),
                        None => return Ok(Opening::NeedInput),
                    }
                }
            }
        }
    }

    fn keep(&mut self, text: &Bytes) {
        if let Stage::Head(head) = &mut self.stage {
            head.extend_from_slice(text);
        }
    }

    fn look_at(&mut self, text: Bytes) {
        if let Stage::Survey(_, survey) = &mut self.stage {
            survey.push(text.clone());
            self.seen.push_back(text);
        }
    }

    fn end_survey(&mut self) {
        if let Stage::Survey(_, survey) = &mut self.stage {
            survey.finish();
        }
    }

    /// The format is known.
    fn begin(&mut self, route: &Route, format: Format, head: Bytes) -> Result<()> {
        match format {
            Format::Csv | Format::Tsv => {
                let decoder = CsvDecoder::new(dialect_of(route, format), self.record_bytes_max);
                self.stage = Stage::Records(format, Decoder::Csv(Box::new(decoder)));
                self.seen.push_back(head);
            }
            Format::JsonLines | Format::Json => {
                let survey = Survey::new(layout_of(route, format), self.record_bytes_max);
                self.stage = Stage::Survey(format, Box::new(survey));
                self.look_at(head);
            }
            Format::Parquet if self.unpacker.is_compressed() => return Err(packed_whole(None)),
            Format::Parquet => self.stage = Stage::Footer(0),
        }
        Ok(())
    }

    /// Goes on with the members that are wanted; without any, with records that nobody can type.
    pub(super) fn read_members(&mut self, plan: &Plan, members: Option<&Members>) {
        let Stage::Survey(format, _) = &self.stage else { return };
        let decoder = json_decoder(plan, *format, self.record_bytes_max, members);
        self.stage = Stage::Records(*format, Decoder::Json(Box::new(decoder)));
    }
}

/// The error for a file of columns inside of something else.
pub(super) fn packed_whole(compression: Option<Compression>) -> Error {
    let how = compression.map(|compression| format!(" ({})", compression.name())).unwrap_or_default();
    Error::input(format!("read the Parquet file: it is compressed as a whole{how}"))
        .with_hint("its pages are compressed already, and are read where they are: put the file uncompressed")
}

#[cfg(not(feature = "parquet"))]
pub(super) fn no_parquet() -> Error {
    Error::config("the object is a Parquet file, and this holoload is built without Parquet")
        .with_hint("build it with the feature `parquet`, or write the object as csv or jsonl")
}

/// What the route says, with tabs where the object's name or content type has said so.
pub(super) fn dialect_of(route: &Route, format: Format) -> Dialect {
    if format == Format::Tsv { route.tab_dialect } else { route.dialect }
}

/// A document on one line looks like a line of records: where the route says at what root they are, it is none.
fn rooted(route: &Route, known: Option<Format>, told: Format) -> Format {
    let has_root = !route.root.tokens().is_empty();
    if has_root && told == Format::JsonLines && known != Some(Format::JsonLines) {
        Format::Json
    } else {
        told
    }
}

fn layout_of(route: &Route, format: Format) -> JsonLayout {
    match format {
        Format::Json => JsonLayout::Document { root: route.root.clone() },
        _ => JsonLayout::Lines,
    }
}

/// The decoder of an object whose records have these members.
pub(super) fn json_decoder(
    plan: &Plan,
    format: Format,
    record_bytes_max: usize,
    members: Option<&Members>,
) -> JsonDecoder {
    let layout = layout_of(&plan.route, format);
    let Some(members) = members else { return JsonDecoder::new(&[], layout, record_bytes_max) };
    let text = String::as_str;
    let decoder = JsonDecoder::new(&members.paths, layout, record_bytes_max)
        .with_json_fields(members.as_json.iter().copied())
        .with_passed(members.passed.iter().map(text))
        .with_late(members.late.iter().map(text))
        .with_others(members.others);
    match plan.folds_names() {
        None => decoder,
        Some(form) => decoder.with_forms(members.names.iter().chain(&members.late).map(text), form),
    }
}
