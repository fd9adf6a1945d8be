//! The cases of other projects' tests, replayed: `HOLOLOAD_CORPUS` is the folder with their `MANIFEST.jsonl`. Without it
//! these tests say so and pass. `docs/conformance.md` has the scores and each difference that is meant.
#![expect(clippy::expect_used, reason = "a failed test panics")]
#![allow(clippy::print_stderr, reason = "the scores are for people")]

mod support;

#[path = "conformance/charset.rs"]
mod charset;
#[path = "conformance/db.rs"]
mod db;
#[path = "conformance/dialect.rs"]
mod dialect;
#[path = "conformance/differences.rs"]
mod differences;
#[path = "conformance/duckdb.rs"]
mod duckdb;
#[path = "conformance/guess.rs"]
mod guess;
#[path = "load/harness.rs"]
mod harness;
#[path = "conformance/manifest.rs"]
mod manifest;
#[path = "conformance/parse.rs"]
mod parse;
#[path = "conformance/preview.rs"]
mod preview;
#[path = "conformance/time.rs"]
mod time;
#[path = "conformance/types.rs"]
mod types;
