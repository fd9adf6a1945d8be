//! `events/*.json` as they are, but for the `ETag`s and versions, which only a real bucket gives.

use serde_json::Value;

use crate::support::account::Account;
use crate::support::runtime_api::Outcome;
use crate::support::s3::BucketOptions;
use crate::world::{AMPLE_MS, World, orders};

const BUCKET: &str = "bob-embulk-demo";
const ETAGS: [&str; 2] = ["d41d8cd98f00b204e9800998ecf8427e", "9b2cf535f27731c974343645a3985328-64"];
const VERSION: &str = "096fKKXTRTtl3on89fVO.nfljtsv6qko";
const BOOK_ORDER: &str = "original-data/book_order.csv";

/// Each file, the key whose version it names, and what comes of it.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("batch-operations-1.0", "original-data/2026-03/注文 1+2.csv", "Succeeded"),
    ("batch-operations-2.0", BOOK_ORDER, "Succeeded"),
    ("continuation", BOOK_ORDER, "loaded"),
    ("dead-letter", BOOK_ORDER, "0 of 1 failed"),
    ("doctor", BOOK_ORDER, ""),
    ("eventbridge", BOOK_ORDER, "loaded"),
    ("eventbridge-delete", BOOK_ORDER, "1 ignored"),
    ("eventbridge-in-sqs", BOOK_ORDER, "0 of 1 failed"),
    ("failure-record", BOOK_ORDER, "loaded"),
    ("failure-record-in-sqs", BOOK_ORDER, "0 of 1 failed"),
    ("manual", BOOK_ORDER, "loaded"),
    ("manual-if-exists", BOOK_ORDER, "loaded"),
    // A dry run.
    ("manual-version", "original-data/100%25 a+b 注文.csv", "skipped"),
    ("reprocess", BOOK_ORDER, "loaded loaded"),
    // Nothing has failed.
    ("reprocess-failed", BOOK_ORDER, ""),
    // What comes after the key.
    ("reprocess-handed-on", BOOK_ORDER, "loaded"),
    ("reprocess-missing", BOOK_ORDER, "loaded loaded loaded"),
    // A dry run.
    ("reprocess-window", BOOK_ORDER, ""),
    ("s3", "encryption-data/2026-03/注文 1+2.csv", "loaded loaded"),
    ("s3-delete", BOOK_ORDER, "1 ignored"),
    ("s3-folder-marker", BOOK_ORDER, "1 ignored"),
    ("s3-minimal", BOOK_ORDER, "loaded"),
    ("s3-minio", BOOK_ORDER, "loaded"),
    ("s3-test-event", BOOK_ORDER, "1 ignored"),
    ("schedule", BOOK_ORDER, "loaded loaded loaded"),
    ("sns", BOOK_ORDER, "loaded"),
    ("sns-in-sqs", BOOK_ORDER, "0 of 1 failed"),
    // S3's notification, its test event, and a body that is not JSON.
    ("sqs", BOOK_ORDER, "1 of 3 failed"),
    ("step-functions-batch", BOOK_ORDER, "loaded 1 ignored"),
    ("step-functions-inventory", "original-data/2026-03/注文 1+2.csv", "loaded"),
    ("step-functions-item", BOOK_ORDER, "loaded"),
];

const KEYS: [&str; 5] = [
    BOOK_ORDER,
    "encryption-data/book_order.csv",
    "encryption-data/2026-03/注文 1+2.csv",
    "original-data/2026-03/注文 1+2.csv",
    "original-data/100%25 a+b 注文.csv",
];

#[test]
fn every_sample_is_handled() {
    let folder = format!("{}/events", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(&folder).expect("the folder");
    let mut files: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    files.sort_unstable();
    let mut named: Vec<String> = SAMPLES.iter().map(|(name, ..)| format!("{name}.json")).collect();
    named.sort_unstable();
    assert_eq!(files, named);

    let world = World::new("samples");
    world.s3.create_bucket(BUCKET, BucketOptions { versioning: true, ..BucketOptions::default() });
    let stored = KEYS.map(|key| world.s3.put(BUCKET, key, orders(1..=3, "sample")));
    // The doctor asks the account who we are; it is to ask nobody outside.
    let account = Account::start().environment();
    let account: Vec<_> = account.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let handler = world.handler_with(&account);
    for (name, key, expected) in SAMPLES {
        let mut text = std::fs::read_to_string(format!("{folder}/{name}.json")).expect("the file");
        let of_key = stored.iter().find(|stored| stored.key == *key).expect("the key");
        for etag in ETAGS {
            text = text.replace(etag, &of_key.etag);
        }
        text = text.replace(VERSION, of_key.version_id.as_deref().expect("a version"));
        world.database.run("DROP TABLE IF EXISTS holoload_ledger, holoload_fence; TRUNCATE orders");
        let messages =
            serde_json::from_str::<Value>(&text).expect("JSON")["Records"].as_array().map_or(0, Vec::len);
        let outcome = handler.invoke(text.as_bytes(), AMPLE_MS);
        let Outcome::Ok(answer) = outcome else { panic!("{name}: {outcome:?}") };
        assert_eq!(summary(&answer, messages), *expected, "{name}: {answer}");
        let is_loaded = !matches!(*expected, "1 ignored" | "skipped" | "");
        assert_eq!(world.rows().len(), if is_loaded { 3 } else { 0 }, "{name}");
    }
}

fn summary(answer: &Value, messages: usize) -> String {
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    if answer.get("batchItemFailures").is_some() {
        return format!("{} of {messages} failed", list("batchItemFailures").len());
    }
    let codes = list("results").iter().map(|result| &result["resultCode"]);
    let statuses = codes.chain(list("objects").iter().map(|report| &report["status"]));
    let mut words: Vec<String> = statuses.map(|word| word.as_str().expect("text").to_owned()).collect();
    if !list("ignored").is_empty() {
        words.push(format!("{} ignored", list("ignored").len()));
    }
    words.join(" ")
}
