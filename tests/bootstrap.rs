//! The real `bootstrap` binary behind a loopback Runtime API: what Lambda and its callers see.

#[path = "bootstrap/answers.rs"]
mod answers;
#[path = "bootstrap/chain.rs"]
mod chain;
#[path = "bootstrap/continued.rs"]
mod continued;
#[path = "bootstrap/deadline.rs"]
mod deadline;
#[path = "bootstrap/doctor.rs"]
mod doctor;
#[path = "bootstrap/doors.rs"]
mod doors;
#[path = "bootstrap/history.rs"]
mod history;
#[path = "bootstrap/http.rs"]
mod http;
#[path = "bootstrap/logs.rs"]
mod logs;
#[path = "bootstrap/mapped.rs"]
mod mapped;
#[path = "bootstrap/metrics.rs"]
mod metrics;
#[path = "bootstrap/queue.rs"]
mod queue;
#[path = "bootstrap/reprocess.rs"]
mod reprocess;
#[path = "bootstrap/resumed.rs"]
mod resumed;
#[path = "bootstrap/samples.rs"]
mod samples;
#[path = "bootstrap/sqs.rs"]
mod sqs;
#[path = "bootstrap/start.rs"]
mod start;
mod support;
#[path = "bootstrap/sweep.rs"]
mod sweep;
#[path = "bootstrap/warm.rs"]
mod warm;
#[path = "bootstrap/world.rs"]
mod world;
