//! What a file and a table that is there have against each other.

use super::ddl::sql_names;
use super::{ColumnGuess, Guess, Type};
use crate::error::nearest;
use crate::table::{Column, Kind, Table, quote};

/// One thing that does not fit, and what would make it fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The column, of the file or of the table.
    pub column: String,
    /// What does not fit.
    pub text: String,
    /// A statement, or a line of YAML, that helps.
    pub fix: Option<String>,
    /// A load fails or refuses rows because of it.
    pub is_fatal: bool,
}

/// How a type of the file meets a type of the table.
enum Fit {
    Fits,
    /// Rows whose values the type has no room for are refused.
    Narrow,
    /// The column needs rules that only YAML can say.
    No,
}

impl Guess {
    /// What stands in the way of loading the file into `table`, in the order of the file.
    pub fn compare(&self, table: &Table) -> Vec<Difference> {
        let mut found = Vec::new();
        let names = sql_names(&self.columns);
        for (index, (column, name)) in self.columns.iter().zip(&names).enumerate() {
            // Without a header columns go by position.
            let target = if self.header {
                let at = table.column_index(&column.name).or_else(|| table.column_index(name));
                at.and_then(|at| table.columns.get(at))
            } else {
                table.columns.get(index)
            };
            match target {
                None => found.push(missing(column, name, table)),
                Some(target) => found.extend(differs(column, target)),
            }
        }
        let is_there = |target: &Column| {
            let by_name = self.columns.iter().zip(&names);
            by_name.into_iter().any(|(column, name)| column.name == target.name || *name == target.name)
        };
        let rest = table.columns.iter().enumerate().filter(|(index, target)| {
            target.generated.is_writable()
                && if self.header { !is_there(target) } else { *index >= self.columns.len() }
        });
        for (_, target) in rest {
            let is_needed = target.not_null && !target.has_default;
            let text = if is_needed {
                "the table wants a value, and the file has no such column"
            } else {
                "the file has no such column; it keeps its default or NULL"
            };
            let fix = format!("columns: {{{}: {{constant: \"…\"}}}}", target.name);
            found.push(Difference {
                column: target.name.clone(),
                text: text.to_owned(),
                fix: is_needed.then_some(fix),
                is_fatal: is_needed,
            });
        }
        found
    }
}

fn missing(column: &ColumnGuess, name: &str, table: &Table) -> Difference {
    let near = nearest(&column.name, table.column_names());
    let fix = match near {
        Some(near) => format!("columns: {{{near}: {{from: \"{}\"}}}}", column.name.replace('"', "\\\"")),
        None => {
            format!("ALTER TABLE {} ADD COLUMN {} {};", table.name.quoted(), quote(name), column.kind.sql())
        }
    };
    let text = match near {
        Some(near) => format!("the table has no such column; the nearest is {near}"),
        None => "the table has no such column".to_owned(),
    };
    Difference { column: column.name.clone(), text, fix: Some(fix), is_fatal: true }
}

fn differs(column: &ColumnGuess, target: &Column) -> Option<Difference> {
    let difference = |text: String, fix: Option<String>, is_fatal: bool| {
        Some(Difference { column: column.name.clone(), text, fix, is_fatal })
    };
    let is_filled = column.nullable && target.not_null;
    if is_filled {
        return difference(
            "the table wants a value, and the file has rows without".to_owned(),
            Some(format!("columns: {{{}: {{default: \"…\"}}}}", target.name)),
            true,
        );
    }
    let shown = column.kind.sql();
    match fit(column, target.kind) {
        Fit::Fits => {
            // A column of words takes the text as it is.
            let takes_text = matches!(target.kind, Kind::Text | Kind::Varchar { .. });
            let rule = needed_rule(column).filter(|_| !takes_text)?;
            difference(
                format!("the values need a rule to be read as {}", target.sql_type),
                Some(format!("columns: {{{}: {{{rule}}}}}", target.name)),
                true,
            )
        }
        Fit::Narrow => difference(
            format!(
                "the file holds {shown}, the table {}: values that do not fit are refused",
                target.sql_type
            ),
            None,
            false,
        ),
        Fit::No => difference(format!("the file holds {shown}, the table {}", target.sql_type), None, true),
    }
}

/// What YAML must say for the values to be read at all.
fn needed_rule(column: &ColumnGuess) -> Option<String> {
    let mut parts = Vec::new();
    if !column.formats.is_empty() {
        let formats: Vec<String> = column.formats.iter().map(|format| format!("\"{format}\"")).collect();
        parts.push(format!("format: [{}]", formats.join(", ")));
    }
    parts.extend(column.epoch.map(|epoch| format!("epoch: {epoch}")));
    parts.extend(column.thousands.map(|mark| format!("thousands: \"{mark}\"")));
    parts.extend(column.decimal.map(|mark| format!("decimal: \"{mark}\"")));
    parts.extend(column.full_width.then(|| "full_width: true".to_owned()));
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn fit(column: &ColumnGuess, target: Kind) -> Fit {
    match target {
        Kind::Text | Kind::Varchar { char_max: None } | Kind::Other => return Fit::Fits,
        Kind::Varchar { .. } | Kind::Char { .. } => return Fit::Narrow,
        _ => {}
    }
    let is_empty = column.evidence.first().is_some_and(|first| first.starts_with("0 values"));
    if is_empty {
        return Fit::Fits;
    }
    match (column.kind, target) {
        (Type::Bool, Kind::Bool)
        | (Type::Int, Kind::Int4 | Kind::Int8 | Kind::Numeric { .. } | Kind::Float8)
        | (Type::Bigint, Kind::Int8)
        | (Type::Real | Type::Double, Kind::Float8)
        | (Type::Real, Kind::Float4)
        | (Type::Numeric { .. }, Kind::Numeric { limits: None })
        | (Type::Date, Kind::Date | Kind::Timestamp { .. } | Kind::Timestamptz { .. })
        | (Type::Time, Kind::Time { .. })
        | (Type::Timestamp, Kind::Timestamp { .. } | Kind::Timestamptz { .. })
        | (Type::Timestamptz, Kind::Timestamptz { .. })
        | (Type::Uuid, Kind::Uuid)
        | (Type::Jsonb, Kind::Json | Kind::Jsonb)
        | (Type::Bytea, Kind::Bytea) => Fit::Fits,
        (Type::Numeric { limits: Some((_, scale)) }, Kind::Numeric { limits: Some((_, kept)) }) => {
            if i16::try_from(scale).is_ok_and(|scale| scale <= kept) {
                Fit::Fits
            } else {
                Fit::Narrow
            }
        }
        // Every value of the sample may fit all the same.
        (
            Type::Bigint | Type::Int,
            Kind::Int2 | Kind::Int4 | Kind::Float4 | Kind::Float8 | Kind::Numeric { .. },
        )
        | (Type::Numeric { .. }, Kind::Float4 | Kind::Float8)
        | (Type::Double, Kind::Float4 | Kind::Numeric { .. })
        | (Type::Bigint, Kind::Bool) => Fit::Narrow,
        _ => Fit::No,
    }
}
