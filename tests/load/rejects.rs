//! Bad rows, kept: the reject object, its errors file, the limits, and the way back.

use serde_json::{Value, json};

use crate::harness::{Lab, Run, counts, s3};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, day date, name text)";
const ROWS: &[u8] =
    b"id,name,day\r\n1,a,2024-01-01\r\nx,\"b\r\nb\",2024-01-02\r\n3,c,2024-13-01\r\n4,\xff\xfe,2024-01-04\r\n5,e\r\n6,f,2024-01-06";
const REJECTS: &[u8] =
    b"id,name,day\r\nx,\"b\r\nb\",2024-01-02\r\n3,c,2024-13-01\r\n4,\xff\xfe,2024-01-04\r\n5,e\r\n";

fn errors() -> Vec<Value> {
    let line = |line: u64, byte: u64, column: Option<&str>, reason: &str| json!({"line": line, "byte": byte, "column": column, "reason": reason, "sqlstate": null, "server": null});
    vec![
        line(3, 29, Some("id"), "not an integer"),
        line(5, 50, Some("day"), "day does not exist"),
        line(6, 66, Some("name"), "not UTF-8"),
        line(7, 83, None, "2 fields where 3 are expected"),
    ]
}

fn lines(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The bytes of the reject object and the lines of its errors file, wherever they are.
fn kept(report: &Value) -> (Vec<u8>, Vec<Value>) {
    let address = report["rejects"].as_str().expect("an address");
    let beside = format!("{}.errors.jsonl", address.strip_suffix(".rejects.csv").expect("the suffix"));
    let read = |address: &str| match address.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
        Some((bucket, key)) => s3().get(bucket, key).expect("an object").to_vec(),
        None => std::fs::read(address).expect("a file"),
    };
    (read(address), lines(&read(&beside)))
}

#[test]
fn bad_rows_are_kept_in_s3_with_header_and_bytes() {
    let lab = Lab::new("rejects_s3", TABLE);
    let address = lab.put("in/注文.csv", ROWS);
    let load = || lab.load(&address).env("HOLOLOAD_REJECTS", lab.address("rejects"));
    let report = load().run().loaded();
    assert_eq!(counts(&report), [6, 2, 0, 0, 0, 4]);
    assert_eq!(kept(&report), (REJECTS.to_vec(), errors()));
    let etag = report["etag"].as_str().expect("an ETag");
    let stem = format!("rejects/{}/in/注文.csv.{etag}", lab.bucket);
    let names = [format!("{stem}.errors.jsonl"), format!("{stem}.rejects.csv")];
    assert_eq!(report["rejects"], lab.address(&names[1]));
    assert_eq!(s3().keys(&lab.bucket, "rejects/"), names);
    let sample: Vec<Value> = report["reject_sample"].as_array().expect("a sample").clone();
    assert_eq!(sample.len(), 4);
    assert_eq!(sample[0], json!({"line": 3, "byte": 29, "column": "id", "reason": "not an integer"}));
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|2024-01-01|a", "6|2024-01-06|f"]);
    assert_eq!(
        lab.rows("SELECT rejects, reject_count FROM holoload_ledger"),
        [format!("{}|4", lab.address(&names[1]))]
    );

    // A repetition overwrites what it said before.
    let again = lab.holoload(&["load", "--json", "--force", &address]);
    let again = again.env("HOLOLOAD_REJECTS", lab.address("rejects/")).run().loaded();
    assert_eq!(counts(&again), [6, 0, 0, 2, 0, 4]);
    assert_eq!(s3().keys(&lab.bucket, "rejects/"), names);

    // Put back under a name of its own, with the rows set right, the rest is loaded.
    let fixed = String::from_utf8_lossy(REJECTS).replace('x', "2").replace("2024-13-01", "2024-01-03");
    let fixed = fixed.replace("\u{fffd}\u{fffd}", "d").replace("5,e", "5,e,2024-01-05");
    let report = lab.load(&lab.put("in/fixed.csv", fixed)).run().loaded();
    assert_eq!(counts(&report), [4, 4, 0, 0, 0, 0]);
    assert_eq!(
        lab.rows("SELECT id, day, convert_to(name, 'UTF8') FROM t ORDER BY 1"),
        [
            "1|2024-01-01|\\x61",
            "2|2024-01-02|\\x620d0a62",
            "3|2024-01-03|\\x63",
            "4|2024-01-04|\\x64",
            "5|2024-01-05|\\x65",
            "6|2024-01-06|\\x66",
        ]
    );

    // The reject object itself is nobody's input.
    let own = lab
        .load(report_address(&again))
        .env("HOLOLOAD_REJECTS", lab.address("rejects/"))
        .run()
        .exits(0)
        .report();
    assert_eq!(own["status"], "ignored");
    lab.assert_gone();
}

fn report_address(report: &Value) -> &str {
    report["rejects"].as_str().expect("an address")
}

#[test]
fn bad_rows_are_kept_in_a_directory_that_need_not_exist() {
    let lab = Lab::new("rejects_folder", TABLE);
    let path = lab.file("input.csv", ROWS);
    let rejects = lab.folder().join("deep/rejects");
    let load =
        |arguments: &[&str]| lab.holoload(arguments).env("HOLOLOAD_REJECTS", rejects.display().to_string());
    let report = load(&["load", "--json", &path]).run().loaded();
    assert_eq!(kept(&report), (REJECTS.to_vec(), errors()));
    assert!(report_address(&report).starts_with(rejects.to_str().expect("UTF-8")), "{report:#}");
    let again = load(&["load", "--json", "--force", &path]).run().loaded();
    assert_eq!(again["rejects"], report["rejects"]);

    let fixed = lab.file("fixed.csv", "id,name,day\r\n3,c,2024-01-03\r\n");
    let text = load(&["load", &path, &fixed, "--force"]).run().exits(0).stdout;
    for part in ["rejected line 3, byte 29, column `id`: not an integer", "rejected rows: /", "1 inserted"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_file_without_header_has_rejects_without_header() {
    let lab = Lab::new("rejects_bare", TABLE);
    let path = lab.file("input.csv", "1,2024-01-01,a\nx,2024-01-01,b\n");
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!(kept(&report).0, b"x,2024-01-01,b\n");
}

/// What the server alone can refuse, each in the middle of 20,000 rows.
#[test]
fn rows_that_the_server_refuses_are_found_among_good_ones() {
    let lab = Lab::new(
        "refused",
        "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE shops (id int8 PRIMARY KEY); INSERT INTO shops VALUES (1); \
         CREATE TABLE t (id int8 PRIMARY KEY, amount int8 CONSTRAINT positive CHECK (amount > 0), \
         shop int8 CONSTRAINT of_shop REFERENCES shops, m mood, code text UNIQUE)",
    );
    let mut text = "id,amount,shop,m,code\n".to_owned();
    for at in 1..=20_000 {
        let row = match at {
            9_000 => format!("{at},0,1,ok,{at}\n"),
            9_001 => format!("{at},1,2,ok,{at}\n"),
            14_500 => format!("{at},1,1,bad,{at}\n"),
            19_999 => format!("{at},1,1,ok,77\n"),
            20_000 => format!("{at},-1,1,ok,{at}\n"),
            _ => format!("{at},1,1,ok,{at}\n"),
        };
        text.push_str(&row);
    }
    let run = lab.load(&lab.put("a.csv", &text)).env("HOLOLOAD_REJECTS", lab.address("rejects/"));
    let report = run.run().loaded();
    assert_eq!(counts(&report), [20_000, 19_995, 0, 0, 0, 5]);
    let (data, errors) = kept(&report);
    assert_eq!(
        String::from_utf8(data).expect("UTF-8"),
        "id,amount,shop,m,code\n9000,0,1,ok,9000\n9001,1,2,ok,9001\n14500,1,1,bad,14500\n19999,1,1,ok,77\n20000,-1,1,ok,20000\n"
    );
    let seen: Vec<String> = errors
        .iter()
        .map(|line| format!("{} {} {}", line["line"], line["sqlstate"], line["reason"]))
        .collect();
    assert_eq!(
        seen,
        [
            r#"9001 "23514" "refused by the server (23514)""#,
            r#"9002 "23503" "refused by the server (23503)""#,
            r#"14501 "22P02" "refused by the server (22P02)""#,
            r#"20000 "23505" "refused by the server (23505)""#,
            r#"20001 "23514" "refused by the server (23514)""#,
        ]
    );
    let offset = |line: &str| text.find(&format!("\n{line},")).expect("a line") as u64 + 1;
    assert_eq!(errors[2]["byte"], offset("14500"));
    assert!(errors[2]["server"].as_str().expect("the server's words").contains("\"bad\""), "{}", errors[2]);
    assert_eq!(lab.db.count("t"), 19_995);
    assert_eq!(lab.db.count("t WHERE id IN (9000, 9001, 14500, 19999, 20000)"), 0);
    lab.assert_gone();
}

#[test]
fn a_displaced_row_is_written_when_its_successor_is_refused() {
    let lab = Lab::new("displaced", "CREATE TABLE t (id int8 PRIMARY KEY, n int8 CHECK (n > 0), name text)");
    let rejects = lab.folder().join("rejects").display().to_string();
    let path = lab.file(
        "input.csv",
        "id,n,name\n1,1,first\n2,1,first\n2,0,second\n2,-1,third\n3,0,alone\n4,1,a\n4,2,b\n",
    );
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", &rejects).run().loaded();
    assert_eq!(counts(&report), [7, 3, 0, 0, 1, 3]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|1|first", "2|1|first", "4|2|b"]);
    assert_eq!(kept(&report).0, b"id,n,name\n2,0,second\n2,-1,third\n3,0,alone\n");
    let path = lab.file("ignored.csv", "id,n,name\n5,0,first\n5,5,second\n5,6,third\n");
    let report =
        lab.load(&path).env("HOLOLOAD_REJECTS", &rejects).env("HOLOLOAD_WRITE_MODE", "ignore").run().loaded();
    assert_eq!(counts(&report), [3, 1, 0, 0, 1, 1]);
    assert_eq!(lab.rows("SELECT * FROM t WHERE id = 5"), ["5|5|second"]);
}

#[test]
fn a_trigger_s_exception_is_its_row_s_fault() {
    let lab = Lab::new(
        "trigger",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text); \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.name = 'bad' THEN RAISE EXCEPTION 'refused: %', NEW.name; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let path = lab.file("input.csv", "id,name\n1,a\n2,bad\n3,c\n");
    lab.load(&path).run().failed(1, "line 3, byte 12: refused by the server (P0001)", "HOLOLOAD_REJECTS");
    lab.assert_untouched("t");
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!(counts(&report), [3, 2, 0, 0, 0, 1]);
    assert_eq!(kept(&report).1[0]["server"], "refused: bad");
}

#[test]
fn a_key_too_long_for_its_index_is_its_row_s_fault() {
    let lab = Lab::new("long_key", "CREATE TABLE t (id text PRIMARY KEY)");
    // Random enough that the server's compression does not make it fit.
    let long = (0..20_000_u64).fold(String::new(), |text, at| {
        format!("{text}{:x}", (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31))
    });
    let path = lab.file("input.csv", format!("id\na\n{long}\nb\n"));
    lab.load(&path).run().failed(1, "line 3, byte 5: refused by the server (54000)", "HOLOLOAD_REJECTS");
    lab.assert_untouched("t");
}

#[test]
fn a_constraint_that_is_checked_at_commit_fails_the_object() {
    let lab = Lab::new(
        "deferred",
        "CREATE TABLE shops (id int8 PRIMARY KEY); CREATE TABLE t (id int8 PRIMARY KEY, \
         shop int8 CONSTRAINT of_shop REFERENCES shops DEFERRABLE INITIALLY DEFERRED)",
    );
    let path = lab.file("input.csv", "id,shop\n1,1\n");
    lab.load(&path).run().failed(
        1,
        "commit: the server answered ERROR 23503…constraint `of_shop`",
        "deferred to the commit",
    );
    lab.assert_untouched("t");
}

#[test]
fn rejects_stand_in_the_order_of_the_file() {
    let lab = Lab::new("reject_order", "CREATE TABLE t (id int8 PRIMARY KEY, n int8 CHECK (n > 0))");
    let mut text = "id,n\n".to_owned();
    for at in 0..20_000 {
        text.push_str(&match at {
            10 | 11_000 => format!("{at},0\n"),
            20 | 12_000 => format!("{at},x\n"),
            _ => format!("{at},1\n"),
        });
    }
    let path = lab.file("input.csv", &text);
    let rejects = lab.folder().join("rejects").display().to_string();
    let report = lab.load(&path).env("HOLOLOAD_REJECTS", rejects).run().loaded();
    assert_eq!(counts(&report), [20_000, 19_996, 0, 0, 0, 4]);
    let (data, errors) = kept(&report);
    assert_eq!(String::from_utf8(data).expect("UTF-8"), "id,n\n10,0\n20,x\n11000,0\n12000,x\n");
    let lines: Vec<&Value> = errors.iter().map(|error| &error["line"]).collect();
    assert_eq!(lines, [12, 22, 11_002, 12_002]);
}

/// Rows of which the last `bad` are no integers.
fn mixed(good: usize, bad: usize) -> String {
    let mut text = "id,name\n".to_owned();
    for at in 0..good {
        text.push_str(&format!("{at},a\n"));
    }
    for _ in 0..bad {
        text.push_str("x,b\n");
    }
    text
}

#[test]
fn limits_hold_exactly_at_their_edge() {
    let lab = Lab::new("limits", TABLE);
    let rejects = lab.folder().join("rejects").display().to_string();
    let load = |good: usize, bad: usize, max: &str, percent: &str| -> Run {
        let path = lab.file("input.csv", mixed(good, bad));
        let run =
            lab.holoload(&["load", "--json", "--force", &path]).env("HOLOLOAD_REJECTS", rejects.as_str());
        let set =
            |run: Run, name: &str, value: &str| if value.is_empty() { run } else { run.env(name, value) };
        set(set(run, "HOLOLOAD_BAD_ROWS_MAX", max), "HOLOLOAD_BAD_ROWS_MAX_PERCENT", percent)
    };
    let reset = || lab.db.run("TRUNCATE t");

    assert_eq!(counts(&load(9, 3, "3", "").run().loaded()), [12, 9, 0, 0, 0, 3]);
    reset();
    let report = load(9, 4, "3", "").run().failed(
        1,
        "more than 3 bad rows: line 11, byte 44, column `id`: not an integer",
        "nothing was loaded",
    );
    assert_eq!(kept(&report).0, b"id,name\nx,b\nx,b\nx,b\nx,b\n");
    lab.assert_untouched("t");

    // The share is looked at from 100 rows on.
    load(50, 49, "1000", "10").run().loaded();
    reset();
    assert_eq!(counts(&load(90, 10, "1000", "10").run().loaded()), [100, 90, 0, 0, 0, 10]);
    reset();
    let report = load(89, 11, "1000", "10").run().failed(
        1,
        "11 of 100 rows are bad, more than 10 %: line 91",
        "nothing was loaded",
    );
    assert_eq!(report["reject_count"], 11);
    lab.assert_untouched("t");
    load(995, 5, "", "0.5").run().loaded();
    reset();
    load(994, 6, "", "0.5").run().failed(1, "6 of 1000 rows are bad, more than 0.5 %", "nothing was loaded");
    lab.assert_untouched("t");

    // With an address 100 are put up with unless said otherwise.
    assert_eq!(counts(&load(900, 100, "", "").run().loaded()), [1000, 900, 0, 0, 0, 100]);
    reset();
    load(2000, 101, "", "").run().failed(1, "more than 100 bad rows", "nothing was loaded");
    load(3, 1, "0", "").run().failed(1, "a bad row, and none is put up with: line 5", "");
    lab.assert_untouched("t");
}

#[test]
fn rows_refused_here_and_by_the_server_count_together() {
    let lab = Lab::new("limits_both", "CREATE TABLE t (id int8 PRIMARY KEY CHECK (id <> 5))");
    let rejects = lab.folder().join("rejects").display().to_string();
    let path = lab.file("input.csv", "id\n1\nx\n5\n7\n");
    let load = |max: &str| {
        let run = lab.load(&path).env("HOLOLOAD_REJECTS", rejects.as_str());
        run.env("HOLOLOAD_BAD_ROWS_MAX", max).run()
    };
    load("1").failed(1, "more than 1 bad rows", "nothing was loaded");
    lab.assert_untouched("t");
    assert_eq!(counts(&load("2").loaded()), [4, 2, 0, 0, 0, 2]);
}
