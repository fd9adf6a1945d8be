//! `filters:`: what is done to columns between input and output.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Notes, Section, plain};

/// What filters make of the columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// New names by the old ones.
    pub(super) renamed: BTreeMap<String, String>,
    /// Columns that go nowhere.
    pub(super) removed: Vec<String>,
    /// The only ones that are kept.
    pub(super) kept: Option<Vec<String>>,
}

impl Changes {
    /// What the column is called in the end; none if it goes.
    pub(super) fn name_of(&self, column: &str) -> Option<String> {
        let name = self.renamed.get(column).cloned().unwrap_or_else(|| column.to_owned());
        let is_named = |names: &[String]| names.iter().any(|one| *one == name || one == column);
        let goes = is_named(&self.removed) || self.kept.as_ref().is_some_and(|kept| !is_named(kept));
        (!goes).then_some(name)
    }
}

pub(super) fn read(filters: Option<Value>, notes: &mut Notes) -> Changes {
    let mut changes = Changes::default();
    let Some(Value::Array(filters)) = filters else { return changes };
    for (at, filter) in filters.into_iter().enumerate() {
        let path = format!("filters[{at}]");
        let Ok(mut filter) = Section::new(&path, Some(filter)) else {
            notes.drop(&path, "because it holds no `key: value` lines");
            continue;
        };
        let kind = filter.text("type").unwrap_or_default();
        match kind.as_str() {
            "rename" => rename(&mut filter, &mut changes, notes),
            "remove_columns" => remove(&mut filter, &mut changes),
            other => {
                let text = instead(other);
                notes.drop(&path, format!("because there is no filter `{other}`; {text}"));
                continue;
            }
        }
        filter.end(notes, &format!("the filter `{kind}`"));
    }
    changes
}

fn rename(filter: &mut Section, changes: &mut Changes, notes: &mut Notes) {
    if let Some(Value::Object(columns)) = filter.take("columns") {
        let pairs = columns.iter().filter_map(|(old, new)| Some((old.clone(), plain(new)?)));
        changes.renamed.extend(pairs);
    }
    if filter.take("rules").is_some() {
        let text = "because names are not made by rules; write `columns: {new: {from: old}}`, or \
                    `header_match: relaxed`, which does not look at case, width and blanks";
        notes.drop(&filter.named("rules"), text);
    }
}

fn remove(filter: &mut Section, changes: &mut Changes) {
    let mut names = |option: &str| match filter.take(option) {
        Some(Value::Array(names)) => Some(names.iter().filter_map(plain).collect::<Vec<_>>()),
        _ => None,
    };
    changes.removed.extend(names("remove").unwrap_or_default());
    changes.kept = names("keep").or_else(|| changes.kept.take());
    // Names that are not there are no error here either.
    filter.take("accept_unmatched_columns");
}

fn instead(kind: &str) -> &'static str {
    match kind {
        "column" => "use `columns: {name: {constant: …}}`, `from` and `drop`",
        "typecast" | "timestamp_format" => {
            "types come from the table; use `format`, `epoch` and `timezone` of a column"
        }
        "expand_json" => "use `format: jsonl` with `columns: {name: {from: a.b}}`",
        "row" | "calcite" => "rows are not chosen while they load; use a view, or a column that tells",
        "hash" | "mask" => "values are not changed while they load; leave the column out with `drop`",
        "speedometer" => "a progress bar and the report tell rows and rate",
        _ => "do it in the database, or before the file is put",
    }
}
