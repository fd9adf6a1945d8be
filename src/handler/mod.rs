//! One payload in, the answer of its door out. The Lambda runtime and `holoload invoke` both call this.

use futures_util::FutureExt;
use serde_json::Value;

use crate::aws::Aws;
use crate::context::Context;
use crate::doctor;
use crate::error::{Class, Error};
use crate::event::{self, Batch, Door, Event, Ignored};
use crate::handover::{Next, hand_on};
use crate::load::{Invocation, load};
use crate::object::{ObjectRef, Request};
use crate::report::{self, ErrorReport, Report, Status};

mod job;
mod queue;
mod sweep;

use sweep::{queued, sweep};

/// An error answer is cut to this size; Lambda keeps more, but log lines and failure records do not.
const ERROR_BYTES_MAX: usize = 32 * 1024;

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
        Ok(Event::Messages(messages)) => queue::messages(context, &messages, invocation).await,
        Ok(Event::Job(job)) => job::job(context, &job, invocation).await,
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
    let body = report::answer(&[], &[]);
    Answer::Failed {
        class: error.class(),
        message: format!("{} {body}", ErrorReport::from(error).line()),
        classes: vec![error.class()],
    }
}

async fn objects(context: &mut Context, door: Door, batch: &Batch, invocation: &Invocation<'_>) -> Answer {
    if let Some(answer) = queued(context, batch, invocation).await {
        return answer;
    }
    // A caller who waits for the answer goes on by itself.
    let next = invocation.function_arn.filter(|_| door.is_asynchronous()).map(Next::Function);
    let (requests, ignored) = sorted(context, batch);
    let reports = load_all(context, door, &requests, next, invocation).await;
    let ignored = passed_over(&ignored);
    let is_acknowledged =
        |class: Class| door.is_asynchronous() && context.acknowledge_failed && class == Class::Input;
    let of_objects: Vec<Class> = reports.iter().filter_map(Report::class).collect();
    // Of a record that was not understood neither ledger nor reject object tells: it is never acknowledged.
    let of_records: Vec<Class> = unreadable(batch).collect();
    let open = of_objects.iter().filter(|class| !is_acknowledged(**class)).chain(&of_records);
    let worst = open.copied().min_by_key(|class| class.answer_rank());
    let classes = [of_objects.as_slice(), &of_records].concat();
    match worst {
        None => Answer::Done { body: report::answer(&reports, &ignored), classes: Vec::new() },
        Some(class) => {
            let of_objects = reports.iter().filter_map(|report| report.error.clone());
            let errors = of_objects.chain(batch.unreadable.iter().map(ErrorReport::from));
            let message = error_message(class, errors, (&reports, &ignored), report::answer);
            Answer::Failed { class, message, classes }
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

fn passed_over(records: &[Ignored]) -> Vec<(String, String)> {
    for record in records {
        tracing::info!(key = record.key, reason = record.reason, "record ignored");
    }
    records.iter().map(|record| (record.key.clone(), record.reason.clone())).collect()
}

/// The answer where nothing can be loaded at all, in the form of the door.
pub async fn refuse(aws: &Aws, payload: &Value, error: &Error, invocation: &Invocation<'_>) -> Answer {
    match event::parse(payload) {
        Ok(Event::Messages(messages)) => queue::refused(aws, &messages, error, invocation).await,
        Ok(Event::Job(job)) => job::refused(&job, error),
        Ok(Event::Doctor(object)) => doctor_answer(aws, object, invocation).await,
        _ => refusal(error),
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

/// The first error of the class in one line, a space, and the fullest answer that fits.
fn error_message(
    class: Class,
    mut errors: impl Iterator<Item = ErrorReport>,
    (reports, ignored): (&[Report], &[(String, String)]),
    answer: impl Fn(&[Report], &[(String, String)]) -> Value,
) -> String {
    let line = errors.find(|error| error.class == class).map(|error| error.line()).unwrap_or_default();
    let failed: Vec<Report> = reports.iter().filter(|report| report.error.is_some()).cloned().collect();
    // Smaller and smaller, until it fits: all, the failed ones, the first of them, none.
    let bodies = [
        answer(reports, ignored),
        answer(&failed, &[]),
        answer(failed.get(..1).unwrap_or_default(), &[]),
        answer(&[], &[]),
    ];
    let line: String = line.chars().take(ERROR_BYTES_MAX / 8).collect();
    let mut texts = bodies.iter().map(|body| format!("{line} {body}"));
    texts.find(|text| text.len() <= ERROR_BYTES_MAX).unwrap_or(line)
}

/// What was found is the answer, whatever was found: who asks wants to read it.
async fn doctor_answer(aws: &Aws, object: Option<ObjectRef>, invocation: &Invocation<'_>) -> Answer {
    let subject = doctor::Subject::new(aws, object).with_deadline(invocation.deadline);
    let examination = doctor::examine(&subject).boxed().await;
    let body = examination.json();
    tracing::info!(verdict = examination.verdict().name(), doctor = %body["doctor"], "doctor finished");
    Answer::Done { body, classes: examination.classes() }
}
