//! Which field goes into which column: the header rule, columns by position, and columns that the object itself fills.

use super::{HeaderRule, Metadata, OpPlace, Plan};
use crate::decode::Record;
use crate::error::{Error, Result, nearest};
use crate::settings::WriteMode;

impl Plan {
    /// What the first record says about the columns (the header rule).
    ///
    /// # Errors
    /// `Config` for a header that does not fit the table; `Input` for a record that is neither header nor data.
    pub fn first_record(&self, record: &Record<'_>) -> Result<First> {
        let op_name = match self.op_place() {
            Some(OpPlace::Column(name)) => Some(name.as_bytes()),
            _ => None,
        };
        let named = record.fields().filter(|field| {
            let is_column = |name| self.table.column_index(name).is_some();
            Some(field.bytes) == op_name || std::str::from_utf8(field.bytes).is_ok_and(is_column)
        });
        let matching = named.count();
        let is_header = match self.route.header {
            HeaderRule::Present => true,
            HeaderRule::Absent => false,
            // `Order_Id` names a column as surely as `order_id`: it is no data, and not yet a header either.
            HeaderRule::Auto if matching == 0 && self.is_nearly_header(record) => {
                return Err(self.neither(record));
            }
            HeaderRule::Auto if matching == 0 => false,
            HeaderRule::Auto if matching * 2 >= record.field_count() => true,
            HeaderRule::Auto => return Err(self.neither(record)),
        };
        if is_header && matching == 0 {
            // What stands there may be data: it is not named.
            return Err(Error::config(format!(
                "the first row names no column of table `{}`",
                self.table.name
            ))
            .with_hint(format!(
                "its columns are {}; set `parse: {{header: false}}` if the file has no header",
                self.table.column_names().take(20).collect::<Vec<_>>().join(", ")
            )));
        }
        if is_header {
            return self.by_header(record).map(First::Header);
        }
        match self.by_position(record.field_count())? {
            Some(layout) => Ok(First::Data(layout)),
            None => Err(self.neither(record)),
        }
    }

    /// Whether at least half of the fields name columns but for case and blanks.
    fn is_nearly_header(&self, record: &Record<'_>) -> bool {
        let is_near = |bytes: &[u8]| {
            std::str::from_utf8(bytes).is_ok_and(|name| {
                let name = name.trim().to_lowercase();
                self.table.column_names().any(|column| column.to_lowercase() == name)
            })
        };
        record.fields().filter(|field| is_near(field.bytes)).count() * 2 >= record.field_count()
    }

    /// The error for a first record that fits nowhere.
    pub fn neither(&self, record: &Record<'_>) -> Error {
        let writable = self.writable().count();
        Error::input("first row is neither header nor data").with_hint(format!(
            "table `{}` has {writable} columns ({}), the first row {} fields; add a header with column names, or set `parse: {{header: true}}` or `false`",
            self.table.name,
            self.table.column_names().take(20).collect::<Vec<_>>().join(", "),
            record.field_count(),
        ))
    }

    fn op_place(&self) -> Option<&OpPlace> {
        self.route.operation.as_ref().map(|operation| &operation.place)
    }

    fn soft_delete(&self) -> Option<&str> {
        self.route.operation.as_ref()?.soft_delete.as_deref()
    }

    /// Columns that a file may have.
    fn writable(&self) -> impl Iterator<Item = usize> + '_ {
        let columns = self.table.columns.iter().enumerate();
        let is_open = |index: usize, name: &str| {
            let is_filled = self.route.columns.iter().any(|(filled, _)| filled == name)
                || self.soft_delete() == Some(name);
            self.table.columns[index].generated.is_writable() && !is_filled
        };
        columns.filter(move |(index, column)| is_open(*index, &column.name)).map(|(index, _)| index)
    }

    /// The layout that a header says.
    ///
    /// # Errors
    /// `Config` for a header that does not fit the table.
    pub fn by_header(&self, record: &Record<'_>) -> Result<Layout> {
        let mut columns = Vec::with_capacity(record.field_count());
        let op_field = self.op_field(record)?;
        for (at, field) in record.fields().enumerate() {
            if Some(at) == op_field {
                continue;
            }
            let name =
                std::str::from_utf8(field.bytes).map_err(|_| Error::input("the header is not UTF-8"))?;
            let Some(index) = self.table.column_index(name) else { return Err(self.unknown_column(name)) };
            if columns.contains(&index) {
                return Err(Error::config(format!("the header names column `{name}` twice")));
            }
            let column = &self.table.columns[index];
            if let Some((_, metadata)) = self.route.columns.iter().find(|(filled, _)| filled == name) {
                return Err(Error::config(format!(
                    "column `{name}` is filled with `{}`, the file must not have it",
                    metadata.name()
                ))
                .with_hint("drop the column from the file, or from `columns:`"));
            }
            if self.soft_delete() == Some(name) {
                return Err(Error::config(format!(
                    "column `{name}` marks deleted rows, the file must not have it"
                ))
                .with_hint("drop the column from the file, or `soft_delete` from the route"));
            }
            if !column.generated.is_writable() {
                return Err(Error::config(format!(
                    "column `{name}` is generated always, the file must not have it"
                ))
                .with_hint("drop the column from the file"));
            }
            columns.push(index);
        }
        self.layout(&columns, op_field)
    }

    /// Where a header has the field that marks deleted rows.
    fn op_field(&self, record: &Record<'_>) -> Result<Option<usize>> {
        let found = match self.op_place() {
            None => return Ok(None),
            Some(OpPlace::Field(at)) => Some(*at).filter(|at| *at < record.field_count()),
            Some(OpPlace::Column(name)) => record.fields().position(|field| field.bytes == name.as_bytes()),
        };
        if found.is_some() {
            return Ok(found);
        }
        let name = self.route.operation.as_ref().map_or("op", |operation| operation.name());
        Err(Error::config(format!("the file has no column `{name}`, which says what becomes of its rows"))
            .with_hint("files without it need a route of their own, without `op`"))
    }

    fn unknown_column(&self, name: &str) -> Error {
        let shown: String = name.chars().take(64).collect();
        let error = Error::config(format!(
            "the header names `{shown}`, table `{}` has no such column",
            self.table.name
        ));
        match nearest(name, self.table.column_names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!(
                "its columns are {}",
                self.table.column_names().collect::<Vec<_>>().join(", ")
            )),
        }
    }

    /// The layout of records without header, if so many fields are as many as there are columns.
    pub fn by_position(&self, field_count: usize) -> Result<Option<Layout>> {
        let columns: Vec<usize> = self.writable().collect();
        let op_field = match self.op_place() {
            None => None,
            Some(OpPlace::Field(at)) if *at < field_count => Some(*at),
            Some(_) => return Ok(None),
        };
        let is_whole = columns.len() + usize::from(op_field.is_some()) == field_count;
        if is_whole { self.layout(&columns, op_field).map(Some) } else { Ok(None) }
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
        self.layout(&columns, op_field)
    }

    /// `fields` holds the column of each field but the one that marks deleted rows; after them stand, as if they were fields, the columns that the object
    /// itself fills. Key columns come first in what is made of it.
    fn layout(&self, fields: &[usize], op_field: Option<usize>) -> Result<Layout> {
        let filled = self.route.columns.iter().map(|(name, _)| name.as_str()).chain(self.soft_delete());
        let filled = filled.filter_map(|name| self.table.column_index(name));
        let columns: Vec<usize> = fields.iter().copied().chain(filled).collect();
        for (index, column) in self.table.columns.iter().enumerate() {
            let is_left_out = !columns.contains(&index) && column.generated.is_writable();
            if is_left_out && column.not_null && !column.has_default {
                return Err(Error::config(format!(
                    "the file has no column `{}`, which is NOT NULL and has no default",
                    column.name
                ))
                .with_hint("add the column to the file, or give it a default in the table"));
            }
        }
        let rounded = columns.iter().filter_map(|index| self.table.columns.get(*index));
        if let Some(column) = rounded.into_iter().find(|column| column.is_rounded_by_server) {
            return Err(Error::config(format!(
                "column `{}` is of type `{}`, whose values the server would round or cut short",
                column.name, column.sql_type
            ))
            .with_hint("leave the column out of the file, or give it a type that keeps what is written"));
        }
        let key = self.table.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
        if self.route.mode != WriteMode::Insert {
            for index in key {
                if !columns.contains(index) {
                    let name = &self.table.columns[*index].name;
                    return Err(Error::config(format!(
                        "the file has no column `{name}`, part of the primary key"
                    ))
                    .with_hint(format!("`{}` needs every key column in the file", self.route.mode.name())));
                }
            }
        }
        let has_whole_key = key.iter().all(|index| columns.contains(index));
        let key_count = if has_whole_key { key.len() } else { 0 };
        // Fields from the mark on stand one further on in the record.
        let field = |at: usize| at + usize::from(op_field.is_some_and(|op| at >= op));
        let place = |column: usize| columns.iter().position(|one| *one == column);
        let mut slots: Vec<Slot> = Vec::with_capacity(columns.len());
        for column in key.iter().take(key_count) {
            slots.extend(place(*column).map(|at| Slot { column: *column, field: field(at) }));
        }
        for (at, column) in columns.iter().enumerate() {
            if !key.iter().take(key_count).any(|one| one == column) {
                slots.push(Slot { column: *column, field: field(at) });
            }
        }
        let newer_slot = match &self.route.newer_by {
            None => None,
            Some(name) => {
                let is_meant = |slot: &Slot| self.table.columns[slot.column].name == *name;
                let slot = slots.iter().position(is_meant);
                Some(slot.ok_or_else(|| {
                    Error::config(format!("the file has no column `{name}`, by which newer rows are told"))
                        .with_hint("add the column to the file, or leave `newer_by` out")
                })?)
            }
        };
        let filled = self.route.columns.iter().map(|(_, metadata)| *metadata).collect();
        let field_count = fields.len() + usize::from(op_field.is_some());
        Ok(Layout { slots, key_count, newer_slot, field_count, op_field, filled })
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
    /// What stands behind the fields, from this index on; after it the column that keeps the mark, if any does.
    pub filled: Vec<Metadata>,
}
