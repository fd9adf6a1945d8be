//! What `DuckDB`'s `sniff_csv` says of its test files.

use std::collections::BTreeMap;

use holoload::guess::{ColumnGuess, Guess, Hints, Sample, Type, guess};

use crate::manifest::{Case, Outcome, cases, settle};

/// Cases in which we say something else, and why.
const DELIBERATE: &[(&str, &str)] = &[
    ("duckdb/275-big_bad.csv", "`1, A` stands in the file 4,270 times: it is data, not a header"),
    ("duckdb/276-big_bad.csv", "the same file"),
];

/// Types in these files that we see otherwise.
const OTHER_TYPES: &[(&str, &str)] = &[
    (
        "duckdb/198-timestamp_with_tz.csv",
        "EST is the name of several zones: the column stays text, with a note",
    ),
    ("duckdb/327-integers.csv", "`9,0,0` has no groups of three digits: the column stays text, with a note"),
];

/// `name => value` of the function's arguments.
fn arguments(sql: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some((_, rest)) = sql.split_once("sniff_csv(") else { return found };
    let (mut depth, mut is_text, mut begin) = (0_i32, false, 0);
    let mut parts = Vec::new();
    for (at, letter) in rest.char_indices() {
        match letter {
            '\'' => is_text = !is_text,
            '[' | '{' | '(' if !is_text => depth += 1,
            ')' if !is_text && depth == 0 => {
                parts.push(&rest[begin..at]);
                break;
            }
            ']' | '}' | ')' if !is_text => depth -= 1,
            ',' if !is_text && depth == 0 => {
                parts.push(&rest[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    for part in parts.into_iter().skip(1) {
        if let Some((name, value)) = part.split_once('=') {
            found.insert(name.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

fn bare(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')).unwrap_or(text)
}

fn is_true(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "true" | "1")
}

/// Keys of `{'a': …, 'b': …}` or items of `['a', 'b']`.
fn names(text: &str) -> Vec<String> {
    let is_map = text.starts_with('{');
    let items = text.trim_matches(['[', ']', '{', '}']).split(',');
    items
        .map(|item| if is_map { item.split(':').next().unwrap_or_default() } else { item })
        .map(|item| bare(item.trim()).to_owned())
        .collect()
}

fn hints(arguments: &BTreeMap<String, String>) -> Hints {
    let text = |name: &str| arguments.get(name).map(|value| bare(value).replace("\\t", "\t"));
    Hints {
        delimiter: text("delim").or_else(|| text("sep")),
        quote: text("quote"),
        escape: text("escape"),
        skip_lines: arguments.get("skip").and_then(|skip| skip.parse().ok()),
        header: arguments.get("header").map(|header| is_true(header)),
        names: arguments
            .get("names")
            .or_else(|| arguments.get("columns"))
            .map(|list| names(list))
            .unwrap_or_default(),
        ..Hints::default()
    }
}

pub(crate) fn guess_of(bytes: &[u8], is_whole: bool, hints: &Hints) -> Guess {
    let sample = Sample { head: bytes, is_whole, ..Sample::default() };
    guess(&sample, hints).expect("a guess")
}

struct Check<'a> {
    guess: &'a Guess,
    text: String,
    arguments: BTreeMap<String, String>,
    wrong: Vec<String>,
    wrong_types: Vec<String>,
}

impl Check<'_> {
    fn same(&mut self, what: &str, ours: &str, theirs: &str) {
        if ours != theirs {
            self.wrong.push(format!("{what} is `{ours}`, expected `{theirs}`"));
        }
    }

    fn delimiter(&mut self, theirs: &str) {
        let ours = self.guess.delimiter.clone();
        // A single column has no delimiter.
        if self.guess.columns.len() != 1 {
            self.same("delimiter", &ours, &theirs.replace("\\t", "\t"));
        }
    }

    /// What no byte of the file needs may be said or not.
    fn quote(&mut self, theirs: &str) {
        let ours = self.guess.quote.clone();
        let is_free = matches!(theirs, "(empty)" | "") && (ours.is_empty() || !self.text.contains(&ours));
        if !is_free {
            self.same("quote", &ours, theirs);
        }
    }

    fn escape(&mut self, theirs: &str) {
        let ours = self.guess.escape.clone();
        if !matches!(theirs, "(empty)" | "") || (!ours.is_empty() && ours != self.guess.quote) {
            self.same("escape", &ours, theirs);
        }
    }

    fn newline(&mut self, theirs: &str) {
        let ours = match self.guess.newline.name() {
            "crlf" => "\\r\\n",
            "cr" => "\\r",
            _ => "\\n",
        };
        self.same("newline", ours, theirs);
    }

    fn comment(&mut self, theirs: &str) {
        let ours = self.guess.comment.clone();
        self.same("comment", &ours, if theirs == "(empty)" { "" } else { theirs });
    }

    /// Their count leaves comments out, ours counts lines.
    fn skip(&mut self, theirs: &str) {
        let marker = self.guess.comment.clone();
        let lines = self.text.lines().take(usize::try_from(self.guess.skip_lines).expect("few lines"));
        let ours = lines.filter(|line| marker.is_empty() || !line.starts_with(&marker)).count();
        self.same("skip", &ours.to_string(), theirs);
    }

    fn header(&mut self, theirs: &str) {
        let ours = self.guess.header.to_string();
        self.same("header", &ours, &is_true(theirs).to_string());
    }

    fn columns(&mut self, theirs: &str) {
        let theirs = listed(theirs);
        if theirs.len() != self.guess.columns.len() {
            let ours: Vec<&str> = self.guess.columns.iter().map(|column| column.name.as_str()).collect();
            self.wrong.push(format!("columns are {ours:?}, expected {theirs:?}"));
            return;
        }
        let is_normal = self.arguments.contains_key("normalize_names");
        let has_types = ["types", "dtypes", "column_types", "columns"]
            .iter()
            .any(|name| self.arguments.contains_key(*name));
        for (ours, (name, kind)) in self.guess.columns.iter().zip(&theirs) {
            let ours_name = if is_normal {
                ours.name.to_lowercase().trim().to_owned()
            } else {
                ours.name.trim().to_owned()
            };
            let plain = name.trim_start_matches('_').trim_start_matches("column");
            let is_made_up =
                !self.guess.header && !plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit());
            let is_same = ours_name == *name || (is_normal && ours_name == name.trim_start_matches('_'));
            if !is_same && !is_made_up {
                self.wrong.push(format!("column `{ours_name}`, expected `{name}`"));
            }
            if !has_types && !fits(ours, kind) {
                self.wrong_types.push(format!("column `{name}` is {}, expected {kind}", ours.kind.sql()));
            }
        }
    }

    fn all(&mut self, row: &str) {
        let values: Vec<&str> = row.split(['\t', '\n']).collect();
        if let [delimiter, quote, escape, newline, comment, skip, header, columns, ..] = values.as_slice() {
            self.delimiter(delimiter);
            self.quote(quote);
            self.escape(escape);
            self.newline(newline);
            self.comment(comment);
            self.skip(skip);
            self.header(header);
            self.columns(columns);
        } else {
            self.wrong.push(format!("{} values", values.len()));
        }
    }

    fn prompt(&mut self, prompt: &str) {
        let value = |name: &str| {
            let after = prompt.split_once(&format!("{name}='")).map(|(_, after)| after).unwrap_or_default();
            after.split_once('\'').map(|(value, _)| value.to_owned()).unwrap_or_default()
        };
        self.delimiter(&value("delim"));
        self.quote(&value("quote"));
        self.escape(&value("escape"));
        self.newline(&value("new_line"));
        self.header(if prompt.contains("header=true") { "true" } else { "false" });
    }
}

/// Names and types of `[{'name': a, 'type': BIGINT}, …]`.
fn listed(text: &str) -> Vec<(String, String)> {
    let items = text.split("{'name': ").skip(1);
    items
        .filter_map(|item| {
            let (name, kind) = item.rsplit_once(", 'type': ")?;
            let kind = kind.split('}').next().unwrap_or_default();
            let name = bare(name).replace("\\'", "'");
            Some((name, kind.to_owned()))
        })
        .collect()
}

/// Whether our type is theirs, or a more exact one.
pub(crate) fn fits(column: &ColumnGuess, theirs: &str) -> bool {
    let is_by_format = !column.formats.is_empty();
    match theirs {
        "BIGINT" | "INTEGER" | "SMALLINT" => matches!(column.kind, Type::Bigint | Type::Int),
        "DOUBLE" | "FLOAT" => matches!(column.kind, Type::Double | Type::Numeric { .. }),
        "BOOLEAN" => column.kind == Type::Bool,
        "DATE" => column.kind == Type::Date,
        "TIME" => column.kind == Type::Time,
        "TIMESTAMP" => column.kind == Type::Timestamp,
        "TIMESTAMP WITH TIME ZONE" => column.kind == Type::Timestamptz,
        "VARCHAR" => {
            matches!(column.kind, Type::Text | Type::Uuid | Type::Jsonb)
                || (is_by_format && matches!(column.kind, Type::Timestamp | Type::Timestamptz))
        }
        other => other.starts_with("DECIMAL") && matches!(column.kind, Type::Numeric { .. }),
    }
}

/// What the dialect came to, and what the types did.
fn check(case: &Case) -> (Outcome, Outcome) {
    let sql = case.option("sql");
    let arguments = arguments(sql);
    let mut bytes = case.bytes();
    let mut is_whole = true;
    // Its smallest sample is one vector of rows.
    if arguments.get("sample_size").is_some_and(|size| size == "1") {
        let end =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2047).map(|(at, _)| at + 1);
        is_whole = end.is_none();
        bytes.truncate(end.unwrap_or(usize::MAX));
    }
    let mut hints = hints(&arguments);
    if arguments.contains_key("columns") && hints.header.is_none() {
        hints.header = None;
    }
    let guess = guess_of(&bytes, is_whole, &hints);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut check = Check { guess: &guess, text, arguments, wrong: Vec::new(), wrong_types: Vec::new() };
    let result = case.expected["result"].as_str().unwrap_or_default();
    let chosen = sql.split("FROM sniff_csv").next().unwrap_or_default();
    let chosen = chosen.split("from sniff_csv").next().unwrap_or_default().trim().to_lowercase();
    let chosen = chosen.strip_prefix("select").unwrap_or_default().trim();
    if chosen.starts_with("count(*)") {
        let thousands = guess.columns.first().and_then(|column| column.thousands);
        check.same("thousands", &format!("{thousands:?}"), "Some(',')");
    } else if chosen.is_empty() {
        check.all(result);
    } else {
        for (what, value) in chosen.split(',').zip(result.split('\t')) {
            match what.trim() {
                "columns" => check.columns(value),
                "delimiter" => check.delimiter(value),
                "quote" => check.quote(value),
                "escape" => check.escape(value),
                "skiprows" => check.skip(value),
                "comment" => check.comment(value),
                "prompt" => check.prompt(result),
                what => {
                    let index = what.strip_prefix("columns[").and_then(|rest| rest.strip_suffix("].type"));
                    let index: usize = index.and_then(|index| index.parse().ok()).expect("a selected value");
                    if !fits(&guess.columns[index - 1], value) {
                        let ours = guess.columns[index - 1].kind.sql();
                        check.wrong_types.push(format!("type {ours}, expected {value}"));
                    }
                }
            }
        }
    }
    let outcome = |wrong: Vec<String>| if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) };
    (outcome(check.wrong), outcome(check.wrong_types))
}

#[test]
fn dialects_are_those_that_duckdb_sniffs() {
    let cases = cases("guess-dialect", "duckdb_sqllogic");
    let (dialects, types): (Vec<_>, Vec<_>) = cases
        .iter()
        .map(|case| {
            let (dialect, types) = check(case);
            ((case.id.clone(), dialect), (case.id.clone(), types))
        })
        .unzip();
    settle("guess-dialect (DuckDB sniff_csv)", &dialects, DELIBERATE);
    settle("guess-dialect, types", &types, OTHER_TYPES);
}

#[test]
fn delimiters_are_those_that_the_files_are_read_with() {
    let check = |case: &Case| {
        let hints = Hints { header: case.options["header"].as_bool(), ..Hints::default() };
        let guess = guess_of(&case.bytes(), true, &hints);
        let theirs = case.expected["delimiter"].as_str().unwrap_or_default();
        let charset = if case.options["encoding"] == "latin-1" { "windows-1252" } else { "UTF-8" };
        if guess.delimiter == theirs && guess.charset == charset {
            Ok(())
        } else {
            Err(format!("`{}` in {}, expected `{theirs}` in {charset}", guess.delimiter, guess.charset))
        }
    };
    let outcomes: Vec<(String, Outcome)> =
        cases("guess+parse", "python_csv_rows").iter().map(|case| (case.id.clone(), check(case))).collect();
    settle("guess+parse (rust-csv), dialect", &outcomes, &[]);
}
