//! The first start of a hundred functions at once, on an empty database: a prefix full of objects does that. It has a
//! binary of its own, since it takes the whole machine.

mod support;
#[path = "bootstrap/world.rs"]
mod world;

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use support::postgres::{self, Options, Postgres};
use support::standin::{self, Standin};
use world::{World, order_rows, orders, report};

const STARTS: u32 = 100;
/// A hundred processes start on two processors.
const INIT_MAX: Duration = Duration::from_mins(2);

/// One hundred at a time are enough.
static ALONE: Mutex<()> = Mutex::new(());

fn start_all(world: &World) {
    let handlers: Vec<_> = (0..STARTS).map(|_| world.handler()).collect();
    assert!(handlers.iter().all(|handler| handler.wait_for_init(INIT_MAX)));
    let reports: Vec<Value> = thread::scope(|scope| {
        let invoking = handlers.iter().zip(0_u32..).map(|(handler, number)| {
            let stored = world.put(&format!("{number}.csv"), orders([number], "cold"));
            scope.spawn(move || report(handler.invoke_json(&stored.event())))
        });
        let invoking: Vec<_> = invoking.collect();
        invoking.into_iter().map(|one| one.join().expect("answered")).collect()
    });
    for report in &reports {
        assert_eq!(report["status"], "loaded", "{report}");
    }
    assert_eq!(world.rows(), order_rows(0..STARTS, "cold"));
    assert_eq!(world.database.count("holoload_ledger WHERE status = 'loaded'"), i64::from(STARTS));
    assert_eq!(world.database.count("holoload_fence WHERE loaded_at IS NOT NULL"), i64::from(STARTS));
}

#[test]
fn a_hundred_cold_starts_make_the_ledger_together() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let settings = vec![("max_connections".to_owned(), "300".to_owned())];
    let cluster = Postgres::start(Options { settings, ..Options::default() });
    start_all(&World::in_database("cold", cluster.database("cold")));
}

#[test]
fn a_hundred_cold_starts_on_hologres_make_the_ledger_together() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let database = postgres::shared_hologres().database("cold");
    let standin = Standin::start(&database, standin::Options::default());
    start_all(&World::in_database("cold", standin.database()));
}
