//! The bytes of one version of an object, whatever breaks on the way.
//!
//! An S3 body that breaks is opened again by Range from the byte after the last one that was handed out, with
//! the same version or ETag: bytes of two versions are never joined. Retries are counted over the whole object.

use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::parts::ObjectParts;
use super::{ObjectRef, ObjectVersion};
use crate::aws::{Aws, Body as S3Body, Head, Pin};
use crate::error::{Error, Result, nearest};

/// Reopened so often over the whole object; a network that breaks more often is a matter for a later try.
pub(super) const REOPEN_MAX: u32 = 8;
/// The first pause before reopening; doubled each time.
pub(super) const REOPEN_PAUSE_MS: u64 = 100;
/// And never longer than this.
pub(super) const REOPEN_PAUSE_MAX_MS: u64 = 5_000;
/// Read from files and standard input at a time.
const FILE_CHUNK_BYTES: usize = 256 * 1024;

/// A body that is read chunk by chunk.
pub struct ObjectBody {
    source: Source,
    /// What is being read.
    pub version: ObjectVersion,
    /// What S3 says its content is.
    pub content_type: Option<String>,
    /// Bytes handed out.
    offset: u64,
    reopened: u32,
    /// Handed out once and given back.
    ahead: Option<Bytes>,
}

enum Source {
    S3(Box<S3Source>),
    File {
        file: tokio::fs::File,
        object: ObjectRef,
    },
    Stdin(tokio::io::Stdin),
    /// Not from its beginning, but wherever it is asked for.
    Parts(Box<ObjectParts>),
}

struct S3Source {
    aws: Aws,
    object: ObjectRef,
    pin: Pin,
    body: Option<S3Body>,
}

impl ObjectBody {
    /// Opens the object at its first byte, pinned to the version that is asked for.
    ///
    /// # Errors
    /// Of S3, by their class; `Input` for a local file that cannot be read.
    pub async fn open(aws: Option<&Aws>, object: &ObjectRef, wanted: &ObjectVersion) -> Result<Self> {
        Self::open_at(aws, object, wanted, 0).await
    }

    /// The same from byte `from` on, which must be there.
    pub async fn open_at(
        aws: Option<&Aws>,
        object: &ObjectRef,
        wanted: &ObjectVersion,
        from: u64,
    ) -> Result<Self> {
        if !object.is_s3() {
            return Self::open_local(object, from).await;
        }
        let aws = aws.ok_or_else(|| Error::bug("open an S3 object without a client"))?.clone();
        let pin = Pin {
            version_id: wanted.version_id.clone(),
            // A version is a pin by itself; its ETag would say the same.
            etag: if wanted.version_id.is_some() { None } else { wanted.etag.clone() },
        };
        let (head, body) = aws.get(&object.bucket, &object.key, &pin, from).await?;
        let content_type = head.content_type.clone();
        let version = version_of(head);
        // From here on the version that was opened is the one to go on with.
        let pin =
            Pin { version_id: version.version_id.clone().or(pin.version_id), etag: version.etag.clone() };
        let source = Source::S3(Box::new(S3Source { aws, object: object.clone(), pin, body: Some(body) }));
        Ok(Self { source, version, content_type, offset: from, reopened: 0, ahead: None })
    }

    /// Opens an object that is read in parts; the last `tail_bytes` come along.
    ///
    /// # Errors
    /// As for the whole; `Input` for standard input and for an empty object.
    pub async fn open_in_parts(
        aws: Option<&Aws>,
        object: &ObjectRef,
        wanted: &ObjectVersion,
        tail_bytes: u64,
    ) -> Result<Self> {
        let parts = ObjectParts::open(aws, object, wanted, tail_bytes).await?;
        let version = parts.version.clone();
        let source = Source::Parts(Box::new(parts));
        Ok(Self { source, version, content_type: None, offset: 0, reopened: 0, ahead: None })
    }

    /// Reads a part of the object. One that was opened at its beginning is not read from there any more.
    ///
    /// # Errors
    /// `Transient` once the retries are used up; `Input` when the object changed under the reader, has no such bytes, or
    /// cannot be read but from its beginning.
    pub async fn part(&mut self, range: Range<u64>) -> Result<Bytes> {
        let version = self.version.clone();
        self.source = match std::mem::replace(&mut self.source, Source::Stdin(tokio::io::stdin())) {
            Source::S3(source) => {
                let S3Source { aws, object, pin, .. } = *source;
                let parts = ObjectParts::of_s3(aws, object, pin, version, self.reopened);
                Source::Parts(Box::new(parts))
            }
            Source::File { file, object } => {
                Source::Parts(Box::new(ObjectParts::of_file(file, object, version)))
            }
            other => other,
        };
        let Source::Parts(parts) = &mut self.source else { return Err(super::parts::no_end()) };
        let bytes = parts.read(range).await;
        self.reopened = parts.reopened();
        self.offset = parts.fetched();
        bytes
    }

    async fn open_local(object: &ObjectRef, from: u64) -> Result<Self> {
        if object.bucket == super::STDIN_BUCKET {
            let source = Source::Stdin(tokio::io::stdin());
            let version = ObjectVersion::default();
            return Ok(Self { source, version, content_type: None, offset: 0, reopened: 0, ahead: None });
        }
        let refuse = |source| not_opened(&object.key, source);
        let mut file = tokio::fs::File::open(&object.key).await.map_err(refuse)?;
        let metadata = file.metadata().await.map_err(refuse)?;
        if metadata.is_dir() {
            return Err(Error::input(format!("open `{}`: it is a directory", object.key))
                .with_hint("with `/` behind its name everything below is meant: `data/`; or put a glob in quotes: 'data/*.csv'"));
        }
        if from > 0 {
            file.seek(std::io::SeekFrom::Start(from)).await.map_err(refuse)?;
        }
        let version = local_version(&metadata);
        let source = Source::File { file, object: object.clone() };
        Ok(Self { source, version, content_type: None, offset: from, reopened: 0, ahead: None })
    }

    /// Whether the object can be opened again in its middle.
    pub fn is_seekable(&self) -> bool {
        !matches!(self.source, Source::Stdin(_))
    }

    /// Takes back the bytes that were handed out last: they come again.
    pub fn give_back(&mut self, bytes: Bytes) {
        self.offset = self.offset.saturating_sub(bytes.len() as u64);
        self.ahead = (!bytes.is_empty()).then_some(bytes);
    }

    /// Bytes handed out so far, or of all parts that were read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How often it broke and was opened again.
    pub fn reopened(&self) -> u32 {
        self.reopened
    }

    /// The next bytes; `None` at the end of the object.
    ///
    /// # Errors
    /// `Transient` once the retries are used up; `Input` when the object changed under the reader.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(chunk) = self.ahead.take() {
            self.offset += chunk.len() as u64;
            return Ok(Some(chunk));
        }
        let chunk = match &mut self.source {
            Source::File { file, .. } => read_chunk(file).await?,
            Source::Stdin(stdin) => read_chunk(stdin).await?,
            Source::S3(_) => self.next_of_s3().await?,
            Source::Parts(_) => return Err(Error::bug("read an object to its end that is read in parts")),
        };
        self.offset += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Ok(chunk)
    }

    async fn next_of_s3(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Source::S3(source) = &mut self.source else { return Ok(None) };
            let S3Source { aws, object, pin, body } = source.as_mut();
            let broken = match body {
                Some(open) => match open.next().await {
                    Some(Ok(chunk)) if chunk.is_empty() => continue,
                    Some(Ok(chunk)) => return Ok(Some(chunk)),
                    None if self.version.size.is_none_or(|size| self.offset >= size) => return Ok(None),
                    None => Error::transient(format!(
                        "read `{object}`: the body ended at byte {} of {}",
                        self.offset,
                        self.version.size.unwrap_or(0)
                    )),
                    Some(Err(error)) => error,
                },
                None => Error::transient(format!("read `{object}`")),
            };
            *body = None;
            if self.version.size.is_some_and(|size| size > 0 && self.offset >= size) {
                // All bytes came, and then an error: the checksum does not fit them.
                return Err(broken.context(format!("read `{object}`: its bytes do not pass S3's checksum")));
            }
            if self.reopened >= REOPEN_MAX {
                return Err(broken
                    .context(format!("read `{object}`: given up after reopening it {REOPEN_MAX} times"))
                    .with_hint("the connection to S3 keeps breaking; the same load can be tried again"));
            }
            let pause_ms = (REOPEN_PAUSE_MS << self.reopened).min(REOPEN_PAUSE_MAX_MS);
            self.reopened += 1;
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            match aws.get(&object.bucket, &object.key, pin, self.offset).await {
                // Whatever stands between us and S3: bytes of another version are never taken.
                Ok((head, reopened)) if head.etag == pin.etag => *body = Some(reopened),
                Ok(_) => {}
                Err(error) if error.class() == crate::error::Class::Transient => {}
                Err(error) => {
                    return Err(error.context(format!("go on reading `{object}` at byte {}", self.offset)));
                }
            }
        }
    }
}

/// Names of a folder among which the one that was meant is looked for.
const NAMES_MAX: usize = 10_000;

#[cold]
fn not_opened(path: &str, source: std::io::Error) -> Error {
    let kind = source.kind();
    let error = Error::input(format!("open `{path}`")).with_source(source);
    let path = std::path::Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match kind {
        std::io::ErrorKind::NotFound => {
            let shown = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
            let Some(entries) = folder.and_then(|folder| std::fs::read_dir(folder).ok()) else {
                return error.with_hint(format!("there is no folder `{shown}`"));
            };
            let named = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
            let names: Vec<String> = entries.flatten().take(NAMES_MAX).filter_map(named).collect();
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            // Alike endings would make any two names alike.
            let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
            let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
            let near = nearest(&stem(&name), stems.iter().map(String::as_str));
            let alike = names.iter().zip(&stems).filter(|(_, stem)| Some(stem.as_str()) == near);
            let near = nearest(&name, alike.map(|(name, _)| name.as_str()));
            error.with_hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the folder `{shown}` holds no such file"),
            })
        }
        std::io::ErrorKind::PermissionDenied => error.with_hint(
            "this user may not read the file, or not look into a folder above it: `ls -l` shows who may",
        ),
        _ => error,
    }
}

async fn read_chunk(source: &mut (impl AsyncReadExt + Unpin)) -> Result<Option<Bytes>> {
    let mut chunk = BytesMut::with_capacity(FILE_CHUNK_BYTES);
    let read = source.read_buf(&mut chunk).await;
    let count = read.map_err(|source| Error::input("read the file").with_source(source))?;
    Ok((count > 0).then(|| chunk.freeze()))
}

pub(super) fn version_of(head: Head) -> ObjectVersion {
    ObjectVersion {
        version_id: head.version_id,
        etag: head.etag,
        size: head.size,
        last_modified_ms: head.last_modified_ms,
    }
}

/// A file's version is its size and time of change.
pub(super) fn local_version(metadata: &std::fs::Metadata) -> ObjectVersion {
    let changed = metadata.modified().ok();
    let since = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    ObjectVersion {
        version_id: None,
        etag: since.map(|since| format!("{:x}-{:x}", metadata.len(), since.as_nanos())),
        size: Some(metadata.len()),
        last_modified_ms: since.and_then(|since| i64::try_from(since.as_millis()).ok()),
    }
}

/// What S3 holds under the name now.
pub async fn current_version(aws: &Aws, object: &ObjectRef) -> Result<ObjectVersion> {
    aws.head(&object.bucket, &object.key, None).await.map(version_of)
}
