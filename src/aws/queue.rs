//! Many messages into a queue, in batches.

use std::time::Duration;

use aws_sdk_sqs::config::{Builder, Region};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::future::try_join_all;

use super::{Aws, queue_url, refused, where_denied};
use crate::error::{Error, Result};

/// Messages in one call; SQS takes no more. Ten addresses of objects are far below its 1 MiB.
const BATCH_MESSAGES_MAX: usize = 10;
/// Calls that are on their way at the same time.
const BATCHES_MAX: usize = 8;
/// Messages that [`Aws::send_messages`] takes at once.
pub const GROUP_MESSAGES_MAX: usize = BATCH_MESSAGES_MAX * BATCHES_MAX;
/// How often messages are sent again that the queue did not take although it took others of their batch.
const RESEND_MAX: u32 = 4;
/// Before the first of these; doubled each time.
const RESEND_PAUSE_MS: u64 = 100;

impl Aws {
    /// Puts at most [`GROUP_MESSAGES_MAX`] messages into a queue. Where it fails, some of them may be there.
    ///
    /// # Errors
    /// Of the queue; `Config` for messages that it will never take.
    pub async fn send_messages(&self, queue_arn: &str, bodies: &[String]) -> Result<()> {
        let url = queue_url(queue_arn, self.sqs_endpoint().as_deref())
            .ok_or_else(|| Error::config(action()).with_hint("HOLOLOAD_QUEUE must be the queue's ARN"))?;
        // Whoever sends may be at home in another region than the queue.
        let region = queue_arn.split(':').nth(3).map(|region| Region::new(region.to_owned()));
        let config = Builder::from(&self.config).region(region).build();
        let client = aws_sdk_sqs::Client::from_conf(config);
        let batches = bodies.chunks(BATCH_MESSAGES_MAX).map(|batch| send(&client, &url, batch));
        try_join_all(batches).await.map(drop)
    }
}

fn action() -> String {
    "put messages into the queue".to_owned()
}

/// Whether SQS has no such queue; the code depends on the protocol.
pub(super) fn is_unknown_queue(error: &Error) -> bool {
    let is_it = |code: &str| code.ends_with("NonExistentQueue") || code.ends_with("QueueDoesNotExist");
    error.code().is_some_and(is_it)
}

fn explained(error: Error) -> Error {
    if is_unknown_queue(&error) {
        return error.with_hint("there is no such queue: check the ARN, its region and its account");
    }
    where_denied(error, "allow sqs:SendMessage on the queue in the role that sends")
}

/// One batch. The client tries a call again that failed as a whole; of one that succeeded in part the rest is sent again here.
async fn send(client: &aws_sdk_sqs::Client, url: &str, bodies: &[String]) -> Result<()> {
    let entry = |at: usize| {
        let body = bodies.get(at).cloned().unwrap_or_default();
        SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(body).build()
    };
    let mut open: Vec<usize> = (0..bodies.len()).collect();
    for tried in 0..=RESEND_MAX {
        let entries = open.iter().map(|at| entry(*at)).collect::<std::result::Result<Vec<_>, _>>();
        let entries = entries.map_err(|source| Error::bug(action()).with_source(source))?;
        let sent = client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
        let sent = sent.map_err(|error| explained(refused(action(), error)))?;
        if let Some(fault) = sent.failed().iter().find(|failed| failed.sender_fault()) {
            let error = Error::config(format!("{}: it never takes one of them", action()));
            let cause = format!("SQS answered {}", fault.code());
            return Err(error
                .with_code(fault.code().to_owned())
                .with_source(cause)
                .with_hint("the code says why"));
        }
        let taken = |at: &usize| sent.successful().iter().any(|one| one.id().parse() == Ok(*at));
        open.retain(|at| !taken(at));
        if open.is_empty() {
            return Ok(());
        }
        if tried < RESEND_MAX {
            tokio::time::sleep(Duration::from_millis(RESEND_PAUSE_MS << tried)).await;
        }
    }
    Err(Error::transient(format!("{}: it did not take {} of {}", action(), open.len(), bodies.len()))
        .with_hint("SQS is unwell or throttles: try again"))
}
