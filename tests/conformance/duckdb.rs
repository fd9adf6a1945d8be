//! The options of a case stand in its SQL: `read_csv` with a path and named arguments, and which columns and rows
//! are looked at.

use std::path::Path;

use holoload::table::Kind;
use serde_json::{Map, Value, json};

use super::manifest::{Case, Outcome};
use super::parse::{Asked, Loaded, Row, load};

/// The call of `read_csv` in a text: its path and its arguments.
struct Call {
    path: String,
    arguments: Vec<(String, Value)>,
    /// What stands before and behind it.
    around: (String, String),
}

/// Reads words, texts, lists and blocks out of SQL; anything else is skipped.
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn skip(&mut self, letters: &[char]) {
        self.rest =
            self.rest.trim_start_matches(|letter: char| letter.is_whitespace() || letters.contains(&letter));
    }

    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.rest.strip_prefix('\'')?;
        loop {
            let (before, behind) = rest.split_once('\'')?;
            text.push_str(before);
            match behind.strip_prefix('\'') {
                Some(doubled) => {
                    text.push('\'');
                    rest = doubled;
                }
                None => {
                    self.rest = behind;
                    return Some(text);
                }
            }
        }
    }

    fn word(&mut self) -> Option<String> {
        let end = self
            .rest
            .find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn value(&mut self) -> Option<Value> {
        self.skip(&[]);
        if self.rest.starts_with('\'') {
            return self.text().map(Value::from);
        }
        if let Some(rest) = self.rest.strip_prefix('[') {
            self.rest = rest;
            let mut items = Vec::new();
            loop {
                self.skip(&[',']);
                if let Some(rest) = self.rest.strip_prefix(']') {
                    self.rest = rest;
                    return Some(Value::from(items));
                }
                items.push(self.value()?);
            }
        }
        if let Some(rest) = self.rest.strip_prefix('{') {
            self.rest = rest;
            let mut pairs = Vec::new();
            loop {
                self.skip(&[',']);
                if let Some(rest) = self.rest.strip_prefix('}') {
                    self.rest = rest;
                    // A list of pairs: columns have an order.
                    return Some(Value::from(pairs));
                }
                let key = self.value()?;
                self.skip(&[':']);
                let value = self.value()?;
                pairs.push(json!([key, value]));
            }
        }
        let word = self.word()?;
        Some(match &*word.to_lowercase() {
            "true" => json!(true),
            "false" => json!(false),
            "null" => Value::Null,
            lower => match lower.parse::<u64>() {
                Ok(number) => json!(number),
                Err(_) => json!(word),
            },
        })
    }
}

fn call(sql: &str) -> Option<Call> {
    let lower = sql.to_ascii_lowercase();
    let at = lower.find("read_csv")?;
    let open = at + lower[at..].find('(')?;
    let mut words = Words { rest: &sql[open + 1..] };
    let path = words.value()?.as_str()?.to_owned();
    let mut arguments = Vec::new();
    loop {
        words.skip(&[',']);
        if let Some(rest) = words.rest.strip_prefix(')') {
            let around = (sql[..at].to_owned(), rest.trim_end_matches(';').trim().to_owned());
            return Some(Call { path, arguments, around });
        }
        let key = words.word()?.to_lowercase();
        words.skip(&[':', '=', '>']);
        arguments.push((key, words.value()?));
    }
}

fn is_true(value: &Value) -> bool {
    *value == json!(true) || *value == json!(1)
}

fn kind(name: &str) -> Kind {
    match &*name.to_uppercase() {
        "INTEGER" | "INT" | "INT32" => Kind::Int4,
        "BIGINT" => Kind::Int8,
        "FLOAT" => Kind::Float4,
        "DOUBLE" => Kind::Float8,
        "DECIMAL" => Kind::Numeric { limits: Some((18, 3)) },
        "DATE" => Kind::Date,
        "TIME" | "TIMETZ" => Kind::Time { digits: 6 },
        "TIMESTAMP" => Kind::Timestamp { digits: 6 },
        "TIMESTAMPTZ" => Kind::Timestamptz { digits: 6 },
        "BOOLEAN" => Kind::Bool,
        _ => Kind::Text,
    }
}

fn record_end(value: &Value) -> &'static str {
    match value.as_str() {
        Some("\\n") => "lf",
        Some("\\r") => "cr",
        Some("\\r\\n") => "crlf",
        _ => "none of ours",
    }
}

/// Whether every option is one that a loader has.
fn asked(call: &Call) -> Result<Asked, String> {
    let mut asked = Asked { is_guessed: true, ..Asked::default() };
    // What others take for granted: UTF-8, and that a quoted field may be NULL as well.
    let granted = [("charset", json!("utf-8")), ("null_quoted", json!(true))];
    let mut said: Map<String, Value> =
        granted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let (mut number, mut date, mut timestamp) = (Map::new(), None, None);
    for (key, value) in &call.arguments {
        match &**key {
            "delim" | "sep" => drop(said.insert("delimiter".to_owned(), value.clone())),
            "quote" | "escape" | "comment" => drop(said.insert(key.clone(), value.clone())),
            "skip" => drop(said.insert("skip_lines".to_owned(), value.clone())),
            "header" => drop(said.insert(key.clone(), json!(is_true(value)))),
            "nullstr" => drop(said.insert("null_string".to_owned(), value.clone())),
            "allow_quoted_nulls" => drop(said.insert("null_quoted".to_owned(), json!(is_true(value)))),
            "null_padding" if is_true(value) => {
                drop(said.insert("missing_fields".to_owned(), json!("null")));
            }
            "strict_mode" if !is_true(value) => {
                drop(said.insert("stray_quotes".to_owned(), json!("accept")));
            }
            "new_line" => {
                drop(said.insert("record_end".to_owned(), json!(record_end(value))));
            }
            "columns" => {
                let pair = |pair: &Value| {
                    let text = |at: usize| pair[at].as_str().unwrap_or_default().to_owned();
                    (text(0), kind(&text(1)))
                };
                asked.columns = value.as_array().map(|pairs| pairs.iter().map(pair).collect());
            }
            "auto_detect" if !is_true(value) => asked.is_guessed = false,
            "column_types" | "dtypes" => asked.kinds = kinds(value),
            "decimal_separator" => number.extend([("decimal".to_owned(), value.clone())]),
            "thousands" => number.extend([(key.clone(), value.clone())]),
            "dateformat" => date = Some(value.clone()),
            "timestampformat" => timestamp = Some(value.clone()),
            "force_not_null" => {
                for name in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    asked.rules.insert(name.to_owned(), json!({"null": []}));
                }
            }
            "max_line_size" | "ignore_errors" | "store_rejects" | "sample_size" | "buffer_size"
            | "rejects_table" | "rejects_limit" | "all_varchar" | "parallel" | "auto_detect"
            | "null_padding" | "strict_mode" | "filename" => {}
            other => return Err(format!("no option of ours is `{other}`")),
        }
    }
    imply_escapes(&mut said);
    // Where the columns are known, a delimiter at the end is no other one; in a single column an empty line is a value.
    if asked.columns.is_some() {
        said.insert("extra_fields".to_owned(), json!("empty"));
    }
    if said.contains_key("missing_fields") {
        asked.keeps_empty_lines_of_one = true;
    }
    asked.said = said;
    // Numbers and times may have blanks around them.
    for (name, kind) in asked.columns.iter().flatten().chain(&asked.kinds) {
        let mut rule = match kind {
            Kind::Text => continue,
            Kind::Float4 | Kind::Float8 | Kind::Numeric { .. } | Kind::Int4 | Kind::Int8 => number.clone(),
            Kind::Date => date.iter().map(|format| ("format".to_owned(), format.clone())).collect(),
            _ => timestamp.iter().map(|format| ("format".to_owned(), format.clone())).collect(),
        };
        rule.insert("trim".to_owned(), json!("unquoted"));
        asked.rules.insert(name.clone(), Value::from(rule));
    }
    Ok(asked)
}

/// Where quotes may stand anywhere, an escape works outside of them as well.
fn imply_escapes(said: &mut Map<String, Value>) {
    if !said.contains_key("stray_quotes") {
        return;
    }
    said.entry("quote").or_insert(json!("\""));
    let quote = said["quote"].clone();
    let has_own = said.get("escape").is_some_and(|escape| *escape != quote && *escape != json!(""));
    let is_byte = said.get("delimiter").is_none_or(|mark| mark.as_str().is_some_and(|mark| mark.len() == 1));
    said.insert("escape_unquoted".to_owned(), json!(has_own && is_byte));
}

/// Kinds of columns by name; a list alone names the first.
fn kinds(value: &Value) -> Vec<(String, Kind)> {
    let kind_of = |name: &Value| kind(name.as_str().unwrap_or_default());
    let pair = |(at, item): (usize, &Value)| match item.as_array() {
        Some(pair) => (pair[0].as_str().unwrap_or_default().to_owned(), kind_of(&pair[1])),
        None => (format!("column{at}"), kind_of(item)),
    };
    value.as_array().into_iter().flatten().enumerate().map(pair).collect()
}

/// Names as they are given to columns without one, or with one that there is.
fn names(loaded: &Loaded, asked: &Asked, width: usize) -> Vec<String> {
    let digits = width.saturating_sub(1).max(1).to_string().len();
    let mut names: Vec<String> = Vec::new();
    let said = asked.columns.as_ref().map(|columns| columns.iter().map(|(name, _)| name.clone()).collect());
    let given: Vec<String> = said.or_else(|| loaded.names.clone()).unwrap_or_default();
    for at in 0..width {
        let plain = match given.get(at) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("column{at:0digits$}"),
        };
        let mut name = plain.clone();
        let mut number = 1;
        while names.contains(&name) {
            name = format!("{plain}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// The rows as the statement asks for them.
fn selected(case: &Case, call: &Call, loaded: &Loaded, asked: &Asked) -> Result<Vec<Row>, String> {
    let sql = case.option("sql").to_lowercase();
    let select = sql.trim_start().strip_prefix("select").and_then(|rest| rest.split("from").next());
    let list = select.unwrap_or("*").trim().to_owned();
    if list.starts_with("count(") {
        return Ok(vec![vec![Some(loaded.rows.len().to_string())]]);
    }
    let width = loaded.rows.iter().map(Vec::len).max().unwrap_or(0);
    let names = names(loaded, asked, width);
    let at = |name: &str| names.iter().position(|known| known.eq_ignore_ascii_case(name.trim()));
    if let Some(name) = list.strip_prefix("sum(") {
        let at = at(name.trim_end_matches(')')).ok_or("no such column")?;
        let sum: f64 =
            loaded.rows.iter().filter_map(|row| row[at].as_deref()?.trim().parse::<f64>().ok()).sum();
        return Ok(vec![vec![Some(sum.to_string())]]);
    }
    let has_path = call.arguments.iter().any(|(key, value)| key == "filename" && is_true(value));
    let path = || Some(call.path.clone());
    let row = |row: &Row| -> Result<Row, String> {
        if list == "*" {
            return Ok(row.iter().cloned().chain(has_path.then(path)).collect());
        }
        let value = |name: &str| match at(name) {
            Some(at) => Ok(row.get(at).cloned().flatten()),
            None if name.trim() == "filename" => Ok(path()),
            None => Err(format!("`{name}` is none of {names:?}")),
        };
        list.split(',').map(value).collect()
    };
    loaded.rows.iter().map(row).collect()
}

fn is_same_value(found: Option<&str>, expected: &str) -> bool {
    let Some(found) = found else { return expected == "NULL" };
    if found == expected || found.is_empty() && expected == "(empty)" || found.trim() == expected {
        return true;
    }
    let number = |text: &str| text.trim().replace(',', ".").parse::<f64>().ok();
    if let (Some(left), Some(right)) = (number(found), number(expected)) {
        return (left - right).abs() <= right.abs() * 1e-6;
    }
    found.trim().to_lowercase() == expected && matches!(expected, "true" | "false")
}

fn is_same_row(found: &Row, expected: &[&str]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| is_same_value(found.as_deref(), expected))
}

pub(crate) fn answer(case: &Case) -> Outcome {
    let text = |key: &str| case.option(key);
    let made = call(text("create")).or_else(|| call(text("sql"))).ok_or("no call of read_csv")?;
    let path = made.path.replace("{DATA_DIR}", &case.root.join("duckdb/data").display().to_string());
    let asked = asked(&made)?;
    let mut loaded = load(Path::new(&path), &asked);
    let limit =
        made.arguments.iter().find(|(key, _)| key == "max_line_size").and_then(|(_, value)| value.as_u64());
    if let Some(limit) = limit {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        loaded.rows.retain(|row| row.iter().flatten().map(String::len).sum::<usize>() + row.len() <= limit);
    }
    if case.expected["error"] == true {
        return if loaded.is_reported() {
            Ok(())
        } else {
            Err(format!("nothing was reported: {:?}", loaded.rows))
        };
    }
    if let Some(error) = &loaded.error {
        return Err(error.clone());
    }
    let is_lenient = made.arguments.iter().any(|(key, value)| {
        matches!(&**key, "ignore_errors" | "store_rejects" | "rejects_table") && *value != json!(false)
    });
    if !is_lenient && !loaded.rejects.is_empty() {
        return Err(format!("rejects {:?}", loaded.rejects.iter().take(3).collect::<Vec<_>>()));
    }
    let found = selected(case, &made, &loaded, &asked)?;
    let result = case.expected["result"].as_str().unwrap_or_default();
    let width = text("mode").split_whitespace().nth(1).map_or(1, str::len);
    // A value that holds a tab makes the result one value a line.
    let is_by_value = width > 1 && result.lines().any(|line| line.matches('\t').count() + 1 != width);
    let expected: Vec<Vec<&str>> = match (result, is_by_value) {
        ("", _) => Vec::new(),
        (_, false) => result.split('\n').map(|line| line.split('\t').collect()).collect(),
        (_, true) => result.split('\n').collect::<Vec<_>>().chunks(width).map(<[&str]>::to_vec).collect(),
    };
    let expected: Vec<Vec<&str>> = if width == 1 && !is_by_value {
        result.split('\n').filter(|_| !result.is_empty()).map(|line| vec![line]).collect()
    } else {
        expected
    };
    let behind = format!("{} {}", text("sql"), made.around.1).to_lowercase();
    let is_part = behind.contains("limit") || behind.contains("where");
    let mut rest = found.clone();
    for row in &expected {
        match rest.iter().position(|candidate| is_same_row(candidate, row)) {
            Some(at) => drop(rest.remove(at)),
            None => return Err(format!("no row {row:?} in {:?}", found.iter().take(4).collect::<Vec<_>>())),
        }
    }
    if is_part || rest.is_empty() {
        return Ok(());
    }
    Err(format!("{} rows too many: {:?}", rest.len(), rest.iter().take(3).collect::<Vec<_>>()))
}
