//! Parquet from file and bucket to the table: only the needed bytes, of one version.

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::harness::{Lab, Run, counts, s3};
use crate::parquet_files::{Leaf, Values, file, nested, optional, required, texts};
use crate::support::s3::{Fault, On};

const SCHEMA: &str = "message m { required int64 id; required binary big (STRING); optional binary name (STRING); \
     required int32 day (DATE); optional int64 at (TIMESTAMP(MICROS,true)); required int64 amount (DECIMAL(12,2)); }";
const TABLE: &str =
    "CREATE TABLE t (id int8 PRIMARY KEY, name text, day date, at timestamptz, amount numeric(12,2))";
const GROUP_ROWS: i32 = 3_000;

/// Text that does not compress.
fn noise(seed: i64) -> Vec<u8> {
    let mut state = seed.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = Vec::new();
    for _ in 0..8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(format!("{state:016x}").as_bytes());
    }
    text
}

fn group(from: i32) -> Vec<Leaf> {
    let ids: Vec<i32> = (from..from + GROUP_ROWS).collect();
    let longs: Vec<i64> = ids.iter().copied().map(i64::from).collect();
    let is_there: Vec<i16> = ids.iter().map(|id| i16::from(id % 3 != 0)).collect();
    let there = ids.iter().filter(|id| *id % 3 != 0);
    vec![
        required(Values::I64(longs.clone())),
        required(Values::Bytes(longs.iter().map(|id| noise(*id)).collect())),
        optional(
            Values::Bytes(there.clone().map(|id| format!("name {id}").into_bytes()).collect()),
            &is_there,
        ),
        required(Values::I32(ids.clone())),
        optional(Values::I64(there.map(|id| i64::from(*id) * 1_000_000).collect()), &is_there),
        required(Values::I64(longs.iter().map(|id| id * 10 + 5).collect())),
    ]
}

/// `count` row groups.
fn orders(count: i32) -> Bytes {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    file(SCHEMA, properties, (0..count).map(|number| group(1 + number * GROUP_ROWS)).collect())
}

fn told(lab: &Lab, address: &str, route: &str) -> Run {
    let config = format!("routes: [{{object: '**', table: t, {route}}}]");
    lab.load(address).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

#[track_caller]
fn assert_whole(lab: &Lab, report: &Value, groups: i32) {
    let rows = groups * GROUP_ROWS;
    assert_eq!(counts(report)[..2], [u64::try_from(rows).expect("a count"); 2], "{report:#}");
    let sums = "SELECT count(*), count(name), sum(amount), min(day), min(at AT TIME ZONE 'UTC') FROM t";
    let half = i64::from(rows) * (i64::from(rows) + 1) / 2;
    let sum =
        format!("{}.{:02}", (half * 10 + i64::from(rows) * 5) / 100, (half * 10 + i64::from(rows) * 5) % 100);
    assert_eq!(lab.rows(sums), [format!("{rows}|{}|{sum}|1970-01-02|1970-01-01 00:00:01", rows - rows / 3)]);
    assert_eq!(lab.rows("SELECT id, name, amount FROM t WHERE id = 4"), ["4|name 4|0.45"]);
    assert_eq!(lab.rows("SELECT name, at FROM t WHERE id = 3"), ["NULL|NULL"]);
}

#[test]
fn files_and_objects_load_by_name_and_by_magic() {
    let lab = Lab::new("parquet", TABLE);
    let bytes = orders(2);
    for name in ["a.parquet", "PART-0.Parquet", "without-extension"] {
        lab.db.run("TRUNCATE t");
        let report = told(&lab, &lab.file(name, &bytes), "drop: [big]").run().loaded();
        assert_whole(&lab, &report, 2);
        lab.db.run("TRUNCATE t");
        let report = told(&lab, &lab.put(name, &bytes), "drop: [big]").run().loaded();
        assert_whole(&lab, &report, 2);
    }
}

#[test]
fn only_the_needed_columns_are_read_and_only_from_one_version() {
    let lab = Lab::new("parquet_ranges", TABLE);
    let bytes = orders(4);
    let report = told(&lab, &lab.put("a.parquet", &bytes), "drop: [big]").run().loaded();
    assert_whole(&lab, &report, 4);
    let gets = s3().gets(&lab.bucket, "a.parquet");
    let sent: u64 = gets.iter().map(|get| get.bytes_sent).sum();
    let size = bytes.len() as u64;
    assert!(size > 900_000 && sent < size / 3, "{sent} of {size}: {gets:#?}");
    assert_eq!(gets[0].range.as_deref(), Some("bytes=-65536"), "the end first");
    for get in &gets[1..] {
        assert!(get.range.is_some() && get.if_match.is_some(), "{get:?}");
    }
    assert_eq!(report["byte_count"], sent, "what was read");
}

#[test]
fn a_column_that_the_table_lacks_is_named() {
    let lab = Lab::new("parquet_drift", TABLE);
    let path = lab.file("a.parquet", orders(1));
    lab.load(&path).run().failed(2, "`big`", "");
    let ignored = told(&lab, &path, "drift: ignore").run().loaded();
    assert_whole(&lab, &ignored, 1);
    assert!(ignored["warnings"].to_string().contains("big"), "{ignored:#}");
}

#[test]
fn cut_bodies_are_read_on() {
    let lab = Lab::new("parquet_cut", TABLE);
    let bytes = orders(3);
    for (number, after) in [0, 1, 1_000, 20_000].into_iter().enumerate() {
        lab.db.run("TRUNCATE t");
        let key = format!("{number}.parquet");
        let address = lab.put(&key, &bytes);
        for fault in
            [Fault::CutBody { after_bytes: after }, Fault::CutBody { after_bytes: after }, Fault::slow_down()]
        {
            s3().fail(On::get(&lab.bucket, &key), fault);
        }
        let report = told(&lab, &address, "drop: [big]").run().loaded();
        assert_whole(&lab, &report, 3);
    }
}

#[test]
fn answers_that_are_not_what_was_asked_for_are_asked_for_again() {
    let lab = Lab::new("parquet_faults", TABLE);
    let bytes = orders(2);
    let faults = [
        Fault::WrongContentRange,
        Fault::IgnoreRange,
        Fault::ShortAnswer { bytes: 500 },
        Fault::internal_error(),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        lab.db.run("TRUNCATE t");
        let key = format!("{number}.parquet");
        let address = lab.put(&key, &bytes);
        s3().fail(On::get(&lab.bucket, &key), fault);
        let report = told(&lab, &address, "drop: [big]").run().loaded();
        assert_whole(&lab, &report, 2);
    }
}

#[test]
fn an_object_overwritten_between_two_parts_is_not_mixed() {
    let lab = Lab::new("parquet_overwritten", TABLE);
    let address = lab.put("a.parquet", orders(2));
    let overwrite = Fault::OverwriteAt { after_bytes: 100, bytes: orders(3) };
    s3().fail(On::get(&lab.bucket, "a.parquet"), overwrite);
    told(&lab, &address, "drop: [big]").run().failed(1, "PreconditionFailed", "overwritten meanwhile");
    lab.assert_untouched("t");
    let report = told(&lab, &address, "drop: [big]").run().loaded();
    assert_whole(&lab, &report, 3);
}

#[test]
fn bad_rows_are_lines_of_json_that_load_once_they_are_mended() {
    let table = "CREATE TABLE t (id int4 PRIMARY KEY, name varchar(5), n int2)";
    let lab = Lab::new("parquet_rejects", table);
    let schema = "message m { required int64 id; optional binary name (STRING); required int32 n; }";
    let leaves = vec![
        required(Values::I64(vec![1, 2, i64::MAX, 4])),
        optional(texts(&["a\"b", "too long", "c"]), &[1, 1, 1, 0]),
        required(Values::I32(vec![1, 2, 3, 70_000])),
    ];
    let address = lab.put("in/a.parquet", file(schema, WriterProperties::builder().build(), vec![leaves]));
    let report = lab.load(&address).env("HOLOLOAD_REJECTS", lab.address("rejects")).run().loaded();
    assert_eq!(counts(&report), [4, 1, 0, 0, 0, 3]);
    let rejects = report["rejects"].as_str().expect("an address");
    let key = rejects.strip_prefix(&lab.address("")).expect("in the bucket");
    assert!(key.ends_with(".rejects.jsonl"), "{key}");
    let text = String::from_utf8(s3().get(&lab.bucket, key).expect("an object").to_vec()).expect("UTF-8");
    assert_eq!(
        text,
        "{\"id\":2,\"name\":\"too long\",\"n\":2}\n{\"id\":9223372036854775807,\"name\":\"c\",\"n\":3}\n\
         {\"id\":4,\"name\":null,\"n\":70000}\n"
    );
    let sample: Vec<(u64, &str)> = report["reject_sample"]
        .as_array()
        .expect("a sample")
        .iter()
        .map(|one| (one["line"].as_u64().expect("a line"), one["column"].as_str().expect("a column")))
        .collect();
    assert_eq!(sample, [(2, "name"), (3, "id"), (4, "n")]);

    let mended = text.replace("too long", "short").replace("9223372036854775807", "3").replace("70000", "7");
    let report = lab.load(&lab.put("in/a.parquet.rejects.jsonl", mended)).run().loaded();
    assert_eq!(counts(&report), [3, 3, 0, 0, 0, 0]);
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a\"b|1", "2|short|2", "3|c|3", "4|NULL|7"]);
}

#[test]
fn nested_columns_are_json_and_members_fill_columns() {
    let table =
        "CREATE TABLE t (id int4 PRIMARY KEY, tags jsonb, city text, address json, src text, line int8)";
    let lab = Lab::new("parquet_nested", table);
    let schema = "message m { required int32 id; optional group tags (LIST) { repeated group list { optional binary element (STRING); } } \
         optional group address { optional binary city (STRING); optional int32 zip; } }";
    let leaves = vec![
        required(Values::I32(vec![1, 2])),
        nested(texts(&["a", "b"]), &[3, 3, 0], &[0, 1, 0]),
        optional(texts(&["Tokyo"]), &[2, 0]),
        optional(Values::I32(vec![]), &[1, 0]),
    ];
    let bytes = file(schema, WriterProperties::builder().build(), vec![leaves]);
    let route = "columns: {city: {from: address.city}, src: $key, line: $line}";
    told(&lab, &lab.put("a.parquet", &bytes), route).run().loaded();
    assert_eq!(
        lab.rows("SELECT * FROM t ORDER BY 1"),
        [
            "1|[\"a\", \"b\"]|Tokyo|{\"city\":\"Tokyo\",\"zip\":null}|a.parquet|1",
            "2|NULL|NULL|NULL|a.parquet|2"
        ]
    );
    // A struct whose member is wanted needs no column of its own.
    lab.db.run("TRUNCATE t; ALTER TABLE t DROP COLUMN address");
    told(&lab, &lab.put("b.parquet", &bytes), route).run().loaded();
    assert_eq!(lab.rows("SELECT id, city FROM t ORDER BY 1"), ["1|Tokyo", "2|NULL"]);
}

#[test]
fn what_cannot_be_read_says_why() {
    let lab = Lab::new("parquet_refused", TABLE);
    let bytes = orders(1);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &bytes).expect("memory");
    let packed = packed.finish().expect("memory");
    let path = lab.file("a.parquet.gz", &packed);
    told(&lab, &path, "drop: [big]").run().failed(1, "compressed as a whole", "uncompressed");
    let path = lab.file("packed-without-a-name", &packed);
    told(&lab, &path, "drop: [big]").run().failed(1, "compressed as a whole", "uncompressed");
    told(&lab, "-", "drop: [big]").stdin(&bytes).run().failed(1, "standard input", "give its path");
    let path = lab.file("cut.parquet", &bytes[..bytes.len() - 10]);
    told(&lab, &path, "drop: [big]").run().failed(1, "does not end as a Parquet file does", "cut short");
    told(&lab, &lab.put("empty.parquet", ""), "drop: [big]").run().failed(1, "empty", "footer");
    let path = lab.file("empty.parquet", "");
    told(&lab, &path, "drop: [big]").run().failed(1, "does not end as a Parquet file does", "cut short");
    lab.assert_untouched("t");
}

#[test]
fn a_file_without_rows_loads_nothing_and_a_dry_run_neither() {
    let lab = Lab::new("parquet_dry", TABLE);
    let path = lab.file("none.parquet", orders(0));
    let report = told(&lab, &path, "drop: [big]").run().loaded();
    assert_eq!(counts(&report)[0], 0);
    let path = lab.file("a.parquet", orders(1));
    let report = told(&lab, &path, "drop: [big]").argument("--dry-run").run().exits(0).report();
    assert_eq!(report["row_count"], GROUP_ROWS, "{report:#}");
    lab.assert_untouched("t");
}

/// From a file to a loaded table in two commands.
#[test]
fn a_schema_makes_the_table_that_the_file_is_loaded_into() {
    let lab = Lab::new("parquet_guess", "");
    let path = lab.file("orders.parquet", orders(1));
    let guess =
        lab.holoload(&["guess", &path, "--ddl", "--dialect", "postgres"]).without("HOLOLOAD_TABLE").run();
    let ddl = guess.exits(0).stdout;
    lab.db.run(&ddl);
    assert_eq!(
        lab.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position"),
        [
            "id|bigint",
            "big|text",
            "name|text",
            "day|date",
            "at|timestamp with time zone",
            "amount|numeric"
        ],
        "{ddl}"
    );
    let report = lab
        .load(&path)
        .argument("--table")
        .argument("orders")
        .env("HOLOLOAD_WRITE_MODE", "insert")
        .run()
        .loaded();
    assert_eq!(report["row_count"], GROUP_ROWS, "{report:#}");
    assert_eq!(lab.rows("SELECT count(*), max(day) FROM orders"), [format!("{GROUP_ROWS}|1978-03-20")]);
}

#[test]
fn a_snapshot_replaces_what_was_there() {
    let lab = Lab::new("parquet_snapshot", TABLE);
    lab.db.run("INSERT INTO t VALUES (1000000, 'old')");
    let path = lab.put("a.parquet", orders(1));
    let report = told(&lab, &path, "drop: [big], write: {mode: snapshot, scope: table}").run().loaded();
    assert_eq!(report["row_count"], GROUP_ROWS, "{report:#}");
    assert_eq!(lab.rows("SELECT count(*), max(id) FROM t"), [format!("{GROUP_ROWS}|{GROUP_ROWS}")]);
}
