//! What other loaders do to files without a word, and what this one does instead. Numbers are those of the list of
//! measured defects.

mod support;

#[path = "defects/delivery.rs"]
mod delivery;
#[path = "defects/guess.rs"]
mod guess;
#[path = "load/harness.rs"]
mod harness;
#[path = "defects/mapping.rs"]
mod mapping;
#[path = "defects/typing.rs"]
mod typing;
