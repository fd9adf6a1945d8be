//! Text for people: errors with causes and hint, the ledger as a table.

use std::io::Write;

use super::style::{self, Paint};
use super::table::Table;
use crate::error::Error;
use crate::ledger::Entry;
use crate::object::ObjectRef;
use crate::report::ErrorReport;

/// `error:`, its causes, a blank line, `hint:`.
pub(super) fn error(report: &ErrorReport, whole: Option<&Error>) {
    let mut text = String::new();
    match whole {
        Some(error) => {
            for (at, part) in error.chain().iter().enumerate() {
                let head = if at == 0 { "error" } else { "  caused by" };
                let head = if at == 0 { style::err(Paint::Bad, head) } else { head.to_owned() };
                text.extend([&head, ": ", part, "\n"]);
            }
        }
        None => text.extend([&style::err(Paint::Bad, "error"), ": ", &report.message, "\n"]),
    }
    if let Some(hint) = &report.hint {
        text.extend(["\n", &style::err(Paint::Hint, "hint"), ": ", hint, "\n"]);
    }
    say(&text);
}

/// A line on stderr.
pub(super) fn note(line: &str) {
    say(&format!("{line}\n"));
}

/// A line on stderr that nobody misses who wants results and errors alone.
pub(super) fn aside(line: &str) {
    if !style::is_quiet() {
        note(line);
    }
}

fn say(text: &str) {
    // Nobody is left to tell when stderr is closed.
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
}

/// One line for each load; the key comes last, as it may be long.
pub(super) fn history(lines: &[Entry]) -> String {
    if lines.is_empty() {
        return "nothing has been loaded".to_owned();
    }
    let head = ["FINISHED", "STATUS", "TABLE", "ROWS", "REJECTS", "MS", "OBJECT"];
    let mut table = Table::new(&head).right(&[3, 4, 5]).status(1);
    for line in lines {
        let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        table.push([
            line.finished_at.clone().unwrap_or_default(),
            line.status.clone(),
            if line.table.is_empty() { "-".to_owned() } else { line.table.clone() },
            number(line.row_count),
            number(line.reject_count),
            number(line.duration_ms),
            object(line),
        ]);
    }
    table.print(style::width())
}

fn object(line: &Entry) -> String {
    let object = ObjectRef { bucket: line.bucket.clone(), key: line.key.clone() };
    let mut text = object.address();
    let why = line.error_message.as_deref().or(line.reason.as_deref());
    if let Some(why) = why {
        text.push_str(" (");
        text.extend(why.chars().take(120));
        text.push(')');
    }
    text
}
