//! What S3 refuses, breaks or changes on the way.

use bytes::Bytes;

use crate::harness::{Lab, counts, s3};
use crate::support::s3::{BucketOptions, Fault, KeyState, On, Operation, Put};

const TABLE: &str = "CREATE TABLE t (id int8 PRIMARY KEY, name text)";
const ROWS: &str = "id,name\n1,a\n";

#[test]
fn an_object_that_is_not_there_is_an_error_when_somebody_asked_for_it() {
    let lab = Lab::new("no_such_key", TABLE);
    lab.load(&lab.address("none.csv")).run().failed(
        1,
        "look at `s3://no-such-key-…/none.csv`",
        "there is no such object: check the key as it is stored",
    );
    lab.load("s3://no-such-bucket/none.csv").run().exits(1);
    lab.load(&lab.folder().join("none.csv").display().to_string()).run().failed(
        1,
        "open `…none.csv`: No such file",
        "",
    );
    lab.assert_untouched("t");
    assert_eq!(lab.db.count("holoload_ledger WHERE status = 'failed'"), 3);
}

#[test]
fn a_bare_403_names_what_it_may_be() {
    let lab = Lab::new("denied", TABLE);
    let address = lab.put("a.csv", ROWS);
    let hint = "allow s3:GetObject on the object…s3:ListBucket on the bucket";
    s3().fail_times(2, On::get(&lab.bucket, "a.csv"), Fault::access_denied());
    lab.load(&address).run().failed(3, "open `s3://…a.csv`: AWS answered AccessDenied", hint);
    s3().fail_always(On::head(&lab.bucket, "a.csv"), Fault::access_denied());
    lab.load(&address).run().failed(3, "look at `s3://…a.csv`: AWS answered AccessDenied", hint);
    lab.assert_untouched("t");

    let other = Lab::new("policy", TABLE);
    let address = other.put("a.csv", ROWS);
    s3().fail_always(On::get(&other.bucket, "a.csv"), Fault::get_object_denied(&other.bucket, "a.csv"));
    other.load(&address).run().failed(3, "AccessDenied", "a policy denies it explicitly");
    let hidden = Lab::new("hidden", TABLE);
    s3().create_bucket(&hidden.bucket, BucketOptions { hides_missing: true, ..BucketOptions::default() });
    hidden.load(&hidden.address("none.csv")).run().failed(
        3,
        "AccessDenied",
        "without which a missing object also answers 403",
    );
}

#[test]
fn a_kms_key_that_cannot_be_used_says_why() {
    let lab = Lab::new("kms", TABLE);
    for (state, hint) in [
        (KeyState::Denied, "allow kms:Decrypt on arn:aws:kms:ap-northeast-1:123456789012:key/kms-test"),
        (KeyState::Disabled, "the object's KMS key is disabled: enable it"),
        (KeyState::PendingDeletion, "pending deletion…cancel-key-deletion"),
        (KeyState::NotFound, "the object's KMS key no longer exists"),
    ] {
        s3().put_with(
            &lab.bucket,
            "a.csv",
            ROWS,
            Put { kms_key: Some("kms-test".to_owned()), ..Put::default() },
        );
        s3().set_key("kms-test", state);
        lab.load(&lab.address("a.csv")).run().failed(3, "open `s3://…a.csv`: AWS answered", hint);
        lab.assert_untouched("t");
    }
    s3().set_key("kms-test", KeyState::Enabled);
    assert_eq!(counts(&lab.load(&lab.address("a.csv")).run().loaded()), [1, 1, 0, 0, 0, 0]);
}

#[test]
fn an_archived_object_must_be_restored_first() {
    let lab = Lab::new("glacier", TABLE);
    s3().put_with(&lab.bucket, "a.csv", ROWS, Put { is_archived: true, ..Put::default() });
    lab.load(&lab.address("a.csv")).run().failed(
        1,
        "AWS answered InvalidObjectState",
        "archived (Glacier): restore it first",
    );
    lab.assert_untouched("t");
}

#[test]
fn a_bucket_in_another_region_is_named() {
    let lab = Lab::new("region", TABLE);
    let address = lab.put("a.csv", ROWS);
    s3().create_bucket(
        &lab.bucket,
        BucketOptions { region: Some("eu-central-1".to_owned()), ..BucketOptions::default() },
    );
    lab.load(&address).run().failed(
        2,
        "PermanentRedirect",
        "the bucket is in region `eu-central-1`: set AWS_REGION=eu-central-1",
    );
    lab.assert_untouched("t");
    lab.load(&address).env("AWS_REGION", "eu-central-1").run().loaded();
}

#[test]
fn throttling_is_waited_out_and_then_left_for_later() {
    let lab = Lab::new("slow_down", TABLE);
    let address = lab.put("a.csv", ROWS);
    s3().fail_times(2, On::get(&lab.bucket, "a.csv"), Fault::slow_down());
    s3().fail_times(2, On::head(&lab.bucket, "a.csv"), Fault::internal_error());
    lab.load(&address).run().loaded();
    s3().fail_always(On::operation(Operation::Get).and_bucket(&lab.bucket), Fault::slow_down());
    lab.holoload(&["load", "--json", "--force", &address]).run().failed(
        4,
        "AWS answered SlowDown",
        "AWS asks to slow down",
    );
    assert_eq!(lab.ledger(), ["loaded|public.t|1|NULL", "failed|public.t|0|Transient"]);
    lab.assert_gone();
}

#[test]
fn an_s3_that_does_not_answer_may_do_so_later() {
    let lab = Lab::new("s3_unreachable", TABLE);
    let address = lab.put("a.csv", ROWS);
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let run = lab.load(&address).env("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{port}"));
    run.run().failed(4, "look at `s3://…a.csv`", "S3 was not reached");
    lab.assert_untouched("t");
}

#[test]
fn credentials_that_are_missing_or_wrong_say_so() {
    let lab = Lab::new("credentials", TABLE);
    let address = lab.put("a.csv", ROWS);
    let run = lab.load(&address).without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    run.env("AWS_EC2_METADATA_DISABLED", "true").run().failed(
        3,
        "there are no AWS credentials",
        "set AWS_ACCESS_KEY_ID",
    );
    lab.load(&address).env("AWS_SECRET_ACCESS_KEY", "wrong").run().exits(3);
    lab.assert_untouched("t");
}

#[test]
fn a_body_that_breaks_goes_on_where_it_was() {
    let lab = Lab::new("cut_body", TABLE);
    let mut text = "id,name\n".to_owned();
    for at in 0..20_000 {
        text.push_str(&format!("{at},name {at}\n"));
    }
    let address = lab.put("a.csv", &text);
    let on = || On::get(&lab.bucket, "a.csv");
    s3().fail(on(), Fault::CutBody { after_bytes: 100_000 });
    s3().fail(on(), Fault::CutBody { after_bytes: 1 });
    s3().fail(on(), Fault::ShortAnswer { bytes: 50_000 });
    let report = lab.load(&address).run().loaded();
    assert_eq!(counts(&report), [20_000, 20_000, 0, 0, 0, 0]);
    assert_eq!(report["byte_count"], text.len());
    let gets = s3().gets(&lab.bucket, "a.csv");
    let ranges: Vec<Option<&str>> = gets.iter().map(|request| request.range.as_deref()).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-"), Some("bytes=100001-"), Some("bytes=150001-")]);
    assert!(gets.iter().all(|request| request.if_match.is_some()), "{gets:?}");
    assert_eq!(
        lab.rows("SELECT count(*), sum(id), count(*) FILTER (WHERE name = 'name ' || id) FROM t"),
        ["20000|199990000|20000"]
    );
}

#[test]
fn an_object_that_is_overwritten_while_it_is_read_is_never_mixed() {
    let lab = Lab::new("overwritten", TABLE);
    let text =
        |word: &str| (0..20_000).fold("id,name\n".to_owned(), |text, at| format!("{text}{at},{word}\n"));
    let address = lab.put("a.csv", text("old"));
    // Overwritten and cut: what follows the cut is another object.
    s3().fail(
        On::get(&lab.bucket, "a.csv"),
        vec![
            Fault::OverwriteAt { after_bytes: 50_000, bytes: Bytes::from(text("new")) },
            Fault::CutBody { after_bytes: 100_000 },
        ],
    );
    lab.load(&address).run().failed(
        1,
        "go on reading `s3://…a.csv` at byte 100000…PreconditionFailed",
        "the object was overwritten meanwhile",
    );
    lab.assert_untouched("t");
    lab.load(&address).run().loaded();
    assert_eq!(lab.rows("SELECT name, count(*) FROM t GROUP BY 1"), ["new|20000"]);
}

#[test]
fn an_answer_from_the_wrong_place_is_not_taken() {
    let lab = Lab::new("wrong_range", TABLE);
    let text = (0..20_000).fold("id,name\n".to_owned(), |text, at| format!("{text}{at},x\n"));
    let address = lab.put("a.csv", &text);
    let on = || On::get(&lab.bucket, "a.csv");
    s3().fail(on(), Fault::CutBody { after_bytes: 30_000 });
    s3().fail(on(), Fault::WrongContentRange);
    s3().fail(on(), Fault::IgnoreRange);
    let report = lab.load(&address).run().loaded();
    assert_eq!(counts(&report), [20_000, 20_000, 0, 0, 0, 0]);
    assert_eq!(s3().gets(&lab.bucket, "a.csv").len(), 4);
}

#[test]
fn rejects_that_cannot_be_written_fail_the_load() {
    let lab = Lab::new("no_rejects", TABLE);
    let address = lab.put("a.csv", "id,name\n1,a\nx,b\n");
    s3().fail_always(On::operation(Operation::Put).and_bucket(&lab.bucket), Fault::access_denied());
    let run = lab.load(&address).env("HOLOLOAD_REJECTS", lab.address("rejects/"));
    run.run().failed(3, "write `s3://…rejects/…errors.jsonl`: AWS answered AccessDenied", "");
    lab.assert_untouched("t");
    let file = lab.file("occupied", "");
    let run = lab.load(&address).env("HOLOLOAD_REJECTS", format!("{file}/below"));
    run.run().failed(3, "write the rejects to", "the directory must exist or be creatable");
    lab.assert_untouched("t");
}

impl On {
    /// The same, in one bucket alone: the server is shared.
    fn and_bucket(self, bucket: &str) -> Self {
        Self { bucket: Some(bucket.to_owned()), ..self }
    }
}
