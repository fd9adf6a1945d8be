//! `mode: snapshot`: which rows an object replaces, and by which columns they are known.

use super::{Metadata, Plan, Route};
use crate::error::{Error, Result};
use crate::settings::{Removal, Scope, WriteMode, WriteSettings};
use crate::table::{TableName, quote};

/// A route whose objects replace rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Which rows.
    pub scope: Scope,
    /// What becomes of a removed object's rows.
    pub on_removed: Removal,
}

/// The columns that say from which version of which object a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage<'a> {
    /// Holds `$key`.
    pub key: &'a str,
    /// Holds `$bucket`, where one does.
    pub bucket: Option<&'a str>,
    /// Holds `$sequencer`, or what stands in for it.
    pub sequencer: &'a str,
}

impl Snapshot {
    /// What was said, as far as it goes together.
    pub(super) fn new(
        write: &WriteSettings,
        columns: &[(String, Metadata)],
        table: &TableName,
    ) -> Result<Option<Self>> {
        if write.mode != WriteMode::Snapshot {
            return match (write.scope, write.on_removed) {
                (None, None) => Ok(None),
                (scope, _) => {
                    let word = if scope.is_some() { "scope" } else { "on_removed" };
                    Err(Error::config(format!("`{word}` says nothing in mode `{}`", write.mode.name()))
                        .with_hint(format!("use it with `mode: snapshot`, or leave `{word}` out")))
                }
            };
        }
        let snapshot =
            Self { scope: write.scope.unwrap_or_default(), on_removed: write.on_removed.unwrap_or_default() };
        if snapshot.scope == Scope::Table {
            if snapshot.on_removed == Removal::Delete {
                return Err(Error::config("`on_removed: delete` and `scope: table` do not go together")
                    .with_hint("whose rows a table holds is known with `scope: object` alone; leave `on_removed` out"));
            }
            return Ok(Some(snapshot));
        }
        if lineage(columns).is_none() {
            return Err(unknown_lineage(columns, table));
        }
        Ok(Some(snapshot))
    }
}

impl Route {
    /// The word for how this route writes.
    pub fn mode_name(&self) -> &'static str {
        if self.snapshot.is_some() { WriteMode::Snapshot.name() } else { self.mode.name() }
    }

    /// Whether an object takes the place of the whole table.
    pub fn replaces_table(&self) -> bool {
        self.snapshot.is_some_and(|snapshot| snapshot.scope == Scope::Table)
    }

    /// By which columns rows of earlier versions are known, where the object replaces those.
    pub fn lineage(&self) -> Option<Lineage<'_>> {
        let snapshot = self.snapshot.as_ref()?;
        lineage(&self.columns).filter(|_| snapshot.scope == Scope::Object)
    }

    /// Whether the rows of a removed object are deleted.
    pub fn follows_removals(&self) -> bool {
        self.snapshot.is_some_and(|snapshot| snapshot.on_removed == Removal::Delete)
    }
}

impl Plan {
    /// The same plan into a table that stands in for the other one: it has the same columns and key.
    #[must_use]
    pub fn into_table(&self, name: TableName) -> Self {
        let table = crate::table::Table { name, is_partitioned: false, ..(*self.table).clone() };
        Self {
            route: std::sync::Arc::clone(&self.route),
            table: std::sync::Arc::new(table),
            target: self.target.clone(),
            hash: self.hash.clone(),
        }
    }
}

fn lineage(columns: &[(String, Metadata)]) -> Option<Lineage<'_>> {
    let of = |wanted: Metadata| {
        columns.iter().find(|(_, metadata)| *metadata == wanted).map(|(name, _)| name.as_str())
    };
    Some(Lineage {
        key: of(Metadata::Key)?,
        bucket: of(Metadata::Bucket),
        sequencer: of(Metadata::Sequencer)?,
    })
}

fn unknown_lineage(columns: &[(String, Metadata)], table: &TableName) -> Error {
    let name = |wanted: Metadata, otherwise: &'static str| {
        let named = columns.iter().find(|(_, metadata)| *metadata == wanted);
        named.map_or(otherwise, |(name, _)| name.as_str())
    };
    let (key, sequencer) = (name(Metadata::Key, "src_key"), name(Metadata::Sequencer, "src_seq"));
    Error::config("`mode: snapshot` needs columns that say from which version of which object a row is").with_hint(
        format!(
            "write `columns: {{{key}: $key, {sequencer}: $sequencer}}`, and ALTER TABLE {} ADD COLUMN {} text, ADD COLUMN {} text; \
             or `scope: table`, where an object replaces the whole table",
            table.quoted(),
            quote(key),
            quote(sequencer)
        ),
    )
}
