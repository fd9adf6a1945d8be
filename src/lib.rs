//! `holoload` loads objects from Amazon S3 into Alibaba Cloud Hologres, or any PostgreSQL, the moment they arrive.
//!
//! The rooms, and what may use what, are listed in `docs/design.md`; `tests/tidy.rs` holds them to it.

pub mod aws;
pub mod calendar;
pub mod charset;
pub mod context;
pub mod database;
pub mod decode;
pub mod doctor;
pub mod embulk;
pub mod error;
pub mod event;
pub mod guess;
pub mod handler;
pub mod handover;
pub mod inflate;
pub mod ledger;
pub mod load;
pub mod metrics;
pub mod object;
pub mod plan;
pub mod reject;
pub mod report;
pub mod reprocess;
pub mod row;
pub mod settings;
pub mod sink;
pub mod table;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "lambda")]
pub mod lambda;
