//! Broken inside of the database.

use crate::harness::Run;
use crate::support::postgres;
use crate::support::standin::Options;

use super::clinic::{Clinic, Findings};

fn found(run: Run, code: i32) -> Findings {
    let found = Findings::of(&run.run().exits(code));
    found.has("login", "ok", "", "").has("decrypt", "ok", "", "");
    found
}

fn of_user(clinic: &Clinic, (user, password): &(String, &str)) -> Run {
    clinic.doctor().env("HOLOLOAD_USER", user.as_str()).env("HOLOLOAD_PASSWORD", *password)
}

#[test]
fn a_table_that_is_not_there() {
    let clinic = Clinic::in_database(
        "no_table",
        postgres::shared().database("no_table"),
        "CREATE TABLE book_order (id int8 PRIMARY KEY)",
    );
    found(clinic.doctor().env("HOLOLOAD_TABLE", "public.book_ordr"), 2)
        .only_fails("table", "there is no table `public.book_ordr`", "did you mean `public.book_order`?")
        .skips(&["write_path", "privileges"], "table")
        .has("ledger", "ok", "", "");
}

#[test]
fn a_table_without_a_key() {
    let clinic = Clinic::in_database(
        "no_key",
        postgres::shared().database("no_key"),
        "CREATE TABLE t (id int8, name text)",
    );
    found(clinic.doctor(), 2)
        .only_fails(
            "table",
            "table `public.t` has no primary key, `upsert` needs one",
            "ALTER TABLE \"public\".\"t\" ADD PRIMARY KEY",
        )
        .skips(&["write_path"], "table")
        .has("privileges", "ok", "", "");
    found(clinic.doctor().env("HOLOLOAD_WRITE_MODE", "insert"), 0).has("table", "ok", "no key", "");
}

#[test]
fn rights_that_are_missing() {
    let clinic = Clinic::new("no_rights");
    let user = clinic.user();
    let name = &user.0;
    clinic.db.run(&format!("GRANT SELECT ON t TO {name}"));
    found(of_user(&clinic, &user), 3).has(
        "privileges",
        "fail",
        &format!("public.t: `{name}` lacks what it needs of SELECT, INSERT, UPDATE"),
        &format!("run as the table's owner: GRANT INSERT, UPDATE ON \"public\".\"t\" TO \"{name}\""),
    );
    // The hint is what helps.
    let hint = Findings::of(&of_user(&clinic, &user).run()).check("privileges")["hint"]
        .as_str()
        .expect("a hint")
        .to_owned();
    clinic.db.query(hint.split_once(": ").expect("statements").1);
    Findings::of(&of_user(&clinic, &user).run()).has("privileges", "ok", "has SELECT, INSERT, UPDATE", "");

    // A route that deletes needs more.
    let config = "routes: [{object: '**', table: t, write: {op: Op}}]";
    let deleting = || of_user(&clinic, &user).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    found(deleting(), 3).has("privileges", "fail", "DELETE", "GRANT DELETE ON \"public\".\"t\"");
    let config = "routes: [{object: '**', table: t, write: {mode: snapshot, scope: table}}]";
    clinic.db.query(&format!("REVOKE TEMP ON DATABASE \"{}\" FROM PUBLIC", clinic.db.name));
    let replacing = of_user(&clinic, &user).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    found(replacing, 3).has("privileges", "fail", "TEMP", "GRANT DELETE…GRANT TEMP ON DATABASE");
}

#[test]
fn rights_that_are_missing_on_hologres() {
    let (clinic, _standin) = Clinic::hologres("no_rights_holo", Options::default());
    let user = clinic.user();
    clinic.db.query(&format!(
        "GRANT SELECT ON t TO {0}; CREATE SCHEMA loads; GRANT USAGE ON SCHEMA loads TO {0}",
        user.0
    ));
    let config = "routes: [{object: '**', table: t, write: {partitions: create}}]";
    let creating = of_user(&clinic, &user).without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config);
    found(creating, 3).has(
        "privileges",
        "fail",
        "CREATE in the schema, ownership",
        "ALTER TABLE \"public\".\"t\" OWNER TO…_developer'",
    );
    found(of_user(&clinic, &user).env("HOLOLOAD_LEDGER", "loads.my_ledger"), 3).has(
        "ledger",
        "fail",
        "may not create tables in schema `loads`",
        "set_table_property('\"loads\".\"my_fence\"', 'orientation', 'row')…the `developer` group",
    );
    found(of_user(&clinic, &user), 3).has(
        "privileges",
        "fail",
        "lacks",
        &format!(
            "GRANT INSERT, UPDATE ON \"public\".\"t\"…CALL spm_grant('{}_writer', '{}')",
            clinic.db.name, user.0
        ),
    );
}

#[test]
fn a_ledger_that_may_not_be_created() {
    let clinic = Clinic::new("no_ledger_rights");
    let user = clinic.user();
    let name = &user.0;
    clinic.db.run(&format!(
        "GRANT SELECT, INSERT, UPDATE ON t TO {name}; CREATE SCHEMA loads; GRANT USAGE ON SCHEMA loads TO {name}"
    ));
    let doctor = || of_user(&clinic, &user).env("HOLOLOAD_LEDGER", "loads.my_ledger");
    let findings = found(doctor(), 2);
    findings.only_fails(
        "ledger",
        &format!("it is not there, and `{name}` may not create tables in schema `loads`"),
        "run as the schema's owner: CREATE TABLE IF NOT EXISTS \"loads\".\"my_ledger\"…\"my_fence\"…GRANT SELECT, INSERT, UPDATE ON \"loads\".\"my_fence\"",
    );
    // What the hint says is all it takes.
    let hint = findings.check("ledger")["hint"].as_str().expect("a hint").to_owned();
    clinic.db.run(hint.strip_prefix("run as the schema's owner: ").expect("statements"));
    found(doctor(), 0).has("ledger", "ok", "are there", "");
    of_user(&clinic, &user)
        .env("HOLOLOAD_LEDGER", "loads.my_ledger")
        .arguments(&["load", "--json", &clinic.source])
        .run()
        .loaded();

    clinic.db.run(&format!("REVOKE UPDATE ON loads.my_fence FROM {name}"));
    found(doctor(), 3).only_fails("ledger", "may not be written", "GRANT UPDATE ON \"loads\".\"my_fence\"");
    let elsewhere = clinic.doctor().env("HOLOLOAD_LEDGER", "nowhere.my_ledger");
    found(elsewhere, 2).only_fails("ledger", "there is no schema `nowhere`", "create the schema");
    found(clinic.doctor().env("HOLOLOAD_LEDGER", "off"), 0).has(
        "ledger",
        "warn",
        "it is off",
        "remove `ledger: off`",
    );
}

/// Tables that an earlier build has made.
#[test]
fn a_ledger_of_an_earlier_build() {
    let clinic = Clinic::new("old_ledger");
    clinic.load(&clinic.source).run().loaded();
    clinic.db.run("ALTER TABLE holoload_ledger DROP COLUMN load_id, DROP COLUMN resume; ALTER TABLE holoload_fence DROP COLUMN claim");
    let findings = found(clinic.doctor(), 2);
    findings.only_fails(
        "ledger",
        "lack columns",
        "ALTER TABLE \"public\".\"holoload_ledger\" ADD COLUMN load_id text, ADD COLUMN resume text; ALTER TABLE \"public\".\"holoload_fence\" ADD COLUMN claim text",
    );
    let hint = findings.check("ledger")["hint"].as_str().expect("a hint").to_owned();
    clinic.db.run(hint.split_once(": ").expect("statements").1);
    found(clinic.doctor(), 0).has("ledger", "ok", "are there", "");
}

#[test]
fn a_role_with_few_connections() {
    let clinic = Clinic::new("few_connections");
    let user = clinic.user();
    clinic.db.run(&format!("GRANT ALL ON t TO {}", user.0));
    clinic.db.query(&format!("ALTER ROLE {} CONNECTION LIMIT 3; GRANT ALL ON SCHEMA public TO {0}", user.0));
    found(of_user(&clinic, &user), 0).has("connections", "warn", "1 of 3 taken", "MaxLoaders");
}
