//! Every field of a file and what becomes of it: by what the route says of it, else by its own name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::names::{fold, listed, shown};
use super::{Plan, mapping};
use crate::error::{Error, Result, nearest};
use crate::settings::{Drift, FieldRef, HeaderMatch, Missing};

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It fills these columns of the table.
    Columns(Vec<usize>),
    /// It says what becomes of the row.
    Operation,
    /// It goes nowhere, on purpose.
    Dropped,
    /// It is kept in the column for fields that have none.
    Extra,
    /// The table has no column for it, and it is left out.
    Ignored,
}

/// The fields of a file by name; without a header their names are their numbers.
pub(super) struct Fields<'n> {
    names: &'n [&'n str],
    /// The form in which they are compared.
    folded: Vec<Cow<'n, str>>,
    rule: HeaderMatch,
    has_header: bool,
}

impl<'n> Fields<'n> {
    pub(super) fn new(names: &'n [&'n str], rule: HeaderMatch, has_header: bool) -> Self {
        let folded = names.iter().map(|name| fold(name, rule)).collect();
        Self { names, folded, rule, has_header }
    }

    fn twice(&self, at: usize, other_at: usize) -> Error {
        let name = |at: usize| self.names.get(at).copied().unwrap_or_default();
        let ((one, other), number) = ((name(at), name(other_at)), other_at + 1);
        let what = if one == other {
            format!("the header names `{}` twice, fields {} and {number}", shown(one), at + 1)
        } else {
            format!(
                "the header names `{}` and `{}`, which are the same under `header_match: relaxed`",
                shown(one),
                shown(other)
            )
        };
        Error::config(what).with_hint(format!(
            "`drop: [{number}]` leaves the second one out, `columns: {{name: {{from: {number}}}}}` takes it into another column"
        ))
    }

    /// Where the field is.
    fn position(&self, field: &FieldRef) -> Result<Option<usize>> {
        let name = match field {
            FieldRef::Number(number) => {
                return Ok(number.checked_sub(1).filter(|at| *at < self.names.len()));
            }
            FieldRef::Named(_) if !self.has_header => return Ok(None),
            FieldRef::Named(name) => fold(name, self.rule),
        };
        let mut found = (0..).zip(&self.folded).filter(|(_, other)| **other == name).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(one), Some(other)) => Err(self.twice(one, other)),
            (first, _) => Ok(first),
        }
    }
}

impl Plan {
    /// What becomes of each field.
    ///
    /// # Errors
    /// `Config` for names that the table or the file has not, or has twice.
    pub(super) fn assign(&self, fields: &Fields<'_>, op_field: Option<usize>) -> Result<Vec<Fate>> {
        let mut fates = vec![Fate::Columns(Vec::new()); fields.names.len()];
        if let Some(fate) = op_field.and_then(|at| fates.get_mut(at)) {
            *fate = Fate::Operation;
        }
        self.assign_dropped(fields, &mut fates);
        let numbered = self.assign_sources(fields, &mut fates)?;
        if fields.has_header {
            self.assign_own(fields, &numbered, &mut fates)?;
        }
        self.assign_rest(fields, &mut fates)?;
        Ok(fates)
    }

    fn assign_dropped(&self, fields: &Fields<'_>, fates: &mut [Fate]) {
        let mapping = &self.route.mapping;
        for (at, (fate, name)) in fates.iter_mut().zip(&fields.folded).enumerate() {
            let is_meant = |field: &FieldRef| match field {
                FieldRef::Number(number) => *number == at + 1,
                FieldRef::Named(dropped) => fields.has_header && fold(dropped, fields.rule) == *name,
            };
            if *fate != Fate::Operation && mapping.drop.iter().any(is_meant) {
                *fate = Fate::Dropped;
            }
        }
    }

    /// The fields that the route names; answers which of them it names by number.
    fn assign_sources(&self, fields: &Fields<'_>, fates: &mut [Fate]) -> Result<Vec<usize>> {
        let mapping = &self.route.mapping;
        let mut numbered = Vec::new();
        for (column, field) in &mapping.sources {
            let Some(index) = self.table.column_index(column) else { continue };
            let Some(at) = fields.position(field)? else {
                if mapping.missing == Missing::Allow || mapping.default_of(column).is_some() {
                    continue;
                }
                return Err(absent(column, field, fields));
            };
            match fates.get_mut(at) {
                Some(Fate::Columns(columns)) => columns.push(index),
                _ => {
                    let what = mapping::label(field);
                    return Err(Error::config(format!(
                        "{what} fills column `{column}`, and is dropped or marks deleted rows"
                    ))
                    .with_hint("take it out of `drop`, or `from` out of the column"));
                }
            }
            if matches!(field, FieldRef::Number(_)) {
                numbered.push(at);
            }
        }
        Ok(numbered)
    }

    /// The other fields, by their own names.
    fn assign_own(&self, fields: &Fields<'_>, numbered: &[usize], fates: &mut [Fate]) -> Result<()> {
        let columns: BTreeMap<Cow<'_, str>, usize> =
            self.table.column_names().map(|name| fold(name, fields.rule)).zip(0..).collect();
        let mut owners: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, (fate, name)) in fates.iter_mut().zip(&fields.folded).enumerate() {
            let Fate::Columns(taken) = fate else { continue };
            let Some(index) = columns.get(name).copied() else { continue };
            // By its number a field is meant whatever its name is.
            if numbered.contains(&at) || taken.contains(&index) {
                continue;
            }
            if let Some(conflict) = self.conflict(index) {
                if taken.is_empty() {
                    return Err(conflict);
                }
                continue;
            }
            if let Some(owner) = owners.insert(index, at) {
                return Err(fields.twice(owner, at));
            }
            taken.push(index);
        }
        Ok(())
    }

    /// Why no field of its own name may fill the column.
    fn conflict(&self, index: usize) -> Option<Error> {
        let column = self.table.columns.get(index)?;
        let name = column.name.as_str();
        let refuse = |what: &str, hint: &str| {
            let error = Error::config(format!("column `{name}` {what}, the file must not have it"));
            Some(error.with_hint(format!("drop the column from the file (`drop: [{name}]`){hint}")))
        };
        let mapping = &self.route.mapping;
        if let Some((_, metadata)) = self.route.columns.iter().find(|(filled, _)| filled == name) {
            return refuse(&format!("is filled with `{}`", metadata.name()), ", or from `columns:`");
        }
        if mapping.constants.iter().any(|(filled, _)| filled == name) {
            return refuse("is filled with a constant", ", or from `columns:`");
        }
        if mapping.captured.iter().any(|(filled, _)| filled == name) {
            return refuse("is filled from the object's key", "");
        }
        if mapping.extras.as_deref() == Some(name) {
            return refuse("takes the fields without a column", ", or `extras` from the route");
        }
        if self.soft_delete() == Some(name) {
            return refuse("marks deleted rows", ", or `soft_delete` from the route");
        }
        if let Some(field) = mapping.source(name) {
            return refuse(
                &format!("is filled from {}", mapping::label(field)),
                ", or `from` from `columns:`",
            );
        }
        if !column.generated.is_writable() {
            return refuse("is generated always", "");
        }
        None
    }

    /// Fields that nothing was found for.
    fn assign_rest(&self, fields: &Fields<'_>, fates: &mut [Fate]) -> Result<()> {
        let mapping = &self.route.mapping;
        let mut unknown = Vec::new();
        let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, (fate, name)) in fates.iter_mut().zip(fields.names).enumerate() {
            if !matches!(fate, Fate::Columns(columns) if columns.is_empty()) {
                continue;
            }
            if mapping.extras.is_none() && mapping.drift == Drift::Ignore {
                *fate = Fate::Ignored;
                continue;
            }
            if name.trim().is_empty() {
                let number = at + 1;
                return Err(Error::config(format!("the header has no name for field {number}")).with_hint(format!(
                    "`drop: [{number}]` leaves the field out, `columns: {{name: {{from: {number}}}}}` takes it"
                )));
            }
            if mapping.extras.is_none() {
                unknown.push(*name);
                continue;
            }
            if let Some(other) = kept.insert(name, at) {
                return Err(fields.twice(other, at));
            }
            *fate = Fate::Extra;
        }
        match unknown.first() {
            None => Ok(()),
            Some(name) if mapping.drift == Drift::Strict => Err(self.unknown_field(name, fields.has_header)),
            Some(_) => Err(self.suggestion(&unknown, fields.has_header)),
        }
    }

    fn unknown_field(&self, name: &str, has_header: bool) -> Error {
        let (shown, table) = (shown(name), &self.table);
        if !has_header {
            return Error::config(format!("no column of table `{}` takes field {shown}", table.name))
                .with_hint(format!(
                    "columns are filled by number: `columns: {{name: {{from: {shown}}}}}`, or `drop: [{shown}]`"
                ));
        }
        let error =
            Error::config(format!("the header names `{shown}`, table `{}` has no such column", table.name));
        let relaxed = fold(name, HeaderMatch::Relaxed);
        let same = table.column_names().find(|column| fold(column, HeaderMatch::Relaxed) == relaxed);
        match (same, nearest(name, table.column_names())) {
            (Some(same), _) => error.with_hint(format!(
                "did you mean `{same}`? `parse: {{header_match: relaxed}}` takes names whatever their case and width"
            )),
            (None, Some(near)) => error.with_hint(format!("did you mean `{near}`?")),
            (None, None) => error.with_hint(format!(
                "its columns are {}; `columns: {{name: {{from: {shown}}}}}` gives the field to one of them, `drop: [{shown}]` to none",
                table.column_names().collect::<Vec<_>>().join(", ")
            )),
        }
    }

    fn suggestion(&self, unknown: &[&str], has_header: bool) -> Error {
        let error = Error::config(format!(
            "the file has {} that table `{}` has no column for: {}",
            if unknown.len() == 1 { "a field" } else { "fields" },
            self.table.name,
            listed(unknown)
        ));
        let named: Vec<String> = unknown.iter().map(|name| format!("field_{name}")).collect();
        let columns = if has_header { unknown.to_vec() } else { named.iter().map(String::as_str).collect() };
        error.with_hint(self.route.mapping.addition(&self.table, &columns))
    }
}

fn absent(column: &str, field: &FieldRef, fields: &Fields<'_>) -> Error {
    let what = mapping::label(field);
    let error = Error::config(format!("the file has no {what}, from which column `{column}` is filled"));
    let near = match field {
        FieldRef::Named(name) if fields.has_header => nearest(name, fields.names.iter().copied()),
        _ => None,
    };
    let otherwise = "`missing: allow` loads files without it";
    match near {
        Some(near) => error.with_hint(format!("did you mean `{}`? {otherwise}", shown(near))),
        None => error.with_hint(otherwise),
    }
}
