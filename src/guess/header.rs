//! Whether the first record is a header, and the names of the columns.

use std::collections::{HashMap, HashSet};

use super::cell::{Look, is_null_text, is_uuid, look, truth_pair};
use super::column::has_word;
use super::facts::Facts;
use super::grid::Grid;

/// Words that headers are made of.
const WORDS: [&str; 58] = [
    "id",
    "name",
    "code",
    "date",
    "time",
    "type",
    "status",
    "value",
    "count",
    "amount",
    "price",
    "city",
    "state",
    "country",
    "address",
    "email",
    "phone",
    "title",
    "text",
    "description",
    "comment",
    "user",
    "key",
    "no",
    "number",
    "first",
    "last",
    "category",
    "url",
    "note",
    "notes",
    "created",
    "updated",
    "at",
    "total",
    "qty",
    "quantity",
    "sku",
    "zip",
    "region",
    "column",
    "field",
    "label",
    "lang",
    "gender",
    "age",
    "名",
    "番号",
    "コード",
    "日",
    "氏名",
    "住所",
    "電話",
    "金額",
    "数量",
    "分類",
    "種別",
    "備考",
];
/// A header's names are shorter than this.
const NAME_CHARS_MAX: usize = 128;

/// What the first record is.
pub(super) struct Header {
    pub(super) is_there: bool,
    /// How sure that is, 0 to 1.
    pub(super) sure: f64,
}

/// Looks at row `start` against what the rows behind it hold.
pub(super) fn header(grid: &Grid, start: usize, width: usize, facts: &[Facts]) -> Header {
    let Some(row) = grid.rows.get(start) else { return Header { is_there: false, sure: 0.5 } };
    if row.is_malformed {
        return Header { is_there: false, sure: 0.3 };
    }
    let cells: Vec<(String, bool)> = grid
        .row(start)
        .take(width)
        .map(|(bytes, is_quoted)| (String::from_utf8_lossy(bytes).trim().to_owned(), is_quoted))
        .collect();
    let has_values = facts.iter().any(|facts| facts.values > 0);
    if has_values && has_years(&cells, facts) {
        return Header { is_there: true, sure: 0.6 };
    }
    if !cells.iter().all(|(text, is_quoted)| is_name(text, *is_quoted)) {
        let is_mostly = typed_count(&cells) == 0 && differs(&cells, facts) > 0;
        return Header { is_there: is_mostly && has_values, sure: 0.7 };
    }
    if cells.iter().all(|(text, _)| text.is_empty()) {
        return Header { is_there: false, sure: 0.6 };
    }
    if !has_values {
        // A single record: names, or the only row?
        let is_header = cells.iter().all(|(text, _)| is_identifier(text)) && is_distinct(&cells);
        return Header { is_there: is_header, sure: 0.5 };
    }
    if differs(&cells, facts) > 0 {
        return Header { is_there: true, sure: 0.97 };
    }
    if facts.iter().any(is_typed) {
        // A typed column whose first value is of the same type.
        return Header { is_there: false, sure: 0.95 };
    }
    all_text(&cells, facts)
}

/// Whether the cells are names and, behind them, years that follow one another over columns of numbers that are no years.
fn has_years(cells: &[(String, bool)], facts: &[Facts]) -> bool {
    let year = |text: &str| text.parse::<u16>().ok().filter(|year| (1900..2100).contains(year));
    let names = cells.iter().take_while(|(text, _)| year(text).is_none()).count();
    let years: Vec<u16> = cells.iter().skip(names).map_while(|(text, _)| year(text)).collect();
    let is_row = years.windows(2).all(|pair| matches!(pair, [one, two] if one.abs_diff(*two) == 1));
    let is_over_numbers = facts.iter().skip(names).all(|facts| {
        let numbers = &facts.numbers;
        numbers.all() == facts.values && (numbers.digits_min != Some(4) || numbers.digits_max != 4)
    });
    years.len() > 1
        && names > 0
        && names + years.len() == cells.len()
        && is_row
        && is_over_numbers
        && cells.iter().take(names).all(|(text, is_quoted)| is_name(text, *is_quoted))
}

/// Columns whose values have a type that the first one has not.
fn differs(cells: &[(String, bool)], facts: &[Facts]) -> usize {
    let differs = |((text, is_quoted), facts): (&(String, bool), &Facts)| {
        is_typed(facts) && !text.is_empty() && !is_of(text, *is_quoted, facts)
    };
    cells.iter().zip(facts).filter(|pair| differs((pair.0, pair.1))).count()
}

fn typed_count(cells: &[(String, bool)]) -> usize {
    cells
        .iter()
        .filter(|(text, quoted)| !matches!(look(text.as_bytes(), *quoted), Look::Text | Look::Empty))
        .count()
}

/// All, or nearly all, values are of one kind that words are not.
pub(super) fn is_typed(facts: &Facts) -> bool {
    let values = facts.values;
    let times: u64 = facts.times.values().map(|times| times.count).sum();
    let truths = facts.truths.iter().map(|(yes, no)| yes + no).max().unwrap_or(0);
    let kinds = [facts.numbers.all() + facts.numbers.units, times, facts.uuids, facts.jsons, truths];
    values > 0 && kinds.iter().any(|count| *count * 10 >= values * 9)
}

/// Whether a text may be a value of the column; a truth word such as `t` or `on` is one only among truth words.
fn is_of(text: &str, is_quoted: bool, facts: &Facts) -> bool {
    let is_word = look(text.as_bytes(), is_quoted) == Look::Word;
    if is_word {
        return facts.truths.iter().any(|(yes, no)| (yes + no) * 10 >= facts.values * 9);
    }
    is_uuid(text) || !matches!(look(text.as_bytes(), is_quoted), Look::Text | Look::Torn)
}

/// Whether a text may be the name of a column.
fn is_name(text: &str, is_quoted: bool) -> bool {
    if text.is_empty() || is_null_text(text) {
        return true;
    }
    let look = look(text.as_bytes(), is_quoted);
    text.chars().count() <= NAME_CHARS_MAX
        && (look == Look::Text || (look == Look::Word && truth_pair(text).is_some()))
        && text.chars().any(char::is_alphanumeric)
        && !text.starts_with(|letter: char| letter.is_ascii_digit() && text.len() > 40)
        && !text.contains(['\n', '\r'])
}

/// Whether a text is a word as programs use them for names.
fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= 64
        && text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
        && text.chars().all(|letter| {
            letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | ' ' | '(' | ')' | '/')
        })
        && text.split(' ').count() <= 4
}

fn is_distinct(cells: &[(String, bool)]) -> bool {
    cells.iter().enumerate().all(|(at, (text, _))| cells.iter().skip(at + 1).all(|(other, _)| other != text))
}

/// A table of words alone: what speaks for names in its first record, and what against.
fn all_text(cells: &[(String, bool)], facts: &[Facts]) -> Header {
    let mut points = 1_i32;
    if !is_distinct(cells) {
        points -= 2;
    }
    for ((text, _), facts) in cells.iter().zip(facts) {
        if facts.values == 0 || text.is_empty() {
            continue;
        }
        if facts.has(text) {
            points -= 3;
        } else if facts.distinct() * 2 <= facts.values && facts.values >= 4 {
            // The values are few and come again and again, and this is none of them.
            points += 1;
        }
        if has_word(text, &WORDS) {
            points += 2;
        }
        let is_snake = text.contains('_') && is_identifier(text);
        points += i32::from(is_snake);
        points -= i32::from(!is_identifier(text));
        let length = text.chars().count();
        let is_outside = facts.length_min.is_some_and(|min| length < min) || length > facts.length_max;
        points += i32::from(is_outside && facts.values >= 3);
    }
    let sure = if points.abs() > 2 { 0.9 } else { 0.6 };
    Header { is_there: points > 0, sure }
}

/// The names of `width` columns, each once; and for each whether it is not the header's, or not its alone.
pub(super) fn names(cells: &[String], width: usize) -> Vec<(String, bool)> {
    let said = |index: usize| cells.get(index).map(|text| text.trim()).filter(|text| !text.is_empty());
    let mut times: HashMap<&str, usize> = HashMap::new();
    for name in (0..width).filter_map(said) {
        *times.entry(name).or_default() += 1;
    }
    let mut names: Vec<(String, bool)> = Vec::with_capacity(width);
    let mut taken: HashSet<String> = HashSet::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for index in 0..width {
        let base = said(index).map_or_else(|| format!("c{index}"), str::to_owned);
        let is_numbered = said(index).is_none_or(|name| times.get(name).is_some_and(|times| *times > 1));
        let mut name = base.clone();
        let count = counts.entry(base.clone()).or_default();
        let mut is_changed = false;
        while !taken.insert(name.clone()) {
            is_changed = true;
            *count += 1;
            name = format!("{base}_{count}");
        }
        names.push((name, is_numbered || is_changed));
    }
    names
}
