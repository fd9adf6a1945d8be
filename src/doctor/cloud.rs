//! The account: who we are, the secret, the queue.

use super::said::Said;
use super::{Check, Subject, Time, secret_id};
use crate::error::{Class, Error};

/// As AWS advises for queues that a function reads ("Using Lambda with Amazon SQS"): a message may wait through retries
/// of throttled batches without showing up again.
const VISIBILITY_FACTOR: u64 = 6;
/// As AWS advises there: below this a passing trouble ends in the dead-letter queue.
const RECEIVES_MIN: u64 = 5;
/// Four days, what a queue has unless told otherwise: a database that is down over a weekend.
const RETENTION_MIN_S: u64 = 345_600;
/// What the template puts into the secret.
const PLACEHOLDER: &str = "fill me in";

/// Who we are to AWS.
pub(super) struct Account {
    pub(super) check: Check,
    /// Nothing that is signed can succeed.
    pub(super) is_unusable: bool,
    pub(super) skew_s: Option<i64>,
}

pub(super) async fn identity(subject: &Subject<'_>, said: &Said, time: &Time) -> Account {
    const NAME: &str = "identity";
    let account = |check| Account { check, is_unusable: true, skew_s: None };
    let is_needed = said.needs_aws(subject);
    let Some(region) = subject.aws.region() else {
        let (found, hint) = ("there is no AWS region", "set AWS_REGION, or a region in AWS_PROFILE");
        return account(if is_needed {
            Check::fail(NAME, Class::Config, found, hint)
        } else {
            Check::skipped(NAME, "nothing that is said needs AWS, and there is no region")
        });
    };
    let hint = "STS was not reached: in a VPC it needs a NAT gateway or an interface endpoint for `sts`; what does not need \
                it works";
    match time.within("ask AWS who we are", hint, subject.aws.identity()).await {
        Ok(identity) => Account {
            check: Check::ok(NAME, format!("{} in {region}", identity.arn)),
            is_unusable: false,
            skew_s: identity.skew_s,
        },
        // Nobody said no: S3 may be reached all the same.
        Err(error) if error.class() == Class::Transient => {
            let check = Check::warn(NAME, error.message(), hint);
            Account { is_unusable: false, ..account(check) }
        }
        Err(error) if is_needed => account(Check::failed(NAME, &error)),
        Err(error) => account(Check::skipped(NAME, format!("nothing that is said needs AWS ({error})"))),
    }
}

/// User and password, where they are kept elsewhere.
pub(super) struct SecretRead {
    pub(super) check: Check,
    pub(super) login: Option<(Option<String>, String)>,
}

pub(super) async fn secret(subject: &Subject<'_>, said: &Said, account: &Account, time: &Time) -> SecretRead {
    const NAME: &str = "secret";
    let only = |check| SecretRead { check, login: None };
    let Some(id) = secret_id(said) else {
        let why = if said.settings.is_some() {
            "none is named: user and password are in the settings"
        } else {
            "because `settings` failed"
        };
        return only(Check::skipped(NAME, why));
    };
    if account.is_unusable {
        return only(Check::because(NAME, "identity"));
    }
    let hint = "Secrets Manager was not reached: in a VPC it needs a NAT gateway or an interface endpoint for \
                `secretsmanager`";
    let login = match time.within("read the secret", hint, subject.aws.login(id)).await {
        Ok(login) => login,
        Err(error) if error.class() == Class::Transient => {
            return only(Check::failed(NAME, &error.with_hint(hint)));
        }
        Err(error) if error.class() == Class::Access => {
            let hint = format!(
                "allow secretsmanager:GetSecretValue on {id}, and kms:Decrypt where its key is your own"
            );
            return only(Check::failed(NAME, &error.with_hint(hint)));
        }
        Err(error) => return only(Check::failed(NAME, &error)),
    };
    let fill = format!(
        "aws secretsmanager put-secret-value --secret-id {id} --secret-string '{{\"username\": \"...\", \"password\": \"...\"}}'"
    );
    if login.1 == PLACEHOLDER {
        return only(Check::fail(NAME, Class::Config, "it still holds the template's placeholders", fill));
    }
    let named = said.settings.as_ref().and_then(|settings| settings.target.as_ref());
    let has_user = login.0.is_some() || named.is_some_and(|target| !target.user.is_empty());
    if !has_user {
        return only(Check::fail(
            NAME,
            Class::Config,
            "it has no `username`, and HOLOLOAD_USER is not set",
            fill,
        ));
    }
    SecretRead { check: Check::ok(NAME, "read: a user and a password"), login: Some(login) }
}

pub(super) async fn queue(subject: &Subject<'_>, account: &Account, time: &Time) -> Check {
    const NAME: &str = "queue";
    let Some(arn) = subject.environment.get("HOLOLOAD_QUEUE") else {
        return Check::skipped(NAME, "HOLOLOAD_QUEUE names none");
    };
    if account.is_unusable {
        return Check::because(NAME, "identity");
    }
    let hint = "SQS was not reached: in a VPC it needs a NAT gateway or an interface endpoint for `sqs`";
    let facts = match time.within("look at the queue", hint, subject.aws.queue(arn)).await {
        Ok(facts) => facts,
        Err(error) if error.class() == Class::Transient => {
            return Check::failed(NAME, &error.with_hint(hint));
        }
        Err(error) => return Check::failed(NAME, &error),
    };
    let name = arn.rsplit(':').next().unwrap_or(arn);
    let visibility_s = facts.visibility_s.unwrap_or(0);
    let receives = facts.receive_max.map_or_else(
        || "no dead-letter queue".to_owned(),
        |count| format!("{count} receives until the dead-letter queue"),
    );
    let mut found = format!("{name}: hidden for {visibility_s} s, {receives}");
    if let Some(retention_s) = facts.retention_s {
        found.push_str(&format!(", kept for {} days", retention_s / 86_400));
    }
    if let Some(count) = facts.waiting_count {
        found.push_str(&format!(", {count} waiting"));
    }
    let timeout_s = subject.function_timeout_s();
    if timeout_s.is_none() {
        found.push_str(&format!("; enough for a function timeout of {} s", visibility_s / VISIBILITY_FACTOR));
    }
    let set = |attributes: &str| {
        format!("aws sqs set-queue-attributes --queue-url {} --attributes '{attributes}'", url(arn))
    };
    let wanted_s = timeout_s.map_or(0, |timeout_s| timeout_s * VISIBILITY_FACTOR);
    if visibility_s < wanted_s {
        let hint = format!(
            "six times the function's timeout: {}",
            set(&format!("{{\"VisibilityTimeout\": \"{wanted_s}\"}}"))
        );
        // Lambda takes no queue whose messages come back while they are being handled.
        if timeout_s.is_some_and(|timeout_s| visibility_s < timeout_s) {
            return Check::fail(NAME, Class::Config, found, hint);
        }
        return Check::warn(NAME, found, hint);
    }
    if facts.receive_max.is_none_or(|count| count < RECEIVES_MIN) {
        let hint = format!(
            "a message that never succeeds needs a dead-letter queue, and one that may succeed {RECEIVES_MIN} receives or more: {}",
            set(
                "{\"RedrivePolicy\": \"{\\\"deadLetterTargetArn\\\": \\\"ARN\\\", \\\"maxReceiveCount\\\": \\\"12\\\"}\"}"
            )
        );
        return Check::warn(NAME, found, hint);
    }
    if facts.retention_s.is_some_and(|retention_s| retention_s < RETENTION_MIN_S) {
        let hint = format!(
            "a database that is down for longer loses events: {}",
            set("{\"MessageRetentionPeriod\": \"1209600\"}")
        );
        return Check::warn(NAME, found, hint);
    }
    Check::ok(NAME, found)
}

/// Where AWS has the queue of this ARN.
fn url(arn: &str) -> String {
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, _, region, account, name] => {
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://sqs.{region}.{suffix}/{account}/{name}")
        }
        _ => "QUEUE_URL".to_owned(),
    }
}

/// An error that a service answered with, or nobody at all.
pub(super) fn reworded(error: Error, unreached: &str) -> Error {
    if error.class() == Class::Transient && error.code().is_none() {
        error.with_hint(unreached)
    } else {
        error
    }
}
