//! `op`: files of changes, in which a field says that a row is gone.

use crate::harness::{Lab, Run, counts};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text NOT NULL, n int4)";
const HELD: &str = "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)";

fn lab(name: &str) -> Lab {
    let lab = Lab::new(name, TABLE);
    lab.db.run(HELD);
    lab
}

fn load(lab: &Lab, write: &str, text: impl AsRef<[u8]>) -> Run {
    load_parsed(lab, write, "{}", text)
}

fn load_parsed(lab: &Lab, write: &str, parse: &str, text: impl AsRef<[u8]>) -> Run {
    let config = format!(
        "rejects: {}\nroutes: [{{object: '**', table: t, parse: {parse}, write: {{{write}}}}}]",
        lab.folder().join("rejects").display()
    );
    let config = lab.file("c.yml", config);
    let file = lab.file("i.csv", text);
    lab.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).argument("--force")
}

fn rows(lab: &Lab) -> Vec<String> {
    lab.rows("SELECT id, name, n FROM t ORDER BY id")
}

#[test]
fn rows_that_are_marked_as_deleted_go() {
    let lab = lab("op");
    let text = "Op,id,name,n\nI,4,four,4\nU,2,zwei,2\nD,1,,\nD,9,not there,x\n";
    let report = load(&lab, "op: Op", text).run().loaded();
    assert_eq!(counts(&report), [4, 1, 1, 1, 0, 0], "the one that was not there changed nothing");
    assert_eq!(report["deleted_count"], 1);
    assert_eq!(rows(&lab), ["2|zwei|2", "3|three|3", "4|four|4"]);
    let again = load(&lab, "op: Op", text).run().loaded();
    assert_eq!(counts(&again), [4, 0, 0, 4, 0, 0]);
    assert_eq!(again["deleted_count"], 0);
    assert_eq!(rows(&lab), ["2|zwei|2", "3|three|3", "4|four|4"]);
}

#[test]
fn a_report_names_no_deleted_rows_where_none_can_be() {
    let lab = lab("op_none");
    assert!(lab.load_text("id,name\n1,a\n")["deleted_count"].is_null());
}

#[test]
fn the_last_operation_of_a_key_wins() {
    let lab = lab("op_last");
    let text = "Op,id,name,n\nD,1,,\nI,1,again,1\nU,2,zwei,2\nD,2,,\nI,5,five,5\nD,5,,\nD,3,,\nD,3,,\n";
    let report = load(&lab, "op: Op", text).run().loaded();
    assert_eq!(rows(&lab), ["1|again|1"]);
    assert_eq!(counts(&report), [8, 0, 1, 1, 4, 0]);
    assert_eq!(report["deleted_count"], 2);
}

/// Batches are written in the file's order: 10,000 rows are one.
#[test]
fn also_over_batches() {
    let lab = lab("op_batches");
    let filler = |from: u32| (from..from + 10_000).map(|id| format!("I,{id},f,\n")).collect::<String>();
    let text = format!(
        "Op,id,name,n\nD,1,,\nI,7,seven,7\nU,2,zwei,2\n{}I,1,again,1\nD,7,,\nD,2,,\n{}U,3,drei,\nD,100,,\n",
        filler(100),
        filler(20_000)
    );
    let report = load(&lab, "op: Op", text).run().loaded();
    assert_eq!(lab.rows("SELECT id, name FROM t WHERE id < 102 ORDER BY id"), ["1|again", "3|drei", "101|f"]);
    assert_eq!(lab.db.count("t"), 20_000 - 1 + 2);
    assert_eq!(report["deleted_count"], 4);
}

#[test]
fn a_letter_that_is_none_is_a_bad_row() {
    let lab = lab("op_letters");
    let text = "Op,id,name,n\nX,1,a,1\n,2,b,2\ni,3,c,3\nD,,d,4\nD,x,e,5\nU,1,uno,1\n";
    let report = load(&lab, "op: Op", text).run().loaded();
    assert_eq!(counts(&report), [6, 0, 1, 0, 0, 5]);
    let sample = |at: usize| {
        let one = &report["reject_sample"][at];
        format!("{} {}: {}", one["line"], one["column"], one["reason"])
    };
    assert_eq!(sample(0), "2 \"Op\": \"unknown operation\"");
    assert_eq!(sample(1), "3 \"Op\": \"unknown operation\"");
    assert_eq!(sample(2), "4 \"Op\": \"unknown operation\"");
    assert_eq!(sample(3), "5 \"id\": \"NULL in a NOT NULL column\"");
    assert_eq!(sample(4), "6 \"id\": \"not an integer\"");
    assert_eq!(rows(&lab), ["1|uno|1", "2|two|2", "3|three|3"]);
}

/// The reject object has the marks: mended and put back it does what the row meant.
#[test]
fn a_mended_reject_object_deletes() {
    let lab = lab("op_mended");
    let report = load(&lab, "op: Op", "Op,id,name,n\nX,1,a,1\nI,2,two,2\n").run().loaded();
    let address = report["rejects"].as_str().expect("an address");
    let kept = std::fs::read_to_string(address).expect("a reject object");
    assert_eq!(kept, "Op,id,name,n\nX,1,a,1\n");
    load(&lab, "op: Op", kept.replace('X', "D")).run().loaded();
    assert_eq!(rows(&lab), ["2|two|2", "3|three|3"]);
}

#[test]
fn letters_and_place_may_be_others() {
    let lab = lab("op_others");
    let named = "op: {column: change, insert: c, update: u, delete: del}, mode: replace";
    load(&lab, named, "id,change,name\n1,del,\n2,u,zwei\n").run().loaded();
    assert_eq!(rows(&lab), ["2|zwei|NULL", "3|three|3"]);
    // DMS writes no header, and the operation first.
    load(&lab, "op: {field: 1}", "D,2,,\nI,5,five,5\n").run().loaded();
    assert_eq!(rows(&lab), ["3|three|3", "5|five|5"]);
    load(&lab, "op: {field: 4}", "3,,,D\n6,six,6,I\n").run().loaded();
    assert_eq!(rows(&lab), ["5|five|5", "6|six|6"]);
    load_parsed(&lab, "op: {field: 2}", "{header: true}", "id,whatever,n,name\n5,D,,\n7,I,7,x\n")
        .run()
        .loaded();
    assert_eq!(rows(&lab), ["6|six|6", "7|x|7"]);
    let first = load(&lab, "op: {field: 1}", "X,1,a,1\n").run();
    first.failed(1, "first row is neither header nor data", "");
    assert_eq!(rows(&lab), ["6|six|6", "7|x|7"]);
}

/// Whatever the key is made of.
#[test]
fn keys_of_every_type_are_found() {
    let kinds = [
        ("int2", "7"),
        ("int4", "7"),
        ("numeric(10,2)", "1.5"),
        ("text", "a"),
        ("varchar(8)", "ab"),
        ("char(4)", "ab"),
        ("date", "2024-02-29"),
        ("timestamptz", "2024-02-29 12:00:00+09:00"),
        ("time", "12:30:00"),
        ("uuid", "9e107d9d-372b-4682-a1d5-0123456789ab"),
        ("bytea", "\\x00ff"),
        ("inet", "10.0.0.1"),
        ("bool", "true"),
    ];
    let columns: Vec<String> =
        kinds.iter().enumerate().map(|(at, (kind, _))| format!("k{at} {kind}")).collect();
    let names: Vec<String> = (0..kinds.len()).map(|at| format!("k{at}")).collect();
    let table =
        format!("CREATE TABLE t ({}, v int4, PRIMARY KEY ({}))", columns.join(", "), names.join(", "));
    let lab = Lab::new("op_keys", &table);
    let values: Vec<&str> = kinds.iter().map(|(_, value)| *value).collect();
    let head = format!("v,{},Op\n", names.join(","));
    let insert =
        format!("{head}1,{0},I\n2,{1},I\n", values.join(","), values.join(",").replacen('7', "8", 1));
    load(&lab, "op: Op", &insert).run().loaded();
    assert_eq!(lab.rows("SELECT v FROM t ORDER BY v"), ["1", "2"]);
    let report = load(&lab, "op: Op", format!("{head}no number,{},D\n", values.join(","))).run().loaded();
    assert_eq!(report["deleted_count"], 1);
    assert_eq!(lab.rows("SELECT v FROM t"), ["2"]);
}

/// What the server refuses to delete is a bad row; the row before it that it had displaced is written after all.
#[test]
fn what_the_server_refuses_to_delete_is_found() {
    let lab = lab("op_refused");
    lab.db.run(
        "CREATE TABLE child (id int8 PRIMARY KEY, parent int8 REFERENCES t (id)); INSERT INTO child VALUES (1, 2)",
    );
    let text = "Op,id,name,n\nD,1,,\nU,2,zwei,2\nD,2,,\nD,3,,\nI,4,four,4\n";
    let report = load(&lab, "op: Op", text).run().loaded();
    assert_eq!(report["reject_sample"][0]["line"], 4);
    assert_eq!(report["reject_sample"][0]["reason"], "refused by the server (23503)");
    assert_eq!(rows(&lab), ["2|zwei|2", "4|four|4"]);
    assert_eq!(report["deleted_count"], 2);
}

const SOFT: &str =
    "CREATE TABLE t (id int8 PRIMARY KEY, name text, seen int8, gone bool, gone_at timestamptz)";

#[test]
fn deleted_rows_may_stay_with_a_mark() {
    let lab = Lab::new("op_soft", SOFT);
    let text = "Op,id,name,seen\nI,1,a,1\nI,2,b,1\n";
    let later = "Op,id,name,seen\nD,1,a,2\nU,2,c,2\nD,3,x,2\n";
    let marks = |column: &str| lab.rows(&format!("SELECT id, name, {column} FROM t ORDER BY id"));
    for (write, column, [there, gone]) in [
        ("op: Op, soft_delete: gone", "gone", ["f", "t"]),
        ("op: Op, soft_delete: gone_at", "gone_at > now() - interval '1 hour'", ["NULL", "t"]),
    ] {
        lab.db.run("TRUNCATE t");
        load(&lab, write, text).run().loaded();
        assert_eq!(marks(column), [format!("1|a|{there}"), format!("2|b|{there}")]);
        let report = load(&lab, write, later).run().loaded();
        assert!(report["deleted_count"].is_null(), "none was deleted");
        assert_eq!(marks(column), [format!("1|a|{gone}"), format!("2|c|{there}"), format!("3|x|{gone}")]);
        load(&lab, write, "Op,id,name,seen\nI,1,back,3\n").run().loaded();
        assert_eq!(marks(column)[0], format!("1|back|{there}"));
    }
}

/// A deletion is as new as its row: whatever the order in which files come, the newest decides.
#[test]
fn with_newer_by_the_newest_operation_wins_in_any_order() {
    let files = [
        "Op,id,name,seen\nI,1,a,1\nI,2,a,5\n",
        "Op,id,name,seen\nD,1,a,2\nD,2,a,4\n",
        "Op,id,name,seen\nU,1,z,1\n",
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let lab = Lab::new("op_newer", SOFT);
        for file in order {
            load(&lab, "op: Op, newer_by: seen, soft_delete: gone", files[file]).run().loaded();
        }
        assert_eq!(
            lab.rows("SELECT id, name, seen, gone FROM t ORDER BY id"),
            ["1|a|2|t", "2|a|5|f"],
            "{order:?}"
        );
    }
}

/// A loader needs no more than what `setup` prints.
#[test]
fn the_right_to_delete_is_printed_and_is_enough() {
    let lab = Lab::new("op_grants", "");
    lab.db.query(TABLE);
    lab.db.query(HELD);
    let config = |write: &str| {
        lab.file("setup.yml", format!("routes: [{{object: '**', table: t, write: {{{write}}}}}]"))
    };
    let setup = |write: &str| {
        let run = lab.holoload(&["setup"]).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config(write));
        run.run().exits(0).stdout
    };
    assert!(!setup("mode: upsert").contains("DELETE"));
    assert!(!setup("op: Op, soft_delete: gone").contains("DELETE"));
    let printed = setup("op: Op");
    assert!(printed.ends_with("GRANT DELETE ON \"public\".\"t\" TO \"app\";\n"), "{printed}");
    let without: String = printed.lines().filter(|line| !line.contains("GRANT DELETE")).collect();
    lab.db.query(&without);
    let text = "Op,id,name,n\nD,1,,\n";
    load(&lab, "op: Op", text).run().failed(3, "42501", "setup");
    lab.db.query(&printed);
    load(&lab, "op: Op", text).run().loaded();
    assert_eq!(rows(&lab), ["2|two|2", "3|three|3"]);
}

#[test]
fn what_cannot_be_is_refused() {
    let lab = Lab::new("op_config", SOFT);
    let text = "Op,id,name,seen\nI,1,a,1\n";
    let run = |write: &str| load(&lab, write, text).run();
    run("op: Op, mode: ignore").refused(2, "`op` does not go with mode `ignore`", "mode: upsert");
    run("op: Op, mode: insert").refused(2, "`op` does not go with mode `insert`", "mode: upsert");
    run("op: Op, newer_by: seen").refused(2, "`newer_by` does not go with `op`", "soft_delete: column");
    run("soft_delete: gone").refused(2, "`soft_delete` has no rows to mark", "op: Op");
    run("op: {column: Op, delete: I}").refused(2, "`delete` must be one of its own", "insert: I");
    run("op: {colum: Op}").refused(2, "unknown field `colum`", "did you mean `column`?");
    run("op: {insert: I}").refused(2, "`op` must name one field", "op: {field: 1}");
    run("op: 7").refused(2, "`op` must be a column's name", "");
    run("op: Op, soft_delete: gon").failed(2, "table `public.t` has no such column", "did you mean `gone`?");
    run("op: Op, soft_delete: name").failed(2, "it is of type `text`", "boolean column");
    run("op: Op, soft_delete: id").failed(2, "it is of type `bigint`", "outside of the primary key");
    run("op: Operation").failed(2, "the file has no column `Operation`", "a route of their own");
    let with = load(&lab, "op: Op, soft_delete: gone", "Op,id,gone\nI,1,t\n").run();
    with.failed(2, "column `gone` marks deleted rows, the file must not have it", "drop the column");
    load(&lab, "op: Op", "I,1,a,1,,\n").run().failed(1, "first row is neither header nor data", "");
}
