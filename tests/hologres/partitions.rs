//! Partitioned tables: which path by version, and partitions that are missing.

use crate::lab::{Hologres, PROFILES, path};
use crate::support::standin::Profile;

const PARENT: &str = "CREATE TABLE t (id int8, ds text, name text, PRIMARY KEY (id, ds)) PARTITION BY LIST (ds); \
     CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('20260101'); \
     CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('20260102')";
const TEXT: &str = "id,ds,name\n1,20260101,a\n2,20260102,b\n1,20260101,c\n";

#[test]
fn a_parent_takes_rows_by_the_path_of_its_version() {
    for profile in PROFILES {
        for extended_copy in [true, false] {
            let hologres = Hologres::of(profile, extended_copy, "parent", PARENT);
            let report = hologres.load_with("write: {mode: upsert}", TEXT).run().loaded();
            let wanted = if extended_copy && profile != Profile::V2_2 { "fixed_copy" } else { "unnest" };
            assert_eq!(path(&report).0, wanted, "{profile:?}");
            assert_eq!(hologres.rows("SELECT * FROM t ORDER BY id"), ["1|20260101|c", "2|20260102|b"]);
            hologres.assert_nothing_forbidden();
        }
    }
}

#[test]
fn a_missing_partition_is_an_error_with_the_statement_that_helps() {
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "missing", PARENT);
        let text = "id,ds,name\n1,20260101,a\n2,20260103,b\n";
        let report = hologres.load_with("write: {mode: upsert}", text).run();
        let report = report.failed(
            2,
            "table `public.t` has no partition for the `ds` of line 3",
            "CREATE TABLE \"public\".\"t_value\" PARTITION OF \"public\".\"t\" FOR VALUES IN ('value')…partitions: create",
        );
        assert!(!report.to_string().contains("20260103"), "a cell's value: {report:#}");
        assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["0"], "nothing of the batch is sent");
        hologres.assert_gone();
    }
}

#[test]
fn missing_partitions_are_created_where_that_is_asked_for() {
    for (kind, values) in
        [("text", ["x-1", "y 2"]), ("int4", ["7", "-8"]), ("date", ["2026-01-05", "2026-02-01"])]
    {
        for profile in PROFILES {
            let sql =
                format!("CREATE TABLE t (id int8, ds {kind}, PRIMARY KEY (id, ds)) PARTITION BY LIST (ds)");
            let hologres = Hologres::of(profile, true, "created", &sql);
            let rows: String = (0..20).map(|id| format!("{id},{}\n", values[id % 2])).collect();
            let write = "write: {partitions: create}";
            hologres.load_with(write, format!("id,ds\n{rows}")).run().loaded();
            assert_eq!(hologres.db.count("t"), 20, "{kind} at {profile:?}");
            assert_eq!(hologres.rows("SELECT count(DISTINCT tableoid) FROM t"), ["2"]);
            // Known now, and asked for no more.
            hologres.load_with(write, format!("id,ds\n100,{}\n", values[0])).run().loaded();
            let made =
                hologres.standin.statements().iter().filter(|sql| sql.contains("PARTITION OF")).count();
            assert_eq!(made, 2, "{kind} at {profile:?}");
        }
    }
}

#[test]
fn a_value_that_no_table_is_named_after_is_not_made_into_one() {
    let hologres = Hologres::new("odd", PARENT);
    let report = hologres.load_with("write: {partitions: create}", "id,ds,name\n1,it's; DROP,a\n").run();
    report.failed(2, "none that a table is named after", "CREATE TABLE");
    let many: String = (0..150).map(|id| format!("{id},v{id},a\n")).collect();
    let report = hologres.load_with("write: {partitions: create}", format!("id,ds,name\n{many}")).run();
    report.failed(2, "more than 100", "partitioned by");
    assert_eq!(hologres.db.count("t"), 0);
}
