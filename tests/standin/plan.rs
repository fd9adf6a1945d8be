//! INSERT: what runs as a Fixed Plan, what as an ordinary one, and what not at all.

use crate::support::standin::Options;
use crate::world::{World, assert_said, world};

const TABLES: &str = "\
    CREATE TABLE t (id int8 PRIMARY KEY, name text, n int4, at timestamptz); \
    CREATE TABLE d (id int8 PRIMARY KEY, name text DEFAULT 'x'); \
    CREATE TABLE m (id int8 PRIMARY KEY, price money); \
    CREATE TABLE u (id int8 PRIMARY KEY, tag uuid, name text); \
    CREATE TABLE p (id int8, part text, n int4, PRIMARY KEY (id, part)) PARTITION BY LIST (part); \
    CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a')";

const ONE_SET: &str = "Build desc failed: Currently, Hologres can support just one set-returned function";
const PARENT: &str = "Feature not supported: insert into parent table";
const UN_UNIQUE: &str = "Feature not supported: INSERT on conflict contains un-unique column";

fn tables(name: &str) -> World {
    world(name, Options::default(), TABLES)
}

#[tokio::test]
async fn unnest_upserts_that_qualify() {
    let world = tables("plan_unnest");
    let client = world.client().await;
    let insert = "INSERT INTO public.t AS old (id, name, n) SELECT unnest($1::int8[]), unnest($2::text[]), unnest($3::int4[])";
    let plain = "ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = excluded.n";
    let (ids, names, numbers) = (vec![1_i64, 2], vec!["a", "b"], vec![10_i32, 20]);
    for tail in [
        "",
        "ON CONFLICT DO NOTHING",
        plain,
        "ON CONFLICT (id) DO UPDATE SET id = excluded.id, name = excluded.name",
        &format!("{plain} WHERE old.n < excluded.n"),
        &format!("{plain} WHERE coalesce(old.n, 0) <= coalesce(excluded.n, 0)"),
        &format!("{plain} WHERE (excluded.n >= old.n)"),
        &format!("{plain} WHERE old.n IS NOT NULL"),
    ] {
        world.db.run("TRUNCATE t");
        let written = client.execute(&format!("{insert} {tail}"), &[&ids, &names, &numbers]).await;
        assert_eq!(written.expect(tail), 2, "{tail}");
    }
    let older = vec![5_i32, 30];
    let upsert = format!("{insert} {plain} WHERE old.n < excluded.n");
    client.execute(&upsert, &[&ids, &vec!["old", "new"], &older]).await.expect("written");
    assert_eq!(world.rows("SELECT id, name FROM t ORDER BY id"), ["1|a", "2|new"]);
}

#[tokio::test]
async fn text_is_an_exact_cast_for_every_kind_of_text() {
    let sql = "CREATE TABLE v (id int8 PRIMARY KEY, name varchar(3), code char(2))";
    let world = world("plan_text", Options::default(), sql);
    let client = world.client().await;
    for kind in [["text", "text"], ["varchar", "bpchar"]] {
        let [name, code] = kind;
        let sql = format!(
            "INSERT INTO v SELECT unnest($1::int8[]), unnest($2::{name}[]), unnest($3::{code}[]) ON CONFLICT DO NOTHING"
        );
        client.execute(&sql, &[&vec![1_i64], &vec!["abc"], &vec!["de"]]).await.expect(name);
    }
}

#[tokio::test]
async fn unnest_upserts_that_do_not() {
    let world = tables("plan_unqualified");
    let client = world.client().await;
    let insert = "INSERT INTO t AS old (id, name, n) SELECT unnest($1::int8[]), unnest($2::text[]), unnest($3::int4[])";
    for sql in [
        "INSERT INTO t (id, name) SELECT unnest($1::int4[]), unnest($2::text[])",
        "INSERT INTO t (id, name) SELECT unnest($1::int8[]), unnest($2::varchar[])",
        "INSERT INTO t (id, name) SELECT unnest($1), unnest($2::text[])",
        "INSERT INTO t (id, name) SELECT * FROM unnest($1::int8[]), unnest($2::text[])",
        "INSERT INTO m (id, price) SELECT unnest($1::int8[]), unnest($2::money[])",
        "INSERT INTO u (id, tag) SELECT unnest($1::int8[]), unnest($2::uuid[])",
        &format!("{insert} ON CONFLICT (id) DO UPDATE SET name = 'x'"),
        &format!("{insert} ON CONFLICT (id) DO UPDATE SET n = old.n + excluded.n"),
        &format!(
            "{insert} ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE old.n < excluded.n AND old.name <> ''"
        ),
        &format!("{insert} ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE old.id = excluded.id"),
        &format!(
            "{insert} ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE ROW(old.n) IS DISTINCT FROM ROW(excluded.n)"
        ),
    ] {
        assert_said(client.prepare(sql).await, "XX000", ONE_SET);
    }
    let left_out = "INSERT INTO d (id) SELECT unnest($1::int8[])";
    client.execute(left_out, &[&vec![1_i64]]).await.expect("one such function runs as an ordinary plan");
    let changed = "INSERT INTO t AS old (id, n) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET n = excluded.n \
                   WHERE ROW(old.n) IS DISTINCT FROM ROW(excluded.n)";
    client.execute(changed, &[]).await.expect("an ordinary plan");
}

#[tokio::test]
async fn conflicts_name_the_whole_key() {
    let world = tables("plan_conflict");
    let client = world.client().await;
    for sql in [
        "INSERT INTO t (id, name) VALUES (1, 'a') ON CONFLICT (name) DO UPDATE SET name = excluded.name",
        "INSERT INTO t (id, name) VALUES (1, 'a') ON CONFLICT (id, name) DO NOTHING",
        "INSERT INTO p (id, part) VALUES (1, 'a') ON CONFLICT (id) DO NOTHING",
    ] {
        assert_said(client.execute(sql, &[]).await, "0A000", UN_UNIQUE);
        assert_said(client.batch_execute(sql).await, "0A000", UN_UNIQUE);
    }
    let both = "INSERT INTO p (id, part) VALUES (1, 'a') ON CONFLICT (part, id) DO NOTHING";
    assert_eq!(client.execute(both, &[]).await.expect("the whole key"), 1);
    let unsharded = "INSERT INTO t (name) VALUES ('a')";
    assert_said(client.execute(unsharded, &[]).await, "XX000", "shard columns count is no match");
}

#[tokio::test]
async fn a_key_twice_in_one_statement() {
    let world = tables("plan_twice");
    let client = world.client().await;
    let sql = "INSERT INTO t (id, name) SELECT unnest($1::int8[]), unnest($2::text[]) \
               ON CONFLICT (id) DO UPDATE SET name = excluded.name";
    let twice = client.execute(sql, &[&vec![1_i64, 1], &vec!["a", "b"]]).await;
    assert_said(twice, "23505", "Update row with Key");
    client.execute(sql, &[&vec![1_i64, 2], &vec!["a", "b"]]).await.expect("each once");
    let ignored =
        "INSERT INTO t (id, name) SELECT unnest($1::int8[]), unnest($2::text[]) ON CONFLICT DO NOTHING";
    let twice = client.execute(ignored, &[&vec![3_i64, 3], &vec!["a", "b"]]).await;
    assert_said(twice, "23505", "Update row with Key");
    client.execute(ignored, &[&vec![2_i64, 3], &vec!["a", "b"]]).await.expect("each once");
}

#[tokio::test]
async fn several_rows_are_not_atomic() {
    let world = tables("plan_partial");
    world.db.run("ALTER TABLE t ADD CHECK (n < 100)");
    let client = world.client().await;
    let sql = "INSERT INTO t (id, n) SELECT unnest($1::int8[]), unnest($2::int4[]) ON CONFLICT DO NOTHING";
    let late = client.execute(sql, &[&vec![1_i64, 2, 3, 4], &vec![1_i32, 2, 3, 400]]).await;
    assert_said(late, "23514", "check constraint");
    assert_eq!(world.rows("SELECT id FROM t ORDER BY id"), ["1", "2"], "some were written");
    let early = client.execute(sql, &[&vec![5_i64, 6], &vec![500_i32, 6]]).await;
    assert_said(early, "23514", "check constraint");
    assert_eq!(world.db.count("t"), 2, "or none");
    assert_eq!(client.execute(sql, &[&vec![5_i64, 6], &vec![5_i32, 6]]).await.expect("usable"), 2);
}

#[tokio::test]
async fn parents_take_fixed_plans_alone() {
    let world = tables("plan_parent");
    let client = world.client().await;
    let fixed = "INSERT INTO p (id, part, n) VALUES ($1, $2, 3), ($3, $4, 4) \
                 ON CONFLICT (id, part) DO UPDATE SET n = excluded.n";
    assert_eq!(client.execute(fixed, &[&1_i64, &"a", &2_i64, &"a"]).await.expect("a Fixed Plan"), 2);
    let missing = client.execute(fixed, &[&1_i64, &"a", &2_i64, &"b"]).await;
    assert_said(missing, "XX000", "The specified partition does not exist");
    for sql in [
        "INSERT INTO p (id, part) SELECT id, 'a' FROM t",
        "INSERT INTO p AS old (id, part, n) VALUES (1, 'a', 1) ON CONFLICT (id, part) DO UPDATE SET n = old.n + 1",
    ] {
        assert_said(client.execute(sql, &[]).await, "0A000", PARENT);
    }
    client
        .execute("INSERT INTO p_a (id, part) SELECT id, 'a' FROM t", &[])
        .await
        .expect("a child takes them");
}

/// By the whole key, one row or several by OR as the vendor's client has it; not through a parent, not by arrays.
#[tokio::test]
async fn deletions_by_key() {
    let world = tables("plan_delete");
    world.db.run(
        "INSERT INTO t (id) SELECT generate_series(1, 9); INSERT INTO p VALUES (1, 'a', 1), (2, 'a', 2)",
    );
    let client = world.client().await;
    let light = world.connect(world.config().options("type=fixed ")).await.expect("a light connection");
    for (sql, ids) in [
        ("DELETE FROM t WHERE id = $1", &[1_i64][..]),
        ("DELETE FROM public.t WHERE (\"id\" = $1)", &[2]),
        ("DELETE FROM t WHERE (id = $1) OR (id = $2)", &[3, 4]),
    ] {
        let ids: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = ids.iter().map(|id| id as _).collect();
        assert_eq!(light.execute(sql, &ids).await.expect(sql), ids.len() as u64, "{sql}");
    }
    let child = "DELETE FROM p_a WHERE (id = $1 AND part = $2)";
    assert_eq!(light.execute(child, &[&1_i64, &"a"]).await.expect(child), 1);
    for sql in [
        "DELETE FROM t",
        "DELETE FROM t WHERE id > 4",
        "DELETE FROM t WHERE name = 'a'",
        "DELETE FROM t WHERE id = 5 AND name = 'a'",
        "DELETE FROM t WHERE id = 5 OR name = 'a'",
        "DELETE FROM p_a WHERE id = 2",
    ] {
        assert_said(light.batch_execute(sql).await, "0A000", "Could not generate fixed plan");
    }
    assert_eq!(client.execute("DELETE FROM t WHERE id > 7", &[]).await.expect("an ordinary plan"), 2);
    let parent = "DELETE FROM p WHERE id = 2 AND part = 'a'";
    assert_said(client.batch_execute(parent).await, "0A000", "delete from parent table");
    let arrays = "DELETE FROM t USING (SELECT unnest($1::int8[]) AS id, unnest($2::int4[]) AS n) AS gone \
                  WHERE t.id = gone.id AND t.n = gone.n";
    assert_said(client.prepare(arrays).await, "XX000", ONE_SET);
    client
        .batch_execute("SET hg_experimental_enable_fixed_dispatcher_affected_rows = off")
        .await
        .expect("kept");
    assert_eq!(
        client.execute("DELETE FROM t WHERE id = $1", &[&5_i64]).await.expect("deleted"),
        0,
        "not told"
    );
    assert_eq!(world.rows("SELECT id FROM t"), ["6", "7"]);
}

#[tokio::test]
async fn light_connections_take_fixed_plans_alone() {
    let world = tables("plan_light");
    // holo-client writes the space.
    let client = world.connect(world.config().options("type=fixed ")).await.expect("a light connection");
    let insert =
        "INSERT INTO t (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name";
    assert_eq!(client.execute(insert, &[&1_i64, &"a"]).await.expect("a Fixed Plan"), 1);
    for sql in [
        "SET timezone = 'UTC'",
        "set hg_experimental_enable_fixed_dispatcher = on",
        "SELECT count(*) FROM t",
        "CREATE TABLE x (id int8)",
        "INSERT INTO t (id, name) SELECT id + 1, name FROM t",
    ] {
        assert_said(client.batch_execute(sql).await, "0A000", "Could not generate fixed plan");
    }
    // What the vendor's clients put there.
    let unnest = "INSERT INTO t (id, name) SELECT unnest($1::int8[]), unnest($2::text[])";
    assert_eq!(client.execute(unnest, &[&vec![2_i64, 3], &vec!["a", "b"]]).await.expect("a Fixed Plan"), 2);
    let found =
        client.query("SELECT name FROM t WHERE id = $1", &[&3_i64]).await.expect("a key is looked up");
    assert_eq!(found[0].get::<_, String>(0), "b");
    let stream = "COPY t (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT csv, ON_CONFLICT update)";
    assert_eq!(crate::world::copy(&client, stream, "1,b\n").await.expect("since V3.1"), 1);
}
