//! Types that `DuckDB` infers.

use holoload::guess::Hints;

use crate::dialect::{fits, guess_of};
use crate::manifest::{Case, Outcome, cases, settle};

/// Cases in which we say something else, and why.
const DELIBERATE: &[(&str, &str)] = &[];

/// The columns that `SELECT typeof(a), …` names; `None` for cases about values.
fn asked(sql: &str) -> Option<Vec<String>> {
    let items = sql.split("typeof(").skip(1);
    let names: Vec<String> = items.filter_map(|item| item.split(')').next()).map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

fn check(case: &Case, names: &[String]) -> Outcome {
    let guess = guess_of(&case.bytes(), true, &Hints::default());
    let result = case.expected["result"].as_str().unwrap_or_default();
    for (name, theirs) in names.iter().zip(result.split('\t')) {
        let column = match name.as_str() {
            "#1" => guess.columns.first(),
            name => guess.columns.iter().find(|column| column.name == name),
        };
        let Some(column) = column else { return Err(format!("no column `{name}`")) };
        if !fits(column, theirs) {
            return Err(format!("`{name}` is {}, expected {theirs}", column.kind.sql()));
        }
    }
    Ok(())
}

#[test]
fn types_are_those_that_duckdb_infers_or_better() {
    let cases = cases("type", "duckdb_sqllogic");
    let outcomes: Vec<(String, Outcome)> = cases
        .iter()
        .filter_map(|case| Some((case.id.clone(), check(case, &asked(case.option("sql"))?))))
        .collect();
    settle("type (DuckDB typeof)", &outcomes, DELIBERATE);
}
