//! How well a sample reads under one dialect.

use std::collections::BTreeMap;

use super::cell::{Look, look};
use super::grid::{Grid, Layout, WIDTH_MAX};

/// Rows whose fields are looked at, from the first on and from the last back.
const LOOKED_ROWS: usize = 120;
/// Fields of a row that are looked at.
const LOOKED_WIDTH: usize = 100;
/// Rows before the table that are passed over at most.
const PREAMBLE_MAX: usize = 40;
/// Widths that are tried, the most frequent ones first.
const WIDTHS_MAX: usize = 6;

/// What a reading came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rank {
    pub(super) score: f64,
    /// Fields of a record.
    pub(super) width: usize,
    /// Index of the table's first row.
    pub(super) start: usize,
    /// Share of the rows from there on that have so many fields.
    pub(super) consistency: f64,
    pub(super) quoted_count: usize,
    pub(super) malformed_count: usize,
    /// The last line ends inside quotes, as in a file that was cut: it says nothing against the reading.
    pub(super) is_cut_in_quotes: bool,
    /// Share of the fields that are numbers, times, truth values and the like.
    pub(super) typed: f64,
}

/// Marks that often stand in plain text: to split at them must be worth more.
fn trust(layout: &Layout, rank: &Rank, typed: f64) -> f64 {
    let base = match layout.delimiter.as_slice() {
        // Words are set apart by blanks anyway.
        b" " if typed < 0.3 && rank.width > 1 => 0.2,
        b" " => 0.55,
        b":" | b"~" | b"^" | b"#" | b"*" | b"!" | b"?" | b"+" => 0.8,
        _ => return 1.0,
    };
    let is_even = rank.start == 0 && rank.consistency > 0.999;
    if is_even { base } else { base * 0.4 }
}

pub(super) fn rank(grid: &Grid, layout: &Layout, text_bytes: usize) -> Rank {
    let rows = grid.judged();
    let row_count = rows.len();
    let mut widths: BTreeMap<usize, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.is_malformed) {
        *widths.entry(row.count).or_default() += 1;
    }
    let mut frequent: Vec<(usize, usize)> = widths.iter().map(|(width, count)| (*count, *width)).collect();
    frequent.sort_unstable_by(|left, right| right.cmp(left));
    let last = rows.last().filter(|row| !row.is_malformed).map(|row| row.count);
    frequent.truncate(WIDTHS_MAX);
    let tried = frequent.into_iter().map(|(_, width)| width).chain(last);
    let mut best = Rank::default();
    for width in tried {
        let (start, consistency) = start_of(grid, width);
        let preamble = i32::try_from(start).unwrap_or(i32::MAX);
        let share = if width < 2 { 0.35 } else { 1.0 - 0.25 / ratio(width, 1) };
        let score = consistency.powi(3) * 0.92_f64.powi(preamble) * share;
        if score > best.score {
            best = Rank { score, width, start, consistency, ..best };
        }
    }
    if row_count == 0 || best.width == 0 {
        return Rank::default();
    }
    let (looks, typed, quoted_count) = coherence(grid, &best);
    // What is behind the last whole record of a cut sample should be one record, not half of the sample.
    let covered = 1.0 - (ratio(grid.rest_bytes, text_bytes.max(1)) * 2.0 - 0.5).clamp(0.0, 0.95);
    let malformed_count = rows.iter().filter(|row| row.is_malformed).count();
    let sound = (1.0 - ratio(malformed_count, row_count)).powi(2);
    let quotes = if quoted_count > 0 { 1.04 } else { 1.0 };
    let is_bare =
        layout.quote.is_none() && (is_quoted_as_a_whole(grid, &best) || has_quoted_column(grid, &best));
    let whole = if is_bare { 0.3 } else { 1.0 };
    let score = best.score * looks * covered * sound.max(0.05) * quotes * whole * trust(layout, &best, typed);
    Rank {
        // Equal readings are equal, in whatever order their fields were summed up.
        score: (score * 1e6).round() / 1e6,
        quoted_count,
        malformed_count,
        is_cut_in_quotes: grid.is_cut_in_quotes,
        typed,
        ..best
    }
}

/// Whether each record begins and ends with a quote that no field has a second one for: the lines are quoted as a whole, and
/// what stands in them is no field.
fn is_quoted_as_a_whole(grid: &Grid, rank: &Rank) -> bool {
    let is_whole = |index: usize| {
        let (Some((first, _)), Some((last, _))) = (grid.cell(index, 0), grid.cell(index, rank.width - 1))
        else {
            return false;
        };
        [b'"', b'\''].iter().any(|quote| {
            first.first() == Some(quote)
                && last.last() == Some(quote)
                && (first.len() < 2 || first.last() != Some(quote))
                && (last.len() < 2 || last.first() != Some(quote))
        })
    };
    let rows = rank.start..grid.rows.len();
    let count = rows.clone().filter(|index| is_whole(*index)).count();
    rank.width > 1 && count * 10 >= rows.len() * 9
}

pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    exact(part) / exact(whole).max(1.0)
}

/// Whether most values of a column stand in quotes of their own, with none inside: those are no part of the values.
fn has_quoted_column(grid: &Grid, rank: &Rank) -> bool {
    (0..rank.width.min(WIDTH_MAX)).any(|column| {
        let (mut filled, mut quoted) = (0_usize, 0_usize);
        for (text, _) in (rank.start..grid.rows.len()).filter_map(|row| grid.cell(row, column)) {
            let inner = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            quoted += usize::from(inner.is_some_and(|inner| !inner.contains(&b'"')));
            filled += usize::from(!text.is_empty());
        }
        quoted > 1 && quoted * 2 > filled
    })
}

/// The first row of the table if its records have `width` fields, and how many of the rows from there on do.
fn start_of(grid: &Grid, width: usize) -> (usize, f64) {
    let rows = grid.judged();
    let has_width = |index: usize| rows.get(index).is_some_and(|row| row.count == width && !row.is_malformed);
    let first = (0..rows.len()).find(|index| has_width(*index)).unwrap_or(0);
    let is_preamble = width > 1
        && first <= PREAMBLE_MAX
        && rows.iter().take(first).all(|row| row.count < width || row.is_malformed);
    let mut start = if is_preamble { first } else { 0 };
    // A header that lacks the name of the last field, as files with a delimiter at each line's end have it.
    let is_short = start > 0
        && width > 2
        && rows.get(start - 1).is_some_and(|row| row.count + 1 == width && !row.is_malformed)
        && (start..rows.len())
            .filter_map(|index| grid.cell(index, width - 1))
            .all(|(last, is_quoted)| last.is_empty() && !is_quoted);
    if is_short {
        start -= 1;
    }
    let count = |from: usize| {
        let good = (from..rows.len()).filter(|index| has_width(*index)).count();
        (good + usize::from(is_short), rows.len() - from)
    };
    let (good, all) = count(start);
    if start > 0 && good < 2 {
        let (good, all) = count(0);
        return (0, ratio(good, all));
    }
    (start, ratio(good, all))
}

fn weight(look: Look) -> f64 {
    match look {
        Look::Number | Look::Moment | Look::Word | Look::Structured => 1.0,
        Look::Empty => 0.85,
        Look::Text => 0.8,
        Look::Torn => 0.25,
    }
}

/// How much the fields make sense, what share of them is typed, and how many stand in quotes.
fn coherence(grid: &Grid, rank: &Rank) -> (f64, f64, usize) {
    let last = grid.rows.len();
    let from = if last > rank.start + 1 { rank.start + 1 } else { rank.start };
    let head = from..last.min(from + LOOKED_ROWS);
    let tail = last.saturating_sub(LOOKED_ROWS).max(head.end)..last;
    let width = rank.width.min(LOOKED_WIDTH);
    let mut filled = vec![false; width];
    let (mut sum, mut cells, mut typed, mut quoted) = (0.0, 0_usize, 0_usize, 0_usize);
    for index in head.chain(tail).chain(std::iter::once(rank.start)) {
        for (column, (bytes, is_quoted)) in grid.row(index).take(width).enumerate() {
            quoted += usize::from(is_quoted);
            let look = look(bytes, is_quoted);
            if let Some(filled) = filled.get_mut(column) {
                *filled |= look != Look::Empty;
            }
            if index == rank.start && from > rank.start {
                // The header is text in any case; only what is torn speaks against the dialect.
                if look == Look::Torn {
                    cells += 1;
                }
                continue;
            }
            cells += 1;
            sum += weight(look);
            typed += usize::from(weight(look) > 0.9);
        }
    }
    let empty = filled.iter().filter(|is_filled| !**is_filled).count();
    let hollow = 1.0 - 0.5 * ratio(empty, width);
    let mean = if cells == 0 { 0.8 } else { sum / ratio(cells, 1) };
    // All quotes count, wherever they are: one late quoted field is what a quote is for.
    let all_quoted = grid.quoted_count();
    (mean * hollow, ratio(typed, cells), quoted.max(all_quoted))
}
