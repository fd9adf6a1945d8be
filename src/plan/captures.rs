//! Routes with captures: `s3://b/{table}/dt={dt}/*.csv` says of which table and what its object is.

use std::sync::Arc;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use super::Route;
use crate::error::{Error, Result, nearest};
use crate::settings::RouteSettings;
use crate::table::{Table, TableName};

/// Stands for the first capture while `globset` turns the rest of the glob into a regular expression; nobody's key has
/// it, as it belongs to a private range.
const PLACEHOLDER: u32 = 0xF_5A00;
/// More captures than a key has parts to name.
const CAPTURES_MAX: usize = 32;
/// Longest identifier of the server, in bytes; a longer one would be cut short and mean another table.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// Globs, with the parts that are looked at for themselves.
#[derive(Clone, Debug)]
pub(super) struct Captures {
    names: Vec<String>,
    /// Captures of the key, in the order of `names`.
    regex: Option<Regex>,
    table: Template,
    /// Columns, and what is written into them.
    columns: Vec<(String, Template)>,
    /// Columns that are filled because a capture has their name.
    unspoken: Vec<String>,
}

/// A text with captures in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Capture(usize),
}

/// What an object's key says.
pub(super) struct Found {
    pub(super) table: TableName,
    pub(super) columns: Vec<(String, String)>,
}

/// The glob with each capture as a character of the placeholder's range, and the captures' names.
fn split(glob: &str) -> Result<(String, Vec<String>)> {
    let mut names: Vec<String> = Vec::new();
    let mut plain = String::with_capacity(glob.len());
    let (mut rest, mut depth, mut follows_capture) = (glob, 0_usize, false);
    let wrong = |what: &str, hint: &str| Error::config(format!("the glob `{glob}` {what}")).with_hint(hint);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        let captured = if first == '{' { capture_name(rest) } else { None };
        if let Some(name) = captured {
            let is_name = |name: &str| {
                !name.starts_with(|letter: char| letter.is_ascii_digit())
                    && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            };
            if name.is_empty() || !is_name(name) {
                return Err(wrong(
                    &format!("has `{{{name}}}`, which is neither a capture nor an alternative"),
                    "a capture has a name of letters, digits and `_`; alternatives have a comma: `{a,b}`",
                ));
            }
            if depth > 0 {
                return Err(wrong(
                    &format!("has the capture `{{{name}}}` inside of an alternative"),
                    "write two routes",
                ));
            }
            if follows_capture {
                return Err(wrong(
                    "has two captures with nothing between them",
                    "write what stands between them",
                ));
            }
            if names.iter().any(|known| known == name) {
                return Err(wrong(
                    &format!("has the capture `{{{name}}}` twice"),
                    "give each a name of its own, or write `*`",
                ));
            }
            plain.extend(u32::try_from(names.len()).ok().and_then(placeholder));
            names.push(name.to_owned());
            length = name.len() + 2;
        } else {
            match first {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                '\\' => length += rest[1..].chars().next().map_or(0, char::len_utf8),
                '[' => length = class_length(rest),
                _ => {}
            }
            plain.push_str(&rest[..length]);
        }
        follows_capture = captured.is_some();
        rest = &rest[length..];
    }
    if names.len() > CAPTURES_MAX {
        return Err(wrong("has more than 32 captures", "write `*` for parts that nothing is made of"));
    }
    Ok((plain, names))
}

fn placeholder(index: u32) -> Option<char> {
    char::from_u32(PLACEHOLDER + index)
}

/// What stands between braces without a comma.
pub(super) fn capture_name(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let name = &inner[..inner.find(['{', '}'])?];
    (inner[name.len()..].starts_with('}') && !name.contains(',')).then_some(name)
}

/// Bytes of `[…]`; of the bracket alone if it is never closed.
fn class_length(text: &str) -> usize {
    let inner = text[1..].trim_start_matches(['!', '^']);
    let inner = inner.strip_prefix(']').unwrap_or(inner);
    inner.find(']').map_or(1, |at| text.len() - inner.len() + at + 1)
}

/// The glob for `globset`, in which a capture is at least one character of one part of the path.
///
/// # Errors
/// `Config` for captures that cannot be told apart.
pub(super) fn plain_glob(glob: &str) -> Result<String> {
    let (marked, names) = split(glob)?;
    let is_placeholder = |letter: char| {
        u32::from(letter).checked_sub(PLACEHOLDER).is_some_and(|at| (at as usize) < names.len())
    };
    Ok(marked
        .chars()
        .map(|letter| if is_placeholder(letter) { "?*".to_owned() } else { letter.to_string() })
        .collect())
}

impl Captures {
    /// What the route says of its captures; none where it has none and speaks of none.
    ///
    /// # Errors
    /// `Config` for captures that nobody has, with the nearest name.
    pub(super) fn new(said: &RouteSettings) -> Result<Option<Self>> {
        let (marked, names) = split(&said.object)?;
        let table = Template::new(&said.table, &names, said, "table")?;
        let columns =
            said.columns.iter().filter_map(|(name, column)| Some((name, column.template.as_ref()?)));
        let columns = columns.map(|(name, text)| {
            let template = Template::new(text, &names, said, &format!("columns.{name}"))?;
            Ok((name.clone(), template))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        if names.is_empty() {
            return Ok(None);
        }
        let is_spoken_of =
            |index: usize| table.has(index) || columns.iter().any(|(_, template)| template.has(index));
        let unspoken: Vec<String> =
            (0..).zip(&names).filter(|(at, _)| !is_spoken_of(*at)).map(|(_, name)| name.clone()).collect();
        if let Some(name) = unspoken.iter().find(|name| {
            said.columns
                .get(*name)
                .is_some_and(|column| column.is_filled() || column.from.is_some() || column.field.is_some())
        }) {
            return Err(Error::config(format!(
                "the capture `{{{name}}}` and `columns.{name}` both fill column `{name}`"
            ))
            .with_hint("give the capture another name, or write `*` in its place"));
        }
        let regex = regex(&said.object, &marked, names.len())?;
        // Whether the template makes a name does not depend on the key.
        TableName::parse(&table.filled(&vec!["x"; names.len()]))?;
        Ok(Some(Self { names, regex: Some(regex), table, columns, unspoken }))
    }

    /// Whether each object says its table.
    pub(super) fn names_table(&self) -> bool {
        self.table.0.iter().any(|piece| matches!(piece, Piece::Capture(_)))
    }

    /// What the object of this address says; none if the address is another route's.
    ///
    /// # Errors
    /// `Config` for a text that names no table.
    pub(super) fn find(&self, address: &str) -> Result<Option<Found>> {
        let Some(regex) = &self.regex else { return Ok(None) };
        let mut found = regex.create_captures();
        regex.captures(address, &mut found);
        let values: Option<Vec<&str>> = (1..=self.names.len())
            .map(|group| found.get_group(group).and_then(|span| address.get(span.start..span.end)))
            .collect();
        let Some(values) = values.filter(|_| found.is_match()) else { return Ok(None) };
        for (index, value) in values.iter().enumerate() {
            if self.table.has(index) && !is_identifier(value) {
                return Err(Error::config(format!(
                    "the capture `{{{}}}` of `{address}` is no table name",
                    self.names[index]
                ))
                .with_hint("names of tables have letters, digits, `_` and `$` here; keep such objects out of the route's glob"));
            }
        }
        let table = TableName::parse(&self.table.filled(&values))?;
        if table.name.len().max(table.schema.len()) > IDENTIFIER_BYTES_MAX {
            return Err(Error::config(format!("`{address}` makes the name of a table longer than 63 bytes"))
                .with_hint("the server would cut it short; keep such objects out of the route's glob"));
        }
        let written =
            self.columns.iter().map(|(column, template)| (column.clone(), template.filled(&values)));
        let own = self.names.iter().zip(&values).filter(|(name, _)| self.unspoken.contains(name));
        let columns = written.chain(own.map(|(name, value)| (name.clone(), (*value).to_owned()))).collect();
        Ok(Some(Found { table, columns }))
    }

    /// Columns that a capture fills by its name must be there.
    pub(super) fn check(&self, table: &Table) -> Result<()> {
        let is_absent = |name: &&String| table.column_index(name).is_none();
        let Some(name) = self.unspoken.iter().find(is_absent) else { return Ok(()) };
        let error = Error::config(format!(
            "the capture `{{{name}}}` fills column `{name}`, table `{}` has no such column",
            table.name
        ));
        let near = nearest(name, table.column_names()).unwrap_or("column");
        Err(error.with_hint(format!(
            "write `columns: {{{near}: \"{{{name}}}\"}}` for another column, or `*` in place of the capture"
        )))
    }
}

/// `globset`'s expression with groups in place of the placeholders.
fn regex(glob: &str, marked: &str, count: usize) -> Result<Regex> {
    let broken = || Error::config(format!("read the glob `{glob}`"));
    let compiled = super::glob(marked, glob)?;
    let mut expression = compiled.regex().to_owned();
    for index in 0..u32::try_from(count).unwrap_or(0) {
        let letter = placeholder(index).ok_or_else(broken)?;
        let bytes = letter.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let upper = letter.to_string().bytes().map(|byte| format!("\\x{byte:02X}")).collect::<String>();
        let group = "((?u:[^/]+))";
        expression = expression.replace(&bytes, group).replace(&upper, group).replace(letter, group);
    }
    let syntax = syntax::Config::new().utf8(false).dot_matches_new_line(true);
    let regex = Regex::builder().syntax(syntax).build(&expression);
    let regex = regex.map_err(|source| broken().with_source(source))?;
    if regex.captures_len() == count + 1 { Ok(regex) } else { Err(broken()) }
}

/// A name that needs no quotes but for its capitals.
fn is_identifier(text: &str) -> bool {
    let is_first = |letter: char| letter.is_alphabetic() || letter == '_' || letter.is_ascii_digit();
    text.chars().next().is_some_and(is_first)
        && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '$'))
}

impl Template {
    fn new(text: &str, names: &[String], said: &RouteSettings, place: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            let unknown = |name: &str, hint: String| {
                Err(Error::config(format!(
                    "`{place}: {text}`: `object: {}` has no capture `{{{name}}}`",
                    said.object
                ))
                .with_hint(hint))
            };
            let Some(name) = capture_name(from) else {
                return unknown(&from[1..], "a capture stands between braces: `{name}`".to_owned());
            };
            let Some(index) = names.iter().position(|known| known == name) else {
                let near = nearest(name, names.iter().map(String::as_str));
                return unknown(
                    name,
                    match near {
                        Some(near) => format!("did you mean `{{{near}}}`?"),
                        None => format!("write `{{{name}}}` in `object:` where it stands in the key"),
                    },
                );
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Capture(index));
            rest = &from[name.len() + 2..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    fn has(&self, index: usize) -> bool {
        self.0.contains(&Piece::Capture(index))
    }

    fn filled(&self, values: &[&str]) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Capture(index) => values.get(*index).copied().unwrap_or_default().to_owned(),
        };
        self.0.iter().map(text).collect()
    }
}

impl Route {
    /// Whether the table is the same for every object.
    pub fn has_one_table(&self) -> bool {
        !self.captures.as_ref().is_some_and(Captures::names_table)
    }

    /// The route as it is for the object of this address; none if it is another route's.
    pub(super) fn for_address(route: &Arc<Self>, address: &str) -> Result<Option<Arc<Self>>> {
        let Some(captures) = &route.captures else { return Ok(Some(Arc::clone(route))) };
        let Some(found) = captures.find(address)? else { return Ok(None) };
        let mut own = Self::clone(route);
        own.fingerprint.push_str(&format!("{:?}{:?}", found.table, found.columns));
        own.table = found.table;
        own.mapping.captured = found.columns;
        Ok(Some(Arc::new(own)))
    }
}

/// A route that no object can reach is a mistake.
///
/// # Errors
/// `Config`, naming both.
pub(super) fn refuse_hidden(routes: &[Arc<Route>]) -> Result<()> {
    for (at, later) in routes.iter().enumerate() {
        if let Some(earlier) = routes.iter().take(at).find(|earlier| hides(earlier, later)) {
            return Err(Error::config(format!(
                "route {} (`{}`) takes every object of route {} (`{}`)",
                routes.iter().position(|route| Arc::ptr_eq(route, earlier)).map_or(0, |index| index + 1),
                earlier.glob(),
                at + 1,
                later.glob()
            ))
            .with_hint("the first route that matches wins: put the narrower one before, or leave it out"));
        }
    }
    Ok(())
}

fn hides(earlier: &Route, later: &Route) -> bool {
    let is_literal = |glob: &str| !glob.contains(['*', '?', '[', '{', '\\']);
    // A capture is at least one character, which `*` need not be: between whole routes that is no difference.
    let [wide, narrow] = [earlier, later].map(|route| route.matcher.glob().glob().replace("?*", "*"));
    if wide == "**" || wide == narrow {
        return true;
    }
    if is_literal(&narrow) {
        return earlier.matcher.is_match(&narrow);
    }
    let Some(folder) = wide.strip_suffix("/**").filter(|folder| is_literal(folder)) else { return false };
    narrow.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(yaml: &str) -> Result<Option<Captures>> {
        let said: RouteSettings = serde_json::from_str(yaml).expect("a route");
        Captures::new(&said)
    }

    fn found(glob: &str, table: &str, address: &str) -> Option<(String, Vec<(String, String)>)> {
        let said = format!(r#"{{"object": "{glob}", "table": "{table}"}}"#);
        let captures = route(&said).expect(glob).expect("captures");
        let found = captures.find(address).expect(address)?;
        Some((found.table.to_string(), found.columns))
    }

    #[test]
    fn captures_are_parts_of_one_segment() {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
        };
        for (glob, table, address, expected) in [
            (
                "s3://b/{table}/dt={dt}/*.csv",
                "{table}",
                "s3://b/orders/dt=2024-01-01/a.csv",
                Some(("public.orders", pairs(&[("dt", "2024-01-01")]))),
            ),
            ("s3://b/{table}/dt={dt}/*.csv", "{table}", "s3://b/x/orders/dt=2024-01-01/a.csv", None),
            ("s3://b/{table}/dt={dt}/*.csv", "{table}", "s3://b/orders/dt=/a.csv", None),
            (
                "s3://b/**/{table}/*.csv",
                "lake.{table}_raw",
                "s3://b/x/y/Orders/a.csv",
                Some(("lake.orders_raw", Vec::new())),
            ),
            (
                "s3://b/{table}.{csv,tsv}",
                "\\\"S\\\".\\\"{table}\\\"",
                "s3://b/Orders.tsv",
                Some(("S.Orders", Vec::new())),
            ),
            (
                "s3://{bucket}/{y}-{m}.csv",
                "t",
                "s3://b/2024-01.csv",
                Some(("public.t", pairs(&[("bucket", "b"), ("y", "2024"), ("m", "01")]))),
            ),
            (
                "s3://b/{a}-{b}.csv",
                "t",
                "s3://b/1-2-3.csv",
                Some(("public.t", pairs(&[("a", "1-2"), ("b", "3")]))),
            ),
            ("s3://b/{店}.csv", "t", "s3://b/x.csv", None),
            ("s3://b/東京/{shop}[0-9]?.csv", "t", "s3://b/東京/銀座1あ.csv", None),
            (
                "s3://b/東京/{shop}[0-9]*.csv",
                "t",
                "s3://b/東京/銀座1あ.csv",
                Some(("public.t", pairs(&[("shop", "銀座")]))),
            ),
            ("s3://b/[{]{x}\\\\{.csv", "t", "s3://b/{1{.csv", Some(("public.t", pairs(&[("x", "1")])))),
            ("s3://b/{x}.csv", "t", "s3://b/a\\nb.csv", Some(("public.t", pairs(&[("x", "a\\nb")])))),
        ] {
            if glob.contains("{店}") {
                let said = format!(r#"{{"object": "{glob}", "table": "t"}}"#);
                assert!(route(&said).expect_err(glob).to_string().contains("neither a capture"));
                continue;
            }
            let expected = expected.map(|(table, columns)| (table.to_owned(), columns));
            assert_eq!(found(glob, table, address), expected, "{glob} {address}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (said, expected) in [
            (r#"{"object": "s3://b/{dt}/*", "table": "{table}"}"#, "has no capture `{table}`"),
            (r#"{"object": "s3://b/{tabel}/*", "table": "{table}"}"#, "did you mean `{tabel}`?"),
            (r#"{"object": "s3://b/*", "table": "t", "columns": {"d": "{dt}"}}"#, "`columns.d: {dt}`"),
            (
                r#"{"object": "s3://b/{dt}/*", "table": "t", "columns": {"dt": {"constant": "x"}}}"#,
                "both fill column `dt`",
            ),
            (r#"{"object": "s3://b/{dt}/{dt}", "table": "t"}"#, "twice"),
            (r#"{"object": "s3://b/{a}{b}", "table": "t"}"#, "nothing between"),
            (r#"{"object": "s3://b/{x,{y}}", "table": "t"}"#, "inside of an alternative"),
            (r#"{"object": "s3://b/{}/*", "table": "t"}"#, "neither a capture"),
            (r#"{"object": "s3://b/{a b}/*", "table": "t"}"#, "neither a capture"),
            (r#"{"object": "s3://b/{t}/*", "table": "a.b.{t}"}"#, "table name"),
            (r#"{"object": "s3://b/{t}/*", "table": "{t"}"#, "between braces"),
        ] {
            let error = route(said).expect_err(said);
            let text = format!("{error} | {}", error.hint().unwrap_or_default());
            assert!(text.contains(expected), "{said}: {text}");
        }
        assert!(route(r#"{"object": "s3://b/{a,b}/*", "table": "t"}"#).expect("valid").is_none());
    }

    #[test]
    fn what_names_no_table_is_refused() {
        let captures =
            route(r#"{"object": "s3://b/{t}/*", "table": "{t}"}"#).expect("valid").expect("captures");
        for name in ["a b", "a\"b", "a.b", "a;b", "a-b", "$a", &"x".repeat(64)] {
            let error = captures.find(&format!("s3://b/{name}/x")).err().expect(name);
            assert_eq!(error.class(), crate::error::Class::Config, "{name}");
        }
    }
}
