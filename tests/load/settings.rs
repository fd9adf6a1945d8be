//! Settings and tables that do not fit: refused up front, with what to do next.

use crate::harness::{Lab, Run, counts, s3};
use crate::support::postgres::{Options, Postgres};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";
const ROWS: &str = "id,name\n1,a\n";

#[test]
fn an_unknown_table_names_the_nearest() {
    let lab = Lab::new("no_table", "CREATE TABLE book_order (id int8 PRIMARY KEY)");
    let path = lab.file("input.csv", "id\n1\n");
    let load = |table: &str| lab.load(&path).env("HOLOLOAD_TABLE", table).run();
    load("book_ordre").failed(
        2,
        "there is no table `public.book_ordre`",
        "did you mean `public.book_order`?",
    );
    load("zzz.qqq").failed(2, "there is no table `zzz.qqq`", "create it first, or correct HOLOLOAD_TABLE");
    load("a.b.c").refused(2, "read the table name `a.b.c`", "`schema.table`");
    lab.db.run("CREATE VIEW v AS SELECT 1 AS id");
    load("v").failed(2, "`public.v` is not a table that takes rows", "not a view");
    lab.assert_untouched("book_order");
}

#[test]
fn a_table_without_key_cannot_be_upserted() {
    let lab = Lab::new("no_key", "CREATE TABLE t (id int8 UNIQUE, name text)");
    let path = lab.file("input.csv", ROWS);
    for mode in ["upsert", "ignore", "replace"] {
        let message = format!("table `public.t` has no primary key, `{mode}` needs one");
        lab.load(&path).env("HOLOLOAD_WRITE_MODE", mode).run().failed(
            2,
            &message,
            "ALTER TABLE \"public\".\"t\" ADD PRIMARY KEY",
        );
    }
    lab.assert_untouched("t");
}

#[test]
fn a_deferrable_key_cannot_be_upserted() {
    let lab = Lab::new("deferrable", "CREATE TABLE t (id int8 PRIMARY KEY DEFERRABLE, name text)");
    let path = lab.file("input.csv", ROWS);
    lab.load(&path).run().failed(
        2,
        "the primary key of `public.t` is deferrable",
        "make the key NOT DEFERRABLE",
    );
    lab.assert_untouched("t");
    let report = lab.load(&path).env("HOLOLOAD_WRITE_MODE", "insert").run().loaded();
    assert_eq!(counts(&report), [1, 1, 0, 0, 0, 0]);
}

#[test]
fn a_table_that_may_not_be_written_names_the_way_out() {
    let lab = Lab::new("no_rights", "");
    lab.db.query("CREATE TABLE t (id int8 PRIMARY KEY, name text); GRANT SELECT ON t TO app");
    let path = lab.file("input.csv", ROWS);
    let report = lab.load(&path).run().failed(3, "42501 (insufficient_privilege)", "`holoload setup`");
    assert_eq!(report["error"]["code"], "42501");
    lab.assert_untouched("t");
}

#[test]
fn a_wrong_login_is_a_matter_of_access() {
    let lab = Lab::new("login", TABLE);
    let path = lab.file("input.csv", ROWS);
    let report = lab.load(&path).env("HOLOLOAD_PASSWORD", "wr0ng-secret").run().failed(
        3,
        "connect to localhost:…28P01 (invalid_password)",
        "check HOLOLOAD_USER and HOLOLOAD_PASSWORD",
    );
    assert!(!report.to_string().contains("wr0ng-secret"));
    lab.load(&path).env("HOLOLOAD_USER", "nobody").run().failed(3, "28P01", "HOLOLOAD_USER");
    lab.load(&path).without("HOLOLOAD_PASSWORD").run().failed(
        2,
        "password missing",
        "set HOLOLOAD_PASSWORD or HOLOLOAD_SECRET",
    );
    lab.assert_untouched("t");
}

#[test]
fn an_unknown_database_is_a_matter_of_configuration() {
    let lab = Lab::new("no_database", TABLE);
    let path = lab.file("input.csv", ROWS);
    lab.load(&path).env("HOLOLOAD_DATABASE", "nowhere").run().failed(
        2,
        "3D000 (invalid_catalog_name)",
        "create the database, or correct HOLOLOAD_DATABASE",
    );
    lab.assert_untouched("t");
}

#[test]
fn a_database_that_does_not_answer_may_do_so_later() {
    let lab = Lab::new("unreachable", TABLE);
    let path = lab.file("input.csv", ROWS);
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let load = |variable: &str, value: &str| lab.load(&path).env(variable, value).run();
    load("HOLOLOAD_PORT", &port.to_string()).failed(
        4,
        &format!("connect to localhost:{port}"),
        "check host and port",
    );
    load("HOLOLOAD_HOST", "no-such-host.invalid").failed(
        4,
        "connect to no-such-host.invalid",
        "does not resolve: check HOLOLOAD_HOST",
    );
    lab.assert_untouched("t");
}

#[test]
fn settings_that_cannot_work_are_refused_before_anything_is_read() {
    let lab = Lab::new("bad_settings", TABLE);
    let path = lab.file("input.csv", ROWS);
    let refuse = |name: &str, value: &str, message: &str, hint: &str| {
        lab.load(&path).env(name, value).run().refused(2, message, hint);
    };
    refuse(
        "HOLOLOAD_TABEL",
        "t",
        "the environment variable HOLOLOAD_TABEL is not known",
        "did you mean HOLOLOAD_TABLE?",
    );
    refuse("HOLOLOAD_PORT", "x", "`port` must be a number from 1 to 65535", "");
    refuse("HOLOLOAD_PORT", "0", "`port` must be a number from 1 to 65535", "");
    refuse("HOLOLOAD_TLS", "verify-fool", "verify-fool", "did you mean `verify-full`?");
    refuse("HOLOLOAD_WRITE_MODE", "upsrt", "upsrt", "did you mean `upsert`?");
    refuse("HOLOLOAD_TIMEZONE", "Asia/Tokio", "the time zone `Asia/Tokio` is not known", "`Asia/Tokyo`");
    refuse("HOLOLOAD_BAD_ROWS_MAX", "many", "HOLOLOAD_BAD_ROWS_MAX must be a number", "");
    refuse(
        "HOLOLOAD_BAD_ROWS_MAX",
        "5",
        "bad rows are to be put up with, but there is no place",
        "set HOLOLOAD_REJECTS",
    );
    refuse("HOLOLOAD_BAD_ROWS_MAX_PERCENT", "101", "`bad_rows.max_percent` must be from 0 to 100", "");
    refuse("HOLOLOAD_LEDGER", "a.b.c", "read the table name `a.b.c`", "`schema.table`");
    refuse("HOLOLOAD_REJECTS", "s3://", "read the rejects address `s3://`", "s3://bucket/prefix/");
    refuse(
        "HOLOLOAD_CONFIG",
        "/nowhere/holoload.yaml",
        "read the configuration `/nowhere/holoload.yaml`",
        "HOLOLOAD_CONFIG (--config) is a path",
    );
    refuse(
        "HOLOLOAD_CA",
        "/nowhere/ca.pem",
        "read the CA certificate `/nowhere/ca.pem`",
        "PEM text or the path of a PEM file",
    );
    lab.load(&path).without("HOLOLOAD_HOST").run().refused(
        2,
        "`target.host` is missing",
        "set HOLOLOAD_HOST",
    );
    lab.load(&path).without("HOLOLOAD_USER").run().refused(
        2,
        "`target.user` is missing",
        "set HOLOLOAD_USER",
    );
    lab.load(&path).without("HOLOLOAD_TABLE").run().failed(2, "no table is named", "set HOLOLOAD_TABLE");
    Run::new(&["load", &path]).run().refused(
        2,
        "no database is named",
        "set HOLOLOAD_HOST, HOLOLOAD_DATABASE and HOLOLOAD_USER",
    );
    lab.assert_untouched("t");
}

#[test]
fn a_configuration_that_is_wrong_names_the_place() {
    let lab = Lab::new("bad_yaml", TABLE);
    let path = lab.file("input.csv", ROWS);
    let route = "routes: [{object: '**', table: t";
    for (yaml, message, hint) in [
        ("tagret: {host: h}\n".to_owned(), "unknown field `tagret`", "did you mean `target`?"),
        ("target: {hots: h}\n".to_owned(), "unknown field `hots`", "did you mean `host`?"),
        (
            format!("{route}, parse: {{delimeter: ','}}}}]\n"),
            "unknown field `delimeter`",
            "did you mean `delimiter`?",
        ),
        (format!("{route}, write: {{mode: upsert, newer: x}}}}]\n"), "unknown field `newer`", ""),
        (
            format!("{route}, parse: {{delimiter: '<=======>'}}}}]\n"),
            "`delimiter` must be 1 to 8 bytes long",
            "`\\t`",
        ),
        (format!("{route}, parse: {{record_end: lfcr}}}}]\n"), "unknown variant `lfcr`", "did you mean"),
        (
            format!("{route}, parse: {{comment: '\"'}}}}]\n"),
            "`comment` must differ from `quote`",
            "of its own",
        ),
        (format!("{route}, parse: {{format: parquett}}}}]\n"), "`format: parquett` is not known", ""),
        (
            "target:\n  password: ${NOT_SET}\n".to_owned(),
            "the environment has no `NOT_SET`",
            "export NOT_SET",
        ),
        (
            format!("{route}, parse: {{null_string: NULL}}}}]\n"),
            "found null where a string is expected, at `routes[0].parse.null_string`",
            "need quotes",
        ),
        (
            format!("{route}}}, {{object: x, table: t, bad_rows: {{max: all}}}}]\n"),
            "found string where a whole number from 0 on is expected, at `routes[1].bad_rows.max`",
            "compare",
        ),
        (format!("{route}, columns: {{a: {{null: NULL}}}}}}]\n"), "a text is expected", ""),
        (
            format!("rejects: gs://b/p/\n{route}}}]\n"),
            "rejects cannot be written to `gs://`",
            "`s3://bucket/prefix/` or a directory",
        ),
        ("a: [\n".to_owned(), "not valid YAML at line", ""),
        ("- a\n- b\n".to_owned(), "the top level must be `key: value` lines", ""),
    ] {
        let config = lab.file("holoload.yaml", &yaml);
        let run = lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run();
        run.refused(2, message, hint);
    }
    lab.assert_untouched("t");
}

#[test]
fn a_mistake_beside_a_password_does_not_show_it() {
    let lab = Lab::new("yaml_password", TABLE);
    let path = lab.file("input.csv", ROWS);
    for yaml in [
        "target: {password: [pw-canary]}\n",
        "target:\n  password: \"pw-canary\n",
        "target: {password: {pw-canary: 1}}\n",
        "target: {password: pw-canary, secret: x, host: h, user: u, database: d}\n",
        "target: {password: pw-canary, passwrod: pw-canary}\n",
        "target: pw-canary\n",
        "target: {password: 70317031}\n",
        "target: {host: h, port: pw-canary, user: u, database: d}\n",
    ] {
        let config = lab.file("holoload.yaml", yaml);
        let run = lab.load(&path).without("HOLOLOAD_PASSWORD").env("HOLOLOAD_CONFIG", config);
        let outcome = run.env("RUST_LOG", "trace").run().exits(2);
        let is_silent = !outcome.stderr.contains("pw-canary") && !outcome.stderr.contains("70317031");
        assert!(is_silent, "{yaml}\n{}", outcome.stderr);
    }
}

#[test]
fn rejects_where_a_route_would_load_them_are_refused() {
    let lab = Lab::new("own_output", TABLE);
    let bucket = &lab.bucket;
    let address = lab.put("in/input.csv", ROWS);
    let config = lab.file("holoload.yaml", format!("routes: [{{object: 's3://{bucket}/**', table: t}}]\n"));
    let run = lab.load(&address).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    run.env("HOLOLOAD_REJECTS", format!("s3://{bucket}/rejects/")).run().refused(
        2,
        "the rejects address `s3://…/rejects/` is matched by a route",
        "use another bucket or a prefix",
    );
}

#[test]
fn the_configuration_may_be_in_s3_or_in_the_variable_itself() {
    let lab =
        Lab::new("config_s3", "CREATE TABLE a (id int8 PRIMARY KEY); CREATE TABLE b (id int8 PRIMARY KEY)");
    s3().put(&lab.bucket, "conf/holoload.yaml", "routes: [{object: '**', table: a}]\n");
    let path = lab.file("input.csv", "id\n1\n");
    let run = |config: &str| lab.load(&path).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config).run();
    assert_eq!(run(&lab.address("conf/holoload.yaml")).loaded()["table"], "public.a");
    assert_eq!(run("routes: [{object: '**', table: b}]").loaded()["table"], "public.b");
    run(&lab.address("conf/none.yaml")).refused(
        2,
        "read the configuration…NoSuchKey",
        "there is no such object",
    );
}

#[test]
fn a_ledger_that_may_not_be_created_gives_its_statements() {
    let cluster = Postgres::start(Options::default());
    let db = cluster.database("no_create");
    db.query("CREATE TABLE t (id int8 PRIMARY KEY, name text); GRANT ALL ON t TO app");
    db.query("ALTER DATABASE no_create_0 OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM PUBLIC, app");
    let lab = Lab::in_database("no_create", db, "");
    let path = lab.file("input.csv", ROWS);
    lab.load(&path).run().failed(
        2,
        "create the ledger…42501",
        "run as the table owner: CREATE TABLE IF NOT EXISTS \"public\".\"holoload_ledger\"…\"public\".\"holoload_fence\"…HOLOLOAD_LEDGER=off",
    );
    lab.assert_untouched("t");
    let report = lab.load(&path).env("HOLOLOAD_LEDGER", "off").run().loaded();
    assert_eq!(counts(&report), [1, 1, 0, 0, 0, 0]);
    let again = lab.load(&path).env("HOLOLOAD_LEDGER", "off").run().loaded();
    assert_eq!(counts(&again), [1, 0, 0, 1, 0, 0]);
}
