//! Loads from end to end: files and objects in, rows of a real PostgreSQL out, through the real binary.

mod support;

#[path = "load/canary.rs"]
mod canary;
#[path = "load/captures.rs"]
mod captures;
#[path = "load/columns.rs"]
mod columns;
#[path = "load/content.rs"]
mod content;
#[path = "load/dialect.rs"]
mod dialect;
#[path = "load/guess.rs"]
mod guess;
#[path = "load/harness.rs"]
mod harness;
#[path = "load/hazards.rs"]
mod hazards;
#[path = "load/json.rs"]
mod json;
#[path = "load/login.rs"]
mod login;
#[path = "load/mapping.rs"]
mod mapping;
#[path = "load/metadata.rs"]
mod metadata;
#[path = "load/modes.rs"]
mod modes;
#[path = "load/newer.rs"]
mod newer;
#[path = "load/op.rs"]
mod op;
#[path = "load/packed.rs"]
mod packed;
#[path = "load/rejects.rs"]
mod rejects;
#[path = "load/rules.rs"]
mod rules;
#[path = "load/settings.rs"]
mod settings;
#[path = "load/shapes.rs"]
mod shapes;
#[path = "load/snapshot.rs"]
mod snapshot;
#[path = "load/storage.rs"]
mod storage;
#[path = "load/tls.rs"]
mod tls;
