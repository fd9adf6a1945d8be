//! Columns that the object itself fills.

use crate::harness::{Lab, Run};

const TABLE: &str = "CREATE TABLE t (file text, line int4, id int8, name text, bucket varchar(80), version text, \
     sequencer text, put_at timestamptz, loaded_at timestamptz, PRIMARY KEY (file, line))";
const ALL: &str = "{file: $key, line: $line, bucket: $bucket, version: $version, sequencer: $sequencer, put_at: $event_time, loaded_at: $loaded_at}";

fn load(lab: &Lab, source: &str, columns: &str) -> Run {
    let config = format!(
        "rejects: {}\nroutes: [{{object: '**', table: t, columns: {columns}}}]",
        lab.folder().join("rejects").display()
    );
    let config = lab.file("c.yml", config);
    lab.load(source).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).argument("--force")
}

/// Also as the key: a log without one gets it from where a row stands.
#[test]
fn an_object_fills_columns_with_what_it_knows_of_itself() {
    let lab = Lab::new("metadata", TABLE);
    for text in ["id,name\n7,a\n8,\"two\nlines\"\n9,c\n", "7,a\n8,\"two\nlines\"\n9,c\n"] {
        let address = lab.put("in/日本 +.csv", text);
        load(&lab, &address, ALL).run().loaded();
        let first = if text.starts_with("id") { 2 } else { 1 };
        let rows = lab.rows(&format!("SELECT file, line, id FROM t WHERE line >= {first} ORDER BY line"));
        let wanted = [(first, 7), (first + 1, 8), (first + 3, 9)]
            .map(|(line, id)| format!("in/日本 +.csv|{line}|{id}"));
        assert_eq!(rows, wanted);
        let known = "SELECT DISTINCT bucket, length(version) > 8, sequencer, put_at, loaded_at > now() - interval '1 hour' FROM t";
        assert_eq!(lab.rows(known), [format!("{}|t|NULL|NULL|t", lab.bucket)]);
        lab.db.run("TRUNCATE t");
    }
}

#[test]
fn a_bad_row_is_as_bad_as_without_them() {
    let lab = Lab::new("metadata_bad", TABLE);
    let path = lab.file("i.csv", "id,name\n1,a\nx,b\n3\n");
    let report = load(&lab, &path, "{file: $key, line: $line}").run().loaded();
    assert_eq!(report["reject_sample"][0]["column"], "id");
    assert_eq!(report["reject_sample"][1]["reason"], "1 field where 2 are expected");
    assert_eq!(lab.rows("SELECT line, id FROM t"), ["2|1"]);
}

#[test]
fn what_cannot_be_filled_is_refused() {
    let lab = Lab::new("metadata_refused", TABLE);
    let path = lab.file("i.csv", "id,name\n1,a\n");
    load(&lab, &path, "{file: $kee}").run().refused(
        2,
        "`columns: {file: $kee}` is not known",
        "did you mean `$key`?",
    );
    load(&lab, &path, "{flie: $key}").run().failed(
        2,
        "table `public.t` has no such column",
        "did you mean `file`?",
    );
    load(&lab, &path, "{id: $key}").run().failed(2, "it is of type `bigint`", "text or varchar");
    load(&lab, &path, "{name: $key, file: $key, line: $line}").run().failed(
        2,
        "column `name` is filled with `$key`",
        "drop the column",
    );
}
