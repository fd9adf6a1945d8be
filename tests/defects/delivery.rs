//! Rows that vanish with exit code 0, and loads that leave halves behind.

use std::fmt::Write as _;

use crate::harness::{Lab, counts};

/// There: every row invalid was exit code 0 and an empty table.
#[test]
fn defect_02_an_object_of_bad_rows_fails_and_says_which() {
    let lab = Lab::new("every_row", "CREATE TABLE t (id int8 PRIMARY KEY, amount int8)");
    let rejects = lab.folder().join("rejects").display().to_string();
    let path = lab.file("input.csv", "id,amount\n1,x\n2,y\n");
    let run = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run();
    let report = run.failed(1, "every row is bad (2 of 2)", "");
    assert_eq!(report["reject_count"], 2);
    lab.assert_untouched("t");
}

/// There: of rows with one key the first stayed, by chance; the last is the newest.
#[test]
fn defect_07_the_last_row_of_a_key_wins() {
    let lab = Lab::new("last_wins", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let report = lab.load_text("id,name\n1,A\n1,B\n1,C\n");
    assert_eq!(counts(&report), [3, 1, 0, 0, 2, 0]);
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|C"]);
}

/// There: a key that exists, near the end, left 55,929 of 60,000 rows behind, and the next run failed on them.
#[test]
fn defect_08_a_failure_near_the_end_leaves_nothing_and_the_next_run_succeeds() {
    let lab = Lab::new("near_the_end", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    lab.db.run("INSERT INTO t VALUES (59999, 'there')");
    let mut text = String::from("id,name\n");
    for id in 0..60_000 {
        let _ = writeln!(text, "{id},n{id}");
    }
    let path = lab.file("input.csv", &text);
    let load = |mode: &str| lab.holoload(&["load", "--json", "--table", "t", "--mode", mode, &path]).run();
    load("insert").failed(1, "", "");
    assert_eq!(lab.rows("SELECT count(*), min(name) FROM t"), ["1|there"]);
    assert_eq!(counts(&load("upsert").loaded()), [60_000, 59_999, 1, 0, 0, 0]);
    assert_eq!(counts(&load("upsert").exits(0).report())[0], 0, "the same version is not loaded again");
    assert_eq!(lab.db.count("t"), 60_000);
}

/// There: replacing all rows lost the primary key, NOT NULL and defaults.
#[test]
fn defect_23_a_table_whose_rows_are_replaced_stays_what_it_is() {
    let lab = Lab::new(
        "replace",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text NOT NULL, made date DEFAULT '2024-01-01')",
    );
    lab.db.run("INSERT INTO t VALUES (1, 'old', NULL), (9, 'gone', NULL)");
    let config = lab
        .file("holoload.yaml", "routes: [{object: '**', table: t, write: {mode: snapshot, scope: table}}]");
    let path = lab.file("input.csv", "id,name\n1,new\n2,b\n");
    let run = lab.holoload(&["load", "--json", "--config", &config, &path]).without("HOLOLOAD_TABLE").run();
    run.loaded();
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY 1"), ["1|new", "2|b"]);
    let key = "SELECT count(*) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'p'";
    assert_eq!(lab.rows(key), ["1"]);
    let columns = "SELECT attname, attnotnull, atthasdef FROM pg_attribute \
                   WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum";
    assert_eq!(lab.rows(columns), ["id|t|f", "name|t|f", "made|f|t"]);
}
