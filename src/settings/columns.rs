//! `columns:` and what stands beside it: which field of the file goes into which column, and by which rules its
//! text is read. Read and checked for form here; whether it fits a table and a file is said in `plan`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{self, Error, nearest};

/// What is said of one column of the table.
///
/// In the file it is a text (`$key`: what the object knows of itself; `{dt}`: what a capture of the route holds)
/// or a mapping of the other fields, whose keys have the names of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnSettings {
    /// `$key`, `$line`…: a word that begins with `$`, not yet looked at.
    pub metadata: Option<String>,
    /// A text with at least one `{capture}` in it.
    pub template: Option<String>,
    /// Name of the field in the file (a header's, or a path `a.b.c` or `/a/b` into JSON), where it is not the column's own.
    pub from: Option<String>,
    /// The field's number, from 1: `from: 3`. Never together with `from`.
    pub field: Option<usize>,
    /// The same text for every row, as it is.
    pub constant: Option<String>,
    /// An SQL type, which is known to be one; `load` goes by the table's.
    pub sql_type: Option<String>,
    /// strftime texts; the first that fits a value reads it.
    pub format: Vec<String>,
    /// IANA zone of times that have none.
    pub timezone: Option<String>,
    /// Numbers count from 1970 on: `s`, `ms`, `us` or `ns`.
    pub epoch: Option<String>,
    /// What stands between groups of digits.
    pub thousands: Option<String>,
    /// What stands before decimal places.
    pub decimal: Option<String>,
    /// Digits, signs and points may be full-width.
    pub full_width: Option<bool>,
    /// Words for true, in place of the usual ones.
    pub true_words: Vec<String>,
    /// Words for false.
    pub false_words: Vec<String>,
    /// Texts that are NULL, in place of the route's `null_string`.
    pub null: Option<Vec<String>>,
    /// `none`, `unquoted` or `all`, in place of the route's.
    pub trim: Option<String>,
    /// What stands in for NULL, and for the field where the file has none.
    pub default: Option<String>,
    /// The day of times without one, `YYYY-MM-DD`.
    pub default_date: Option<String>,
}

/// A field of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldRef {
    /// By its name in the header.
    Named(String),
    /// By its number in the record, from 1.
    Number(usize),
}

/// What becomes of columns that the file has no field for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// They may be missing if they take NULL or have a default; a field that `from` names must be there.
    #[default]
    Refuse,
    /// The fields that `from` names may be missing, too.
    Allow,
    /// Every column that a file may fill must be there.
    RefuseAll,
}

/// What becomes of fields that the table has no column for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drift {
    /// The object fails.
    #[default]
    Strict,
    /// They are left out, with a warning that names them.
    Ignore,
    /// The object fails, and the hint is the statement that adds the columns.
    Suggest,
}

/// A text, or a list of them.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Array(items) => items.iter().map(text).collect::<Result<_, _>>().map(Self),
            one => text(&one).map(|text| Self(vec![text])),
        }
        .map_err(serde::de::Error::custom)
    }
}

/// A text; whole numbers are what they were written as.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(&Value::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
    }
}

const QUOTES: &str = "words that YAML takes for something else, such as n, yes, ~ and 1.50, need quotes";

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        // `yes`, `1.50` and `~` are true, 1.5 and null by now: what was written is no longer known.
        _ => Err(format!("a text is expected; {QUOTES}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnFile {
    #[serde(default, deserialize_with = "said")]
    from: Option<FieldRef>,
    #[serde(default, deserialize_with = "said")]
    constant: Option<Text>,
    #[serde(rename = "type")]
    sql_type: Option<String>,
    #[serde(default)]
    format: Texts,
    timezone: Option<String>,
    epoch: Option<String>,
    thousands: Option<String>,
    decimal: Option<String>,
    full_width: Option<bool>,
    #[serde(default, rename = "true")]
    true_words: Texts,
    #[serde(default, rename = "false")]
    false_words: Texts,
    #[serde(default, deserialize_with = "said")]
    null: Option<Texts>,
    trim: Option<String>,
    #[serde(default, deserialize_with = "said")]
    default: Option<Text>,
    default_date: Option<String>,
}

/// A rule whose key stands there says something: `null: NULL` must not be a rule that was left out.
fn said<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for ColumnSettings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::String(text) if text.contains('{') => Ok(Self { template: Some(text), ..Self::default() }),
            Value::String(text) => Ok(Self { metadata: Some(text), ..Self::default() }),
            said @ Value::Object(_) => {
                serde_json::from_value(said).map(ColumnFile::into_settings).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom(
                "a column must be `$key`, a text with a `{capture}`, or {from, constant, type, …}",
            )),
        }
    }
}

impl ColumnFile {
    fn into_settings(self) -> ColumnSettings {
        let (from, field) = match self.from {
            None => (None, None),
            Some(FieldRef::Named(name)) => (Some(name), None),
            Some(FieldRef::Number(number)) => (None, Some(number)),
        };
        ColumnSettings {
            metadata: None,
            template: None,
            from,
            field,
            constant: self.constant.map(|text| text.0),
            sql_type: self.sql_type,
            format: self.format.0,
            timezone: self.timezone,
            epoch: self.epoch,
            thousands: self.thousands,
            decimal: self.decimal,
            full_width: self.full_width,
            true_words: self.true_words.0,
            false_words: self.false_words.0,
            null: self.null.map(|texts| texts.0),
            trim: self.trim,
            default: self.default.map(|text| text.0),
            default_date: self.default_date,
        }
    }
}

impl<'de> Deserialize<'de> for FieldRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        match (number, value) {
            (Some(number), _) => Ok(Self::Number(number)),
            (None, Value::String(name)) => Ok(Self::Named(name)),
            _ => Err(serde::de::Error::custom(format!("a field is a name, or a number from 1; {QUOTES}"))),
        }
    }
}

/// The words of `epoch`.
const EPOCHS: &[&str] = &["s", "ms", "us", "ns"];
/// The words of `trim`.
const TRIMS: &[&str] = &["none", "unquoted", "all"];

/// Names of types and how many numbers in parentheses each may have behind it.
const TYPES: &[(&str, usize)] = &[
    ("bool", 0),
    ("boolean", 0),
    ("int2", 0),
    ("smallint", 0),
    ("int4", 0),
    ("int", 0),
    ("integer", 0),
    ("int8", 0),
    ("bigint", 0),
    ("float4", 0),
    ("real", 0),
    ("float8", 0),
    ("float", 0),
    ("double precision", 0),
    ("numeric", 2),
    ("decimal", 2),
    ("text", 0),
    ("varchar", 1),
    ("character varying", 1),
    ("char", 1),
    ("bpchar", 1),
    ("character", 1),
    ("date", 0),
    ("time", 1),
    ("time without time zone", 0),
    ("timestamp", 1),
    ("timestamp without time zone", 0),
    ("timestamptz", 1),
    ("timestamp with time zone", 0),
    ("uuid", 0),
    ("json", 0),
    ("jsonb", 0),
    ("bytea", 0),
    ("inet", 0),
];

/// Checks what is said of the columns as far as it does not depend on a table.
///
/// # Errors
/// `Config`, which names the column, for words that are not known and things that exclude each other.
pub(super) fn check(columns: &BTreeMap<String, ColumnSettings>) -> error::Result<()> {
    columns.iter().try_for_each(|(name, column)| column.check(name))
}

impl ColumnSettings {
    fn check(&self, name: &str) -> error::Result<()> {
        if let Some(word) = &self.metadata
            && !word.starts_with('$')
        {
            return Err(Error::config(format!("`columns: {{{name}: {word}}}` is not known")).with_hint(format!(
                "`{{from: {word}}}` takes the field of that name, `{{constant: {word}}}` writes the text into every row; \
                 `$key`, `$line`… are known to the object itself"
            )));
        }
        if self.field == Some(0) {
            return Err(Error::config(format!("`columns: {{{name}: {{from: 0}}}}`: fields count from 1")));
        }
        if self.constant.is_some() && (self.from.is_some() || self.field.is_some()) {
            return Err(Error::config(format!("`columns.{name}` has both `from` and `constant`"))
                .with_hint("keep one of them; `default` is what stands in where a field is empty"));
        }
        if let Some(sql_type) = &self.sql_type {
            check_type(sql_type).map_err(|error| error.context(format!("`columns.{name}`")))?;
        }
        check_word(name, "epoch", self.epoch.as_deref(), EPOCHS)?;
        check_word(name, "trim", self.trim.as_deref(), TRIMS)
    }

    /// Whether the column is filled without a field of the file.
    pub fn is_filled(&self) -> bool {
        self.metadata.is_some() || self.template.is_some() || self.constant.is_some()
    }
}

fn check_word(column: &str, key: &str, word: Option<&str>, known: &[&str]) -> error::Result<()> {
    let Some(word) = word.filter(|word| !known.contains(word)) else { return Ok(()) };
    let error = Error::config(format!("`columns.{column}`: `{key}: {word}` is not known"));
    Err(match nearest(word, known.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("known are {}", known.join(", "))),
    })
}

/// Checks that a text is the name of an SQL type that holoload knows, with its numbers in parentheses if it has any.
///
/// # Errors
/// `Config`, with the nearest name.
pub fn check_type(sql_type: &str) -> error::Result<()> {
    let folded = sql_type.trim().to_lowercase();
    let bare = folded.strip_suffix("[]").unwrap_or(&folded);
    let (name, numbers) = match bare.split_once('(') {
        None => (bare.trim(), Vec::new()),
        Some((name, rest)) => {
            let inside = rest.strip_suffix(')').unwrap_or("-");
            (name.trim(), inside.split(',').map(str::trim).collect())
        }
    };
    let is_number = |text: &&str| text.parse::<i16>().is_ok() || text.parse::<u32>().is_ok();
    let is_known = TYPES.iter().any(|(known, most)| *known == name && numbers.len() <= *most);
    if is_known && numbers.iter().all(is_number) {
        return Ok(());
    }
    let error = Error::config(format!("`type: {sql_type}` is no type"));
    let example = |name: &str| match name {
        "numeric" | "decimal" => format!("{name}(12,2)"),
        "varchar" | "char" | "bpchar" => format!("{name}(20)"),
        _ => name.to_owned(),
    };
    Err(match nearest(name, TYPES.iter().map(|(known, _)| *known)) {
        Some(near) => error.with_hint(format!("did you mean `{}`?", example(near))),
        None => error.with_hint("types are named as in SQL: int8, numeric(12,2), text, timestamptz…"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<BTreeMap<String, ColumnSettings>, String> {
        let crate::settings::yaml::Yaml(value) = serde_saphyr::from_str(yaml).expect("YAML");
        let columns: BTreeMap<String, ColumnSettings> =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        check(&columns).map_err(|error| format!("{error} | {}", error.hint().unwrap_or_default()))?;
        Ok(columns)
    }

    #[test]
    fn each_form_is_read() {
        let columns = read(
            "{a: $key, b: '{dt}', c: {from: 注文ID}, d: {from: 3}, e: {constant: 7}, f: {constant: 'x'}, \
             g: {type: 'numeric(12, 2)', format: '%Y', true: ['yes', 1], false: 'no', null: ['', 'NULL'], full_width: true, \
             thousands: ',', decimal: '.', trim: all, epoch: ms, timezone: Asia/Tokyo, default: 0, default_date: '1970-01-01'}, h: }",
        )
        .expect("valid");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(columns["a"].metadata, text("$key"));
        assert_eq!(columns["b"].template, text("{dt}"));
        assert_eq!((columns["c"].from.clone(), columns["c"].field), (text("注文ID"), None));
        assert_eq!((columns["d"].from.clone(), columns["d"].field), (None, Some(3)));
        assert_eq!(columns["e"].constant, text("7"));
        let g = &columns["g"];
        assert_eq!((g.format.clone(), g.false_words.clone()), (vec!["%Y".to_owned()], vec!["no".to_owned()]));
        assert_eq!(g.true_words, ["yes", "1"]);
        assert_eq!(g.null, Some(vec![String::new(), "NULL".to_owned()]));
        assert_eq!((g.default.clone(), g.epoch.clone()), (text("0"), text("ms")));
        assert_eq!(columns["h"], ColumnSettings::default());
    }

    #[test]
    fn mistakes_are_named() {
        for (yaml, expected) in [
            ("{a: {frm: x}}", "unknown field `frm`"),
            ("{a: [x]}", "a column must be"),
            ("{a: {constant: 1.50}}", "quotes"),
            ("{a: {null: NULL}}", "quotes"),
            ("{a: {default: ~}}", "quotes"),
            ("{a: {constant: null}}", "quotes"),
            ("{a: {from: }}", "a field is a name"),
            ("{a: {true: [yes, 1]}}", "quotes"),
            ("{a: filename}", "`{from: filename}`"),
            ("{a: {from: 0}}", "count from 1"),
            ("{a: {from: y}}", "a field is a name"),
            ("{a: {from: x, constant: z}}", "both `from` and `constant`"),
            (
                "{a: {type: numerik}}",
                "`columns.a`: `type: numerik` is no type | did you mean `numeric(12,2)`?",
            ),
            ("{a: {type: 'int8(3)'}}", "did you mean `int8`?"),
            ("{a: {type: 'numeric(a)'}}", "is no type"),
            ("{a: {type: 'varchar(10'}}", "is no type"),
            ("{a: {trim: unquote}}", "did you mean `unquoted`?"),
            ("{a: {epoch: hours}}", "`epoch: hours` is not known"),
        ] {
            let error = read(yaml).expect_err(yaml);
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }

    #[test]
    fn types_are_known_in_each_way_to_write_them() {
        for sql_type in
            ["int8", "BIGINT", "numeric(12,2)", "numeric(5, -2)", "varchar(10)", "timestamp(3)", "text[]"]
        {
            check_type(sql_type).expect(sql_type);
        }
    }
}
