//! Which field goes into which column: the header rule, columns by position, and columns that no field fills.

use super::assign::Fields;
use super::names::{fold, listed};
use super::{Fate, HeaderRule, Metadata, OpPlace, Plan};
use crate::decode::Record;
use crate::error::{Error, Result};
use crate::settings::{FieldRef, HeaderMatch, Missing, WriteMode};

const RELAXED: &str =
    "it names columns in another case or width: `parse: {header_match: relaxed}` takes them so";

impl Plan {
    /// What the first record says about the columns (the header rule).
    ///
    /// # Errors
    /// `Config` for a header that does not fit the table; `Input` for a record that is neither header nor data.
    pub fn first_record(&self, record: &Record<'_>) -> Result<First> {
        let matching = self.count_known(record, self.route.mapping.header_match);
        let count = record.field_count();
        let is_header = match self.route.header {
            HeaderRule::Present => true,
            HeaderRule::Absent => false,
            // `Order_Id` names a column as surely as `order_id`: it is no data, and not yet a header either.
            HeaderRule::Auto if matching == 0 && self.is_nearly_header(record) => {
                return Err(self.neither(record));
            }
            HeaderRule::Auto if matching == 0 => false,
            HeaderRule::Auto if matching * 2 >= count => true,
            HeaderRule::Auto => return Err(self.neither(record)),
        };
        if is_header && matching == 0 && !self.route.mapping.is_numbered() {
            // What stands there may be data: it is not named.
            let error =
                Error::config(format!("the first row names no column of table `{}`", self.table.name));
            if self.is_nearly_header(record) {
                return Err(error.with_hint(RELAXED));
            }
            return Err(error.with_hint(format!(
                "its columns are {}; set `parse: {{header: false}}` if the file has no header",
                self.some_columns()
            )));
        }
        if is_header {
            return self.by_header(record).map(First::Header);
        }
        match self.by_position(count)? {
            Some(layout) => Ok(First::Data(layout)),
            None => Err(self.neither(record)),
        }
    }

    /// How many fields have a name that the table or the route knows.
    fn count_known(&self, record: &Record<'_>, rule: HeaderMatch) -> usize {
        let columns: Vec<_> = self.table.column_names().map(|name| fold(name, rule)).collect();
        let op_name = match self.op_place() {
            Some(OpPlace::Column(name)) => Some(fold(name, rule)),
            _ => None,
        };
        let is_known = |bytes: &[u8]| {
            std::str::from_utf8(bytes).is_ok_and(|name| {
                let folded = fold(name, rule);
                columns.contains(&folded)
                    || op_name.as_ref() == Some(&folded)
                    || self.route.mapping.knows(name, rule)
            })
        };
        record.fields().filter(|field| is_known(field.bytes)).count()
    }

    /// Whether at least half of the fields name columns but for case, width and blanks.
    fn is_nearly_header(&self, record: &Record<'_>) -> bool {
        self.count_known(record, HeaderMatch::Relaxed) * 2 >= record.field_count()
    }

    /// The error for a first record that fits nowhere.
    pub fn neither(&self, record: &Record<'_>) -> Error {
        let writable = self.writable().count();
        let error = Error::input("first row is neither header nor data");
        if self.route.header == HeaderRule::Auto && self.is_nearly_header(record) {
            return error.with_hint(format!("{RELAXED}; the table's are {}", self.some_columns()));
        }
        error.with_hint(format!(
            "table `{}` has {writable} columns ({}), the first row {} fields; add a header with column names, or set `parse: {{header: true}}` or `false`",
            self.table.name,
            self.some_columns(),
            record.field_count(),
        ))
    }

    fn op_place(&self) -> Option<&OpPlace> {
        self.route.operation.as_ref().map(|operation| &operation.place)
    }

    fn some_columns(&self) -> String {
        const NAMES_MAX: usize = 20;
        self.table.column_names().take(NAMES_MAX).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn soft_delete(&self) -> Option<&str> {
        self.route.operation.as_ref()?.soft_delete.as_deref()
    }

    /// Columns that a file may have.
    pub(super) fn writable(&self) -> impl Iterator<Item = usize> + '_ {
        let fills = self.fills();
        let columns = self.table.columns.iter().enumerate();
        let is_open = move |index: usize, name: &str| {
            let is_filled =
                fills.iter().any(|(filled, _)| *filled == index) || self.soft_delete() == Some(name);
            !is_filled && self.table.columns.get(index).is_some_and(|column| column.generated.is_writable())
        };
        columns.filter(move |(index, column)| is_open(*index, &column.name)).map(|(index, _)| index)
    }

    /// Columns that are filled whatever fields there are.
    fn fills(&self) -> Vec<(usize, Fill)> {
        let mapping = &self.route.mapping;
        let metadata = self.route.columns.iter().map(|(name, one)| (name, Fill::Metadata(*one)));
        let constants = mapping.constants.iter().map(|(name, text)| (name, Fill::Constant(text.clone())));
        let captured = mapping.captured.iter().map(|(name, text)| (name, Fill::Captured(text.clone())));
        let extras = mapping.extras.iter().map(|name| (name, Fill::Extras));
        let all = metadata.chain(constants).chain(captured).chain(extras);
        all.filter_map(|(name, fill)| Some((self.table.column_index(name)?, fill))).collect()
    }

    /// The layout that a header says.
    ///
    /// # Errors
    /// `Config` for a header that does not fit the table.
    pub fn by_header(&self, record: &Record<'_>) -> Result<Layout> {
        let name = |bytes| std::str::from_utf8(bytes).map_err(|_| Error::input("the header is not UTF-8"));
        let names = record.fields().map(|field| name(field.bytes)).collect::<Result<Vec<&str>>>()?;
        self.by_names(&names)
    }

    /// The layout of records whose fields have these names, in this order: of a header, or of a format that has names of
    /// its own (members of JSON objects, columns of Parquet). Names and rules are the same for all of them: renames,
    /// `drop`, `extras`, `missing`, `drift`, `header_match`; every record has one field for each name.
    ///
    /// # Errors
    /// `Config` for names that do not fit the table.
    pub fn by_names(&self, names: &[&str]) -> Result<Layout> {
        let op_field = self.op_field(names)?;
        let fates = self.assign(&Fields::new(names, self.route.mapping.header_match, true), op_field)?;
        self.layout(fates, names.iter().map(|name| (*name).to_owned()).collect(), op_field)
    }

    /// The names under which a format that can be asked for single fields is to look for them: one for each column that a file
    /// may fill, what `from` says, else the column's own.
    pub fn wanted_names(&self) -> Vec<&str> {
        let wanted = self.writable().filter_map(|index| {
            let name = self.table.columns.get(index)?.name.as_str();
            match self.route.mapping.source(name) {
                None => Some(name),
                Some(FieldRef::Named(field)) => Some(field.as_str()),
                Some(FieldRef::Number(_)) => None,
            }
        });
        let op_name = match self.op_place() {
            Some(OpPlace::Column(name)) => Some(name.as_str()),
            _ => None,
        };
        let mut names: Vec<&str> = Vec::new();
        for name in wanted.chain(op_name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Where a file has the field that marks deleted rows.
    fn op_field(&self, names: &[&str]) -> Result<Option<usize>> {
        let found = match self.op_place() {
            None => return Ok(None),
            Some(OpPlace::Field(at)) => Some(*at).filter(|at| *at < names.len()),
            Some(OpPlace::Column(name)) => {
                names.iter().position(|field| self.route.mapping.is_same(field, name))
            }
        };
        if found.is_some() {
            return Ok(found);
        }
        let name = self.route.operation.as_ref().map_or("op", |operation| operation.name());
        Err(Error::config(format!("the file has no column `{name}`, which says what becomes of its rows"))
            .with_hint("files without it need a route of their own, without `op`"))
    }

    /// The layout of records without header: by number where the route speaks of numbers, else in the table's order, if so
    /// many fields are as many as there are columns.
    ///
    /// # Errors
    /// `Config` for a table that no such record fits.
    pub fn by_position(&self, field_count: usize) -> Result<Option<Layout>> {
        let op_field = match self.op_place() {
            None => None,
            Some(OpPlace::Field(at)) if *at < field_count => Some(*at),
            Some(_) => return Ok(None),
        };
        let numbers: Vec<String> = (1..=field_count).map(|number| number.to_string()).collect();
        if self.route.mapping.is_numbered() {
            let names: Vec<&str> = numbers.iter().map(String::as_str).collect();
            let fates = self.assign(&Fields::new(&names, HeaderMatch::Exact, false), op_field)?;
            return self.layout(fates, numbers, op_field).map(Some);
        }
        let mut columns = self.writable();
        let mut fates = Vec::with_capacity(field_count);
        for at in 0..field_count {
            let is_dropped = self.route.mapping.drop.contains(&FieldRef::Number(at + 1));
            fates.push(match () {
                () if op_field == Some(at) => Fate::Operation,
                () if is_dropped => Fate::Dropped,
                () => match columns.next() {
                    Some(column) => Fate::Columns(vec![column]),
                    None => return Ok(None),
                },
            });
        }
        if columns.next().is_some() {
            return Ok(None);
        }
        drop(columns);
        self.layout(fates, numbers, op_field).map(Some)
    }

    /// The layout of a file that has every column a file may have.
    ///
    /// # Errors
    /// `Config` for a table that no such file could be loaded into.
    pub fn whole_layout(&self) -> Result<Layout> {
        let columns: Vec<usize> = self.writable().collect();
        let op_field = self.op_place().map(|place| match place {
            OpPlace::Field(at) => (*at).min(columns.len()),
            OpPlace::Column(_) => columns.len(),
        });
        let mut fates: Vec<Fate> = columns.iter().map(|column| Fate::Columns(vec![*column])).collect();
        if let Some(at) = op_field {
            fates.insert(at, Fate::Operation);
        }
        let names = (1..=fates.len()).map(|number| number.to_string()).collect();
        self.layout(fates, names, op_field)
    }

    /// Behind the fields stand, as if they were fields, the columns that no field fills. Key columns come first in
    /// what is made of it.
    fn layout(&self, fates: Vec<Fate>, names: Vec<String>, op_field: Option<usize>) -> Result<Layout> {
        let mut places: Vec<Slot> = Vec::new();
        for (field, fate) in fates.iter().enumerate() {
            if let Fate::Columns(columns) = fate {
                places.extend(columns.iter().map(|column| Slot { column: *column, field }));
            }
        }
        let field_count = fates.len();
        let mut fills = self.fills();
        for (name, text) in &self.route.mapping.defaults {
            let Some(index) = self.table.column_index(name) else { continue };
            let is_filled = places.iter().any(|slot| slot.column == index)
                || fills.iter().any(|(filled, _)| *filled == index);
            if !is_filled {
                fills.push((index, Fill::Default(text.clone())));
            }
        }
        let deletion = self.soft_delete().and_then(|name| self.table.column_index(name));
        let behind = fills.iter().map(|(index, _)| *index).chain(deletion);
        places.extend(behind.zip(field_count..).map(|(column, field)| Slot { column, field }));
        self.check_missing(&places)?;
        let rounded = places.iter().filter_map(|slot| self.table.columns.get(slot.column));
        if let Some(column) = rounded.into_iter().find(|column| column.is_rounded_by_server) {
            return Err(Error::config(format!(
                "column `{}` is of type `{}`, whose values the server would round or cut short",
                column.name, column.sql_type
            ))
            .with_hint("leave the column out of the file, or give it a type that keeps what is written"));
        }
        let (slots, key_count) = self.in_key_order(places)?;
        let newer_slot = self.newer_slot(&slots)?;
        let warnings = self.drift_warning(&fates, &names).into_iter().collect();
        let filled = fills.into_iter().map(|(_, fill)| fill).collect();
        Ok(Layout { slots, key_count, newer_slot, field_count, op_field, filled, fates, names, warnings })
    }

    /// Columns that nothing fills.
    fn check_missing(&self, places: &[Slot]) -> Result<()> {
        let must_be_whole = self.route.mapping.missing == Missing::RefuseAll;
        for (index, column) in self.table.columns.iter().enumerate() {
            if places.iter().any(|slot| slot.column == index) || !column.generated.is_writable() {
                continue;
            }
            if column.not_null && !column.has_default {
                return Err(Error::config(format!(
                    "the file has no column `{}`, which is NOT NULL and has no default",
                    column.name
                ))
                .with_hint("add the column to the file, or give it a default in the table"));
            }
            if must_be_whole {
                return Err(Error::config(format!(
                    "the file has no column `{}`, and `missing: refuse_all` wants every one",
                    column.name
                ))
                .with_hint("add the column to the file, or leave `missing` out"));
            }
        }
        Ok(())
    }

    /// The slots with the key's first, and how many those are.
    fn in_key_order(&self, places: Vec<Slot>) -> Result<(Vec<Slot>, usize)> {
        let key = self.table.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
        let found: Vec<Slot> = key
            .iter()
            .filter_map(|index| places.iter().find(|slot| slot.column == *index).copied())
            .collect();
        let missing = key.iter().find(|index| !found.iter().any(|slot| slot.column == **index));
        if let Some(column) = missing.and_then(|index| self.table.columns.get(*index)) {
            if self.route.mode == WriteMode::Insert {
                return Ok((places, 0));
            }
            return Err(Error::config(format!(
                "the file has no column `{}`, part of the primary key",
                column.name
            ))
            .with_hint(format!("`{}` needs every key column in the file", self.route.mode.name())));
        }
        let key_count = found.len();
        let rest = places.into_iter().filter(|slot| !key.contains(&slot.column));
        Ok((found.iter().copied().chain(rest).collect(), key_count))
    }

    fn newer_slot(&self, slots: &[Slot]) -> Result<Option<usize>> {
        let Some(name) = &self.route.newer_by else { return Ok(None) };
        let index = self.table.column_index(name);
        let slot = slots.iter().position(|slot| Some(slot.column) == index);
        slot.map(Some).ok_or_else(|| {
            Error::config(format!("the file has no column `{name}`, by which newer rows are told"))
                .with_hint("add the column to the file, or leave `newer_by` out")
        })
    }

    fn drift_warning(&self, fates: &[Fate], names: &[String]) -> Option<String> {
        let left_out = fates.iter().zip(names).filter(|(fate, _)| **fate == Fate::Ignored);
        let left_out: Vec<&str> = left_out.map(|(_, name)| name.as_str()).collect();
        let noun = if left_out.len() == 1 { "field was" } else { "fields were" };
        (!left_out.is_empty()).then(|| {
            format!(
                "{} {noun} left out, table `{}` has no such column: {}",
                left_out.len(),
                self.target,
                listed(&left_out)
            )
        })
    }
}

/// What the first record is.
#[derive(Debug)]
pub enum First {
    /// A header; the data follows.
    Header(Layout),
    /// Data by position, if its values type cleanly.
    Data(Layout),
}

/// One value to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Index of the table's column.
    pub column: usize,
    /// Index of the record's field.
    pub field: usize,
}

/// Which field goes into which column, in the order of the statement.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Key columns first.
    pub slots: Vec<Slot>,
    /// How many of the slots are the key; 0 when the file has not all of it.
    pub key_count: usize,
    /// The slot of the column that tells which of two rows is newer.
    pub newer_slot: Option<usize>,
    /// Fields in every record.
    pub field_count: usize,
    /// The field that marks deleted rows.
    pub op_field: Option<usize>,
    /// What stands behind the fields, from index `field_count` on; after it the column that keeps the mark, if any does.
    pub filled: Vec<Fill>,
    /// What becomes of each field.
    pub fates: Vec<Fate>,
    /// The fields' names; without a header their numbers.
    pub names: Vec<String>,
    /// What was left out, for the report.
    pub warnings: Vec<String>,
}

/// What fills a column that no field fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// What the object knows of itself.
    Metadata(Metadata),
    /// The same text in every row.
    Constant(String),
    /// What the object's key says.
    Captured(String),
    /// The text for a field that the file does not have.
    Default(String),
    /// The fields without a column, as one JSON object.
    Extras,
}

impl Layout {
    /// The fields that are kept as members of the object in the column of `extras`: names and indices.
    pub fn extras(&self) -> impl Iterator<Item = (&str, usize)> {
        let fields = self.fates.iter().zip(&self.names).enumerate();
        fields.filter(|(_, (fate, _))| **fate == Fate::Extra).map(|(at, (_, name))| (name.as_str(), at))
    }
}

#[cfg(test)]
mod tests;
