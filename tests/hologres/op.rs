//! Deletions on Hologres, over every write path: by key, outside of any transaction.

use crate::lab::{Hologres, ORDERS, PROFILES, path};
use crate::support::standin::{Fault, Moment, Profile, errors::named};

const HELD: &str = "INSERT INTO t (id, name) SELECT n, 'held' FROM generate_series(1, 3000) AS n";
const PATHS: [&str; 4] = ["fixed_copy", "unnest", "values", "single_row"];

/// Whose first and last rows meet others of the same key.
fn changes(count: u32) -> String {
    let mut text =
        "Op,id,name,amount\nD,1,,\nI,1,again,1.00\nU,2,zwei,2.00\nD,2,,\nD,99999,,not there\n".to_owned();
    text.extend((10..10 + count).map(|id| {
        let op = if id % 3 == 0 { 'D' } else { 'U' };
        format!("{op},{id},n{id},{id}.50\n")
    }));
    text.push_str("D,10,,\nI,12,last,\nX,13,bad,\n");
    text
}

#[test]
fn every_path_deletes_and_ends_in_the_same_table() {
    for profile in PROFILES {
        for name in PATHS {
            let count = if name == "single_row" { 200 } else { 1500 };
            let hologres = Hologres::of(profile, true, "op", &format!("{ORDERS}; {HELD}"));
            let write = format!("write: {{op: Op, path: {name}}}");
            for round in 0..2 {
                let run = hologres.load_with(&write, changes(count)).argument("--force");
                let report = run.run().loaded();
                assert_eq!(path(&report), (name, false));
                assert!(report["deleted_count"].is_null(), "the server does not tell: {report:#}");
                assert_eq!(report["reject_count"], 1);
                let rows = hologres.rows("SELECT id, name FROM t WHERE id < 17 ORDER BY id");
                let wanted = [
                    "1|again", "3|held", "4|held", "5|held", "6|held", "7|held", "8|held", "9|held",
                    "11|n11", "12|last", "13|n13", "14|n14", "16|n16",
                ];
                assert_eq!(rows, wanted, "{profile:?} {name} {round}");
                // 2 and 10 went as well, and 12 came back.
                let gone = (10..10 + count).filter(|id| id % 3 == 0).count() + 2 - 1;
                let left = (3000 - gone).to_string();
                assert_eq!(hologres.rows("SELECT count(*) FROM t"), [left], "{profile:?} {name} {round}");
            }
            hologres.assert_nothing_forbidden();
            hologres.assert_gone();
        }
    }
}

#[test]
fn a_key_that_comes_again_in_a_later_batch_ends_as_the_file_does() {
    for name in PATHS.into_iter().filter(|name| *name != "single_row") {
        let hologres = Hologres::new("op_batches", &format!("{ORDERS}; {HELD}"));
        let filler = |from: u32| (from..from + 10_000).map(|id| format!("I,{id},f,\n")).collect::<String>();
        let (first, second) = (filler(10_000), filler(30_000));
        let text = format!(
            "Op,id,name,amount\nD,1,,\nU,2,zwei,\nI,5000,new,\n{first}I,1,again,\nD,2,,\nD,5000,,\nD,10001,,\n{second}"
        );
        hologres.load_with(&format!("write: {{op: Op, path: {name}}}"), text).run().loaded();
        let rows = hologres.rows("SELECT id, name FROM t WHERE id IN (1, 2, 5000, 10000, 10001) ORDER BY id");
        assert_eq!(rows, ["1|again", "10000|f"], "{name}");
    }
}

/// By the book a Fixed Plan deletes a single row; where several are refused they go one by one.
#[test]
fn a_server_that_takes_one_key_alone_gets_one_alone() {
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "op_single", &format!("{ORDERS}; {HELD}"));
        hologres.standin.inject(named("no_fixed_plan").at(") OR (\"", u32::MAX));
        let report = hologres.load_with("write: {op: Op}", changes(300)).run().loaded();
        assert_eq!(path(&report), ("fixed_copy", false));
        assert_eq!(hologres.rows("SELECT count(*) FROM t WHERE id % 3 = 0 AND id BETWEEN 10 AND 309"), ["1"]);
        let statements = hologres.standin.statements();
        let tries = statements.iter().filter(|sql| sql.contains(") OR (\"")).count();
        assert_eq!(tries, 1, "asked once");
    }
}

#[test]
fn composite_keys_are_compared_whole() {
    let table = "CREATE TABLE t (a int8, b text, n int4, PRIMARY KEY (b, a))";
    let hologres = Hologres::new(
        "op_composite",
        &format!("{table}; INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 2), (2, 'x', 3)"),
    );
    hologres.load_with("write: {op: op}", "a,op,b,n\n1,D,x,\n2,D,y,\n3,I,z,4\n").run().loaded();
    assert_eq!(hologres.rows("SELECT a, b FROM t ORDER BY a, b"), ["1|y", "2|x", "3|z"]);
}

#[test]
fn deleted_rows_may_stay_with_a_mark_and_newer_by_goes_with_it() {
    let table = "CREATE TABLE t (id int8 PRIMARY KEY, name text, seen int8, gone bool)";
    for (profile, name) in PROFILES.into_iter().zip(["auto", "values", "unnest"]) {
        for order in [[0, 1], [1, 0]] {
            let hologres = Hologres::of(profile, true, "op_soft", table);
            let files = ["Op,id,name,seen\nI,1,a,1\nI,2,a,5\n", "Op,id,name,seen\nD,1,a,2\nD,2,a,4\n"];
            for file in order {
                let write = format!("write: {{op: Op, newer_by: seen, soft_delete: gone, path: {name}}}");
                hologres.load_with(&write, files[file]).argument("--force").run().loaded();
            }
            assert_eq!(
                hologres.rows("SELECT id, seen, gone FROM t ORDER BY id"),
                ["1|2|t", "2|5|f"],
                "{order:?}"
            );
            hologres.assert_nothing_forbidden();
        }
    }
    // A copy has a mark as any other value.
    let hologres = Hologres::new("op_soft_copy", table);
    let report =
        hologres.load_with("write: {op: Op, soft_delete: gone}", "Op,id,name,seen\nD,1,a,2\n").run().loaded();
    assert_eq!(path(&report), ("fixed_copy", false));
    assert_eq!(hologres.rows("SELECT id, gone FROM t"), ["1|t"]);
}

#[test]
fn what_cannot_delete_says_so() {
    let hologres = Hologres::of(Profile::V3_1, true, "op_atomic", ORDERS);
    let run = hologres.load_with("write: {op: Op, atomic: true}", "Op,id,name\nD,1,\n").run();
    run.failed(2, "bulk_copy (a copy deletes no rows: `soft_delete` marks them)", "leave `atomic` out");
    let parent = "CREATE TABLE t (id int8, ds text, n int4, PRIMARY KEY (id, ds)) PARTITION BY LIST (ds)";
    let parted = Hologres::of(Profile::V3_1, true, "op_parent", parent);
    let run = parted.load_with("write: {op: Op}", "Op,id,ds,n\nD,1,a,1\n").run();
    run.failed(2, "rows cannot be deleted through a partitioned parent", "");
}

/// A load that dies between its rows and its deletions is mended by the next one.
#[test]
fn a_lost_connection_between_rows_and_deletions_is_mended() {
    let hologres = Hologres::new("op_cut", &format!("{ORDERS}; {HELD}"));
    hologres.standin.inject(Fault::CutAtStatement {
        sql_contains: "DELETE FROM".to_owned(),
        moment: Moment::Before,
        skip: 0,
        times: 1,
    });
    hologres.load_with("write: {op: Op}", changes(300)).run().loaded();
    assert_eq!(hologres.rows("SELECT count(*) FROM t WHERE id % 3 = 0 AND id BETWEEN 10 AND 309"), ["1"]);
}
