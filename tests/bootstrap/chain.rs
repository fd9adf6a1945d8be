//! A load that takes several invocations, passed from one to the next by a queue.

#![allow(dead_code, unreachable_pub, reason = "every test binary includes this module and uses a part of it")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::HttpStub;
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::{Fault, On, Stored};
use crate::support::wait_until;
use crate::world::{World, deliver, order_rows, orders};

/// After each chunk of a slow body.
const PAUSE_MS: u64 = 50;

/// What the handler's role may do with the queue.
type Permission = Arc<Mutex<bool>>;

/// A queue that keeps what is put into it until it is delivered.
pub struct Queue {
    stub: HttpStub,
    may_send: Permission,
}

impl Queue {
    pub fn start() -> Self {
        let may_send = Permission::new(Mutex::new(true));
        let allowed = Arc::clone(&may_send);
        let stub = HttpStub::start(move |operation, _| {
            let is_allowed = *allowed.lock().unwrap_or_else(PoisonError::into_inner);
            match operation {
                "SendMessage" if !is_allowed => {
                    (403, json!({"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "no"}))
                }
                "SendMessage" => {
                    (200, json!({"MessageId": "id", "MD5OfMessageBody": "e4e68fb7bd0e697a0ae8f1bb342846b3"}))
                }
                _ => (200, json!({})),
            }
        });
        Self { stub, may_send }
    }

    pub fn allow(&self, may_send: bool) {
        *self.may_send.lock().unwrap_or_else(PoisonError::into_inner) = may_send;
    }

    pub fn environment(&self) -> (&'static str, String) {
        ("AWS_ENDPOINT_URL_SQS", self.stub.endpoint())
    }

    /// Bodies of everything that was sent so far.
    pub fn sent(&self) -> Vec<String> {
        let calls = self.stub.calls().into_iter().filter(|(operation, _)| operation == "SendMessage");
        calls.map(|(_, input)| input["MessageBody"].as_str().expect("a body").to_owned()).collect()
    }
}

pub fn message(id: &str, body: &str) -> Value {
    json!({"Records": [{
        "messageId": id, "receiptHandle": format!("handle-{id}"), "body": body, "messageAttributes": {},
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1772357415200",
                       "SenderId": "AIDAJXNJGGKNS7OSV23OI", "ApproximateFirstReceiveTimestamp": "1772357415207"},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs", "awsRegion": "ap-northeast-1",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:123456789012:loads",
    }]})
}

/// Bytes of this object come slowly: it takes many seconds to read.
pub fn slow_down(world: &World, key: &str, chunk_bytes: u64) {
    let chunks = Fault::SlowChunks { chunk_bytes, pause: Duration::from_millis(PAUSE_MS) };
    world.s3.fail_always(On::get(&world.bucket, key), chunks);
}

/// The same, so slowly that `count` invocations of `deadline_ms` each cannot read it all, on however fast a machine.
pub fn outlast(world: &World, stored: &Stored, count: u64, deadline_ms: u64) {
    // A quarter more: the last chunk of a request is not waited for.
    let pauses = count * deadline_ms * 5 / 4 / PAUSE_MS;
    slow_down(world, &stored.key, stored.size / pauses);
}

/// Delivers the object's message and whatever follows from it until the queue is empty, as SQS does: what an answer lists,
/// and what was never answered, comes again. `disturb` may kill the handler while an invocation is on its way. Answers how
/// many invocations there were.
pub fn drain(
    handler: &RuntimeApi,
    queue: &Queue,
    stored: &Stored,
    deadline_ms: u64,
    disturb: impl Fn(usize, &RuntimeApi) + Sync,
) -> usize {
    const INVOCATIONS_MAX: usize = 80;
    let mut waiting = VecDeque::from([stored.event().to_string()]);
    let mut seen = queue.sent().len();
    for number in 1..=INVOCATIONS_MAX {
        let Some(body) = waiting.pop_front() else { return number - 1 };
        let payload = serde_json::to_vec(&message(&format!("m{number}"), &body)).expect("JSON");
        let outcome = std::thread::scope(|scope| {
            let invoking = scope.spawn(|| handler.invoke(&payload, deadline_ms));
            disturb(number, handler);
            invoking.join().expect("an outcome")
        });
        match outcome {
            Outcome::Ok(answer) => {
                let failed = answer["batchItemFailures"].as_array().expect("a list");
                if !failed.is_empty() {
                    waiting.push_back(body);
                }
            }
            Outcome::Exited { .. } | Outcome::TimedOut => {
                handler.restart();
                waiting.push_back(body);
            }
            other => panic!("an answer of another door: {other:?}"),
        }
        let sent = queue.sent();
        waiting.extend(sent[seen..].iter().cloned());
        seen = sent.len();
    }
    panic!("{INVOCATIONS_MAX} invocations were not enough");
}

/// A long invocation is killed once the ledger says how far it is, and its event delivered again.
pub fn kill_after_a_checkpoint(world: &World, handler: &RuntimeApi, after_kill: impl Fn()) {
    const ROWS: u32 = 60_000;
    // The first load makes the ledger.
    assert_eq!(deliver(handler, &world.put("first.csv", orders([0], "first")).event())["status"], "loaded");
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    // A quarter of a minute and more.
    slow_down(world, "long.csv", 4 * 1024);
    let event = stored.event();
    std::thread::scope(|scope| {
        let invoking = scope.spawn(|| handler.invoke_json(&event));
        let is_saved =
            || world.database.count("holoload_ledger WHERE status = 'running' AND next_offset > 0") == 1;
        assert!(wait_until(Duration::from_secs(29), is_saved), "no line says how far the load is");
        handler.kill();
        drop(invoking.join());
    });
    after_kill();
    handler.restart();
    world.s3.clear_faults();
    world.s3.clear_requests();
    let report = deliver(handler, &event);
    assert_eq!((&report["status"], &report["row_count"]), (&"loaded".into(), &ROWS.into()), "{report}");
    let rows: Vec<String> =
        order_rows([0], "first").into_iter().chain(order_rows(1..=ROWS, "long")).collect();
    assert_eq!(world.rows(), rows);
    let gets = world.s3.gets(&world.bucket, "long.csv");
    let range = gets[0].range.as_deref().unwrap_or_default();
    let from: u64 = range.trim_start_matches("bytes=").trim_end_matches('-').parse().expect("a range");
    assert!(from > stored.size / 10, "{range}");
    assert_eq!(world.statuses("long.csv"), ["continued", "loaded"]);
}

/// Three invocations at least were not the last, and the last one loaded the rest. On a busy machine one may fail for want of
/// time.
#[track_caller]
pub fn assert_continued(statuses: &[String]) {
    let (last, before) = statuses.split_last().expect("lines");
    assert_eq!(last, "loaded");
    let continued = before.iter().filter(|status| *status == "continued").count();
    assert!(continued >= 3, "{statuses:?}");
    assert!(before.iter().all(|status| ["continued", "failed"].contains(&status.as_str())), "{statuses:?}");
}
