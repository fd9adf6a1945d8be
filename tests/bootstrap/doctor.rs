//! `{"doctor": …}`: answered inside of the function, whatever is broken.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::account::{Account, QUEUE, SECRET};
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{KeyState, Put};
use crate::world::{World, failure, orders};

/// Longer than the doctor allows itself: a function timeout of two minutes.
const TIMEOUT_MS: u64 = 120_000;

fn handler(world: &World, account: &Account, extra: &[(&str, &str)]) -> RuntimeApi {
    let environment = account.environment();
    let of_account = environment.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<(&str, &str)> =
        of_account.chain([("HOLOLOAD_QUEUE", QUEUE)]).chain(extra.iter().copied()).collect();
    world.handler_with(&all)
}

fn ask(handler: &RuntimeApi, event: &Value) -> Outcome {
    handler.invoke(event.to_string().as_bytes(), TIMEOUT_MS)
}

#[track_caller]
fn check<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let checks = answer["doctor"]["checks"].as_array().unwrap_or_else(|| panic!("no checks: {answer:#}"));
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no `{name}`: {answer:#}"))
}

#[track_caller]
fn has(answer: &Value, name: &str, status: &str, found: &str, hint: &str) {
    let check = check(answer, name);
    assert_eq!(check["status"], status, "{check:#}");
    assert!(check["found"].as_str().is_some_and(|text| text.contains(found)), "{check:#}");
    assert!(check["hint"].as_str().unwrap_or_default().contains(hint), "{check:#}");
}

#[test]
fn the_function_answers_with_what_it_finds() {
    let (world, account) = (World::new("doctor"), Account::start());
    let put = Put { kms_key: Some("doctor-key".to_owned()), ..Put::default() };
    let stored = world.s3.put_with(&world.bucket, "in/a.csv", orders([1], "a"), put);
    let rejects = format!("s3://{}/rejects/", world.bucket);
    let handler = handler(&world, &account, &[("HOLOLOAD_REJECTS", &rejects)]);
    let event = json!({"doctor": {"s3": stored.address()}});
    let answer = ask(&handler, &event).expect_ok();
    assert_eq!(answer["schema_version"], 1);
    assert_eq!(answer["doctor"]["verdict"], "warn", "{answer:#}");
    for (name, found) in [
        ("identity", "assumed-role/loader"),
        ("decrypt", "first bytes"),
        ("rejects", "holoload-doctor.rejects.csv"),
        ("login", "as `app`"),
        ("write_path", "unnest"),
        ("queue", "hidden for 5400 s"),
        ("ledger", "first load"),
    ] {
        has(&answer, name, "ok", found, "");
    }
    has(&answer, "environment", "warn", "function loader", "unset AWS_ENDPOINT_URL");
    assert!(world.rows().is_empty());
    world.assert_no_session();

    // A failure is something to read, not an error of the invocation.
    world.s3.set_key("doctor-key", KeyState::Disabled);
    let answer = ask(&handler, &event).expect_ok();
    assert_eq!(answer["doctor"]["verdict"], "fail");
    has(&answer, "decrypt", "fail", "KMS.DisabledException", "aws kms enable-key --key-id arn:aws:kms:");
    assert_eq!(check(&answer, "decrypt")["class"], "Access");
    world.s3.set_key("doctor-key", KeyState::Enabled);
    let log = handler.log_text();
    assert!(log.contains("doctor finished") && log.contains("\"verdict\":\"fail\""), "{log}");
    assert!(!log.contains(&world.database.password) && !log.contains("test-secret"));
    // The same process goes on loading.
    assert_eq!(crate::world::report(handler.invoke_json(&stored.event()))["status"], "loaded");
}

#[test]
fn a_queue_whose_messages_come_back_too_soon() {
    let (world, account) = (World::new("doctor_queue"), Account::start());
    let handler = handler(&world, &account, &[]);
    let queue = |visibility: &str| {
        account.set_queue("VisibilityTimeout", Some(visibility));
        ask(&handler, &json!({"doctor": true})).expect_ok()
    };
    // The function has 120 s here, of which a slow machine may have used some before the doctor began.
    has(&queue("720"), "queue", "ok", "hidden for 720 s", "");
    has(
        &queue("300"),
        "queue",
        "warn",
        "hidden for 300 s",
        "six times the function's timeout: aws sqs set-queue-attributes",
    );
    has(&queue("30"), "queue", "fail", "hidden for 30 s", "\"VisibilityTimeout\": \"");
}

/// Who asks what is wrong gets an answer above all when nothing works.
#[test]
fn a_function_that_cannot_start_answers_all_the_same() {
    let (world, account) = (World::new("doctor_start"), Account::start());
    let broken = handler(&world, &account, &[("HOLOLOAD_HOST", "")]);
    let answer = ask(&broken, &json!({"doctor": true})).expect_ok();
    has(&answer, "settings", "fail", "`target.host` is missing", "HOLOLOAD_HOST");
    has(&answer, "login", "skipped", "because `settings` failed", "");
    has(&answer, "queue", "ok", "loads", "");

    account.set_secret("no JSON");
    let extra = [("HOLOLOAD_SECRET", SECRET), ("HOLOLOAD_USER", ""), ("HOLOLOAD_PASSWORD", "")];
    let answer = ask(&handler(&world, &account, &extra), &json!({"doctor": {}})).expect_ok();
    has(&answer, "secret", "fail", "read the secret", "the secret must be JSON");
    has(&answer, "certificate", "ok", "days left", "");
    has(&answer, "login", "skipped", "because `secret` failed", "");

    let answer = ask(&handler(&world, &account, &[("HOLOLOAD_REJECTS", "/tmp/r")]), &json!({"doctor": true}))
        .expect_ok();
    has(&answer, "settings", "fail", "would vanish with the function", "s3://bucket/prefix/");
}

/// The answer comes before the function is cut off.
#[test]
fn little_time_is_enough_for_an_answer() {
    let (world, account) = (World::new("doctor_late"), Account::start());
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let handler = handler(&world, &account, &[("HOLOLOAD_HOST", "127.0.0.1"), ("HOLOLOAD_PORT", &port)]);
    assert!(handler.wait_for_init(Duration::from_mins(1)), "{}", handler.log_text());
    // Nothing there ever answers, and the doctor would wait for 10 s.
    let answer = handler.invoke(b"{\"doctor\": true}", 9_000).expect_ok();
    let checks = answer["doctor"]["checks"].as_array().expect("checks");
    let failed: Vec<&Value> = checks.iter().filter(|check| check["status"] == "fail").collect();
    assert!(!failed.is_empty() && failed.iter().all(|check| check["class"] == "Transient"), "{answer:#}");
    let found = failed[0]["found"].as_str().expect("text");
    assert!(found.contains("no answer within"), "{answer:#}");
}

#[test]
fn requests_that_mean_nothing_are_refused() {
    let (world, account) = (World::new("doctor_refused"), Account::start());
    let handler = handler(&world, &account, &[]);
    for (event, line) in [
        (json!({"doctor": false}), "`doctor` must be true or an object"),
        (json!({"doctor": {"s4": "s3://b/k"}}), "`s4` is not known here; hint: known are s3"),
        (json!({"doctor": {"s3": "b/k"}}), "read the object address `b/k`"),
        (json!({"doctor": true, "force": true}), "`force` is not known here"),
    ] {
        let failed = failure(handler.invoke_json(&event));
        assert_eq!(failed.error_type, "Input", "{failed:?}");
        assert!(failed.line.contains(line), "{failed:?}");
    }
}
