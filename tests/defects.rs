//! What other loaders do to files without a word, and what this one does instead. Numbers are those of the list of
//! measured defects.

mod support;

#[path = "load/harness.rs"]
mod harness;
#[path = "defects/mapping.rs"]
mod mapping;
#[path = "defects/typing.rs"]
mod typing;
