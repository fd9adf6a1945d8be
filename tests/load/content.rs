//! Content that cannot be loaded: what is said of it, where it is, and that nothing of it stays.

use crate::harness::{Lab, counts, is_older_than_12};
use crate::support::s3::Stored;

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, small int2, day date, name text NOT NULL)";

/// The whole file fails for its one bad row, the fourth line, and the good rows around it are not loaded.
#[track_caller]
fn assert_bad_row(name: &str, row: &[u8], message: &str) {
    let lab = Lab::new(name, TABLE);
    let mut bytes = b"id,small,day,name\n1,1,2024-01-01,a\n2,2,2024-01-02,b\n".to_vec();
    bytes.extend_from_slice(row);
    bytes.extend_from_slice(b"9,9,2024-01-09,z\n");
    let path = lab.file("input.csv", &bytes);
    let message = format!("a bad row, and none is put up with: line 4, byte 52{message}");
    let report = lab.load(&path).run().failed(1, &message, "set HOLOLOAD_REJECTS (`rejects:`)");
    assert_eq!(report["reject_count"], 1);
    lab.assert_untouched("t");
    assert_eq!(lab.ledger().first().map(|line| line.starts_with("failed|public.t|")), Some(true));
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().exits(0).report();
    assert_eq!(counts(&report)[5], 1, "{report:#}");
}

#[test]
fn an_overflow_is_a_bad_row() {
    assert_bad_row("overflow", b"3,40000,2024-01-03,c\n", ", column `small`: out of range for int2");
}

#[test]
fn a_bad_date_is_a_bad_row() {
    assert_bad_row("bad_date", b"3,3,2024-02-30,c\n", ", column `day`: day does not exist");
}

#[test]
fn a_nul_byte_is_a_bad_row() {
    assert_bad_row("nul", b"3,3,2024-01-03,c\0c\n", ", column `name`: NUL byte");
}

#[test]
fn bad_utf_8_is_a_bad_row() {
    assert_bad_row("utf8", b"3,3,2024-01-03,\x83\x65\n", ", column `name`: not UTF-8");
}

#[test]
fn null_in_a_not_null_column_is_a_bad_row() {
    assert_bad_row("not_null", b"3,3,2024-01-03,\n", ", column `name`: NULL in a NOT NULL column");
}

#[test]
fn a_null_key_is_a_bad_row() {
    assert_bad_row("null_key", b",3,2024-01-03,c\n", ", column `id`: NULL in a NOT NULL column");
}

#[test]
fn ragged_rows_are_bad_rows() {
    assert_bad_row("too_few", b"3,3,2024-01-03\n", ": 3 fields where 4 are expected");
    assert_bad_row("too_many", b"3,3,2024-01-03,c,\n", ": 5 fields where 4 are expected");
}

#[test]
fn text_after_a_closing_quote_is_a_bad_row() {
    assert_bad_row("after_quote", b"3,3,2024-01-03,\"c\"c\n", ", column `name`: text after a closing quote");
}

#[test]
fn a_bad_row_behind_many_good_ones_takes_them_all_back() {
    let lab = Lab::new("late", TABLE);
    let mut text = (0..35_000).fold("id,name\n".to_owned(), |text, at| text + &format!("{at},a\n"));
    text.push_str("x,b\n");
    let path = lab.file("input.csv", &text);
    lab.load(&path).run().failed(
        1,
        "line 35002, byte 268898, column `id`: not an integer",
        "HOLOLOAD_REJECTS",
    );
    lab.assert_untouched("t");
    // The server's refusal as well, and of an update.
    lab.db.run("INSERT INTO t (id, name) SELECT n, 'held' FROM generate_series(0, 34998) AS n; ALTER TABLE t ADD CHECK (id < 34999)");
    let path = lab.file("server.csv", text.replace("x,b\n", ""));
    lab.load(&path).run().failed(
        1,
        "line 35001, byte 268890: refused by the server (23514)",
        "HOLOLOAD_REJECTS",
    );
    assert_eq!(lab.rows("SELECT name, count(*) FROM t GROUP BY 1"), ["held|34999"]);
    lab.assert_gone();
}

#[test]
fn a_quote_that_is_never_closed_loses_its_line() {
    let lab = Lab::new("unterminated", TABLE);
    let mut text = "id,small,day,name\n1,1,2024-01-01,a\n2,2,2024-01-02,\"b\n".to_owned();
    for at in 3..1000 {
        text.push_str(&format!("{at},1,2024-01-01,c\n"));
    }
    let path = lab.file("input.csv", &text);
    let report = lab.load(&path).run().failed(
        1,
        "line 3, byte 35, column `name`: a quoted field is never closed",
        "reject",
    );
    assert_eq!(report["row_count"], 2);
    lab.assert_untouched("t");
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!((&report["row_count"], &report["reject_count"]), (&999.into(), &1.into()));
    assert_eq!(lab.rows("SELECT count(*), max(id) FROM t"), ["998|999"]);
}

#[test]
fn a_quote_that_is_never_closed_in_a_large_file_is_given_up_early() {
    let lab = Lab::new("unterminated_large", TABLE);
    let size = 1 << 30;
    let head = b"id,small,day,name\n1,1,2024-01-01,\"".to_vec();
    let generator = move |from: u64| {
        let from = usize::try_from(from).expect("a 64-bit machine");
        match head.get(from..).filter(|rest| !rest.is_empty()) {
            Some(rest) => bytes::Bytes::copy_from_slice(rest),
            None => bytes::Bytes::from(vec![b'x'; 64 * 1024]),
        }
    };
    let stored: Stored =
        crate::harness::s3().put_generated(&lab.bucket, "huge.csv", size, Box::new(generator));
    let report = lab.load(&stored.address()).run().failed(
        1,
        "record at line 2, byte 18 is longer than 16777216 bytes",
        "the quote opened in line 2 is probably never closed",
    );
    assert_eq!(report["row_count"], 0);
    let sent: u64 =
        crate::harness::s3().gets(&lab.bucket, "huge.csv").iter().map(|request| request.bytes_sent).sum();
    assert!(sent < 64 << 20, "{sent} bytes were read of an object that was lost after 16 MiB");
    lab.assert_untouched("t");
}

#[test]
fn an_empty_object_loads_nothing_and_says_so() {
    let lab = Lab::new("zero_bytes", TABLE);
    for (key, bytes) in [("zero.csv", ""), ("bom.csv", "\u{feff}"), ("lines.csv", "\n\r\n\n")] {
        let report = lab.load(&lab.put(key, bytes)).run().loaded();
        assert_eq!(counts(&report), [0; 6], "{key}");
        assert_eq!(
            report["warnings"],
            serde_json::json!(["the object is empty: there was nothing to load"]),
            "{key}"
        );
    }
    lab.assert_untouched("t");
    let outcome = lab.holoload(&["load", &lab.put("text.csv", "")]).run().exits(0);
    assert!(outcome.stdout.contains("warning: the object is empty"), "{outcome:?}");
}

#[test]
fn a_header_without_rows_loads_nothing_and_says_so() {
    let lab = Lab::new("header_only", TABLE);
    for (key, bytes) in [("a.csv", "id,small,day,name\n"), ("b.csv", "id,name")] {
        let report = lab.load(&lab.put(key, bytes)).run().loaded();
        assert_eq!(counts(&report), [0; 6]);
        assert_eq!(report["warnings"], serde_json::json!(["the object holds a header and no rows"]));
    }
    lab.assert_untouched("t");
}

#[test]
fn nothing_but_bad_rows_fails_whatever_is_put_up_with() {
    let lab = Lab::new("all_bad", TABLE);
    let path = lab.file("input.csv", "id,name\nx,a\ny,b\nz,c\n");
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().failed(
        1,
        "every row is bad (3 of 3): line 2, byte 8, column `id`: not an integer",
        "nothing was loaded",
    );
    assert!(report["rejects"].is_string(), "the rows are kept all the same");
    lab.assert_untouched("t");
}

#[test]
fn a_first_row_that_is_neither_header_nor_data_says_what_is_expected() {
    let lab = Lab::new("neither", TABLE);
    let expected = "table `public.t` has 4 columns (id, small, day, name), the first row 3 fields";
    let path = lab.file("fields.csv", "1,2,3\n");
    lab.load(&path).run().failed(1, "first row is neither header nor data", expected);
    let path = lab.file("types.csv", "1,2,today,a\n");
    lab.load(&path).run().failed(1, "first row is neither header nor data", "4 fields; add a header");
    let path = lab.file("minority.csv", "id,x,y,z\n1,2,3,4\n");
    lab.load(&path).run().failed(1, "first row is neither header nor data", "`parse: {header: true}`");
    let path = lab.file("quote.csv", "id,small,\"day,name\n1,1,2024-01-01,a\n");
    lab.load(&path).run().failed(
        1,
        "the first row (line 1, byte 0) is not well formed: a quoted field is never closed",
        "quotes",
    );
    let path = lab.file("image.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    lab.load(&path).run().failed(1, "first row is neither header nor data", "columns");
    lab.assert_untouched("t");
}

#[test]
fn a_header_that_does_not_fit_the_table_is_a_matter_of_configuration() {
    if is_older_than_12() {
        return;
    }
    let lab = Lab::new(
        "headers",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text NOT NULL, amount int8, \
         twice int8 GENERATED ALWAYS AS (amount * 2) STORED, seq int8 GENERATED ALWAYS AS IDENTITY)",
    );
    for (text, message, hint) in [
        (
            "id,name,amuont\n",
            "the header names `amuont`, table `public.t` has no such column",
            "did you mean `amount`?",
        ),
        ("id,name,qqqq\n", "the header names `qqqq`", "its columns are id, name, amount, twice, seq"),
        ("id,name,id\n", "the header names `id` twice, fields 1 and 3", "`drop: [3]`"),
        ("id,name,twice\n", "column `twice` is generated always", "drop the column from the file"),
        ("id,name,seq\n", "column `seq` is generated always", "drop the column from the file"),
        (
            "id,amount\n",
            "the file has no column `name`, which is NOT NULL and has no default",
            "add the column to the file",
        ),
        ("name,amount\n", "the file has no column `id`", "add the column to the file"),
    ] {
        let path = lab.file("input.csv", format!("{text}1,2,3\n"));
        lab.load(&path).run().failed(2, message, hint);
    }
    lab.assert_untouched("t");
}

#[test]
fn a_key_column_with_a_default_must_be_in_the_file_all_the_same() {
    let lab = Lab::new("key_default", "CREATE TABLE t (id int8 PRIMARY KEY DEFAULT 1, name text)");
    let path = lab.file("input.csv", "name\na\n");
    lab.load(&path).run().failed(
        2,
        "the file has no column `id`, part of the primary key",
        "`upsert` needs every key column",
    );
    let outcome = lab.load(&path).env("HOLOLOAD_WRITE_MODE", "insert").run().loaded();
    assert_eq!(counts(&outcome), [1, 1, 0, 0, 0, 0]);
}
