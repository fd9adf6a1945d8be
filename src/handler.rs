//! One payload in, the answer of its door out. The Lambda runtime and `holoload invoke` both call this.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};
use futures_util::FutureExt;
use serde_json::Value;

use crate::aws::Aws;
use crate::context::Context;
use crate::doctor;
use crate::error::{Class, Error};
use crate::event::{self, Batch, Door, Event, Ignored, Message, Selection};
use crate::handover::{Next, hand_on};
use crate::load::{Invocation, load};
use crate::object::{ObjectRef, Request};
use crate::report::{self, ErrorReport, Report, Status};
use crate::reprocess::reprocess;

/// An error answer is cut to this size; Lambda keeps more, but log lines and failure records do not.
const ERROR_BYTES_MAX: usize = 32 * 1024;
/// Objects that one invocation loads of a prefix; as many reports fit into an answer of 6 MB many times over.
const REPROCESS_MAX: usize = 100;
/// The first pause of a message that is to be tried again.
const RETRY_DELAY_S: u32 = 5;
/// And the longest.
const RETRY_DELAY_MAX_S: u32 = 900;

/// What the door is told.
#[derive(Debug)]
pub enum Answer {
    /// The answer's JSON; of SQS messages it lists the ones that failed.
    Done {
        /// What the door is told.
        body: Value,
        /// Of every object that failed and is not acknowledged.
        classes: Vec<Class>,
    },
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
        Ok(Event::Reprocess(selection)) => sweep(context, &selection, invocation).await,
        Ok(Event::Messages(messages)) => answer_messages(context, &messages, invocation).await,
        Ok(Event::Doctor(object)) => match &context.aws {
            Some(aws) => doctor_answer(aws, object, invocation).await,
            None => refusal(&Error::bug("call the doctor without a client")),
        },
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
    // A caller who waits for the answer goes on by itself.
    let next = match door {
        Door::S3 | Door::Continuation => invocation.function_arn.map(Next::Function),
        Door::Sqs | Door::Manual => None,
    };
    let (requests, passed_over) = sorted(context, batch);
    let reports = load_all(context, door, &requests, next, invocation).await;
    let ignored = ignored(&passed_over);
    let is_acknowledged = |class: Class| {
        matches!(door, Door::S3 | Door::Continuation) && context.acknowledge_failed && class == Class::Input
    };
    let mut classes: Vec<Class> = reports.iter().filter_map(Report::class).collect();
    classes.extend(unreadable(batch));
    let worst = classes
        .iter()
        .copied()
        .filter(|class| !is_acknowledged(*class))
        .min_by_key(|class| class.answer_rank());
    match worst {
        None => Answer::Done { body: report::answer(&reports, &ignored), classes: Vec::new() },
        Some(class) => {
            Answer::Failed { class, message: error_message(class, batch, &reports, &ignored), classes }
        }
    }
}

/// Says what could not be read; a class for each.
fn unreadable(batch: &Batch) -> impl Iterator<Item = Class> + '_ {
    batch.unreadable.iter().map(|error| {
        tracing::error!(error = %error, error_class = error.class().name(), hint = error.hint(), "record not understood");
        error.class()
    })
}

/// What there is to do, and what is passed over: removals are something to do where a route asks for them.
fn sorted(context: &Context, batch: &Batch) -> (Vec<Request>, Vec<Ignored>) {
    let mut requests = batch.requests.clone();
    let mut passed_over = Vec::new();
    for record in &batch.ignored {
        let removal = record.removal.as_deref();
        match removal.filter(|removal| context.planner.follows_removal(&removal.object)) {
            Some(removal) => requests.push(removal.clone()),
            None => passed_over.push(record.clone()),
        }
    }
    (requests, passed_over)
}

fn ignored(records: &[Ignored]) -> Vec<(String, String)> {
    for record in records {
        tracing::info!(key = record.key, reason = record.reason, "record ignored");
    }
    records.iter().map(|record| (record.key.clone(), record.reason.clone())).collect()
}

/// Loads what is to be loaded under a prefix, as much of it as there is time for.
async fn sweep(context: &mut Context, selection: &Selection, invocation: &Invocation<'_>) -> Answer {
    let mut reports = Vec::new();
    let load_max = selection.limit.unwrap_or(REPROCESS_MAX).min(REPROCESS_MAX);
    let mut keep = |report: Report| {
        log(Door::Manual, &report);
        reports.push(report);
    };
    let swept = reprocess(context, selection, load_max, invocation, &mut keep).boxed().await;
    let outcome = match swept {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(error = %error, error_class = error.class().name(), hint = error.hint(), "reprocess failed");
            return refusal(&error);
        }
    };
    let mut body = report::answer(&reports, &outcome.ignored);
    body["reprocess"] = outcome.json(selection.dry_run);
    match outcome.classes.iter().copied().min_by_key(|class| class.answer_rank()) {
        None => Answer::Done { body, classes: Vec::new() },
        Some(class) => {
            let message = error_message(class, &Batch::default(), &reports, &[]);
            Answer::Failed { class, message, classes: outcome.classes }
        }
    }
}

async fn load_all(
    context: &mut Context,
    door: Door,
    requests: &[Request],
    next: Option<Next<'_>>,
    invocation: &Invocation<'_>,
) -> Vec<Report> {
    let mut reports = Vec::with_capacity(requests.len());
    for request in requests {
        let mut report = load(context, request, invocation).boxed().await;
        if let Some(next) = next {
            hand_on(context.aws.as_ref(), request, next, invocation, &mut report).await;
        }
        log(door, &report);
        reports.push(report);
    }
    reports
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

fn error_message(class: Class, batch: &Batch, reports: &[Report], ignored: &[(String, String)]) -> String {
    let of_objects = reports.iter().filter_map(|report| report.error.clone());
    let mut errors = of_objects.chain(batch.unreadable.iter().map(ErrorReport::from));
    let line = errors.find(|error| error.class == class).map_or_else(String::new, |error| {
        let hint = error.hint.map(|hint| format!("; hint: {hint}")).unwrap_or_default();
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
    let mut all = Vec::new();
    let mut failed = Vec::new();
    for message in messages {
        let classes = load_message(context, message, invocation).await;
        let is_acknowledged =
            |class: &Class| context.acknowledge_failed && *class == Class::Input && message.content.is_ok();
        let open: Vec<Class> = classes.into_iter().filter(|class| !is_acknowledged(class)).collect();
        if let Some(worst) = open.iter().copied().min_by_key(|class| class.answer_rank()) {
            delay(context.aws.as_ref(), message, worst, invocation).await;
            failed.push(message);
        }
        all.extend(open);
    }
    listed(&failed, all)
}

/// The answer that tells the queue which messages it must keep.
fn listed(failed: &[&Message], classes: Vec<Class>) -> Answer {
    let mut response = SqsBatchResponse::default();
    for message in failed {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier.clone_from(&message.id);
        response.batch_item_failures.push(failure);
    }
    match serde_json::to_value(&response) {
        Ok(body) => Answer::Done { body, classes },
        Err(source) => refusal(&Error::bug("write the answer").with_source(source)),
    }
}

/// The answer where nothing can be loaded at all; messages come back soon, not after the queue's whole timeout.
pub async fn refuse(aws: &Aws, payload: &Value, error: &Error, invocation: &Invocation<'_>) -> Answer {
    let messages = match event::parse(payload) {
        Ok(Event::Messages(messages)) => messages,
        Ok(Event::Doctor(object)) => return doctor_answer(aws, object, invocation).await,
        _ => return refusal(error),
    };
    for message in &messages {
        delay(Some(aws), message, error.class(), invocation).await;
    }
    tracing::error!(error = %error, error_class = error.class().name(), hint = error.hint(), "messages not handled");
    listed(&messages.iter().collect::<Vec<_>>(), vec![error.class()])
}

/// What was found is the answer, whatever was found: who asks wants to read it.
async fn doctor_answer(aws: &Aws, object: Option<ObjectRef>, invocation: &Invocation<'_>) -> Answer {
    let subject = doctor::Subject::new(aws, object).with_deadline(invocation.deadline);
    let examination = doctor::examine(&subject).boxed().await;
    let body = examination.json();
    tracing::info!(verdict = examination.verdict().name(), doctor = %body["doctor"], "doctor finished");
    Answer::Done { body, classes: examination.classes() }
}

/// Loads what a message holds; the classes of what failed.
async fn load_message(context: &mut Context, message: &Message, invocation: &Invocation<'_>) -> Vec<Class> {
    let batch = match &message.content {
        Ok(batch) => batch,
        Err(error) => {
            tracing::error!(message_id = message.id, error = %error, hint = error.hint(), "message not understood");
            return vec![error.class()];
        }
    };
    let (requests, passed_over) = sorted(context, batch);
    ignored(&passed_over);
    let next = message.queue_arn.as_deref().map(Next::Queue);
    let reports = load_all(context, Door::Sqs, &requests, next, invocation).await;
    reports.iter().filter_map(Report::class).chain(unreadable(batch)).collect()
}

/// Without this a message would come back after the queue's whole visibility timeout, 90 minutes. What may be put
/// right (a busy object, a restart, an address not yet allow-listed) is left more and more time; content that failed
/// repeats its verdict at little cost, so that it reaches the dead-letter queue soon.
async fn delay(aws: Option<&Aws>, message: &Message, class: Class, invocation: &Invocation<'_>) {
    let (Some(aws), Some(arn), Some(receipt)) = (aws, &message.queue_arn, &message.receipt_handle) else {
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
