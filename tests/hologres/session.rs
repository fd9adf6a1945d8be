//! What a session sets, and what it never says.

use crate::lab::{Hologres, ORDERS, PROFILES};
use crate::support::standin::{Options, Profile};

/// Hologres's own zone is PRC (+08): it must never have a say.
#[test]
fn local_times_mean_the_target_s_zone() {
    for (zone, stored) in [("Asia/Tokyo", "2024-01-01 00:00:00+00"), ("UTC", "2024-01-01 09:00:00+00")] {
        for write in [
            "write: {mode: upsert}",
            "write: {path: unnest}",
            "write: {path: values}",
            "write: {atomic: true}",
        ] {
            let hologres = Hologres::new("zone", ORDERS);
            let load =
                hologres.load_with(write, "id,name,at\n1,a,2024-01-01 09:00:00\n2,b,2024-01-01T09:00:00Z\n");
            load.env("HOLOLOAD_TIMEZONE", zone).run().loaded();
            let rows = hologres.rows("SELECT at AT TIME ZONE 'UTC' || '+00' FROM t ORDER BY id");
            assert_eq!(rows, [stored, "2024-01-01 09:00:00+00"], "{zone}: {write}");
            let set = format!("SET timezone TO '{zone}'");
            assert!(hologres.standin.statements().iter().any(|sql| sql.contains(&set)), "{zone}");
        }
    }
}

#[test]
fn every_session_is_limited_and_named() {
    let hologres = Hologres::new("limits", ORDERS);
    hologres.load_with("write: {mode: upsert}", "id,name\n1,a\n").run().loaded();
    let statements = hologres.standin.statements();
    let timeout = statements.iter().find_map(|sql| sql.strip_prefix("SET statement_timeout = "));
    assert!(timeout.and_then(|ms| ms.parse::<u64>().ok()).is_some_and(|ms| ms <= 45_000), "{statements:?}");
    assert!(
        hologres.standin.settings().iter().any(|(name, value)| {
            name == "hg_experimental_enable_fixed_dispatcher_affected_rows" && value == "off"
        }),
        "{:?}",
        hologres.standin.settings()
    );
    assert_eq!(hologres.standin.logins(), 1, "one load, one connection");
}

/// Where no path was taken nothing appeared together either: reports and ledger do not say so.
#[test]
fn a_load_that_wrote_nothing_is_not_called_atomic() {
    let hologres = Hologres::new("not_atomic", ORDERS);
    let file = hologres.file("a.csv", "id,name\n1,a\n");
    hologres.load(&file).run().loaded();
    let skipped = hologres.load(&file).run().exits(0);
    let report = &skipped.json()["objects"][0];
    assert_eq!((report["status"].as_str(), report["atomic"].as_bool()), (Some("skipped"), Some(false)));
    let told = hologres.rows("SELECT status || ' ' || atomic FROM holoload_ledger ORDER BY attempt");
    assert_eq!(told, ["loaded false", "skipped false"]);
}

/// Two statements at once, one answer: a warm load needs few round trips, and none for what it knows.
#[test]
fn what_is_known_is_not_asked_again() {
    let hologres = Hologres::new("warm", ORDERS);
    let first = hologres.put("a.csv", "id,name\n1,a\n");
    let second = hologres.put("b.csv", "id,name\n2,b\n");
    let outcome = hologres.holoload(&["load", "--json", &first, &second]).run().exits(0);
    assert_eq!(outcome.json()["objects"].as_array().map(Vec::len), Some(2));
    let times = |part: &str| hologres.standin.statements().iter().filter(|sql| sql.contains(part)).count();
    for part in ["hg_version()", "i.indkey", "hg_table_properties", "SET timezone"] {
        assert_eq!(times(part), 1, "{part}");
    }
}

/// `attgenerated` is in the catalog from V3.1.0 on.
#[test]
fn the_catalog_is_read_by_version() {
    for profile in PROFILES {
        let hologres = Hologres::of(profile, true, "catalog", ORDERS);
        hologres.load_with("write: {mode: upsert}", "id,name\n1,a\n").run().loaded();
        let asks = hologres.standin.statements().iter().any(|sql| sql.contains("attgenerated"));
        assert_eq!(asks, profile != Profile::V2_2, "{profile:?}");
    }
}

/// No row is written inside a transaction, nothing is temporary, no text is longer than Hologres takes, and no value of
/// the file stands in any text.
#[test]
fn nothing_is_said_that_hologres_forbids() {
    let canary = "canary-7f3a";
    for profile in PROFILES {
        for extended_copy in [true, false] {
            for write in [
                "write: {mode: upsert}",
                "write: {mode: ignore}",
                "write: {mode: replace}",
                "write: {path: values}",
            ] {
                let options = Options { profile, extended_copy, ..Options::default() };
                let hologres = Hologres::with("said", ORDERS, options);
                let text =
                    format!("id,name,amount,at,flag\n1,{canary},1.5,2024-01-01 00:00:00Z,true\n2,,,,\n");
                hologres.load_with(write, &text).run().loaded();
                hologres.load_with(write, &text).argument("--force").run().loaded();
                hologres.assert_nothing_forbidden();
                let statements = hologres.standin.statements();
                assert!(statements.iter().all(|sql| !sql.contains(canary)), "a value in a text");
                let setup = hologres.holoload(&["history", "--json"]).run().exits(0);
                assert_eq!(setup.json().as_array().map(Vec::len), Some(2));
            }
        }
    }
}
