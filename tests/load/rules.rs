//! Rules of columns from the settings to the rows: what they read, what stays a reject, and what is refused at once.

use serde_json::Value;

use crate::harness::{Lab, Outcome, counts};

fn run(lab: &Lab, text: &str, route: &str) -> Outcome {
    let rejects = lab.folder().join("rejects").display().to_string();
    let config = lab.file("c.yml", format!("rejects: {rejects}\ntarget: {{timezone: Asia/Tokyo}}\nroutes: [{{object: '**', table: t, {route}}}]"));
    let path = lab.file("i.csv", text);
    lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).argument("--force").run()
}

/// `column: reason` of each reject.
fn reasons(report: &Value) -> Vec<String> {
    let sample = report["reject_sample"].as_array().expect("a sample");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    sample.iter().map(|reject| format!("{}: {}", text(&reject["column"]), text(&reject["reason"]))).collect()
}

#[test]
fn times_are_read_by_their_formats_and_zones() {
    let lab = Lab::new(
        "rules_times",
        "CREATE TABLE t (id int4 PRIMARY KEY, day date, at timestamptz, local timestamp, clock time, opened timestamp)",
    );
    let columns = "columns: {day: {format: ['%d/%m/%Y', '%Y%m%d']}, at: {format: '%d.%m.%Y %H:%M', timezone: America/New_York}, \
                   local: {format: '%Y-%m-%dT%H:%M%z', timezone: Asia/Tokyo}, clock: {format: '%I:%M %p'}, \
                   opened: {format: '%H:%M', default_date: '1970-01-01'}}";
    let text = "id,day,at,local,clock,opened\n\
                1,05/01/2024,01.07.2024 08:00,2024-01-05T00:00Z,1:05 PM,9:30\n\
                2,20240105,01.01.2024 08:00,2024-01-05T00:00+09,12:00 AM,10:00\n\
                3,2024-01-05,01.01.2024 08:00,2024-01-05T00:00Z,1:05 PM,9:30\n\
                4,31/02/2024,01.01.2024 08:00,2024-01-05T00:00Z,1:05 PM,9:30\n\
                5,05/01/2024,10.03.2024 02:30,2024-01-05T00:00Z,1:05 PM,9:30\n\
                6,05/01/2024,03.11.2024 01:30,2024-01-05T00:00Z,1:05 PM,9:30\n\
                7,05/01/2024,01.01.2024 08:00,2024-01-05T00:00Z,13:05 PM,9:30\n";
    let report = run(&lab, text, columns).loaded();
    assert_eq!(counts(&report), [7, 2, 0, 0, 0, 5]);
    assert_eq!(
        lab.rows("SELECT id, day, at AT TIME ZONE 'UTC', local, clock, opened FROM t ORDER BY 1"),
        [
            "1|2024-01-05|2024-07-01 12:00:00|2024-01-05 09:00:00|13:05:00|1970-01-01 09:30:00",
            "2|2024-01-05|2024-01-01 13:00:00|2024-01-05 00:00:00|00:00:00|1970-01-01 10:00:00",
        ]
    );
    assert_eq!(
        reasons(&report),
        [
            "day: not in the column's time format",
            "day: day does not exist",
            "at: local time is skipped when clocks go forward",
            "at: local time is ambiguous, as clocks go back",
            "clock: time of day does not exist",
        ]
    );
}

/// A date that stands in for one is nothing to a time of day: what is meant for any column of times fits this one, too.
#[test]
fn a_default_date_does_no_harm_to_a_time_of_day() {
    let lab = Lab::new("rules_clock", "CREATE TABLE t (id int4 PRIMARY KEY, clock time)");
    let columns = "columns: {clock: {format: '%H:%M', default_date: '2024-01-05'}}";
    run(&lab, "id,clock\n1,9:30\n", columns).loaded();
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|09:30:00"]);
    run(&lab, "id,clock\n1,9\n", &columns.replace("%H:%M", "%d %H:%M")).failed(
        2,
        "`%d %H:%M` has a date",
        "",
    );
}

#[test]
fn numbers_words_and_counts_are_read_by_their_rules() {
    let lab = Lab::new(
        "rules_values",
        "CREATE TABLE t (id int4 PRIMARY KEY, price numeric(10,2), amount int8, is_new bool, seen timestamptz, day date)",
    );
    let columns = "columns: {price: {thousands: '.', decimal: ',', full_width: true}, amount: {thousands: ',', full_width: true}, \
                   is_new: {'true': [あり], 'false': [なし]}, seen: {epoch: ms}, day: {epoch: s}}";
    let text = "id\tprice\tamount\tis_new\tseen\tday\n\
                1\t1.234,50\t1,234\tあり\t1400000000123\t86400\n\
                2\t１２，５\t－１２\tなし\t0\t0\n\
                3\t1.5\t1\tあり\t0\t0\n\
                5\t1,5\t1\tNO\t0\t0\n\
                6\t1,5\t1\tあり\t0.0001\t0\n\
                7\t1,5\t1\tあり\t0\t1\n\
                8\t€1,5\t1\tあり\t0\t0\n";
    let report = run(&lab, text, &format!("parse: {{format: tsv}}, {columns}")).loaded();
    assert_eq!(
        lab.rows("SELECT id, price, amount, is_new, seen AT TIME ZONE 'UTC', day FROM t ORDER BY 1"),
        [
            "1|1234.50|1234|t|2014-05-13 16:53:20.123|1970-01-02",
            "2|12.50|-12|f|1970-01-01 00:00:00|1970-01-01"
        ]
    );
    assert_eq!(
        reasons(&report),
        [
            "price: thousands separator out of place",
            "is_new: not a boolean",
            "seen: more than 6 digits of the second",
            "day: time of day in a column of dates",
            "price: not a number",
        ]
    );
}

#[test]
fn null_blanks_and_defaults_are_what_was_said() {
    let lab = Lab::new("rules_null", "CREATE TABLE t (id int4 PRIMARY KEY, a text, b text, c int4 NOT NULL)");
    let route = "parse: {null_string: ['', 'NULL'], trim: unquoted}, columns: {b: {null: ['-'], trim: all}, c: {default: '0'}}";
    let text =
        "id,a,b,c\n 1 , x ,\" y \",5\n2,NULL,-,\n3,\"NULL\",NULL,NULL\n4,\"\",,7\n5,-,\u{3000}-\u{3000},x\n";
    let report = run(&lab, text, route).loaded();
    assert_eq!(
        lab.rows("SELECT id, a, '[' || b || ']', c FROM t ORDER BY 1"),
        ["1|x|[y]|5", "2|NULL|NULL|0", "3|NULL|[NULL]|0", "4||[]|7"]
    );
    assert_eq!(lab.rows("SELECT a IS NULL FROM t WHERE id = 3"), ["f"], "a quoted one is text");
    assert_eq!(reasons(&report), ["c: not an integer"]);
    lab.db.run("TRUNCATE t");
    run(&lab, text, &route.replace("trim: unquoted", "trim: unquoted, null_quoted: true")).loaded();
    assert_eq!(lab.rows("SELECT id FROM t WHERE a IS NULL ORDER BY 1"), ["2", "3", "4"]);
}

#[test]
fn records_of_another_length_load_when_that_is_said() {
    let lab = Lab::new("rules_ragged", "CREATE TABLE t (id int4 PRIMARY KEY, a text, b text)");
    let text = "id,a,b\n1,x,y\n2,x,y,z\n3,x\n";
    let report = run(&lab, text, "columns: {}").loaded();
    assert_eq!(reasons(&report), ["-: 4 fields where 3 are expected", "-: 2 fields where 3 are expected"]);
    run(&lab, text, "parse: {extra_fields: ignore, missing_fields: 'null'}").loaded();
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|x|y", "2|x|y", "3|x|NULL"]);
}

/// The key in two forms is one key.
#[test]
fn equal_keys_are_equal_whatever_their_form() {
    let lab = Lab::new(
        "rules_keys",
        "CREATE TABLE t (day date, price numeric, name text, PRIMARY KEY (day, price))",
    );
    let route = "columns: {day: {format: ['%d/%m/%Y', '%Y%m%d']}, price: {thousands: ',', full_width: true}}";
    let text = "day,price,name\n05/01/2024,\"1,234.50\",a\n20240105,1234.5,b\n5/1/2024,１２３４．５０,c\n";
    assert_eq!(counts(&run(&lab, text, route).loaded()), [3, 1, 0, 0, 2, 0]);
    assert_eq!(lab.rows("SELECT * FROM t"), ["2024-01-05|1234.5|c"]);
}

#[test]
fn what_cannot_work_is_refused_with_column_and_type() {
    let lab = Lab::new(
        "rules_refused",
        "CREATE TABLE t (id int4 PRIMARY KEY, name text, at timestamp, clock time, price numeric, flag bool, doc jsonb)",
    );
    for (columns, message, hint) in [
        ("id: {format: '%Y-%m-%d'}", "`columns.id`: it has a time `format`…of type `integer`", "timestamptz"),
        ("name: {epoch: ms}", "`columns.name`: it has `epoch`…of type `text`", "date"),
        ("at: {format: '%H:%M'}", "`%H:%M` has no date", "default_date"),
        ("at: {format: '%FT%T%z'}", "`%FT%T%z` has a zone", "add `timezone`"),
        ("at: {timezone: Asia/Tokyo}", "`columns.at`: it has a `timezone`", "timestamptz"),
        ("clock: {format: '%F %T'}", "`%F %T` has a date", "time of day"),
        ("name: {thousands: ','}", "marks of numbers", "numbers"),
        ("price: {thousands: '.'}", "are the same", "decimal"),
        ("name: {'true': [x]}", "words for `true` and `false`", "bool"),
        ("doc: {full_width: true}", "it has `full_width`…of type `jsonb`", "text"),
        ("id: {default: x}", "`columns.id`: its `default` does not fit: not an integer", "of type `integer`"),
    ] {
        run(&lab, "id,name\n1,a\n", &format!("columns: {{{columns}}}")).failed(2, message, hint);
    }
    for (columns, message, hint) in [
        (
            "at: {format: '%Y-%q'}",
            "`columns.at`…the time format `%Y-%q` has an unknown directive `%q`",
            "known are",
        ),
        ("at: {format: '%I:%M'}", "no `%p`", "`%H`"),
        ("at: {format: '%s', epoch: s}", "both `epoch` and `format`", "%Q"),
        ("at: {timezone: Asia/Tokio}", "`Asia/Tokio` is not known", "IANA"),
        ("at: {default_date: '1970-01-01'}", "`default_date` has no `format`", "add `format`"),
        ("at: {format: '%H:%M', default_date: tomorrow}", "is no date", "YYYY-MM-DD"),
        ("price: {thousands: x}", "`thousands` must be one character", "U+00A0"),
        ("price: {decimal: ';'}", "`decimal` must be", "number"),
        ("flag: {'true': ['0']}", "`0` is a word for true and for false", "both lists"),
    ] {
        run(&lab, "id,name\n1,a\n", &format!("columns: {{{columns}}}")).refused(2, message, hint);
    }
}

/// A verdict holds as long as the rules do.
#[test]
fn a_changed_rule_is_another_plan() {
    let lab = Lab::new("rules_plan", "CREATE TABLE t (id int4 PRIMARY KEY, day date)");
    let text = "id,day\n1,01/02/2024\n";
    let path = lab.file("i.csv", text);
    let load = |format: &str| {
        let config = lab.file(
            "c.yml",
            format!("routes: [{{object: '**', table: t, columns: {{day: {{format: '{format}'}}}}}}]"),
        );
        lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run()
    };
    load("%Y-%m-%d").failed(1, "not in the column's time format", "");
    load("%d/%m/%Y").loaded();
    assert_eq!(lab.rows("SELECT day FROM t"), ["2024-02-01"]);
}
