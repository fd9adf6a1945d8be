//! What the door knows of an invocation, and how much of its time is left for what.

use std::time::{Duration, Instant};

use crate::database::CLOSE_TIMEOUT_MS;
use crate::report::Report;

/// How long a claim waits for another load of the same object; small objects are done by then.
const CLAIM_WAIT_MS: u64 = 5_000;
/// Statement timeout where no deadline gives one.
const STATEMENT_TIMEOUT_MS: u64 = 8 * 3_600_000;
/// Kept back of an invocation's time for rolling back and answering: a twentieth, within these bounds.
const EXIT_MARGIN_MIN_MS: u64 = 300;
/// See above.
const EXIT_MARGIN_MAX_MS: u64 = 5_000;
/// A load that another invocation can go on with stops this long before the end, a sixth of the time it was given: for
/// the batch at hand, the rejects, the ledger, and for handing itself on.
const HAND_ON_MIN_MS: u64 = 700;
/// See above.
const HAND_ON_MAX_MS: u64 = 30_000;
/// Kept back of that for the answer alone.
const ANSWER_MARGIN_MS: u64 = 100;

/// What the door knows of this invocation.
#[derive(Clone, Copy, Default)]
pub struct Invocation<'a> {
    /// When it will be cut off.
    pub deadline: Option<Instant>,
    /// Its id, for the ledger.
    pub request_id: Option<&'a str>,
    /// The function, to be invoked again by a load that does not fit into this invocation.
    pub function_arn: Option<&'a str>,
    /// Called with bytes read, bytes in all where that is known, and rows seen, now and then.
    pub progress: Option<&'a (dyn Fn(u64, Option<u64>, u64) + Send + Sync)>,
    /// Called with what became of each object, dry runs left out.
    pub on_report: Option<&'a (dyn Fn(&Report) + Send + Sync)>,
}

impl Invocation<'_> {
    /// Time left, the margin for the exit taken off.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let left = self.deadline?.saturating_duration_since(Instant::now());
        let margin = (left / 20)
            .clamp(Duration::from_millis(EXIT_MARGIN_MIN_MS), Duration::from_millis(EXIT_MARGIN_MAX_MS));
        Some(left.saturating_sub(margin))
    }

    /// When a load that begins now stops, if it can go on in another invocation.
    pub(super) fn hand_on_at(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        let left = deadline.saturating_duration_since(Instant::now());
        let kept =
            (left / 6).clamp(Duration::from_millis(HAND_ON_MIN_MS), Duration::from_millis(HAND_ON_MAX_MS));
        Some(deadline.checked_sub(kept).unwrap_or(deadline))
    }

    /// For each of the two steps of closing a connection: a fifth of the time that is really left.
    pub(super) fn close_limit(&self) -> Duration {
        let limit = Duration::from_millis(CLOSE_TIMEOUT_MS);
        self.deadline.map_or(limit, |at| limit.min(at.saturating_duration_since(Instant::now()) / 5))
    }

    /// For what is still to be said to others once a load has failed; what is kept back is for the answer.
    pub fn exit_limit(&self) -> Duration {
        let limit = Duration::from_millis(EXIT_MARGIN_MAX_MS);
        let answering = Duration::from_millis(ANSWER_MARGIN_MS);
        self.deadline.map_or(limit, |at| {
            let left = at.saturating_duration_since(Instant::now()).saturating_sub(answering);
            limit.min(left.mul_f32(0.8))
        })
    }

    /// How long another load of the object is waited for; where time is short a third of it, so that it can still be said
    /// that the object is busy.
    pub(super) fn claim_wait_ms(&self) -> u64 {
        let third = self.remaining().map(|left| u64::try_from(left.as_millis() / 3).unwrap_or(u64::MAX));
        third.map_or(CLAIM_WAIT_MS, |third| third.clamp(1, CLAIM_WAIT_MS))
    }

    pub(super) fn statement_ms(&self) -> u64 {
        let remaining = self.remaining().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        remaining.unwrap_or(STATEMENT_TIMEOUT_MS).clamp(1, STATEMENT_TIMEOUT_MS)
    }
}
