//! INSERT as Hologres looks at it: does it qualify for a Fixed Plan, and if not, may it run at all.

use super::catalog::{Column, Table};
use super::errors::{Refusal, named};
use super::sql::{Cursor, Kind, Statement, Token, list, names};

/// Where the rows come from.
enum Rows {
    Values,
    /// `SELECT unnest($1::int8[]), …`: the type of every cast, `None` where a select item is something else.
    Unnest(Vec<Option<String>>),
    Other,
}

enum Action {
    Nothing,
    /// Whether every assignment is `column = excluded.column`, and the condition.
    Update {
        is_plain: bool,
        condition: Option<Vec<Token>>,
    },
}

struct Conflict {
    columns: Option<Vec<String>>,
    constraint: Option<String>,
    action: Action,
}

/// One INSERT, read as far as its rules go.
pub struct Insert {
    pub table: Vec<String>,
    alias: Option<String>,
    columns: Option<Vec<String>>,
    rows: Rows,
    set_returning_count: usize,
    conflict: Option<Conflict>,
    has_returning: bool,
}

impl Insert {
    /// `None` for what PostgreSQL's own parser will refuse.
    pub fn parse(statement: &Statement) -> Option<Self> {
        let mut cursor = Cursor::new(&statement.tokens);
        if !cursor.words(&["insert", "into"]) {
            return None;
        }
        let table = cursor.table()?;
        let alias = if cursor.words(&["as"]) { cursor.name() } else { None };
        let columns = cursor.parenthesized().and_then(names);
        let source = cursor.until(&["on", "returning"]);
        let is_unnest = |token: &&Token| token.is_word("unnest");
        let set_returning_count = source.iter().filter(is_unnest).count();
        let rows = rows(source);
        let conflict = if cursor.words(&["on", "conflict"]) { Some(conflict(&mut cursor)?) } else { None };
        let has_returning = cursor.words(&["returning"]);
        Some(Self { table, alias, columns, rows, set_returning_count, conflict, has_returning })
    }

    /// Whether it runs as a Fixed Plan.
    ///
    /// # Errors
    /// What Hologres says to a statement that it takes in neither way.
    pub fn check(&self, table: &Table, version: (u32, u32, u32)) -> Result<bool, Refusal> {
        if self.has_returning && version < (3, 2, 0) {
            return Err(Refusal::not_supported("Feature not supported: RETURNING"));
        }
        let columns = table.named(self.columns.as_deref())?;
        let is_missing = |key: &&String| {
            !columns.iter().any(|column| column.name == **key)
                && !table.column(key).is_some_and(|column| column.has_default)
        };
        if table.key.iter().any(|key| is_missing(&key)) {
            return Err(Refusal::new("XX000", "shard columns count is no match"));
        }
        self.check_conflict_target(table)?;
        let is_fixed = self.is_fixed(table, &columns);
        let has_uuids =
            matches!(&self.rows, Rows::Unnest(casts) if casts.iter().flatten().any(|cast| cast == "uuid"));
        if !is_fixed && (self.set_returning_count > 1 || has_uuids) {
            return Err(named("one_set_returning").into());
        }
        if !is_fixed && table.is_parent {
            return Err(named("parent_table").into());
        }
        Ok(is_fixed)
    }

    /// Where the key's columns stand among the arrays of an unnest INSERT whose parameters are its columns in order.
    pub fn key_places(&self, table: &Table, statement: &Statement) -> Vec<usize> {
        let Some(columns) = &self.columns else { return Vec::new() };
        let parameters = statement.tokens.iter().filter(|token| token.kind == Kind::Parameter);
        let is_in_order =
            parameters.map(|token| token.value.as_str()).eq((1..=columns.len()).map(|n| format!("${n}")));
        let place = |key: &String| columns.iter().position(|column| column == key);
        let places: Option<Vec<usize>> = table.key.iter().map(place).collect();
        places.filter(|_| is_in_order && matches!(self.rows, Rows::Unnest(_))).unwrap_or_default()
    }

    fn check_conflict_target(&self, table: &Table) -> Result<(), Refusal> {
        let Some(conflict) = &self.conflict else { return Ok(()) };
        let mut key = table.key.clone();
        key.sort();
        let is_key = match (&conflict.columns, &conflict.constraint) {
            (Some(columns), _) => {
                let mut columns = columns.clone();
                columns.sort();
                columns == key
            }
            (None, Some(constraint)) => *constraint == table.key_name,
            (None, None) => matches!(conflict.action, Action::Nothing),
        };
        if is_key {
            return Ok(());
        }
        Err(Refusal::not_supported("Feature not supported: INSERT on conflict contains un-unique column"))
    }

    fn is_fixed(&self, table: &Table, columns: &[&Column]) -> bool {
        if table.has_money() || !columns.iter().all(|column| column.is_fixed_type()) {
            return false;
        }
        let are_rows_fixed = match &self.rows {
            Rows::Values => true,
            Rows::Unnest(casts) => {
                let is_default_left_out = table.columns.iter().any(|column| {
                    column.has_default && !columns.iter().any(|named| named.name == column.name)
                });
                let is_exact = |(cast, column): (&Option<String>, &&Column)| {
                    // The vendor's client for Python casts to text[] for every kind of text.
                    let is_text = cast.as_deref() == Some("text")
                        && ["varchar", "bpchar"].contains(&column.type_name.as_str());
                    (is_text || cast.as_ref() == Some(&column.type_name))
                        && !column.type_name.starts_with('_')
                };
                casts.len() == columns.len()
                    && casts.iter().zip(columns).all(is_exact)
                    && !is_default_left_out
            }
            Rows::Other => false,
        };
        let is_conflict_fixed = match &self.conflict {
            Some(Conflict { action: Action::Update { is_plain, condition }, .. }) => {
                *is_plain
                    && condition.as_ref().is_none_or(|condition| self.is_fixed_condition(condition, table))
            }
            _ => true,
        };
        are_rows_fixed && is_conflict_fixed
    }

    /// One column outside of the key, compared with the new row's, or with NULL.
    fn is_fixed_condition(&self, condition: &[Token], table: &Table) -> bool {
        let condition = unwrapped(condition);
        let operators = ["=", "<>", "!=", ">", ">=", "<", "<="];
        let mut depth = 0;
        let comparison = condition.iter().position(|token| {
            depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
            depth == 0 && operators.iter().any(|operator| token.is_symbol(operator))
        });
        let is_compared =
            |column: &str| table.column(column).is_some() && !table.key.iter().any(|key| key == column);
        if let Some(at) = comparison {
            let (left, right) = (self.side(&condition[..at]), self.side(&condition[at + 1..]));
            return match (left, right) {
                (Some((left, is_left_new)), Some((right, is_right_new))) => {
                    left == right && is_left_new != is_right_new && is_compared(&left)
                }
                _ => false,
            };
        }
        let Some(at) = condition.iter().position(|token| token.is_word("is")) else { return false };
        let is_null_test = match &condition[at + 1..] {
            [null] => null.is_word("null"),
            [not, null] => not.is_word("not") && null.is_word("null"),
            _ => false,
        };
        is_null_test && self.side(&condition[..at]).is_some_and(|(column, _)| is_compared(&column))
    }

    /// `x.column`, `column` or `coalesce(x.column, constant)`; whether it is the new row's.
    fn side(&self, tokens: &[Token]) -> Option<(String, bool)> {
        let tokens = unwrapped(tokens);
        if tokens.first().is_some_and(|token| token.is_word("coalesce")) {
            let inner = Cursor::new(&tokens[1..]).parenthesized()?;
            if inner.len() + 3 != tokens.len() {
                return None;
            }
            return self.side(list(inner).first()?);
        }
        match tokens {
            [column] => Some((column.name()?.to_owned(), false)),
            [row, dot, column] if dot.is_symbol(".") => {
                let row = row.name()?;
                let old = self.alias.as_ref().or(self.table.last())?;
                (row == "excluded" || row == old).then_some(())?;
                Some((column.name()?.to_owned(), row == "excluded"))
            }
            _ => None,
        }
    }
}

impl From<&super::errors::Named> for Refusal {
    fn from(error: &super::errors::Named) -> Self {
        Self::new(error.code, error.message)
    }
}

/// Without parentheses that stand around the whole.
fn unwrapped(tokens: &[Token]) -> &[Token] {
    match Cursor::new(tokens).parenthesized() {
        Some(inner) if inner.len() + 2 == tokens.len() => unwrapped(inner),
        _ => tokens,
    }
}

fn rows(source: &[Token]) -> Rows {
    let mut cursor = Cursor::new(source);
    if cursor.words(&["values"]) {
        return Rows::Values;
    }
    if !cursor.words(&["select"]) {
        return Rows::Other;
    }
    let items = cursor.until(&["from", "where", "group", "order", "limit", "union", "for"]);
    if !cursor.at_end() || !items.first().is_some_and(|token| token.is_word("unnest")) {
        return Rows::Other;
    }
    Rows::Unnest(list(items).into_iter().map(unnest_type).collect())
}

/// The element type of `unnest($1::int8[])`, as `pg_type` names it.
fn unnest_type(item: &[Token]) -> Option<String> {
    let mut cursor = Cursor::new(item);
    if !cursor.words(&["unnest"]) {
        return None;
    }
    let argument = cursor.parenthesized()?;
    // What may follow is an alias.
    if !matches!(cursor.rest(), [] | [_] | [_, _]) {
        return None;
    }
    let cast = argument.iter().rposition(|token| token.is_symbol("::"))?;
    let [words @ .., open, close] = &argument[cast + 1..] else { return None };
    if !(open.is_symbol("[") && close.is_symbol("]")) {
        return None;
    }
    let mut words = Cursor::new(words).until(&[]).to_vec();
    if let Some(open) = words.iter().position(|token| token.is_symbol("(")) {
        let close = words.iter().position(|token| token.is_symbol(")"))?;
        words.drain(open..=close);
    }
    if let [schema, dot, ..] = words.as_slice()
        && schema.is_word("pg_catalog")
        && dot.is_symbol(".")
    {
        words.drain(..2);
    }
    let name = words.iter().map(|token| token.value.as_str()).collect::<Vec<_>>().join(" ");
    Some(type_name(&name).to_owned())
}

/// The name in `pg_type` of a type as SQL writes it.
fn type_name(sql: &str) -> &str {
    match sql {
        "boolean" => "bool",
        "smallint" => "int2",
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "char" | "character" => "bpchar",
        "character varying" => "varchar",
        "decimal" => "numeric",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        other => other,
    }
}

fn conflict(cursor: &mut Cursor) -> Option<Conflict> {
    let columns = cursor.parenthesized().map(|tokens| names(tokens).unwrap_or_default());
    let constraint = if cursor.words(&["on", "constraint"]) { cursor.name() } else { None };
    if cursor.words(&["do", "nothing"]) {
        return Some(Conflict { columns, constraint, action: Action::Nothing });
    }
    if !cursor.words(&["do", "update", "set"]) {
        return None;
    }
    let assignments = cursor.until(&["where", "returning"]);
    let is_plain = list(assignments).into_iter().all(|part| match part {
        [column, equals, excluded, dot, new] => {
            equals.is_symbol("=")
                && excluded.is_word("excluded")
                && dot.is_symbol(".")
                && column.name() == new.name()
        }
        _ => false,
    });
    let condition = cursor.words(&["where"]).then(|| cursor.until(&["returning"]).to_vec());
    Some(Conflict { columns, constraint, action: Action::Update { is_plain, condition } })
}
