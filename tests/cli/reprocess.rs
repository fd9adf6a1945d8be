//! `holoload reprocess`: a listing against the ledger.

use serde_json::{Value, json};

use crate::TABLE;
use crate::harness::{Lab, Run, assert_contains, s3};

/// Everything under `in/` goes into the table.
fn reprocess(lab: &Lab, arguments: &[&str]) -> Run {
    let config = format!(
        "rejects: {}\nroutes: [{{object: '{}', table: t, bad_rows: {{max: 0}}}}]",
        lab.address("in/rejects/"),
        lab.address("in/*.csv")
    );
    let config = lab.file("config.yml", config);
    let prefix = lab.address("");
    let run = lab.holoload(&[&["reprocess", "--prefix", &prefix], arguments].concat());
    run.without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

fn load(lab: &Lab, address: &str) -> Run {
    let config = lab.folder().join("config.yml").display().to_string();
    lab.load(address).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

fn keys(answer: &Value) -> Vec<String> {
    let objects = answer["objects"].as_array().expect("objects").iter();
    objects
        .map(|one| {
            format!("{} {}", one["key"].as_str().expect("a key"), one["status"].as_str().expect("a status"))
        })
        .collect()
}

/// Of the sum: listed, to load or tried, current, ignored, left.
fn sum(answer: &Value) -> [u64; 5] {
    let names = ["listed_count", "chosen_count", "current_count", "ignored_count", "left_count"];
    names.map(|name| answer["reprocess"][name].as_u64().unwrap_or_else(|| panic!("{name}: {answer:#}")))
}

#[test]
fn what_is_missing_is_loaded_and_nothing_else() {
    let lab = Lab::new("reprocess", TABLE);
    let dry = reprocess(&lab, &["--missing", "--dry-run"]).run().exits(0);
    assert_eq!(dry.stdout, "0 objects listed: 0 to load, 0 need nothing, 0 ignored, 0 left\n");
    let first = lab.put("in/a.csv", "id,name\n1,a\n");
    lab.put("in/b +日本.csv", "id,name\n2,b\n");
    let bad = lab.put("in/bad.csv", "id,name\nx,c\n");
    lab.put("in/rejects/x.rejects.csv", "id,name\n4,d\n");
    lab.put("in/", "");
    lab.put("other/e.csv", "id,name\n5,e\n");
    load(&lab, &first).run().loaded();
    load(&lab, &bad).run().exits(1);

    let dry = reprocess(&lab, &["--missing", "--dry-run"]).run().exits(0);
    let lines: Vec<&str> = dry.stdout.lines().collect();
    assert_contains(lines[0], "BYTES  TABLE     WHY         OBJECT");
    assert_contains(lines[1], "12  public.t  not loaded  s3://…/in/b +日本.csv");
    assert_contains(lines[2], "12  public.t  not loaded  s3://…/in/bad.csv");
    assert_contains(
        &dry.stdout,
        "/in/ (a folder marker)…/in/rejects/x.rejects.csv (a reject object of our own)",
    );
    assert_contains(&dry.stdout, "/other/e.csv (no route matches)");
    assert_eq!(lines[lines.len() - 1], "8 objects listed: 2 to load, 1 need nothing, 5 ignored, 0 left");
    assert_eq!(lab.rows("SELECT * FROM t"), ["1|a"], "a dry run loads nothing");
    let dry = reprocess(&lab, &["--missing", "--dry-run", "--json"]).run().exits(0).json();
    assert_eq!(sum(&dry), [8, 2, 1, 5, 0], "a bad row left two objects");
    assert_eq!(dry["objects"], json!([]));
    let chosen = &dry["reprocess"]["chosen"][1];
    let wanted =
        json!({"object": lab.address("in/bad.csv"), "table": "public.t", "reason": "not loaded", "size": 12});
    assert_eq!(*chosen, wanted);

    lab.put("in/bad.csv", "id,name\n3,c\n");
    let answer = reprocess(&lab, &["--missing", "--json"]).run().exits(0).json();
    assert_eq!(keys(&answer), ["in/b +日本.csv loaded", "in/bad.csv loaded"]);
    assert_eq!(sum(&answer), [8, 2, 1, 5, 0]);
    assert!(answer["reprocess"]["hint"].is_null());
    assert_eq!(lab.rows("SELECT * FROM t ORDER BY 1"), ["1|a", "2|b", "3|c"]);
    let again = reprocess(&lab, &["--missing"]).run().exits(0);
    assert!(
        again.stdout.ends_with("8 objects listed: 0 tried, 3 need nothing, 5 ignored, 0 left\n"),
        "{}",
        again.stdout
    );

    // A newer version of what was loaded is missing.
    lab.put("in/a.csv", "id,name\n1,new\n");
    let text = reprocess(&lab, &["--missing"]).run().exits(0).stdout;
    assert_contains(&text, "loaded s3://…/in/a.csv -> public.t…1 updated");
    assert_eq!(lab.rows("SELECT name FROM t WHERE id = 1"), ["new"]);
    lab.assert_gone();
}

#[test]
fn what_failed_is_tried_again() {
    let lab = Lab::new("reprocess_failed", TABLE);
    reprocess(&lab, &["--dry-run"]).run().exits(0);
    let bad = lab.put("in/bad.csv", "id,name\nx,a\n");
    lab.put("in/new.csv", "id,name\n2,b\n");
    load(&lab, &bad).run().exits(1);
    let answer = reprocess(&lab, &["--failed", "--json"]).run().exits(1).json();
    assert_eq!(keys(&answer), ["in/bad.csv failed"], "what was never tried has not failed");
    assert_eq!(sum(&answer), [4, 1, 1, 2, 0]);
    lab.put("in/bad.csv", "id,name\n1,a\n");
    let answer = reprocess(&lab, &["--failed", "--json"]).run().exits(0).json();
    assert_eq!(keys(&answer), ["in/bad.csv loaded"]);
    let answer = reprocess(&lab, &["--failed", "--missing", "--json"]).run().exits(0).json();
    assert_eq!(keys(&answer), ["in/new.csv loaded"]);
}

#[test]
fn without_a_choice_everything_is_asked_for_and_force_loads_it() {
    let lab = Lab::new("reprocess_all", TABLE);
    for key in ["in/a.csv", "in/b.csv", "in/c.csv"] {
        lab.put(key, format!("id,name\n{},x\n", key.as_bytes()[3]));
    }
    let answer = reprocess(&lab, &["--limit", "2", "--json"]).run().exits(0).json();
    assert_eq!(keys(&answer), ["in/a.csv loaded", "in/b.csv loaded"]);
    assert_eq!(sum(&answer), [3, 2, 0, 0, 1]);
    assert_contains(answer["reprocess"]["hint"].as_str().expect("a hint"), "run the same request again");
    let answer = reprocess(&lab, &["--json"]).run().exits(0).json();
    assert_eq!(keys(&answer), ["in/a.csv skipped", "in/b.csv skipped", "in/c.csv loaded"]);
    let answer = reprocess(&lab, &["--force", "--json"]).run().exits(0).json();
    assert_eq!(keys(&answer), ["in/a.csv loaded", "in/b.csv loaded", "in/c.csv loaded"]);
}

#[test]
fn objects_are_chosen_by_the_time_they_were_put() {
    let lab = Lab::new("reprocess_times", TABLE);
    lab.put("in/a.csv", "id,name\n1,a\n");
    let listed = |arguments: &[&str]| {
        let answer = reprocess(&lab, &[&["--dry-run", "--json"], arguments].concat()).run().exits(0).json();
        sum(&answer)[0]
    };
    assert_eq!(listed(&["--since", "2020-01-01"]), 1);
    assert_eq!(listed(&["--since", "2999-12-31"]), 0);
    assert_eq!(listed(&["--until", "2020-01-01T00:00:00+09:00"]), 0);
    assert_eq!(listed(&["--since", "2020-01-01", "--until", "2999-12-31T00:00:00Z"]), 1);
    reprocess(&lab, &["--since", "yesterday"]).run().refused(2, "read the time `yesterday`", "2026-11-01");
    let prefix = |prefix: &str| lab.holoload(&["reprocess", "--prefix", prefix]).run();
    prefix("in/").refused(2, "read the prefix `in/`", "s3://bucket/prefix/");
    prefix("s3://no-such-bucket-here/x").refused(2, "list `s3://no-such-bucket-here/x`", "no such bucket");
    let off = reprocess(&lab, &["--missing"]).env("HOLOLOAD_LEDGER", "off").run();
    off.refused(2, "the ledger is off", "HOLOLOAD_LEDGER");
    assert!(s3().keys(&lab.bucket, "in/rejects/").is_empty());
}
