//! `newer_by`: rows of one key settle by a column, in whatever order their files come.

use crate::harness::{Lab, Run, counts};

const TABLE: &str =
    "CREATE TABLE t (id int8 PRIMARY KEY, name text, seen timestamptz, version int4 NOT NULL DEFAULT 0)";

fn load(lab: &Lab, column: &str, text: &str) -> Run {
    let config = format!(
        "rejects: {}\nroutes: [{{object: '**', table: t, write: {{newer_by: {column}}}}}]",
        lab.folder().join("r").display()
    );
    let config = lab.file("c.yml", config);
    let file = lab.file("i.csv", text);
    lab.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).argument("--force")
}

/// Every order of the same files ends in the same table.
#[test]
fn files_converge_in_any_order() {
    let files = [
        "id,name,seen\n1,a,2024-01-01 00:00:00Z\n2,a,2024-01-09 00:00:00Z\n3,a,2024-01-01 00:00:00Z\n",
        "id,name,seen\n1,b,2024-01-02 00:00:00Z\n2,b,2024-01-01 00:00:00Z\n1,old,2023-01-01 00:00:00Z\n",
        "id,name,seen\n1,c,2024-01-01 12:00:00Z\n3,c,2024-01-03 00:00:00Z\n3,older,2024-01-02 00:00:00Z\n",
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let lab = Lab::new("converge", TABLE);
        for file in order {
            load(&lab, "seen", files[file]).run().loaded();
        }
        assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|b", "2|a", "3|c"], "{order:?}");
    }
}

#[test]
fn a_row_without_a_value_there_is_older_than_any_and_ties_keep_the_first() {
    let lab = Lab::new(
        "ties",
        &format!(
            "{TABLE}; INSERT INTO t (id, name) VALUES (1, 'held'); INSERT INTO t VALUES (2, 'held', '2024-01-01 00:00:00Z')"
        ),
    );
    let text = "id,name,seen\n1,new,0001-01-01 00:00:00Z\n2,same,2024-01-01 00:00:00Z\n3,first,2024-01-01 00:00:00Z\n3,second,2024-01-01 00:00:00Z\n";
    let report = load(&lab, "seen", text).run().loaded();
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|new", "2|held", "3|first"]);
    assert_eq!(counts(&report), [4, 1, 1, 1, 1, 0]);
}

#[test]
fn null_in_the_file_is_a_reject() {
    let lab = Lab::new("null", TABLE);
    let report = load(&lab, "seen", "id,name,seen\n1,a,\n2,b,2024-01-01 00:00:00Z\n").run().loaded();
    assert_eq!(report["reject_sample"][0]["reason"], "NULL in the column that tells which row is newer");
    assert_eq!(lab.rows("SELECT id FROM t"), ["2"]);
}

#[test]
fn numbers_count_as_numbers() {
    let lab = Lab::new("numbers", TABLE);
    load(&lab, "version", "id,name,version\n1,a,-5\n1,b,10\n1,c,9\n").run().loaded();
    load(&lab, "version", "id,name,version\n1,d,2\n").run().loaded();
    assert_eq!(lab.rows("SELECT name, version FROM t"), ["b|10"]);
}

#[test]
fn what_cannot_decide_is_refused() {
    let lab = Lab::new("refused", TABLE);
    let text = "id,name,seen\n1,a,2024-01-01 00:00:00Z\n";
    load(&lab, "sean", text).run().failed(2, "table `public.t` has no such column", "did you mean `seen`?");
    load(&lab, "name", text).run().failed(2, "it is of type `text`", "timestamptz");
    load(&lab, "id", text).run().failed(2, "part of the primary key", "outside of the key");
    load(&lab, "version", text).run().failed(2, "the file has no column `version`", "add the column");
    load(&lab, "seen, mode: ignore", text).run().refused(
        2,
        "nothing to decide in mode `ignore`",
        "mode: upsert",
    );
}
