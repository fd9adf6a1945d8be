//! Snapshots where rows have no transactions: the delete is a statement of its own, a table is swapped by its name.

use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::lab::{Hologres, PROFILES, path, world};
use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::{Fault as S3Fault, On, Put, Stored};
use crate::support::standin::{Fault, Moment, Options, Profile, Standin};
use crate::support::wait_until;
use crate::world::{AMPLE_MS, World, deliver, order_rows, orders, report, status};

const COLUMNS: &str = "src_key: $key, src_seq: $sequencer";
const TABLE: &str = "write: {mode: snapshot, scope: table}";
const DELETE: &str = "DELETE FROM \"public\".\"orders\" WHERE \"src_key\" = $1 AND (";
const SWAP: &str = "RENAME TO";

fn snapshots(name: &str, options: Options) -> (World, Standin) {
    let (world, standin) = world(name, options);
    world.database.run("ALTER TABLE orders ADD COLUMN src_key text");
    world.database.run("ALTER TABLE orders ADD COLUMN src_seq text");
    world.database.run("ALTER TABLE orders ADD COLUMN src_bucket text");
    (world, standin)
}

fn handler_on(world: &World, route: &str) -> RuntimeApi {
    let config = format!("routes: [{{object: '**', table: orders, {route}}}]");
    world.handler_with(&[("HOLOLOAD_TABLE", ""), ("HOLOLOAD_CONFIG", &config)])
}

fn by_object(world: &World) -> RuntimeApi {
    handler_on(world, &format!("columns: {{{COLUMNS}}}, write: {{mode: snapshot, on_removed: delete}}"))
}

fn expire_leases(world: &World) {
    // As time does.
    let expired = "clock_timestamp() - interval '1 s'";
    world.database.query(&format!(
        "UPDATE holoload_fence SET lease_until = {expired}, claimed_at = {expired} - interval '1 min'"
    ));
}

#[track_caller]
fn wait_for(standin: &Standin, contains: &str) {
    let has_come = || standin.statements().iter().any(|sql| sql.contains(contains));
    assert!(wait_until(Duration::from_secs(20), has_come), "{contains}");
}

const ORDERS: [[usize; 4]; 8] = [
    [0, 1, 2, 1],
    [0, 2, 1, 2],
    [1, 0, 2, 0],
    [1, 2, 0, 1],
    [2, 0, 1, 2],
    [2, 1, 0, 2],
    [0, 0, 1, 2],
    [2, 2, 1, 0],
];

#[test]
fn versions_in_any_order_end_with_the_rows_of_the_newest() {
    for profile in PROFILES {
        let (world, standin) = snapshots("snap_orders", Options { profile, ..Options::default() });
        let handler = by_object(&world);
        let beside = world.put("beside.csv", orders(900..=901, "beside"));
        assert_eq!(status(&handler.invoke_json(&beside.event())), "loaded");
        for order in ORDERS {
            let key = format!("{order:?}.csv");
            let mut stored: Vec<Stored> = [(1..=6_u32, "v1"), (4..=9, "v2"), (2..=3, "v3")]
                .map(|(ids, name)| world.put(&key, orders(ids, name)))
                .to_vec();
            for at in order {
                deliver(&handler, &stored[at].event());
            }
            let newest = order_rows(2..=3, "v3").into_iter().chain(order_rows(900..=901, "beside"));
            assert_eq!(world.rows(), newest.collect::<Vec<_>>(), "{order:?} at {profile:?}");
            // Removed, and the removal told in the same order among the puts.
            stored[1] = world.s3.delete(&world.bucket, &key);
            for at in order {
                deliver(&handler, &stored[at].event());
            }
            assert_eq!(world.rows(), order_rows(900..=901, "beside"), "{order:?} at {profile:?}");
            let statuses = world.statuses(&key);
            assert!(statuses.iter().any(|one| one == "deleted"), "{statuses:?}");
        }
        let texts: Vec<String> = standin.statements();
        assert!(!texts.iter().any(|sql| sql.contains("DISTINCT FROM") || sql.contains("COLLATE")));
        world.assert_at_rest();
    }
}

#[test]
fn the_report_does_not_count_what_the_server_does_not_tell() {
    let (world, _standin) = snapshots("snap_report", Options::default());
    let handler = by_object(&world);
    world.put("a.csv", orders(1..=3, "v1"));
    let stored = world.put("a.csv", orders(3..=4, "v2"));
    let report = report(handler.invoke_json(&stored.event()));
    assert_eq!((path(&report), &report["deleted_count"]), (("fixed_copy", false), &Value::Null));
    let gone = deliver(&handler, &world.s3.delete(&world.bucket, "a.csv").event());
    assert_eq!(
        (&gone["status"], &gone["reason"], &gone["deleted_count"]),
        (&json!("deleted"), &json!("the object was removed: its rows were deleted"), &Value::Null)
    );
    assert_eq!(world.rows(), [""; 0]);
}

/// Cut off before the delete, after it, or at it for as long as the invocation lasts.
#[test]
fn a_load_that_is_cut_off_at_its_delete_is_mended() {
    let (world, standin) = snapshots("snap_cut", Options::default());
    let handler = by_object(&world);
    for (number, moment) in
        [Moment::Before, Moment::After, Moment::Before, Moment::After].into_iter().enumerate()
    {
        let first = if number % 2 == 0 { 1..=6_u32 } else { 4..=9 };
        let stored = world.put("a.csv", orders(first.clone(), &format!("v{number}")));
        let times = if number < 2 { 1 } else { u32::MAX };
        standin.inject(Fault::CutAtStatement { sql_contains: DELETE.to_owned(), moment, skip: 0, times });
        let payload = serde_json::to_vec(&stored.event()).expect("JSON");
        let outcome = handler.invoke(&payload, AMPLE_MS);
        assert_eq!(status(&outcome), if number < 2 { "loaded" } else { "failed" }, "{outcome:?}");
        standin.clear_faults();
        deliver(&handler, &stored.event());
        assert_eq!(world.rows(), order_rows(first, &format!("v{number}")), "{moment:?}");
    }
    world.assert_at_rest();
}

/// Killed between the last batch and the delete.
#[test]
fn a_load_that_is_killed_at_its_delete_is_mended() {
    let (world, standin) = snapshots("snap_killed", Options::default());
    let (first, second) = (by_object(&world), by_object(&world));
    let older = world.put("a.csv", orders(1..=6, "older"));
    assert_eq!(status(&second.invoke_json(&older.event())), "loaded");
    let newer = world.put("a.csv", orders(4..=9, "newer"));
    standin.inject(Fault::Hold { sql_contains: DELETE.to_owned() });
    let before = standin.statements().iter().filter(|sql| sql.contains("COPY")).count();
    thread::scope(|scope| {
        let dying = scope.spawn(|| first.invoke_json(&newer.event()));
        let is_written = || {
            let copies = standin.statements().iter().filter(|sql| sql.contains("COPY")).count();
            copies > before && world.database.count("orders WHERE name = 'newer'") == 6
        };
        assert!(wait_until(Duration::from_secs(20), is_written));
        first.kill();
        drop(dying.join());
    });
    assert_eq!(world.database.count("orders WHERE name = 'older'"), 3, "rows of both versions are there");
    standin.clear_faults();
    expire_leases(&world);
    assert_eq!(status(&second.invoke_json(&newer.event())), "loaded");
    assert_eq!(world.rows(), order_rows(4..=9, "newer"));
}

/// Rows of a version that was killed half-way go with the next load, whatever version that is of.
#[test]
fn parts_of_a_version_go_with_the_next_load() {
    for by_hand in [false, true] {
        let (world, standin) = snapshots("snap_part", Options::default());
        let (first, second) = (by_object(&world), by_object(&world));
        let older = world.put("a.csv", orders(1..=25_000, "older"));
        standin.inject(Fault::CutCopyAfterRows { rows: 10_001, times: u32::MAX });
        thread::scope(|scope| {
            let dying = scope.spawn(|| first.invoke_json(&older.event()));
            assert!(wait_until(Duration::from_secs(20), || world.database.count("orders") >= 10_000));
            first.kill();
            drop(dying.join());
        });
        standin.clear_faults();
        expire_leases(&world);
        let newer = world.put("a.csv", orders(1..=5, "newer"));
        if by_hand {
            let asked = json!({"s3": newer.address()});
            assert_eq!(deliver(&second, &asked)["status"], "loaded");
            assert_eq!(world.rows(), order_rows(1..=5, "newer"));
        }
        assert_eq!(deliver(&second, &newer.event())["status"], if by_hand { "skipped" } else { "loaded" });
        assert_eq!(world.rows(), order_rows(1..=5, "newer"), "by hand: {by_hand}");
        assert_eq!(deliver(&second, &older.event())["status"], "superseded");
    }
}

/// A delete that hangs for longer than its lease does not touch what a newer version has written meanwhile.
#[test]
fn a_late_delete_spares_what_is_newer() {
    let (world, standin) = snapshots("snap_late", Options::default());
    let first = by_object(&world);
    let route = format!("columns: {{{COLUMNS}, src_bucket: $bucket}}, write: {{mode: snapshot}}");
    let second = handler_on(&world, &route);
    let older = world.put("a.csv", orders(1..=6, "older"));
    standin.inject(Fault::Hold { sql_contains: DELETE.to_owned() });
    thread::scope(|scope| {
        let late = scope.spawn(|| first.invoke_json(&older.event()));
        let is_written = || world.database.count("orders WHERE name = 'older'") == 6;
        assert!(wait_until(Duration::from_secs(20), is_written));
        wait_for(&standin, DELETE);
        expire_leases(&world);
        world.database.query("UPDATE orders SET src_bucket = (SELECT max(bucket) FROM holoload_fence)");
        let newer = world.put("a.csv", orders(4..=9, "newer"));
        assert_eq!(deliver(&second, &newer.event())["status"], "loaded");
        assert_eq!(world.rows(), order_rows(4..=9, "newer"));
        standin.clear_faults();
        assert_eq!(status(&late.join().expect("answered")), "superseded");
    });
    assert_eq!(world.rows(), order_rows(4..=9, "newer"));
}

/// A removal speaks of an older version while the newest one's put is still to come: it claims nothing.
#[test]
fn a_removal_of_what_is_there_keeps_nothing_out() {
    let (world, _standin) = snapshots("snap_there", Options::default());
    let handler = by_object(&world);
    let (first, second) = (world.put("a.csv", orders(1..=2, "v1")), world.put("a.csv", orders(2..=3, "v2")));
    let mut event = first.event();
    event["Records"][0]["eventName"] = "ObjectRemoved:Delete".into();
    event["Records"][0]["s3"]["object"]["sequencer"] = format!("{}F", second.sequencer).into();
    assert_eq!(status(&handler.invoke_json(&event)), "superseded");
    assert_eq!(status(&handler.invoke_json(&second.event())), "loaded");
    assert_eq!(world.rows(), order_rows(2..=3, "v2"));
    world.assert_at_rest();
}

#[test]
fn partitions_are_cleared_one_by_one() {
    let sql = "CREATE TABLE t (id int8, ds text, src_key text, src_seq text, PRIMARY KEY (id, ds)) PARTITION BY LIST (ds); \
               CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b')";
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "snap_parts", sql);
        let route = format!("columns: {{{COLUMNS}}}, write: {{mode: snapshot}}");
        hologres.load_with(&route, "id,ds\n1,a\n2,a\n3,b\n4,b\n").run().loaded();
        hologres.load_with(&route, "id,ds\n2,a\n3,b\n5,b\n").argument("--force").run().loaded();
        assert_eq!(hologres.rows("SELECT id, ds FROM t ORDER BY id"), ["2|a", "3|b", "5|b"], "{profile:?}");
        hologres.assert_nothing_forbidden();
        let report = hologres.load_with(TABLE, "id,ds\n1,a\n").run();
        report.failed(2, "is partitioned: Hologres cannot put another one in its place", "scope: object");
    }
}

const KEPT: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text NOT NULL DEFAULT 'none', at timestamptz, note varchar(9))";

#[test]
fn a_table_is_swapped_for_one_like_it() {
    for profile in PROFILES {
        for extended_copy in [true, false] {
            let hologres = Hologres::of(profile, extended_copy, "snap_swap", KEPT);
            hologres.db.run("INSERT INTO t (id, note) VALUES (7, 'old')");
            hologres.db.run("GRANT SELECT, INSERT ON t TO PUBLIC");
            hologres.db.run("CALL set_table_property('t', 'time_to_live_in_seconds', '86400')");
            let grants = "SELECT relacl FROM pg_class WHERE relname = 't'";
            let (acl, old) = (hologres.rows(grants), hologres.rows("SELECT 't'::regclass::oid"));
            for round in 0..2 {
                let text = format!("id,name\n1,a\n2,b\n2,c{round}\n");
                let report = hologres.load_with(TABLE, text).argument("--force").run().loaded();
                assert_eq!((&report["atomic"], &report["deleted_count"]), (&true.into(), &Value::Null));
                assert_eq!(
                    hologres.rows("SELECT * FROM t ORDER BY id"),
                    ["1|a|NULL|NULL".to_owned(), format!("2|c{round}|NULL|NULL")]
                );
            }
            assert_ne!(hologres.rows("SELECT 't'::regclass::oid"), old, "another table");
            assert_eq!(hologres.rows(grants), acl);
            let property = "SELECT property_value FROM hologres.hg_table_properties WHERE table_name = 't' AND property_key = ";
            assert_eq!(hologres.rows(&format!("{property} 'time_to_live_in_seconds'")), ["86400"]);
            assert_eq!(hologres.rows(&format!("{property} 'distribution_key'")), ["id"]);
            hologres.db.run("INSERT INTO t (id) VALUES (3)");
            assert_eq!(hologres.rows("SELECT name FROM t WHERE id = 3"), ["none"]);
            assert_eq!(
                hologres.db.count("pg_class WHERE relname LIKE 'holoload_stage%' AND relkind = 'r'"),
                0
            );
            hologres.assert_nothing_forbidden();
        }
    }
}

/// A path that the server does not have is refused once, although each load has a stage of its own.
#[test]
fn what_a_server_does_not_have_is_asked_for_once() {
    let (world, standin) = world("snap_refused", Options { extended_copy: false, ..Options::default() });
    let handler = handler_on(&world, TABLE);
    for round in 0..3_u32 {
        let stored = world.put("a.csv", orders(round..=round + 3, "a"));
        let report = report(handler.invoke_json(&stored.event()));
        assert_eq!((&report["status"], path(&report)), (&json!("loaded"), ("unnest", true)));
        assert_eq!(world.rows(), order_rows(round..=round + 3, "a"));
    }
    let copies = standin.statements().iter().filter(|sql| sql.starts_with("COPY")).count();
    assert_eq!(copies, 1);
}

#[test]
fn a_table_that_cannot_be_copied_as_a_whole_is_not_swapped() {
    // Without the setting, or before it, only the columns are copied.
    let options = Options { keeps_unknown_settings: false, ..Options::default() };
    let hologres = Hologres::with("snap_uncopied", KEPT, options);
    hologres.db.run("INSERT INTO t (id) VALUES (7)");
    let report = hologres.load_with(TABLE, "id,name\n1,a\n").run();
    report.failed(
        2,
        "make a table like `public.t`: its copy has another definition of column",
        "scope: object",
    );
    let hologres = Hologres::new("snap_viewed", KEPT);
    hologres.db.run("INSERT INTO t (id) VALUES (7)");
    hologres.db.run("CREATE VIEW v AS SELECT id FROM t");
    let report = hologres.load_with(TABLE, "id,name\n1,a\n").run();
    report.failed(
        2,
        "put the new table in the old one's place",
        "a view or another object depends on the table",
    );
    assert_eq!(hologres.rows("SELECT id FROM t"), ["7"]);
    hologres.assert_gone();
}

#[test]
fn bad_rows_and_empty_files() {
    let hologres = Hologres::new("snap_bad", KEPT);
    hologres.load_with(TABLE, "id,name\n1,a\nx,b\n").run().loaded();
    assert_eq!(hologres.rows("SELECT id FROM t"), ["1"]);
    let report = hologres.load_with(TABLE, "id,name\nx,b\n").argument("--force").run();
    let report = report.failed(1, "every row is bad", "nothing was loaded");
    assert!(!report["warnings"].to_string().contains("stay in the table"), "{report:#}");
    assert_eq!(hologres.rows("SELECT id FROM t"), ["1"]);
    let report = hologres.load_with(TABLE, "id,name\n").argument("--force").run().loaded();
    assert!(report["warnings"].to_string().contains("every row of the table was deleted"), "{report:#}");
    assert_eq!(hologres.db.count("t"), 0);
    assert_eq!(hologres.db.count("pg_class WHERE relname LIKE 'holoload_stage%' AND relkind = 'r'"), 0);
}

fn aged(world: &World, key: &str, text: String, age_s: u64) -> Stored {
    let last_modified = Some(SystemTime::now() - Duration::from_secs(age_s));
    world.s3.put_with(&world.bucket, key, text, Put { last_modified, ..Put::default() })
}

#[test]
fn a_table_ends_as_the_object_that_was_modified_last() {
    let (world, _standin) = world("snap_last", Options { profile: Profile::V2_2, ..Options::default() });
    let handler = handler_on(&world, TABLE);
    for (round, order) in (0_u64..).zip(ORDERS) {
        let age_s = 1_000 - round * 100;
        let stored = [
            aged(&world, &format!("{round}/a.csv"), orders(1..=6, "v1 of a"), age_s),
            aged(&world, &format!("{round}/b.csv"), orders(4..=9, "v1 of b"), age_s - 10),
            aged(&world, &format!("{round}/a.csv"), orders(5..=7, &format!("{round}")), age_s - 20),
        ];
        for at in order {
            deliver(&handler, &stored[at].event());
        }
        assert_eq!(world.rows(), order_rows(5..=7, &format!("{round}")), "{order:?}");
    }
    world.assert_at_rest();
}

/// Cut off at any statement of the swap, or around it: the table is one or the other, and the next delivery mends.
#[test]
fn a_swap_that_is_cut_off_is_mended() {
    let (world, standin) = world("snap_swap_cut", Options::default());
    let handler = handler_on(&world, TABLE);
    let statements =
        ["HG_CREATE_TABLE_LIKE", "COPY", "BEGIN", "DROP TABLE \"public\".\"orders\"", SWAP, "COMMIT"];
    let mut round = 0_u32;
    for sql_contains in statements {
        for moment in [Moment::Before, Moment::After] {
            for times in [1, u32::MAX] {
                round += 1;
                let before = world.rows();
                let stored = world.put("a.csv", orders(round..=round + 4, &format!("v{round}")));
                standin.inject(Fault::CutAtStatement {
                    sql_contains: sql_contains.to_owned(),
                    moment,
                    skip: 0,
                    times,
                });
                let payload = serde_json::to_vec(&stored.event()).expect("JSON");
                let outcome = handler.invoke(&payload, AMPLE_MS);
                let after = order_rows(round..=round + 4, &format!("v{round}"));
                let rows = world.rows();
                assert!(rows == before || rows == after, "{sql_contains} {moment:?}: {rows:?} {outcome:?}");
                standin.clear_faults();
                deliver(&handler, &stored.event());
                assert_eq!(world.rows(), after, "{sql_contains} {moment:?} {times}");
                let left =
                    world.database.count("pg_class WHERE relname LIKE 'holoload_stage%' AND relkind = 'r'");
                assert_eq!(left, 0, "{sql_contains} {moment:?} {times}");
            }
        }
    }
    world.assert_at_rest();
}

/// Killed while the stage fills: what is left of it is found by the next load of the table, of whatever object.
#[test]
fn a_stage_that_was_left_behind_is_replaced() {
    let (world, standin) = world("snap_left", Options::default());
    let (first, second) = (handler_on(&world, TABLE), handler_on(&world, TABLE));
    let stages = "pg_class WHERE relname LIKE 'holoload_stage%' AND relkind = 'r'";
    let older = aged(&world, "a.csv", orders(1..=25_000, "older"), 20);
    standin.inject(Fault::Hold { sql_contains: "COPY".to_owned() });
    thread::scope(|scope| {
        let dying = scope.spawn(|| first.invoke_json(&older.event()));
        wait_for(&standin, "COPY");
        assert_eq!(world.database.count(stages), 1);
        // Another object's load waits for a while, and says so.
        let newer = aged(&world, "b.csv", orders(1..=5, "newer"), 10);
        let (error_type, message) = second.invoke_json(&newer.event()).expect_err();
        assert_eq!(error_type, "Transient", "{message}");
        first.kill();
        drop(dying.join());
        standin.clear_faults();
        expire_leases(&world);
        assert_eq!(deliver(&second, &newer.event())["status"], "loaded");
    });
    assert_eq!(world.rows(), order_rows(1..=5, "newer"));
    assert_eq!(world.database.count(stages), 0);
    // What was killed comes again, and is older by now.
    assert_eq!(deliver(&second, &older.event())["status"], "superseded");
    assert_eq!(world.rows(), order_rows(1..=5, "newer"));
    world.assert_at_rest();
}

/// A load that stalls keeps both claims, on the object and on the table.
#[test]
fn loads_of_one_table_at_once_wait_for_each_other() {
    let (world, _standin) = world("snap_both", Options::default());
    let handlers = [handler_on(&world, TABLE), handler_on(&world, TABLE)];
    for round in 0..3_u32 {
        let age_s = 1_000 - u64::from(round) * 10;
        let first = aged(&world, &format!("{round}-a.csv"), orders(1..=20, "first"), age_s);
        let second =
            aged(&world, &format!("{round}-b.csv"), orders(9..=30, &format!("second {round}")), age_s - 5);
        let stall =
            S3Fault::StallBody { after_bytes: 60, duration: Duration::from_millis(u64::from(round) * 300) };
        world.s3.fail(On::get(&world.bucket, &first.key), stall);
        thread::scope(|scope| {
            let one = scope.spawn(|| deliver(&handlers[0], &first.event()));
            let other = scope.spawn(|| deliver(&handlers[1], &second.event()));
            assert_eq!(other.join().expect("delivered")["status"], "loaded");
            one.join().expect("delivered");
        });
        assert_eq!(world.rows(), order_rows(9..=30, &format!("second {round}")));
    }
    world.assert_at_rest();
}
