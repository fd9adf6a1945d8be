//! Parquet files, made by the format's own writer, to records.
#![cfg(feature = "parquet")]
#![expect(clippy::expect_used, reason = "a failed test panics")]

#[path = "decode_parquet/damaged.rs"]
mod damaged;
#[path = "decode_parquet/files.rs"]
mod files;
#[path = "decode_parquet/memory.rs"]
mod memory;
#[path = "decode_parquet/nested.rs"]
mod nested;
#[path = "decode_parquet/types.rs"]
mod types;
