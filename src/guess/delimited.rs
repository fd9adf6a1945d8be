//! Delimited text: dialect, header, columns.

use std::collections::BTreeMap;

use super::cell::{Look, look};
use super::column::{self, Choice, DayOrder, Setting};
use super::dialect;
use super::facts::Facts;
use super::grid::{Fit, Grid, Layout, WIDTH_MAX, lines};
use super::header;
use super::plain::Plain;
use super::rank::{Rank, rank, ratio};
use super::verify::Reader;
use super::{Format, Guess, Hints, Newline, Note, Trim, Type};
use crate::error::counted;

/// Texts that are NULL wherever they stand without quotes; the others only where a column is not of words.
const NULL_EVERYWHERE: [&str; 2] = ["NULL", "\\N"];
/// Records among which a table may begin behind a narrower one.
const PREAMBLE_ROWS_MAX: usize = 12;
/// Records that are named in notes.
const NAMED_MAX: usize = 3;

pub(super) fn guess(plain: &Plain, hints: &Hints) -> Guess {
    let mut guess = Guess::empty(Format::Csv);
    if plain.text.is_empty() {
        guess.notes.push(Note::file("the file is empty"));
        guess.sure = 0.0;
        return guess;
    }
    let told =
        told_delimiter(&plain.text).filter(|_| hints.delimiter.is_none() && hints.skip_lines.is_none());
    let with_told;
    let hints = match &told {
        Some(delimiter) => {
            guess.notes.push(Note::file("the first line says which delimiter; it is passed over"));
            with_told = Hints { delimiter: Some(delimiter.clone()), skip_lines: Some(1), ..hints.clone() };
            &with_told
        }
        None => hints,
    };
    let choice = dialect::choose(&plain.text, plain.is_whole, hints);
    let mut table = Table::read(plain, choice.layout, hints);
    say_layout(&mut guess, &table);
    let ratio = choice.rival / choice.rank.score.max(f64::MIN_POSITIVE);
    guess.sure = (1.0 - (ratio - 0.6).clamp(0.0, 0.39)).min(0.4 + 0.6 * choice.rank.consistency);
    table.say_header(&mut guess, hints);
    table.say_columns(&mut guess, hints);
    table.say_faults(&mut guess, plain);
    table.say_comments(&mut guess, &plain.text, hints);
    table.say_doubts(&mut guess, hints);
    guess
}

fn say_layout(guess: &mut Guess, table: &Table) {
    let layout = &table.layout;
    let letter = |byte: Option<u8>| byte.map_or_else(String::new, |byte| char::from(byte).to_string());
    guess.delimiter = String::from_utf8_lossy(&layout.delimiter).into_owned();
    guess.quote = letter(layout.quote);
    guess.escape = layout.quote.map_or_else(String::new, |quote| letter(layout.escape.or(Some(quote))));
    guess.comment = String::from_utf8_lossy(&layout.comment).into_owned();
    guess.skip_lines = layout.skip_lines;
    guess.has_stray_quotes = layout.is_stray;
    let [lf, crlf, cr] = table.grid.endings;
    guess.newline = match () {
        () if crlf > lf && crlf >= cr => Newline::Crlf,
        () if cr > lf => Newline::Cr,
        () => Newline::Lf,
    };
    if [lf, crlf, cr].iter().filter(|count| **count > 0).count() > 1 {
        guess
            .notes
            .push(Note::file(format!("line ends differ: LF {lf}, CRLF {crlf}, CR {cr} times; all are read")));
    }
    if layout.is_stray {
        guess.notes.push(Note::file(
            "quotes stand inside quoted fields without an escape; `stray_quotes: accept` takes them as data",
        ));
    }
    if table.rank.start > 0 {
        guess.notes.push(Note::file(format!(
            "{} before the table {}, with another number of fields",
            counted(layout.skip_lines, "line"),
            if layout.skip_lines == 1 { "is passed over" } else { "are passed over" },
        )));
    }
}

/// The sample as one table.
struct Table {
    layout: Layout,
    grid: Grid,
    rank: Rank,
    width: usize,
    /// Fields of a record, those that are no columns among them.
    field_count: usize,
    /// Further records with other fields, of all of them.
    further: Fit,
    /// The table's first row.
    start: usize,
    is_header: bool,
    facts: Vec<Facts>,
}

impl Table {
    fn read(plain: &Plain, mut layout: Layout, hints: &Hints) -> Self {
        let grid = Grid::read(&plain.text, &layout, plain.is_whole);
        let rank = rank(&grid, &layout, plain.text.len());
        let start = rank.start;
        if start > 0 && hints.skip_lines.is_none() {
            layout.skip_lines = grid.rows.get(start).map_or(0, |row| row.line.saturating_sub(1));
        }
        let mut table = Self {
            layout,
            rank,
            width: rank.width.min(WIDTH_MAX),
            field_count: rank.width,
            further: Fit::default(),
            start,
            is_header: false,
            facts: Vec::new(),
            grid,
        };
        for piece in &plain.further {
            let fit = table.grid.append(piece, &table.layout, table.field_count);
            table.further.good += fit.good;
            table.further.odd += fit.odd;
        }
        table.facts = table.count(start + 1);
        if hints.skip_lines.is_none() {
            table.pass_preamble();
        }
        table
    }

    /// Lines before the table may by chance have as many fields as it: where a narrower record stands between them and a
    /// header over values of other types, they are none of the table's.
    fn pass_preamble(&mut self) {
        let is_odd = |index: &usize| {
            self.grid.rows.get(*index).is_some_and(|row| row.count < self.field_count || row.is_malformed)
        };
        let rows = self.start..self.grid.rows.len().min(self.start + PREAMBLE_ROWS_MAX);
        let Some(last) = rows.rev().find(is_odd) else { return };
        let start = last + 1;
        let is_text = (self.start..last)
            .flat_map(|index| self.grid.row(index))
            .all(|(bytes, is_quoted)| matches!(look(bytes, is_quoted), Look::Text | Look::Empty));
        let facts = self.count(start + 1);
        let found = header::header(&self.grid, start, self.width, &facts);
        // A first line of words may be the header itself, and then the narrow one is a bad record.
        let is_names = self.grid.row(self.start).count() == self.field_count
            && self.grid.row(self.start).all(|(bytes, _)| is_word(bytes));
        if is_text && !is_names && found.is_there && found.sure > 0.9 && facts.iter().any(header::is_typed) {
            self.start = start;
            self.rank.start = start;
            self.layout.skip_lines = self.grid.rows.get(start).map_or(0, |row| row.line.saturating_sub(1));
            self.facts = facts;
        }
    }

    /// Facts of each column, from row `from` on.
    fn count(&self, from: usize) -> Vec<Facts> {
        let mut facts: Vec<Facts> = (0..self.width).map(|_| Facts::default()).collect();
        for index in from..self.grid.rows.len() {
            let is_of_table = self
                .grid
                .rows
                .get(index)
                .is_some_and(|row| !row.is_malformed && row.count == self.field_count);
            // A record of another width will be refused: it says nothing of the columns.
            if is_of_table {
                for (facts, (bytes, is_quoted)) in facts.iter_mut().zip(self.grid.row(index)) {
                    facts.feed(bytes, is_quoted);
                }
            }
        }
        facts
    }

    fn first_cells(&self) -> Vec<String> {
        let cells = self.grid.row(self.start).take(self.width);
        cells.map(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    fn say_header(&mut self, guess: &mut Guess, hints: &Hints) {
        let found = header::header(&self.grid, self.start, self.width, &self.facts);
        self.is_header = hints.header.unwrap_or(found.is_there);
        guess.header = self.is_header;
        if hints.header.is_none() {
            guess.sure = guess.sure.min(found.sure);
            if found.sure < 0.65 {
                let what = if found.is_there { "a header" } else { "data" };
                guess.notes.push(Note::file(format!(
                    "the first record was taken for {what}; nothing in the sample settles it. \
                     Write `header: true` or `header: false`"
                )));
            }
        }
        if !self.is_header {
            self.facts = self.count(self.start);
        }
        let first = self.grid.rows.get(self.start).map_or(0, |row| row.count);
        let is_last_empty = self.facts.last().is_some_and(|facts| facts.rows > 0 && facts.is_hollow());
        let has_name =
            self.first_cells().get(self.width.saturating_sub(1)).is_some_and(|name| !name.trim().is_empty());
        if self.is_header && is_last_empty && self.width > 2 && first == self.width && !has_name {
            guess.has_last_delimiter = true;
            self.width -= 1;
            self.facts.truncate(self.width);
            guess.notes.push(Note::file(
                "each line ends with a delimiter, that of the header as well; no field is behind it",
            ));
        } else if self.is_header && first + 1 == self.width && is_last_empty {
            self.width -= 1;
            self.facts.truncate(self.width);
            guess.has_extra_fields = true;
            guess
                .notes
                .push(Note::file("each record ends with a delimiter; an empty field behind it is ignored"));
        }
    }

    /// The columns' names, and whether each is known by its place alone.
    fn names(&self, guess: &mut Guess, hints: &Hints) -> Vec<(String, bool)> {
        let cells = if self.is_header { self.first_cells() } else { Vec::new() };
        let mut said = hints.names.clone();
        said.extend(cells.into_iter().skip(said.len()));
        let width = if self.width > 1 { self.width.max(hints.names.len()) } else { self.width };
        let names = header::names(&said, width);
        if self.is_header && names.iter().any(|(_, is_numbered)| *is_numbered) {
            guess.notes.push(Note::file(
                "the header has names that are empty or come twice; those got numbers. Columns whose names are not \
                 unique are loaded by number: `from: 3`",
            ));
        }
        names
    }

    fn say_columns(&mut self, guess: &mut Guess, hints: &Hints) {
        let names = self.names(guess, hints);
        self.facts.resize_with(names.len(), Facts::default);
        guess.row_count = self.facts.iter().map(|facts| facts.rows).max().unwrap_or(0);
        let global = self.settle_nulls();
        let mut setting = Setting { is_all_text: hints.is_all_text, ..Setting::default() };
        let choose = |setting: Setting, facts: &[Facts]| -> Vec<Choice> {
            names.iter().zip(facts).map(|((name, _), facts)| column::choose(name, facts, setting)).collect()
        };
        let mut choices = choose(setting, &self.facts);
        if let Some(order) = told(&choices) {
            setting.order = Some(order);
            choices = choose(setting, &self.facts);
        }
        self.say_trim(guess, &choices);
        let mut has_quoted_nulls = false;
        for (index, choice) in choices.into_iter().enumerate() {
            let Choice { mut column, notes, .. } = choice;
            guess.notes.extend(notes);
            let Some(facts) = self.facts.get(index) else { continue };
            let is_quoted_null =
                column.kind != Type::Text && facts.empty_quoted + facts.nulls_quoted.len() as u64 > 0;
            has_quoted_nulls |= is_quoted_null;
            let own: Vec<String> = facts.nulls.keys().chain(facts.nulls_quoted.keys()).cloned().collect();
            if own.iter().any(|text| !global.contains(text)) {
                column.nulls = std::iter::once(String::new()).chain(own).collect();
                column.nulls.dedup();
            }
            column.is_numbered =
                self.is_header && names.get(index).is_some_and(|(_, is_numbered)| *is_numbered);
            column.timezone = match column.kind {
                Type::Timestamptz => hints.timezone.clone(),
                _ => None,
            };
            guess.columns.push(column);
        }
        guess.null_quoted = has_quoted_nulls;
        if has_quoted_nulls {
            guess.notes.push(Note::file(
                "empty texts in quotes stand in columns that are not text: `null_quoted: true` makes them NULL, \
                 in columns of text as well",
            ));
        }
        if !global.is_empty() {
            guess.null_strings = std::iter::once(String::new()).chain(global).collect();
        }
        self.verify(guess);
    }

    /// Takes back what is no NULL, and answers the texts that are NULL in the whole file.
    fn settle_nulls(&mut self) -> Vec<String> {
        let mut global: BTreeMap<String, u64> = BTreeMap::new();
        for facts in &mut self.facts {
            let unquoted: Vec<String> = facts.nulls.keys().cloned().collect();
            let quoted: Vec<String> = facts.nulls_quoted.keys().cloned().collect();
            let kind = column::choose("", facts, Setting::default()).column.kind;
            let is_words = kind == Type::Text;
            if is_words {
                for text in &quoted {
                    facts.take_back(text, true);
                }
            }
            for text in unquoted {
                let is_everywhere = NULL_EVERYWHERE.contains(&text.as_str());
                if is_everywhere {
                    *global.entry(text).or_default() += 1;
                } else if is_words {
                    facts.take_back(&text, false);
                }
            }
        }
        global.into_keys().collect()
    }

    fn say_trim(&self, guess: &mut Guess, choices: &[Choice]) {
        let is_typed = |choice: &Choice| choice.column.kind != Type::Text;
        let mut columns = choices.iter().zip(&self.facts);
        let has_quoted = columns.any(|(choice, facts)| is_typed(choice) && facts.padded_quoted > 0);
        let mut columns = choices.iter().zip(&self.facts);
        let has_plain = columns.any(|(choice, facts)| {
            facts.padded > 0
                && (is_typed(choice) || (facts.values > 1 && facts.padded * 10 >= facts.values * 9))
        });
        let is_padded = |text: &String| text.trim().len() < text.len();
        let has_header = self.is_header && self.first_cells().iter().any(is_padded);
        guess.has_padded_header = has_header;
        if has_quoted {
            guess.trim = Trim::All;
        } else if has_plain || has_header || self.layout.passes_blanks {
            guess.trim = Trim::Unquoted;
        }
    }

    /// Columns whose own values their type does not read become text.
    fn verify(&self, guess: &mut Guess) {
        let from = self.start + usize::from(self.is_header);
        let mut notes = Vec::new();
        for (index, column) in guess.columns.iter_mut().enumerate() {
            if column.kind == Type::Text {
                continue;
            }
            let reader = Reader::new(column);
            let refused = (from..self.grid.rows.len()).filter(|row| {
                let Some((bytes, _)) = self.grid.cell(*row, index) else { return false };
                let bytes = trimmed(bytes);
                let is_null = std::str::from_utf8(bytes).is_ok_and(super::cell::is_null_text);
                let is_of_table = self.grid.rows.get(*row).is_some_and(|row| row.count == self.field_count);
                is_of_table
                    && !bytes.is_empty()
                    && !is_null
                    && !reader.as_ref().is_some_and(|reader| reader.reads(bytes))
            });
            let refused = refused.count() as u64;
            if refused > 0 {
                notes.push(Note::column(
                    &column.name,
                    format!(
                        "looks like {}, but {} {} not read as that; it stays text",
                        column.kind.sql(),
                        counted(refused, "value"),
                        if refused == 1 { "is" } else { "are" },
                    ),
                ));
                column.kind = Type::Text;
                column.formats.clear();
                column.epoch = None;
                (column.thousands, column.decimal, column.full_width) = (None, None, false);
                column.sure = 0.4;
            }
        }
        guess.notes.extend(notes);
    }

    fn say_comments(&self, guess: &mut Guess, text: &[u8], hints: &Hints) {
        let marker = self.layout.comment.as_slice();
        if marker.is_empty() || hints.comment.is_some() {
            return;
        }
        let count = lines(text).filter(|line| line.starts_with(marker)).count() as u64;
        guess.sure = guess.sure.min(0.8);
        guess.notes.push(Note::file(format!(
            "{} with `{}` at the beginning {} passed over as {}; if that is data, write `comment: \"\"`",
            counted(count, "line"),
            String::from_utf8_lossy(marker),
            if count == 1 { "is" } else { "are" },
            if count == 1 { "a comment" } else { "comments" },
        )));
    }

    /// Readings that are the best there is and may be none.
    fn say_doubts(&self, guess: &mut Guess, hints: &Hints) {
        if hints.delimiter.is_some() {
            return;
        }
        if dialect::is_weak(&self.layout.delimiter) && !self.is_header && self.width > 1 {
            guess.sure = guess.sure.min(0.5);
            guess.notes.push(Note::file(
                "the delimiter is a mark that often stands inside text, and no header speaks for it: these may be lines of \
                 text, such as a log",
            ));
        }
        let marks = |mark: u8| {
            let rows = self.start..self.grid.rows.len();
            let mut counts = rows
                .filter_map(|row| self.grid.cell(row, 0))
                .map(|(text, is_quoted)| if is_quoted { memchr::memchr_iter(mark, text).count() } else { 0 });
            let first = counts.next().unwrap_or(0);
            first > 0 && counts.next() == Some(first) && counts.all(|count| count == first)
        };
        if self.width == 1 && [b',', b';', b'\t', b'|'].into_iter().any(marks) {
            guess.sure = guess.sure.min(0.4);
            guess.notes.push(Note::file(
                "each line stands in quotes as a whole, so it is one column of text; if the fields in it were meant, take \
                 the outer quotes off before loading",
            ));
        }
        let rows = self.grid.rows.len();
        let is_laid_out = |row: usize| self.grid.cell(row, 0).is_some_and(|(text, _)| has_wide_gap(text));
        if self.width == 1 && rows > 1 && (0..rows).all(is_laid_out) {
            guess.sure = guess.sure.min(0.4);
            guess.notes.push(Note::file(
                "fields seem to stand at fixed places with blanks between them, which is not read: each line is one column of text",
            ));
        }
    }

    fn say_faults(&self, guess: &mut Guess, plain: &Plain) {
        let width = self.field_count;
        let rows = self.grid.rows.iter().skip(self.start + usize::from(self.is_header));
        let odd: Vec<u64> =
            rows.filter(|row| row.is_malformed || row.count != width).map(|row| row.line).collect();
        guess.odd_count = odd.len() as u64;
        if let [_, ..] = odd.as_slice() {
            let lines: Vec<String> = odd.iter().take(NAMED_MAX).map(u64::to_string).collect();
            let more = if odd.len() > NAMED_MAX { ", …" } else { "" };
            let (records, are, refused) = match odd.len() {
                1 => ("1 record does not have".to_owned(), "is", "it will be refused"),
                count => (format!("{count} records do not have"), "are", "they will be refused"),
            };
            let line = if lines.len() == 1 { "line" } else { "lines" };
            let fields = counted(width as u64, "field");
            guess.notes.push(Note::file(format!(
                "{records} {fields} or {are} not well formed ({line} {}{more}); {refused}",
                lines.join(", ")
            )));
        }
        let Fit { good, odd } = self.further;
        if odd > 0 {
            let all = good + odd;
            guess.notes.push(Note::file(format!(
                "of {} from further on in the file {odd} {} not have {}: \
                 the dialect or the columns change there, or text in quotes spans many lines",
                counted(all as u64, "record"),
                if odd == 1 { "does" } else { "do" },
                counted(width as u64, "field"),
            )));
            guess.sure = guess.sure.min(0.3 + 0.6 * ratio(good, all));
        }
        if guess.row_count == 0 {
            guess.notes.push(Note::file("no row but the header: types are not known"));
        }
        if !plain.is_whole && guess.row_count > 0 {
            guess.notes.push(Note::file("the file goes on behind the sample"));
        }
    }
}

/// Whether a text could be a name: no blanks and no marks in it.
fn is_word(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
}

/// Whether two blanks and more stand between words.
fn has_wide_gap(text: &[u8]) -> bool {
    memchr::memmem::find(text.trim_ascii(), b"  ").is_some()
}

/// The delimiter that a first line such as `sep=;` tells spreadsheets.
fn told_delimiter(text: &[u8]) -> Option<String> {
    let line = lines(text).next()?;
    let line = std::str::from_utf8(line).ok()?.trim_matches('"');
    let said = line.get(..4).filter(|word| word.eq_ignore_ascii_case("sep=")).and_then(|_| line.get(4..))?;
    let is_one = said.chars().count() == 1 && !said.starts_with(char::is_alphanumeric);
    match said {
        "\\t" => Some("\t".to_owned()),
        said => is_one.then(|| said.to_owned()),
    }
}

fn told(choices: &[Choice]) -> Option<DayOrder> {
    let mut orders = choices.iter().filter_map(|choice| choice.told);
    let first = orders.next()?;
    orders.all(|order| order == first).then_some(first)
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    std::str::from_utf8(bytes)
        .map_or(bytes, |text| text.trim_matches([' ', '\t', '\u{3000}', '\u{a0}']).as_bytes())
}
