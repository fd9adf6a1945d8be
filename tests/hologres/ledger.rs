//! What else the command line does on Hologres: the ledger read for many objects at once, and shortened; a table compared.

use crate::lab::{Hologres, PROFILES};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";

#[test]
fn what_is_missing_under_a_prefix_is_loaded() {
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "reprocess_hologres", TABLE);
        for id in 1..=3 {
            hologres.put(&format!("in/{id}.csv"), format!("id,name\n{id},a\n"));
        }
        hologres.load(&hologres.address("in/2.csv")).run().loaded();
        let prefix = hologres.address("in/");
        let run = || {
            hologres
                .holoload(&["reprocess", "--missing", "--json", "--prefix", &prefix])
                .run()
                .exits(0)
                .json()
        };
        let answer = run();
        let counts =
            ["listed_count", "chosen_count", "current_count"].map(|name| answer["reprocess"][name].clone());
        assert_eq!(counts, [3, 2, 1], "{answer:#}");
        assert_eq!(hologres.rows("SELECT id FROM t ORDER BY id"), ["1", "2", "3"]);
        assert_eq!(run()["reprocess"]["chosen_count"], 0);
        hologres.assert_nothing_forbidden();
    }
}

/// What was written over every path reads back as it was sent.
#[test]
fn a_table_is_compared_with_its_object() {
    for profile in PROFILES {
        let table = "CREATE TABLE t (id int8, code text, amount numeric(10,2), at timestamptz, data jsonb, PRIMARY KEY (code, id))";
        let hologres = Hologres::of(profile, true, "verify_hologres", table);
        let rows = (0..1500).map(|id| {
            format!(
                "{id},k{},{id}.5,2024-01-01 00:00:00.123456Z,\"{{\"\"b\"\": 1, \"\"a\"\": {id}}}\"\n",
                id % 7
            )
        });
        let address =
            hologres.put("a.csv", format!("id,code,amount,at,data\n{}3,k3,7,,\n", rows.collect::<String>()));
        hologres.load(&address).run().loaded();
        let verify = |code: i32| hologres.holoload(&["verify", "--json", &address]).run().exits(code).json();
        let verdict = verify(0);
        assert_eq!(
            (&verdict["row_count"], &verdict["equal_count"]),
            (&1501.into(), &1500.into()),
            "{verdict:#}"
        );
        hologres.db.run("UPDATE t SET amount = 0 WHERE id = 3; DELETE FROM t WHERE id = 1400");
        let verdict = verify(1);
        assert_eq!((&verdict["different_count"], &verdict["missing_count"]), (&1.into(), &1.into()));
        assert_eq!(verdict["lines"], serde_json::json!([1402, 1502]), "the last row of the key");
        hologres.assert_nothing_forbidden();
    }
}

#[test]
fn old_lines_are_deleted_by_key() {
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "prune_hologres", TABLE);
        let address = hologres.put("a.csv", "id,name\n1,a\n");
        for _ in 0..3 {
            hologres.load(&address).run().exits(0);
        }
        hologres.db.run("UPDATE holoload_ledger SET finished_at = finished_at - interval '100 days'");
        let prune = |argument: &str| {
            hologres.holoload(&["history", "--prune", "--older-than", argument]).run().exits(0).stdout
        };
        assert_eq!(prune("101d"), "0 lines older than 101d deleted\n");
        assert_eq!(prune("90d"), "2 lines older than 90d deleted\n");
        assert_eq!(hologres.rows("SELECT status FROM holoload_ledger"), ["skipped"]);
        let deletes = hologres.standin.statements();
        let deletes = deletes.iter().filter(|sql| sql.starts_with("DELETE"));
        assert!(
            deletes
                .clone()
                .all(|sql| sql.contains("\"holoload_ledger\" WHERE (bucket = $1 AND object_key = $2")),
            "{profile:?}"
        );
        assert_eq!(deletes.count(), 1);
        hologres.assert_nothing_forbidden();
    }
}

#[test]
fn what_failed_is_found_without_a_listing() {
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "failed_hologres", TABLE);
        for (key, text) in
            [("a.csv", "id,name\n1,a\n"), ("b.csv", "id,name\nx,b\n"), ("c.csv", "id,name\nx,c\n")]
        {
            hologres.load(&hologres.put(key, text)).run();
        }
        hologres.put("b.csv", "id,name\n2,b\n");
        let run = |arguments: &[&str]| {
            hologres.holoload(&[&["reprocess", "--failed", "--json"], arguments].concat()).run()
        };
        let dry = run(&["--dry-run"]).exits(0).json();
        let chosen: Vec<String> = dry["reprocess"]["chosen"]
            .as_array()
            .expect("chosen")
            .iter()
            .map(|one| one["object"].as_str().expect("an address").to_owned())
            .collect();
        assert_eq!(chosen, [hologres.address("b.csv"), hologres.address("c.csv")]);
        for (arguments, count) in
            [(["--since", "2999-01-01"], 0), (["--until", "2020-01-01"], 0), (["--within-hours", "1"], 2)]
        {
            let answer = run(&[&["--dry-run"], arguments.as_slice()].concat()).exits(0).json();
            assert_eq!(answer["reprocess"]["listed_count"], count, "{arguments:?}");
        }
        let answer = run(&[]).exits(1).json();
        let statuses: Vec<_> =
            answer["objects"].as_array().expect("reports").iter().map(|one| &one["status"]).collect();
        assert_eq!(statuses, ["loaded", "failed"], "{answer:#}");
        assert_eq!(hologres.rows("SELECT id FROM t ORDER BY id"), ["1", "2"]);
        hologres.assert_nothing_forbidden();
    }
}
