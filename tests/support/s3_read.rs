//! Reading from S3: GET, HEAD and listings.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use s3s::dto::{self, ETag, ETagCondition, ServerSideEncryption, StreamingBlob, Timestamp};
use s3s::{S3Result, s3_error};

use super::s3::{Fault, Put, Request};
use super::s3_api::{Api, bucket_of, list_denied, no_such_key, with_header};
use super::s3_body::{Body, Incident};
use super::s3_store::{Content, Record, Version, form_encoded, md5_hex};

impl Api {
    pub fn get(
        &self,
        input: &dto::GetObjectInput,
        record: &Arc<Record>,
        faults: Vec<Fault>,
    ) -> S3Result<dto::GetObjectOutput> {
        let version = self.find(&record.request)?;
        check_conditions(&version, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        if version.put.is_archived {
            return Err(s3_error!(
                InvalidObjectState,
                "The operation is not valid for the object's storage class"
            ));
        }
        self.check_key(version.kms_key.as_deref(), "kms:Decrypt")?;
        let Some(content) = version.content.clone() else { return Err(no_such_key()) };
        let size = content.size();
        let mut plan = Plan::new(faults, self.store.frame_bytes.load(Ordering::Relaxed) as u64);
        let (mut start, mut end, mut content_range) = (0, size, None);
        if let Some(range) = input.range.filter(|_| !plan.ignores_range) {
            let wanted = range.check(size).ok().filter(|wanted| !wanted.is_empty());
            let Some(wanted) = wanted else {
                let error = s3_error!(InvalidRange, "The requested range is not satisfiable");
                return Err(with_header(error, "content-range", &format!("bytes */{size}")));
            };
            (start, end) = (wanted.start, wanted.end.min(wanted.start.saturating_add(plan.bytes_max)));
            let first = start + u64::from(plan.has_wrong_range);
            content_range = Some(format!("bytes {first}-{}/{size}", end - 1));
            record.status.store(206, Ordering::Relaxed);
        }
        end = end.min(start.saturating_add(plan.bytes_max));
        plan.incidents.sort_by_key(|(after, _)| *after);
        self.store.open_bodies.fetch_add(1, Ordering::AcqRel);
        let body = Body {
            content,
            position: start,
            end,
            frame_bytes: plan.frame_bytes,
            pause: plan.pause,
            incidents: plan.incidents.into(),
            sent: 0,
            store: Arc::clone(&self.store),
            record: Arc::clone(record),
            connection: Arc::clone(&self.connection),
            sleep: None,
            is_cut: false,
        };
        let etag = if plan.has_other_etag { md5_hex(version.etag.as_bytes()) } else { version.etag.clone() };
        Ok(dto::GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::new(body)),
            content_length: Some(signed(end - start)),
            content_range,
            content_type: Some(content_type(&version.put)),
            content_encoding: version.put.content_encoding.clone(),
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(Timestamp::from(version.last_modified)),
            metadata: Some(version.put.metadata.clone()),
            server_side_encryption: Some(encryption(version.kms_key.as_ref())),
            bucket_key_enabled: version.kms_key.as_ref().map(|_| true),
            ssekms_key_id: version.kms_key.clone(),
            storage_class: version.put.is_archived.then(|| "GLACIER".to_owned().into()),
            version_id: version.version_id.clone(),
            ..Default::default()
        })
    }

    pub fn head(&self, input: &dto::HeadObjectInput, request: &Request) -> S3Result<dto::HeadObjectOutput> {
        // No key is needed for this: S3 decrypts nothing.
        let version = self.find(request)?;
        check_conditions(&version, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(dto::HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(signed(version.content.as_ref().map_or(0, Content::size))),
            content_type: Some(content_type(&version.put)),
            content_encoding: version.put.content_encoding.clone(),
            e_tag: Some(ETag::Strong(version.etag.clone())),
            last_modified: Some(Timestamp::from(version.last_modified)),
            metadata: Some(version.put.metadata.clone()),
            server_side_encryption: Some(encryption(version.kms_key.as_ref())),
            bucket_key_enabled: version.kms_key.as_ref().map(|_| true),
            ssekms_key_id: version.kms_key.clone(),
            storage_class: version.put.is_archived.then(|| "GLACIER".to_owned().into()),
            version_id: version.version_id.clone(),
            ..Default::default()
        })
    }

    pub fn list(
        &self,
        input: &dto::ListObjectsV2Input,
        request: &Request,
    ) -> S3Result<dto::ListObjectsV2Output> {
        let state = self.store.state();
        let bucket = bucket_of(&state.buckets, request)?;
        if bucket.options.hides_missing {
            return Err(list_denied(request));
        }
        let page_size = self.store.page_size.load(Ordering::Relaxed);
        let wanted = input.max_keys.and_then(|max| usize::try_from(max).ok()).unwrap_or(1000);
        let limit = wanted.min(page_size);
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
        let after = input.continuation_token.as_deref().and_then(|token| token.strip_prefix("after "));
        let after = after.or(input.start_after.as_deref()).unwrap_or_default();
        let is_encoded = input.encoding_type.as_ref().is_some_and(|encoding| encoding.as_str() == "url");
        let named = |key: &str| if is_encoded { form_encoded(key) } else { key.to_owned() };

        let (mut contents, mut prefixes, mut last, mut is_truncated) =
            (Vec::new(), BTreeSet::new(), String::new(), false);
        for key in bucket.objects.keys().filter(|key| key.starts_with(prefix)) {
            let Some(version) = bucket.current(key) else { continue };
            let common = delimiter.and_then(|delimiter| {
                let end = key[prefix.len()..].find(delimiter)? + prefix.len() + delimiter.len();
                Some(&key[..end])
            });
            let name = common.unwrap_or(key);
            if name <= after || common.is_some_and(|common| prefixes.contains(common)) {
                continue;
            }
            if contents.len() + prefixes.len() == limit {
                is_truncated = true;
                break;
            }
            name.clone_into(&mut last);
            if common.is_some() {
                prefixes.insert(name.to_owned());
            } else {
                contents.push(dto::Object {
                    key: Some(named(key)),
                    e_tag: Some(ETag::Strong(version.etag.clone())),
                    size: Some(signed(version.content.as_ref().map_or(0, Content::size))),
                    last_modified: Some(Timestamp::from(version.last_modified)),
                    ..Default::default()
                });
            }
        }
        let prefixes = prefixes.iter().map(|prefix| dto::CommonPrefix { prefix: Some(named(prefix)) });
        let prefixes: Vec<_> = prefixes.collect();
        Ok(dto::ListObjectsV2Output {
            name: Some(input.bucket.clone()),
            prefix: Some(named(prefix)),
            delimiter: input.delimiter.clone(),
            encoding_type: input.encoding_type.clone(),
            start_after: input.start_after.clone(),
            continuation_token: input.continuation_token.clone(),
            next_continuation_token: is_truncated.then(|| format!("after {last}")),
            is_truncated: Some(is_truncated),
            key_count: i32::try_from(contents.len() + prefixes.len()).ok(),
            max_keys: i32::try_from(limit).ok(),
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            ..Default::default()
        })
    }
}

/// What the faults make of a body.
struct Plan {
    frame_bytes: u64,
    pause: Duration,
    incidents: Vec<(u64, Incident)>,
    bytes_max: u64,
    ignores_range: bool,
    has_wrong_range: bool,
    has_other_etag: bool,
}

impl Plan {
    fn new(faults: Vec<Fault>, frame_bytes: u64) -> Self {
        let mut plan = Self {
            frame_bytes,
            pause: Duration::ZERO,
            incidents: Vec::new(),
            bytes_max: u64::MAX,
            ignores_range: false,
            has_wrong_range: false,
            has_other_etag: false,
        };
        for fault in faults {
            match fault {
                Fault::CutBody { after_bytes } => plan.incidents.push((after_bytes, Incident::Cut)),
                Fault::StallBody { after_bytes, duration } => {
                    plan.incidents.push((after_bytes, Incident::Stall(duration)));
                }
                Fault::OverwriteAt { after_bytes, bytes } => {
                    plan.incidents.push((after_bytes, Incident::Overwrite(bytes)));
                }
                Fault::DeleteAt { after_bytes } => plan.incidents.push((after_bytes, Incident::Delete)),
                Fault::SlowChunks { chunk_bytes, pause } => {
                    plan.frame_bytes = chunk_bytes.max(1);
                    plan.pause = pause;
                }
                Fault::WrongContentRange => plan.has_wrong_range = true,
                Fault::IgnoreRange => plan.ignores_range = true,
                Fault::ShortAnswer { bytes } => plan.bytes_max = bytes,
                Fault::OtherEtag => plan.has_other_etag = true,
                Fault::Error { .. } | Fault::Close | Fault::Stall(_) => {}
            }
        }
        plan
    }
}

fn check_conditions(
    version: &Version,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let etag = ETag::Strong(version.etag.clone());
    let matches = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.strong_cmp(&etag),
    };
    if if_match.is_some_and(|condition| !matches(condition)) {
        return Err(s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold"
        ));
    }
    if if_none_match.is_some_and(matches) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

fn content_type(put: &Put) -> String {
    put.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

/// SSE-KMS with a key, else what S3 does by itself.
pub fn encryption(kms_key: Option<&String>) -> ServerSideEncryption {
    let algorithm =
        if kms_key.is_some() { ServerSideEncryption::AWS_KMS } else { ServerSideEncryption::AES256 };
    ServerSideEncryption::from_static(algorithm)
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).expect("an object's size")
}
