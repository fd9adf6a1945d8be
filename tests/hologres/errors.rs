//! What Hologres may answer, word for word, and what becomes of the load: class, code, hint, retries.

use crate::harness::assert_contains;
use crate::lab::{Hologres, ORDERS, path};
use crate::support::standin::errors::{self, ERRORS, Named, named};
use crate::support::standin::{Fault, Moment};

const TEXT: &str = "id,name,amount\n1,secret-a,1\n2,secret-b,2\n3,secret-c,3\n";

/// How a failure of every INSERT ends: exit code and part of the hint; code 0: it is no failure of the object.
fn expected(name: &str) -> (i32, &'static str) {
    match name {
        "connection_failure" | "connect_error" | "connection_refused" | "erpc_connection_closed" => {
            (4, "again")
        }
        "invalid_expire_time" => (4, "clock"),
        "cloud_authentication" | "role_missing" => (3, "HOLOLOAD_USER"),
        "ip_white_list" => (3, "203.0.113.7"),
        "readonly_write" | "readonly_log" => (4, "secondary"),
        "resource_busy" | "table_group_meta" | "recovering" | "unhealthy" => (4, "busy"),
        "shard_not_ready" => (4, "shards"),
        "too_many_clients" | "slots_reserved" => (4, "MaxLoaders"),
        "column_missing" | "table_missing" => (2, "changed"),
        "invalid_table_id"
        | "refresh_meta_timeout"
        | "version_mismatch"
        | "relation_oid"
        | "replay"
        | "table_id_missing"
        | "table_missing_at_run" => (4, "changed"),
        "erpc_timeout" | "timed_out" | "back_pressure" | "babysitter" | "actor_missing" | "actor_invoke"
        | "lock_timeout" | "semaphore" => (4, "overloaded"),
        "need_retry" | "plpgsql_need_retry" => (4, "another attempt"),
        "admin_shutdown" | "crash_shutdown" | "starting_up" => (4, "restarting"),
        "statement_timeout" | "user_request" => (4, "time"),
        "total_memory" | "query_memory" => (4, "memory"),
        "disk_full" => (2, "disk"),
        "permission" => (3, "holoload setup"),
        "type_mismatch" | "cannot_coerce" => (2, "cast"),
        "bad_copy_format" | "query_length" | "in_transaction" | "in_ddl_transaction" => (70, "report"),
        "no_fixed_plan" | "one_set_returning" | "parent_table" | "not_support" => (2, "path"),
        "internal" => (4, "internal"),
        "not_null"
        | "unique"
        | "check"
        | "partition_constraint"
        | "row_twice"
        | "hash_table_twice"
        | "data_exception"
        | "too_long"
        | "out_of_range"
        | "invalid_datetime"
        | "datetime_overflow"
        | "not_in_repertoire"
        | "invalid_parameter"
        | "invalid_text"
        | "untranslatable"
        | "invalid_name" => (1, ""),
        other => panic!("`{other}` has no expectation"),
    }
}

/// Most of the time is spent waiting for the next attempt: several at once wait together.
fn with_each<'a>(errors: impl IntoIterator<Item = &'a Named>, check: impl Fn(&Hologres, &Named) + Sync) {
    let errors: Vec<&Named> = errors.into_iter().collect();
    std::thread::scope(|scope| {
        for share in errors.chunks(errors.len().div_ceil(8)) {
            let check = &check;
            scope.spawn(move || {
                let hologres = Hologres::new("each", ORDERS);
                for error in share {
                    check(&hologres, error);
                    hologres.standin.clear_faults();
                }
                hologres.assert_gone();
            });
        }
    });
}

/// Every failure that the documentation knows, as the answer to every INSERT of a batch.
#[test]
fn each_documented_failure_has_its_class_and_hint() {
    with_each(ERRORS, |hologres, error| {
        let (code, hint) = expected(error.name);
        hologres.standin.inject(error.at("INSERT INTO \"public\".\"t\"", u32::MAX));
        let write = "bad_rows: {max: 0}, write: {path: unnest}";
        let outcome = hologres.load_with(write, TEXT).argument("--force").run();
        assert_eq!(outcome.code, Some(code), "{}: {}", error.name, outcome.stdout);
        let report = outcome.report();
        let found = &report["error"];
        assert_contains(found["hint"].as_str().unwrap_or_default(), hint);
        assert!(!outcome.stdout.contains("secret-"), "{}: values never show: {}", error.name, outcome.stdout);
        if hint != "path" {
            assert_eq!(found["code"], error.code, "{}", error.name);
        }
        assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["0"], "{}", error.name);
    });
}

/// What passes is tried again inside the load, wherever it came, and the object is loaded.
#[test]
fn what_passes_is_tried_again() {
    let is_passing = |error: &&Named| {
        expected(error.name).0 == 4 && !matches!(error.name, "too_many_clients" | "slots_reserved")
    };
    let passing: Vec<&Named> = ERRORS.iter().filter(is_passing).collect();
    assert!(passing.len() > 25, "{} passing errors", passing.len());
    with_each(passing, |hologres, error| {
        for (number, place) in ["COPY", "holoload_fence", "holoload_ledger"].into_iter().enumerate() {
            hologres.standin.clear_faults();
            hologres.standin.inject(error.at(place, 1));
            let text = format!("{TEXT}{number},{},\n", error.name).replace("1,secret-a,1\n", "");
            let report = hologres.load_with("write: {mode: upsert}", text).run().loaded();
            assert_eq!(path(&report).0, "fixed_copy", "{} at {place}", error.name);
            let found = hologres.rows(&format!("SELECT name FROM t WHERE id = {number}"));
            assert_eq!(found, [error.name], "{} at {place}", error.name);
        }
    });
}

#[test]
fn at_the_door_each_refusal_says_what_to_do() {
    let hologres = Hologres::new("door", ORDERS);
    let file = hologres.file("a.csv", TEXT);
    let refused = |fault: Fault, code: i32, message: &str, hint: &str| {
        hologres.standin.inject(fault);
        hologres.load(&file).run().failed(code, message, hint);
        hologres.standin.clear_faults();
    };
    refused(errors::allow_list("198.51.100.9"), 3, "connect to localhost", "198.51.100.9…allow-list…HoloWeb");
    refused(errors::role_missing(), 3, "connect to localhost", "HOLOLOAD_USER");
    refused(errors::cloud_authentication_failed(), 3, "connect to localhost", "HOLOLOAD_USER");
    hologres.standin.inject(errors::slots_exhausted(1));
    let started = std::time::Instant::now();
    assert_eq!(hologres.load(&file).run().loaded()["status"], "loaded");
    assert!(started.elapsed().as_secs() >= 2, "others get time to leave");
}

/// An instance restarts when SSL is switched or its certificate renewed: loads go on.
#[test]
fn a_restart_in_the_middle_is_survived() {
    let hologres = Hologres::new("restart", ORDERS);
    hologres.standin.inject(named("admin_shutdown").at("COPY", 1));
    hologres.standin.inject(errors::too_many_clients(1));
    hologres.load_with("write: {mode: upsert}", TEXT).run().loaded();
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["3"]);
}

/// A batch that the server has no memory for comes back smaller.
#[test]
fn batches_shrink_where_memory_is_short() {
    let hologres = Hologres::new("memory", ORDERS);
    hologres.standin.inject(named("query_memory").at("INSERT INTO \"public\".\"t\"", 1));
    let text: String =
        std::iter::once("id,name\n".to_owned()).chain((0..9000).map(|id| format!("{id},n\n"))).collect();
    hologres.load_with("write: {path: unnest}", text).run().loaded();
    // 9,000 rows are three statements of up to 4,096, or of 2,500 rows four.
    let statements = hologres.standin.executions("unnest");
    assert!(statements >= 1 + 4, "{statements} statements");
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["9000"]);
}

/// The connection breaks around every statement of a load: the object is loaded in the end, once, with one status.
#[test]
fn a_break_around_any_statement_is_mended() {
    for moment in [Moment::Before, Moment::After] {
        for sql in [
            "hg_version",
            "hg_table_properties",
            "statement_timeout",
            "holoload_fence",
            "COPY",
            "holoload_ledger",
        ] {
            for skip in 0..3 {
                let hologres = Hologres::new("breaks", ORDERS);
                hologres.load_with("write: {mode: upsert}", "id\n99\n").run().loaded();
                hologres.standin.inject(Fault::CutAtStatement {
                    sql_contains: sql.to_owned(),
                    moment,
                    skip,
                    times: 1,
                });
                let report = hologres.load_with("write: {mode: upsert}", TEXT).run().exits(0).report();
                let what = format!("{sql}, {skip} passed, {moment:?}: {report:#}");
                assert_eq!(report["status"], "loaded", "{what}");
                assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["4"], "{what}");
                let lines = hologres.rows("SELECT status FROM holoload_ledger ORDER BY finished_at");
                assert_eq!(lines, ["loaded", "loaded"], "{what}");
                hologres.assert_gone();
            }
        }
    }
}
