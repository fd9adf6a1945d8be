//! The options of delimited text, through the door.

use crate::harness::{Lab, counts};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, note text)";

fn config(lab: &Lab, parse: &str) -> String {
    let yaml = format!(
        "routes: [{{object: '**', table: t, parse: {parse}, bad_rows: {{max: 9, max_percent: 100}}}}]\n"
    );
    lab.file("holoload.yaml", yaml)
}

#[test]
fn rare_marks_are_read_as_they_are_said_to_be() {
    let lab = Lab::new("dialect", TABLE);
    let parse = "{delimiter: '||', quote: \"'\", comment: '--', record_end: crlf, skip_lines: 1, trim: unquoted, null_string: ['', 'N/A']}";
    let text = "exported\r\n-- by hand, it's said\r\nid||name||note\r\n 1 || 'a||b' ||N/A\r\n--2||x||y\r\n3||a\nb||'N/A'\r\n";
    let rejects = lab.folder().join("rejects").display().to_string();
    let path = lab.file("input.csv", text);
    let run = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_REJECTS", rejects);
    let report = run.env("HOLOLOAD_CONFIG", config(&lab, parse)).run().loaded();
    assert_eq!(counts(&report)[..2], [2, 2]);
    assert_eq!(
        lab.rows("SELECT id, name, coalesce(note, 'NULL') FROM t ORDER BY 1"),
        ["1|a||b|NULL", "3|a\nb|N/A"]
    );
}

#[test]
fn ragged_records_are_rejects_unless_they_are_allowed() {
    let lab = Lab::new("ragged", TABLE);
    let rejects = lab.folder().join("rejects").display().to_string();
    let load = |parse: &str| {
        lab.db.run("TRUNCATE t");
        // A file of the same name would be loaded already.
        let path = lab.file(&format!("{}.csv", parse.len()), "id,name,note\n1,a\n2,b,c,d\n3,e,f\n");
        let run = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_REJECTS", &rejects);
        let report = run.env("HOLOLOAD_CONFIG", config(&lab, parse)).run().loaded();
        (
            report["reject_count"].clone(),
            lab.rows("SELECT id, name, coalesce(note, 'NULL') FROM t ORDER BY 1"),
        )
    };
    let rows = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    assert_eq!(load("{header: true}"), (2.into(), rows(&["3|e|f"])));
    let all = [rows(&["1|a|NULL", "3|e|f"]), rows(&["2|b|c", "3|e|f"])];
    assert_eq!(load("{header: true, missing_fields: null}"), (1.into(), all[0].clone()));
    assert_eq!(load("{header: true, extra_fields: ignore}"), (1.into(), all[1].clone()));
    assert_eq!(load("{header: true, extra_fields: ignore, missing_fields: 'null'}").0, 0);
}

#[test]
fn files_of_other_programs_are_read_by_their_own_rules() {
    let lab = Lab::new("foreign", TABLE);
    let rejects = lab.folder().join("rejects").display().to_string();
    let load = |parse: &str, text: &str| {
        lab.db.run("TRUNCATE t");
        // A file of the same name would be loaded already.
        let path = lab.file(&format!("{}.csv", text.len()), text);
        let run = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_REJECTS", &rejects);
        let report = run.env("HOLOLOAD_CONFIG", config(&lab, parse)).run().loaded();
        assert_eq!(report["reject_count"], 0);
        lab.rows("SELECT id, name, coalesce(note, 'NULL') FROM t ORDER BY 1")
    };
    let escaped = "{header: false, quote: '', escape: '\\', escape_unquoted: true, null_string: '\\N'}";
    assert_eq!(
        load(escaped, "1,a\\,b,\\N\n2,x\\\ny,\\\\N\n3,C:\\new,\n"),
        ["1|a,b|NULL", "2|x\ny|\\N", "3|C:\\new|"]
    );
    let ended = "{header: true, delimiter: '|', trailing_delimiter: true}";
    assert_eq!(load(ended, "id|name|note|\n1|a||\n2|b|c|\n"), ["1|a|NULL", "2|b|c"]);
    let empty = "{header: true, extra_fields: empty}";
    assert_eq!(load(empty, "id,name,note\n1,a,\n2,b,c,\n"), ["1|a|NULL", "2|b|c"]);
}

#[test]
fn a_stray_quote_and_a_long_field_are_told_apart() {
    let lab = Lab::new("stray", TABLE);
    let path = lab.file("input.csv", "id,name,note\n1,\"a \"b\"\",c\n2,\"0123456789\",d\n3,x,y\n");
    let rejects = lab.folder().join("rejects").display().to_string();
    let run = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_REJECTS", rejects);
    let parse = "{stray_quotes: accept, field_bytes_max: 8}";
    let report = run.env("HOLOLOAD_CONFIG", config(&lab, parse)).run().loaded();
    assert_eq!(report["reject_count"], 1);
    assert_eq!(report["reject_sample"][0]["reason"], "a quoted field is longer than `field_bytes_max`");
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY 1"), ["1|a \"b\"", "3|x"]);
}
