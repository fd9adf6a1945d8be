//! Records into rows: the loop that every byte of every object passes through. It knows no database and no
//! network; it stops when it wants more bytes or when a batch is full.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::bring::Due;
use super::facts::{Facts, encoder};
use super::reader::{Opening, Reader, dialect_of, json_decoder};
use crate::database;
use crate::decode::csv::{CsvDecoder, Dialect};
use crate::decode::{Decoder, Format, Malformation, Position, Record, Step};
use crate::error::{Error, Result};
use crate::ledger::ResumePoint;
use crate::plan::{First, Layout, Limits, Members as JsonMembers, PERCENT_FROM_ROWS, Plan};
use crate::reject::{Reject, Rejects};
use crate::row::{Encoder, Moments, Reason, Refusal, Rules};
use crate::sink::{Batch, Refused};

/// Why the loop stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    NeedInput,
    BatchFull,
    End,
}

/// The decoder, the encoder once the first record is known, and what was counted.
pub(super) struct Intake<'a> {
    pub(super) plan: &'a Plan,
    rules: Rules,
    pub(super) facts: Facts,
    pub(super) limits: Limits,
    pub(super) reader: Reader,
    encoder: Option<(Encoder, Layout)>,
    pub(super) rejects: Rejects,
    pub(super) row_count: u64,
    /// The header's text, for whoever reads on from the middle.
    header: Option<String>,
    /// The same where records have names of their own: the names.
    names: Option<Vec<String>>,
    cut_before: u64,
}

/// A place between two records, and what was met before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) position: Position,
    pub(super) record: u64,
    /// Bad rows, those that the server refused in this invocation included.
    pub(super) reject_count: u64,
    pub(super) cut_count: u64,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        zone: &jiff::tz::TimeZone,
        limits: Limits,
        dialect: database::Dialect,
        facts: Facts,
    ) -> Self {
        // Hologres keeps moments in milliseconds (help, "Data types").
        let moments = if dialect.is_hologres() { Moments::Milliseconds } else { Moments::Microseconds };
        Self {
            plan,
            rules: Rules { zone: zone.clone(), moments, ..plan.route.rules.clone() },
            reader: Reader::new(plan, limits, &facts.key, facts.content_type.as_deref()),
            facts,
            limits,
            encoder: None,
            rejects: Rejects::new(limits.reject_bytes_max).ended_by(plan.route.dialect.record_end),
            row_count: 0,
            header: None,
            names: None,
            cut_before: 0,
        }
    }

    /// The same for the rest of the object.
    ///
    /// # Errors
    /// `Bug` for a header that was one before and is none now.
    pub(super) fn resumed(mut self, point: &ResumePoint) -> Result<Self> {
        let position = Position { line: point.line, byte: point.offset };
        self.row_count = point.record;
        self.cut_before = point.totals.cut;
        self.rejects = self.rejects.resumed(point.offset, point.totals.rejects, point.rejects.clone());
        let format = Format::named(&point.format).unwrap_or(Format::Csv);
        self.rejects.set_format(format);
        let record_bytes_max = self.limits.record_bytes_max;
        if format == Format::Parquet {
            // Its footer says the rest.
            self.reader = self.reader.resumed_columns(point.record);
            return Ok(self);
        }
        if format.is_json() {
            let header = point.header.as_deref().unwrap_or_default();
            let names: Names = serde_json::from_str(header).map_err(|_| lost())?;
            let members = self.plan.by_members(&names.names)?;
            let decoder = json_decoder(self.plan, format, record_bytes_max, Some(&members));
            let decoder = Decoder::Json(Box::new(decoder.resumed(position, &names.around)));
            self.reader = self.reader.resumed(point.is_packed, position, format, decoder);
            return self.with_members(members);
        }
        self.header.clone_from(&point.header);
        let dialect = dialect_of(&self.plan.route, format);
        let decoder = Decoder::Csv(Box::new(CsvDecoder::resumed(dialect, record_bytes_max, position)));
        self.reader = self.reader.resumed(point.is_packed, position, format, decoder);
        let layout = match &point.header {
            None => self.plan.by_position(point.field_count)?.ok_or_else(lost)?,
            Some(header) => {
                let mut decoder = CsvDecoder::new(Dialect { skip_lines: 0, ..dialect }, record_bytes_max);
                decoder.push(Bytes::copy_from_slice(header.as_bytes()));
                decoder.finish();
                let Step::Record(record) = decoder.step()? else { return Err(lost()) };
                self.plan.by_header(&record)?
            }
        };
        let header = point.header.as_deref().unwrap_or_default();
        self.rejects.set_header(dialect.skip_lines, header.as_bytes());
        let encoder = encoder(self.plan, &layout, &self.rules, &self.facts)?;
        self.encoder = Some((encoder, layout));
        Ok(self)
    }

    /// The members that records of JSON have.
    fn with_members(mut self, members: JsonMembers) -> Result<Self> {
        self.take_members(members)?;
        Ok(self)
    }

    fn take_members(&mut self, members: JsonMembers) -> Result<()> {
        self.names = Some(members.names);
        self.take_layout(members.layout)
    }

    /// Fields of a format in which NULL has a word of its own, and a text is one unless it was said otherwise of texts in
    /// quotes.
    pub(super) fn take_layout(&mut self, layout: Layout) -> Result<()> {
        self.rules.has_absent = true;
        if !self.rules.null_quoted {
            self.rules.null_strings = vec![Vec::new()];
        }
        let encoder = encoder(self.plan, &layout, &self.rules, &self.facts)?;
        self.encoder = Some((encoder, layout));
        Ok(())
    }

    /// Where the next record begins.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            position: self.reader.position(),
            record: self.row_count,
            reject_count: self.rejects.count(),
            cut_count: self.cut_count(),
        }
    }

    /// What whoever reads on must know of the object's columns.
    pub(super) fn header(&self) -> Option<String> {
        let Some(names) = &self.names else { return self.header.clone() };
        let names = Names { names: names.clone(), around: self.reader.around().to_owned() };
        serde_json::to_string(&names).ok()
    }

    /// The format, once it is known.
    pub(super) fn format(&self) -> Option<Format> {
        self.reader.format()
    }

    fn cut_count(&self) -> u64 {
        self.cut_before + self.encoder.as_ref().map_or(0, |(encoder, _)| encoder.cut_count())
    }

    pub(super) fn push(&mut self, chunk: Bytes) -> Result<()> {
        self.reader.push(chunk)
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.reader.finish()
    }

    /// What is to be read next.
    pub(super) fn due(&self) -> Due {
        self.reader.due()
    }

    /// How far an object of `size` bytes is done with, of which `read` were read.
    pub(super) fn reached(&self, read: u64, size: Option<u64>) -> u64 {
        let (Some((done, all)), Some(size)) = (self.reader.share(), size) else { return read };
        let share = u128::from(size) * u128::from(done) / u128::from(all.max(1));
        u64::try_from(share).unwrap_or(size)
    }

    /// Whether positions are those of the object's own bytes.
    pub(super) fn is_plain(&self) -> bool {
        self.reader.is_plain()
    }

    /// Makes out what the object's records are; false when another chunk of the body is needed.
    fn open(&mut self) -> Result<bool> {
        let opening = self.reader.open(&self.plan.route)?;
        if let Some(format) = self.reader.format() {
            self.rejects.set_format(format);
        }
        match opening {
            Opening::NeedInput | Opening::Footer => return Ok(false),
            Opening::Records => {}
            Opening::Members { names, has_records } => {
                let members = if has_records { Some(self.plan.by_members(&names)?) } else { None };
                self.reader.read_members(self.plan, members.as_ref());
                members.map(|members| self.take_members(members)).transpose()?;
            }
        }
        Ok(true)
    }

    /// More text for the decoder; false when another chunk of the body is needed.
    fn refill(&mut self) -> Result<bool> {
        let is_refilled = self.reader.refill()?;
        if let Some(charset) = self.reader.charset() {
            self.rejects.set_charset(charset);
        }
        Ok(is_refilled)
    }

    /// Which field goes where, once the first record has said so.
    pub(super) fn layout(&self) -> Option<&Layout> {
        self.encoder.as_ref().map(|(_, layout)| layout)
    }

    /// Decodes and encodes until the batch is full or bytes run out.
    pub(super) fn advance(&mut self, batch: &mut Batch) -> Result<Pause> {
        if !self.open()? {
            return Ok(Pause::NeedInput);
        }
        loop {
            if batch.len() >= self.limits.batch_rows_max || batch.byte_count() >= self.limits.batch_bytes_max
            {
                return Ok(Pause::BatchFull);
            }
            match self.reader.step()? {
                Step::NeedInput => {
                    if !self.refill()? {
                        return Ok(Pause::NeedInput);
                    }
                }
                Step::End => return Ok(Pause::End),
                Step::Record(record) => match &self.encoder {
                    Some((encoder, layout)) => {
                        self.row_count += 1;
                        let row = Row { encoder, layout, record };
                        row.take(self.plan, batch, &mut self.rejects)?;
                    }
                    None => {
                        let opened =
                            Opened::by(self.plan, &record, &self.rules, &self.facts, &mut self.rejects)?;
                        let (encoder, layout) = self.encoder.insert(opened.encoder_and_layout);
                        if !opened.is_data {
                            self.header = std::str::from_utf8(record.raw).ok().map(str::to_owned);
                        }
                        if opened.is_data {
                            self.row_count += 1;
                            Row { encoder, layout, record }.take(self.plan, batch, &mut self.rejects)?;
                        }
                    }
                },
                Step::Malformed { position, raw, malformation, field } => {
                    self.row_count += 1;
                    let columns = self.encoder.as_ref().map(|(_, layout)| layout);
                    let bad = Bad { position, raw, malformation, field };
                    bad.reject(self.plan, columns, &mut self.rejects)?;
                }
            }
        }
    }

    /// Keeps a row that the server refused.
    pub(super) fn refuse(&mut self, batch: &Batch, refused: &Refused) -> Result<()> {
        let (row, raw) =
            batch.row(refused.row).ok_or_else(|| Error::bug("find a refused row in its batch"))?;
        let code = refused.code.as_deref();
        let reason = match code {
            Some(code) => format!("refused by the server ({code})"),
            None => "refused by the server".to_owned(),
        };
        let reject = Reject {
            position: row.position,
            raw,
            column: None,
            reason: &reason,
            code,
            server_text: Some(&refused.server_text),
        };
        keep(self.plan, &mut self.rejects, &reject)
    }

    /// What was not kept of values that were, and what was guessed.
    pub(super) fn warnings(&self) -> Vec<String> {
        let cut_count = self.cut_count();
        let cut = (cut_count > 0).then(|| {
            format!(
                "{cut_count} values of `timestamptz` columns had digits below the millisecond, which Hologres does not keep: they were cut"
            )
        });
        let guessed = self.reader.charset().filter(|_| self.reader.is_guessed());
        let guessed = guessed.map(|charset| {
            let name = charset.name();
            format!(
                "the object was read as {name}, by its bytes: `parse: {{charset: {name}}}` says it for sure"
            )
        });
        let left_out = self.layout().map(|layout| layout.warnings.clone()).unwrap_or_default();
        let passed_over = self.reader.passed_over().map(|name| {
            let name = shown(name.as_bytes());
            format!(
                "records have members that the first ones do not have, such as `{name}`: they were left out"
            )
        });
        cut.into_iter().chain(guessed).chain(left_out).chain(passed_over).collect()
    }

    /// How many more bad rows are put up with.
    pub(super) fn rejects_left(&self) -> u64 {
        self.plan.route.bad_rows_max.saturating_sub(self.rejects.count())
    }

    /// The verdict at the end: a share of bad rows that is too large, or nothing but bad rows.
    pub(super) fn verdict(&self) -> Result<()> {
        let (bad, all) = (self.rejects.count(), self.row_count);
        if bad > 0 && bad == all {
            return Err(too_many(self.plan, &self.rejects, &format!("every row is bad ({bad} of {all})")));
        }
        // Row counts are far below 2^52, where f64 is exact.
        #[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^52")]
        let percent = bad as f64 * 100.0 / (all.max(1)) as f64;
        let percent_max = self.plan.route.bad_rows_max_percent;
        if all >= PERCENT_FROM_ROWS && percent > percent_max {
            let what = format!("{bad} of {all} rows are bad, more than {percent_max} %");
            return Err(too_many(self.plan, &self.rejects, &what));
        }
        Ok(())
    }
}

struct Opened {
    encoder_and_layout: (Encoder, Layout),
    is_data: bool,
}

impl Opened {
    fn by(
        plan: &Plan,
        record: &Record<'_>,
        rules: &Rules,
        facts: &Facts,
        rejects: &mut Rejects,
    ) -> Result<Self> {
        let first = plan.first_record(record).map_err(|error| other_delimiter(record, error))?;
        let (layout, is_data) = match first {
            First::Header(layout) => (layout, false),
            First::Data(layout) => (layout, true),
        };
        let encoder = encoder(plan, &layout, rules, facts)?;
        let is_decided = plan.route.header == crate::plan::HeaderRule::Absent;
        if is_data && !is_decided && !encoder.types_cleanly(record) {
            return Err(plan.neither(record));
        }
        let skipped = plan.route.dialect.skip_lines;
        rejects.set_header(skipped, if is_data { b"" } else { record.raw });
        Ok(Self { encoder_and_layout: (encoder, layout), is_data })
    }
}

/// A first record of one field may be one of several, with another delimiter between them.
#[cold]
fn other_delimiter(record: &Record<'_>, error: Error) -> Error {
    let found = [(b';', "`;`"), (b'\t', "tabs"), (b'|', "`|`")];
    let found = found.iter().find(|(byte, _)| record.field_count() == 1 && record.raw.contains(byte));
    let Some((_, what)) = found else { return error };
    let before = error.hint().map(|hint| format!("; else: {hint}")).unwrap_or_default();
    error.with_hint(format!(
        "the first row is one field with {what} in it: `parse: {{delimiter: …}}` says what stands between fields, and \
         `holoload guess` finds it out{before}"
    ))
}

struct Row<'r> {
    encoder: &'r Encoder,
    layout: &'r Layout,
    record: Record<'r>,
}

impl Row<'_> {
    fn take(&self, plan: &Plan, batch: &mut Batch, rejects: &mut Rejects) -> Result<()> {
        let start = batch.buffer().len();
        match self.encoder.encode_row(&self.record, batch.buffer()) {
            Ok(encoded) => {
                batch.push(start, encoded.key_len, self.record.position, self.record.raw);
                if encoded.is_delete {
                    batch.mark_last_as_delete();
                }
                Ok(())
            }
            Err(refusal) => self.reject(plan, rejects, &refusal),
        }
    }

    #[cold]
    fn reject(&self, plan: &Plan, rejects: &mut Rejects, refusal: &Refusal) -> Result<()> {
        let slot = refusal.slot.and_then(|slot| self.layout.slots.get(slot));
        let column = slot.and_then(|slot| plan.table.columns.get(slot.column));
        let is_by_rule = refusal.reason == Reason::Null && column.is_some_and(|column| !column.not_null);
        let reason = if is_by_rule {
            "NULL in the column that tells which row is newer".to_owned()
        } else {
            refusal.reason.to_string()
        };
        let reject = Reject {
            position: self.record.position,
            raw: self.record.raw,
            column: match &plan.route.operation {
                Some(operation) if refusal.reason == Reason::Operation => Some(operation.name()),
                _ => column.map(|column| column.name.as_str()),
            },
            reason: &reason,
            code: None,
            server_text: None,
        };
        keep(plan, rejects, &reject)
    }
}

/// What stands in a resume point for a header, where records have names of their own.
#[derive(Serialize, Deserialize)]
struct Names {
    names: Vec<String>,
    around: String,
}

#[cold]
fn lost() -> Error {
    Error::bug("go on with the object: its header is not what it was")
}

/// A name out of a record, as messages show it.
fn shown(name: &[u8]) -> String {
    const CHARS_MAX: usize = 64;
    let name = String::from_utf8_lossy(name);
    name.chars().take(CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Bytes that form no record.
struct Bad<'b> {
    position: Position,
    raw: &'b [u8],
    malformation: Malformation,
    field: usize,
}

impl Bad<'_> {
    fn reject(&self, plan: &Plan, layout: Option<&Layout>, rejects: &mut Rejects) -> Result<()> {
        let Self { position, raw, malformation, field } = *self;
        let Some(layout) = layout else {
            let Position { line, byte } = position;
            let reason = malformation.reason();
            let what = format!("the first row (line {line}, byte {byte}) is not well formed: {reason}");
            return Err(Error::input(what).with_hint(if malformation.is_of_json() {
                "JSON Lines have one object on each line; `parse: {format: json}` reads an array, or objects over several lines"
            } else {
                "look at its quotes; `parse: {quote: \"\"}` reads a file that has none"
            }));
        };
        let slot = layout.slots.iter().find(|slot| slot.field == field);
        let column = slot.and_then(|slot| plan.table.columns.get(slot.column));
        let reason = match malformation {
            Malformation::UnknownName(span) | Malformation::LateName(span) => {
                let name = raw.get(span.start as usize..span.end as usize).unwrap_or_default();
                format!("`{}`: {}", shown(name), malformation.reason())
            }
            _ => malformation.reason().to_owned(),
        };
        let reject = Reject {
            position,
            raw,
            column: column.map(|column| column.name.as_str()),
            reason: &reason,
            code: None,
            server_text: None,
        };
        keep(plan, rejects, &reject)
    }
}

fn keep(plan: &Plan, rejects: &mut Rejects, reject: &Reject<'_>) -> Result<()> {
    rejects.push(reject)?;
    let max = plan.route.bad_rows_max;
    if rejects.count() <= max {
        return Ok(());
    }
    let what = match max {
        0 => "a bad row, and none is put up with".to_owned(),
        max => format!("more than {max} bad rows"),
    };
    Err(too_many(plan, rejects, &what))
}

#[cold]
fn too_many(plan: &Plan, rejects: &Rejects, what: &str) -> Error {
    let first = rejects.sample().first().map(|sample| {
        let column = sample.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
        format!(": line {}, byte {}{column}: {}", sample.line, sample.byte, sample.reason)
    });
    let mut error = Error::input(format!("{what}{}", first.unwrap_or_default()));
    if let Some(code) = rejects.server_code() {
        error = error.with_code(code.to_owned());
    }
    if plan.route.bad_rows_max == 0 {
        return error.with_hint(
            "fix the row; or set HOLOLOAD_REJECTS (`rejects:`), and bad rows are kept there while the others load",
        );
    }
    error.with_hint("nothing was loaded: fix the rows in the object and put it again, or raise `bad_rows`")
}
