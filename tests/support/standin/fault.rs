//! Faults by script: what goes wrong, when, and how often.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

use super::errors::Refusal;
use crate::support::lock;
use crate::support::proxy::Direction;

/// Something that goes wrong from now on. Faults add up; each is used up by its `times`.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A new connection is refused with a FATAL as soon as it has said who it is.
    RefuseLogin { code: &'static str, message: String, times: u32 },
    /// A statement whose SQL contains the text answers this ERROR instead of running; `skip` of them pass first.
    FailStatement { sql_contains: String, code: &'static str, message: String, skip: u32, times: u32 },
    /// A COPY answers this ERROR after so many rows were taken; those of a fixed copy stay.
    FailCopyAfterRows { rows: u64, code: &'static str, message: String, times: u32 },
    /// The connection breaks at a statement whose SQL contains the text; `skip` of them pass first.
    CutAtStatement { sql_contains: String, moment: Moment, skip: u32, times: u32 },
    /// The connection breaks once a COPY has taken so many rows; those of a fixed copy stay.
    CutCopyAfterRows { rows: u64, times: u32 },
    /// Once: the connection breaks in place of the message after so many have passed in this direction, over all
    /// connections together, counted from now (logins are not counted).
    CutAfterMessages { direction: Direction, count: u64 },
    /// Once: the connection breaks after so many bytes of messages; to the client to the byte, to the server the
    /// message that holds the byte is lost.
    CutAfterBytes { direction: Direction, count: u64 },
    /// Every statement whose SQL contains the text waits before it runs.
    Delay { sql_contains: String, by: Duration },
    /// Statements whose SQL contains the text do not start until [`clear_faults`](super::Standin::clear_faults).
    Hold { sql_contains: String },
}

/// Which side of a statement a connection breaks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It never ran.
    Before,
    /// It ran and is durable; nobody is told.
    After,
}

/// What a statement meets before it runs.
pub enum Verdict {
    Run,
    Fail(Refusal),
    Cut,
}

/// What a COPY meets while it takes rows.
#[derive(Clone)]
pub enum CopyFault {
    Fail(Refusal),
    Cut,
}

#[derive(Default)]
struct State {
    /// Every run of a statement, and every login, so far.
    runs: Vec<String>,
    logins: u32,
    cancellations: u32,
    active: Vec<Fault>,
    passed: [u64; 2],
    passed_bytes: [u64; 2],
    cuts: u32,
}

/// The faults of one stand-in, shared by its connections.
pub struct Faults {
    state: Mutex<State>,
    /// Changes whenever faults are taken back, which releases what is held.
    cleared: watch::Sender<()>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { state: Mutex::default(), cleared: watch::Sender::new(()) }
    }
}

impl Faults {
    pub fn inject(&self, fault: Fault) {
        let mut state = lock(&self.state);
        if matches!(fault, Fault::CutAfterMessages { .. } | Fault::CutAfterBytes { .. }) {
            state.passed = [0; 2];
            state.passed_bytes = [0; 2];
        }
        state.active.push(fault);
    }

    pub fn clear(&self) {
        lock(&self.state).active.clear();
        self.cleared.send_replace(());
    }

    pub fn login(&self) -> Option<Refusal> {
        lock(&self.state).logins += 1;
        self.take(|fault| match fault {
            Fault::RefuseLogin { code, message, times } => {
                used(times).then(|| Refusal::new(*code, message.clone()))
            }
            _ => None,
        })
    }

    /// How often a statement whose SQL contains the text has run.
    pub fn runs(&self, sql_contains: &str) -> usize {
        lock(&self.state).runs.iter().filter(|sql| sql.contains(sql_contains)).count()
    }

    /// How many connections have said who they are.
    pub fn logins(&self) -> u32 {
        lock(&self.state).logins
    }

    /// How many requests to cancel a statement have reached it.
    pub fn cancellations(&self) -> u32 {
        lock(&self.state).cancellations
    }

    pub fn cancelled(&self) {
        lock(&self.state).cancellations += 1;
    }

    /// Asked once for each run of a statement.
    pub fn before(&self, sql: &str) -> Verdict {
        lock(&self.state).runs.push(sql.to_owned());
        let verdict = self.take(|fault| match fault {
            Fault::FailStatement { sql_contains, code, message, skip, times }
                if sql.contains(&*sql_contains) =>
            {
                is_due(skip, times).then(|| Verdict::Fail(Refusal::new(*code, message.clone())))
            }
            Fault::CutAtStatement { sql_contains, moment: Moment::Before, skip, times }
                if sql.contains(&*sql_contains) =>
            {
                is_due(skip, times).then_some(Verdict::Cut)
            }
            _ => None,
        });
        verdict.unwrap_or(Verdict::Run)
    }

    /// Whether the connection breaks now that the statement has run.
    pub fn is_cut_after(&self, sql: &str) -> bool {
        let cut = self.take(|fault| match fault {
            Fault::CutAtStatement { sql_contains, moment: Moment::After, skip, times }
                if sql.contains(&*sql_contains) =>
            {
                is_due(skip, times).then_some(())
            }
            _ => None,
        });
        cut.is_some()
    }

    /// What happens to a COPY of which so many rows have come, and after how many of them.
    pub fn copy(&self, come: u64) -> Option<(u64, CopyFault)> {
        self.take(|fault| match fault {
            Fault::FailCopyAfterRows { rows, code, message, times } if *rows <= come => {
                used(times).then(|| (*rows, CopyFault::Fail(Refusal::new(*code, message.clone()))))
            }
            Fault::CutCopyAfterRows { rows, times } if *rows <= come => {
                used(times).then_some((*rows, CopyFault::Cut))
            }
            _ => None,
        })
    }

    /// How long a statement waits before it runs, held ones aside.
    pub fn delay(&self, sql: &str) -> Duration {
        let state = lock(&self.state);
        let delays = state.active.iter().filter_map(|fault| match fault {
            Fault::Delay { sql_contains, by } if sql.contains(sql_contains) => Some(*by),
            _ => None,
        });
        delays.sum()
    }

    /// Returns when nothing holds the statement any more.
    pub async fn released(&self, sql: &str) {
        let mut cleared = self.cleared.subscribe();
        while self.is_held(sql) {
            if cleared.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_held(&self, sql: &str) -> bool {
        let holds =
            |fault: &Fault| matches!(fault, Fault::Hold { sql_contains } if sql.contains(sql_contains));
        lock(&self.state).active.iter().any(holds)
    }

    /// Counts a message; the bytes of it that may still pass where the connection breaks at it.
    pub fn pass(&self, direction: Direction, bytes: u64) -> Option<u64> {
        let mut state = lock(&self.state);
        let way = usize::from(direction == Direction::ToClient);
        let (messages, before) = (state.passed[way], state.passed_bytes[way]);
        state.passed[way] += 1;
        state.passed_bytes[way] += bytes;
        let mut allowed = None;
        state.active.retain(|fault| match fault {
            Fault::CutAfterMessages { direction: cut, count } if *cut == direction && messages >= *count => {
                allowed = Some(0);
                false
            }
            Fault::CutAfterBytes { direction: cut, count }
                if *cut == direction && before + bytes > *count =>
            {
                allowed = Some(count.saturating_sub(before));
                false
            }
            _ => true,
        });
        state.cuts += u32::from(allowed.is_some());
        allowed
    }

    /// How many messages have passed in this direction since a cut after messages or bytes was last asked for.
    pub fn passed(&self, direction: Direction) -> u64 {
        lock(&self.state).passed[usize::from(direction == Direction::ToClient)]
    }

    /// How often a connection broke after so many messages or bytes.
    pub fn cuts(&self) -> u32 {
        lock(&self.state).cuts
    }

    fn take<T>(&self, mut pick: impl FnMut(&mut Fault) -> Option<T>) -> Option<T> {
        lock(&self.state).active.iter_mut().find_map(&mut pick)
    }
}

fn used(times: &mut u32) -> bool {
    let is_left = *times > 0;
    *times = times.saturating_sub(1);
    is_left
}

fn is_due(skip: &mut u32, times: &mut u32) -> bool {
    !used(skip) && used(times)
}
