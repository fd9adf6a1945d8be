//! S3, SQS, Secrets Manager and Lambda: clients built once, and what their refusals mean.
//!
//! Error codes and their causes are those of the S3 user guide ("Troubleshoot 403 errors", "Error responses").
//! SDK errors are mapped by hand: printed whole they would put headers and bodies into the log.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use serde_json::Value;

use crate::error::{Class, Error, Result, causes};

mod inspect;
mod list;
mod queue;
mod range;

pub use inspect::{BucketAnswer, Identity, QueueFacts};
pub use list::{Listed, Page};
pub use queue::GROUP_MESSAGES_MAX;
pub use range::Part;

/// A TCP and TLS connect to S3 takes milliseconds; this waits out a lost packet or two.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Until the first byte of an answer; S3 says 100–200 ms, archives and throttles take longer.
const READ_TIMEOUT_MS: u64 = 30_000;
/// Attempts of the SDK for one request, the first included.
const ATTEMPTS_MAX: u32 = 4;

/// The clients.
#[derive(Clone, Debug)]
pub struct Aws {
    s3: aws_sdk_s3::Client,
    config: aws_config::SdkConfig,
}

/// Which version of an object is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// `versionId`.
    pub version_id: Option<String>,
    /// `If-Match`, without quotes.
    pub etag: Option<String>,
}

/// What S3 says of an object.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// `versionId`, when the bucket has versions.
    pub version_id: Option<String>,
    /// Without quotes.
    pub etag: Option<String>,
    /// Bytes of the whole object.
    pub size: Option<u64>,
    /// Milliseconds since 1970.
    pub last_modified_ms: Option<i64>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The KMS key, for SSE-KMS.
    pub kms_key: Option<String>,
}

impl Aws {
    /// Reads region, credentials, endpoints and proxies as every AWS tool does.
    pub async fn from_environment() -> Self {
        Self::of_profile(None).await
    }

    /// The same by a profile of the AWS configuration, in place of `AWS_PROFILE`.
    pub async fn of_profile(profile: Option<&str>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS))
            .read_timeout(Duration::from_millis(READ_TIMEOUT_MS))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX));
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        let said = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = said("AWS_ENDPOINT_URL_S3").or_else(|| config.endpoint_url().map(str::to_owned));
        let is_path = is_path_style(said("HOLOLOAD_S3_STYLE").as_deref(), endpoint.as_deref());
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(is_path);
        Self { s3: aws_sdk_s3::Client::from_conf(s3.build()), config }
    }

    /// Opens the object's body from byte `from` on, pinned.
    pub async fn get(&self, bucket: &str, key: &str, pin: &Pin, from: u64) -> Result<(Head, Body)> {
        let request = self
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .set_version_id(pin.version_id.clone())
            .set_if_match(pin.etag.as_ref().map(|etag| format!("\"{etag}\"")))
            .set_range((from > 0).then(|| format!("bytes={from}-")));
        let action = || format!("open `s3://{bucket}/{key}`");
        let output = request.send().await.map_err(|error| refused(action(), error))?;
        if from > 0 && !starts_at(&output, from) {
            return Err(Error::transient(action()).with_hint("S3 answered another range than was asked for"));
        }
        let head = Head {
            version_id: own_version(output.version_id()),
            etag: output.e_tag().map(unquoted),
            size: whole_size(&output, from),
            last_modified_ms: output.last_modified().and_then(|at| at.to_millis().ok()),
            content_type: output.content_type().map(str::to_owned),
            kms_key: output.ssekms_key_id().map(str::to_owned),
        };
        Ok((head, Body(output.body)))
    }

    /// Asks for the object's version and size.
    pub async fn head(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Result<Head> {
        let request =
            self.s3.head_object().bucket(bucket).key(key).set_version_id(version_id.map(str::to_owned));
        let output =
            request.send().await.map_err(|error| refused(format!("look at `s3://{bucket}/{key}`"), error))?;
        Ok(Head {
            version_id: own_version(output.version_id()),
            etag: output.e_tag().map(unquoted),
            size: output.content_length().and_then(|size| u64::try_from(size).ok()),
            last_modified_ms: output.last_modified().and_then(|at| at.to_millis().ok()),
            content_type: output.content_type().map(str::to_owned),
            kms_key: output.ssekms_key_id().map(str::to_owned),
        })
    }

    /// Writes a small object.
    pub async fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<()> {
        let request = self
            .s3
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes));
        request.send().await.map_err(|error| refused(format!("write `s3://{bucket}/{key}`"), error))?;
        Ok(())
    }

    /// Reads a small object whole: the configuration.
    pub async fn text(&self, bucket: &str, key: &str, bytes_max: usize) -> Result<String> {
        let (_, mut body) = self.get(bucket, key, &Pin::default(), 0).await?;
        let mut text = Vec::new();
        while let Some(chunk) = body.next().await.transpose()? {
            if text.len() + chunk.len() > bytes_max {
                return Err(Error::config(format!("`s3://{bucket}/{key}` is larger than {bytes_max} bytes")));
            }
            text.extend_from_slice(&chunk);
        }
        String::from_utf8(text).map_err(|_| Error::config(format!("`s3://{bucket}/{key}` is not UTF-8")))
    }

    /// User and password from a Secrets Manager secret that holds `{"username", "password"}`.
    pub async fn login(&self, secret: &str) -> Result<(Option<String>, String)> {
        let action = || "read the secret with user and password".to_owned();
        let client = aws_sdk_secretsmanager::Client::new(&self.config);
        let output = client
            .get_secret_value()
            .secret_id(secret)
            .send()
            .await
            .map_err(|error| refused(action(), error))?;
        let wrong = || {
            Error::config(action())
                .with_hint("the secret must be JSON: {\"username\": \"…\", \"password\": \"…\"}")
        };
        let value: Value =
            serde_json::from_str(output.secret_string().unwrap_or_default()).map_err(|_| wrong())?;
        let member = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok((member("username"), member("password").ok_or_else(wrong)?))
    }

    /// Makes a message visible again after `delay_s` seconds.
    pub async fn delay_message(&self, queue_arn: &str, receipt_handle: &str, delay_s: u32) -> Result<()> {
        let action = || "change a message's visibility".to_owned();
        let url = queue_url(queue_arn, self.sqs_endpoint().as_deref())
            .ok_or_else(|| Error::config(action()).with_hint("the event has no queue ARN"))?;
        let client = aws_sdk_sqs::Client::new(&self.config);
        client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(delay_s).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| refused(action(), error))?;
        Ok(())
    }

    /// Puts a message into a queue.
    pub async fn send_message(&self, queue_arn: &str, body: String) -> Result<()> {
        let action = || "hand the load on through the queue".to_owned();
        let url = queue_url(queue_arn, self.sqs_endpoint().as_deref())
            .ok_or_else(|| Error::config(action()).with_hint("the event has no queue ARN"))?;
        let client = aws_sdk_sqs::Client::new(&self.config);
        let sent = client.send_message().queue_url(url).message_body(body).send().await;
        sent.map(drop).map_err(|error| {
            refused(action(), error).with_hint("allow sqs:SendMessage on the queue in the function's role")
        })
    }

    /// Invokes a function without waiting for it.
    pub async fn invoke_function(&self, function_arn: &str, payload: String) -> Result<()> {
        let action = || "hand the load on to the next invocation".to_owned();
        let client = aws_sdk_lambda::Client::new(&self.config);
        let request = client
            .invoke()
            .function_name(function_arn)
            .invocation_type(aws_sdk_lambda::types::InvocationType::Event)
            .payload(payload.into_bytes().into());
        request.send().await.map(drop).map_err(|error| {
            let hint =
                "allow lambda:InvokeFunction on the function itself in its role, or deliver through a queue";
            where_denied(refused(action(), error), hint)
        })
    }

    fn sqs_endpoint(&self) -> Option<String> {
        let of = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        of("AWS_ENDPOINT_URL_SQS").or_else(|| self.config.endpoint_url().map(str::to_owned))
    }
}

/// Other stores rarely answer to `bucket.host` names; Alibaba Cloud's OSS answers to nothing else.
fn is_path_style(said: Option<&str>, endpoint: Option<&str>) -> bool {
    match (said, endpoint) {
        (Some(style), _) => style == "path",
        (None, Some(endpoint)) => {
            let host = endpoint.split("://").last().unwrap_or_default();
            let host = host.split(['/', ':']).next().unwrap_or_default();
            !host.ends_with(".aliyuncs.com")
        }
        (None, None) => false,
    }
}

fn where_denied(error: Error, hint: &str) -> Error {
    if error.class() == Class::Access { error.with_hint(hint) } else { error }
}

/// A body that is being read.
#[derive(Debug)]
pub struct Body(ByteStream);

impl Body {
    /// The next bytes, `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        let next = self.0.next().await?;
        Some(next.map_err(|source| {
            Error::transient("read the object's body")
                .with_source(source)
                .with_hint("the connection to S3 broke; the same load can be tried again")
        }))
    }
}

/// S3 calls the version of an object that was put before versioning `null`; it cannot be told from none.
fn own_version(version_id: Option<&str>) -> Option<String> {
    version_id.filter(|id| !id.is_empty() && *id != "null").map(str::to_owned)
}

fn unquoted(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn starts_at(output: &GetObjectOutput, from: u64) -> bool {
    output.content_range().is_some_and(|range| {
        range
            .strip_prefix("bytes ")
            .and_then(|range| range.split('-').next())
            .is_some_and(|first| first.parse() == Ok(from))
    })
}

fn whole_size(output: &GetObjectOutput, from: u64) -> Option<u64> {
    if from == 0 {
        return output.content_length().and_then(|size| u64::try_from(size).ok());
    }
    output.content_range()?.rsplit('/').next()?.parse().ok()
}

/// `arn:aws:sqs:region:account:name` to the queue's URL.
fn queue_url(arn: &str, endpoint: Option<&str>) -> Option<String> {
    let mut parts = arn.split(':').skip(3);
    let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let host = endpoint
        .map_or_else(|| format!("https://sqs.{region}.{suffix}"), |url| url.trim_end_matches('/').to_owned());
    Some(format!("{host}/{account}/{name}"))
}

/// Class and hint of a refused request.
#[expect(clippy::needless_pass_by_value, reason = "errors are consumed where they are mapped")]
fn refused<E>(action: String, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata,
{
    match &error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let raw = service.raw();
            let region = raw.headers().get("x-amz-bucket-region").map(str::to_owned);
            let code = meta.code().unwrap_or_default().to_owned();
            by_code(action, &code, meta.message().unwrap_or_default(), raw.status().as_u16(), region.as_deref())
        }
        SdkError::TimeoutError(_) => Error::transient(format!("{action}: no answer in time")).with_hint(REACH_HINT),
        SdkError::DispatchFailure(failure) => {
            let text = failure.as_connector_error().map(|error| causes(error)).unwrap_or_default();
            if text.contains("credential") {
                return Error::access(format!("{action}: there are no AWS credentials"))
                    .with_hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the function a role");
            }
            // Nothing was sent, and nothing will be the next time.
            if text.contains("region must be set") {
                return Error::config(format!("{action}: no AWS region is set"))
                    .with_hint("set AWS_REGION, or `region` in the profile; of another store any word will do");
            }
            Error::transient(format!("{action}: {text}")).with_hint(REACH_HINT)
        }
        SdkError::ConstructionFailure(_) => Error::config(action).with_hint(
            "the request could not be made: is a region set (AWS_REGION), and are bucket and key valid names?",
        ),
        _ => Error::transient(format!("{action}: the answer broke off or was not understood")).with_hint("try again"),
    }
}

const REACH_HINT: &str =
    "S3 was not reached: check the region and, in a VPC, the gateway endpoint or the NAT gateway";

fn by_code(action: String, code: &str, message: &str, status: u16, region: Option<&str>) -> Error {
    // Answers to HEAD have no body, and so no code.
    let code = match (code, status) {
        ("" | "NotFound", 404) => "NoSuchKey",
        ("", 403) => "AccessDenied",
        ("", 412) => "PreconditionFailed",
        ("", 301) => "PermanentRedirect",
        ("", 503) => "SlowDown",
        (code, _) => code,
    };
    let error = match code {
        "NoSuchKey" => Error::input(action).with_hint(
            "there is no such object: check the key as it is stored (not URL-encoded) and the name of the bucket; or it was deleted meanwhile",
        ),
        "NoSuchVersion" => Error::input(action).with_hint("that version was deleted"),
        "MethodNotAllowed" if status == 405 => Error::input(action).with_hint("that version is a delete marker"),
        "NoSuchBucket" => Error::config(action).with_hint("there is no such bucket: check the name"),
        "PreconditionFailed" => Error::input(action).with_hint("the object was overwritten meanwhile; its own event loads it"),
        "InvalidRange" => Error::input(action).with_hint("the object has no such bytes: it is empty, or shorter than was said"),
        "InvalidObjectState" => Error::input(action).with_hint("the object is archived (Glacier): restore it first"),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "TemporaryRedirect" => {
            let hint = match region {
                Some(region) => format!("the bucket is in region `{region}`: set AWS_REGION={region}"),
                None => "the bucket is in another region: set AWS_REGION to it".to_owned(),
            };
            Error::config(action).with_hint(hint)
        }
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => Error::access(action).with_hint(denied_hint(message)),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken" | "UnrecognizedClientException" => {
            Error::access(action).with_hint("the AWS credentials are wrong or have expired")
        }
        "KMS.DisabledException" => Error::access(action).with_hint("the object's KMS key is disabled: enable it (aws kms enable-key)"),
        "KMS.KMSInvalidStateException" | "KMS.InvalidStateException" => {
            Error::access(action).with_hint("the object's KMS key is pending deletion or not usable: cancel the deletion (aws kms cancel-key-deletion)")
        }
        "KMS.NotFoundException" => Error::access(action).with_hint("the object's KMS key no longer exists, or is in another region"),
        "ResourceNotFoundException" => Error::config(action).with_hint("there is no such secret: check its ARN and region"),
        "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" | "Throttling" | "ThrottlingException"
        | "KMS.ThrottlingException" | "RequestTimeTooSkewed" => {
            Error::transient(action).with_hint("AWS asks to slow down or is unwell: try again")
        }
        _ if status >= 500 => Error::transient(action).with_hint("AWS is unwell: try again"),
        _ if status == 403 => Error::access(action).with_hint(denied_hint(message)),
        _ if code.starts_with("KMS.") => Error::access(action).with_hint("the object's KMS key refuses: look at its state and policy"),
        _ => Error::config(action).with_hint("AWS refused the request; the code says why"),
    };
    let cause =
        if code.is_empty() { format!("AWS answered {status}") } else { format!("AWS answered {code}") };
    error.with_code(code.to_owned()).with_source(cause)
}

/// One 403, many layers: what the message names decides what is said.
fn denied_hint(message: &str) -> String {
    let resource = message.split("on resource: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let resource = resource.map_or("the object's key", |arn| arn.trim_matches('"'));
    if message.contains("kms:GenerateDataKey") {
        return format!("allow kms:GenerateDataKey on {resource} in the role's policy and the key policy");
    }
    if message.contains("kms:Decrypt") || message.contains("kms:") {
        return format!("allow kms:Decrypt on {resource} in the role's policy and the key policy");
    }
    if message.contains("explicit deny") {
        return "a policy denies it explicitly: look at the bucket policy's conditions (source address, VPC endpoint, TLS)".to_owned();
    }
    if message.contains("secretsmanager:") {
        return "allow secretsmanager:GetSecretValue on the secret".to_owned();
    }
    if message.contains("s3:PutObject") {
        return "allow s3:PutObject on the rejects address".to_owned();
    }
    "allow s3:GetObject on the object (s3:GetObjectVersion for a version) and s3:ListBucket on the bucket, without \
     which a missing object also answers 403; then kms:Decrypt on its key, the bucket policy and the endpoint policy"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let of = |code: &str, message: &str, status| by_code("open".to_owned(), code, message, status, None);
        for (code, status, class) in [
            ("NoSuchKey", 404, Class::Input),
            ("", 404, Class::Input),
            ("AccessDenied", 403, Class::Access),
            ("", 403, Class::Access),
            ("KMS.DisabledException", 400, Class::Access),
            ("InvalidObjectState", 403, Class::Input),
            ("PermanentRedirect", 301, Class::Config),
            ("SlowDown", 503, Class::Transient),
            ("Whatever", 500, Class::Transient),
        ] {
            assert_eq!(of(code, "", status).class(), class, "{code} {status}");
        }
        let kms = of(
            "AccessDenied",
            "User: x is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:eu-west-1:1:key/k because no identity-based policy allows it",
            403,
        );
        assert_eq!(
            kms.hint(),
            Some(
                "allow kms:Decrypt on arn:aws:kms:eu-west-1:1:key/k in the role's policy and the key policy"
            )
        );
    }

    #[test]
    fn stores_are_asked_in_their_style() {
        for (said, endpoint, is_path) in [
            (None, None, false),
            (None, Some("http://127.0.0.1:9000"), true),
            (None, Some("https://storage.googleapis.com"), true),
            (None, Some("https://oss-ap-northeast-1.aliyuncs.com/"), false),
            (Some("path"), Some("https://oss-ap-northeast-1.aliyuncs.com"), true),
            (Some("virtual"), Some("http://127.0.0.1:9000"), false),
        ] {
            assert_eq!(is_path_style(said, endpoint), is_path, "{said:?} {endpoint:?}");
        }
    }

    #[test]
    fn queue_addresses_come_from_arns() {
        let arn = "arn:aws:sqs:ap-northeast-1:123456789012:holoload";
        assert_eq!(
            queue_url(arn, None).as_deref(),
            Some("https://sqs.ap-northeast-1.amazonaws.com/123456789012/holoload")
        );
        assert_eq!(
            queue_url(arn, Some("http://127.0.0.1:4566/")).as_deref(),
            Some("http://127.0.0.1:4566/123456789012/holoload")
        );
        assert_eq!(queue_url("nonsense", None), None);
    }
}
