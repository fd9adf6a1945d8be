//! Deliveries as they really come: twice, late, out of order, at the same time, and cut off in the middle.
//!
//! The promise behind all of these: once deliveries stop, the table holds the newest delivered version of each object.

#[path = "delivery/concurrent.rs"]
mod concurrent;
#[path = "delivery/cuts.rs"]
mod cuts;
#[path = "delivery/failed.rs"]
mod failed;
#[path = "delivery/order.rs"]
mod order;
#[cfg(feature = "parquet")]
#[path = "delivery/parquet.rs"]
mod parquet;
#[cfg(feature = "parquet")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "several test binaries include this module, each uses a part of it"
)]
#[path = "decode_parquet/files.rs"]
mod parquet_files;
#[path = "delivery/repeated.rs"]
mod repeated;
#[path = "delivery/s3_body.rs"]
mod s3_body;
#[path = "delivery/snapshot.rs"]
mod snapshot;
mod support;
#[path = "bootstrap/world.rs"]
mod world;
