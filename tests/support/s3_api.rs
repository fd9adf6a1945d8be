//! S3's operations over the store, as the API answers them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use s3s::dto;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::s3::{CALLER, Fault, KeyState, Operation, Request};
use super::s3_body::Connection;
use super::s3_read::encryption;
use super::s3_store::{Bucket, Record, Store, Version, key_arn};
use super::s3_write::collected;

/// S3 as one connection sees it.
pub struct Api {
    pub store: Arc<Store>,
    pub connection: Arc<Connection>,
}

impl Api {
    pub fn new(store: Arc<Store>, connection: Arc<Connection>) -> Self {
        Self { store, connection }
    }

    /// Records a request, lets its faults happen, and then does the work.
    async fn answer<T>(
        &self,
        request: Request,
        work: impl FnOnce(&Arc<Record>, Vec<Fault>) -> S3Result<T>,
    ) -> S3Result<S3Response<T>> {
        let (record, faults) = self.store.begin(request);
        let result = match self.refusal(&record.request, &faults).await {
            Some(error) => Err(error),
            None => work(&record, faults),
        };
        let status = match &result {
            Ok(_) => record.status.load(Ordering::Relaxed).max(200),
            Err(error) => error.status_code().map_or(500, |status| status.as_u16()),
        };
        if !self.connection.is_broken() {
            record.status.store(status, Ordering::Relaxed);
        }
        result.map(S3Response::new)
    }

    async fn refusal(&self, request: &Request, faults: &[Fault]) -> Option<S3Error> {
        for fault in faults {
            match fault {
                Fault::Stall(duration) => tokio::time::sleep(*duration).await,
                Fault::Close => {
                    self.connection.break_off();
                    return Some(s3_error!(InternalError, "nobody reads this"));
                }
                Fault::Error { status, code, message } => return Some(error(*status, code, message.clone())),
                _ => {}
            }
        }
        let state = self.store.state();
        let Some(bucket) = state.buckets.get(&request.bucket) else {
            return Some(no_such_bucket());
        };
        let region = bucket.options.region.as_deref()?;
        (request.region.as_deref() != Some(region)).then(|| {
            let message = "The bucket you are attempting to access must be addressed using the specified endpoint. \
                           Please send all future requests to this endpoint.";
            with_header(error(301, "PermanentRedirect", message.to_owned()), "x-amz-bucket-region", region)
        })
    }

    pub fn find(&self, request: &Request) -> S3Result<Version> {
        let state = self.store.state();
        let bucket = bucket_of(&state.buckets, request)?;
        let versions = bucket.objects.get(&request.key).map_or(&[][..], Vec::as_slice);
        let Some(wanted) = &request.version_id else {
            return match versions.last() {
                Some(version) if version.content.is_some() => Ok(version.clone()),
                _ if bucket.options.hides_missing => Err(list_denied(request)),
                Some(_) => Err(with_header(no_such_key(), "x-amz-delete-marker", "true")),
                None => Err(no_such_key()),
            };
        };
        let version =
            versions.iter().find(|version| version.version_id.as_deref().unwrap_or("null") == wanted);
        match version {
            Some(version) if version.content.is_some() => Ok(version.clone()),
            Some(_) => {
                let message = "The specified method is not allowed against this resource.";
                let error = s3_error!(MethodNotAllowed, "{message}");
                Err(with_header(error, "x-amz-delete-marker", "true"))
            }
            None => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
        }
    }

    /// Whether the key may be used, as S3 asks KMS.
    pub fn check_key(&self, key: Option<&str>, action: &str) -> S3Result<()> {
        let Some(key) = key else { return Ok(()) };
        let arn = key_arn(key);
        match self.store.state().key_state(&arn) {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(error(400, "KMS.DisabledException", format!("{arn} is disabled."))),
            KeyState::PendingDeletion => {
                Err(error(400, "KMS.KMSInvalidStateException", format!("{arn} is pending deletion.")))
            }
            KeyState::NotFound => {
                Err(error(400, "KMS.NotFoundException", format!("Key '{arn}' does not exist")))
            }
            KeyState::Denied => Err(s3_error!(
                AccessDenied,
                "User: {CALLER} is not authorized to perform: {action} on resource: {arn} because no \
                 identity-based policy allows the {action} action"
            )),
        }
    }
}

fn error(status: u16, code: &str, message: String) -> S3Error {
    let Ok(code) = code.parse::<S3ErrorCode>();
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status.try_into().expect("an HTTP status"));
    error
}

pub fn with_header(mut error: S3Error, name: &'static str, value: &str) -> S3Error {
    let mut headers = S3Response::new(()).headers;
    headers.insert(name, value.parse().expect("a header's value"));
    error.set_headers(headers);
    error
}

pub fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub fn bucket_of<'a>(buckets: &'a BTreeMap<String, Bucket>, request: &Request) -> S3Result<&'a Bucket> {
    buckets.get(&request.bucket).ok_or_else(no_such_bucket)
}

/// What the caller is told who may read objects and not list them.
pub fn list_denied(request: &Request) -> S3Error {
    s3_error!(
        AccessDenied,
        "User: {CALLER} is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::{}\" because no \
         identity-based policy allows the s3:ListBucket action",
        request.bucket
    )
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

/// What is recorded of a request; `key` is a prefix for listings.
fn request<T>(
    operation: Operation,
    request: &S3Request<T>,
    bucket: &str,
    key: &str,
    version_id: Option<&String>,
) -> Request {
    let header = |name: &str| Some(request.headers.get(name)?.to_str().ok()?.to_owned());
    Request {
        operation,
        method: request.method.to_string(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        range: header("range"),
        if_match: header("if-match"),
        version_id: version_id.cloned(),
        region: request.region.as_ref().map(|region| region.as_str().to_owned()),
        status: 0,
        bytes_sent: 0,
    }
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn get_object(
        &self,
        req: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let input = &req.input;
        let request = request(Operation::Get, &req, &input.bucket, &input.key, input.version_id.as_ref());
        if req.headers.contains_key("x-amz-server-side-encryption") {
            return Err(s3_error!(
                InvalidArgument,
                "x-amz-server-side-encryption header is not supported for this operation."
            ));
        }
        self.answer(request, |record, faults| self.get(input, record, faults)).await
    }

    async fn head_object(
        &self,
        req: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let input = &req.input;
        let request = request(Operation::Head, &req, &input.bucket, &input.key, input.version_id.as_ref());
        self.answer(request, |record, _| self.head(input, &record.request)).await
    }

    async fn put_object(
        &self,
        mut req: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        let bytes = collected(req.input.body.take()).await?;
        let request = request(Operation::Put, &req, &req.input.bucket, &req.input.key, None);
        self.answer(request, |_, _| self.put(req.input, bytes)).await
    }

    async fn delete_object(
        &self,
        req: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        let input = &req.input;
        let request = request(Operation::Delete, &req, &input.bucket, &input.key, input.version_id.as_ref());
        self.answer(request, |record, _| Ok(self.remove(&record.request))).await
    }

    async fn delete_objects(
        &self,
        req: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        let request = request(Operation::Delete, &req, &req.input.bucket, "", None);
        self.answer(request, |record, _| {
            let deleted = req.input.delete.objects.into_iter().map(|object| {
                let (key, version_id) = (object.key, object.version_id);
                let removed = self.remove(&Request {
                    key: key.clone(),
                    version_id: version_id.clone(),
                    ..record.request.clone()
                });
                dto::DeletedObject {
                    key: Some(key),
                    delete_marker: removed.delete_marker,
                    delete_marker_version_id: removed.delete_marker.and(removed.version_id),
                    version_id,
                }
            });
            Ok(dto::DeleteObjectsOutput { deleted: Some(deleted.collect()), ..Default::default() })
        })
        .await
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let input = &req.input;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let request = request(Operation::List, &req, &input.bucket, prefix, None);
        self.answer(request, |record, _| self.list(input, &record.request)).await
    }

    async fn head_bucket(
        &self,
        req: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        let request = request(Operation::Bucket, &req, &req.input.bucket, "", None);
        self.answer(request, |record, _| {
            let state = self.store.state();
            let options = &bucket_of(&state.buckets, &record.request)?.options;
            if options.hides_missing {
                return Err(list_denied(&record.request));
            }
            Ok(dto::HeadBucketOutput { bucket_region: options.region.clone(), ..Default::default() })
        })
        .await
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        let request = request(Operation::Bucket, &req, &req.input.bucket, "", None);
        self.answer(request, |record, _| {
            let state = self.store.state();
            let region = bucket_of(&state.buckets, &record.request)?.options.region.clone();
            Ok(dto::GetBucketLocationOutput { location_constraint: region.map(Into::into) })
        })
        .await
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<dto::GetBucketVersioningInput>,
    ) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
        let request = request(Operation::Bucket, &req, &req.input.bucket, "", None);
        self.answer(request, |record, _| {
            let state = self.store.state();
            let options = &bucket_of(&state.buckets, &record.request)?.options;
            let status = options.versioning.then(|| "Enabled".to_owned().into());
            Ok(dto::GetBucketVersioningOutput { status, ..Default::default() })
        })
        .await
    }

    async fn get_bucket_encryption(
        &self,
        req: S3Request<dto::GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<dto::GetBucketEncryptionOutput>> {
        let request = request(Operation::Bucket, &req, &req.input.bucket, "", None);
        self.answer(request, |record, _| {
            let state = self.store.state();
            let key = bucket_of(&state.buckets, &record.request)?.options.kms_key.as_deref().map(key_arn);
            let default = dto::ServerSideEncryptionByDefault {
                sse_algorithm: encryption(key.as_ref()),
                kms_master_key_id: key.clone(),
            };
            let rule = dto::ServerSideEncryptionRule {
                bucket_key_enabled: key.as_ref().map(|_| true),
                apply_server_side_encryption_by_default: Some(default),
            };
            let configuration = dto::ServerSideEncryptionConfiguration { rules: vec![rule] };
            Ok(dto::GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
        })
        .await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        let request = request(Operation::Multipart, &req, &req.input.bucket, &req.input.key, None);
        self.answer(request, |_, _| self.start_upload(req.input)).await
    }

    async fn upload_part(
        &self,
        mut req: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        let bytes = collected(req.input.body.take()).await?;
        let input = &req.input;
        let request = request(Operation::Multipart, &req, &input.bucket, &input.key, None);
        self.answer(request, |_, _| self.add_part(&input.upload_id, input.part_number, bytes)).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        let request = request(Operation::Multipart, &req, &req.input.bucket, &req.input.key, None);
        self.answer(request, |_, _| self.complete_upload(req.input)).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        let input = &req.input;
        let request = request(Operation::Multipart, &req, &input.bucket, &input.key, None);
        self.answer(request, |_, _| self.abort_upload(&input.upload_id)).await
    }
}
