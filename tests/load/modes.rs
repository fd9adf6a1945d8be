//! Write modes: what becomes of rows whose keys are there, and how every row is counted.

use crate::harness::{Lab, assert_contains, counts};

const TABLE: &str =
    "CREATE TABLE t (id int8 PRIMARY KEY, name text, note text DEFAULT 'none', n int8 NOT NULL DEFAULT 7)";
const HELD: &str = "INSERT INTO t VALUES (1, 'one', 'kept', 11), (2, 'two', 'kept', 22)";

fn lab(name: &str) -> Lab {
    let lab = Lab::new(name, TABLE);
    lab.db.run(HELD);
    lab
}

#[test]
fn upsert_leaves_omitted_columns_alone() {
    let lab = lab("upsert");
    let report = lab.load_text("id,name\n1,uno\n2,two\n3,tres\n");
    assert_eq!(counts(&report), [3, 1, 1, 1, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|uno|kept|11", "2|two|kept|22", "3|tres|none|7"]);
}

#[test]
fn replace_resets_omitted_columns_to_their_defaults() {
    let lab = lab("replace");
    let path = lab.file("input.csv", "id,name\n1,uno\n2,two\n3,tres\n");
    let report = lab.load(&path).env("HOLOLOAD_WRITE_MODE", "replace").run().loaded();
    assert_eq!(counts(&report), [3, 1, 2, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|uno|none|7", "2|two|none|7", "3|tres|none|7"]);
    let report =
        lab.holoload(&["load", "--json", "--force", &path]).env("HOLOLOAD_WRITE_MODE", "replace").run();
    assert_eq!(counts(&report.loaded()), [3, 0, 0, 3, 0, 0]);
}

#[test]
fn ignore_keeps_what_is_there_and_the_first_of_the_file() {
    let lab = lab("ignore");
    let path = lab.file("input.csv", "id,name\n1,uno\n3,first\n3,second\n");
    let report = lab.load(&path).env("HOLOLOAD_WRITE_MODE", "ignore").run().loaded();
    assert_eq!(counts(&report), [3, 1, 0, 1, 1, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|one|kept|11", "2|two|kept|22", "3|first|none|7"]);
}

#[test]
fn insert_refuses_a_key_that_is_there() {
    let lab = lab("insert");
    let path = lab.file("input.csv", "id,name\n3,tres\n1,uno\n4,cuatro\n");
    let run = || lab.load(&path).env("HOLOLOAD_WRITE_MODE", "insert");
    let report =
        run().run().failed(1, "a bad row, and none is put up with: line 3…(23505)", "HOLOLOAD_REJECTS");
    assert_eq!(report["rejects"], serde_json::Value::Null);
    assert_eq!(lab.db.count("t"), 2);
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = run().env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!(counts(&report), [3, 2, 0, 0, 0, 1]);
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY 1"), ["1|one", "2|two", "3|tres", "4|cuatro"]);
}

#[test]
fn insert_needs_no_key_and_repeats_rows() {
    let lab = Lab::new("insert_no_key", "CREATE TABLE t (id int8, name text)");
    let path = lab.file("input.csv", "id,name\n1,a\n1,a\n");
    let report = lab.holoload(&["load", "--json", "--table", "t", "--mode", "insert", &path]).run().loaded();
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|a", "1|a"]);
}

#[test]
fn of_one_key_in_a_batch_the_last_row_wins() {
    let lab = lab("last_wins");
    let report = lab.load_text("id,name\n5,a\n1,b\n5,c\n5,d\n1,e\n6,f\n");
    assert_eq!(counts(&report), [6, 2, 1, 0, 3, 0]);
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY 1"), ["1|e", "2|two", "5|d", "6|f"]);
}

#[test]
fn of_one_key_in_different_batches_the_last_row_wins() {
    let lab = Lab::new("over_batches", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let mut text = "id,name\n".to_owned();
    for at in 0..25_000 {
        text.push_str(&format!("{at},first\n"));
    }
    // Far from their first rows, and one more within the last batch.
    text.push_str("3,second\n24999,second\n3,third\n");
    let report = lab.load_text(&text);
    let [rows, inserted, updated, unchanged, duplicate, rejected] = counts(&report);
    assert_eq!([rows, inserted, unchanged, rejected], [25_003, 25_000, 0, 0]);
    assert_eq!(updated + duplicate, 3);
    assert_eq!(
        lab.rows("SELECT id, name FROM t WHERE name <> 'first' ORDER BY 1"),
        ["3|third", "24999|second"]
    );
    assert_eq!(lab.db.count("t"), 25_000);
}

#[test]
fn an_ignored_key_keeps_the_first_row_over_batches_too() {
    let lab = Lab::new("ignore_batches", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let mut text = "id,name\n".to_owned();
    for at in 0..12_000 {
        text.push_str(&format!("{at},first\n"));
    }
    text.push_str("3,second\n");
    let path = lab.file("input.csv", &text);
    let report = lab.load(&path).env("HOLOLOAD_WRITE_MODE", "ignore").run().loaded();
    assert_eq!(counts(&report), [12_001, 12_000, 0, 1, 0, 0]);
    assert_eq!(lab.rows("SELECT name FROM t WHERE id = 3"), ["first"]);
}

#[test]
fn a_composite_key_need_not_come_first() {
    let lab = Lab::new(
        "composite",
        "CREATE TABLE t (note text, day date, amount numeric(10,2), shop int4, PRIMARY KEY (shop, day))",
    );
    let report = lab.load_text(
        "amount,day,shop,note\n1.50,2024-01-05,1,a\n2,2024-01-05,2,b\n3,2024-01-06,1,c\n4,20240105,1,d\n",
    );
    assert_eq!(counts(&report), [4, 3, 0, 0, 1, 0]);
    let sql = "SELECT shop, day, amount, note FROM t ORDER BY 1, 2";
    assert_eq!(lab.rows(sql), ["1|2024-01-05|4.00|d", "1|2024-01-06|3.00|c", "2|2024-01-05|2.00|b"]);
    let report = lab.load_text("day,shop,note\n2024-01-05,2,B\n2024-01-06,1,c\n");
    assert_eq!(counts(&report), [2, 0, 1, 1, 0, 0]);
    assert_eq!(lab.rows(sql), ["1|2024-01-05|4.00|d", "1|2024-01-06|3.00|c", "2|2024-01-05|2.00|B"]);
}

#[test]
fn a_table_that_is_all_key_upserts() {
    let lab = Lab::new("all_key", "CREATE TABLE t (a int8, b text, PRIMARY KEY (a, b))");
    assert_eq!(counts(&lab.load_text("a,b\n1,x\n1,y\n1,x\n")), [3, 2, 0, 0, 1, 0]);
    assert_eq!(counts(&lab.load_text("a,b\n1,x\n2,z\n")), [2, 1, 0, 1, 0, 0]);
}

#[test]
fn an_unchanged_row_is_left_alone_and_every_difference_is_written() {
    let lab = Lab::new(
        "unchanged",
        "CREATE TABLE t (id int8 PRIMARY KEY, f float8, g float4, j json, b jsonb, n numeric, i interval, c char(5), \
         x xml, p point)",
    );
    let row = |f: &str, g: &str, j: &str, b: &str, n: &str, i: &str| {
        format!("id,f,g,j,b,n,i,c,x,p\n1,{f},{g},\"{j}\",\"{b}\",{n},{i},ab,<a/>,\"(1,2)\"\n")
    };
    let first = row("0", "NaN", "{}", "[1.0]", "1.0", "1 day");
    assert_eq!(counts(&lab.load_text(&first)), [1, 1, 0, 0, 0, 0]);
    assert_eq!(counts(&lab.load_text(format!("{first}\n"))), [1, 0, 0, 1, 0, 0]);
    let steps = [
        row("-0", "NaN", "{}", "[1.0]", "1.0", "1 day"),
        row("-0", "-0", "{}", "[1.0]", "1.0", "1 day"),
        row("-0", "0", "{}", "[1.0]", "1.0", "1 day"),
        row("-0", "0", "{ }", "[1.0]", "1.0", "1 day"),
        row("-0", "0", "{ }", "[1.00]", "1.0", "1 day"),
        row("-0", "0", "{ }", "[1.00]", "1.00", "1 day"),
        row("-0", "0", "{ }", "[1.00]", "1.00", "24:00"),
    ];
    for step in &steps {
        assert_eq!(counts(&lab.load_text(step)), [1, 0, 1, 0, 0, 0], "{step}");
    }
    let sql = "SELECT id, f, g, j, b, n, i, c, x, p FROM t";
    assert_eq!(lab.rows(sql), ["1|-0|0|{ }|[1.00]|1.00|24:00:00|ab   |<a/>|(1,2)"]);
}

#[test]
fn a_second_load_of_the_same_object_is_skipped() {
    let lab = Lab::new("skipped", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let address = lab.put("a.csv", "id,name\n1,a\n");
    lab.load(&address).run().loaded();
    lab.db.run("UPDATE t SET name = 'changed by hand'");
    let report = lab.load(&address).run().exits(0).report();
    assert_eq!(report["status"], "skipped");
    assert_contains(report["reason"].as_str().expect("a reason"), "--force");
    assert_eq!(counts(&report), [0; 6]);
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|changed by hand"]);
    let report = lab.holoload(&["load", "--json", "--force", &address]).run().loaded();
    assert_eq!(counts(&report), [1, 0, 1, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|a"]);
    assert_eq!(lab.ledger(), ["loaded|public.t|1|NULL", "skipped|public.t|0|NULL", "loaded|public.t|1|NULL"]);
}
