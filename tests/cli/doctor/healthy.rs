//! Set-ups in which loads work.

use crate::harness::{assert_contains, s3};
use crate::support::account::{CALLER, QUEUE, SECRET};
use crate::support::s3::{Fault, On, Operation};
use crate::support::standin::{Options, Profile};

use super::clinic::{Clinic, Findings};

/// Every check there is.
const NAMES: [&str; 23] = [
    "settings",
    "route",
    "environment",
    "identity",
    "secret",
    "queue",
    "bucket",
    "s3_path",
    "object",
    "encryption",
    "decrypt",
    "rejects",
    "dns",
    "tcp",
    "tls",
    "certificate",
    "allow_list",
    "login",
    "version",
    "connections",
    "table",
    "write_path",
    "privileges",
];

/// S3 as it answers through a gateway endpoint, under the role of the template.
fn through_endpoint(clinic: &Clinic) {
    let internet = On {
        operation: Some(Operation::List),
        ..On::key(&clinic.bucket, "holoload-doctor/through-internet")
    };
    s3().fail_always(internet, Fault::access_denied());
}

#[test]
fn a_set_up_that_works_is_ok_on_postgresql() {
    let clinic = Clinic::new("healthy");
    through_endpoint(&clinic);
    let outcome = clinic.doctor().env("HOLOLOAD_QUEUE", QUEUE).run().exits(0);
    assert_eq!(outcome.stderr, "");
    assert!(!outcome.stdout.contains(&clinic.db.password) && !outcome.stdout.contains("test-secret"));
    let found = Findings::of(&outcome);
    assert_eq!(found.verdict(), "warn", "AWS is replaced in tests");
    assert_eq!((found.named("warn"), found.named("skipped")), (vec!["environment"], vec!["secret"]));
    let named: Vec<&str> = [found.named("ok"), vec!["environment", "secret"]].concat();
    for name in NAMES.iter().chain(&["ledger", "clock"]) {
        assert!(named.contains(name), "{name} is not in {named:?}");
    }
    let key = format!("SSE-KMS with arn:aws:kms:…{}", clinic.key);
    let probe = format!("wrote `{}` (empty)", clinic.address("rejects/holoload-doctor.rejects.csv"));
    for (name, text) in [
        ("settings", "on localhost:…, ledger public.holoload_ledger, rejects s3://"),
        ("route", "`**` -> public.t (upsert)"),
        ("identity", &format!("{CALLER} in ap-northeast-1")),
        (
            "queue",
            "loads: hidden for 5400 s, 12 receives until the dead-letter queue, kept for 14 days, 3 waiting; enough for a function timeout of 900 s",
        ),
        ("bucket", "in ap-northeast-1, may be listed"),
        ("s3_path", "through a VPC endpoint"),
        ("object", "in/a.csv`, 12 bytes, ETag "),
        ("encryption", &key),
        ("decrypt", "its first bytes were read"),
        ("rejects", &probe),
        ("dns", "localhost is "),
        ("tls", "chain verified against HOLOLOAD_CA, and the host name"),
        ("certificate", "CN=localhost for localhost, 127.0.0.1, issued by CN=test authority, 20…days left"),
        ("allow_list", "let in; the server sees 127.0.0.1"),
        ("login", "as `app` by a plain password"),
        ("version", "PostgreSQL "),
        ("connections", "of 97 taken, this one included"),
        ("table", "public.t: 2 columns, key (id)"),
        ("write_path", "public.t: unnest, atomic: an object's rows appear together"),
        ("privileges", "public.t: `app` has SELECT, INSERT, UPDATE"),
        ("ledger", "public.holoload_ledger and public.holoload_fence are created by the first load"),
        ("clock", "within 60 s of S3, the database"),
    ] {
        let status = if name == "environment" { "warn" } else { "ok" };
        found.has(name, status, text, "");
    }
    found.has("environment", "warn", "holoload …AWS_ENDPOINT_URL_S3", "unset AWS_ENDPOINT_URL_S3");

    // Nothing is left behind but the one empty object, which would never be loaded.
    clinic.assert_untouched("t");
    assert_eq!(
        clinic.rows("SELECT to_regclass('holoload_ledger'), to_regclass('holoload_fence')"),
        ["NULL|NULL"]
    );
    assert_eq!(s3().keys(&clinic.bucket, ""), ["in/a.csv", "rejects/holoload-doctor.rejects.csv"]);
    let probe = s3().current(&clinic.bucket, "rejects/holoload-doctor.rejects.csv").expect("the probe");
    let event = clinic.file("event.json", probe.event().to_string());
    let answer = clinic.doctor().arguments(&["invoke", &event]).run().exits(0).json();
    assert_eq!(answer["objects"][0]["status"], "ignored", "{answer:#}");
    assert_contains(answer["objects"][0]["reason"].as_str().expect("a reason"), "a reject object of our own");

    // What the doctor calls healthy loads, and what has loaded is healthy.
    clinic.load(&clinic.source).run().loaded();
    let found = Findings::of(&clinic.doctor().run().exits(0));
    found.has("ledger", "ok", "public.holoload_ledger and public.holoload_fence are there", "");
    assert_eq!(clinic.db.count("t"), 1);
}

#[test]
fn a_set_up_that_works_is_ok_on_hologres() {
    for (profile, name) in [(Profile::V2_2, "healthy_holo_2"), (Profile::V4_1, "healthy_holo_4")] {
        let (clinic, standin) = Clinic::hologres(name, Options { profile, ..Options::default() });
        let found = Findings::of(&clinic.doctor().run().exits(0));
        assert_eq!(found.named("fail"), [""; 0]);
        assert_eq!(found.named("warn"), ["environment"]);
        found
            .has("version", "ok", &format!("Hologres {}.", profile.release()), "")
            .has("tls", "ok", "chain verified", "")
            .has("certificate", "ok", "issued by CN=stand-in authority", "")
            .has("allow_list", "ok", "the server sees 127.0.0.1", "")
            .has("connections", "ok", "of 256 taken", "")
            .has("table", "ok", "key (id), distributed by id", "")
            .has("write_path", "ok", "fixed_copy, not atomic: an object's rows appear batch by batch", "")
            .has("privileges", "ok", "has SELECT, INSERT, UPDATE", "")
            .has("ledger", "ok", "are created by the first load", "")
            .has("clock", "ok", "the database", "");
        let writes = ["INSERT", "UPDATE", "DELETE", "COPY", "CREATE", "CALL", "GRANT"];
        for sql in standin.statements() {
            assert!(!writes.iter().any(|word| sql.starts_with(word)), "the doctor wrote: {sql}");
        }
        clinic.load(&clinic.source).run().loaded();
    }
}

/// A line for each check, hints below, the sum at the end.
#[test]
fn people_read_a_table() {
    let clinic = Clinic::new("doctor_text");
    let gone = clinic.address("in/gone.csv");
    let run = clinic.doctor().arguments(&["doctor", &gone]);
    let outcome = run.run().exits(1);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with("ok       settings     `"), "{}", outcome.stdout);
    let failed = lines.iter().position(|line| line.starts_with("fail     object       ")).expect("a line");
    assert!(
        lines[failed + 1].starts_with("                      hint: there is no such object"),
        "{}",
        outcome.stdout
    );
    assert_contains(lines[failed + 2], "skipped  encryption   because `object` failed");
    assert_eq!(lines[lines.len() - 2], "");
    assert_contains(lines[lines.len() - 1], "fail: 1 fail, 1 warn, …ok, …skipped");
    let good = clinic.doctor().arguments(&["doctor"]).run().exits(0);
    assert_contains(&good.stdout, "skipped  object       no object is named");
}

#[test]
fn it_may_be_asked_as_an_event() {
    let clinic = Clinic::new("doctor_invoke");
    let invoke = |event: serde_json::Value| {
        let event = clinic.file("event.json", event.to_string());
        clinic.doctor().arguments(&["invoke", &event])
    };
    let found = Findings::of(&invoke(serde_json::json!({"doctor": {"s3": clinic.source}})).run().exits(0));
    found.has("object", "ok", "in/a.csv", "").has("ledger", "ok", "", "");
    let found =
        Findings::of(&invoke(serde_json::json!({"doctor": true})).without("HOLOLOAD_HOST").run().exits(2));
    found.only_fails("settings", "`target.host` is missing", "HOLOLOAD_HOST").skips(&["table"], "settings");
    let refused = invoke(serde_json::json!({"doctor": false})).run().exits(1).json();
    assert_contains(
        refused["errorMessage"].as_str().expect("text"),
        "`doctor` must be true…{\"doctor\": true}",
    );
}

/// On a laptop, for a file, nothing needs AWS.
#[test]
fn a_local_file_needs_no_aws() {
    let clinic = Clinic::new("doctor_local");
    let path = clinic.file("a.csv", "id,name\n1,a\n");
    let mut run = clinic.doctor().arguments(&["doctor", "--json", &path]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        run = run.without(name);
    }
    let rejects = clinic.folder().join("rejects");
    let run =
        run.env("HOLOLOAD_REJECTS", rejects.display().to_string()).env("AWS_EC2_METADATA_DISABLED", "true");
    let found = Findings::of(&run.run().exits(0));
    found
        .has("identity", "skipped", "nothing that is said needs AWS", "")
        .has("object", "skipped", "the source is not in S3", "")
        .has("rejects", "ok", "wrote `/", "")
        .has("table", "ok", "public.t", "");
    assert_eq!(std::fs::read_dir(rejects).expect("the folder").count(), 0, "the probe is taken away");
}

#[test]
fn user_and_password_may_come_from_a_secret() {
    let clinic = Clinic::new("doctor_secret");
    let secret = serde_json::json!({"username": clinic.db.user, "password": clinic.db.password});
    clinic.account.set_secret(&secret.to_string());
    let run = clinic.doctor().without("HOLOLOAD_USER").without("HOLOLOAD_PASSWORD");
    let outcome = run.env("HOLOLOAD_SECRET", SECRET).run().exits(0);
    Findings::of(&outcome)
        .has("secret", "ok", "a user and a password", "")
        .has("login", "ok", "as `app`", "")
        .has("settings", "ok", "", "");
    assert!(!outcome.stdout.contains(&clinic.db.password));
}
