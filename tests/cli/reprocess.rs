//! `holoload reprocess`: a listing against the ledger.

use serde_json::{Value, json};

use crate::TABLE;
use crate::harness::{Lab, Run, assert_contains, s3};
use crate::sqs::{ARN, Sqs};

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

/// Whether people or events ask: the same is found, and said in the same words.
#[test]
fn the_command_line_and_the_event_answer_alike() {
    let lab = Lab::new("reprocess_alike", TABLE);
    let first = lab.put("in/a.csv", "id,name\n1,a\n");
    let bad = lab.put("in/bad.csv", "id,name\nx,c\n");
    lab.put("in/c.csv", "id,name\n3,c\n");
    reprocess(&lab, &["--dry-run"]).run().exits(0);
    load(&lab, &first).run().loaded();
    load(&lab, &bad).run().exits(1);
    let prefix = lab.address("");
    let invoke = |request: Value| {
        let event = lab.file("event.json", json!({"reprocess": request}).to_string());
        let config = lab.folder().join("config.yml").display().to_string();
        let run = lab.holoload(&["invoke", &event]).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
        run.run().exits(0).json()
    };
    let start = lab.address("in/b.csv");
    for (count, arguments, request) in [
        (2, vec!["--missing"], json!({"prefix": prefix, "missing": true})),
        (
            1,
            vec!["--failed", "--start-after", &start],
            json!({"prefix": prefix, "failed": true, "start_after": start}),
        ),
        (3, vec!["--within-hours", "2"], json!({"prefix": prefix, "modified_within_hours": 2})),
        (
            0,
            vec!["--since", "2020-01-01", "--until", "2020-01-02", "--missing"],
            json!({"prefix": prefix, "modified_after": "2020-01-01", "modified_before": "2020-01-02", "missing": true}),
        ),
    ] {
        let said =
            reprocess(&lab, &[&["--dry-run", "--json"], arguments.as_slice()].concat()).run().exits(0).json();
        let mut request = request;
        request["dry_run"] = true.into();
        assert_eq!(said, invoke(request), "{arguments:?}");
        assert_eq!(said["reprocess"]["chosen_count"], count, "{arguments:?}: {said:#}");
    }
    let config = lab.folder().join("config.yml").display().to_string();
    let failed = |arguments: &[&str]| {
        let run = lab.holoload(&[&["reprocess", "--failed", "--json"], arguments].concat());
        run.without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config.clone()).run()
    };
    let said = failed(&["--dry-run"]).exits(0).json();
    assert_eq!(said, invoke(json!({"failed": true, "dry_run": true})));
    assert_eq!(said["reprocess"]["chosen"][0]["object"], bad);
    // And so of what is done: the counts are the same, whoever asked.
    let members =
        |answer: &Value| answer["reprocess"].as_object().expect("a sum").keys().cloned().collect::<Vec<_>>();
    lab.put("in/bad.csv", "id,name\n2,c\n");
    let answer = failed(&[]).exits(0).json();
    assert_eq!(keys(&answer), ["in/bad.csv loaded"]);
    assert_eq!(members(&answer), members(&said));
}

#[test]
fn a_queue_that_is_named_takes_every_object() {
    let lab = Lab::new("reprocess_queue", TABLE);
    let sqs = Sqs::start();
    for key in ["in/a.csv", "in/b.csv", "in/c.csv"] {
        lab.put(key, "id,name\n1,x\n");
    }
    let queued = |arguments: &[&str]| {
        let run = reprocess(&lab, arguments).env("AWS_ENDPOINT_URL_SQS", sqs.endpoint());
        run.env("AWS_REGION", "ap-northeast-1").run()
    };
    let text = queued(&["--queue", ARN, "--force", "--limit", "2"]).exits(0).stdout;
    assert_contains(&text, "3 objects listed: 0 tried, 2 queued, 0 need nothing, 0 ignored, 1 left");
    assert_contains(&text, &format!("next: --start-after '{}'", lab.address("in/b.csv")));
    let message = |key: &str| json!({"s3": lab.address(key), "force": true, "if_exists": true});
    assert_eq!(sqs.drain(), [message("in/a.csv"), message("in/b.csv")]);
    let rest = queued(&["--queue", ARN, "--json", "--start-after", &lab.address("in/b.csv")]).exits(0).json();
    assert_eq!((&rest["reprocess"]["queued_count"], &rest["reprocess"]["next"]), (&json!(1), &Value::Null));
    assert_eq!(sqs.drain(), [json!({"s3": lab.address("in/c.csv"), "if_exists": true})]);
    assert_eq!(lab.db.count("t"), 0, "nothing is loaded here");
    // The function's variable alone sends nothing from here.
    let answer = reprocess(&lab, &["--json"]).env("HOLOLOAD_QUEUE", ARN).run().exits(0).json();
    assert_eq!(answer["reprocess"]["queued_count"], 0);
    assert!(sqs.drain().is_empty());

    // What was sent before the queue failed is said, and where to go on.
    sqs.refuse(|_| Some((true, "InvalidMessageContents")));
    let failed = queued(&["--queue", ARN, "--json"]).exits(2);
    assert_eq!(failed.json()["reprocess"]["is_cut_short"], true);
    assert_contains(&failed.stderr, "error: put messages into the queue");
    for arn in ["loads", "arn:aws:sns:eu-west-1:1:t", "arn:aws:sqs:eu-west-1:1:q.fifo"] {
        queued(&["--queue", arn]).refused(2, "HOLOLOAD_QUEUE (`--queue`) cannot be", "");
    }
}

#[test]
fn what_goes_together_is_checked_before_anything_is_read() {
    let lab = Lab::new("reprocess_usage", TABLE);
    for arguments in [
        vec!["reprocess"],
        vec!["reprocess", "--missing"],
        vec!["reprocess", "--missing", "--failed"],
        vec!["reprocess", "--failed", "--within-hours", "0"],
        vec!["reprocess", "--failed", "--within-hours", "2", "--since", "2026-01-01"],
        vec!["reprocess", "--prefix", "s3://b/", "--start-after", "s3://c/k"],
        vec!["reprocess", "--prefix", "s3://b/", "--start-after", "k"],
    ] {
        let run = lab.holoload(&arguments).env("HOLOLOAD_HOST", "");
        assert_eq!(run.run().exits(2).stdout, "", "{arguments:?}");
    }
}
