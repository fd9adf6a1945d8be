//! Parquet on Hologres: the same rows over every path, and over several invocations.

use bytes::Bytes;
use parquet::file::properties::WriterProperties;

use crate::chain::{Queue, assert_continued, drain, outlast};
use crate::lab::{Hologres, PROFILES, path, world};
use crate::parquet_files::{Leaf, Values, file, nested, optional, required, texts};
use crate::support::standin::{Options, Profile};
use crate::world::order_rows;

const ROWS: u32 = 24_000;
const GROUP_ROWS: u32 = 2_000;
const SHORT_MS: u64 = 5_000;

#[test]
fn values_are_the_same_over_every_path() {
    let schema = "message m { required int64 id; required double f8; optional int64 n (DECIMAL(18,6)); required boolean b; \
         optional binary tx (STRING); required int32 d (DATE); required int64 tz (TIMESTAMP(MICROS,true)); required binary by; \
         optional group jb (LIST) { repeated group list { optional int32 element; } } }";
    let table = "CREATE TABLE t (id int8 PRIMARY KEY, f8 float8, n numeric(20,6), b bool, tx text, d date, tz timestamptz, \
         by bytea, jb jsonb)";
    let group = || -> Vec<Leaf> {
        vec![
            required(Values::I64(vec![1, 2])),
            required(Values::F64(vec![1e300, f64::NAN])),
            optional(Values::I64(vec![-1]), &[1, 0]),
            required(Values::Bool(vec![true, false])),
            optional(texts(&["a \"q\", \\N\n日本"]), &[1, 0]),
            required(Values::I32(vec![0, 20_000])),
            required(Values::I64(vec![1_500, 1_000_000])),
            required(Values::Bytes(vec![vec![0, 0xff], vec![]])),
            nested(Values::I32(vec![7]), &[3, 2, 0], &[0, 1, 0]),
        ]
    };
    let bytes = file(schema, WriterProperties::builder().build(), vec![group()]);
    for profile in PROFILES {
        for name in ["fixed_copy", "values", "unnest"] {
            let hologres = Hologres::of(profile, true, "parquet", table);
            let yaml = format!("routes: [{{object: '**', table: t, write: {{path: {name}}}}}]");
            let run = hologres.load(&hologres.file("a.parquet", &bytes)).without("HOLOLOAD_TABLE");
            let report = run.env("HOLOLOAD_CONFIG", yaml).run().loaded();
            assert_eq!(path(&report).0, name);
            assert_eq!(
                hologres.rows("SELECT id, f8, n, b, tx, d, tz AT TIME ZONE 'UTC', by, jb FROM t ORDER BY id"),
                [
                    "1|1e+300|-0.000001|t|a \"q\", \\N\n日本|1970-01-01|1970-01-01 00:00:00.001|\\x00ff|[7, null]",
                    "2|NaN|NULL|f|NULL|2024-10-04|1970-01-01 00:00:01|\\x|NULL"
                ],
                "{name} at {profile:?}"
            );
            assert!(report["warnings"].to_string().contains("below the millisecond"), "{report:#}");
        }
    }
}

fn orders() -> Bytes {
    let schema = "message m { required int64 id; required binary name (STRING); required int64 amount (DECIMAL(12,2)); }";
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let group = |number: u32| {
        let ids: Vec<i64> = (1 + number * GROUP_ROWS..=(number + 1) * GROUP_ROWS).map(i64::from).collect();
        vec![
            required(Values::I64(ids.clone())),
            required(Values::Bytes(vec![b"long".to_vec(); ids.len()])),
            required(Values::I64(ids.iter().map(|id| id * 100 + 50).collect())),
        ]
    };
    file(schema, properties, (0..ROWS / GROUP_ROWS).map(group).collect())
}

#[test]
fn a_file_takes_as_many_invocations_as_it_takes() {
    let (world, _standin) =
        world("parquet_continued", Options { profile: Profile::V3_1, ..Options::default() });
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = world.handler_with(&[(name, &endpoint)]);
    let stored = world.s3.put(&world.bucket, "long.parquet", orders());
    outlast(&world, &stored, 3, SHORT_MS);
    let invocations = drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
    assert!(invocations >= 4, "{invocations} invocations");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    assert_continued(&world.statuses("long.parquet"));
    let line = "SELECT row_count::text FROM holoload_ledger WHERE status = 'loaded'";
    assert_eq!(world.database.query(line), [[Some(ROWS.to_string())]]);
}
