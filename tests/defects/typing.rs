//! Values: what their columns make of them.

use crate::harness::{Lab, Run, counts};

fn with(lab: &Lab, text: &str, route: &str) -> Run {
    let rejects = lab.folder().join("rejects").display().to_string();
    let config =
        lab.file("c.yml", format!("rejects: {rejects}\nroutes: [{{object: '**', table: t, {route}}}]"));
    let path = lab.file("i.csv", text);
    lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

/// There: a long by the sample; the row with 12.5 is dropped, with exit 0.
#[test]
fn defect_01_a_value_that_no_longer_fits_is_kept_and_told() {
    let lab = Lab::new("defect_01", "CREATE TABLE t (id int8 PRIMARY KEY, amount int8)");
    let mut text = String::from("id,amount\n");
    for id in 1..=5_001 {
        text.push_str(&format!("{id},{}\n", if id == 5_001 { "12.5".to_owned() } else { id.to_string() }));
    }
    let report = with(&lab, &text, "columns: {}").run().loaded();
    assert_eq!(counts(&report), [5_001, 5_000, 0, 0, 0, 1]);
    assert_eq!(report["reject_sample"][0]["reason"], "not an integer");
    assert_eq!(report["reject_sample"][0]["line"], 5_002);
    // Without a place for bad rows it is an error, and nothing is loaded.
    lab.db.run("TRUNCATE t");
    let path = lab.file("j.csv", &text);
    lab.load(&path).run().failed(1, "line 5002", "fix the row");
    assert_eq!(lab.db.count("t"), 0);
}

/// There: nothing is loaded, with exit 0.
#[test]
fn defect_02_an_object_whose_every_row_is_bad_fails() {
    let lab = Lab::new("defect_02", "CREATE TABLE t (id int8 PRIMARY KEY, amount int8)");
    with(&lab, "id,amount\nx,1\ny,2\n", "columns: {}").run().failed(1, "every row is bad (2 of 2)", "");
    assert_eq!(lab.db.count("t"), 0);
}

/// There: once NULL is a word, an empty number is none any more, and its row is dropped.
#[test]
fn defect_03_empty_numbers_are_null_beside_a_word_for_it() {
    let lab = Lab::new("defect_03", "CREATE TABLE t (id int8 PRIMARY KEY, amount int8, note text)");
    let report = with(&lab, "id,amount,note\n1,,a\n2,NULL,b\n3,7,\n", "parse: {null_string: ['', 'NULL']}")
        .run()
        .loaded();
    assert_eq!(counts(&report), [3, 3, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|NULL|a", "2|NULL|b", "3|7|NULL"]);
}

/// There: a boolean by the sample, and all other countries are false.
#[test]
fn defect_04_norway_stays_norway() {
    let lab = Lab::new("defect_04", "CREATE TABLE t (id int8 PRIMARY KEY, country text)");
    lab.load_text("id,country\n1,NO\n2,SE\n3,no\n");
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|NO", "2|SE", "3|no"]);
    // In a column of booleans a country is a reject, never false.
    lab.db.run("DROP TABLE t; CREATE TABLE t (id int8 PRIMARY KEY, country bool)");
    let report = with(&lab, "id,country\n1,NO\n2,SE\n", "columns: {}").run().loaded();
    assert_eq!((counts(&report)[5], &report["reject_sample"][0]["reason"]), (1, &"not a boolean".into()));
}

/// There: NULL, whatever the text was.
#[test]
fn defect_05_texts_become_what_their_columns_say_or_rejects() {
    let lab = Lab::new(
        "defect_05",
        "CREATE TABLE t (id int4 PRIMARY KEY, at timestamptz, flag bool, price numeric(8,2), day date)",
    );
    let text = "id,at,flag,price,day\n\
                1,2024-01-05 12:00:00Z,true,1.50,2024-01-05\n\
                3000000000,2024-01-05 12:00:00Z,true,1.50,2024-01-05\n\
                3,abc,true,1.50,2024-01-05\n4,2024-01-05 12:00:00Z,maybe,1.50,2024-01-05\n\
                5,2024-01-05 12:00:00Z,true,abc,2024-01-05\n6,2024-01-05 12:00:00Z,true,1.50,abc\n";
    let report = with(&lab, text, "columns: {}").run().loaded();
    assert_eq!(counts(&report), [6, 1, 0, 0, 0, 5]);
    assert_eq!(
        lab.rows("SELECT id, at AT TIME ZONE 'UTC', flag, price, day FROM t"),
        ["1|2024-01-05 12:00:00|t|1.50|2024-01-05"]
    );
}

/// There: the row is dropped, or everything behind the byte is NULL.
#[test]
fn defect_10_a_nul_byte_costs_its_row_alone_and_is_named() {
    let lab = Lab::new("defect_10", "CREATE TABLE t (id int8 PRIMARY KEY, a text, b text)");
    for route in ["columns: {}", "parse: {missing_fields: 'null', extra_fields: ignore}"] {
        lab.db.run("TRUNCATE t");
        let report = with(&lab, "id,a,b\n1,x\0y,z\n2,x,z\n", route).argument("--force").run().loaded();
        assert_eq!(report["reject_sample"][0]["reason"], "NUL byte");
        assert_eq!(report["reject_sample"][0]["column"], "a");
        assert_eq!(lab.rows("SELECT * FROM t"), ["2|x|z"]);
    }
}

/// There: an hour off in summer.
#[test]
fn defect_11_summer_time_is_the_zones() {
    let lab = Lab::new("defect_11", "CREATE TABLE t (id int8 PRIMARY KEY, at timestamptz)");
    let text = "id,at\n1,2024-07-01 08:00\n2,2024-01-01 08:00\n";
    with(&lab, text, "columns: {at: {format: '%Y-%m-%d %H:%M', timezone: America/New_York}}").run().loaded();
    let wanted = ["1|2024-07-01 12:00:00", "2|2024-01-01 13:00:00"];
    assert_eq!(lab.rows("SELECT id, at AT TIME ZONE 'UTC' FROM t ORDER BY 1"), wanted);
    lab.db.run("TRUNCATE t");
    let path = lab.file("j.csv", text);
    lab.load(&path).env("HOLOLOAD_TIMEZONE", "America/New_York").run().loaded();
    assert_eq!(lab.rows("SELECT id, at AT TIME ZONE 'UTC' FROM t ORDER BY 1"), wanted);
}

/// There: 12345678901234568.0, by way of a double.
#[test]
fn defect_12_decimals_keep_every_digit() {
    let lab = Lab::new("defect_12", "CREATE TABLE t (id int8 PRIMARY KEY, price numeric(30,10))");
    with(
        &lab,
        "id,price\n1,12345678901234567.89\n2,\"12,345,678,901,234,567.89\"\n",
        "columns: {price: {thousands: ','}}",
    )
    .run()
    .loaded();
    let stored = "12345678901234567.8900000000";
    assert_eq!(lab.rows("SELECT price FROM t ORDER BY id"), [stored, stored]);
}

/// There: text, or a number that is no time.
#[test]
fn defect_24_counts_of_time_separators_and_short_numbers_are_read() {
    let lab = Lab::new(
        "defect_24",
        "CREATE TABLE t (id int8 PRIMARY KEY, at timestamptz, amount int8, rate float8, share numeric)",
    );
    let text =
        "id,at,amount,rate,share\n1,1400000000123,\"1,234,567\",1e5,.5\n2,1400000000123,\"$1,234\",1e5,.5\n";
    let report = with(&lab, text, "columns: {at: {epoch: ms}, amount: {thousands: ','}}").run().loaded();
    assert_eq!(
        lab.rows("SELECT id, at AT TIME ZONE 'UTC', amount, rate, share FROM t"),
        ["1|2014-05-13 16:53:20.123|1234567|100000|0.5"]
    );
    // A sign of currency is no part of a number.
    assert_eq!(report["reject_sample"][0]["reason"], "not an integer");
}
