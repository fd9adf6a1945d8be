//! Faults happen when, where and as often as they are asked for.

use std::time::{Duration, Instant};

use crate::raw::{Raw, outcome};
use crate::support::proxy::Direction;
use crate::support::standin::{Fault, Moment, Options, errors};
use crate::world::{TABLE, World, assert_said, binary, copy, said, world};

const STREAM: &str =
    "COPY t (id, name) FROM STDIN WITH (STREAM_MODE TRUE, FORMAT binary, ON_CONFLICT update)";
const BULK: &str = "COPY t (id, name) FROM STDIN WITH (FORMAT csv)";
const INSERT: &str = "INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO NOTHING";

fn faulty(name: &str) -> World {
    world(name, Options::default(), TABLE)
}

#[tokio::test]
async fn every_error_of_the_table() {
    let world = faulty("faults_errors");
    let client = world.client().await;
    for error in errors::ERRORS {
        world.standin.inject(error.at("INSERT", 1));
        assert_said(client.execute(INSERT, &[]).await, error.code, error.message);
        client.execute(INSERT, &[]).await.expect("the next time it runs");
        world.standin.clear_faults();
    }
    world.standin.inject(errors::read_only("INSERT", 1));
    assert_said(client.execute(INSERT, &[]).await, "XX000", "not allowed in readonly mode");
}

#[tokio::test]
async fn a_statement_fails_when_its_turn_has_come() {
    let world = faulty("faults_skip");
    let client = world.client().await;
    world.standin.inject(Fault::FailStatement {
        sql_contains: "INSERT".to_owned(),
        code: "HG000",
        message: "hg_need_retry".to_owned(),
        skip: 1,
        times: 2,
    });
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(client.execute(INSERT, &[]).await.is_ok());
    }
    assert_eq!(outcomes, [true, false, false, true]);
}

#[test]
fn a_copy_fails_after_so_many_rows() {
    let world = faulty("faults_copy");
    let fail = |rows| Fault::FailCopyAfterRows {
        rows,
        code: "53000",
        message: "Resource busy".to_owned(),
        times: 1,
    };
    let mut raw = Raw::connect(&world);
    let rows = [(1, "a"), (2, "b"), (3, "c")];
    for count in [0, 2, 3] {
        world.db.run("TRUNCATE t");
        world.standin.inject(fail(count));
        assert_eq!(outcome(&raw.copy(STREAM, &binary(&rows))), "53000 Resource busy");
        assert_eq!(world.db.count("t"), i64::try_from(count).expect("small"), "those stay");
    }
    world.db.run("TRUNCATE t");
    world.standin.inject(fail(2));
    assert_eq!(outcome(&raw.copy(BULK, b"1,a\n2,b\n3,c\n")), "53000 Resource busy");
    assert_eq!(world.db.count("t"), 0, "all or none");
    assert_eq!(outcome(&raw.copy(BULK, b"1,a\n2,b\n")), "COPY 2");
}

#[tokio::test]
async fn cuts_before_and_after_a_statement() {
    let world = faulty("faults_cut");
    for (moment, count) in [(Moment::Before, 0), (Moment::After, 1)] {
        for is_simple in [true, false] {
            world.db.run("TRUNCATE t");
            let client = world.client().await;
            let sql_contains = "INSERT".to_owned();
            world.standin.inject(Fault::CutAtStatement { sql_contains, moment, skip: 0, times: 1 });
            let error = if is_simple {
                client.batch_execute(INSERT).await.expect_err("cut")
            } else {
                client.execute(INSERT, &[]).await.expect_err("cut")
            };
            assert!(error.as_db_error().is_none(), "{error}");
            assert_eq!(world.db.count("t"), count, "{moment:?}");
        }
    }
    world.db.run("TRUNCATE t");
    world.standin.inject(Fault::CutCopyAfterRows { rows: 2, times: 1 });
    let client = world.client().await;
    let error = copy(&client, STREAM, binary(&[(1, "a"), (2, "b"), (3, "c")])).await.expect_err("cut");
    assert!(error.as_db_error().is_none(), "{error}");
    assert_eq!(world.db.count("t"), 2);
}

#[tokio::test]
async fn cuts_by_messages_and_bytes() {
    let world = faulty("faults_counted");
    for fault in [
        Fault::CutAfterMessages { direction: Direction::ToServer, count: 3 },
        Fault::CutAfterMessages { direction: Direction::ToClient, count: 3 },
        Fault::CutAfterBytes { direction: Direction::ToServer, count: 60 },
        Fault::CutAfterBytes { direction: Direction::ToClient, count: 60 },
    ] {
        let client = world.client().await;
        world.standin.inject(fault.clone());
        let mut passed = 0;
        while client.batch_execute("SELECT 1").await.is_ok() {
            passed += 1;
            assert!(passed < 20, "{fault:?} never happened");
        }
        world.client().await.batch_execute("SELECT 1").await.expect("it happens once");
    }
}

#[tokio::test]
async fn a_restart_ends_every_connection() {
    let world = faulty("faults_restart");
    let (idle, busy) = (world.client().await, world.client().await);
    let sleeping = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(30)").await });
    while world.db.sessions("query LIKE '%pg_sleep%'") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.standin.restart();
    assert_eq!(said(&sleeping.await.expect("joined").expect_err("ended")).0, "57P01");
    assert!(idle.batch_execute("SELECT 1").await.is_err());
    world.client().await.batch_execute("SELECT 1").await.expect("it is back");
}

#[tokio::test]
async fn statements_wait_when_told_to() {
    let world = faulty("faults_wait");
    let client = world.client().await;
    world.standin.inject(Fault::Delay { sql_contains: "INSERT".to_owned(), by: Duration::from_millis(200) });
    let clock = Instant::now();
    client.execute(INSERT, &[]).await.expect("it runs");
    assert!(clock.elapsed() >= Duration::from_millis(200));
    world.standin.clear_faults();
    world.standin.inject(Fault::Hold { sql_contains: "TRUNCATE".to_owned() });
    let held = tokio::spawn(async move { client.batch_execute("TRUNCATE t").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.db.count("t"), 1, "it has not started");
    world.standin.clear_faults();
    held.await.expect("joined").expect("it went on");
    assert_eq!(world.db.count("t"), 0);
}

#[tokio::test]
async fn cancelling_and_timeouts_reach_a_stream() {
    let world = faulty("faults_cancel");
    let client = world.client().await;
    let mut sink = Box::pin(client.copy_in::<_, bytes::Bytes>(STREAM).await.expect("starts"));
    client.cancel_token().cancel_query(world.tls()).await.expect("asked");
    // The client does not wait for the request to arrive.
    while world.standin.cancellations() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_said(sink.as_mut().finish().await, "57014", "canceling statement due to user request");
    client.batch_execute("SET statement_timeout = 200").await.expect("set");
    let mut sink = Box::pin(client.copy_in::<_, bytes::Bytes>(STREAM).await.expect("starts"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_said(sink.as_mut().finish().await, "57014", "canceling statement due to statement timeout");
}
