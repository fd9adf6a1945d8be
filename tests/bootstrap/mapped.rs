//! A mapping and an object that takes longer than one invocation: each part finds the same fields again.

use crate::chain::{Queue, assert_continued, drain, outlast};
use crate::world::{World, order_rows};

const ROWS: u32 = 60_000;
const SHORT_MS: u64 = 4_000;

#[test]
fn each_invocation_finds_the_same_fields_again() {
    let rows = (1..=ROWS).map(|id| format!("-,{id}.50,{id},red\n"));
    let bodies = [
        (
            "columns: {id: {from: 番号}, name: {constant: long}}, drop: ['＊'], drift: ignore",
            Some("＊,amount,番号,色\n"),
        ),
        ("columns: {id: {from: 3}, amount: {from: 2}, name: {constant: long}}, drop: [1, 4]", None),
    ];
    for (at, (route, header)) in bodies.into_iter().enumerate() {
        let world = World::new(&format!("mapped_{at}"));
        let queue = Queue::start();
        let (name, endpoint) = queue.environment();
        let config =
            format!("routes: [{{object: '**', table: orders, write: {{atomic: false}}, {route}}}]\n");
        let handler =
            world.handler_with(&[("HOLOLOAD_CONFIG", &config), ("HOLOLOAD_TABLE", ""), (name, &endpoint)]);
        let text: String = header.map(str::to_owned).into_iter().chain(rows.clone()).collect();
        let stored = world.put("long.csv", text);
        outlast(&world, &stored, 3, SHORT_MS);
        let invocations = drain(&handler, &queue, &stored, SHORT_MS, |_, _| {});
        assert!(invocations >= 4, "{invocations} invocations");
        assert_eq!(world.rows(), order_rows(1..=ROWS, "long"));
        assert_continued(&world.statuses("long.csv"));
    }
}
