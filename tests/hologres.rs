//! Hologres as its documentation describes it: write paths, claims, types, login, refusals. What stands in for it is
//! `tests/support/standin`; where the loader must do without any of its extensions, a PostgreSQL that merely calls
//! itself Hologres is enough.

mod support;

#[path = "hologres/bare.rs"]
mod bare;
#[path = "bootstrap/chain.rs"]
mod chain;
#[path = "hologres/continued.rs"]
mod continued;
#[path = "hologres/errors.rs"]
mod errors;
#[path = "hologres/fence.rs"]
mod fence;
#[path = "hologres/guess.rs"]
mod guess;
#[path = "load/harness.rs"]
mod harness;
#[path = "bootstrap/http.rs"]
mod http;
#[path = "hologres/lab.rs"]
mod lab;
#[path = "hologres/ledger.rs"]
mod ledger;
#[path = "hologres/login.rs"]
mod login;
#[path = "hologres/mapping.rs"]
mod mapping;
#[path = "hologres/model.rs"]
mod model;
#[path = "hologres/newer.rs"]
mod newer;
#[path = "hologres/op.rs"]
mod op;
#[cfg(feature = "parquet")]
#[path = "hologres/parquet.rs"]
mod parquet;
#[cfg(feature = "parquet")]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "several test binaries include this module, each uses a part of it"
)]
#[path = "decode_parquet/files.rs"]
mod parquet_files;
#[path = "hologres/partitions.rs"]
mod partitions;
#[path = "hologres/paths.rs"]
mod paths;
#[path = "hologres/rows.rs"]
mod rows;
#[path = "hologres/session.rs"]
mod session;
#[path = "hologres/snapshot.rs"]
mod snapshot;
#[path = "hologres/types.rs"]
mod types;
#[path = "hologres/volume.rs"]
mod volume;
#[path = "bootstrap/world.rs"]
mod world;
