//! A progress bar where somebody watches, a line now and then where nobody does, nothing where it is unwelcome.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::{style, text};
use crate::load::Invocation;
use crate::object::Request;

/// Without a terminal so much time passes between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Does `work` on one object and shows how far it is.
pub(super) async fn shown<T>(
    request: &Request,
    is_json: bool,
    work: impl AsyncFnOnce(&Invocation<'_>) -> T,
) -> T {
    let bar = Bar::start(&request.object.to_string(), is_json);
    let advance = |bytes: u64, size: Option<u64>, rows: u64| bar.advance(bytes, size, rows);
    let outcome = work(&Invocation { progress: Some(&advance), ..Invocation::default() }).await;
    bar.finish();
    outcome
}

/// Rows, bytes, rate and, where the size is known, the time left of one load.
pub(super) struct Bar {
    name: String,
    shown: Shown,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines(Mutex<Instant>),
}

impl Bar {
    pub(super) fn start(name: &str, is_json: bool) -> Self {
        let shown = if is_json || style::is_quiet() {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            Shown::Bar(bar(name))
        } else {
            Shown::Lines(Mutex::new(Instant::now()))
        };
        Self { name: name.to_owned(), shown }
    }

    pub(super) fn advance(&self, bytes: u64, size: Option<u64>, rows: u64) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                if let Some(size) = size.filter(|size| bar.length() != Some(*size)) {
                    bar.set_length(size);
                    bar.set_style(measured());
                }
                bar.set_position(bytes);
                bar.set_message(format!("{} rows", HumanCount(rows)));
            }
            Shown::Lines(last) => {
                let of = size.map(|size| format!(" of {}", HumanBytes(size))).unwrap_or_default();
                self.line(last, || format!("{}{of}, {} rows", HumanBytes(bytes), HumanCount(rows)));
            }
        }
    }

    pub(super) fn say(&self, what: String) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_message(what),
            Shown::Lines(last) => self.line(last, || what),
        }
    }

    fn line(&self, last: &Mutex<Instant>, what: impl FnOnce() -> String) {
        let Ok(mut last) = last.lock() else { return };
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            text::note(&format!("{}: {}", self.name, what()));
        }
    }

    pub(super) fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    /// However it ended: no bar stays on the screen.
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {bytes} at {bytes_per_sec}, {msg}") {
        bar.set_style(style);
    }
    // The folder says less than the bar that its name would leave no room for.
    bar.set_prefix(name.rsplit('/').next().unwrap_or(name).to_owned());
    bar.set_message("opening");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn measured() -> ProgressStyle {
    let template = "{prefix}  {wide_bar} {percent}% of {total_bytes}, {bytes_per_sec}, {msg}, {eta} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
