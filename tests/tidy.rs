//! Style as a test: which room may use which, where a crate may be named, how long a file may be.
#![expect(clippy::expect_used, reason = "a failed test panics")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code (blank lines, comments and test modules left out) in one file.
const FILE_LINES_MAX: usize = 500;

/// Each room and the rooms it may use. `docs/design.md` says what they are.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("aws", &["error"]),
    ("calendar", &[]),
    ("charset", &["error"]),
    ("inflate", &["error"]),
    ("object", &["error", "aws"]),
    ("event", &["error", "object"]),
    ("decode", &["error", "inflate", "calendar"]),
    ("table", &["error"]),
    ("row", &["error", "table", "decode", "calendar"]),
    ("guess", &["error", "settings", "table", "decode", "row", "inflate", "charset"]),
    ("settings", &["error"]),
    ("embulk", &["error", "settings", "row"]),
    ("plan", &["error", "settings", "table", "row", "decode", "object", "charset", "inflate"]),
    ("database", &["error", "table", "settings"]),
    ("sink", &["error", "table", "row", "plan", "database", "decode", "settings", "calendar"]),
    ("report", &["error", "object"]),
    ("metrics", &["error", "object", "report"]),
    ("ledger", &["error", "object", "database", "table", "report"]),
    ("reject", &["error", "object", "row", "aws", "decode", "report", "charset"]),
    ("context", &["error", "settings", "plan", "aws", "database", "ledger", "reject", "object", "sink"]),
    (
        "load",
        &[
            "error", "object", "decode", "table", "row", "plan", "database", "sink", "ledger", "reject",
            "report", "context", "aws", "settings", "charset", "inflate",
        ],
    ),
    ("handover", &["error", "aws", "object", "event", "load", "report"]),
    ("reprocess", &["error", "aws", "object", "event", "plan", "ledger", "load", "report", "context"]),
    (
        "doctor",
        &[
            "error", "aws", "object", "settings", "plan", "database", "table", "sink", "ledger", "reject",
            "context",
        ],
    ),
    (
        "handler",
        &["error", "aws", "object", "event", "load", "report", "context", "doctor", "handover", "reprocess"],
    ),
    (
        "lambda",
        &["error", "aws", "context", "handler", "load", "metrics", "plan", "reject", "report", "settings"],
    ),
    (
        "cli",
        &[
            "error",
            "aws",
            "context",
            "database",
            "doctor",
            "embulk",
            "event",
            "guess",
            "handler",
            "ledger",
            "load",
            "object",
            "plan",
            "report",
            "reprocess",
            "settings",
            "table",
        ],
    ),
];

/// Each fenced crate and the rooms that may name it.
const FENCES: &[(&str, &[&str])] = &[
    ("aws_config", &["aws"]),
    ("aws_sdk_", &["aws"]),
    ("aws_lambda_events", &["event", "handler"]),
    ("lambda_runtime", &["lambda", "bin"]),
    ("tokio_postgres", &["database"]),
    ("native_tls", &["database"]),
    ("x509_parser", &["database"]),
    ("hmac", &["database"]),
    ("base64", &["database"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("terminal_size", &["cli"]),
    ("unicode_width", &["cli"]),
    ("indicatif", &["cli"]),
    ("globset", &["plan", "cli"]),
    ("regex_automata", &["plan"]),
    ("unicode_normalization", &["plan"]),
    ("serde_saphyr", &["settings"]),
    ("encoding_rs", &["charset"]),
    ("chardetng", &["charset"]),
    ("flate2", &["inflate"]),
    ("zstd", &["inflate"]),
    ("bzip2", &["inflate"]),
    ("snap", &["inflate"]),
    ("lz4_flex", &["inflate"]),
    ("crc32fast", &["inflate"]),
    ("parquet", &["decode"]),
];

/// Rooms without clock, runtime and network: what they answer depends on what they are given alone.
const PURE: &[&str] = &[
    "error", "calendar", "charset", "inflate", "event", "decode", "table", "row", "guess", "settings",
    "plan", "report", "metrics", "embulk",
];
const IMPURE_WORDS: &[&str] = &["tokio::", "Instant::now", "SystemTime::now", "Timestamp::now", "std::net"];

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("below src");
                let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push(Source { path, room, text });
            }
        }
    }
    found
}

/// What is not a comment, up to the file's test module.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.is_empty() && !line.starts_with("//"))
}

fn violations_of(source: &Source, rooms: &BTreeMap<&str, &[&str]>) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |line: usize, what: String| found.push(format!("{}:{line}: {what}", source.path.display()));
    let allowed = rooms.get(source.room.as_str());
    let is_room = allowed.is_some();
    if !is_room && !matches!(source.room.as_str(), "lib" | "bin") {
        say(1, format!("`{}` is no room", source.room));
    }
    for (number, line) in code_lines(&source.text) {
        for after in line.split("crate::").skip(1) {
            let used: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_allowed =
                used == source.room || allowed.is_none_or(|allowed| allowed.contains(&used.as_str()));
            if is_room && rooms.contains_key(used.as_str()) && !is_allowed {
                say(number, format!("`{}` may not use `{used}`", source.room));
            }
        }
        // A room of ours is called like the crate.
        let line = &line.replace("decode::parquet::", "");
        for (name, fenced) in FENCES {
            let is_named =
                line.contains(&format!("{name}::")) || (name.ends_with('_') && line.contains(name));
            if is_named && !fenced.contains(&source.room.as_str()) {
                say(number, format!("`{}` may not name the crate `{name}`", source.room));
            }
        }
        if PURE.contains(&source.room.as_str()) {
            for word in IMPURE_WORDS.iter().filter(|word| line.contains(**word)) {
                say(number, format!("`{}` is a pure room and may not say `{word}`", source.room));
            }
        }
    }
    let length = code_lines(&source.text).count();
    if length > FILE_LINES_MAX {
        say(1, format!("{length} lines of code, more than {FILE_LINES_MAX}"));
    }
    found
}

#[test]
fn rooms_keep_to_themselves() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let found: Vec<String> = sources().iter().flat_map(|source| violations_of(source, &rooms)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let plant = |room: &str, text: &str| {
        let source = Source { path: "planted.rs".into(), room: room.to_owned(), text: text.to_owned() };
        violations_of(&source, &rooms).len()
    };
    assert_eq!(plant("decode", "use crate::sink::Sink;"), 1);
    assert_eq!(plant("load", "use tokio_postgres::Client;"), 1);
    assert_eq!(plant("plan", "let now = std::time::Instant::now();"), 1);
    assert_eq!(plant("util", "fn f() {}"), 1);
    assert_eq!(plant("row", &"x;\n".repeat(FILE_LINES_MAX + 1)), 1);
    assert_eq!(plant("decode", "use crate::error::Error;\n// crate::sink"), 0);
}

#[test]
fn every_variable_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/configuration.md")).expect("docs/configuration.md");
    for (name, _) in holoload::settings::VARIABLES {
        assert!(page.contains(name), "docs/configuration.md does not name {name}");
    }
}

/// What a statement that logs says, data left out: it must be the same each time, so that it can be searched for.
fn is_constant(statement: &str) -> bool {
    statement.split('"').skip(1).step_by(2).all(|text| !text.contains('{'))
}

#[test]
fn what_is_logged_has_constant_messages() {
    let mut count = 0;
    for source in sources() {
        let levels = ["error", "warn", "info", "debug", "trace", "$level"];
        for begin in levels.map(|level| format!("tracing::{level}!(")) {
            for after in source.text.split(&begin).skip(1) {
                let statement = after.split(");").next().unwrap_or_default();
                count += 1;
                assert!(is_constant(statement), "{}: {statement}", source.path.display());
            }
        }
    }
    assert!(count > 10, "{count} statements");
    assert!(!is_constant("key, \"{key} is loaded\"") && is_constant("key = name, \"loaded\""));
}

#[test]
fn every_metric_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/configuration.md")).expect("docs/configuration.md");
    for (name, _, of_function) in holoload::metrics::METRICS {
        let said = if of_function { format!("`{name}`*") } else { format!("`{name}`") };
        assert!(page.contains(&said), "docs/configuration.md does not have {said}");
    }
}

/// The tests that a page names as `binary::file::test`.
fn named_tests(page: &str) -> impl Iterator<Item = &str> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains("::") && !word.contains(char::is_whitespace))
}

/// Whether there is a test of this name, in the file that its path says.
fn is_test(name: &str) -> bool {
    let Some((file, function)) = name.rsplit_once("::") else { return false };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file.replace("::", "/") + ".rs");
    let Ok(text) = fs::read_to_string(path) else { return false };
    text.split("#[test]").skip(1).any(|after| {
        let head = after.split('{').next().unwrap_or_default();
        head.contains(&format!("fn {function}("))
    })
}

#[test]
fn every_test_that_the_semantics_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/SEMANTICS.md")).expect("docs/SEMANTICS.md");
    let names: Vec<&str> = named_tests(&page).filter(|name| *name != "binary::file::test").collect();
    assert!(names.len() > 80, "{} tests", names.len());
    let missing: Vec<&&str> = names.iter().filter(|name| !is_test(name)).collect();
    assert!(missing.is_empty(), "docs/SEMANTICS.md names tests that are not there: {missing:#?}");
    assert!(!is_test("delivery::order::there_is_no_such_test") && !is_test("no::such::file"));
    for entry in fs::read_dir(root.join("tests/proof")).expect("tests/proof") {
        let path = entry.expect("an entry").path();
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("UTF-8");
        for after in text.split("#[test]\nfn ").skip(1) {
            let name = format!("proof::{file}::{}", after.split('(').next().unwrap_or_default());
            assert!(names.contains(&name.as_str()), "docs/SEMANTICS.md does not name {name}");
        }
    }
}
