//! SQS: every message has its own verdict, and comes back when that makes sense.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};

use super::sweep::sweep_of_message;
use super::{Answer, load_all, passed_over, refusal, sorted, unreadable};
use crate::aws::Aws;
use crate::context::Context;
use crate::error::{Class, Error};
use crate::event::{Door, Message};
use crate::handover::Next;
use crate::load::Invocation;
use crate::report::Report;

/// The first pause of a message that is to be tried again.
const RETRY_DELAY_S: u32 = 5;
/// And the longest.
const RETRY_DELAY_MAX_S: u32 = 900;

pub(super) async fn messages(
    context: &mut Context,
    messages: &[Message],
    invocation: &Invocation<'_>,
) -> Answer {
    let mut all = Vec::new();
    let mut failed = Vec::new();
    for message in messages {
        let open = load_message(context, message, invocation).await;
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
pub(super) async fn refused(
    aws: &Aws,
    messages: &[Message],
    error: &Error,
    invocation: &Invocation<'_>,
) -> Answer {
    for message in messages {
        delay(Some(aws), message, error.class(), invocation).await;
    }
    tracing::error!(error = %error, error_class = error.class().name(), hint = error.hint(), "messages not handled");
    listed(&messages.iter().collect::<Vec<_>>(), vec![error.class()])
}

/// Loads what a message holds; the classes of what failed and is not acknowledged. Of what was not understood neither ledger
/// nor reject object tells: that is never acknowledged.
async fn load_message(context: &mut Context, message: &Message, invocation: &Invocation<'_>) -> Vec<Class> {
    let batch = match &message.content {
        Ok(batch) => batch,
        Err(error) => {
            tracing::error!(message_id = message.id, error = %error, hint = error.hint(), "message not understood");
            return vec![error.class()];
        }
    };
    let (requests, ignored) = sorted(context, batch);
    passed_over(&ignored);
    let next = message.queue_arn.as_deref().map(Next::Queue);
    let reports = load_all(context, Door::Sqs, &requests, next, invocation).await;
    let is_acknowledged = |class: &Class| context.acknowledge_failed && *class == Class::Input;
    let of_objects = reports.iter().filter_map(Report::class).filter(|class| !is_acknowledged(class));
    let mut classes: Vec<Class> = of_objects.chain(unreadable(batch)).collect();
    for selection in &batch.sweeps {
        classes.extend(sweep_of_message(context, selection, message.queue_arn.as_deref(), invocation).await);
    }
    classes
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
