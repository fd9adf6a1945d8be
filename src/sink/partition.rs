//! Rows of a partitioned table need their partition to exist: Hologres makes none by itself.
//!
//! Values are looked at before anything is sent: no path tells afterwards which row it was.

use std::collections::BTreeSet;

use super::batch::Batch;
use super::csv;
use crate::database::Session;
use crate::error::{Error, Result};
use crate::plan::{Layout, Plan};
use crate::settings::PartitionRule;
use crate::table::{Kind, TableName, quote};

/// Partitions made for one batch; a file that wants more has the wrong column for it.
const CREATED_MAX: usize = 100;
/// A partition's table is named after its value; longer names are cut in silence (127 characters on Hologres, 63 bytes
/// on PostgreSQL).
const NAME_BYTES_MAX: usize = 63;

/// The partitions of a table, as far as they are known.
pub(super) struct Partitions {
    parent: TableName,
    column: String,
    kind: Kind,
    /// Which of a row's fields holds the value.
    slot: usize,
    rule: PartitionRule,
    known: Option<BTreeSet<Vec<u8>>>,
}

impl Partitions {
    /// None where the table has no partitions that could be missing, or where the value is not in the file.
    pub(super) fn new(plan: &Plan, layout: &Layout) -> Option<Self> {
        let index = plan.table.partition_column?;
        let column = plan.table.columns.get(index)?;
        let slot = layout.slots.iter().position(|slot| slot.column == index)?;
        Some(Self {
            parent: plan.table.name.clone(),
            column: column.name.clone(),
            kind: column.kind,
            slot,
            rule: plan.route.partitions,
            known: None,
        })
    }

    /// Sees to it that the partition of every row in `rows` exists.
    ///
    /// # Errors
    /// `Config` with the statement that makes the missing one.
    pub(super) async fn provide(&mut self, session: &mut Session, batch: &Batch, rows: &[u32]) -> Result<()> {
        if self.known.is_none() {
            self.look(session).await?;
        }
        if self.missing(batch, rows).is_empty() {
            return Ok(());
        }
        // Somebody else may have made them meanwhile.
        self.look(session).await?;
        let missing = self.missing(batch, rows);
        let Some((_, row)) = missing.first() else { return Ok(()) };
        if self.rule == PartitionRule::Require {
            return Err(self.absent(batch, *row));
        }
        if missing.len() > CREATED_MAX {
            return Err(Error::config(format!(
                "create partitions of `{}`: a batch has {} values of `{}` without one, more than {CREATED_MAX}",
                self.parent,
                missing.len(),
                self.column
            ))
            .with_hint("is that the column that the table is partitioned by?"));
        }
        for (value, row) in &missing {
            self.create(session, value, batch, *row).await?;
        }
        self.look(session).await
    }

    async fn look(&mut self, session: &mut Session) -> Result<()> {
        let values = session.partitions(&self.parent).await?;
        self.known = Some(values.into_iter().map(String::into_bytes).collect());
        Ok(())
    }

    /// Values without partition, each with the first of its rows.
    fn missing(&self, batch: &Batch, rows: &[u32]) -> Vec<(Vec<u8>, u32)> {
        let mut missing: Vec<(Vec<u8>, u32)> = Vec::new();
        let mut text = Vec::new();
        for row in rows {
            let Some(Some(bytes)) = batch.fields(*row).nth(self.slot) else { continue };
            text.clear();
            csv::append_text(self.kind, bytes, &mut text);
            let is_known = self.known.as_ref().is_some_and(|known| known.contains(&text));
            if !is_known && !missing.iter().any(|(value, _)| *value == text) {
                missing.push((text.clone(), *row));
                // One more than may be created says enough.
                if missing.len() > CREATED_MAX {
                    break;
                }
            }
        }
        missing
    }

    /// The value is a cell's: it is not named, its row is.
    fn absent(&self, batch: &Batch, row: u32) -> Error {
        let line = batch.row(row as usize).map_or(0, |(row, _)| row.position.line);
        let example = format!("{}_value", self.parent.name);
        Error::config(format!(
            "table `{}` has no partition for the `{}` of line {line}",
            self.parent, self.column
        ))
        .with_code("NoPartition")
        .with_hint(format!(
            "create it: CREATE TABLE {}.{} PARTITION OF {} FOR VALUES IN ('value'); or set `write: {{partitions: create}}`",
            quote(&self.parent.schema),
            quote(&example),
            self.parent.quoted()
        ))
    }

    async fn create(&self, session: &mut Session, value: &[u8], batch: &Batch, row: u32) -> Result<()> {
        let text = std::str::from_utf8(value).unwrap_or_default();
        let name = format!("{}_{text}", self.parent.name);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | ' ');
        if text.is_empty() || !text.chars().all(is_plain) || name.len() > NAME_BYTES_MAX {
            let error = self.absent(batch, row);
            return Err(error.context("the value is none that a table is named after"));
        }
        // No value can be bound in DDL; these characters need no escape.
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS {}.{} PARTITION OF {} FOR VALUES IN ('{text}')",
            quote(&self.parent.schema),
            quote(&name),
            self.parent.quoted()
        );
        match session.create(&sql, "create a partition").await {
            // Another load makes it at this moment.
            Err(error) if matches!(error.code(), Some("23505" | "42P07" | "42P17")) => Ok(()),
            done => done,
        }
    }
}
