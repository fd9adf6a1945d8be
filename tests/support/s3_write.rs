//! Writing to S3: PUT, DELETE and multipart uploads.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use s3s::dto::{self, ETag, ServerSideEncryption, StreamingBlob};
use s3s::{S3Result, s3_error};

use super::s3::{Put, Request};
use super::s3_api::Api;
use super::s3_read::encryption;
use super::s3_store::{Content, Upload, key_arn, md5_hex};

const DEFAULT_KMS_KEY: &str = "aws-s3";

impl Api {
    pub fn put(&self, input: dto::PutObjectInput, bytes: Bytes) -> S3Result<dto::PutObjectOutput> {
        if input.if_none_match.is_some() {
            let state = self.store.state();
            let current = state.buckets.get(&input.bucket).and_then(|bucket| bucket.current(&input.key));
            if current.is_some() {
                let message = "At least one of the pre-conditions you specified did not hold";
                return Err(s3_error!(PreconditionFailed, "{message}"));
            }
        }
        let put = Put {
            content_type: input.content_type,
            content_encoding: input.content_encoding.filter(|encoding| encoding != "aws-chunked"),
            kms_key: kms_key(input.server_side_encryption.as_ref(), input.ssekms_key_id),
            metadata: input.metadata.unwrap_or_default(),
            ..Put::default()
        };
        let kms_key = self.key_for(&input.bucket, &put)?;
        let stored = self.store.put(&input.bucket, &input.key, Content::Held(bytes), put);
        Ok(dto::PutObjectOutput {
            e_tag: Some(ETag::Strong(stored.etag)),
            server_side_encryption: Some(encryption(kms_key.as_ref())),
            bucket_key_enabled: kms_key.as_ref().map(|_| true),
            ssekms_key_id: kms_key,
            version_id: stored.version_id,
            ..Default::default()
        })
    }

    /// The full name of the key that a new object gets, if KMS lets it be used.
    fn key_for(&self, bucket: &str, put: &Put) -> S3Result<Option<String>> {
        let default =
            self.store.state().buckets.get(bucket).and_then(|bucket| bucket.options.kms_key.clone());
        let key = put.kms_key.clone().or(default).map(|key| key_arn(&key));
        self.check_key(key.as_deref(), "kms:GenerateDataKey")?;
        Ok(key)
    }

    pub fn remove(&self, request: &Request) -> dto::DeleteObjectOutput {
        if let Some(wanted) = &request.version_id {
            let mut state = self.store.state();
            let bucket = state.buckets.entry(request.bucket.clone()).or_default();
            if let Some(versions) = bucket.objects.get_mut(&request.key) {
                versions.retain(|version| version.version_id.as_deref().unwrap_or("null") != wanted);
                if versions.is_empty() {
                    bucket.objects.remove(&request.key);
                }
            }
            return dto::DeleteObjectOutput { version_id: Some(wanted.clone()), ..Default::default() };
        }
        let marker = self.store.delete(&request.bucket, &request.key);
        dto::DeleteObjectOutput {
            delete_marker: marker.version_id.as_ref().map(|_| true),
            version_id: marker.version_id,
            ..Default::default()
        }
    }

    pub fn start_upload(
        &self,
        input: dto::CreateMultipartUploadInput,
    ) -> S3Result<dto::CreateMultipartUploadOutput> {
        let put = Put {
            content_type: input.content_type,
            content_encoding: input.content_encoding.filter(|encoding| encoding != "aws-chunked"),
            kms_key: kms_key(input.server_side_encryption.as_ref(), input.ssekms_key_id),
            metadata: input.metadata.unwrap_or_default(),
            ..Put::default()
        };
        let kms_key = self.key_for(&input.bucket, &put)?;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let upload_id = self.store.start_upload(Upload { bucket, key, put, parts: BTreeMap::new() });
        Ok(dto::CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            server_side_encryption: Some(encryption(kms_key.as_ref())),
            ssekms_key_id: kms_key,
            upload_id: Some(upload_id),
            ..Default::default()
        })
    }

    pub fn add_part(&self, upload_id: &str, number: i32, bytes: Bytes) -> S3Result<dto::UploadPartOutput> {
        let etag = md5_hex(&bytes);
        let mut state = self.store.state();
        let upload = state.uploads.get_mut(upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(number, bytes);
        Ok(dto::UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })
    }

    pub fn complete_upload(
        &self,
        input: dto::CompleteMultipartUploadInput,
    ) -> S3Result<dto::CompleteMultipartUploadOutput> {
        let upload = self.store.state().uploads.remove(&input.upload_id);
        let mut upload = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let mut bytes = BytesMut::new();
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        for part in &parts {
            let held = part.part_number.and_then(|number| upload.parts.get(&number));
            bytes.extend_from_slice(held.ok_or_else(|| s3_error!(InvalidPart))?);
        }
        upload.put.etag = Some(format!("{}-{}", md5_hex(&bytes), parts.len()));
        let stored = self.store.put(&upload.bucket, &upload.key, Content::Held(bytes.freeze()), upload.put);
        Ok(dto::CompleteMultipartUploadOutput {
            bucket: Some(stored.bucket),
            key: Some(stored.key),
            e_tag: Some(ETag::Strong(stored.etag)),
            version_id: stored.version_id,
            ..Default::default()
        })
    }

    pub fn abort_upload(&self, upload_id: &str) -> S3Result<dto::AbortMultipartUploadOutput> {
        let upload = self.store.state().uploads.remove(upload_id);
        upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(dto::AbortMultipartUploadOutput::default())
    }
}

fn kms_key(encryption: Option<&ServerSideEncryption>, key: Option<String>) -> Option<String> {
    let is_kms = encryption.is_some_and(|encryption| encryption.as_str() == ServerSideEncryption::AWS_KMS);
    is_kms.then(|| key.unwrap_or_else(|| DEFAULT_KMS_KEY.to_owned()))
}

/// A request's whole body.
pub async fn collected(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut bytes = BytesMut::new();
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok(bytes.freeze())
}
