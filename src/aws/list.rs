//! What a bucket holds under a prefix, page by page.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

use super::{Aws, refused, unquoted};
use crate::error::{Class, Error, Result};

/// Objects on one page; S3 gives no more.
const PAGE_OBJECTS_MAX: i32 = 1_000;

/// One object of a listing: its newest version.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Key, decoded.
    pub key: String,
    /// Without quotes.
    pub etag: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Milliseconds since 1970.
    pub last_modified_ms: Option<i64>,
}

/// A part of a listing, and how to go on.
#[derive(Debug)]
pub struct Page {
    /// In the order of their keys.
    pub objects: Vec<Listed>,
    /// None after the last page.
    pub next: Option<String>,
}

impl Aws {
    /// Objects whose keys begin with `prefix`, from where the last page ended.
    pub async fn list(&self, bucket: &str, prefix: &str, from: Option<String>) -> Result<Page> {
        self.list_after(bucket, prefix, None, from).await
    }

    /// The same; the first page begins after the key `start_after`.
    pub async fn list_after(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: Option<String>,
        from: Option<String>,
    ) -> Result<Page> {
        let request = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            // Not every key can stand in XML as it is.
            .encoding_type(EncodingType::Url)
            .max_keys(PAGE_OBJECTS_MAX)
            .set_start_after(start_after)
            .set_continuation_token(from);
        let output = request.send().await.map_err(|error| {
            let error = refused(format!("list `s3://{bucket}/{prefix}`"), error);
            if error.class() == Class::Access && error.code() == Some("AccessDenied") {
                return error.with_hint("allow s3:ListBucket on the bucket");
            }
            error
        })?;
        let objects = output.contents().iter().map(|object| {
            Ok(Listed {
                key: decoded(object.key().unwrap_or_default())?,
                etag: object.e_tag().map(unquoted),
                size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                last_modified_ms: object.last_modified().and_then(|at| at.to_millis().ok()),
            })
        });
        let objects = objects.collect::<Result<Vec<_>>>()?;
        let next = output.next_continuation_token().filter(|_| output.is_truncated() == Some(true));
        Ok(Page { objects, next: next.map(str::to_owned) })
    }
}

/// As in notifications, a space is `+`.
fn decoded(key: &str) -> Result<String> {
    let key = key.replace('+', "%20");
    let bytes = percent_decode_str(&key).decode_utf8();
    bytes.map(std::borrow::Cow::into_owned).map_err(|_| Error::input("read the listing: a key is not UTF-8"))
}
