//! Tables for people: columns side by side as wide as they look, Japanese included, and no wider than the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::{self, Paint};

/// Between two columns.
const GAP: &str = "  ";
/// Of a table with more columns none is cut to less than this, or its rows are printed one below the other.
const READABLE_WIDTH_MIN: usize = 8;
const SIDE_BY_SIDE_MAX: usize = 3;
/// No column is cut to less.
const COLUMN_WIDTH_MIN: usize = 4;

/// A table that is still to be laid out.
pub(super) struct Table {
    head: Vec<String>,
    second_head: Option<Vec<String>>,
    rows: Vec<Row>,
    right: Vec<usize>,
    status: Option<usize>,
}

/// Cells, and what is to be said of them in a line of its own.
struct Row {
    cells: Vec<String>,
    below: Option<String>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|cell| cleaned(cell)).collect();
        Self { head, second_head: None, rows: Vec::new(), right: Vec::new(), status: None }
    }

    /// These columns are numbers.
    pub(super) fn right(mut self, columns: &[usize]) -> Self {
        self.right.extend_from_slice(columns);
        self
    }

    /// This column says how something ended, in colour.
    pub(super) fn status(mut self, column: usize) -> Self {
        self.status = Some(column);
        self
    }

    /// A line under the head, of rows side by side.
    pub(super) fn second_head(&mut self, cells: impl IntoIterator<Item = String>) {
        self.second_head = Some(cells.into_iter().map(|cell| cleaned(&cell)).collect());
    }

    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| cleaned(&cell)).collect();
        self.rows.push(Row { cells, below: None });
    }

    /// A line under the last row.
    pub(super) fn below(&mut self, line: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.below = Some(cleaned(line));
        }
    }

    /// No wider than `width`, where one is given.
    pub(super) fn print(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        let is_narrow = |(cut, whole): (&usize, &usize)| cut < whole && *cut < READABLE_WIDTH_MIN;
        if widths.len() > SIDE_BY_SIDE_MAX && widths.iter().zip(&self.widths(None)).any(is_narrow) {
            return self.one_below_the_other(width);
        }
        let head = self.line(&self.head, &widths, Some(Paint::Head));
        let mut lines = vec![head];
        lines.extend(self.second_head.as_ref().map(|cells| self.line(cells, &widths, None)));
        for row in &self.rows {
            lines.push(self.line(&row.cells, &widths, None));
            lines.extend(row.below.as_deref().map(|below| style::out(Paint::Bad, below)));
        }
        lines.join("\n")
    }

    /// A line for each cell, where a terminal is too narrow for all of a row.
    fn one_below_the_other(&self, width: Option<usize>) -> String {
        let named = self.head.iter().map(|cell| cell.width()).max().unwrap_or(0);
        let room = width.map(|width| width.saturating_sub(named + GAP.len()).max(COLUMN_WIDTH_MIN));
        let mut records = Vec::new();
        for row in &self.rows {
            let mut lines = Vec::new();
            for (at, cell) in row.cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
                let head = self.head.get(at).map(String::as_str).unwrap_or_default();
                let fill = " ".repeat(named.saturating_sub(head.width()));
                let cell = room.map_or_else(|| cell.clone(), |room| cut(cell, room));
                let paint = if self.status == Some(at) { Paint::of_status(&cell) } else { None };
                let cell = paint.map_or_else(|| cell.clone(), |paint| style::out(paint, &cell));
                lines.push(format!("{}{fill}{GAP}{cell}", style::out(Paint::Head, head)));
            }
            lines.extend(row.below.as_deref().map(|below| style::out(Paint::Bad, below)));
            records.push(lines.join("\n"));
        }
        records.join("\n\n")
    }

    fn widths(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|cell| cell.width()).collect();
        let second = self.second_head.iter().map(Vec::as_slice);
        for cells in second.chain(self.rows.iter().map(|row| row.cells.as_slice())) {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        let Some(width) = width else { return widths };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let room = width.saturating_sub(gaps);
        // The widest give way first, until all fit or none can give more.
        while widths.iter().sum::<usize>() > room {
            let widest = widths.iter().copied().max().unwrap_or(0);
            if widest <= COLUMN_WIDTH_MIN {
                break;
            }
            let next = widths.iter().copied().filter(|width| *width < widest).max().unwrap_or(0);
            let count = widths.iter().filter(|width| **width == widest).count();
            let excess = widths.iter().sum::<usize>() - room;
            let share = excess.div_ceil(count.max(1));
            let less = widest.saturating_sub(share).max(next).max(COLUMN_WIDTH_MIN).min(widest - 1);
            for width in widths.iter_mut().filter(|width| **width == widest) {
                *width = less;
            }
        }
        widths
    }

    fn line(&self, cells: &[String], widths: &[usize], paint: Option<Paint>) -> String {
        let last = widths.len().saturating_sub(1);
        let printed = cells.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
            let cell = cut(cell, *width);
            let fill = " ".repeat(width.saturating_sub(cell.width()));
            let paint = match self.status {
                Some(column) if column == at && paint.is_none() => Paint::of_status(&cell),
                _ => paint,
            };
            let shown = paint.map_or_else(|| cell.clone(), |paint| style::out(paint, &cell));
            if self.right.contains(&at) {
                format!("{fill}{shown}")
            } else if at == last {
                shown
            } else {
                format!("{shown}{fill}")
            }
        });
        printed.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

/// Cut to so many columns, `…` at the end where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut taken = 0;
    let mut kept = String::new();
    for letter in text.chars() {
        let wide = letter.width().unwrap_or(0);
        if taken + wide + 1 > width {
            break;
        }
        taken += wide;
        kept.push(letter);
    }
    kept.push('…');
    kept
}

/// What would move the cursor is shown as what it is.
pub(super) fn cleaned(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => shown.push('⏎'),
            '\r' => shown.push('␍'),
            '\t' => shown.push('→'),
            other if other.is_control() => shown.push('\u{FFFD}'),
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let mut table = Table::new(&["N", "TITLE", "X"]).right(&[0]);
        table.push(["1", "容疑者", "a"].map(str::to_owned));
        table.push(["10", "abc", "b"].map(str::to_owned));
        assert_eq!(table.print(None), " N  TITLE   X\n 1  容疑者  a\n10  abc     b");
    }

    #[test]
    fn the_widest_column_gives_way() {
        let mut table = Table::new(&["A", "B"]);
        table.push(["short".to_owned(), "日本語の長い文章です".to_owned()]);
        assert_eq!(table.print(Some(16)), "A      B\nshort  日本語の…");
        let mut many = Table::new(&["AAAAAAAA", "BBBBBBBB"]);
        many.push(["x".to_owned(), "y".to_owned()]);
        assert_eq!(many.print(Some(12)), "AAAA…  BBBB…\nx      y");
        assert_eq!(many.print(Some(2)).lines().next(), Some("AAA…  BBB…"));
    }

    #[test]
    fn rows_that_would_not_be_read_are_printed_one_below_the_other() {
        let mut table = Table::new(&["WHEN", "題名", "C", "D"]);
        table.push(["2024-05-01T10:00:00Z", "吾輩は猫である", "", "1"].map(str::to_owned));
        table.push(["2024-05-02T10:00:00Z", "火花", "x", "2"].map(str::to_owned));
        table.below("^ bad");
        assert_eq!(
            table.print(Some(20)),
            "WHEN  2024-05-01T10…\n題名  吾輩は猫である\nD     1\n\nWHEN  2024-05-02T10…\n題名  火花\nC     x\nD     2\n^ bad"
        );
        assert!(table.print(Some(60)).starts_with("WHEN                  題名            C  D\n"));
    }

    #[test]
    fn a_cell_stays_on_its_line() {
        assert_eq!(cleaned("a\nb\tc\u{1b}[31m"), "a⏎b→c\u{FFFD}[31m");
        assert_eq!(
            (cut("日本", 3), cut("日本", 4), cut("abc", 1)),
            ("日…".into(), "日本".into(), "…".into())
        );
    }
}
