//! What may have changed between one invocation of a load and the next.

use serde_json::{Value, json};

use crate::chain::{Queue, message, slow_down};
use crate::http::HttpStub;
use crate::support::runtime_api::{Outcome, RuntimeApi};
use crate::support::s3::Stored;
use crate::world::{AMPLE_MS, World, deliver, order_rows, orders, report};

const ROWS: u32 = 60_000;
/// Half of an object's worth.
const SHORT_MS: u64 = 7_000;
const IN_PARTS: &str = "routes: [{object: '**', table: orders, write: {atomic: false}}]\n";

/// A function that invokes itself, as far as its first invocation got with an object.
struct Begun {
    world: World,
    lambda: HttpStub,
    handler: RuntimeApi,
}

impl Begun {
    fn new(name: &str, key: &str, event: impl Fn(&Stored) -> Value) -> Self {
        let world = World::new(name);
        let lambda = HttpStub::start(|_, _| (202, json!({})));
        let handler = handler(&world, &lambda, IN_PARTS);
        let stored = world.put(key, orders(1..=ROWS, "long"));
        slow_down(&world, key, 4 * 1024);
        begin(&handler, &event(&stored));
        Self { world, lambda, handler }
    }

    /// What the function last said to itself.
    fn next(&self) -> Value {
        self.lambda.calls().last().expect("a call").1.clone()
    }
}

fn handler(world: &World, lambda: &HttpStub, yaml: &str) -> RuntimeApi {
    let lambda = lambda.endpoint();
    world.handler_with(&[
        ("HOLOLOAD_CONFIG", yaml),
        ("HOLOLOAD_TABLE", ""),
        ("AWS_ENDPOINT_URL_LAMBDA", &lambda),
    ])
}

/// A first part. On a busy machine there may be no time for one, and the delivery comes again.
fn begin(handler: &RuntimeApi, event: &Value) -> Value {
    for _ in 0..10 {
        match handler.invoke(&payload(event), SHORT_MS) {
            Outcome::Err { error_type, .. } if error_type == "Transient" => {}
            outcome => {
                let first = report(outcome);
                assert_eq!(
                    (&first["status"], &first["error"]),
                    (&"continued".into(), &Value::Null),
                    "{first}"
                );
                return first;
            }
        }
    }
    panic!("ten invocations were not enough");
}

fn payload(event: &Value) -> Vec<u8> {
    serde_json::to_vec(event).expect("JSON")
}

/// Some stores leave the `+` of a key as it is. The rest of an object that was found so is found so again.
#[test]
fn a_key_that_was_found_otherwise_is_gone_on_with() {
    let begun = Begun::new("resumed_key", "a+b.csv", |stored| {
        let mut event = stored.event();
        event["Records"][0]["s3"]["object"]["key"] = "a+b.csv".into();
        event
    });
    begun.world.s3.clear_faults();
    assert_eq!(deliver(&begun.handler, &begun.next())["status"], "loaded");
    assert_eq!(begun.world.rows(), order_rows(1..=ROWS, "long"));
}

/// Other settings begin at the beginning. That they have not come as far as the ones before is no fault.
#[test]
fn changed_settings_begin_anew_and_are_handed_on() {
    let begun = Begun::new("resumed_settings", "long.csv", Stored::event);
    let yaml = IN_PARTS.replace("write:", "parse: {null_string: none}, write:");
    let changed = handler(&begun.world, &begun.lambda, &yaml);
    // Half as fast: it gets half as far.
    slow_down(&begun.world, "long.csv", 2 * 1024);
    begin(&changed, &begun.next());
    begun.world.s3.clear_faults();
    assert_eq!(begun.next()["continue"]["hop"], 2);
    let last = deliver(&changed, &begun.next());
    assert_eq!((&last["status"], &last["row_count"]), (&"loaded".into(), &ROWS.into()), "{last}");
    assert_eq!(begun.world.rows(), order_rows(1..=ROWS, "long"));
}

/// A part of the object is there, and the rest never will be: that is said.
#[test]
fn an_object_that_goes_between_two_parts_leaves_a_warning() {
    let begun = Begun::new("resumed_gone", "long.csv", Stored::event);
    begun.world.s3.delete(&begun.world.bucket, "long.csv");
    let gone = deliver(&begun.handler, &begun.next());
    assert_eq!(gone["status"], "deleted", "{gone}");
    assert!(gone["warnings"].to_string().contains("stay in the table"), "{gone}");
}

/// A load that went on and failed made nothing durable: where to go on stands in the line of the one that did.
#[test]
fn who_fails_without_a_part_of_its_own_says_nothing_of_parts() {
    let begun = Begun::new("resumed_failed", "long.csv", Stored::event);
    let world = &begun.world;
    world.s3.clear_faults();
    world.database.run(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'too many clients' USING ERRCODE = '53300'; END $$; \
         CREATE TRIGGER fail BEFORE INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION fail()",
    );
    let (class, _) = begun.handler.invoke(&payload(&begun.next()), AMPLE_MS).expect_err();
    assert_eq!(class, "Transient");
    let lines = "SELECT status, (next_offset > 0)::text FROM holoload_ledger ORDER BY attempt";
    let line =
        |status: &str, is_left: Option<&str>| vec![Some(status.to_owned()), is_left.map(str::to_owned)];
    assert_eq!(world.database.query(lines), [line("continued", Some("true")), line("failed", None)]);
    world.database.run("DROP TRIGGER fail ON orders");
    world.s3.clear_requests();
    assert_eq!(deliver(&begun.handler, &begun.next())["status"], "loaded");
    assert!(world.s3.gets(&world.bucket, "long.csv")[0].range.is_some(), "it goes on");
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
}

/// A message of a load that was forced comes once more when that is done: it was forced once, and not for ever.
#[test]
fn what_was_forced_is_not_forced_again_by_a_message_of_it() {
    let world = World::new("resumed_forced");
    let queue = Queue::start();
    let (name, endpoint) = queue.environment();
    let handler =
        world.handler_with(&[("HOLOLOAD_CONFIG", IN_PARTS), ("HOLOLOAD_TABLE", ""), (name, &endpoint)]);
    let stored = world.put("long.csv", orders(1..=ROWS, "long"));
    slow_down(&world, "long.csv", 4 * 1024);
    let receive = |body: &str, deadline_ms: u64| {
        let deliver = || handler.invoke(&payload(&message("m", body)), deadline_ms).expect_ok();
        let is_done = (0..10).any(|_| deliver() == json!({"batchItemFailures": []}));
        assert!(is_done, "ten deliveries were not enough");
    };
    receive(&json!({"s3": stored.address(), "force": true}).to_string(), SHORT_MS);
    let sent = queue.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    world.s3.clear_faults();
    receive(&sent[0], AMPLE_MS);
    assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
    world.database.run("UPDATE orders SET name = 'since' WHERE id = 1");
    receive(&sent[0], AMPLE_MS);
    let statuses = world.statuses("long.csv");
    assert_eq!(statuses[statuses.len() - 2..], ["loaded", "skipped"]);
    assert_eq!(world.database.count("orders WHERE name = 'since'"), 1);
    world.assert_at_rest();
}
