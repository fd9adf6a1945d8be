//! Embulk's guesses, and the one of the article.

use holoload::guess::{ColumnGuess, Guess, Hints, Type};
use serde_json::Value;

use crate::dialect::guess_of;
use crate::manifest::{Case, Outcome, cases, settle};

/// Fixtures in which we say something else, and why.
const DELIBERATE: &[(&str, &str)] = &[
    (
        "embulk-guess-csv/test_double_single_column",
        "a NaN has no sign: `+NaN` is refused, the column stays text, with a note",
    ),
    (
        "embulk-guess-csv/test_merge_time_formats",
        "24:30:30 is no time of a day: the column stays text, with a note",
    ),
];

/// Whether our type is Embulk's, or a more exact one.
fn fits(ours: &ColumnGuess, theirs: &Value) -> bool {
    match theirs["type"].as_str().unwrap_or_default() {
        "long" => {
            matches!(ours.kind, Type::Bigint) || (ours.kind == Type::Timestamptz && ours.epoch.is_some())
        }
        "double" => matches!(ours.kind, Type::Double | Type::Numeric { .. }),
        "boolean" => ours.kind == Type::Bool,
        "json" => ours.kind == Type::Jsonb,
        "string" => matches!(ours.kind, Type::Text | Type::Uuid | Type::Jsonb),
        "timestamp" => {
            let format = theirs["format"].as_str().unwrap_or_default();
            let is_date = !format.contains("%H") && !format.contains("%k");
            let kind = if is_date { Type::Date } else { Type::Timestamp };
            ours.kind == kind
        }
        _ => false,
    }
}

fn compare(guess: &Guess, bytes: &[u8], theirs: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, ours: &str, theirs: &str| {
        if ours != theirs {
            wrong.push(format!("{what} is `{ours}`, expected `{theirs}`"));
        }
    };
    same("charset", &guess.charset, theirs["charset"].as_str().unwrap_or("UTF-8"));
    same("newline", guess.newline.name(), &theirs["newline"].as_str().unwrap_or("LF").to_lowercase());
    if let Some(delimiter) = theirs["delimiter"].as_str().filter(|_| guess.columns.len() > 1) {
        same("delimiter", &guess.delimiter, delimiter);
    }
    if theirs.get("delimiter").is_some() {
        same("quote", &guess.quote, theirs["quote"].as_str().unwrap_or_default());
    }
    // Embulk names an escape that the file never uses.
    let is_used = |escape: &str| String::from_utf8_lossy(bytes).contains(&format!("{escape}{}", guess.quote));
    if let Some(escape) = theirs["escape"].as_str().filter(|escape| is_used(escape) || guess.quote == "\"") {
        same("escape", &guess.escape, escape);
    }
    if let Some(skip) = theirs["skip_header_lines"].as_u64() {
        same(
            "skip_header_lines",
            &(guess.skip_lines + u64::from(guess.header)).to_string(),
            &skip.to_string(),
        );
    }
    if let Some(trims) = theirs["trim_if_not_quoted"].as_bool() {
        same("trim", &(guess.trim.name() != "none").to_string(), &trims.to_string());
    }
    if let Some(null) = theirs["null_string"].as_str() {
        let is_there = guess.null_strings.iter().any(|ours| ours == null);
        same("null_string", &is_there.to_string(), "true");
    }
    let columns = theirs["columns"].as_array().cloned().unwrap_or_default();
    if !columns.is_empty() {
        same("columns", &guess.columns.len().to_string(), &columns.len().to_string());
    }
    for (ours, theirs) in guess.columns.iter().zip(&columns) {
        same("name", &ours.name, theirs["name"].as_str().unwrap_or_default());
        let kind = if fits(ours, theirs) { String::new() } else { ours.kind.sql() };
        let expected = if kind.is_empty() { String::new() } else { theirs.to_string() };
        same(&format!("the type of {}", ours.name), &kind, &expected);
    }
    wrong
}

fn check(case: &Case) -> Outcome {
    let yaml = |name: &str| -> Value {
        let text = String::from_utf8(case.file(name)).expect("UTF-8");
        serde_saphyr::from_str(&text).expect("YAML")
    };
    let seed = yaml(case.option("seed"));
    let hints = Hints {
        quote: seed["quote"].as_str().map(str::to_owned),
        is_all_text: case.options["all_strings"] == true,
        ..Hints::default()
    };
    let guess = guess_of(&case.bytes(), true, &hints);
    let theirs = yaml(case.expected["file"].as_str().expect("a file"));
    let wrong = compare(&guess, &case.bytes(), &theirs);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[test]
fn guesses_are_those_of_embulk_or_better() {
    let outcomes: Vec<(String, Outcome)> =
        cases("guess", "embulk_guess_yaml").iter().map(|case| (case.id.clone(), check(case))).collect();
    settle("guess (Embulk fixtures)", &outcomes, DELIBERATE);
}

#[test]
fn the_guess_of_the_article_is_the_published_one() {
    let check = |case: &Case| {
        let guess = guess_of(&case.bytes(), true, &Hints::default());
        let mut theirs = case.expected.clone();
        let columns = theirs["columns"].as_array().cloned().unwrap_or_default();
        theirs["columns"] = columns
            .iter()
            .map(|column| serde_json::json!({"name": column[0], "type": column[1]}))
            .collect::<Vec<Value>>()
            .into();
        let wrong = compare(&guess, &case.bytes(), &theirs);
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    };
    let outcomes: Vec<(String, Outcome)> =
        cases("guess", "embulk_guess_published").iter().map(|case| (case.id.clone(), check(case))).collect();
    settle("guess (the article)", &outcomes, &[]);
}
