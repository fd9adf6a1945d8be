//! How long a check may take.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// All checks together, so that a person still waits for them.
const TOTAL_MAX_MS: u64 = 55_000;
/// Kept back of an invocation's time for the answer.
const ANSWER_MARGIN_MS: u64 = 2_000;
/// One check; what answers at all does in a second.
const CHECK_MAX_MS: u64 = 10_000;

/// The time that is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    end: Instant,
}

impl Time {
    /// From now on, not beyond the invocation's end.
    pub(super) fn until(deadline: Option<Instant>) -> Self {
        let end = Instant::now() + Duration::from_millis(TOTAL_MAX_MS);
        let answering = Duration::from_millis(ANSWER_MARGIN_MS);
        let latest = deadline.map(|deadline| deadline.checked_sub(answering).unwrap_or(deadline));
        Self { end: latest.map_or(end, |latest| end.min(latest)) }
    }

    /// Waits for a check, and not for ever.
    pub(super) async fn within<T>(
        &self,
        action: &str,
        hint: &str,
        check: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let left = self.end.saturating_duration_since(Instant::now());
        let limit = left.min(Duration::from_millis(CHECK_MAX_MS));
        tokio::time::timeout(limit, check).await.unwrap_or_else(|_| {
            let limit_ms = limit.as_millis();
            Err(Error::transient(format!("{action}: no answer within {limit_ms} ms")).with_hint(hint))
        })
    }
}
