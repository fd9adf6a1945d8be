//! The statements by which an object takes the place of rows that are there.

use super::sql::{assignments, comparable, key, names, written};
use crate::database::{Dialect, Tally};
use crate::plan::{Layout, Lineage, Plan};
use crate::table::{Column, Generated, TableName, quote};

/// Which rows of an object go.
#[derive(Clone, Copy, Debug)]
pub struct Leftover<'a> {
    /// The object's key.
    pub key: &'a str,
    /// Its bucket.
    pub bucket: &'a str,
    /// Rows with this mark stay.
    pub own: Option<&'a str>,
    /// And those whose mark is not below this one: they are newer, and the statement is late.
    pub below: Option<&'a str>,
}

impl<'a> Leftover<'a> {
    /// The statement, and what its parameters stand for.
    pub fn delete(
        &self,
        lineage: &Lineage<'_>,
        table: &TableName,
        dialect: Dialect,
    ) -> (String, Vec<&'a str>) {
        // A column's own collation may hold different keys for equal; an index is found without.
        let exact = if dialect.is_hologres() { "" } else { " COLLATE \"C\"" };
        let mut values = vec![self.key];
        let column = quote(lineage.key);
        let mut sql = format!("DELETE FROM {} WHERE {column} = $1", table.quoted());
        if !exact.is_empty() {
            sql.push_str(&format!(" AND {column}{exact} = $1"));
        }
        if let Some(bucket) = lineage.bucket {
            values.push(self.bucket);
            sql.push_str(&format!(" AND {}{exact} = ${}", quote(bucket), values.len()));
        }
        let mark = format!("{}{exact}", quote(lineage.sequencer));
        let mut marks = Vec::new();
        for (operator, value) in [("<>", self.own), ("<", self.below)] {
            if let Some(value) = value {
                values.push(value);
                marks.push(format!("{mark} {operator} ${}", values.len()));
            }
        }
        if !marks.is_empty() {
            let column = quote(lineage.sequencer);
            sql.push_str(&format!(" AND ({column} IS NULL OR ({}))", marks.join(" AND ")));
        }
        (sql, values)
    }
}

/// The statements that make a table what a stage of the same columns holds.
#[derive(Debug)]
pub struct Merge {
    /// Rows that the stage has not.
    pub delete: String,
    /// Rows that are new, or other than there.
    pub insert: String,
    /// How the second tells what it did.
    pub tally: Tally,
}

impl Merge {
    /// PostgreSQL's; without a layout there is nothing in the stage.
    pub fn new(plan: &Plan, layout: Option<&Layout>, stage: &TableName) -> Self {
        let (target, stage) = (plan.table.name.quoted(), stage.quoted());
        let Some(layout) = layout else {
            let (delete, insert) = (format!("DELETE FROM {target}"), String::new());
            return Self { delete, insert, tally: Tally::Inserted };
        };
        let given = written(plan, layout);
        // What the file lacks has its default in the stage. An identity is made by the table itself.
        let lacking = plan.table.columns.iter().filter(|column| {
            column.generated == Generated::No && !given.iter().any(|one| one.name == column.name)
        });
        let columns: Vec<&Column> = given.iter().copied().chain(lacking).collect();
        let listed = names(&columns);
        let insert = format!("INSERT INTO {target} AS held ({listed}) SELECT {listed} FROM {stage}");
        if plan.table.key.is_none() {
            return Self { delete: format!("DELETE FROM {target}"), insert, tally: Tally::Inserted };
        }
        let (keys, changed) = columns.split_at(layout.key_count);
        let same: Vec<String> =
            keys.iter().map(|column| format!("staged.{0} = held.{0}", quote(&column.name))).collect();
        let delete = format!(
            "DELETE FROM {target} AS held WHERE NOT EXISTS (SELECT FROM {stage} AS staged WHERE {})",
            same.join(" AND ")
        );
        let key = key(plan, layout);
        if changed.is_empty() {
            let insert = format!("{insert} ON CONFLICT ({key}) DO NOTHING");
            return Self { delete, insert, tally: Tally::Inserted };
        }
        let side = |name: &str| -> String {
            changed.iter().map(|column| comparable(name, column)).collect::<Vec<_>>().join(", ")
        };
        let insert = format!(
            "{insert} ON CONFLICT ({key}) DO UPDATE SET {} WHERE ROW({}) IS DISTINCT FROM ROW({})",
            assignments(changed),
            side("held"),
            side("excluded")
        );
        // Rows that come back from a partitioned parent have no system columns.
        if plan.table.is_partitioned {
            return Self { delete, insert, tally: Tally::Written };
        }
        let insert = format!(
            "WITH written AS ({insert} RETURNING (xmax = 0) AS is_new) \
             SELECT count(*) FILTER (WHERE is_new), count(*) FROM written"
        );
        Self { delete, insert, tally: Tally::Returned }
    }
}

/// PostgreSQL's stage: like the table, without what only the table itself can make.
pub fn stage(plan: &Plan, stage: &TableName) -> String {
    let target = plan.table.name.quoted();
    let (temporary, name) = (quote(&stage.name), stage.quoted());
    let mut sql = format!(
        "CREATE TEMPORARY TABLE {temporary} (LIKE {target} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) ON COMMIT DROP"
    );
    for column in plan.table.columns.iter().filter(|column| column.generated != Generated::No) {
        sql.push_str(&format!("; ALTER TABLE {name} ALTER COLUMN {} DROP NOT NULL", quote(&column.name)));
    }
    if let Some(key) = &plan.table.key {
        let columns: Vec<&Column> = key.columns.iter().map(|index| &plan.table.columns[*index]).collect();
        sql.push_str(&format!("; ALTER TABLE {name} ADD PRIMARY KEY ({})", names(&columns)));
    }
    sql
}
