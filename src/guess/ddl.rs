//! The statement that creates a table for a file, and which columns may be its key.

use super::column::has_word;
use super::{ColumnGuess, Format, Guess, Type};
use crate::error::counted;
use crate::table::{TableName, quote};

/// For which server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DdlDialect {
    /// PostgreSQL.
    #[default]
    Postgres,
    /// Hologres.
    Hologres,
}

/// The longest name that PostgreSQL keeps whole, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A name of the file as the name of a column: as it is where it is made of letters, digits and underscores, else
/// with an underscore for everything in between.
pub(super) fn sql_name(name: &str) -> String {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let starts_well = name.starts_with(|letter: char| !letter.is_ascii_digit());
    if starts_well && name.chars().all(is_word) && name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let mut clean = String::with_capacity(name.len());
    for letter in name.chars() {
        if is_word(letter) {
            clean.extend(letter.to_lowercase());
        } else if !clean.ends_with('_') {
            clean.push('_');
        }
    }
    let clean = clean.trim_matches('_');
    let mut clean = if clean.is_empty() || clean.starts_with(|letter: char| letter.is_ascii_digit()) {
        format!("c_{clean}")
    } else {
        clean.to_owned()
    };
    while clean.len() > NAME_BYTES_MAX {
        clean.pop();
    }
    clean
}

/// Names of the columns in the table, each once.
pub(super) fn sql_names(columns: &[ColumnGuess]) -> Vec<String> {
    let cells: Vec<String> = columns.iter().map(ColumnGuess::sql_name).collect();
    super::header::names(&cells, cells.len()).into_iter().map(|(name, _)| name).collect()
}

impl Guess {
    /// Indexes of the columns whose values came once each and never were NULL, the likeliest key first.
    pub fn key_candidates(&self) -> Vec<usize> {
        let mut found: Vec<(u8, usize)> = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let is_key_type = matches!(
                column.kind,
                Type::Bigint | Type::Int | Type::Uuid | Type::Text | Type::Numeric { .. }
            );
            if !column.is_unique || column.nullable || !is_key_type {
                continue;
            }
            let lower = column.name.to_lowercase();
            let rank = match () {
                () if lower == "id" || lower == "uuid" => 0,
                () if has_word(&column.name, &["id", "uuid", "key"]) || lower.ends_with("id") => 1,
                () if has_word(&column.name, &["code", "no", "number", "nr", "番号", "コード", "编号"]) => {
                    2
                }
                () if index == 0 => 3,
                () => 4,
            };
            found.push((rank, index));
        }
        found.sort_unstable();
        found.into_iter().map(|(_, index)| index).collect()
    }

    /// `CREATE TABLE` for the file, as `psql` runs it. The key is a guess like everything else; without one the
    /// comment says what that means.
    pub fn ddl(&self, table: &TableName, dialect: DdlDialect) -> String {
        let names = sql_names(&self.columns);
        let candidates = self.key_candidates();
        // A name that says nothing is no reason to make a column a key.
        let key = candidates.first().copied().filter(|index| self.is_likely_key(*index));
        let mut lines = Vec::new();
        let mut is_renamed = false;
        let last = self.columns.len().saturating_sub(1);
        for (index, (column, name)) in self.columns.iter().zip(&names).enumerate() {
            // What a schema says holds for every row; a sample says it of its own.
            let is_required = self.format == Format::Parquet && !column.nullable;
            let not_null = if key == Some(index) || is_required { " NOT NULL" } else { "" };
            let comma = if index == last && key.is_none() { "" } else { "," };
            let (sql_type, remark) = type_of(column, dialect);
            let mut remarks: Vec<String> = remark.into_iter().collect();
            if *name != column.name {
                is_renamed = true;
                remarks.push(format!("from: {}", one_line(&column.name)));
            }
            let remark =
                if remarks.is_empty() { String::new() } else { format!(" -- {}", remarks.join("; ")) };
            lines.push(format!("    {} {sql_type}{not_null}{comma}{remark}", quote(name)));
        }
        let key_name = key.and_then(|index| names.get(index));
        if let Some(name) = key_name {
            lines.push(format!("    PRIMARY KEY ({})", quote(name)));
        }
        let mut text = String::new();
        for note in self.notes.iter().filter(|note| note.column.is_some()) {
            text.push_str(&format!("-- {}\n", one_line(&note.message())));
        }
        match key_name {
            Some(name) => text.push_str(&format!(
                "-- Key: {} is unique and never NULL in {} of the sample. Make sure that it always is.\n",
                one_line(name),
                counted(self.row_count, "row")
            )),
            None => text.push_str(&self.no_key(&names, &candidates)),
        }
        if let Some(what) = self.unsaid() {
            text.push_str(&format!(
                "-- A table does not say how it is read ({}): load with `--guess`, or with the YAML of `holoload guess`.\n",
                one_line(&what)
            ));
        }
        if is_renamed {
            text.push_str(
                "-- Some names were changed: load with `--guess`, or with the YAML of `holoload guess`, which say which field is which.\n",
            );
        }
        let create = format!("CREATE TABLE {} (\n{}\n);\n", table.quoted(), lines.join("\n"));
        match dialect {
            DdlDialect::Postgres => text.push_str(&create),
            DdlDialect::Hologres => {
                text.push_str("BEGIN;\n");
                text.push_str(&create);
                text.push_str(&self.properties(table, &names, key));
                text.push_str("COMMIT;\n");
            }
        }
        text
    }

    fn no_key(&self, names: &[String], candidates: &[usize]) -> String {
        let names = candidates.iter().filter_map(|index| names.get(*index));
        let names: Vec<String> = names.map(|name| one_line(name)).take(5).collect();
        let why = if self.format == Format::Parquet {
            "the file names none".to_owned()
        } else if names.is_empty() {
            "no column is unique in the sample".to_owned()
        } else {
            format!("unique in the sample, but not by name: {}", names.join(", "))
        };
        format!(
            "-- No primary key ({why}). Upserts need one; without it load with `--mode insert` (`write: {{mode: insert}}`).\n"
        )
    }

    fn is_likely_key(&self, index: usize) -> bool {
        self.columns.get(index).is_some_and(|column| {
            let lower = column.name.to_lowercase();
            has_word(
                &column.name,
                &["id", "uuid", "key", "code", "no", "number", "nr", "番号", "コード", "编号"],
            ) || lower.ends_with("id")
                || column.kind == Type::Uuid
                || (index == 0 && self.row_count > 1 && matches!(column.kind, Type::Bigint | Type::Int))
        })
    }

    /// Storage by column; rows spread by the key; files sorted by the first time of the rows.
    fn properties(&self, table: &TableName, names: &[String], key: Option<usize>) -> String {
        let target = literal(&format!("{}.{}", quote_plain(&table.schema), quote_plain(&table.name)));
        let mut text = format!("CALL set_table_property({target}, 'orientation', 'column');\n");
        let mut set = |property: &str, name: &str| {
            let value = literal(&quote_plain(name));
            text.push_str(&format!("CALL set_table_property({target}, '{property}', {value});\n"));
        };
        if let Some(name) = key.and_then(|index| names.get(index)) {
            set("distribution_key", name);
        }
        let is_time = |column: &ColumnGuess| matches!(column.kind, Type::Timestamp | Type::Timestamptz);
        if let Some(name) = self.columns.iter().position(is_time).and_then(|index| names.get(index)) {
            set("event_time_column", name);
        }
        text
    }
}

/// The type on one server, and what deserves a remark.
fn type_of(column: &ColumnGuess, dialect: DdlDialect) -> (String, Option<String>) {
    match (column.kind, dialect) {
        (Type::Numeric { limits: None }, DdlDialect::Hologres) => {
            ("text".to_owned(), Some("more digits than numeric(38) has".to_owned()))
        }
        (Type::Numeric { limits: Some((precision, _)) }, DdlDialect::Hologres) if precision > 38 => {
            ("text".to_owned(), Some("more digits than numeric(38) has".to_owned()))
        }
        // It exists, but Fixed Plan does not take it as a key.
        (Type::Uuid, DdlDialect::Hologres) => ("text".to_owned(), Some("UUIDs".to_owned())),
        (kind, _) => (kind.sql(), None),
    }
}

fn quote_plain(name: &str) -> String {
    let is_plain =
        name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain { name.to_owned() } else { quote(name) }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text that cannot end the comment it stands in.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| {
            if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{85}') {
                ' '
            } else {
                letter
            }
        })
        .collect()
}
