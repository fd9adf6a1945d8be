//! What the tests run against: real servers on loopback ports of this machine, none of which outlives its test.
//!
//! Every server is started by a plain function and stopped by its drop, so that tests with and without an async
//! runtime use it alike. Each owns its threads: a test may block on one from inside its own runtime.

#![allow(dead_code, unreachable_pub, reason = "every test binary includes this module and uses a part of it")]
#![allow(clippy::doc_markdown, reason = "PostgreSQL and ETag are words")]

pub mod account;
pub mod akv4;
pub mod call;
pub mod certs;
pub mod postgres;
pub mod proxy;
pub mod runtime_api;
pub mod s3;
mod s3_api;
mod s3_body;
mod s3_read;
mod s3_store;
mod s3_write;
pub mod standin;

use std::future::Future;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Waits until `condition` holds, looking every 5 ms; false when `timeout` has passed.
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a future to its end from any thread, also from one that already runs an async runtime.
pub fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(future)
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A lock that a panicking test does not take away from the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a shell script when it is dropped or when this process ends, however it ends: the shell waits for the other
/// end of its pipe to close, which the kernel does even after SIGKILL.
struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// `before` runs at once and may leave processes behind it; `arguments` are `$1`, `$2`… of both scripts.
    fn start(command: &mut Command, before: &str, on_end: &str, arguments: &[&str]) -> Self {
        // Signals of the terminal reach the test; the shell has to survive them to clean up.
        let script = format!("trap '' INT TERM HUP QUIT\n{before}\nif read -r _; then exit; fi\n{on_end}\n");
        let shell = command
            .args(["-c", &script, "watchdog"])
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        Self { shell }
    }

    /// There is nothing left to do: the script will not run.
    fn dismiss(&mut self) {
        if let Some(pipe) = &mut self.shell.stdin {
            let _ = pipe.write_all(b"dismissed\n");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
