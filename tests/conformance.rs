//! Cases of other projects' tests, from the directory that `HOLOLOAD_CORPUS` names.

#[path = "conformance/differences.rs"]
mod differences;
#[path = "conformance/duckdb.rs"]
mod duckdb;
#[path = "conformance/parse.rs"]
mod parse;
