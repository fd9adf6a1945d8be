//! Renamed fields, constants and fields without a column, over every path of Hologres.

use crate::lab::{Hologres, PROFILES, path};

#[test]
fn renamed_and_constant_columns_load_over_every_path() {
    let table =
        "CREATE TABLE t (id int8, region text, name text, day date, rest jsonb, PRIMARY KEY (id, region))";
    let columns = "columns: {id: {from: 番号}, region: {constant: jp}, day: {constant: '2024-02-29'}}, drop: [x], extras: rest";
    for profile in PROFILES {
        for (write, wanted) in
            [("{}", None), ("{path: unnest}", Some("unnest")), ("{path: values}", Some("values"))]
        {
            let hologres = Hologres::of(profile, true, "mapping", table);
            for name in ["a", "b"] {
                let text = format!("番号,x,name,色\n1,-,{name},赤\n2,-,,\n");
                let report = hologres
                    .load_with(&format!("{columns}, write: {write}"), text)
                    .argument("--force")
                    .run()
                    .loaded();
                assert!(wanted.is_none_or(|wanted| path(&report).0 == wanted), "{report:#}");
                assert_eq!(
                    hologres.rows("SELECT * FROM t ORDER BY id"),
                    [
                        format!("1|jp|{name}|2024-02-29|{{\"色\": \"赤\"}}"),
                        "2|jp|NULL|2024-02-29|{\"色\": null}".to_owned()
                    ]
                );
            }
            hologres.assert_nothing_forbidden();
        }
    }
}
