//! Is the stand-in of Hologres honest? A client of its own tries what Hologres takes and what it refuses.

#![allow(unreachable_pub, reason = "its modules share with each other")]

mod support;

#[path = "standin/bulk.rs"]
mod bulk;
#[path = "standin/faults.rs"]
mod faults;
#[path = "standin/login.rs"]
mod login;
#[path = "standin/plan.rs"]
mod plan;
#[path = "standin/raw.rs"]
mod raw;
#[path = "standin/refused.rs"]
mod refused;
#[path = "standin/stream.rs"]
mod stream;
#[path = "standin/tables.rs"]
mod tables;
#[path = "standin/world.rs"]
mod world;
