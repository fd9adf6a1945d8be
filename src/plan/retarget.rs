//! Another table in place of that of every route.

use super::captures::{capture_name, plain_glob};
use crate::settings::RouteSettings;

/// A capture that nothing is made of: the same characters, under no name.
const UNNAMED: &str = "?*";

/// The routes with `table` in place of theirs, and behind them one for all other objects, which go by the rules of the first;
/// none where those rules need a key that they fit.
pub fn into_table(routes: &[RouteSettings], table: &str) -> Vec<RouteSettings> {
    let mut others: Vec<RouteSettings> = Vec::with_capacity(routes.len() + 1);
    let rest = routes.first().filter(|first| first.columns.values().all(|column| column.template.is_none()));
    let rest = rest.map(|first| RouteSettings { object: "**".to_owned(), ..first.clone() });
    for said in routes.iter().chain(&rest) {
        let route = RouteSettings { object: object(said), table: table.to_owned(), ..said.clone() };
        // Globs that differed by the name of a capture alone.
        if !others.iter().any(|other| bare(&other.object) == bare(&route.object)) {
            others.push(route);
        }
    }
    others
}

/// The glob without captures that named the table and nothing else.
fn object(said: &RouteSettings) -> String {
    let mut object = said.object.clone();
    for name in names(&said.table) {
        let braces = format!("{{{name}}}");
        let fills = |text: &String| text.contains(&braces);
        if !said.columns.values().filter_map(|column| column.template.as_ref()).any(fills) {
            object = object.replace(&braces, UNNAMED);
        }
    }
    object
}

/// What stands between braces.
fn names(template: &str) -> Vec<&str> {
    template.match_indices('{').filter_map(|(at, _)| capture_name(&template[at..])).collect()
}

fn bare(object: &str) -> String {
    plain_glob(object).unwrap_or_else(|_| object.to_owned()).replace(UNNAMED, "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_leads_into_the_table() {
        let route = |json: &str| serde_json::from_str::<RouteSettings>(json).expect("a route");
        let said = [
            r#"{"object": "s3://b/{table}/dt={dt}/*.csv", "table": "raw.{table}", "drop": ["x"]}"#,
            r#"{"object": "s3://b/{t}/dt={dt}/*.csv", "table": "{t}"}"#,
            r#"{"object": "s3://c/{t}/*.csv", "table": "{t}", "columns": {"source": "{t}"}}"#,
        ]
        .map(route);
        let objects: Vec<String> = into_table(&said, "u")
            .into_iter()
            .map(|route| format!("{} {}", route.object, route.table))
            .collect();
        assert_eq!(objects, ["s3://b/?*/dt={dt}/*.csv u", "s3://c/{t}/*.csv u", "** u"]);
        assert_eq!(into_table(&said[2..], "u").len(), 1, "its rules need a key");
        assert!(into_table(&[], "u").is_empty());
    }
}
