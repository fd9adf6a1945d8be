//! `holoload doctor`: what it finds in set-ups that work, and in set-ups that do not.

#[path = "doctor/clinic.rs"]
mod clinic;
#[path = "doctor/cloud.rs"]
mod cloud;
#[path = "doctor/database.rs"]
mod database;
#[path = "doctor/healthy.rs"]
mod healthy;
#[path = "doctor/link.rs"]
mod link;
