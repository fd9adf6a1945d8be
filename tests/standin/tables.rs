//! Tables as Hologres defines them.

use crate::support::standin::{Options, Profile};
use crate::world::{TABLE, assert_said, copy, profile, world};

#[tokio::test]
async fn the_statements_of_the_article() {
    let world = world("tables_article", profile(Profile::V2_2), "");
    let client = world.client().await;
    let define = "BEGIN; CREATE TABLE t (id bigint NOT NULL, name text, PRIMARY KEY (id)); \
                  CALL set_table_property('t', 'orientation', 'column'); \
                  CALL SET_TABLE_PROPERTY('public.t', 'distribution_key', 'id'); COMMIT;";
    client.batch_execute(define).await.expect("defined");
    let properties = "SELECT property_value FROM hologres.hg_table_properties \
                      WHERE table_namespace = 'public' AND table_name = 't' AND property_key = ";
    assert_eq!(world.rows(&format!("{properties} 'orientation'")), ["column"]);
    assert_eq!(world.rows(&format!("{properties} 'distribution_key'")), ["id"]);
    let late = "CALL set_table_property('t', 'orientation', 'row')";
    assert_said(client.batch_execute(late).await, "0A000", "not in the same transaction");
    client
        .batch_execute("CALL set_table_property('t', 'time_to_live_in_seconds', '86400')")
        .await
        .expect("any time");
    let outside = "BEGIN; CREATE TABLE x (id int8 PRIMARY KEY, a text); CALL set_table_property('x', 'distribution_key', 'a')";
    assert_said(client.batch_execute(outside).await, "42P16", "subset of the primary key");
}

#[tokio::test]
async fn properties_with_the_table() {
    let world = world("tables_with", Options::default(), "");
    let client = world.client().await;
    let define = "CREATE TABLE \"T x\" (id int8, \"with\" text, PRIMARY KEY (id)) \
                  WITH (orientation = 'row,column', distribution_key='id', binlog_level = 'replica')";
    client.batch_execute(define).await.expect("defined");
    client.execute("CREATE TABLE s (id int8) WITH (orientation = 'column')", &[]).await.expect("defined");
    assert_eq!(
        world.rows("SELECT table_name, property_value FROM hologres.hg_table_properties WHERE property_key = 'orientation' ORDER BY 1"),
        ["T x|row,column", "s|column"]
    );
    let unknown = "CREATE TABLE v (id int8) WITH (orientation = 'column', sparkle = 'on')";
    assert_said(client.batch_execute(unknown).await, "22023", "unrecognized parameter \"sparkle\"");
    client.batch_execute("DROP TABLE IF EXISTS s FORCE").await.expect("since V3.1");
    client.batch_execute("CALL HG_CREATE_TABLE_LIKE('tmp', 'select * from \"T x\"')").await.expect("defined");
    client
        .batch_execute("BEGIN; DROP TABLE \"T x\"; ALTER TABLE tmp RENAME TO \"T x\"; COMMIT")
        .await
        .expect("swapped");
    assert_eq!(world.db.count("\"T x\""), 0);
}

/// A copy of a table is one of its columns alone, unless the setting says otherwise.
#[tokio::test]
async fn a_table_like_another_one() {
    let world = world("tables_like", Options::default(), "");
    let client = world.client().await;
    let define = "BEGIN; CREATE TABLE t (id int8, name text NOT NULL DEFAULT 'x', PRIMARY KEY (id)); \
                  CALL set_table_property('t', 'orientation', 'row'); COMMIT";
    client.batch_execute(define).await.expect("defined");
    client.batch_execute("INSERT INTO t VALUES (1, 'a')").await.expect("written");
    let of = |table: &str| {
        world.rows(&format!(
            "SELECT count(*), (SELECT count(*) FROM pg_index WHERE indrelid = '{table}'::regclass AND indisprimary), \
             (SELECT property_value FROM hologres.hg_table_properties WHERE table_name = '{table}' AND property_key = 'orientation') \
             FROM {table}"
        ))
    };
    client.batch_execute("CALL HG_CREATE_TABLE_LIKE('bare', 'select * from t')").await.expect("defined");
    assert_eq!(of("bare"), ["0|0|column"]);
    let setting = "SET hg_experimental_enable_create_table_like_properties = on";
    client.batch_execute(setting).await.expect("set");
    client
        .batch_execute("CALL HG_CREATE_TABLE_LIKE('public.whole', 'select * from \"public\".\"t\"')")
        .await
        .expect("defined");
    assert_eq!(of("whole"), ["0|1|row"]);
    let joined = "CALL HG_CREATE_TABLE_LIKE('part', 'select id from t')";
    assert_said(client.batch_execute(joined).await, "0A000", "create table like");
}

#[tokio::test]
async fn rows_are_deleted_in_partitions_alone() {
    let sql = "CREATE TABLE p (id int8, ds text, PRIMARY KEY (id, ds)) PARTITION BY LIST (ds); \
               CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a'); INSERT INTO p VALUES (1, 'a'), (2, 'a')";
    let world = world("tables_delete", Options::default(), sql);
    let client = world.client().await;
    for table in ["p", "public.p", "\"public\".\"p\""] {
        let deleted = client.batch_execute(&format!("DELETE FROM {table} WHERE id = 1")).await;
        assert_said(deleted, "0A000", "delete from parent table");
    }
    client.batch_execute("DELETE FROM p_a WHERE id = 1").await.expect("deleted");
    let in_transaction = client.batch_execute("BEGIN; DELETE FROM p_a WHERE id = 2; COMMIT").await;
    assert_said(in_transaction, "0A000", "DELETE in transaction is not supported now");
    assert_eq!(world.rows("SELECT id FROM p"), ["2"]);
}

#[tokio::test]
async fn definitions_that_are_refused() {
    let world = world("tables_refused", Options::default(), "");
    let client = world.client().await;
    for (sql, text) in [
        ("CREATE TABLE x (id int8, n numeric)", "invalid definition of a numeric type"),
        ("CREATE TABLE x (id float8 PRIMARY KEY)", "primary key"),
        ("CREATE TABLE x (id numeric(10, 2) PRIMARY KEY)", "primary key"),
        ("CREATE TABLE x (a int8, id jsonb, PRIMARY KEY (a, id))", "primary key"),
        ("CREATE TABLE x (id text[] PRIMARY KEY)", "primary key"),
        ("CREATE TABLE x (id int8) PARTITION BY RANGE (id)", "LIST"),
        ("CREATE TABLE x (id int8) PARTITION BY HASH (id)", "LIST"),
    ] {
        let error = client.batch_execute(sql).await.expect_err(sql);
        let message = error.as_db_error().expect("the server's").message();
        assert!(message.contains(text), "{sql}: {message}");
    }
    client.batch_execute("CREATE TABLE x (id date PRIMARY KEY, n numeric(38, 10))").await.expect("taken");
    assert!(client.batch_execute("ALTER TABLE x ADD COLUMN m numeric").await.is_err());
}

#[tokio::test]
async fn times_keep_milliseconds_and_the_zone_is_chinas() {
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, at timestamptz, \"On\" timestamp)";
    let world = world("tables_times", Options::default(), sql);
    let client = world.client().await;
    let row = client.query_one("SHOW timezone", &[]).await.expect("shown");
    assert_eq!(row.get::<_, String>(0), "PRC");
    let stream = "COPY t FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv, ON_CONFLICT update)";
    let noon = "2024-05-01 12:00:00.123999";
    copy(&client, stream, format!("1,{noon},{noon}\n")).await.expect("written");
    client.batch_execute("SET timezone TO 'Asia/Tokyo'").await.expect("set");
    copy(&client, stream, format!("2,{noon},{noon}\n")).await.expect("written");
    client.batch_execute(&format!("INSERT INTO t VALUES (3, '{noon}+00', '{noon}')")).await.expect("written");
    assert_eq!(
        world.rows("SELECT id, at AT TIME ZONE 'UTC', \"On\" FROM t ORDER BY id"),
        [
            "1|2024-05-01 04:00:00.123|2024-05-01 12:00:00.123999",
            "2|2024-05-01 03:00:00.123|2024-05-01 12:00:00.123999",
            "3|2024-05-01 12:00:00.123|2024-05-01 12:00:00.123999",
        ]
    );
}

#[tokio::test]
async fn what_clients_ask_at_the_start() {
    let world = world("tables_start", Options::default(), TABLE);
    let client = world.client().await;
    for sql in [
        "select hg_version()",
        "select instance_max_connections()",
        "select hologres.hg_internal_refresh_meta(10)",
        "select hologres.hg_internal_check_table_meta('public.t')",
        "select property_value from hologres.hg_table_group_properties where property_key = 'shard_count'",
        "select 1; select 2",
        "ANALYZE t",
        "set hg_experimental_force_sync_replay=on; BEGIN; CREATE TABLE n (id int8); COMMIT; ANALYZE n",
        "",
    ] {
        client.batch_execute(sql).await.expect(sql);
    }
    let key = "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) \
               WHERE i.indisprimary AND i.indrelid = '\"public\".\"t\"'::regclass ORDER BY array_position(i.indkey, a.attnum)";
    assert_eq!(client.query(key, &[]).await.expect("the key").len(), 1);
}
