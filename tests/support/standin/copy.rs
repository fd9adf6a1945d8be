//! `COPY … FROM STDIN` as Hologres reads it: its own options taken out, its rules applied.

use super::catalog::{Column, Table};
use super::errors::{Refusal, named};
use super::sql::{Cursor, Statement, Token, list, literal, names, quote, quote_list};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Csv,
    Binary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    None,
    Ignore,
    Update,
}

/// One COPY into a table, as it was written.
#[derive(Clone, Debug)]
pub struct Copy {
    pub table: Vec<String>,
    columns: Option<Vec<String>>,
    pub format: Format,
    pub is_stream: bool,
    on_conflict: Option<OnConflict>,
    pub has_header: bool,
    pub quote: u8,
    pub escape: u8,
    /// The options that PostgreSQL knows too, as it takes them; without FORMAT and HEADER.
    options: Vec<String>,
}

/// A COPY that may run, and where to.
#[derive(Clone, Debug)]
pub struct Target {
    pub table: Table,
    pub columns: Vec<String>,
    pub on_conflict: OnConflict,
}

impl Copy {
    /// `None` for a statement that is no `COPY … FROM STDIN`.
    pub fn parse(statement: &Statement) -> Option<Result<Self, Refusal>> {
        let mut cursor = Cursor::new(&statement.tokens);
        if !cursor.words(&["copy"]) {
            return None;
        }
        let table = cursor.table()?;
        let columns = cursor.parenthesized();
        if !cursor.words(&["from"]) {
            return None;
        }
        if !cursor.words(&["stdin"]) {
            return Some(Err(Refusal::not_supported("Feature not supported: COPY from a file or a program")));
        }
        let mut copy = Self {
            table,
            columns: columns.and_then(names),
            format: Format::Text,
            is_stream: false,
            on_conflict: None,
            has_header: false,
            quote: b'"',
            escape: b'"',
            options: Vec::new(),
        };
        Some(copy.read_options(&mut cursor).map(|()| copy))
    }

    fn read_options(&mut self, cursor: &mut Cursor) -> Result<(), Refusal> {
        let syntax_error = || Refusal::new("42601", "syntax error in COPY");
        let _ = cursor.words(&["with"]);
        if let Some(options) = cursor.parenthesized() {
            let mut escape = None;
            for option in list(options) {
                let [name, value @ ..] = option else { return Err(syntax_error()) };
                self.read_option(name, value, &mut escape)?;
            }
            self.escape = escape.unwrap_or(self.quote);
        } else if cursor.words(&["binary"]) {
            self.format = Format::Binary;
        } else if cursor.words(&["csv"]) {
            self.format = Format::Csv;
            self.has_header = cursor.words(&["header"]);
        }
        // PostgreSQL 11 knows no `WHERE` here.
        if cursor.at_end() { Ok(()) } else { Err(syntax_error()) }
    }

    fn read_option(&mut self, name: &Token, value: &[Token], escape: &mut Option<u8>) -> Result<(), Refusal> {
        let text = value.first().map_or("true", |token| token.value.as_str());
        let wrong = |name: &str| Refusal::new("22023", format!("COPY {name} \"{text}\" not recognized"));
        match name.value.as_str() {
            "stream_mode" => self.is_stream = truth(text).ok_or_else(|| wrong("stream_mode"))?,
            "on_conflict" => {
                self.on_conflict = Some(match text.to_lowercase().as_str() {
                    "none" => OnConflict::None,
                    "ignore" => OnConflict::Ignore,
                    "update" => OnConflict::Update,
                    _ => return Err(wrong("on_conflict")),
                });
            }
            "format" => {
                self.format = match text.to_lowercase().as_str() {
                    "text" => Format::Text,
                    "csv" => Format::Csv,
                    "binary" => Format::Binary,
                    _ => return Err(wrong("format")),
                };
            }
            "header" => self.has_header = truth(text).ok_or_else(|| wrong("header"))?,
            known @ ("delimiter" | "null" | "quote" | "escape" | "encoding") => {
                match (known, text.as_bytes()) {
                    ("quote", [one]) => self.quote = *one,
                    ("escape", [one]) => *escape = Some(*one),
                    _ => {}
                }
                self.options.push(format!("{known} {}", literal(text)));
            }
            known @ ("force_not_null" | "force_null") => {
                let columns = Cursor::new(value).parenthesized().and_then(names);
                let columns = columns.ok_or_else(|| wrong("force_not_null"))?;
                self.options.push(format!("{known} ({})", quote_list(&columns)));
            }
            other => return Err(Refusal::new("42601", format!("option \"{other}\" not recognized"))),
        }
        Ok(())
    }

    /// Whether it may run on this table, with this version and these settings.
    pub fn check(
        &self,
        table: Option<Table>,
        version: (u32, u32, u32),
        is_on: impl Fn(&str) -> bool,
    ) -> Result<Target, Refusal> {
        let name = self.table.last().cloned().unwrap_or_default();
        let table = table
            .ok_or_else(|| Refusal::new("42P01", format!("relation {} does not exist", quote(&name))))?;
        let named_columns = table.named(self.columns.as_deref())?;
        if named_columns.len() == 1 && table.columns.len() > 1 {
            return Err(Refusal::not_supported("Feature not supported: cannot import into only one column"));
        }
        let on_conflict = self.on_conflict.unwrap_or(OnConflict::None);
        if self.is_stream {
            check_stream(&table, &named_columns, version)?;
        } else {
            let is_full = named_columns.len() == table.columns.len();
            self.check_bulk(&table, is_full, version, is_on)?;
        }
        if on_conflict != OnConflict::None && table.key.is_empty() {
            let text = "Feature not supported: INSERT on conflict contains un-unique column";
            return Err(Refusal::not_supported(text));
        }
        let columns: Vec<String> = named_columns.iter().map(|column| column.name.clone()).collect();
        let is_missing = |key: &&String| {
            !columns.contains(key) && !table.column(key).is_some_and(|column| column.has_default)
        };
        if table.key.iter().any(|key| is_missing(&key)) {
            return Err(Refusal::new("XX000", "shard columns count is no match"));
        }
        Ok(Target { table, columns, on_conflict })
    }

    fn check_bulk(
        &self,
        table: &Table,
        is_full: bool,
        version: (u32, u32, u32),
        is_on: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        if self.format == Format::Binary {
            let text = "Feature not supported: COPY with format binary needs STREAM_MODE TRUE";
            return Err(Refusal::not_supported(text));
        }
        if table.is_parent {
            return Err(named("parent_table").into());
        }
        let Some(on_conflict) = self.on_conflict else { return Ok(()) };
        if version < (3, 0, 4) {
            return Err(Refusal::new("42601", "option \"on_conflict\" not recognized"));
        }
        if on_conflict == OnConflict::None {
            return Ok(());
        }
        if !is_full && version < (3, 1, 1) {
            return Err(Refusal::not_supported(
                "Feature not supported: COPY on_conflict of a part of the columns",
            ));
        }
        if !is_on("hg_experimental_copy_enable_on_conflict") {
            let text =
                "Feature not supported: COPY on_conflict needs hg_experimental_copy_enable_on_conflict";
            return Err(Refusal::not_supported(text));
        }
        Ok(())
    }

    /// The statement that PostgreSQL runs in its place, into any relation of these columns.
    pub fn plain(&self, relation: &str, columns: &[String], has_header: bool) -> String {
        let mut options = self.options.clone();
        options.push(match self.format {
            Format::Text => "format text".to_owned(),
            Format::Csv => format!("format csv, header {has_header}"),
            Format::Binary => "format binary".to_owned(),
        });
        format!("COPY {relation} ({}) FROM STDIN WITH ({})", quote_list(columns), options.join(", "))
    }
}

fn check_stream(table: &Table, columns: &[&Column], version: (u32, u32, u32)) -> Result<(), Refusal> {
    if table.is_parent && version < (3, 1, 0) {
        return Err(named("parent_table").into());
    }
    if table.has_money() || !columns.iter().all(|column| column.is_fixed_type()) {
        return Err(named("no_fixed_plan").into());
    }
    Ok(())
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "on" | "1" | "" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

impl Target {
    /// Writes the rows of a scratch table, of which only one for each key; the column `standin_order` numbers them.
    pub fn merge(&self, scratch: &str, order: &str) -> String {
        let columns = quote_list(&self.columns);
        let key = quote_list(&self.table.key);
        let has_key = self.table.key.iter().all(|column| self.columns.contains(column)) && !key.is_empty();
        let chosen = if has_key {
            format!("SELECT DISTINCT ON ({key}) * FROM {scratch} ORDER BY {key}, standin_order {order}")
        } else {
            format!("SELECT * FROM {scratch}")
        };
        let assignments: Vec<String> = self
            .columns
            .iter()
            .filter(|column| !self.table.key.contains(column))
            .map(|column| format!("{0} = excluded.{0}", quote(column)))
            .collect();
        let conflict = match self.on_conflict {
            OnConflict::None => String::new(),
            OnConflict::Update if !assignments.is_empty() => {
                format!(" ON CONFLICT ({key}) DO UPDATE SET {}", assignments.join(", "))
            }
            _ => " ON CONFLICT DO NOTHING".to_owned(),
        };
        format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM ({chosen}) AS chosen{conflict}",
            self.table.name
        )
    }

    /// A table for the rows before they are written; `on_commit` as SQL says it.
    pub fn scratch(&self, name: &str, on_commit: &str) -> String {
        let columns = quote_list(&self.columns);
        format!(
            "DROP TABLE IF EXISTS {name}; \
             CREATE TEMP TABLE {name} ON COMMIT {on_commit} AS SELECT {columns} FROM {} WITH NO DATA; \
             ALTER TABLE {name} ADD COLUMN standin_order bigserial",
            self.table.name
        )
    }

    /// One key that the scratch table holds twice, as Hologres says it.
    pub fn twice(&self, scratch: &str) -> String {
        let key = quote_list(&self.table.key);
        format!(
            "SELECT format('Update row with Key ({})=(%s) multiple times', concat_ws(', ', {key})) \
             FROM {scratch} GROUP BY {key} HAVING count(*) > 1 LIMIT 1",
            self.table.key.join(", ").replace('\'', "''").replace('%', "%%"),
        )
    }
}
