//! The command line: what goes to stdout and stderr, exit codes, and what each command writes where.

mod support;

#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/embulk.rs"]
mod embulk;
#[path = "cli/guess.rs"]
mod guess;
#[path = "load/harness.rs"]
mod harness;
#[path = "bootstrap/http.rs"]
mod http;
#[path = "cli/invoke.rs"]
mod invoke;
#[path = "cli/mistakes.rs"]
mod mistakes;
#[cfg(feature = "parquet")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "several test binaries include this module, each uses a part of it"
)]
#[path = "decode_parquet/files.rs"]
mod parquet_files;
#[path = "cli/preview.rs"]
mod preview;
#[path = "cli/prune.rs"]
mod prune;
#[path = "cli/reprocess.rs"]
mod reprocess;
#[path = "bootstrap/sqs.rs"]
mod sqs;
#[path = "cli/verify.rs"]
mod verify;

use std::io::Read as _;
use std::process::Stdio;

use serde_json::{Value, json};

use harness::{Lab, Run, assert_contains, counts, s3};

const COMMANDS: [&str; 12] = [
    "guess",
    "preview",
    "check",
    "load",
    "reprocess",
    "history",
    "verify",
    "doctor",
    "invoke",
    "setup",
    "import-embulk",
    "completions",
];
const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";

fn members(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn a_dry_run_reports_and_writes_nothing() {
    let lab = Lab::new("dry_run", TABLE);
    let address = lab.put("a.csv", "id,name\n1,a\n1,b\nx,c\n2,d\n");
    let run = |arguments: &[&str]| {
        lab.holoload(arguments).env("HOLOLOAD_REJECTS", lab.address("rejects/")).run().exits(0)
    };
    let report = run(&["load", "--json", "--dry-run", &address]).report();
    assert_eq!(
        (&report["status"], &report["reason"]),
        (&json!("skipped"), &json!("dry run: nothing was written"))
    );
    assert_eq!(counts(&report), [4, 0, 0, 0, 1, 1]);
    assert_eq!(report["write_path"], "unnest");
    assert_eq!(report["rejects"], Value::Null);
    assert_eq!(report["reject_sample"][0]["line"], 4);
    lab.assert_untouched("t");
    assert_eq!(s3().keys(&lab.bucket, "rejects/"), Vec::<String>::new());
    let there = lab.rows("SELECT to_regclass('holoload_ledger'), to_regclass('holoload_fence')");
    assert_eq!(there, ["NULL|NULL"], "a dry run creates no tables");

    run(&["load", &address]);
    let lines = lab.ledger();
    let text = run(&["load", "--dry-run", &address]).stdout;
    assert_contains(
        &text,
        "skipped s3://…a.csv -> public.t…4 rows, 1 duplicate, 1 rejected…dry run: nothing was written",
    );
    assert_eq!(lab.ledger(), lines, "a dry run leaves no line");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|b", "2|d"]);
}

#[test]
fn a_dry_run_fails_as_the_load_would() {
    let lab = Lab::new("dry_run_fails", TABLE);
    let load = |text: &str| {
        let path = lab.file("input.csv", text);
        lab.holoload(&["load", "--json", "--dry-run", &path]).run()
    };
    load("id,name\n1,a\nx,b\n").failed(1, "a bad row, and none is put up with: line 3", "HOLOLOAD_REJECTS");
    load("id,nome\n1,a\n").failed(2, "the header names `nome`", "did you mean `name`?");
    lab.assert_untouched("t");
}

#[test]
fn a_report_has_exactly_these_members() {
    let lab = Lab::new("members", TABLE);
    let path = lab.file("input.csv", "id,name\n1,a\nx,b\n");
    let rejects = lab.folder().join("rejects").display().to_string();
    let answer = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().exits(0).json();
    assert_eq!(members(&answer), ["ignored", "objects", "schema_version"]);
    assert_eq!(answer["schema_version"], 1);
    let report = &answer["objects"][0];
    let names = "bucket key version_id etag sequencer table status reason row_count \
                 inserted_count updated_count unchanged_count deleted_count reject_count duplicate_count \
                 byte_count write_path atomic started_at duration_ms lag_ms phases rejects \
                 reject_sample warnings error";
    let mut expected: Vec<&str> = names.split(' ').collect();
    expected.sort_unstable();
    assert_eq!(members(report), expected);
    let phases = ["claim_ms", "connect_ms", "finish_ms", "open_ms", "read_ms", "write_ms"];
    assert_eq!(members(&report["phases"]), phases);
    assert_eq!(members(&report["reject_sample"][0]), ["byte", "column", "line", "reason"]);
    for (name, value) in [
        ("bucket", json!("file")),
        ("key", json!(path)),
        ("table", json!("public.t")),
        ("status", json!("loaded")),
        ("atomic", json!(true)),
    ] {
        assert_eq!(report[name], value, "{name}");
    }
    for name in ["version_id", "sequencer", "reason", "lag_ms", "error"] {
        assert_eq!(report[name], Value::Null, "{name}");
    }
    let failed = lab.load(&lab.file("bad.csv", "id,nome\n1,a\n")).run().exits(2).report();
    assert_eq!(
        failed["error"],
        json!({
            "class": "Config",
            "code": null,
            "message": "the header names `nome`, table `public.t` has no such column",
            "hint": "did you mean `name`?"
        })
    );
}

#[test]
fn people_read_a_headline_and_what_needs_their_eyes() {
    let lab = Lab::new("human", TABLE);
    let good = lab.file("good.csv", "id,name\n1,a\n2,b\n");
    let outcome = lab.holoload(&["load", &good]).run().exits(0);
    assert_eq!(outcome.stderr, "");
    assert_contains(
        &outcome.stdout,
        "loaded /…good.csv -> public.t\n  2 rows, 2 inserted (16 bytes, … ms)\n",
    );
    let bad = lab.file("bad.csv", "id,name\n3,a\nx,b\n");
    let outcome = lab.holoload(&["load", &bad]).run().exits(1);
    assert_contains(
        &outcome.stdout,
        "failed /…bad.csv -> public.t\n…rejected line 3, byte 12, column `id`: not an integer\n",
    );
    assert_eq!(
        outcome.stderr,
        "error: a bad row, and none is put up with: line 3, byte 12, column `id`: not an integer\n\n\
         hint: fix the row; or set HOLOLOAD_REJECTS (`rejects:`), and bad rows are kept there while the others load\n"
    );
}

#[test]
fn table_and_mode_may_be_said_on_the_command_line() {
    let lab = Lab::new(
        "arguments",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text); CREATE TABLE u (LIKE t INCLUDING ALL)",
    );
    let path = lab.file("input.csv", "id,name\n1,a\n");
    let other = lab.file("other.csv", "id,name\n1,b\n");
    let load = |arguments: &[&str]| lab.holoload(&[&["load", "--json"], arguments].concat()).run();
    assert_eq!(load(&["--table", "u", &path]).loaded()["table"], "public.u");
    let report = load(&["--table", "U", "--mode", "ignore", &other]).loaded();
    assert_eq!(counts(&report), [1, 0, 0, 1, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM u"), ["1|a"]);
    assert_eq!(lab.db.count("t"), 0);
    load(&["--mode", "ignore", &path]).exits(2);
    load(&["--table", "u", "--mode", "merge", &path]).exits(2);
}

#[test]
fn usage_errors_exit_2_and_help_exits_0() {
    for arguments in [
        &["load"][..],
        &["lod", "x"],
        &["load", "--jsn", "x"],
        &["history", "--limit", "x"],
        &["invoke"],
        &[],
    ] {
        let outcome = Run::new(arguments).run().exits(2);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert_contains(&outcome.stderr, "--help");
    }
    assert_contains(&Run::new(&["lod"]).run().exits(2).stderr, "'load'");
    for (arguments, word) in [
        (&["--help"][..], "Load objects or files now"),
        (&["load", "--help"], "--dry-run"),
        (&["history", "--help"], "--prune"),
        (&["reprocess", "--help"], "--missing"),
        (&["verify", "--help"], "--table"),
        (&["invoke", "--help"], "EVENT.json"),
        (&["setup", "--help"], "--apply"),
    ] {
        let outcome = Run::new(arguments).run().exits(0);
        assert_contains(&outcome.stdout, word);
        assert_eq!(outcome.stderr, "", "{arguments:?}");
    }
    let version = Run::new(&["--version"]).run().exits(0);
    assert_eq!(version.stdout, format!("holoload {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_prefix_stands_for_what_is_under_it_where_several_objects_make_sense() {
    let lab = Lab::new("prefix", TABLE);
    lab.load(&lab.address("prefix/")).run().refused(
        1,
        "nothing matches `s3://",
        "`*` stays within one folder",
    );
    lab.load("s3://no-such-bucket/prefix/").run().refused(
        2,
        "list `s3://no-such-bucket/prefix/`",
        "no such bucket",
    );
    lab.holoload(&["doctor", "s3://bucket/prefix/"]).run().refused(
        2,
        "`s3://bucket/prefix/` is a prefix",
        "name one object: `s3://bucket/key`",
    );
    lab.load("s3://bucket").run().refused(
        1,
        "read the object address `s3://bucket`",
        "write `s3://bucket/key`",
    );
}

#[test]
fn history_shows_loads_newest_first_and_filters() {
    let lab = Lab::new(
        "history",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text); CREATE TABLE u (LIKE t INCLUDING ALL)",
    );
    let history = |arguments: &[&str]| lab.holoload(&[&["history"], arguments].concat()).run().exits(0);
    assert_eq!(history(&[]).stdout, "nothing has been loaded\n");
    assert_eq!(history(&["--json"]).json(), json!([]));

    let first = lab.put("in/a.csv", "id,name\n1,a\n");
    let bad = lab.put("in/bad.csv", "id,name\nx,a\n");
    let other = lab.put("other/a.csv", "id,name\n1,a\n2,b\n");
    lab.load(&first).run().loaded();
    lab.load(&bad).run().exits(1);
    lab.holoload(&["load", "--table", "u", &other]).run().exits(0);

    let keys = |arguments: &[&str]| -> Vec<String> {
        let answer = history(&[&["--json"], arguments].concat()).json();
        let lines = answer.as_array().expect("a list").iter();
        lines
            .map(|line| {
                format!("{} {}", line["key"].as_str().expect("text"), line["status"].as_str().expect("text"))
            })
            .collect()
    };
    assert_eq!(keys(&[]), ["other/a.csv loaded", "in/bad.csv failed", "in/a.csv loaded"]);
    assert_eq!(keys(&["--limit", "1"]), ["other/a.csv loaded"]);
    assert_eq!(keys(&["--status", "failed"]), ["in/bad.csv failed"]);
    assert_eq!(keys(&["--prefix", "in/"]), ["in/bad.csv failed", "in/a.csv loaded"]);
    assert_eq!(keys(&["--prefix", "in%"]), Vec::<String>::new());
    assert_eq!(keys(&["--table", "u"]), ["other/a.csv loaded"]);
    assert_eq!(keys(&["--table", "public.t", "--status", "loaded"]), ["in/a.csv loaded"]);

    let answer = history(&["--json", "--limit", "2"]).json();
    let line = &answer[1];
    let seen = ["row_count", "reject_count", "error_class", "error_message", "attempt", "table"]
        .map(|name| &line[name]);
    let message = "a bad row, and none is put up with: line 2, byte 8, column `id`: not an integer";
    assert_eq!(seen, [&json!(1), &json!(1), &json!("Input"), &json!(message), &json!(1), &json!("public.t")]);
    assert_contains(line["hint"].as_str().expect("a hint"), "HOLOLOAD_REJECTS");
    assert_contains(line["finished_at"].as_str().expect("a time"), "T…Z");

    let text = history(&[]).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_contains(lines[0], "FINISHED…STATUS…TABLE…ROWS…REJECTS…MS…OBJECT");
    assert_contains(lines[1], "Z  loaded  public.u     2        0…  s3://…/other/a.csv");
    assert_contains(
        lines[2],
        "Z  failed  public.t     1        1…  s3://…/in/bad.csv (a bad row, and none is put up with",
    );
    lab.assert_gone();
}

#[test]
fn setup_prints_the_statements_and_applies_them() {
    let tables = "CREATE SCHEMA loads; CREATE TABLE t (id int8 PRIMARY KEY)";
    let lab = Lab::new("setup", tables);
    let setup = |arguments: &[&str]| {
        let run = lab.holoload(&[&["setup"], arguments].concat());
        run.env("HOLOLOAD_LEDGER", "loads.my_ledger").run().exits(0)
    };
    let printed = setup(&[]);
    assert_eq!(printed.stderr, "");
    let lines: Vec<&str> = printed.stdout.lines().collect();
    assert_eq!(lines.len(), 7, "{}", printed.stdout);
    assert_contains(lines[0], "CREATE TABLE IF NOT EXISTS \"loads\".\"my_ledger\" (bucket text NOT NULL");
    assert_contains(lines[1], "CREATE TABLE IF NOT EXISTS \"loads\".\"my_fence\" (bucket text NOT NULL");
    assert_eq!(
        lines[2..],
        [
            "GRANT USAGE ON SCHEMA \"loads\" TO \"app\";",
            "GRANT USAGE ON SCHEMA \"public\" TO \"app\";",
            "GRANT SELECT, INSERT, UPDATE ON \"public\".\"t\" TO \"app\";",
            "GRANT SELECT, INSERT, UPDATE ON \"loads\".\"my_ledger\" TO \"app\";",
            "GRANT SELECT, INSERT, UPDATE ON \"loads\".\"my_fence\" TO \"app\";",
        ]
    );
    let there = || lab.rows("SELECT to_regclass('loads.my_ledger'), to_regclass('loads.my_fence')");
    assert_eq!(there(), ["NULL|NULL"], "printing alone creates nothing");

    let applied = setup(&["--apply"]);
    assert_eq!(applied.stdout, printed.stdout);
    assert_contains(&applied.stderr, "ledger and fence are there");
    assert_eq!(there(), ["loads.my_ledger|loads.my_fence"]);
    setup(&["--apply"]);
    // What is printed is what a server takes.
    let other = Lab::new("setup_other", tables);
    other.db.run(&printed.stdout);

    lab.holoload(&["setup"]).env("HOLOLOAD_LEDGER", "off").run().refused(
        2,
        "the ledger is off",
        "HOLOLOAD_LEDGER",
    );
    lab.holoload(&["history"]).env("HOLOLOAD_LEDGER", "off").run().refused(
        2,
        "the ledger is off",
        "HOLOLOAD_LEDGER",
    );
}

#[test]
fn a_loader_with_the_printed_grants_alone_can_load() {
    let lab = Lab::new("grants", "");
    lab.db.query("CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let printed = lab.holoload(&["setup"]).run().exits(0).stdout;
    lab.db.query(&printed);
    let path = lab.file("input.csv", "id,name\n1,a\n");
    assert_eq!(counts(&lab.load(&path).run().loaded()), [1, 1, 0, 0, 0, 0]);
}

#[test]
fn without_a_ledger_nothing_is_remembered() {
    let lab = Lab::new("no_ledger", TABLE);
    let path = lab.file("input.csv", "id,name\n1,a\n");
    for expected in [[1, 1, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0]] {
        let report = lab.load(&path).env("HOLOLOAD_LEDGER", "off").run().loaded();
        assert_eq!(counts(&report), expected);
        assert_contains(report["warnings"][0].as_str().expect("a warning"), "the ledger is off");
    }
    assert_eq!(
        lab.rows("SELECT to_regclass('holoload_ledger'), to_regclass('holoload_fence')"),
        ["NULL|NULL"]
    );
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let lab = Lab::new("pipe", TABLE);
    let path = lab.file("input.csv", "id,name\n1,a\n");
    for arguments in [&["load", "--json", &path][..], &["history"], &["setup"], &["--help"]] {
        let mut command = lab.holoload(arguments).command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("holoload starts");
        // Closed before anything is written: every write meets a broken pipe.
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
        let status = child.wait().expect("holoload ends");
        assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    assert_eq!(lab.db.count("t"), 1);
}
