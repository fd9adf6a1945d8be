//! Rows that only the server refuses: found by halving, over INSERT, whatever path they came by.

use crate::lab::{Hologres, path};
use crate::support::standin::Profile;

/// A check that the loader cannot know.
const CHECKED: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text CHECK (name <> 'bad'))";

fn text(count: u32, bad: &[u32]) -> String {
    let name = |id: u32| if bad.contains(&id) { "bad" } else { "good" };
    let rows = (0..count).map(|id| format!("{id},{}\n", name(id)));
    std::iter::once("id,name\n".to_owned()).chain(rows).collect()
}

#[test]
fn a_row_that_the_server_refuses_is_found_whatever_the_path() {
    let bad = [0, 17, 4095, 4096, 9_999, 12_345];
    for (profile, write, name) in [
        (Profile::V2_2, "write: {mode: upsert}", "fixed_copy"),
        (Profile::V3_1, "write: {mode: upsert}", "fixed_copy"),
        (Profile::V4_1, "write: {mode: ignore}", "fixed_copy"),
        (Profile::V3_1, "write: {path: unnest}", "unnest"),
        (Profile::V3_1, "write: {path: values}", "values"),
        (Profile::V3_1, "write: {path: single_row}", "single_row"),
    ] {
        let hologres = Hologres::of(profile, true, "found", CHECKED);
        let count = if name == "single_row" { 300 } else { 13_000 };
        let report = hologres.load_with(write, text(count, &bad)).run().loaded();
        let refused = bad.iter().filter(|id| **id < count).count();
        assert_eq!((path(&report).0, &report["reject_count"]), (name, &refused.into()), "{report:#}");
        assert_eq!(hologres.rows("SELECT count(*) FROM t"), [(count as usize - refused).to_string()]);
        assert_eq!(report["reject_sample"][0]["reason"], "refused by the server (23514)");
        let rejects = hologres.reject_texts();
        for id in bad.iter().filter(|id| **id < count) {
            assert!(rejects.contains(&format!("{id},bad")), "row {id} is kept");
        }
        assert!(rejects.contains("violates check constraint"), "and what the server said");
        hologres.assert_nothing_forbidden();
        hologres.assert_gone();
    }
}

/// An earlier row of the same key stands in for a later one that is bad.
#[test]
fn the_row_that_gave_way_to_a_bad_one_is_written() {
    for write in ["write: {mode: upsert}", "write: {path: unnest}", "write: {path: values}"] {
        let hologres = Hologres::new("gave_way", CHECKED);
        let report = hologres.load_with(write, "id,name\n1,good\n2,x\n1,bad\n").run().loaded();
        assert_eq!(hologres.rows("SELECT * FROM t ORDER BY id"), ["1|good", "2|x"], "{write}");
        assert_eq!((&report["reject_count"], &report["duplicate_count"]), (&1.into(), &0.into()));
    }
}

#[test]
fn one_bad_row_fails_an_atomic_load_and_says_how_to_find_it() {
    let hologres = Hologres::new("atomic_row", CHECKED);
    let report = hologres.load_with("write: {atomic: true}", text(100, &[50])).run();
    let report = report.failed(1, "23514", "without `atomic: true`");
    assert_eq!(path(&report), ("bulk_copy", true));
    assert_eq!(hologres.rows("SELECT count(*) FROM t"), ["0"]);
    hologres.assert_gone();
}

/// Too many bad rows: what was written before stays, and the report does not pretend otherwise.
#[test]
fn a_load_that_fails_half_way_says_what_is_there() {
    let hologres = Hologres::new("half_way", CHECKED);
    let good: String = (0..25_000).map(|id| format!("{id},good\n")).collect();
    let bad: String = (25_000..25_010).map(|id| format!("{id},bad\n")).collect();
    let run = hologres.load_with("bad_rows: {max: 3}", format!("id,name\n{good}{bad}")).run();
    let report = run.failed(1, "more than 3 bad rows", "a part of the rows was written");
    assert_eq!(report["atomic"], false);
    assert!(report["inserted_count"].is_null(), "{report:#}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("stay in the table"), "{warnings}");
    assert!(hologres.db.count("t") >= 20_000);
    // Put right and loaded again, the table is what the file says.
    let again = hologres.load_with("bad_rows: {max: 3}", format!("id,name\n{good}")).run().loaded();
    assert_eq!(again["reject_count"], 0);
    assert_eq!(hologres.db.count("t"), 25_000);
}

/// JSON takes the same paths; a bad record and one that the server refuses are kept as lines.
#[test]
fn json_lines_load_as_other_files_do() {
    let hologres = Hologres::new("json", CHECKED);
    let good: String = (0..3_000).map(|id| format!("{{\"id\":{id},\"name\":\"good\"}}\n")).collect();
    let text =
        format!("{good}{{\"id\":3000,\"name\":\"bad\"}}\n{{\"id\":\"x\"}}\n{{\"name\":null,\"id\":3001}}\n");
    let route = "parse: {format: jsonl}, write: {mode: upsert}";
    let report = hologres.load_with(route, text).run().loaded();
    assert_eq!((path(&report).0, &report["reject_count"]), ("fixed_copy", &2.into()), "{report:#}");
    assert_eq!(hologres.rows("SELECT count(*), count(name) FROM t"), ["3001|3000"]);
    let rejects = hologres.reject_texts();
    assert!(rejects.contains("{\"id\":3000,\"name\":\"bad\"}\n{\"id\":\"x\"}\n"), "{rejects}");
    assert!(report["rejects"].as_str().expect("an address").ends_with(".rejects.jsonl"));
    hologres.assert_nothing_forbidden();
    hologres.assert_gone();
}
