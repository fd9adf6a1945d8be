//! S3 in this process: real HTTP and real signatures over buckets in memory, with encryption keys that can be taken
//! away and faults on command. Processes other than this one may use it as well.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::s3_api::Api;
use super::s3_body::{Connection, Tracked};
use super::s3_store::{Content, Rule, Store, form_encoded, key_arn};

pub const ACCESS_KEY: &str = "test-access";
pub const SECRET_KEY: &str = "test-secret";
pub const REGION: &str = "ap-northeast-1";

/// What a bucket is like. The default keeps no versions, takes every region and encrypts with S3's own key.
#[derive(Clone, Debug, Default)]
pub struct BucketOptions {
    pub versioning: bool,
    /// Requests signed for another region are redirected (301).
    pub region: Option<String>,
    /// Objects put without a key of their own get this one.
    pub kms_key: Option<String>,
    /// The caller lacks `s3:ListBucket`: listings answer 403, and what is not there does instead of 404.
    pub hides_missing: bool,
}

/// What an object has besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct Put {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// SSE-KMS with this key: an ARN, or the last part of one.
    pub kms_key: Option<String>,
    pub last_modified: Option<SystemTime>,
    /// Without quotes.
    pub etag: Option<String>,
    /// In Glacier: reading it answers `InvalidObjectState`.
    pub is_archived: bool,
    pub metadata: HashMap<String, String>,
}

/// What a KMS key does when S3 needs it. Keys nobody spoke of are enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyState {
    #[default]
    Enabled,
    Disabled,
    PendingDeletion,
    NotFound,
    /// Neither the key's policy nor the caller's allows its use.
    Denied,
}

/// What was stored or deleted, as its event tells it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub bucket: String,
    pub key: String,
    pub version_id: Option<String>,
    /// Without quotes.
    pub etag: String,
    pub size: u64,
    pub last_modified: SystemTime,
    pub sequencer: String,
    pub is_deleted: bool,
}

impl Stored {
    /// One record of S3's notification, with the key encoded as S3 does.
    pub fn event_record(&self) -> Value {
        let seconds = self.last_modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut object = json!({"key": form_encoded(&self.key), "sequencer": self.sequencer});
        if !self.is_deleted {
            object["size"] = self.size.into();
            object["eTag"] = self.etag.as_str().into();
        }
        if let Some(version_id) = &self.version_id {
            object["versionId"] = version_id.as_str().into();
        }
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": rfc3339(seconds),
            "eventName": if self.is_deleted { "ObjectRemoved:Delete" } else { "ObjectCreated:Put" },
            "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
            "requestParameters": {"sourceIPAddress": "192.0.2.3"},
            "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "loader",
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket)
                },
                "object": object
            }
        })
    }

    /// S3's notification of this one object.
    pub fn event(&self) -> Value {
        json!({"Records": [self.event_record()]})
    }

    pub fn address(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Get,
    Head,
    Put,
    Delete,
    /// The recorded key is the prefix.
    List,
    /// `HeadBucket` and the bucket's settings.
    Bucket,
    /// The four calls of a multipart upload.
    Multipart,
}

/// One request that carried a valid signature.
#[derive(Clone, Debug)]
pub struct Request {
    pub operation: Operation,
    pub method: String,
    pub bucket: String,
    pub key: String,
    /// The header as sent, for example `bytes=100-`.
    pub range: Option<String>,
    /// The header as sent, with its quotes.
    pub if_match: Option<String>,
    pub version_id: Option<String>,
    /// What the signature was made for.
    pub region: Option<String>,
    /// 0 while it is not answered, and for one that never was.
    pub status: u16,
    /// Of the object's body, handed to the connection: exactly what a cut let through, at most the kernel's buffers
    /// more than what a client took that went away.
    pub bytes_sent: u64,
}

/// Which requests a fault is for.
#[derive(Clone, Debug, Default)]
pub struct On {
    pub operation: Option<Operation>,
    pub bucket: Option<String>,
    pub key: Option<String>,
}

impl On {
    pub fn any() -> Self {
        Self::default()
    }

    pub fn operation(operation: Operation) -> Self {
        Self { operation: Some(operation), ..Self::default() }
    }

    pub fn bucket(bucket: &str) -> Self {
        Self { bucket: Some(bucket.to_owned()), ..Self::default() }
    }

    pub fn key(bucket: &str, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::bucket(bucket) }
    }

    pub fn get(bucket: &str, key: &str) -> Self {
        Self { operation: Some(Operation::Get), ..Self::key(bucket, key) }
    }

    pub fn head(bucket: &str, key: &str) -> Self {
        Self { operation: Some(Operation::Head), ..Self::key(bucket, key) }
    }

    pub fn put(bucket: &str, key: &str) -> Self {
        Self { operation: Some(Operation::Put), ..Self::key(bucket, key) }
    }
}

/// What goes wrong with one answer. Counts of bytes are of that answer's body.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This error instead of the answer.
    Error {
        status: u16,
        code: String,
        message: String,
    },
    /// The connection is closed without an answer.
    Close,
    /// The answer comes this much later.
    Stall(Duration),
    /// The connection is closed when exactly so many bytes of the body are sent.
    CutBody {
        after_bytes: u64,
    },
    /// The body pauses once.
    StallBody {
        after_bytes: u64,
        duration: Duration,
    },
    /// The body comes in small pieces, with a pause between any two.
    SlowChunks {
        chunk_bytes: u64,
        pause: Duration,
    },
    /// The object is replaced when so many bytes are sent; the answer goes on with the old ones, as S3's does.
    OverwriteAt {
        after_bytes: u64,
        bytes: Bytes,
    },
    DeleteAt {
        after_bytes: u64,
    },
    /// `Content-Range` names another place than the bytes come from.
    WrongContentRange,
    /// The whole object with status 200, whatever range was asked for.
    IgnoreRange,
    /// No more than so many bytes, with headers that agree with that.
    ShortAnswer {
        bytes: u64,
    },
    /// An `ETag` that is not the object's.
    OtherEtag,
}

impl Fault {
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Error { status, code: code.to_owned(), message: message.to_owned() }
    }

    pub fn slow_down() -> Self {
        Self::error(503, "SlowDown", "Please reduce your request rate.")
    }

    pub fn internal_error() -> Self {
        Self::error(500, "InternalError", "We encountered an internal error. Please try again.")
    }

    /// The bare refusal, which names no reason.
    pub fn access_denied() -> Self {
        Self::error(403, "AccessDenied", "Access Denied")
    }

    /// The refusal by a bucket policy.
    pub fn get_object_denied(bucket: &str, key: &str) -> Self {
        let message = format!(
            "User: {CALLER} is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::{bucket}/{key}\" \
             with an explicit deny in a resource-based policy"
        );
        Self::error(403, "AccessDenied", &message)
    }
}

impl From<Fault> for Vec<Fault> {
    fn from(fault: Fault) -> Self {
        vec![fault]
    }
}

pub(super) const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/loader/fn";

/// The server. Dropped, it closes its port and every connection.
pub struct S3Server {
    address: SocketAddr,
    store: Arc<Store>,
    runtime: Option<Runtime>,
}

impl S3Server {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let store = Arc::<Store>::default();
        runtime.spawn(serve(listener, Arc::clone(&store)));
        Self { address, store, runtime: Some(runtime) }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the AWS SDK needs to find this server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_S3", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
        ]
    }

    /// Makes a bucket, or changes the options of one that is there. A name has at least three characters.
    pub fn create_bucket(&self, bucket: &str, options: BucketOptions) {
        self.store.state().buckets.entry(bucket.to_owned()).or_default().options = options;
    }

    /// Stores an object; a bucket that is not there is made.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> Stored {
        self.put_with(bucket, key, bytes, Put::default())
    }

    pub fn put_with(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>, put: Put) -> Stored {
        self.store.put(bucket, key, Content::Held(bytes.into()), put)
    }

    /// Stores an object of `size` bytes that takes no memory: `generator` answers bytes from an offset on, as many as
    /// it likes but at least one, and always the same.
    pub fn put_generated(
        &self,
        bucket: &str,
        key: &str,
        size: u64,
        generator: Box<dyn Fn(u64) -> Bytes + Send + Sync>,
    ) -> Stored {
        self.store.put(bucket, key, Content::Generated(size, generator.into()), Put::default())
    }

    /// Deletes an object; in a bucket with versions under a delete marker.
    pub fn delete(&self, bucket: &str, key: &str) -> Stored {
        self.store.delete(bucket, key)
    }

    /// An object's bytes, if it is there and was not generated.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        match self.store.state().buckets.get(bucket)?.current(key)?.content.as_ref()? {
            Content::Held(bytes) => Some(bytes.clone()),
            Content::Generated(..) => None,
        }
    }

    /// Bodies that are being sent. With none, whatever was to happen to their objects meanwhile has happened.
    pub fn open_bodies(&self) -> usize {
        self.store.open_bodies.load(Ordering::Acquire)
    }

    /// What is stored under the name now, as the event of its put tells it.
    pub fn current(&self, bucket: &str, key: &str) -> Option<Stored> {
        let state = self.store.state();
        let version = state.buckets.get(bucket)?.current(key)?;
        Some(Stored {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version_id: version.version_id.clone(),
            etag: version.etag.clone(),
            size: version.content.as_ref().map_or(0, Content::size),
            last_modified: version.last_modified,
            sequencer: version.sequencer.clone(),
            is_deleted: false,
        })
    }

    /// The keys of the objects below a prefix.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let state = self.store.state();
        let Some(bucket) = state.buckets.get(bucket) else { return Vec::new() };
        let keys =
            bucket.objects.keys().filter(|key| key.starts_with(prefix) && bucket.current(key).is_some());
        keys.cloned().collect()
    }

    /// Multipart uploads that were begun and neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.store.state().uploads.len()
    }

    /// From now on the key, an ARN or the last part of one, is in this state.
    pub fn set_key(&self, key: &str, key_state: KeyState) {
        self.store.state().keys.insert(key_arn(key), key_state);
    }

    /// The next matching request meets these faults, all in the one answer. Of several rules the oldest goes first.
    pub fn fail(&self, on: On, faults: impl Into<Vec<Fault>>) {
        self.fail_times(1, on, faults);
    }

    /// The next `times` matching requests do.
    pub fn fail_times(&self, times: u64, on: On, faults: impl Into<Vec<Fault>>) {
        self.store.state().rules.push(Rule { on, faults: faults.into(), remaining: times });
    }

    /// Every matching request does, until [`clear_faults`](Self::clear_faults).
    pub fn fail_always(&self, on: On, faults: impl Into<Vec<Fault>>) {
        self.fail_times(u64::MAX, on, faults);
    }

    pub fn clear_faults(&self) {
        self.store.state().rules.clear();
    }

    /// Every request so far that carried a valid signature, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.store.state().records.iter().map(|record| record.snapshot()).collect()
    }

    /// The GETs of one object so far.
    pub fn gets(&self, bucket: &str, key: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| {
            request.operation == Operation::Get && request.bucket == bucket && request.key == key
        });
        requests
    }

    pub fn clear_requests(&self) {
        self.store.state().records.clear();
    }

    /// The size of the pieces that bodies are sent in; 256 KiB unless told otherwise.
    pub fn set_frame_bytes(&self, bytes: usize) {
        self.store.frame_bytes.store(bytes.max(1), Ordering::Relaxed);
    }

    /// The most objects on one page of a listing; 1,000 unless told otherwise.
    pub fn set_page_size(&self, objects: usize) {
        self.store.page_size.store(objects.max(1), Ordering::Relaxed);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, store: Arc<Store>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let connection = Arc::<Connection>::default();
        let mut builder = S3ServiceBuilder::new(Api::new(Arc::clone(&store), Arc::clone(&connection)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        tokio::spawn(async move {
            let io = TokioIo::new(Tracked { stream, connection });
            let server = auto::Builder::new(TokioExecutor::new()).http1_only();
            // An error is the client's going or a fault on command.
            let _ = server.serve_connection(io, service).await;
        });
    }
}

/// `1970-01-01T00:00:00.000Z` and on.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days, by eras of 400 years that begin in March (Howard Hinnant).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}
