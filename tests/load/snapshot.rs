//! `mode: snapshot`: what an object no longer says goes.

use serde_json::Value;

use crate::harness::{Lab, Run, counts, is_older_than_12};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, src_key text, src_seq text)";
const COLUMNS: &str = "columns: {src_key: $key, src_seq: $sequencer}, ";

fn load_as(lab: &Lab, source: &str, route: &str) -> Run {
    let config = format!(
        "rejects: {}\nroutes: [{{object: '**', table: t, {route}}}]",
        lab.folder().join("rejects").display()
    );
    let config = lab.file("c.yml", config);
    lab.load(source).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

fn object(lab: &Lab, key: &str, text: &str) -> Run {
    let address = lab.put(key, text);
    load_as(lab, &address, &format!("{COLUMNS}write: {{mode: snapshot}}"))
}

fn table(lab: &Lab, text: &str) -> Run {
    let path = lab.file("i.csv", text);
    load_as(lab, &path, "write: {mode: snapshot, scope: table}").argument("--force")
}

fn warnings(report: &Value) -> String {
    report["warnings"].to_string()
}

#[test]
fn rows_that_an_object_no_longer_has_go() {
    let lab = Lab::new("snap", TABLE);
    lab.db.run("INSERT INTO t VALUES (100, 'nobody''s', NULL, NULL), (101, 'null', 'a.csv', NULL)");
    object(&lab, "b.csv", "id,name\n7,b\n8,b\n").run().loaded();
    let first = object(&lab, "a.csv", "id,name\n1,x\n2,x\n3,x\n").run().loaded();
    assert_eq!((counts(&first), &first["deleted_count"]), ([3, 3, 0, 0, 0, 0], &1.into()));
    let second = object(&lab, "a.csv", "id,name\n2,x\n3,y\n4,y\n").run().loaded();
    // Rows that stay learn of which version they are.
    assert_eq!((counts(&second), &second["deleted_count"]), ([3, 1, 2, 0, 0, 0], &1.into()));
    let rows = lab.rows("SELECT id, name, src_key FROM t ORDER BY id");
    assert_eq!(rows, ["2|x|a.csv", "3|y|a.csv", "4|y|a.csv", "7|b|b.csv", "8|b|b.csv", "100|nobody's|NULL"]);
    // The same version once more, by force: nothing is touched.
    let places = "SELECT ctid, xmin, id FROM t ORDER BY id";
    let before = lab.rows(places);
    let again = object(&lab, "a.csv", "id,name\n2,x\n3,y\n4,y\n").argument("--force").run().loaded();
    assert_eq!((counts(&again), &again["deleted_count"]), ([3, 0, 0, 3, 0, 0], &0.into()));
    assert_eq!(lab.rows(places), before);
}

/// With a column for the bucket, an object of the same name in another one is another object.
#[test]
fn objects_of_two_buckets_are_told_apart_by_a_column() {
    let lab = Lab::new("snap_bucket", TABLE);
    lab.db.run("ALTER TABLE t ADD src_bucket varchar(80); INSERT INTO t VALUES (9, 'other', 'a.csv', '00', 'elsewhere')");
    let route = "columns: {src_key: $key, src_seq: $sequencer, src_bucket: $bucket}, write: {mode: snapshot}";
    for text in ["id,name\n1,a\n2,a\n", "id,name\n2,b\n"] {
        load_as(&lab, &lab.put("a.csv", text), route).run().loaded();
    }
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["2|b", "9|other"]);
}

/// Keys that a column's collation holds for equal are different objects all the same.
#[test]
fn keys_are_compared_exactly() {
    if is_older_than_12() {
        return;
    }
    let lab = Lab::new(
        "snap_collation",
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE TABLE t (id int8 PRIMARY KEY, name text, src_key text COLLATE nocase, src_seq text COLLATE nocase)",
    );
    object(&lab, "a.csv", "id,name\n1,a\n2,a\n").run().loaded();
    object(&lab, "A.csv", "id,name\n3,A\n").run().loaded();
    object(&lab, "A.csv", "id,name\n4,A\n").run().loaded();
    assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|a", "2|a", "4|A"]);
}

#[test]
fn an_object_without_rows_removes_its_rows_and_says_so() {
    for empty in ["", "id,name\n"] {
        let lab = Lab::new("snap_empty", TABLE);
        object(&lab, "b.csv", "id,name\n7,b\n").run().loaded();
        object(&lab, "a.csv", "id,name\n1,a\n2,a\n").run().loaded();
        let report = object(&lab, "a.csv", empty).run().loaded();
        assert_eq!(report["deleted_count"], 2);
        assert!(
            warnings(&report).contains("every row of what its earlier versions had loaded was deleted"),
            "{report:#}"
        );
        assert_eq!(lab.rows("SELECT id FROM t"), ["7"]);
    }
}

/// A bad row of the new version takes the older one along; too many leave everything as it was.
#[test]
fn bad_rows_keep_nothing_and_too_many_keep_everything() {
    for route in
        [format!("{COLUMNS}write: {{mode: snapshot}}"), "write: {mode: snapshot, scope: table}".to_owned()]
    {
        let lab = Lab::new("snap_bad", TABLE);
        load_as(&lab, &lab.put("a.csv", "id,name\n1,a\n2,a\n3,a\n"), &route).run().loaded();
        let report = load_as(&lab, &lab.put("a.csv", "id,name\n1,b\nx,b\n3,b\n"), &route).run().loaded();
        assert_eq!((&report["reject_count"], &report["deleted_count"]), (&1.into(), &1.into()));
        assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|b", "3|b"]);
        let bad = format!("{route}, bad_rows: {{max: 1}}");
        let report = load_as(&lab, &lab.put("a.csv", "id,name\n5,c\nx,c\ny,c\n"), &bad).run();
        let report = report.failed(1, "more than 1 bad rows", "nothing was loaded");
        assert_eq!(report["deleted_count"], Value::Null);
        let all = load_as(&lab, &lab.put("a.csv", "id,name\nx,c\n"), &route).run();
        all.failed(1, "every row is bad", "nothing was loaded");
        assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|b", "3|b"]);
        lab.assert_gone();
    }
}

#[test]
fn a_dry_run_deletes_nothing() {
    for route in
        [format!("{COLUMNS}write: {{mode: snapshot}}"), "write: {mode: snapshot, scope: table}".to_owned()]
    {
        let lab = Lab::new("snap_dry", TABLE);
        load_as(&lab, &lab.put("a.csv", "id,name\n1,a\n2,a\n"), &route).run().loaded();
        let rows = lab.rows("SELECT * FROM t ORDER BY id");
        let dry = load_as(&lab, &lab.put("a.csv", "id,name\n3,b\n"), &route)
            .argument("--dry-run")
            .run()
            .exits(0)
            .report();
        assert_eq!((&dry["status"], &dry["deleted_count"]), (&"skipped".into(), &Value::Null));
        assert_eq!(lab.rows("SELECT * FROM t ORDER BY id"), rows);
    }
}

/// A row that others refer to cannot go: nothing is loaded then.
#[test]
fn rows_that_others_refer_to_stay_with_all_others() {
    for route in
        [format!("{COLUMNS}write: {{mode: snapshot}}"), "write: {mode: snapshot, scope: table}".to_owned()]
    {
        let lab = Lab::new("snap_fk", TABLE);
        load_as(&lab, &lab.put("a.csv", "id,name\n1,a\n2,a\n"), &route).run().loaded();
        lab.db.run("CREATE TABLE child (id int8 REFERENCES t); INSERT INTO child VALUES (1)");
        // A row that stays may be referred to.
        load_as(&lab, &lab.put("a.csv", "id,name\n1,b\n3,b\n"), &route).run().loaded();
        let report = load_as(&lab, &lab.put("a.csv", "id,name\n3,c\n"), &route).run();
        report.failed(1, "23503", "rows of another table refer to rows that would go");
        assert_eq!(lab.rows("SELECT id, name FROM t ORDER BY id"), ["1|b", "3|b"]);
        lab.assert_gone();
    }
}

#[test]
fn the_right_to_delete_is_asked_for() {
    let lab = Lab::new("snap_rights", "");
    lab.db.query(TABLE);
    lab.db.query(&format!("GRANT SELECT, INSERT, UPDATE ON t TO \"{}\"", lab.db.user));
    let report = object(&lab, "a.csv", "id,name\n1,a\n").run();
    report.failed(3, "delete rows of other versions", "GRANT DELETE");
    assert_eq!(lab.db.count("t"), 0);
    let setup = load_as(&lab, "-", &format!("{COLUMNS}write: {{mode: snapshot}}"));
    let printed = setup.arguments(&["setup"]).run().exits(0).stdout;
    assert!(printed.contains("GRANT DELETE ON \"public\".\"t\" TO"), "{printed}");
    lab.db.query(&printed);
    object(&lab, "a.csv", "id,name\n1,a\n").run().loaded();
}

#[test]
fn a_table_becomes_what_the_object_says() {
    let lab = Lab::new(
        "snap_table",
        "CREATE TABLE t (id int8, part text, name text NOT NULL DEFAULT 'none', note text, n numeric(6,2) CHECK (n > 0), \
         serial int8 GENERATED ALWAYS AS IDENTITY, own int8 GENERATED BY DEFAULT AS IDENTITY, PRIMARY KEY (part, id)); \
         CREATE INDEX t_name ON t (name); GRANT SELECT ON t TO PUBLIC; COMMENT ON TABLE t IS 'kept'",
    );
    lab.db.run("INSERT INTO t (id, part, name, note, n) VALUES (1, 'a', 'x', 'note', 1), (2, 'a', 'x', 'note', 1), (3, 'b', 'gone', 'note', 1)");
    let before = lab.rows("SELECT oid FROM pg_class WHERE relname IN ('t', 't_name', 't_pkey') ORDER BY 1");
    let report = table(&lab, "part,id,n,note\na,1,1,note\na,2,2,note\na,4,4,\na,4,5,twice\na,5,-1,bad\n")
        .run()
        .loaded();
    assert_eq!((counts(&report), &report["deleted_count"]), ([5, 1, 2, 0, 1, 1], &1.into()));
    assert_eq!(
        lab.rows("SELECT id, part, name, note, n, least(serial, 4), least(own, 4) FROM t ORDER BY id"),
        // Columns that the file lacks have their default; identities stay.
        ["1|a|none|note|1.00|1|1", "2|a|none|note|2.00|2|2", "4|a|none|twice|5.00|4|4"]
    );
    let after = lab.rows("SELECT oid FROM pg_class WHERE relname IN ('t', 't_name', 't_pkey') ORDER BY 1");
    assert_eq!(after, before, "it is the same table");
    let places = "SELECT ctid, xmin, id FROM t WHERE id <> 2 ORDER BY id";
    let held = lab.rows(places);
    let report = table(&lab, "part,id,n,note\na,4,5.00,twice\na,1,1,note\na,2,3,note\n").run().loaded();
    assert_eq!((counts(&report), &report["deleted_count"]), ([3, 0, 1, 2, 0, 0], &0.into()));
    assert_eq!(lab.rows(places), held, "rows that stay the same are not touched");
    let report = table(&lab, "part,id,n,note\n").run().loaded();
    assert_eq!(report["deleted_count"], 3);
    assert!(warnings(&report).contains("every row of the table was deleted"), "{report:#}");
    assert_eq!(lab.db.count("t"), 0);
    lab.assert_gone();
}

#[test]
fn a_table_without_key_is_replaced_as_a_whole() {
    let lab = Lab::new(
        "snap_keyless",
        "CREATE TABLE t (id int8, name text); INSERT INTO t VALUES (1, 'old'), (1, 'old')",
    );
    let report = table(&lab, "id,name\n1,new\n1,new\n2,new\n").run().loaded();
    assert_eq!((counts(&report), &report["deleted_count"]), ([3, 3, 0, 0, 0, 0], &2.into()));
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY id"), ["1|new", "1|new", "2|new"]);
    assert_eq!(table(&lab, "").run().loaded()["deleted_count"], 3);
    assert_eq!(lab.db.count("t"), 0);
}

#[test]
fn a_partitioned_table_and_one_of_keys_alone_are_replaced() {
    let lab = Lab::new(
        "snap_parts",
        "CREATE TABLE t (id int8, part text, name text, PRIMARY KEY (id, part)) PARTITION BY LIST (part); \
         CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b'); \
         INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'b', 'x')",
    );
    let report = table(&lab, "id,part,name\n1,b,y\n2,b,y\n3,b,x\n").run().loaded();
    assert_eq!((&report["deleted_count"], &report["unchanged_count"]), (&1.into(), &1.into()));
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY id"), ["1|b|y", "2|b|y", "3|b|x"]);
    let report = table(&lab, "id,part,name\n1,c,y\n").run();
    report.failed(1, "23514", "");
    assert_eq!(lab.db.count("t"), 3);

    let lab = Lab::new(
        "snap_keys",
        "CREATE TABLE t (a int8, b text, PRIMARY KEY (a, b)); INSERT INTO t VALUES (1, 'x'), (2, 'x')",
    );
    let report = table(&lab, "a,b\n2,x\n3,x\n").run().loaded();
    assert_eq!((counts(&report), &report["deleted_count"]), ([2, 1, 0, 1, 0, 0], &1.into()));
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY a"), ["2|x", "3|x"]);
}

/// Several batches, and keys that come twice in different ones.
#[test]
fn a_table_of_many_batches_is_replaced() {
    let lab = Lab::new(
        "snap_many",
        "CREATE TABLE t (id int8 PRIMARY KEY, name text); INSERT INTO t SELECT n, 'old' FROM generate_series(20000, 30000) n",
    );
    let rows: String = (0..25_000).map(|id| format!("{id},new\n")).collect();
    let report = table(&lab, &format!("id,name\n{rows}7,last\n")).run().loaded();
    assert_eq!(
        (counts(&report), &report["deleted_count"]),
        ([25_001, 20_000, 5_000, 0, 1, 0], &5_001.into())
    );
    assert_eq!(
        lab.rows("SELECT count(*), max(id), count(*) FILTER (WHERE name = 'last') FROM t"),
        ["25000|24999|1"]
    );
}

/// Whoever writes into the table is waited for.
#[test]
fn other_writers_of_the_table_are_waited_for() {
    let lab = Lab::new("snap_lock", "CREATE TABLE t (id int8 PRIMARY KEY, name text)");
    let path = lab.file("i.csv", "id,name\n1,new\n");
    let writer = lab.db.clone();
    // Commits once somebody waits for it.
    let write = "DO $$ BEGIN INSERT INTO t VALUES (5, 'late'); FOR i IN 1..400 LOOP \
         EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = 't'::regclass AND NOT granted); \
         PERFORM pg_sleep(0.05); END LOOP; END $$";
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || writer.query(write));
        let is_locked =
            || lab.db.count("pg_locks WHERE relation = 't'::regclass AND mode = 'RowExclusiveLock'") == 1;
        assert!(crate::support::wait_until(std::time::Duration::from_secs(10), is_locked));
        let report = load_as(&lab, &path, "write: {mode: snapshot, scope: table}").run().loaded();
        assert_eq!(report["deleted_count"], 1, "the row that was being written");
        writing.join().expect("written");
    });
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|new"]);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let lab = Lab::new("snap_refused", TABLE);
    let path = lab.file("i.csv", "id,name\n1,a\n");
    for (route, message, hint) in [
        (
            "write: {mode: snapshot}",
            "`mode: snapshot` needs columns that say from which version of which object a row is",
            "`columns: {src_key: $key, src_seq: $sequencer}`…ALTER TABLE \"public\".\"t\" ADD COLUMN \"src_key\" text, ADD COLUMN \"src_seq\" text…scope: table",
        ),
        (
            "columns: {file: $key}, write: {mode: snapshot}",
            "needs columns",
            "columns: {file: $key, src_seq: $sequencer}",
        ),
        ("write: {scope: table}", "`scope` says nothing in mode `upsert`", "mode: snapshot"),
        (
            "write: {mode: insert, on_removed: delete}",
            "`on_removed` says nothing in mode `insert`",
            "mode: snapshot",
        ),
        ("write: {mode: snapshot, scope: table, on_removed: delete}", "do not go together", "scope: object"),
        (
            "write: {mode: snapshot, scope: table, newer_by: id}",
            "`newer_by` has nothing to decide in mode `snapshot`",
            "mode: upsert",
        ),
        ("write: {mode: snapshot, scope: tabel}", "unknown variant `tabel`", "did you mean `table`?"),
        ("write: {mode: snapshot, on_removed: drop}", "unknown variant `drop`", "keep"),
    ] {
        load_as(&lab, &path, route).run().refused(2, message, hint);
    }
    let off = load_as(&lab, &path, "write: {mode: snapshot, scope: table}").env("HOLOLOAD_LEDGER", "off");
    off.run().refused(2, "`mode: snapshot` needs the ledger", "ledger: off");
    let split = load_as(&lab, &path, "write: {mode: snapshot, scope: table, atomic: false}").run();
    split.failed(2, "on PostgreSQL a snapshot's rows always appear together", "atomic");
    let split = load_as(&lab, &path, &format!("{COLUMNS}write: {{mode: snapshot, atomic: false}}")).run();
    split.failed(2, "on PostgreSQL a snapshot's rows always appear together", "atomic");
    lab.db.run("CREATE TABLE k (id int8, name text, src_key text, src_seq text)");
    let keyless = lab
        .file("k.yml", format!("routes: [{{object: '**', table: k, {COLUMNS}write: {{mode: snapshot}}}}]"));
    let keyless = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", keyless).run();
    keyless.failed(2, "no primary key, `snapshot` needs one", "scope: table");
    lab.assert_untouched("t");
}
