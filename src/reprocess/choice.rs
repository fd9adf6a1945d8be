//! Whether an object is to be loaded, by what the ledger knows of it.

use crate::event::Selection;
use crate::ledger::Known;

/// Why the object is to be loaded, if it is; `lines` are those of its table.
pub(super) fn missing_or_failed(
    selection: &Selection,
    etag: Option<&str>,
    lines: &[&Known],
) -> Option<&'static str> {
    let is_own = |line: &&&Known| line.etag.is_some() && line.etag.as_deref() == etag;
    let is_in = |line: &&&Known| matches!(line.status.as_str(), "loaded" | "skipped");
    if selection.failed {
        let last = lines.iter().max_by_key(|line| line.finished_ms);
        if last.is_some_and(|line| line.status == "failed") {
            return Some("its last load failed");
        }
    }
    if !selection.missing {
        return None;
    }
    let loaded = lines.iter().filter(is_own).filter(is_in).map(|line| line.finished_ms).max();
    if let Some(loaded_ms) = loaded {
        // The same bytes may have been put again: after other ones, or after a removal that was followed.
        let is_gone = |line: &&&Known| line.status == "deleted" && line.etag.is_none();
        let mut others =
            lines.iter().filter(|line| !is_own(line) && (line.status == "loaded" || is_gone(line)));
        return others.any(|line| line.finished_ms > loaded_ms).then_some("not loaded");
    }
    // It was tried, and did not get in: an event may have been overtaken by a version that is newer than what was listed.
    let tried = lines.iter().filter(is_own);
    let Some(last_try) = tried.clone().map(|line| line.finished_ms).max() else { return Some("not loaded") };
    let sequencer = tried.filter_map(|line| line.sequencer.as_deref()).max();
    let is_newer = |line: &&&Known| match (line.sequencer.as_deref(), sequencer) {
        (Some(other), Some(own)) => other > own,
        _ => line.finished_ms > last_try,
    };
    let is_overtaken = lines.iter().filter(|line| !is_own(line) && is_in(line)).any(|line| is_newer(&line));
    (!is_overtaken).then_some("not loaded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(etag: &str, status: &str, sequencer: &str, finished_ms: i64) -> Known {
        Known {
            table: "public.t".to_owned(),
            etag: Some(etag.to_owned()).filter(|etag| !etag.is_empty()),
            status: status.to_owned(),
            sequencer: Some(sequencer.to_owned()).filter(|sequencer| !sequencer.is_empty()),
            finished_ms,
        }
    }

    #[test]
    fn what_is_missing_and_what_failed() {
        let missing = Selection { missing: true, ..Selection::default() };
        let failed = Selection { failed: true, ..Selection::default() };
        let both = Selection { missing: true, failed: true, ..Selection::default() };
        let why = |selection: &Selection, lines: &[Known]| {
            missing_or_failed(selection, Some("e"), &lines.iter().collect::<Vec<_>>())
        };
        let (not_loaded, last_failed) = (Some("not loaded"), Some("its last load failed"));
        for (lines, is_missing, is_failed) in [
            (vec![], not_loaded, None),
            (vec![line("e", "loaded", "1", 1)], None, None),
            (vec![line("e", "skipped", "", 1)], None, None),
            (vec![line("e", "failed", "1", 1)], not_loaded, last_failed),
            (vec![line("", "failed", "1", 1)], not_loaded, last_failed),
            (vec![line("e", "failed", "1", 1), line("e", "loaded", "1", 2)], None, None),
            (vec![line("e", "loaded", "1", 1), line("e", "failed", "1", 2)], None, last_failed),
            // The same bytes were put again.
            (vec![line("e", "loaded", "1", 1), line("b", "loaded", "2", 2)], not_loaded, None),
            (vec![line("e", "loaded", "1", 1), line("", "deleted", "2", 2)], not_loaded, None),
            (vec![line("e", "loaded", "3", 3), line("b", "loaded", "2", 2)], None, None),
            (
                vec![line("e", "loaded", "1", 1), line("b", "loaded", "2", 2), line("e", "skipped", "3", 3)],
                None,
                None,
            ),
            // An older version is in, this one is not.
            (vec![line("old", "loaded", "1", 1)], not_loaded, None),
            (vec![line("old", "loaded", "1", 2), line("e", "superseded", "2", 1)], not_loaded, None),
            // A newer one is.
            (vec![line("new", "loaded", "3", 1), line("e", "superseded", "2", 2)], None, None),
            (vec![line("new", "loaded", "", 3), line("e", "failed", "2", 2)], None, None),
            (vec![line("new", "failed", "3", 3), line("e", "superseded", "2", 2)], not_loaded, last_failed),
        ] {
            assert_eq!(why(&missing, &lines), is_missing, "{lines:?}");
            assert_eq!(why(&failed, &lines), is_failed, "{lines:?}");
            assert_eq!(why(&both, &lines).is_some(), is_missing.or(is_failed).is_some(), "{lines:?}");
        }
    }
}
