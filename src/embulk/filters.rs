//! `filters:`: what is done to columns between input and output.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Notes, Section, plain};

/// What filters make of the columns, one after another.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Vec<Change>);

#[derive(Clone, Debug)]
enum Change {
    /// New names by the old ones.
    Rename(BTreeMap<String, String>),
    /// Columns that go nowhere.
    Remove(Vec<String>),
    /// The only ones that are kept.
    Keep(Vec<String>),
}

impl Changes {
    /// What the column is called in the end; none if it goes.
    pub(super) fn name_of(&self, column: &str) -> Option<String> {
        let mut name = column.to_owned();
        for change in &self.0 {
            match change {
                Change::Rename(names) => name = names.get(&name).cloned().unwrap_or(name),
                Change::Remove(gone) if gone.contains(&name) => return None,
                Change::Keep(kept) if !kept.contains(&name) => return None,
                Change::Remove(_) | Change::Keep(_) => {}
            }
        }
        Some(name)
    }

    /// Columns of the input that are spoken of, as it calls them.
    pub(super) fn spoken(&self) -> Vec<String> {
        let (mut spoken, mut made) = (Vec::<String>::new(), Vec::<&String>::new());
        for change in &self.0 {
            let names: Vec<&String> = match change {
                Change::Rename(names) => names.keys().collect(),
                Change::Remove(names) | Change::Keep(names) => names.iter().collect(),
            };
            for name in names {
                if !made.contains(&name) && !spoken.contains(name) {
                    spoken.push(name.clone());
                }
            }
            if let Change::Rename(names) = change {
                made.extend(names.values());
            }
        }
        spoken
    }

    /// Whether columns go that nobody names.
    pub(super) fn keeps_some(&self) -> bool {
        self.0.iter().any(|change| matches!(change, Change::Keep(_)))
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
        changes.0.push(Change::Rename(pairs.collect()));
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
    changes.0.extend(names("remove").map(Change::Remove));
    changes.0.extend(names("keep").map(Change::Keep));
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
