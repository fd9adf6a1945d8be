//! Headers, and which field goes where.

use crate::harness::{Lab, counts};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount int8)";

/// There: the column is left out without a word, and NULL is loaded.
#[test]
fn defect_06_a_misspelt_column_is_an_error_with_the_right_one() {
    let lab = Lab::new("defect_06", TABLE);
    let file = lab.file("a.csv", "id,name,amuont\n1,a,10\n");
    lab.load(&file).run().failed(
        2,
        "the header names `amuont`, table `public.t` has no such column",
        "did you mean `amount`?",
    );
    assert_eq!(lab.db.count("t"), 0);
}

/// There: the mark sticks to the first number, and the row is dropped.
#[test]
fn defect_09_a_byte_order_mark_belongs_to_no_field() {
    let lab = Lab::new("defect_09", TABLE);
    let long = "9007199254740993";
    assert_eq!(counts(&lab.load_text(format!("\u{feff}{long},a,1\n2,b,2\n"))), [2, 2, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY id"), ["2|b|2", "9007199254740993|a|1"]);
    lab.load_text("\u{feff}id,name\n3,c\n");
    lab.load_text("\u{feff}\"id\",\"name\"\r\n4,d\r\n");
    assert_eq!(lab.rows("SELECT id, name FROM t WHERE id IN (3, 4) ORDER BY id"), ["3|c", "4|d"]);
}

/// There: stored as CRLF.
#[test]
fn defect_13_line_ends_inside_quotes_stay_what_they_are() {
    let lab = Lab::new("defect_13", TABLE);
    lab.load_text("id,name\r\n1,\"a\nb\"\r\n2,\"a\r\nb\"\r\n3,\"a\rb\"\r\n");
    assert_eq!(
        lab.rows("SELECT encode(name::bytea, 'hex') FROM t ORDER BY id"),
        ["610a62", "610d0a62", "610d62"]
    );
}

/// There: the header is loaded as a row; also where it is all there is.
#[test]
fn defect_17_a_header_over_texts_alone_is_a_header() {
    let lab = Lab::new("defect_17", "CREATE TABLE t (code text PRIMARY KEY, city text, note text)");
    lab.load_text("code,city,note\na,東京,x\nb,大阪,y\n");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["a|東京|x", "b|大阪|y"]);
    let report = lab.load_text("code,city,note\n");
    assert_eq!(report["row_count"], 0);
    assert_eq!(report["warnings"][0], "the object holds a header and no rows");
    assert_eq!(lab.db.count("t"), 2);
}

/// There: a crash.
#[test]
fn defect_20_a_column_may_be_named_null() {
    let lab = Lab::new("defect_20", "CREATE TABLE t (id int8 PRIMARY KEY, \"null\" text, \"NULL\" text)");
    lab.load_text("id,null,NULL\n1,a,b\n");
    lab.load_text("NULL,id,\"null\"\nd,2,c\n");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a|b", "2|c|d"]);
    // What stands for NULL in rows does not in the header.
    let config = "routes: [{object: '**', table: t, parse: {null_string: 'null'}}]";
    let file = lab.file("a.csv", "id,null\n3,null\n");
    let config = lab.file("c.yml", config);
    lab.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run().loaded();
    assert_eq!(lab.rows("SELECT * FROM t WHERE id = 3"), ["3|NULL|NULL"]);
}

/// There: two columns of one name.
#[test]
fn defect_21_a_name_that_stands_twice_in_a_header_is_an_error() {
    let lab = Lab::new("defect_21", TABLE);
    let file = lab.file("a.csv", "id,name,name\n1,a,b\n");
    lab.load(&file).run().failed(2, "the header names `name` twice, fields 2 and 3", "`drop: [3]`");
    assert_eq!(lab.db.count("t"), 0);
}

/// There: the line is dropped, and the exit code is 0.
#[test]
fn defect_22_a_quote_that_is_never_closed_is_a_bad_row_and_not_passed_over() {
    let lab = Lab::new("defect_22", TABLE);
    let file = lab.file("a.csv", "id,name\n1,a\n2,\"b\n3,c\n");
    lab.load(&file).run().failed(1, "line 3…a quoted field is never closed", "HOLOLOAD_REJECTS");
    assert_eq!(lab.db.count("t"), 0);
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&file).env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!(report["reject_count"], 1, "{report:#}");
    let kept = std::fs::read_to_string(report["rejects"].as_str().expect("an address")).expect("rejects");
    assert_eq!(kept, "id,name\n2,\"b\n");
    assert_eq!(lab.rows("SELECT id FROM t ORDER BY 1"), ["1", "3"]);
}
