//! `COPY … FROM STDIN`: bytes handed to the server as they are.

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;

use super::policy::{self, Failure};
use super::{Session, SystemTime};

/// Bytes in one `CopyData` message: large enough that its five bytes of head do not count, small against a batch.
pub const COPY_CHUNK_BYTES: usize = 64 * 1024;

const ACTION: &str = "copy rows";

/// A copy that the server has begun to take. Dropped, it is given up: the server is told that it failed.
pub struct CopyIn(Pin<Box<CopyInSink<Bytes>>>);

impl fmt::Debug for CopyIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CopyIn")
    }
}

impl Session {
    /// Starts a copy; `sql` is prepared once for each session.
    ///
    /// After an error the session must not be used again, whatever the error: the client library has sent the end of a
    /// copy that the server never began, and takes its answer for that to the next statement.
    pub async fn copy_in(&mut self, sql: &str) -> Result<CopyIn, Failure> {
        self.is_writing = true;
        let started = self.start_copy(sql).await;
        self.used_at = SystemTime::now();
        self.is_spoiled |= started.is_err();
        started
    }

    async fn start_copy(&mut self, sql: &str) -> Result<CopyIn, Failure> {
        let statement = self.prepare(sql, &[]).await?;
        let sink = self.client.copy_in(&statement).await;
        let sink = sink.map_err(|source| policy::failure("start to copy rows", source))?;
        Ok(CopyIn(Box::pin(sink)))
    }

    /// Notes how a copy ended: one that failed for no row's sake spoils the session.
    pub fn note_copy(&mut self, failure: Option<&Failure>) {
        self.is_writing = self.may_still_write(failure);
        self.used_at = SystemTime::now();
        self.is_spoiled |= failure.is_some_and(|failure| !failure.is_row_fault);
    }
}

impl CopyIn {
    /// Hands bytes to the server, in messages of [`COPY_CHUNK_BYTES`].
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(COPY_CHUNK_BYTES));
            self.0.feed(chunk).await.map_err(|source| policy::failure(ACTION, source))?;
        }
        Ok(())
    }

    /// Says that this is all, and waits for the server's verdict.
    pub async fn finish(mut self) -> Result<(), Failure> {
        let done = self.0.as_mut().finish().await;
        done.map(drop).map_err(|source| policy::failure(ACTION, source))
    }
}
