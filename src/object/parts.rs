//! Parts of one version of an object, read where they are.
//!
//! The rules are those of the whole body: pinned to version or ETag, so that bytes of two versions never meet; what breaks
//! is asked for again from the byte after the last one that came; retries are counted over the whole object.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::body::{REOPEN_MAX, REOPEN_PAUSE_MAX_MS, REOPEN_PAUSE_MS, local_version, version_of};
use super::{ObjectRef, ObjectVersion, STDIN_BUCKET};
use crate::aws::{Aws, Body, Part, Pin};
use crate::error::{Class, Error, Result};

/// An object that is read in parts.
pub struct ObjectParts {
    source: Source,
    object: ObjectRef,
    /// What is being read.
    pub version: ObjectVersion,
    size: u64,
    /// The end of the object, which came when it was opened.
    tail: Bytes,
    fetched: u64,
    reopened: u32,
}

/// Standard input has no end to begin with.
pub(super) fn no_end() -> Error {
    Error::input("read standard input from its end")
        .with_hint("a Parquet file is read from its end: give its path instead of `-`")
}

enum Source {
    S3 { aws: Box<Aws>, pin: Pin },
    File(tokio::fs::File),
}

impl ObjectParts {
    /// Opens the object and reads up to `tail_bytes` from its end, pinned to the version that is asked for.
    ///
    /// # Errors
    /// Of S3, by their class; `Input` for a local file that cannot be read, for an empty object, and for standard input,
    /// which has no end to begin with.
    pub async fn open(
        aws: Option<&Aws>,
        object: &ObjectRef,
        wanted: &ObjectVersion,
        tail_bytes: u64,
    ) -> Result<Self> {
        if object.bucket == STDIN_BUCKET {
            return Err(no_end());
        }
        if !object.is_s3() {
            return Self::open_local(object).await;
        }
        let aws = aws.ok_or_else(|| Error::bug("open an S3 object without a client"))?;
        let mut pin = Pin {
            version_id: wanted.version_id.clone(),
            // A version is a pin by itself; its ETag would say the same.
            etag: if wanted.version_id.is_some() { None } else { wanted.etag.clone() },
        };
        let mut reopened = 0;
        let (version, size, start, body) = loop {
            let opened = aws.get_part(&object.bucket, &object.key, &pin, &Part::Tail(tail_bytes)).await;
            match opened {
                Ok((head, told, body)) => {
                    let size = head.size.unwrap_or(told.end);
                    break (version_of(head), size, told.start, body);
                }
                Err(error) if error.code() == Some("InvalidRange") => {
                    return Err(Error::input(format!("read `{object}`: the object is empty"))
                        .with_source(error)
                        .with_hint("even a Parquet file without rows has a footer: write it again"));
                }
                Err(error) if error.class() == Class::Transient && reopened < REOPEN_MAX => {
                    pause(&mut reopened).await;
                }
                Err(error) => return Err(error),
            }
        };
        // From here on the version that was opened is the one to go on with.
        pin = Pin { version_id: version.version_id.clone().or(pin.version_id), etag: version.etag.clone() };
        let source = Source::S3 { aws: Box::new(aws.clone()), pin };
        let object = object.clone();
        let mut parts = Self { source, object, version, size, tail: Bytes::new(), fetched: 0, reopened };
        parts.tail = parts.collect(start..size, Some(body)).await?;
        Ok(parts)
    }

    /// The same for an object of S3 that is open already.
    pub(super) fn of_s3(
        aws: Aws,
        object: ObjectRef,
        pin: Pin,
        version: ObjectVersion,
        reopened: u32,
    ) -> Self {
        let size = version.size.unwrap_or(0);
        let source = Source::S3 { aws: Box::new(aws), pin };
        Self { source, object, version, size, tail: Bytes::new(), fetched: 0, reopened }
    }

    /// The same for an open file.
    pub(super) fn of_file(file: tokio::fs::File, object: ObjectRef, version: ObjectVersion) -> Self {
        let size = version.size.unwrap_or(0);
        Self {
            source: Source::File(file),
            object,
            version,
            size,
            tail: Bytes::new(),
            fetched: 0,
            reopened: 0,
        }
    }

    async fn open_local(object: &ObjectRef) -> Result<Self> {
        let refuse = |source| Error::input(format!("open `{}`", object.key)).with_source(source);
        let file = tokio::fs::File::open(&object.key).await.map_err(refuse)?;
        let metadata = file.metadata().await.map_err(refuse)?;
        if metadata.is_dir() {
            return Err(Error::input(format!("open `{}`: it is a directory", object.key)));
        }
        Ok(Self::of_file(file, object.clone(), local_version(&metadata)))
    }

    /// Bytes that were read so far.
    pub fn fetched(&self) -> u64 {
        self.fetched
    }

    /// How often a part broke and was asked for again.
    pub fn reopened(&self) -> u32 {
        self.reopened
    }

    /// Reads a part of the object; who asks for it has the memory.
    ///
    /// # Errors
    /// `Transient` once the retries are used up; `Input` when the object changed under the reader, or ends before.
    pub async fn read(&mut self, range: Range<u64>) -> Result<Bytes> {
        if range.end > self.size || range.start > range.end {
            return Err(Error::input(format!(
                "read bytes {}-{} of `{}`",
                range.start, range.end, self.object
            ))
            .with_hint("the object is shorter: it was cut short, or is damaged"));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let tail_start = self.size - (self.tail.len() as u64).min(self.size);
        let place = |offset: u64| offset.checked_sub(tail_start).and_then(|at| usize::try_from(at).ok());
        if let (Some(from), Some(to)) = (place(range.start), place(range.end)) {
            return Ok(self.tail.slice(from..to));
        }
        if let Source::File(file) = &mut self.source {
            let refuse = |source| Error::input(format!("read `{}`", self.object.key)).with_source(source);
            let length = usize::try_from(range.end - range.start).map_err(|_| Error::bug("count bytes"))?;
            file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(refuse)?;
            let mut bytes = vec![0; length];
            file.read_exact(&mut bytes).await.map_err(refuse)?;
            self.fetched += range.end - range.start;
            return Ok(bytes.into());
        }
        self.collect(range, None).await
    }

    /// Takes the bytes of a part from its open body, and from others after it where that breaks.
    async fn collect(&mut self, range: Range<u64>, mut body: Option<Body>) -> Result<Bytes> {
        let Self { source, object, fetched, reopened, .. } = self;
        let Source::S3 { aws, pin } = source else {
            return Err(Error::bug("read a file as an object of S3"));
        };
        let length = usize::try_from(range.end - range.start).map_err(|_| Error::bug("count bytes"))?;
        let mut bytes = BytesMut::with_capacity(length);
        let mut is_first = body.is_none();
        loop {
            let at = range.start + bytes.len() as u64;
            let broken = match &mut body {
                Some(open) => match open.next().await {
                    Some(Ok(chunk)) if chunk.len() <= length - bytes.len() => {
                        *fetched += chunk.len() as u64;
                        bytes.extend_from_slice(&chunk);
                        if bytes.len() == length {
                            return Ok(bytes.freeze());
                        }
                        continue;
                    }
                    Some(Ok(_)) => {
                        Error::transient(format!("read `{object}`: more bytes came than were asked for"))
                    }
                    None => Error::transient(format!(
                        "read `{object}`: the body ended at byte {at} of {}",
                        range.end
                    )),
                    Some(Err(error)) => error,
                },
                None => Error::transient(format!("read `{object}`")),
            };
            body = None;
            if !std::mem::take(&mut is_first) {
                if *reopened >= REOPEN_MAX {
                    return Err(broken
                        .context(format!("read `{object}`: given up after reopening it {REOPEN_MAX} times"))
                        .with_hint("the connection to S3 keeps breaking; the same load can be tried again"));
                }
                pause(reopened).await;
            }
            let part = Part::Span(at..range.end);
            match aws.get_part(&object.bucket, &object.key, pin, &part).await {
                // Whatever stands between us and S3: bytes of another version are never taken.
                Ok((head, _, opened)) if head.etag == pin.etag => body = Some(opened),
                Ok(_) => {}
                Err(error) if error.class() == Class::Transient => {}
                Err(error) => return Err(error.context(format!("go on reading `{object}` at byte {at}"))),
            }
        }
    }
}

async fn pause(reopened: &mut u32) {
    let pause_ms = (REOPEN_PAUSE_MS << *reopened).min(REOPEN_PAUSE_MAX_MS);
    *reopened += 1;
    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
}
