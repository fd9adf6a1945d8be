//! Fixed COPY: what it takes, and that it is not atomic.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;

use crate::raw::{Raw, error_fields, outcome};
use crate::support::standin::{Options, Profile};
use crate::world::{TABLE, assert_said, binary, copy, profile, said, world};

/// The statements of holo-client, word for word.
const BINARY: &str =
    "copy \"public\".\"t\"(id,name) from stdin with(stream_mode true, format binary, on_conflict update)";
const CSV: &str = "copy \"public\".\"t\"(id,name) from stdin with(stream_mode true, format csv, DELIMITER ',', ESCAPE '\\', QUOTE '\"', NULL 'N', on_conflict update)";

#[test]
fn both_protocols_take_what_holo_client_sends() {
    let world = world("stream_forms", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    assert_eq!(outcome(&raw.copy(BINARY, &binary(&[(1, "a"), (2, "b")]))), "COPY 2");
    let csv = b"2,\"x\\\"\n,y\"\n3,N\n4,last";
    assert_eq!(outcome(&raw.copy(CSV, csv)), "COPY 3");
    let quoted =
        "COPY t (id, name) FROM STDIN WITH (STREAM_MODE 'TRUE', FORMAT 'text', ON_CONFLICT 'ignore')";
    assert_eq!(outcome(&raw.copy(quoted, b"4\tignored\n5\ta\\\\tb\n")), "COPY 2");
    let mut trailed = binary(&[(6, "trailer")]);
    trailed.extend_from_slice(&[0xff, 0xff]);
    assert_eq!(outcome(&raw.copy(BINARY, &trailed)), "COPY 1");
    assert_eq!(
        world.rows("SELECT id, name FROM t ORDER BY id"),
        ["1|a", "2|x\"\n,y", "3|NULL", "4|last", "5|a\\tb", "6|trailer"]
    );
}

#[tokio::test]
async fn the_extended_protocol_takes_it_too() {
    let world = world("stream_extended", Options::default(), TABLE);
    let client = world.client().await;
    assert_eq!(copy(&client, BINARY, binary(&[(1, "a"), (2, "b")])).await.expect("taken"), 2);
    let spaced = "COPY  t(id ,name)FROM STDIN\nWITH(\tSTREAM_MODE  TRUE,FORMAT BINARY ,ON_CONFLICT  UPDATE )";
    assert_eq!(copy(&client, spaced, binary(&[(2, "c")])).await.expect("taken"), 1);
    assert_eq!(world.rows("SELECT id, name FROM t ORDER BY id"), ["1|a", "2|c"]);
    assert_eq!(client.query_one("SELECT count(*) FROM t", &[]).await.expect("usable").get::<_, i64>(0), 2);
}

#[tokio::test]
async fn an_engine_without_it_refuses_before_it_starts() {
    let options = Options { extended_copy: false, ..Options::default() };
    let world = world("stream_simple_only", options, TABLE);
    let client = world.client().await;
    assert_said(copy(&client, BINARY, binary(&[(1, "a")])).await, "0A000", "Not support");
    client.batch_execute("SELECT 1").await.expect("the connection stays usable");
    assert_eq!(outcome(&Raw::connect(&world).copy(BINARY, &binary(&[(1, "a")]))), "COPY 1");
}

#[test]
fn an_empty_stream_succeeds() {
    let world = world("stream_empty", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    for data in [binary(&[]), Vec::new()] {
        assert_eq!(outcome(&raw.copy(BINARY, &data)), "COPY 0");
    }
    assert_eq!(outcome(&raw.copy(CSV, b"")), "COPY 0");
}

#[test]
fn rows_before_a_bad_one_stay() {
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, name varchar(3))";
    let world = world("stream_partial", Options { fixed_copy_chunk_rows: 100, ..Options::default() }, sql);
    let mut raw = Raw::connect(&world);
    let rows: Vec<(i64, &str)> =
        (0..250).map(|id| (id, if id == 137 || id == 140 { "long" } else { "ok" })).collect();
    let answers = raw.copy(BINARY, &binary(&rows));
    assert_eq!(outcome(&answers), "22001 value too long for type character varying(3)");
    assert_eq!(error_fields(&answers), "SVCM", "nothing tells which row it was");
    assert_eq!(world.rows("SELECT count(*), max(id) FROM t"), ["137|136"]);
    assert_eq!(outcome(&raw.query("SELECT 1")), "SELECT 1");
}

#[tokio::test]
async fn a_bad_row_ends_an_extended_stream_too() {
    let world = world("stream_partial_extended", Options::default(), TABLE);
    let client = world.client().await;
    let csv = "COPY t (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv, ON_CONFLICT update)";
    let error = copy(&client, csv, "1,a\n2,b\nx,c\n4,d\n").await.expect_err("refused");
    let refused = error.as_db_error().expect("the server's");
    assert_eq!(said(&error).0, "22P02");
    assert_eq!((refused.where_(), refused.detail(), refused.column()), (None, None, None));
    assert_eq!(world.rows("SELECT id FROM t ORDER BY id"), ["1", "2"]);
    client.batch_execute("SELECT 1").await.expect("the connection stays usable");
}

#[tokio::test]
async fn rows_show_while_they_stream() {
    let world = world("stream_visible", Options { fixed_copy_chunk_rows: 2, ..Options::default() }, TABLE);
    let client = world.client().await;
    let mut sink = Box::pin(client.copy_in::<_, Bytes>(BINARY).await.expect("starts"));
    sink.send(binary(&[(1, "a"), (2, "b"), (3, "c")]).into()).await.expect("sent");
    let end = Instant::now() + Duration::from_secs(10);
    while world.db.count("t") < 2 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.db.count("t"), 2, "a whole chunk, and not the rest");
    drop(sink);
    client.batch_execute("SELECT 1").await.expect("the connection stays usable");
    assert_eq!(world.db.count("t"), 2, "a stream given up keeps what was written");
}

#[test]
fn who_counts_on_the_last_of_equal_keys_is_found_out() {
    let world = world("stream_equal_keys", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    assert_eq!(outcome(&raw.copy(BINARY, &binary(&[(1, "first"), (2, "b"), (1, "last")]))), "COPY 3");
    assert_eq!(world.rows("SELECT name FROM t WHERE id = 1"), ["first"]);
}

#[test]
fn a_conflict_without_an_option_is_an_error() {
    let world = world("stream_none", Options::default(), TABLE);
    let mut raw = Raw::connect(&world);
    let plain = "COPY t (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv)";
    assert_eq!(outcome(&raw.copy(plain, b"1,a\n2,b\n")), "COPY 2");
    let refused = outcome(&raw.copy(plain, b"3,c\n2,again\n4,d\n"));
    assert!(refused.starts_with("23505 duplicate key"), "{refused}");
    assert_eq!(world.rows("SELECT id FROM t ORDER BY id"), ["1", "2", "3"]);
}

#[test]
fn partitions_are_found_from_3_1_on() {
    let sql = "CREATE TABLE t (id int8, name text, PRIMARY KEY (id, name)) PARTITION BY LIST (name); \
               CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a')";
    let old = world("stream_parent_old", profile(Profile::V2_2), sql);
    let refused = outcome(&Raw::connect(&old).copy(BINARY, &binary(&[(1, "a")])));
    assert_eq!(refused, "0A000 Feature not supported: insert into parent table");
    let new = world("stream_parent_new", profile(Profile::V3_1), sql);
    let mut raw = Raw::connect(&new);
    assert_eq!(outcome(&raw.copy(BINARY, &binary(&[(1, "a")]))), "COPY 1");
    let missing = outcome(&raw.copy(BINARY, &binary(&[(2, "a"), (3, "b"), (4, "a")])));
    assert!(missing.ends_with("The specified partition does not exist"), "{missing}");
    assert_eq!(new.rows("SELECT id FROM t ORDER BY id"), ["1", "2"]);
    let child = "COPY t_a (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv, ON_CONFLICT update)";
    let wrong = outcome(&raw.copy(child, b"5,b\n"));
    assert!(wrong.contains("violates partition constraint"), "{wrong}");
}

#[test]
fn money_and_types_outside_of_fixed_plans_are_refused() {
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, name text, price money); \
               CREATE TABLE u (id int8 PRIMARY KEY, name text, tag uuid)";
    let world = world("stream_types", Options::default(), sql);
    let mut raw = Raw::connect(&world);
    assert_eq!(outcome(&raw.copy(BINARY, &binary(&[(1, "a")]))), "0A000 Could not generate fixed plan");
    let with = |columns: &str| {
        format!("COPY u ({columns}) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv, ON_CONFLICT update)")
    };
    let uuid = b"1,00000000-0000-0000-0000-000000000000\n";
    assert_eq!(outcome(&raw.copy(&with("id, tag"), uuid)), "0A000 Could not generate fixed plan");
    assert_eq!(outcome(&raw.copy(&with("id, name"), b"1,a\n")), "COPY 1");
    assert!(outcome(&raw.copy(&with("name, tag"), b"")).contains("fixed plan"));
}

#[test]
fn a_million_rows_take_seconds() {
    let world = world("stream_speed", Options::default(), "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let clock = Instant::now();
    let mut raw = Raw::connect(&world);
    for stream in 0..100 {
        let rows: Vec<(i64, &str)> = (0..10_000).map(|row| (stream * 10_000 + row, "some text")).collect();
        let data = binary(&rows);
        raw.send(b'Q', format!("{BINARY}\0").as_bytes());
        assert_eq!(raw.read().0, b'G');
        for part in data.chunks(64 * 1024) {
            raw.send(b'd', part);
        }
        raw.send(b'c', b"");
        assert_eq!(outcome(&raw.answers()), "COPY 10000");
    }
    let took = clock.elapsed();
    // Figures for whoever runs the tests with `--nocapture`; a closed standard error fails no test.
    let _ = writeln!(std::io::stderr(), "1,000,000 rows in {took:?}");
    assert_eq!(world.db.count("t"), 1_000_000);
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_stream_takes_little_memory() {
    let world = world("stream_memory", Options::default(), "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let mut raw = Raw::connect(&world);
    raw.send(b'Q', format!("{BINARY}\0").as_bytes());
    assert_eq!(raw.read().0, b'G');
    let name = "x".repeat(4000);
    raw.send(b'd', &binary(&[]));
    for id in 0..50_000 {
        // Without the header, which every call makes anew.
        raw.send(b'd', &binary(&[(id, &name)])[19..]);
    }
    raw.send(b'c', b"");
    assert_eq!(outcome(&raw.answers()), "COPY 50000");
    // The stand-in runs inside of this process.
    let status = std::fs::read_to_string("/proc/self/status").expect("this process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak_kib < 100 * 1024, "{peak_kib} KiB at the peak, for 200 MB of rows");
}
