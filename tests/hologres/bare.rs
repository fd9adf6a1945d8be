//! A server that calls itself Hologres and knows nothing of its extensions: everything must step down to plain SQL,
//! and nothing may be sent that Hologres forbids.

use crate::harness::Lab;

/// What makes a PostgreSQL call itself Hologres, of this version.
fn disguise(version: &str) -> String {
    format!(
        "CREATE FUNCTION hg_version() RETURNS text LANGUAGE sql AS $$ SELECT 'Hologres {version} (tag: release build: x)'::text $$; \
         CREATE PROCEDURE set_table_property(text, text, text) LANGUAGE plpgsql AS $$ BEGIN END $$;"
    )
}

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text, amount numeric(10,2), at timestamptz)";

#[test]
fn a_refused_copy_is_left_for_the_next_path_and_remembered() {
    let lab = Lab::new("bare", &format!("{} {TABLE}", disguise("3.1.17")));
    let report = lab.load_text("id,name,amount,at\n1,a,1.50,2024-01-01 00:00:00.123456\n2,b,2,\n1,c,3,\n");
    assert_eq!(report["write_path"], "unnest", "{report:#}");
    assert_eq!(report["atomic"], false);
    assert_eq!(lab.rows("SELECT id, name, amount FROM t ORDER BY id"), ["1|c|3.00", "2|b|2.00"]);
    lab.assert_gone();
}

#[test]
fn every_insert_path_ends_in_the_same_table() {
    for path in ["unnest", "values", "single_row"] {
        let lab = Lab::new("bare_path", &format!("{} {TABLE}", disguise("2.2.40")));
        let rows: String = (0..1500).map(|id| format!("{id},n{id},{id}.25,2024-01-01 00:00:00Z\n")).collect();
        let config =
            lab.file("c.yml", format!("routes: [{{object: '**', table: t, write: {{path: {path}}}}}]"));
        let file = lab.file("i.csv", format!("id,name,amount,at\n{rows}7,last,,\n"));
        let report = lab.load(&file).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run().loaded();
        assert_eq!(report["write_path"], path);
        assert_eq!(lab.rows("SELECT count(*), sum(amount) FROM t"), ["1500|1124617.75"]);
        assert_eq!(lab.rows("SELECT name FROM t WHERE id = 7"), ["last"]);
        assert_eq!(lab.rows("SELECT status, write_path FROM holoload_ledger"), [format!("loaded|{path}")]);
    }
}

#[test]
fn a_second_delivery_is_skipped_and_a_new_version_loads() {
    let lab = Lab::new("bare_twice", &format!("{} {TABLE}", disguise("4.1.2")));
    let address = lab.put("a.csv", "id,name\n1,a\n");
    assert_eq!(lab.load(&address).run().loaded()["status"], "loaded");
    let again = lab.load(&address).run().exits(0).report();
    assert_eq!(again["status"], "skipped", "{again:#}");
    lab.put("a.csv", "id,name\n1,b\n");
    assert_eq!(lab.load(&address).run().loaded()["status"], "loaded");
    assert_eq!(lab.rows("SELECT id, name FROM t"), ["1|b"]);
    assert_eq!(
        lab.rows("SELECT lease_until, left(claim, 3), right(claim, 11) FROM holoload_fence"),
        ["NULL|000|!0000000002"]
    );
}
