//! Statements that change rows which are there already, of their own or from a stage.

use super::policy::{self, Failure};
use super::{Counts, Parameter, Session, SystemTime, Tally, Type, catalog};
use crate::error::Result;
use crate::table::TableName;

impl Session {
    /// Runs a statement that changes rows, with bound values; what it did is told as the tally says. What the server
    /// refuses is the object's fault, not a single row's.
    pub async fn change_rows(
        &mut self,
        sql: &str,
        values: &[Parameter<'_>],
        tally: Tally,
        action: &str,
    ) -> Result<Counts> {
        self.is_writing = true;
        let changed = self.changed(sql, values, tally).await;
        let changed = changed.map_err(|source| policy::failure(action, source));
        self.is_writing = self.may_still_write(changed.as_ref().err());
        self.used_at = SystemTime::now();
        self.spoiling(changed.map_err(|failure: Failure| failure.error))
    }

    async fn changed(
        &self,
        sql: &str,
        values: &[Parameter<'_>],
        tally: Tally,
    ) -> std::result::Result<Counts, tokio_postgres::Error> {
        if tally != Tally::Returned {
            let written = self.client.execute_typed(sql, values).await?;
            return Ok(Counts { written, inserted: (tally == Tally::Inserted).then_some(written) });
        }
        let rows = self.client.query_typed(sql, values).await?;
        let counted =
            |at: usize| rows.first().map_or(0, |row| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0));
        Ok(Counts { written: counted(1), inserted: Some(counted(0)) })
    }

    /// Tables are no longer what they were: they are looked up, and statements prepared, anew.
    pub fn forget(&mut self) {
        self.tables.clear();
        self.statements.clear();
    }

    /// The partitions of a table, by their names.
    pub async fn leaves(&mut self, table: &TableName) -> Result<Vec<TableName>> {
        let named: [Parameter<'_>; 2] = [(&table.schema, Type::TEXT), (&table.name, Type::TEXT)];
        let rows = self.query(catalog::LEAVES_SQL, &named, "look up the partitions").await?;
        let leaf = |row: &super::Row| TableName { schema: row.get(0), name: row.get(1) };
        Ok(rows.iter().map(leaf).collect())
    }
}
