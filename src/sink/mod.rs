//! The write paths: batches in, what is durable out.
//!
//! The path that is legal everywhere is one prepared statement for each batch,
//! `INSERT … SELECT unnest($1::T[]), … ON CONFLICT (key) DO UPDATE SET c = excluded.c`, with casts that are
//! exactly the columns' types. A statement never holds a key twice and holds its rows in key order, so that
//! loads of overlapping keys meet in the same order and do not deadlock within a statement.

use crate::database::{Arrays, Counts, Failure, Session};
use crate::error::Result;
use crate::plan::{Layout, Plan};

mod batch;
mod sql;

pub use batch::{Batch, BatchRow};
use sql::Statement;

/// What has become of a batch that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is there, whatever comes.
    Durable,
    /// It is there once the load commits.
    Accepted,
}

/// A row that the server refused.
#[derive(Debug)]
pub struct Refused {
    /// Index into the batch's rows.
    pub row: usize,
    /// SQLSTATE.
    pub code: Option<String>,
    /// The server's own words, for the reject object alone.
    pub server_text: String,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Written {
    /// Whether it is durable.
    pub durability: Durability,
    /// Rows inserted and updated.
    pub counts: Counts,
    /// Rows that were there already, the same (or kept, in `ignore` mode).
    pub unchanged: u64,
    /// Rows that gave way to another row of the batch with the same key.
    pub duplicates: u64,
    /// Rows that the server refused, in file order.
    pub refused: Vec<Refused>,
}

/// A write path, made for one plan and layout.
pub struct Sink {
    statement: Statement,
    arrays: Vec<Vec<u8>>,
    order: Vec<u32>,
}

impl Sink {
    /// The path for this plan: today the one that is legal everywhere.
    pub fn new(plan: &Plan, layout: &Layout) -> Self {
        let statement = Statement::new(plan, layout);
        let arrays = vec![Vec::new(); layout.slots.len()];
        Self { statement, arrays, order: Vec::new() }
    }

    /// The name of the path, as reports have it.
    pub fn path(&self) -> &'static str {
        "unnest"
    }

    /// Decides which rows of a batch would be written; answers how many give way to another.
    pub fn settle(&self, batch: &mut Batch) -> u64 {
        batch.settle(self.statement.settlement())
    }

    /// Writes a batch; rows that the server refuses are found by bisection and left out.
    ///
    /// Stops looking once more than `refused_max` rows were refused: the object fails then anyhow.
    ///
    /// # Errors
    /// Whatever is no single row's fault.
    pub async fn write(
        &mut self,
        session: &mut Session,
        batch: &mut Batch,
        refused_max: u64,
    ) -> Result<Written> {
        let durability = if session.is_in_transaction() { Durability::Accepted } else { Durability::Durable };
        let duplicates = batch.settle(self.statement.settlement());
        let mut written = Written {
            durability,
            counts: Counts { written: 0, inserted: Some(0) },
            unchanged: 0,
            duplicates,
            refused: Vec::new(),
        };
        if batch.is_empty() {
            return Ok(written);
        }
        self.order.clear();
        self.order.extend_from_slice(batch.settled());
        match self.send(session, batch).await {
            Ok(counts) => written.count(counts, batch.settled().len()),
            Err(failure) if failure.is_row_fault => {
                self.bisect(session, batch, refused_max, failure, &mut written).await?;
            }
            Err(failure) => return Err(failure.error),
        }
        written.refused.sort_unstable_by_key(|refused| refused.row);
        Ok(written)
    }

    /// Sends the rows in `self.order` as one statement.
    async fn send(&mut self, session: &mut Session, batch: &Batch) -> std::result::Result<Counts, Failure> {
        batch.fill_arrays(&self.order, self.statement.types(), &mut self.arrays);
        let arrays = Arrays { types: self.statement.types(), values: &self.arrays };
        session.write(self.statement.sql(), &arrays, self.statement.tally()).await
    }

    /// Halves what was refused until each bad row stands alone. Halves are taken in file order: keys that differ
    /// in bytes and are equal to the server then still end with the later row.
    async fn bisect(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        refused_max: u64,
        failure: Failure,
        written: &mut Written,
    ) -> Result<()> {
        let mut all = batch.settled().to_vec();
        all.sort_unstable();
        // A stack of row ranges still to be written, first on top; ranges that failed carry why.
        let mut pending = vec![(all, Some(failure))];
        while let Some((rows, failure)) = pending.pop() {
            let failure = match failure {
                Some(failure) => failure,
                None => {
                    self.order.clear();
                    self.order.extend_from_slice(&rows);
                    batch.sort_by_key(&mut self.order);
                    match self.send(session, batch).await {
                        Ok(counts) => {
                            written.count(counts, rows.len());
                            continue;
                        }
                        Err(failure) if failure.is_row_fault => failure,
                        Err(failure) => return Err(failure.error),
                    }
                }
            };
            if let [row] = rows[..] {
                written.refuse(row, failure);
                if written.refused.len() as u64 > refused_max {
                    return Ok(());
                }
                // The row it had displaced may be good.
                if let Some(displaced) = batch.displaced_by(row) {
                    written.duplicates = written.duplicates.saturating_sub(1);
                    pending.push((vec![displaced], None));
                }
            } else {
                let (first, second) = rows.split_at(rows.len() / 2);
                pending.push((second.to_vec(), None));
                pending.push((first.to_vec(), None));
            }
        }
        Ok(())
    }
}

impl Written {
    fn count(&mut self, counts: Counts, sent: usize) {
        self.counts.written += counts.written;
        self.counts.inserted = self.counts.inserted.zip(counts.inserted).map(|(sum, new)| sum + new);
        self.unchanged += (sent as u64).saturating_sub(counts.written);
    }

    fn refuse(&mut self, row: u32, failure: Failure) {
        let code = failure.error.code().map(str::to_owned);
        let server_text = failure.server_text.unwrap_or_else(|| failure.error.message());
        self.refused.push(Refused { row: row as usize, code, server_text });
    }
}
