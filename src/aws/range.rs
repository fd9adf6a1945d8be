//! Parts of an object.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;

use super::{Aws, Body, Head, Pin, own_version, refused, unquoted};
use crate::error::{Error, Result};

/// Which bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These, of which there is one at least.
    Span(Range<u64>),
    /// So many at its end, or all there are.
    Tail(u64),
}

impl Aws {
    /// Opens the body of a part of the object, pinned; answers which bytes it holds.
    ///
    /// # Errors
    /// Of S3, by their class; `Input` with the code `InvalidRange` for an object that has no such bytes.
    pub async fn get_part(
        &self,
        bucket: &str,
        key: &str,
        pin: &Pin,
        part: &Part,
    ) -> Result<(Head, Range<u64>, Body)> {
        let action = || format!("read a part of `s3://{bucket}/{key}`");
        let range = match part {
            Part::Span(span) => format!("bytes={}-{}", span.start, span.end.saturating_sub(1)),
            Part::Tail(count) => format!("bytes=-{count}"),
        };
        let request = self
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .set_version_id(pin.version_id.clone())
            .set_if_match(pin.etag.as_ref().map(|etag| format!("\"{etag}\"")))
            .range(range);
        let output = request.send().await.map_err(|error| refused(action(), error))?;
        let told = told_range(&output).filter(|(told, size)| match part {
            Part::Span(span) => told == span,
            Part::Tail(count) => told.end == *size && told.start == size.saturating_sub(*count),
        });
        let Some((told, size)) = told else {
            return Err(Error::transient(action()).with_hint("S3 answered another range than was asked for"));
        };
        let head = Head {
            version_id: own_version(output.version_id()),
            etag: output.e_tag().map(unquoted),
            size: Some(size),
            last_modified_ms: output.last_modified().and_then(|at| at.to_millis().ok()),
            content_type: output.content_type().map(str::to_owned),
            kms_key: output.ssekms_key_id().map(str::to_owned),
        };
        Ok((head, told, Body(output.body)))
    }
}

/// What `Content-Range` says: which bytes, of how many.
fn told_range(output: &GetObjectOutput) -> Option<(Range<u64>, u64)> {
    let (range, size) = output.content_range()?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let start = first.parse().ok()?;
    Some((start..last.parse::<u64>().ok()?.checked_add(1)?, size.parse().ok()?))
}
