//! Bulk COPY: all rows or none, and nobody else writes the table meanwhile.

use super::copy::{Copy, Format, OnConflict, Target};
use super::errors::Refusal;
use super::fault::CopyFault;
use super::fixed_copy::copy_failed;
use super::rows::Rows;
use super::session::{Event, Session, Stop};
use super::simple::protocol_violation;
use super::wire::Message;

const KEEP_LAST: &str = "hg_experimental_affect_row_multiple_times_keep_last";
const SCRATCH: &str = "pg_temp.standin_bulk";

impl Session {
    pub async fn bulk_copy(&mut self, copy: &Copy, target: &Target) -> Result<u64, Stop> {
        let is_inside = self.status == b'T';
        if !is_inside {
            self.silent("BEGIN").await?;
        }
        let written = self.write_all(copy, target).await;
        if !is_inside && !matches!(written, Err(Stop::Closed(_))) {
            self.silent(if written.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        }
        written
    }

    async fn write_all(&mut self, copy: &Copy, target: &Target) -> Result<u64, Stop> {
        let table = &target.table;
        if !table.key.is_empty() && table.is_lockable {
            self.silent(&format!("LOCK TABLE {} IN EXCLUSIVE MODE", table.name)).await?;
        }
        if target.on_conflict == OnConflict::None {
            return self.take_rows(copy, &table.name, &target.columns).await;
        }
        self.silent(&target.scratch(SCRATCH, "DROP")).await?;
        let row_count = self.take_rows(copy, SCRATCH, &target.columns).await?;
        if !self.is_on(KEEP_LAST)
            && let Some(text) = self.silent(&target.twice(SCRATCH)).await?.values.into_iter().next()
        {
            return Err(Refusal::new("23505", text).into());
        }
        self.silent(&target.merge(SCRATCH, "DESC")).await?;
        Ok(row_count)
    }

    /// Passes the client's rows on to PostgreSQL's own COPY.
    async fn take_rows(&mut self, copy: &Copy, relation: &str, columns: &[String]) -> Result<u64, Stop> {
        self.backend.push(&Message::query(&copy.plain(relation, columns, copy.has_header)));
        loop {
            let message = self.answer().await?;
            match message.tag {
                b'G' => break,
                b'E' => return Err(self.end_of_error(&message).await),
                _ => {}
            }
        }
        self.client.push(&Message::copy_in(copy.format == Format::Binary, columns.len()));
        let (mut rows, mut passed) = (Rows::new(copy), 0);
        loop {
            if let Some((_, fault)) = self.shared.faults.copy(passed) {
                return Err(self.break_off(fault).await);
            }
            let message = match self.event().await? {
                Event::Backend(message) if message.tag == b'E' => {
                    return Err(self.end_of_error(&message).await);
                }
                Event::Backend(_) => continue,
                Event::Client(message) => message,
            };
            match message.tag {
                b'd' => {
                    // Counted for the faults alone: PostgreSQL judges the data.
                    let _ = rows.push(&message.body);
                    passed += rows.count() as u64;
                    rows.take(rows.count());
                    self.backend.push(&message);
                    self.backend.flush().await?;
                }
                b'c' => {
                    self.backend.push(&message);
                    let tag = self.drained().await?.tag;
                    return Ok(tag.strip_prefix("COPY ").and_then(|count| count.parse().ok()).unwrap_or(0));
                }
                b'f' => {
                    self.backend.push(&message);
                    let _ = self.drained().await;
                    return Err(copy_failed(&message).into());
                }
                b'H' | b'S' => {}
                b'X' => return Err(Stop::Closed(std::io::ErrorKind::UnexpectedEof.into())),
                tag => return Err(protocol_violation(tag).into()),
            }
        }
    }

    async fn break_off(&mut self, fault: CopyFault) -> Stop {
        match fault {
            CopyFault::Cut => self.cut(),
            CopyFault::Fail(refusal) => {
                self.backend.push(&Message::new(b'f', vec![0]));
                // Its own error is the one that was asked for.
                let _ = self.drained().await;
                refusal.into()
            }
        }
    }

    /// PostgreSQL's error without where it happened: Hologres does not say which row of a COPY was bad.
    async fn end_of_error(&mut self, message: &Message) -> Stop {
        let (code, text) = message.error_parts();
        match self.drained().await {
            Err(Stop::Closed(error)) => Stop::Closed(error),
            _ => super::catalog::rewritten(Refusal::new(code, text)).into(),
        }
    }
}
