//! What Hologres refuses by the look of a statement, and what it takes that PostgreSQL does not.

use super::errors::{Refusal, named};
use super::sql::{Cursor, Kind, Statement, Token, list, literal, quote_table};

/// Bytes of a query text.
const QUERY_BYTES_MAX: usize = 102_400;
/// Parameters of one statement.
const PARAMETERS_MAX: usize = 32_767;
/// Storage parameters of Hologres' own, from V2.1 on.
const TABLE_PROPERTIES: &[&str] = &[
    "orientation",
    "distribution_key",
    "clustering_key",
    "event_time_column",
    "segment_key",
    "bitmap_columns",
    "dictionary_encoding_columns",
    "time_to_live_in_seconds",
    "table_group",
    "colocate_with",
    "storage_format",
    "storage_mode",
    "binlog_level",
    "binlog_ttl",
    "binlog.level",
    "binlog.ttl",
];
/// Settings of a session that change what the text of a value means, or how long a statement may take.
const FOLLOWED_SETTINGS: &[&str] = &[
    "timezone",
    "datestyle",
    "intervalstyle",
    "search_path",
    "extra_float_digits",
    "statement_timeout",
    "lock_timeout",
];

/// Where a statement stands towards transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// With its name as Hologres says it.
    Dml(&'static str),
    Ddl,
    Control,
    /// `SET`, `SHOW`, `RESET`: never part of a transaction's work.
    Setting,
    Other,
}

pub fn class(statement: &Statement) -> Class {
    let Some(first) = statement.tokens.first().filter(|token| token.kind == Kind::Word) else {
        return Class::Other;
    };
    match first.value.as_str() {
        "insert" => Class::Dml("INSERT"),
        "update" => Class::Dml("UPDATE"),
        "delete" => Class::Dml("DELETE"),
        "copy" if statement.has_word("from") => Class::Dml("COPY"),
        "create" | "alter" | "drop" | "truncate" | "comment" | "grant" | "revoke" => Class::Ddl,
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            Class::Control
        }
        "set" | "show" | "reset" => Class::Setting,
        _ => Class::Other,
    }
}

/// Rules for a query text as a whole.
pub fn check_text(sql: &str, statements: &[Statement], is_strict: bool) -> Result<(), Refusal> {
    if sql.len() > QUERY_BYTES_MAX {
        let text = format!("query length {} exceeded the maximum {QUERY_BYTES_MAX}", sql.len());
        return Err(Refusal::new("XX000", text));
    }
    let classes: Vec<Class> = statements.iter().map(class).collect();
    if classes.contains(&Class::Control) {
        return Ok(());
    }
    // PostgreSQL makes one transaction of such a text.
    let mut writes = classes.iter().filter(|class| matches!(class, Class::Dml(_)));
    if let Some(Class::Dml(name)) = writes.next() {
        if classes.contains(&Class::Ddl) {
            return Err(Refusal::not_supported(format!("{name} in ddl transaction is not supported now")));
        }
        if is_strict && writes.next().is_some() {
            return Err(Refusal::not_supported(format!("{name} in transaction is not supported now")));
        }
    }
    Ok(())
}

/// Rules for a single statement that need no look at its table.
pub fn check(statement: &Statement, version: (u32, u32, u32), is_strict: bool) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::not_supported(format!("Feature not supported: {what}")));
    let first = statement.tokens.first().map_or("", |token| token.value.as_str());
    let has_any = |words: &[&str]| words.iter().any(|word| statement.has_word(word));
    match first {
        "create" if statement.tokens.iter().take(3).any(|t| t.is_word("temp") || t.is_word("temporary")) => {
            return refuse("TEMPORARY TABLE");
        }
        "merge" => return Err(Refusal::new("42601", "syntax error at or near \"merge\"")),
        "savepoint" | "release" => return refuse("SAVEPOINT"),
        "rollback" | "abort" if statement.has_word("to") => return refuse("SAVEPOINT"),
        "select" if has_into(&statement.tokens) => return refuse("SELECT INTO"),
        "with" if has_any(&["insert", "update", "delete"]) => {
            return refuse("data-modifying statements in WITH");
        }
        "update" | "delete" if statement.has_word("returning") && version < (3, 2, 0) => {
            return refuse("RETURNING");
        }
        _ => {}
    }
    if version < (3, 1, 0) && attgenerated(&statement.tokens).next().is_some() {
        return Err(Refusal::new("42703", "column \"attgenerated\" does not exist"));
    }
    if parameter_count(statement) > PARAMETERS_MAX {
        return Err(Refusal::new("54000", format!("more than {PARAMETERS_MAX} parameters")));
    }
    if is_strict { check_undocumented(statement, first) } else { Ok(()) }
}

/// What no page or client of the vendor's uses, and what several frontend nodes cannot well share: to rely on it is
/// to hope.
fn check_undocumented(statement: &Statement, first: &str) -> Result<(), Refusal> {
    let is_advisory = |token: &Token| {
        token.kind == Kind::Word
            && (token.value.starts_with("pg_advisory_") || token.value.starts_with("pg_try_advisory_"))
    };
    let locks_rows = first == "select"
        && ["update", "share"].iter().any(|strength| statement.has_words(&["for", strength]));
    let what = if statement.tokens.iter().any(is_advisory) {
        "advisory locks"
    } else if locks_rows {
        "SELECT FOR UPDATE"
    } else if ["lock", "listen", "notify", "unlisten"].contains(&first) {
        "LOCK, LISTEN and NOTIFY"
    } else if first == "create"
        && statement
            .tokens
            .iter()
            .take(3)
            .any(|t| ["index", "trigger", "domain"].iter().any(|w| t.is_word(w)))
    {
        "indexes, triggers and domains"
    } else {
        return Ok(());
    };
    Err(Refusal::not_supported(format!("Feature not supported: {what}")))
}

fn has_into(tokens: &[Token]) -> bool {
    let mut cursor = Cursor::new(tokens);
    cursor.until(&["into"]);
    !cursor.at_end()
}

fn parameter_count(statement: &Statement) -> usize {
    let parameters = statement.tokens.iter().filter(|token| token.kind == Kind::Parameter);
    parameters.filter_map(|token| token.value[1..].parse().ok()).max().unwrap_or(0)
}

/// The columns that an UPDATE sets, and its table.
pub fn update_targets(statement: &Statement) -> Option<(Vec<String>, Vec<String>)> {
    let mut cursor = Cursor::new(&statement.tokens);
    cursor.words(&["update"]).then_some(())?;
    let _ = cursor.words(&["only"]);
    let table = cursor.table()?;
    cursor.until(&["set"]);
    cursor.words(&["set"]).then_some(())?;
    let assignments = list(cursor.until(&["from", "where", "returning"]));
    let columns = assignments.into_iter().flat_map(|part| {
        part.iter().take_while(|token| !token.is_symbol("=")).filter_map(Token::name).map(str::to_owned)
    });
    Some((table, columns.collect()))
}

/// The table of a DELETE, and its condition; nothing of it where it is more than `DELETE FROM table WHERE …`.
pub fn delete_target(statement: &Statement) -> Option<(Vec<String>, &[Token])> {
    let mut cursor = Cursor::new(&statement.tokens);
    cursor.words(&["delete", "from"]).then_some(())?;
    let table = cursor.table()?;
    let condition = if cursor.words(&["where"]) { cursor.rest() } else { &[] };
    Some((table, condition))
}

/// `(a = $1 AND b = $2) OR (…)`: every key whole, and nothing else. One is a Fixed Plan by the help, several by the
/// vendor's client, which sends them so.
pub fn is_by_key(condition: &[Token], key: &[String]) -> bool {
    let mut wanted: Vec<&str> = key.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    let mut cursor = Cursor::new(condition);
    let mut is_by_key = !condition.is_empty();
    while is_by_key && !cursor.at_end() {
        let row = cursor.until(&["or"]);
        let row = match Cursor::new(row).parenthesized() {
            Some(inner) if inner.len() + 2 == row.len() => inner,
            _ => row,
        };
        let mut found: Vec<&str> = Vec::new();
        let mut inner = Cursor::new(row);
        while !inner.at_end() {
            let [column, equals, value] = inner.until(&["and"]) else { return false };
            let is_value = matches!(value.kind, Kind::Parameter | Kind::Number | Kind::Text);
            if !equals.is_symbol("=") || !is_value {
                return false;
            }
            found.extend(column.name());
            let _ = inner.words(&["and"]);
        }
        found.sort_unstable();
        is_by_key = found == wanted;
        let _ = cursor.words(&["or"]);
    }
    is_by_key
}

/// `SET` of a session's setting.
#[derive(Clone)]
pub struct Setting {
    pub name: String,
    pub value: String,
    pub is_local: bool,
    /// `ALTER DATABASE … SET`: sessions begin with it from now on.
    pub is_default: bool,
}

impl Setting {
    /// Also `RESET name` and `SET name TO DEFAULT`, whose value is empty.
    pub fn parse(statement: &Statement) -> Option<Self> {
        let mut cursor = Cursor::new(&statement.tokens);
        let is_default = cursor.words(&["alter", "database"]) && cursor.name().is_some();
        let is_reset = cursor.words(&["reset"]);
        if !is_reset && !cursor.words(&["set"]) {
            return None;
        }
        let is_local = cursor.words(&["local"]);
        let _ = cursor.words(&["session"]);
        let name = if cursor.words(&["time", "zone"]) {
            "timezone".to_owned()
        } else {
            let name = cursor.table()?.join(".").to_lowercase();
            (is_reset || cursor.symbol("=") || cursor.words(&["to"])).then_some(())?;
            name
        };
        let value: Vec<&str> = cursor.rest().iter().map(|token| token.value.as_str()).collect();
        let value = value.join("");
        let value = if value == "default" { String::new() } else { value };
        Some(Self { name, value, is_local, is_default })
    }

    /// A setting of Hologres' own.
    pub fn is_own(&self) -> bool {
        self.name.starts_with("hg_")
    }

    pub fn is_followed(&self) -> bool {
        !self.is_local && !self.is_default && FOLLOWED_SETTINGS.contains(&self.name.as_str())
    }
}

/// `CREATE TABLE … WITH (orientation = 'column', …)` without that clause, and the statements that keep its properties.
pub fn without_properties(statement: &Statement) -> Result<Option<(String, Vec<String>)>, Refusal> {
    if statement.tokens.first().is_none_or(|token| !token.is_word("create")) {
        return Ok(None);
    }
    let mut cursor = Cursor::new(&statement.tokens);
    cursor.until(&["table"]);
    if !cursor.words(&["table"]) {
        return Ok(None);
    }
    let _ = cursor.words(&["if", "not", "exists"]);
    let Some(table) = cursor.table() else { return Ok(None) };
    cursor.until(&["with"]);
    let Some(with) = cursor.next() else { return Ok(None) };
    let Some(inside) = cursor.parenthesized() else { return Ok(None) };
    let properties: Vec<(String, String)> = list(inside).into_iter().filter_map(property).collect();
    let is_known = |(name, _): &&(String, String)| TABLE_PROPERTIES.contains(&name.as_str());
    if properties.iter().filter(is_known).count() == 0 {
        return Ok(None);
    }
    if let Some((name, _)) = properties.iter().find(|property| !is_known(property)) {
        return Err(Refusal::new("22023", format!("unrecognized parameter \"{name}\"")));
    }
    let end = inside.last().map_or(with.end, |token| token.end);
    let end = end + statement.text[end..].find(')').map_or(0, |at| at + 1);
    let relation = literal(&quote_table(&table));
    let keep = properties.iter().map(|(name, value)| {
        format!(
            "INSERT INTO hologres.standin_properties VALUES (to_regclass({relation}), {}, {}) \
             ON CONFLICT (relation, property_key) DO UPDATE SET property_value = excluded.property_value",
            literal(name),
            literal(value)
        )
    });
    Ok(Some((statement.replaced(with.start, end, ""), keep.collect())))
}

fn property(part: &[Token]) -> Option<(String, String)> {
    let at = part.iter().position(|token| token.is_symbol("="))?;
    let joined = |tokens: &[Token]| tokens.iter().map(|token| token.value.as_str()).collect::<String>();
    Some((joined(&part[..at]), joined(&part[at + 1..])))
}

/// Switched on, `HG_CREATE_TABLE_LIKE` copies key and properties as well.
pub const LIKE_PROPERTIES: &str = "hg_experimental_enable_create_table_like_properties";

pub fn with_properties_of_like(statement: &Statement) -> Option<String> {
    let name = statement.tokens.get(1)?;
    let is_like = statement.starts_with(&["call", "hg_create_table_like"]);
    is_like.then(|| statement.replaced(name.start, name.end, "hologres.standin_create_table_like"))
}

/// `DELETE FROM table …`
pub fn deleted_from(statement: &Statement) -> Option<Vec<String>> {
    let mut cursor = Cursor::new(&statement.tokens);
    cursor.words(&["delete", "from"]).then(|| cursor.table())?
}

/// `DROP TABLE … FORCE` (V3.1) without its last word.
pub fn without_force(statement: &Statement, version: (u32, u32, u32)) -> Option<String> {
    let last = statement.tokens.last()?;
    let is_forced =
        statement.starts_with(&["drop", "table"]) && last.is_word("force") && version >= (3, 1, 0);
    is_forced.then(|| statement.text[..last.start].to_owned())
}

/// A catalog column that PostgreSQL 11 does not have yet, as a constant of its type.
pub fn with_attgenerated(statement: &Statement) -> Option<String> {
    let tokens = &statement.tokens;
    let mut places: Vec<usize> = attgenerated(tokens).collect();
    places.reverse();
    let text = places.iter().fold(statement.text.clone(), |text, at| {
        let is_qualified = *at >= 2 && tokens[at - 1].is_symbol(".");
        let first = if is_qualified { at - 2 } else { *at };
        let follows = tokens.get(at + 1);
        let is_item = follows.is_none_or(|next| next.is_symbol(",") || next.is_word("from"));
        let name = if is_item && !is_argument(tokens, first) { " AS attgenerated" } else { "" };
        let (start, end) = (tokens[first].start, tokens[*at].end);
        format!("{}(''::\"char\"){name}{}", &text[..start], &text[end..])
    });
    (!places.is_empty()).then_some(text)
}

/// Where the column stands, and not merely something that is called so: holo-client asks for
/// `nullif(a.attgenerated, '') as attgenerated`, of older servers for `null as attgenerated`.
fn attgenerated(tokens: &[Token]) -> impl Iterator<Item = usize> {
    let is_alias = |at: usize| at > 0 && tokens[at - 1].is_word("as");
    let is_column = move |(at, token): &(usize, &Token)| token.is_word("attgenerated") && !is_alias(*at);
    tokens.iter().enumerate().filter(is_column).map(|(at, _)| at)
}

/// Whether the innermost parentheses around a token are other than those of a query.
fn is_argument(tokens: &[Token], at: usize) -> bool {
    let mut depth = 0;
    let opening = tokens[..at].iter().rposition(|token| {
        depth += i32::from(token.is_symbol(")")) - i32::from(token.is_symbol("("));
        depth < 0
    });
    opening.is_some_and(|opening| !tokens[opening + 1].is_word("select"))
}

/// `SELECT columns FROM table WHERE …`: how the vendor's clients look keys up, also on a light connection.
pub fn is_lookup(statement: &Statement) -> bool {
    let mut cursor = Cursor::new(&statement.tokens);
    cursor.words(&["select"])
        && !cursor.until(&["from"]).iter().any(|token| token.is_symbol("("))
        && cursor.words(&["from"])
        && cursor.table().is_some()
        && cursor.words(&["where"])
}

/// What a connection of `type=fixed` says to everything but Fixed Plans.
pub fn not_fixed() -> Refusal {
    named("no_fixed_plan").into()
}
