//! What a route says of fields and columns, and whether the table has what it speaks of.

use super::names::fold;
use super::{Route, names};
use crate::error::{Error, Result, nearest};
use crate::settings::{ColumnSettings, Drift, FieldRef, HeaderMatch, Missing, RouteSettings};
use crate::table::{Kind, Table, quote};

/// Which fields go where, as the route says it; what it does not speak of goes by its own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Columns and the fields that fill them.
    pub sources: Vec<(String, FieldRef)>,
    /// Columns that hold one text in every row.
    pub constants: Vec<(String, String)>,
    /// Columns that hold what the object's key says.
    pub captured: Vec<(String, String)>,
    /// Columns with a text for files that have no field for them.
    pub defaults: Vec<(String, String)>,
    /// Every column that the route speaks of.
    pub(super) said: Vec<String>,
    /// Types that were said of columns.
    types: Vec<(String, String)>,
    /// Fields that go nowhere.
    pub drop: Vec<FieldRef>,
    /// The column of fields that have none.
    pub extras: Option<String>,
    /// Columns without a field.
    pub missing: Missing,
    /// Fields without a column.
    pub drift: Drift,
    /// How names are compared.
    pub header_match: HeaderMatch,
}

impl Mapping {
    /// What was said.
    ///
    /// # Errors
    /// `Config` for things that exclude each other.
    pub(super) fn new(said: &RouteSettings) -> Result<Self> {
        let of = |part: fn(&ColumnSettings) -> Option<String>| {
            let parts = said.columns.iter().filter_map(|(name, column)| Some((name.clone(), part(column)?)));
            parts.collect::<Vec<_>>()
        };
        let source = |column: &ColumnSettings| {
            let named = column.from.clone().map(FieldRef::Named);
            named.or(column.field.map(FieldRef::Number))
        };
        let sources = said.columns.iter().filter_map(|(name, column)| Some((name.clone(), source(column)?)));
        let mapping = Self {
            sources: sources.collect(),
            constants: of(|column| column.constant.clone()),
            captured: Vec::new(),
            defaults: of(|column| column.default.clone()),
            said: said.columns.keys().cloned().collect(),
            types: of(|column| column.sql_type.clone()),
            drop: said.drop.clone(),
            extras: said.extras.clone(),
            missing: said.missing,
            drift: said.drift,
            header_match: said.parse.header_match,
        };
        mapping.check(said)?;
        Ok(mapping)
    }

    fn check(&self, said: &RouteSettings) -> Result<()> {
        if let Some((column, field)) = self.sources.iter().find(|(_, field)| self.drop.contains(field)) {
            return Err(Error::config(format!("`drop` has {}, which fills column `{column}`", label(field)))
                .with_hint("keep one of them"));
        }
        if self.drop.contains(&FieldRef::Number(0)) {
            return Err(Error::config("`drop: [0]`: fields count from 1"));
        }
        if let Some(extras) = self.extras.as_ref().filter(|name| said.columns.contains_key(*name)) {
            return Err(Error::config(format!("`extras: {extras}`: something else fills it"))
                .with_hint(format!("leave `{extras}` out of `columns:`, or `extras` out of the route")));
        }
        Ok(())
    }

    /// The field that was named for the column, if one was.
    pub fn source(&self, column: &str) -> Option<&FieldRef> {
        self.sources.iter().find(|(name, _)| name == column).map(|(_, field)| field)
    }

    /// The text that stands in where a file has no field for the column.
    pub fn default_of(&self, column: &str) -> Option<&str> {
        self.defaults.iter().find(|(name, _)| name == column).map(|(_, text)| text.as_str())
    }

    /// Whether any column says by number which field it takes.
    pub(super) fn is_numbered(&self) -> bool {
        self.sources.iter().any(|(_, field)| matches!(field, FieldRef::Number(_)))
    }

    pub(super) fn is_same(&self, left: &str, right: &str) -> bool {
        left == right || fold(left, self.header_match) == fold(right, self.header_match)
    }

    /// Whether the route speaks of a field of this name.
    pub(super) fn knows(&self, name: &str, rule: HeaderMatch) -> bool {
        let mut fields = self.sources.iter().map(|(_, field)| field).chain(&self.drop);
        fields.any(|field| matches!(field, FieldRef::Named(known) if fold(known, rule) == fold(name, rule)))
    }

    /// The statement that adds columns of these names.
    pub(super) fn addition(&self, table: &Table, columns: &[&str]) -> String {
        let sql_type = |name: &str| {
            let said = self.types.iter().find(|(column, _)| column == name);
            said.map_or("text", |(_, sql_type)| sql_type.as_str())
        };
        let parts = columns.iter().map(|name| format!("ADD COLUMN {} {}", quote(name), sql_type(name)));
        format!("ALTER TABLE {} {};", table.name.quoted(), parts.collect::<Vec<_>>().join(", "))
    }
}

/// A field as messages name it.
pub(super) fn label(field: &FieldRef) -> String {
    match field {
        FieldRef::Named(name) => format!("field `{}`", names::shown(name)),
        FieldRef::Number(number) => format!("field {number}"),
    }
}

/// Every column that the route speaks of must be one that can be filled so.
///
/// # Errors
/// `Config`, with the nearest column, or the statement that adds it where that is asked for.
pub(super) fn check(route: &Route, table: &Table) -> Result<()> {
    let mapping = &route.mapping;
    for name in &mapping.said {
        let Some(index) = table.column_index(name) else {
            let error = Error::config(format!("`columns.{name}`: table `{}` has no such column", table.name));
            if mapping.drift == Drift::Suggest {
                return Err(error.with_hint(mapping.addition(table, &[name])));
            }
            return Err(match nearest(name, table.column_names()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("add the column to the table, or leave it out of `columns:`"),
            });
        };
        let is_writable = table.columns.get(index).is_some_and(|column| column.generated.is_writable());
        if !is_writable {
            return Err(Error::config(format!("`columns.{name}`: the column is generated always"))
                .with_hint("leave it out of `columns:`"));
        }
    }
    check_extras(mapping, table)?;
    if mapping.header_match == HeaderMatch::Relaxed {
        let folded: Vec<_> =
            table.column_names().map(|name| (fold(name, HeaderMatch::Relaxed), name)).collect();
        for (at, (form, name)) in folded.iter().enumerate() {
            if let Some((_, other)) = folded.iter().take(at).find(|(earlier, _)| earlier == form) {
                return Err(Error::config(format!(
                    "columns `{other}` and `{name}` of table `{}` are the same under `header_match: relaxed`",
                    table.name
                ))
                .with_hint(
                    "use `header_match: exact`, and `columns: {name: {from: …}}` where names differ",
                ));
            }
        }
    }
    Ok(())
}

fn check_extras(mapping: &Mapping, table: &Table) -> Result<()> {
    let Some(name) = &mapping.extras else { return Ok(()) };
    let column = table.column_index(name).and_then(|index| table.columns.get(index));
    let Some(column) = column else {
        return Err(Error::config(format!("`extras: {name}`: table `{}` has no such column", table.name))
            .with_hint(match nearest(name, table.column_names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("ALTER TABLE {} ADD COLUMN {} jsonb", table.name.quoted(), quote(name)),
            }));
    };
    if !matches!(column.kind, Kind::Json | Kind::Jsonb) || !column.generated.is_writable() {
        return Err(Error::config(format!("`extras: {name}`: it is of type `{}`", column.sql_type))
            .with_hint("fields without a column are kept in one of type jsonb or json"));
    }
    Ok(())
}
