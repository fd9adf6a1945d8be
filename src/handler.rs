//! One payload in, the answer of its door out. The Lambda runtime and `holoload invoke` both call this.

use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};
use futures_util::FutureExt;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Class, Error};
use crate::event::{self, Batch, Door, Event, Ignored, Message};
use crate::load::{Invocation, load};
use crate::object::Request;
use crate::report::{self, Report, Status};

/// An error answer is cut to this size; Lambda keeps more, but log lines and failure records do not.
const ERROR_BYTES_MAX: usize = 32 * 1024;
/// The first pause of a message that is to be tried again.
const RETRY_DELAY_S: u32 = 5;
/// And the longest.
const RETRY_DELAY_MAX_S: u32 = 900;

/// What the door is told.
#[derive(Debug)]
pub enum Answer {
    /// Done, or ignored: the answer's JSON.
    Done(Value),
    /// An error answer.
    Failed {
        /// Becomes `errorType`.
        class: Class,
        /// Becomes `errorMessage`: one line, a space, the reports.
        message: String,
        /// Of every object that failed.
        classes: Vec<Class>,
    },
}

/// Handles one payload.
pub async fn handle(context: &mut Context, payload: &Value, invocation: &Invocation<'_>) -> Answer {
    match event::parse(payload) {
        Ok(Event::Objects { door, batch }) => objects(context, door, &batch, invocation).await,
        Ok(Event::Messages(messages)) => answer_messages(context, &messages, invocation).await,
        Err(error) => {
            tracing::error!(error = %error, error_class = error.class().name(), hint = error.hint(), "event not understood");
            refusal(&error)
        }
    }
}

/// The answer to something that failed before there was an object.
pub fn refusal(error: &Error) -> Answer {
    let mut message = error.message();
    if let Some(hint) = error.hint() {
        message.push_str("; hint: ");
        message.push_str(hint);
    }
    let body = report::answer(&[], &[]);
    Answer::Failed {
        class: error.class(),
        message: format!("{message} {body}"),
        classes: vec![error.class()],
    }
}

async fn objects(context: &mut Context, door: Door, batch: &Batch, invocation: &Invocation<'_>) -> Answer {
    let reports = load_all(context, door, &batch.requests, invocation).await;
    let ignored = ignored(&batch.ignored);
    let is_acknowledged =
        |class: Class| door == Door::S3 && context.acknowledge_failed && class == Class::Input;
    let classes: Vec<Class> = reports.iter().filter_map(Report::class).collect();
    let worst = classes
        .iter()
        .copied()
        .filter(|class| !is_acknowledged(*class))
        .min_by_key(|class| class.answer_rank());
    match worst {
        None => Answer::Done(report::answer(&reports, &ignored)),
        Some(class) => Answer::Failed { class, message: error_message(class, &reports, &ignored), classes },
    }
}

fn ignored(records: &[Ignored]) -> Vec<(String, String)> {
    for record in records {
        tracing::info!(key = record.key, reason = record.reason, "record ignored");
    }
    records.iter().map(|record| (record.key.clone(), record.reason.clone())).collect()
}

async fn load_all(
    context: &mut Context,
    door: Door,
    requests: &[Request],
    invocation: &Invocation<'_>,
) -> Vec<Report> {
    let mut reports = Vec::with_capacity(requests.len());
    for request in requests {
        let report = load_one(context, request, invocation).await;
        log(door, &report);
        reports.push(report);
    }
    reports
}

/// A panic is a defect of ours; it costs this object, not the process.
async fn load_one(context: &mut Context, request: &Request, invocation: &Invocation<'_>) -> Report {
    let loading = AssertUnwindSafe(load(context, request, invocation).boxed()).catch_unwind().await;
    match loading {
        Ok(report) => report,
        Err(_) => {
            context.discard().await;
            let mut report = Report::new(request, jiff::Timestamp::now());
            // The panic's own text may quote a value; its place is in the log.
            report.fail(
                &Error::bug("load the object: holoload panicked")
                    .with_hint("please report this with the log line before"),
            );
            report
        }
    }
}

/// One line for each object: constant message, data in fields.
fn log(door: Door, report: &Report) {
    let json = serde_json::to_string(report).unwrap_or_default();
    let error = report.error.as_ref();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                door = door.name(),
                bucket = report.bucket,
                key = report.key,
                table = report.table,
                status = report.status.name(),
                row_count = report.row_count,
                reject_count = report.reject_count,
                duration_ms = report.duration_ms,
                error_class = error.map(|error| error.class.name()),
                error = error.map(|error| error.message.as_str()),
                hint = error.and_then(|error| error.hint.as_deref()),
                report = json,
                "load finished"
            )
        };
    }
    match report.status {
        Status::Failed => line!(error),
        _ if report.reject_count > 0 || !report.warnings.is_empty() => line!(warn),
        _ => line!(info),
    }
}

fn error_message(class: Class, reports: &[Report], ignored: &[(String, String)]) -> String {
    let first = reports.iter().find(|report| report.class() == Some(class));
    let line = first.and_then(|report| report.error.as_ref()).map_or_else(String::new, |error| {
        let hint = error.hint.as_ref().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
        format!("{}{hint}", error.message)
    });
    let failed: Vec<Report> = reports.iter().filter(|report| report.error.is_some()).cloned().collect();
    // Smaller and smaller, until it fits: all, the failed ones, the first of them, none.
    let bodies = [
        report::answer(reports, ignored),
        report::answer(&failed, &[]),
        report::answer(failed.get(..1).unwrap_or_default(), &[]),
        report::answer(&[], &[]),
    ];
    let line: String = line.chars().take(ERROR_BYTES_MAX / 8).collect();
    let texts = bodies.iter().map(|body| format!("{line} {body}"));
    let mut fitting = texts.filter(|text| text.len() <= ERROR_BYTES_MAX);
    fitting.next().unwrap_or(line)
}

async fn answer_messages(context: &mut Context, messages: &[Message], invocation: &Invocation<'_>) -> Answer {
    let mut response = SqsBatchResponse::default();
    for message in messages {
        if !is_done(context, message, invocation).await {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier.clone_from(&message.id);
            response.batch_item_failures.push(failure);
        }
    }
    match serde_json::to_value(&response) {
        Ok(body) => Answer::Done(body),
        Err(source) => refusal(&Error::bug("write the answer").with_source(source)),
    }
}

/// Whether the queue may forget the message.
async fn is_done(context: &mut Context, message: &Message, invocation: &Invocation<'_>) -> bool {
    let batch = match &message.content {
        Ok(batch) => batch,
        Err(error) => {
            tracing::error!(message_id = message.id, error = %error, hint = error.hint(), "message not understood");
            delay(context, message, Class::Input, invocation).await;
            return false;
        }
    };
    ignored(&batch.ignored);
    let reports = load_all(context, Door::Sqs, &batch.requests, invocation).await;
    let classes: Vec<Class> = reports.iter().filter_map(Report::class).collect();
    let is_acknowledged = |class: &Class| context.acknowledge_failed && *class == Class::Input;
    let open = classes.iter().copied().filter(|class| !is_acknowledged(class));
    let Some(worst) = open.min_by_key(|class| class.answer_rank()) else { return true };
    delay(context, message, worst, invocation).await;
    false
}

/// Without this a message would come back after the queue's whole visibility timeout, 90 minutes. What may be put
/// right (a busy object, a restart, an address not yet allow-listed) is left more and more time; content that failed
/// repeats its verdict at little cost, so that it reaches the dead-letter queue soon.
async fn delay(context: &Context, message: &Message, class: Class, invocation: &Invocation<'_>) {
    let (Some(aws), Some(arn), Some(receipt)) = (&context.aws, &message.queue_arn, &message.receipt_handle)
    else {
        return;
    };
    let count = if class == Class::Input { 1 } else { message.receive_count };
    let seconds = retry_delay_s(count, jiff::Timestamp::now().subsec_nanosecond().unsigned_abs());
    let delaying = tokio::time::timeout(invocation.exit_limit(), aws.delay_message(arn, receipt, seconds));
    let delayed = delaying.await.unwrap_or_else(|_| {
        Err(Error::transient("change a message's visibility: no time is left")
            .with_hint("is SQS reached from the function's network?"))
    });
    if let Err(error) = delayed {
        tracing::warn!(message_id = message.id, error = %error, hint = error.hint(), "message visibility not changed");
    }
}

/// 5 s · 2ⁿ, at most 900 s, of which the later half is left to chance.
fn retry_delay_s(receive_count: u32, noise: u32) -> u32 {
    let doubled = RETRY_DELAY_S.saturating_mul(1 << receive_count.saturating_sub(1).min(10));
    let full = doubled.min(RETRY_DELAY_MAX_S);
    full / 2 + noise % (full / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::retry_delay_s;

    #[test]
    fn delays_grow_within_bounds() {
        for noise in [0, 1, 12_345, u32::MAX] {
            assert!((2..=5).contains(&retry_delay_s(1, noise)));
            assert!((20..=40).contains(&retry_delay_s(4, noise)));
            assert!((450..=900).contains(&retry_delay_s(40, noise)));
            assert!(retry_delay_s(0, noise) <= 5);
        }
    }
}
