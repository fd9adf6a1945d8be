//! Which columns of a columnar file are read, and into which columns of the table they go.

use super::{Fate, Layout, OpPlace, Plan};
use crate::error::{Error, Result};
use crate::settings::FieldRef;
use crate::table::Kind;

/// What a decoder is asked for, and what becomes of its fields.
#[derive(Clone, Debug)]
pub struct Picked {
    /// Which field goes into which column.
    pub layout: Layout,
    /// One for each field.
    pub columns: Vec<PickedColumn>,
}

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickedColumn {
    /// Its name, or `name.member`.
    pub path: String,
    /// None of the table's columns that it fills holds bytes.
    pub is_text: bool,
}

impl Plan {
    /// What to read of a file with columns of these names, where `has` says whether there is a member of a struct by its path.
    /// Columns that go nowhere are not read.
    ///
    /// # Errors
    /// `Config` for names that do not fit the table.
    pub fn by_columns(&self, names: &[String], has: impl Fn(&str) -> bool) -> Result<Picked> {
        let members = self.struct_members(names, has);
        let is_own = |name: &str| self.wanted_names().iter().any(|own| self.route.mapping.is_same(own, name));
        let is_way = |name: &str| {
            let begins = |path: &String| path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            members.iter().any(|(_, path)| begins(path))
        };
        let top = names.iter().filter(|name| is_own(name) || !is_way(name));
        let all: Vec<(&str, &str)> = top
            .map(|name| (name.as_str(), name.as_str()))
            .chain(members.iter().map(|(from, path)| (from.as_str(), path.as_str())))
            .collect();
        let said: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let met = self.by_names(&said)?;
        let is_read = |fate: &Fate| matches!(fate, Fate::Columns(_) | Fate::Operation | Fate::Extra);
        let kept: Vec<(&str, &str)> = if self.is_by_number() {
            // To leave one out would give the others different numbers.
            all
        } else {
            all.iter().zip(&met.fates).filter(|(_, fate)| is_read(fate)).map(|(name, _)| *name).collect()
        };
        if !met.fates.iter().any(|fate| matches!(fate, Fate::Columns(_))) {
            return Err(Error::config(format!(
                "the file has no column that table `{}` has one for",
                self.table.name
            ))
            .with_hint(format!(
                "its columns are {}; the table's are {}",
                names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", "),
                self.table.column_names().take(20).collect::<Vec<_>>().join(", ")
            )));
        }
        let said: Vec<&str> = kept.iter().map(|(name, _)| *name).collect();
        let layout = Layout { warnings: met.warnings, ..self.by_names(&said)? };
        let columns = kept.iter().enumerate().map(|(field, (_, path))| PickedColumn {
            path: (*path).to_owned(),
            is_text: !self.fills_bytes(&layout, field),
        });
        let columns = columns.collect();
        Ok(Picked { layout, columns })
    }

    fn is_by_number(&self) -> bool {
        let is_op = self.route.operation.as_ref().is_some_and(|op| matches!(op.place, OpPlace::Field(_)));
        let is_dropped = self.route.mapping.drop.iter().any(|field| matches!(field, FieldRef::Number(_)));
        is_op || is_dropped || self.route.mapping.is_numbered()
    }

    fn fills_bytes(&self, layout: &Layout, field: usize) -> bool {
        let slots = layout.slots.iter().filter(|slot| slot.field == field);
        let kinds = slots.filter_map(|slot| self.table.columns.get(slot.column)).map(|column| column.kind);
        kinds.into_iter().any(|kind| kind == Kind::Bytea)
    }

    /// What `from` says of members of structs: as it is written, and as a path with dots. A column that is called so comes
    /// first.
    fn struct_members(&self, names: &[String], has: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let mapping = &self.route.mapping;
        let mut members: Vec<(String, String)> = Vec::new();
        for (_, field) in &mapping.sources {
            let FieldRef::Named(from) = field else { continue };
            let path = from.strip_prefix('/').map_or_else(|| from.clone(), |path| path.replace('/', "."));
            let is_column = names.iter().any(|name| mapping.is_same(name, from));
            if !is_column && has(&path) && !members.iter().any(|(known, _)| known == from) {
                members.push((from.clone(), path));
            }
        }
        members
    }
}
