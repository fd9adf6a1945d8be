//! Fixed COPY: rows become visible chunk by chunk while they stream, and stay when a later one fails.
//!
//! They are written over the session beside the client's own, which commits every chunk. Which of two equal keys
//! inside a stream wins is documented nowhere: here the first of a chunk does, so that whoever counts on the last is
//! found out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::{Client, Statement};

use super::catalog::{Side, refusal};
use super::copy::{Copy, Format, OnConflict, Target};
use super::errors::Refusal;
use super::fault::CopyFault;
use super::rows::{Chunk, Rows, frame};
use super::session::{Event, Session, Stop};
use super::simple::protocol_violation;
use super::wire::{Message, take_text};

/// A chunk is written when it has so many bytes, however few rows.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Nobody waits longer than this without a timeout of their own.
const FOREVER: Duration = Duration::from_hours(24);
const SCRATCH: &str = "pg_temp.standin_chunk";

impl Session {
    /// Either kind of COPY, from CopyInResponse to its command tag.
    pub async fn copy(&mut self, copy: &Copy) -> Result<(), Stop> {
        let table = self.table(&copy.table).await?;
        let target = copy.check(table, self.shared.version(), |setting| self.is_on(setting))?;
        if self.identity.is_fixed && !(copy.is_stream && self.shared.version() >= (3, 1, 0)) {
            return Err(super::rules::not_fixed().into());
        }
        let row_count = if copy.is_stream {
            let side = self.side().await?;
            let written = self.fixed_copy(copy, &target, &side).await;
            self.side = Some(side);
            written?
        } else {
            self.bulk_copy(copy, &target).await?
        };
        let tag = self.tag(Message::complete(&format!("COPY {row_count}")));
        self.client.push(&tag);
        Ok(())
    }

    async fn fixed_copy(&mut self, copy: &Copy, target: &Target, side: &Side) -> Result<u64, Stop> {
        let writer = Writer::new(&side.client, copy, target).await?;
        let timeout_ms = side.statement_timeout_ms().await?;
        let limit = if timeout_ms == 0 { FOREVER } else { Duration::from_millis(timeout_ms) };
        let deadline = Instant::now() + limit;
        let chunk_rows = self.shared.options.fixed_copy_chunk_rows.max(1);
        let (mut rows, mut written) = (Rows::new(copy), 0);
        self.cancel.is_wanted.store(false, Ordering::Relaxed);
        self.client.push(&Message::copy_in(copy.format == Format::Binary, target.columns.len()));
        loop {
            self.meet_fault(&writer, &mut rows, written).await?;
            let message = self.copy_message(deadline).await?;
            let is_end = message.tag == b'c';
            let read = match message.tag {
                b'd' => rows.push(&message.body),
                b'c' => rows.finish(),
                b'f' => return Err(copy_failed(&message).into()),
                b'H' | b'S' => Ok(()),
                b'X' => return Err(Stop::Closed(std::io::ErrorKind::UnexpectedEof.into())),
                tag => return Err(protocol_violation(tag).into()),
            };
            if is_end {
                self.meet_fault(&writer, &mut rows, written).await?;
            }
            while rows.count() > 0
                && (is_end
                    || read.is_err()
                    || rows.count() >= chunk_rows
                    || rows.byte_count() >= CHUNK_BYTES_MAX)
            {
                let chunk = rows.take(chunk_rows);
                writer.write(&chunk).await?;
                written += chunk.ends.len() as u64;
            }
            read?;
            if is_end {
                return Ok(written);
            }
        }
    }

    /// The client's next message, unless time runs out or somebody cancels.
    async fn copy_message(&mut self, deadline: Instant) -> Result<Message, Stop> {
        let canceled = |why: &str| Refusal::new("57014", format!("canceling statement due to {why}"));
        let cancel = Arc::clone(&self.cancel);
        loop {
            let woken = cancel.wake.notified();
            if cancel.is_wanted.load(Ordering::Relaxed) {
                return Err(canceled("user request").into());
            }
            tokio::select! {
                event = self.event() => match event? {
                    Event::Client(message) => return Ok(message),
                    Event::Backend(message) => self.client.push(&message),
                },
                () = woken => {}
                () = sleep_until(deadline) => return Err(canceled("statement timeout").into()),
            }
        }
    }

    /// The fault that is due once so many rows have come; the rows before it are written.
    async fn meet_fault(&mut self, writer: &Writer<'_>, rows: &mut Rows, written: u64) -> Result<(), Stop> {
        let Some((due, fault)) = self.shared.faults.copy(written + rows.count() as u64) else {
            return Ok(());
        };
        let before = usize::try_from(due.saturating_sub(written)).unwrap_or(usize::MAX);
        let chunk = rows.take(before);
        if !chunk.ends.is_empty() {
            writer.write(&chunk).await?;
        }
        match fault {
            CopyFault::Fail(refusal) => Err(refusal.into()),
            CopyFault::Cut => Err(self.cut()),
        }
    }
}

/// The client gave up, with a text of its own.
pub fn copy_failed(message: &Message) -> Refusal {
    let text = take_text(&mut message.body.clone()).unwrap_or_default();
    Refusal::new("57014", format!("COPY from stdin failed: {text}"))
}

/// Writes chunks of rows, each in a transaction of its own.
struct Writer<'a> {
    client: &'a Client,
    copy: Statement,
    header: Vec<u8>,
    trailer: &'static [u8],
    /// From the scratch table into the real one; without it the rows go there directly.
    merge: Option<String>,
}

impl<'a> Writer<'a> {
    async fn new(client: &'a Client, copy: &Copy, target: &Target) -> Result<Self, Refusal> {
        let is_direct = target.on_conflict == OnConflict::None;
        let relation = if is_direct { target.table.name.as_str() } else { SCRATCH };
        if !is_direct {
            let made = client.batch_execute(&target.scratch(SCRATCH, "DELETE ROWS")).await;
            made.map_err(|error| refusal(&error))?;
        }
        let sql = copy.plain(relation, &target.columns, false);
        let statement = client.prepare(&sql).await.map_err(|error| refusal(&error))?;
        let (header, trailer) = frame(copy.format);
        let merge = (!is_direct).then(|| format!("{}; COMMIT", target.merge(SCRATCH, "ASC")));
        Ok(Self { client, copy: statement, header, trailer, merge })
    }

    /// All rows, or those before the first that fails.
    async fn write(&self, chunk: &Chunk) -> Result<(), Refusal> {
        let mut ranges = vec![(0, chunk.ends.len())];
        while let Some((from, to)) = ranges.pop() {
            let Err(error) = self.attempt(chunk.rows(from, to)).await else { continue };
            let error = refusal(&error);
            if self.merge.is_some() {
                // Fails where the connection is gone, which the next attempt will tell.
                let _ = self.client.batch_execute("ROLLBACK").await;
            }
            let is_of_rows = ["22", "23", "P0", "XX"].iter().any(|class| error.code.starts_with(class));
            if to - from == 1 || !is_of_rows {
                return Err(error);
            }
            let half = from + (to - from) / 2;
            ranges.push((half, to));
            ranges.push((from, half));
        }
        Ok(())
    }

    async fn attempt(&self, rows: &[u8]) -> Result<(), tokio_postgres::Error> {
        if self.merge.is_some() {
            self.client.batch_execute("BEGIN").await?;
        }
        let sink = self.client.copy_in::<_, Bytes>(&self.copy).await?;
        tokio::pin!(sink);
        let bytes = [&self.header, rows, self.trailer].concat();
        sink.send(bytes.into()).await?;
        sink.finish().await?;
        match &self.merge {
            Some(merge) => self.client.batch_execute(merge).await,
            None => Ok(()),
        }
    }
}
