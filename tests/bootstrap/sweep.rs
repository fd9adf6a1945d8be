//! Sweeps through the queue: many objects become a message each, and a sweep that does not fit into its invocation goes on in the
//! next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::message;
use crate::sqs::{ARN, Sqs};
use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::{Fault, On};
use crate::world::{AMPLE_MS, Failure, World, failure, orders};

/// Too many for one page of a listing, and for one lookup in the ledger.
const MANY: u32 = 2_500;

fn handler(world: &World, sqs: &Sqs) -> RuntimeApi {
    world.handler_with(&[("HOLOLOAD_QUEUE", ARN), ("AWS_ENDPOINT_URL_SQS", &sqs.endpoint())])
}

fn put_many(world: &World, count: u32) -> Vec<String> {
    let key = |id: u32| format!("in/{id:05} +日.csv");
    for id in 0..count {
        world.put(&key(id), orders([id], "a"));
    }
    (0..count).map(|id| format!("s3://{}/{}", world.bucket, key(id))).collect()
}

fn sweep(handler: &RuntimeApi, request: &Value) -> Value {
    let payload = serde_json::to_vec(&json!({"reprocess": request})).expect("JSON");
    handler.invoke(&payload, AMPLE_MS).expect_ok()
}

fn deliver(handler: &RuntimeApi, body: &Value) -> bool {
    let payload = serde_json::to_vec(&message("m", &body.to_string())).expect("JSON");
    let answer = handler.invoke(&payload, AMPLE_MS).expect_ok();
    answer["batchItemFailures"].as_array().expect("a list").is_empty()
}

/// Addresses of messages that ask for one object each.
#[track_caller]
fn addresses(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["s3"].as_str().unwrap_or_else(|| panic!("{message}"))).collect()
}

#[track_caller]
fn counts(answer: &Value) -> BTreeMap<&str, u64> {
    let sum = answer["reprocess"].as_object().unwrap_or_else(|| panic!("no sum: {answer:#}"));
    let counts = sum.iter().filter_map(|(name, value)| Some((name.strip_suffix("_count")?, value.as_u64()?)));
    counts.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn many_objects_become_a_message_each() {
    let world = World::new("sweep");
    let sqs = Sqs::start();
    let handler = handler(&world, &sqs);
    let expected = put_many(&world, MANY);
    let prefix = format!("s3://{}/in/", world.bucket);
    let answer = sweep(&handler, &json!({"prefix": prefix, "missing": true}));
    let all = u64::from(MANY);
    assert_eq!(counts(&answer), BTreeMap::from([("listed", all), ("chosen", all), ("queued", all)]));
    let sum = &answer["reprocess"];
    let rest = ["is_cut_short", "is_handed_on", "next", "hint"].map(|name| &sum[name]);
    assert_eq!(rest, [&json!(false), &json!(false), &Value::Null, &Value::Null], "{answer:#}");
    assert_eq!(answer["objects"], json!([]));
    assert_eq!(world.database.count("orders"), 0, "nothing is loaded on the spot");
    let messages = sqs.drain();
    let mut sent = addresses(&messages);
    sent.sort_unstable();
    assert_eq!(sent, expected, "none is missing, and none came twice");

    // Each has a verdict of its own; what is loaded then needs no message any more.
    for message in messages.iter().take(3) {
        assert!(deliver(&handler, message), "{message}");
    }
    assert_eq!(world.database.count("orders"), 3);
    let answer = sweep(&handler, &json!({"prefix": prefix, "missing": true, "limit": 20}));
    let left = all - 23;
    let expected_counts = [("listed", all), ("current", 3), ("chosen", 20), ("queued", 20), ("left", left)];
    assert_eq!(counts(&answer), BTreeMap::from(expected_counts));
    let next = answer["reprocess"]["next"].clone();
    assert_eq!(sqs.drain().len(), 20);
    let answer =
        sweep(&handler, &json!({"prefix": prefix, "missing": true, "limit": 1, "start_after": next}));
    let sum = counts(&answer);
    // Of the three that are loaded some may come after it: batches are sent side by side.
    let current = sum.get("current").copied().unwrap_or(0);
    assert_eq!(sum["listed"], sum["chosen"] + sum["left"] + current, "{sum:?}");
    assert_eq!(sum["chosen"], 1);
    assert!(sum["listed"] < all - 19, "{sum:?}");
    world.assert_at_rest();
}

/// The queue is so slow that no invocation can send all of it.
#[test]
fn a_sweep_that_runs_out_of_time_hands_itself_on() {
    const INVOCATIONS_MAX: usize = 60;
    let world = World::new("sweep_long");
    let sqs = Sqs::slow(Duration::from_millis(200));
    let handler = handler(&world, &sqs);
    let expected: BTreeSet<String> = put_many(&world, MANY).into_iter().collect();
    let request = json!({"reprocess": {"prefix": format!("s3://{}/in/", world.bucket), "modified_within_hours": 48, "force": true}});
    let mut waiting = VecDeque::from([request]);
    let (mut sent, mut hand_ons, mut number) = (Vec::new(), 0, 0);
    while let Some(request) = waiting.pop_front() {
        number += 1;
        assert!(number <= INVOCATIONS_MAX, "{number} invocations were not enough");
        let payload = serde_json::to_vec(&message("m", &request.to_string())).expect("JSON");
        let answer = handler.invoke(&payload, 6_000).expect_ok();
        if answer["batchItemFailures"] != json!([]) {
            waiting.push_back(request.clone());
        }
        for message in sqs.drain() {
            let Some(rest) = message.get("reprocess") else {
                sent.push(message);
                continue;
            };
            assert!(rest["modified_after"].is_string() && rest["force"] == true, "{message}");
            let before = &request["reprocess"];
            assert_eq!(rest["hop"], before["hop"].as_u64().unwrap_or(0) + 1, "{message}");
            let start = |of: &Value| of["start_after"].as_str().unwrap_or_default().to_owned();
            assert!(start(rest) > start(before), "each goes further: {message}");
            hand_ons += 1;
            waiting.push_back(message);
        }
    }
    assert!(hand_ons > 0, "no invocation can send all of it");
    let found: BTreeSet<String> = addresses(&sent).into_iter().map(str::to_owned).collect();
    assert_eq!(found, expected, "none is missing");
    assert!(sent.iter().all(|message| message["force"] == true && message["if_exists"] == true));
    // What was on its way when time was up may be sent again: at most what is sent at once, for each invocation.
    assert!(sent.len() - found.len() <= 80 * number, "{} of {}", sent.len(), found.len());
    // There is an end to it.
    let request = json!({"reprocess": {"prefix": format!("s3://{}/in/", world.bucket), "hop": 1_000}});
    let payload = serde_json::to_vec(&request).expect("JSON");
    let mut tries = (0..10).map(|_| failure(handler.invoke(&payload, 6_000)));
    let failed = tries.find(|failed| failed.error_type == "Config").expect("the bound");
    assert!(failed.line.contains("hand the sweep on: that was done 1000 times"), "{failed:?}");
    let sum = &failed.answer["reprocess"];
    assert!(sum["next"].is_string() && sum["is_handed_on"] == false, "{sum:#}");
}

#[test]
fn what_the_queue_does_not_take_at_first_is_sent_again() {
    let world = World::new("sweep_partial");
    let sqs = Sqs::start();
    let handler = handler(&world, &sqs);
    let expected = put_many(&world, 200);
    let request = json!({"prefix": format!("s3://{}/in/", world.bucket)});
    let mut refused = BTreeSet::new();
    sqs.refuse(move |body| {
        let is_third = body.contains("0 +") || body.contains("3 +") || body.contains("7 +");
        (is_third && refused.insert(body.to_owned())).then_some((false, "InternalError"))
    });
    assert_eq!(counts(&sweep(&handler, &request))["queued"], 200);
    let messages = sqs.drain();
    let mut sent = addresses(&messages);
    sent.sort_unstable();
    assert_eq!(sent, expected);
    let sizes = sqs.calls().into_iter().filter(|(operation, _)| operation == "SendMessageBatch");
    let sizes: Vec<usize> = sizes.map(|(_, input)| input["Entries"].as_array().map_or(0, Vec::len)).collect();
    assert!(sizes.iter().filter(|size| **size == 3).count() == 20, "only those are sent again: {sizes:?}");

    let unknown = elsewhere(&world, &sqs, &request);
    assert_eq!(unknown.error_type, "Config");
    assert!(unknown.line.contains("there is no such queue"), "{unknown:?}");
    // One that is never taken ends the sweep, which says where to go on.
    for (fault, class) in
        [((false, "InternalError"), "Transient"), ((true, "InvalidMessageContents"), "Config")]
    {
        sqs.refuse(move |body| body.contains("/00101 ").then_some(fault));
        let failed = failure(handler.invoke_json(&json!({"reprocess": request})));
        assert_eq!(failed.error_type, class, "{failed:?}");
        assert!(failed.line.contains("put messages into the queue"), "{failed:?}");
        let sum = &failed.answer["reprocess"];
        assert_eq!(sum["is_cut_short"], true);
        let queued =
            sum["queued_count"].as_u64().and_then(|count| usize::try_from(count).ok()).expect("a count");
        assert_eq!(sum["next"], expected[queued - 1].as_str(), "{sum:#}");
        let first = sqs.drain();
        sqs.refuse(|_| None);
        let mut rest = request.clone();
        rest["start_after"] = sum["next"].clone();
        sweep(&handler, &rest);
        let second = sqs.drain();
        let sent: BTreeSet<&str> = addresses(&first).into_iter().chain(addresses(&second)).collect();
        assert_eq!(sent.into_iter().collect::<Vec<_>>(), expected, "none is missing");
    }
}

/// The same with a queue that is not there.
fn elsewhere(world: &World, sqs: &Sqs, request: &Value) -> Failure {
    let other = ARN.replace("loads", "no-such-queue");
    let handler =
        world.handler_with(&[("HOLOLOAD_QUEUE", &other), ("AWS_ENDPOINT_URL_SQS", &sqs.endpoint())]);
    failure(handler.invoke_json(&json!({"reprocess": request})))
}

#[test]
fn few_objects_are_loaded_on_the_spot() {
    let world = World::new("sweep_few");
    let sqs = Sqs::start();
    let handler = handler(&world, &sqs);
    put_many(&world, 10);
    let request = json!({"prefix": format!("s3://{}/in/", world.bucket), "missing": true});
    let answer = sweep(&handler, &request);
    assert_eq!(counts(&answer), BTreeMap::from([("listed", 10), ("chosen", 10)]));
    assert_eq!(answer["objects"].as_array().map(Vec::len), Some(10));
    assert_eq!((world.database.count("orders"), sqs.calls().len()), (10, 0));
}

/// The queue that delivered it is there: no variable has to name it, and no load happens outside of a message of its own.
#[test]
fn a_message_may_hold_a_sweep() {
    let world = World::new("sweep_message");
    let sqs = Sqs::start();
    let handler = world.handler_with(&[("AWS_ENDPOINT_URL_SQS", &sqs.endpoint())]);
    let expected = put_many(&world, 3);
    let prefix = format!("s3://{}/in/", world.bucket);
    assert!(deliver(&handler, &json!({"reprocess": {"prefix": prefix, "missing": true}})));
    let messages = sqs.drain();
    assert_eq!(addresses(&messages), expected);
    assert_eq!(world.database.count("orders"), 0);
    assert!(!deliver(&handler, &json!({"reprocess": {"prefix": "in/"}})));
    world.s3.fail_always(On::bucket(&world.bucket), Fault::access_denied());
    assert!(!deliver(&handler, &json!({"reprocess": {"prefix": prefix, "missing": true}})));
    assert!(handler.log_text().contains("allow s3:ListBucket on the bucket"));
}

/// A message that comes when its object has gone again must not end among those that failed.
#[test]
fn an_object_that_is_gone_by_then_is_no_failure() {
    let world = World::new("sweep_gone");
    let sqs = Sqs::start();
    let handler = handler(&world, &sqs);
    put_many(&world, 12);
    sweep(&handler, &json!({"prefix": format!("s3://{}/in/", world.bucket)}));
    let messages = sqs.drain();
    let key = "in/00005 +日.csv";
    world.s3.delete(&world.bucket, key);
    assert!(messages.iter().all(|message| deliver(&handler, message)));
    assert_eq!(world.database.count("orders"), 11);
    assert_eq!(world.statuses(key), ["deleted"]);
    assert!(!deliver(&handler, &json!({"s3": format!("s3://{}/{key}", world.bucket)})), "somebody named it");
}

#[test]
fn objects_that_are_named_are_queued_where_they_are_many() {
    let world = World::new("sweep_named");
    let sqs = Sqs::start();
    let handler = handler(&world, &sqs);
    let objects = put_many(&world, 11);
    let answer = sweep(&handler, &json!({"objects": &objects[..10]}));
    assert_eq!(answer["objects"].as_array().map(Vec::len), Some(10));
    let answer = sweep(&handler, &json!({"objects": objects, "dry_run": true}));
    assert_eq!(answer["objects"].as_array().map(Vec::len), Some(11), "no message says that");
    assert!(sqs.drain().is_empty());
    let answer = sweep(&handler, &json!({"objects": objects, "force": true}));
    assert_eq!(counts(&answer), BTreeMap::from([("listed", 11), ("chosen", 11), ("queued", 11)]));
    let messages = sqs.drain();
    let expected: Vec<Value> = objects.iter().map(|address| json!({"s3": address, "force": true})).collect();
    assert_eq!(messages.len(), expected.len());
    assert!(expected.iter().all(|one| messages.contains(one)), "{messages:?}");
}

/// The ledger knows which objects failed, in whatever bucket, and when; nothing is listed.
#[test]
fn what_failed_is_found_by_the_ledger_alone() {
    let world = World::new("sweep_failed");
    let sqs = Sqs::start();
    let yaml = "routes: [{object: 's3://*/in/*', table: orders}]\nunmatched: fail\n";
    let handler = world.handler_with(&[
        ("HOLOLOAD_QUEUE", ARN),
        ("AWS_ENDPOINT_URL_SQS", &sqs.endpoint()),
        ("HOLOLOAD_CONFIG", yaml),
        ("HOLOLOAD_TABLE", ""),
    ]);
    let none = sweep(&handler, &json!({"failed": true}));
    assert_eq!(counts(&none), BTreeMap::new(), "no ledger yet");
    let bad = "id,name,amount\nx,y,z\n";
    let (one, two) = (world.put("in/1.csv", bad), world.put("in/2.csv", bad));
    for stored in [&one, &two, &world.put("other/3.csv", bad)] {
        handler.invoke_json(&stored.event()).expect_err();
    }
    let good = world.put("in/4.csv", orders([4], "a"));
    handler.invoke_json(&good.event()).expect_ok();
    // One is right by now, one is gone, and one has no route any more than before.
    world.put("in/1.csv", orders([1], "mended"));
    world.s3.delete(&world.bucket, "in/2.csv");
    world.s3.clear_requests();

    let dry = sweep(&handler, &json!({"failed": true, "dry_run": true}));
    assert_eq!(counts(&dry), BTreeMap::from([("listed", 3), ("chosen", 2), ("ignored", 1)]));
    let elsewhere =
        json!({"key": format!("s3://{}/other/3.csv", world.bucket), "reason": "no route matches"});
    assert_eq!(dry["ignored"], json!([elsewhere]));
    assert!(world.s3.requests().is_empty(), "nothing is listed");
    for (name, moment, listed) in [
        ("modified_after", "2020-01-01", 3),
        ("modified_after", "2999-01-01", 0),
        ("modified_before", "2020-01-01", 0),
    ] {
        let answer = sweep(&handler, &json!({"failed": true, "dry_run": true, name: moment}));
        assert_eq!(answer["reprocess"]["listed_count"], listed, "{name} {moment}");
    }
    let start = format!("s3://{}/in/1.csv", world.bucket);
    let later = sweep(&handler, &json!({"failed": true, "dry_run": true, "start_after": start}));
    assert_eq!(later["reprocess"]["chosen_count"], 1);

    let answer = sweep(&handler, &json!({"failed": true, "modified_within_hours": 1}));
    let statuses: Vec<&Value> =
        answer["objects"].as_array().expect("reports").iter().map(|report| &report["status"]).collect();
    assert_eq!(statuses, ["loaded", "deleted"], "{answer:#}");
    assert_eq!(world.rows(), ["1|mended|1.50", "4|a|4.50"]);
    let again = sweep(&handler, &json!({"failed": true}));
    assert_eq!(counts(&again), BTreeMap::from([("listed", 1), ("ignored", 1)]));
}

#[test]
fn many_failures_are_queued_page_by_page() {
    let world = World::new("sweep_failures");
    let sqs = Sqs::start();
    let handler = handler(&world, &sqs);
    handler.invoke_json(&world.put("first.csv", orders([1], "a")).event()).expect_ok();
    // As many lines as a few hours without a database leave behind; some objects failed for two tables.
    world.database.run(
        "INSERT INTO holoload_ledger (bucket, object_key, version, table_name, attempt, status, finished_at) \
         SELECT 'b' || n % 2, 'in/' || n, 'v', t, 1, 'failed', now() FROM generate_series(1, 1500) n, \
         unnest(ARRAY['public.orders', 'public.other']) t WHERE t = 'public.orders' OR n % 3 = 0",
    );
    let answer = sweep(&handler, &json!({"failed": true}));
    assert_eq!(counts(&answer), BTreeMap::from([("listed", 1500), ("chosen", 1500), ("queued", 1500)]));
    let messages = sqs.drain();
    assert_eq!(addresses(&messages).into_iter().collect::<BTreeSet<_>>().len(), 1500);
}
