//! What the S3 server holds: buckets, versions of objects, KMS keys, faults to come and requests gone by.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Md5};

use super::lock;
use super::s3::{BucketOptions, Fault, KeyState, On, Operation, Put, Request, Stored};

/// An ETag is the MD5 of objects up to here; larger ones get one of their own at every put, as multipart uploads do.
const MD5_BYTES_MAX: usize = 16 << 20;

pub type Generator = Arc<dyn Fn(u64) -> Bytes + Send + Sync>;

/// An object's bytes, held or made as they are read.
#[derive(Clone)]
pub enum Content {
    Held(Bytes),
    Generated(u64, Generator),
}

impl Content {
    pub fn size(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Generated(size, _) => *size,
        }
    }

    /// Bytes from `position` on, at least one and at most `max`; no copy.
    pub fn chunk(&self, position: u64, max: u64) -> Bytes {
        match self {
            Self::Held(bytes) => bytes.slice(index(position)..index(position + max)),
            Self::Generated(_, generator) => {
                let mut bytes = generator(position);
                assert!(!bytes.is_empty(), "the generator has nothing at {position}");
                bytes.truncate(index(max));
                bytes
            }
        }
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).expect("a 64-bit machine")
}

/// One version of an object, or a delete marker.
#[derive(Clone)]
#[expect(clippy::struct_field_names, reason = "S3's own name")]
pub struct Version {
    pub version_id: Option<String>,
    pub etag: String,
    pub last_modified: SystemTime,
    pub sequencer: String,
    /// `None`: a delete marker.
    pub content: Option<Content>,
    pub kms_key: Option<String>,
    pub put: Put,
}

#[derive(Default)]
pub struct Bucket {
    pub options: BucketOptions,
    /// The newest version of each object last.
    pub objects: BTreeMap<String, Vec<Version>>,
}

impl Bucket {
    /// The newest version, unless the object is deleted.
    pub fn current(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.last().filter(|version| version.content.is_some())
    }
}

pub struct Upload {
    pub bucket: String,
    pub key: String,
    pub put: Put,
    pub parts: BTreeMap<i32, Bytes>,
}

pub struct Rule {
    pub on: On,
    pub faults: Vec<Fault>,
    pub remaining: u64,
}

#[derive(Default)]
pub struct State {
    pub buckets: BTreeMap<String, Bucket>,
    pub keys: HashMap<String, KeyState>,
    pub rules: Vec<Rule>,
    pub records: Vec<Arc<Record>>,
    pub uploads: HashMap<String, Upload>,
    serial: u64,
}

impl State {
    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub fn key_state(&self, key: &str) -> KeyState {
        self.keys.get(key).copied().unwrap_or_default()
    }
}

/// A request as it is being answered.
pub struct Record {
    pub request: Request,
    pub status: AtomicU16,
    pub bytes_sent: AtomicU64,
}

impl Record {
    pub fn snapshot(&self) -> Request {
        Request {
            status: self.status.load(Ordering::Relaxed),
            bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            ..self.request.clone()
        }
    }
}

pub struct Store {
    state: Mutex<State>,
    pub frame_bytes: AtomicUsize,
    pub page_size: AtomicUsize,
    /// Bodies that are being sent, or whose reader has gone unnoticed.
    pub open_bodies: AtomicUsize,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            frame_bytes: AtomicUsize::new(256 * 1024),
            page_size: AtomicUsize::new(1000),
            open_bodies: AtomicUsize::new(0),
        }
    }
}

impl Store {
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Notes a request and takes the faults that wait for it.
    pub fn begin(&self, request: Request) -> (Arc<Record>, Vec<Fault>) {
        let mut state = self.state();
        let rule = state.rules.iter_mut().find(|rule| rule.remaining > 0 && rule.on.matches(&request));
        let faults = rule.map(|rule| {
            rule.remaining -= 1;
            rule.faults.clone()
        });
        let record = Record { request, status: AtomicU16::new(0), bytes_sent: AtomicU64::new(0) };
        let record = Arc::new(record);
        state.records.push(Arc::clone(&record));
        (record, faults.unwrap_or_default())
    }

    /// Adds a version; a bucket that is not there is made.
    pub fn put(&self, bucket: &str, key: &str, content: Content, put: Put) -> Stored {
        let mut etag = put.etag.clone();
        if let (None, Content::Held(bytes)) = (&etag, &content)
            && bytes.len() <= MD5_BYTES_MAX
        {
            etag = Some(md5_hex(bytes));
        }
        self.add(bucket, key, Some(content), etag, put)
    }

    /// Removes the object: for good, or in a bucket with versions under a delete marker.
    pub fn delete(&self, bucket: &str, key: &str) -> Stored {
        self.add(bucket, key, None, Some(String::new()), Put::default())
    }

    fn add(
        &self,
        bucket: &str,
        key: &str,
        content: Option<Content>,
        etag: Option<String>,
        put: Put,
    ) -> Stored {
        let mut state = self.state();
        let serial = state.serial();
        let entry = state.buckets.entry(bucket.to_owned()).or_default();
        let is_deleted = content.is_none();
        let version = Version {
            version_id: entry.options.versioning.then(|| format!("v{serial:08}.{:016x}", scrambled(serial))),
            etag: etag.unwrap_or_else(|| format!("{:016x}{serial:016x}-2", scrambled(serial))),
            last_modified: put.last_modified.unwrap_or_else(whole_second),
            sequencer: format!("00{:016X}", 0x65AE_D6DC_D900_0000 + serial),
            kms_key: put.kms_key.as_ref().or(entry.options.kms_key.as_ref()).map(|key| key_arn(key)),
            content,
            put,
        };
        let stored = Stored {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: version.version_id.clone(),
            etag: version.etag.clone(),
            size: version.content.as_ref().map_or(0, Content::size),
            last_modified: version.last_modified,
            sequencer: version.sequencer.clone(),
            is_deleted,
        };
        if !entry.options.versioning {
            entry.objects.remove(key);
            if is_deleted {
                return stored;
            }
        }
        entry.objects.entry(key.to_owned()).or_default().push(version);
        stored
    }

    pub fn start_upload(&self, upload: Upload) -> String {
        let mut state = self.state();
        let serial = state.serial();
        let id = format!("upload-{serial:08}");
        state.uploads.insert(id.clone(), upload);
        id
    }
}

fn whole_second() -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(now.as_secs())
}

/// A number that looks like nothing, so that nobody relies on the order of version ids.
fn scrambled(serial: u64) -> u64 {
    serial.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)
}

pub fn md5_hex(bytes: &[u8]) -> String {
    Md5::checksum(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text");
        text
    })
}

/// The full name of a KMS key, which S3 answers with however short the one it was given.
pub fn key_arn(key: &str) -> String {
    if key.starts_with("arn:") {
        key.to_owned()
    } else {
        format!("arn:aws:kms:ap-northeast-1:123456789012:key/{key}")
    }
}

/// As in S3's notifications and listings: a space is `+`, a slash stays.
pub fn form_encoded(key: &str) -> String {
    key.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' => text.push('+'),
            b'/' | b'-' | b'_' | b'.' | b'*' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                text.push(byte.into());
            }
            _ => write!(text, "%{byte:02X}").expect("text"),
        }
        text
    })
}

impl On {
    fn matches(&self, request: &Request) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        self.operation.is_none_or(|operation: Operation| operation == request.operation)
            && is(&self.bucket, &request.bucket)
            && is(&self.key, &request.key)
    }
}
