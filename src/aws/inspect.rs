//! What AWS says of us and of what a load uses: the doctor asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::queue::is_unknown_queue;
use super::{Aws, queue_url, refused, where_denied};
use crate::error::{Error, Result};

/// Who we are to AWS.
#[derive(Clone, Debug)]
pub struct Identity {
    /// User, or role and session.
    pub arn: String,
    /// How far AWS's clock is ahead of ours.
    pub skew_s: Option<i64>,
}

/// What S3 says of a bucket.
#[derive(Clone, Debug)]
pub struct BucketAnswer {
    /// Where it is, where S3 says so.
    pub region: Option<String>,
    /// How far S3's clock is ahead of ours.
    pub skew_s: Option<i64>,
}

/// How a queue is set.
#[derive(Clone, Debug, Default)]
pub struct QueueFacts {
    /// How long a message that was received is hidden.
    pub visibility_s: Option<u64>,
    /// How long a message is kept.
    pub retention_s: Option<u64>,
    /// Receives until a message goes to the dead-letter queue; none without such a queue.
    pub receive_max: Option<u64>,
    /// Messages that wait, about.
    pub waiting_count: Option<u64>,
}

impl Aws {
    /// The region, where one is set.
    pub fn region(&self) -> Option<String> {
        self.config.region().map(ToString::to_string)
    }

    /// Asks STS who we are, which everybody may.
    pub async fn identity(&self) -> Result<Identity> {
        let heard = Heard::default();
        let client = aws_sdk_sts::Client::new(&self.config);
        let asked = client.get_caller_identity().customize().interceptor(heard.clone()).send().await;
        let output = asked.map_err(|error| {
            let error = refused("ask AWS who we are".to_owned(), error);
            // The one about missing credentials knows better.
            let hint =
                "the AWS credentials are wrong or have expired: renew them, or give the function a role";
            if error.code().is_some() { where_denied(error, hint) } else { error }
        })?;
        Ok(Identity { arn: output.arn().unwrap_or_default().to_owned(), skew_s: heard.skew_s() })
    }

    /// Asks for the first object whose key begins with `prefix`.
    pub async fn bucket(&self, bucket: &str, prefix: &str) -> Result<BucketAnswer> {
        let heard = Heard::default();
        let request = self.s3.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1);
        let asked = request.customize().interceptor(heard.clone()).send().await;
        asked.map_err(|error| {
            let error = refused(format!("list `s3://{bucket}/{prefix}`"), error);
            let is_bare = error.code() == Some("AccessDenied");
            let hint = format!("allow s3:ListBucket on arn:aws:s3:::{bucket}");
            if is_bare && !error.hint().is_some_and(|hint| hint.contains("explicitly")) {
                return where_denied(error, &hint);
            }
            error
        })?;
        Ok(BucketAnswer { region: heard.region(), skew_s: heard.skew_s() })
    }

    /// Asks how the queue is set.
    pub async fn queue(&self, arn: &str) -> Result<QueueFacts> {
        let action = || format!("look at the queue `{arn}`");
        let url = queue_url(arn, self.sqs_endpoint().as_deref()).ok_or_else(|| {
            Error::config(action())
                .with_hint("HOLOLOAD_QUEUE must be the queue's ARN: arn:aws:sqs:region:account:name")
        })?;
        let client = aws_sdk_sqs::Client::new(&self.config);
        let asked = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let output = asked.send().await.map_err(|error| {
            let error = refused(action(), error);
            if is_unknown_queue(&error) {
                return error.with_hint("there is no such queue: check HOLOLOAD_QUEUE and its region");
            }
            where_denied(error, &format!("allow sqs:GetQueueAttributes on {arn}"))
        })?;
        let text = |name: QueueAttributeName| output.attributes().and_then(|all| all.get(&name));
        let number = |name| text(name).and_then(|text| text.parse().ok());
        let redrive = text(QueueAttributeName::RedrivePolicy);
        let redrive = redrive.and_then(|text| serde_json::from_str::<Value>(text).ok());
        Ok(QueueFacts {
            visibility_s: number(QueueAttributeName::VisibilityTimeout),
            retention_s: number(QueueAttributeName::MessageRetentionPeriod),
            receive_max: redrive.as_ref().and_then(receive_max),
            waiting_count: number(QueueAttributeName::ApproximateNumberOfMessages),
        })
    }
}

/// SQS takes the number as a number and as text, and answers as it was told.
fn receive_max(redrive: &Value) -> Option<u64> {
    let count = redrive.get("maxReceiveCount")?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}

/// Keeps what the answer's headers say.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<(Option<i64>, Option<String>)>>);

impl Heard {
    fn skew_s(&self) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn region(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Intercept for Heard {
    fn name(&self) -> &'static str {
        "Heard"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let headers = context.response().headers();
        let date =
            headers.get("date").and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let skew_s = date.map(|date| date.secs() - i64::try_from(now).unwrap_or(i64::MAX));
        let region = headers.get("x-amz-bucket-region").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (skew_s, region);
        Ok(())
    }
}
