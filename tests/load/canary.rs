//! A cell's value goes into the table or the reject object, and nowhere else: no log at any level, no answer, no
//! ledger row.

use crate::harness::{Lab, Outcome, s3};
use crate::support::runtime_api::RuntimeApi;

const TABLE: &str = "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE shops (code text PRIMARY KEY); \
    CREATE TABLE t (id int8 PRIMARY KEY, small int2, day date, at timestamptz, m mood, j json, b jsonb, u uuid, ip inet, \
    raw bytea, price numeric(5,2), short varchar(8), \
    note text CONSTRAINT no_canary CHECK (note NOT LIKE '%canary%'), shop text REFERENCES shops, tags int4[], code text UNIQUE)";

/// In every column a value that we or the server refuse; each row is bad by that one column.
const BAD: &[(&str, &str)] = &[
    ("id", "canary-01"),
    ("small", "70317031"),
    ("day", "2024-13-canary03"),
    ("at", "2024-01-01 00:00 Canary/Zone04"),
    ("m", "canary-05"),
    ("j", "{canary-06}"),
    ("b", "[canary-07]"),
    ("u", "canary-08-0000-0000"),
    ("ip", "canary-09"),
    ("raw", "canary-10"),
    ("price", "7031.7032"),
    ("short", "canary-12-too-long"),
    ("note", "a canary-13 b"),
    ("shop", "canary-14"),
    ("tags", "{canary-15}"),
    ("code", "canary-16-held"),
];
/// And in a good row, which is loaded.
const GOOD: &str = "good-c4n4ry-17";

/// Cells, and the passwords of the test servers.
const FORBIDDEN: &[&str] = &[
    "p@ss:w/rd%1",
    "test-secret",
    "canary-",
    "canary03",
    "Canary/Zone04",
    "70317031",
    "7031.7032",
    "c4n4ry",
];

fn file() -> String {
    let names: Vec<&str> = BAD.iter().map(|(name, _)| *name).collect();
    let mut text = format!("{}\n1{}{GOOD}\n", names.join(","), ",".repeat(BAD.len() - 1));
    for (at, (bad, value)) in BAD.iter().enumerate() {
        let cells = names.iter().map(|name| match name {
            name if name == bad => (*value).to_owned(),
            &"id" => (100 + at).to_string(),
            _ => String::new(),
        });
        text.push_str(&format!("{}\n", cells.collect::<Vec<_>>().join(",")));
    }
    // A header that is one, a row that is too short, a quote that is never closed.
    text.push_str("canary-18,canary-19\n200,\"canary-20\n");
    text
}

fn lab(name: &str) -> Lab {
    let lab = Lab::new(name, TABLE);
    lab.db.run("INSERT INTO t (id, code) VALUES (-1, 'canary-16-held')");
    lab
}

#[track_caller]
fn assert_silent(what: &str, text: &str) {
    for word in FORBIDDEN {
        if let Some(at) = text.find(word) {
            let from = text[..at].char_indices().rev().nth(300).map_or(0, |(from, _)| from);
            panic!("{what} holds `{word}`:\n{}", &text[from..at + word.len()]);
        }
    }
}

#[track_caller]
fn assert_silent_run(lab: &Lab, outcome: &Outcome) {
    assert_silent("stdout", &outcome.stdout);
    assert_silent("stderr", &outcome.stderr);
    assert_silent("the ledger", &lab.rows("SELECT row_to_json(l) FROM holoload_ledger l").join("\n"));
    assert_silent("the fence", &lab.rows("SELECT row_to_json(f) FROM holoload_fence f").join("\n"));
}

#[test]
fn values_reach_the_reject_object_alone() {
    let lab = lab("silent");
    let address = lab.put("a.csv", file());
    for arguments in [vec!["load", "--json"], vec!["load"], vec!["load", "--dry-run"]] {
        let mut arguments = arguments;
        arguments.extend(["--force", &address]);
        for log in ["trace", "debug"] {
            let run = lab.holoload(&arguments).env("HOLOLOAD_REJECTS", lab.address("rejects/"));
            let run = run.env("HOLOLOAD_BAD_ROWS_MAX_PERCENT", "100").env("RUST_LOG", log);
            let outcome = run.run().exits(0);
            assert_silent_run(&lab, &outcome);
        }
    }
    let keys = s3().keys(&lab.bucket, "rejects/");
    let texts: Vec<String> = keys
        .iter()
        .map(|key| String::from_utf8_lossy(&s3().get(&lab.bucket, key).expect("an object")).into_owned())
        .collect();
    for (_, value) in BAD {
        assert!(texts[1].contains(value), "{value} is not among the rejects: {}", texts[1]);
    }
    assert_eq!(texts[0].lines().count(), BAD.len() + 2, "{}", texts[0]);
    assert!(!texts.concat().contains(GOOD));
    assert_eq!(lab.rows("SELECT code FROM t WHERE id = 1"), [GOOD]);
}

#[test]
fn a_failed_load_is_as_silent() {
    let lab = lab("silent_failed");
    // Each bad row alone, with nowhere to keep it: the error that ends the load is about it.
    let text = file();
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    for row in lines {
        let path = lab.file("input.csv", format!("{header}\n9,,,,,,,,,,,,,,,\n{row}\n"));
        for arguments in [["load", "--json"], ["load", "--force"]] {
            let mut arguments = arguments.to_vec();
            arguments.push(&path);
            let outcome = lab.holoload(&arguments).env("RUST_LOG", "trace").run();
            assert_eq!(outcome.code, Some(i32::from(!row.contains(GOOD))), "{row}\n{}", outcome.stderr);
            assert_silent_run(&lab, &outcome);
            lab.db.run("DELETE FROM t WHERE id > 0");
        }
    }
}

/// A first row is not repeated either, whatever it is taken for; a header's unknown name is the exception, as it is
/// what people have to correct.
#[test]
fn a_first_row_of_data_is_not_repeated() {
    let lab = lab("silent_first");
    for text in ["canary-01,canary-02\n", "canary-01\n\"canary-02", "id,canary-02,canary-03,canary-04\n"] {
        let path = lab.file("input.csv", text);
        let outcome = lab.load(&path).env("RUST_LOG", "trace").run().exits(1);
        assert_silent_run(&lab, &outcome);
    }
}

#[test]
fn the_handler_is_as_silent() {
    let lab = lab("silent_handler");
    let stored = s3().put(&lab.bucket, "a.csv", file());
    let mut variables = lab.db.environment();
    variables.extend(s3().environment());
    variables.extend([
        ("HOLOLOAD_TABLE", "t".to_owned()),
        ("HOLOLOAD_REJECTS", lab.address("rejects/")),
        ("HOLOLOAD_BAD_ROWS_MAX_PERCENT", "100".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ]);
    let api = RuntimeApi::start(env!("CARGO_BIN_EXE_bootstrap"), variables.clone());
    let answer = api.invoke_json(&stored.event()).expect_ok();
    assert_eq!(answer["objects"][0]["status"], "loaded", "{answer:#}");
    assert_silent("the answer", &answer.to_string());
    assert_silent("the log", &api.log_text());

    // And where the object fails.
    let failing =
        variables.into_iter().filter(|(name, _)| !name.starts_with("HOLOLOAD_BAD")).map(|(name, value)| {
            if name == "HOLOLOAD_REJECTS" { ("HOLOLOAD_BAD_ROWS_MAX", "0".to_owned()) } else { (name, value) }
        });
    let api = RuntimeApi::start(env!("CARGO_BIN_EXE_bootstrap"), failing);
    let stored = s3().put(&lab.bucket, "b.csv", file());
    let (class, message) = api.invoke_json(&stored.event()).expect_err();
    assert_eq!(class, "Input");
    assert_silent("the answer", &message);
    assert_silent("the log", &api.log_text());
    let ledger = lab.rows("SELECT row_to_json(l) FROM holoload_ledger l").join("\n");
    assert_silent("the ledger", &ledger);
}
