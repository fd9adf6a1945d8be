//! Sweeps: a request for objects that are still to be found, invoked directly or as a message of the queue that it handed itself
//! to.

use futures_util::FutureExt;

use super::{Answer, error_message, log};
use crate::context::Context;
use crate::error::{Class, Error, Result};
use crate::event::{Batch, Door, Selection};
use crate::handover::CONTINUE_MAX;
use crate::load::Invocation;
use crate::object::Request;
use crate::report::{self, ErrorReport, Report};
use crate::reprocess::{INLINE_MAX, Means, Outcome, reprocess};

/// Objects that one invocation loads of a prefix; as many reports fit into an answer of 6 MB many times over.
const REPROCESS_MAX: usize = 100;

/// What was found and loaded, or handed on, as the answer of a direct invocation.
pub(super) async fn sweep(
    context: &mut Context,
    selection: &Selection,
    invocation: &Invocation<'_>,
) -> Answer {
    let queue = context.queue.clone();
    let (reports, outcome) = run(context, selection, queue.as_deref(), INLINE_MAX, invocation).await;
    answer(selection, &reports, &outcome)
}

/// The same for a message: no load happens here, so that each object has a message, and with it a verdict, of its own.
pub(super) async fn sweep_of_message(
    context: &mut Context,
    selection: &Selection,
    queue_arn: Option<&str>,
    invocation: &Invocation<'_>,
) -> Vec<Class> {
    let queue = context.queue.clone().or_else(|| queue_arn.map(str::to_owned));
    let (_, outcome) = run(context, selection, queue.as_deref(), 0, invocation).await;
    let mut classes = outcome.classes.clone();
    classes.extend(outcome.failure.as_ref().map(Error::class));
    // Nobody reads the answer: what is left must come again.
    let is_left = outcome.is_unfinished(selection) && !outcome.is_handed_on;
    if classes.is_empty() && is_left {
        classes.push(Class::Transient);
    }
    classes
}

/// Objects that were named one by one, where they are too many to be loaded here.
pub(super) async fn queued(
    context: &mut Context,
    batch: &Batch,
    invocation: &Invocation<'_>,
) -> Option<Answer> {
    let queue = context.queue.clone()?;
    let first = batch.requests.first()?;
    // What one message cannot say, or stands beside them, is answered as it came.
    let is_alike =
        |one: &Request| *one == Request { force: first.force, ..Request::manual(one.object.clone()) };
    let is_all = batch.ignored.is_empty() && batch.unreadable.is_empty() && batch.sweeps.is_empty();
    let is_much = batch.may_be_queued && batch.requests.len() > INLINE_MAX;
    if !is_much || !is_all || !batch.requests.iter().all(is_alike) {
        return None;
    }
    let objects = batch.requests.iter().map(|request| request.object.clone()).collect();
    let selection = Selection { objects, force: first.force, ..Selection::default() };
    let (reports, outcome) = run(context, &selection, Some(&queue), 0, invocation).await;
    Some(answer(&selection, &reports, &outcome))
}

async fn run(
    context: &mut Context,
    selection: &Selection,
    queue: Option<&str>,
    inline_max: usize,
    invocation: &Invocation<'_>,
) -> (Vec<Report>, Outcome) {
    let selection = &selection.clone().at(jiff::Timestamp::now().as_millisecond());
    let mut reports = Vec::new();
    let mut keep = |report: Report| {
        log(Door::Manual, &report);
        reports.push(report);
    };
    let load_max = match queue {
        Some(_) => selection.limit.unwrap_or(usize::MAX),
        None => selection.limit.unwrap_or(REPROCESS_MAX).min(REPROCESS_MAX),
    };
    let means = Means { load_max, queue, inline_max, on_progress: None };
    let mut outcome = reprocess(context, selection, means, invocation, &mut keep).boxed().await;
    if let Some(queue) = queue.filter(|_| invocation.deadline.is_some())
        && let Some(rest) = outcome.rest(selection)
    {
        match hand_on(context, &rest, queue, invocation).await {
            Ok(()) => outcome.is_handed_on = true,
            Err(error) => outcome.failure = Some(error),
        }
    }
    told(&outcome);
    (reports, outcome)
}

/// Each time it got further, and so often at the most.
async fn hand_on(
    context: &Context,
    rest: &Selection,
    queue: &str,
    invocation: &Invocation<'_>,
) -> Result<()> {
    if rest.hop > CONTINUE_MAX {
        return Err(Error::config(format!("hand the sweep on: that was done {CONTINUE_MAX} times"))
            .with_hint("give the function more time, or sweep smaller prefixes"));
    }
    let aws = context.aws.as_ref().ok_or_else(|| Error::bug("hand the sweep on without a client"))?;
    let sending = aws.send_message(queue, rest.payload().to_string());
    tokio::time::timeout(invocation.exit_limit(), sending).await.unwrap_or_else(|_| {
        Err(Error::transient("hand the sweep on: no time is left")
            .with_hint("is SQS reached from the function's network?"))
    })
}

fn told(outcome: &Outcome) {
    let error = outcome.failure.as_ref();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                listed_count = outcome.listed_count,
                current_count = outcome.current_count,
                chosen_count = outcome.chosen_count,
                queued_count = outcome.queued_count,
                ignored_count = outcome.ignored_count,
                left_count = outcome.left_count,
                is_cut_short = outcome.is_cut_short,
                is_handed_on = outcome.is_handed_on,
                error_class = error.map(|error| error.class().name()),
                error = error.map(Error::message),
                hint = error.and_then(Error::hint),
                "sweep finished"
            )
        };
    }
    match error {
        Some(_) => line!(error),
        None => line!(info),
    }
}

fn answer(selection: &Selection, reports: &[Report], outcome: &Outcome) -> Answer {
    let sum = outcome.json(selection.dry_run);
    let body = |reports: &[Report], ignored: &[(String, String)]| {
        let mut body = report::answer(reports, ignored);
        body["reprocess"] = sum.clone();
        body
    };
    let mut classes = outcome.classes.clone();
    classes.extend(outcome.failure.as_ref().map(Error::class));
    let Some(class) = classes.iter().copied().min_by_key(|class| class.answer_rank()) else {
        return Answer::Done { body: body(reports, &outcome.ignored), classes };
    };
    let of_sweep = outcome.failure.as_ref().map(ErrorReport::from);
    let errors = of_sweep.into_iter().chain(reports.iter().filter_map(|report| report.error.clone()));
    let message = error_message(class, errors, (reports, &outcome.ignored), body);
    Answer::Failed { class, message, classes }
}
