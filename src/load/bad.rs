//! Rows that are bad: kept, as long as they are not too many.

use crate::decode::{Malformation, Position};
use crate::error::{Error, Result};
use crate::plan::{Layout, Plan};
use crate::reject::{Reject, Rejects};

/// A name out of a record, as messages show it.
pub(super) fn shown(name: &[u8]) -> String {
    const CHARS_MAX: usize = 64;
    let name = String::from_utf8_lossy(name);
    name.chars().take(CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Bytes that form no record.
pub(super) struct Bad<'b> {
    pub(super) position: Position,
    pub(super) raw: &'b [u8],
    pub(super) malformation: Malformation,
    pub(super) field: usize,
}

impl Bad<'_> {
    pub(super) fn reject(&self, plan: &Plan, layout: Option<&Layout>, rejects: &mut Rejects) -> Result<()> {
        let Self { position, raw, malformation, field } = *self;
        let Some(layout) = layout else {
            let Position { line, byte } = position;
            let reason = malformation.reason();
            let what = format!("the first row (line {line}, byte {byte}) is not well formed: {reason}");
            return Err(Error::input(what).with_hint(if malformation.is_of_json() {
                "JSON Lines have one object on each line; `parse: {format: json}` reads an array, or objects over several lines"
            } else {
                "look at its quotes; `parse: {quote: \"\"}` reads a file that has none"
            }));
        };
        let slot = layout.slots.iter().find(|slot| slot.field == field);
        let column = slot.and_then(|slot| plan.table.columns.get(slot.column));
        let reason = match malformation {
            Malformation::UnknownName(span) | Malformation::LateName(span) => {
                let name = raw.get(span.start as usize..span.end as usize).unwrap_or_default();
                format!("`{}`: {}", shown(name), malformation.reason())
            }
            _ => malformation.reason().to_owned(),
        };
        let reject = Reject {
            position,
            raw,
            column: column.map(|column| column.name.as_str()),
            reason: &reason,
            code: None,
            server_text: None,
        };
        keep(plan, rejects, &reject)
    }
}

/// Keeps a bad row, unless there are too many.
pub(super) fn keep(plan: &Plan, rejects: &mut Rejects, reject: &Reject<'_>) -> Result<()> {
    rejects.push(reject)?;
    let max = plan.route.bad_rows_max;
    if rejects.count() <= max {
        return Ok(());
    }
    let what = match max {
        0 => "a bad row, and none is put up with".to_owned(),
        max => format!("more than {max} bad rows"),
    };
    Err(too_many(plan, rejects, &what))
}

#[cold]
pub(super) fn too_many(plan: &Plan, rejects: &Rejects, what: &str) -> Error {
    let first = rejects.sample().first().map(|sample| {
        let column = sample.column.as_ref().map(|column| format!(", column `{column}`")).unwrap_or_default();
        format!(": line {}, byte {}{column}: {}", sample.line, sample.byte, sample.reason)
    });
    let mut error = Error::input(format!("{what}{}", first.unwrap_or_default()));
    if let Some(code) = rejects.server_code() {
        error = error.with_code(code.to_owned());
    }
    if plan.route.bad_rows_max == 0 {
        return error.with_hint(
            "fix the row; or set HOLOLOAD_REJECTS (`rejects:`), and bad rows are kept there while the others load",
        );
    }
    error.with_hint("nothing was loaded: fix the rows in the object and put it again, or raise `bad_rows`")
}
