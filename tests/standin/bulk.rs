//! Bulk COPY: atomic, text and CSV alone, an upsert only where it may be one.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;

use crate::raw::{Raw, error_fields, outcome};
use crate::support::standin::{Options, Profile};
use crate::world::{TABLE, assert_said, binary, copy, profile, world};

const PLAIN: &str = "COPY t (id, name) FROM STDIN WITH (FORMAT csv)";
const FULL: &str = "COPY t FROM STDIN WITH (FORMAT csv, ON_CONFLICT update)";
const PART: &str = "COPY t (id, name) FROM STDIN WITH (FORMAT csv, ON_CONFLICT 'ignore')";
const ENABLE: &str = "set hg_experimental_copy_enable_on_conflict=on";
const KEEP_LAST: &str = "set hg_experimental_affect_row_multiple_times_keep_last=on";

#[test]
fn binary_needs_the_stream() {
    let world = world("bulk_binary", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    for sql in ["COPY t (id, name) FROM STDIN WITH (FORMAT binary)", "copy t (id, name) from stdin binary"] {
        let refused = outcome(&raw.copy(sql, &binary(&[(1, "a")])));
        assert!(refused.starts_with("0A000 Feature not supported"), "{refused}");
    }
}

#[test]
fn all_rows_or_none() {
    let world = world("bulk_atomic", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    let answers = raw.copy(PLAIN, b"1,a\n2,b\nx,c\n");
    let refused = outcome(&answers);
    assert!(refused.starts_with("22P02"), "{refused}");
    assert_eq!(error_fields(&answers), "SVCM");
    assert!(!refused.contains("line"), "{refused}");
    assert_eq!(world.db.count("t"), 0);
    assert_eq!(outcome(&raw.copy(PLAIN, b"1,a\n2,b\n")), "COPY 2");
    assert!(outcome(&raw.copy(PLAIN, b"3,c\n2,again\n")).starts_with("23505"));
    assert_eq!(world.db.count("t"), 2);
    assert_eq!(
        outcome(&raw.copy("COPY t (id, name) FROM STDIN WITH (FORMAT csv, HEADER true)", b"i,n\n5,e\n")),
        "COPY 1"
    );
}

#[tokio::test]
async fn it_works_in_the_extended_protocol_and_locks_the_table() {
    let world = world("bulk_extended", Options::default(), TABLE);
    let (client, other) = (world.client().await, world.client().await);
    let sink = client.copy_in::<_, Bytes>(PLAIN).await.expect("starts");
    tokio::pin!(sink);
    sink.send("1,a\n".into()).await.expect("sent");
    other.batch_execute("SET statement_timeout = 300").await.expect("set");
    assert_said(other.execute("INSERT INTO t (id) VALUES (9)", &[]).await, "57014", "canceling statement");
    assert_eq!(sink.finish().await.expect("written"), 1);
    assert_eq!(other.execute("INSERT INTO t (id) VALUES (9)", &[]).await.expect("free again"), 1);
    assert_said(copy(&client, PLAIN, "2,b\ny,c\n").await, "22P02", "invalid input syntax");
    assert_eq!(world.db.count("t"), 2);
    drop(client.copy_in::<_, Bytes>(PLAIN).await.expect("starts"));
    tokio::time::timeout(Duration::from_secs(10), client.batch_execute("SELECT 1"))
        .await
        .expect("soon")
        .expect("usable");
}

#[test]
fn an_upsert_needs_version_and_setting() {
    let old = world("bulk_old", profile(Profile::V2_2), TABLE);
    let mut raw = Raw::connect(&old);
    raw.query(ENABLE);
    assert_eq!(outcome(&raw.copy(PART, b"1,a\n")), "42601 option \"on_conflict\" not recognized");
    let new = world("bulk_new", profile(Profile::V3_1), TABLE);
    let mut raw = Raw::connect(&new);
    assert!(outcome(&raw.copy(FULL, b"1,a,1.5\n")).starts_with("0A000"));
    raw.query(ENABLE);
    assert_eq!(outcome(&raw.copy(FULL, b"1,a,1.5\n2,b,2.5\n")), "COPY 2");
    assert_eq!(outcome(&raw.copy(FULL, b"2,c,3.5\n")), "COPY 1");
    assert_eq!(outcome(&raw.copy(PART, b"2,ignored\n3,d\n")), "COPY 2");
    assert_eq!(new.rows("SELECT * FROM t ORDER BY id"), ["1|a|1.50", "2|c|3.50", "3|d|NULL"]);
    // The setting of the database counts for the sessions that come after.
    raw.query(&format!("ALTER DATABASE {} SET hg_experimental_copy_enable_on_conflict = on", new.db.name));
    assert_eq!(outcome(&Raw::connect(&new).copy(FULL, b"4,e,1\n")), "COPY 1");
}

#[test]
fn a_key_twice_needs_a_setting() {
    let world = world("bulk_twice", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    raw.query(ENABLE);
    let refused = outcome(&raw.copy(FULL, b"7,a,1\n8,b,2\n7,c,3\n"));
    assert_eq!(refused, "23505 Update row with Key (id)=(7) multiple times");
    assert_eq!(world.db.count("t"), 0);
    raw.query(KEEP_LAST);
    assert_eq!(outcome(&raw.copy(FULL, b"7,a,1\n8,b,2\n7,c,3\n")), "COPY 3");
    assert_eq!(world.rows("SELECT id, name FROM t ORDER BY id"), ["7|c", "8|b"]);
}

#[test]
fn a_parent_takes_none_and_a_child_its_own() {
    let sql = "CREATE TABLE t (id int8, name text, PRIMARY KEY (id, name)) PARTITION BY LIST (name); \
               CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a')";
    let world = world("bulk_parent", profile(Profile::V4_1), sql);
    let mut raw = Raw::connect(&world);
    assert_eq!(outcome(&raw.copy(PLAIN, b"1,a\n")), "0A000 Feature not supported: insert into parent table");
    assert_eq!(outcome(&raw.copy("COPY t_a FROM STDIN WITH (FORMAT csv)", b"1,a\n")), "COPY 1");
}

#[test]
fn other_forms_are_refused() {
    let world = world("bulk_forms", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    let mut refused = |sql: &str| outcome(&raw.copy(sql, b""));
    assert!(refused("COPY t FROM '/tmp/x'").starts_with("0A000"));
    assert!(refused("COPY t (id) FROM STDIN").starts_with("0A000"), "one column of several");
    assert!(refused("COPY t FROM STDIN WITH (FORMAT csv) WHERE id > 1").starts_with("42601"));
    assert!(refused("COPY t FROM STDIN WITH (FORMAT parquet)").starts_with("22023"));
    assert!(refused("COPY t FROM STDIN WITH (FREEZE_IT)").starts_with("42601"));
    assert!(refused("COPY nowhere FROM STDIN").starts_with("42P01"));
    assert!(refused("COPY t (id, nothing) FROM STDIN").starts_with("42703"));
    assert!(refused("COPY t (name, amount) FROM STDIN").starts_with("XX000 shard columns count is no match"));
}
