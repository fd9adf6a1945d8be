//! An object that takes longer than one invocation: what is there stays, and the next one goes on where it ended.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chain::{Queue, assert_continued, drain, kill_after_a_checkpoint, message, outlast, slow_down};
use crate::http::HttpStub;
use crate::support::runtime_api::RuntimeApi;
use crate::world::{AMPLE_MS, World, deliver, failure, order_rows, orders, report};

const ROWS: u32 = 60_000;
/// Three of these and more make an object's worth.
const SHORT_MS: u64 = 4_000;
/// Where one is enough: time to spare on a busy machine.
const LONGER_MS: u64 = 6_000;
const IN_PARTS: &str = "routes: [{object: '**', table: orders, write: {atomic: false}}]\n";

fn handler(world: &World, extra: &[(&str, &str)]) -> RuntimeApi {
    let all =
        [("HOLOLOAD_CONFIG", IN_PARTS), ("HOLOLOAD_TABLE", "")].into_iter().chain(extra.iter().copied());
    world.handler_with(&all.collect::<Vec<_>>())
}

#[test]
fn an_object_takes_as_many_invocations_as_it_takes() {
    let world = World::new("continued");
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = handler(&world, &[(name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    outlast(&world, &stored, 3, SHORT_MS);
    let invocations = drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
    assert!(invocations >= 4, "{invocations} invocations");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    assert_continued(&world.statuses("long.csv"));
    let line = "SELECT row_count::text, inserted_count::text, byte_count::text, next_offset::text, atomic::text \
                FROM holoload_ledger WHERE status = 'loaded'";
    let (rows, bytes) = (Some(ROWS.to_string()), Some(stored.size.to_string()));
    assert_eq!(world.database.query(line), [[rows.clone(), rows, bytes, None, Some("false".to_owned())]]);
    world.assert_at_rest();
    // Whatever of it is delivered once more changes nothing.
    let places = world.places();
    for body in queue.sent().iter().chain([&stored.event().to_string()]) {
        let payload = serde_json::to_vec(&message("again", body)).expect("JSON");
        assert_eq!(handler.invoke(&payload, AMPLE_MS).expect_ok(), json!({"batchItemFailures": []}));
    }
    assert_eq!(world.places(), places);
}

/// JSON goes on in its middle as well: lines, and the records of an array inside a document.
#[test]
fn json_is_handed_on_with_its_names() {
    let record = |id: u32| format!("{{\"id\":{id},\"name\":\"json\",\"amount\":{id}.50}}");
    let records: Vec<String> = (1..=ROWS).map(record).collect();
    for (key, text) in [
        ("long.jsonl", records.join("\n")),
        ("long.json", format!("{{\"x\":[1],\"items\":[\n{}\n],\"y\":{{}}}}\n", records.join(",\n"))),
    ] {
        let world = World::new("continued_json");
        let queue = Queue::start();
        let (name, endpoint) = queue.environment();
        let config =
            "routes: [{object: '**', table: orders, parse: {root: /items}, write: {atomic: false}}]\n";
        let handler = handler(&world, &[(name, &endpoint), ("HOLOLOAD_CONFIG", config)]);
        let stored = world.put(key, text);
        outlast(&world, &stored, 2, SHORT_MS);
        let invocations = drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
        assert!(invocations >= 3, "{key}: {invocations} invocations");
        assert_eq!(world.rows(), order_rows(1..=ROWS, "json"), "{key}");
        let statuses = world.statuses(key);
        let (last, before) = statuses.split_last().expect("lines");
        assert_eq!(last, "loaded", "{key}");
        assert!(
            before.len() >= 2 && before.iter().all(|status| status == "continued"),
            "{key}: {statuses:?}"
        );
        // No part is read twice.
        let line =
            "SELECT row_count::text, inserted_count::text FROM holoload_ledger WHERE status = 'loaded'";
        let rows = Some(ROWS.to_string());
        assert_eq!(world.database.query(line), [[rows.clone(), rows]], "{key}");
        world.assert_at_rest();
    }
}

/// Kills at many instants: what was durable is not loaded again, what was not is.
#[test]
fn kills_between_and_within_invocations_lose_and_double_nothing() {
    let world = World::new("continued_kills");
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler = handler(&world, &[(name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    outlast(&world, &stored, 3, SHORT_MS);
    let kill = |number: usize, handler: &RuntimeApi| {
        if number.is_multiple_of(2) {
            std::thread::sleep(Duration::from_millis(300 * (number as u64 % 7)));
            handler.kill();
        }
    };
    let invocations = drain(&handler, &queue, &stored, SHORT_MS, kill);
    assert!(invocations >= 6, "{invocations} invocations");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    assert_eq!(world.statuses("long.csv").last().map(String::as_str), Some("loaded"));
    world.assert_at_rest();
}

/// Invoked by S3 itself, the function invokes itself; a caller who waits is told where the load is, and calls again.
#[test]
fn without_a_queue_the_function_invokes_itself() {
    let world = World::new("continued_function");
    let lambda = HttpStub::start(|_, _| (202, json!({})));
    let handler = handler(&world, &[("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint())]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    let mut payload = stored.event();
    let mut offsets = vec![0];
    let last = loop {
        let answer = report(handler.invoke(&serde_json::to_vec(&payload).expect("JSON"), SHORT_MS));
        if answer["status"] != "continued" {
            break answer;
        }
        let calls = lambda.calls();
        assert_eq!(calls.len(), offsets.len(), "{answer}");
        payload = calls.last().expect("a call").1.clone();
        let offset = answer["resume"]["offset"].as_u64().expect("an offset");
        assert_eq!(
            (&payload["continue"]["offset"], &payload["continue"]["hop"]),
            (&offset.into(), &offsets.len().into())
        );
        offsets.push(offset);
    };
    assert_eq!((&last["status"], &last["row_count"]), (&"loaded".into(), &ROWS.into()), "{last}");
    assert!(offsets.len() >= 3 && offsets.is_sorted(), "{offsets:?}");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
}

#[test]
fn a_caller_who_waits_goes_on_by_calling_again() {
    let world = World::new("continued_manual");
    let lambda = HttpStub::start(|_, _| (202, json!({})));
    let handler = handler(&world, &[("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint())]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    let payload = serde_json::to_vec(&json!({"s3": stored.address()})).expect("JSON");
    let mut answers = Vec::new();
    while answers.last().is_none_or(|last: &Value| last["status"] == "continued") {
        answers.push(report(handler.invoke(&payload, SHORT_MS)));
    }
    assert!(answers.len() >= 3, "{answers:?}");
    assert_eq!(answers.last().expect("an answer")["status"], "loaded");
    let records: Vec<_> = answers.iter().filter_map(|answer| answer["resume"]["record"].as_u64()).collect();
    assert!(records.is_sorted() && records.len() == answers.len() - 1, "{records:?}");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    assert!(lambda.calls().is_empty());
}

/// By force an object is loaded from its beginning, and the calls after that go on until it is at its end; then `force` means
/// the beginning once more.
#[test]
fn a_caller_who_forces_a_load_brings_it_to_its_end() {
    let world = World::new("continued_forced");
    let handler = handler(&world, &[]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    let payload = serde_json::to_vec(&json!({"s3": stored.address(), "force": true})).expect("JSON");
    assert_eq!(report(handler.invoke(&payload, AMPLE_MS))["status"], "loaded");
    for _ in 0..2 {
        world.database.run("UPDATE orders SET name = 'since'");
        slow_down(&world, "long.csv", 6 * 1024);
        world.s3.clear_requests();
        let first = report(handler.invoke(&payload, SHORT_MS));
        assert_eq!(first["status"], "continued", "{first}");
        assert_eq!(world.s3.gets(&world.bucket, "long.csv")[0].range, None, "it begins anew");
        world.s3.clear_faults();
        world.s3.clear_requests();
        let last = report(handler.invoke(&payload, AMPLE_MS));
        assert_eq!((&last["status"], &last["row_count"]), (&"loaded".into(), &ROWS.into()), "{last}");
        assert!(world.s3.gets(&world.bucket, "long.csv")[0].range.is_some(), "it goes on");
        assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    }
    world.assert_at_rest();
}

/// Of a load that nobody forced `force` repeats what is there, too.
#[test]
fn force_begins_anew_what_was_left_without_it() {
    let world = World::new("continued_then_forced");
    let handler = handler(&world, &[]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    let of =
        |force: bool| serde_json::to_vec(&json!({"s3": stored.address(), "force": force})).expect("JSON");
    assert_eq!(report(handler.invoke(&of(false), SHORT_MS))["status"], "continued");
    world.database.run("DELETE FROM orders");
    world.s3.clear_faults();
    assert_eq!(report(handler.invoke(&of(true), AMPLE_MS))["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
}

/// Bad rows of every part are kept, counted once, and named.
#[test]
fn bad_rows_of_every_part_are_kept() {
    let world = World::new("continued_rejects");
    let rejects = format!("s3://{}/rejects/", world.bucket);
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let yaml = "routes: [{object: 's3://*/in/*', table: orders, write: {atomic: false}}]\n";
    let extra = [(name, endpoint.as_str()), ("HOLOLOAD_REJECTS", &rejects), ("HOLOLOAD_CONFIG", yaml)];
    let handler = handler(&world, &extra);
    let mut text = orders(1..=ROWS, "long");
    for id in [10, ROWS / 2, ROWS] {
        text = text.replace(&format!("\n{id},long,"), &format!("\n{id}x,long,"));
    }
    let stored = world.put("in/long.csv", text);
    outlast(&world, &stored, 2, SHORT_MS);
    let invocations = drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
    assert!(invocations >= 3, "{invocations}");
    let good = (1..=ROWS).filter(|id| ![10, ROWS / 2, ROWS].contains(id));
    assert_eq!(world.rows(), order_rows(good, "long"));
    let line = "SELECT reject_count::text, row_count::text FROM holoload_ledger WHERE status = 'loaded'";
    assert_eq!(world.database.query(line), [[Some("3".to_owned()), Some(ROWS.to_string())]]);
    let keys = world.s3.keys(&world.bucket, "rejects/");
    let data: Vec<_> = keys.iter().filter(|key| key.ends_with(".rejects.csv")).collect();
    assert!(data.len() >= 2, "{keys:?}");
    let mut rows = Vec::new();
    for key in data {
        let bytes = world.s3.get(&world.bucket, key).expect("the object");
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let mut lines = text.lines().map(str::to_owned);
        assert_eq!(lines.next().as_deref(), Some("id,name,amount"), "{key}");
        rows.extend(lines);
    }
    rows.sort();
    let expected = [10, ROWS / 2, ROWS].map(|id| format!("{id}x,long,{id}.50"));
    assert_eq!(rows, expected);
}

/// Between two invocations a newer version comes: the rest of the older one is not loaded.
#[test]
fn a_newer_version_ends_what_is_left_of_the_older() {
    let world = World::versioned("continued_newer");
    let lambda = HttpStub::start(|_, _| (202, json!({})));
    let handler = handler(&world, &[("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint())]);
    let older = world.put("a.csv", orders(1..=ROWS, "older"));
    slow_down(&world, "a.csv", 6 * 1024);
    let first = report(handler.invoke(&serde_json::to_vec(&older.event()).expect("JSON"), SHORT_MS));
    assert_eq!(first["status"], "continued", "{first}");
    // As if it had been killed instead, after a checkpoint.
    world.database.run("UPDATE holoload_ledger SET status = 'running'");
    world.s3.clear_faults();
    let newer = world.put("a.csv", orders(1..=10, "newer"));
    assert_eq!(deliver(&handler, &newer.event())["status"], "loaded");
    let rows = world.rows();
    assert_eq!(rows[..10], order_rows(1..=10, "newer"));
    let next = lambda.calls().last().expect("a call").1.clone();
    for event in [&next, &older.event()] {
        assert_eq!(deliver(&handler, event)["status"], "superseded");
        assert_eq!(world.rows(), rows);
    }
    assert_eq!(world.database.count("holoload_ledger WHERE status = 'running'"), 0);
    // An older version is kept out as soon as a part of a newer one is there.
    let partial = world.put("a.csv", orders(1..=ROWS, "partial"));
    slow_down(&world, "a.csv", 6 * 1024);
    let part = report(handler.invoke(&serde_json::to_vec(&partial.event()).expect("JSON"), SHORT_MS));
    assert_eq!(part["status"], "continued", "{part}");
    world.s3.clear_faults();
    assert_eq!(deliver(&handler, &newer.event())["status"], "superseded");
    assert_eq!(deliver(&handler, &partial.event())["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "partial"));
}

/// The content is at fault further on: what was loaded stays, the verdict is repeated, and a person's request begins anew.
#[test]
fn content_that_fails_in_a_later_part_says_what_is_there() {
    let world = World::new("continued_content");
    let handler = handler(&world, &[]);
    let text = orders(1..=ROWS, "long").replace(&format!("\n{ROWS},long,"), "\nx,long,");
    let stored = world.put("long.csv", text);
    slow_down(&world, "long.csv", 6 * 1024);
    let manual = serde_json::to_vec(&json!({"s3": stored.address()})).expect("JSON");
    assert_eq!(report(handler.invoke(&manual, SHORT_MS))["status"], "continued");
    world.s3.clear_faults();
    let failed = failure(handler.invoke_json(&stored.event()));
    assert_eq!(failed.error_type, "Input", "{failed:?}");
    assert!(
        failed.line.contains("a part of the rows was written") || failed.line.contains("none is put up with"),
        "{}",
        failed.line
    );
    assert!(failed.answer["objects"][0]["warnings"].to_string().contains("stay in the table"), "{failed:?}");
    let there = world.database.count("orders");
    assert!(there > 0 && there < i64::from(ROWS), "{there}");
    world.s3.clear_requests();
    assert_eq!(failure(handler.invoke_json(&stored.event())).error_type, "Input");
    assert!(world.s3.gets(&world.bucket, "long.csv").is_empty(), "the verdict is repeated without reading");
    assert_eq!(failure(handler.invoke(&manual, AMPLE_MS)).error_type, "Input");
    let gets = world.s3.gets(&world.bucket, "long.csv");
    assert!(gets[0].range.is_none(), "from the beginning: {gets:?}");
    let mended = world.put("long.csv", orders(1..=ROWS, "mended"));
    assert_eq!(deliver(&handler, &mended.event())["status"], "loaded");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "mended"));
}

/// The queue refuses: the delivery is not acknowledged, comes again, and goes on where the load was.
#[test]
fn what_cannot_be_handed_on_is_delivered_again() {
    let world = World::new("continued_refused");
    let queue = Queue::start();
    queue.allow(false);
    let (name, endpoint) = queue.environment();
    let handler = handler(&world, &[(name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    let payload = serde_json::to_vec(&message("m", &stored.event().to_string())).expect("JSON");
    let answer = handler.invoke(&payload, SHORT_MS).expect_ok();
    assert_eq!(answer["batchItemFailures"][0]["itemIdentifier"], "m", "{answer}");
    assert!(handler.log_text().contains("allow sqs:SendMessage on the queue"), "{}", handler.log_text());
    assert_eq!(world.statuses("long.csv"), ["continued"]);
    queue.allow(true);
    drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
}

#[test]
fn there_is_an_end_to_handing_on() {
    let world = World::new("continued_bound");
    let lambda = HttpStub::start(|_, _| (202, json!({})));
    let handler = handler(&world, &[("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint())]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 6 * 1024);
    let payload = json!({"continue": {"s3": stored.address(), "etag": stored.etag, "sequencer": stored.sequencer,
        "hop": 1000, "offset": 0}});
    let failed = failure(handler.invoke(&serde_json::to_vec(&payload).expect("JSON"), LONGER_MS));
    assert_eq!(failed.error_type, "Config", "{failed:?}");
    assert!(failed.line.contains("1000 times"), "{}", failed.line);
    assert_eq!(failed.answer["objects"][0]["status"], "continued");
    assert!(lambda.calls().is_empty());
    let broken = failure(handler.invoke_json(&json!({"continue": {"s3": stored.address()}})));
    assert_eq!(broken.error_type, "Input");
}

/// All rows at once, and not enough time for it: that is said after 30 s, not after fifteen minutes.
#[test]
fn an_atomic_load_that_does_not_fit_fails_early() {
    let world = World::new("continued_atomic");
    let handler = world.handler();
    let stored = world.put("long.csv", orders(1..=2 * ROWS, "long"));
    // About three minutes of it, in invocations of one.
    slow_down(&world, "long.csv", 700);
    let clock = std::time::Instant::now();
    let failed = failure(handler.invoke(&serde_json::to_vec(&stored.event()).expect("JSON"), 75_000));
    assert_eq!(failed.error_type, "Config", "{failed:?}");
    assert!(failed.line.contains("does not fit into one invocation"), "{}", failed.line);
    assert!(failed.line.contains("`write: {atomic: false}`"), "{}", failed.line);
    assert!(clock.elapsed() < Duration::from_secs(70), "said early: {:?}", clock.elapsed());
    assert_eq!(world.database.count("orders"), 0);
    world.assert_at_rest();
}

/// Also where nothing is handed on: what is older than a few seconds is durable.
#[test]
fn a_kill_costs_the_last_seconds_only() {
    let world = World::new("continued_checkpoint");
    let handler = handler(&world, &[]);
    kill_after_a_checkpoint(&world, &handler, || {});
    world.assert_at_rest();
}

/// What waits for the claim gets it when a part is committed. The same version once more: one of the two goes on from there,
/// and the rows are those of one load.
#[test]
fn a_second_delivery_may_take_over_at_a_checkpoint() {
    let world = World::new("continued_twice");
    world.database.run("ALTER TABLE orders DROP CONSTRAINT orders_pkey");
    let yaml = "routes: [{object: '**', table: orders, write: {atomic: false, mode: insert}}]\n";
    let handlers =
        [handler(&world, &[("HOLOLOAD_CONFIG", yaml)]), handler(&world, &[("HOLOLOAD_CONFIG", yaml)])];
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 4 * 1024);
    let event = stored.event();
    let statuses = std::thread::scope(|scope| {
        let all: Vec<_> = handlers
            .iter()
            .map(|handler| scope.spawn(|| deliver(handler, &event)["status"].clone()))
            .collect();
        all.into_iter().map(|one| one.join().expect("delivered")).collect::<Vec<_>>()
    });
    assert!(statuses.contains(&"loaded".into()), "{statuses:?}");
    // Without a key a row that was written twice would be there twice.
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    let lines = world.statuses("long.csv");
    assert_eq!(lines.iter().filter(|status| *status == "loaded").count(), 1, "{lines:?}");
    world.assert_at_rest();
}

/// And a newer version: whether it gets the claim at a checkpoint or at the end, none of its rows is overwritten, and the
/// older load leaves no transaction behind.
#[test]
fn a_newer_version_may_take_over_at_a_checkpoint() {
    let world = World::versioned("continued_overtaken");
    let handlers = [handler(&world, &[]), handler(&world, &[])];
    let older = world.put("long.csv", orders(1..=ROWS, "older"));
    slow_down(&world, "long.csv", 4 * 1024);
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| deliver(&handlers[0], &older.event()));
        let is_claimed = || world.database.sessions("state = 'idle in transaction'") > 0;
        assert!(crate::support::wait_until(Duration::from_secs(10), is_claimed), "the older one is at work");
        let newer = world.put("long.csv", orders(1..=10, "newer"));
        let other = scope.spawn({
            let (handler, event) = (&handlers[1], newer.event());
            move || deliver(handler, &event)
        });
        (one.join().expect("delivered"), other.join().expect("delivered"))
    });
    assert!(["superseded", "loaded"].contains(&one["status"].as_str().expect("text")), "{one}");
    assert_eq!(other["status"], "loaded", "{other}");
    assert_eq!(world.rows()[..10], order_rows(1..=10, "newer"));
    assert_eq!(world.database.count("orders WHERE name = 'older' AND id <= 10"), 0);
    world.assert_at_rest();
}

/// What is compressed or in another charset can only be read from its beginning; what is loaded of it is passed over.
#[test]
fn a_packed_object_goes_on_where_its_text_was_left() {
    use std::io::Write as _;

    let world = World::new("continued_packed");
    let lambda = HttpStub::start(|_, _| (202, json!({})));
    let handler = handler(&world, &[("AWS_ENDPOINT_URL_LAMBDA", &lambda.endpoint())]);
    let text = orders(1..=ROWS, "契約");
    let sjis = holoload::charset::Charset::named("cp932").expect("a charset").restore(text.as_bytes());
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(&sjis).expect("memory");
    let stored = world.s3.put(&world.bucket, "long.csv.gz", writer.finish().expect("memory"));
    slow_down(&world, "long.csv.gz", 1024);
    let first = report(handler.invoke(&serde_json::to_vec(&stored.event()).expect("JSON"), LONGER_MS));
    assert_eq!(first["status"], "continued", "{first}");
    let part = world.rows().len();
    assert!(part > 0 && part < usize::try_from(ROWS).expect("few"), "{part} rows");
    world.s3.clear_faults();
    let next = lambda.calls().last().expect("a call").1.clone();
    let last = report(handler.invoke_json(&next));
    assert_eq!((&last["status"], &last["row_count"]), (&"loaded".into(), &ROWS.into()), "{last}");
    assert_eq!(last["inserted_count"], ROWS, "no row was written twice: {last}");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "契約"));
}
