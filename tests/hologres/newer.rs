//! `newer_by` on Hologres: a condition on one column, which a Fixed Plan takes.

use crate::lab::{Hologres, PROFILES, path};
use crate::support::standin::Profile;

const FILES: [&str; 3] = [
    "id,name,seen\n1,a,2024-01-01 00:00:00Z\n2,a,2024-01-09 00:00:00Z\n3,a,2024-01-01 00:00:00Z\n",
    "id,name,seen\n1,b,2024-01-02 00:00:00Z\n2,b,2024-01-01 00:00:00Z\n1,old,2023-01-01 00:00:00Z\n",
    "id,name,seen\n1,c,2024-01-01 12:00:00Z\n3,c,2024-01-03 00:00:00Z\n3,older,2024-01-02 00:00:00Z\n",
];

#[test]
fn files_converge_in_any_order_over_every_path() {
    for profile in PROFILES {
        let others = if profile == Profile::V3_1 { 4 } else { 1 };
        let choices =
            [("", ""), (" NOT NULL", ""), ("", ", path: values"), (" NOT NULL", ", path: single_row")];
        for (nullable, named) in choices.into_iter().take(others) {
            let table =
                format!("CREATE TABLE t (id int8 PRIMARY KEY, name text, seen timestamptz{nullable})");
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let hologres = Hologres::of(profile, true, "newer", &table);
                for file in order {
                    let write = format!("write: {{newer_by: seen{named}}}");
                    let report = hologres.load_with(&write, FILES[file]).argument("--force").run().loaded();
                    let wanted = if named.is_empty() { "unnest" } else { &named[8..] };
                    assert_eq!(path(&report), (wanted, false));
                }
                let rows = hologres.rows("SELECT id, name FROM t ORDER BY id");
                assert_eq!(rows, ["1|b", "2|a", "3|c"], "{profile:?} {order:?} {named}");
                hologres.assert_nothing_forbidden();
            }
        }
    }
}

#[test]
fn a_copy_has_no_condition() {
    let hologres = Hologres::new("newer_copy", "CREATE TABLE t (id int8 PRIMARY KEY, name text, seen date)");
    for write in ["newer_by: seen, path: fixed_copy", "newer_by: seen, atomic: true"] {
        let load = hologres.load_with(&format!("write: {{{write}}}"), "id,name,seen\n1,a,2024-01-01\n");
        load.run().failed(2, "COPY knows no `newer_by`", "leave");
    }
}
