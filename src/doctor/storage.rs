//! S3: the bucket and the way to it, the object and its key, the place for rejects.

use futures_util::FutureExt;

use super::cloud::{Account, reworded};
use super::said::Said;
use super::{Check, Subject, Time};
use crate::aws::{Aws, Head, Pin};
use crate::error::{Class, Error, Result};
use crate::object::ObjectRef;
use crate::reject::Place;

/// The loader's role denies listing the one prefix to requests that come through a VPC endpoint, the other to those that do
/// not (`template.yaml`): which of the two is denied tells the way.
const THROUGH_ENDPOINT: &str = "holoload-doctor/through-endpoint";
const THROUGH_INTERNET: &str = "holoload-doctor/through-internet";
const UNREACHED: &str = "S3 was not reached: check AWS_REGION and, in a VPC, the gateway endpoint's route table or the NAT gateway, \
     and that the security group lets port 443 out";

/// What S3 was found to be.
pub(super) struct Storage {
    pub(super) checks: Vec<Check>,
    pub(super) skew_s: Option<i64>,
}

pub(super) async fn checks(subject: &Subject<'_>, said: &Said, account: &Account, time: &Time) -> Storage {
    let object = subject.object.as_ref();
    let mut storage = Storage { checks: Vec::new(), skew_s: None };
    let bucket = said.bucket(object);
    let is_reached = look_at_bucket(subject, bucket.as_deref(), account, time, &mut storage).await;
    match object.filter(|object| object.is_s3()) {
        None => {
            let why = match object {
                Some(_) => "the source is not in S3",
                None => "no object is named: `holoload doctor s3://bucket/key`, or {\"doctor\": {\"s3\": …}}",
            };
            storage.checks.extend(OBJECT_CHECKS.map(|name| Check::skipped(name, why)));
        }
        Some(_) if account.is_unusable => {
            storage.checks.extend(OBJECT_CHECKS.map(|name| Check::because(name, "identity")));
        }
        Some(_) if !is_reached => {
            storage.checks.extend(OBJECT_CHECKS.map(|name| Check::because(name, "bucket")));
        }
        Some(object) => storage.checks.extend(look_at_object(subject.aws, object, time).await),
    }
    storage.checks.push(rejects(subject, said, account, time).await);
    storage
}

const OBJECT_CHECKS: [&str; 3] = ["object", "encryption", "decrypt"];

/// Answers whether asking for an object there makes sense.
async fn look_at_bucket(
    subject: &Subject<'_>,
    bucket: Option<&str>,
    account: &Account,
    time: &Time,
    storage: &mut Storage,
) -> bool {
    let names = ["bucket", "s3_path"];
    let Some(bucket) = bucket else {
        let why = "no bucket is named, neither by an object nor by a route";
        storage.checks.extend(names.map(|name| Check::skipped(name, why)));
        return true;
    };
    if account.is_unusable {
        storage.checks.extend(names.map(|name| Check::because(name, "identity")));
        return false;
    }
    let prefix = subject.object.as_ref().map_or("", |object| object.key.as_str());
    let asked =
        time.within(&format!("list `s3://{bucket}`"), UNREACHED, subject.aws.bucket(bucket, prefix)).await;
    match asked.map_err(|error| reworded(error, UNREACHED)) {
        Ok(answer) => {
            storage.skew_s = answer.skew_s;
            let region = answer.region.or_else(|| subject.aws.region()).unwrap_or_default();
            storage.checks.push(Check::ok("bucket", format!("{bucket} in {region}, may be listed")));
            storage.checks.push(path(subject.aws, bucket, time).await);
            true
        }
        // Objects may be read all the same; what is missing then looks like what is forbidden.
        Err(error) if error.class() == Class::Access && error.code() == Some("AccessDenied") => {
            storage.checks.push(Check::untold("bucket", &error));
            storage.checks.push(Check::skipped("s3_path", "the bucket may not be listed"));
            true
        }
        Err(error) => {
            storage.checks.push(Check::failed("bucket", &error));
            storage.checks.push(Check::because("s3_path", "bucket"));
            false
        }
    }
}

/// By which way S3 is reached.
async fn path(aws: &Aws, bucket: &str, time: &Time) -> Check {
    const NAME: &str = "s3_path";
    let is_denied = async |prefix: &str| match time
        .within("list a prefix", UNREACHED, aws.bucket(bucket, prefix))
        .await
    {
        Ok(_) => Ok(false),
        Err(error) if error.class() == Class::Access => Ok(true),
        Err(error) => Err(error),
    };
    let denied = (is_denied(THROUGH_ENDPOINT).await, is_denied(THROUGH_INTERNET).await);
    match denied {
        (Ok(false), Ok(true)) => Check::ok(NAME, "through a VPC endpoint"),
        (Ok(true), Ok(false)) => Check::warn(
            NAME,
            "over the internet, not through a VPC endpoint",
            "add an S3 gateway endpoint to the subnets' route table (it is free, a NAT gateway is not); a bucket policy that \
             allows the endpoint alone (aws:SourceVpce) refuses this way",
        ),
        (Ok(_), Ok(_)) => Check::skipped(
            NAME,
            "not told: the role has no statements TellTheInternetPath and TellTheEndpointPath (template.yaml)",
        ),
        (Err(error), _) | (_, Err(error)) => Check::untold(NAME, &error),
    }
}

async fn look_at_object(aws: &Aws, object: &ObjectRef, time: &Time) -> Vec<Check> {
    let looking = aws.head(&object.bucket, &object.key, None);
    let head = match time.within(&format!("look at `{object}`"), UNREACHED, looking).await {
        Ok(head) => head,
        Err(error) => {
            let error = reworded(error, UNREACHED);
            let skipped = ["encryption", "decrypt"].map(|name| Check::because(name, "object"));
            return [Check::failed("object", &error)].into_iter().chain(skipped).collect();
        }
    };
    let version = head.version_id.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let etag = head.etag.as_deref().unwrap_or("none");
    let found = format!("`{object}`, {} bytes{version}, ETag {etag}", head.size.unwrap_or(0));
    vec![Check::ok("object", found), encryption(&head), decrypt(aws, object, &head, time).await]
}

fn encryption(head: &Head) -> Check {
    const NAME: &str = "encryption";
    match &head.kms_key {
        Some(key) => Check::ok(NAME, format!("SSE-KMS with {key}")),
        None => Check::ok(NAME, "SSE-S3, by a key of S3's own"),
    }
}

/// Only reading tells whether the key may be used: HEAD needs none.
async fn decrypt(aws: &Aws, object: &ObjectRef, head: &Head, time: &Time) -> Check {
    const NAME: &str = "decrypt";
    let pin = Pin { version_id: head.version_id.clone(), etag: head.etag.clone() };
    let reading = async {
        let (_, mut body) = aws.get(&object.bucket, &object.key, &pin, 0).await?;
        body.next().await.transpose().map(|chunk| chunk.is_some())
    };
    match time.within(&format!("read `{object}`"), UNREACHED, reading).await {
        Ok(true) => Check::ok(NAME, "its first bytes were read"),
        Ok(false) => Check::warn(NAME, "it was opened, and is empty", "an empty object loads no rows"),
        Err(error) => Check::failed(NAME, &with_key(reworded(error, UNREACHED), head)),
    }
}

/// A refusal by KMS names no key; HEAD did.
fn with_key(error: Error, head: &Head) -> Error {
    let (Some(key), Some(hint)) = (&head.kms_key, error.hint()) else { return error };
    let hint = match error.code() {
        Some("KMS.DisabledException") => format!("the key is disabled: aws kms enable-key --key-id {key}"),
        Some("KMS.KMSInvalidStateException" | "KMS.InvalidStateException") => {
            format!(
                "the key is pending deletion: aws kms cancel-key-deletion --key-id {key}, then enable-key"
            )
        }
        _ if hint.contains(key.as_str()) => return error,
        _ => format!("{hint} (the object's key is {key})"),
    };
    error.with_hint(hint)
}

async fn rejects(subject: &Subject<'_>, said: &Said, account: &Account, time: &Time) -> Check {
    const NAME: &str = "rejects";
    let Some(place) = &said.rejects else {
        let is_known = said.settings.is_some();
        let why = if is_known {
            "HOLOLOAD_REJECTS is not set: the first bad row fails its object"
        } else {
            "because `settings` failed"
        };
        return Check::skipped(NAME, why);
    };
    if matches!(place, Place::S3 { .. }) && account.is_unusable {
        return Check::because(NAME, "identity");
    }
    let written: Result<String> =
        time.within("write to the rejects address", UNREACHED, place.probe(subject.aws).boxed()).await;
    match written.map_err(|error| reworded(error, UNREACHED)) {
        Ok(address) => Check::ok(NAME, format!("wrote `{address}` (empty)")),
        Err(error) => Check::failed(NAME, &error),
    }
}
