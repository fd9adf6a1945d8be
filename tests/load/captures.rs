//! Routes with captures: the key says which table an object goes to, and what stands in its columns.

use crate::harness::{Lab, Outcome, Run};

const TABLES: &str = "CREATE TABLE orders (id int4 PRIMARY KEY, dt date, part text); \
                      CREATE TABLE users (id int4 PRIMARY KEY, dt date, part text)";

fn with(lab: &Lab, source: &str, routes: &str) -> Run {
    let config = lab.file("c.yml", format!("routes:\n{}", routes.replace("BUCKET", &lab.bucket)));
    lab.load(source).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
}

fn load(lab: &Lab, key: &str, text: &str, routes: &str) -> Outcome {
    let address = lab.put(key, text);
    with(lab, &address, routes).run()
}

#[test]
fn the_key_says_table_and_columns() {
    let lab = Lab::new("captures", TABLES);
    let route = "- {object: 's3://BUCKET/{table}/dt={dt}/{n}.csv', table: 'public.{table}', columns: {part: 'part-{n}'}}";
    let report = load(&lab, "orders/dt=2024-01-05/7 .csv", "id\n1\n2\n", route).loaded();
    assert_eq!(report["table"], "public.orders");
    load(&lab, "users/dt=2024-01-06/日本.csv", "id\n3\n", route).loaded();
    assert_eq!(lab.rows("SELECT * FROM orders ORDER BY 1"), ["1|2024-01-05|part-7 ", "2|2024-01-05|part-7 "]);
    assert_eq!(lab.rows("SELECT * FROM users"), ["3|2024-01-06|part-日本"]);
    assert_eq!(lab.ledger(), ["loaded|public.orders|2|NULL", "loaded|public.users|1|NULL"]);
    // The same key again is known, and its table with it.
    let again = with(&lab, &lab.address("orders/dt=2024-01-05/7 .csv"), route).run().exits(0).report();
    assert_eq!(again["status"], "skipped", "{again:#}");
    let other = load(&lab, "other/orders/dt=2024-01-05/7.csv", "id\n1\n", route).exits(0).report();
    assert_eq!(other["status"], "ignored", "{other:#}");
}

/// A table that is named on the command line takes the place of the one in the route, and of nothing else there.
#[test]
fn another_table_goes_by_the_route_that_matches() {
    let lab = Lab::new("captures_table", TABLES);
    let routes = "- {object: 's3://BUCKET/plain/*.csv', table: orders, parse: {delimiter: ';'}}\n\
                  - {object: 's3://BUCKET/{table}/dt={dt}/{n}.csv', table: '{table}', columns: {part: 'part-{n}'}}";
    let into_users = |key: &str, text: &str| {
        let address = lab.put(key, text);
        with(&lab, &address, routes).argument("--table").argument("users").run().loaded()
    };
    into_users("orders/dt=2024-01-05/7.csv", "id\n1\n");
    into_users("plain/a.csv", "id;part\n2;b\n");
    into_users("elsewhere/a.csv", "id;part\n3;c\n");
    assert_eq!(lab.rows("SELECT * FROM users ORDER BY 1"), ["1|2024-01-05|part-7", "2|NULL|b", "3|NULL|c"]);
    // Rules that need a key are none for others.
    let only = "- {object: 's3://BUCKET/dt={dt}/{n}.csv', table: orders, columns: {part: 'part-{n}'}}";
    let address = lab.put("elsewhere/b.csv", "id\n4\n");
    with(&lab, &address, only).argument("--table").argument("users").run().failed(
        2,
        "no route matches",
        "add a route",
    );
}

#[test]
fn captured_texts_are_read_as_the_columns_rules_say() {
    let lab = Lab::new("captures_rules", TABLES);
    let route = "- {object: 's3://BUCKET/{dt}/{part}/*.csv', table: orders, columns: {dt: {format: '%Y%m%d'}, \
                 part: {null: [__HIVE_DEFAULT_PARTITION__]}}}";
    load(&lab, "20240105/a/1.csv", "id\n1\n", route).loaded();
    load(&lab, "20240106/__HIVE_DEFAULT_PARTITION__/1.csv", "id\n2\n", route).loaded();
    assert_eq!(lab.rows("SELECT * FROM orders ORDER BY 1"), ["1|2024-01-05|a", "2|2024-01-06|NULL"]);
    load(&lab, "2024-01/a/1.csv", "id\n1\n", route).failed(
        2,
        "`columns.dt`: its `capture` does not fit",
        "of type `date`",
    );
}

#[test]
fn what_no_key_can_mean_is_refused_before_anything_is_read() {
    let lab = Lab::new("captures_refused", TABLES);
    for (routes, message, hint) in [
        (
            "- {object: 's3://BUCKET/{tabel}/*.csv', table: '{table}'}",
            "has no capture `{table}`",
            "did you mean `{tabel}`?",
        ),
        (
            "- {object: 's3://BUCKET/*.csv', table: t, columns: {dt: '{dt}'}}",
            "`columns.dt: {dt}`…has no capture",
            "in `object:`",
        ),
        ("- {object: 's3://BUCKET/{a}{b}.csv', table: t}", "nothing between", ""),
        (
            "- {object: 's3://BUCKET/{a}/*', table: '{a}'}\n- {object: 's3://BUCKET/*/*', table: orders}",
            "route 1 (`s3://…takes every object of route 2",
            "the narrower one before",
        ),
        (
            "- {object: '**', table: orders}\n- {object: 's3://BUCKET/x/*', table: users}",
            "route 1 (`**`) takes every object",
            "",
        ),
        (
            "- {object: 's3://BUCKET/a/**', table: orders}\n- {object: 's3://BUCKET/a/b/{dt}.csv', table: users}",
            "takes every object",
            "",
        ),
        (
            "- {object: 's3://BUCKET/a/*.csv', table: orders}\n- {object: 's3://BUCKET/a/b.csv', table: users}",
            "takes every object",
            "",
        ),
    ] {
        let address = lab.put("x/1.csv", "id\n1\n");
        with(&lab, &address, routes).run().refused(2, message, hint);
    }
    // What is narrower may stand before what is wider.
    let routes = "- {object: 's3://BUCKET/a/{dt}.csv', table: users}\n- {object: 's3://BUCKET/{part}/*.csv', table: orders}";
    assert_eq!(load(&lab, "a/2024-01-05.csv", "id\n1\n", routes).loaded()["table"], "public.users");
    assert_eq!(load(&lab, "b/2024-01-05.csv", "id\n1\n", routes).loaded()["table"], "public.orders");
}

#[test]
fn what_a_key_must_not_mean_is_refused_for_that_object() {
    let lab = Lab::new("captures_objects", TABLES);
    let route = "- {object: 's3://BUCKET/{table}/*.csv', table: '{table}'}";
    load(&lab, "no such/1.csv", "id\n1\n", route).failed(
        2,
        "the capture `{table}` of…is no table name",
        "route's glob",
    );
    load(&lab, "a\";DROP TABLE orders;--/1.csv", "id\n1\n", route).failed(2, "is no table name", "");
    load(&lab, "missing/1.csv", "id\n1\n", route).failed(2, "missing", "");
    assert_eq!(lab.rows("SELECT count(*) FROM orders"), ["0"]);
    let own = "- {object: 's3://BUCKET/{dat}/*.csv', table: orders}";
    load(&lab, "2024-01-05/1.csv", "id\n1\n", own).failed(
        2,
        "the capture `{dat}` fills column `dat`, table `public.orders` has no such column",
        "`columns: {…: \"{dat}\"}`",
    );
}

#[test]
fn other_commands_know_that_the_key_says_the_table() {
    let lab = Lab::new("captures_commands", TABLES);
    let route = "- {object: 's3://BUCKET/{table}/*.csv', table: '{table}'}\n- {object: 's3://BUCKET/x/y/*', table: users}";
    let setup = with(&lab, "", route).arguments(&["setup"]).run().exits(0);
    assert!(setup.stdout.contains("\"users\"") && !setup.stdout.contains('{'), "{}", setup.stdout);
    assert!(setup.stderr.contains("say their table"), "{}", setup.stderr);
    let report = load(&lab, "orders/1.csv", "id\n1\n", route).loaded();
    assert_eq!(report["table"], "public.orders");
    lab.put("users/1.csv", "id\n2\n");
    let prefix = lab.address("");
    let found =
        with(&lab, "", route).arguments(&["reprocess", "--prefix", &prefix, "--dry-run"]).run().exits(0);
    assert!(
        found.stdout.contains("users/1.csv") && !found.stdout.contains("orders/1.csv "),
        "{}",
        found.stdout
    );
}
