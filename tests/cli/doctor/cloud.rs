//! Broken on the side of AWS.

use crate::harness::s3;
use crate::support::account::{QUEUE, SECRET};
use crate::support::s3::{BucketOptions, Fault, KeyState, On, Operation};

use super::clinic::{Clinic, Findings};

/// What the database has to say does not depend on any of this.
#[track_caller]
fn database_is_ok(found: &Findings) {
    for name in [
        "dns",
        "tcp",
        "tls",
        "certificate",
        "allow_list",
        "login",
        "table",
        "write_path",
        "privileges",
        "ledger",
    ] {
        found.has(name, "ok", "", "");
    }
}

#[test]
fn a_bucket_that_is_not_there() {
    let clinic = Clinic::new("no_bucket");
    let run = clinic.doctor().arguments(&["doctor", "--json", "s3://no-such-bucket/in/a.csv"]);
    let found = Findings::of(&run.run().exits(2));
    found
        .only_fails("bucket", "NoSuchBucket", "there is no such bucket: check the name")
        .skips(&["s3_path", "object", "encryption", "decrypt"], "bucket")
        .has("rejects", "ok", "", "");
    database_is_ok(&found);
}

#[test]
fn an_object_that_is_not_there() {
    let clinic = Clinic::new("no_object");
    let gone = clinic.address("in/gone.csv");
    let found = Findings::of(&clinic.doctor().arguments(&["doctor", "--json", &gone]).run().exits(1));
    found
        .only_fails("object", "in/gone.csv", "there is no such object: check the key as it is stored")
        .skips(&["encryption", "decrypt"], "object");
    database_is_ok(&found);
}

#[test]
fn an_object_that_may_be_forbidden_or_missing() {
    let clinic = Clinic::new("no_list");
    s3().create_bucket(&clinic.bucket, BucketOptions { hides_missing: true, ..BucketOptions::default() });
    let hint = format!("allow s3:ListBucket on arn:aws:s3:::{}", clinic.bucket);
    // What is there can be read all the same.
    let found = Findings::of(&clinic.doctor().run().exits(0));
    found
        .has("bucket", "warn", "AccessDenied", &hint)
        .has("s3_path", "skipped", "may not be listed", "")
        .has("decrypt", "ok", "", "");
    let gone = clinic.address("in/gone.csv");
    let found = Findings::of(&clinic.doctor().arguments(&["doctor", "--json", &gone]).run().exits(3));
    found.only_fails("object", "AccessDenied", "allow s3:GetObject…s3:ListBucket");
}

#[test]
fn a_key_that_may_not_be_used() {
    let clinic = Clinic::new("key_denied");
    s3().set_key(&clinic.key, KeyState::Denied);
    let found = Findings::of(&clinic.doctor().run().exits(3));
    found
        .only_fails(
            "decrypt",
            "AccessDenied",
            "allow kms:Decrypt on arn:aws:kms:…in the role's policy and the key policy",
        )
        .has("object", "ok", "12 bytes", "")
        .has("encryption", "ok", &clinic.key, "");
    database_is_ok(&found);
}

#[test]
fn a_key_that_is_switched_off() {
    let clinic = Clinic::new("key_disabled");
    for (state, hint) in [
        (KeyState::Disabled, "aws kms enable-key --key-id arn:aws:kms:"),
        (KeyState::PendingDeletion, "aws kms cancel-key-deletion --key-id arn:aws:kms:"),
        (KeyState::NotFound, "no longer exists, or is in another region (the object's key is arn:aws:kms:"),
    ] {
        s3().set_key(&clinic.key, state);
        Findings::of(&clinic.doctor().run().exits(3)).only_fails("decrypt", "KMS.", hint);
    }
}

#[test]
fn rejects_that_cannot_be_written() {
    let clinic = Clinic::new("no_rejects");
    let bucket = format!("{}-rejects", clinic.bucket);
    let key = format!("key-of-{bucket}");
    s3().create_bucket(&bucket, BucketOptions { kms_key: Some(key.clone()), ..BucketOptions::default() });
    s3().set_key(&key, KeyState::Denied);
    let run = clinic.doctor().env("HOLOLOAD_REJECTS", format!("s3://{bucket}/"));
    let found = Findings::of(&run.run().exits(3));
    found.only_fails("rejects", "AccessDenied", "allow kms:GenerateDataKey on arn:aws:kms:");
    let run =
        clinic.doctor().env("HOLOLOAD_REJECTS", "/tmp/rejects").env("AWS_LAMBDA_FUNCTION_NAME", "loader");
    Findings::of(&run.run().exits(2)).has(
        "settings",
        "fail",
        "would vanish with the function",
        "s3://bucket/prefix/",
    );
}

#[test]
fn a_bucket_in_another_region() {
    let clinic = Clinic::new("other_region");
    s3().create_bucket(
        &clinic.bucket,
        BucketOptions { region: Some("eu-west-1".to_owned()), ..BucketOptions::default() },
    );
    let found = Findings::of(&clinic.doctor().run().exits(2));
    let hint = "the bucket is in region `eu-west-1`: set AWS_REGION=eu-west-1";
    found.has("bucket", "fail", "PermanentRedirect", hint).skips(&["object", "decrypt"], "bucket");
    database_is_ok(&found);
}

#[test]
fn no_credentials() {
    let clinic = Clinic::new("no_credentials");
    let nobody = || {
        let run = clinic.doctor().without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
        run.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", clinic.folder().display().to_string())
    };
    let found = Findings::of(&nobody().run().exits(3));
    let skipped = ["bucket", "s3_path", "object", "encryption", "decrypt", "rejects"];
    found
        .only_fails("identity", "there are no AWS credentials", "AWS_ACCESS_KEY_ID…give the function a role")
        .skips(&skipped, "identity");
    database_is_ok(&found);
    let found = Findings::of(&nobody().without("AWS_REGION").run().exits(2));
    found.only_fails("identity", "there is no AWS region", "set AWS_REGION");
    clinic.account.refuse("GetCallerIdentity", 403, "InvalidClientTokenId", "The security token is invalid");
    let found = Findings::of(&clinic.doctor().run().exits(3));
    found.only_fails("identity", "InvalidClientTokenId", "the AWS credentials are wrong or have expired");
}

/// In a VPC without a way to STS everything else may still work.
#[test]
fn an_account_that_does_not_answer() {
    let clinic = Clinic::new("no_sts");
    let found =
        Findings::of(&clinic.doctor().env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9").run().exits(0));
    found
        .has("identity", "warn", "ask AWS who we are", "interface endpoint for `sts`")
        .has("decrypt", "ok", "", "");
}

#[test]
fn the_way_over_the_internet() {
    let clinic = Clinic::new("s3_path");
    let denied = On {
        operation: Some(Operation::List),
        ..On::key(&clinic.bucket, "holoload-doctor/through-endpoint")
    };
    Findings::of(&clinic.doctor().run().exits(0)).has(
        "s3_path",
        "skipped",
        "not told: …TellTheInternetPath",
        "",
    );
    s3().fail_always(denied, Fault::access_denied());
    Findings::of(&clinic.doctor().run().exits(0)).has(
        "s3_path",
        "warn",
        "over the internet",
        "add an S3 gateway endpoint",
    );
}

#[test]
fn a_secret_that_cannot_serve() {
    let clinic = Clinic::new("bad_secret");
    let doctor = || {
        let run = clinic.doctor().without("HOLOLOAD_USER").without("HOLOLOAD_PASSWORD");
        run.env("HOLOLOAD_SECRET", SECRET)
    };
    let put = format!("put-secret-value --secret-id {SECRET}");
    for (secret, found, hint) in [
        ("just-a-password", "read the secret", "{\"username\": \"…\", \"password\": \"…\"}"),
        ("{\"user\": \"app\"}", "read the secret", "must be JSON"),
        ("{\"password\": \"x\"}", "it has no `username`", put.as_str()),
        (
            "{\"username\": \"fill me in\", \"password\": \"fill me in\"}",
            "the template's placeholders",
            put.as_str(),
        ),
    ] {
        clinic.account.set_secret(secret);
        let outcome = doctor().run().exits(2);
        assert!(!outcome.stdout.contains("just-a-password"));
        let findings = Findings::of(&outcome);
        findings
            .only_fails("secret", found, hint)
            .has("certificate", "ok", "", "")
            .skips(&["allow_list", "login", "table", "privileges", "ledger"], "secret");
    }
    let denied = "User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: y";
    clinic.account.refuse("GetSecretValue", 400, "AccessDeniedException", denied);
    Findings::of(&doctor().run().exits(3)).only_fails(
        "secret",
        "AccessDenied",
        &format!("allow secretsmanager:GetSecretValue on {SECRET}"),
    );
}

#[test]
fn a_queue_that_is_set_wrong() {
    let clinic = Clinic::new("bad_queue");
    let doctor = || clinic.doctor().env("HOLOLOAD_QUEUE", QUEUE).run();
    clinic.account.set_queue("MessageRetentionPeriod", Some("3600"));
    Findings::of(&doctor().exits(0)).has(
        "queue",
        "warn",
        "kept for 0 days",
        "MessageRetentionPeriod\": \"1209600\"",
    );
    clinic.account.set_queue("RedrivePolicy", Some("{\"maxReceiveCount\": 1}"));
    Findings::of(&doctor().exits(0)).has("queue", "warn", "1 receives", "RedrivePolicy");
    clinic.account.set_queue("RedrivePolicy", None);
    Findings::of(&doctor().exits(0)).has(
        "queue",
        "warn",
        "no dead-letter queue",
        "set-queue-attributes --queue-url https://sqs.ap-northeast-1.amazonaws.com/123456789012/loads…RedrivePolicy",
    );
    clinic.account.refuse("GetQueueAttributes", 403, "AccessDenied", "no");
    Findings::of(&doctor().exits(3)).only_fails(
        "queue",
        "AccessDenied",
        &format!("allow sqs:GetQueueAttributes on {QUEUE}"),
    );
    clinic.account.refuse("GetQueueAttributes", 400, "com.amazonaws.sqs#QueueDoesNotExist", "no");
    Findings::of(&doctor().exits(2)).only_fails("queue", "QueueDoesNotExist", "there is no such queue");
}

#[test]
fn a_clock_that_is_wrong() {
    let clinic = Clinic::new("bad_clock");
    clinic.account.set_date("Thu, 01 Jan 2026 00:00:00 GMT");
    let found = Findings::of(&clinic.doctor().run().exits(3));
    found.only_fails("clock", "s ahead of AWS", "set the machine's clock by NTP…15 minutes");
    database_is_ok(&found);
}

#[test]
fn an_object_that_nobody_loads() {
    let clinic = Clinic::new("unmatched");
    let glob = clinic.address("orders/**");
    let doctor = |more: &str| {
        let config = clinic.file("c.yml", format!("routes: [{{object: '{glob}', table: t}}]\n{more}"));
        clinic.doctor().without("HOLOLOAD_TABLE").env("HOLOLOAD_CONFIG", config)
    };
    let found = Findings::of(&doctor("").run().exits(0));
    found
        .has("route", "warn", "is ignored: no route matches", "add a route whose `object:` matches it")
        .has("table", "skipped", "because no route says which", "")
        .has("ledger", "ok", "", "");
    Findings::of(&doctor("unmatched: fail").run().exits(2)).only_fails(
        "route",
        "no route matches `s3://",
        "add a route",
    );
    // Without an object the bucket and the tables are those of the routes.
    let found = Findings::of(&doctor("").arguments(&["doctor", "--json"]).run().exits(0));
    found.has("bucket", "ok", &clinic.bucket, "").has("table", "ok", "public.t", "").has(
        "object",
        "skipped",
        "no object",
        "",
    );
    let found = Findings::of(&clinic.doctor().without("HOLOLOAD_TABLE").run().exits(2));
    found.only_fails("route", "no table is named", "HOLOLOAD_TABLE");
    let run = clinic.doctor().env("HOLOLOAD_TABEL", "t");
    let found = Findings::of(&run.run().exits(2));
    found
        .only_fails("settings", "HOLOLOAD_TABEL is not known", "did you mean HOLOLOAD_TABLE?")
        .skips(&["route", "dns", "login", "table", "ledger", "rejects"], "settings")
        .has("decrypt", "ok", "", "");
}
