//! `holoload verify`: an object against its table.

use serde_json::{Value, json};

use crate::harness::{Lab, Run, assert_contains};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount numeric(10,2), at timestamptz, code char(4), \
     data jsonb, ratio float8, note text DEFAULT 'none')";
const TEXT: &str = "id,name,amount,at,code,data,ratio\n\
     1,a,1.5,2024-01-01 00:00:00.123Z,ab,\"{\"\"b\"\": 1, \"\"a\"\": [1.50]}\",0.1\n\
     2,,2,,abcd,,\n\
     3,\"c\nd\",,2024-02-29 12:00:00+09:00,,null,-2.5e10\n";

fn verify(lab: &Lab, source: &str, write: &str) -> Run {
    let config = format!("routes: [{{object: '**', table: t, write: {{{write}}}}}]");
    let config = lab.file("verify.yml", config);
    let run = lab.holoload(&["verify", "--json", source]);
    run.without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

fn load(lab: &Lab, source: &str, write: &str) {
    let config = format!("routes: [{{object: '**', table: t, write: {{{write}}}}}]");
    let config = lab.file("load.yml", config);
    let run = lab.load(source).argument("--force").without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    run.run().loaded();
}

/// Rows, the same, different, missing, not deleted, duplicate; and where.
fn found(verdict: &Value) -> ([u64; 6], Vec<u64>) {
    let names = [
        "row_count",
        "equal_count",
        "different_count",
        "missing_count",
        "undeleted_count",
        "duplicate_count",
    ];
    let counts = names.map(|name| verdict[name].as_u64().unwrap_or_else(|| panic!("{name}: {verdict:#}")));
    let lines = verdict["lines"].as_array().expect("lines").iter();
    (counts, lines.map(|line| line.as_u64().expect("a line")).collect())
}

#[test]
fn what_was_loaded_is_equal_until_it_changes() {
    let lab = Lab::new("verify", TABLE);
    let address = lab.put("a.csv", TEXT);
    load(&lab, &address, "");
    lab.db.run(
        "INSERT INTO t (id, name) VALUES (9, 'of somebody else'); UPDATE t SET note = 'not in the file'",
    );
    let before = lab.rows("SELECT xmin, ctid FROM t ORDER BY id");
    let verdict = verify(&lab, &address, "").run().exits(0).json();
    assert_eq!(found(&verdict), ([3, 3, 0, 0, 0, 0], vec![]), "{verdict:#}");
    assert_eq!((&verdict["is_equal"], &verdict["uncompared"]), (&json!(true), &json!([])));
    assert_eq!(verdict["file_checksum"], verdict["table_checksum"]);
    assert_eq!(verdict["file_checksum"].as_str().map(str::len), Some(16));
    assert_eq!(lab.rows("SELECT xmin, ctid FROM t ORDER BY id"), before, "nothing is written");
    assert_eq!(lab.db.count("holoload_ledger"), 1);

    lab.db.run("UPDATE t SET name = 'hidden' WHERE id = 2; DELETE FROM t WHERE id = 3");
    let verdict = verify(&lab, &address, "").run().exits(1).json();
    assert_eq!(found(&verdict), ([3, 1, 1, 1, 0, 0], vec![3, 4]), "{verdict:#}");
    assert_eq!(verdict["is_equal"], false);
    assert_ne!(verdict["file_checksum"], verdict["table_checksum"]);
    let text = lab.holoload(&["verify", &address]).run().exits(1);
    assert_contains(
        &text.stdout,
        "different s3://…a.csv -> public.t\n  3 rows: 1 the same as in the table, 1 different, 1 missing\n  checksum …first at line 3, 4\n…`newer_by`",
    );
    assert!(!text.stdout.contains("hidden") && text.stderr.is_empty(), "{text:?}");
    for change in [
        "amount = 1.51",
        "at = at + interval '1 millisecond'",
        "code = 'ac'",
        "data = '{\"a\": [1.5], \"b\": 2}'",
        "ratio = 0.2",
        "name = NULL",
    ] {
        lab.db.run("TRUNCATE t");
        load(&lab, &address, "");
        lab.db.run(&format!("UPDATE t SET {change} WHERE id = 1"));
        let verdict = verify(&lab, &address, "").run().exits(1).json();
        assert_eq!(found(&verdict), ([3, 2, 1, 0, 0, 0], vec![2]), "{change}");
    }
    lab.assert_gone();
}

/// Over more than one batch the last row of a key counts, wherever it stands; 10,000 rows are one.
#[test]
fn rows_of_one_key_settle_as_in_a_load() {
    let lab = Lab::new("verify_settled", "CREATE TABLE t (id int8 PRIMARY KEY, name text, seen int8)");
    let filler = |from: u32| (from..from + 10_000).map(|id| format!("{id},f,1\n")).collect::<String>();
    let text = format!("id,name,seen\n1,a,5\n1,b,4\n2,a,1\n{}1,c,3\n2,b,2\n{}", filler(100), filler(20_000));
    let address = lab.put("a.csv", text);
    for (write, rows) in [("", ["1|c", "2|b"]), ("newer_by: seen", ["1|a", "2|b"])] {
        lab.db.run("TRUNCATE t");
        load(&lab, &address, write);
        assert_eq!(lab.rows("SELECT id, name FROM t WHERE id < 100 ORDER BY id"), rows);
        let verdict = verify(&lab, &address, write).run().exits(0).json();
        assert_eq!(verdict["is_equal"], true, "{write} {verdict:#}");
        lab.db.run("UPDATE t SET name = 'x' WHERE id IN (1, 105)");
        let verdict = verify(&lab, &address, write).run().exits(1).json();
        let line = if write.is_empty() { vec![10, 10_005] } else { vec![2, 10] };
        assert_eq!((&verdict["different_count"], found(&verdict).1), (&json!(2), line), "{write}");
    }
}

#[test]
fn at_most_five_lines_are_named_and_only_select_is_needed() {
    let lab = Lab::new("verify_reader", "");
    lab.db.query("CREATE TABLE t (id int8 PRIMARY KEY, name text); GRANT SELECT ON t TO app");
    let text = (1..=1000).map(|id| format!("{id},n\n")).collect::<String>();
    let path = lab.file("a.csv", format!("id,name\n{text}"));
    let verdict = lab.holoload(&["verify", "--json", &path]).run().exits(1).json();
    assert_eq!(found(&verdict), ([1000, 0, 0, 1000, 0, 0], vec![2, 3, 4, 5, 6]));
    lab.db.query("INSERT INTO t SELECT n, 'n' FROM generate_series(1, 1000) AS n");
    lab.holoload(&["verify", "--json", &path]).run().exits(0);
}

#[test]
fn deletions_and_what_passes_are_taken_into_account() {
    let table = "CREATE TABLE t (id int8 PRIMARY KEY, name text, tag inet, gone bool, loaded timestamptz)";
    let lab = Lab::new("verify_op", table);
    let path = lab.file("a.csv", "Op,id,name\nI,1,a\nI,2,b\nD,2,\nD,3,\n");
    load(&lab, &path, "op: Op");
    assert_eq!(found(&verify(&lab, &path, "op: Op").run().exits(0).json()), ([4, 1, 0, 0, 0, 1], vec![]));
    lab.db.run("INSERT INTO t (id) VALUES (2), (3)");
    assert_eq!(found(&verify(&lab, &path, "op: Op").run().exits(1).json()), ([4, 1, 0, 0, 2, 1], vec![4, 5]));
    let soft = "op: Op, soft_delete: gone";
    load(&lab, &path, soft);
    assert_eq!(found(&verify(&lab, &path, soft).run().exits(0).json()), ([4, 3, 0, 0, 0, 1], vec![]));
    lab.db.run("UPDATE t SET gone = false WHERE id = 2");
    assert_eq!(found(&verify(&lab, &path, soft).run().exits(1).json()).1, [4]);
    let path = lab.file("b.csv", "id,tag\n1,10.0.0.1\n");
    load(&lab, &path, "");
    let verdict = verify(&lab, &path, "").run().exits(0).json();
    assert_eq!(verdict["uncompared"], json!(["tag"]));
}

#[test]
fn what_cannot_be_compared_says_so() {
    let lab = Lab::new(
        "verify_refused",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text); CREATE TABLE nokey (id int8)",
    );
    let path = lab.file("a.csv", "id,name\n1,a\n");
    verify(&lab, &path, "mode: ignore").run().refused(2, "mode `ignore` does not make", "`upsert`");
    verify(&lab, "-", "").run().refused(2, "it cannot be read twice", "name the file");
    verify(&lab, &lab.address("gone.csv"), "").run().refused(1, "look at `s3://", "no such object");
    let bad = lab.file("bad.csv", "id,name\nx,a\n");
    verify(&lab, &bad, "").run().refused(1, "a bad row, and none is put up with: line 2", "");
    lab.holoload(&["verify", "--table", "nokey", &path]).run().refused(2, "has no primary key", "");
}
