//! Which path is taken, that each ends in the same table, and what is said where none fits.

use crate::harness::assert_contains;
use crate::lab::{Hologres, ORDERS, PROFILES, path};
use crate::support::standin::{Fault, Options, Profile, errors::named};

/// Keys that come again in the same batch, far apart, and with other columns NULL.
fn orders(count: u32) -> String {
    let row = |id: u32, round: u32| {
        let name = if id.is_multiple_of(7) { String::new() } else { format!("\"n{id}, \"\"{round}\"\"\"") };
        format!(
            "{id},{name},{}.{:02},2024-03-0{}T12:34:56.{:03}+09:00,{}\n",
            id * 3,
            id % 100,
            id % 9 + 1,
            id % 1000,
            id.is_multiple_of(2)
        )
    };
    let first = (0..count).map(|id| row(id, 1));
    let again = (0..count).step_by(3).map(|id| row(id, 2));
    std::iter::once("id,name,amount,at,flag\n".to_owned()).chain(first).chain(again).collect()
}

const CHECKSUM: &str = "SELECT count(*), md5(string_agg(concat_ws('|', id, coalesce(name, '-'), amount, at, flag), ',' ORDER BY id)) FROM t";

#[test]
fn every_path_ends_in_the_same_table() {
    let text = orders(3000);
    let mut seen: Option<Vec<String>> = None;
    let choices = [
        ("write: {mode: upsert}", "fixed_copy", false),
        ("write: {mode: upsert, path: fixed-copy}", "fixed_copy", false),
        ("write: {mode: upsert, path: unnest}", "unnest", false),
        ("write: {mode: upsert, path: values}", "values", false),
        ("write: {mode: upsert, path: single_row}", "single_row", false),
        ("write: {mode: upsert, atomic: true}", "bulk_copy", true),
        ("write: {mode: replace}", "fixed_copy", false),
    ];
    for profile in PROFILES {
        for (write, name, is_atomic) in choices {
            if is_atomic && profile == Profile::V2_2 {
                continue;
            }
            let hologres = Hologres::of(profile, true, "same", ORDERS);
            let report = hologres.load_with(write, &text).run().loaded();
            assert_eq!(path(&report), (name, is_atomic), "{write} at {profile:?}");
            assert_eq!(report["row_count"], 4000);
            assert!(report["inserted_count"].is_null() && report["updated_count"].is_null(), "{report:#}");
            let rows = hologres.rows(CHECKSUM);
            assert_eq!(seen.get_or_insert_with(|| rows.clone()), &rows, "{write} at {profile:?}");
            hologres.assert_nothing_forbidden();
            hologres.assert_gone();
        }
    }
}

/// Where COPY is refused in the extended protocol, plain SQL does it; asked once, whatever the number of batches.
#[test]
fn a_server_without_extended_copy_is_loaded_by_insert() {
    let text = orders(30_000);
    for profile in PROFILES {
        let hologres = Hologres::of(profile, false, "refused", ORDERS);
        let report = hologres.load_with("write: {mode: upsert}", &text).run().loaded();
        assert_eq!(path(&report), ("unnest", false), "{profile:?}");
        assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["30000"]);
        let copies = hologres.standin.statements().iter().filter(|sql| sql.starts_with("COPY")).count();
        assert!((1..=2).contains(&copies), "{copies} tries of a path that is not there");
        hologres.assert_nothing_forbidden();
        hologres.assert_gone();
    }
}

#[test]
fn an_atomic_load_that_cannot_be_says_what_stands_in_its_way() {
    let old = Hologres::of(Profile::V2_2, true, "atomic_old", ORDERS);
    let outcome = old.load_with("write: {atomic: true}", orders(3)).run();
    outcome.failed(
        2,
        "no write path of Hologres 2.2.40 fits table `public.t`: bulk_copy (needs Hologres 3.0.4)",
        "leave `atomic` out",
    );
    let refused = Hologres::of(Profile::V3_1, false, "atomic_refused", ORDERS);
    let outcome = refused.load_with("write: {atomic: true}", orders(3)).run();
    outcome.failed(2, "bulk_copy (", "leave `atomic` out");
    assert_eq!(refused.rows("SELECT count(*) FROM t"), ["0"]);
    let parent = "CREATE TABLE t (id int8, ds text, PRIMARY KEY (id, ds)) PARTITION BY LIST (ds)";
    let parted = Hologres::new("atomic_parted", parent);
    let outcome = parted.load_with("write: {atomic: true}", "id,ds\n1,a\n").run();
    outcome.failed(2, "not into a partitioned table", "leave `atomic` out");
}

/// An error inside the server as the copy begins may be a passing one: with no other path to take it is tried again.
#[test]
fn a_passing_error_does_not_take_the_only_path_away() {
    for write in ["write: {atomic: true}", "write: {path: fixed_copy}"] {
        let hologres = Hologres::new("passing", ORDERS);
        hologres.standin.inject(Fault::FailStatement {
            sql_contains: "COPY".to_owned(),
            code: "XX000",
            message: "internal error: passing".to_owned(),
            skip: 0,
            times: 1,
        });
        hologres.load_with(write, orders(3)).run().loaded();
        assert_eq!(hologres.rows("SELECT count(*)::text FROM t"), ["3"], "{write}");
    }
}

/// With `atomic: true` a failure leaves nothing behind, also of the batches before.
#[test]
fn an_atomic_load_appears_together_or_not_at_all() {
    let hologres = Hologres::new("atomic", ORDERS);
    let text = format!("{}oops,x,1,,\n", orders(25_000));
    let write = "bad_rows: {max: 0}, write: {atomic: true}";
    let report = hologres.load_with(write, text).run().failed(1, "not an integer", "");
    assert_eq!(path(&report), ("bulk_copy", true));
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["0"]);
    hologres.load_with(write, orders(25_000)).run().loaded();
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["25000"]);
    hologres.assert_gone();
}

#[test]
fn ignore_keeps_what_is_there_and_the_first_of_a_file() {
    for (write, name) in [
        ("write: {mode: ignore}", "fixed_copy"),
        ("write: {mode: ignore, path: unnest}", "unnest"),
        ("write: {mode: ignore, path: values}", "values"),
    ] {
        let hologres =
            Hologres::new("ignore", &format!("{ORDERS}; INSERT INTO t (id, name) VALUES (1, 'old')"));
        let report = hologres.load_with(write, "id,name\n1,new\n2,first\n2,second\n").run().loaded();
        assert_eq!(path(&report).0, name);
        assert_eq!(hologres.rows("SELECT id, name FROM t ORDER BY id"), ["1|old", "2|first"], "{write}");
        assert_eq!(report["duplicate_count"], 1);
    }
}

/// What the file lacks keeps its value in `upsert` and goes back to its default in `replace`.
#[test]
fn columns_that_the_file_lacks_are_kept_or_reset() {
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, name text, note text DEFAULT 'none', more int4); \
               INSERT INTO t VALUES (1, 'old', 'kept', 5)";
    let upsert = Hologres::new("partial", sql);
    let report = upsert.load_with("write: {mode: upsert}", "id,name\n1,new\n2,two\n").run().loaded();
    assert_eq!(path(&report).0, "fixed_copy");
    assert_eq!(upsert.rows("SELECT * FROM t ORDER BY id"), ["1|new|kept|5", "2|two|none|NULL"]);
    // An omitted default has no place in an unnest.
    let unnest = Hologres::of(Profile::V3_1, false, "partial_unnest", sql);
    let report = unnest.load_with("write: {mode: upsert}", "id,name\n1,new\n2,two\n").run().loaded();
    assert_eq!(path(&report).0, "values");
    assert_eq!(unnest.rows("SELECT * FROM t ORDER BY id"), ["1|new|kept|5", "2|two|none|NULL"]);
    let replace = Hologres::new("reset", sql);
    let report = replace.load_with("write: {mode: replace}", "id,name\n1,new\n2,two\n").run().loaded();
    assert_eq!(path(&report).0, "values");
    assert_eq!(replace.rows("SELECT * FROM t ORDER BY id"), ["1|new|none|NULL", "2|two|none|NULL"]);
}

#[test]
fn a_table_without_a_key_takes_whole_objects() {
    let hologres = Hologres::new("keyless", "CREATE TABLE t (id int8, name text)");
    let file = hologres.file("a.csv", "id,name\n1,a\n1,a\n2,\n");
    let load = || hologres.load(&file).env("HOLOLOAD_WRITE_MODE", "insert").run();
    let report = load().loaded();
    assert_eq!(path(&report), ("bulk_copy", true));
    assert_eq!(hologres.rows("SELECT id, name FROM t ORDER BY 1, 2"), ["1|a", "1|a", "2|NULL"]);
    assert_eq!(load().exits(0).report()["status"], "skipped");
    let refused =
        Hologres::of(Profile::V3_1, false, "keyless_refused", "CREATE TABLE t (id int8, name text)");
    refused.load_with("write: {mode: insert}", "id,name\n1,a\n").run().failed(2, "bulk_copy", "path: unnest");
    let asked = refused.load_with("write: {mode: insert, path: unnest}", "id,name\n1,a\n").run().loaded();
    assert_eq!(path(&asked), ("unnest", false));
}

/// A connection that breaks as the copy ends may have made its rows durable: nobody loads them a second time unasked.
#[test]
fn the_unknown_end_of_a_keyless_copy_is_not_repeated() {
    use crate::support::standin::{Fault, Moment};
    let hologres = Hologres::new("keyless_cut", "CREATE TABLE t (id int8, name text)");
    let address = hologres.put("a.csv", "id,name\n1,a\n2,b\n");
    hologres.standin.inject(Fault::CutAtStatement {
        sql_contains: "COPY".to_owned(),
        moment: Moment::After,
        skip: 0,
        times: 1,
    });
    let load = || hologres.load(&address).env("HOLOLOAD_WRITE_MODE", "insert");
    load().run().failed(1, "not known whether its rows are there", "--force");
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["2"], "once, not twice");
}

#[test]
fn a_table_with_money_stays_clear_of_fixed_plans() {
    let sql = "CREATE TABLE t (id int8 PRIMARY KEY, name text, price money)";
    let hologres = Hologres::new("money", sql);
    let report = hologres.load_with("write: {mode: upsert}", "id,name\n1,a\n2,b\n").run().loaded();
    assert_eq!(path(&report).0, "values");
    hologres.load_with("write: {path: fixed_copy}", "id,name\n1,a\n").run().failed(
        2,
        "a table with a money column has no Fixed Plan",
        "leave `path` out",
    );
}

#[test]
fn types_that_no_fixed_plan_takes_go_value_by_value() {
    let sql =
        "CREATE TABLE t (id int8 PRIMARY KEY, u uuid, i inet, tags int4[], gap interval, b bit(3), at time)";
    let text = "id,u,i,tags,gap,b,at\n1,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,10.0.0.1,\"{1,2}\",1 day,101,12:34\n2,,,,,,\n";
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "types", sql);
        let report = hologres.load_with("write: {mode: upsert}", text).run().loaded();
        assert_eq!(path(&report).0, "values", "{profile:?}");
        let row = "1|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|10.0.0.1|{1,2}|1 day|101|12:34:00";
        assert_eq!(hologres.rows("SELECT * FROM t ORDER BY id"), [row, "2|NULL|NULL|NULL|NULL|NULL|NULL"]);
    }
}

#[test]
fn a_wide_table_keeps_below_every_limit() {
    let names: Vec<String> = (0..900).map(|at| format!("a_column_of_many_{at:03}")).collect();
    let columns: Vec<String> = names.iter().map(|name| format!("{name} text")).collect();
    let sql = format!("CREATE TABLE t (id int8 PRIMARY KEY, u uuid, {})", columns.join(", "));
    let hologres = Hologres::new("wide", &sql);
    let head = format!("id,u,{}", names.join(","));
    let rows: String = (0..70).map(|id| format!("{id},,{}\n", vec!["x"; 900].join(","))).collect();
    let report = hologres.load_with("write: {mode: upsert}", format!("{head}\n{rows}")).run().loaded();
    assert_eq!(path(&report).0, "values");
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["70"]);
    hologres.assert_nothing_forbidden();
}

/// What only turns out while rows are streamed is a reason to take the next path as well.
#[test]
fn a_refusal_in_the_middle_steps_down_and_loses_nothing() {
    for name in ["no_fixed_plan", "not_support"] {
        let hologres = Hologres::new("middle", ORDERS);
        hologres.standin.inject(named(name).at("COPY", u32::MAX));
        let report = hologres.load_with("write: {mode: upsert}", orders(12_000)).run().loaded();
        assert_eq!(path(&report).0, "unnest");
        assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["12000"]);
        hologres.assert_gone();
    }
    let hologres = Hologres::new("middle_of_insert", ORDERS);
    hologres.standin.inject(named("one_set_returning").at("unnest", u32::MAX));
    let report = hologres.load_with("write: {path: auto}", orders(10)).run().loaded();
    assert_eq!(path(&report).0, "fixed_copy");
    let outcome = hologres.load_with("write: {path: unnest}", orders(11)).run();
    let report = outcome.failed(
        2,
        "no write path of Hologres 3.1.17 fits table `public.t`: unnest (",
        "leave `path` out",
    );
    assert_contains(report["error"]["message"].as_str().expect("text"), "XX000");
}

#[test]
fn a_server_that_knows_no_settings_of_hologres_loads_all_the_same() {
    let options = Options { keeps_unknown_settings: false, ..Options::default() };
    let hologres = Hologres::with("no_settings", ORDERS, options);
    let report = hologres.load_with("write: {mode: upsert}", orders(100)).run().loaded();
    assert_eq!(path(&report).0, "fixed_copy");
}

/// The paths of Hologres are not PostgreSQL's.
#[test]
fn on_postgresql_the_plain_paths_can_be_named_and_the_others_not() {
    let lab = crate::harness::Lab::new("postgres_paths", ORDERS);
    let file = lab.file("i.csv", orders(1000));
    for (path, is_there) in [
        ("unnest", true),
        ("values", true),
        ("single_row", true),
        ("fixed_copy", false),
        ("bulk_copy", false),
    ] {
        let config =
            lab.file("c.yml", format!("routes: [{{object: '**', table: t, write: {{path: {path}}}}}]"));
        let load = lab.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
        let load = load.argument("--force");
        if is_there {
            let report = load.run().loaded();
            assert_eq!((report["write_path"].as_str(), report["atomic"].as_bool()), (Some(path), Some(true)));
        } else {
            load.run().failed(2, &format!("{path} (only Hologres has it)"), "leave `atomic` and `path` out");
        }
    }
    assert_eq!(lab.rows("SELECT count(*) FROM t"), ["1000"]);
}
