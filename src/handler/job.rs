//! S3 Batch Operations: a verdict for each task, which its completion report keeps (S3 user guide, "Invoke AWS Lambda
//! function": response fields and result codes).

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::{Answer, load_all, passed_over, sorted};
use crate::context::Context;
use crate::error::{Class, Error};
use crate::event::{Door, Job, Task};
use crate::load::Invocation;
use crate::report::{ErrorReport, Report, Status};

/// A line of a completion report; longer ones are hard to read in a CSV file.
const RESULT_CHARS_MAX: usize = 1_000;

/// What one task is told.
struct Verdict {
    code: &'static str,
    text: String,
    class: Option<Class>,
}

impl Verdict {
    fn of_error(error: &ErrorReport) -> Self {
        // What may pass is tried again before the job ends; the rest must be put right first.
        let code = if error.class == Class::Transient { "TemporaryFailure" } else { "PermanentFailure" };
        Self { code, text: error.line(), class: Some(error.class) }
    }
}

pub(super) async fn job(context: &mut Context, job: &Job, invocation: &Invocation<'_>) -> Answer {
    let mut verdicts = Vec::with_capacity(job.tasks.len());
    for task in &job.tasks {
        verdicts.push(verdict(context, task, invocation).boxed().await);
    }
    answer(job, &verdicts)
}

/// The answer where nothing can be loaded at all.
pub(super) fn refused(job: &Job, error: &Error) -> Answer {
    let verdicts = job.tasks.iter().map(|_| Verdict::of_error(&error.into()));
    answer(job, &verdicts.collect::<Vec<_>>())
}

async fn verdict(context: &mut Context, task: &Task, invocation: &Invocation<'_>) -> Verdict {
    let batch = match &task.content {
        Ok(batch) => batch,
        Err(error) => {
            tracing::error!(task_id = task.id, error = %error, hint = error.hint(), "task not understood");
            return Verdict::of_error(&error.into());
        }
    };
    let (requests, ignored) = sorted(context, batch);
    let ignored = passed_over(&ignored);
    let reports = load_all(context, Door::BatchOperations, &requests, None, invocation).await;
    match (reports.first(), ignored.first()) {
        (Some(report), _) => of_report(report),
        (None, Some((_, reason))) => {
            Verdict { code: "Succeeded", text: format!("status=ignored,reason={reason}"), class: None }
        }
        (None, None) => Verdict { code: "Succeeded", text: "status=ignored".to_owned(), class: None },
    }
}

fn of_report(report: &Report) -> Verdict {
    if let Some(error) = &report.error {
        return Verdict::of_error(error);
    }
    let mut text =
        format!("status={},rows={},rejected={}", report.status.name(), report.row_count, report.reject_count);
    for (name, count) in [("inserted", report.inserted_count), ("updated", report.updated_count)] {
        if let Some(count) = count {
            text.push_str(&format!(",{name}={count}"));
        }
    }
    if let Some(rejects) = &report.rejects {
        text.push_str(&format!(",rejects={rejects}"));
    }
    if let Some(reason) = &report.reason {
        text.push_str(&format!(",reason={reason}"));
    }
    // The job tries the task again, and the load goes on where it was left.
    let code = if report.status == Status::Continued { "TemporaryFailure" } else { "Succeeded" };
    Verdict { code, text, class: None }
}

fn answer(job: &Job, verdicts: &[Verdict]) -> Answer {
    let ignored = match job.unknown_arguments.as_slice() {
        [] => String::new(),
        names => format!("; userArguments that mean nothing here: {}", names.join(", ")),
    };
    let results: Vec<Value> = job
        .tasks
        .iter()
        .zip(verdicts)
        .map(|(task, verdict)| {
            let text: String = format!("{}{ignored}", verdict.text).replace(['\n', '\r'], " ");
            let text: String = text.chars().take(RESULT_CHARS_MAX).collect();
            json!({"taskId": task.id, "resultCode": verdict.code, "resultString": text})
        })
        .collect();
    let body = json!({
        "invocationSchemaVersion": job.schema_version,
        // A task that gets no result, which cannot be: better looked at than taken for done.
        "treatMissingKeysAs": "PermanentFailure",
        "invocationId": job.invocation_id,
        "results": results,
    });
    Answer::Done { body, classes: verdicts.iter().filter_map(|verdict| verdict.class).collect() }
}
