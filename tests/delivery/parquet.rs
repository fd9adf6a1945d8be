//! Parts of an object are parts of one version, whatever is put meanwhile.

use bytes::Bytes;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::parquet_files::{Values, file, required};
use crate::support::s3::{Fault, On};
use crate::world::{World, order_rows, report};

const ROWS: u32 = 6_000;

/// `id,name,amount`, as text has them elsewhere; larger than what comes with the footer.
fn orders(name: &str) -> Bytes {
    let schema = "message m { required int64 id; required binary name (STRING); required int64 amount (DECIMAL(12,2)); }";
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let group = |from: u32| {
        let ids: Vec<i64> = (from..from + ROWS / 2).map(i64::from).collect();
        vec![
            required(Values::I64(ids.clone())),
            required(Values::Bytes(vec![name.as_bytes().to_vec(); ids.len()])),
            required(Values::I64(ids.iter().map(|id| id * 100 + 50).collect())),
        ]
    };
    file(schema, properties, vec![group(1), group(1 + ROWS / 2)])
}

#[test]
fn an_object_overwritten_between_two_parts_is_superseded() {
    let world = World::new("parquet_overwritten");
    let handler = world.handler();
    for after in [0, 1, 60_000] {
        let stored = world.s3.put(&world.bucket, "a.parquet", orders("mixed"));
        let overwrite = Fault::OverwriteAt { after_bytes: after, bytes: orders("other") };
        world.s3.fail(On::get(&world.bucket, "a.parquet"), overwrite);
        let report = report(handler.invoke_json(&stored.event()));
        assert_eq!(
            (&report["status"], &report["row_count"]),
            (&json!("superseded"), &json!(0)),
            "{after}: {report}"
        );
        assert!(world.rows().is_empty(), "{after}");
        world.assert_at_rest();
    }
    let stored = world.s3.put(&world.bucket, "a.parquet", orders("whole"));
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!((&report["status"], &report["row_count"]), (&json!("loaded"), &json!(ROWS)), "{report}");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "whole"));
}

#[test]
fn a_version_is_read_to_its_end_whatever_came_after_it() {
    let world = World::versioned("parquet_version");
    let handler = world.handler();
    let stored = world.s3.put(&world.bucket, "a.parquet", orders("old"));
    let overwrite = Fault::OverwriteAt { after_bytes: 500, bytes: orders("new") };
    world.s3.fail(On::get(&world.bucket, "a.parquet"), vec![overwrite, Fault::CutBody { after_bytes: 500 }]);
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!((&report["status"], &report["row_count"]), (&json!("loaded"), &json!(ROWS)), "{report}");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "old"));
    let gets = world.s3.gets(&world.bucket, "a.parquet");
    assert!(gets.len() > 2 && gets.iter().all(|get| get.version_id == stored.version_id), "{gets:?}");
}

#[test]
fn an_object_deleted_between_two_parts_is_deleted() {
    let world = World::new("parquet_deleted");
    let handler = world.handler();
    let stored = world.s3.put(&world.bucket, "a.parquet", orders("a"));
    world.s3.fail(On::get(&world.bucket, "a.parquet"), Fault::DeleteAt { after_bytes: 500 });
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!((&report["status"], &report["row_count"]), (&json!("deleted"), &json!(0)), "{report}");
    assert!(world.rows().is_empty());
}
