//! Once deliveries stop the table is right: random histories, cuts, overwritten bodies and kills against a model.
//!
//! `docs/SEMANTICS.md` says which promise is proven by which test. Every proof has a planted fault that it must see.
//!
//! `HOLOLOAD_TEST_SEED` replays one history, `HOLOLOAD_TEST_HISTORIES` says how many there are, `HOLOLOAD_TEST_POINTS` at how
//! many points a conversation is cut, `HOLOLOAD_TEST_SOAK_S` how many seconds a soak lasts.
#![allow(clippy::print_stdout, reason = "seeds and counts, shown with --nocapture and when a test fails")]

mod support;

#[path = "proof/body.rs"]
mod body;
#[path = "proof/continued.rs"]
mod continued;
#[path = "proof/cuts.rs"]
mod cuts;
#[path = "proof/histories.rs"]
mod histories;
#[path = "proof/history.rs"]
mod history;
#[path = "bootstrap/http.rs"]
mod http;
#[path = "proof/kills.rs"]
mod kills;
#[path = "proof/model.rs"]
mod model;
#[path = "proof/place.rs"]
mod place;
#[path = "proof/planted.rs"]
mod planted;
#[path = "proof/play.rs"]
mod play;
#[path = "proof/random.rs"]
mod random;
#[path = "proof/soak.rs"]
mod soak;
#[path = "proof/unrecorded.rs"]
mod unrecorded;
#[path = "bootstrap/world.rs"]
mod world;
