//! Cases in which we answer otherwise on purpose, and those that are about something no loader does. Identifiers are
//! the ends of those in the manifest.

/// Checked both ways: a case that is answered as expected does not belong here.
pub(crate) const DELIBERATE: &[(&str, &str)] = &[];

/// Not run.
pub(crate) const NOT_OURS: &[(&str, &str)] = &[];
