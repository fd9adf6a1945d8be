//! What a file is, told from a sample: compression, charset, format, dialect, header, the type of each column.
//!
//! Pure and bounded: the answer depends on the sample and the hints alone, takes time that grows with the sample, and
//! no bytes make it panic. Nothing is made up: what the sample cannot tell (the order of day and month, whether
//! `NO` is a word or a country) stands in [`Guess::notes`]. No value of the file stands in the answer, only names
//! from its header, counts, lengths and formats: guesses are committed to repositories.

mod cell;
mod column;
mod compare;
mod ddl;
mod delimited;
mod dialect;
mod facts;
mod grid;
mod header;
mod json;
mod moments;
mod number;
mod plain;
mod rank;
#[cfg(feature = "parquet")]
mod schema;
mod show;
mod verify;
mod yaml;

use crate::error::{Error, Result};
use crate::inflate::Compression;
pub use crate::row::Trim;
use crate::settings::{HeaderRule, ParseSettings};

pub use compare::Difference;
pub use ddl::DdlDialect;
#[cfg(feature = "parquet")]
pub use schema::{SchemaRead, TAIL_BYTES, read_schema};

/// Plain text that is looked at, whatever the sample's size.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// What was read of an object.
#[derive(Clone, Debug, Default)]
pub struct Sample<'a> {
    /// Its first bytes, as stored.
    pub head: &'a [u8],
    /// They are all of it.
    pub is_whole: bool,
    /// Pieces from further on, cut anywhere; looked at where the object is not compressed.
    pub further: Vec<&'a [u8]>,
    /// Its key or path.
    pub name: &'a str,
    /// What the store says it is.
    pub content_type: Option<&'a str>,
}

/// What is known already and need not be guessed.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The format.
    pub format: Option<Format>,
    /// Name of the charset.
    pub charset: Option<String>,
    /// `none`, `gzip`, `zstd` or `bzip2`.
    pub compression: Option<String>,
    /// What stands between fields.
    pub delimiter: Option<String>,
    /// What stands around fields; empty: nothing.
    pub quote: Option<String>,
    /// What stands before a quote inside quotes; empty: nothing.
    pub escape: Option<String>,
    /// What comments begin with; empty: there are none.
    pub comment: Option<String>,
    /// Lines before the first record.
    pub skip_lines: Option<u64>,
    /// Whether the first record is a header.
    pub header: Option<bool>,
    /// Names of the first columns.
    pub names: Vec<String>,
    /// Zone of times that have none.
    pub timezone: Option<String>,
    /// All columns are text.
    pub is_all_text: bool,
}

impl Hints {
    /// What `parse:` says beyond its defaults.
    pub fn of(parse: &ParseSettings) -> Self {
        let plain = ParseSettings::default();
        let differs = |said: &str, default: &str| (said != default).then(|| said.to_owned());
        Self {
            format: Format::named(&parse.format),
            charset: differs(&parse.charset, &plain.charset),
            compression: differs(&parse.compression, &plain.compression),
            delimiter: parse.delimiter.clone().or_else(|| (parse.format == "tsv").then(|| "\t".to_owned())),
            quote: differs(&parse.quote, &plain.quote),
            escape: differs(&parse.escape, &plain.escape),
            comment: differs(&parse.comment, &plain.comment),
            skip_lines: (parse.skip_lines > 0).then_some(parse.skip_lines),
            header: match parse.header {
                HeaderRule::Auto => None,
                HeaderRule::Present => Some(true),
                HeaderRule::Absent => Some(false),
            },
            ..Self::default()
        }
    }
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// A JSON object in each line.
    Jsonl,
    /// A JSON document with an array of objects.
    Json,
    /// Parquet: it has its own schema ([`Guess::of_schema`]).
    Parquet,
}

impl Format {
    /// The word in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }

    /// The format of this name; `auto` is none, `tsv` is csv.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "csv" | "tsv" => Some(Self::Csv),
            "jsonl" => Some(Self::Jsonl),
            "json" => Some(Self::Json),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// How lines end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Newline {
    /// U+000A.
    #[default]
    Lf,
    /// U+000D U+000A.
    Crlf,
    /// U+000D.
    Cr,
}

impl Newline {
    /// The word in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lf => "lf",
            Self::Crlf => "crlf",
            Self::Cr => "cr",
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `boolean`
    Bool,
    /// `integer`: never guessed from text, where the next value may be larger.
    Int,
    /// `bigint`
    Bigint,
    /// `numeric(precision, scale)`; `None`: more digits than can be said.
    Numeric {
        /// Precision and scale.
        limits: Option<(u16, u16)>,
    },
    /// `real`
    Real,
    /// `double precision`
    Double,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    Timestamptz,
    /// `uuid`
    Uuid,
    /// `jsonb`
    Jsonb,
    /// `bytea`
    Bytea,
    /// `text`
    Text,
}

impl Type {
    /// As SQL.
    pub fn sql(self) -> String {
        let name = match self {
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Bigint => "bigint",
            Self::Numeric { limits: Some((precision, scale)) } => {
                return format!("numeric({precision},{scale})");
            }
            Self::Numeric { limits: None } => "numeric",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Jsonb => "jsonb",
            Self::Bytea => "bytea",
            Self::Text => "text",
        };
        name.to_owned()
    }
}

/// What is guessed of one column.
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnGuess {
    /// Its name in the file, or a made-up one.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// strftime texts, where the values are not in a form that is read anyway.
    pub formats: Vec<String>,
    /// Zone of times that have none.
    pub timezone: Option<String>,
    /// Numbers count from 1970: `s` or `ms`.
    pub epoch: Option<&'static str>,
    /// Between groups of digits.
    pub thousands: Option<char>,
    /// Before decimal places, where it is no point.
    pub decimal: Option<char>,
    /// Digits are full-width.
    pub full_width: bool,
    /// Texts that are NULL in this column alone.
    pub nulls: Vec<String>,
    /// The header has no such name, or has it twice: the column is known by its place alone.
    pub is_numbered: bool,
    /// A value was NULL.
    pub nullable: bool,
    /// No value came twice.
    pub is_unique: bool,
    /// How sure the type is, 0 to 1.
    pub sure: f64,
    /// Counts, lengths and forms that the type rests on.
    pub evidence: Vec<String>,
}

impl ColumnGuess {
    /// Whether its values are not read as they stand.
    pub fn has_rules(&self) -> bool {
        !self.formats.is_empty()
            || self.timezone.is_some()
            || self.epoch.is_some()
            || self.thousands.is_some()
            || self.decimal.is_some()
            || self.full_width
            || !self.nulls.is_empty()
    }

    /// A column of which name and type are known, as a schema tells them.
    pub fn known(name: impl Into<String>, kind: Type, nullable: bool) -> Self {
        Self {
            name: name.into(),
            kind,
            formats: Vec::new(),
            timezone: None,
            epoch: None,
            thousands: None,
            decimal: None,
            full_width: false,
            nulls: Vec::new(),
            is_numbered: false,
            nullable,
            is_unique: false,
            sure: 1.0,
            evidence: Vec::new(),
        }
    }

    /// Its name in the table.
    pub fn sql_name(&self) -> String {
        ddl::sql_name(&self.name)
    }
}

/// Something that the sample could not tell, or that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The column that it is about.
    pub column: Option<String>,
    /// What it is.
    pub text: String,
}

impl Note {
    fn file(text: impl Into<String>) -> Self {
        Self { column: None, text: text.into() }
    }

    fn column(name: &str, text: impl Into<String>) -> Self {
        Self { column: Some(name.to_owned()), text: text.into() }
    }

    /// With the column before it.
    pub fn message(&self) -> String {
        match &self.column {
            Some(column) => format!("column {column}: {}", self.text),
            None => self.text.clone(),
        }
    }
}

/// What a file is.
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// How it is compressed.
    pub compression: Option<Compression>,
    /// Name of its charset.
    pub charset: String,
    /// What kind of file it is.
    pub format: Format,
    /// Where the array is, format json.
    pub root: String,
    /// Between fields.
    pub delimiter: String,
    /// Around fields; empty: nothing.
    pub quote: String,
    /// Before a quote inside quotes.
    pub escape: String,
    /// Quotes inside quoted fields are data.
    pub has_stray_quotes: bool,
    /// How lines end.
    pub newline: Newline,
    /// What comments begin with; empty: there are none.
    pub comment: String,
    /// Lines before the first record.
    pub skip_lines: u64,
    /// The first record is a header.
    pub header: bool,
    /// Its names have blanks around them, which are no part of the columns' names.
    pub has_padded_header: bool,
    /// Unquoted texts that are NULL.
    pub null_strings: Vec<String>,
    /// So are quoted ones.
    pub null_quoted: bool,
    /// Blanks around fields.
    pub trim: Trim,
    /// The last field of each record is empty and has no name.
    pub has_extra_fields: bool,
    /// Each record ends with a delimiter behind which there is no field.
    pub has_last_delimiter: bool,
    /// Columns in the order of the file.
    pub columns: Vec<ColumnGuess>,
    /// What could not be told.
    pub notes: Vec<Note>,
    /// Rows that were looked at.
    pub row_count: u64,
    /// Records that are not well formed, or have another number of fields.
    pub odd_count: u64,
    /// How sure all of it is, 0 to 1.
    pub sure: f64,
}

impl Guess {
    fn empty(format: Format) -> Self {
        Self {
            compression: None,
            charset: "UTF-8".to_owned(),
            format,
            root: String::new(),
            delimiter: ",".to_owned(),
            quote: "\"".to_owned(),
            escape: "\"".to_owned(),
            has_stray_quotes: false,
            newline: Newline::Lf,
            comment: String::new(),
            skip_lines: 0,
            header: false,
            has_padded_header: false,
            null_strings: Vec::new(),
            null_quoted: false,
            trim: Trim::None,
            has_extra_fields: false,
            has_last_delimiter: false,
            columns: Vec::new(),
            notes: Vec::new(),
            row_count: 0,
            odd_count: 0,
            sure: 1.0,
        }
    }

    /// What is known of a file that carries its own schema.
    pub fn of_schema(columns: Vec<ColumnGuess>) -> Self {
        Self { columns, header: true, ..Self::empty(Format::Parquet) }
    }
}

/// Guesses what `sample` is; `hints` are not doubted.
///
/// # Errors
/// `Input` for compressions, archives and formats that are not read, and for broken ones; `Config` for hints that
/// are not known.
pub fn guess(sample: &Sample<'_>, hints: &Hints) -> Result<Guess> {
    if sample.head.starts_with(b"PAR1") || hints.format == Some(Format::Parquet) {
        return Err(Error::input("guess from a sample: a Parquet file has its schema at its end")
            .with_hint("give the file itself: its schema is read, not guessed"));
    }
    let plain = plain::plain(sample, hints)?;
    if hints.format.is_none() && hints.charset.is_none() {
        plain.check_is_text()?;
    }
    let format = hints.format.or_else(|| json::sniff(&plain, sample)).unwrap_or(Format::Csv);
    let mut guess = match format {
        Format::Jsonl | Format::Json => json::guess(&plain, format, hints),
        Format::Csv | Format::Parquet => delimited::guess(&plain, hints),
    };
    if hints.format.is_none() && json::has_arrays_for_rows(&plain.text) {
        guess.sure = guess.sure.min(0.2);
        guess.notes.push(Note::file(
            "rows are JSON arrays, whose values have no names: they are not read; write objects, or delimited text",
        ));
    }
    guess.compression = plain.compression;
    plain.charset_name.clone_into(&mut guess.charset);
    guess.notes.splice(0..0, plain.notes);
    let sures = guess.columns.iter().map(|column| column.sure);
    guess.sure = sures.fold(guess.sure, f64::min);
    Ok(guess)
}

#[cfg(test)]
mod tests;
