//! What is loaded: the name of an object, the version that was meant, and the order of versions.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};

pub mod body;
pub mod parts;

/// The name of an object: an S3 bucket and key, or a local file under the pseudo bucket [`LOCAL_BUCKET`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct ObjectRef {
    /// Bucket name.
    pub bucket: String,
    /// Key, decoded.
    pub key: String,
}

/// Why an object is passed over whose key ends in `/` and that holds nothing: consoles make such objects for folders.
pub const FOLDER_MARKER: &str = "a folder marker (key ends in `/`, size 0)";

/// The bucket name that stands for the local file system in reports and ledger.
pub const LOCAL_BUCKET: &str = "file";

/// The bucket name that stands for standard input.
pub const STDIN_BUCKET: &str = "stdin";

impl ObjectRef {
    /// Reads `s3://bucket/key`; the key is taken as written, never decoded.
    pub fn parse_s3(text: &str) -> Result<Self> {
        let refuse = || {
            Error::input(format!("read the object address `{text}`"))
                .with_hint("write `s3://bucket/key`, the key as it is stored (not URL-encoded)")
        };
        let rest = text.strip_prefix("s3://").ok_or_else(refuse)?;
        let (bucket, key) = rest.split_once('/').ok_or_else(refuse)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(refuse());
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// A file on this machine.
    pub fn local(path: &str) -> Self {
        Self { bucket: LOCAL_BUCKET.to_owned(), key: path.to_owned() }
    }

    /// Standard input; what is piped in this time has `name`, so that ledger and rejects keep it apart from the next.
    pub fn stdin(name: &str) -> Self {
        Self { bucket: STDIN_BUCKET.to_owned(), key: name.to_owned() }
    }

    /// Whether the object is in S3.
    pub fn is_s3(&self) -> bool {
        self.bucket != LOCAL_BUCKET && self.bucket != STDIN_BUCKET
    }

    /// The address that routes match: `s3://bucket/key`, the path of a local file, or `stdin`.
    pub fn address(&self) -> String {
        match self.bucket.as_str() {
            LOCAL_BUCKET => self.key.clone(),
            STDIN_BUCKET => STDIN_BUCKET.to_owned(),
            bucket => format!("s3://{bucket}/{}", self.key),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address())
    }
}

/// What identifies one version of an object, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectVersion {
    /// `versionId` of a versioned bucket (`null` counts as none).
    pub version_id: Option<String>,
    /// `ETag` without its quotes.
    pub etag: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// `Last-Modified`, milliseconds since 1970.
    pub last_modified_ms: Option<i64>,
}

impl ObjectVersion {
    /// What names the version in the ledger and in reject objects: the version, else the ETag.
    pub fn identity(&self) -> Option<&str> {
        self.version_id.as_deref().or(self.etag.as_deref())
    }
}

/// The order of events about one key, made comparable as text.
///
/// S3's rule (`notification-content-structure` of the S3 user guide, event version 2.x): right-pad the shorter
/// with zeros, then compare lexicographically. Upper case with trailing zeros stripped compares the same way
/// byte by byte. A sequencer that is not hexadecimal orders nothing and counts as absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequencer(String);

impl Sequencer {
    /// The canonical form of what the event said.
    pub fn canonical(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let upper = text.to_ascii_uppercase();
        Some(Self(upper.trim_end_matches('0').to_owned()))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One object to load, and what the delivery said about it.
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which object.
    pub object: ObjectRef,
    /// The key in the other encoding that deliveries use, where it differs: tried when there is no such object.
    pub other_key: Option<String>,
    /// Which version of it, as far as the delivery said.
    pub version: ObjectVersion,
    /// Order among the deliveries for this key.
    pub sequencer: Option<Sequencer>,
    /// When the object was put, milliseconds since 1970.
    pub event_time_ms: Option<i64>,
    /// Asked for by a person (or a backfill): a missing object is an error then, not a deletion.
    pub is_manual: bool,
    /// An object that is gone is no error all the same: it was there when somebody looked, and asked for it.
    pub may_be_gone: bool,
    /// It tells that the object was removed: its rows go, where a route says so.
    pub is_removal: bool,
    /// Load even what the ledger says is loaded, newer or failed.
    pub force: bool,
    /// Decode and type everything, write nothing.
    pub dry_run: bool,
    /// An earlier invocation handed this on.
    pub continuation: Option<Continuation>,
}

/// What an invocation that goes on with a load knows of the ones before it; the rest is in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// How often the load has been handed on.
    pub hop: u32,
    /// Byte at which the last one left off: this one must get further.
    pub offset: u64,
}

impl Request {
    /// A request by a person.
    pub fn manual(object: ObjectRef) -> Self {
        Self {
            object,
            other_key: None,
            version: ObjectVersion::default(),
            sequencer: None,
            event_time_ms: None,
            is_manual: true,
            may_be_gone: false,
            is_removal: false,
            force: false,
            dry_run: false,
            continuation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequencers_compare_as_s3_says() {
        let canonical = |text: &str| Sequencer::canonical(text).expect("hexadecimal");
        assert!(canonical("0055AED6DCD90281E5") < canonical("0055AED6DCD90281E6"));
        assert_eq!(canonical("0055AED6DCD9"), canonical("0055AED6DCD90000"));
        assert!(canonical("0055AED6DCD90281E5") < canonical("0055AED6DCD91"));
        assert!(canonical("006408CAD69598B05E") < canonical("00643717F9F8B85354"));
        assert_eq!(canonical("617f08299329d189"), canonical("617F08299329D189"));
        assert!(Sequencer::canonical("Happy Sequencer").is_none());
        assert!(Sequencer::canonical("").is_none());
    }

    #[test]
    fn addresses_are_taken_as_written() {
        let object = ObjectRef::parse_s3("s3://b/a%2Bb +日本.csv").expect("valid");
        assert_eq!((object.bucket.as_str(), object.key.as_str()), ("b", "a%2Bb +日本.csv"));
        for bad in ["b/k", "s3://", "s3://b", "s3://b/", "s3:///k"] {
            assert!(ObjectRef::parse_s3(bad).is_err(), "{bad}");
        }
    }
}
