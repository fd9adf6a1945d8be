//! The statements that delete rows, or read them, by their keys.

use super::{PARAMETERS_MAX, Source, Statement, array_type, floor_power_of_two, value_type, written};
use crate::database::{Dialect, Tally};
use crate::plan::{Layout, Plan};
use crate::settings::WritePath;
use crate::table::{Column, Kind, quote};

/// Keys in one statement on Hologres: half of the vendor's batch, whose texts are twice as long as those of VALUES.
const KEYS_MAX: usize = 256;

impl Statement {
    /// Deletes rows by key; none where nothing is ever deleted.
    pub(in crate::sink) fn delete(
        plan: &Plan,
        layout: &Layout,
        dialect: Dialect,
        path: WritePath,
    ) -> Option<Self> {
        plan.route.operation.as_ref().filter(|operation| operation.deletes())?;
        let columns = written(plan, layout);
        let key = columns.get(..layout.key_count).filter(|key| !key.is_empty())?;
        let table = plan.table.name.quoted();
        let names: Vec<String> = key.iter().map(|column| quote(&column.name)).collect();
        if dialect.is_hologres() {
            // A Fixed Plan deletes one row by its whole key (help, "Accelerate SQL execution with Fixed Plan"); several by
            // OR is what holo-client sends (`buildDeleteSqlTemplate`).
            let rows_max = if path == WritePath::SingleRow { 1 } else { KEYS_MAX };
            let rows_max = floor_power_of_two(rows_max.min(PARAMETERS_MAX / key.len()).max(1));
            let types = key.iter().map(|column| value_type(column.kind)).collect();
            let source = Source::Keys { types, names, rows_max };
            let head = format!("DELETE FROM {table} WHERE ");
            let mut statement =
                Self { head, source, tail: String::new(), is_counted: false, tally: Tally::Silent };
            statement.bound_length();
            return Some(statement);
        }
        let types: Vec<_> = key.iter().map(|column| array_type(column.kind)).collect();
        let arrays = types.iter().enumerate().map(|(at, one)| format!("${}::{}[]", at + 1, one.sql));
        let aliases: Vec<String> = (1..=key.len()).map(|at| format!("k{at}")).collect();
        let text =
            format!("unnest({}) AS gone ({})", arrays.collect::<Vec<_>>().join(", "), aliases.join(", "));
        let equal = key.iter().zip(&aliases).map(|(column, alias)| {
            let cast =
                if column.kind == Kind::Other { format!("::{}", column.cast_type) } else { String::new() };
            format!("held.{} = gone.{alias}{cast}", quote(&column.name))
        });
        Some(Self {
            head: format!("DELETE FROM {table} AS held USING "),
            source: Source::Arrays { types, text, rows_max: usize::MAX },
            tail: format!(" WHERE {}", equal.collect::<Vec<_>>().join(" AND ")),
            is_counted: false,
            tally: Tally::Written,
        })
    }

    /// Reads these columns of rows by key, as the vendor's client does on every version (`GetStatementBuilder`).
    pub(in crate::sink) fn lookup(
        plan: &Plan,
        layout: &Layout,
        dialect: Dialect,
        columns: &[&Column],
    ) -> Option<Self> {
        let written = written(plan, layout);
        let key = written.get(..layout.key_count).filter(|key| !key.is_empty())?;
        let types = key.iter().map(|column| value_type(column.kind)).collect();
        let names: Vec<String> = key.iter().map(|column| quote(&column.name)).collect();
        let rows_max = floor_power_of_two(KEYS_MAX.min(PARAMETERS_MAX / key.len()).max(1));
        let head = format!("SELECT {} FROM {} WHERE ", super::names(columns), plan.table.name.quoted());
        let source = Source::Keys { types, names, rows_max };
        let mut statement =
            Self { head, source, tail: String::new(), is_counted: false, tally: Tally::Silent };
        if dialect.is_hologres() {
            statement.bound_length();
        }
        Some(statement)
    }

    /// One key in each statement from now on.
    pub(in crate::sink) fn limit_to_one_row(&mut self) {
        if let Source::Keys { rows_max, .. } = &mut self.source {
            *rows_max = 1;
        }
    }
}

/// `("a" = $3 AND "b" = $4)`
pub(super) fn key_row(row: usize, names: &[String]) -> String {
    let equal = names.iter().enumerate();
    let equal = equal.map(|(at, name)| format!("{name} = ${}", row * names.len() + at + 1));
    format!("({})", equal.collect::<Vec<_>>().join(" AND "))
}

#[cfg(test)]
mod tests {
    use super::key_row;

    #[test]
    fn keys_are_numbered_row_by_row() {
        let names = ["\"a\"".to_owned(), "\"b\"".to_owned()];
        assert_eq!(key_row(0, &names), "(\"a\" = $1 AND \"b\" = $2)");
        assert_eq!(key_row(2, &names[..1]), "(\"a\" = $3)");
    }
}
