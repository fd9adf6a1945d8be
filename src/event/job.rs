//! S3 Batch Operations, invocation schemas 1.0 and 2.0 (S3 user guide, "Invoke AWS Lambda function").
//!
//! `aws_lambda_events` drops `s3Bucket` and `userArguments` of 2.0, so the shapes are read here.

use percent_encoding::percent_decode;
use serde_json::Value;

use super::Batch;
use crate::error::{Error, Result};
use crate::object::{ObjectRef, Request};

/// An invocation by a Batch Operations job.
#[derive(Debug)]
pub struct Job {
    /// `invocationSchemaVersion`, to be echoed.
    pub schema_version: String,
    /// `invocationId`, to be echoed.
    pub invocation_id: String,
    /// Today exactly one.
    pub tasks: Vec<Task>,
    /// `userArguments` that mean nothing here.
    pub unknown_arguments: Vec<String>,
}

/// One object of a job.
#[derive(Debug)]
pub struct Task {
    /// `taskId`, to be named in the answer.
    pub id: String,
    /// The object, or why it is not understood.
    pub content: Result<Batch>,
}

pub(super) fn is_job(payload: &Value) -> bool {
    payload.get("job").is_some() && payload.get("tasks").is_some_and(Value::is_array)
}

/// What the job's invocation asks for.
pub(super) fn job(payload: &Value) -> Job {
    let text = |name: &str| payload.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let arguments = payload.pointer("/job/userArguments").and_then(Value::as_object);
    let arguments: Vec<(&String, &Value)> = arguments.into_iter().flatten().collect();
    let said = |name: &str| {
        let said = arguments.iter().find(|(argument, _)| *argument == name);
        said.map_or(Ok(false), |(_, value)| flag(name, value))
    };
    let known = |name: &str| matches!(name, "force" | "dry_run");
    let tasks = payload.get("tasks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Job {
        schema_version: text("invocationSchemaVersion"),
        invocation_id: text("invocationId"),
        tasks: tasks.iter().map(|of| task(of, said("force"), said("dry_run"))).collect(),
        unknown_arguments: arguments
            .iter()
            .map(|(name, _)| (*name).clone())
            .filter(|name| !known(name))
            .collect(),
    }
}

/// Arguments of a job are text, and each language has its own way to write a truth.
fn flag(name: &str, value: &Value) -> Result<bool> {
    let word = value.as_str().map(str::to_ascii_lowercase);
    match (value.as_bool(), word.as_deref()) {
        (Some(said), _) => Ok(said),
        (None, Some("true")) => Ok(true),
        (None, Some("false" | "")) => Ok(false),
        // Taken for `false` it would load what was only to be looked at.
        _ => Err(Error::input(format!("read the job's `userArguments`: `{name}` must be true or false"))
            .with_hint("make the job anew with `\"true\"` or `\"false\"`, or without it")),
    }
}

fn task(task: &Value, force: Result<bool>, dry_run: Result<bool>) -> Task {
    let id = task.get("taskId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let content = force.and_then(|force| object(task, force, dry_run?));
    Task { id, content }
}

fn object(task: &Value, force: bool, dry_run: bool) -> Result<Batch> {
    let text = |name: &str| task.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let bucket = text("s3Bucket").or_else(|| text("s3BucketArn").map(bucket_of_arn));
    let bucket = bucket.ok_or_else(|| {
        Error::input("read the Batch Operations task: it has neither `s3Bucket` nor `s3BucketArn`")
    })?;
    let raw =
        text("s3Key").ok_or_else(|| Error::input("read the Batch Operations task: `s3Key` is missing"))?;
    let key = percent_decode(raw.as_bytes()).decode_utf8().map_err(|_| {
        Error::input(format!("decode the object key `{raw}`: it is not UTF-8"))
            .with_hint("keys in a manifest are URL-encoded UTF-8")
    })?;
    let mut request = Request::manual(ObjectRef { bucket: bucket.to_owned(), key: key.into_owned() });
    request.version.version_id = text("s3VersionId").filter(|id| *id != "null").map(str::to_owned);
    request.force = force;
    request.dry_run = dry_run;
    Ok(Batch { requests: vec![request], ..Batch::default() })
}

/// `arn:aws:s3:::bucket`; an access point is addressed by its whole ARN.
fn bucket_of_arn(arn: &str) -> &str {
    if arn.contains(":accesspoint") {
        return arn;
    }
    arn.rsplit(':').next().unwrap_or(arn)
}
