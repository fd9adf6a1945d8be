//! Which members of JSON objects are read, and into which columns they go.

use std::collections::BTreeSet;

use super::names::fold;
use super::{Fate, Fill, Layout, OpPlace, Plan};
use crate::decode::json::{JsonPath, Others};
use crate::error::{Error, Result};
use crate::settings::{Drift, FieldRef, HeaderMatch};
use crate::table::Kind;

/// What a decoder is asked for, and what becomes of its fields.
#[derive(Clone, Debug)]
pub struct Members {
    /// Which field goes into which column.
    pub layout: Layout,
    /// One for each of them.
    pub paths: Vec<JsonPath>,
    /// Fields that are taken as JSON, because all of their columns hold JSON.
    pub as_json: Vec<usize>,
    /// Members that are known and go nowhere.
    pub passed: Vec<String>,
    /// Members that would fill a column, had the first records had them.
    pub late: Vec<String>,
    /// All others.
    pub others: Others,
    /// The members that were kept, and not for what is in them; the same again come to the same.
    pub names: Vec<String>,
}

impl Plan {
    /// What to read of records whose first ones have members of these names.
    ///
    /// # Errors
    /// `Config` for names that do not fit the table, and for a route that speaks of fields by number.
    pub fn by_members(&self, names: &[String]) -> Result<Members> {
        self.refuse_numbers()?;
        let nested = self.nested(names)?;
        let wanted = self.wanted_names();
        let is_same = |one: &str, other: &str| self.route.mapping.is_same(one, other);
        let is_own = |name: &str| wanted.iter().any(|wanted| is_same(wanted, name));
        let is_way =
            |name: &str| nested.iter().any(|(_, path)| path.tokens().first().is_some_and(|one| one == name));
        let mut all: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| is_own(name) || !is_way(name)).collect();
        // What the route names is read even if the first records do not have it.
        for name in self.said_names() {
            if !all.iter().any(|known| is_same(known, name)) {
                all.push(name);
            }
        }
        let met = self.by_names(&all)?;

        // What fills no column need not be found in every record.
        let is_read = |fate: &Fate| matches!(fate, Fate::Columns(_) | Fate::Operation);
        let fates = all.iter().zip(&met.fates);
        let kept: Vec<&str> =
            fates.clone().filter(|(_, fate)| is_read(fate)).map(|(name, _)| *name).collect();
        let is_passed = |fate: &Fate| matches!(fate, Fate::Dropped | Fate::Ignored);
        let passed = fates.filter(|(_, fate)| is_passed(fate)).map(|(name, _)| (*name).to_owned()).collect();
        if kept.is_empty() {
            return Err(Error::config(format!(
                "the first records have no member that table `{}` has a column for",
                self.table.name
            ))
            .with_hint(format!(
                "its columns are {}; `parse: {{root: /…}}` says where the records of a document are",
                self.table.column_names().take(20).collect::<Vec<_>>().join(", ")
            )));
        }
        let mut layout = Layout { warnings: met.warnings, ..self.by_names(&kept)? };
        let path = |name: &&str| match nested.iter().find(|(from, _)| from == name) {
            Some((_, path)) => path.clone(),
            None => JsonPath::name(name),
        };
        let paths = kept.iter().map(path).collect();
        let is_name = |name: &&&str| !nested.iter().any(|(from, _)| from == *name);
        let names = kept.iter().filter(is_name).map(|name| (*name).to_owned()).collect();
        let others = self.collect_extras(&mut layout);
        let as_json = self.json_fields(&layout);
        let is_there = |name: &&&str| kept.iter().any(|kept| is_same(kept, name));
        let late = wanted.iter().filter(|name| !is_there(name)).map(|name| (*name).to_owned()).collect();
        Ok(Members { layout, paths, as_json, passed, late, others, names })
    }

    /// The form of a name in which it is compared, where that is not the name itself.
    pub fn folds_names(&self) -> Option<fn(&str) -> String> {
        fn relaxed(name: &str) -> String {
            fold(name, HeaderMatch::Relaxed).into_owned()
        }
        (self.route.mapping.header_match == HeaderMatch::Relaxed).then_some(relaxed)
    }

    fn refuse_numbers(&self) -> Result<()> {
        let mapping = &self.route.mapping;
        let mut fields = mapping.sources.iter().map(|(_, field)| field).chain(&mapping.drop);
        let is_numbered = fields.any(|field| matches!(field, FieldRef::Number(_)));
        let is_op_numbered =
            self.route.operation.as_ref().is_some_and(|op| matches!(op.place, OpPlace::Field(_)));
        if !is_numbered && !is_op_numbered {
            return Ok(());
        }
        Err(Error::config("the route names fields by number, but members of JSON objects have names alone")
            .with_hint("write the name: `from: name`, `drop: [name]`, `op: {column: name}`"))
    }

    /// Where columns that the route speaks of are found, if a field fills them at all.
    fn said_names(&self) -> impl Iterator<Item = &str> {
        let mapping = &self.route.mapping;
        let columns = self.writable().filter_map(|index| self.table.columns.get(index));
        let said = columns.filter(|column| mapping.said.contains(&column.name));
        said.filter_map(|column| match mapping.source(&column.name) {
            None => Some(column.name.as_str()),
            Some(FieldRef::Named(field)) => Some(field.as_str()),
            Some(FieldRef::Number(_)) => None,
        })
    }

    /// What `from` says of values inside of others, as it is written and as a path. A member that is called so comes
    /// first.
    fn nested(&self, names: &[String]) -> Result<Vec<(String, JsonPath)>> {
        let mapping = &self.route.mapping;
        let mut nested: Vec<(String, JsonPath)> = Vec::new();
        for (_, field) in &mapping.sources {
            let FieldRef::Named(from) = field else { continue };
            let is_path = from.starts_with('/') || from.contains('.');
            if is_path
                && !names.iter().any(|name| mapping.is_same(name, from))
                && !nested.iter().any(|(known, _)| known == from)
            {
                nested.push((from.clone(), JsonPath::parse(from)?));
            }
        }
        Ok(nested)
    }

    /// Members without a column become one field, behind the others, for the column of `extras`.
    fn collect_extras(&self, layout: &mut Layout) -> Others {
        let at = layout.filled.iter().position(|fill| *fill == Fill::Extras);
        let Some(at) = at else {
            return if self.route.mapping.drift == Drift::Ignore { Others::Pass } else { Others::Refuse };
        };
        let (field, old) = (layout.field_count, layout.field_count + at);
        for slot in &mut layout.slots {
            if slot.field == old {
                slot.field = field;
            } else if slot.field >= field {
                slot.field += 1;
            }
        }
        layout.field_count += 1;
        let column = self.route.mapping.extras.as_deref().unwrap_or_default();
        layout.fates.push(Fate::Columns(self.table.column_index(column).into_iter().collect()));
        layout.names.push(column.to_owned());
        Others::Collect
    }

    fn json_fields(&self, layout: &Layout) -> Vec<usize> {
        let is_json = |slot: &super::Slot| {
            let column = self.table.columns.get(slot.column);
            column.is_some_and(|column| matches!(column.kind, Kind::Json | Kind::Jsonb))
        };
        let fields = |wanted: bool| {
            let slots = layout.slots.iter().filter(move |slot| is_json(slot) == wanted);
            slots.map(|slot| slot.field).collect::<BTreeSet<_>>()
        };
        fields(true).difference(&fields(false)).copied().filter(|field| *field < layout.field_count).collect()
    }
}
