//! Values on their way: the same value over every path, milliseconds, and what the checks here refuse.

use crate::lab::{Hologres, PROFILES, path};
use crate::support::standin::Profile;

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, i2 int2, i4 int4, f4 float4, f8 float8, n numeric(20,6), b bool, \
     tx text, vc varchar(5), ch char(4), d date, ts timestamp, tz timestamptz, tm time, j json, jb jsonb, by bytea)";

const HEADER: &str = "id,i2,i4,f4,f8,n,b,tx,vc,ch,d,ts,tz,tm,j,jb,by\n";

fn values() -> String {
    let rows = [
        "1,-32768,2147483647,0.1,1e300,12345678901234.567891,t,\"a \"\"q\"\", \\N\",日本語,ab,2024-02-29,2024-02-29 23:59:59.999999,2024-02-29T23:59:59.999+09:00,23:59:59.999999,\"{\"\"a\"\": 1}\",\"{\"\"b\"\": [1, 2.50]}\",\\x00ff\n",
        "2,,,,,,,,,,,,,,,,\n",
        "3,0,0,-0,NaN,0,f,\"\",\"\",\"\",0001-01-01,infinity,-infinity,00:00,null,\"[]\",\\x\n",
        "4,1,-1,Infinity,-Infinity,-0.000001,yes,\"line\nbreak\",a,a,9999-12-31,1970-01-01,1970-01-01Z,12:00,\"\"\"x\"\"\",1,\\xde\n",
    ];
    format!("{HEADER}{}", rows.join("").replace("1970-01-01Z", "1970-01-01 00:00:00Z"))
}

/// The same texts are the same values, whatever the path.
#[test]
fn a_value_is_the_same_over_every_path() {
    for profile in PROFILES {
        let mut seen: Option<Vec<String>> = None;
        let paths = ["fixed_copy", "values", "single_row", "bulk_copy"];
        for name in paths.into_iter().filter(|name| *name != "bulk_copy" || profile != Profile::V2_2) {
            let hologres = Hologres::of(profile, true, "values", TABLE);
            let report = hologres.load_with(&format!("write: {{path: {name}}}"), values()).run().loaded();
            assert_eq!(path(&report).0, name);
            let rows = hologres.rows("SELECT * FROM t ORDER BY id");
            assert_eq!(rows.len(), 4);
            assert_eq!(seen.get_or_insert_with(|| rows.clone()), &rows, "{name} at {profile:?}");
        }
    }
}

/// Hologres keeps moments in milliseconds: what is cut is cut here, the same way over every path, and told.
#[test]
fn moments_are_cut_to_milliseconds_and_the_report_says_so() {
    let table = "CREATE TABLE t (id int8 PRIMARY KEY, tz timestamptz, ts timestamp)";
    let text = "id,tz,ts\n1,2024-01-01 00:00:00.123999Z,2024-01-01 00:00:00.123999\n\
                2,1969-12-31 23:59:59.999999Z,\n3,2024-01-01 00:00:00.5Z,\n4,infinity,infinity\n";
    for name in ["fixed_copy", "unnest", "values", "bulk_copy"] {
        let hologres = Hologres::new("moments", table);
        let report = hologres.load_with(&format!("write: {{path: {name}}}"), text).run().loaded();
        let rows = hologres.rows("SELECT id, tz AT TIME ZONE 'UTC', ts FROM t ORDER BY id");
        let wanted = [
            "1|2024-01-01 00:00:00.123|2024-01-01 00:00:00.123999",
            "2|1969-12-31 23:59:59.999|NULL",
            "3|2024-01-01 00:00:00.5|NULL",
            "4|infinity|infinity",
        ];
        assert_eq!(rows, wanted, "{name}");
        let warnings = report["warnings"].as_array().expect("warnings");
        let told = warnings.iter().filter_map(|warning| warning.as_str());
        assert!(
            told.clone().any(|text| text.starts_with("2 values of `timestamptz` columns")),
            "{warnings:?}"
        );
    }
    // Where two moments become one they are one key.
    let hologres = Hologres::new("moment_keys", "CREATE TABLE t (tz timestamptz PRIMARY KEY, name text)");
    let text = "tz,name\n2024-01-01 00:00:00.1231Z,a\n2024-01-01 00:00:00.1239Z,b\n";
    let report = hologres.load_with("write: {mode: upsert}", text).run().loaded();
    assert_eq!(report["duplicate_count"], 1);
    assert_eq!(hologres.rows("SELECT name FROM t"), ["b"]);
}

/// COPY does not tell which row was bad: everything is checked before it is sent.
#[test]
fn every_value_is_checked_before_it_is_sent() {
    let bad = [
        ("i2", "32768", "out of range for int2"),
        ("i4", "1.0", "not an integer"),
        ("f4", "1e39", "out of range for float4"),
        ("n", "1.0000001", "more than 6 decimal places"),
        ("n", "123456789012345", "out of range for numeric(20,6)"),
        ("tx", "a\0b", "NUL byte"),
        ("vc", "日本語日本語", "longer than 5 characters"),
        ("ch", "abcde", "longer than 4 characters"),
        ("d", "2023-02-29", "day does not exist"),
        ("tz", "2024-01-01 25:00:00Z", "time of day does not exist"),
        ("j", "{\"\"a\"\": \"\"\\u0000\"\"}", "JSON with the escape \\u0000"),
        ("jb", "{", "not JSON"),
        ("id", "", "NULL in a NOT NULL column"),
    ];
    let hologres = Hologres::new("checked", TABLE);
    for (column, value, reason) in bad {
        let text = match column {
            "id" => "id,i4\n1,1\n,2\n".to_owned(),
            _ => format!("id,{column}\n1,\n2,\"{value}\"\n"),
        };
        let load = hologres.load_with("bad_rows: {max: 1}", text).argument("--force");
        let report = load.run().loaded();
        assert_eq!((&report["reject_count"], path(&report).0), (&1.into(), "fixed_copy"), "{column}");
        assert_eq!(report["reject_sample"][0]["reason"], reason, "{column}");
        assert_eq!(report["reject_sample"][0]["column"], column);
    }
}
