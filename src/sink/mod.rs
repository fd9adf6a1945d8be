//! The write paths: batches in, what is durable out.
//!
//! [`WritePath`] says which there are, `path` which one a server and a table allow. Whatever the path, a statement never
//! holds a key twice and holds its rows in key order, so that loads of overlapping keys meet in the same order and do not
//! deadlock within a statement. What a server refuses is found by halving, always on an INSERT: a COPY does not say
//! which row it was.

use std::time::Instant;

use bytes::Bytes;

use crate::database::{Arrays, CopyIn, Counts, Dialect, Failure, FailureKind, Fields, Session};
use crate::error::{Error, Result};
use crate::plan::{Layout, Plan};
use crate::settings::{WriteMode, WritePath};
use crate::table::Kind;

mod batch;
mod csv;
mod lookup;
mod partition;
mod path;
mod shown;
mod snapshot;
mod sql;

use batch::Settlement;
pub use batch::{Batch, BatchRow};
pub use lookup::{Compared, Lookup, Print};
use partition::Partitions;
pub use path::Refusals;
pub use shown::value_text;
pub use snapshot::{Leftover, Merge, stage};
use sql::Statement;

/// Head of a binary COPY: signature, flags, length of an extension. Like holo-client, no trailer is sent: the end of the
/// copy is the end of the rows.
const BINARY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

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
    /// Rows deleted, where rows are and the server tells.
    pub deleted: Option<u64>,
    /// Rows that were there already, the same (or kept, in `ignore` mode).
    pub unchanged: u64,
    /// Rows that gave way to another row of the batch with the same key.
    pub duplicates: u64,
    /// Rows that the server refused, in file order.
    pub refused: Vec<Refused>,
}

/// How a batch ended.
#[derive(Debug)]
pub enum Outcome {
    /// It is written.
    Written(Written),
    /// A part of it is, and the time until which statements may begin is over: [`Sink::write`] goes on where it was.
    Paused,
    /// The server does not have this path for this table: the batch goes over another one, on a new connection.
    PathRefused(Error),
}

/// A write path, made for one plan and layout.
pub struct Sink {
    path: WritePath,
    dialect: Dialect,
    /// Unless the route says otherwise, all of an object is one transaction where there are any.
    is_whole: bool,
    settlement: Settlement,
    /// The INSERT of an INSERT path; of a COPY path the one that finds bad rows.
    insert: Insert,
    /// Where rows are deleted.
    delete: Option<Insert>,
    copy: Option<Copy>,
    partitions: Option<Partitions>,
    order: Vec<u32>,
    /// A batch that was paused.
    paused: Option<Work>,
}

/// How far INSERTs have come with a batch.
struct Work {
    written: Written,
    /// Rows still to be written, statement by statement, the next one last.
    pending: Vec<Vec<u32>>,
}

/// What ends the writing of a batch before its end.
enum Stop {
    Paused,
    PathRefused(Error),
}

/// What bounds the writing of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Once more than so many rows were refused, nobody looks for further ones: the object fails then anyhow.
    pub refused_max: u64,
    /// No statement begins after this; the lease under which rows are written may run out.
    pub pause_at: Option<Instant>,
}

struct Insert {
    statement: Statement,
    arrays: Vec<Vec<u8>>,
    texts: Vec<(usize, String)>,
}

struct Copy {
    sql: String,
    column_count: i16,
    kinds: Vec<Kind>,
    mode: WriteMode,
    /// A copy that takes all batches, once it has begun.
    open: Option<CopyIn>,
}

impl Sink {
    /// The path for this plan.
    ///
    /// # Errors
    /// `Config` when no path fits, or not the one that was asked for.
    pub fn new(plan: &Plan, layout: &Layout, dialect: Dialect, refusals: &Refusals) -> Result<Self> {
        let path = path::choose(plan, layout, dialect, refusals)?;
        let is_copy = matches!(path, WritePath::FixedCopy | WritePath::BulkCopy);
        let insert_path = if is_copy { path::insert_beside(plan, layout, dialect) } else { path };
        let kinds = layout.slots.iter().filter_map(|slot| plan.table.columns.get(slot.column));
        let copy = is_copy.then(|| Copy {
            sql: sql::copy(plan, layout, path),
            column_count: i16::try_from(layout.slots.len()).unwrap_or(i16::MAX),
            kinds: kinds.map(|column| column.kind).collect(),
            mode: plan.route.mode,
            open: None,
        });
        let statement = Statement::new(plan, layout, dialect, insert_path);
        let delete = Statement::delete(plan, layout, dialect, insert_path);
        Ok(Self {
            path,
            dialect,
            is_whole: plan.route.atomic != Some(false),
            settlement: sql::settlement(plan, layout),
            insert: Insert::new(statement, layout.slots.len()),
            delete: delete.map(|statement| Insert::new(statement, layout.key_count)),
            copy,
            partitions: Partitions::new(plan, layout),
            order: Vec::new(),
            paused: None,
        })
    }

    /// The path, as reports name it.
    pub fn path(&self) -> WritePath {
        self.path
    }

    /// Whether the rows of all batches appear together.
    pub fn is_atomic(&self) -> bool {
        self.dialect == Dialect::PostgreSql && self.is_whole || self.path == WritePath::BulkCopy
    }

    /// Whether the connection is taken up by a copy until [`Sink::finish`].
    pub fn holds_connection(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.open.is_some())
    }

    /// Decides which rows of a batch would be written; answers how many give way to another.
    pub fn settle(&self, batch: &mut Batch) -> u64 {
        batch.settle(self.settlement)
    }

    /// Writes a batch; rows that the server refuses are found by bisection and left out.
    ///
    /// # Errors
    /// Whatever is no single row's fault.
    pub async fn write(
        &mut self,
        session: &mut Session,
        batch: &mut Batch,
        bounds: Bounds,
    ) -> Result<Outcome> {
        let (mut work, is_begun) = match self.paused.take() {
            Some(work) => (work, true),
            None => (self.begin(session, batch), false),
        };
        if batch.is_empty() {
            return Ok(Outcome::Written(work.written));
        }
        if let Some(partitions) = &mut self.partitions
            && !is_begun
        {
            partitions.provide(session, batch, batch.settled()).await?;
        }
        let stopped = match self.path {
            _ if is_begun => self.insert(session, batch, bounds, &mut work).await?,
            WritePath::FixedCopy => self.stream(session, batch, bounds, &mut work).await?,
            WritePath::BulkCopy => {
                self.append(session, batch, &mut work.written).await?.map(Stop::PathRefused)
            }
            WritePath::Unnest | WritePath::Values | WritePath::SingleRow => {
                self.insert_all(session, batch, bounds, &mut work).await?
            }
        };
        match stopped {
            Some(Stop::PathRefused(refused)) => return Ok(Outcome::PathRefused(refused)),
            Some(Stop::Paused) => {
                self.paused = Some(work);
                return Ok(Outcome::Paused);
            }
            None => {}
        }
        work.written.refused.sort_unstable_by_key(|refused| refused.row);
        Ok(Outcome::Written(work.written))
    }

    fn begin(&self, session: &Session, batch: &mut Batch) -> Work {
        let is_pending = session.is_in_transaction() || self.path == WritePath::BulkCopy;
        let written = Written {
            durability: if is_pending { Durability::Accepted } else { Durability::Durable },
            counts: Counts { written: 0, inserted: Some(0) },
            deleted: self.delete.as_ref().filter(|_| !self.dialect.is_hologres()).map(|_| 0),
            unchanged: 0,
            duplicates: batch.settle(self.settlement),
            refused: Vec::new(),
        };
        Work { written, pending: Vec::new() }
    }

    /// Ends a copy that takes all batches; after this its rows are there.
    ///
    /// # Errors
    /// The server's verdict, which may be about any of the rows.
    pub async fn finish(&mut self, session: &mut Session) -> Result<()> {
        let Some(open) = self.copy.as_mut().and_then(|copy| copy.open.take()) else { return Ok(()) };
        let done = open.finish().await;
        session.note_copy(done.as_ref().err());
        done.map_err(|failure| {
            if !failure.is_row_fault {
                return failure.error;
            }
            failure.error.with_hint(
                "the server does not say which row of a COPY it refuses; load without `atomic: true` to have the row found and rejected",
            )
        })
    }

    /// One streamed copy for the batch; where a row is to blame, the same rows once more by INSERT, which finds it.
    async fn stream(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        bounds: Bounds,
        work: &mut Work,
    ) -> Result<Option<Stop>> {
        if batch.settled().is_empty() {
            return self.insert_all(session, batch, bounds, work).await;
        }
        let Some(copy) = &self.copy else { return Err(Error::bug("copy rows without a statement")) };
        let mut tuples = BINARY_HEAD.to_vec();
        batch.append_tuples(batch.settled(), copy.column_count, &mut tuples);
        let mut stream = match session.copy_in(&copy.sql).await {
            Ok(stream) => stream,
            Err(failure) if refuses_path(&failure, true) => {
                return Ok(Some(Stop::PathRefused(failure.error)));
            }
            Err(failure) => return Err(failure.error),
        };
        let sent = stream.send(Bytes::from(tuples)).await;
        let done = match sent {
            Ok(()) => stream.finish().await,
            Err(failure) => Err(failure),
        };
        session.note_copy(done.as_ref().err());
        match done {
            Ok(()) => {
                let rows = batch.settled().len();
                work.written.count(Counts { written: rows as u64, inserted: None }, rows);
                self.queue_deletes(batch, work);
                self.insert(session, batch, bounds, work).await
            }
            Err(failure) if failure.is_row_fault => self.insert_all(session, batch, bounds, work).await,
            Err(failure) if refuses_path(&failure, false) => Ok(Some(Stop::PathRefused(failure.error))),
            Err(failure) => Err(failure.error),
        }
    }

    /// Adds the batch to the one copy of the object.
    async fn append(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        written: &mut Written,
    ) -> Result<Option<Error>> {
        let Some(copy) = &mut self.copy else { return Err(Error::bug("copy rows without a statement")) };
        if copy.open.is_none() {
            for setting in copy_settings(copy.mode) {
                session.try_setting(setting).await?;
            }
            match session.copy_in(&copy.sql).await {
                Ok(open) => copy.open = Some(open),
                Err(failure) if refuses_path(&failure, true) => return Ok(Some(failure.error)),
                Err(failure) => return Err(failure.error),
            }
        }
        let mut text = Vec::with_capacity(batch.byte_count());
        for row in batch.settled() {
            csv::append_row(&copy.kinds, batch.fields(*row), &mut text);
        }
        let Some(open) = &mut copy.open else { return Err(Error::bug("keep the copy")) };
        open.send(Bytes::from(text)).await?;
        let rows = batch.settled().len();
        written.count(Counts { written: rows as u64, inserted: None }, rows);
        Ok(None)
    }

    /// The whole batch, in as many statements as it takes.
    async fn insert_all(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        bounds: Bounds,
        work: &mut Work,
    ) -> Result<Option<Stop>> {
        self.queue_deletes(batch, work);
        queue(&self.insert.statement, batch.settled(), &mut work.pending);
        self.insert(session, batch, bounds, work).await
    }

    fn queue_deletes(&self, batch: &Batch, work: &mut Work) {
        if let Some(delete) = &self.delete {
            queue(&delete.statement, batch.removed(), &mut work.pending);
        }
    }

    /// Statement after statement; what is refused is halved until each bad row stands alone. Halves are taken in file
    /// order: keys that differ in bytes and are equal to the server then still end with the later row.
    async fn insert(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        bounds: Bounds,
        work: &mut Work,
    ) -> Result<Option<Stop>> {
        while let Some(mut rows) = work.pending.pop() {
            if bounds.pause_at.is_some_and(|at| Instant::now() >= at) {
                work.pending.push(rows);
                return Ok(Some(Stop::Paused));
            }
            self.order.clear();
            self.order.extend_from_slice(&rows);
            batch.sort_by_key(&mut self.order);
            let is_delete = rows.first().is_some_and(|row| batch.is_delete(*row));
            let statement = self.delete.as_mut().filter(|_| is_delete).unwrap_or(&mut self.insert);
            if is_delete && statement.statement.rows_of(rows.len()) < rows.len() {
                // Queued before it turned out how few are taken at once.
                queue(&statement.statement, &rows, &mut work.pending);
                continue;
            }
            let failure = match statement.send(session, batch, &self.order).await {
                Ok(counts) if is_delete => {
                    work.written.count_deleted(counts, rows.len());
                    continue;
                }
                Ok(counts) => {
                    work.written.count(counts, rows.len());
                    continue;
                }
                Err(failure) if failure.is_row_fault => failure,
                Err(failure)
                    if is_delete
                        && rows.len() > 1
                        && self.dialect.is_hologres()
                        && refuses_path(&failure, false) =>
                {
                    // Several keys at once are no Fixed Plan by the book: one by one, from here on.
                    statement.statement.limit_to_one_row();
                    queue(&statement.statement, &rows, &mut work.pending);
                    continue;
                }
                Err(failure) if is_delete => return Err(failure.error),
                Err(failure) if self.dialect.is_hologres() && refuses_path(&failure, false) => {
                    return Ok(Some(Stop::PathRefused(failure.error)));
                }
                Err(failure) => return Err(failure.error),
            };
            if let [row] = rows[..] {
                work.written.refuse(row, failure);
                if work.written.refused.len() as u64 > bounds.refused_max {
                    return Ok(None);
                }
                // The row it had displaced may be good.
                if let Some(displaced) = batch.displaced_by(row) {
                    work.written.duplicates = work.written.duplicates.saturating_sub(1);
                    work.pending.push(vec![displaced]);
                }
            } else {
                rows.sort_unstable();
                let (first, second) = rows.split_at(rows.len() / 2);
                work.pending.push(second.to_vec());
                work.pending.push(first.to_vec());
            }
        }
        Ok(None)
    }
}

/// Puts rows before what is pending, statement by statement.
fn queue(statement: &Statement, rows: &[u32], pending: &mut Vec<Vec<u32>>) {
    let before = pending.len();
    let mut rest = rows;
    while !rest.is_empty() {
        let (rows, after) = rest.split_at(statement.rows_of(rest.len()).max(1));
        rest = after;
        pending.push(rows.to_vec());
    }
    pending[before..].reverse();
}

impl Insert {
    fn new(statement: Statement, column_count: usize) -> Self {
        Self { statement, arrays: vec![Vec::new(); column_count], texts: Vec::new() }
    }

    /// Sends rows as one statement; as many as [`Statement::rows_of`] says, or half of that, and half again.
    async fn send(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        rows: &[u32],
    ) -> std::result::Result<Counts, Failure> {
        let at = self.texts.iter().position(|(row_count, _)| *row_count == rows.len());
        // The text of whole columns is the same for any number of rows.
        let at = if self.statement.array_types().is_some() { self.texts.first().map(|_| 0) } else { at };
        let at = at.unwrap_or_else(|| {
            self.texts.push((rows.len(), self.statement.text(rows.len())));
            self.texts.len() - 1
        });
        let (_, sql) = &self.texts[at];
        let tally = self.statement.tally();
        if let Some(types) = self.statement.array_types() {
            batch.fill_arrays(rows, types, &mut self.arrays);
            let arrays = Arrays { types, values: &self.arrays, rows: rows.len() };
            return session.write(sql, &arrays, tally).await;
        }
        let encoded: Vec<&[u8]> = rows.iter().map(|row| batch.encoded(*row)).collect();
        let fields = Fields { types: self.statement.value_types(), rows: &encoded };
        session.write_fields(sql, &fields, tally).await
    }
}

impl Written {
    fn count(&mut self, counts: Counts, sent: usize) {
        self.counts.written += counts.written;
        self.counts.inserted = self.counts.inserted.zip(counts.inserted).map(|(sum, new)| sum + new);
        self.unchanged += (sent as u64).saturating_sub(counts.written);
    }

    fn count_deleted(&mut self, counts: Counts, sent: usize) {
        self.deleted = self.deleted.map(|sum| sum + counts.written);
        self.unchanged += (sent as u64).saturating_sub(counts.written);
    }

    fn refuse(&mut self, row: u32, failure: Failure) {
        let code = failure.error.code().map(str::to_owned);
        let server_text = failure.server_text.unwrap_or_else(|| failure.error.message());
        self.refused.push(Refused { row: row as usize, code, server_text });
    }
}

/// What bulk COPY needs to settle rows of equal keys, within the copy and with the table (Spark connector,
/// `CopyContext`). Older servers do not know them, and need not.
fn copy_settings(mode: WriteMode) -> &'static [&'static str] {
    match mode {
        WriteMode::Insert => &[],
        WriteMode::Ignore => &[
            "SET hg_experimental_copy_enable_on_conflict = on",
            "SET hg_experimental_affect_row_multiple_times_keep_first = on",
        ],
        WriteMode::Upsert | WriteMode::Replace | WriteMode::Snapshot => &[
            "SET hg_experimental_copy_enable_on_conflict = on",
            "SET hg_experimental_affect_row_multiple_times_keep_last = on",
        ],
    }
}

/// Whether an error says that the path is not to be had, and not that something passing or the rows are to blame.
/// Before a copy has begun that is any refusal of the statement itself: nobody has said how Hologres answers to COPY in
/// the extended protocol.
fn refuses_path(failure: &Failure, is_before_start: bool) -> bool {
    let is_about_statement = matches!(
        failure.kind,
        FailureKind::Internal
            | FailureKind::Unknown
            | FailureKind::LoaderBug
            | FailureKind::Definition
            | FailureKind::Row
    );
    let is_refusal = failure.server_text.is_some();
    failure.steps_down() || is_before_start && is_refusal && is_about_statement
}
