//! Ways in which a load could go wrong without a word.

use std::fs::FileTimes;
use std::time::{Duration, SystemTime};

use crate::harness::{Lab, is_older_than_12};

const NAMES: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";

/// A trigger that refuses the first statement and no other: its sequence does not roll back.
const ONCE_DEADLOCKED: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text); CREATE SEQUENCE tries; \
     CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF nextval('tries') = 1 THEN RAISE EXCEPTION 'once' USING ERRCODE = '40P01'; END IF; RETURN NULL; END $$; \
     CREATE TRIGGER refuse AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION refuse_once()";

#[test]
fn a_deadlock_is_tried_again_but_standard_input_is_read_once() {
    let lab = Lab::new("once_file", ONCE_DEADLOCKED);
    lab.load_text("id,name\n1,a\n2,b\n");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b"]);

    let lab = Lab::new("once_stdin", ONCE_DEADLOCKED);
    let run = lab.holoload(&["load", "--json", "-"]).stdin("id,name\n1,a\n2,b\n").run();
    run.failed(4, "40P01", "standard input cannot be read twice: pipe it again");
    lab.assert_untouched("t");
    let run = lab.holoload(&["load", "--json", "-"]).stdin("id,name\nx,a\n").run();
    run.failed(1, "line 2, byte 8, column `id`: not an integer", "fix the row");
}

/// Attempts at a statement that is refused with this SQLSTATE and text each time; sequences do not roll back.
fn attempts(code: &str, text: &str, exit: i32, hint: &str) -> Option<String> {
    let sql = format!(
        "CREATE TABLE t (id int8 PRIMARY KEY, name text); CREATE SEQUENCE tries; \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('tries'); \
         RAISE EXCEPTION '{text}' USING ERRCODE = '{code}'; END $$; \
         CREATE TRIGGER refuse AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
    );
    let lab = Lab::new("attempts", &sql);
    let path = lab.file("input.csv", "id,name\n1,a\n");
    let report = lab.load(&path).env("HOLOLOAD_LEDGER", "off").run().failed(exit, code, hint);
    assert!(
        text.is_empty() || !report.to_string().contains(text),
        "the server's own words are shown: {report}"
    );
    lab.assert_untouched("t");
    lab.db.value("SELECT last_value FROM tries")
}

#[test]
fn a_refusal_is_met_as_often_as_it_may_go_away() {
    for (code, text, exit, hint, expected) in [
        ("40001", "", 4, "another session", "4"),
        ("57014", "canceling statement due to statement timeout", 4, "ran into its timeout", "2"),
        ("XX000", "internal error: whatever", 4, "look at its log", "2"),
        ("XX000", "Refresh meta timeout", 4, "changed, truncated or renamed", "4"),
        ("XX000", "Could not generate fixed plan", 2, "does not support this", "1"),
        ("0A000", "", 2, "does not support this", "1"),
        ("25006", "cannot execute INSERT", 2, "the primary instance", "1"),
        ("42501", "", 3, "holoload setup", "1"),
    ] {
        let seen = attempts(code, text, exit, hint);
        assert_eq!(seen.as_deref(), Some(expected), "{code} {text}");
    }
}

#[test]
fn a_table_on_the_command_line_keeps_the_mode_that_was_set() {
    let lab = Lab::new("table_mode", "CREATE TABLE t2 (id int8 PRIMARY KEY, name text)");
    lab.db.run("INSERT INTO t2 VALUES (1, 'old')");
    let file = lab.file("two.csv", "id,name\n1,new\n2,new\n");
    let run = lab.holoload(&["load", "--json", "--table", "t2", &file]).env("HOLOLOAD_WRITE_MODE", "ignore");
    run.run().loaded();
    let run = lab.holoload(&["load", "--json", "--force", "--table", "t2", &file]);
    run.without("HOLOLOAD_TABLE").env("HOLOLOAD_WRITE_MODE", "ignore").run().loaded();
    assert_eq!(lab.rows("SELECT * FROM t2 ORDER BY 1"), ["1|old", "2|new"]);
}

#[test]
fn a_header_in_another_case_is_no_data() {
    let lab = Lab::new("case", "CREATE TABLE t (order_id text PRIMARY KEY, book_name text)");
    let file = lab.file("case.csv", "Order_Id, Book_Name\n1,x\n");
    lab.load(&file).run().failed(1, "first row is neither header nor data", "order_id, book_name");
    lab.assert_untouched("t");
}

#[test]
fn a_file_with_an_older_time_is_loaded_all_the_same() {
    let lab = Lab::new("older", NAMES);
    let path = lab.file("file.csv", "id,name\n1,new\n");
    lab.load(&path).run().loaded();
    let path = lab.file("file.csv", "id,name\n1,restored\n");
    let file = std::fs::File::options().write(true).open(&path).expect("the file");
    let yesterday = SystemTime::now() - Duration::from_hours(24);
    file.set_times(FileTimes::new().set_modified(yesterday)).expect("times");
    lab.load(&path).run().loaded();
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|restored"]);
}

#[test]
fn what_the_server_would_round_is_refused_before_anything_is_written() {
    for (number, sql_type) in
        ["money", "name", "interval(0)", "numeric(10,2)[]", "timetz(0)"].iter().enumerate()
    {
        let lab = Lab::new(
            &format!("rounded_{number}"),
            &format!("CREATE TABLE t (id int8 PRIMARY KEY, v {sql_type})"),
        );
        let file = lab.file("rounded.csv", "id,v\n1,1\n");
        lab.load(&file).run().failed(2, "values the server would round", "leave the column out");
        lab.assert_untouched("t");
    }
}

#[test]
fn a_domain_is_as_strict_as_the_type_under_it() {
    let lab = Lab::new(
        "domain",
        "CREATE DOMAIN price AS numeric(10,2) CHECK (VALUE > 0); CREATE DOMAIN moment AS timestamptz NOT NULL; \
         CREATE TABLE t (id int8 PRIMARY KEY, p price, m moment)",
    );
    let rejects = lab.folder().join("rejects").display().to_string();
    let file = lab.file(
        "domain.csv",
        "id,p,m\n1,1.25,2024-01-01T00:00:00Z\n2,1.005,2024-01-01T00:00:00Z\n3,1,today\n4,1,\n5,-1,2024-01-01\n",
    );
    let report = lab.load(&file).env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!(report["reject_count"], 4, "{report:#}");
    assert_eq!(lab.rows("SELECT id, p FROM t"), ["1|1.25"]);
}

#[test]
fn a_change_that_the_server_holds_for_equal_is_written() {
    if is_older_than_12() {
        return;
    }
    let lab = Lab::new(
        "equal",
        "CREATE COLLATION blunt (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE TABLE t (id int8 PRIMARY KEY, name text COLLATE blunt, f float8)",
    );
    lab.db.run("ALTER ROLE CURRENT_USER SET extra_float_digits = 0");
    lab.load_text("id,name,f\n1,abc,0.3\n2,same,1\n");
    let report = lab.load_text("id,name,f\n1,ABC,0.30000000000000004\n2,same,1\n");
    lab.db.run("ALTER ROLE CURRENT_USER RESET extra_float_digits");
    assert_eq!((&report["updated_count"], &report["unchanged_count"]), (&1.into(), &1.into()), "{report:#}");
    assert_eq!(lab.rows("SELECT name, f = 0.30000000000000004 FROM t WHERE id = 1"), ["ABC|t"]);
}

#[test]
fn a_ledger_that_was_dropped_is_made_anew() {
    let lab = Lab::new("dropped", NAMES);
    let file = lab.file("one.csv", "id,name\n1,a\n");
    lab.load(&file).run().loaded();
    lab.db.run("DROP TABLE holoload_ledger, holoload_fence");
    lab.load(&file).run().loaded();
}

#[test]
fn a_first_row_that_is_no_header_is_not_quoted() {
    let lab = Lab::new("unquoted", NAMES);
    let config = lab.file("config.yaml", "routes: [{object: '**', table: t, parse: {header: true}}]\n");
    let file = lab.file("secret.csv", "alice@example.com,42\n");
    let outcome = lab.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run();
    assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains("alice"), "{}", outcome.stdout);
    outcome.failed(2, "the first row names no column", "header: false");
    assert!(!lab.rows("SELECT l::text FROM holoload_ledger l").join("\n").contains("alice"));
}

#[test]
fn rejects_of_two_pipes_are_kept_apart() {
    let lab = Lab::new("pipes", NAMES);
    let rejects = lab.folder().join("rejects").display().to_string();
    let mut addresses = Vec::new();
    for text in ["id,name\nx,a\n1,a\n", "id,name\ny,b\n2,b\n"] {
        let run = lab.holoload(&["load", "--json", "-"]).env("HOLOLOAD_REJECTS", &rejects).stdin(text);
        let report = run.run().loaded();
        addresses.push(report["rejects"].as_str().expect("an address").to_owned());
    }
    assert_ne!(addresses[0], addresses[1]);
    assert_eq!(std::fs::read_to_string(&addresses[0]).expect("rejects"), "id,name\nx,a\n");
}
