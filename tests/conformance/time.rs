//! Times and their formats as Embulk has them: each format is one of ours and reads its samples, and ours that are guessed read them
//! to the same moments.

use holoload::guess::{Hints, Type};
use holoload::row::{TimeFormat, from_ruby};

use crate::dialect::guess_of;
use crate::manifest::{Case, Outcome, cases, settle};

const NO_TIME: &str = "24:30:30 is no time of a day";
const NANOSECONDS: &str =
    "nanoseconds are finer than what the server keeps: text, with a note, instead of rounding";
/// Cases whose samples Embulk's format does not read here, and why.
const UNREAD: &[(&str, &str)] = &[
    (
        "embulk-time-format/001",
        "20 February 2016 was no Friday, and `%H:%M` reads no seconds: such samples are refused",
    ),
    ("embulk-time-format/068", NO_TIME),
];

/// Cases whose samples are guessed to be something else, and why.
const UNGUESSED: &[(&str, &str)] = &[
    ("embulk-time-format/001", "20 February 2016 was no Friday: a time that contradicts itself is none"),
    ("embulk-time-format/002", NANOSECONDS),
    ("embulk-time-format/008", NANOSECONDS),
    ("embulk-time-format/014", NANOSECONDS),
    ("embulk-time-format/020", NANOSECONDS),
    ("embulk-time-format/033", NANOSECONDS),
    ("embulk-time-format/039", NANOSECONDS),
    ("embulk-time-format/068", NO_TIME),
];

fn reads_samples(case: &Case) -> Outcome {
    let ruby = case.expected["ruby_format"].as_str().unwrap_or_default();
    let pattern = from_ruby(ruby).map_err(|part| format!("`{part}` of `{ruby}` has no equivalent"))?;
    let format = TimeFormat::new(&pattern).map_err(|error| format!("`{ruby}`: {error}"))?;
    let samples = case.options["samples"].as_array().ok_or("no samples")?;
    for sample in samples.iter().filter_map(|sample| sample.as_str()) {
        format.parse(sample.as_bytes()).map_err(|reason| format!("`{ruby}` and `{sample}`: {reason}"))?;
    }
    Ok(())
}

#[test]
fn formats_of_embulk_read_their_samples() {
    let outcomes: Vec<(String, Outcome)> = cases("type-timestamp", "timefmt")
        .iter()
        .map(|case| (case.id.clone(), reads_samples(case)))
        .collect();
    settle("type-timestamp (formats)", &outcomes, UNREAD);
}

fn is_guessed(case: &Case) -> Outcome {
    let samples: Vec<String> = serde_json::from_value(case.options["samples"].clone()).expect("samples");
    let mut file = String::from("moment\n");
    for sample in &samples {
        file.push_str(&format!("\"{sample}\"\n"));
    }
    let guess = guess_of(file.as_bytes(), true, &Hints::default());
    let [column] = guess.columns.as_slice() else { return Err(format!("{} columns", guess.columns.len())) };
    if !matches!(column.kind, Type::Date | Type::Timestamp | Type::Timestamptz) {
        return Err(format!("{} ({:?})", column.kind.sql(), guess.notes));
    }
    let ruby = case.expected["ruby_format"].as_str().unwrap_or_default();
    let theirs = from_ruby(ruby).ok().and_then(|pattern| TimeFormat::new(&pattern).ok());
    let Some(theirs) = theirs else { return Ok(()) };
    for sample in &samples {
        let Ok(expected) = theirs.parse(sample.as_bytes()) else { continue };
        // What is in no format is in one that `row` reads by itself, which the guess has verified.
        let formats: Vec<TimeFormat> =
            column.formats.iter().map(|format| TimeFormat::new(format).expect("a format")).collect();
        let ours = formats.iter().find_map(|format| format.parse(sample.as_bytes()).ok());
        if ours.is_some_and(|ours| (ours.days, ours.micros) != (expected.days, expected.micros)) {
            return Err(format!("{:?} reads another moment than {ruby}", column.formats));
        }
        if ours.is_none() && !formats.is_empty() {
            return Err(format!("{:?} does not read all of it", column.formats));
        }
    }
    Ok(())
}

#[test]
fn times_are_recognised_and_read_to_the_same_moment() {
    let outcomes: Vec<(String, Outcome)> =
        cases("type-timestamp", "timefmt").iter().map(|case| (case.id.clone(), is_guessed(case))).collect();
    settle("type-timestamp (guessed)", &outcomes, UNGUESSED);
}
