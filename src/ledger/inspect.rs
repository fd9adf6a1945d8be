//! Whether the two tables are there, and as this version needs them.

use super::Ledger;
use super::ddl::definitions;
use crate::database::{Parameter, Session, Type};
use crate::error::Result;
use crate::table::TableName;

/// One of the two tables, as it is.
#[derive(Clone, Debug)]
pub struct TableState {
    /// Its name.
    pub name: TableName,
    /// Whether there is such a table.
    pub is_there: bool,
    /// Columns that it lacks, as they are defined.
    pub missing: Vec<String>,
}

impl TableState {
    /// The statement that adds what is missing.
    pub fn repair(&self) -> Option<String> {
        let column = |definition: &String| {
            // Rows that are there have no value: the table's owner decides what they get.
            format!("ADD COLUMN {}", definition.replace(" NOT NULL", ""))
        };
        let added: Vec<String> = self.missing.iter().map(column).collect();
        (!added.is_empty()).then(|| format!("ALTER TABLE {} {}", self.name.quoted(), added.join(", ")))
    }
}

const COLUMNS_SQL: &str = "SELECT a.attname::text FROM pg_catalog.pg_attribute a \
     JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped";

/// Looks both tables up in the catalog.
pub async fn inspect(ledger: &Ledger, session: &mut Session) -> Result<Vec<TableState>> {
    let mut states = Vec::new();
    for (name, wanted) in definitions(ledger, session.dialect()) {
        let named: [Parameter<'_>; 2] = [(&name.schema, Type::TEXT), (&name.name, Type::TEXT)];
        let rows = session.query(COLUMNS_SQL, &named, "look at the ledger's tables").await?;
        let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let is_missing = |definition: &String| {
            let column = definition.split(' ').next().unwrap_or_default();
            !found.iter().any(|one| one == column)
        };
        let is_there = !found.is_empty();
        let missing = if is_there { wanted.into_iter().filter(is_missing).collect() } else { Vec::new() };
        states.push(TableState { name: name.clone(), is_there, missing });
    }
    Ok(states)
}
