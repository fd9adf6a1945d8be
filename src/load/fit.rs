//! Whether an object fits into the invocation.

use std::time::{Duration, Instant};

use super::Invocation;
use crate::error::{Error, Result};

/// By then the rate at which rows go in has settled.
const ESTIMATE_AFTER_MS: u64 = 30_000;
/// Rates vary: given up is only what would take this many tenths of the time that is left.
const TENTHS_OVER: u32 = 13;

/// The time there is, and how fast the object goes in.
pub(super) struct Fit {
    started: Instant,
    hand_on_at: Option<Instant>,
    left_until: Option<Instant>,
    slowest: Duration,
    byte: u64,
    size: Option<u64>,
}

impl Fit {
    pub(super) fn new(invocation: &Invocation<'_>, size: Option<u64>) -> Self {
        let started = Instant::now();
        Self {
            started,
            hand_on_at: invocation.hand_on_at(),
            left_until: invocation.remaining().map(|left| started + left),
            slowest: Duration::ZERO,
            byte: 0,
            size,
        }
    }

    /// When a load that can go on later stops.
    pub(super) fn hand_on_at(&self) -> Option<Instant> {
        self.hand_on_at
    }

    /// Whether the batch at hand must be the last: after it there would be no time for another one.
    pub(super) fn is_over(&self) -> bool {
        self.hand_on_at.is_some_and(|at| Instant::now() + self.slowest >= at)
    }

    /// Notes a batch that is written, and with it the object up to this byte.
    pub(super) fn wrote(&mut self, took: Duration, byte: u64) {
        self.slowest = self.slowest.max(took);
        self.byte = byte;
    }

    /// Whether all of the object will be loaded in time, which has to be where nothing may go on later.
    ///
    /// # Errors
    /// `Config`, with a way out, when it will not.
    pub(super) fn check(&self, way_out: &str) -> Result<()> {
        let elapsed = self.started.elapsed();
        let (Some(until), Some(size)) = (self.left_until, self.size) else { return Ok(()) };
        if elapsed < Duration::from_millis(ESTIMATE_AFTER_MS) || self.byte == 0 {
            return Ok(());
        }
        // Sizes are far below 2^52, where f64 is exact.
        #[expect(clippy::cast_precision_loss, reason = "objects are far below 2^52 bytes")]
        let share = size.saturating_sub(self.byte) as f64 / self.byte as f64;
        let needed = elapsed.mul_f64(share);
        let left = until.saturating_duration_since(Instant::now());
        if needed * 10 <= left * TENTHS_OVER {
            return Ok(());
        }
        Err(Error::config(format!(
            "the object does not fit into one invocation: {} of {size} bytes went in within {} s, and {} s are left",
            self.byte,
            elapsed.as_secs(),
            left.as_secs()
        ))
        .with_code("DoesNotFit")
        .with_hint(format!(
            "{way_out}raise the function's timeout (at most 900 s) or memory, or split the object"
        )))
    }
}
