//! Which dialect reads a sample best: the sample is decoded under each candidate, and the readings compared.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Hints;
use super::cell::{Look, look};
use super::grid::{Grid, Layout, lines};
use super::rank::{Rank, rank};

/// Text that candidates are tried on; the rest only confirms.
const TRIED_BYTES: usize = 48 * 1024;
/// Readings that are looked at more closely.
const CLOSE_MAX: usize = 4;
/// Runs of marks that are tried as delimiters.
const RUNS_MAX: usize = 6;
/// Lines with a comment's marker that are looked at for records.
const COMMENTS_MAX: usize = 1_000;
const STRONG: [&[u8]; 8] = [b",", b"\t", b";", b"|", b"\x01", b"\x1f", b"\x1e", b"\x02"];
const WEAK: [&[u8]; 4] = [b":", b"^", b"~", b" "];
/// Marks that delimit only where every line has as many of them, and more than one.
const RARE: [&[u8]; 12] =
    [b"?", b"+", b"!", b"*", b"#", b"\x03", b"\x04", b"\x05", b"\x06", b"\x07", b"\x1c", b"\x1d"];
/// Delimiters of more than one byte that are one letter.
const LETTERS: [&str; 4] = ["\u{a6}", "\u{a7}", "\u{ac}", "\u{ff0c}"];
const COMMENTS: [&[u8]; 3] = [b"#", b"//", b"--"];
/// A better reading must be so much better than one that needs less.
const MARGIN: f64 = 1.001;
/// From this share of typed rows on a single column is not split at marks that times and texts have inside.
const SINGLE_TYPED: f64 = 0.8;

/// A layout and what reading by it came to.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) layout: Layout,
    pub(super) rank: Rank,
    /// The next best score of another delimiter.
    pub(super) rival: f64,
}

struct Search<'a> {
    text: Bytes,
    is_whole: bool,
    hints: &'a Hints,
}

pub(super) fn choose(text: &Bytes, is_whole: bool, hints: &Hints) -> Choice {
    let tried = text.slice(..text.len().min(TRIED_BYTES));
    let search = Search { is_whole: is_whole && tried.len() == text.len(), text: tried, hints };
    let mut choice = search.run();
    if text.len() > TRIED_BYTES {
        let all = Search { text: text.clone(), is_whole, hints };
        let rival = choice.rival;
        choice = all.closer(&choice.layout);
        choice.rival = rival;
    }
    choice
}

/// Whether a delimiter often stands in plain text.
pub(super) fn is_weak(delimiter: &[u8]) -> bool {
    WEAK.contains(&delimiter) || RARE.contains(&delimiter)
}

/// A text of the settings as bytes; `\t` is understood.
fn said(text: &str) -> Vec<u8> {
    text.replace("\\t", "\t").into_bytes()
}

fn first_byte(text: &str) -> Option<u8> {
    text.bytes().next().filter(u8::is_ascii)
}

impl Search<'_> {
    fn rank(&self, layout: &Layout) -> Rank {
        let grid = Grid::read(&self.text, layout, self.is_whole);
        rank(&grid, layout, self.text.len())
    }

    fn plain(&self, delimiter: &[u8], comment: &[u8]) -> Layout {
        let quote = match &self.hints.quote {
            Some(quote) => first_byte(quote),
            None => Some(b'"'),
        };
        let escape =
            self.hints.escape.as_deref().and_then(first_byte).filter(|escape| Some(*escape) != quote);
        Layout {
            delimiter: delimiter.to_vec(),
            quote,
            escape,
            comment: comment.to_vec(),
            skip_lines: self.hints.skip_lines.unwrap_or(0),
            is_stray: false,
            passes_blanks: quote.is_some_and(|quote| self.has_blank_beside(quote, delimiter)),
        }
    }

    fn run(&self) -> Choice {
        let mut ranked: Vec<(Layout, Rank)> = Vec::new();
        let single = self.absent();
        let is_typed = self.rank(&self.plain(&single, b"")).typed >= SINGLE_TYPED;
        for comment in self.comments() {
            for delimiter in self.delimiters(&single) {
                if is_typed && is_weak(&delimiter) {
                    continue;
                }
                let layout = self.plain(&delimiter, &comment);
                let rank = self.rank(&layout);
                ranked.push((layout, rank));
            }
        }
        // Candidates stand in the order in which they are preferred, and the sort is stable.
        ranked.sort_by(|(_, left), (_, right)| right.score.total_cmp(&left.score));
        let mut best: Option<Choice> = None;
        let mut rival = 0.0_f64;
        for (layout, _) in ranked.into_iter().take(CLOSE_MAX) {
            let closer = self.closer(&layout);
            match &mut best {
                Some(best) if closer.rank.score <= best.rank.score * MARGIN => {
                    rival = rival.max(closer.rank.score);
                }
                Some(best) => {
                    rival = best.rank.score;
                    *best = closer;
                }
                None => best = Some(closer),
            }
        }
        let mut best = best.unwrap_or_else(|| {
            let layout = self.plain(b",", b"");
            Choice { rank: self.rank(&layout), layout, rival: 0.0 }
        });
        for comment in self.comments() {
            let other = self.closer(&Layout { comment, ..best.layout.clone() });
            if other.rank.score > best.rank.score * MARGIN {
                best = other;
            }
        }
        if self.hints.comment.is_none() && self.hides_records(&best) {
            best = self.closer(&Layout { comment: Vec::new(), ..best.layout.clone() });
        }
        if best.rank.width <= 1 && self.hints.delimiter.is_none() {
            best.layout.delimiter = single;
        }
        Choice { rival, ..best }
    }

    /// Whether lines that begin with the comment's marker are records: as wide as the table, and close behind the marker (such as
    /// `#id,name` or `#REF!,3`) or with a value of a type further on. Of one column every close line may be one.
    fn hides_records(&self, choice: &Choice) -> bool {
        let marker = choice.layout.comment.as_slice();
        if marker.is_empty() {
            return false;
        }
        let plain = Layout { comment: Vec::new(), skip_lines: 0, ..choice.layout.clone() };
        let is_record = |line: &[u8]| {
            let is_close = line.get(marker.len()).is_none_or(|byte| !byte.is_ascii_whitespace());
            let one = Grid::read(&Bytes::copy_from_slice(line), &plain, true);
            let is_wide = one.rows.first().is_some_and(|row| row.count == choice.rank.width);
            let mut further = one.row(0).skip(1);
            let has_typed =
                further.any(|(bytes, is_quoted)| !matches!(look(bytes, is_quoted), Look::Text | Look::Empty));
            is_wide && (is_close || has_typed)
        };
        lines(&self.text).filter(|line| line.starts_with(marker)).take(COMMENTS_MAX).any(is_record)
    }

    /// The same delimiter with every quote and escape that the text has.
    fn closer(&self, layout: &Layout) -> Choice {
        let mut best: Option<Choice> = None;
        let mut has_faults = false;
        for layout in self.quoting(layout) {
            let rank = self.rank(&layout);
            has_faults |= rank.malformed_count > 0 && layout.quote == Some(b'"');
            let is_better = best.as_ref().is_none_or(|best| rank.score > best.rank.score * MARGIN);
            if is_better {
                best = Some(Choice { layout, rank, rival: 0.0 });
            }
        }
        let mut best =
            best.unwrap_or_else(|| Choice { layout: layout.clone(), rank: self.rank(layout), rival: 0.0 });
        if has_faults {
            let quote =
                best.layout.quote.or(Some(b'"')).filter(|_| self.hints.quote.is_none()).or(best.layout.quote);
            let layout = Layout { is_stray: true, quote, ..best.layout.clone() };
            let grid = Grid::read(&self.text, &layout, self.is_whole);
            let rank = rank(&grid, &layout, self.text.len());
            // A quote that does not close where it should would glue records together.
            if !grid.spans_lines() && rank.score > best.rank.score * 1.02 {
                best = Choice { layout, rank, rival: 0.0 };
            }
        }
        // Quotes that stand inside fields alone are data, and a field that begins with one may come.
        let is_unused =
            best.rank.quoted_count == 0 && !best.rank.is_cut_in_quotes && self.hints.quote.is_none();
        if let Some(quote) = best.layout.quote.filter(|_| is_unused) {
            if memchr::memchr(quote, &self.text).is_some() {
                best.layout.quote = None;
            } else {
                best.layout.quote = Some(b'"');
            }
            best.layout.escape = None;
        }
        best
    }

    fn quoting(&self, layout: &Layout) -> Vec<Layout> {
        let mut quotes = vec![layout.quote];
        if self.hints.quote.is_none() {
            let single = memchr::memmem::find(&self.text, b"'").is_some();
            quotes = vec![Some(b'"')];
            quotes.extend(single.then_some(Some(b'\'')));
            quotes.push(None);
        }
        let mut layouts = Vec::new();
        for quote in quotes {
            let plain = Layout { quote, escape: None, passes_blanks: false, ..layout.clone() };
            let Some(quote) = quote else {
                layouts.push(plain);
                continue;
            };
            let escapes: Vec<u8> = match &self.hints.escape {
                Some(escape) => first_byte(escape).into_iter().filter(|escape| *escape != quote).collect(),
                None => [b'\\', b'"']
                    .into_iter()
                    .filter(|escape| {
                        *escape != quote && memchr::memmem::find(&self.text, &[*escape, quote]).is_some()
                    })
                    .collect(),
            };
            let mut quoted = Vec::new();
            if self.hints.escape.is_none() || escapes.is_empty() {
                quoted.push(plain.clone());
            }
            quoted.extend(escapes.into_iter().map(|escape| Layout { escape: Some(escape), ..plain.clone() }));
            layouts.extend_from_slice(&quoted);
            if self.has_blank_beside(quote, &layout.delimiter) {
                layouts.extend(quoted.into_iter().map(|layout| Layout { passes_blanks: true, ..layout }));
            }
        }
        layouts
    }

    /// Whether a blank stands between a quote and a delimiter or a line end.
    fn has_blank_beside(&self, quote: u8, delimiter: &[u8]) -> bool {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t') && !delimiter.contains(byte);
        let is_edge = |text: &[u8], is_behind: bool| {
            if is_behind {
                text.is_empty()
                    || text.starts_with(delimiter)
                    || text.starts_with(b"\n")
                    || text.starts_with(b"\r")
            } else {
                text.is_empty() || text.ends_with(delimiter) || text.ends_with(b"\n") || text.ends_with(b"\r")
            }
        };
        memchr::memchr_iter(quote, &self.text).any(|at| {
            let (before, after) =
                (self.text.get(..at).unwrap_or_default(), self.text.get(at + 1..).unwrap_or_default());
            let leading = before.iter().rev().take_while(|byte| is_blank(byte)).count();
            let trailing = after.iter().take_while(|byte| is_blank(byte)).count();
            (leading > 0 && is_edge(before.get(..before.len() - leading).unwrap_or_default(), false))
                || (trailing > 0 && is_edge(after.get(trailing..).unwrap_or_default(), true))
        })
    }

    /// A delimiter that the text does not have: the whole line is one field.
    fn absent(&self) -> Vec<u8> {
        let found = STRONG.iter().find(|mark| memchr::memmem::find(&self.text, mark).is_none());
        found.map_or_else(|| vec![b'\x03'], |mark| mark.to_vec())
    }

    fn delimiters(&self, single: &[u8]) -> Vec<Vec<u8>> {
        if let Some(delimiter) = &self.hints.delimiter {
            return vec![said(delimiter)];
        }
        let is_there = |mark: &[u8]| memchr::memmem::find(&self.text, mark).is_some();
        let mut found: Vec<Vec<u8>> =
            STRONG.iter().filter(|mark| is_there(mark)).map(|mark| mark.to_vec()).collect();
        found.extend(self.runs());
        found.extend(
            LETTERS.iter().map(|letter| letter.as_bytes().to_vec()).filter(|letter| is_there(letter)),
        );
        found.extend(WEAK.iter().filter(|mark| is_there(mark)).map(|mark| mark.to_vec()));
        found.extend(RARE.iter().filter(|mark| self.is_even(mark)).map(|mark| mark.to_vec()));
        found.push(single.to_vec());
        found
    }

    /// Whether all lines have the mark, as often as the others, and more than once.
    fn is_even(&self, mark: &[u8]) -> bool {
        let whole = if self.is_whole {
            self.text.len()
        } else {
            memchr::memrchr2(b'\r', b'\n', &self.text).unwrap_or(0)
        };
        let mut counts = lines(self.text.get(..whole).unwrap_or_default())
            .filter(|line| !line.is_empty())
            .map(|line| memchr::memmem::find_iter(line, mark).count());
        match (counts.next(), counts.next()) {
            (Some(first), Some(second)) => first > 1 && second == first && counts.all(|count| count == first),
            _ => false,
        }
    }

    /// Runs of two to four marks that most lines have.
    fn runs(&self) -> Vec<Vec<u8>> {
        const LOOKED_LINES: usize = 40;
        let is_mark = |byte: u8| {
            matches!(
                byte,
                b'|' | b'~'
                    | b'^'
                    | b':'
                    | b';'
                    | b'#'
                    | b'@'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'!'
                    | b'*'
                    | b'+'
                    | b'='
                    | b','
                    | b'\t'
                    | b'\x01'
                    | b'\x02'
                    | b'<'
                    | b'>'
            )
        };
        let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut line_count = 0;
        for line in lines(&self.text).filter(|line| !line.is_empty()).take(LOOKED_LINES) {
            line_count += 1;
            let mut seen: Vec<&[u8]> = Vec::new();
            for run in line.split(|byte| !is_mark(*byte)).filter(|run| (2..=8).contains(&run.len())) {
                // Empty fields between delimiters of one byte make runs, too: the shortest run counts for the longer.
                let unit = (2..=4).find(|length| {
                    run.len() % length == 0
                        && run.chunks(*length).all(|chunk| Some(chunk) == run.get(..*length))
                });
                let unit = unit.and_then(|length| run.get(..length)).unwrap_or(run);
                if unit.len() <= 4 && !seen.contains(&unit) && seen.len() < RUNS_MAX {
                    seen.push(unit);
                }
            }
            for run in seen {
                *counts.entry(run.to_vec()).or_default() += 1;
            }
        }
        let mut found: Vec<(usize, Vec<u8>)> = counts
            .into_iter()
            .filter(|(_, count)| count * 5 >= line_count * 4)
            .map(|(run, count)| (count, run))
            .collect();
        found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        found.into_iter().map(|(_, run)| run).take(RUNS_MAX).collect()
    }

    /// Markers that lines begin with; none comes first.
    fn comments(&self) -> Vec<Vec<u8>> {
        if let Some(comment) = &self.hints.comment {
            return vec![comment.as_bytes().to_vec()];
        }
        let is_there = |marker: &[u8]| lines(&self.text).any(|line| line.starts_with(marker));
        let markers = COMMENTS.iter().filter(|marker| is_there(marker)).map(|marker| marker.to_vec());
        std::iter::once(Vec::new()).chain(markers).collect()
    }
}
