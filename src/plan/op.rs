//! Files of changes: which field says what becomes of a row, and what a deleted row leaves behind.

use super::Route;
use crate::error::{Error, Result, nearest};
use crate::settings::{OpSettings, WriteMode, WriteSettings};
use crate::table::{Kind, Table};

/// Where the field stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpPlace {
    /// Under this name in the header.
    Column(String),
    /// At this index of every record.
    Field(usize),
}

/// A field that marks rows as inserted, updated or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Where it is.
    pub place: OpPlace,
    /// What stands there for a new row.
    pub insert: String,
    /// For a changed row.
    pub update: String,
    /// For a row that is gone.
    pub delete: String,
    /// The column that keeps deleted rows apart from others; without one they are deleted.
    pub soft_delete: Option<String>,
}

impl Operation {
    pub(super) fn new(write: &WriteSettings) -> Result<Option<Self>> {
        let Some(op) = &write.op else {
            if write.soft_delete.is_some() {
                return Err(Error::config("`soft_delete` has no rows to mark")
                    .with_hint("say which field marks them, `write: {op: Op}`, or leave `soft_delete` out"));
            }
            return Ok(None);
        };
        if !matches!(write.mode, WriteMode::Upsert | WriteMode::Replace) {
            let mode = write.mode.name();
            return Err(Error::config(format!("`op` does not go with mode `{mode}`"))
                .with_hint("files of changes are loaded with `mode: upsert` or `replace`"));
        }
        if write.newer_by.is_some() && write.soft_delete.is_none() {
            return Err(Error::config(
                "`newer_by` does not go with `op`: a row that is deleted leaves nothing to compare with",
            )
            .with_hint(
                "add `soft_delete: column` (boolean or timestamptz), which marks such rows and keeps them",
            ));
        }
        let [insert, update, delete] = [&op.insert, &op.update, &op.delete];
        if [insert, update, delete].iter().any(|letter| letter.is_empty())
            || delete == insert
            || delete == update
        {
            return Err(Error::config(
                "`op`: the letters must not be empty, and `delete` must be one of its own",
            )
            .with_hint("`op: {column: Op, insert: I, update: U, delete: D}`"));
        }
        Ok(Some(Self {
            place: place(op)?,
            insert: insert.clone(),
            update: update.clone(),
            delete: delete.clone(),
            soft_delete: write.soft_delete.clone(),
        }))
    }

    /// Its name in reports of bad rows.
    pub fn name(&self) -> &str {
        match &self.place {
            OpPlace::Column(name) => name,
            OpPlace::Field(_) => "op",
        }
    }

    /// Whether rows that are marked so are deleted from the table.
    pub fn deletes(&self) -> bool {
        self.soft_delete.is_none()
    }
}

fn place(op: &OpSettings) -> Result<OpPlace> {
    match (&op.column, op.field) {
        (Some(column), None) if !column.is_empty() => Ok(OpPlace::Column(column.clone())),
        (None, Some(field)) if field > 0 => Ok(OpPlace::Field(field - 1)),
        _ => Err(Error::config("`op` must name one field")
            .with_hint("by the header, `op: {column: Op}`; or by its place, from 1, `op: {field: 1}`")),
    }
}

/// The column that marks deleted rows must be one that the loader may fill.
pub(super) fn check_soft_delete(route: &Route, table: &Table) -> Result<()> {
    let Some(name) = route.operation.as_ref().and_then(|operation| operation.soft_delete.as_deref()) else {
        return Ok(());
    };
    let refuse = |what: &str| Error::config(format!("`soft_delete: {name}`: {what}"));
    let Some(index) = table.column_index(name) else {
        let error = refuse(&format!("table `{}` has no such column", table.name));
        return Err(match nearest(name, table.column_names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("add a column of type boolean or timestamptz to the table"),
        });
    };
    let column = &table.columns[index];
    let is_key = table.key.as_ref().is_some_and(|key| key.columns.contains(&index));
    let is_fit = match column.kind {
        Kind::Bool => true,
        Kind::Timestamptz { .. } => !column.not_null,
        _ => false,
    };
    if is_key || !is_fit || !column.generated.is_writable() {
        return Err(refuse(&format!("it is of type `{}`, or not to be set", column.sql_type)).with_hint(
            "use a boolean column, or a timestamptz column that takes NULL, outside of the primary key",
        ));
    }
    let mapping = &route.mapping;
    let is_filled = route.columns.iter().any(|(filled, _)| filled == name)
        || mapping.constants.iter().any(|(filled, _)| filled == name)
        || mapping.source(name).is_some()
        || mapping.extras.as_deref() == Some(name);
    if is_filled || route.newer_by.as_deref() == Some(name) {
        return Err(refuse("something else fills it").with_hint("give deleted rows a column of their own"));
    }
    Ok(())
}
