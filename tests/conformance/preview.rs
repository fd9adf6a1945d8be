//! Embulk's previews: the rows of a file under a configuration, the sample cut where Embulk cuts it.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Run;
use crate::manifest::{Case, Outcome, cases, settle};

/// Cases in which we show something else, and why.
const DELIBERATE: &[(&str, &str)] = &[];

/// What Embulk shows of a field, as we show it.
fn ours(field: &str) -> Option<String> {
    let moment = field.strip_suffix(".000000 +0000").unwrap_or(field);
    // A time that is always midnight is guessed to be a date, which is more exact.
    let day = moment.strip_suffix(" 00:00:00").unwrap_or(moment);
    (!day.is_empty()).then(|| day.to_owned())
}

/// The rows that Embulk shows.
fn expected(case: &Case) -> Vec<Vec<Option<String>>> {
    let bytes = case.file(case.expected["file"].as_str().expect("a file"));
    let mut decoder = holoload::decode::csv::CsvDecoder::new(holoload::decode::csv::Dialect::CSV, 1 << 20);
    decoder.push(bytes.into());
    decoder.finish();
    let mut rows = Vec::new();
    while let holoload::decode::Step::Record(record) = decoder.step().expect("CSV") {
        let field = |field: holoload::decode::Field<'_>| ours(&String::from_utf8_lossy(field.bytes));
        rows.push(record.fields().map(field).collect());
    }
    rows
}

fn check(case: &Case) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input.csv");
    let mut bytes = case.bytes();
    if let Some(limit) = limit(case) {
        bytes.truncate(limit);
    }
    fs::write(&path, bytes).expect("a file");
    let mut input = yaml(&case.file(case.option("config")));
    input["path_prefix"] = path.display().to_string().into();
    let out = json!({"type": "postgresql", "host": "h", "user": "u", "database": "d", "table": "t"});
    let said = folder.path().join("config.yml");
    fs::write(&said, json!({"in": input, "out": out}).to_string()).expect("a file");
    let (said, path) = (said.display().to_string(), path.display().to_string());
    let config = format!("{said}.imported");
    Run::new(&["import-embulk", &said, "-o", &config]).run().exits(0);
    let answer =
        Run::new(&["preview", &path, "--guess", "--config", &config, "--json"]).run().exits(0).json();
    // Embulk shows no row that it would not load.
    let rows = answer["rows"].as_array().expect("a list").iter().filter(|row| row["reason"].is_null());
    let shown: Vec<Vec<Option<String>>> =
        rows.map(|row| serde_json::from_value(row["cells"].clone()).expect("texts")).collect();
    let expected = expected(case);
    if shown == expected { Ok(()) } else { Err(format!("rows {shown:?}, expected {expected:?}")) }
}

/// Where the sample ends, if a file beside the case says so.
fn limit(case: &Case) -> Option<usize> {
    let name = case.option("config").replace("_load.yml", "_exec.yml");
    let said = fs::read(case.root.join(name)).ok()?;
    usize::try_from(yaml(&said)["preview_sample_buffer_bytes"].as_u64()?).ok()
}

fn yaml(bytes: &[u8]) -> Value {
    serde_saphyr::from_str(std::str::from_utf8(bytes).expect("UTF-8")).expect("YAML")
}

#[test]
fn previews_are_those_of_embulk() {
    let outcomes: Vec<(String, Outcome)> =
        cases("preview", "csv").iter().map(|case| (case.id.clone(), check(case))).collect();
    settle("preview (Embulk)", &outcomes, DELIBERATE);
}
