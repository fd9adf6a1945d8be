//! JSON Lines, arrays and documents; and which format an object is taken for.

use std::io::Write as _;

use holoload::charset::Charset;
use serde_json::{Value, json};

use crate::harness::{Lab, Run, counts, s3};
use crate::support::s3::Put;

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount numeric(12,2), at timestamptz, ok bool, doc jsonb, tags text)";

/// A load under one route for everything, with these lines of it.
fn told(lab: &Lab, source: &str, route: &str) -> Run {
    let yaml = format!("routes: [{{object: '**', table: t, {route}}}]\n");
    lab.load(source).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", yaml)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

/// The reject object of a report, as text.
fn rejects(report: &Value) -> String {
    let address = report["rejects"].as_str().expect("an address");
    let (bucket, key) = address.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).expect("in S3");
    String::from_utf8(s3().get(bucket, key).expect("an object").to_vec()).expect("UTF-8")
}

/// The reasons in the errors file whose name begins so.
fn told_errors(lab: &Lab, stem: &str) -> Vec<String> {
    let key = format!("{}.errors.jsonl", stem.strip_prefix(&lab.address("")).expect("in the bucket"));
    let bytes = s3().get(&lab.bucket, &key).expect("an object").to_vec();
    let lines = String::from_utf8(bytes).expect("UTF-8");
    let reason = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["reason"].as_str().expect("text").to_owned()
    };
    lines.lines().map(reason).collect()
}

fn reasons(report: &Value) -> Vec<String> {
    let sample = report["reject_sample"].as_array().expect("a sample").iter();
    sample
        .map(|one| format!("{}:{} {}", one["line"], one["byte"], one["reason"].as_str().expect("text")))
        .collect()
}

const ROWS: &str = r#"{"id": 1, "name": "本 \"1\"", "amount": 10.50, "at": "2024-01-02T03:04:05Z", "ok": true, "doc": {"a": [1, null]}, "tags": ["x"]}
{"ok": false, "id": 2, "name": "\u672c\ud83d\ude00", "doc": "text", "tags": "null", "amount": null}

{"id": 3, "name": "", "doc": null, "tags": 1e2}
"#;
const LOADED: [&str; 3] = [
    r#"1|本 "1"|10.50|2024-01-02 03:04:05+00|t|{"a": [1, null]}|["x"]"#,
    r#"2|本😀|NULL|NULL|f|"text"|null"#,
    "3||NULL|NULL|NULL|NULL|1e2",
];

/// The same records as lines, as an array over several lines, inside a document, packed, and in another charset.
#[test]
fn records_load_however_they_lie() {
    let lab = Lab::new("json_shapes", TABLE);
    lab.db.run("SET timezone = 'UTC'");
    let records: Vec<&str> = ROWS.lines().filter(|line| !line.is_empty()).collect();
    let array = format!("[\n  {}\n]\n", records.join(",\n  "));
    let document = format!("{{\"next\": null, \"data\": {{\"items\": {array}}}, \"n\": 3}}");
    let one_line = format!("{{\"data\": {{\"items\": [{}]}}}}\n", records.join(", "));
    let utf_16 = Charset::named("utf-16le").expect("a charset");
    let utf_16 = [utf_16.mark(), &utf_16.restore(ROWS.as_bytes())].concat();
    for (key, bytes, route) in [
        ("a.jsonl", ROWS.as_bytes().to_vec(), ""),
        ("a.ndjson.gz", gzip(ROWS.as_bytes()), ""),
        ("bom.jsonl", [b"\xef\xbb\xbf", ROWS.as_bytes()].concat(), ""),
        ("crlf.jsonl", ROWS.replace('\n', "\r\n").into_bytes(), ""),
        ("utf16.jsonl", utf_16, ""),
        ("lines.json", ROWS.as_bytes().to_vec(), ""),
        ("lines", ROWS.as_bytes().to_vec(), ""),
        ("array.json", array.clone().into_bytes(), ""),
        ("array", gzip(array.as_bytes()), ""),
        ("objects.json", records.join("").into_bytes(), ""),
        ("document.json", document.into_bytes(), "parse: {root: /data/items}"),
        ("line.json", one_line.clone().into_bytes(), "parse: {root: /data/items}"),
        ("line", one_line.clone().into_bytes(), "parse: {root: /data/items}"),
        ("line.txt", one_line.into_bytes(), "parse: {format: json, root: /data/items}"),
        ("said.csv", ROWS.as_bytes().to_vec(), "parse: {format: jsonl}"),
        ("said.txt", array.into_bytes(), "parse: {format: json}"),
    ] {
        lab.db.run("TRUNCATE t");
        let report = told(&lab, &lab.put(key, bytes), route).run().loaded();
        assert_eq!(counts(&report), [3, 3, 0, 0, 0, 0], "{key}");
        let sql = "SELECT id, name, amount, at AT TIME ZONE 'UTC' || '+00', ok, doc, tags FROM t ORDER BY id";
        assert_eq!(lab.rows(sql), LOADED, "{key}");
    }
}

#[test]
fn the_content_type_tells_where_the_name_does_not() {
    let lab = Lab::new("json_types", TABLE);
    for (key, content_type, text) in [
        ("a", "application/x-ndjson", "{\"id\":1}\n"),
        ("b", "application/json; charset=utf-8", "[{\"id\":1}]"),
        ("c", "text/tab-separated-values", "id\tname\n1\tx\n"),
        ("d.tsv", "application/json", "id\tname\n1\tx\n"),
        ("e.tab", "binary/octet-stream", "id\tname\n1\tx\n"),
    ] {
        lab.db.run("TRUNCATE t");
        let put = Put { content_type: Some(content_type.to_owned()), ..Put::default() };
        s3().put_with(&lab.bucket, key, text.as_bytes().to_vec(), put);
        lab.load(&lab.address(key)).run().loaded();
        assert_eq!(lab.rows("SELECT id FROM t"), ["1"], "{key}");
    }
    // What was said counts, whatever the name is.
    let tabbed = lab.put("said.csv", "id\tname\n2\tx\n");
    told(&lab, &tabbed, "parse: {format: tsv}").run().loaded();
    let semicolons = lab.put("said.tsv", "id;name\n3;x\n");
    told(&lab, &semicolons, "parse: {delimiter: ';'}").run().loaded();
    assert_eq!(lab.db.count("t"), 3);
}

#[test]
fn what_contradicts_is_named() {
    let lab = Lab::new("json_contradict", TABLE);
    for (key, bytes, message, hint) in [
        (
            "a.csv",
            &b"PAR1\x15\x04\x15\x10\x15\x14\x4c\x15"[..],
            "the object is a Parquet file, not csv",
            "name it .parquet",
        ),
        (
            "a.jsonl",
            b"Obj\x01\x04\x14avro.codec",
            "the object is an Avro file, not jsonl",
            "write it as one of them",
        ),
        ("a.json", b"id,name\n1,x\n", "line 1, byte 0: it begins with neither `[` nor `{`", ""),
        ("b.jsonl", b"[\n{\"id\":1}\n]\n", "the object is a JSON array, not jsonl", "parse: {format: json}"),
        (
            "c.json",
            b"[{\"id\":1},{\"id\":2]",
            "line 1, byte 17: not well-formed JSON",
            "`parse: {format: jsonl}`",
        ),
        ("d.json", b"[{\"id\":1},\n{\"id\":2}\n", "the object ends before its JSON text does", ""),
        ("e.json", b"{\"x\":[]}", "", ""),
        ("f.csv", b"id;name\n1;x\n", "", "has…holoload guess"),
    ] {
        let address = lab.put(key, bytes);
        if message.is_empty() {
            let report = lab.load(&address).run();
            assert_ne!(report.code, Some(0), "{key}");
            continue;
        }
        lab.load(&address).run().failed(1, message, hint);
    }
    lab.load(&lab.put("g.csv", "id;name\n1;x\n")).run().failed(
        1,
        "neither header nor data",
        "`;`…`holoload guess`",
    );
    lab.load(&lab.put("a.parquet", "PAR1 and more bytes")).run().failed(
        1,
        "does not end as a Parquet file",
        "cut short",
    );
    told(&lab, &lab.address("a.json"), "parse: {format: jsonl, root: /a}").run().refused(
        2,
        "`root: /a`",
        "format: json",
    );
    told(&lab, &lab.address("a.json"), "parse: {format: json, skip_lines: 1}").run().refused(
        2,
        "`skip_lines`",
        "",
    );
    told(&lab, &lab.address("a.json"), "parse: {format: jason}").run().refused(
        2,
        "`format: jason`",
        "did you mean `json`",
    );
    lab.assert_untouched("t");
}

/// Each bad record is a reject of its own, and what is written of them can be put right and put back.
#[test]
fn bad_records_are_kept_as_lines() {
    let lab = Lab::new("json_rejects", TABLE);
    let bad_rows = "bad_rows: {max: 20, max_percent: 100}";
    let load = |address: &str, route: &str| {
        told(&lab, address, &format!("{bad_rows}{route}"))
            .env("HOLOLOAD_REJECTS", lab.address("rejects/"))
            .run()
    };
    let bad = [
        "{\"id\": \"x\"}\n",
        "{\"id\": 3,}\n",
        "nonsense\r\n",
        "{\"id\": 4, \"id\": 5}\n",
        "{\"name\": \"no key\"}\n",
        "{\"id\": 6, \"name\": \"\\ud800\"}\n",
        "{\"id\": 7, \"name\": \"\\u0000\"}\n",
        "[1]\n",
    ];
    let text = format!("{{\"id\": 1, \"name\": \"a\"}}\n{}{{\"id\": 2, \"name\": \"b\"}}", bad.concat());
    let report = load(&lab.put("in/bad.jsonl", text), "").loaded();
    assert_eq!(counts(&report), [10, 2, 0, 0, 0, 8]);
    assert_eq!(
        reasons(&report),
        [
            "2:23 not an integer",
            "3:35 not well-formed JSON",
            "4:46 not well-formed JSON",
            "5:56 a name that stands twice in a JSON object",
            "6:75 NULL in a NOT NULL column",
        ]
        .map(str::to_owned)
    );
    let beside = report["rejects"].as_str().and_then(|address| address.strip_suffix(".rejects.jsonl"));
    let errors = told_errors(&lab, beside.expect("an address of JSON Lines"));
    let rest = ["half of a surrogate pair in a JSON string", "NUL byte", "not a JSON object"];
    assert_eq!(errors[5..], rest);
    assert_eq!(rejects(&report), bad.concat());

    // Of an array, whose records may take several lines, each one is on a line.
    lab.db.run("TRUNCATE t");
    let array = "{\"items\": [\n {\"id\": 1},\n {\n  \"id\": \"x\",\r\n  \"name\": \"two\\nlines\"\n },\n {\"id\": 2}, 7]}";
    let route = ", parse: {format: json, root: /items}";
    let report = load(&lab.put("in/bad.json", array), route).loaded();
    assert_eq!(reasons(&report), ["3:25 not an integer", "7:80 not a JSON object"].map(str::to_owned));
    let kept = rejects(&report);
    assert_eq!(kept, "{   \"id\": \"x\",    \"name\": \"two\\nlines\"  }\n7\n");
    // Put back, it is read as lines although the route says otherwise.
    let fixed = kept.replace("\"x\"", "3").replace("7\n", "");
    let report = load(&lab.put("in/fixed.rejects.jsonl", fixed), route).loaded();
    assert_eq!(counts(&report)[1], 1);
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|NULL", "2|NULL", "3|two\nlines"]);
    // Where it lies it is nobody's input.
    let own = s3().keys(&lab.bucket, "rejects/").into_iter().find(|key| key.ends_with(".rejects.jsonl"));
    let own = lab.address(&own.expect("a reject object"));
    let report =
        told(&lab, &own, bad_rows).env("HOLOLOAD_REJECTS", lab.address("rejects/")).run().exits(0).report();
    assert_eq!(report["status"], "ignored");
}

#[test]
fn members_go_where_the_route_says() {
    let lab = Lab::new(
        "json_mapping",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text DEFAULT 'unnamed', city text, first_tag text, rest jsonb, line int4, key text)",
    );
    let text = r#"{"ID": 1, "user": {"name": "a", "address": {"city": "東京", "zip": 1}}, "tags": ["x", "y"], "n": 1, "drop": 1}
{"ID": 2, "user": {"name": null}, "tags": [], "later": {"b": [true, "t"]}, "n": 1.0}
"#;
    let route = "parse: {header_match: relaxed}, drop: [drop], extras: rest, columns: {name: {from: user.name}, \
        city: {from: /user/address/city}, first_tag: {from: /tags/0}, line: $line, key: $key}";
    let report = told(&lab, &lab.put("a.jsonl", text), route).run().loaded();
    assert_eq!(counts(&report), [2, 2, 0, 0, 0, 0]);
    assert_eq!(
        lab.rows("SELECT id, name, city, first_tag, rest, line, key FROM t ORDER BY id"),
        [
            r#"1|a|東京|x|{"n": 1}|1|a.jsonl"#,
            r#"2|NULL|NULL|NULL|{"n": 1.0, "later": {"b": [true, "t"]}}|2|a.jsonl"#,
        ]
    );

    // A name that no column is known for: in the first records it ends the load, later it makes its record a bad one.
    let strict = Lab::new("json_strict", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let unknown = strict.put("a.jsonl", "{\"id\":1,\"nmae\":\"x\"}\n");
    strict.load(&unknown).run().failed(2, "`nmae`", "did you mean `name`");
    let many: String = (0..1_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    let late =
        format!("{many}{{\"id\":1000,\"name\":\"late\"}}\n{{\"id\":1001,\"other\":1}}\n{{\"id\":1002}}\n");
    let late = strict.put("late.jsonl", late);
    let run = |route: &str| {
        let run = told(&strict, &late, route).argument("--force");
        run.env("HOLOLOAD_REJECTS", strict.address("rejects/")).run().loaded()
    };
    let report = run("bad_rows: {max: 5}");
    assert_eq!(counts(&report)[5], 2);
    let late_reason =
        "`name`: a column that the first records do not have: name it under `columns:` to have it loaded";
    assert_eq!(reasons(&report)[0].split_once(' ').expect("a place").1, late_reason);
    assert!(reasons(&report)[1].ends_with("`other`: a name that the table has no column for"), "{report}");
    // Left out on request, it is told all the same; a column is never left out.
    let report = run("bad_rows: {max: 5}, drift: ignore");
    assert_eq!((counts(&report)[5], strict.db.count("t")), (1, 1_002));
    assert!(report["warnings"].to_string().contains("such as `other`"), "{report}");
    let report = run("bad_rows: {max: 5}, drift: ignore, parse: {header_match: relaxed}");
    assert_eq!(counts(&report)[5], 1);
    // Named, it is read although the first records do not have it.
    let report = run("columns: {name: {from: name}}, missing: allow, drift: ignore");
    assert_eq!((counts(&report)[5], strict.db.count("t")), (0, 1_003));
    assert_eq!(strict.rows("SELECT id FROM t WHERE name = 'late'"), ["1000"]);
    told(&strict, &late, "columns: {name: {from: 2}}").argument("--force").run().failed(
        2,
        "by number",
        "from: name",
    );
}

#[test]
fn changes_newer_rows_and_snapshots_are_as_with_other_files() {
    let lab = Lab::new(
        "json_modes",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text, seq int8, gone bool, key text, mark text)",
    );
    let first = lab.put("1.jsonl", "{\"Op\":\"I\",\"id\":1,\"name\":\"a\",\"seq\":5}\n{\"Op\":\"I\",\"id\":2,\"name\":\"b\",\"seq\":5}\n");
    let second = lab.put(
        "2.json",
        "[{\"id\":1,\"Op\":\"D\"},{\"Op\":\"U\",\"name\":\"c\",\"id\":2,\"seq\":6},{\"Op\":\"X\",\"id\":3}]",
    );
    let route = "write: {op: Op}, bad_rows: {max: 5, max_percent: 100}";
    let run = |address: &str, route: &str| {
        told(&lab, address, route).env("HOLOLOAD_REJECTS", lab.address("rejects/")).run()
    };
    run(&first, route).loaded();
    let report = run(&second, route).loaded();
    assert_eq!((&report["deleted_count"], &report["reject_count"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(lab.rows("SELECT id, name, seq FROM t"), ["2|c|6"]);

    let older =
        lab.put("3.jsonl", "{\"id\":2,\"name\":\"old\",\"seq\":1}\n{\"id\":4,\"name\":\"new\",\"seq\":1}\n");
    run(&older, "write: {newer_by: seq}").loaded();
    let soft = lab.put("4.jsonl", "{\"Op\":\"D\",\"id\":4,\"seq\":2}\n");
    run(&soft, "write: {op: Op, soft_delete: gone}").loaded();
    assert_eq!(lab.rows("SELECT id, name, seq, gone FROM t ORDER BY id"), ["2|c|6|NULL", "4|new|2|t"]);

    let snapshot = "write: {mode: snapshot}, columns: {key: $key, mark: $sequencer}";
    let whole = lab.put("s.json", "[{\"id\":10},{\"id\":11}]");
    run(&whole, snapshot).loaded();
    lab.put("s.json", "[{\"id\":11,\"name\":\"x\"}]");
    run(&whole, snapshot).loaded();
    assert_eq!(lab.rows("SELECT id, name FROM t WHERE id >= 10"), ["11|x"]);
    lab.put("s.json", "[]");
    run(&whole, snapshot).exits(0);

    // Read once more, and compared; or read, and not written.
    let checked = lab.put("6.jsonl", "{\"id\":20,\"name\":\"v\"}\n");
    let dry = told(&lab, &checked, "").argument("--dry-run").run().exits(0).report();
    assert_eq!((&dry["row_count"], lab.db.count("t")), (&json!(1), 2));
    run(&checked, "").loaded();
    let verify = lab.holoload(&["verify", "--json", &checked]).run();
    assert_eq!(verify.exits(0).json()["equal_count"].as_u64().or(Some(1)), Some(1));
}

/// Empty objects load nothing, and only `null` and what is missing is NULL, whatever texts are NULL elsewhere.
#[test]
fn empty_objects_and_null_texts() {
    let lab = Lab::new("json_empty", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    for (key, text) in [("a.jsonl", ""), ("b.jsonl", "\n \r\n"), ("c.json", "[ ]"), ("d.json", "\u{feff}")] {
        let report = lab.load(&lab.put(key, text)).run().loaded();
        assert_eq!((&report["row_count"], lab.db.count("t")), (&json!(0), 0), "{key}");
        assert!(report["warnings"].to_string().contains("nothing to load"), "{key}: {report}");
    }
    let text = "{\"id\":1,\"name\":\"NULL\"}\n{\"id\":2,\"name\":null}\n{\"id\":3,\"name\":0}\n{\"id\":4,\"name\":\"\"}\n{\"id\":5}\n";
    let nulls = "parse: {null_string: ['NULL', '0']}";
    told(&lab, &lab.put("n.jsonl", text), nulls).run().loaded();
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|NULL", "2|NULL", "3|0", "4|", "5|NULL"]);
    let null_ids = || lab.rows("SELECT id FROM t WHERE name IS NULL ORDER BY id");
    assert_eq!(null_ids(), ["2", "5"]);
    // Texts are NULL where that is said of quoted ones, or of the column; what is not there always is.
    for (route, expected) in [
        ("parse: {null_string: ['NULL'], null_quoted: true}", &["1", "2", "5"][..]),
        ("columns: {name: {null: ['NULL', '']}}", &["1", "2", "4", "5"]),
        ("columns: {name: {null: ['x'], default: 'y'}}", &[]),
    ] {
        told(&lab, &lab.address("n.jsonl"), route).argument("--force").run().loaded();
        assert_eq!(null_ids(), expected, "{route}");
    }
    assert_eq!(lab.rows("SELECT id FROM t WHERE name = 'y' ORDER BY id"), ["2", "5"]);
}
