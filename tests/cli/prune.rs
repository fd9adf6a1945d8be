//! `holoload history --prune`: old lines go, what somebody still asks for stays.

use serde_json::json;

use crate::TABLE;
use crate::harness::{Lab, assert_contains};

fn prune(lab: &Lab, arguments: &[&str]) -> String {
    lab.holoload(&[&["history", "--prune"], arguments].concat()).run().exits(0).stdout
}

fn age(lab: &Lab, days: u32) {
    lab.db.run(&format!("UPDATE holoload_ledger SET finished_at = finished_at - interval '{days} days'"));
}

/// Oldest first.
fn lines(lab: &Lab, key: &str) -> Vec<String> {
    lab.rows(&format!(
        "SELECT status FROM holoload_ledger WHERE object_key = '{key}' ORDER BY finished_at, attempt"
    ))
}

#[test]
fn old_lines_go_and_the_newest_of_every_object_stays() {
    let lab = Lab::new("prune", TABLE);
    assert_eq!(prune(&lab, &[]), "0 lines older than 90d deleted\n", "no ledger, nothing to delete");
    let good = lab.put("good.csv", "id,name\n1,a\n");
    let bad = lab.put("bad.csv", "id,name\nx,a\n");
    for _ in 0..3 {
        lab.load(&good).run().exits(0);
        lab.load(&bad).run().exits(1);
    }
    assert_eq!(prune(&lab, &[]), "0 lines older than 90d deleted\n");
    age(&lab, 100);
    assert_eq!(prune(&lab, &["--older-than", "101d"]), "0 lines older than 101d deleted\n");
    assert_eq!(prune(&lab, &["--dry-run"]), "4 lines older than 90d would be deleted\n");
    assert_eq!(lab.db.count("holoload_ledger"), 6);
    let answer =
        lab.holoload(&["history", "--prune", "--older-than", "2399h", "--json"]).run().exits(0).json();
    assert_eq!(answer, json!({"pruned_count": 4, "dry_run": false}));
    assert_eq!(lines(&lab, "good.csv"), ["skipped"]);
    assert_eq!(lines(&lab, "bad.csv"), ["failed"]);
    assert_eq!(prune(&lab, &["--older-than", "0h"]), "0 lines older than 0h deleted\n", "these always stay");
    // The fence has forgotten nothing.
    assert_eq!(lab.load(&good).run().exits(0).report()["status"], "skipped");
    lab.assert_gone();
}

#[test]
fn what_is_at_work_and_the_last_failure_of_a_version_stay() {
    let lab = Lab::new("prune_kept", TABLE);
    let address = lab.put("a.csv", "id,name\nx,a\n");
    lab.load(&address).run().exits(1);
    lab.load(&address).run().exits(1);
    lab.put("a.csv", "id,name\n1,a\n");
    lab.load(&address).run().exits(0);
    for (version, status) in [("v1", "running"), ("v2", "continued"), ("v3", "superseded"), ("v4", "deleted")]
    {
        lab.db.run(&format!(
            "INSERT INTO holoload_ledger (bucket, object_key, version, table_name, attempt, status, finished_at) \
             SELECT bucket, object_key, '{version}', table_name, 1, '{status}', finished_at - interval '1 hour' \
             FROM holoload_ledger WHERE status = 'loaded'"
        ));
    }
    age(&lab, 91);
    assert_eq!(prune(&lab, &[]), "3 lines older than 90d deleted\n");
    let mut left = lines(&lab, "a.csv");
    left.sort_unstable();
    assert_eq!(left, ["continued", "failed", "loaded", "running"]);
}

/// Without it the next load would begin at the beginning, and write rows a second time that have no key.
#[test]
fn a_failure_that_says_where_to_go_on_stays() {
    let lab = Lab::new("prune_resume", TABLE);
    let address = lab.put("a.csv", "id,name\nx,a\n");
    for _ in 0..3 {
        lab.load(&address).run().exits(1);
    }
    lab.db.run("UPDATE holoload_ledger SET resume = '{}', next_offset = 5 WHERE attempt = 1");
    age(&lab, 91);
    assert_eq!(prune(&lab, &[]), "1 lines older than 90d deleted\n");
    assert_eq!(lab.rows("SELECT attempt FROM holoload_ledger ORDER BY attempt"), ["1", "3"]);
}

#[test]
fn many_lines_go_in_pieces() {
    let lab = Lab::new("prune_many", TABLE);
    let address = lab.put("a.csv", "id,name\n1,a\n");
    lab.load(&address).run().exits(0);
    lab.db.run(
        "INSERT INTO holoload_ledger (bucket, object_key, version, table_name, attempt, status, finished_at) \
         SELECT bucket, object_key, version, table_name, n, 'skipped', finished_at - interval '1 day' - n * interval '1 second' \
         FROM holoload_ledger, generate_series(2, 1001) AS n",
    );
    assert_eq!(prune(&lab, &["--older-than", "1d"]), "1000 lines older than 1d deleted\n");
    assert_eq!(lines(&lab, "a.csv"), ["loaded"]);
}

#[test]
fn an_age_is_days_or_hours() {
    let lab = Lab::new("prune_age", TABLE);
    for wrong in ["90", "d", "-1d", "1.5d", "90 d", "36501d", "99999999999999999999d"] {
        let argument = format!("--older-than={wrong}");
        let run = lab.holoload(&["history", "--prune", &argument]).run();
        run.refused(2, &format!("read the age `{wrong}`"), "`90d`");
    }
    for wrong in [&["--dry-run"][..], &["--older-than", "5d"], &["--prune", "--status", "failed"]] {
        assert_contains(&lab.holoload(&[&["history"], wrong].concat()).run().exits(2).stderr, "--");
    }
}
