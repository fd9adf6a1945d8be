//! Formats as Embulk writes them: each is one of ours, and reads its samples.

use holoload::row::{TimeFormat, from_ruby};

use crate::manifest::{Case, Outcome, cases, settle};

/// Cases in which we say something else, and why.
const DELIBERATE: &[(&str, &str)] = &[
    (
        "embulk-time-format/001",
        "20 February 2016 was no Friday, and `%H:%M` reads no seconds: such samples are refused",
    ),
    ("embulk-time-format/068", "24:30:30 is no time of a day"),
];

fn check(case: &Case) -> Outcome {
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
    let outcomes: Vec<(String, Outcome)> =
        cases("type-timestamp", "timefmt").iter().map(|case| (case.id.clone(), check(case))).collect();
    settle("type-timestamp (formats)", &outcomes, DELIBERATE);
}
