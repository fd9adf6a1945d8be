//! Statements and transactions that Hologres does not take, each with what it says.

use crate::support::standin::{Options, Profile};
use crate::world::{TABLE, assert_said, copy, profile, world};

const INSERT: &str = "INSERT INTO t (id, name) VALUES (1, 'a')";

#[tokio::test]
async fn writes_in_a_transaction() {
    let world = world("refused_transaction", Options::default(), TABLE);
    let client = world.client().await;
    for (sql, name) in [
        (INSERT, "INSERT"),
        ("UPDATE t SET name = 'b' WHERE id = 1", "UPDATE"),
        ("DELETE FROM t WHERE id = 1", "DELETE"),
    ] {
        let text = format!("{name} in transaction is not supported now");
        client.batch_execute("BEGIN").await.expect("begun");
        assert_said(client.batch_execute(sql).await, "0A000", &text);
        assert_said(client.batch_execute("SELECT 1").await, "25P02", "aborted");
        client.batch_execute("ROLLBACK").await.expect("ended");
        client.batch_execute("BEGIN").await.expect("begun");
        assert_said(client.execute(sql, &[]).await, "0A000", &text);
        assert_said(client.execute("SELECT 1", &[]).await, "25P02", "aborted");
        client.batch_execute("ROLLBACK").await.expect("ended");
        assert_said(client.batch_execute(&format!("BEGIN; {sql}; COMMIT")).await, "0A000", &text);
        client.batch_execute("ROLLBACK").await.expect("ended");
    }
    client.batch_execute("BEGIN").await.expect("begun");
    let stream = "COPY t (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv)";
    assert_said(copy(&client, stream, "1,a\n").await, "0A000", "COPY in transaction is not supported now");
    assert_eq!(world.db.count("t"), 0);
    // tokio-postgres does not survive a COPY that is refused when it is executed; it is the same on PostgreSQL.
    assert!(client.batch_execute("ROLLBACK").await.is_err());
    let direct = world.db.client().await;
    assert_said(copy(&direct, "COPY nowhere FROM STDIN", "1,a\n").await, "42P01", "nowhere");
    assert!(direct.batch_execute("SELECT 1").await.is_err());
}

#[tokio::test]
async fn unless_the_session_asks_for_it() {
    let world = world("refused_enabled", Options::default(), TABLE);
    let client = world.client().await;
    client.batch_execute("SET hg_experimental_enable_transaction = on").await.expect("kept");
    client.batch_execute("BEGIN").await.expect("begun");
    client.execute("INSERT INTO t (id, name) VALUES ($1, 'a')", &[&1_i64]).await.expect("written");
    client.batch_execute("INSERT INTO t (id, name) VALUES (2, 'b')").await.expect("written");
    let lock = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode = 'ExclusiveLock'";
    assert_eq!(world.db.value(lock).as_deref(), Some("1"), "the table is locked as a whole");
    assert_said(client.batch_execute("CREATE TABLE u (id int8)").await, "0A000", "not supported now");
    client.batch_execute("ROLLBACK").await.expect("ended");
    client.batch_execute("BEGIN; CREATE TABLE u (id int8)").await.expect("defined");
    assert_said(
        client.batch_execute(INSERT).await,
        "0A000",
        "INSERT in ddl transaction is not supported now",
    );
    client.batch_execute("ROLLBACK").await.expect("ended");
    client.batch_execute(&format!("BEGIN; {INSERT}; COMMIT")).await.expect("committed");
    assert_eq!(world.db.count("t"), 1);
}

#[tokio::test]
async fn definitions_and_writes_in_one_text() {
    let world = world("refused_mixed", Options::default(), TABLE);
    let client = world.client().await;
    let mixed = format!("CREATE TABLE u (id int8); {INSERT}");
    assert_said(client.batch_execute(&mixed).await, "0A000", "in ddl transaction is not supported now");
    let twice = format!("{INSERT}; INSERT INTO t (id) VALUES (2)");
    assert_said(client.batch_execute(&twice).await, "0A000", "in transaction is not supported now");
    let settings =
        format!("SET timezone = 'UTC'; set hg_experimental_enable_fixed_dispatcher=on; {INSERT}; SELECT 1");
    client.batch_execute(&settings).await.expect("taken");
    assert_eq!(world.rows("SELECT id FROM t"), ["1"]);
}

#[tokio::test]
async fn what_hologres_lacks() {
    let world = world("refused_lacking", Options::default(), TABLE);
    let client = world.client().await;
    for (sql, code, text) in [
        ("CREATE TEMP TABLE x (id int8)", "0A000", "TEMPORARY"),
        ("CREATE TEMPORARY TABLE x AS SELECT 1 AS a", "0A000", "TEMPORARY"),
        ("MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN DO NOTHING", "42601", "merge"),
        ("SELECT id INTO u FROM t", "0A000", "SELECT INTO"),
        ("WITH x AS (INSERT INTO t (id) VALUES (1) RETURNING id) SELECT * FROM x", "0A000", "WITH"),
        ("SAVEPOINT a", "0A000", "SAVEPOINT"),
        ("SELECT pg_try_advisory_lock(1)", "0A000", "advisory"),
        ("SELECT * FROM t FOR UPDATE", "0A000", "FOR UPDATE"),
        ("UPDATE t SET id = 2 WHERE id = 1", "0A000", "Feature not supported: UPDATE with shard keys"),
    ] {
        assert_said(client.batch_execute(sql).await, code, text);
        assert_said(client.prepare(sql).await, code, text);
        client.execute("SELECT 1", &[]).await.expect("the connection stays usable");
    }
    let none: [i64; 0] = [];
    client
        .execute("SELECT 1 WHERE 1 = ANY ($1::int8[])", &[&none.as_slice()])
        .await
        .expect("ordinary statements pass");
}

#[tokio::test]
async fn long_texts_and_many_parameters() {
    let world = world("refused_long", Options::default(), TABLE);
    let client = world.client().await;
    let long = |length: usize| format!("SELECT '{}'", "x".repeat(length - 9));
    client.batch_execute(&long(102_400)).await.expect("just short enough");
    let text = "query length 102401 exceeded the maximum 102400";
    assert_said(client.batch_execute(&long(102_401)).await, "XX000", text);
    assert_said(client.prepare(&long(102_401)).await, "XX000", text);
    assert_said(client.prepare("SELECT $32768::int8").await, "54000", "32767 parameters");
}

#[tokio::test]
async fn by_version() {
    let attgenerated = "SELECT a.attname, a.attgenerated, a.attgenerated::text FROM pg_catalog.pg_attribute a \
                        WHERE a.attrelid = 't'::regclass AND a.attgenerated = '' AND a.attnum > 0";
    // As holo-client asks for it, of new servers and of old ones.
    let of_new = "SELECT attname, nullif(a.attgenerated, '') as attgenerated FROM pg_attribute a \
                  WHERE attrelid = 't'::regclass AND attnum > 0";
    let of_old = "SELECT attname, null as attgenerated FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    let returning = "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO NOTHING RETURNING id";
    for version in [Profile::V2_2, Profile::V3_1, Profile::V4_1] {
        let world = world("refused_version", profile(version), TABLE);
        let client = world.client().await;
        let row = client.query_one("SELECT hg_version()", &[]).await.expect("a version");
        assert!(row.get::<_, String>(0).starts_with(&format!("Hologres {}.", version.release())));
        let columns = client.query(attgenerated, &[]).await;
        if version == Profile::V2_2 {
            assert_said(columns, "42703", "attgenerated");
        } else {
            assert_eq!(columns.expect("the column is there").len(), 3);
            let columns = client.query(of_new, &[]).await.expect("the column is there");
            assert_eq!(columns[0].columns()[1].name(), "attgenerated");
        }
        assert_eq!(client.query(of_old, &[]).await.expect("no column is asked for").len(), 3);
        let returned = client.query(returning, &[]).await;
        if version == Profile::V4_1 {
            assert_eq!(returned.expect("taken").len(), 1);
        } else {
            assert_said(returned, "0A000", "RETURNING");
        }
    }
}

#[tokio::test]
async fn settings_are_kept_or_unknown() {
    let world_new = world("refused_settings", Options::default(), "");
    let client = world_new.client().await;
    client.batch_execute("SET hg_experimental_display_query_id = on; SELECT 1").await.expect("kept");
    client.execute("set HG_computing_resource to 'serverless'", &[]).await.expect("kept");
    let row = client.query_one("SHOW hg_computing_resource", &[]).await.expect("shown");
    assert_eq!(row.get::<_, String>(0), "serverless");
    let kept = [("hg_experimental_display_query_id", "on"), ("hg_computing_resource", "serverless")];
    assert_eq!(world_new.standin.settings(), kept.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(world_new.standin.statements().iter().any(|sql| sql.starts_with("SET hg_experimental_display")));
    let old =
        world("refused_settings_old", Options { keeps_unknown_settings: false, ..Options::default() }, "");
    let client = old.client().await;
    let set = "SET hg_experimental_display_query_id = on";
    let text = "unrecognized configuration parameter \"hg_experimental_display_query_id\"";
    assert_said(client.batch_execute(set).await, "42704", text);
    assert_said(client.execute(set, &[]).await, "42704", text);
    assert_said(client.batch_execute("SHOW hg_nothing").await, "42704", "unrecognized");
}

#[tokio::test]
async fn affected_rows_are_not_counted_when_so_set() {
    let world = world("refused_counts", Options::default(), TABLE);
    let client = world.client().await;
    let off = "SET hg_experimental_enable_fixed_dispatcher_affected_rows=off";
    assert_eq!(client.execute(INSERT, &[]).await.expect("written"), 1);
    client.batch_execute(off).await.expect("kept");
    assert_eq!(client.execute("INSERT INTO t (id) VALUES (2), (3)", &[]).await.expect("written"), 0);
    let stream = "COPY t (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv)";
    assert_eq!(copy(&client, stream, "4,a\n").await.expect("written"), 0);
    assert_eq!(world.db.count("t"), 4);
}
